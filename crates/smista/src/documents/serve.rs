//! The process that reads documents: `smista read-document`, which nobody calls but smista itself.
//!
//! On standard input come documents, each with its length before it (32 bits, big endian); for each an answer goes to standard
//! output, framed alike: the JSON of what [`text_of`] returns. The process ends when its input does, so it outlives no parent. (Not by
//! `PR_SET_PDEATHSIG`: that signal comes when the *thread* ends that started the process, and the daemon's threads come and go.)
//!
//! Invariant: before the first octet is read, memory, processor time, files and dumps are limited. What goes beyond ends the
//! process, and with it this one document.

use std::{
    io::{Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

use nix::sys::resource::{RLIM_INFINITY, Resource, UsageWho, getrusage, setrlimit};
use smista_documents::{Document, Limits, Unreadable, text_of};

/// What the process is called with.
pub(crate) const COMMAND: &str = "read-document";
/// Address space: the program itself, a document of 32 MB several times over, and what is unpacked from it.
const MEMORY: u64 = 512 << 20;
/// Processor time for one document, in seconds: a little more than the parent waits.
const SECONDS: u64 = 9;
/// No document is longer; one that claims to be is no document.
pub(super) const MOST_OCTETS: u32 = 32 << 20;

/// What is answered.
pub(super) type Answer = Result<Document, Unreadable>;

/// Reads documents until there are no more.
pub(crate) fn serve() -> ExitCode {
    if confine().is_err() {
        return ExitCode::FAILURE;
    }
    // A library's panic says what it stumbled over, and that is somebody's letter.
    std::panic::set_hook(Box::new(|_| {}));
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    loop {
        let Some(document) = receive(&mut input) else { return ExitCode::SUCCESS };
        if more_time().is_err() {
            return ExitCode::FAILURE;
        }
        let read = catch_unwind(AssertUnwindSafe(|| text_of(&document, &Limits::default())));
        drop(document);
        let answer: Answer = read.unwrap_or(Err(Unreadable::Panicked));
        let Ok(json) = serde_json::to_vec(&answer) else { return ExitCode::FAILURE };
        if send(&mut output, &json).is_err() {
            return ExitCode::SUCCESS;
        }
    }
}

/// Limits that hold for the whole life of the process. It opens nothing: what it needs is open.
fn confine() -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_AS, MEMORY, MEMORY)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?;
    setrlimit(Resource::RLIMIT_NOFILE, 8, 8)
}

/// Processor time is counted from the start of the process: each document gets its own on top.
fn more_time() -> nix::Result<()> {
    let used = getrusage(UsageWho::RUSAGE_SELF)?;
    let used = used.user_time().tv_sec().saturating_add(used.system_time().tv_sec());
    let soft = u64::try_from(used).unwrap_or(0).saturating_add(SECONDS);
    setrlimit(Resource::RLIMIT_CPU, soft, RLIM_INFINITY)
}

/// A framed message; None at the end, or when what comes is none.
pub(super) fn receive(input: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length).ok()?;
    let length = u32::from_be_bytes(length);
    if length > MOST_OCTETS {
        return None;
    }
    let mut bytes = Vec::new();
    input.take(u64::from(length)).read_to_end(&mut bytes).ok()?;
    (u64::try_from(bytes.len()) == Ok(u64::from(length))).then_some(bytes)
}

/// Sends a framed message.
pub(super) fn send(output: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| std::io::ErrorKind::InvalidInput)?;
    output.write_all(&length.to_be_bytes())?;
    output.write_all(bytes)?;
    output.flush()
}
