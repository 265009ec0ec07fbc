//! A TCP proxy between program and server that can cut connections, stall them, and let only so many octets through.

use std::{io, net::Ipv4Addr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Everything passes.
    Open,
    /// Nothing passes, but connections stay.
    Stalled,
    /// Connections end, and new ones are ended at once.
    Cut,
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    mode: Mode,
    /// Goes up with each cut: connections of an earlier generation end.
    generation: u64,
    /// Octets from the server that each new connection lets through before it ends.
    limit: Option<u64>,
    /// True: after those octets it stalls instead.
    stall: bool,
}

/// A proxy to a port of this machine. It ends when dropped.
pub struct ChaosProxy {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    plan: Arc<watch::Sender<Plan>>,
    connections: watch::Receiver<u64>,
    silenced: Arc<watch::Sender<u64>>,
    _task: AbortOnDropHandle<()>,
}

impl ChaosProxy {
    /// A proxy to `127.0.0.1:port`.
    pub async fn start(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let own = listener.local_addr()?.port();
        let plan =
            Arc::new(watch::Sender::new(Plan { mode: Mode::Open, generation: 0, limit: None, stall: false }));
        let (count, connections) = watch::channel(0);
        let silenced = Arc::new(watch::Sender::new(0));
        let (plans, count_silenced) = (Arc::clone(&plan), Arc::clone(&silenced));
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                count.send_modify(|n| *n += 1);
                if plans.borrow().mode != Mode::Cut {
                    tokio::spawn(connection(near, port, plans.subscribe(), Arc::clone(&count_silenced)));
                }
            }
        });
        Ok(Self { port: own, plan, connections, silenced, _task: AbortOnDropHandle::new(task) })
    }

    /// Ends every connection; new ones work.
    pub fn cut(&self) {
        self.plan.send_modify(|p| p.generation += 1);
    }

    /// Ends every connection, and new ones at once, until [`Self::resume`].
    pub fn refuse(&self) {
        self.plan.send_modify(|p| (p.mode, p.generation) = (Mode::Cut, p.generation + 1));
    }

    /// Lets nothing through any more, until [`Self::resume`]; connections stay.
    pub fn stall(&self) {
        self.plan.send_modify(|p| p.mode = Mode::Stalled);
    }

    /// Everything passes again.
    pub fn resume(&self) {
        self.plan.send_modify(|p| p.mode = Mode::Open);
    }

    /// Each new connection ends after so many octets from the server; None: never.
    pub fn limit(&self, octets: Option<u64>) {
        self.plan.send_modify(|p| (p.limit, p.stall) = (octets, false));
    }

    /// Each new connection falls silent after so many octets from the server, and stays; None: never.
    pub fn stall_after(&self, octets: Option<u64>) {
        self.plan.send_modify(|p| (p.limit, p.stall) = (octets, true));
    }

    /// How many connections there have been.
    pub fn connections(&self) -> u64 {
        *self.connections.borrow()
    }

    /// Waits until there have been so many connections.
    pub async fn until_connections(&self, n: u64) {
        // the sender lives as long as the task
        let _ = self.connections.clone().wait_for(|now| *now >= n).await;
    }

    /// How many connections have fallen silent by [`Self::stall_after`].
    pub fn silenced(&self) -> u64 {
        *self.silenced.borrow()
    }

    /// Waits until so many connections have fallen silent by [`Self::stall_after`].
    pub async fn until_silenced(&self, n: u64) {
        let _ = self.silenced.subscribe().wait_for(|now| *now >= n).await;
    }
}

async fn connection(
    near: TcpStream,
    port: u16,
    plans: watch::Receiver<Plan>,
    silenced: Arc<watch::Sender<u64>>,
) {
    let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    let born = *plans.borrow();
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let mut ending = plans.clone();
    tokio::select! {
        _ = ending.wait_for(|p| p.generation != born.generation) => {}
        () = pump(near_read, far_write, plans.clone(), None, None) => {}
        () = pump(far_read, near_write, plans, born.limit, born.stall.then_some(&silenced)) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut plans: watch::Receiver<Plan>,
    mut limit: Option<u64>,
    silenced: Option<&watch::Sender<u64>>,
) {
    let mut buf = vec![0; 16 * 1024];
    loop {
        let Ok(n @ 1..) = from.read(&mut buf).await else { return };
        if plans.wait_for(|p| p.mode == Mode::Open).await.is_err() {
            return;
        }
        let allowed = limit.map_or(n, |left| n.min(usize::try_from(left).unwrap_or(n)));
        if to.write_all(buf.get(..allowed).unwrap_or_default()).await.is_err() {
            return;
        }
        if allowed < n {
            if let Some(silenced) = silenced {
                silenced.send_modify(|n| *n += 1);
                std::future::pending::<()>().await;
            }
            return;
        }
        limit = limit.map(|left| left - allowed as u64);
    }
}
