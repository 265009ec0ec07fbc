//! Where the configuration comes from: files with exact positions, layered with defaults and the environment, and the
//! diagnostics that tell people what is wrong in them.
//!
//! Every crate reads its own section(s) from a [`Section`] into types that cannot be wrong; whatever is wrong becomes a
//! [`Diagnostic`] at the place where a person wrote it. Invariants: every mistake is reported, not just the first; a
//! diagnostic never stops the reading of another section; no secret is ever shown.

mod address;
mod calendar;
pub mod codes;
mod comune;
mod decode;
mod diagnostic;
mod duration;
mod environment;
mod layers;
mod loader;
mod render;
mod secret;
mod section;
mod sectors;
mod source;
mod suggest;
mod syntax;
mod town;
mod tree;
mod wrong_type;

pub use calendar::Calendar;
pub use comune::{Comune, MonthDay};
pub use diagnostic::{Diagnostic, Diagnostics, Severity, sort};
pub use duration::Days;
pub use environment::Environment;
pub use loader::{Loaded, SYSTEM_DIR, find_config_dir, load, why_unreadable};
pub use render::{render, summary, to_json};
pub use secret::SecretSource;
pub use section::{Section, Spanned};
pub use sectors::{Kind, Sector, Sectors};
pub use source::{FileId, Position, Sources, Span};
pub use syntax::parse;
pub use town::{Http, OutboxMode, Queue, Retention, State, Town};
