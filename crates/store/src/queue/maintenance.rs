//! What the daemon does for the queue: leases that ran out, who is to be told, positions after a restore.

use sqlx::PgConnection;

use crate::{Result, Store, threads};

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

    /// Says under which thread key (`mid:...`) an answer leaves: before it leaves. What cites it, a receipt or a reply, finds the
    /// case from then on. Again with the same key: nothing changes.
    pub async fn leaves_as(&self, answer: i64, thread_key: &str) -> Result<()> {
        let key = threads::key(thread_key);
        self.within(self.patience(), async |connection: &mut PgConnection| {
            sqlx::query!("select leaves_as($1, $2)", answer, &key).execute(connection).await?;
            Ok(())
        })
        .await
    }

    /// Gives every receipt that waits to the answer that it speaks of, however old. [`sweep`](Self::sweep) does it for what is
    /// new. Gives how many found theirs.
    pub async fn link_receipts(&self) -> Result<i32> {
        self.within(self.patience(), async |connection: &mut PgConnection| {
            Ok(sqlx::query_scalar!(r#"select link_receipts(null) as "linked!""#)
                .fetch_one(connection)
                .await?)
        })
        .await
    }
}
