//! When the program is killed: at any time, or at a moment of its work that is held open for the blow. What holds it open is a
//! lock on a table that the next step needs, taken by the test, so that no chance and no speed of the machine is needed.

use std::time::Duration;

use sqlx::{PgConnection, Row as _};

use crate::postgres::TestStore;

/// A kind of moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// Any time from the start on.
    Anyhow,
    /// It holds the mailbox's lease and connects, logs in, looks for letters.
    Connecting,
    /// Letters are fetched, their commit is on its way and not done.
    Accepting,
    /// So many letters are committed, and others are still coming.
    Committed,
    /// Letters are claimed and read, the transaction that opens their cases is not done.
    Settling,
    /// Letters are committed, upstream knows nothing of it.
    BeforeTelling,
    /// Upstream has been told of some.
    Telling,
    /// Upstream has been told, and that it was is not written down.
    Told,
}

impl Moment {
    /// The moments that there are with a policy.
    pub(super) fn all(policy: &str) -> &'static [Self] {
        use Moment::{Accepting, Anyhow, BeforeTelling, Committed, Connecting, Settling, Telling, Told};
        match policy {
            "keep" => &[Anyhow, Connecting, Accepting, Committed, Settling],
            _ => &[Anyhow, Connecting, Accepting, Committed, Settling, BeforeTelling, Telling, Told],
        }
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Anyhow => "at any time",
            Self::Connecting => "connecting",
            Self::Accepting => "accepting",
            Self::Committed => "committed",
            Self::Settling => "settling",
            Self::BeforeTelling => "before telling",
            Self::Telling => "telling",
            Self::Told => "told",
        }
    }

    /// The lock that holds it open: the table, the lock's mode, and how the statement begins that then waits for it.
    pub(super) fn lock(self) -> Option<Lock> {
        let (table, mode, waits) = match self {
            Self::Accepting => ("delivery_keys", "share", "%intake_accept%"),
            Self::Settling => ("segnalazioni", "share", "%insert into segnalazioni%"),
            Self::BeforeTelling => ("deliveries", "access exclusive", "%d.upstream = 'pending'%"),
            Self::Told => ("deliveries", "share", "update deliveries set upstream = 'done'%"),
            Self::Anyhow | Self::Connecting | Self::Committed | Self::Telling => return None,
        };
        // What must be let through first is what comes before this step.
        let at_once = matches!(self, Self::Accepting | Self::Settling);
        Some(Lock { table, mode, waits, at_once })
    }
}

/// A lock that stops one step of the program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lock {
    table: &'static str,
    mode: &'static str,
    waits: &'static str,
    /// It may be taken before the program starts.
    pub(super) at_once: bool,
}

/// A lock that is held, on a connection of its own.
pub(super) struct Held {
    connection: PgConnection,
    lock: Lock,
}

impl Held {
    pub(super) async fn take(store: &TestStore, lock: Lock) -> Self {
        let mut connection = store.connect_alone().await.expect("a connection");
        let take = format!("begin; lock table {} in {} mode", lock.table, lock.mode);
        sqlx::raw_sql(sqlx::AssertSqlSafe(take)).execute(&mut connection).await.expect("the lock");
        Self { connection, lock }
    }

    /// Processes of the server that do for the program what this lock stops.
    async fn waiting(&mut self) -> Vec<i32> {
        sqlx::query(
            "select a.pid from pg_locks l join pg_class c on c.oid = l.relation join pg_stat_activity a on a.pid = l.pid
              where not l.granted and c.relname = $1 and c.relnamespace = current_schema()::regnamespace and a.query like $2",
        )
        .bind(self.lock.table)
        .bind(self.lock.waits)
        .fetch_all(&mut self.connection)
        .await
        .expect("who waits")
        .iter()
        .map(|row| row.get(0))
        .collect()
    }

    /// Waits until the program stands before it; false when it does not come there.
    pub(super) async fn reached(&mut self, patience: Duration) -> bool {
        let wait = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(2));
            loop {
                ticks.tick().await;
                if !self.waiting().await.is_empty() {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, wait).await.is_ok()
    }

    /// Lets go. What the dead program had asked for is done all the same, as it would be, or (`cut`) is lost on its way.
    pub(super) async fn release(mut self, cut: bool) {
        if cut {
            let pids = self.waiting().await;
            let end = sqlx::query("select pg_terminate_backend(p) from unnest($1::int[]) as p").bind(pids);
            end.execute(&mut self.connection).await.expect("ended");
        }
        sqlx::raw_sql("rollback").execute(&mut self.connection).await.expect("let go");
    }
}
