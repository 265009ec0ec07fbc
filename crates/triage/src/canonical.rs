//! The name of a ruleset: the SHA-256 of a canonical text of everything that its decisions depend on.
//!
//! Rules are sorted by id and their lists by value, and what does not matter to a decision (examples, disabled rules, places
//! in files) is left out; so the order of files, rules and patterns never changes the name. The engine's own number is in it,
//! since the same rules may decide otherwise when words are stemmed otherwise.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use smista_domain::RulesetId;
use smista_settings::{Kind, Sector, Sectors, Spanned};

use crate::{settings::Settings, spec::RuleSpec, stem::ENGINE};

/// The canonical text: one line of JSON with sorted keys. `specs` are sorted by id. Sectors and kinds are part of it: they are
/// activated together with the rules, and a daemon that follows sees by the name alone that something changed.
pub(crate) fn text(specs: &[RuleSpec], sectors: &Sectors, settings: &Settings) -> String {
    let rules: Vec<Value> = specs.iter().filter(|s| s.enabled).map(rule).collect();
    let by_id = |mut all: Vec<Value>| {
        all.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
        all
    };
    json!({
        "engine": ENGINE,
        "fallback": settings.fallback.as_str(),
        "min_score": settings.min_score,
        "lead": settings.lead,
        "default_kind": settings.default_kind.as_str(),
        "rules": rules,
        "sectors": by_id(sectors.sectors.iter().map(sector).collect()),
        "kinds": by_id(sectors.kinds.iter().map(kind).collect()),
    })
    .to_string()
}

pub(crate) fn id(canonical: &str) -> RulesetId {
    RulesetId(hex::encode(Sha256::digest(canonical.as_bytes())))
}

fn sector(sector: &Sector) -> Value {
    let mut cc = sector.cc.clone();
    cc.sort_unstable();
    json!({
        "id": sector.id.value.as_str(),
        "name": sector.name,
        "parent": sector.parent.as_ref().map(|parent| parent.value.as_str()),
        "mail": sector.mail,
        "cc": cc,
        "deadline": sector.deadline.map(|days| days.to_string()),
        "confidential": sector.confidential,
        "external": sector.external,
    })
}

fn kind(kind: &Kind) -> Value {
    json!({
        "id": kind.id.value.as_str(),
        "name": kind.name,
        "answer_within": kind.answer_within.map(|days| days.to_string()),
    })
}

fn rule(spec: &RuleSpec) -> Value {
    let mut out = Map::new();
    let lists: [(&str, &[Spanned<String>]); 10] = [
        ("any", &spec.any),
        ("all", &spec.all),
        ("none", &spec.none),
        ("subject", &spec.subject),
        ("channel", &spec.channel),
        ("folder", &spec.folder),
        ("sender", &spec.sender),
        ("recipients", &spec.recipients),
        ("attachment", &spec.attachment),
        ("tag", &spec.tags),
    ];
    for (key, values) in lists {
        let mut values: Vec<&str> = values.iter().map(|v| v.value.trim()).collect();
        values.sort_unstable();
        values.dedup();
        if !values.is_empty() {
            out.insert(key.to_owned(), json!(values));
        }
    }
    let texts = [
        ("sector", &spec.sector),
        ("kind", &spec.kind),
        ("category", &spec.category),
        ("set_aside", &spec.set_aside),
    ];
    for (key, value) in texts {
        if let Some(value) = value {
            out.insert(key.to_owned(), json!(value.value));
        }
    }
    if let Some(priority) = &spec.priority {
        out.insert("priority".to_owned(), json!(priority.value.as_str()));
    }
    out.insert("id".to_owned(), json!(spec.id.value));
    out.insert("weight".to_owned(), json!(spec.weight.value));
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use smista_settings::{Diagnostics, Environment, Section, Sources, parse};

    use super::*;

    fn sectors(toml: &str) -> Sectors {
        let (mut sources, diagnostics) =
            (Sources::new(PathBuf::new(), Environment::default()), Diagnostics::new());
        let file = sources.add(PathBuf::from("sectors.toml"), toml.as_bytes().to_vec()).expect("small");
        let section: Section = parse(&mut sources, file, &diagnostics).expect("TOML");
        Sectors::read(section)
    }

    /// A sector that becomes confidential, or another deadline, is another ruleset; the order in the file is none.
    #[test]
    fn sectors_and_kinds_are_part_of_the_name() {
        let settings = Settings {
            fallback: "urp".parse().expect("an id"),
            min_score: 1,
            lead: 1,
            default_kind: "segnalazione".parse().expect("an id"),
        };
        let urp = "[[sector]]\nid = \"urp\"\nname = \"URP\"\n";
        let roads = "[[sector]]\nid = \"strade\"\nname = \"Strade\"\n";
        let kind = "[[kind]]\nid = \"segnalazione\"\nname = \"Segnalazione\"\n";
        let name = |toml: String| id(&text(&[], &sectors(&toml), &settings));
        let first = name(format!("{urp}{roads}{kind}"));
        assert_eq!(first, name(format!("{kind}{roads}{urp}")));
        for other in [
            format!("{urp}{roads}confidential = true\n{kind}"),
            format!("{urp}{roads}deadline = 10\n{kind}"),
            format!("{urp}{kind}"),
            format!("{urp}{roads}{kind}answer_within = 30\n"),
        ] {
            assert_ne!(first, name(other.clone()), "{other}");
        }
    }
}
