//! `smista`: the program. Sorts citizens' messages to the sector that must answer, once and with the reason.

mod allocator;
mod cli;
mod clock;
mod configuration;
mod daemon;
mod database;
mod demo;
mod documents;
mod expiries;
mod health;
mod holder;
mod logging;
mod monitor;
mod notifier;
mod pipeline;
mod pulses;
mod rulesets;
mod status;
mod supervisor;
mod town;
mod watched;
mod webhooks;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory as _, FromArgMatches as _};
use jiff::tz::TimeZone;
use smista_domain::Lang;
use smista_settings::Environment;
use smista_store::private::Role;

use cli::{
    args::{Cli, Command, Global, ImportCommand, LangArg, RulesCommand},
    exit::{CONFIG, FOUND, Failure, UNAVAILABLE},
    queue::Show,
    render,
};
use configuration::{Configuration, Findings};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // Not a command for people: the process that reads documents, which needs nothing of what follows.
    if let [_, command] = arguments.as_slice()
        && command == documents::serve::COMMAND
    {
        return documents::serve::serve();
    }
    let command = match wanted_language(&arguments) {
        Lang::It => cli::italian::localize(Cli::command()),
        Lang::En => Cli::command(),
    };
    let cli = match command.try_get_matches_from(&arguments).and_then(|m| Cli::from_arg_matches(&m)) {
        Ok(cli) => cli,
        Err(error) => return cli::usage::tell(&error, wanted_language(&arguments)),
    };
    if matches!(cli.command, Command::Run) {
        allocator::settle(&arguments);
    }
    // Every TLS connection uses ring; a second call would fail, which this first one cannot.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            render::complain(&format!("smista: {error}"));
            return ExitCode::from(UNAVAILABLE);
        }
    };
    let call = Call::new(&cli.global, &cli.command);
    let lang = call.lang;
    let result = runtime.block_on(call.run(cli.command));
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text.en.is_empty() {
                render::complain(&format!("smista: {}", failure.text.in_lang(lang)));
            }
            if let Some(hint) = &failure.hint {
                let title = render::say(lang, "Cosa fare", "What to do");
                render::complain(&format!("{title}: {}", hint.in_lang(lang)));
            }
            ExitCode::from(failure.code)
        }
    }
}

/// `--lang` must be known before the arguments are parsed, because help and errors are spoken, too.
fn wanted_language(arguments: &[OsString]) -> Lang {
    let words: Vec<&str> = arguments.iter().filter_map(|a| a.to_str()).collect();
    let english = words.windows(2).any(|w| w == ["--lang", "en"]) || words.contains(&"--lang=en");
    if english { Lang::En } else { Lang::It }
}

/// Whether the command decides anything, or says whether it could.
fn needs_rules(command: &Command) -> bool {
    match command {
        Command::Run
        | Command::Demo(_)
        | Command::Check(_)
        | Command::Explain(_)
        | Command::Rules(_)
        | Command::Import(_) => true,
        Command::Queue(_)
        | Command::Deliveries(_)
        | Command::Login(_)
        | Command::Status
        | Command::Ledger(_)
        | Command::Migrate => false,
    }
}

/// One call of the program.
struct Call {
    global: Global,
    environment: Environment,
    configuration: Option<Configuration>,
    findings: Option<Findings>,
    lang: Lang,
}

impl Call {
    fn new(global: &Global, command: &Command) -> Self {
        let environment = Environment::of_process();
        let dir = configuration::directory(global.config.clone(), &environment);
        let (configuration, findings) = configuration::read(dir, environment.clone(), needs_rules(command));
        let flag = global.lang.map(|l| match l {
            LangArg::It => Lang::It,
            LangArg::En => Lang::En,
        });
        let lang = daemon::default_language(flag, configuration.as_ref());
        Self { global: global.clone(), environment, configuration, findings: Some(findings), lang }
    }

    fn show(&self) -> Show {
        let zone = self.configuration.as_ref().map_or(TimeZone::UTC, |c| c.town.comune.time_zone.clone());
        Show { lang: self.lang, json: self.global.json, zone }
    }

    fn findings(&mut self) -> Result<Findings, Failure> {
        self.findings.take().ok_or_else(|| Failure::silent(FOUND))
    }

    /// The configuration, or every mistake in it on standard error.
    fn usable(&mut self) -> Result<Configuration, Failure> {
        let findings = self.findings()?;
        cli::rules::usable(self.configuration.take(), &findings, self.lang)
    }

