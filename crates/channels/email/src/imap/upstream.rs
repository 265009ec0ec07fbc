//! What the server is told after the commit: `\Seen`, a move, a deletion.
//!
//! Invariants: nothing is told before the database says that the letter is committed and due; the folder is opened for
//! writing under the same UIDVALIDITY, or nothing happens; a letter is deleted only when the server's copy has the same
//! SHA-256 as ours; EXPUNGE without a UID set is never used, since it would remove what others have marked. What is refused
//! stays pending and is tried again at the next round.

use smista_domain::{DeliveryKey, Intake, Pulse, UpstreamTask};

use super::{
    encode::{mailbox, uid_set},
    error::{Fault, ImapError},
    generation::Standing,
    mailbox::{Folder, uid_of},
    session::Session,
    trouble::Trouble,
};
use crate::config::After;

/// Tasks taken up in one round.
const ROUND: u32 = 500;
/// UIDs named in one command.
const COMMAND: usize = 100;

/// What came of telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// There was nothing to tell; the folder is open as it was.
    Nothing,
    /// The folder is open for writing now, and there may be more to tell.
    Something,
    /// The folder is open for writing now; nothing was achieved.
    Refused,
}

impl<I: Intake> Folder<'_, I> {
    /// Tells what is due.
    pub(crate) async fn tell(&self, session: &mut Session, standing: &Standing) -> Result<Told, Trouble> {
        let scope = &self.scope;
        if scope.settings.after == After::Keep {
            return Ok(Told::Nothing);
        }
        let prefix = format!("{}/{}/", scope.folder, standing.generation);
        let due = self.intake.upstream_due(scope.channel, &prefix, ROUND).await?;
        let mut tasks: Vec<(u32, UpstreamTask)> = due
            .into_iter()
            .filter_map(|task| Some((uid_of(&task.key, scope.folder, standing.generation)?, task)))
            .collect();
        if tasks.is_empty() {
            return Ok(Told::Nothing);
        }
        tasks.sort_unstable_by_key(|(uid, _)| *uid);
        let opened = session.open_folder(scope.folder, true).await?;
        if opened.validity != Some(standing.validity()) {
            return Ok(Told::Refused);
        }
        if !opened.writable {
            self.warn(
                "folder-read-only",
                "the server allows only reading: give the user the right to change it",
            );
            return Ok(Told::Refused);
        }
        let (mut refused, mut told) = (None, false);
        for chunk in self.portions(&tasks) {
            if self.stop.is_cancelled() {
                break;
            }
            match self.tell_some(session, chunk).await {
                Ok(some) => told |= some,
                // one that is refused must not hold up the others
                Err(Trouble::Imap(e)) if e.fault.is_refusal() && chunk.len() > 1 => {
                    for one in chunk {
                        match self.tell_some(session, std::slice::from_ref(one)).await {
                            Err(Trouble::Imap(e)) if e.fault.is_refusal() => refused = Some(e),
                            other => told |= other?,
                        }
                    }
                }
                Err(Trouble::Imap(e)) if e.fault.is_refusal() => refused = Some(e),
                Err(e) => return Err(e),
            }
        }
        if let Some(error) = refused {
            self.warn(
                "after-refused",
                &format!("what 'after' asks for is refused ({error}); it is tried again"),
            );
        }
        Ok(if told { Told::Something } else { Told::Refused })
    }

    fn warn(&self, code: &'static str, text: &str) {
        self.intake.pulse(Pulse::Warning { code, text: format!("folder {}: {text}", self.scope.folder) });
    }

    /// True if something is settled now.
    async fn tell_some(&self, session: &mut Session, tasks: &[(u32, UpstreamTask)]) -> Result<bool, Trouble> {
        let uids: Vec<u32> = tasks.iter().map(|(uid, _)| *uid).collect();
        match &self.scope.settings.after {
            After::Keep => return Ok(false),
            After::Seen => store(session, &uids, "+FLAGS.SILENT (\\Seen)").await?,
            After::Move(target) => self.move_to(session, &uids, target).await?,
            After::Delete { .. } => return self.delete(session, tasks).await,
        }
        let keys: Vec<DeliveryKey> = tasks.iter().map(|(_, task)| task.key.clone()).collect();
        self.intake.upstream_done(self.scope.channel, keys).await?;
        Ok(true)
    }

    async fn move_to(&self, session: &mut Session, uids: &[u32], target: &str) -> Result<(), ImapError> {
        if session.can("MOVE") {
            let line = format!("UID MOVE {} {}", uid_set(uids), mailbox(target));
            return creating(session, "UID MOVE", &line, target).await;
        }
        // what is marked already was copied by a round that was cut off
        let copied = flagged_deleted(session, uids).await?;
        let left: Vec<u32> = uids.iter().copied().filter(|uid| !copied.contains(uid)).collect();
        if !left.is_empty() {
            // Where marking is refused, each round would leave further copies. So what needs the same right and changes
            // nothing comes first (osTicket#5645: 14,000 copies a day).
            store(session, &left, "-FLAGS.SILENT (\\Deleted)").await?;
            let line = format!("UID COPY {} {}", uid_set(&left), mailbox(target));
            creating(session, "UID COPY", &line, target).await?;
        }
        self.remove(session, uids).await
    }

    /// Deletes letters of which the server's copy is what we hold. True if something is settled now.
    async fn delete(&self, session: &mut Session, tasks: &[(u32, UpstreamTask)]) -> Result<bool, Trouble> {
        let uids: Vec<u32> = tasks.iter().map(|(uid, _)| *uid).collect();
        let there = session.find(&uid_set(&uids), "").await?;
        let permit = self.scope.budget.take(tasks.iter().map(|(_, task)| task.size).sum()).await;
        let digests = self.scope.digests(session, &there).await?;
        drop(permit);
        let (mut same, mut settled, mut differs) = (Vec::new(), Vec::new(), false);
        for (uid, task) in tasks {
            match (there.binary_search(uid).is_ok(), digests.get(uid)) {
                (false, _) => settled.push(task.key.clone()),
                (true, Some(digest)) if *digest == task.sha256 => {
                    same.push(*uid);
                    settled.push(task.key.clone());
                }
                (true, Some(_)) => {
                    differs = true;
                    settled.push(task.key.clone());
                }
                // not served now: asked again at the next round
                (true, None) => {}
            }
        }
        if !same.is_empty() {
            self.remove(session, &same).await?;
        }
        if differs {
            self.warn(
                "upstream-mismatch",
                "a message on the server differs from the one that was taken in under its UID: it is not deleted; look at \
                 the mailbox",
            );
        }
        let progress = !settled.is_empty();
        self.intake.upstream_done(self.scope.channel, settled).await?;
        Ok(progress)
    }

    /// Portions of what one command may name, and of what may be in memory at once when letters are compared.
    fn portions<'t>(&self, tasks: &'t [(u32, UpstreamTask)]) -> Vec<&'t [(u32, UpstreamTask)]> {
        let compared = matches!(self.scope.settings.after, After::Delete { .. });
        let share = if compared { self.scope.budget.share() } else { u64::MAX };
        let (mut out, mut from, mut cost) = (Vec::new(), 0, 0u64);
        for (i, (_, task)) in tasks.iter().enumerate() {
            if i > from && (i - from >= COMMAND || cost.saturating_add(task.size) > share) {
                out.extend(tasks.get(from..i));
                (from, cost) = (i, 0);
            }
            cost = cost.saturating_add(task.size);
        }
        out.extend(tasks.get(from..).filter(|rest| !rest.is_empty()));
        out
    }

    async fn remove(&self, session: &mut Session, uids: &[u32]) -> Result<(), ImapError> {
        store(session, uids, "+FLAGS.SILENT (\\Deleted)").await?;
        if session.can("UIDPLUS") || session.can("IMAP4REV2") {
            let line = format!("UID EXPUNGE {}", uid_set(uids));
            session.run("UID EXPUNGE", &line, &mut |_| {}).await?;
        } else {
            self.warn(
                "no-uidplus",
                "the server cannot remove single messages (no UIDPLUS): they are marked as deleted and stay until the mailbox \
                 is compacted",
            );
        }
        Ok(())
    }
}

