//! The one place of this room that reads the wall clock.

use jiff::Timestamp;

/// Now.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place: everything else gets its instants from here or from the database"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
