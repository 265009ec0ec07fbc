//! The other side of [`super::serve`]: processes that read documents, started when they are needed and kept for the next one.
//!
//! Invariants: at most one document is with a process at a time; a process that dies, is silent beyond the limit, or answers something
//! else is killed and waited for, and the next document gets a new one; none is left behind when the readers are dropped.

use std::{
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{RecvTimeoutError, sync_channel},
    },
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use smista_documents::Unreadable;

use super::serve::{self, Answer};

/// A process makes room for a new one after so many documents: libraries leak.
const SERVES: u32 = 200;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// The process ended: out of memory, out of processor time, or killed.
    Died,
    /// It took too long and was killed.
    TimedOut,
    /// It could not be started.
    NotStarted,
}

impl Death {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Died => "died",
            Self::TimedOut => "timed-out",
            Self::NotStarted => "not-started",
        }
    }
}

/// Processes that wait for a document, one for each thread that needs one at the same time.
#[derive(Debug)]
pub(crate) struct Readers {
    program: PathBuf,
    idle: Mutex<Vec<Process>>,
}

impl Default for Readers {
    /// This program, the very file that runs, also when another version has been installed over it meanwhile.
    fn default() -> Self {
        Self::of(Path::new("/proc/self/exe"))
    }
}

impl Readers {
    pub(crate) fn of(program: &Path) -> Self {
        Self { program: program.to_owned(), idle: Mutex::default() }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Process>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a document. Blocks, for `within` at most.
    pub(crate) fn read(&self, document: &[u8], within: Duration) -> Result<Answer, Death> {
        if u32::try_from(document.len()).is_ok_and(|length| length > serve::MOST_OCTETS) {
            return Ok(Err(Unreadable::TooLarge));
        }
        if within.is_zero() {
            return Err(Death::TimedOut);
        }
        let known = self.idle().pop();
        if let Some(mut process) = known {
            match process.ask(document, within) {
                // It may have died before, or of what others left in it: a new one tells.
                Err(Death::Died) => {}
                result => return self.keep(process, result),
            }
        }
        let mut process = Process::start(&self.program).map_err(|_| Death::NotStarted)?;
        let result = process.ask(document, within);
        self.keep(process, result)
    }

    fn keep(&self, process: Process, result: Result<Answer, Death>) -> Result<Answer, Death> {
        if result.is_ok() && process.served < SERVES {
            self.idle().push(process);
        }
        result
    }
}

#[derive(Debug)]
struct Process {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    served: u32,
}

impl Process {
    fn start(program: &Path) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg0("smista")
            .arg(serve::COMMAND)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Self { child, input, output, served: 0 }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// One document there, its answer back. The pipes have no time limit of their own; a second thread kills the process when the
    /// time is over, which ends both. Its number cannot be another's meanwhile: nobody has waited for it.
    fn ask(&mut self, document: &[u8], within: Duration) -> Result<Answer, Death> {
        self.served += 1;
        let pid = Pid::from_raw(i32::try_from(self.child.id()).map_err(|_| Death::Died)?);
        let (done, wait) = sync_channel::<()>(1);
        std::thread::scope(|scope| {
            let watch = move || {
                let late = wait.recv_timeout(within) == Err(RecvTimeoutError::Timeout);
                late && kill(pid, Signal::SIGKILL).is_ok()
            };
            let watch =
                std::thread::Builder::new().spawn_scoped(scope, watch).map_err(|_| Death::NotStarted)?;
            let answer = serve::send(&mut self.input, document)
                .ok()
                .and_then(|()| serve::receive(&mut self.output))
                .and_then(|json| serde_json::from_slice(&json).ok());
            drop(done);
            let late = watch.join().unwrap_or(true);
            match answer {
                Some(answer) if !late => Ok(answer),
                _ if late => Err(Death::TimedOut),
                _ => Err(Death::Died),
            }
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    /// The program, which `cargo test -p smista` has built beside these tests.
    fn readers() -> Readers {
        let tests = std::env::current_exe().expect("a path");
        let program = tests.ancestors().nth(2).expect("a folder").join("smista");
        assert!(program.exists(), "build it first: cargo build -p smista");
        Readers::of(&program)
    }

    fn text(readers: &Readers, document: &str) -> String {
        let answer = readers.read(document.as_bytes(), LONG).expect("an answer");
        answer.expect("readable").pages.concat()
    }

    fn sample(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../documents/tests/samples");
        std::fs::read(folder.join(name)).expect("a sample")
    }

    #[test]
    fn documents_are_read_one_after_the_other_by_the_same_process() {
        let readers = readers();
        assert_eq!(text(&readers, "perché"), "perché");
        let first = readers.idle().first().map(|p| p.child.id());
        assert_eq!(readers.read(&[0; 9], LONG), Ok(Err(Unreadable::UnknownFormat)));
        let pdf = readers.read(&sample("istanza-ber.pdf.p7m"), LONG).expect("an answer").expect("readable");
        assert!(pdf.pages.concat().contains("una buca profonda"));
        assert_eq!(readers.idle().first().map(|p| p.child.id()), first);
    }

    #[test]
    fn a_document_that_takes_down_its_reader_costs_itself_and_the_next_is_read() {
        let readers = readers();
        assert_eq!(text(&readers, "prima"), "prima");
        assert_eq!(readers.read(&sample("senza-fine.pdf"), LONG), Err(Death::Died));
        assert!(readers.idle().is_empty());
        assert_eq!(text(&readers, "dopo"), "dopo");
    }

    #[test]
    fn a_document_that_wants_more_memory_than_there_is_gets_none() {
        let readers = readers();
        // Two gigabytes of nothing: the library is refused the memory and goes on, or falls over it.
        let answer = readers.read(&sample("bomba.pdf"), LONG);
        assert!(!matches!(answer, Ok(Ok(_))), "{answer:?}");
        assert_eq!(text(&readers, "dopo"), "dopo");
    }

    #[test]
    fn a_reader_that_was_killed_costs_no_document() {
        let readers = readers();
        assert_eq!(text(&readers, "prima"), "prima");
        let pid = readers.idle().first().map(|p| p.child.id()).expect("it waits");
        kill(Pid::from_raw(i32::try_from(pid).expect("a number")), Signal::SIGKILL).expect("ours");
        assert_eq!(text(&readers, "dopo"), "dopo");
    }

    /// A program that stands in for the reader, as a script.
    fn script(lines: &str) -> (tempfile::TempDir, Readers) {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("reader");
        std::fs::write(&program, format!("#!/bin/sh\n{lines}\n")).expect("written");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("ours");
        let readers = Readers::of(&program);
        (folder, readers)
    }

    #[test]
    fn what_is_silent_is_killed_and_what_dies_or_babbles_is_told_apart() {
        let (_folder, silent) = script("exec tail -f /dev/null");
        assert_eq!(silent.read(b"x", Duration::from_millis(50)), Err(Death::TimedOut));
        // More than a pipe holds, to a process that does not read.
        let (_folder, deaf) = script("exec tail -f /dev/null");
        assert_eq!(deaf.read(&vec![b'x'; 1 << 20], Duration::from_millis(50)), Err(Death::TimedOut));
        let (_folder, dying) = script("head -c 5 >/dev/null; kill -9 $$");
        assert_eq!(dying.read(b"x", LONG), Err(Death::Died));
        let (_folder, babbling) = script("echo sciocchezze");
        assert_eq!(babbling.read(b"x", LONG), Err(Death::Died));
        let absent = Readers::of(Path::new("/nonexistent/smista"));
        assert_eq!(absent.read(b"x", LONG), Err(Death::NotStarted));
        assert_eq!(absent.read(b"x", Duration::ZERO), Err(Death::TimedOut));
    }
}
