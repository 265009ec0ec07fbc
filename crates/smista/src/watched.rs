//! An intake that tells [`Health`] of each commit, so that a channel that is busy can be told from one that hangs.

use smista_domain::{
    Accepted, Announced, ChannelName, Cursor, Delivery, DeliveryKey, Intake, IntakeError, Known, Pulse,
    UpstreamTask,
};

use crate::{clock, health::Health};

/// One channel's intake and where its commits are told.
#[derive(Clone)]
pub(crate) struct Watched<I> {
    intake: I,
    name: ChannelName,
    health: Health,
}

impl<I> Watched<I> {
    pub(crate) fn new(intake: I, name: ChannelName, health: Health) -> Self {
        Self { intake, name, health }
    }

    fn told<T>(&self, result: Result<T, IntakeError>) -> Result<T, IntakeError> {
        if result.is_ok() {
            self.health.committed(&self.name, clock::now());
        }
        result
    }
}

impl<I: Intake> Intake for Watched<I> {
    async fn accept(&self, batch: Vec<Delivery>, advance: Option<Cursor>) -> Result<Accepted, IntakeError> {
        self.told(self.intake.accept(batch, advance).await)
    }

    async fn cursor(&self, channel: &ChannelName, scope: &str) -> Result<Option<Cursor>, IntakeError> {
        self.intake.cursor(channel, scope).await
    }

    async fn announce(&self, announced: Vec<Announced>, advance: Option<Cursor>) -> Result<(), IntakeError> {
        self.told(self.intake.announce(announced, advance).await)
    }

    async fn due_announced(
        &self,
        channel: &ChannelName,
        scope: &str,
        limit: u32,
    ) -> Result<Vec<Known>, IntakeError> {
        self.intake.due_announced(channel, scope, limit).await
    }

    async fn known(&self, channel: &ChannelName, keys: Vec<DeliveryKey>) -> Result<Vec<Known>, IntakeError> {
        self.intake.known(channel, keys).await
    }

    async fn upstream_due(
        &self,
        channel: &ChannelName,
        key_prefix: &str,
        limit: u32,
    ) -> Result<Vec<UpstreamTask>, IntakeError> {
        self.intake.upstream_due(channel, key_prefix, limit).await
    }

    async fn upstream_done(&self, channel: &ChannelName, keys: Vec<DeliveryKey>) -> Result<(), IntakeError> {
        self.told(self.intake.upstream_done(channel, keys).await)
    }

    fn pulse(&self, pulse: Pulse) {
        self.intake.pulse(pulse);
    }
}
