//! From rules as written to rules that decide, with everything that is wrong in them.
//!
//! Invariants: rules that compile cannot be wrong (every sector and kind exists, every rule can hold and has an effect); the
//! result does not depend on the order of files, rules or patterns; every mistake is reported, not just the first.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use smista_domain::{KindId, RulesetId, SectorId, VoteSubject};
use smista_settings::{Diagnostic, Diagnostics, Sectors, Spanned};

use crate::{
    canonical,
    condition::{Atom, Condition, Leaf},
    fields::{self, Field, Fields},
    hash::QuickMap,
    lint,
    matcher::{Matcher, MatcherBuilder},
    pattern::{self, Fault, Pattern},
    regexes::Expression,
    settings::Settings,
    spec::RuleSpec,
    stem::Stems,
};

/// Weights beyond this are mistakes.
const MAX_WEIGHT: i64 = 1000;

/// A rule that can decide.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) condition: Condition,
    pub(crate) weight: i64,
    pub(crate) votes: Vec<(VoteSubject, String)>,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) settings: Settings,
    pub(crate) rules: Vec<Rule>,
    pub(crate) matcher: Matcher,
    pub(crate) fields: Fields,
    /// Rules to look at when an atom is found.
    pub(crate) by_pattern: QuickMap<u32, Vec<u32>>,
    pub(crate) by_field: QuickMap<u32, Vec<u32>>,
    /// The sector of each category that rules give to one sector alone.
    pub(crate) sector_of_category: BTreeMap<String, String>,
    pub(crate) canonical: String,
    pub(crate) id: RulesetId,
    /// As written, sorted by id: for tests of examples.
    pub(crate) specs: Vec<RuleSpec>,
}

/// A compiled ruleset. Clones share it.
#[derive(Debug, Clone)]
pub struct Rules(pub(crate) Arc<Compiled>);

/// A pattern that could be read, and as what it stands in the file.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) value: Pattern,
    pub(crate) source: Spanned<String>,
}

/// The lists of a rule that hold patterns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patterns {
    pub(crate) any: Vec<Written>,
    pub(crate) all: Vec<Written>,
    pub(crate) none: Vec<Written>,
    pub(crate) subject: Vec<Written>,
}

impl Rules {
    /// Compiles rules. `sectors` says which sectors and kinds there are. What is wrong goes into `diagnostics`; None when
    /// an error was found here.
    pub fn compile(
        mut specs: Vec<RuleSpec>,
        sectors: &Sectors,
        settings: Settings,
        diagnostics: &Diagnostics,
    ) -> Option<Self> {
        specs.sort_by(|a, b| (&a.id.value, a.id.span).cmp(&(&b.id.value, b.id.span)));
        let mut compiler = Compiler {
            sectors,
            diagnostics,
            failed: false,
            builder: MatcherBuilder::new(),
            fields: Fields::default(),
            stems: Stems::new(),
        };
        compiler.settings(&settings);
        compiler.duplicates(&specs);
        let mut rules = Vec::new();
        let mut conditions: BTreeMap<String, &RuleSpec> = BTreeMap::new();
        for spec in &specs {
            let (rule, patterns) = compiler.rule(spec);
            let findings = lint::rule(spec, &patterns, &compiler.stems);
            for finding in findings {
                compiler.push(finding);
            }
            if let Some(finding) = lint::same_conditions(spec, &patterns, &mut conditions, &compiler.stems) {
                compiler.push(finding);
            }
            if spec.enabled {
                rules.extend(rule);
            }
        }
        if compiler.failed {
            return None;
        }
        let canonical = canonical::text(&specs, sectors, &settings);
        let id = canonical::id(&canonical);
        let (by_pattern, by_field) = triggers(&rules);
        let sector_of_category = sectors_of_categories(&rules);
        let (matcher, fields) = (compiler.builder.finish(), compiler.fields);
        Some(Self(Arc::new(Compiled {
            settings,
            rules,
            matcher,
            fields,
            by_pattern,
            by_field,
            sector_of_category,
            canonical,
            id,
            specs,
        })))
    }

    /// The name of this ruleset: a hash of everything that its decisions depend on. The order of files, rules and patterns
    /// does not change it, nor do examples.
    pub fn id(&self) -> &RulesetId {
        &self.0.id
    }

