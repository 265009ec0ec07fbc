//! `smista deliveries ...` and `smista ledger`: what came in, what became of it, and does it add up.

use std::io::{IsTerminal as _, Write as _};

use comfy_table::{Cell, CellAlignment};
use smista_domain::{DeliveryState, Lang, Outcome};
use smista_store::{DeliveryError, DeliveryFilter, DeliveryRow, DeliveryView, LedgerRow, Store};

use super::{
    args::{DeliveriesCommand, DeliveriesListArgs},
    certificate,
    exit::{FOUND, Failure, USAGE},
    queue::Show,
    render::{self, say},
    words,
};
use crate::town::reason_in_italian;

impl From<DeliveryError> for Failure {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::Store(error) => error.into(),
            DeliveryError::Unknown(id) => Self::new(
                FOUND,
                format!("non c'è nessun arrivo con il numero {id}"),
                format!("there is no delivery {id}"),
            )
            .hint("L'elenco: smista deliveries list", "The list: smista deliveries list"),
            other => Self { code: FOUND, text: other.text(), hint: None },
        }
    }
}

/// Runs one of the commands.
pub(crate) async fn run(store: &Store, command: DeliveriesCommand, show: &Show) -> Result<(), Failure> {
    match command {
        DeliveriesCommand::List(args) => {
            let rows = store.deliveries_list(&filter(&args)?).await?;
            if show.json { render::json(&rows) } else { print_rows(&rows, show) }
        }
        DeliveriesCommand::Show { id, raw } => {
            let unknown = || DeliveryError::Unknown(id);
            if raw {
                let bytes = store.delivery_bytes(id).await?.ok_or_else(unknown)?;
                raw_allowed(id, std::io::stdout().is_terminal())?;
                let _ = std::io::stdout().lock().write_all(&bytes);
                return Ok(());
            }
            let view = store.delivery_show(id).await?.ok_or_else(unknown)?;
            if show.json { render::json(&view) } else { print_one(&view, show) }
        }
        DeliveriesCommand::Retry { id: Some(id), .. } => {
            store.delivery_retry(id).await?;
            done(
                show,
                &format!("L'arrivo {id} verrà riletto."),
                &format!("Delivery {id} will be read again."),
                1,
            );
        }
        DeliveriesCommand::Retry { id: None, all: true } => {
            let n = store.deliveries_retry_all(None).await?;
            done(
                show,
                &format!("{n} arrivi verranno riletti."),
                &format!("{n} deliveries will be read again."),
                n,
            );
        }
        DeliveriesCommand::Retry { id: None, all: false } => {
            return Err(Failure::new(USAGE, "manca il numero dell'arrivo", "the delivery's id is missing")
                .hint(
                    "Scrivere il numero dato da `smista deliveries list`, oppure --all.",
                    "Give the id from `smista deliveries list`, or --all.",
                ));
        }
        DeliveriesCommand::Ignore { id, reason } => {
            store.delivery_ignore(id, &reason).await?;
            done(
                show,
                &format!("L'arrivo {id} è chiuso come ignorato."),
                &format!("Delivery {id} is ignored."),
                1,
            );
        }
        DeliveriesCommand::Reopen { id } => {
            store.delivery_reopen(id).await?;
            done(
                show,
                &format!("L'arrivo {id} verrà riletto come messaggio."),
                &format!("Delivery {id} will be read as a message."),
                1,
            );
        }
    }
    Ok(())
}

/// Bytes as a stranger sent them are for files and programs: a terminal would obey the escape sequences among them.
fn raw_allowed(id: i64, terminal: bool) -> Result<(), Failure> {
    if !terminal {
        return Ok(());
    }
    Err(Failure::new(
        USAGE,
        "i byte originali non si scrivono su un terminale: eseguirebbe i comandi nascosti nella lettera",
        "raw bytes are not written to a terminal: it would obey what is hidden in the letter",
    )
    .hint(
        format!("Scriverli in un file: smista deliveries show {id} --raw > lettera.eml; o leggerli con `| cat -v`."),
        format!("Write them to a file: smista deliveries show {id} --raw > letter.eml; or read them with `| cat -v`."),
    ))
}

