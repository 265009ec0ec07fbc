//! What can go wrong with the database, told apart by what the caller does now.
//!
//! Nothing that PostgreSQL quotes from a row ("Key (channel, key)=(...)", "invalid input syntax for type json: ...") comes
//! through: for errors about data only the code, the constraint and the column are kept, since the rest may be what a
//! citizen wrote.

use smista_domain::{ChannelName, IntakeError};

/// Any error beneath.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why the store could not do it. Each says what the caller does now.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is shutting down, has become a standby, is full, or gave up on this attempt
    /// (deadlock, time-out): wait and try again.
    #[error("the database is not available")]
    Unavailable(#[source] Source),
    /// Another session holds a row that this needs, and did not let go in time (SQLSTATE 55P03): the rest can go on without it.
    #[error("another session holds a row that this needs")]
    Busy,
    /// The database refused what is in the request (SQLSTATE classes 21, 22, 23, 54): the same again will fail again.
    #[error("the database refused the data ({code}{})", constraint.as_deref().map(|c| format!(", {c}")).unwrap_or_default())]
    Refused {
        /// SQLSTATE.
        code: String,
        /// The constraint or column, if the server named one.
        constraint: Option<String>,
    },
    /// Another daemon holds this channel by now: stop at once, tell upstream nothing.
    #[error("the lease on {channel} is no longer ours (epoch {epoch})")]
    LostLease {
        /// The channel.
        channel: ChannelName,
        /// The epoch that was ours.
        epoch: i64,
    },
    /// The database lets us in, but not as far as we must go, or not at all: password, database, rights.
    #[error("the database does not let us in: {hint}")]
    Denied {
        /// What to do, in English.
        hint: String,
        /// What the server said.
        #[source]
        source: Source,
    },
    /// The server is too old.
    #[error("the PostgreSQL server is version {found}; smista needs 14 or later")]
    ServerTooOld {
        /// Its version, for instance `13.11`.
        found: String,
    },
    /// The schema lacks migrations that this program needs.
    #[error("the schema {schema} is {what}: run `smista migrate`")]
    SchemaBehind {
        /// The schema.
        schema: String,
        /// `missing`, or which migrations it lacks.
        what: String,
    },
    /// A queue function refused a request for a reason that its caller can act on (stale lease, unknown number).
    #[error("{message}")]
    Rejected {
        /// SQLSTATE that the function raised (class `SM`).
        code: String,
        /// The function's own sentence; it holds no personal data.
        message: String,
        /// What to do now.
        hint: Option<String>,
    },
    /// Anything else: a mistake of this program or of the schema.
    #[error("unexpected database error")]
    Other(#[source] Source),
}

/// What the server said, without what it quoted from rows.
#[derive(Debug, thiserror::Error)]
#[error("{message} (SQLSTATE {code})")]
struct Said {
    code: String,
    message: String,
}

impl StoreError {
    /// True when the same attempt may succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Busy)
    }

    /// An [`StoreError::Unavailable`] with a reason of our own.
    pub(crate) fn unavailable(reason: impl Into<Source>) -> Self {
        Self::Unavailable(reason.into())
    }

    /// A [`StoreError::Other`] with a reason of our own.
    pub(crate) fn other(reason: impl Into<Source>) -> Self {
        Self::Other(reason.into())
    }

    /// The error and what lies beneath, in one line: for logs and `status`.
    pub fn chain(&self) -> String {
        smista_domain::chain(self)
    }
}

/// Begins the text of the error with which a connection to a server that is too old ends; its version follows.
pub(crate) const TOO_OLD: &str = "smista: server too old: ";

/// Sorts an error of the database by what the caller does now.
pub(crate) fn classify(error: sqlx::Error) -> StoreError {
    match error {
        // How the set-up of a fresh connection says it.
        sqlx::Error::Protocol(text) if text.starts_with(TOO_OLD) => {
            StoreError::ServerTooOld { found: text.trim_start_matches(TOO_OLD).to_owned() }
        }
        sqlx::Error::Database(database) => {
            let database = match database.try_downcast::<sqlx::postgres::PgDatabaseError>() {
                Ok(postgres) => postgres,
                Err(other) => return StoreError::Other(Box::new(sqlx::Error::Database(other))),
            };
            let constraint = database.constraint().or(database.column()).map(str::to_owned);
            let hint = database.hint().map(str::to_owned);
            by_code(database.code(), database.message(), constraint, hint)
        }
        // A connection that broke, or that never came up. A spent pool (`PoolClosed`) means that we are stopping.
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed
        // What a connection says that was cut in the middle of a message.
        | sqlx::Error::Protocol(_) => StoreError::Unavailable(Box::new(error)),
        sqlx::Error::Configuration(_) => StoreError::Denied {
            hint: "the database's address in the configuration cannot be used".to_owned(),
            source: Box::new(error),
        },
        other => StoreError::Other(Box::new(other)),
    }
}

