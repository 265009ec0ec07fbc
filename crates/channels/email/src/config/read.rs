//! Reads one `[[email]]`: every mistake in it is said, at its place, with what to write instead.

use std::{path::Path, time::Duration};

use jiff::civil::Date;
use rustls_pki_types::CertificateDer;
use smista_domain::{ChannelKind, ChannelName};
use smista_settings::{Diagnostic, Section, Span, Spanned};

use super::{After, EmailSettings, Login, Password, Start, TlsMode, ca, codes, folder_key, form, oauth};

/// 25 MB: what mail servers usually take.
const MAX_MESSAGE_BYTES: i64 = 26_214_400;
const POLL_SECS: i64 = 120;
/// Nobody writes so many letters in ten minutes.
const FLOOD: i64 = 60;
const DELETE_AFTER_DAYS: i64 = 30;
/// 143 and 993 (RFC 8314 3.2).
const PORTS: [(TlsMode, u16); 3] = [(TlsMode::Implicit, 993), (TlsMode::StartTls, 143), (TlsMode::None, 143)];

pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A section while it is read.
pub(super) struct Reader {
    section: Section,
    /// False once something makes the mailbox unusable.
    sound: bool,
}

impl Reader {
    pub(super) fn new(section: Section) -> Self {
        Self { section, sound: true }
    }

    fn wrong(&mut self, diagnostic: Diagnostic, span: Option<Span>) {
        self.sound = false;
        self.section.diagnostics().push(diagnostic.at_opt(span));
    }

    /// A value that is there but could not be read has already been reported.
    fn or_default<T>(&mut self, key: &str, read: Option<Spanned<T>>, default: T) -> T {
        if let Some(value) = read {
            return value.value;
        }
        self.sound &= !self.section.has(key);
        default
    }

    fn number(&mut self, key: &str, min: i64, max: i64, default: i64) -> i64 {
        let read = self.section.int_between(key, min, max);
        self.or_default(key, read, default)
    }

    pub(super) fn read(mut self, state_dir: &Path) -> Option<EmailSettings> {
        let name = self.name();
        let tls = self.section.choice(
            "tls",
            &[("implicit", TlsMode::Implicit), ("starttls", TlsMode::StartTls), ("none", TlsMode::None)],
        );
        let tls_span = tls.as_ref().and_then(|t| t.span);
        let tls = self.or_default("tls", tls, TlsMode::Implicit);
        let host = self.host(tls, tls_span);
        let port = self.port(tls);
        let ca = self.ca(tls);
        let user = self.section.required_string("user");
        let login = self.login(state_dir, name.as_ref());
        let folders = self.folders();
        let start = self.start();
        let after = self.after(&folders);
        let poll = self.number("poll_secs", 5, 3600, POLL_SECS);
        let max = self.number("max_message_bytes", 100_000, 1_000_000_000, MAX_MESSAGE_BYTES);
        let expires = self.section.date("password_expires");
        self.sound &= expires.is_some() || !self.section.has("password_expires");
        let automatic = self.section.choice("automatic", &[("ignore", false), ("keep", true)]);
        let keep_automatic = self.or_default("automatic", automatic, false);
        let forwards = self.section.choice("forwards", &[("citizen", true), ("clerk", false)]);
        let forwards = self.or_default("forwards", forwards, true);
        let flood = self.number("flood", 0, 1_000_000, FLOOD);
        let forms = form::read_all(self.section.tables("form"));
        self.sound &= forms.is_some();
        self.section.finish();
        if !self.sound {
            return None;
        }
        Some(EmailSettings {
            name: name?,
            host: host?,
            port,
            tls,
            ca,
            user: user?.value,
            login: login?,
            folders: folders.into_iter().map(|f| f.value).collect(),
            start,
            after,
            poll: Duration::from_secs(poll.unsigned_abs()),
            max_message_bytes: usize::try_from(max).unwrap_or(usize::MAX),
            password_expires: expires.map(|d| d.value),
            keep_automatic,
            forwards,
            flood: u32::try_from(flood).unwrap_or(0),
            forms: forms?,
        })
    }

    fn name(&mut self) -> Option<ChannelName> {
        let name = self.section.required_string("name")?;
        if let Ok(channel) = ChannelName::new(ChannelKind::Email, &name.value) {
            return Some(channel);
        }
        self.wrong(
            Diagnostic::error(
                codes::NAME,
                format!("«{}» non può essere il nome di una casella", name.value),
                format!("'{}' cannot be the name of a mailbox", name.value),
            )
            .hint(
                "usare lettere minuscole senza accenti, cifre e trattini, per esempio name = \"urp\"",
                "use lower-case letters, digits and hyphens, for instance name = \"urp\"",
            ),
            name.span,
        );
        None
    }

