//! Servers and doubles for tests. Nothing here goes into the product.

pub mod dovecot;
pub mod memory_intake;
pub mod nasty;
