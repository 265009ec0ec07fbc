//! A session with a server in which nothing passes for success that is not: every command ends with the tagged answer to
//! *its* tag, and `NO`, `BAD`, `BYE`, the end of the stream and silence are different errors.
//!
//! Invariants: a session in which anything but a `NO` occurred is thrown away by whoever holds it (it has no way to recover);
//! no wait is endless; password or token go out only on a connection that is encrypted or never leaves the machine;
//! neither they nor the user ever stand in an error.

use std::{sync::Arc, time::Duration};

use async_imap::imap_proto::{MailboxDatum, NameAttribute, RequestId, Response};
use secrecy::SecretString;
use tokio::{
    net::TcpStream,
    time::{Instant, error::Elapsed, timeout, timeout_at},
};

use super::{
    Timing, dial,
    encode::{mailbox, utf7_decode},
    error::{Fault, ImapError, ServerText},
    response::{Heard, Said, capabilities, words_upper},
    tls::{self, Protection, Trust},
    wire::{Stream, Wire},
};

// async-imap logs at the level `trace` what it sends and gets: passwords and letters. That level of the crate `log` is compiled out
// (see Cargo.toml).
const _: () = assert!(!matches!(log::STATIC_MAX_LEVEL, log::LevelFilter::Trace));

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// TLS from the first octet (port 993).
    Implicit,
    /// Upgraded with STARTTLS before anything else (port 143).
    StartTls,
    /// None; only to this machine itself.
    None,
}

/// What lets us in.
#[derive(Clone)]
pub(crate) enum Secret {
    /// A password.
    Password(SecretString),
    /// An access token.
    Token(SecretString),
}

/// Where a session goes and how.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: TlsMode,
    pub(crate) trust: Option<Arc<Trust>>,
    pub(crate) user: String,
    pub(crate) secret: Secret,
    /// It was in memory, and may have been revoked since.
    pub(crate) remembered: bool,
    pub(crate) timing: Timing,
}

/// An opened folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    /// UIDVALIDITY; None on servers whose UIDs do not last.
    pub(crate) validity: Option<u32>,
    /// UIDNEXT, where it is told.
    pub(crate) next: Option<u32>,
    /// How many messages it has.
    pub(crate) exists: u32,
    /// False if the server gave us only reading.
    pub(crate) writable: bool,
}

/// The words of a tagged OK.
pub(crate) type Done = ServerText;