/// SQLSTATE codes: PostgreSQL's manual, appendix A.
fn by_code(code: &str, message: &str, constraint: Option<String>, hint: Option<String>) -> StoreError {
    let said = || -> Source { Box::new(Said { code: code.to_owned(), message: message.to_owned() }) };
    let denied = |hint: &str| StoreError::Denied { hint: hint.to_owned(), source: said() };
    match code {
        // read_only_sql_transaction: we are on a server that has become a standby.
        "25006" => StoreError::Unavailable(said()),
        "55P03" => StoreError::Busy,
        "28000" | "28P01" => denied("check user and password of database.url"),
        "3D000" => denied("the database of database.url does not exist on that server: create it (createdb)"),
        "42501" => denied("the database's user lacks a right: it must own the schema"),
        "42P01" | "42883" | "42703" | "3F000" => StoreError::SchemaBehind {
            schema: "of this town".to_owned(),
            what: format!("incomplete ({message})"),
        },
        _ => match code.get(..2) {
            // Connection exception, transaction rollback (serialization, deadlock), insufficient resources (disk full, too
            // many connections), operator intervention (shutdown, starting up, crash), system error, time-outs of idleness.
            Some("08" | "25" | "40" | "53" | "57" | "58") => StoreError::Unavailable(said()),
            Some("21" | "22" | "23" | "54") => StoreError::Refused { code: code.to_owned(), constraint },
            Some("SM") => StoreError::Rejected { code: code.to_owned(), message: message.to_owned(), hint },
            _ => StoreError::Other(said()),
        },
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        classify(error)
    }
}

impl From<StoreError> for IntakeError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::LostLease { channel, epoch } => Self::LostLease { channel, epoch },
            StoreError::Refused { .. } => Self::Refused(Box::new(error)),
            // Whatever else is wrong with the database, a batch is not at fault: it waits until somebody has mended it.
            other => Self::Unavailable(Box::new(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(code: &str) -> &'static str {
        match by_code(code, "message", None, None) {
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Busy => "busy",
            StoreError::Refused { .. } => "refused",
            StoreError::Denied { .. } => "denied",
            StoreError::SchemaBehind { .. } => "schema",
            StoreError::Rejected { .. } => "rejected",
            _ => "other",
        }
    }

    #[test]
    fn errors_are_sorted_by_what_to_do() {
        let cases = [
            ("57P01", "unavailable"), // admin shutdown
            ("57P03", "unavailable"), // starting up
            ("53100", "unavailable"), // disk full
            ("40P01", "unavailable"), // deadlock
            ("25006", "unavailable"), // standby
            ("55P03", "busy"),        // lock_timeout
            ("25P03", "unavailable"), // idle in transaction
            ("22021", "refused"),     // NUL in text
            ("23514", "refused"),     // check
            ("54000", "refused"),     // too large
            ("28P01", "denied"),
            ("42P01", "schema"),
            ("SM001", "rejected"),
            ("XX000", "other"),
        ];
        for (code, expected) in cases {
            assert_eq!(class(code), expected, "{code}");
        }
    }

    #[test]
    fn a_server_that_is_too_old_is_not_waited_for() {
        let error = classify(sqlx::Error::Protocol(format!("{TOO_OLD}13.11")));
        assert!(matches!(&error, StoreError::ServerTooOld { found } if found == "13.11"), "{error}");
        assert!(!error.is_transient());
        assert!(classify(sqlx::Error::Protocol("unexpected end".to_owned())).is_transient());
    }

    #[test]
    fn what_the_server_quotes_from_a_row_is_not_repeated() {
        let error =
            by_code("22P02", "invalid input syntax for type json: Mario Rossi", Some("facts".into()), None);
        assert_eq!(error.chain(), "the database refused the data (22P02, facts)");
    }
}
