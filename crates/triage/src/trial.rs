//! `smista rules test`: every example must make its rule hold and win, no counterexample may make it hold.
//!
//! An example is the text of a message. A first line `Oggetto: ...` is its subject; where a rule asks for a subject and the
//! example has no such line, the example is the subject. Conditions on channel, folder, sender, recipients and attachments
//! count as met: the first value of each is filled in.

use jiff::Timestamp;
use smista_domain::{
    Attachment, ChannelKind, ChannelName, Decision, Digest, Message, Sender, Text, ThreadKeys, VoteSubject,
};
use smista_settings::{Diagnostic, Span, Spanned};

use crate::{
    compile::Rules,
    decide::{Context, decide},
    explain,
    lint::main_subject,
    spec::RuleSpec,
};

/// An example or counterexample that does not do what it should.
#[derive(Debug, Clone)]
pub struct RuleTestFailure {
    /// The rule.
    pub rule: String,
    /// Where the example stands.
    pub span: Option<Span>,
    /// `rule-example-no-match`, `rule-example-loses`, `rule-counterexample-matches`.
    pub code: &'static str,
    /// The example.
    pub example: String,
    /// What happened instead.
    pub text: Text,
    /// What to do now.
    pub hint: Text,
    /// What was decided.
    pub decision: Decision,
}

impl RuleTestFailure {
    /// The same as a finding of `check`.
    pub fn diagnostic(&self) -> Diagnostic {
        let text = self.text.clone();
        Diagnostic::error(self.code, text.it, text.en)
            .hint(self.hint.it.as_str(), self.hint.en.as_str())
            .at_opt(self.span)
    }
}

/// How many examples and counterexamples there are in enabled rules.
pub fn count_examples(rules: &Rules) -> usize {
    rules.specs().iter().filter(|s| s.enabled).map(|s| s.examples.len() + s.counterexamples.len()).sum()
}

/// Tries every example and counterexample of the enabled rules, in the order of their ids.
pub fn test_rules(rules: &Rules) -> Vec<RuleTestFailure> {
    let mut failures = Vec::new();
    for spec in rules.specs().iter().filter(|s| s.enabled) {
        let try_one = |example: &Spanned<String>| {
            let (message, context) = message_of(spec, &example.value);
            decide(&message, &context, rules)
        };
        for example in &spec.examples {
            let decision = try_one(example);
            if let Some((code, text, hint)) = fault_of_example(spec, &decision) {
                failures.push(failure(spec, example, code, text, hint, decision));
            }
        }
        for example in &spec.counterexamples {
            let decision = try_one(example);
            if let Some(vote) = decision.votes.iter().find(|v| v.rule == spec.id.value) {
                let words = explain::words(&vote.evidence);
                let text = Text::new(
                    format!("questo controesempio fa scattare la regola \"{}\": {}", spec.id.value, words.it),
                    format!("this counterexample makes the rule '{}' hold: {}", spec.id.value, words.en),
                );
                let hint = Text::new(
                    "rendere più precise le parole della regola, o aggiungere a «none» quello che la esclude",
                    "make the words of the rule more precise, or add to 'none' what excludes it",
                );
                failures.push(failure(spec, example, "rule-counterexample-matches", text, hint, decision));
            }
        }
    }
    failures
}

fn failure(
    spec: &RuleSpec,
    example: &Spanned<String>,
    code: &'static str,
    text: Text,
    hint: Text,
    decision: Decision,
) -> RuleTestFailure {
    RuleTestFailure {
        rule: spec.id.value.clone(),
        span: example.span,
        code,
        example: example.value.clone(),
        text,
        hint,
        decision,
    }
}

