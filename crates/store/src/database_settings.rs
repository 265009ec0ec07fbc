//! `[database]`: which database, read from the configuration into a type that cannot be wrong.

use std::str::FromStr as _;

use secrecy::{ExposeSecret as _, SecretString};
use smista_settings::{Diagnostic, SecretSource, Section, Span, Spanned};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::{SchemaName, StoreOptions};

/// Every code of this section's diagnostics.
pub mod codes {
    /// `url` is no PostgreSQL URL, or asks for what smista does not do.
    pub const URL: &str = "database-url";
    /// More than one of `url`, `url_file` and `url_env`.
    pub const URL_TWICE: &str = "database-url-twice";
    /// A password stands in the configuration.
    pub const PASSWORD_IN_FILE: &str = "database-password-in-file";
    /// Citizens' messages would cross a network unencrypted, or encrypted to anybody who answers.
    pub const UNPROTECTED: &str = "database-unprotected";
    /// `schema` has not the form of a name.
    pub const SCHEMA: &str = "database-schema";

    /// All of them, for the test that says that codes are unique.
    pub const ALL: &[&str] = &[URL, URL_TWICE, PASSWORD_IN_FILE, UNPROTECTED, SCHEMA];
}

/// Connections that a daemon takes unless told otherwise: enough for its workers, and few enough for a shared server.
const CONNECTIONS: u32 = 16;

/// Where the database is.
#[derive(Debug, Clone)]
enum Place {
    /// A private one under `state.dir`.
    Private,
    /// In the configuration or the environment.
    Url(SecretString, Option<Span>),
    /// In a file or a variable, read when it is needed.
    Elsewhere(SecretSource),
}

/// The section `[database]`. The default is a private PostgreSQL.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    place: Place,
    /// The town's schema.
    pub schema: SchemaName,
    /// At most that many connections; 4 to 200.
    pub max_connections: u32,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self { place: Place::Private, schema: SchemaName::default(), max_connections: CONNECTIONS }
    }
}

impl DatabaseSettings {
    /// Reads the section; what is wrong is reported there.
    pub fn read(mut section: Section) -> Option<Self> {
        let place = read_place(&mut section);
        let schema = match section.string("schema") {
            None => Some(SchemaName::default()),
            Some(name) => read_schema(&section, &name),
        };
        let max_connections = section.int_between("max_connections", 4, 200);
        section.finish();
        Some(Self {
            place: place?,
            schema: schema?,
            max_connections: max_connections.and_then(|n| u32::try_from(n.value).ok()).unwrap_or(CONNECTIONS),
        })
    }

    /// True when there is no URL: the private PostgreSQL under `state.dir`.
    pub fn is_private(&self) -> bool {
        matches!(self.place, Place::Private)
    }

    /// The address, checked; `None`: the private PostgreSQL. A file or variable is read anew each time.
    pub fn url(&self) -> Result<Option<String>, Diagnostic> {
        let (url, span) = match &self.place {
            Place::Private => return Ok(None),
            Place::Url(url, span) => (url.clone(), *span),
            Place::Elsewhere(source) => (source.load()?, source.span()),
        };
        parse(url.expose_secret()).map_err(|wrong| wrong.at_opt(span))?;
        Ok(Some(url.expose_secret().to_owned()))
    }

    /// Address and use of a database with a URL; `None` for the private one.
    pub fn options(&self) -> Result<Option<StoreOptions>, Diagnostic> {
        let Some(url) = self.url()? else { return Ok(None) };
        Ok(Some(self.with(parse(&url)?)))
    }

    /// The use of a database at a known address (the private one's).
    pub fn with(&self, connect: PgConnectOptions) -> StoreOptions {
        let mut options = StoreOptions::new(connect, self.schema.clone());
        options.max_connections = self.max_connections;
        options
    }
}

