//! The plain tables of smista.toml that this crate owns: `[comune] [state] [http] [queue] [outbox] [retention]`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use smista_domain::SectorId;

use crate::{
    codes,
    comune::Comune,
    diagnostic::Diagnostic,
    section::{Section, Spanned},
};

/// `[state]`: where the daemon keeps its things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The private database, lock files. Absolute, or relative to the working directory as `dir` was given.
    pub dir: PathBuf,
    /// Sockets: `smista status` asks the daemon there. `run_dir`, else `$RUNTIME_DIRECTORY`, else `/run/smista` if it
    /// is there, else `run` under `dir`.
    pub run_dir: PathBuf,
    /// As whom the private PostgreSQL runs when smista is root (PostgreSQL refuses to be). Left out: the owner of `dir`, or
    /// one of the usual accounts.
    pub user: Option<String>,
}

/// `[http]`: the two listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// For citizens and webhooks.
    pub public: SocketAddr,
    /// For the offices.
    pub internal: SocketAddr,
}

/// `[queue]`: how the offices' queues work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// After so many leases that ran out, the fallback sector gets the entry. 1 to 100.
    pub max_attempts: u16,
    /// How long a worker holds an entry that it has claimed. 10 seconds to a day.
    pub lease_for: Duration,
    /// Within so many days after closing, a follow-up reopens the case; later it opens a new one. 0 to 3650.
    pub reopen_days: u16,
    /// Who gets what no rule decides.
    pub fallback: Spanned<SectorId>,
    /// The winner of a vote needs at least this score. 0 or more.
    pub min_score: i64,
    /// And so much more than the second. 0 or more.
    pub lead: i64,
}

impl Default for Queue {
    /// What holds where smista.toml says nothing (`defaults.toml` has the same): enough to check rules when `[queue]` itself is
    /// wrong.
    fn default() -> Self {
        let fallback = SectorId::new("urp").unwrap_or_else(|_| unreachable!("a valid id"));
        Self {
            max_attempts: 5,
            lease_for: Duration::from_mins(5),
            reopen_days: 30,
            fallback: Spanned::new(fallback, None),
            min_score: 10,
            lead: 1,
        }
    }
}

/// `[outbox]`: whether anything leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxMode {
    /// Kept until somebody says `on`.
    Hold,
    /// Sent.
    On,
    /// Not even kept.
    Off,
}

/// `[retention]`: when personal data go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// Days after closing until the reporter is made anonymous.
    pub anonymise_after_days: Option<u16>,
    /// Days after closing until the case goes.
    pub delete_after_days: Option<u16>,
}

/// Everything of smista.toml that is read here.
#[derive(Debug, Clone)]
pub struct Town {
    /// `[comune]`.
    pub comune: Comune,
    /// `[state]`.
    pub state: State,
    /// `[http]`.
    pub http: Http,
    /// `[queue]`.
    pub queue: Queue,
    /// `[outbox]`.
    pub outbox: OutboxMode,
    /// `[retention]`.
    pub retention: Retention,
}

/// Tables of the design that this version does not act on yet.
const NOT_YET: &[&str] = &["phone", "desk", "retention"];

impl Town {
    /// Reads this crate's tables of [`crate::Loaded::root`] and leaves the others (`[database]`, `[[email]]`) to their
    /// owners; whoever asked for the last one calls [`Section::finish`]. None when something is wrong.
    pub fn read(root: &mut Section) -> Option<Self> {
        warn_not_yet(root);
        let comune = plain(root, "comune").and_then(Comune::read);
        let state = plain(root, "state").and_then(State::read);
        let http = plain(root, "http").and_then(Http::read);
        let queue = plain(root, "queue").and_then(Queue::read);
        let outbox = plain(root, "outbox").and_then(read_outbox);
        let retention = if root.has("retention") {
            root.table("retention").and_then(Retention::read)
        } else {
            Some(Retention::default())
        };
        Some(Self {
            comune: comune?,
            state: state?,
            http: http?,
            queue: queue?,
            outbox: outbox?,
            retention: retention?,
        })
    }
}

