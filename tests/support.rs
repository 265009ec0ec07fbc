//! What the tests of the whole program share.

use std::path::Path;

use smista_testkit::postgres::TestStore;

/// The program under test.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_smista"))
}

/// `[database]` for a fresh schema on the shared test server, migrated; and the store to look into it.
pub(crate) async fn database() -> (String, TestStore) {
    let store = TestStore::new().await;
    (store.table(), store)
}

/// A letter about a pothole that is like no other.
pub(crate) fn letter(n: usize) -> Vec<u8> {
    format!(
        "From: Cittadina {n} <cittadina{n}@example.it>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Buca numero {n}\r\n\
         Message-ID: <buca-{n}@example.it>\r\nDate: Mon, 23 Nov 2026 08:00:00 +0100\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\nIn via Dante {n} c'è una buca profonda nell'asfalto.\r\n"
    )
    .into_bytes()
}

/// A reply to letter `n`.
pub(crate) fn reply(n: usize, to: usize) -> Vec<u8> {
    format!(
        "From: Cittadina {to} <cittadina{to}@example.it>\r\nTo: urp@comune.gubbio.pg.it\r\n\
         Subject: Re: Buca numero {to}\r\nMessage-ID: <risposta-{n}@example.it>\r\nIn-Reply-To: <buca-{to}@example.it>\r\n\
         References: <buca-{to}@example.it>\r\nDate: Mon, 23 Nov 2026 09:00:00 +0100\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\nLa buca è ancora lì.\r\n"
    )
    .into_bytes()
}
