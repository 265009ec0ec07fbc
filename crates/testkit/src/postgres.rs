//! Throw-away PostgreSQL servers and schemas.
//!
//! Tests that only need tables share one server per test process and get a schema each ([`TestStore::new`]). Tests that stop,
//! kill or cut a server start one of their own ([`TestPostgres::start`]). Either dies with the test process: the kernel sees to
//! that, and the next run sweeps away folders that a killed one left.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    reason = "for tests: what fails here fails the test at once"
)]

use std::{
    fs,
    ops::Deref,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};
use smista_store::{
    SchemaName, Store, StoreOptions,
    private::{Account, ServerBinaries},
};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Executor as _,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::ports::Port;

const ROLE: &str = "smista";

/// How a test server is set up.
#[derive(Debug, Clone, Default)]
pub struct TestPostgresOptions {
    /// `fsync` on, for tests of durability. Off makes everything else faster; a kill -9 of the server loses nothing even so
    /// (only the power going away would).
    pub durable: bool,
    /// Listens on a free port of 127.0.0.1, too: for a proxy in between.
    pub tcp: bool,
    /// Further settings, `name=value`.
    pub settings: Vec<String>,
}

/// A PostgreSQL server for tests, on a Unix socket in a temporary folder.
#[derive(Debug)]
pub struct TestPostgres {
    dir: PathBuf,
    account: Account,
    binaries: ServerBinaries,
    options: TestPostgresOptions,
    port: Option<Port>,
    server: Option<Running>,
}

/// The server's process, and the thread that spawned it and whose end would end it.
#[derive(Debug)]
struct Running {
    pid: Pid,
    end: Mutex<mpsc::Receiver<()>>,
}

impl Running {
    /// Waits for the end of the process; false when it does not come.
    fn wait(&self, patience: Duration) -> bool {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(end.recv_timeout(patience), Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected))
    }
}

impl TestPostgres {
    /// A server of the test's own, not durable, without TCP.
    pub fn start() -> Self {
        Self::start_with(TestPostgresOptions::default())
    }

    /// A server of the test's own.
    ///
    /// # Panics
    /// When there is no server on this machine or it does not start: the test cannot go on.
    pub fn start_with(options: TestPostgresOptions) -> Self {
        sweep();
        let dir = fresh_dir();
        fs::create_dir(&dir).expect("a folder for the test server");
        // The server's user must be able to come as far as its own folder below.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("its mode");
        let account = Account::choose(&dir.join("server"), None).unwrap_or_else(|error| panic!("{error}"));
        let path = std::env::var_os("PATH");
        let binaries = ServerBinaries::installed(path.as_deref())
            .into_iter()
            .find(|found| found.major >= smista_store::private::OLDEST_SERVER)
            .expect("a PostgreSQL server on this machine: apt-get install postgresql");
        let mut server = Self { dir, account, binaries, options, port: None, server: None };
        for folder in ["server", "server/s"] {
            server
                .account
                .make_private_dir(&server.dir.join(folder))
                .unwrap_or_else(|error| panic!("{error}"));
        }
        server.init();
        if server.options.tcp {
            server.port = Some(Port::reserve().expect("a free port"));
        }
        server.start_again();
        server
    }

