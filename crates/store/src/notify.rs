//! Notifications to sectors: `NOTIFY <schema>_queue, '<sector>'`.
//!
//! Sent in a transaction of its own after the commit that it speaks of: inside it, every commit would wait for a
//! database-wide lock and lose group commit. A notification is a hint; the tables are the truth.

use sqlx::PgConnection;

use crate::{Result, Store};

impl Store {
    /// Tells these sectors that something is ready. One statement for all of them.
    pub async fn notify_sectors(&self, sectors: &[String]) -> Result<()> {
        if sectors.is_empty() {
            return Ok(());
        }
        self.within(self.patience(), async |connection: &mut PgConnection| {
            sqlx::query!(
                r#"select pg_notify($1, sector)::text as "done" from unnest($2::text[]) as sector"#,
                format!("{}_queue", self.schema().as_str()),
                sectors,
            )
            .fetch_all(connection)
            .await?;
            Ok(())
        })
        .await
    }
}
