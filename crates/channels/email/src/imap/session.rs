//! A session with a server in which nothing passes for success that is not: every command ends with the tagged answer to
//! *its* tag, and `NO`, `BAD`, `BYE`, the end of the stream and silence are different errors.
//!
//! Invariants: a session in which anything but a `NO` occurred is thrown away by whoever holds it (it has no way to recover);
//! no wait is endless; the password goes out only on a connection that is encrypted or never leaves the machine; neither
//! password nor user ever stands in an error.

use std::{sync::Arc, time::Duration};

use rustls::ClientConfig;
use secrecy::SecretString;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

use super::{
    Timing,
    encode::{mailbox, utf7_decode},
    error::{Fault, ImapError, ServerText},
    response::{Response, Status, parse, words_upper},
    tls,
    wire::{Stream, Wire},
};

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

/// Where a session goes and how.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: TlsMode,
    pub(crate) config: Option<Arc<ClientConfig>>,
    pub(crate) user: String,
    pub(crate) password: SecretString,
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

pub(super) type Sink<'a> = &'a mut (dyn FnMut(Response) + Send);

/// A logged-in (or about to be) connection.
pub(crate) struct Session<S = Box<dyn Stream>> {
    wire: Wire<S>,
    timing: Timing,
    pub(super) tags: u32,
    pub(super) capabilities: Vec<String>,
    /// The greeting said that we are logged in already.
    pub(super) trusted: bool,
    /// How many messages the open folder has, as far as we were told.
    pub(crate) exists: Option<u32>,
    /// Set by an EXISTS that differs: the folder may have something new. Cleared by whoever looks.
    pub(crate) news: bool,
    /// Set when the server says that the open folder got another UIDVALIDITY.
    pub(crate) stale: bool,
    /// Who signed the server's certificate.
    pub(crate) issuer: Option<String>,
}

impl Session {
    /// Connects, encrypts, logs in.
    pub(crate) async fn open(target: &Target) -> Result<Self, ImapError> {
        let mut session = Self::connect(target).await?;
        session.log_in(target).await?;
        Ok(session)
    }

    /// Connects and encrypts; the next step is [`Self::log_in`].
    pub(crate) async fn connect(target: &Target) -> Result<Self, ImapError> {
        let timing = &target.timing;
        let tcp = timeout(timing.connect, TcpStream::connect((target.host.as_str(), target.port)))
            .await
            .map_err(|_| ImapError::new("connect", Fault::Silence(timing.connect)))?
            .map_err(|e| ImapError::new("connect", connect_fault(e)))?;
        // small commands must not wait for each other's acknowledgement; if that fails, they merely wait
        let _ = tcp.set_nodelay(true);
        match (target.tls, &target.config) {
            (TlsMode::Implicit, Some(config)) => {
                let mut session = Self::encrypt(tcp, config, target).await?;
                session.greeting().await?;
                Ok(session)
            }
            (TlsMode::StartTls, Some(config)) => {
                let mut plain = Session::new(Wire::new(tcp), timing.clone());
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
                let tcp = plain.wire.into_stream().map_err(|f| ImapError::new("STARTTLS", f))?;
                Self::encrypt(tcp, config, target).await
            }
            (TlsMode::None, _) => {
                let loopback = tcp.peer_addr().is_ok_and(|a| a.ip().is_loopback());
                if !loopback {
                    return Err(ImapError::new(
                        "connect",
                        Fault::Insecure("without TLS only this machine itself may be spoken to"),
                    ));
                }
                let mut session = Self::new(Wire::new(Box::new(tcp) as Box<dyn Stream>), timing.clone());
                session.greeting().await?;
                Ok(session)
            }
            (_, None) => Err(ImapError::new("TLS", Fault::Roots("TLS was not prepared".to_owned()))),
        }
    }

