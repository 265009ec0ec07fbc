//! Where the configuration comes from: files with exact positions, layered with defaults and the environment, and the
//! diagnostics that tell people what is wrong in them.
//!
//! Every crate reads its own section(s) from a [`Section`] into types that cannot be wrong; whatever is wrong becomes a
//! [`Diagnostic`] at the place where a person wrote it. Invariants: every mistake is reported, not just the first; a
//! diagnostic never stops the reading of another section; no secret is ever shown.

pub mod codes;
mod decode;
mod diagnostic;
mod environment;
mod secret;
mod section;
mod source;
mod suggest;
mod syntax;
mod tree;
mod wrong_type;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use environment::Environment;
pub use secret::SecretSource;
pub use section::{Section, Spanned};
pub use source::{FileId, Position, Sources, Span};
pub use syntax::parse;
