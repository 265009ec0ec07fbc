//! Ports on loopback for servers that tests start, stop and start again.
//!
//! A port that the system hands out (`bind` to 0) comes from the range that outgoing connections use as well: while its server
//! is not up yet, or is down for a moment, any connection on the machine may get it, and the server then cannot start. So these
//! come from below that range, and a lock on a file keeps other test processes off for as long as the [`Port`] lives.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

/// The lowest port that is tried: below are those of well-known services.
const LOWEST: u16 = 10_000;
/// Where Linux begins to number outgoing connections unless it was told otherwise.
const EPHEMERAL: u16 = 32_768;

/// A port that is nobody else's.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Locked; let go when the process ends, however it ends.
    _lock: File,
}

impl Port {
    /// Finds one that is free.
    pub fn reserve() -> io::Result<Self> {
        let dir = format!("/tmp/smista-ports-{}", nix::unistd::Uid::effective());
        fs::create_dir_all(&dir)?;
        let below = ephemeral_from();
        let first = fastrand::u16(LOWEST..below);
        (first..below).chain(LOWEST..first).find_map(|number| Self::take(Path::new(&dir), number)).ok_or_else(
            || io::Error::new(io::ErrorKind::AddrInUse, format!("no port from {LOWEST} to {below} is free")),
        )
    }

    fn take(dir: &Path, number: u16) -> Option<Self> {
        let lock = File::options().create(true).append(true).open(dir.join(number.to_string())).ok()?;
        lock.try_lock().ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self { number, _lock: lock })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// The first port of outgoing connections (`ip_local_port_range`, ip(7)); the usual one where that leaves no room below.
fn ephemeral_from() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|first| first.parse().ok());
    first.filter(|first| *first > LOWEST + 1_000).unwrap_or(EPHEMERAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ports_are_never_the_same_and_are_not_those_of_connections() {
        let ports: Vec<Port> = (0..50).map(|_| Port::reserve().expect("a port")).collect();
        let numbers: std::collections::BTreeSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), ports.len());
        assert!(numbers.iter().all(|n| (LOWEST..ephemeral_from()).contains(n)));
    }

    #[test]
    fn a_port_in_use_is_passed_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let free = Port::reserve().expect("a port");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free.number())).expect("it is free");
        assert!(Port::take(dir.path(), free.number()).is_none(), "somebody listens there");
        drop(listener);
        let held = Port::take(dir.path(), free.number()).expect("free again");
        assert!(Port::take(dir.path(), held.number()).is_none(), "somebody has reserved it");
    }
}