    /// What the name is a hash of: JSON, to be kept so that a decision can be made again.
    pub fn canonical(&self) -> &str {
        &self.0.canonical
    }

    /// How many rules vote.
    pub fn len(&self) -> usize {
        self.0.rules.len()
    }

    /// True when no rule votes: everything goes to the fallback sector.
    pub fn is_empty(&self) -> bool {
        self.0.rules.is_empty()
    }

    /// What they were compiled with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The rules as written, sorted by id, disabled ones included.
    pub fn specs(&self) -> &[RuleSpec] {
        &self.0.specs
    }
}

/// For each rule the atoms by which it is found.
fn triggers(rules: &[Rule]) -> (QuickMap<u32, Vec<u32>>, QuickMap<u32, Vec<u32>>) {
    let mut shared: HashMap<Atom, usize> = HashMap::new();
    for rule in rules {
        let mut atoms = Vec::new();
        rule.condition.positive(&mut atoms);
        atoms.sort();
        atoms.dedup();
        for atom in atoms {
            *shared.entry(atom).or_default() += 1;
        }
    }
    let (mut by_pattern, mut by_field) =
        (QuickMap::<u32, Vec<u32>>::default(), QuickMap::<u32, Vec<u32>>::default());
    for (n, rule) in (0u32..).zip(rules) {
        let (_, mut atoms) = rule.condition.triggers(&shared).unwrap_or_default();
        atoms.sort();
        atoms.dedup();
        for atom in atoms {
            match atom {
                Atom::Pattern { id, .. } => by_pattern.entry(id).or_default().push(n),
                Atom::Field { id, .. } => by_field.entry(id).or_default().push(n),
            }
        }
    }
    (by_pattern, by_field)
}

/// The categories about which all rules that name them and a sector agree.
fn sectors_of_categories(rules: &[Rule]) -> BTreeMap<String, String> {
    let mut sectors: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for rule in rules.iter().filter(|r| r.weight > 0) {
        let of = |about| rule.votes.iter().filter(move |(a, _)| *a == about).map(|(_, value)| value.as_str());
        for category in of(VoteSubject::Category) {
            sectors.entry(category).or_default().extend(of(VoteSubject::Sector));
        }
    }
    let agreed = sectors.into_iter().filter_map(|(category, sectors)| {
        let first = *sectors.first()?;
        sectors.iter().all(|s| *s == first).then(|| (category.to_owned(), first.to_owned()))
    });
    agreed.collect()
}

struct Compiler<'a> {
    sectors: &'a Sectors,
    diagnostics: &'a Diagnostics,
    failed: bool,
    builder: MatcherBuilder,
    fields: Fields,
    stems: Stems,
}