/// A table that the defaults make sure of.
fn plain(root: &mut Section, key: &str) -> Option<Section> {
    if !root.has(key) {
        root.missing(&format!("[{key}]"), &format!("[{key}]"));
    }
    root.table(key)
}

fn warn_not_yet(root: &mut Section) {
    for key in NOT_YET {
        if root.has(key) {
            root.diagnostics().push(
                Diagnostic::warning(
                    codes::NOT_YET,
                    format!("la sezione «{key}» non è ancora attiva in questa versione: viene ignorata"),
                    format!("the section '{key}' is not active yet in this version: it is passed over"),
                )
                .hint(
                    "si può lasciare com'è, ma per ora non ha alcun effetto",
                    "it may stay, but has no effect for now",
                )
                .at_opt(root.header_span(key)),
            );
        }
    }
    root.ignore(NOT_YET);
}

impl State {
    fn read(mut section: Section) -> Option<Self> {
        let dir = section.required_string("dir");
        let run_dir = section.string("run_dir").map(|d| PathBuf::from(d.value));
        let run_dir = run_dir.or_else(|| runtime_directory(&section));
        let user = section.string("user").map(|u| u.value);
        section.finish();
        let dir = PathBuf::from(dir?.value);
        let run_dir = run_dir.unwrap_or_else(|| dir.join("run"));
        Some(Self { dir, run_dir, user })
    }
}

/// systemd names `RuntimeDirectory=` in a variable (several are parted by colons); commands beside the daemon do not
/// have it, but find the folder.
fn runtime_directory(section: &Section) -> Option<PathBuf> {
    let named = section.environment().get("RUNTIME_DIRECTORY").and_then(|dirs| dirs.split(':').next());
    let usual = Path::new("/run/smista");
    named.map(PathBuf::from).or_else(|| usual.is_dir().then(|| usual.to_owned()))
}

impl Http {
    fn read(mut section: Section) -> Option<Self> {
        let public = listener(&mut section, "public");
        let internal = listener(&mut section, "internal");
        let diagnostics = section.diagnostics().clone();
        section.finish();
        let (public, internal) = (public?, internal?);
        if public.value == internal.value && public.value.port() != 0 {
            diagnostics.push(
                Diagnostic::error(
                    codes::INVALID_VALUE,
                    format!(
                        "«public» e «internal» non possono essere lo stesso indirizzo ({})",
                        public.value
                    ),
                    format!("'public' and 'internal' cannot be the same address ({})", public.value),
                )
                .hint("cambiare il numero di porta di uno dei due", "change the port of one of them")
                .at_opt(internal.span.or(public.span)),
            );
            return None;
        }
        Some(Self { public: public.value, internal: internal.value })
    }
}

fn listener(section: &mut Section, key: &str) -> Option<Spanned<SocketAddr>> {
    let text = section.required_string(key)?;
    let written = text.value.trim();
    let address = written.replace("localhost", "127.0.0.1").parse();
    let Ok(address) = address else {
        let meant = match written.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()) {
            Some(port) => format!("127.0.0.1:{port}"),
            None => "127.0.0.1:8080".to_owned(),
        };
        section.diagnostics().push(
            Diagnostic::error(
                codes::INVALID_VALUE,
                format!("«{key}»: \"{written}\" non è un indirizzo con la sua porta"),
                format!("'{key}': \"{written}\" is no address with its port"),
            )
            .hint(
                format!("scrivere indirizzo IP, due punti, porta: {key} = \"{meant}\""),
                format!("write IP address, colon, port: {key} = \"{meant}\""),
            )
            .at_opt(text.span),
        );
        return None;
    };
    Some(Spanned::new(address, text.span))
}

