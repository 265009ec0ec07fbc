//! A whole installation of the program: a configuration in a temporary folder, the real binary, daemons that are killed,
//! frozen and woken, and commands whose JSON is looked at.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::manual_assert,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    reason = "for tests: what fails here fails the test at once"
)]

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    dovecot::{Dovecot, PASSWORD},
    token_endpoint::{CLIENT_ID, CLIENT_SECRET, SCOPE, TokenEndpoint},
};

/// How long anything may take before a test gives up. Generous: machines are slow at times, and no test measures time.
pub const PATIENCE: Duration = Duration::from_mins(2);
/// How often it is looked whether something has come.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a mailbox of the configuration is to be like.
#[derive(Debug, Clone)]
pub struct Mailbox {
    /// Channel name without `email/`.
    pub name: String,
    /// User of the test Dovecot.
    pub user: String,
    /// Port on 127.0.0.1.
    pub port: u16,
    /// `implicit`, `starttls` or `none`.
    pub tls: String,
    /// The file of its password, in the configuration directory.
    pub password_file: String,
    /// Folders that are watched.
    pub folders: Vec<String>,
    /// `after = ...`.
    pub after: String,
    /// `start = ...`.
    pub start: String,
    /// Further lines of TOML.
    pub more: String,
    /// The lines of `[email.oauth]`; none: a password.
    pub oauth: Option<String>,
}

impl Mailbox {
    /// The INBOX of a user of this Dovecot, over TLS, everything in it, nothing changed there.
    pub fn of(dovecot: &Dovecot, user: &str) -> Self {
        Self {
            name: user.to_owned(),
            user: user.to_owned(),
            port: dovecot.imaps,
            tls: "implicit".to_owned(),
            password_file: "password".to_owned(),
            folders: vec!["INBOX".to_owned()],
            after: "keep".to_owned(),
            start: "all".to_owned(),
            more: "poll_secs = 10".to_owned(),
            oauth: None,
        }
    }
    /// With access tokens of this endpoint instead of a password, got by this flow.
    #[must_use]
    pub fn oauth(mut self, endpoint: &TokenEndpoint, flow: &str) -> Self {
        self.oauth = Some(format!(
            "provider = \"other\"\nflow = {flow:?}\nclient_id = {CLIENT_ID:?}\nclient_secret_file = \"client-secret\"\n\
             token_url = {:?}\ndevice_url = {:?}\nscope = {SCOPE:?}\n",
            endpoint.url("/token"),
            endpoint.url("/device"),
        ));
        self
    }
    /// With another `after`.
    #[must_use]
    pub fn after(mut self, after: &str) -> Self {
        after.clone_into(&mut self.after);
        self
    }
    /// Through a proxy: plain text on this port.
    #[must_use]
    pub fn plain_on(mut self, port: u16) -> Self {
        self.port = port;
        "none".clone_into(&mut self.tls);
        self
    }
    /// Its section of the configuration.
    pub fn section(&self) -> String {
        let Self { name, user, port, tls, password_file, oauth, folders, after, start, more } = self;
        let ca = if tls == "none" { "" } else { "ca_file = \"ca.pem\"" };
        let (password, oauth) = match oauth {
            None => (format!("password_file = {password_file:?}"), String::new()),
            Some(oauth) => (String::new(), format!("[email.oauth]\n{oauth}")),
        };
        format!(
            "[[email]]\nname = {name:?}\nhost = \"127.0.0.1\"\nport = {port}\ntls = {tls:?}\n{ca}\nuser = {user:?}\n\
             {password}\nfolders = {folders:?}\nafter = {after:?}\nstart = {start:?}\n{more}\n{oauth}\n"
        )
    }
}

/// A program of the same build, beside the one that runs now.
pub fn beside(name: &str) -> PathBuf {
    std::env::current_exe().expect("our own path").with_file_name(name)
}

