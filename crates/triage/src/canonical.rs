//! The name of a ruleset: the SHA-256 of a canonical text of everything that its decisions depend on.
//!
//! Rules are sorted by id and their lists by value, and what does not matter to a decision (examples, disabled rules, places
//! in files) is left out; so the order of files, rules and patterns never changes the name. The engine's own number is in it,
//! since the same rules may decide otherwise when words are stemmed otherwise.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use smista_domain::RulesetId;
use smista_settings::Spanned;

use crate::{settings::Settings, spec::RuleSpec, stem::ENGINE};

/// The canonical text: one line of JSON with sorted keys. `specs` are sorted by id.
pub(crate) fn text(specs: &[RuleSpec], settings: &Settings) -> String {
    let rules: Vec<Value> = specs.iter().filter(|s| s.enabled).map(rule).collect();
    json!({
        "engine": ENGINE,
        "fallback": settings.fallback.as_str(),
        "min_score": settings.min_score,
        "lead": settings.lead,
        "default_kind": settings.default_kind.as_str(),
        "rules": rules,
    })
    .to_string()
}

pub(crate) fn id(canonical: &str) -> RulesetId {
    RulesetId(hex::encode(Sha256::digest(canonical.as_bytes())))
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
