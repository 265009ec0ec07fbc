//! `smista import mail`: letters from disk through the same path as fetched mail.

use std::{io::IsTerminal as _, path::PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use smista_domain::{ChannelKind, ChannelName, Delivery, Intake, IntakeError, Lang, Upstream};
use smista_email::import::{self, ImportError, ImportFault};
use smista_store::{Handover, Store, StoreIntake};
use tokio::sync::mpsc;

use super::{
    exit::{FOUND, Failure, UNAVAILABLE, USAGE},
    render,
};
use crate::clock;

/// How much is committed at once.
const BATCH_BYTES: usize = 8 << 20;
const BATCH_COUNT: usize = 200;

/// What an import did.
#[derive(Debug, Default, Clone, Copy, serde::Serialize)]
pub(crate) struct Imported {
    /// Letters that are new.
    pub(crate) new: usize,
    /// Letters that were there already.
    pub(crate) known: usize,
    /// What could not be read.
    pub(crate) errors: usize,
}

/// Reads everything under `paths` and commits it, a batch at a time; memory is bounded by one batch and one letter.
pub(crate) async fn store_letters(
    store: &Store,
    channel: &ChannelName,
    paths: Vec<PathBuf>,
    lang: Lang,
) -> Result<Imported, Failure> {
    let bar = progress(&paths, lang);
    let intake = StoreIntake::unleased(store.clone(), channel.clone(), Handover::new(0));
    let (sender, mut letters) = mpsc::channel(16);
    // Reading files blocks; a full channel makes it wait for the database.
    let reader = tokio::task::spawn_blocking(move || {
        for item in import::open(paths) {
            if sender.blocking_send(item).is_err() {
                return;
            }
        }
    });
    let (mut done, mut batch, mut size) = (Imported::default(), Vec::new(), 0);
    while let Some(item) = letters.recv().await {
        match item {
            Ok(letter) => {
                bar.inc(letter.consumed);
                size += letter.bytes.len();
                batch.push(Delivery {
                    channel: channel.clone(),
                    scope: letter.folder,
                    key: letter.key,
                    bytes: letter.bytes,
                    received_at: letter.received_at.unwrap_or_else(clock::now),
                    upstream: Upstream::Void,
                    facts: serde_json::Value::Null,
                    recognise: false,
                });
            }
            Err(error) => {
                done.errors += 1;
                bar.suspend(|| render::complain(&told(&error, lang)));
            }
        }
        if size >= BATCH_BYTES || batch.len() >= BATCH_COUNT {
            commit(&intake, std::mem::take(&mut batch), &mut done).await?;
            size = 0;
        }
    }
    commit(&intake, batch, &mut done).await?;
    bar.finish_and_clear();
    reader.await.map_err(|error| Failure::new(FOUND, error.to_string(), error.to_string()))?;
    Ok(done)
}

/// Commits a batch; one that the database refuses is halved until the letter that it will not take is alone.
async fn commit(intake: &StoreIntake, batch: Vec<Delivery>, done: &mut Imported) -> Result<(), Failure> {
    let mut left = vec![batch];
    while let Some(mut batch) = left.pop() {
        if batch.is_empty() {
            continue;
        }
        match intake.accept(batch.clone(), None).await {
            Ok(accepted) => {
                done.new += accepted.new;
                done.known += accepted.known;
            }
            Err(IntakeError::Refused(error)) if batch.len() == 1 => {
                done.errors += 1;
                let key = batch.first().map(|d| d.key.to_string()).unwrap_or_default();
                render::complain(&format!("{key}: {error}"));
            }
            Err(IntakeError::Refused(_)) => {
                let second = batch.split_off(batch.len() / 2);
                left.push(second);
                left.push(batch);
            }
            Err(error) => {
                let chain = smista_domain::chain(&error);
                return Err(Failure::new(
                    UNAVAILABLE,
                    format!("L'importazione si è fermata: {chain}"),
                    format!("The import stopped: {chain}"),
                )
                .hint(
                    "Ripetere lo stesso comando quando il database risponde: ciò che c'è già non viene raddoppiato.",
                    "Run the same command again when the database answers: what is there already is not doubled.",
                ));
            }
        }
    }
    Ok(())
}

/// Which file was left out, and why.
fn told(error: &ImportError, lang: Lang) -> String {
    let why = match (lang, &error.kind) {
        (Lang::It, ImportFault::Io(cause)) => format!("non si riesce a leggere: {cause}"),
        (Lang::En, ImportFault::Io(cause)) => format!("cannot be read: {cause}"),
        (Lang::It, ImportFault::TooLarge { limit }) => format!("la lettera supera i {limit} byte"),
        (Lang::It, ImportFault::NotMail) => {
            "non è una lettera né una casella (.eml, mbox o Maildir)".to_owned()
        }
        (Lang::It, ImportFault::Link) => {
            "è un collegamento simbolico, che non viene seguito: indicare il file vero".to_owned()
        }
        (Lang::It, ImportFault::TooDeep) => "le cartelle sono annidate troppo a fondo".to_owned(),
        (Lang::En, other) => other.to_string(),
    };
    format!("{}: {why}", error.origin)
}

fn progress(paths: &[PathBuf], lang: Lang) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(import::estimate(paths.to_vec()).bytes);
    let words = render::say(lang, "ancora", "left");
    let template = format!("{{bar:40}} {{bytes}}/{{total_bytes}} ({{bytes_per_sec}}, {words} {{eta}})");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}

/// The channel of `--channel`.
pub(crate) fn channel(name: &str) -> Result<ChannelName, Failure> {
    match name.parse::<ChannelName>() {
        Ok(channel) if channel.kind() == ChannelKind::Email => Ok(channel),
        _ => Err(Failure::new(
            USAGE,
            format!("«{name}» non è un canale di posta"),
            format!("'{name}' is no e-mail channel"),
        )
        .hint("Scrivere per esempio email/import.", "Write for instance email/import.")),
    }
}
