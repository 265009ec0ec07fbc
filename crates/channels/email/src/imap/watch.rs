//! Watching: one task per connection. Look, fetch, tell, wait (IDLE, with a poll beside it), and again.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use jiff::Timestamp;
use smista_domain::{Intake, Pulse};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Timing,
    budget::MemoryBudget,
    error::{Fault, ImapError},
    fetch::Scope,
    generation::Standing,
    mailbox::Folder,
    session::{Session, Target},
    suspects::Suspects,
    trouble::Trouble,
};
use crate::config::EmailSettings;

/// What the connections of one mailbox have in common.
pub(crate) struct Shared {
    pub(crate) settings: EmailSettings,
    pub(crate) timing: Timing,
    pub(crate) budget: MemoryBudget,
    pub(crate) suspects: Suspects,
    pub(crate) now: fn() -> Timestamp,
}

/// Watches `folders` on one connection until stopped or until something ends it. The folder at which it happened comes with
/// the trouble.
pub(crate) async fn watch<I: Intake>(
    shared: Arc<Shared>,
    target: Target,
    folders: Vec<String>,
    intake: I,
    worked: Arc<AtomicBool>,
    stop: CancellationToken,
) -> Result<(), (Trouble, Option<String>)> {
    let mut session = Session::open(&target).await.map_err(|e| (e.into(), None))?;
    intake.pulse(Pulse::Connected);
    let round = Round { shared: &shared, intake: &intake, worked: &worked, stop: &stop };
    let mut closed: HashMap<String, Instant> = HashMap::new();
    loop {
        let mut watched = None;
        for name in &folders {
            if stop.is_cancelled() {
                break;
            }
            if closed.get(name).is_some_and(|again| *again > Instant::now()) {
                continue;
            }
            match round.folder(&mut session, name).await {
                Ok(standing) => watched = standing.map(|s| (name.clone(), s)),
                // one folder that cannot be opened stops only itself, as long as there are others on this connection
                Err(Trouble::Folder(e)) if folders.len() > 1 && closed.len() + 1 < folders.len() => {
                    intake.pulse(Pulse::Warning {
                        code: "folder-missing",
                        text: format!("folder {name}: {e}; see 'folders' in the mailbox's [[email]]"),
                    });
                    closed.insert(name.clone(), Instant::now() + shared.timing.folder_retry);
                    continue;
                }
                Err(trouble) => return Err((trouble, Some(name.clone()))),
            }
            closed.remove(name);
        }
        if !stop.is_cancelled() {
            let alone = folders.len() == 1;
            let place = watched.as_ref().map(|(name, _)| name.clone());
            round.wait(&mut session, watched, alone).await.map_err(|t| (t, place))?;
        }
        if stop.is_cancelled() {
            session.leave().await;
            return Ok(());
        }
    }
}

struct Round<'a, I> {
    shared: &'a Shared,
    intake: &'a I,
    worked: &'a AtomicBool,
    stop: &'a CancellationToken,
}

impl<I: Intake> Round<'_, I> {
    fn of<'f>(&'f self, name: &'f str) -> Folder<'f, I> {
        let shared = self.shared;
        Folder {
            scope: Scope {
                channel: &shared.settings.name,
                folder: name,
                settings: &shared.settings,
                budget: &shared.budget,
                suspects: &shared.suspects,
                now: shared.now,
            },
            intake: self.intake,
            worked: self.worked,
        }
    }

    /// Everything that there is to do in one folder now. None: stopped in the middle.
    async fn folder(&self, session: &mut Session, name: &str) -> Result<Option<Standing>, Trouble> {
        let folder = self.of(name);
        let Some(standing) = self.unless_stopped(folder.open(session)).await? else { return Ok(None) };
        self.look(&folder, session, standing).await
    }

    /// In an open folder: fetch, try again, tell. Telling is not interrupted by `stop`: it is short.
    async fn look(
        &self,
        folder: &Folder<'_, I>,
        session: &mut Session,
        mut standing: Standing,
    ) -> Result<Option<Standing>, Trouble> {
        loop {
            let fetching = async {
                folder.catch_up(session, &mut standing).await?;
                folder.retry_announced(session, &standing).await
            };
            if self.unless_stopped(fetching).await?.is_none() {
                return Ok(None);
            }
            if !folder.tell(session, &standing).await? {
                break;
            }
            // the folder was opened for writing meanwhile: back to reading, and see what came
            let Some(now) = self.unless_stopped(folder.open(session)).await? else { return Ok(None) };
            standing = now;
            if self.unless_stopped(folder.catch_up(session, &mut standing)).await?.is_none() {
                return Ok(None);
            }
            break;
        }
        self.intake.pulse(Pulse::CaughtUp { scope: folder.scope.folder.to_owned() });
        Ok(Some(standing))
    }

    async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<Option<T>, Trouble> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Ok(None),
            done = work => done.map(Some),
        }
    }

    /// Waits for news until the next poll is due; when alone on its connection, a folder that IDLE woke is looked at without being
    /// opened again.
    async fn wait(
        &self,
        session: &mut Session,
        watched: Option<(String, Standing)>,
        alone: bool,
    ) -> Result<(), Trouble> {
        let mut next_poll = self.shared.settings.poll;
        let Some((name, mut standing)) = watched.filter(|_| session.can("IDLE")) else {
            self.pause(next_poll).await;
            return Ok(());
        };
        next_poll = next_poll.min(self.shared.timing.idle);
        loop {
            let idled = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                idled = session.idle(next_poll) => idled,
            };
            match idled {
                Ok(()) => {}
                Err(ImapError { fault: Fault::No(_) | Fault::Bad(_), .. }) => {
                    // announced, but refused: then by polling alone
                    session.forget("IDLE");
                    self.pause(self.shared.settings.poll).await;
                    return Ok(());
                }
                Err(e) => return Err(e.into()),
            }
            if !alone || !session.news || session.stale {
                return Ok(());
            }
            let folder = self.of(&name);
            match self.look(&folder, session, standing).await? {
                Some(now) => standing = now,
                None => return Ok(()),
            }
        }
    }

    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(time) => {}
        }
    }
}