    fn host(&mut self, tls: TlsMode, tls_span: Option<Span>) -> Option<String> {
        let host = self.section.required_string("host")?;
        let value = host.value.trim().trim_matches(['[', ']']).to_owned();
        if rustls_pki_types::ServerName::try_from(value.clone()).is_err() {
            self.wrong(
                Diagnostic::error(
                    codes::HOST,
                    format!("«{}» non è il nome di un server", host.value),
                    format!("'{}' is no host name", host.value),
                )
                .hint(
                    "scrivere solo il nome, senza imap:// e senza porta, per esempio host = \"imap.comune.example.it\"",
                    "write the name alone, without imap:// and without a port, for instance host = \"imap.example.org\"",
                ),
                host.span,
            );
            return None;
        }
        if tls == TlsMode::None && !is_loopback(&value) {
            self.wrong(
                Diagnostic::error(
                    codes::UNENCRYPTED,
                    format!("con tls = \"none\" la password e la posta viaggerebbero in chiaro fino a «{value}»"),
                    format!("with tls = \"none\" password and mail would travel unencrypted to '{value}'"),
                )
                .hint(
                    "usare tls = \"implicit\" (porta 993) o \"starttls\" (porta 143); \"none\" vale solo verso questa stessa macchina",
                    "use tls = \"implicit\" (port 993) or \"starttls\" (port 143); \"none\" is for this very machine only",
                ),
                tls_span.or(host.span),
            );
            return None;
        }
        Some(value)
    }

    fn port(&mut self, tls: TlsMode) -> u16 {
        let usual = PORTS.iter().find(|(mode, _)| *mode == tls).map_or(993, |(_, port)| *port);
        let port = self.section.int_between("port", 1, 65_535);
        let span = port.as_ref().and_then(|p| p.span);
        let port = self.or_default("port", port, i64::from(usual));
        let odd = matches!((tls, port), (TlsMode::Implicit, 143) | (TlsMode::StartTls | TlsMode::None, 993));
        if odd {
            let word = if tls == TlsMode::Implicit { "starttls" } else { "implicit" };
            self.section.diagnostics().push(
                Diagnostic::warning(
                    codes::PORT,
                    format!("la porta {port} di solito vuole tls = \"{word}\""),
                    format!("port {port} usually takes tls = \"{word}\""),
                )
                .hint(
                    format!("controllare presso il gestore della posta; togliendo «port» vale {usual}"),
                    format!("ask the mail provider; without 'port' it is {usual}"),
                )
                .at_opt(span),
            );
        }
        u16::try_from(port).unwrap_or(usual)
    }

