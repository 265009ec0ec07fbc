//! Every line of SQL: the tables and their migrations, the [`Intake`](smista_domain::Intake) of the channels, leases, the
//! queue functions, and the private PostgreSQL of installations that have no database of their own.
//!
//! Invariants kept here: bytes and cursor are committed together (what `accept` reported as `Ok` is durable); a delivery
//! that comes again changes nothing; who has lost the lease on a channel commits nothing more for it; every transition of
//! a state is one statement.
//!
//! One schema is one town hall. Names in SQL are unqualified: each connection's search path names the schema.

mod channels;
mod clean;
mod connect;
mod database_settings;
mod deliveries;
mod error;
mod find;
mod handover;
mod intake;
mod lease;
mod migrate;
mod notify;
mod packed;
pub mod private;
mod queue;
mod report;
mod rulesets;
mod schema;
pub mod settle;
mod sql_time;
mod threads;

pub use channels::{ChannelCursor, ChannelHolder, ChannelStatus};
pub use connect::{Store, StoreOptions};
pub use database_settings::{DatabaseSettings, codes as database_codes, codes::ALL as DATABASE_CODES};
pub use deliveries::{DeliveryError, DeliveryFilter, DeliveryRow, DeliveryView, ReceiptView};
pub use error::StoreError;
pub use handover::Handover;
pub use intake::StoreIntake;
pub use lease::{LONGEST as LONGEST_LEASE, Lease, LeaseEnd, LeaseKeeper};
pub use queue::{
    CaseView, Change, Claimed, Entry, HistoryEvent, MessageView, Queue, QueueError, QueueFilter, QueueRow,
    Rejection, RejectionKind, RelatedCase,
};
pub use report::{Backlog, LedgerRow, Numbers, Problem, QueueLength};
pub use rulesets::{Activated, Activation, ActivationError, KindRow, SectorRow};
pub use schema::SchemaName;

/// `Ok`, or why the store could not do it.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
