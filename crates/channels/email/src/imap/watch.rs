//! Watching: one task per connection. Look, fetch, tell, wait (IDLE, with a poll beside it), and again.
//!
//! Invariant: a folder that cannot be opened stops only itself, as long as another folder of the mailbox can.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
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
    quota::Quotas,
    session::Session,
    suspects::Suspects,
    trouble::Trouble,
    upstream::Told,
    vanished::Accounts,
};
use crate::{config::EmailSettings, oauth::Tokens};

/// What the connections of one mailbox have in common, from one run to the next.
pub(crate) struct Shared {
    pub(crate) settings: EmailSettings,
    /// Access tokens, where they take the place of a password.
    pub(crate) tokens: Option<Tokens>,
    pub(crate) timing: Timing,
    pub(crate) budget: MemoryBudget,
    pub(crate) suspects: Suspects,
    pub(crate) quotas: Quotas,
    pub(crate) now: fn() -> Timestamp,
}

/// What the connections of one run have in common.
pub(crate) struct Run<I> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) intake: I,
    /// Set when something was committed, or the server had nothing more.
    pub(crate) worked: AtomicBool,
    /// Folders that could not be opened, and what is said about them.
    pub(crate) closed: Mutex<BTreeMap<String, String>>,
    pub(crate) accounts: Accounts,
    pub(crate) stop: CancellationToken,
}

impl<I: Intake> Run<I> {
    /// Watches `folders` on one connection until stopped or until something ends it. The folder at which it happened comes
    /// with the trouble.
    pub(crate) async fn watch(
        self: Arc<Self>,
        mut session: Session,
        folders: Vec<String>,
    ) -> Result<(), (Trouble, Option<String>)> {
        let mut again: HashMap<String, Instant> = HashMap::new();
        loop {
            let mut watched = None;
            for name in &folders {
                if self.stop.is_cancelled() || again.get(name).is_some_and(|at| *at > Instant::now()) {
                    continue;
                }
                match self.folder(&mut session, name).await {
                    Ok(standing) => {
                        watched = standing.map(|s| (name.clone(), s));
                        again.remove(name);
                        self.closed(|closed| closed.remove(name));
                    }
                    Err(Trouble::Folder(e)) if self.others_go_on(name) => {
                        self.closed(|closed| closed.insert(name.clone(), format!("folder {name}: {e}")));
                        self.intake.pulse(Pulse::Closed { scope: name.clone() });
                        self.say_closed();
                        again.insert(name.clone(), Instant::now() + self.shared.timing.folder_retry);
                    }
                    Err(trouble) => return Err((trouble, Some(name.clone()))),
                }
            }
            if !self.stop.is_cancelled() {
                let place = watched.as_ref().map(|(name, _)| name.clone());
                let pause = again.values().min().map(|at| at.saturating_duration_since(Instant::now()));
                let pause = pause.map_or(self.shared.settings.poll, |p| p.min(self.shared.settings.poll));
                self.wait(&mut session, watched, folders.len() == 1, pause).await.map_err(|t| (t, place))?;
            }
            if self.stop.is_cancelled() {
                session.leave().await;
                return Ok(());
            }
        }
    }

    fn closed<T>(&self, work: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> T {
        work(&mut self.closed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that a folder cannot be opened. True if others can.
    fn others_go_on(&self, name: &str) -> bool {
        let all = self.shared.settings.folders.len();
        self.closed(|closed| {
            closed.entry(name.to_owned()).or_default();
            closed.len() < all
        })
    }

    fn say_closed(&self) {
        let said: Vec<String> =
            self.closed(|closed| closed.values().filter(|v| !v.is_empty()).cloned().collect());
        if !said.is_empty() {
            self.intake.pulse(Pulse::Warning { code: "folder-missing", text: said.join("; ") });
        }
    }

    fn say_what_lasts(&self) {
        let warnings = [self.shared.quotas.warning(), self.accounts.warning((self.shared.now)())];
        warnings.into_iter().flatten().for_each(|warning| self.intake.pulse(warning));
    }

    fn of<'f>(&'f self, name: &'f str) -> Folder<'f, I> {
        let shared = &self.shared;
        Folder {
            scope: Scope {
                channel: &shared.settings.name,
                folder: name,
                settings: &shared.settings,
                budget: &shared.budget,
                suspects: &shared.suspects,
                now: shared.now,
            },
            intake: &self.intake,
            accounts: &self.accounts,
            worked: &self.worked,
            stop: &self.stop,
        }
    }

    /// Everything that there is to do in one folder now. None: stopped in the middle.
    async fn folder(&self, session: &mut Session, name: &str) -> Result<Option<Standing>, Trouble> {
        let folder = self.of(name);
        let Some(standing) = self.unless_stopped(folder.open(session)).await? else { return Ok(None) };
        let done = self.look(&folder, session, standing).await?;
        if done.is_some() && self.shared.quotas.is_due(name, self.shared.timing.quota) {
            let Some(told) = self.unless_stopped(async { Ok(session.quota(name).await?) }).await? else {
                return Ok(None);
            };
            self.shared.quotas.note(name, told);
            self.say_what_lasts();
        }
        Ok(done)
    }

    /// In an open folder: fetch, try again, tell, until there is nothing more. Telling is not cut off by `stop`.
    async fn look(
        &self,
        folder: &Folder<'_, I>,
        session: &mut Session,
        mut standing: Standing,
    ) -> Result<Option<Standing>, Trouble> {
        let mut first = true;
        loop {
            let fetching = async {
                folder.catch_up(session, &mut standing).await?;
                if first { folder.retry_announced(session, &standing).await } else { Ok(()) }
            };
            if self.unless_stopped(fetching).await?.is_none() {
                return Ok(None);
            }
            let told = folder.tell(session, &standing).await?;
            if told != Told::Nothing {
                // it is open for writing now: back to reading
                let Some(now) = self.unless_stopped(folder.open(session)).await? else { return Ok(None) };
                standing = now;
            }
            if told == Told::Something || session.news {
                first = false;
                continue;
            }
            self.intake.pulse(Pulse::CaughtUp { scope: folder.scope.folder.to_owned() });
            // "caught up" speaks for what there is to fetch in this folder: what else is wrong is said again
            self.say_closed();
            self.say_what_lasts();
            return Ok(Some(standing));
        }
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

    /// Waits for news until the next poll is due. When a folder is alone on its connection, news are looked at without opening
    /// it again.
    async fn wait(
        &self,
        session: &mut Session,
        watched: Option<(String, Standing)>,
        alone: bool,
        pause: Duration,
    ) -> Result<(), Trouble> {
        let Some((name, mut standing)) = watched.filter(|_| session.can("IDLE")) else {
            self.pause(pause).await;
            return Ok(());
        };
        let longest = pause.min(self.shared.timing.idle);
        loop {
            let idled = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                idled = session.idle(longest) => idled,
            };
            match idled {
                Ok(()) => {}
                Err(ImapError { fault: Fault::No(_) | Fault::Bad(_), .. }) => {
                    // announced, but refused: then by polling alone
                    session.forget("IDLE");
                    self.pause(pause).await;
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
