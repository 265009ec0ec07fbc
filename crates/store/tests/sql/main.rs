//! The queue functions, who may call them, the feed of changes, deliveries and the ledger, on a real PostgreSQL whose owner is no
//! superuser. No test waits for time to pass: leases are moved into the past instead.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

mod access;
mod changes;
mod deliveries;
mod history;
mod limits;
mod linked;
mod queue;
mod races;
mod receipts;
mod report;
mod rulesets;
mod states;
mod town;