    fn ca(&mut self, tls: TlsMode) -> Vec<CertificateDer<'static>> {
        if tls == TlsMode::None && self.section.has("ca_file") {
            self.section.diagnostics().push(
                Diagnostic::warning(
                    codes::CA_UNUSED,
                    "«ca_file» non serve con tls = \"none\"",
                    "'ca_file' has no use with tls = \"none\"",
                )
                .hint("togliere «ca_file»", "remove 'ca_file'")
                .at_opt(self.section.header_span("ca_file")),
            );
        }
        let certificates = ca::of_server(&mut self.section);
        self.sound &= certificates.is_some();
        certificates.unwrap_or_default()
    }

    /// Exactly one of the two.
    fn login(&mut self, state_dir: &Path, name: Option<&ChannelName>) -> Option<Login> {
        if !self.section.has("oauth") {
            return self.password().map(Login::Password);
        }
        let table = self.section.table("oauth");
        let keys = ["password", "password_file", "password_env"];
        let password = keys.into_iter().find(|key| self.section.has(key));
        self.section.ignore(&keys);
        if let Some(key) = password {
            self.wrong(
                Diagnostic::error(
                    codes::OAUTH_AND_PASSWORD,
                    format!("ci sono sia [email.oauth] sia «{key}», ma ne serve uno solo"),
                    format!("both [email.oauth] and '{key}' are there, but only one can count"),
                )
                .hint(
                    format!("togliere «{key}», se la casella è di Microsoft 365 o Google; altrimenti [email.oauth]"),
                    format!("remove '{key}' if the mailbox is with Microsoft 365 or Google; else [email.oauth]"),
                ),
                self.section.key_span(key),
            );
        }
        let short = name.map_or("", |name| name.as_str().trim_start_matches("email/"));
        let settings = table.and_then(|table| oauth::read(table, state_dir, short));
        self.sound &= settings.is_some();
        settings.map(|settings| Login::OAuth(Box::new(settings)))
    }

    fn password(&mut self) -> Option<Password> {
        let named = ["password", "password_file", "password_env"].iter().any(|key| self.section.has(key));
        let Some(source) = self.section.secret("password") else {
            self.sound = false;
            if !named {
                self.wrong(
                    Diagnostic::error(
                        codes::PASSWORD,
                        "manca la password della casella",
                        "the mailbox's password is missing",
                    )
                    .hint(
                        "aggiungere password_file = \"...\" (un file con dentro solo la password) o password_env = \"...\"",
                        "add password_file = \"...\" (a file with nothing but the password) or password_env = \"...\"",
                    ),
                    self.section.span(),
                );
            }
            return None;
        };
        // Said, but not fatal: the password may be readable for the daemon alone (systemd credentials), and a mailbox without
        // its password fails alone, while the others go on.
        if let Err(diagnostic) = source.load() {
            self.section.diagnostics().push(diagnostic.at_opt(source.span()));
        }
        Some(Password::Source(source))
    }

    fn folders(&mut self) -> Vec<Spanned<String>> {
        if !self.section.has("folders") {
            return vec![Spanned::new("INBOX".to_owned(), None)];
        }
        let mut folders: Vec<Spanned<String>> = Vec::new();
        let span = self.section.key_span("folders");
        for folder in self.section.strings("folders") {
            let key = folder_key(&folder.value);
            if key.trim().is_empty() || key.chars().any(char::is_control) {
                self.wrong(
                    Diagnostic::error(
                        codes::FOLDER,
                        "questo non può essere il nome di una cartella",
                        "this cannot be a folder's name",
                    )
                    .hint(
                        "scrivere il nome come lo mostra la posta",
                        "write the name as the mail program shows it",
                    ),
                    folder.span,
                );
            } else if folders.iter().any(|f| f.value == key) {
                self.wrong(
                    Diagnostic::error(
                        codes::FOLDER_TWICE,
                        format!("la cartella «{key}» è elencata due volte"),
                        format!("the folder '{key}' is listed twice"),
                    )
                    .hint("toglierne una", "remove one of them"),
                    folder.span,
                );
            } else {
                folders.push(Spanned::new(key, folder.span));
            }
        }
        if folders.is_empty() && self.sound {
            self.wrong(
                Diagnostic::error(
                    codes::FOLDER,
                    "non c'è nessuna cartella da leggere",
                    "there is no folder to watch",
                )
                .hint("scrivere folders = [\"INBOX\"]", "write folders = [\"INBOX\"]"),
                span,
            );
        }
        folders
    }

    fn start(&mut self) -> Start {
        let Some(word) = self.section.string_or_date("start") else {
            self.sound &= !self.section.has("start");
            return Start::All;
        };
        match (word.value.as_str(), word.value.parse::<Date>()) {
            ("all", _) => Start::All,
            ("new", _) => Start::New,
            (_, Ok(date)) => Start::Since(date),
            _ => {
                self.wrong(
                    Diagnostic::error(
                        codes::START,
                        format!("«start» non può essere \"{}\"", word.value),
                        format!("'start' cannot be \"{}\"", word.value),
                    )
                    .hint(
                        "scrivere \"all\" (tutta la posta che c'è), \"new\" (solo quella che arriva da adesso) o una data come \
                         \"2026-11-01\"",
                        "write \"all\" (all mail that is there), \"new\" (what arrives from now on) or a date such as \
                         \"2026-11-01\"",
                    ),
                    word.span,
                );
                Start::All
            }
        }
    }

    fn after(&mut self, folders: &[Spanned<String>]) -> After {
        let days_given = self.section.has("delete_after_days");
        let days_span = self.section.key_span("delete_after_days");
        let days = self.number("delete_after_days", 0, 3650, DELETE_AFTER_DAYS);
        let word = self.section.string("after");
        self.sound &= word.is_some() || !self.section.has("after");
        let span = word.as_ref().and_then(|w| w.span);
        let word = word.map_or_else(|| "keep".to_owned(), |w| w.value);
        let target = word.strip_prefix("move:").map(|t| folder_key(t.trim()));
        let after = match (word.as_str(), target) {
            ("keep", _) => After::Keep,
            ("seen", _) => After::Seen,
            ("delete", _) => After::Delete { days: u32::try_from(days).unwrap_or(0) },
            (_, Some(target)) if !target.is_empty() && !target.chars().any(char::is_control) => {
                After::Move(target)
            }
            _ => {
                self.wrong(
                    Diagnostic::error(
                        codes::AFTER,
                        format!("«after» non può essere \"{word}\""),
                        format!("'after' cannot be \"{word}\""),
                    )
                    .hint(
                        "scrivere \"keep\" (non toccare nulla), \"seen\" (segnare come letto), \"move:Archivio\" (spostare in una \
                         cartella) o \"delete\" (cancellare dopo delete_after_days)",
                        "write \"keep\" (touch nothing), \"seen\" (mark as read), \"move:Archive\" (move to a folder) or \
                         \"delete\" (delete after delete_after_days)",
                    ),
                    span,
                );
                After::Keep
            }
        };
        if days_given && !matches!(after, After::Delete { .. }) {
            self.section.diagnostics().push(
                Diagnostic::warning(
                    codes::DELETE_UNUSED,
                    "«delete_after_days» vale solo con after = \"delete\"",
                    "'delete_after_days' counts only with after = \"delete\"",
                )
                .hint("togliere «delete_after_days»", "remove 'delete_after_days'")
                .at_opt(days_span),
            );
        }
        if let After::Move(target) = &after
            && folders.iter().any(|f| f.value == *target)
        {
            self.wrong(
                Diagnostic::error(
                    codes::MOVE_LOOP,
                    format!("i messaggi verrebbero spostati in «{target}», che è tra le cartelle lette"),
                    format!("messages would be moved to '{target}', which is itself watched"),
                )
                .hint(
                    format!("spostarli in un'altra cartella, o togliere «{target}» da «folders»"),
                    format!("move them elsewhere, or remove '{target}' from 'folders'"),
                ),
                span,
            );
        }
        after
    }
}
