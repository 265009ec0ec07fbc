//! What servers send.

use smista_email::imap::fuzz::heard;

use super::how;

/// Literals of more octets than this are cut.
const KEEP: usize = 1000;

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
}

/// Whatever a server sends: responses that async-imap can read, then the end; the same in whatever pieces it comes.
pub fn imap(data: &[u8]) {
    let (how, octets) = how(data);
    RUNTIME.with(|runtime| {
        let (whole, end) = runtime.block_on(heard(octets.to_vec(), 1 << 16, KEEP));
        let (pieces, same) = runtime.block_on(heard(octets.to_vec(), 1 + usize::from(how % 64), KEEP));
        assert_eq!(whole, pieces, "in one piece or in many");
        assert_eq!(end.to_string(), same.to_string());
    });
}
