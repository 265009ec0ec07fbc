//! What the daemon does for the queue: leases that ran out, who is to be told, positions after a restore.

use sqlx::PgConnection;

use crate::{Result, Store};

impl Store {
    /// Puts leases that ran out back. Returns the sectors that have something to claim now. Every few seconds.
    pub async fn sweep(&self) -> Result<Vec<String>> {
        self.within(self.patience(), async |connection: &mut PgConnection| {
            Ok(sqlx::query_scalar!(r#"select sector as "sector!" from sweep() as s(sector)"#)
                .fetch_all(connection)
                .await?)
        })
        .await
    }

    /// Sectors whose queue gained something after a position (through whichever program), and the position to ask from next
    /// time.
    pub async fn woken(&self, after: i64) -> Result<(Vec<String>, i64)> {
        self.within(self.patience(), async |connection: &mut PgConnection| {
            let row = sqlx::query!(r#"select sectors as "sectors!", last as "last!" from woken($1)"#, after)
                .fetch_one(connection)
                .await?;
            Ok((row.sectors, row.last))
        })
        .await
    }

    /// The position below which nothing can appear any more: where a notifier begins.
    pub async fn settled_position(&self) -> Result<i64> {
        self.within(self.patience(), async |connection: &mut PgConnection| {
            Ok(sqlx::query_scalar!(r#"select settled_position() as "position!""#)
                .fetch_one(connection)
                .await?)
        })
        .await
    }

    /// Once at the start of a daemon, before it writes: keeps positions growing after a restore into another cluster.
    pub async fn align_history(&self) -> Result<i64> {
        self.within(self.patience(), async |connection: &mut PgConnection| {
            Ok(sqlx::query_scalar!(r#"select align_history() as "offset!""#).fetch_one(connection).await?)
        })
        .await
    }
}
