//! The Italian of the command line's help, keyed by command and argument. English is in the doc comments of `args.rs`.

use clap::Command;

/// Command paths and their one-line descriptions.
const COMMANDS: &[(&str, &str)] = &[
    ("", "Smista i messaggi dei cittadini al settore che deve rispondere: una volta sola, e con il motivo."),
    ("run", "Avvia il servizio: riceve, smista e continua finché non viene fermato (SIGTERM)"),
    ("demo", "Mostra tutto il percorso su lettere di esempio, con un PostgreSQL privato"),
    ("check", "Controlla tutta la configurazione e indica ogni errore con la sua riga"),
    ("explain", "Spiega che cosa fanno le regole di un messaggio, parola per parola"),
    ("rules", "Prova le regole di smistamento"),
    ("rules test", "Prova ogni esempio e controesempio delle regole"),
    ("import", "Prende in carico messaggi che si trovano su disco"),
    ("import mail", "Lettere da file .eml, mbox e cartelle Maildir, per la stessa via della posta ricevuta"),
    ("queue", "Guarda nelle code dei settori e le lavora"),
    ("queue list", "Le code: che cosa attende e dove, prima le più urgenti"),
    ("queue show", "Tutto di una segnalazione: messaggi, allegati, motivo dello smistamento, storia"),
    ("queue claim", "Prenota le prossime voci di un settore (nel frattempo nessun altro le riceve)"),
    ("queue take", "Prende in carico una voce prenotata"),
    ("queue release", "Restituisce una voce prenotata"),
    ("queue extend", "Prolunga una prenotazione"),
    ("queue reroute", "Passa una segnalazione a un altro settore"),
    ("queue answer", "Risponde (la risposta parte dal canale di arrivo, quando l'invio è attivo)"),
    ("queue close", "Chiude una segnalazione con il suo esito"),
    ("queue note", "Scrive una nota visibile solo ai colleghi"),
    ("queue assign", "Indica chi se ne occupa"),
    ("queue reopen", "Riapre una segnalazione chiusa"),
    ("deliveries", "Che cosa è arrivato: in attesa, in quarantena, ignorato o messo da parte, e perché"),
    ("deliveries list", "Elenca gli arrivi, prima i più recenti"),
    ("deliveries show", "Tutto di un arrivo"),
    ("deliveries retry", "Rilegge un arrivo in quarantena (o solo annunciato)"),
    ("deliveries ignore", "Chiude come ignorato un arrivo in quarantena"),
    ("deliveries reopen", "Annulla «ignorato» o «messo da parte»: diventa comunque un messaggio"),
    (
        "login",
        "Ottiene il primo token di una casella di Microsoft 365 o Google, con i passi da fare sullo schermo",
    ),
    ("status", "Che cosa fa ogni canale e che cosa non va adesso (anche a database spento)"),
    ("ledger", "Tornano i conti? Per ogni canale, che cosa è arrivato e che cosa ne è stato"),
    ("migrate", "Aggiorna lo schema del database (il servizio lo fa da sé all'avvio)"),
];

/// Arguments: command path and name, description.
const ARGUMENTS: &[(&str, &str, &str)] = &[
    (
        "",
        "config",
        "La cartella con smista.toml, sectors.toml e rules/ (altrimenti $SMISTA_CONFIG, /etc/smista, ./config)",
    ),
    ("", "lang", "La lingua in cui rispondere"),
    ("", "version", "Mostra la versione"),
    ("", "json", "JSON per i programmi invece di tabelle per le persone"),
    (
        "demo",
        "once",
        "Smista le lettere, mostra le code e termina. Senza, in un terminale, le code restano da provare fino a Ctrl-C",
    ),
    ("demo", "keep", "Tiene i dati della demo in questa cartella invece che in una temporanea"),
    ("demo", "from_config", "Riceve dalla casella configurata invece di leggere le lettere incorporate"),
    ("check", "connect", "Si collega anche al database e a ogni casella, senza consumare nulla"),
    (
        "explain",
        "what",
        "Il file di una lettera (.eml o testo), il numero di una segnalazione, o - per lo standard input",
    ),
    ("import mail", "paths", "File e cartelle"),
    ("import mail", "channel", "Il canale a cui contano nel registro"),
    ("import mail", "no_sort", "Li registra soltanto; li smista il servizio in funzione"),
    ("queue list", "sector", "Solo questo settore"),
    (
        "queue list",
        "state",
        "Solo questo stato: ready, leased, taken, answered, closed; all per tutti (di solito: ciò che è aperto)",
    ),
    ("queue list", "limit", "Al massimo tante"),
    ("queue show", "number", "Il numero, per esempio 2026-000123"),
    ("queue claim", "sector", "Il settore"),
    ("queue claim", "worker", "Chi prenota; i colleghi lo vedono"),
    ("queue claim", "max", "Al massimo tante"),
    ("queue claim", "lease_for", "Per quanto tempo, per esempio \"5 minutes\""),
    ("queue take", "lease", "La prenotazione, come l'ha data `claim`"),
    ("queue release", "lease", "La prenotazione, come l'ha data `claim`"),
    ("queue release", "reason", "Il motivo"),
    ("queue release", "retry_in", "Non prima di, per esempio \"1 hour\""),
    ("queue extend", "lease", "La prenotazione, come l'ha data `claim`"),
    ("queue extend", "by", "Di quanto, per esempio \"10 minutes\""),
    ("queue reroute", "number", "Il numero"),
    ("queue reroute", "to_sector", "Il settore che la riceve"),
    ("queue reroute", "reason", "Il motivo"),
    ("queue reroute", "key", "Rende innocua una ripetizione: la stessa chiave non cambia nulla"),
    ("queue answer", "number", "Il numero"),
    ("queue answer", "text", "La risposta; - la legge dallo standard input"),
    ("queue answer", "key", "Rende innocua una ripetizione: la stessa chiave non cambia nulla"),
    ("queue close", "number", "Il numero"),
    ("queue close", "outcome", "L'esito"),
    ("queue close", "key", "Rende innocua una ripetizione: la stessa chiave non cambia nulla"),
    ("queue note", "number", "Il numero"),
    ("queue note", "text", "La nota"),
    ("queue assign", "number", "Il numero"),
    ("queue assign", "person", "La persona"),
    ("queue reopen", "number", "Il numero"),
    ("queue reopen", "reason", "Il motivo"),
    ("deliveries list", "state", "Solo questo stato: announced, waiting, settled, quarantined"),
    ("deliveries list", "outcome", "Solo questo esito: opened, appended, ignored, set_aside"),
    ("deliveries list", "channel", "Solo questo canale"),
    ("deliveries list", "limit", "Al massimo tanti"),
    ("deliveries show", "id", "Il suo numero d'ordine, da `deliveries list`"),
    ("deliveries show", "raw", "Stampa i byte originali, esattamente come sono arrivati"),
    ("deliveries retry", "id", "Il suo numero d'ordine; si omette con --all"),
    ("deliveries retry", "all", "Ogni arrivo in quarantena"),
    ("deliveries ignore", "id", "Il suo numero d'ordine"),
    ("deliveries ignore", "reason", "Il motivo"),
    ("deliveries reopen", "id", "Il suo numero d'ordine"),
    ("login", "channel", "La casella, per esempio email/urp"),
    ("ledger", "verify", "Controlla anche ogni caso, voce e messaggio e la catena di ogni storia"),
];

