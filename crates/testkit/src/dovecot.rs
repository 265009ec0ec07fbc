//! A private, unprivileged Dovecot on loopback: Debian's package `dovecot-imapd`, a CA of its own, users, Maildir folders.
//! Started on free ports, waited for by asking it, stopped when dropped.

mod config;

use std::{
    fs, io,
    net::Ipv4Addr,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
    time::{Instant, timeout},
};

pub use crate::certificates::made as certificates;
use crate::ports::Port;

/// The password of every user, until [`Dovecot::set_password`].
pub const PASSWORD: &str = "perché no?";
/// Users that exist.
pub const USERS: [&str; 5] = ["urp", "tributi", "bulk", "pec", "protocollo"];
/// Whom Dovecot runs as when the tests run as root.
const RUN_AS: &str = "nobody";
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running server, or a stopped one whose mail is kept.
pub struct Dovecot {
    dir: TempDir,
    child: Option<Child>,
    /// Port with TLS from the first octet.
    pub imaps: u16,
    /// Port with STARTTLS, or plain.
    pub imap: u16,
    /// Both, while it lives: also while it is stopped.
    _ports: [Port; 2],
    owner: Option<(u32, u32)>,
    serial: AtomicU64,
}

/// What a server may be told to do differently.
#[derive(Debug, Clone, Default)]
pub struct DovecotOptions {
    /// Capabilities to announce instead of its own (`imap_capability`).
    pub capability: Option<String>,
    /// Plain-text logins without TLS are refused, except on loopback connections, which Dovecot counts as secure.
    pub require_tls: bool,
    /// Access tokens are good, too: whose they are is asked here (RFC 7662, POST).
    pub introspection_url: Option<String>,
    /// By which mechanisms tokens come, instead of both (`xoauth2`, `oauthbearer`).
    pub bearer_mechanisms: Option<String>,
    /// Every mailbox has a quota, in units of 1024 octets.
    pub quota: Option<u32>,
}

