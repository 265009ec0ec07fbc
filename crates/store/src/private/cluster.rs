//! The folder of the private PostgreSQL: made once, whole or not at all; and what its `postmaster.pid` says of a server that
//! may still run on it.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Account, PrivateError, ServerBinaries};

/// The superuser of the cluster. Used once, to make the owner's role and the database.
pub(super) const SUPERUSER: &str = "postgres";
/// The role that owns the database, no superuser; and the database's name.
pub(super) const OWNER: &str = "smista";

/// The longest path of a socket folder: `/.s.PGSQL.5432` follows, and the kernel takes 107 bytes.
const LONGEST_SOCKET_DIR: usize = 90;

/// Who may connect: whoever can reach the socket. Its folder is 0700 and belongs to the server's user, so that is this user
/// and root: the same two who could read the files. Nothing listens on the network.
const HBA: &str = "# Written by smista. The socket's folder (0700) is the lock; nothing listens on the network.\n\
                   local all all trust\n";

/// Where things lie below the folder of the private PostgreSQL.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub(super) dir: PathBuf,
    pub(super) data: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) users: PathBuf,
    pub(super) log: PathBuf,
    pub(super) socket_dir: PathBuf,
}

impl Cluster {
    /// `runtime_dir` is where a socket goes whose path would be too long.
    pub(super) fn new(dir: &Path, runtime_dir: &Path) -> Self {
        let own = dir.join("s");
        let socket_dir = if own.as_os_str().len() <= LONGEST_SOCKET_DIR {
            own
        } else {
            let name = sha2_short(dir);
            runtime_dir.join(format!("pg-{name}"))
        };
        Self {
            dir: dir.to_owned(),
            data: dir.join("data"),
            lock: dir.join("lock"),
            users: dir.join("users"),
            log: dir.join("postgres.log"),
            socket_dir,
        }
    }

