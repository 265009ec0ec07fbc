//! The loop that takes connections: bounded in number, in the time for a head, and in the time that stopping takes.
//!
//! axum's own loop has none of these bounds, so HTTP/1 is served with hyper here; what is served stays an axum router.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What a listener bears.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; more are closed at once.
    pub connections: usize,
    /// Time for the head of a request, from when it may begin: also how long a connection may be idle.
    pub head: Duration,
    /// How long requests that are under way may go on after a stop.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 256, head: Duration::from_secs(10), stop: Duration::from_secs(5) }
    }
}

/// How long a listener without file descriptors waits.
const SPENT: Duration = Duration::from_millis(200);

/// Serves until stopped; then requests that are under way are answered, and everything else is closed.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let (connections, cut) = (TaskTracker::new(), CancellationToken::new());
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // No file descriptors left, say: that stays so for a while.
            tokio::time::sleep(SPENT).await;
            continue;
        };
        // Without a place it is closed here.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let service = TowerToHyperService::new(router.clone());
        let (stop, cut) = (stop.clone(), cut.clone());
        connections.spawn(async move {
            let _place = place;
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(64 * 1024);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            tokio::select! {
                // However it ended: whoever was there knows it.
                _ = connection.as_mut() => return Ok::<(), Infallible>(()),
                () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            tokio::select! {
                _ = connection.as_mut() => {}
                () = cut.cancelled() => {}
            }
            Ok(())
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.stop, connections.wait()).await.is_err() {
        cut.cancel();
        connections.wait().await;
    }
}