fn read_place(section: &mut Section) -> Option<Place> {
    let ways: Vec<&str> = ["url", "url_file", "url_env"].into_iter().filter(|key| section.has(key)).collect();
    let [_] = ways.as_slice() else {
        let Some(second) = ways.get(1) else { return Some(Place::Private) };
        section.diagnostics().push(
            Diagnostic::error(
                codes::URL_TWICE,
                format!("l'indirizzo del database è indicato più volte: {}", ways.join(", ")),
                format!("the database's address is given more than once: {}", ways.join(", ")),
            )
            .hint("tenerne uno solo", "keep one of them")
            .at_opt(section.key_span(second)),
        );
        section.ignore(&ways);
        return None;
    };
    if !section.has("url") {
        return Some(Place::Elsewhere(section.secret("url")?));
    }
    let url = section.string("url")?;
    let options = match parse(&url.value) {
        Ok(options) => options,
        Err(wrong) => {
            section.diagnostics().push(wrong.at_opt(url.span));
            return None;
        }
    };
    // In a file many can read it.
    if !section.is_from_variable("url") && has_password(&url.value) {
        section.diagnostics().push(
            Diagnostic::warning(
                codes::PASSWORD_IN_FILE,
                "la password del database sta nel file di configurazione, che molti possono leggere",
                "the database's password stands in the configuration, which many can read",
            )
            .hint(
                "scrivere tutto l'indirizzo in un file leggibile solo da smista e qui mettere url_file = \"percorso\", \
                 oppure nella variabile SMISTA_DATABASE__URL",
                "put the whole address into a file that only smista can read and write url_file = \"path\" here, or into \
                 the variable SMISTA_DATABASE__URL",
            )
            .at_opt(url.span),
        );
    }
    if !is_protected(&options) {
        section.diagnostics().push(
            Diagnostic::warning(
                codes::UNPROTECTED,
                "il database è su un'altra macchina, ma la connessione non è protetta: chi sta nella rete può leggere i \
                 messaggi dei cittadini",
                "the database is on another machine, and the connection is not protected: whoever is in the network can \
                 read citizens' messages",
            )
            .hint(
                "aggiungere in fondo all'indirizzo ?sslmode=verify-full (e &sslrootcert=/percorso/ca.pem, se il certificato \
                 è di un ente proprio)",
                "add ?sslmode=verify-full to the address (and &sslrootcert=/path/ca.pem for an authority of your own)",
            )
            .at_opt(url.span),
        );
    }
    Some(Place::Url(url.value.into(), url.span))
}

fn read_schema(section: &Section, name: &Spanned<String>) -> Option<SchemaName> {
    if let Ok(schema) = name.value.parse() {
        return Some(schema);
    }
    section.diagnostics().push(
        Diagnostic::error(
            codes::SCHEMA,
            format!("«schema» non può essere \"{}\"", name.value),
            format!("'schema' cannot be \"{}\"", name.value),
        )
        .hint(
            "lettere minuscole senza accenti, cifre e _, al massimo 40, senza cominciare con una cifra o con pg_; per \
             esempio smista",
            format!("{}; for instance smista", SchemaName::RULE),
        )
        .at_opt(name.span),
    );
    None
}

/// The address as sqlx wants it. What it would silently pass over is an error here. No text of the URL comes into the error.
fn parse(url: &str) -> Result<PgConnectOptions, Diagnostic> {
    let wrong = |it: &str, en: &str| {
        Diagnostic::error(codes::URL, it, en).hint(
            "per esempio: postgres://utente@db.comune.example/smista?sslmode=verify-full, oppure \
             postgres:///smista?host=/var/run/postgresql",
            "for instance: postgres://user@db.comune.example/smista?sslmode=verify-full, or \
             postgres:///smista?host=/var/run/postgresql",
        )
    };
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(wrong(
            "«url» non è l'indirizzo di un database PostgreSQL: deve cominciare con postgres://",
            "'url' is not the address of a PostgreSQL database: it must begin with postgres://",
        ));
    }
    if url.contains("target_session_attrs=") || host_of(url).contains(',') {
        return Err(wrong(
            "«url» elenca più server o chiede target_session_attrs, ma smista si collega a un indirizzo solo: mettere davanti \
             ai server un indirizzo che segua quello attivo (haproxy, IP virtuale)",
            "'url' names several servers or asks for target_session_attrs, but smista connects to one address: put one in \
             front of the servers that follows the active one (haproxy, a virtual IP)",
        ));
    }
    PgConnectOptions::from_str(url)
        .map_err(|_| wrong("«url» non si può leggere come indirizzo", "'url' cannot be read as an address"))
}

/// What stands between the slashes: user, password, host and port.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or("")
}