fn fault_of_example(spec: &RuleSpec, decision: &Decision) -> Option<(&'static str, Text, Text)> {
    let id = &spec.id.value;
    if !decision.votes.iter().any(|v| v.rule == *id) {
        return Some((
            "rule-example-no-match",
            Text::new(
                format!("questo esempio non fa scattare la regola \"{id}\""),
                format!("this example does not make the rule '{id}' hold"),
            ),
            Text::new(
                "aggiungere alla regola le parole che mancano, o guardare se una voce di «none» la esclude",
                "add the missing words to the rule, or look whether a pattern in 'none' excludes it",
            ),
        ));
    }
    if spec.weight.value <= 0 {
        return None;
    }
    let wanted = match main_subject(spec)? {
        VoteSubject::Sector => {
            let sector = spec.sector.as_ref()?;
            if decision.sector.as_str() == sector.value && decision.set_aside.is_none() {
                return None;
            }
            &sector.value
        }
        VoteSubject::SetAside => {
            if decision.set_aside.is_some() {
                return None;
            }
            &spec.set_aside.as_ref()?.value
        }
        _ => {
            let kind = spec.kind.as_ref()?;
            if decision.kind.as_str() == kind.value {
                return None;
            }
            &kind.value
        }
    };
    let (outcome, about) = (explain::outcome(decision), main_subject(spec)?);
    let outcome = if about == VoteSubject::Kind { explain::kind(decision) } else { outcome };
    Some((
        "rule-example-loses",
        Text::new(
            format!(
                "questo esempio fa scattare la regola \"{id}\", ma non vince \"{wanted}\": {}",
                outcome.it
            ),
            format!("this example makes the rule '{id}' hold, but '{wanted}' does not win: {}", outcome.en),
        ),
        Text::new(
            "dare più peso a questa regola, oppure aggiungere a «none» dell'altra quello che la esclude",
            "give this rule more weight, or add to 'none' of the other one what excludes it",
        ),
    ))
}

/// The message that an example stands for.
fn message_of(spec: &RuleSpec, example: &str) -> (Message, Context) {
    let first = |list: &[Spanned<String>]| list.first().map(|v| v.value.trim().to_owned());
    let (subject, text) = split_subject(example, !spec.subject.is_empty());
    let attachments = first(&spec.attachment).map(|pattern| {
        let (name, media_type) = if pattern.contains('/') {
            ("allegato".to_owned(), pattern.replace('*', "x"))
        } else {
            (pattern.replace('*', "x"), "application/octet-stream".to_owned())
        };
        Attachment { name, media_type, size: 1, sha256: Digest([0; 32]), part: Vec::new(), inline: false }
    });
    let message = Message {
        sender: Sender { name: None, address: first(&spec.sender).map(address) },
        recipients: first(&spec.recipients).map(address).into_iter().collect(),
        subject,
        text,
        quoted: String::new(),
        signature: String::new(),
        sent_at: None,
        received_at: Timestamp::UNIX_EPOCH,
        folder: first(&spec.folder).unwrap_or_default(),
        attachments: attachments.into_iter().collect(),
        thread: ThreadKeys::default(),
        documents: Vec::new(),
        place: None,
        certified: None,
        protocol: None,
        form: None,
        forwarded_by: None,
        notes: Vec::new(),
    };
    (message, Context::new(channel(first(&spec.channel).as_deref())))
}

fn split_subject(example: &str, subject_wanted: bool) -> (String, String) {
    let (first, rest) = example.split_once('\n').unwrap_or((example, ""));
    let marked = first.trim_start().split_once(':').filter(|(word, _)| {
        let word = word.trim();
        word.eq_ignore_ascii_case("oggetto") || word.eq_ignore_ascii_case("subject")
    });
    match marked {
        Some((_, subject)) => (subject.trim().to_owned(), rest.to_owned()),
        None if subject_wanted => (example.replace('\n', " "), String::new()),
        None => (String::new(), example.to_owned()),
    }
}

fn address(value: String) -> String {
    if value.starts_with('@') { format!("qualcuno{value}") } else { value }
}

/// The channel asked for, a channel of the kind asked for, or the desk.
fn channel(wanted: Option<&str>) -> ChannelName {
    let wanted = wanted.unwrap_or("desk");
    let name = wanted.strip_suffix("/*").unwrap_or(wanted);
    let named = name.parse().or_else(|_| format!("{name}/esempio").parse());
    let named = named.or_else(|_| ChannelName::new(ChannelKind::Desk, "esempio"));
    named.unwrap_or_else(|_| unreachable!("'esempio' has the form of a name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_is_taken_from_its_line() {
        let split = |text, wanted| {
            let (subject, text) = split_subject(text, wanted);
            format!("{subject}|{text}")
        };
        assert_eq!(split("Oggetto: Buca\nIn via Dante", false), "Buca|In via Dante");
        assert_eq!(split("Nota: Buca", false), "|Nota: Buca");
        assert_eq!(split("Buca in\nvia Dante", true), "Buca in via Dante|");
    }

    #[test]
    fn the_channel_is_one_that_the_rule_asks_for() {
        for (wanted, made) in [
            (Some("email"), "email/esempio"),
            (Some("phone/*"), "phone/esempio"),
            (Some("email/urp"), "email/urp"),
            (None, "desk/esempio"),
        ] {
            assert_eq!(channel(wanted).as_str(), made);
        }
    }
}
