//! Measuring the whole line, from a real mailbox to the queues of the sectors, for `make bench`.
//!
//! Everything is said as a ratio: machines differ, disks have moods, and neighbours are loud. What is compared is measured in
//! one run, by turns, on the same mailbox.

pub mod certified;
pub mod letters;
pub mod line;
pub mod python;
