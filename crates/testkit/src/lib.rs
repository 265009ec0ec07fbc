//! Servers and doubles for tests. Nothing here goes into the product.

#[cfg(feature = "database")]
pub mod bench;
pub mod certificates;
pub mod chaos_proxy;
#[cfg(feature = "database")]
pub mod conformance;
#[cfg(feature = "database")]
pub mod crashes;
pub mod cyrus;
pub mod dovecot;
#[cfg(feature = "database")]
mod held;
pub mod imap_client;
pub mod installation;
pub mod mail_server;
pub mod memory_intake;
pub mod nasty;
pub mod pec;
pub mod ports;
#[cfg(feature = "database")]
pub mod postgres;
pub mod scripted_imap;
pub mod token_endpoint;
pub mod webhooks;
