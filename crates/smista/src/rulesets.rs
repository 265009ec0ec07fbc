//! Which rules decide: the files' when they are good, else those that the database has active.
//!
//! Activation writes sectors, kinds and the ruleset into the database. Another daemon may activate other files later: then
//! this one follows, and says that its own files differ.

use std::collections::BTreeMap;

use serde_json::Value;
use smista_domain::Text;
use smista_settings::Environment;
use smista_store::{ActivationError, Store, StoreError};
use smista_triage::Rules;

use crate::{
    cli::exit::{CONFIG, Failure},
    configuration::{self, Configuration},
    health::{Health, Severity},
    town::Town,
};

/// At the start: activates the configuration's ruleset, or takes the active one when the files are wrong.
pub(crate) async fn activate_or_follow(
    configuration: &Configuration,
    store: &Store,
    environment: &Environment,
    health: &Health,
) -> Result<Rules, Failure> {
    let why = match &configuration.ruleset {
        Some(ruleset) => match store.activate(&ruleset.activation).await {
            Ok(activated) => {
                if activated.before.as_deref() != Some(ruleset.activation.ruleset.as_str()) {
                    tracing::info!(
                        ruleset = ruleset.rules.id().short(),
                        rules = ruleset.rules.len(),
                        "ruleset activated"
                    );
                }
                return Ok(ruleset.rules.clone());
            }
            Err(ActivationError::Store(error)) => {
                health.database_away(&error);
                return Err(error.into());
            }
            Err(error @ ActivationError::OpenEntries(_)) => Text::new(
                format!("un settore tolto dai file ha ancora segnalazioni aperte: {error}"),
                error.to_string(),
            ),
        },
        None => Text::new(
            "le regole o i settori nei file hanno errori",
            "the rules or sectors in the files have mistakes",
        ),
    };
    match active(configuration, store, environment).await? {
        Some(rules) => {
            differ(health, &rules, &why);
            Ok(rules)
        }
        None => Err(Failure::new(
            CONFIG,
            format!("Non c'è nessun insieme di regole utilizzabile: {}.", why.it),
            format!("There is no usable ruleset: {}.", why.en),
        )
        .hint("Correggere ciò che indica `smista check`.", "Mend what `smista check` says.")),
    }
}

/// While running: follows what another daemon activated.
pub(crate) async fn follow(
    configuration: &Configuration,
    store: &Store,
    environment: &Environment,
    town: &Town,
    health: &Health,
) -> Result<(), StoreError> {
    let Some(id) = store.active_ruleset().await? else { return Ok(()) };
    if id == town.rules().id().0 {
        return Ok(());
    }
    let why =
        Text::new("un altro servizio ha attivato regole diverse", "another daemon has activated other rules");
    if let Some(rules) = active(configuration, store, environment).await? {
        town.set_rules(rules.clone());
        let own = configuration.ruleset.as_ref().is_some_and(|r| r.rules.id().0 == id);
        if own { health.clear("ruleset-differs", "") } else { differ(health, &rules, &why) }
    }
    Ok(())
}

/// For `import`: the rules that the town sorts by. Only a database without any gets the configuration's: importing letters
/// must not change how a running town sorts.
pub(crate) async fn active_or_first(
    configuration: &Configuration,
    store: &Store,
    environment: &Environment,
    health: &Health,
) -> Result<Rules, Failure> {
    match active(configuration, store, environment).await? {
        Some(rules) => Ok(rules),
        None => activate_or_follow(configuration, store, environment, health).await,
    }
}

fn differ(health: &Health, rules: &Rules, why: &Text) {
    health.raise(
        "ruleset-differs",
        "",
        Severity::Warning,
        Text::new(
            format!("Le regole in uso ({}) non sono quelle dei file: {}", rules.id().short(), why.it),
            format!("the rules in use ({}) are not those of the files: {}", rules.id().short(), why.en),
        ),
        Text::new(
            "Controllare i file con `smista check`, poi riavviare il servizio.",
            "Check the files with `smista check`, then restart the daemon.",
        ),
    );
}

/// The ruleset that the database has active: our own when it is the same, else compiled from its kept texts.
async fn active(
    configuration: &Configuration,
    store: &Store,
    environment: &Environment,
) -> Result<Option<Rules>, StoreError> {
    let Some(id) = store.active_ruleset().await? else { return Ok(None) };
    if let Some(own) = configuration.ruleset.as_ref().filter(|own| own.rules.id().0 == id) {
        return Ok(Some(own.rules.clone()));
    }
    let Some(Value::Object(files)) = store.ruleset_files(&id).await? else { return Ok(None) };
    let mut texts: BTreeMap<String, String> =
        files.into_iter().filter_map(|(name, text)| Some((name, text.as_str()?.to_owned()))).collect();
    let (Some(sectors), Some(canonical)) = (texts.remove("sectors.toml"), texts.remove("canonical.json"))
    else {
        return Ok(None);
    };
    texts.retain(|name, _| name.starts_with("rules"));
    let rules = configuration::recompile(&sectors, &texts, &canonical, environment.clone());
    // Another engine may make another ruleset of the same texts: decisions would name one that is not kept.
    Ok(rules.filter(|rules| rules.id().0 == id))
}
