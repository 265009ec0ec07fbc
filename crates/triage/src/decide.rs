//! From a message to a decision. Pure and total: the same message, channel and rules always give the same decision.
//!
//! Every rule that holds votes once, with its weight, for each thing that it sets. Votes for the same value are added up. The
//! winner of each subject needs `min_score` and a lead over the second; a tie is never won. For the sector the alternative to a
//! clear winner is the fallback sector, with the reason.

use std::collections::BTreeMap;

use smista_domain::{
    Alternative, ChannelName, DOCUMENT_SCAN, DOCUMENT_UNREADABLE, Decision, Evidence, KindId, Message,
    Priority, SectorId, Vote, VoteSubject,
};

use crate::{
    compile::{Compiled, Rules},
    condition::Found,
    hash::QuickSet,
    matcher::{Hits, Place},
};

/// What is known of a message besides itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The channel that it came in by.
    pub channel: ChannelName,
}

impl Context {
    /// A message of this channel.
    pub fn new(channel: ChannelName) -> Self {
        Self { channel }
    }
}

/// Why the fallback sector gets a message: no rule voted for a sector.
pub const NO_RULE: &str = "no-rule";
/// Why the fallback sector gets a message: the strongest sector is below `min_score`.
pub const BELOW_MIN_SCORE: &str = "below-min-score";
/// Why the fallback sector gets a message: the strongest sector is too close to the second.
pub const NO_LEAD: &str = "no-lead";

/// The name of the votes of what a citizen chose in a web form, and of their evidence.
pub(crate) const FORM: &str = "form";
/// Why the fallback sector gets a message: it says nothing itself, and its document is only pictures.
pub const ONLY_SCAN: &str = "only-scan";
/// Why the fallback sector gets a message: it says nothing itself, and its document cannot be read.
pub const UNREADABLE_DOCUMENT: &str = "unreadable-document";

/// Decides what a message is and who must answer it.
pub fn decide(message: &Message, context: &Context, rules: &Rules) -> Decision {
    let compiled = &*rules.0;
    let mut found =
        Found { message, hits: Hits::default(), fields: compiled.fields.find(message, &context.channel) };
    compiled.matcher.scan(Place::Subject, &message.subject, &mut found.hits);
    compiled.matcher.scan(Place::Text, &message.text, &mut found.hits);
    for (n, page) in (0u32..).zip(&message.documents) {
        compiled.matcher.scan_page(Place::Document, n, &page.text, &mut found.hits);
    }
    let mut votes = Ballot::default();
    votes.collect(compiled, &found);
    // What somebody else wrote counts only where the sender's own words say nothing.
    if !message.quoted.is_empty() && !votes.is_about_a_sector() {
        compiled.matcher.scan(Place::Quoted, &message.quoted, &mut found.hits);
        votes.collect(compiled, &found);
    }
    votes.votes.extend(of_form(message, compiled));
    let mut decision = tally(votes.votes, compiled);
    if let Some(reason) = nothing_to_go_by(message)
        && matches!(decision.fallback_reason.as_deref(), Some(NO_RULE | BELOW_MIN_SCORE))
    {
        decision.fallback_reason = Some(reason.to_owned());
    }
    decision
}

/// The letter says nothing itself, and what it sends along has no words for a rule to find.
fn nothing_to_go_by(message: &Message) -> Option<&'static str> {
    let noted = |note: &str| message.notes.iter().any(|n| n == note);
    if !message.documents.is_empty() {
        None
    } else if noted(DOCUMENT_SCAN) {
        Some(ONLY_SCAN)
    } else if noted(DOCUMENT_UNREADABLE) {
        Some(UNREADABLE_DOCUMENT)
    } else {
        None
    }
}

/// The votes of what a citizen chose in a form: for the category, as strong as what wins alone; and, as strong as one ordinary
/// word, for the sector that all rules with this category name. His own words may say otherwise: many choose the first
/// entry of a list.
fn of_form(message: &Message, compiled: &Compiled) -> Vec<Vote> {
    let Some(category) = message.form.as_ref().and_then(|form| form.category.as_ref()) else {
        return Vec::new();
    };
    let enough = compiled.settings.min_score.max(1);
    let vote = |about, value: &String, weight| Vote {
        rule: FORM.to_owned(),
        about,
        value: value.clone(),
        weight,
        evidence: vec![Evidence {
            pattern: FORM.to_owned(),
            words: category.clone(),
            place: FORM.to_owned(),
            line: 1,
        }],
    };
    let sector = compiled.sector_of_category.get(category);
    let sector = sector.map(|sector| vote(VoteSubject::Sector, sector, enough));
    let strong = enough.saturating_add(compiled.settings.lead.max(1));
    std::iter::once(vote(VoteSubject::Category, category, strong)).chain(sector).collect()
}

#[derive(Default)]
struct Ballot {
    votes: Vec<Vote>,
    voted: QuickSet<u32>,
}

