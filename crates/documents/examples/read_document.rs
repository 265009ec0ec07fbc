//! Prints what is read from a file: `cargo run -p smista-documents --example read_document -- FILE...`

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a tool for developers, not the daemon")]

use std::time::Instant;

fn main() {
    for name in std::env::args().skip(1) {
        let Ok(bytes) = std::fs::read(&name) else {
            println!("{name}: not there");
            continue;
        };
        let before = Instant::now();
        let read = smista_documents::text_of(&bytes, &smista_documents::Limits::default());
        println!("{name}: {:.1} ms\n{read:#?}", before.elapsed().as_secs_f64() * 1000.0);
    }
}
