//! Raw bytes as they are kept: zstd, level 1 (mail shrinks to a third; higher levels cost more than they save).

use bytes::Bytes;

use crate::{Result, StoreError};

const LEVEL: i32 = 1;

/// Compresses raw bytes for keeping.
pub(crate) fn pack(bytes: &[u8]) -> Result<Vec<u8>> {
    zstd::bulk::compress(bytes, LEVEL).map_err(StoreError::other)
}

/// Gives back exactly the `size` octets that were kept.
pub(crate) fn unpack(packed: &[u8], size: i64) -> Result<Bytes> {
    let size = usize::try_from(size).unwrap_or(0);
    let raw = zstd::bulk::decompress(packed, size).map_err(StoreError::other)?;
    Ok(Bytes::from(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_back() {
        for raw in [Vec::new(), b"Subject: buca\r\n\r\n\xe8".to_vec(), vec![0; 3_000_000]] {
            let size = i64::try_from(raw.len()).expect("small");
            assert_eq!(unpack(&pack(&raw).expect("packs"), size).expect("unpacks"), raw);
        }
    }
}