impl Compiler<'_> {
    fn push(&mut self, diagnostic: Diagnostic) {
        self.failed |= diagnostic.severity == smista_settings::Severity::Error;
        self.diagnostics.push(diagnostic);
    }

    fn settings(&mut self, settings: &Settings) {
        // The fallback sector is checked where it is read, together with what else it must be.
        self.failed |= !self.sectors.knows_sector(settings.fallback.as_str());
        let kind = settings.default_kind.as_str();
        if !self.sectors.knows_kind(kind) {
            self.push(
                Diagnostic::error(
                    "rule-default-kind",
                    format!("in sectors.toml manca il tipo \"{kind}\", che vale per i messaggi di cui le regole non dicono il tipo"),
                    format!("sectors.toml lacks the kind '{kind}', which messages have when no rule names one"),
                )
                .hint(format!("aggiungere [[kind]] con id = \"{kind}\""), format!("add a [[kind]] with id = \"{kind}\"")),
            );
        }
    }

    fn duplicates(&mut self, specs: &[RuleSpec]) {
        for pair in specs.windows(2) {
            if let [first, second] = pair
                && first.id.value == second.id.value
            {
                let mut twice = Diagnostic::error(
                    "rule-duplicate-id",
                    format!("la regola \"{}\" c'è già", second.id.value),
                    format!("the rule '{}' is there already", second.id.value),
                )
                .hint(
                    "cambiare uno dei due id, o togliere il doppione (forse è la copia di un file)",
                    "change one of the two ids, or remove the double (maybe the copy of a file)",
                )
                .at_opt(second.place());
                if let Some(place) = first.place() {
                    twice = twice.label(place, "la prima è qui", "the first is here");
                }
                self.push(twice);
            }
        }
    }

    /// The rule, if it is one, and its patterns as far as they could be read.
    fn rule(&mut self, spec: &RuleSpec) -> (Option<Rule>, Patterns) {
        let patterns = Patterns {
            any: self.patterns(&spec.any),
            all: self.patterns(&spec.all),
            none: self.patterns(&spec.none),
            subject: self.patterns(&spec.subject),
        };
        let mut parts = Vec::new();
        let group = |leaves: Vec<Leaf>| leaves.into_iter().map(Condition::Leaf).collect::<Vec<_>>();
        let any = self.leaves(&patterns.any, None);
        if !any.is_empty() {
            parts.push(Condition::Any(group(any)));
        }
        parts.extend(group(self.leaves(&patterns.all, None)));
        let subject = self.leaves(&patterns.subject, Some("subject"));
        if !subject.is_empty() {
            parts.push(Condition::Any(group(subject)));
        }
        for (field, values) in [
            (Field::Channel, &spec.channel),
            (Field::Folder, &spec.folder),
            (Field::Sender, &spec.sender),
            (Field::Recipients, &spec.recipients),
            (Field::Attachment, &spec.attachment),
        ] {
            let leaves = self.field_leaves(field, values);
            if !leaves.is_empty() {
                parts.push(Condition::Any(group(leaves)));
            }
        }
        let none = self.leaves(&patterns.none, None);
        if !none.is_empty() {
            parts.push(Condition::Not(Box::new(Condition::Any(group(none)))));
        }
        let votes = self.votes(spec);
        let rule = Rule {
            id: spec.id.value.clone(),
            condition: Condition::All(parts),
            weight: spec.weight.value,
            votes,
        };
        (Some(rule), patterns)
    }

    fn patterns(&mut self, written: &[Spanned<String>]) -> Vec<Written> {
        let mut out = Vec::new();
        for one in written {
            match pattern::parse(&one.value) {
                Ok(pattern) => {
                    if pattern.is_function_word(&self.stems) {
                        self.fault(&Fault::FunctionWord, one, false);
                    }
                    out.push(Written { value: pattern, source: one.clone() });
                }
                Err(fault) => self.fault(&fault, one, true),
            }
        }
        out
    }

    fn fault(&mut self, fault: &Fault, at: &Spanned<String>, is_error: bool) {
        let (code, text, hint) = fault.explain();
        let new = if is_error { Diagnostic::error } else { Diagnostic::warning };
        self.push(new(code, text.it, text.en).hint(hint.it, hint.en).at_opt(at.span));
    }

    /// Puts patterns into the automata.
    fn leaves(&mut self, patterns: &[Written], prefix: Option<&str>) -> Vec<Leaf> {
        let mut out = Vec::new();
        for Written { value, source } in patterns {
            let mut faults = Vec::new();
            let mut slow = false;
            let id = self.builder.add(value, |regex| {
                Expression::new(regex)
                    .map_err(|fault| faults.push(fault))
                    .ok()
                    .inspect(|e| slow = e.is_slow())
            });
            for fault in &faults {
                self.fault(fault, source, true);
            }
            if slow {
                self.push(
                    Diagnostic::warning(
                        "rule-regex-slow",
                        "l'espressione non contiene tre lettere fisse di seguito: va provata su ogni messaggio e rallenta tutti",
                        "the expression has no three fixed letters in a row: it must be tried on every message and slows all of them",
                    )
                    .hint(
                        "aggiungere una parola che c'è sempre, per esempio /protocollo n\\. [0-9]+/",
                        "add a word that is always there, for instance /protocollo n\\. [0-9]+/",
                    )
                    .at_opt(source.span),
                );
            }
            if let Some(id) = id {
                let written = source.value.trim();
                let label = prefix.map_or_else(|| written.to_owned(), |key| format!("{key} = \"{written}\""));
                out.push(Leaf { atom: Atom::Pattern { id, subject_only: prefix.is_some() }, label });
            }
        }
        out.sort_by(|a, b| a.label.cmp(&b.label));
        out
    }

    fn field_leaves(&mut self, field: Field, values: &[Spanned<String>]) -> Vec<Leaf> {
        let mut out = Vec::new();
        for value in values {
            match fields::normalise(field, &value.value) {
                Ok(normal) => {
                    let label = format!("{} = \"{}\"", field.as_str(), value.value.trim());
                    let id = self.fields.add(field, normal);
                    out.push(Leaf { atom: Atom::Field { id, field }, label });
                }
                Err((code, text, hint)) => {
                    self.push(
                        Diagnostic::error(code, text.it, text.en).hint(hint.it, hint.en).at_opt(value.span),
                    );
                }
            }
        }
        out.sort_by(|a, b| a.label.cmp(&b.label));
        out
    }

    fn votes(&mut self, spec: &RuleSpec) -> Vec<(VoteSubject, String)> {
        let mut votes = Vec::new();
        if let Some(sector) = &spec.sector {
            if self.sectors.knows_sector(&sector.value) && SectorId::new(sector.value.as_str()).is_ok() {
                votes.push((VoteSubject::Sector, sector.value.clone()));
            } else {
                self.push(self.sectors.unknown_sector("sector", sector));
            }
        }
        if let Some(kind) = &spec.kind {
            if self.sectors.knows_kind(&kind.value) && KindId::new(kind.value.as_str()).is_ok() {
                votes.push((VoteSubject::Kind, kind.value.clone()));
            } else {
                self.push(self.sectors.unknown_kind("kind", kind));
            }
        }
        let words = spec.category.iter().map(|c| (VoteSubject::Category, "category", c));
        let words = words.chain(spec.tags.iter().map(|t| (VoteSubject::Tag, "tag", t)));
        for (about, key, word) in
            words.chain(spec.set_aside.iter().map(|s| (VoteSubject::SetAside, "set_aside", s)))
        {
            if is_word(&word.value, about == VoteSubject::Category) {
                votes.push((about, word.value.clone()));
            } else {
                self.push(bad_word(key, word));
            }
        }
        if let Some(priority) = &spec.priority {
            votes.push((VoteSubject::Priority, priority.value.as_str().to_owned()));
        }
        self.weight(spec);
        votes.sort();
        votes.dedup();
        votes
    }

    fn weight(&mut self, spec: &RuleSpec) {
        let weight = spec.weight.value;
        if weight == 0 {
            self.push(
                Diagnostic::error(
                    "rule-weight-zero",
                    "con peso 0 la regola non conta mai",
                    "with a weight of 0 the rule never counts",
                )
                .hint(
                    "togliere la riga (vale 10), o scrivere enabled = false per sospendere la regola",
                    "remove the line (10 is meant then), or write enabled = false to suspend the rule",
                )
                .at_opt(spec.weight.span),
            );
        } else if !(-MAX_WEIGHT..=MAX_WEIGHT).contains(&weight) {
            self.push(
                Diagnostic::error(
                    "rule-weight-absurd",
                    format!("il peso {weight} è fuori misura"),
                    format!("the weight {weight} is out of all proportion"),
                )
                .hint(
                    format!("scrivere un numero tra -{MAX_WEIGHT} e {MAX_WEIGHT}; di solito 10"),
                    format!("write a number from -{MAX_WEIGHT} to {MAX_WEIGHT}; usually 10"),
                )
                .at_opt(spec.weight.span),
            );
        }
    }
}

/// Lower-case letters, digits and hyphens; a category may have slashes between its parts.
fn is_word(word: &str, slashes: bool) -> bool {
    let part = |p: &str| {
        !p.is_empty() && p.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    word.len() <= 100 && if slashes { word.split('/').all(part) } else { part(word) }
}

fn bad_word(key: &str, word: &Spanned<String>) -> Diagnostic {
    let example = match key {
        "category" => "strade/buche",
        "set_aside" => "pubblicita",
        _ => "via-dante",
    };
    Diagnostic::error(
        "rule-word",
        format!(
            "\"{}\" non va bene per «{key}»: solo lettere minuscole senza accenti, cifre e trattini",
            word.value
        ),
        format!(
            "'{}' will not do for '{key}': only lower-case letters without accents, digits and hyphens",
            word.value
        ),
    )
    .hint(
        format!("scrivere per esempio {key} = \"{example}\""),
        format!("write for instance {key} = \"{example}\""),
    )
    .at_opt(word.span)
}