    async fn encrypt(tcp: TcpStream, config: &Arc<ClientConfig>, target: &Target) -> Result<Self, ImapError> {
        let limit = target.timing.connect;
        let tls = timeout(limit, tls::handshake(Arc::clone(config), &target.host, tcp))
            .await
            .map_err(|_| ImapError::new("TLS", Fault::Silence(limit)))?
            .map_err(|f| ImapError::new("TLS", f))?;
        let issuer =
            tls.get_ref().1.peer_certificates().and_then(|chain| chain.first()).and_then(|c| tls::issuer(c));
        let mut session = Self::new(Wire::new(Box::new(tls) as Box<dyn Stream>), target.timing.clone());
        session.issuer = issuer;
        Ok(session)
    }
}

impl<S: Stream> Session<S> {
    fn new(wire: Wire<S>, timing: Timing) -> Self {
        Self {
            wire,
            timing,
            tags: 0,
            capabilities: Vec::new(),
            trusted: false,
            exists: None,
            news: false,
            stale: false,
            issuer: None,
        }
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
        match self.next("greeting", Instant::now() + self.timing.command).await? {
            Response::Untagged(status @ (Status::Ok | Status::PreAuth), said) => {
                if let Some(code) = said.code.filter(|c| c.name == "CAPABILITY") {
                    self.capabilities = words_upper(code.args.as_bytes());
                }
                self.trusted = status == Status::PreAuth;
                Ok(self.trusted)
            }
            Response::Untagged(Status::Bye, said) => Err(ImapError::new("greeting", Fault::Bye(said))),
            _ => Err(ImapError::new("greeting", Fault::Garbled("no IMAP greeting"))),
        }
    }

    pub(super) async fn capability(&mut self) -> Result<(), ImapError> {
        self.capabilities.clear();
        self.run("CAPABILITY", "CAPABILITY", &mut |_| {}).await.map(drop)
    }

    /// One response, before `deadline`; untagged news are noted.
    async fn next(&mut self, command: &'static str, deadline: Instant) -> Result<Response, ImapError> {
        let silence = self.timing.silence;
        let parts = tokio::time::timeout_at(deadline, self.wire.response(silence))
            .await
            .map_err(|_| ImapError::new(command, Fault::TooSlow(self.timing.command)))?
            .map_err(|f| ImapError::new(command, f))?;
        let response = parse(&parts);
        match &response {
            // the same number again is no news: some servers repeat it with every answer
            Response::Exists(n) => {
                self.news |= self.exists != Some(*n);
                self.exists = Some(*n);
            }
            Response::Expunged => self.exists = self.exists.map(|n| n.saturating_sub(1)),
            Response::Capability(words) => self.capabilities.clone_from(words),
            Response::Untagged(_, said) if said.has_code("UIDVALIDITY") => self.stale = true,
            Response::Untagged(Status::No | Status::Bad, said) => {
                tracing::debug!(imap.command = command, imap.said = %said, "the server remarks");
            }
            _ => {}
        }
        Ok(response)
    }

    pub(super) async fn send(&mut self, command: &'static str, bytes: &[u8]) -> Result<(), ImapError> {
        self.wire.write(bytes, self.timing.silence).await.map_err(|f| ImapError::new(command, f))
    }

    pub(super) async fn send_line(&mut self, name: &'static str, line: &str) -> Result<String, ImapError> {
        self.tags += 1;
        let tag = format!("S{}", self.tags);
        self.send(name, format!("{tag} {line}\r\n").as_bytes()).await?;
        Ok(tag)
    }

    /// Reads on until the tagged answer. With `plus`, a `+` ends it too (`None`).
    pub(super) async fn until(
        &mut self,
        name: &'static str,
        tag: &str,
        plus: bool,
        on: Sink<'_>,
    ) -> Result<Option<Done>, ImapError> {
        let deadline = Instant::now() + self.timing.command;
        loop {
            match self.next(name, deadline).await? {
                Response::Tagged(t, status, said) if t == tag => {
                    let fault = match status {
                        Status::Ok => return Ok(Some(said)),
                        Status::No => Fault::No(said),
                        Status::Bye => Fault::Bye(said),
                        Status::Bad | Status::PreAuth => Fault::Bad(said),
                    };
                    return Err(ImapError::new(name, fault));
                }
                Response::Tagged(..) => {
                    return Err(ImapError::new(
                        name,
                        Fault::Garbled("an answer to a command that was not given"),
                    ));
                }
                Response::Untagged(Status::Bye, said) => return Err(ImapError::new(name, Fault::Bye(said))),
                Response::Continue if plus => return Ok(None),
                other => on(other),
            }
        }
    }

