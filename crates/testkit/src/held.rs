//! A step of the program that is held open for the blow: by a lock on a table that this step needs, taken by the test, so
//! that no chance and no speed of the machine is needed.

#![allow(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "for tests: what fails here fails the test at once"
)]

use std::time::Duration;

use sqlx::{PgConnection, Row as _};

use crate::postgres::TestStore;

/// A lock that stops one step of the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lock {
    pub(crate) table: &'static str,
    pub(crate) mode: &'static str,
    /// How the statement looks (LIKE) that then waits for it.
    pub(crate) waits: &'static str,
}

impl Lock {
    /// What a channel hands over is on its way and not committed.
    pub(crate) const ACCEPT: Self = Self { table: "delivery_keys", mode: "share", waits: "%intake_accept%" };
}

/// A lock that is held, on a connection of its own.
pub(crate) struct Held {
    connection: PgConnection,
    lock: Lock,
}

impl Held {
    pub(crate) async fn take(store: &TestStore, lock: Lock) -> Self {
        let mut connection = store.connect_alone().await.expect("a connection");
        // However long the test waits for the program meanwhile.
        let take = format!(
            "begin; set local idle_in_transaction_session_timeout = 0; lock table {} in {} mode",
            lock.table, lock.mode
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(take)).execute(&mut connection).await.expect("the lock");
        Self { connection, lock }
    }

    /// Processes of the server that do for the program what this lock stops.
    async fn waiting(&mut self) -> Vec<i32> {
        // Within a transaction the server shows what it saw at the first look.
        sqlx::raw_sql("select pg_stat_clear_snapshot()")
            .execute(&mut self.connection)
            .await
            .expect("a fresh look");
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

    /// Whether the program stands before it now.
    pub(crate) async fn stands(&mut self) -> bool {
        !self.waiting().await.is_empty()
    }

    /// Waits until the program stands before it; false when it does not come there.
    pub(crate) async fn reached(&mut self, patience: Duration) -> bool {
        let wait = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(2));
            loop {
                ticks.tick().await;
                if self.stands().await {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, wait).await.is_ok()
    }

    /// Lets go. What the dead program had asked for is done all the same, as it would be, or (`cut`) is lost on its way.
    pub(crate) async fn release(mut self, cut: bool) {
        if cut {
            let pids = self.waiting().await;
            let end = sqlx::query("select pg_terminate_backend(p) from unnest($1::int[]) as p").bind(pids);
            end.execute(&mut self.connection).await.expect("ended");
        }
        sqlx::raw_sql("rollback").execute(&mut self.connection).await.expect("let go");
    }
}
