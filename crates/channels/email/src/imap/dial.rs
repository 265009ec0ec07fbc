//! From a host's name to an open TCP connection, in two steps that fail each for itself: the name (DNS), then each of its
//! addresses in turn.
//!
//! Invariant: no wait is endless, and an address that swallows everything leaves time for the others.

use std::{
    fmt,
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Duration,
};

use smista_domain::Text;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::error::{Fault, ImapError};

/// The addresses that were tried, and why each gave no connection.
#[derive(Debug)]
pub struct Tried(Vec<(SocketAddr, io::Error)>);

impl Tried {
    /// In both languages.
    pub fn text(&self) -> Text {
        let each = |words: fn(&io::Error) -> String| {
            let said: Vec<String> = self.0.iter().map(|(at, e)| format!("{at} {}", words(e))).collect();
            said.join("; ")
        };
        Text::new(each(|e| said(e).it), each(|e| said(e).en))
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text().en)
    }
}

fn said(error: &io::Error) -> Text {
    match error.kind() {
        ErrorKind::ConnectionRefused => Text::new(
            "rifiuta (su questa porta non ascolta nessuno)",
            "refuses (nobody listens at this port)",
        ),
        ErrorKind::TimedOut => {
            Text::new("non risponde (spento, o un firewall)", "does not answer (it is down, or a firewall)")
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            Text::new("è irraggiungibile (manca la rete fin lì)", "is unreachable (no network to it)")
        }
        _ => Text::new(format!("non va: {error}"), format!("fails: {error}")),
    }
}

/// The addresses of a host, in the order in which the system gives them; at least one.
pub(crate) async fn resolve(host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, ImapError> {
    let found = match timeout(limit, lookup_host((host, port))).await {
        Ok(Ok(found)) => Ok(found.collect::<Vec<_>>()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::new(ErrorKind::TimedOut, "the name server does not answer")),
    };
    let error = match found {
        Ok(found) if !found.is_empty() => return Ok(found),
        Ok(_) => io::Error::new(ErrorKind::NotFound, "no address"),
        Err(error) => error,
    };
    Err(ImapError::new("resolve", Fault::Resolve { host: host.to_owned(), error }))
}

/// A connection to the first address that gives one, within `limit` for all of them.
pub(crate) async fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<TcpStream, ImapError> {
    let share = limit / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut tried = Vec::new();
    for address in addresses {
        let error = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // small commands must not wait for each other's acknowledgement; if that fails, they merely wait
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Ok(Err(error)) => error,
            Err(_) => ErrorKind::TimedOut.into(),
        };
        tried.push((*address, error));
    }
    Err(ImapError::new("connect", Fault::Connect(Tried(tried))))
}