impl Ballot {
    /// Lets every rule vote that holds and has not voted yet.
    fn collect(&mut self, compiled: &Compiled, found: &Found) {
        let by_pattern = found.hits.patterns().filter_map(|id| compiled.by_pattern.get(&id));
        let by_field = found.fields.keys().filter_map(|id| compiled.by_field.get(id));
        let mut candidates: Vec<u32> = by_pattern.chain(by_field).flatten().copied().collect();
        candidates.sort_unstable();
        candidates.dedup();
        for n in candidates {
            let Some(rule) = compiled.rules.get(n as usize) else { continue };
            if self.voted.contains(&n) || !rule.condition.holds(found) {
                continue;
            }
            self.voted.insert(n);
            let evidence = rule.condition.evidence(found);
            self.votes.extend(rule.votes.iter().map(|(about, value)| Vote {
                rule: rule.id.clone(),
                about: *about,
                value: value.clone(),
                weight: rule.weight,
                evidence: evidence.clone(),
            }));
        }
    }

    fn is_about_a_sector(&self) -> bool {
        self.votes
            .iter()
            .any(|v| v.weight > 0 && matches!(v.about, VoteSubject::Sector | VoteSubject::SetAside))
    }
}

/// Sums of one subject, strongest first, equal ones by value.
fn sums(votes: &[Vote], about: VoteSubject, counts: impl Fn(&Vote) -> bool) -> Vec<Alternative> {
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for vote in votes.iter().filter(|v| v.about == about && counts(v)) {
        let sum = sums.entry(&vote.value).or_default();
        *sum = sum.saturating_add(vote.weight);
    }
    let mut sums: Vec<Alternative> = sums
        .into_iter()
        .map(|(value, score)| Alternative { about, value: value.to_owned(), score })
        .collect();
    sums.sort_by(|a, b| b.score.cmp(&a.score).then_with(|| a.value.cmp(&b.value)));
    sums
}

/// The clear winner, or why there is none.
fn winner<'a>(sums: &'a [Alternative], compiled: &Compiled) -> Result<&'a Alternative, &'static str> {
    let Some(first) = sums.first() else { return Err(NO_RULE) };
    if first.score < compiled.settings.min_score.max(1) {
        return Err(BELOW_MIN_SCORE);
    }
    let lead = compiled.settings.lead.max(1);
    match sums.get(1) {
        Some(second) if first.score.saturating_sub(second.score) < lead => Err(NO_LEAD),
        _ => Ok(first),
    }
}

fn tally(mut votes: Vec<Vote>, compiled: &Compiled) -> Decision {
    votes.sort_by(|a, b| {
        b.weight.cmp(&a.weight).then_with(|| (&a.rule, a.about, &a.value).cmp(&(&b.rule, b.about, &b.value)))
    });
    let settings = &compiled.settings;
    let sectors = sums(&votes, VoteSubject::Sector, |_| true);
    let clear = winner(&sectors, compiled);
    let won = clear.ok().and_then(|w| SectorId::new(w.value.as_str()).ok());

    let kinds = sums(&votes, VoteSubject::Kind, |_| true);
    let kind = winner(&kinds, compiled).ok().and_then(|w| KindId::new(w.value.as_str()).ok());

    // A category belongs to the rules that voted for the sector that won, or for no sector.
    let of_losers: QuickSet<&str> = match &won {
        Some(won) => {
            let others = votes.iter().filter(|v| v.about == VoteSubject::Sector && v.value != won.as_str());
            others.map(|v| v.rule.as_str()).collect()
        }
        None => QuickSet::default(),
    };
    let categories = sums(&votes, VoteSubject::Category, |v| !of_losers.contains(v.rule.as_str()));
    let category = winner(&categories, compiled).ok().map(|w| w.value.clone());

    let priorities = sums(&votes, VoteSubject::Priority, |_| true);
    let priority = urgency(&priorities, compiled);

    let tag_sums = sums(&votes, VoteSubject::Tag, |_| true);
    let mut tags: Vec<String> = tag_sums.iter().filter(|t| t.score > 0).map(|t| t.value.clone()).collect();
    tags.sort();

    let reasons = sums(&votes, VoteSubject::SetAside, |_| true);
    let strongest = sectors.first().map_or(0, |s| s.score).max(0);
    let set_aside = reasons
        .first()
        .filter(|r| {
            r.score >= settings.min_score.max(1) && r.score.saturating_sub(strongest) >= settings.lead.max(1)
        })
        .map(|r| r.value.clone());

    let fallback_reason = if won.is_some() { None } else { clear.err().map(str::to_owned) };
    let scores = [sectors, kinds, categories, priorities, tag_sums, reasons].concat();
    Decision {
        kind: kind.unwrap_or_else(|| settings.default_kind.clone()),
        fallback: won.is_none(),
        sector: won.unwrap_or_else(|| settings.fallback.clone()),
        category,
        priority,
        tags,
        fallback_reason,
        set_aside,
        votes,
        scores,
        ruleset: compiled.id.clone(),
    }
}

/// The priority with the highest score; where the lead is missing the more urgent of those in question, since being too quick
/// harms nobody.
fn urgency(sums: &[Alternative], compiled: &Compiled) -> Priority {
    let Some(first) = sums.first() else { return Priority::default() };
    if first.score < compiled.settings.min_score.max(1) {
        return Priority::default();
    }
    let lead = compiled.settings.lead.max(1);
    let close = sums.iter().filter(|s| {
        s.score >= compiled.settings.min_score.max(1) && first.score.saturating_sub(s.score) < lead
    });
    close.filter_map(|s| Priority::from_word(&s.value)).min_by_key(|p| p.rank()).unwrap_or_default()
}
