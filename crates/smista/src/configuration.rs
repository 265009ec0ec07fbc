//! The whole configuration: every file is read and every mistake reported, whichever room a section belongs to.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::{Value, json};
use smista_domain::{ChannelName, KindId, Lang, SectorId};
use smista_email::{EmailSettings, PecSettings, read::ReadSettings};
use smista_meta::{MetaSettings, read::ReadSettings as MetaReadSettings};
use smista_settings::{
    Diagnostic, Diagnostics, Environment, FileId, Loaded, Queue, Section, Sectors, Severity, Sources, Span,
    Town, codes, find_config_dir, load, parse, render, sort, summary, to_json,
};
use smista_store::{Activation, DatabaseSettings, KindRow, SectorRow};
use smista_triage::{RuleSpec, Rules};

/// Everything that the files say, in types that cannot be wrong.
pub(crate) struct Configuration {
    pub(crate) town: Town,
    pub(crate) database: DatabaseSettings,
    pub(crate) mailboxes: Vec<EmailSettings>,
    pub(crate) pec: PecSettings,
    pub(crate) meta: Option<MetaSettings>,
    pub(crate) ruleset: Option<Ruleset>,
}

/// What decisions depend on, compiled.
#[derive(Clone)]
pub(crate) struct Ruleset {
    pub(crate) rules: Rules,
    pub(crate) activation: Activation,
}

/// What was found wrong, with the texts it speaks of.
pub(crate) struct Findings {
    pub(crate) all: Vec<Diagnostic>,
    sources: Sources,
}

impl Findings {
    /// Findings of others, for instance failed examples.
    pub(crate) fn add(&mut self, more: impl IntoIterator<Item = Diagnostic>) {
        self.all.extend(more);
        sort(&mut self.all, &self.sources);
    }
    /// Without what is not about rules.
    pub(crate) fn only_rules(mut self) -> Self {
        let sources = &self.sources;
        self.all.retain(|d| d.span.is_some_and(|s| sources.display(s.file).starts_with("rules")));
        self
    }
    pub(crate) fn has_errors(&self) -> bool {
        self.all.iter().any(|d| d.severity == Severity::Error)
    }
    pub(crate) fn for_people(&self, lang: Lang, color: bool) -> String {
        render(&self.all, &self.sources, lang, color)
    }
    pub(crate) fn summary(&self, lang: Lang) -> String {
        summary(&self.all, lang)
    }
    pub(crate) fn to_json(&self, lang: Lang) -> Value {
        to_json(&self.all, &self.sources, lang)
    }
}

/// The configuration directory of this call.
pub(crate) fn directory(flag: Option<PathBuf>, environment: &Environment) -> PathBuf {
    find_config_dir(flag, environment)
}

/// Reads everything; the rules only where they are needed, since compiling them is what takes time. `None` when smista.toml
/// itself cannot be used; a configuration without a ruleset when only the rules or sectors are wrong.
pub(crate) fn read(
    dir: PathBuf,
    environment: Environment,
    with_rules: bool,
) -> (Option<Configuration>, Findings) {
    let Loaded { sources, diagnostics, mut root, sectors, rule_files, .. } = load(dir, environment);
    let town = Town::read(&mut root);
    let database =
        root.table("database").map_or_else(|| Some(DatabaseSettings::default()), DatabaseSettings::read);
    let state_dir = town.as_ref().map(|town| town.state.dir.clone()).unwrap_or_default();
    let mailboxes: Vec<(EmailSettings, Option<Span>)> = root
        .tables("email")
        .into_iter()
        .filter_map(|section| {
            let span = section.span();
            Some((EmailSettings::read(section, &state_dir)?, span))
        })
        .collect();
    EmailSettings::check_all(&mailboxes, &diagnostics);
    let pec = root.table("pec").map_or_else(|| Some(PecSettings::default()), PecSettings::read);
    let meta = root.table("meta").map_or(Some(None), |section| MetaSettings::read(section).map(Some));
    root.finish();
    let sectors_file = sectors.as_ref().and_then(Section::start).map(|span| span.file);
    let files = texts(&sources, sectors_file, &rule_files);
    let ruleset = sectors
        .filter(|_| with_rules)
        .and_then(|sectors| compile(sectors, rule_files, town.as_ref(), files, &diagnostics));
    let all = diagnostics.into_sorted(&sources);
    let of_rules = |d: &Diagnostic| {
        d.span.is_some_and(|span| {
            let path = sources.display(span.file);
            path == "sectors.toml" || path.starts_with("rules")
        })
    };
    // A password that cannot be read (here: the daemon's credentials may be its alone) stops its own mailbox only.
    let errors = || all.iter().filter(|d| d.severity == Severity::Error && d.code != codes::SECRET_MISSING);
    let configuration = match (town, database, pec, meta) {
        (Some(town), Some(database), Some(pec), Some(meta)) if errors().all(of_rules) => {
            Some(Configuration {
                town,
                database,
                mailboxes: mailboxes.into_iter().map(|(settings, _)| settings).collect(),
                pec,
                meta,
                ruleset: ruleset.filter(|_| errors().next().is_none()),
            })
        }
        _ => None,
    };
    (configuration, Findings { all, sources })
}

