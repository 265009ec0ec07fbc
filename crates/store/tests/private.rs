//! The private PostgreSQL, with real servers and real deaths.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests; SQL of their own that need not be prepared, and the environment as the way to talk to a child"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use smista_store::{
    SchemaName, Store, StoreOptions,
    private::{PrivatePostgres, PrivateSettings, Role, ServerState},
};

/// A state folder in a place that the server's user can reach; removed at the end.
struct State(tempfile::TempDir);

impl State {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("smista-state-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self(dir)
    }
    fn path(&self) -> &Path {
        self.0.path()
    }
    fn settings(&self) -> PrivateSettings {
        PrivateSettings::new(self.path(), &self.path().join("run"), None)
    }
    fn postmaster(&self) -> Option<u32> {
        let text = fs::read_to_string(self.path().join("postgres/data/postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }
    async fn open(&self, role: Role) -> PrivatePostgres {
        PrivatePostgres::attach_or_start(self.settings(), role)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

async fn store(private: &PrivatePostgres) -> Store {
    Store::connect(StoreOptions::new(private.connect_options(), SchemaName::default())).await.unwrap()
}

async fn rows(store: &Store) -> i64 {
    sqlx::query_scalar("select count(*) from channels").fetch_one(store.pool()).await.unwrap()
}

fn lives(pid: u32) -> bool {
    // A zombie has ended: it only waits to be collected by whoever inherits it.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

fn is_ours(private: &PrivatePostgres) -> bool {
    *private.watch().borrow() == ServerState::Ready { ours: true }
}

#[tokio::test]
async fn made_from_nothing_kept_and_stopped() {
    let state = State::new();
    // Rests of a start that was interrupted.
    fs::create_dir_all(state.path().join("postgres/data.new/base")).unwrap();

    let cold = state.open(Role::Command).await;
    assert!(is_ours(&cold));
    let pid = state.postmaster().unwrap();
    assert_ne!(fs::metadata(format!("/proc/{pid}")).unwrap().uid(), 0, "never as root");
    let mode = fs::metadata(state.path().join("postgres")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o700, "only its user and root come near");
    let first = store(&cold).await;
    assert_eq!(first.migrate().await.unwrap().first(), Some(&1));
    first.check_schema().await.unwrap();
    for (setting, expected) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("listen_addresses", ""),
        ("jit", "off"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("log_min_error_statement", "panic"),
        ("log_error_verbosity", "terse"),
        ("is_superuser", "off"),
    ] {
        let value: String = sqlx::query_scalar("select current_setting($1)")
            .bind(setting)
            .fetch_one(first.pool())
            .await
            .unwrap();
        assert_eq!(value, expected, "{setting}");
    }
    first.register_channels(&["email/urp".parse().unwrap()]).await.unwrap();
    first.close().await;
    cold.close().await.unwrap();
    assert!(!lives(pid), "stopped with its starter");
    assert_eq!(state.postmaster(), None, "and in good order");

    let warm = state.open(Role::Daemon).await;
    let second = store(&warm).await;
    assert_eq!(rows(&second).await, 1);
    assert!(second.migrate().await.unwrap().is_empty(), "nothing left to apply");
    warm.close().await.unwrap();
}

#[tokio::test]
async fn of_many_at_once_one_starts_it_and_all_can_use_it() {
    let state = State::new();
    let opening: Vec<_> = (0..4)
        .map(|_| {
            let settings = state.settings();
            tokio::spawn(
                async move { PrivatePostgres::attach_or_start(settings, Role::Daemon).await.unwrap() },
            )
        })
        .collect();
    let mut all = Vec::new();
    for one in opening {
        all.push(one.await.unwrap());
    }
    assert_eq!(all.iter().filter(|one| is_ours(one)).count(), 1);
    for one in &all {
        store(one).await.ping().await.unwrap();
    }
    let pid = state.postmaster().unwrap();
    all.sort_by_key(is_ours);
    for one in all {
        assert!(lives(pid), "somebody still uses it");
        one.close().await.unwrap();
    }
    assert!(!lives(pid));
}

#[tokio::test]
async fn a_daemon_starts_it_again_when_its_starter_has_ended() {
    let state = State::new();
    let command = state.open(Role::Command).await;
    let daemon = state.open(Role::Daemon).await;
    assert!(!is_ours(&daemon));
    let before = state.postmaster().unwrap();
    // A daemon does not keep a command waiting.
    command.close().await.unwrap();
    let mut watch = daemon.watch();
    watch.wait_for(|now| *now == ServerState::Ready { ours: true }).await.unwrap();
    assert_ne!(state.postmaster().unwrap(), before);
    store(&daemon).await.ping().await.unwrap();
    daemon.close().await.unwrap();
}

#[tokio::test]
async fn a_command_waits_for_the_commands_that_use_its_server() {
    let state = State::new();
    let starter = state.open(Role::Command).await;
    let user = state.open(Role::Command).await;
    let pid = state.postmaster().unwrap();
    let closing = tokio::spawn(starter.close());
    // Far more turns than a fast shutdown takes: each asks the server.
    let store = store(&user).await;
    for _ in 0..200 {
        store.ping().await.unwrap();
    }
    assert!(!closing.is_finished() && lives(pid));
    store.close().await;
    user.close().await.unwrap();
    closing.await.unwrap().unwrap();
    assert!(!lives(pid));
}

#[tokio::test]
async fn a_server_that_dies_is_started_again_and_has_lost_nothing() {
    let state = State::new();
    let private = state.open(Role::Daemon).await;
    let before = store(&private).await;
    before.migrate().await.unwrap();
    before.register_channels(&["email/urp".parse().unwrap()]).await.unwrap();
    let pid = state.postmaster().unwrap();
    let mut watch = private.watch();
    watch.mark_unchanged();
    kill(pid, "KILL");
    watch.wait_for(|now| matches!(now, ServerState::Down(_))).await.unwrap();
    watch.wait_for(|now| *now == ServerState::Ready { ours: true }).await.unwrap();
    assert_ne!(state.postmaster().unwrap(), pid);
    // The pool finds its way back by itself.
    assert_eq!(rows(&before).await, 1);
    before.close().await;
    private.close().await.unwrap();
}

#[tokio::test]
async fn data_of_a_version_that_is_not_here_is_left_alone() {
    let state = State::new();
    let data = state.path().join("postgres/data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("PG_VERSION"), "13\n").unwrap();
    let error = PrivatePostgres::attach_or_start(state.settings(), Role::Command).await.unwrap_err();
    assert_eq!(error.code, "wrong-version");
    assert!(error.text.it.contains("apt-get install postgresql-13"), "{error}");
    assert_eq!(fs::read_to_string(data.join("PG_VERSION")).unwrap(), "13\n");
}

#[tokio::test]
async fn a_socket_path_that_would_be_too_long_is_put_elsewhere() {
    let state = State::new();
    let deep = state
        .path()
        .join("una-cartella-dal-nome-piuttosto-lungo/e-poi-un-altra-ancora-più-lunga-della-prima");
    fs::create_dir_all(&deep).unwrap();
    let settings = PrivateSettings::new(&deep, &state.path().join("run"), None);
    let private =
        PrivatePostgres::attach_or_start(settings, Role::Command).await.unwrap_or_else(|e| panic!("{e}"));
    store(&private).await.ping().await.unwrap();
    private.close().await.unwrap();
}

/// A pid file of a server that is gone, whose number is another process's by now, of the server's own user.
#[tokio::test]
async fn a_stale_pid_file_does_not_keep_it_from_starting() {
    let state = State::new();
    state.open(Role::Command).await.close().await.unwrap();
    let data = state.path().join("postgres/data");
    let owner = fs::metadata(&data).unwrap();
    let mut stranger = Command::new("setpriv");
    if owner.uid() != fs::metadata("/proc/self").unwrap().uid() {
        stranger.args([
            &format!("--reuid={}", owner.uid()),
            &format!("--regid={}", owner.gid()),
            "--clear-groups",
        ]);
    }
    let mut stranger =
        stranger.args(["--pdeathsig=KILL", "--", "sleep", "1000"]).current_dir("/").spawn().unwrap();
    let pid_file = data.join("postmaster.pid");
    let text =
        format!("{}\n{}\n1790000000\n5432\n/nowhere\n\n  1 1\nready   \n", stranger.id(), data.display());
    fs::write(&pid_file, text).unwrap();
    std::os::unix::fs::chown(&pid_file, Some(owner.uid()), Some(owner.gid())).unwrap();

    let private = state.open(Role::Command).await;
    assert!(is_ours(&private));
    assert_ne!(state.postmaster(), Some(stranger.id()));
    private.close().await.unwrap();
    assert!(stranger.try_wait().unwrap().is_none(), "somebody else's process is left alone");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

// --- another smista, as a process of its own

/// Runs this test program again, as a smista that opens the private PostgreSQL and does what it is told on its input.
struct OtherSmista {
    child: Child,
    say: ChildStdin,
    hear: BufReader<ChildStdout>,
}

const STATE_OF_CHILD: &str = "SMISTA_TEST_CHILD_STATE";

impl OtherSmista {
    fn start(state: &State) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "other_smista", "--nocapture"])
            .env(STATE_OF_CHILD, state.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (say, hear) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut other = Self { child, say, hear };
        other.hears("open");
        other
    }
    /// Waits for an answer; the test harness's own lines are passed over.
    fn hears(&mut self, expected: &str) {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.hear.read_line(&mut line).unwrap(), 0, "it ended without saying {expected:?}");
            if let Some(said) = line.split("child: ").nth(1) {
                assert_eq!(said.trim(), expected);
                return;
            }
        }
    }
    fn does(&mut self, what: &str, answer: &str) {
        writeln!(self.say, "{what}").unwrap();
        self.hears(answer);
    }
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The other smista's part; nothing by itself (then it checks that it is not taken for one).
#[tokio::test]
async fn other_smista() {
    let Ok(dir) = std::env::var(STATE_OF_CHILD) else {
        assert!(std::env::var_os(STATE_OF_CHILD).is_none());
        return;
    };
    let dir = PathBuf::from(dir);
    let settings = PrivateSettings::new(&dir, &dir.join("run"), None);
    let private = PrivatePostgres::attach_or_start(settings, Role::Daemon).await.unwrap();
    let store = store(&private).await;
    store.migrate().await.unwrap();
    println!("child: open");
    let mut line = String::new();
    loop {
        line.clear();
        if std::io::stdin().read_line(&mut line).unwrap() == 0 || line.trim() == "close" {
            private.close().await.unwrap();
            println!("child: closed");
            return;
        }
        store.register_channels(&[line.trim().parse().unwrap()]).await.unwrap();
        println!("child: committed");
    }
}

#[tokio::test]
async fn a_smista_that_is_killed_leaves_no_server_behind_and_loses_no_row() {
    let state = State::new();
    for round in 1..=3 {
        let mut other = OtherSmista::start(&state);
        let pid = state.postmaster().unwrap();
        other.does(&format!("email/casella-{round}"), "committed");
        other.kill();
        // At once, while the server is still about to stop.
        let private = state.open(Role::Command).await;
        assert!(is_ours(&private));
        assert!(!lives(pid), "the server went with its smista");
        assert_eq!(rows(&store(&private).await).await, round);
        private.close().await.unwrap();
    }
}

#[tokio::test]
async fn smista_and_its_server_killed_together_lose_no_row() {
    let state = State::new();
    let mut other = OtherSmista::start(&state);
    other.does("email/urp", "committed");
    let pid = state.postmaster().unwrap();
    kill(pid, "KILL");
    other.kill();
    let private = state.open(Role::Command).await;
    assert_eq!(rows(&store(&private).await).await, 1);
    private.close().await.unwrap();
}

#[tokio::test]
async fn a_living_smistas_server_is_used_and_left_running() {
    let state = State::new();
    let mut other = OtherSmista::start(&state);
    let pid = state.postmaster().unwrap();
    let private = state.open(Role::Command).await;
    assert!(!is_ours(&private));
    assert_eq!(rows(&store(&private).await).await, 0);
    private.close().await.unwrap();
    assert!(lives(pid));
    other.does("close", "closed");
    other.child.wait().unwrap();
    assert!(!lives(pid));
}

fn kill(pid: u32, signal: &str) {
    let done = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status().unwrap();
    assert!(done.success());
}
