//! IMAP, from the socket to the folder's cursor.
//!
//! async-imap speaks it, with a filter below it (`wire`, `mend`: what its parser cannot read does not reach it) and checks
//! above it (`session`: its own calls report success when a server said NO or hung up, and that is how mail is lost); see
//! docs/adr/0009.

pub mod advice;
pub mod budget;
pub mod certificate;
pub(crate) mod detail;
pub mod dial;
pub(crate) mod encode;
pub mod error;
pub(crate) mod fetch;
#[doc(hidden)]
pub mod fuzz;
pub(crate) mod generation;
pub(crate) mod login;
pub(crate) mod mailbox;
pub(crate) mod mend;
pub(crate) mod quota;
pub mod response;
pub mod session;
pub(crate) mod suspects;
pub mod tls;
pub(crate) mod trouble;
pub(crate) mod upstream;
pub(crate) mod vanished;
pub(crate) mod watch;
pub mod wire;

use std::time::Duration;

/// How long things may take. The defaults are for real servers; tests make them short.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Each of: finding the host's addresses, a TCP connection to one of them, the TLS handshake.
    pub connect: Duration,
    /// Silence on a connection that owes us an answer, after which it is dead.
    pub silence: Duration,
    /// The longest that one command may take, even if octets keep coming.
    pub command: Duration,
    /// The answer to IDLE's DONE.
    pub done: Duration,
    /// The longest IDLE: many NATs forget a silent connection after 5 minutes.
    pub idle: Duration,
    /// How long a folder that cannot be opened is left alone, while others of the mailbox go on.
    pub folder_retry: Duration,
    /// How often the server is asked how full the mailbox is.
    pub quota: Duration,
    /// After `stop`: how long open work may take.
    pub stop: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            // a cold Exchange thinks for 20 seconds about a SEARCH; beyond that nobody is there
            silence: Duration::from_secs(30),
            command: Duration::from_mins(15),
            done: Duration::from_secs(15),
            idle: Duration::from_secs(270),
            folder_retry: Duration::from_mins(5),
            quota: Duration::from_hours(1),
            stop: Duration::from_secs(2),
        }
    }
}