fn done(show: &Show, it: &str, en: &str, changed: u64) {
    if show.json {
        render::json(&serde_json::json!({ "changed": changed }));
    } else {
        render::print(say(show.lang, it, en));
    }
}

fn filter(args: &DeliveriesListArgs) -> Result<DeliveryFilter, Failure> {
    let wrong = |word: &str, all: &[&str], italian: fn(&str, Lang) -> &str| {
        Failure::new(USAGE, format!("«{word}» non esiste"), format!("there is no '{word}'")).hint(
            format!("Si può scegliere fra: {}.", words::both(all, italian)),
            format!("Choose among: {}.", all.join(", ")),
        )
    };
    let mut states = Vec::new();
    if let Some(word) = &args.state {
        let all = DeliveryState::ALL.iter().map(|s| s.as_str()).collect::<Vec<_>>();
        states.push(DeliveryState::from_word(word).ok_or_else(|| wrong(word, &all, words::delivery_state))?);
    }
    let mut outcomes = Vec::new();
    if let Some(word) = &args.outcome {
        let all = Outcome::ALL.iter().map(|s| s.as_str()).collect::<Vec<_>>();
        outcomes.push(Outcome::from_word(word).ok_or_else(|| wrong(word, &all, words::outcome))?);
    }
    Ok(DeliveryFilter {
        states,
        outcomes,
        channel: args.channel.clone(),
        limit: i64::from(args.limit),
        ..DeliveryFilter::default()
    })
}

fn because(row: &DeliveryRow, lang: Lang) -> String {
    let reason = row.reason.as_deref().unwrap_or("");
    match lang {
        Lang::It => reason_in_italian(reason).to_owned(),
        Lang::En => reason.to_owned(),
    }
}

/// The table of deliveries.
pub(crate) fn print_rows(rows: &[DeliveryRow], show: &Show) {
    let lang = show.lang;
    if rows.is_empty() {
        render::print(say(lang, "Nessun arrivo.", "No deliveries."));
        return;
    }
    let mut table = render::table(&[
        "Id",
        say(lang, "Canale", "Channel"),
        say(lang, "Ricevuto", "Received"),
        say(lang, "Stato", "State"),
        say(lang, "Esito", "Outcome"),
        say(lang, "Motivo", "Reason"),
        say(lang, "Numero", "Number"),
        say(lang, "Chiave", "Key"),
    ]);
    for row in rows {
        table.add_row([
            Cell::new(row.id),
            Cell::new(&row.channel),
            Cell::new(show.time(row.received_at)),
            Cell::new(words::delivery_state(&row.state, lang)),
            Cell::new(words::outcome(row.outcome.as_deref().unwrap_or(""), lang)),
            Cell::new(because(row, lang)),
            Cell::new(row.number.as_deref().unwrap_or("")),
            Cell::new(row.source_key.as_deref().unwrap_or("")),
        ]);
    }
    render::print(&table.to_string());
}

