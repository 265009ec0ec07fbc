//! Instants at the edge to SQL: jiff everywhere else, `time` where sqlx wants it. PostgreSQL keeps microseconds.

use jiff::Timestamp;
use time::OffsetDateTime;

/// For a bind variable.
pub(crate) fn to_sql(at: Timestamp) -> OffsetDateTime {
    // jiff's range (years -9999 to 9999) lies within time's and PostgreSQL's; the fallback is never taken.
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.as_microsecond()) * 1000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// From a column.
pub(crate) fn from_sql(at: OffsetDateTime) -> Timestamp {
    let micros = i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX);
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_the_edge() {
        for micros in [0, -1, 1_790_000_000_123_456, -62_000_000_000_000_000] {
            let at = Timestamp::from_microsecond(micros).expect("in range");
            assert_eq!(from_sql(to_sql(at)), at);
        }
    }
}