    /// The major version of the data, if there is any.
    pub(super) fn version(&self) -> Result<Option<u32>, PrivateError> {
        let file = self.data.join("PG_VERSION");
        match fs::read_to_string(&file) {
            Ok(text) => match text.trim().split('.').next().and_then(|major| major.parse().ok()) {
                Some(major) => Ok(Some(major)),
                None => Err(PrivateError::new(
                    "io",
                    format!("{} non contiene una versione di PostgreSQL.", file.display()),
                    format!("{} holds no version of PostgreSQL", file.display()),
                )),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(PrivateError::io("Non si può leggere", "cannot read", &file, &error)),
        }
    }

    /// Makes the data folder with `initdb`, beside its place, and puts it there whole.
    pub(super) fn init(&self, binaries: &ServerBinaries, account: &Account) -> Result<(), PrivateError> {
        let fresh = self.dir.join("data.new");
        let mut said = String::new();
        // C.UTF-8 sorts like C and knows Unicode's letters; a C library without it has C at least.
        for locale in ["C.UTF-8", "C"] {
            match fs::remove_dir_all(&fresh) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(PrivateError::io("Non si può togliere", "cannot remove", &fresh, &error));
                }
                _ => {}
            }
            let done = command(account, &binaries.program("initdb"), None)
                .args(["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--data-checksums"])
                .args(["--locale", locale, "--pgdata"])
                .arg(&fresh)
                .output()
                .map_err(|error| cannot_run(&error))?;
            if done.status.success() {
                let hba = fresh.join("pg_hba.conf");
                fs::write(&hba, HBA)
                    .and_then(|()| fs::rename(&fresh, &self.data))
                    .and_then(|()| fs::File::open(&self.dir)?.sync_all())
                    .map_err(|error| PrivateError::io("Non si può scrivere", "cannot write", &hba, &error))?;
                return Ok(());
            }
            said = last_lines(&String::from_utf8_lossy(&done.stderr));
        }
        let dir = self.data.display();
        Err(PrivateError::new(
            "init-failed",
            format!("initdb non ha potuto creare il database in {dir}: {said}"),
            format!("initdb could not make the database in {dir}: {said}"),
        ))
    }

    /// What `postmaster.pid` says, if the file is there and can be understood.
    pub(super) fn pid_file(&self) -> Option<PidFile> {
        PidFile::parse(&fs::read_to_string(self.data.join("postmaster.pid")).ok()?)
    }

    /// The living server on this data folder, whoever started it.
    pub(super) fn living(&self) -> Option<Living> {
        let pid = self.pid_file()?.pid;
        if !serves(pid, &self.data) {
            return None;
        }
        Some(Living { pid, parent: parent_of(pid)? })
    }

    /// Disarms the lock files of a server that is gone, when its number is taken all the same: by another process of this
    /// user, or by itself as a zombie that nobody collects (a container whose first process does not). They would keep
    /// PostgreSQL from starting. With our own number in its place PostgreSQL looks through them (its parent cannot be a
    /// server), and still makes sure that no process of the old server is left: that is why they are not simply removed.
    /// The caller holds the lock and has made sure that no server lives here.
    pub(super) fn disarm_stale_pid(&self, me: u32) -> Result<(), PrivateError> {
        for file in [self.data.join("postmaster.pid"), self.socket_dir.join(".s.PGSQL.5432.lock")] {
            let failed = |error: std::io::Error| {
                PrivateError::io("Non si può scrivere", "cannot write", &file, &error)
            };
            let Ok(text) = fs::read_to_string(&file) else { continue };
            let Some(old) = PidFile::parse(&text) else { continue };
            if serves(old.pid, &self.data) {
                continue;
            }
            let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
            fs::write(&file, format!("{me}\n{rest}")).map_err(failed)?;
        }
        Ok(())
    }

    /// How long the server's log is now, in octets.
    pub(super) fn log_len(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |meta| meta.len())
    }

    /// The end of what the server has logged since it was `from` octets long, for error texts. Our settings keep rows and
    /// statements out of it.
    pub(super) fn log_tail(&self, from: u64) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let new = usize::try_from(from).ok().and_then(|from| text.get(from..)).unwrap_or(&text);
        last_lines(&String::from_utf8_lossy(new))
    }

    /// Keeps the log bounded: what is over five megabytes becomes `postgres.log.1`. The server appends, so that it goes on
    /// writing at the start of the emptied file.
    pub(super) fn bound_log(&self) {
        const MOST: u64 = 5 << 20;
        if fs::metadata(&self.log).is_ok_and(|meta| meta.len() > MOST) {
            let old = self.log.with_extension("log.1");
            if fs::copy(&self.log, &old).is_ok()
                && let Ok(file) = fs::OpenOptions::new().write(true).open(&self.log)
            {
                file.set_len(0).ok();
            }
        }
    }
}

/// The first lines of `postmaster.pid` (PostgreSQL, `src/include/utils/pidfile.h`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PidFile {
    pub(super) pid: u32,
    pub(super) socket_dir: Option<PathBuf>,
    /// True once it accepts connections.
    pub(super) ready: bool,
}

impl PidFile {
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        // A negative number is a single-user server's.
        let pid = lines.first()?.parse::<i64>().ok()?.unsigned_abs().try_into().ok()?;
        let socket_dir = lines.get(4).filter(|s| !s.is_empty()).map(PathBuf::from);
        Some(Self { pid, socket_dir, ready: lines.get(7) == Some(&"ready") })
    }
}

/// A server that runs on our data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Living {
    pub(super) pid: u32,
    pub(super) parent: u32,
}

impl Living {
    /// True when the smista that started it is gone: the kernel gave it to init (or to whoever collects orphans here, which
    /// is no smista).
    pub(super) fn is_orphan(self) -> bool {
        let comm = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        self.parent <= 1 || comm(self.parent) != comm(std::process::id())
    }
}

/// Whether `pid` is a PostgreSQL server that works in `data` (a server's working folder is its data folder).
fn serves(pid: u32, data: &Path) -> bool {
    let proc = Path::new("/proc").join(pid.to_string());
    let comm = fs::read_to_string(proc.join("comm")).unwrap_or_default();
    if !matches!(comm.trim(), "postgres" | "postmaster" | "setpriv") {
        return false;
    }
    match (fs::read_link(proc.join("cwd")), data.canonicalize()) {
        (Ok(cwd), Ok(data)) => cwd == data,
        _ => false,
    }
}