    /// The server that all tests of this process share; started by the first that asks.
    pub async fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<TestPostgres>> = OnceLock::new();
        tokio::task::spawn_blocking(|| {
            let options = TestPostgresOptions {
                settings: vec!["max_connections=300".to_owned(), "shared_buffers=64MB".to_owned()],
                ..TestPostgresOptions::default()
            };
            Arc::clone(SHARED.get_or_init(|| Arc::new(Self::start_with(options))))
        })
        .await
        .expect("the shared test server")
    }

    /// How to connect over the Unix socket, as the database's owner (no superuser).
    pub fn connect_options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.socket_dir())
            .port(self.port().unwrap_or(5432))
            .username(ROLE)
            .database(ROLE)
            .ssl_mode(PgSslMode::Disable)
    }

    /// As [`TestPostgres::connect_options`], as the superuser: for roles and for looking at other sessions.
    pub fn superuser_options(&self) -> PgConnectOptions {
        self.connect_options().username("postgres")
    }

    /// A URL over the Unix socket, for configuration files.
    pub fn url(&self) -> String {
        let (port, socket) = (self.port().unwrap_or(5432), self.socket_dir());
        format!("postgres://{ROLE}@localhost:{port}/{ROLE}?host={}", socket.display())
    }

    /// The port on 127.0.0.1, when asked for with [`TestPostgresOptions::tcp`].
    pub fn port(&self) -> Option<u16> {
        self.port.as_ref().map(Port::number)
    }

    /// A URL over TCP through `port`, which may be a proxy's.
    pub fn tcp_url(&self, port: u16) -> String {
        format!("postgres://{ROLE}@127.0.0.1:{port}/{ROLE}?sslmode=disable")
    }

    /// The server's process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(|running| running.pid.as_raw().unsigned_abs())
    }

    /// Processor time so far of the server and of all processes that it has (and had), in seconds.
    pub fn processor_time(&self) -> f64 {
        let Some(server) = self.pid() else { return 0.0 };
        // Fields of proc(5) after the name: 1 is the parent, 11 to 14 the time of the process and of its ended children.
        let ticks = |pid: &str, own: bool| -> f64 {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
            let child = fields.get(1).and_then(|parent| parent.parse().ok()) == Some(server);
            let counted = if own { 11..15 } else { 11..13 };
            let times = fields.get(counted).unwrap_or_default().iter().filter_map(|t| t.parse::<f64>().ok());
            if own || child { times.sum() } else { 0.0 }
        };
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let children: f64 =
            processes.filter_map(|entry| Some(ticks(entry.file_name().to_str()?, false))).sum();
        (ticks(&server.to_string(), true) + children) / 100.0
    }

    /// Stops it as an administrator would (fast shutdown), and waits for that.
    pub fn stop(&mut self) {
        self.end_by(Signal::SIGINT);
    }

    /// Kills it with -9, and waits until its last process is gone.
    pub fn kill(&mut self) {
        self.end_by(Signal::SIGKILL);
        // Backends notice by themselves; a new server does not start before.
        let serving = || processes_in(&self.dir.join("server/data"));
        wait_until("the killed server's processes to end", || !serving());
    }

    /// Freezes the server (SIGSTOP): connections stay open and nothing answers. Undone by [`TestPostgres::thaw`].
    pub fn freeze(&self) {
        self.signal_all(Signal::SIGSTOP);
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.signal_all(Signal::SIGCONT);
    }

    /// Starts it again after [`TestPostgres::stop`] or [`TestPostgres::kill`], on the same data, socket and port, and waits
    /// until it accepts connections.
    pub fn start_again(&mut self) {
        assert!(self.server.is_none(), "it runs already");
        let on = if self.options.durable { "on" } else { "off" };
        let data = self.dir.join("server/data");
        let mut command = self.as_account(&self.binaries.program("postgres"), true);
        command.arg("-D").arg(&data);
        let mut settings = vec![
            format!("unix_socket_directories={}", self.socket_dir().display()),
            format!("port={}", self.port().unwrap_or(5432)),
            format!("listen_addresses={}", if self.port.is_some() { "127.0.0.1" } else { "" }),
            format!("fsync={on}"),
            // Also without fsync: what was committed is with the system before anybody hears of it, so a kill -9 loses nothing.
            "synchronous_commit=on".to_owned(),
            format!("full_page_writes={on}"),
            "unix_socket_permissions=0700".to_owned(),
            "jit=off".to_owned(),
        ];
        settings.extend(self.options.settings.iter().cloned());
        for setting in settings {
            command.arg("-c").arg(setting);
        }
        let log = self.dir.join("log");
        let open = || fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log");
        command.stdout(open()).stderr(open());
        let running = spawn(command);
        let (pid_file, pid) = (data.join("postmaster.pid"), running.pid.to_string());
        let mut dead = false;
        wait_until("the test server to be ready", || {
            dead = running.wait(Duration::ZERO);
            let text = fs::read_to_string(&pid_file).unwrap_or_default();
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            // A killed server's file is still there, and says "ready", too.
            dead || (lines.first() == Some(&pid.as_str()) && lines.get(7) == Some(&"ready"))
        });
        assert!(!dead, "the test server ended: {}", fs::read_to_string(&log).unwrap_or_default());
        self.server = Some(running);
    }

    fn socket_dir(&self) -> PathBuf {
        self.dir.join("server/s")
    }

    fn init(&self) {
        let data = self.dir.join("server/data");
        let mut initdb = self.as_account(&self.binaries.program("initdb"), false);
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-D"]).arg(&data);
        if !self.options.durable {
            initdb.arg("--no-sync");
        }
        run(initdb, None);
        let mut single = self.as_account(&self.binaries.program("postgres"), false);
        single.args(["--single", "-D"]).arg(&data).args(["-c", "fsync=off", "postgres"]);
        let sql = format!("create role {ROLE} login;\ncreate database {ROLE} owner {ROLE};\n");
        run(single, Some(&sql));
    }

    /// A command as the server's user; with `bound`, one that ends with the thread that spawns it.
    fn as_account(&self, program: &Path, bound: bool) -> Command {
        let mut command = Command::new("setpriv");
        if self.account.switch {
            let (uid, gid) = (self.account.uid, self.account.gid);
            command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
        }
        if bound {
            command.arg("--pdeathsig=QUIT");
        }
        command.arg("--").arg(program);
        command.current_dir("/").env("LC_ALL", "C.UTF-8").process_group(0).stdin(Stdio::null());
        command
    }

    fn end_by(&mut self, signal: Signal) {
        if let Some(running) = self.server.take() {
            kill(running.pid, signal).expect("a living server");
            assert!(running.wait(Duration::from_mins(1)), "the test server does not end");
        }
    }

    /// To the postmaster and its processes. Parents first when stopping, so that none is made in between.
    fn signal_all(&self, signal: Signal) {
        let Some(running) = &self.server else { return };
        kill(running.pid, signal).expect("a living server");
        for pid in pids_in(&self.dir.join("server/data")) {
            kill(pid, signal).ok();
        }
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        if let Some(running) = self.server.take() {
            kill(running.pid, Signal::SIGCONT).ok();
            kill(running.pid, Signal::SIGQUIT).ok();
            running.wait(Duration::from_secs(20));
        }
        fs::remove_dir_all(&self.dir).ok();
    }
}

