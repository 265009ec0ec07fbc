//! `smista queue ...`: the queue functions for people and scripts.

use std::{collections::BTreeSet, time::Duration};

use comfy_table::Cell;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::Value;
use smista_domain::{EntryState, Lang, Text};
use smista_store::{CaseView, Claimed, Entry, QueueError, QueueFilter, QueueRow, Store};
use uuid::Uuid;

use super::{
    args::{QueueCommand, QueueListArgs},
    certificate,
    exit::{FOUND, Failure, USAGE},
    render::{self, say, short},
    words,
};

/// What printing needs to know.
#[derive(Clone)]
pub(crate) struct Show {
    pub(crate) lang: Lang,
    pub(crate) json: bool,
    pub(crate) zone: TimeZone,
}

impl Show {
    /// An instant as people of the town read it.
    pub(crate) fn time(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%d/%m/%Y %H:%M").to_string()
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        if error.rejection().is_some() {
            let (text, hint) = (error.text(), error.hint());
            return Self { code: FOUND, text, hint };
        }
        match error {
            QueueError::Store(error) => error.into(),
            other @ QueueError::Rejected(_) => Self { code: FOUND, text: other.text(), hint: other.hint() },
        }
    }
}

/// A time as people write it: `5 minutes`, `1h`, `90s`, `0`.
fn duration(text: &str, what: &str) -> Result<Duration, Failure> {
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    text.trim().parse::<SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok()).ok_or_else(|| {
        Failure::new(
            USAGE,
            format!("«{text}» non è una durata valida per {what}"),
            format!("'{text}' is not a valid time for {what}"),
        )
        .hint(
            "Scrivere per esempio \"5 minutes\", \"1h\" o \"90s\".",
            "Write for instance \"5 minutes\", \"1h\" or \"90s\".",
        )
    })
}

fn lease(text: &str) -> Result<Uuid, Failure> {
    text.parse().map_err(|_| {
        Failure::new(USAGE, format!("«{text}» non è una prenotazione"), format!("'{text}' is not a lease"))
            .hint(
                "Usare il codice che ha dato `smista queue claim`.",
                "Use the code that `smista queue claim` gave.",
            )
    })
}

/// Runs one of the queue commands as `actor`.
pub(crate) async fn run(
    store: &Store,
    command: QueueCommand,
    actor: &str,
    show: &Show,
) -> Result<(), Failure> {
    let queue = store.queue(actor);
    let entry = match command {
        QueueCommand::List(args) => return list(store, &args, show).await,
        QueueCommand::Show { number } => return show_case(store, &number, show).await,
        QueueCommand::Claim(args) => {
            let worker = args.worker.as_deref().unwrap_or(actor);
            let hold = duration(&args.lease_for, "--lease-for")?;
            let claimed = queue.claim(&args.sector, worker, args.max, hold).await?;
            print_claimed(&claimed, show);
            return Ok(());
        }
        QueueCommand::Take { lease: l } => queue.take(lease(&l)?).await?,
        QueueCommand::Release(args) => {
            let wait = duration(&args.retry_in, "--retry-in")?;
            queue.release(lease(&args.lease)?, &args.reason, wait).await?
        }
        QueueCommand::Extend { lease: l, by } => queue.extend(lease(&l)?, duration(&by, "--by")?).await?,
        QueueCommand::Reroute(a) => {
            queue.reroute(&a.number, &a.to_sector, &a.reason, a.key.as_deref()).await?
        }
        QueueCommand::Answer(a) => {
            let text = if a.text == "-" { super::read_stdin_text()? } else { a.text };
            queue.answer(&a.number, &text, a.key.as_deref()).await?
        }
        QueueCommand::Close(a) => queue.close(&a.number, &a.outcome, a.key.as_deref()).await?,
        QueueCommand::Note { number, text } => queue.note(&number, &text).await?,
        QueueCommand::Assign { number, person } => queue.assign(&number, Some(&person)).await?,
        QueueCommand::Reopen { number, reason } => queue.reopen(&number, &reason).await?,
    };
    print_entry(&entry, show);
    Ok(())
}

/// The words of `--state`.
fn states(word: Option<&str>) -> Result<Vec<EntryState>, Failure> {
    match word {
        None => Ok(EntryState::ALL.iter().copied().filter(|s| *s != EntryState::Closed).collect()),
        Some("all") => Ok(EntryState::ALL.to_vec()),
        Some(word) => EntryState::from_word(word).map(|s| vec![s]).ok_or_else(|| {
            let all: Vec<&str> = EntryState::ALL.iter().map(|s| s.as_str()).collect();
            Failure::new(
                USAGE,
                format!("lo stato «{word}» non esiste"),
                format!("there is no state '{word}'"),
            )
            .hint(
                format!("Gli stati sono: {}, all (tutte).", words::both(&all, words::state)),
                format!("The states are: {}, all.", all.join(", ")),
            )
        }),
    }
}

