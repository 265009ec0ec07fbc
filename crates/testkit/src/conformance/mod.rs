//! What every channel must pass, whatever its upstream is: a mailbox that is polled, a service that calls us, a file that
//! grows.
//!
//! Each requirement is a function: it runs the real program over a real PostgreSQL and looks at nothing but what the program
//! says, the JSON of its commands, and the database. What differs between channels is behind [`Rig`]: one for each kind. How
//! to write one: `docs/channels.md`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    reason = "for tests: what fails here fails the test at once"
)]

mod cut;
mod once;
mod poison;
mod refused;
mod stop;
mod trial;

pub use self::{
    cut::{database_cut, database_stalled},
    once::{delivered_twice, killed_between_commit_and_telling, killed_between_receive_and_commit},
    poison::{no_reader_likes_it, the_database_refuses_it},
    refused::{login_refused, one_of_many_fails_alone},
    stop::{stopped_while_the_database_hangs, stopped_while_the_network_hangs, stopped_while_upstream_hangs},
};
use crate::installation::Installation;

/// One kind of channel as the suite drives it: three channels, each with an upstream of its own (a mailbox, a page, a file).
/// They are told apart by their place in [`Rig::CHANNELS`].
///
/// Upstream keeps what it is given until the program takes it, as the real one does: one that calls us calls again until it
/// is answered. None of these functions waits for the program, except [`Rig::until_hanging`].
pub trait Rig: Sized {
    /// Their names: `email/urp`.
    const CHANNELS: [&'static str; 3];
    /// The code under which `status` shows that upstream does not let us in.
    const REFUSED: &'static str;
    /// Whether upstream is told of what is committed. Where it is not (a file that somebody else writes), [`Rig::told`] is 0.
    const TELLS: bool;

    /// Starts upstream, with nothing in it.
    fn start() -> impl Future<Output = Self>;

    /// Puts into the configuration directory what the sections name: certificates, passwords.
    fn equip(&self, town: &Installation);

    /// A channel's section of `smista.toml`, such that upstream is told ([`Rig::TELLS`]) and everything in it is taken in.
    fn section(&self, channel: usize) -> String;

    /// Sections that the channels share; nothing by default.
    fn shared(&self) -> String {
        String::new()
    }

    /// Variables in which two daemons on one machine must differ, for instance the address to listen on; none by default.
    fn variables(&self, daemon: usize) -> Vec<(String, String)> {
        let _ = daemon;
        Vec::new()
    }

    /// Upstream has a new thing of a citizen, with these words in it.
    fn put(&self, channel: usize, n: usize, words: &str);

    /// How many kinds of bad things there are.
    fn poisons(&self) -> usize;

    /// Upstream has a new thing that no reader likes. It becomes one delivery.
    fn put_poison(&self, channel: usize, kind: usize);

    /// Upstream has everything again that it ever had, as after a restore from its backup, or hands it over a second time.
    fn again(&mut self, channel: usize) -> impl Future<Output = ()>;

    /// Of how many things upstream knows that we have them.
    fn told(&self, channel: usize) -> usize;

    /// From now on upstream lets us in no more: the password has changed, the token is revoked, the folder is gone.
    fn shut(&mut self, town: &Installation, channel: usize);

    /// The operator mends it, without a restart of the daemon.
    fn mend(&mut self, town: &Installation, channel: usize);

    /// Upstream falls silent: nothing passes either way, connections stay.
    fn still(&self);

    /// Upstream has a new thing, as [`Rig::put`], and falls silent in the middle of handing it over.
    fn hang(&self, channel: usize, n: usize, words: &str);

    /// Waits until that has happened.
    fn until_hanging(&self) -> impl Future<Output = ()>;

    /// The end of [`Rig::still`] and [`Rig::hang`].
    fn go_on(&self);
}
