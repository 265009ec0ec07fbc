//! A certified mailbox as a real one was: of 156 messages 93 say that something was accepted, 47 are letters in their envelopes, 11
//! say that something was delivered, 2 that it was not, 2 are ordinary mail in anomaly envelopes, and one is such an envelope
//! around certified mail. In the shapes of five providers by turns, each signed.

use std::collections::BTreeMap;

use super::letters::Letters;
use crate::pec::{Authority, Gestore, How, Post, Shape};

/// What the messages of one round are.
const ROUND: &[(What, usize)] = &[
    (What::Receipt("accettazione", "pec-accettazione"), 93),
    (What::Envelope, 47),
    (What::Receipt("avvenuta-consegna", "pec-consegna"), 11),
    (What::Receipt("errore-consegna", "pec-mancata-consegna"), 2),
    (What::Anomaly, 2),
    (What::AnomalyOfEnvelope, 1),
];

#[derive(Debug, Clone, Copy)]
enum What {
    /// Its word, and the reason under which it is ignored.
    Receipt(&'static str, &'static str),
    Envelope,
    Anomaly,
    AnomalyOfEnvelope,
}

/// Messages of a certified mailbox, one after the other; the same seed gives the same letters.
#[derive(Debug)]
pub struct CertifiedMailbox {
    letters: Letters,
    providers: Vec<Gestore>,
    round: Vec<What>,
    next: usize,
    /// How many cases the messages so far must open.
    pub cases: usize,
    /// How many of them must be ignored, by reason.
    pub ignored: BTreeMap<&'static str, usize>,
}

impl CertifiedMailbox {
    /// One whose providers `authority` vouches for.
    pub fn new(authority: &Authority, seed: u64) -> Self {
        let mut round: Vec<What> =
            ROUND.iter().flat_map(|(what, times)| std::iter::repeat_n(*what, *times)).collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut round);
        Self {
            letters: Letters::of("pec", seed).alone(),
            providers: Shape::ALL.map(|shape| Gestore::new(shape, authority, How::Rsa)).into(),
            round,
            next: 0,
            cases: 0,
            ignored: BTreeMap::new(),
        }
    }
}

impl Iterator for CertifiedMailbox {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let n = self.next;
        self.next += 1;
        let what = *self.round.get(n % self.round.len())?;
        let provider = self.providers.get(n % self.providers.len())?;
        if let What::Receipt(kind, reason) = what {
            *self.ignored.entry(reason).or_default() += 1;
            let (to, id) = (format!("cittadino{n}@pec.example"), format!("risposta.{n}@comune.example"));
            let subject = "Re: la sua segnalazione";
            let rest = "\r\nLa segnalazione \u{e8} stata presa in carico.\r\n";
            let post =
                Post { from: "urp@pec.comune.example", to: &to, subject, message_id: &id, serial: n, rest };
            return Some(provider.receipt(kind, &post));
        }
        self.cases += 1;
        let letter = String::from_utf8(self.letters.next()?).ok()?;
        let (_, rest) = letter.split_once("X-Mailer: Posta 16.0\r\nSubject: ")?;
        let (subject, rest) = rest.split_once("\r\n")?;
        let (from, id) = (format!("cittadino{n}@pec.example"), format!("{n}@cittadini.pec.example"));
        let post =
            Post { from: &from, to: "urp@pec.comune.example", subject, message_id: &id, serial: n, rest };
        Some(match what {
            What::Anomaly => provider.anomaly(&post),
            What::AnomalyOfEnvelope => {
                provider.anomaly_around(&post, &String::from_utf8(provider.envelope(&post)).ok()?)
            }
            _ => provider.envelope(&post),
        })
    }
}
