//! A private, unprivileged Cyrus IMAP on loopback. Debian's package excludes Dovecot's, so its files are unpacked into [`ROOT`]
//! (`deploy/dev/install-deps.sh test`) and run from there: configuration, mail, databases, users and sockets in a folder of its own. Started
//! on free ports, waited for by asking it, stopped when dropped.

use std::{
    fs, io,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{
    certificates,
    dovecot::{PASSWORD, PATIENCE, USERS, account, greets, group_name, user_name},
    imap_client::ImapClient,
    ports::Port,
};

/// Where its files are.
pub const ROOT: &str = "/opt/smista-dev/cyrus";
/// Who makes mailboxes and sets quotas.
const ADMIN: &str = "admin";

/// What a server may be told to do differently.
#[derive(Debug, Clone, Copy)]
pub struct CyrusOptions {
    /// Announces IDLE.
    pub idle: bool,
    /// Every mailbox has a quota, in units of 1024 octets.
    pub quota: Option<u32>,
}

/// A running server.
pub struct Cyrus {
    dir: TempDir,
    child: Option<Child>,
    /// Port with TLS from the first octet.
    pub imaps: u16,
    /// Port with STARTTLS, or plain.
    pub imap: u16,
    /// Both, while it lives.
    _ports: [Port; 2],
}

impl Cyrus {
    /// Starts one, with an empty mailbox for each of [`USERS`].
    pub async fn start(options: CyrusOptions) -> io::Result<Self> {
        if !Path::new(ROOT).join("usr/lib/cyrus/bin/master").exists() {
            let text = format!("Cyrus is not in {ROOT}: run deploy/dev/install-deps.sh test");
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        let dir = tempfile::Builder::new().prefix("cy").tempdir_in("/tmp")?;
        let ports = [Port::reserve()?, Port::reserve()?];
        let [imaps, imap] = [ports[0].number(), ports[1].number()];
        let mut this = Self { dir, child: None, imaps, imap, _ports: ports };
        this.write_files(options)?;
        this.launch().await?;
        this.make_mailboxes(options.quota).await?;
        Ok(this)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The CA's certificate (PEM).
    pub fn ca_pem(&self) -> Vec<u8> {
        fs::read(self.path("ca.pem")).unwrap_or_default()
    }

    fn write_files(&self, options: CyrusOptions) -> io::Result<()> {
        let d = self.dir.path().display();
        for name in ["conf", "spool", "run", "lock", "proc"] {
            fs::create_dir(self.path(name))?;
        }
        let (ca, certificate, key) = certificates::made().map_err(io::Error::other)?;
        for (name, text) in [("ca.pem", ca), ("cert.pem", certificate), ("key.pem", key)] {
            fs::write(self.path(name), text)?;
        }
        let (uid, gid) = ids()?;
        let idle = u8::from(options.idle);
        let conf = format!(
            "configdirectory: {d}/conf\npartition-default: {d}/spool\nproc_path: {d}/proc\nmboxname_lockpath: {d}/lock\n\
             idlesocket: {d}/run/idle\nlmtpsocket: {d}/run/lmtp\nnotifysocket: {d}/run/notify\n\
             servername: localhost\ncyrus_user: {}\ncyrus_group: {}\nadmins: {ADMIN}\nsyslog_prefix: smista-test\n\
             allowplaintext: yes\nsasl_mech_list: PLAIN LOGIN\nsasl_pwcheck_method: auxprop\nsasl_auxprop_plugin: sasldb\n\
             sasl_sasldb_path: {d}/sasldb2\ntls_server_cert: {d}/cert.pem\ntls_server_key: {d}/key.pem\ntls_session_timeout: 0\n\
             unixhierarchysep: yes\naltnamespace: yes\nvirtdomains: off\nimapidlepoll: {idle}\n",
            user_name(uid)?,
            group_name(gid)?
        );
        fs::write(self.path("imapd.conf"), conf)?;
        let program = |name: &str| format!("{ROOT}/usr/lib/cyrus/bin/{name} -C {d}/imapd.conf");
        let idled =
            if options.idle { format!(" idled cmd=\"{}\"\n", program("idled")) } else { String::new() };
        let services = format!(
            "START {{\n recover cmd=\"{} -r\"\n}}\nSERVICES {{\n imap cmd=\"{}\" listen=\"127.0.0.1:{}\" prefork=1\n \
             imaps cmd=\"{} -s\" listen=\"127.0.0.1:{}\" prefork=1\n}}\nEVENTS {{\n}}\nDAEMON {{\n{idled}}}\n",
            program("ctl_cyrusdb"),
            program("imapd"),
            self.imap,
            program("imapd"),
            self.imaps
        );
        fs::write(self.path("cyrus.conf"), services)?;
        for user in USERS.iter().chain([&ADMIN]) {
            self.make_user(user)?;
        }
        own_all(self.dir.path(), uid, gid)
    }

    /// In the folder's own sasldb.
    fn make_user(&self, user: &str) -> io::Result<()> {
        use std::io::Write as _;
        let mut command = Command::new(format!("{ROOT}/usr/sbin/saslpasswd2"));
        command.args(["-p", "-c", "-u", "localhost", "-f"]).arg(self.path("sasldb2")).arg(user);
        command.envs(environment()?).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(PASSWORD.as_bytes())?;
        }
        let done = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&done.stderr);
        if done.status.success() { Ok(()) } else { Err(io::Error::other(format!("saslpasswd2: {said}"))) }
    }

    async fn launch(&mut self) -> io::Result<()> {
        let mut command = Command::new("setpriv");
        if nix::unistd::Uid::effective().is_root() {
            let (uid, gid) = ids()?;
            command.args([format!("--reuid={uid}"), format!("--regid={gid}")]).arg("--clear-groups");
        }
        command.args(["--pdeathsig", "TERM"]).arg(format!("{ROOT}/usr/lib/cyrus/bin/master"));
        for (option, name) in
            [("-C", "imapd.conf"), ("-M", "cyrus.conf"), ("-p", "run/pid"), ("-L", "stderr")]
        {
            command.arg(option).arg(self.path(name));
        }
        let said = fs::File::create(self.path("said"))?;
        command.env_clear().envs(environment()?).stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        // Quirk (3.6): on SIGTERM the master passes it on to its whole process group, so it must have one of its own.
        command.process_group(0);
        self.child = Some(command.spawn()?);
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                return Err(io::Error::other(format!("cyrus ended ({status}): {}", self.log())));
            }
            if greets(self.imap).await {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no greeting: {}", self.log())));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn make_mailboxes(&self, quota: Option<u32>) -> io::Result<()> {
        let mut admin = ImapClient::log_in(self.imap, ADMIN, PASSWORD).await?;
        for user in USERS {
            admin.run(&format!("CREATE user/{user}")).await?;
            if let Some(quota) = quota {
                admin.run(&format!("SETQUOTA user/{user} (STORAGE {quota})")).await?;
            }
        }
        Ok(())
    }

    /// What it said before it logged (its log goes to syslog).
    pub fn log(&self) -> String {
        ["said", "stderr"].map(|name| fs::read_to_string(self.path(name)).unwrap_or_default()).concat()
    }
}

impl Drop for Cyrus {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let group = i32::try_from(child.id()).map(Pid::from_raw);
        if let Ok(group) = group {
            let _ = killpg(group, Signal::SIGTERM);
        }
        let _ = child.wait();
        // whoever of its group still lives
        if let Ok(group) = group {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Its own libraries and SASL mechanisms, then the machine's.
fn environment() -> io::Result<Vec<(&'static str, String)>> {
    let mut folders = Vec::new();
    for base in ["usr/lib", "lib"].map(|name| Path::new(ROOT).join(name)) {
        let Ok(entries) = fs::read_dir(&base) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.to_string_lossy().contains("-linux-") {
                folders.push(path.display().to_string());
            }
        }
    }
    let plugins: Vec<String> = folders
        .iter()
        .flat_map(|f| [format!("{f}/sasl2"), format!("{}/sasl2", f.trim_start_matches(ROOT))])
        .collect();
    Ok(vec![("LD_LIBRARY_PATH", folders.join(":")), ("SASL_PATH", plugins.join(":"))])
}

/// Whom it runs as: an account without rights when the tests run as root.
fn ids() -> io::Result<(u32, u32)> {
    let me = fs::metadata("/proc/self")?;
    if me.uid() == 0 { account() } else { Ok((me.uid(), me.gid())) }
}

fn own_all(dir: &Path, uid: u32, gid: u32) -> io::Result<()> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    std::os::unix::fs::chown(dir, Some(uid), Some(gid))?;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        std::os::unix::fs::chown(&path, Some(uid), Some(gid))?;
    }
    Ok(())
}
