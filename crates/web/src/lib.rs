//! HTTP. This version serves the public listener alone, and on it nothing but Meta's webhook: `GET|POST /webhooks/meta`.
//!
//! Invariants: 200 means that everything of the POST is committed; nothing is parsed whose signature does not fit; whatever a
//! stranger sends costs little (time and memory are bounded before a byte is looked at) and leaves no content in any log.

mod body;
mod listener;
mod problem;
mod traffic;
mod webhook;

pub use listener::{Limits, serve};
pub use traffic::{Refusal, Snapshot, Traffic};
pub use webhook::{MetaHook, router};