async fn list(store: &Store, args: &QueueListArgs, show: &Show) -> Result<(), Failure> {
    let filter = QueueFilter {
        sector: args.sector.clone(),
        states: states(args.state.as_deref())?,
        limit: i64::from(args.limit),
    };
    if let Some(sector) = &args.sector {
        known_sector(store, sector).await?;
    }
    let rows = store.queue_list(&filter).await?;
    if show.json {
        render::json(&rows);
    } else {
        print_rows(&rows, show);
    }
    Ok(())
}

/// An empty table would be taken for an empty queue.
async fn known_sector(store: &Store, sector: &str) -> Result<(), Failure> {
    let sectors = store.sectors().await?;
    if sectors.iter().any(|known| known.id == sector) {
        return Ok(());
    }
    let all = sectors.iter().map(|known| known.id.as_str()).collect::<Vec<_>>().join(", ");
    Err(Failure::new(
        FOUND,
        format!("il settore «{sector}» non esiste"),
        format!("there is no sector '{sector}'"),
    )
    .hint(format!("I settori sono: {all}."), format!("The sectors are: {all}.")))
}

/// The table of queue entries with the reason of each route.
pub(crate) fn print_rows(rows: &[QueueRow], show: &Show) {
    let lang = show.lang;
    if rows.is_empty() {
        render::print(say(lang, "Nessuna segnalazione in coda.", "No segnalazione in the queues."));
        return;
    }
    let mut table = render::table(&[
        say(lang, "Settore", "Sector"),
        say(lang, "Numero", "Number"),
        say(lang, "Tipo", "Kind"),
        say(lang, "Oggetto", "Subject"),
        say(lang, "Stato", "State"),
        say(lang, "Motivo", "Reason"),
    ]);
    for row in rows {
        let state = match (words::state(&row.state, lang), row.priority.as_str()) {
            (state, "normal") => state.to_owned(),
            (state, priority) => format!("{state} ({})", words::priority(priority, lang)),
        };
        table.add_row([
            Cell::new(&row.sector),
            Cell::new(&row.number),
            Cell::new(&row.kind),
            Cell::new(short(&row.subject, 60)),
            Cell::new(state),
            Cell::new(short(&reason(&row.decision, lang), 160)),
        ]);
    }
    render::print(&table.to_string());
    render::print(&match (lang, rows.len()) {
        (Lang::It, 1) => "1 segnalazione.".to_owned(),
        (Lang::It, n) => format!("{n} segnalazioni."),
        (Lang::En, 1) => "1 case.".to_owned(),
        (Lang::En, n) => format!("{n} cases."),
    });
}

/// The reason of a route in one line, from the stored decision.
pub(crate) fn reason(decision: &Value, lang: Lang) -> String {
    match serde_json::from_value::<smista_domain::Decision>(decision.clone()) {
        Ok(decision) => smista_triage::reason(&decision, lang),
        Err(_) => String::new(),
    }
}

fn print_claimed(claimed: &[Claimed], show: &Show) {
    if show.json {
        render::json(claimed);
        return;
    }
    if claimed.is_empty() {
        render::print(say(
            show.lang,
            "Nulla da prenotare in questo settore.",
            "Nothing to claim in this sector.",
        ));
        return;
    }
    for one in claimed {
        render::print(&format!("{}  {}  {}", one.lease, one.number, short(&one.subject, 80)));
        if let Some(text) = &one.text {
            render::print(text);
        }
        let until = show.time(one.leased_until);
        render::print(&match show.lang {
            Lang::It => format!(
                "Prenotata fino alle {until}. Per prenderla in carico: smista queue take {}\n",
                one.lease
            ),
            Lang::En => format!("Leased until {until}. To take it: smista queue take {}\n", one.lease),
        });
    }
}

fn print_entry(entry: &Entry, show: &Show) {
    if show.json {
        render::json(entry);
        return;
    }
    let sentence = Text::new(
        format!(
            "{}: ora nel settore {}, stato {} ({}).",
            entry.number,
            entry.sector,
            words::state(&entry.state, Lang::It),
            words::cause(&entry.cause, Lang::It)
        ),
        format!(
            "{}: now with sector {}, state {} ({}).",
            entry.number, entry.sector, entry.state, entry.cause
        ),
    );
    render::print(sentence.in_lang(show.lang));
}