    async fn run(mut self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Run => {
                logging::daemon();
                let configuration = self.usable()?;
                daemon::run(configuration, self.environment).await
            }
            Command::Demo(args) => {
                logging::command();
                let configuration = if args.from_config { Some(self.usable()?) } else { None };
                demo::run(args, configuration, self.environment.clone(), self.lang, self.global.json).await
            }
            Command::Check(args) => {
                logging::command();
                let (mut findings, json) = (self.findings()?, self.global.json);
                if let Some(configuration) = &self.configuration {
                    let zone = &configuration.town.comune.time_zone;
                    findings.add(expiries::warnings(&configuration.mailboxes, zone));
                }
                let checked = cli::rules::check(self.configuration.as_ref(), findings, self.lang, json);
                match self.configuration.take() {
                    Some(configuration) if args.connect => {
                        let connected = cli::connect::connect(&configuration, self.lang, json).await;
                        checked.and(connected)
                    }
                    _ => checked,
                }
            }
            Command::Rules(RulesCommand::Test) => {
                let findings = self.findings()?;
                match self.configuration.take() {
                    Some(configuration) => {
                        cli::rules::test(&configuration, findings, self.lang, self.global.json)
                    }
                    None => cli::rules::usable(None, &findings, self.lang).map(|_| ()),
                }
            }
            Command::Explain(args) if args.what.parse::<smista_domain::Number>().is_err() => {
                let (lang, json) = (self.lang, self.global.json);
                let configuration = self.usable()?;
                let ruleset = configuration.ruleset.as_ref().ok_or_else(broken_rules)?;
                cli::rules::explain_file(
                    &args.what,
                    &ruleset.rules,
                    configuration.readings().others(),
                    lang,
                    json,
                )
            }
            Command::Login(args) => {
                logging::command();
                let lang = self.lang;
                cli::login::run(&self.usable()?, &args.channel, lang).await
            }
            Command::Status => self.status().await,
            command => self.with_database(command).await,
        }
    }

    async fn status(mut self) -> Result<(), Failure> {
        logging::command();
        let show = self.show();
        if self.configuration.is_none() {
            return self.status_of_daemon(&show).await;
        }
        let configuration = self.usable()?;
        let daemon = status::ask(&configuration.town.state.run_dir).await;
        let numbers = async {
            let database = database::find(&configuration).await?;
            let numbers = database.store.numbers().await;
            database.close().await;
            numbers.map_err(Failure::from)
        };
        let numbers = numbers.await.map_err(|failure| failure.text.in_lang(show.lang).to_owned());
        cli::status::print(daemon.as_ref(), numbers.as_ref().map_err(String::as_str), &show)
    }

    /// While somebody edits smista.toml: the daemon goes on with what it read, and can be asked. Its database cannot.
    async fn status_of_daemon(mut self, show: &Show) -> Result<(), Failure> {
        let dir = configuration::directory(self.global.config.clone(), &self.environment);
        let run_dir = cli::status::run_dir(dir, &self.environment);
        let Some(daemon) = status::ask(&run_dir).await else {
            return self.usable().map(|_| ());
        };
        let unknown = render::say(
            show.lang,
            "la configurazione ha errori, non si può chiedere (`smista check` li mostra)",
            "the configuration has mistakes, so it cannot be asked (`smista check` shows them)",
        );
        cli::status::print(Some(&daemon), Err(unknown), &Show { zone: TimeZone::system(), ..show.clone() })
    }

    async fn with_database(mut self, command: Command) -> Result<(), Failure> {
        logging::command();
        let (show, lang) = (self.show(), self.lang);
        let configuration = self.usable()?;
        let database = database::open(&configuration, Role::Command).await?;
        let result = self.on(&database.store, &configuration, command, &show, lang).await;
        database.close().await;
        result
    }

    async fn on(
        &self,
        store: &smista_store::Store,
        configuration: &Configuration,
        command: Command,
        show: &Show,
        lang: Lang,
    ) -> Result<(), Failure> {
        if let Command::Migrate = command {
            let applied = database::prepare(store).await?;
            if show.json {
                render::json(&serde_json::json!({ "applied": applied }));
            } else {
                let (it, en) = if applied.is_empty() {
                    ("Lo schema è già aggiornato.".to_owned(), "The schema is up to date.".to_owned())
                } else {
                    (format!("Schema aggiornato: {applied:?}."), format!("Schema migrated: {applied:?}."))
                };
                render::print(render::say(lang, &it, &en));
            }
            return Ok(());
        }
        if let Command::Import(ImportCommand::Mail(args)) = command {
            database::prepare(store).await?;
            let channel = cli::import::channel(&args.channel)?;
            store.register_channels(std::slice::from_ref(&channel)).await?;
            let imported = cli::import::store_letters(store, &channel, args.paths, lang).await?;
            if !args.no_sort {
                let rules = rulesets::active_or_first(
                    configuration,
                    store,
                    &self.environment,
                    &health::Health::default(),
                )
                .await?;
                demo::sort(store, configuration, rules).await?;
            }
            if show.json {
                render::json(&imported);
            } else {
                render::print(&match lang {
                    Lang::It => format!(
                        "Lettere nuove: {}. Già presenti: {}. Non leggibili: {}.",
                        imported.new, imported.known, imported.errors
                    ),
                    Lang::En => format!(
                        "New letters: {}. Known already: {}. Unreadable: {}.",
                        imported.new, imported.known, imported.errors
                    ),
                });
            }
            return if imported.errors == 0 { Ok(()) } else { Err(Failure::silent(FOUND)) };
        }
        store.check_schema().await?;
        match command {
            Command::Queue(command) => cli::queue::run(store, command, &actor(), show).await,
            Command::Deliveries(command) => cli::deliveries::run(store, command, show).await,
            Command::Ledger(args) => cli::deliveries::ledger(store, args.verify, show).await,
            Command::Explain(args) => cli::rules::explain_number(store, &args.what, lang, show.json).await,
            _ => Ok(()),
        }
    }
}

fn broken_rules() -> Failure {
    Failure::new(CONFIG, "Le regole o i settori hanno errori.", "The rules or sectors have mistakes.")
        .hint("`smista check` li mostra.", "`smista check` shows them.")
}

/// Who acts, for the history: the person at the terminal.
fn actor() -> String {
    nix::unistd::User::from_uid(nix::unistd::getuid())
        .ok()
        .flatten()
        .map_or_else(|| "cli".to_owned(), |user| user.name)
}
