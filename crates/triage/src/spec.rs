//! A rule as a person wrote it, with the place of everything, before it is known whether it makes sense.

use smista_domain::Priority;
use smista_settings::{Section, Span, Spanned};

/// What a rule weighs when it does not say.
pub const DEFAULT_WEIGHT: i64 = 10;

/// One `[[rule]]`.
#[derive(Debug, Clone)]
pub struct RuleSpec {
    /// Its name, unique over all files.
    pub id: Spanned<String>,
    /// Where its header stands.
    pub span: Option<Span>,
    /// False: checked and tested, but without a vote.
    pub enabled: bool,
    /// One of these patterns must be there.
    pub any: Vec<Spanned<String>>,
    /// All of these must.
    pub all: Vec<Spanned<String>>,
    /// None of these may.
    pub none: Vec<Spanned<String>>,
    /// One of these must stand in the subject.
    pub subject: Vec<Spanned<String>>,
    /// One of these channels (`email`, `email/urp`).
    pub channel: Vec<Spanned<String>>,
    /// One of these folders.
    pub folder: Vec<Spanned<String>>,
    /// One of these senders (`a@b.it`, `@b.it`, a number).
    pub sender: Vec<Spanned<String>>,
    /// One of these among the recipients.
    pub recipients: Vec<Spanned<String>>,
    /// One attachment like this (`*.pdf`, `image/*`, words of its name).
    pub attachment: Vec<Spanned<String>>,
    /// The sector that it votes for.
    pub sector: Option<Spanned<String>>,
    /// The kind.
    pub kind: Option<Spanned<String>>,
    /// The category.
    pub category: Option<Spanned<String>>,
    /// The priority.
    pub priority: Option<Spanned<Priority>>,
    /// Labels.
    pub tags: Vec<Spanned<String>>,
    /// The reason for setting the message aside.
    pub set_aside: Option<Spanned<String>>,
    /// How much each of its votes counts.
    pub weight: Spanned<i64>,
    /// Messages for which it must hold, and win.
    pub examples: Vec<Spanned<String>>,
    /// Messages for which it must not hold.
    pub counterexamples: Vec<Spanned<String>>,
}

impl RuleSpec {
    /// A rule without conditions and effects.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: Spanned::new(id.into(), None),
            span: None,
            enabled: true,
            any: Vec::new(),
            all: Vec::new(),
            none: Vec::new(),
            subject: Vec::new(),
            channel: Vec::new(),
            folder: Vec::new(),
            sender: Vec::new(),
            recipients: Vec::new(),
            attachment: Vec::new(),
            sector: None,
            kind: None,
            category: None,
            priority: None,
            tags: Vec::new(),
            set_aside: None,
            weight: Spanned::new(DEFAULT_WEIGHT, None),
            examples: Vec::new(),
            counterexamples: Vec::new(),
        }
    }

    /// Reads one `[[rule]]`; what is wrong is in the section's diagnostics. None when it has no id.
    pub fn read(mut section: Section) -> Option<Self> {
        let priorities = [
            ("urgent", Priority::Urgent),
            ("high", Priority::High),
            ("normal", Priority::Normal),
            ("low", Priority::Low),
        ];
        let id = section.required_string("id");
        // Lines hidden by a mistake of syntax, which was told: what seems to be missing may well be there.
        let is_whole = !section.is_damaged();
        let span = section.span();
        let enabled = section.bool("enabled").is_none_or(|b| b.value);
        let mut strings = |key| section.strings(key);
        let (any, all, none, subject) = (strings("any"), strings("all"), strings("none"), strings("subject"));
        let (channel, folder, sender) = (strings("channel"), strings("folder"), strings("sender"));
        let (recipients, attachment) = (strings("recipients"), strings("attachment"));
        let mut tags = strings("tag");
        tags.extend(strings("tags"));
        let (examples, counterexamples) = (strings("examples"), strings("counterexamples"));
        let sector = section.string("sector");
        let kind = section.string("kind");
        let category = section.string("category");
        let priority = section.choice("priority", &priorities);
        let set_aside = section.string("set_aside");
        let weight = section.int("weight").unwrap_or(Spanned::new(DEFAULT_WEIGHT, None));
        section.finish();
        Some(Self {
            id: id?,
            span,
            enabled,
            any,
            all,
            none,
            subject,
            channel,
            folder,
            sender,
            recipients,
            attachment,
            sector,
            kind,
            category,
            priority,
            tags,
            set_aside,
            weight,
            examples,
            counterexamples,
        })
        .filter(|_| is_whole)
    }

    /// Reads every `[[rule]]` of a file. Anything else in it is an error.
    pub fn read_file(mut file: Section) -> Vec<Self> {
        let rules = file.tables("rule").into_iter().filter_map(Self::read).collect();
        file.finish();
        rules
    }

    /// Where to point when the rule as a whole is meant: its id, else its header.
    pub(crate) fn place(&self) -> Option<Span> {
        self.id.span.or(self.span)
    }
}
