//! Reading a body within bounds: its size, the time that it takes, and the memory of all bodies together.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is counted in blocks of so many octets.
const BLOCK: usize = 4096;

/// What bodies may cost.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// Octets of one body.
    pub(crate) octets: usize,
    /// Time for one body, from its first octet to its last.
    pub(crate) within: Duration,
    /// Blocks of all bodies that are in memory.
    memory: Arc<Semaphore>,
}

impl Bounds {
    pub(crate) fn new(octets: usize, within: Duration, all: usize) -> Self {
        Self { octets, within, memory: Arc::new(Semaphore::new(all / BLOCK)) }
    }
}

/// A body in memory, and its share of it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    _memory: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    TooLarge,
    TooSlow,
    /// All bodies together need more memory than they may.
    NoRoom,
    /// The connection broke, or what came is no HTTP.
    Broken,
}

/// Reads a body. Memory is taken as its octets come: who announces much and sends little holds little.
pub(crate) async fn read(body: Body, announced: Option<u64>, bounds: &Bounds) -> Result<Held, Unread> {
    if announced.is_some_and(|octets| octets > bounds.octets as u64) {
        return Err(Unread::TooLarge);
    }
    tokio::time::timeout(bounds.within, collect(body, bounds)).await.unwrap_or(Err(Unread::TooSlow))
}

async fn collect(mut body: Body, bounds: &Bounds) -> Result<Held, Unread> {
    let mut bytes = BytesMut::new();
    let mut memory: Option<OwnedSemaphorePermit> = None;
    let mut blocks = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        let octets = bytes.len() + data.len();
        if octets > bounds.octets {
            return Err(Unread::TooLarge);
        }
        let wanted = octets.div_ceil(BLOCK);
        if wanted > blocks {
            let more = u32::try_from(wanted - blocks).map_err(|_| Unread::NoRoom)?;
            let taken =
                Arc::clone(&bounds.memory).try_acquire_many_owned(more).map_err(|_| Unread::NoRoom)?;
            match &mut memory {
                Some(held) => held.merge(taken),
                none => *none = Some(taken),
            }
            blocks = wanted;
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Held { bytes: bytes.freeze(), _memory: memory })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(octets: usize, all: usize) -> Bounds {
        Bounds::new(octets, Duration::from_mins(1), all)
    }

    #[tokio::test]
    async fn a_body_is_read_whole_or_not_at_all() {
        let bounds = bounds(10, 1 << 20);
        let held = read(Body::from("0123456789"), None, &bounds).await.expect("ten");
        assert_eq!(&held.bytes[..], b"0123456789");
        assert_eq!(read(Body::from("0123456789a"), None, &bounds).await.err(), Some(Unread::TooLarge));
        assert_eq!(read(Body::empty(), Some(11), &bounds).await.err(), Some(Unread::TooLarge));
        assert!(read(Body::empty(), None, &bounds).await.expect("none").bytes.is_empty());
    }

    #[tokio::test]
    async fn all_bodies_together_have_a_bound_and_give_back_what_they_took() {
        let bounds = bounds(3 * BLOCK, 2 * BLOCK);
        let body = || Body::from(vec![0; BLOCK]);
        let (one, two) = (read(body(), None, &bounds).await, read(body(), None, &bounds).await);
        assert!(one.is_ok() && two.is_ok());
        assert_eq!(read(body(), None, &bounds).await.err(), Some(Unread::NoRoom));
        drop(one);
        assert!(read(body(), None, &bounds).await.is_ok());
        assert_eq!(read(Body::from(vec![0; 3 * BLOCK]), None, &bounds).await.err(), Some(Unread::NoRoom));
    }

    #[tokio::test]
    async fn who_sends_nothing_more_is_not_waited_for() {
        struct Silent;
        impl axum::body::HttpBody for Silent {
            type Data = Bytes;
            type Error = std::convert::Infallible;
            fn poll_frame(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
                std::task::Poll::Pending
            }
        }
        let bounds = Bounds::new(10, Duration::ZERO, 1 << 20);
        let unread = read(Body::new(Silent), None, &bounds).await.err();
        assert_eq!(unread, Some(Unread::TooSlow));
    }
}
