//! Logs: to the journal under systemd, else to standard error. English, structured, never a person's data.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// What is logged unless `SMISTA_LOG` says otherwise.
const DAEMON: &str = "info,sqlx=warn";

fn filter(default: &str) -> EnvFilter {
    EnvFilter::builder().with_env_var("SMISTA_LOG").try_from_env().unwrap_or_else(|_| EnvFilter::new(default))
}

/// The daemon's log: the journal when standard error is connected to it, else lines on standard error.
pub(crate) fn daemon() {
    let journal = under_journal().then(tracing_journald::layer).and_then(Result::ok);
    let lines = journal.is_none().then(|| {
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
    });
    let _ = tracing_subscriber::registry()
        .with(journal.map(|layer| layer.with_filter(filter(DAEMON))))
        .with(lines.map(|layer| layer.with_filter(filter(DAEMON))))
        .try_init();
}

/// Commands for people are silent but for warnings.
pub(crate) fn command() {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time();
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter("warn"))).try_init();
}

/// systemd.exec(5), `$JOURNAL_STREAM`: device and inode of the stream that standard error is connected to.
fn under_journal() -> bool {
    use std::os::linux::fs::MetadataExt as _;
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else { return false };
    let Ok(meta) = std::fs::metadata("/proc/self/fd/2") else { return false };
    stream.to_str() == Some(&format!("{}:{}", meta.st_dev(), meta.st_ino()))
}