/// A migrated store in a schema of its own on the shared server. Dereferences to the [`Store`].
#[derive(Debug, Clone)]
pub struct TestStore {
    store: Store,
    server: Arc<TestPostgres>,
}

impl TestStore {
    /// A fresh schema with all migrations.
    pub async fn new() -> Self {
        Self::on(TestPostgres::shared().await).await
    }

    /// A fresh schema on a given server.
    pub async fn on(server: Arc<TestPostgres>) -> Self {
        let store = server.empty_store(server.connect_options()).await;
        store.migrate().await.expect("migrations");
        Self { store, server }
    }

    /// The server it is on.
    pub fn server(&self) -> &Arc<TestPostgres> {
        &self.server
    }

    /// `[database]` of a configuration for this schema.
    pub fn table(&self) -> String {
        self.table_at(&self.server.url())
    }

    /// The same through a port of 127.0.0.1, which may be a proxy's ([`TestPostgresOptions::tcp`]).
    pub fn table_through(&self, port: u16) -> String {
        self.table_at(&self.server.tcp_url(port))
    }

    fn table_at(&self, url: &str) -> String {
        format!("url = {url:?}\nschema = {:?}\n", self.schema().as_str())
    }

    /// A second pool on the same schema: another daemon.
    pub async fn another(&self) -> Store {
        Store::connect(self.store.options().clone()).await.expect("a second pool")
    }
}

impl Deref for TestStore {
    type Target = Store;
    fn deref(&self) -> &Store {
        &self.store
    }
}

impl TestPostgres {
    /// A store on a fresh schema, without tables, through `connect` (for a proxy: its address).
    pub async fn empty_store(&self, connect: PgConnectOptions) -> Store {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let schema: SchemaName = name.parse().expect("a valid name");
        let mut options = StoreOptions::new(connect, schema);
        options.max_connections = 10;
        Store::connect(options).await.expect("the test server answers")
    }

    /// Runs statements as the superuser.
    pub async fn as_superuser(&self, statements: &str) {
        let mut connection = self.superuser_options().connect().await.expect("the superuser connects");
        connection.execute(AssertSqlSafe(statements.to_owned())).await.expect("statements of the test");
    }
}

fn run(mut command: Command, input: Option<&str>) {
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("setpriv and PostgreSQL");
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        std::io::Write::write_all(&mut stdin, text.as_bytes()).expect("its input");
    }
    let done = child.wait_with_output().expect("its end");
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Spawns from a thread that waits for the end: the signal of the parent's death goes by thread, and test threads come and go.
fn spawn(mut command: Command) -> Running {
    let (tell, told) = mpsc::sync_channel(1);
    let (ended, end) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut child: Child = command.spawn().expect("setpriv and PostgreSQL");
        tell.send(child.id()).expect("somebody waits");
        child.wait().expect("its end");
        ended.send(()).ok();
    });
    let pid = told.recv().expect("the server's process");
    Running { pid: Pid::from_raw(i32::try_from(pid).expect("a pid")), end: Mutex::new(end) }
}

/// Looks until it is so. Not a sleep in place of a condition: the condition is what is waited for.
fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_mins(1), "gave up waiting for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Processes that work in a data folder.
fn pids_in(data: &Path) -> Vec<Pid> {
    let Ok(data) = data.canonicalize() else { return Vec::new() };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == data))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw))
        .collect()
}

fn processes_in(data: &Path) -> bool {
    !pids_in(data).is_empty()
}

const PREFIX: &str = "smista-pg-";

fn fresh_dir() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    // Short: a socket's path has 107 bytes.
    Path::new("/tmp").join(name)
}

/// Removes what test processes left behind that were killed.
fn sweep() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        for entry in fs::read_dir("/tmp").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let pid = name.to_str().and_then(|n| n.strip_prefix(PREFIX)).and_then(|n| n.split('-').next());
            let gone = pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists());
            let mine = entry.metadata().is_ok_and(|meta| meta.uid() == Uid::effective().as_raw());
            if gone && mine {
                fs::remove_dir_all(entry.path()).ok();
            }
        }
    });
}
