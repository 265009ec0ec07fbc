//! `smista status` also while the database is down: the daemon answers on a Unix socket under its runtime directory.
//!
//! The protocol is as plain as can be: whoever connects gets one JSON document and the end of the stream.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    health::{ChannelStatus, Condition, Health},
};

/// What a daemon says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DaemonStatus {
    /// Its version.
    pub(crate) version: String,
    /// Its process.
    pub(crate) pid: u32,
    /// The machine.
    pub(crate) host: String,
    /// Since when it runs.
    pub(crate) started_at: Timestamp,
    /// When this was said.
    pub(crate) at: Timestamp,
    /// The ruleset that it decides by (the first characters of its hash).
    pub(crate) ruleset: String,
    /// Every channel.
    pub(crate) channels: Vec<ChannelStatus>,
    /// What is wrong, worst first.
    pub(crate) conditions: Vec<Condition>,
}

/// The socket's place.
pub(crate) fn socket_path(run_dir: &Path) -> PathBuf {
    run_dir.join("status.sock")
}

/// What a daemon needs to answer.
pub(crate) struct Speaker {
    pub(crate) health: Health,
    pub(crate) host: String,
    pub(crate) started_at: Timestamp,
    pub(crate) ruleset: Box<dyn Fn() -> String + Send + Sync>,
}

impl Speaker {
    fn say(&self) -> DaemonStatus {
        DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            host: self.host.clone(),
            started_at: self.started_at,
            at: clock::now(),
            ruleset: (self.ruleset)(),
            channels: self.health.channels(),
            conditions: self.health.conditions(),
        }
    }

    /// Answers until stopped. A socket that a dead daemon left behind is replaced; one that answers is left alone.
    pub(crate) async fn serve(&self, run_dir: &Path, stop: &CancellationToken) -> std::io::Result<()> {
        std::fs::create_dir_all(run_dir)?;
        let path = socket_path(run_dir);
        if UnixStream::connect(&path).await.is_ok() {
            return Err(std::io::Error::new(
                std::io::ErrorKind::AddrInUse,
                format!("another smista answers on {}", path.display()),
            ));
        }
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660))?;
        self.health.clear("status-socket", "");
        loop {
            let stream = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            if stream.is_err() {
                // No file descriptors left, say: that stays so for a while.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            if let Ok((mut stream, _)) = stream {
                let answer = serde_json::to_vec(&self.say()).unwrap_or_default();
                // A caller that does not read must not hold the next one up.
                let _ = tokio::time::timeout(Duration::from_secs(2), async {
                    stream.write_all(&answer).await?;
                    stream.shutdown().await
                })
                .await;
            }
        }
        let _ = std::fs::remove_file(&path);
        Ok(())
    }
}

/// Asks the daemon. `None` when none answers.
pub(crate) async fn ask(run_dir: &Path) -> Option<DaemonStatus> {
    let mut stream = UnixStream::connect(socket_path(run_dir)).await.ok()?;
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut answer)).await.ok()?.ok()?;
    serde_json::from_slice(&answer).ok()
}
