//! Finding cases. By number, for now.

use crate::{Result, Store};

impl Store {
    /// The number as it is written in full, for what a person typed: `2026-000123`, `2026-123`, or `123` (of `year`).
    pub async fn find_number(&self, typed: &str, year: i16) -> Result<Option<String>> {
        let typed = typed.trim().trim_start_matches(['#', '[']).trim_end_matches(']');
        let (year, digits) = match typed.split_once(['-', '/']) {
            Some((year, digits)) => (year.to_owned(), digits),
            None => (year.to_string(), typed),
        };
        let plausible = |s: &str| !s.is_empty() && s.len() <= 12 && s.bytes().all(|b| b.is_ascii_digit());
        if year.len() != 4 || !plausible(&year) || !plausible(digits) {
            return Ok(None);
        }
        let number = format!("{year}-{:0>6}", digits.trim_start_matches('0'));
        Ok(sqlx::query_scalar!("select number from segnalazioni where number = $1", number)
            .fetch_optional(&self.pool)
            .await?)
    }
}
