//! The Facebook and Instagram channels: what Meta sends to our webhook, checked, split into deliveries, and read.
//!
//! Nothing here talks to a network. `signature` says whether Meta sent a body, `split` makes deliveries of it, and (later, from
//! what is committed) `read` makes messages of these. What this version leaves out: the Graph API is not asked, so what a
//! webhook does not say stays unknown, and what Meta did not send is not looked for.

pub mod config;
pub mod read;
pub mod signature;
pub mod split;
mod value;

pub use config::MetaSettings;