async fn show_case(store: &Store, number: &str, show: &Show) -> Result<(), Failure> {
    let case = store.queue_show(number).await?.ok_or_else(|| {
        Failure::new(
            FOUND,
            format!("la segnalazione {number} non esiste"),
            format!("there is no segnalazione {number}"),
        )
        .hint(
            "Controllare il numero con `smista queue list --state all`.",
            "Check the number with `smista queue list --state all`.",
        )
    })?;
    if show.json {
        render::json(&case);
    } else {
        print_case(&case, show);
    }
    Ok(())
}

fn print_case(case: &CaseView, show: &Show) {
    let (lang, entry) = (show.lang, &case.entry);
    let line = |it: &str, en: &str, value: &str| render::print(&format!("{:<12} {value}", say(lang, it, en)));
    render::print(&format!("{}  {}", entry.number, entry.subject));
    let (state, why) = (words::state(&entry.state, lang), words::cause(&entry.cause, lang));
    line("Settore", "Sector", &format!("{} — {state} ({why})", entry.sector));
    line(
        "Tipo",
        "Kind",
        &format!(
            "{} {} {}",
            entry.kind,
            entry.category.as_deref().unwrap_or(""),
            words::priority(&entry.priority, lang)
        ),
    );
    line("Canale", "Channel", &entry.channel);
    line("Ricevuta", "Received", &show.time(entry.received_at));
    if let Some(person) = &entry.assigned_to {
        line("Assegnata a", "Assigned to", person);
    }
    for related in &case.related {
        line("Collegata", "Related", &format!("{} ({}, {})", related.number, related.sector, related.reason));
    }
    line("Motivo", "Reason", &reason(&case.decision, lang));
    for message in &case.message_list {
        let from = ["name", "address"]
            .iter()
            .filter_map(|k| message.sender.get(*k).and_then(Value::as_str))
            .collect::<Vec<_>>()
            .join(" ");
        render::print(&format!("\n— {} — {from}", show.time(message.received_at)));
        if message.subject != entry.subject {
            render::print(&message.subject);
        }
        render::print(&message.text);
        for known in certificate::lines(message, show) {
            render::print(&format!("  ({known})"));
        }
        for attachment in message.attachments.as_array().into_iter().flatten() {
            let text =
                |k: &str| attachment.get(k).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
            let (name, media, size) = (text("name"), text("type"), text("size"));
            render::print(&format!(
                "  [{}: {}, {}, {} byte]",
                say(lang, "allegato", "attachment"),
                name.unwrap_or_default(),
                media.unwrap_or_default(),
                size.unwrap_or_default()
            ));
        }
        let pages = message.documents.as_array().into_iter().flatten();
        let names: BTreeSet<&str> =
            pages.filter_map(|p| p.get("attachment").and_then(Value::as_str)).collect();
        for name in names {
            render::print(&format!("  ({}: {name})", say(lang, "letto per smistare", "read for sorting")));
        }
        let codes = message.notes.as_array().into_iter().flatten().filter_map(Value::as_str);
        for note in codes.filter_map(|code| words::note(code, lang)) {
            render::print(&format!("  ({note})"));
        }
    }
    render::print(&format!("\n{}", say(lang, "Storia", "History")));
    for event in &case.history {
        let line = format!(
            "  {}  {:<24} {:<18} {}",
            show.time(event.at),
            words::event(&event.event, lang),
            event.sector,
            event.actor
        );
        let said =
            event.payload.as_ref().filter(|_| matches!(event.event.as_str(), "receipt" | "undelivered"));
        let kind = said.and_then(|p| p.get("kind")).and_then(Value::as_str);
        match said.zip(kind) {
            Some((payload, kind)) => {
                render::print(&format!("{line}: {}", certificate::receipt(kind, payload, show)));
            }
            None => render::print(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, secs) in
            [("5 minutes", 300), ("1h", 3600), ("90s", 90), ("0", 0), ("1 hour 30 minutes", 5400)]
        {
            assert_eq!(duration(text, "x").map(|d| d.as_secs()).ok(), Some(secs), "{text}");
        }
        for bad in ["", "presto", "-5 minutes", "5"] {
            assert!(duration(bad, "x").is_err(), "{bad}");
        }
    }

    #[test]
    fn closed_entries_are_listed_on_request_only() {
        assert!(!states(None).expect("default").contains(&EntryState::Closed));
        assert_eq!(states(Some("all")).expect("all").len(), EntryState::ALL.len());
        assert_eq!(states(Some("boh")).err().map(|f| f.code), Some(USAGE));
    }
}