async fn store(session: &mut Session, uids: &[u32], change: &str) -> Result<(), ImapError> {
    let line = format!("UID STORE {} {change}", uid_set(uids));
    session.run("UID STORE", &line, &mut |_| {}).await.map(drop)
}

async fn flagged_deleted(session: &mut Session, uids: &[u32]) -> Result<Vec<u32>, ImapError> {
    let mut marked = Vec::new();
    let line = format!("UID FETCH {} (UID FLAGS)", uid_set(uids));
    session
        .run("UID FETCH flags", &line, &mut |heard| {
            let Some(got) = heard.fetched() else { return };
            let deleted = got.flags.is_some_and(|f| f.iter().any(|f| f.eq_ignore_ascii_case("\\Deleted")));
            marked.extend(got.uid.filter(|_| deleted));
        })
        .await?;
    Ok(marked)
}

/// COPY or MOVE; a target that is not there yet is made (RFC 3501 6.4.7, TRYCREATE; some servers say NONEXISTENT).
async fn creating(
    session: &mut Session,
    name: &'static str,
    line: &str,
    target: &str,
) -> Result<(), ImapError> {
    let refused = match session.run(name, line, &mut |_| {}).await {
        Err(ImapError { fault: Fault::No(said), .. })
            if said.has_code("TRYCREATE") || said.has_code("NONEXISTENT") =>
        {
            said
        }
        other => return other.map(drop),
    };
    session.run("CREATE", &format!("CREATE {}", mailbox(target)), &mut |_| {}).await.inspect_err(|_| {
        tracing::debug!(imap.said = %refused, "the target folder is missing and could not be made");
    })?;
    // mail programs show subscribed folders only; where that fails, the mail is still in its place
    match session.run("SUBSCRIBE", &format!("SUBSCRIBE {}", mailbox(target)), &mut |_| {}).await {
        Err(e) if !matches!(e.fault, Fault::No(_) | Fault::Bad(_)) => return Err(e),
        _ => {}
    }
    session.run(name, line, &mut |_| {}).await.map(drop)
}
