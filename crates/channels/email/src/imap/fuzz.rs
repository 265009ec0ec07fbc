//! A door to what stands between a server's octets and async-imap, for the fuzz target in `tests/fuzz` and the tests of
//! `wire`. No part of what this crate offers.

#![allow(clippy::expect_used, reason = "what is not as it must be is to be seen")]

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::{
    error::Fault,
    response::Heard,
    wire::{HEAD, Wire},
};

const SILENCE: Duration = Duration::from_secs(5);

/// What async-imap reads of a server's octets, which come in pieces of `piece`, response by response up to the end. None: a
/// response that has nothing to say. Literals longer than `keep` are cut.
///
/// # Panics
/// If the library is given what it cannot read, or anything but one response at a time, or more than may be kept.
pub async fn heard(octets: Vec<u8>, piece: usize, keep: usize) -> (Vec<Option<String>>, Fault) {
    let (ours, mut theirs) = tokio::io::duplex(piece.max(1));
    // The reader may leave before the end.
    tokio::spawn(async move { theirs.write_all(&octets).await });
    let client = async_imap::Client::new(Wire::new(ours));
    let mut imap = client.login("", "").await.expect("answered here");
    imap.get_mut().open();
    imap.get_mut().keep = keep;
    let mut out = Vec::new();
    loop {
        match imap.get_mut().prepare(SILENCE).await {
            Ok(true) => {
                let data = imap.read_response().await.expect("readable").expect("ready");
                assert!(imap.get_ref().is_read(), "all of it, and nothing else");
                let heard = Heard { response: data.parsed(), cut: imap.get_ref().cut };
                let _ = heard.said();
                if let Some(body) = heard.fetched().and_then(|fetched| fetched.body) {
                    assert!(body.bytes.len() <= keep.max(HEAD), "more than may be kept");
                    assert!(body.length >= body.bytes.len() as u64, "more than there was");
                }
                out.push(Some(format!("{:?}", data.parsed())));
            }
            Ok(false) => out.push(None),
            Err(fault) => return (out, fault),
        }
    }
}
