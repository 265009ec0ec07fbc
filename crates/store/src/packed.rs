//! Raw bytes as they are kept: zstd, level 1 (mail shrinks to a third; higher levels cost more than they save).
//!
//! A context of the library is large, and making one costs as much as compressing a short letter: each batch has one.

use bytes::Bytes;
use sqlx::{Connection as _, PgConnection};
use zstd::bulk::{Compressor, Decompressor};

use crate::{Result, StoreError};

const LEVEL: i32 = 1;

/// Compresses the letters of a batch, one after the other.
pub(crate) struct Packer(Compressor<'static>);

impl Packer {
    pub(crate) fn new() -> Result<Self> {
        Compressor::new(LEVEL).map(Self).map_err(StoreError::other)
    }

    /// Compresses raw bytes for keeping.
    pub(crate) fn pack(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut packed = self.0.compress(bytes).map_err(StoreError::other)?;
        // It was given room for the worst case.
        packed.shrink_to_fit();
        Ok(packed)
    }
}

/// Decompresses the letters of a batch, one after the other.
pub(crate) struct Unpacker(Decompressor<'static>);

impl Unpacker {
    pub(crate) fn new() -> Result<Self> {
        Decompressor::new().map(Self).map_err(StoreError::other)
    }

    /// Gives back exactly the `size` octets that were kept.
    pub(crate) fn unpack(&mut self, packed: &[u8], size: i64) -> Result<Bytes> {
        let size = usize::try_from(size).unwrap_or(0);
        let raw = self.0.decompress(packed, size).map_err(StoreError::other)?;
        Ok(Bytes::from(raw))
    }
}

/// A connection's buffers from this many octets on are not kept for the next batch.
const LARGE: usize = 4 << 20;

/// After so many octets have gone through a connection: gives back what they took in its buffers, which would otherwise stay
/// as large as the largest letter, in each connection of the pool.
pub(crate) fn let_go(connection: &mut PgConnection, octets: usize) {
    if octets >= LARGE {
        connection.shrink_buffers();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_back() {
        let (mut packer, mut unpacker) = (Packer::new().expect("packs"), Unpacker::new().expect("unpacks"));
        for raw in [Vec::new(), b"Subject: buca\r\n\r\n\xe8".to_vec(), vec![0; 3_000_000]] {
            let size = i64::try_from(raw.len()).expect("small");
            let small = packer.pack(&raw).expect("packs");
            assert_eq!(unpacker.unpack(&small, size).expect("unpacks"), raw);
        }
    }
}