fn parent_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// A command that runs `program` as the server's user, with a clean environment. With a `parent_death` signal its process
/// gets that when the thread that spawned it ends; hence through setpriv, which sets it after the change of user.
pub(super) fn command(account: &Account, program: &Path, parent_death: Option<&str>) -> Command {
    let mut command = if account.switch || parent_death.is_some() {
        let mut setpriv = Command::new("setpriv");
        if account.switch {
            setpriv.args([
                format!("--reuid={}", account.uid),
                format!("--regid={}", account.gid),
                "--clear-groups".to_owned(),
            ]);
        }
        if let Some(signal) = parent_death {
            setpriv.arg(format!("--pdeathsig={signal}"));
        }
        setpriv.arg("--").arg(program);
        setpriv
    } else {
        Command::new(program)
    };
    command
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .current_dir("/")
        // Control-C on a terminal is for smista, which then stops the server when its own work is done.
        .process_group(0)
        .stdin(std::process::Stdio::null());
    command
}

pub(super) fn cannot_run(error: &std::io::Error) -> PrivateError {
    PrivateError::new(
        "start-failed",
        format!("Non si può eseguire PostgreSQL attraverso setpriv: {error}. Pacchetto: util-linux."),
        format!("cannot run PostgreSQL through setpriv: {error} (package util-linux)"),
    )
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.get(lines.len().saturating_sub(6)..).unwrap_or_default().join(" | ")
}

fn sha2_short(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let digest = smista_domain::Digest::of(path.as_os_str().as_bytes()).to_string();
    digest.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_says_where_and_whether() {
        let text = "4711\n/var/lib/smista/postgres/data\n1790000000\n5432\n/var/lib/smista/postgres/s\n\n  123 456\nready   \n";
        let ready = PidFile::parse(text).expect("whole");
        assert_eq!((ready.pid, ready.ready), (4711, true));
        assert_eq!(ready.socket_dir.as_deref(), Some(Path::new("/var/lib/smista/postgres/s")));
        let starting = PidFile::parse("4711\n/d\n1\n5432\n").expect("being written");
        assert_eq!(starting, PidFile { pid: 4711, socket_dir: None, ready: false });
        assert_eq!(PidFile::parse(""), None);
        assert_eq!(PidFile::parse("rubbish\n"), None);
    }

    #[test]
    fn a_long_path_gets_a_short_socket() {
        let short = Cluster::new(Path::new("/var/lib/smista/postgres"), Path::new("/run/smista"));
        assert_eq!(short.socket_dir, Path::new("/var/lib/smista/postgres/s"));
        let deep = PathBuf::from("/srv").join("cartella/".repeat(12));
        let long = Cluster::new(&deep, Path::new("/run/smista"));
        assert!(long.socket_dir.starts_with("/run/smista"), "{}", long.socket_dir.display());
        assert_ne!(long.socket_dir, Cluster::new(&deep.join("x"), Path::new("/run/smista")).socket_dir);
    }

    #[test]
    fn a_pid_that_is_somebody_elses_by_now_is_no_server() {
        let dir = tempfile::tempdir().expect("folder");
        let cluster = Cluster::new(dir.path(), Path::new("/run"));
        fs::create_dir(&cluster.data).expect("data");
        // A living process that is no PostgreSQL: this test.
        let me = std::process::id();
        fs::write(cluster.data.join("postmaster.pid"), format!("{me}\n/elsewhere\n1\n5432\n"))
            .expect("pid file");
        assert_eq!(cluster.living(), None);
        cluster.disarm_stale_pid(1).expect("rewritten");
        let text = fs::read_to_string(cluster.data.join("postmaster.pid")).expect("there");
        assert_eq!(text, "1\n/elsewhere\n1\n5432\n");
    }
}