impl Queue {
    fn read(mut section: Section) -> Option<Self> {
        let small = |v: Option<Spanned<i64>>| v.and_then(|v| u16::try_from(v.value).ok());
        let max_attempts = small(section.int_between("max_attempts", 1, 100));
        let lease_for = section.duration("lease_for", Duration::from_secs(10), Duration::from_hours(24));
        let reopen_days = small(section.int_between("reopen_days", 0, 3650));
        let fallback =
            section.required_string("fallback").and_then(|id| sector_id(&section, "fallback", &id));
        let min_score = section.int_between("min_score", 0, 1_000_000);
        let lead = section.int_between("lead", 0, 1_000_000);
        section.finish();
        Some(Self {
            max_attempts: max_attempts?,
            lease_for: lease_for?.value,
            reopen_days: reopen_days?,
            fallback: fallback?,
            min_score: min_score?.value,
            lead: lead?.value,
        })
    }
}

fn read_outbox(mut section: Section) -> Option<OutboxMode> {
    let words = [("hold", OutboxMode::Hold), ("on", OutboxMode::On), ("off", OutboxMode::Off)];
    let mode = section.choice("mode", &words);
    if let Some(Spanned { value: OutboxMode::On, span }) = mode {
        section.diagnostics().push(
            Diagnostic::warning(
                codes::NOT_YET,
                "«mode = \"on\"» non è ancora attivo in questa versione: nessun messaggio viene spedito",
                "'mode = \"on\"' is not active yet in this version: nothing is sent",
            )
            .hint(
                "si può lasciare com'è, ma per ora non ha alcun effetto",
                "it may stay, but has no effect for now",
            )
            .at_opt(span),
        );
    }
    section.finish();
    mode.map(|m| m.value)
}

impl Retention {
    fn read(mut section: Section) -> Option<Self> {
        let mut days = |key: &str| match section.int_between(key, 1, 36_500) {
            Some(days) => Some(u16::try_from(days.value).ok()),
            None if section.has(key) => None,
            None => Some(None),
        };
        let anonymise = days("anonymise_after_days");
        let delete = days("delete_after_days");
        section.finish();
        Some(Self { anonymise_after_days: anonymise?, delete_after_days: delete? })
    }
}

/// The form of a sector's id, or a diagnostic with one that would do.
pub(crate) fn sector_id(section: &Section, key: &str, text: &Spanned<String>) -> Option<Spanned<SectorId>> {
    let id = SectorId::new(text.value.as_str()).ok();
    if id.is_none() {
        section.diagnostics().push(bad_id(key, text));
    }
    id.map(|id| Spanned::new(id, text.span))
}

pub(crate) fn bad_id(key: &str, text: &Spanned<String>) -> Diagnostic {
    let meant = slug(&text.value);
    Diagnostic::error(
        codes::INVALID_VALUE,
        format!(
            "«{key}»: \"{}\" non va bene: servono lettere minuscole senza accento, cifre e trattini, senza spazi",
            text.value
        ),
        format!("'{key}': \"{}\" will not do: lower-case letters, digits and hyphens only, no spaces", text.value),
    )
    .hint(format!("scrivere per esempio \"{meant}\""), format!("write for instance \"{meant}\""))
    .at_opt(text.span)
}

/// What a person probably wanted as an id: `Lavori Pubblici` -> `lavori-pubblici`.
pub(crate) fn slug(text: &str) -> String {
    let plain: String = text
        .to_lowercase()
        .chars()
        .map(|c| match c {
            'à' | 'á' => 'a',
            'è' | 'é' => 'e',
            'ì' | 'í' => 'i',
            'ò' | 'ó' => 'o',
            'ù' | 'ú' => 'u',
            c if c.is_ascii_alphanumeric() => c,
            _ => '-',
        })
        .collect();
    let words: Vec<&str> = plain.split('-').filter(|w| !w.is_empty()).collect();
    let joined: String = words.join("-").chars().take(60).collect();
    let id = joined.trim_start_matches(|c: char| !c.is_ascii_lowercase()).trim_end_matches('-');
    if id.is_empty() { "lavori-pubblici".to_owned() } else { id.to_owned() }
}