/// The texts that a ruleset is kept as.
fn texts(
    sources: &Sources,
    sectors: Option<FileId>,
    rules: &[(FileId, Section)],
) -> BTreeMap<String, String> {
    let ids = sectors.into_iter().chain(rules.iter().map(|(id, _)| *id));
    ids.map(|id| (sources.display(id), sources.text(id).to_owned())).collect()
}

fn compile(
    sectors: Section,
    rule_files: Vec<(FileId, Section)>,
    town: Option<&Town>,
    mut files: BTreeMap<String, String>,
    diagnostics: &Diagnostics,
) -> Option<Ruleset> {
    let sectors = Sectors::read(sectors);
    let specs: Vec<RuleSpec> =
        rule_files.into_iter().flat_map(|(_, section)| RuleSpec::read_file(section)).collect();
    // Rules are checked even when smista.toml is wrong: every mistake is told in one run.
    let queue = town.map_or_else(Queue::default, |town| town.queue.clone());
    if town.is_some() {
        sectors.check_fallback(&queue.fallback, diagnostics);
    }
    let rules = Rules::compile(specs, &sectors, (&queue).into(), diagnostics)?;
    let town = town?;
    files.insert("canonical.json".to_owned(), rules.canonical().to_owned());
    let activation = Activation {
        ruleset: rules.id().0.clone(),
        files: json!(files),
        sectors: sectors.sectors.iter().map(|s| sector_row(s, town)).collect(),
        kinds: sectors
            .kinds
            .iter()
            .map(|k| KindRow {
                id: k.id.value.to_string(),
                name: k.name.clone(),
                answer_within: k.answer_within.map(|d| d.to_string()),
            })
            .collect(),
        settings: vec![
            ("queue.max_attempts".to_owned(), json!(town.queue.max_attempts)),
            ("outbox.mode".to_owned(), json!(outbox_word(town))),
            ("comune.time_zone".to_owned(), json!(town.comune.time_zone.iana_name())),
        ],
    };
    Some(Ruleset { rules, activation })
}

fn outbox_word(town: &Town) -> &'static str {
    match town.outbox {
        smista_settings::OutboxMode::Hold => "hold",
        smista_settings::OutboxMode::On => "on",
        smista_settings::OutboxMode::Off => "off",
    }
}

fn sector_row(sector: &smista_settings::Sector, town: &Town) -> SectorRow {
    SectorRow {
        id: sector.id.value.to_string(),
        name: sector.name.clone(),
        parent: sector.parent.as_ref().map(|p| p.value.to_string()),
        mail: sector.mail.clone(),
        deadline: sector.deadline.map(|d| d.to_string()),
        confidential: sector.confidential,
        external: sector.external,
        fallback: sector.id.value == town.queue.fallback.value,
    }
}

impl Configuration {
    /// How letters are read: by each mailbox's settings; what belongs to none (imports) with the forms of all.
    pub(crate) fn readings(&self) -> Readings {
        let common = ReadSettings {
            own_addresses: self
                .mailboxes
                .iter()
                .map(|m| m.user.to_lowercase())
                .filter(|u| u.contains('@'))
                .collect(),
            own_domains: self.town.comune.domains.iter().map(|d| d.to_lowercase()).collect(),
            pec_authorities: self.pec.authorities.clone(),
            ..ReadSettings::default()
        };
        let of = |mailbox: &EmailSettings| ReadSettings {
            keep_automatic: mailbox.keep_automatic,
            forwards: mailbox.forwards,
            forms: mailbox.forms.clone(),
            ..common.clone()
        };
        Readings {
            mailboxes: self.mailboxes.iter().map(|m| (m.name.clone(), of(m))).collect(),
            floods: self.mailboxes.iter().map(|m| (m.name.clone(), m.flood)).collect(),
            others: ReadSettings {
                forms: self.mailboxes.iter().flat_map(|m| m.forms.iter().cloned()).collect(),
                ..common
            },
            meta: self.meta.as_ref().map(MetaSettings::reading).unwrap_or_default(),
        }
    }
}