    pub(super) async fn finish(
        &mut self,
        name: &'static str,
        tag: &str,
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
        let usual = std::mem::replace(&mut self.wire.keep, keep);
        let done = self.run(name, line, on).await;
        self.wire.keep = usual;
        done
    }

    /// EXAMINE or SELECT.
    pub(crate) async fn open_folder(&mut self, folder: &str, write: bool) -> Result<Opened, ImapError> {
        let name = if write { "SELECT" } else { "EXAMINE" };
        self.exists = None;
        let mut opened = Opened { validity: None, next: None, exists: 0, writable: write };
        let done = self
            .run(name, &format!("{name} {}", mailbox(folder)), &mut |r| match r {
                Response::Exists(n) => opened.exists = n,
                Response::Untagged(Status::Ok, ServerText { code: Some(code), .. }) => {
                    match code.name.as_str() {
                        "UIDVALIDITY" => opened.validity = code.args.trim().parse().ok().filter(|v| *v > 0),
                        "UIDNEXT" => opened.next = code.args.trim().parse().ok().filter(|v| *v > 0),
                        _ => {}
                    }
                }
                _ => {}
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
        self.run("UID SEARCH", format!("UID SEARCH UID {set} {criteria}").trim_end(), &mut |r| {
            if let Response::Search(found) = r {
                uids.get_or_insert_with(Vec::new).extend(found);
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
        self.run("UID FETCH list", &format!("UID FETCH {set} (UID)"), &mut |r| {
            if let Response::Fetch(got) = r {
                uids.extend(got.uid);
            }
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
            if !self.wire.has_more() {
                match self.wire.readable(left).await {
                    Ok(()) => {}
                    // nothing came in time: that is what idling is
                    Err(Fault::Silence(_)) => break,
                    Err(fault) => return Err(ImapError::new("IDLE", fault)),
                }
            }
            match self.next("IDLE", Instant::now() + self.timing.command).await? {
                Response::Untagged(Status::Bye, said) => {
                    return Err(ImapError::new("IDLE", Fault::Bye(said)));
                }
                Response::Tagged(_, _, said) => return Err(ImapError::new("IDLE", Fault::No(said))),
                _ => {}
            }
        }
        self.send("DONE", b"DONE\r\n").await?;
        let capped = self.timing.done;
        timeout(capped, self.finish("DONE", &tag, &mut |_| {}))
            .await
            .map_err(|_| ImapError::new("DONE", Fault::Silence(capped)))?
            .map(drop)
    }

    /// The folders that can be opened, at most 30: for people whose setting names none of them.
    pub(crate) async fn folders(&mut self) -> Result<Vec<String>, ImapError> {
        let mut names = Vec::new();
        self.run("LIST", "LIST \"\" \"*\"", &mut |r| {
            if let Response::List { attributes, name } = r {
                let closed = |a: &String| {
                    a.eq_ignore_ascii_case("\\Noselect") || a.eq_ignore_ascii_case("\\NonExistent")
                };
                if names.len() < 30 && !attributes.iter().any(closed) {
                    names.push(utf7_decode(&name));
                }
            }
        })
        .await?;
        Ok(names)
    }

    /// Takes leave without waiting for an answer.
    pub(crate) async fn leave(mut self) {
        let _ = self.wire.write(b"DONE\r\nZ LOGOUT\r\n", Duration::from_millis(200)).await;
    }
}

fn connect_fault(error: std::io::Error) -> Fault {
    // getaddrinfo's failures have no raw OS error of their own
    if error.raw_os_error().is_none() { Fault::Resolve(error) } else { Fault::Connect(error) }
}