impl Dovecot {
    /// Starts one.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(&DovecotOptions::default()).await
    }

    /// Starts one with options.
    pub async fn start_with(options: &DovecotOptions) -> io::Result<Self> {
        // Unix sockets have short names (108 octets)
        let dir = tempfile::Builder::new().prefix("dv").tempdir_in("/tmp")?;
        let root = fs::metadata("/proc/self")?.uid() == 0;
        let owner = root.then(account).transpose()?;
        let ports = [Port::reserve()?, Port::reserve()?];
        let [imaps, imap] = [ports[0].number(), ports[1].number()];
        let mut this =
            Self { dir, child: None, imaps, imap, _ports: ports, owner, serial: AtomicU64::new(1) };
        this.write_files(options)?;
        this.launch().await?;
        Ok(this)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The CA's certificate (PEM).
    pub fn ca_file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// The CA's certificate (PEM).
    pub fn ca_pem(&self) -> Vec<u8> {
        fs::read(self.ca_file()).unwrap_or_default()
    }

    fn own(&self, path: &Path) -> io::Result<()> {
        match self.owner {
            Some((uid, gid)) => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        if !path.is_dir() {
            if let Some(parent) = path.parent() {
                self.make_dir(parent)?;
            }
            // The server makes the folders of whoever logs in, perhaps at this moment.
            match fs::create_dir(path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                done => done?,
            }
            self.own(path)?;
        }
        Ok(())
    }

    fn write_files(&self, options: &DovecotOptions) -> io::Result<()> {
        let dir = self.dir.path();
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
        self.own(dir)?;
        for name in ["run", "state", "mail"] {
            self.make_dir(&self.path(name))?;
        }
        let (ca, cert, key) = certificates().map_err(io::Error::other)?;
        fs::write(self.path("ca.pem"), ca)?;
        fs::write(self.path("cert.pem"), cert)?;
        fs::write(self.path("key.pem"), key)?;
        self.own(&self.path("key.pem"))?;
        let users: String = USERS.map(|user| line_of(user, PASSWORD)).concat();
        fs::write(self.path("users"), users)?;
        let (uid, gid) = self
            .owner
            .unwrap_or_else(|| fs::metadata("/proc/self").map_or((65_534, 65_534), |m| (m.uid(), m.gid())));
        let plan = config::Plan {
            dir,
            uid,
            gid,
            user: &user_name(uid)?,
            group: &group_name(gid)?,
            imap: self.imap,
            imaps: self.imaps,
            capability: options.capability.as_deref(),
            require_tls: options.require_tls,
            introspection_url: options.introspection_url.as_deref(),
            bearer: options.bearer_mechanisms.as_deref().unwrap_or("xoauth2 oauthbearer"),
            quota: options.quota,
        };
        if let Some(text) = plan.oauth2() {
            fs::write(self.path("oauth2.conf"), text)?;
        }
        let conf = plan.text(config::version()?);
        fs::write(self.path("dovecot.conf"), conf)
    }

    /// Starts it (again), on the same ports, and waits until it greets.
    pub async fn launch(&mut self) -> io::Result<()> {
        let mut command = match self.owner {
            Some((uid, gid)) => {
                let mut c = Command::new("setpriv");
                c.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
                c.args(["--clear-groups", "--reset-env", "--pdeathsig", "TERM", config::PROGRAM]);
                c
            }
            None => Command::new(config::PROGRAM),
        };
        command.arg("-F").arg("-c").arg(self.path("dovecot.conf"));
        // What it says before it has opened its log.
        let said = fs::File::create(self.path("stderr"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        self.child = Some(command.spawn().map_err(|e| {
            io::Error::new(e.kind(), format!("{e}: is the package dovecot-imapd installed?"))
        })?);
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                return Err(io::Error::other(format!("dovecot ended ({status}): {}", self.log())));
            }
            if greets(self.imap).await && TcpStream::connect((Ipv4Addr::LOCALHOST, self.imaps)).await.is_ok()
            {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no greeting: {}", self.log())));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What it logged.
    pub fn log(&self) -> String {
        ["stderr", "dovecot.log"].map(|name| fs::read_to_string(self.path(name)).unwrap_or_default()).concat()
    }

    /// What it logged of logins and sessions.
    pub fn sessions(&self) -> String {
        fs::read_to_string(self.path("info.log")).unwrap_or_default()
    }

    /// Stops it; connections are closed, the mail stays.
    pub fn stop(&mut self) {
        self.signal(nix::sys::signal::Signal::SIGTERM);
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.signal(nix::sys::signal::Signal::SIGKILL);
    }

    fn signal(&mut self, signal: nix::sys::signal::Signal) {
        if let Some(mut child) = self.child.take() {
            if let Ok(pid) = i32::try_from(child.id()) {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
            }
            let _ = child.wait();
        }
        // a killed master leaves its children; each ends when it sees that, but the ports must be free now
        self.end_children();
    }

    fn end_children(&self) {
        let ours = self.path("run").display().to_string();
        let Ok(processes) = fs::read_dir("/proc") else { return };
        for entry in processes.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
            let cwd = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            let theirs = cwd.starts_with(&ours)
                && ["imap", "dovecot", "anvil", "log", "config", "stats", "auth"]
                    .iter()
                    .any(|n| name.trim() == *n || name.trim() == "imap-login");
            if theirs {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid),
                    nix::sys::signal::Signal::SIGKILL,
                );
            }
        }
    }

    /// The Maildir of a folder; made if it is not there.
    pub fn maildir(&self, user: &str, folder: &str) -> io::Result<PathBuf> {
        let base = self.path("mail").join(user).join("Maildir");
        let path = if folder == "INBOX" { base } else { base.join(format!(".{}", folder.replace('/', "."))) };
        for name in ["cur", "new", "tmp"] {
            self.make_dir(&path.join(name))?;
        }
        Ok(path)
    }

    /// Delivers one letter, as a local delivery agent does.
    pub fn deliver(&self, user: &str, folder: &str, letter: &[u8]) -> io::Result<()> {
        self.deliver_at(user, folder, letter, None)
    }

    /// Delivers a letter that the server received at `at` (INTERNALDATE).
    pub fn deliver_at(
        &self,
        user: &str,
        folder: &str,
        letter: &[u8],
        at: Option<SystemTime>,
    ) -> io::Result<()> {
        let dir = self.maildir(user, folder)?;
        let n = self.serial.fetch_add(1, Ordering::Relaxed);
        let breaks = letter.split(|b| *b == b'\n').count() - 1;
        let crs = letter.split(|b| *b == b'\r').count() - 1;
        // S and W tell Dovecot the sizes on disk and on the wire
        let name = format!(
            "{n:012}.M{n}P{}.test,S={},W={}",
            std::process::id(),
            letter.len(),
            letter.len() + breaks - crs
        );
        let tmp = dir.join("tmp").join(&name);
        fs::write(&tmp, letter)?;
        self.own(&tmp)?;
        if let Some(at) = at {
            fs::File::options().write(true).open(&tmp)?.set_modified(at)?;
        }
        fs::rename(tmp, dir.join("new").join(name))
    }

    /// Delivers many letters.
    pub fn deliver_all(
        &self,
        user: &str,
        folder: &str,
        letters: impl IntoIterator<Item = Vec<u8>>,
    ) -> io::Result<()> {
        letters.into_iter().try_for_each(|letter| self.deliver(user, folder, &letter))
    }

    /// The letters in a folder, with their Maildir flags (`S` seen, `T` deleted), in the order of their delivery.
    pub fn letters(&self, user: &str, folder: &str) -> io::Result<Vec<(Vec<u8>, String)>> {
        let dir = self.maildir(user, folder)?;
        let mut files: Vec<PathBuf> = Vec::new();
        for name in ["new", "cur"] {
            for entry in fs::read_dir(dir.join(name))? {
                files.push(entry?.path());
            }
        }
        files.sort_by_key(|f| f.file_name().map(std::ffi::OsStr::to_owned));
        files
            .into_iter()
            .map(|f| {
                let name = f.file_name().and_then(|n| n.to_str()).unwrap_or_default();
                let flags = name.rsplit_once(":2,").map_or("", |(_, flags)| flags).to_owned();
                Ok((fs::read(&f)?, flags))
            })
            .collect()
    }

    /// A copy of a user's whole mailbox, UIDs and all. Only while the server is stopped.
    pub fn back_up(&self, user: &str) -> io::Result<PathBuf> {
        let copy = self.path(&format!("backup-{}", self.serial.fetch_add(1, Ordering::Relaxed)));
        copy_all(&self.path("mail").join(user), &copy)?;
        Ok(copy)
    }

    /// Puts a copy back in the mailbox's place. Only while the server is stopped.
    pub fn restore(&self, user: &str, copy: &Path) -> io::Result<()> {
        let mailbox = self.path("mail").join(user);
        fs::remove_dir_all(&mailbox)?;
        copy_all(copy, &mailbox)
    }

    /// Gives a user another password, as its provider does when the old one has expired. Sessions that are open stay.
    pub fn set_password(&self, user: &str, password: &str) -> io::Result<()> {
        let users = fs::read_to_string(self.path("users"))?;
        let changed: String = users
            .lines()
            .map(|line| match line.split_once(':') {
                Some((name, _)) if name == user => line_of(user, password),
                _ => format!("{line}\n"),
            })
            .collect();
        // Whole or not at all: somebody may log in at this moment.
        fs::write(self.path("users.new"), changed)?;
        fs::rename(self.path("users.new"), self.path("users"))
    }

    /// Gives a folder another UIDVALIDITY: every letter gets a new UID, as after a restore. Only while the server is stopped.
    pub fn set_uidvalidity(&self, user: &str, folder: &str, value: u32) -> io::Result<()> {
        let dir = self.maildir(user, folder)?;
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
            if name.starts_with("dovecot.index") || name.starts_with("dovecot-uidlist") {
                fs::remove_file(&path)?;
            }
        }
        let list = dir.join("dovecot-uidlist");
        fs::write(&list, format!("3 V{value} N1 G{value:032x}\n"))?;
        self.own(&list)
    }
}

/// A user's line in the file of users.
fn line_of(user: &str, password: &str) -> String {
    format!("{user}:{{PLAIN}}{password}::::::\n")
}

/// With owners and times.
fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("cp ended with {status}"))) }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) async fn greets(port: u16) -> bool {
    let greeting = async {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.ok()?;
        line.starts_with("* OK").then_some(())
    };
    matches!(timeout(Duration::from_secs(5), greeting).await, Ok(Some(())))
}

pub(crate) fn account() -> io::Result<(u32, u32)> {
    let user = nix::unistd::User::from_name(RUN_AS)?
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no user {RUN_AS}")))?;
    Ok((user.uid.as_raw(), user.gid.as_raw()))
}

pub(crate) fn user_name(uid: u32) -> io::Result<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid))?;
    user.map(|u| u.name).ok_or_else(|| io::Error::other("this user has no name"))
}

pub(crate) fn group_name(gid: u32) -> io::Result<String> {
    let group = nix::unistd::Group::from_gid(nix::unistd::Gid::from_raw(gid))?;
    group.map(|g| g.name).ok_or_else(|| io::Error::other("this group has no name"))
}