/// How the letters of each channel are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readings {
    mailboxes: BTreeMap<ChannelName, ReadSettings>,
    /// How many letters of one sender within ten minutes are still no flood; 0: any number.
    floods: BTreeMap<ChannelName, u32>,
    others: ReadSettings,
    meta: MetaReadSettings,
}

impl Readings {
    /// The settings of a channel: its mailbox's, or those of what is no mailbox (`email/import`).
    pub(crate) fn of(&self, channel: &ChannelName) -> &ReadSettings {
        self.mailboxes.get(channel).unwrap_or(&self.others)
    }

    /// How many letters of one sender within ten minutes a channel takes. None: any number (imports: a person wanted them).
    pub(crate) fn flood(&self, channel: &ChannelName) -> Option<u32> {
        self.floods.get(channel).copied().filter(|limit| *limit > 0)
    }

    /// True for an address of the administration's own domains.
    pub(crate) fn is_internal(&self, address: &str) -> bool {
        self.others.is_internal(address)
    }

    /// How what Facebook and Instagram send is read.
    pub(crate) fn meta(&self) -> &MetaReadSettings {
        &self.meta
    }

    /// The settings of what is no mailbox.
    pub(crate) fn others(&self) -> &ReadSettings {
        &self.others
    }
}

/// What of the configuration's own settings a kept ruleset was made with (`canonical.json`).
#[derive(serde::Deserialize)]
struct Kept {
    fallback: SectorId,
    min_score: i64,
    lead: i64,
    default_kind: KindId,
}

/// Compiles a ruleset from its texts as the database keeps them: for a daemon that follows what another one activated. The
/// settings are those that it was activated with, whatever this daemon's own are.
pub(crate) fn recompile(
    sectors: &str,
    rules: &BTreeMap<String, String>,
    canonical: &str,
    environment: Environment,
) -> Option<Rules> {
    let kept: Kept = serde_json::from_str(canonical).ok()?;
    let mut sources = Sources::new(PathBuf::new(), environment);
    let diagnostics = Diagnostics::new();
    let mut read = |name: &str, text: &str| {
        let id = sources.add(PathBuf::from(name), text.as_bytes().to_vec()).ok()?;
        parse(&mut sources, id, &diagnostics)
    };
    let sectors = Sectors::read(read("sectors.toml", sectors)?);
    let mut specs = Vec::new();
    for (name, text) in rules {
        specs.extend(RuleSpec::read_file(read(name, text)?));
    }
    let settings = smista_triage::Settings {
        fallback: kept.fallback,
        min_score: kept.min_score,
        lead: kept.lead,
        default_kind: kept.default_kind,
    };
    Rules::compile(specs, &sectors, settings, &diagnostics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mailbox_is_read_as_it_says_and_what_is_none_with_the_forms_of_all() {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/config/valid/modulo");
        let environment: Environment = [("SMISTA_COMUNE__DOMAINS", "comune.example")].into_iter().collect();
        let (configuration, _) = read(dir, environment, false);
        let readings = configuration.expect("a good configuration").readings();
        let channel = |name: &str| name.parse::<ChannelName>().expect("a channel");
        let (urp, import) = (channel("email/urp"), channel("email/import"));
        assert!(readings.of(&urp).keep_automatic && !readings.of(&urp).forwards);
        assert!(!readings.of(&import).keep_automatic && readings.of(&import).forwards);
        assert_eq!((readings.of(&urp).forms.len(), readings.of(&import).forms.len()), (2, 2));
        assert_eq!((readings.flood(&urp), readings.flood(&import)), (None, None));
        assert!(
            readings.is_internal("Anna@Uffici.Comune.example") && !readings.is_internal("a@incomune.example")
        );
    }

    #[test]
    fn a_kept_ruleset_is_compiled_again_with_the_settings_that_it_was_made_with() {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let environment: Environment = [("SMISTA_QUEUE__LEAD", "3")].into_iter().collect();
        let (configuration, _) = read(dir, environment.clone(), true);
        let ruleset = configuration.and_then(|c| c.ruleset).expect("the sample configuration");
        let Value::Object(files) = &ruleset.activation.files else { panic!("files are an object") };
        let mut texts: BTreeMap<String, String> = files
            .iter()
            .map(|(name, text)| (name.clone(), text.as_str().expect("a text").to_owned()))
            .collect();
        let sectors = texts.remove("sectors.toml").expect("sectors");
        let canonical = texts.remove("canonical.json").expect("the canonical text");
        let other: Environment = [("SMISTA_QUEUE__LEAD", "7")].into_iter().collect();
        let again = recompile(&sectors, &texts, &canonical, other).expect("compiled again");
        assert_eq!(again.id(), ruleset.rules.id());
    }
}