fn host_of(url: &str) -> &str {
    let authority = authority(url);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

fn has_password(url: &str) -> bool {
    let in_front = authority(url).rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    in_front || url.contains("?password=") || url.contains("&password=")
}

/// Local, or encrypted to a server whose certificate is checked.
fn is_protected(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let local = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    local || matches!(options.get_ssl_mode(), PgSslMode::VerifyFull | PgSslMode::VerifyCa)
}

#[cfg(test)]
mod tests {
    use smista_settings::{Diagnostics, Severity, Sources, parse as parse_toml};

    use super::*;

    /// Reads a `[database]` section; gives the settings and the codes of what was found.
    fn read(toml: &str) -> (Option<DatabaseSettings>, Vec<(&'static str, Severity)>) {
        let (mut sources, diagnostics) = (Sources::default(), Diagnostics::new());
        let file = sources.add("smista.toml".into(), toml.as_bytes().to_vec()).expect("text");
        let mut root = parse_toml(&mut sources, file, &diagnostics).expect("TOML");
        let settings =
            root.table("database").map_or_else(|| Some(DatabaseSettings::default()), DatabaseSettings::read);
        root.finish();
        let found = diagnostics.into_sorted(&sources).into_iter().map(|d| (d.code, d.severity)).collect();
        (settings, found)
    }

    #[test]
    fn nothing_said_means_a_private_one() {
        for toml in ["", "[database]\n", "[database]\nschema = \"gubbio\"\n"] {
            let (settings, found) = read(toml);
            let settings = settings.expect("good");
            assert!(settings.is_private() && found.is_empty(), "{toml}: {found:?}");
            assert!(settings.options().expect("nothing to load").is_none());
        }
    }

    #[test]
    fn addresses_that_will_do() {
        for url in [
            "postgres:///smista?host=/var/run/postgresql",
            "postgresql://smista@localhost:5433/smista",
            "postgres://smista@127.0.0.1/smista?sslmode=disable",
            "postgres://smista@db.example.it/smista?sslmode=verify-full",
        ] {
            let (settings, found) = read(&format!("[database]\nurl = \"{url}\"\nmax_connections = 20\n"));
            let options = settings.expect("good").options().expect("loads").expect("has a URL");
            assert!(found.is_empty(), "{url}: {found:?}");
            assert_eq!(options.max_connections, 20);
        }
    }

    #[test]
    fn mistakes_are_found() {
        use Severity::{Error, Warning};
        let cases: [(&str, &str, Severity); 9] = [
            ("url = \"mysql://x/y\"", codes::URL, Error),
            ("url = \"smista\"", codes::URL, Error),
            ("url = \"postgres://a,b/smista\"", codes::URL, Error),
            ("url = \"postgres://a:5432,b:5432/smista?target_session_attrs=primary\"", codes::URL, Error),
            ("url = \"postgres://a:notaport/x\"", codes::URL, Error),
            ("url = \"postgres://u:geheim@localhost/x\"", codes::PASSWORD_IN_FILE, Warning),
            ("url = \"postgres://db.example.it/x?sslmode=require\"", codes::UNPROTECTED, Warning),
            ("url = \"postgres:///x\"\nurl_file = \"y\"", codes::URL_TWICE, Error),
            ("schema = \"Gubbio-1\"", codes::SCHEMA, Error),
        ];
        for (toml, code, severity) in cases {
            let (settings, found) = read(&format!("[database]\n{toml}\n"));
            assert_eq!(found, [(code, severity)], "{toml}");
            assert_eq!(settings.is_some(), severity == Warning, "{toml}");
        }
    }

    #[test]
    fn no_error_repeats_the_address() {
        let secret = "geheim";
        for url in [
            format!("mysql://u:{secret}@h/x"),
            format!("postgres://u:{secret}@h:port/x"),
            format!("postgres://u:{secret}@a,b/x"),
        ] {
            let wrong = parse(&url).expect_err("wrong");
            assert!(!format!("{wrong:?}").contains(secret), "{wrong:?}");
        }
        let (settings, _) = read(&format!("[database]\nurl = \"postgres://u:{secret}@localhost/x\"\n"));
        assert!(!format!("{settings:?}").contains(secret));
    }

    #[test]
    fn codes_are_unique() {
        let mut codes = codes::ALL.to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), codes::ALL.len());
    }
}