/// An installation in a temporary folder.
pub struct Installation {
    dir: TempDir,
    program: PathBuf,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Exit code; -1 when it was killed.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// The JSON on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }
}

impl Installation {
    /// The default sectors and rules, without a smista.toml yet. `program` is the binary.
    pub fn bare(program: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("sm").tempdir_in("/tmp").expect("a folder");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        let this = Self { dir, program: program.to_owned() };
        let defaults = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        fs::create_dir_all(this.config().join("rules")).expect("a folder");
        fs::copy(defaults.join("sectors.toml"), this.config().join("sectors.toml"))
            .expect("the default sectors");
        for entry in fs::read_dir(defaults.join("rules")).expect("the default rules") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name");
            fs::copy(&path, this.config().join("rules").join(name)).expect("a rule file");
        }
        this
    }

    /// The default configuration with these mailboxes; `database` is the content of `[database]` (empty: the private
    /// PostgreSQL). `program` is the binary.
    pub fn new(program: &Path, database: &str, dovecot: Option<&Dovecot>, mailboxes: &[Mailbox]) -> Self {
        let this = Self::bare(program);
        if let Some(dovecot) = dovecot {
            fs::copy(dovecot.ca_file(), this.config().join("ca.pem")).expect("the CA");
        }
        this.secret("password", PASSWORD);
        this.secret("client-secret", CLIENT_SECRET);
        this.configure(database, mailboxes);
        this
    }

    /// Writes smista.toml.
    pub fn configure(&self, database: &str, mailboxes: &[Mailbox]) {
        self.configure_channels(database, &mailboxes.iter().map(Mailbox::section).collect::<String>());
    }

    /// Writes smista.toml with these sections of channels.
    pub fn configure_channels(&self, database: &str, sections: &str) {
        let (state, run) =
            (self.dir.path().join("state").display().to_string(), self.run_dir().display().to_string());
        let text = format!(
            "[comune]\nname = \"Gubbio\"\npatron = \"05-16\"\ndomains = [\"comune.gubbio.pg.it\"]\n\n\
             [state]\ndir = {state:?}\nrun_dir = {run:?}\n\n[database]\n{database}\n\n{sections}"
        );
        fs::write(self.config().join("smista.toml"), text).expect("smista.toml");
    }

    /// Writes a file of the configuration directory that only its owner may read.
    pub fn secret(&self, name: &str, text: &str) {
        let path = self.config().join(name);
        fs::write(&path, text).expect("a secret's file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    }

    /// The configuration directory.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    /// The file with a mailbox's refresh token (`name` without `email/`).
    pub fn grant_file(&self, name: &str) -> PathBuf {
        self.dir.path().join("state/oauth").join(format!("email-{name}.json"))
    }

    /// Its temporary folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    fn run_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// The program with this configuration and nothing of the outside's; standard input is empty.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // Nothing of the outside's: neither its configuration nor its runtime folder.
        for name in ["RUNTIME_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "JOURNAL_STREAM"] {
            command.env_remove(name);
        }
        command.env("SMISTA_CONFIG", self.config()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Said {
        let output = self.command().args(args).output().expect("the program runs");
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a command whose output goes where ours goes; gives its exit code.
    pub fn show(&self, args: &[&str]) -> i32 {
        self.command().args(args).status().expect("the program runs").code().unwrap_or(1)
    }

    /// Runs a command that must succeed and gives its JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.push("--json");
        let said = self.run(&all);
        assert_eq!(said.code, 0, "smista {args:?}: {said:?}");
        said.json()
    }

    /// The ledger's row of a channel, once there is one.
    pub fn ledger(&self, channel: &str) -> Option<Value> {
        let said = self.run(&["ledger", "--json"]);
        let rows: Value = serde_json::from_str(&said.out).ok()?;
        rows.as_array()?.iter().find(|row| row["channel"] == channel).cloned()
    }

    /// What the daemon says of itself (`status --json`); null while it does not answer.
    pub fn status(&self) -> Value {
        let said = self.run(&["status", "--json"]);
        serde_json::from_str(&said.out).map_or(Value::Null, |status: Value| status["daemon"].clone())
    }

    /// A number of the ledger's row of a channel; -1 while it cannot be asked.
    pub fn count(&self, channel: &str, what: &str) -> i64 {
        self.ledger(channel).and_then(|row| row[what].as_i64()).unwrap_or(-1)
    }

    /// Starts a daemon; its log goes to a file beside the configuration.
    pub fn daemon(&self) -> Daemon {
        self.daemon_in("run", &[])
    }

    /// Starts a daemon with a runtime folder of its own (two daemons on one machine) and further variables.
    pub fn daemon_in(&self, run: &str, variables: &[(&str, &str)]) -> Daemon {
        let log = self.dir.path().join(format!("{run}.log"));
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log file");
        let child = self
            .command()
            .env("SMISTA_STATE__RUN_DIR", self.dir.path().join(run))
            .envs(variables.iter().copied())
            .arg("run")
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("the daemon starts");
        Daemon { child, log }
    }

    /// Waits until `done` holds.
    ///
    /// # Panics
    /// When it does not hold within [`PATIENCE`]; the daemons' logs are shown.
    pub async fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let wait = async {
            let mut ticks = tokio::time::interval(LOOK_EVERY);
            loop {
                ticks.tick().await;
                if done() {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            self.give_up(what);
        }
    }

    /// Waits until `lacks` says that nothing is lacking.
    ///
    /// # Panics
    /// When something still lacks after [`PATIENCE`]; it is shown, with the daemons' logs.
    pub async fn until_nothing_lacks(&self, what: &str, mut lacks: impl AsyncFnMut() -> Option<String>) {
        let mut lacking = String::new();
        let wait = async {
            let mut ticks = tokio::time::interval(LOOK_EVERY);
            loop {
                ticks.tick().await;
                match lacks().await {
                    Some(still) => lacking = still,
                    None => return,
                }
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            self.give_up(&format!("{what}; lacking: {lacking}"));
        }
    }

    fn give_up(&self, what: &str) -> ! {
        panic!("not within {PATIENCE:?}: {what}\n{}", self.logs())
    }

    /// The ends of all daemons' logs.
    pub fn logs(&self) -> String {
        let mut all = String::new();
        for entry in fs::read_dir(self.dir.path()).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "log") {
                let text = fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<&str> = text.lines().rev().take(60).collect();
                let _ = writeln!(all, "--- {}", path.display());
                for line in lines.into_iter().rev() {
                    all.push_str(line);
                    all.push('\n');
                }
            }
        }
        all
    }
}

/// A running daemon. Dropped, it is killed.
pub struct Daemon {
    child: std::process::Child,
    log: PathBuf,
}

impl Daemon {
    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the daemon is there");
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// SIGKILL, and waits for its end.
    pub fn kill9(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// SIGTERM, and waits for its end; gives the exit code.
    pub fn terminate(mut self) -> i32 {
        self.signal(Signal::SIGTERM);
        self.child.wait().expect("ended").code().unwrap_or(-1)
    }

    /// SIGTERM; gives the exit code, or nothing when it has not ended in time. Then it is killed, as systemd does.
    pub async fn terminate_within(mut self, limit: Duration) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        let end = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                if let Some(status) = self.child.try_wait().expect("its state") {
                    return status.code().unwrap_or(-1);
                }
            }
        };
        tokio::time::timeout(limit, end).await.ok()
    }

    /// SIGSTOP: it stands still, its connections stay open.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// True while it runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The most memory that it ever had, in octets (`VmHWM` of proc(5)).
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) * 1024
    }

    /// Processor time so far, user and system, in seconds (the kernel counts in hundredths).
    pub fn processor_time(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
        fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.runs() {
            let _ = kill(self.pid(), Signal::SIGCONT);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
