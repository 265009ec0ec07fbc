//! Which case a message belongs to: pure, so that it can be tried with every order of arrival.
//!
//! A message joins the case that one of its references (`In-Reply-To`, `References`) leads to, or the case whose messages
//! referred to it before it came (a parent that arrives after its reply). A reference to a letter that never came here joins
//! only the case of the same sender: a thousand citizens may answer one mailing, and each has a matter of his own. Its own
//! identity alone proves nothing: broken senders repeat Message-IDs. A number in the subject joins only when the sender is on
//! that case already; otherwise anybody could write into anybody's case, so it opens a new one that is *related*.

use std::collections::{BTreeMap, HashMap, HashSet};

use sha2::{Digest as _, Sha256};

/// Keys longer than this are replaced by their hash, so that no sender can exceed what an index takes.
const MAX_KEY: usize = 250;

/// A thread key as it is stored.
pub(crate) fn key(raw: &str) -> String {
    let clean: String = raw.chars().filter(|c| *c != '\0').collect();
    if clean.len() <= MAX_KEY {
        clean
    } else {
        format!("long:{}", hex::encode(Sha256::digest(clean.as_bytes())))
    }
}

/// The key under which copies of one letter meet.
pub(crate) fn fingerprint_key(fingerprint: &str) -> String {
    key(&format!("fp:{fingerprint}"))
}

/// What the resolver needs to know of a message. Keys are already in stored form.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub(crate) delivery: i64,
    pub(crate) own: Option<String>,
    pub(crate) refs: Vec<String>,
    pub(crate) fingerprint: String,
    pub(crate) number: Option<String>,
    pub(crate) sender: Option<String>,
    /// The id that its case gets if it opens one.
    pub(crate) tentative: i64,
    /// Rules want it set aside, should it open a case.
    pub(crate) set_aside: bool,
    /// A person said that it is a message after all: it is never a double.
    pub(crate) reopened: bool,
}

/// Where a key leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyRow {
    pub(crate) segnalazione: i64,
    /// The delivery whose own identity it is; negative: the answer in the outbox; none while it was only referred to.
    pub(crate) owner: Option<i64>,
}

/// A case that exists already.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownCase {
    /// Sender addresses on it, lower case.
    pub(crate) senders: Vec<String>,
    /// False when it was closed too long ago: then a follow-up opens a new, related case.
    pub(crate) joinable: bool,
}

/// Why two cases are related.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Relation {
    /// A message belongs to the threads of both.
    Threads,
    /// A follow-up on a case that was closed long ago.
    AfterClose,
    /// The number stood in the subject, but the sender is not on that case.
    NumberInSubject,
}

impl Relation {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::AfterClose => "after-close",
            Self::NumberInSubject => "number-in-subject",
        }
    }
}

/// Where one message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placed {
    /// A copy of a letter that this case has.
    Double(i64),
    /// An answer of ours that came back to us: a loop.
    Own(i64),
    /// Appended to this case.
    Joins(i64),
    /// Opens the case with this id.
    Opens(i64),
    /// Needs nobody.
    SetAside,
}

/// The places of a batch, in its order, and what becomes of the keys.
#[derive(Debug, Default)]
pub(crate) struct Resolution {
    pub(crate) placed: Vec<Placed>,
    /// Every key that the batch leaves behind, new or changed, sorted.
    pub(crate) keys: BTreeMap<String, KeyRow>,
    /// (case, other case, why), each pair once.
    pub(crate) relations: BTreeMap<(i64, i64), Relation>,
}