const TEMPLATE: &str = "{about-with-newline}\nUso: {usage}\n\n{all-args}{after-help}";
const AFTER: &str = "Per cominciare: `smista demo` mostra il percorso su lettere di esempio; `smista check` controlla la \
                     configurazione; `smista run` avvia il servizio. `smista COMANDO --help` spiega ogni comando.";

/// The command line with Italian help.
pub(crate) fn localize(command: Command) -> Command {
    one(command, "").after_help(AFTER)
}

fn one(mut command: Command, path: &str) -> Command {
    if let Some((_, about)) = COMMANDS.iter().find(|(p, _)| *p == path) {
        command = command.about(*about).long_about(None::<&str>);
    }
    command = command
        .help_template(TEMPLATE)
        .subcommand_help_heading("Comandi")
        .subcommand_value_name("COMANDO")
        .next_help_heading("Opzioni")
        .disable_help_flag(true)
        .arg(
            clap::Arg::new("help")
                .short('h')
                .long("help")
                .action(clap::ArgAction::Help)
                .help("Mostra questo aiuto"),
        );
    if path.is_empty() {
        command = command
            .disable_version_flag(true)
            .arg(clap::Arg::new("version").short('V').long("version").action(clap::ArgAction::Version));
    }
    let names: Vec<String> = command.get_arguments().map(|a| a.get_id().to_string()).collect();
    for name in names {
        let text =
            ARGUMENTS.iter().find(|(p, n, _)| (*p == path || p.is_empty()) && *n == name).map(|(_, _, t)| *t);
        command = command.mut_arg(&name, |arg| {
            let heading = if arg.is_positional() { "Argomenti" } else { "Opzioni" };
            let arg = arg.help_heading(heading);
            match text {
                Some(text) => arg.help(text).long_help(None::<&str>),
                None => arg,
            }
        });
    }
    let subcommands: Vec<String> = command.get_subcommands().map(|s| s.get_name().to_owned()).collect();
    for name in subcommands {
        let below = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command = command.mut_subcommand(&name, |s| one(s, &below));
    }
    command
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::args::Cli;

    fn walk(command: &Command, path: &str, missing: &mut Vec<String>) {
        if !COMMANDS.iter().any(|(p, _)| *p == path) {
            missing.push(format!("command '{path}'"));
        }
        for arg in command.get_arguments() {
            let name = arg.get_id().as_str();
            let found = ARGUMENTS.iter().any(|(p, n, _)| *n == name && (*p == path || p.is_empty()));
            if !found && name != "help" {
                missing.push(format!("'{path}' {name}"));
            }
        }
        for sub in command.get_subcommands() {
            let below = if path.is_empty() {
                sub.get_name().to_owned()
            } else {
                format!("{path} {}", sub.get_name())
            };
            walk(sub, &below, missing);
        }
    }

    #[test]
    fn every_command_and_argument_has_its_italian() {
        let mut missing = Vec::new();
        walk(&Cli::command(), "", &mut missing);
        assert!(missing.is_empty(), "no Italian for: {missing:?}");
    }

    #[test]
    fn the_localized_command_line_is_well_formed() {
        localize(Cli::command()).debug_assert();
    }
}