fn print_one(view: &DeliveryView, show: &Show) {
    let (lang, row) = (show.lang, &view.row);
    let line = |it: &str, en: &str, value: &str| {
        if !value.is_empty() {
            render::print(&format!("{:<14} {value}", say(lang, it, en)));
        }
    };
    line("Arrivo", "Delivery", &row.id.to_string());
    line("Canale", "Channel", &format!("{} {}", row.channel, row.scope));
    line("Chiavi", "Keys", &view.keys.join(", "));
    line("Ricevuto", "Received", &show.time(row.received_at));
    line("Registrato", "Committed", &show.time(row.accepted_at));
    let outcome = words::outcome(row.outcome.as_deref().unwrap_or(""), lang);
    line("Stato", "State", format!("{} {outcome}", words::delivery_state(&row.state, lang)).trim_end());
    line("Motivo", "Reason", &because(row, lang));
    if let Some(receipt) = &view.receipt {
        line("Ricevuta", "Receipt", &certificate::receipt(&receipt.kind, &receipt.data, show));
        line("Riguarda", "About", receipt.about.as_deref().unwrap_or(""));
        if !receipt.linked {
            line(
                "",
                "",
                say(lang, "(in attesa della risposta di cui parla)", "(waits for the answer it speaks of)"),
            );
        }
    }
    line("Segnalazione", "Number", row.number.as_deref().unwrap_or(""));
    line("Tentativi", "Attempts", &row.attempts.to_string());
    line("Dimensione", "Size", &row.size.to_string());
    line("SHA-256", "SHA-256", view.sha256.as_deref().unwrap_or(""));
    line("A monte", "Upstream", words::upstream(&view.upstream, lang));
    render::print(&match lang {
        Lang::It => format!("I byte originali: smista deliveries show {} --raw > lettera.eml", row.id),
        Lang::En => format!("The raw bytes: smista deliveries show {} --raw > letter.eml", row.id),
    });
}

/// `smista ledger`.
pub(crate) async fn ledger(store: &Store, verify: bool, show: &Show) -> Result<(), Failure> {
    let rows = store.ledger().await?;
    let problems = if verify { store.verify().await? } else { Vec::new() };
    if show.json {
        render::json(&rows);
    } else {
        print_ledger(&rows, show);
    }
    for problem in &problems {
        render::complain(&format!("{}: {}", problem.check, problem.subject));
    }
    if problems.is_empty() && rows.iter().all(LedgerRow::adds_up) {
        return Ok(());
    }
    Err(Failure::new(FOUND, "I conti non tornano.", "It does not add up.").hint(
        "Non toccare nulla a mano: conservare una copia del database e segnalare il caso.",
        "Change nothing by hand: keep a copy of the database and report it.",
    ))
}

/// The ledger as a table.
pub(crate) fn print_ledger(rows: &[LedgerRow], show: &Show) {
    let lang = show.lang;
    let mut table = render::table(&[
        say(lang, "Canale", "Channel"),
        say(lang, "Arrivati", "Delivered"),
        say(lang, "Aperti", "Opened"),
        say(lang, "Aggiunti", "Appended"),
        say(lang, "Ignorati", "Ignored"),
        say(lang, "Da parte", "Set aside"),
        say(lang, "Quarantena", "Quarantined"),
        say(lang, "In attesa", "Waiting"),
        say(lang, "Motivi", "Reasons"),
        say(lang, "Torna", "Adds up"),
    ]);
    for row in rows {
        let reasons = row
            .reasons
            .iter()
            .map(|(reason, n)| {
                format!("{}: {n}", if lang == Lang::It { reason_in_italian(reason) } else { reason })
            })
            .collect::<Vec<_>>()
            .join(", ");
        let numbers = [
            row.delivered,
            row.opened,
            row.appended,
            row.ignored,
            row.set_aside,
            row.quarantined,
            row.waiting,
        ];
        let mut cells = vec![Cell::new(&row.channel)];
        cells.extend(numbers.iter().map(|n| Cell::new(n).set_alignment(CellAlignment::Right)));
        cells.push(Cell::new(reasons));
        cells.push(Cell::new(if row.adds_up() { say(lang, "sì", "yes") } else { "NO" }));
        table.add_row(cells);
    }
    render::print(&table.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_bytes_go_to_files_and_pipes_only() {
        assert!(raw_allowed(7, false).is_ok());
        let refused = raw_allowed(7, true).expect_err("a terminal");
        assert_eq!(refused.code, USAGE);
        assert!(refused.hint.is_some_and(|h| h.en.contains("show 7 --raw > letter.eml")));
    }
}