pub(super) type Sink<'a> = &'a mut (dyn FnMut(&Heard<'_>) + Send);

/// A logged-in (or about to be) connection.
///
/// Of async-imap only what cannot mislead is used: `run_command`, `run_command_untagged` and `read_response`. Its calls for
/// each command report success when the server said NO or hung up.
pub(crate) struct Session<S: Stream = Box<dyn Stream>> {
    imap: async_imap::Session<Wire<S>>,
    timing: Timing,
    pub(super) capabilities: Vec<String>,
    /// The greeting said that we are logged in already.
    pub(super) trusted: bool,
    /// How many messages the open folder has, as far as we were told.
    pub(crate) exists: Option<u32>,
    /// Set by an EXISTS that differs: the folder may have something new. Cleared by whoever looks.
    pub(crate) news: bool,
    /// Set when the server says that the open folder got another UIDVALIDITY.
    pub(crate) stale: bool,
    /// How it is encrypted, if it is.
    pub(crate) protection: Option<Protection>,
}

impl Session {
    /// Connects and encrypts; the next step is [`Self::log_in`].
    pub(crate) async fn connect(target: &Target) -> Result<Self, ImapError> {
        let limit = target.timing.connect;
        let addresses = dial::resolve(&target.host, target.port, limit).await?;
        Self::over(dial::connect(&addresses, limit).await?, target).await
    }

    /// Encrypts a connection and waits for the greeting; the next step is [`Self::log_in`].
    pub(crate) async fn over(tcp: TcpStream, target: &Target) -> Result<Self, ImapError> {
        let timing = &target.timing;
        match (target.tls, &target.trust) {
            (TlsMode::Implicit, Some(trust)) => {
                let mut session = Self::encrypt(tcp, trust, target).await?;
                session.greeting().await?;
                Ok(session)
            }
            (TlsMode::StartTls, Some(trust)) => {
                let mut tcp = tcp;
                let mut plain = Session::new(&mut tcp, timing.clone()).await?;
                if plain.greeting().await? {
                    return Err(ImapError::new(
                        "STARTTLS",
                        Fault::Insecure(
                            "the server logged us in before TLS: an attack, or a misconfiguration",
                        ),
                    ));
                }
                plain.run("STARTTLS", "STARTTLS", &mut |_| {}).await.map_err(|e| match e.fault {
                    Fault::No(_) | Fault::Bad(_) => ImapError::new(
                        "STARTTLS",
                        Fault::Insecure(
                            "the server refuses STARTTLS, and without it the password is not sent",
                        ),
                    ),
                    _ => e,
                })?;
                // async-imap has been given no octet beyond that answer: whatever else came lies in the wire
                if plain.imap.get_ref().has_more() {
                    return Err(ImapError::new(
                        "STARTTLS",
                        Fault::Insecure("the server sent more than its answer before TLS began"),
                    ));
                }
                drop(plain);
                Self::encrypt(tcp, trust, target).await
            }
            (TlsMode::None, _) => {
                let loopback = tcp.peer_addr().is_ok_and(|a| a.ip().is_loopback());
                if !loopback {
                    return Err(ImapError::new(
                        "connect",
                        Fault::Insecure("without TLS only this machine itself may be spoken to"),
                    ));
                }
                let mut session = Self::new(Box::new(tcp) as Box<dyn Stream>, timing.clone()).await?;
                session.greeting().await?;
                Ok(session)
            }
            (_, None) => Err(ImapError::new("TLS", Fault::Roots("TLS was not prepared".to_owned()))),
        }
    }

    async fn encrypt(tcp: TcpStream, trust: &Trust, target: &Target) -> Result<Self, ImapError> {
        let limit = target.timing.connect;
        let (tls, protection) = timeout(limit, tls::handshake(trust, &target.host, tcp))
            .await
            .map_err(|_| ImapError::new("TLS", Fault::Silence(limit)))?
            .map_err(|f| ImapError::new("TLS", f))?;
        let mut session = Self::new(Box::new(tls) as Box<dyn Stream>, target.timing.clone()).await?;
        session.protection = Some(protection);
        Ok(session)
    }
}

impl<S: Stream> Session<S> {
    async fn new(stream: S, timing: Timing) -> Result<Self, ImapError> {
        // the wire itself answers this LOGIN: nothing goes out, nothing is waited for
        let Ok(mut imap) = async_imap::Client::new(Wire::new(stream)).login("", "").await else {
            return Err(ImapError::new("connect", Fault::Garbled("async-imap gives no session")));
        };
        imap.get_mut().open();
        Ok(Self {
            imap,
            timing,
            capabilities: Vec::new(),
            trusted: false,
            exists: None,
            news: false,
            stale: false,
            protection: None,
        })
    }

    /// The server announced it, but it does not work.
    pub(crate) fn forget(&mut self, capability: &str) {
        self.capabilities.retain(|c| c != capability);
    }

    /// True if the server announced the capability (upper case).
    pub(crate) fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|c| c == capability)
    }

    /// True if it was PREAUTH.
    async fn greeting(&mut self) -> Result<bool, ImapError> {
        let wire = self.imap.get_mut();
        wire.readable(self.timing.silence).await.map_err(|f| ImapError::new("greeting", f))?;
        if !wire.unread().starts_with(b"*") {
            return Err(ImapError::new("greeting", Fault::NotImap(other_protocol(wire.unread()))));
        }
        match self.next("greeting", Instant::now() + self.timing.command, &mut |_| {}).await? {
            Said::Fine(said, trusted) => {
                if let Some(code) = said.code.filter(|c| c.name == "CAPABILITY") {
                    self.capabilities = words_upper(&code.args);
                }
                self.trusted = trusted;
                Ok(trusted)
            }
            Said::Bye(said) => Err(ImapError::new("greeting", Fault::Bye(said))),
            _ => Err(ImapError::new("greeting", Fault::NotImap("something else"))),
        }
    }

    pub(super) async fn capability(&mut self) -> Result<(), ImapError> {
        self.capabilities.clear();
        self.run("CAPABILITY", "CAPABILITY", &mut |_| {}).await.map(drop)
    }

    /// One response, before `deadline`; untagged news are noted, and `on` gets all that is untagged.
    async fn next(
        &mut self,
        command: &'static str,
        deadline: Instant,
        on: Sink<'_>,
    ) -> Result<Said, ImapError> {
        let silence = self.timing.silence;
        let ready = timeout_at(deadline, self.imap.get_mut().prepare(silence))
            .await
            .map_err(|_| ImapError::new(command, Fault::TooSlow(self.timing.command)))?
            .map_err(|f| ImapError::new(command, f))?;
        if !ready {
            return Ok(Said::Data);
        }
        // It lies ready, so this does not wait, and has been read once, so this does not fail. (An error would quote the letter.)
        let Ok(Some(data)) = self.imap.read_response().await else {
            return Err(ImapError::new(command, Fault::Garbled("async-imap cannot read it")));
        };
        let heard = Heard { response: data.parsed(), cut: self.imap.get_ref().cut };
        let said = heard.said();
        match (&said, heard.response) {
            // the same number again is no news: some servers repeat it with every answer
            (_, Response::MailboxData(MailboxDatum::Exists(n))) => {
                self.news |= self.exists != Some(*n);
                self.exists = Some(*n);
            }
            (_, Response::Expunge(_) | Response::Vanished { .. }) => {
                self.exists = self.exists.map(|n| n.saturating_sub(1));
            }
            (_, Response::Capabilities(words)) => self.capabilities = capabilities(words),
            (Said::Fine(said, _) | Said::Remark(said), _) if said.has_code("UIDVALIDITY") => {
                self.stale = true;
            }
            (Said::Remark(said), _) => {
                tracing::debug!(imap.command = command, imap.said = %said, "the server remarks");
            }
            _ => {}
        }
        if matches!(said, Said::Data | Said::Fine(..)) {
            on(&heard);
        }
        Ok(said)
    }

    /// What became of something that was sent.
    fn sent<T>(
        &self,
        command: &'static str,
        outcome: Result<Result<T, async_imap::error::Error>, Elapsed>,
    ) -> Result<T, ImapError> {
        let fault = match outcome {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(async_imap::error::Error::Io(e))) => Fault::Lost(e),
            Ok(Err(_)) => Fault::Garbled("async-imap cannot send it"),
            Err(_) => Fault::Silence(self.timing.silence),
        };
        Err(ImapError::new(command, fault))
    }

    /// Goes on with a command: a line without a tag.
    pub(super) async fn send(&mut self, command: &'static str, line: &str) -> Result<(), ImapError> {
        let outcome = timeout(self.timing.silence, self.imap.run_command_untagged(line)).await;
        self.sent(command, outcome)
    }

    /// Begins a command. Its tag.
    pub(super) async fn send_line(&mut self, name: &'static str, line: &str) -> Result<RequestId, ImapError> {
        let outcome = timeout(self.timing.silence, self.imap.run_command(line)).await;
        self.sent(name, outcome)
    }

    /// Reads on until the tagged answer. With `plus`, a `+` ends it too (`None`).
    pub(super) async fn until(
        &mut self,
        name: &'static str,
        tag: &RequestId,
        plus: bool,
        on: Sink<'_>,
    ) -> Result<Option<Done>, ImapError> {
        let deadline = Instant::now() + self.timing.command;
        loop {
            let fault = match self.next(name, deadline, on).await? {
                Said::Done(t, done) if t == *tag => match done {
                    Ok(said) => return Ok(Some(said)),
                    Err(fault) => fault,
                },
                Said::Done(..) => Fault::Garbled("an answer to a command that was not given"),
                Said::Bye(said) => Fault::Bye(said),
                Said::Continue if plus => return Ok(None),
                _ => continue,
            };
            return Err(ImapError::new(name, fault));
        }
    }

    pub(super) async fn finish(
        &mut self,
        name: &'static str,
        tag: &RequestId,
        on: Sink<'_>,
    ) -> Result<Done, ImapError> {
        // without `plus`, only the tagged answer ends it
        Ok(self.until(name, tag, false, on).await?.unwrap_or_default())
    }

    /// Gives a command of one line; `on` gets every untagged answer. `name` is what errors call it.
    pub(crate) async fn run(
        &mut self,
        name: &'static str,
        line: &str,
        on: Sink<'_>,
    ) -> Result<Done, ImapError> {
        let tag = self.send_line(name, line).await?;
        self.finish(name, &tag, on).await
    }

    /// A FETCH of bodies: literals up to `keep` octets stay whole.
    pub(crate) async fn run_keeping(
        &mut self,
        name: &'static str,
        line: &str,
        keep: usize,
        on: Sink<'_>,
    ) -> Result<Done, ImapError> {
        let usual = std::mem::replace(&mut self.imap.get_mut().keep, keep);
        let done = self.run(name, line, on).await;
        self.imap.get_mut().keep = usual;
        done
    }

    /// EXAMINE or SELECT.
    pub(crate) async fn open_folder(&mut self, folder: &str, write: bool) -> Result<Opened, ImapError> {
        let name = if write { "SELECT" } else { "EXAMINE" };
        self.exists = None;
        let mut opened = Opened { validity: None, next: None, exists: 0, writable: write };
        let done = self
            .run(name, &format!("{name} {}", mailbox(folder)), &mut |heard| {
                if let Response::MailboxData(MailboxDatum::Exists(n)) = heard.response {
                    opened.exists = *n;
                }
                let Said::Fine(ServerText { code: Some(code), .. }, _) = heard.said() else { return };
                let number = code.args.parse().ok().filter(|n| *n > 0);
                match code.name.as_str() {
                    "UIDVALIDITY" => opened.validity = number,
                    "UIDNEXT" => opened.next = number,
                    _ => {}
                }
            })
            .await?;
        if done.has_code("READ-ONLY") {
            opened.writable = false;
        }
        self.news = false;
        self.stale = false;
        Ok(opened)
    }

    /// The UIDs of a set that the folder has and that meet `criteria`; ascending, each once, without 0.
    ///
    /// Some servers say OK to SEARCH without any answer when they find nothing. That is no proof that there is nothing, so FETCH is
    /// asked for a second opinion (which knows no criteria: it may name more).
    pub(crate) async fn find(&mut self, set: &str, criteria: &str) -> Result<Vec<u32>, ImapError> {
        let mut uids = None;
        self.news = false;
        self.run("UID SEARCH", format!("UID SEARCH UID {set} {criteria}").trim_end(), &mut |heard| {
            if let Response::MailboxData(MailboxDatum::Search(found)) = heard.response {
                uids.get_or_insert_with(Vec::new).extend_from_slice(found);
            }
        })
        .await?;
        let mut uids = match uids {
            Some(uids) => uids,
            None => self.list(set).await?,
        };
        uids.retain(|uid| *uid > 0);
        uids.sort_unstable();
        uids.dedup();
        Ok(uids)
    }

    async fn list(&mut self, set: &str) -> Result<Vec<u32>, ImapError> {
        let mut uids = Vec::new();
        self.run("UID FETCH list", &format!("UID FETCH {set} (UID)"), &mut |heard| {
            uids.extend(heard.fetched().and_then(|got| got.uid));
        })
        .await?;
        Ok(uids)
    }

    /// Waits in IDLE until the server has news, at most `wait`. Whoever calls searches afterwards, whatever the outcome: an
    /// EXISTS that came before the `+` counts as well, because every EXISTS sets [`Self::news`].
    pub(crate) async fn idle(&mut self, wait: Duration) -> Result<(), ImapError> {
        let until = Instant::now() + wait;
        let tag = self.send_line("IDLE", "IDLE").await?;
        if self.until("IDLE", &tag, true, &mut |_| {}).await?.is_some() {
            // OK without `+`: the server knows the word but does not do it
            return Err(ImapError::new("IDLE", Fault::No(ServerText::default())));
        }
        while !self.news && !self.stale {
            let left = until.saturating_duration_since(Instant::now());
            match self.imap.get_mut().readable(left).await {
                Ok(()) => {}
                // nothing came in time: that is what idling is
                Err(Fault::Silence(_)) => break,
                Err(fault) => return Err(ImapError::new("IDLE", fault)),
            }
            let fault = match self.next("IDLE", Instant::now() + self.timing.command, &mut |_| {}).await? {
                Said::Bye(said) => Fault::Bye(said),
                Said::Done(_, Ok(said) | Err(Fault::No(said) | Fault::Bad(said))) => Fault::No(said),
                Said::Done(_, Err(fault)) => fault,
                _ => continue,
            };
            return Err(ImapError::new("IDLE", fault));
        }
        self.send("DONE", "DONE").await?;
        let capped = self.timing.done;
        timeout(capped, self.finish("DONE", &tag, &mut |_| {}))
            .await
            .map_err(|_| ImapError::new("DONE", Fault::Silence(capped)))?
            .map(drop)
    }

    /// The folders that can be opened, at most 30: for people whose setting names none of them.
    pub(crate) async fn folders(&mut self) -> Result<Vec<String>, ImapError> {
        let mut names = Vec::new();
        self.run("LIST", "LIST \"\" \"*\"", &mut |heard| {
            let Response::MailboxData(MailboxDatum::List(folder)) = heard.response else { return };
            let closed = folder.name_attributes.iter().any(|a| match a {
                NameAttribute::NoSelect => true,
                NameAttribute::Extension(name) => name.eq_ignore_ascii_case("\\NonExistent"),
                _ => false,
            });
            if names.len() < 30 && !closed {
                // imap-proto leaves quoted strings as they are
                names.push(utf7_decode(&folder.name.replace("\\\"", "\"").replace("\\\\", "\\")));
            }
        })
        .await?;
        Ok(names)
    }

    /// Takes leave without waiting for an answer.
    pub(crate) async fn leave(mut self) {
        let leave = self.imap.run_command_untagged("DONE\r\nZ LOGOUT");
        let _ = timeout(Duration::from_millis(200), leave).await;
    }
}

/// Who greets so, if it is not IMAP.
fn other_protocol(begun: &[u8]) -> &'static str {
    match begun {
        // RFC 1939 4
        [b'+', b'O', b'K', ..] => "POP3",
        // RFC 5321 4.2: a mail server for sending; FTP greets so as well
        [b'2', b'2', b'0', ..] => "SMTP",
        [b'H', b'T', b'T', b'P', ..] => "HTTP",
        [b'S', b'S', b'H', ..] => "SSH",
        // RFC 8446 5.1: an alert or a handshake record of TLS
        [0x15 | 0x16, 3, ..] => "TLS",
        _ => "something else",
    }
}
