//! The command line as types. The doc comments here are the English help; `italian.rs` has the Italian, and a test says that
//! none is missing there.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Sorts citizens' messages to the sector that must answer: once, and with the reason.
///
/// smista takes in every message that citizens send to the town hall and puts each one into the queue of the office that must
/// answer it. Begin with `smista demo` to see it work on sample letters, then `smista check` to try your configuration, and
/// `smista run` to start the daemon.
#[derive(Debug, Parser)]
#[command(name = "smista", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The directory with smista.toml, sectors.toml and rules/ (else $SMISTA_CONFIG, /etc/smista, ./config)
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) config: Option<PathBuf>,
    /// The language in which you are spoken to
    #[arg(long, global = true, value_name = "LANG")]
    pub(crate) lang: Option<LangArg>,
    /// JSON for programs instead of tables for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LangArg {
    /// Italian
    It,
    /// English
    En,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon: fetch, sort, and go on until stopped (SIGTERM)
    Run,
    /// Show the whole line at work on sample letters, with a private PostgreSQL of its own
    Demo(DemoArgs),
    /// Check the whole configuration and say every mistake with its line
    Check(CheckArgs),
    /// Say what the rules make of a message, word by word
    Explain(ExplainArgs),
    /// Try the routing rules
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Take in messages that lie on disk
    #[command(subcommand)]
    Import(ImportCommand),
    /// Look into the sectors' queues and work on them
    #[command(subcommand)]
    Queue(QueueCommand),
    /// What came in: waiting, quarantined, ignored or set aside, and why
    #[command(subcommand)]
    Deliveries(DeliveriesCommand),
    /// Get the first access token of a mailbox of Microsoft 365 or Google, with the steps on the screen
    Login(LoginArgs),
    /// What every channel is doing and what is wrong now (also while the database is down)
    Status,
    /// Does everything add up: per channel, what was delivered and what became of it
    Ledger(LedgerArgs),
    /// Bring the database schema up to date (the daemon does it by itself at start)
    Migrate,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Sort the letters, show the queues, and end. Without it, on a terminal, the queues stay to be tried until Ctrl-C
    #[arg(long)]
    pub(crate) once: bool,
    /// Keep the demo's data in this directory instead of a temporary one
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// Fetch from this IMAP server instead of reading the embedded letters (used by `make demo`)
    #[arg(long, hide = true)]
    pub(crate) from_config: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Also connect to the database and to every mailbox, consuming nothing
    #[arg(long)]
    pub(crate) connect: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A letter's file (.eml or plain text), a segnalazione's number, or - for standard input
    #[arg(value_name = "FILE|NUMBER|-")]
    pub(crate) what: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Try every example and counterexample of the rules
    Test,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Letters from .eml files, mbox files and Maildir folders, through the same path as fetched mail
    Mail(ImportMailArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ImportMailArgs {
    /// Files and folders
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The channel that they count for in the ledger
    #[arg(long, default_value = "email/import", value_name = "CHANNEL")]
    pub(crate) channel: String,
    /// Only store them; the running daemon sorts them
    #[arg(long)]
    pub(crate) no_sort: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// The queues: what waits where, most urgent first
    List(QueueListArgs),
    /// Everything about one segnalazione: messages, attachments, the reason for its route, history
    Show {
        /// Its number, for instance 2026-000123
        number: String,
    },
    /// Take a lease on the next entries of a sector (nobody else gets them meanwhile)
    Claim(ClaimArgs),
    /// Take a leased entry in charge ("presa in carico")
    Take {
        /// The lease, as `claim` gave it
        lease: String,
    },
    /// Give a leased entry back
    Release(ReleaseArgs),
    /// Hold a lease longer
    Extend {
        /// The lease, as `claim` gave it
        lease: String,
        /// By how much, for instance "10 minutes"
        #[arg(long, default_value = "5 minutes", value_name = "TIME")]
        by: String,
    },
    /// Send a segnalazione to another sector
    Reroute(RerouteArgs),
    /// Answer (it leaves on the channel it came in on, when the outbox is switched on)
    Answer(AnswerArgs),
    /// Close a segnalazione with its outcome
    Close(CloseArgs),
    /// Write a note that only colleagues see
    Note {
        /// The number
        number: String,
        /// The note
        text: String,
    },
    /// Say who works on it
    Assign {
        /// The number
        number: String,
        /// The person
        person: String,
    },
    /// Open a closed segnalazione again
    Reopen {
        /// The number
        number: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct QueueListArgs {
    /// Only this sector
    #[arg(long)]
    pub(crate) sector: Option<String>,
    /// Only this state: ready, leased, taken, answered, closed; all for every one (default: what is open)
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 1000)]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct ClaimArgs {
    /// The sector
    pub(crate) sector: String,
    /// Who claims; shown to colleagues
    #[arg(long)]
    pub(crate) worker: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 1)]
    pub(crate) max: i32,
    /// For how long, for instance "5 minutes"
    #[arg(long, default_value = "5 minutes", value_name = "TIME")]
    pub(crate) lease_for: String,
}

#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    /// The lease, as `claim` gave it
    pub(crate) lease: String,
    /// Why
    #[arg(long)]
    pub(crate) reason: String,
    /// Not before, for instance "1 hour"
    #[arg(long, default_value = "0", value_name = "TIME")]
    pub(crate) retry_in: String,
}

#[derive(Debug, Args)]
pub(crate) struct RerouteArgs {
    /// The number
    pub(crate) number: String,
    /// The sector that gets it
    pub(crate) to_sector: String,
    /// Why
    #[arg(long)]
    pub(crate) reason: String,
    /// Makes a retry harmless: the same key again changes nothing
    #[arg(long)]
    pub(crate) key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// The number
    pub(crate) number: String,
    /// The answer; - reads it from standard input
    pub(crate) text: String,
    /// Makes a retry harmless: the same key again changes nothing
    #[arg(long)]
    pub(crate) key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CloseArgs {
    /// The number
    pub(crate) number: String,
    /// What came of it
    #[arg(long)]
    pub(crate) outcome: String,
    /// Makes a retry harmless: the same key again changes nothing
    #[arg(long)]
    pub(crate) key: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeliveriesCommand {
    /// List deliveries, newest first
    List(DeliveriesListArgs),
    /// Everything about one delivery
    Show {
        /// Its id, from `deliveries list`
        id: i64,
        /// Print its raw bytes instead, exactly as they came in
        #[arg(long)]
        raw: bool,
    },
    /// Read a quarantined (or announced) delivery again
    Retry {
        /// Its id; leave it out with --all
        id: Option<i64>,
        /// Every quarantined delivery
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
    /// Settle a quarantined delivery as ignored
    Ignore {
        /// Its id
        id: i64,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Undo "ignored" or "set aside": it becomes a message after all
    Reopen {
        /// Its id
        id: i64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DeliveriesListArgs {
    /// Only this state: announced, waiting, settled, quarantined
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// Only this outcome: opened, appended, ignored, set_aside
    #[arg(long)]
    pub(crate) outcome: Option<String>,
    /// Only this channel
    #[arg(long)]
    pub(crate) channel: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 1000)]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The mailbox, for instance email/urp
    #[arg(value_name = "CHANNEL")]
    pub(crate) channel: String,
}

#[derive(Debug, Args)]
pub(crate) struct LedgerArgs {
    /// Also check every case, entry, message and the chain of each history
    #[arg(long)]
    pub(crate) verify: bool,
}