/// Places every message of a batch, given the keys, cases and numbers that exist already.
pub(crate) fn resolve(
    batch: &[Incoming],
    existing: &HashMap<String, KeyRow>,
    cases: &HashMap<i64, KnownCase>,
    numbers: &HashMap<String, i64>,
) -> Resolution {
    let mut out = Resolution::default();
    // Who wrote into which case within this batch.
    let mut writers: HashSet<(i64, &str)> = HashSet::new();
    for message in batch {
        let look =
            |keys: &BTreeMap<String, KeyRow>, k: &str| keys.get(k).or_else(|| existing.get(k)).copied();
        let joinable = |case: i64| cases.get(&case).is_none_or(|c| c.joinable);

        if !message.reopened
            && let Some(KeyRow { segnalazione, owner: Some(..0) }) =
                message.own.as_deref().and_then(|own| look(&out.keys, own))
        {
            out.placed.push(Placed::Own(segnalazione));
            continue;
        }
        if !message.reopened
            && let Some(KeyRow { segnalazione, owner: Some(owner) }) = look(&out.keys, &message.fingerprint)
            && owner != message.delivery
        {
            out.placed.push(Placed::Double(segnalazione));
            continue;
        }
        let writes_in = |case: i64| {
            message.sender.as_ref().is_some_and(|sender| {
                writers.contains(&(case, sender.as_str()))
                    || cases.get(&case).is_some_and(|c| c.senders.contains(sender))
            })
        };
        let mut hits: Vec<i64> = Vec::new();
        let late_parent =
            message.own.as_deref().and_then(|own| look(&out.keys, own)).filter(|row| row.owner.is_none());
        let by_reference = message
            .refs
            .iter()
            .filter_map(|r| look(&out.keys, r))
            .filter(|row| row.owner.is_some() || writes_in(row.segnalazione));
        for row in by_reference.chain(late_parent) {
            if !hits.contains(&row.segnalazione) {
                hits.push(row.segnalazione);
            }
        }
        let (open_hits, closed_hits): (Vec<i64>, Vec<i64>) =
            hits.into_iter().partition(|case| joinable(*case));
        let mut related: Vec<(i64, Relation)> = Vec::new();
        let mut joined = open_hits.first().copied();
        related.extend(open_hits.iter().skip(1).map(|case| (*case, Relation::Threads)));
        related.extend(closed_hits.into_iter().map(|case| (case, Relation::AfterClose)));
        if joined.is_none()
            && let Some(case) = message.number.as_ref().and_then(|n| numbers.get(n)).copied()
        {
            match (writes_in(case), joinable(case)) {
                (true, true) => joined = Some(case),
                (true, false) => related.push((case, Relation::AfterClose)),
                (false, _) => related.push((case, Relation::NumberInSubject)),
            }
        }
        let case = match joined {
            Some(case) => {
                out.placed.push(Placed::Joins(case));
                case
            }
            None if message.set_aside => {
                out.placed.push(Placed::SetAside);
                continue;
            }
            None => {
                out.placed.push(Placed::Opens(message.tentative));
                message.tentative
            }
        };
        // A conversation that is known by a key that no letter owns, and whose case was closed too long ago, goes on in the new one.
        let moved =
            |row: &KeyRow| row.owner.is_none() && !joinable(row.segnalazione) && writes_in(row.segnalazione);
        let refs: Vec<&String> =
            message.refs.iter().filter(|k| look(&out.keys, k).is_none_or(|row| moved(&row))).collect();
        if let Some(sender) = &message.sender {
            writers.insert((case, sender.as_str()));
        }
        for (other, why) in related {
            if other != case {
                out.relations.entry((case, other)).or_insert(why);
            }
        }
        for k in message.own.iter().chain([&message.fingerprint]) {
            match look(&out.keys, k) {
                None => {
                    out.keys.insert(k.clone(), KeyRow { segnalazione: case, owner: Some(message.delivery) });
                }
                Some(row) if row.owner.is_none() => {
                    out.keys.insert(k.clone(), KeyRow { owner: Some(message.delivery), ..row });
                }
                Some(_) => {}
            }
        }
        for k in refs {
            if Some(k) != message.own.as_ref() {
                out.keys.insert(k.clone(), KeyRow { segnalazione: case, owner: None });
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(delivery: i64, own: &str, refs: &[&str]) -> Incoming {
        Incoming {
            delivery,
            own: (!own.is_empty()).then(|| own.to_owned()),
            refs: refs.iter().map(|r| (*r).to_owned()).collect(),
            fingerprint: format!("fp:{delivery}"),
            number: None,
            sender: Some("anna@example.it".to_owned()),
            tentative: delivery * 100,
            set_aside: false,
            reopened: false,
        }
    }

    fn alone(batch: &[Incoming]) -> Vec<Placed> {
        resolve(batch, &HashMap::new(), &HashMap::new(), &HashMap::new()).placed
    }

    #[test]
    fn a_reply_joins_its_parent() {
        assert_eq!(
            alone(&[letter(1, "a", &[]), letter(2, "b", &["a"])]),
            [Placed::Opens(100), Placed::Joins(100)]
        );
    }

    #[test]
    fn a_parent_that_comes_after_its_reply_joins_it() {
        assert_eq!(
            alone(&[letter(2, "b", &["a"]), letter(1, "a", &[])]),
            [Placed::Opens(200), Placed::Joins(200)]
        );
    }

    #[test]
    fn two_replies_to_a_letter_that_never_came_meet() {
        assert_eq!(
            alone(&[letter(2, "b", &["a"]), letter(3, "c", &["a"])]),
            [Placed::Opens(200), Placed::Joins(200)]
        );
    }

    #[test]
    fn answers_of_different_citizens_to_a_mailing_that_never_came_here_are_cases_of_their_own() {
        let from = |delivery: i64, own: &str, sender: &str| Incoming {
            sender: Some(sender.to_owned()),
            ..letter(delivery, own, &["mailing"])
        };
        let batch = [
            from(1, "a", "anna@example.it"),
            from(2, "b", "bruno@example.it"),
            from(3, "c", "anna@example.it"),
        ];
        let out = resolve(&batch, &HashMap::new(), &HashMap::new(), &HashMap::new());
        assert_eq!(out.placed, [Placed::Opens(100), Placed::Opens(200), Placed::Joins(100)]);
        assert!(out.relations.is_empty(), "they have nothing to do with each other");
        // The same against what was stored before.
        let keys = HashMap::from([("mailing".to_owned(), KeyRow { segnalazione: 7, owner: None })]);
        let cases =
            HashMap::from([(7, KnownCase { senders: vec!["anna@example.it".to_owned()], joinable: true })]);
        assert_eq!(
            resolve(&batch, &keys, &cases, &HashMap::new()).placed,
            [Placed::Joins(7), Placed::Opens(200), Placed::Joins(7)]
        );
    }

    #[test]
    fn somebody_who_answers_a_letter_that_we_have_joins_its_case() {
        let other = Incoming { sender: Some("bruno@example.it".to_owned()), ..letter(2, "b", &["a"]) };
        assert_eq!(alone(&[letter(1, "a", &[]), other]), [Placed::Opens(100), Placed::Joins(100)]);
    }

    #[test]
    fn an_answer_of_ours_that_comes_back_is_a_loop_and_a_reply_to_it_is_none() {
        let keys = HashMap::from([("ours".to_owned(), KeyRow { segnalazione: 7, owner: Some(-3) })]);
        let cases = HashMap::from([(7, KnownCase { senders: Vec::new(), joinable: true })]);
        let back = letter(1, "ours", &[]);
        let batch = [back.clone(), letter(2, "b", &["ours"]), Incoming { reopened: true, ..back }];
        assert_eq!(
            resolve(&batch, &keys, &cases, &HashMap::new()).placed,
            [Placed::Own(7), Placed::Joins(7), Placed::Opens(100)]
        );
    }

    #[test]
    fn a_repeated_message_id_of_a_broken_sender_joins_nothing() {
        assert_eq!(
            alone(&[letter(1, "same", &[]), letter(2, "same", &[])]),
            [Placed::Opens(100), Placed::Opens(200)]
        );
    }

    #[test]
    fn the_same_letter_again_is_a_double() {
        let first = letter(1, "a", &[]);
        let again = Incoming { delivery: 2, tentative: 200, ..first.clone() };
        assert_eq!(alone(&[first, again]), [Placed::Opens(100), Placed::Double(100)]);
    }

    #[test]
    fn a_double_that_a_person_reopened_is_a_message() {
        let first = letter(1, "a", &[]);
        let again = Incoming { delivery: 2, tentative: 200, reopened: true, ..first.clone() };
        assert_eq!(alone(&[first, again]), [Placed::Opens(100), Placed::Opens(200)]);
    }

    #[test]
    fn the_same_delivery_read_again_after_a_crash_is_not_its_own_double() {
        let message = letter(1, "a", &[]);
        let keys = HashMap::from([("fp:1".to_owned(), KeyRow { segnalazione: 7, owner: Some(1) })]);
        let placed = resolve(&[message], &keys, &HashMap::new(), &HashMap::new()).placed;
        assert_eq!(placed, [Placed::Opens(100)]);
    }

    #[test]
    fn a_message_of_two_threads_joins_the_nearest_and_relates_the_other() {
        let batch = [letter(1, "a", &[]), letter(2, "b", &[]), letter(3, "c", &["b", "a"])];
        let out = resolve(&batch, &HashMap::new(), &HashMap::new(), &HashMap::new());
        assert_eq!(out.placed, [Placed::Opens(100), Placed::Opens(200), Placed::Joins(200)]);
        assert_eq!(out.relations, BTreeMap::from([((200, 100), Relation::Threads)]));
    }

    fn numbered(sender: &str) -> Resolution {
        let message = Incoming {
            number: Some("2026-000001".to_owned()),
            sender: Some(sender.to_owned()),
            ..letter(1, "a", &[])
        };
        let cases =
            HashMap::from([(7, KnownCase { senders: vec!["anna@example.it".to_owned()], joinable: true })]);
        resolve(&[message], &HashMap::new(), &cases, &HashMap::from([("2026-000001".to_owned(), 7)]))
    }

    #[test]
    fn a_number_in_the_subject_joins_for_who_is_on_the_case() {
        assert_eq!(numbered("anna@example.it").placed, [Placed::Joins(7)]);
    }

    #[test]
    fn a_stranger_with_a_number_in_the_subject_opens_a_related_case() {
        let out = numbered("mallory@example.com");
        assert_eq!(out.placed, [Placed::Opens(100)]);
        assert_eq!(out.relations, BTreeMap::from([((100, 7), Relation::NumberInSubject)]));
    }

    #[test]
    fn a_follow_up_on_a_case_closed_long_ago_opens_a_related_one_and_later_replies_go_there() {
        let keys = HashMap::from([("a".to_owned(), KeyRow { segnalazione: 7, owner: Some(70) })]);
        let cases = HashMap::from([(7, KnownCase { senders: Vec::new(), joinable: false })]);
        let batch = [letter(1, "b", &["a"]), letter(2, "c", &["b", "a"])];
        let out = resolve(&batch, &keys, &cases, &HashMap::new());
        assert_eq!(out.placed, [Placed::Opens(100), Placed::Joins(100)]);
        assert_eq!(out.relations, BTreeMap::from([((100, 7), Relation::AfterClose)]));
    }

    #[test]
    fn a_conversation_goes_on_in_the_new_case_once_its_old_one_was_closed_long_ago() {
        let says = |delivery: i64| letter(delivery, &format!("m{delivery}"), &["with-anna"]);
        let keys = HashMap::from([("with-anna".to_owned(), KeyRow { segnalazione: 7, owner: None })]);
        let senders = vec!["anna@example.it".to_owned()];
        let cases = HashMap::from([(7, KnownCase { senders, joinable: false })]);
        let out = resolve(&[says(1), says(2)], &keys, &cases, &HashMap::new());
        assert_eq!(out.placed, [Placed::Opens(100), Placed::Joins(100)]);
        assert_eq!(out.keys.get("with-anna"), Some(&KeyRow { segnalazione: 100, owner: None }));
        assert_eq!(out.relations, BTreeMap::from([((100, 7), Relation::AfterClose)]));
        let other = Incoming { sender: Some("bruno@example.it".to_owned()), ..says(3) };
        let out = resolve(&[other, says(4)], &keys, &cases, &HashMap::new());
        assert_eq!(out.placed, [Placed::Opens(300), Placed::Opens(400)], "nobody takes over another's");
    }

    #[test]
    fn what_is_set_aside_leaves_no_key_and_a_follow_up_on_a_case_is_never_set_aside() {
        let aside = Incoming { set_aside: true, ..letter(1, "a", &[]) };
        let out = resolve(std::slice::from_ref(&aside), &HashMap::new(), &HashMap::new(), &HashMap::new());
        assert_eq!((out.placed.as_slice(), out.keys.len()), ([Placed::SetAside].as_slice(), 0));
        let reply = Incoming { set_aside: true, ..letter(2, "b", &["z"]) };
        let keys = HashMap::from([("z".to_owned(), KeyRow { segnalazione: 7, owner: Some(70) })]);
        assert_eq!(resolve(&[reply], &keys, &HashMap::new(), &HashMap::new()).placed, [Placed::Joins(7)]);
    }

    #[test]
    fn a_monstrous_key_is_bounded() {
        assert_eq!(key("mid:short"), "mid:short");
        assert_eq!(key(&"x".repeat(100_000)).len(), 5 + 64);
    }
}
