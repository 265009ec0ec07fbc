//! Reads `[meta]`: every mistake in it is said, at its place, with what to write instead.

use smista_domain::{ChannelKind, ChannelName};
use smista_settings::{Diagnostic, SecretSource, Section, Span};

use super::{Account, AccountKind, MetaSettings, codes};

const GRAPH_URL: &str = "https://graph.facebook.com";
const INSTAGRAM_URL: &str = "https://graph.instagram.com";
/// The newest when this was written (29 July 2026).
const VERSION: &str = "v26.0";

/// `[meta]` while it is read.
pub(super) struct Reader {
    section: Section,
    /// False once something makes it unusable.
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

    pub(super) fn read(mut self) -> Option<MetaSettings> {
        let app_secrets = self.app_secrets();
        let verify_token = self.verify_token();
        let graph_url = self.url("graph_url", GRAPH_URL);
        let instagram_url = self.url("instagram_url", INSTAGRAM_URL);
        let version = self.version();
        let accounts = self.accounts();
        self.section.finish();
        let settings = MetaSettings {
            app_secrets,
            verify_token: verify_token?,
            graph_url: graph_url?,
            instagram_url: instagram_url?,
            version: version?,
            accounts,
        };
        self.sound.then_some(settings)
    }

    fn app_secrets(&mut self) -> Vec<SecretSource> {
        let told =
            ["app_secret", "app_secret_file", "app_secret_env"].iter().any(|key| self.section.has(key));
        let secrets = self.section.secrets("app_secret");
        if secrets.is_empty() && !told {
            self.wrong(
                Diagnostic::error(
                    codes::APP_SECRET,
                    "manca la chiave segreta dell'app di Meta: senza non si distingue chi scrive davvero da Facebook",
                    "the app secret is missing: without it nobody can tell what really comes from Meta",
                )
                .hint(
                    "aggiungere app_secret_files = [\"meta-app-secret\"] (un file con dentro solo la chiave, che sta nelle impostazioni \
                     dell'app, «Chiave segreta»)",
                    "add app_secret_files = [\"meta-app-secret\"] (a file with nothing but the secret, which stands in the app's \
                     settings, 'App secret')",
                ),
                self.section.span(),
            );
        }
        self.sound &= !secrets.is_empty();
        for secret in &secrets {
            self.loadable(secret);
        }
        secrets
    }

    fn verify_token(&mut self) -> Option<SecretSource> {
        let named = self.section.keys().any(|key| key.starts_with("verify_token"));
        let token = self.section.secret("verify_token");
        match &token {
            Some(token) => self.loadable(token),
            None if named => self.sound = false,
            None => self.wrong(
                Diagnostic::error(
                    codes::VERIFY_TOKEN,
                    "manca la parola di verifica che Meta ripete quando registra il webhook",
                    "the verify token is missing, which Meta repeats when the webhook is registered",
                )
                .hint(
                    "aggiungere verify_token_file = \"meta-verify-token\" (un file con una parola lunga inventata; la stessa si scrive nel \
                     pannello dell'app, «Verifica token»)",
                    "add verify_token_file = \"meta-verify-token\" (a file with a long invented word; the same goes into the app's \
                     dashboard, 'Verify token')",
                ),
                self.section.span(),
            ),
        }
        token
    }

    /// Said, but not fatal: the secret may be readable for the daemon alone (systemd credentials).
    fn loadable(&self, secret: &SecretSource) {
        if let Err(diagnostic) = secret.load() {
            self.section.diagnostics().push(diagnostic.at_opt(secret.span()));
        }
    }

    fn url(&mut self, key: &str, usual: &str) -> Option<String> {
        let Some(url) = self.section.string(key) else {
            return (!self.section.has(key)).then(|| usual.to_owned());
        };
        let written = url.value.trim().trim_end_matches('/');
        let host = written
            .split_once("://")
            .map(|(scheme, rest)| (scheme, rest.split(['/', ':']).next().unwrap_or("")));
        let plain = !written.contains(|c: char| c.is_whitespace() || matches!(c, '?' | '#' | '@'));
        match host {
            Some(("https", host)) if plain && !host.is_empty() => Some(written.to_owned()),
            // The access token would travel in the clear; for tests on this machine.
            Some(("http", "127.0.0.1" | "localhost")) if plain => Some(written.to_owned()),
            _ => {
                self.wrong(
                    Diagnostic::error(
                        codes::URL,
                        format!("«{key}»: \"{}\" non è un indirizzo https", url.value),
                        format!("'{key}': \"{}\" is no https address", url.value),
                    )
                    .hint(
                        format!("togliere «{key}»: vale {usual}"),
                        format!("remove '{key}': it is {usual}"),
                    ),
                    url.span,
                );
                None
            }
        }
    }

    fn version(&mut self) -> Option<String> {
        let Some(version) = self.section.string("version") else {
            return (!self.section.has("version")).then(|| VERSION.to_owned());
        };
        let number = |n: &str| (1..=3).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit());
        let good = version.value.strip_prefix('v').and_then(|v| v.split_once('.'));
        if good.is_some_and(|(major, minor)| number(major) && number(minor)) {
            return Some(version.value);
        }
        self.wrong(
            Diagnostic::error(
                codes::VERSION,
                format!("\"{}\" non è una versione dell'API Graph", version.value),
                format!("\"{}\" is no version of the Graph API", version.value),
            )
            .hint(
                format!("scrivere per esempio version = \"{VERSION}\""),
                format!("write for instance version = \"{VERSION}\""),
            ),
            version.span,
        );
        None
    }

    fn accounts(&mut self) -> Vec<Account> {
        let pages = self.section.tables("page").into_iter().map(|section| (section, true));
        let instagram = self.section.tables("instagram").into_iter().map(|section| (section, false));
        let sections: Vec<(Section, bool)> = pages.chain(instagram).collect();
        if sections.is_empty() && !self.section.has("page") && !self.section.has("instagram") {
            self.wrong(
                Diagnostic::error(
                    codes::NO_ACCOUNT,
                    "non c'è nessuna pagina e nessun account: ciò che Meta manda non sarebbe per nessuno",
                    "there is neither page nor account: what Meta sends would be for nobody",
                )
                .hint(
                    "aggiungere [[meta.page]] o [[meta.instagram]], con name = \"...\" e id = \"...\"",
                    "add [[meta.page]] or [[meta.instagram]], with name = \"...\" and id = \"...\"",
                ),
                self.section.span(),
            );
        }
        let mut accounts: Vec<(Account, Option<Span>)> = Vec::new();
        for (section, page) in sections {
            let span = section.span();
            let Some(account) = Reader::new(section).account(page) else {
                self.sound = false;
                continue;
            };
            self.once(&accounts, &account, span);
            accounts.push((account, span));
        }
        accounts.into_iter().map(|(account, _)| account).collect()
    }

    /// Says when a name or an id is there already.
    fn once(&mut self, others: &[(Account, Option<Span>)], account: &Account, span: Option<Span>) {
        let name = account.name.as_str().trim_start_matches("meta/");
        let same = |code, it, en, hint: (&str, &str), first: &Option<Span>| {
            let twice = Diagnostic::error(code, it, en).hint(hint.0, hint.1);
            match first {
                Some(first) => twice.label(*first, "la prima volta è qui", "the first time is here"),
                None => twice,
            }
        };
        if let Some((_, first)) = others.iter().find(|(other, _)| other.name == account.name) {
            let twice = same(
                codes::NAME_TWICE,
                format!("due pagine o account di [meta] si chiamano «{name}»"),
                format!("two pages or accounts of [meta] are called '{name}'"),
                ("dare a ciascuno un nome diverso", "give each a name of its own"),
                first,
            );
            self.wrong(twice, span);
        }
        if let Some((_, first)) = others.iter().find(|(other, _)| other.id == account.id) {
            let twice = same(
                codes::ID_TWICE,
                format!("due pagine o account di [meta] hanno lo stesso id {}", account.id),
                format!("two pages or accounts of [meta] have the same id {}", account.id),
                ("toglierne uno, o correggere l'id", "remove one of them, or correct the id"),
                first,
            );
            self.wrong(twice, span);
        }
    }

    /// One `[[meta.page]]` or `[[meta.instagram]]`.
    fn account(mut self, page: bool) -> Option<Account> {
        let name = self.name();
        let id = self.id();
        let kind = if page { Some(AccountKind::Page) } else { self.login() };
        let token = self.section.secret("token");
        self.sound &= token.is_some() || !self.section.keys().any(|key| key.starts_with("token"));
        if let Some(token) = &token {
            self.loadable(token);
        }
        self.section.finish();
        let account = Account { name: name?, id: id?, kind: kind?, token };
        self.sound.then_some(account)
    }

    fn name(&mut self) -> Option<ChannelName> {
        let name = self.section.required_string("name")?;
        if let Ok(channel) = ChannelName::new(ChannelKind::Meta, &name.value) {
            return Some(channel);
        }
        self.wrong(
            Diagnostic::error(
                codes::NAME,
                format!("«{}» non può essere il nome di una pagina", name.value),
                format!("'{}' cannot be the name of a page", name.value),
            )
            .hint(
                "usare lettere minuscole senza accenti, cifre e trattini, per esempio name = \"comune\"",
                "use lower-case letters, digits and hyphens, for instance name = \"comune\"",
            ),
            name.span,
        );
        None
    }

    fn id(&mut self) -> Option<String> {
        let id = self.section.required_string("id")?;
        let value = id.value.trim();
        if (3..=30).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit()) {
            return Some(value.to_owned());
        }
        self.wrong(
            Diagnostic::error(
                codes::ID,
                format!("«{}» non è l'id di una pagina o di un account: sono solo cifre", id.value),
                format!("'{}' is not the id of a page or account: it is digits alone", id.value),
            )
            .hint(
                "copiare il numero dal pannello di Meta (non il nome né l'indirizzo), per esempio id = \"104567890123456\"",
                "copy the number from Meta's dashboard (neither name nor address), for instance id = \"104567890123456\"",
            ),
            id.span,
        );
        None
    }

    fn login(&mut self) -> Option<AccountKind> {
        let words =
            [("facebook", AccountKind::InstagramByFacebook), ("instagram", AccountKind::InstagramByItself)];
        match self.section.choice("login", &words) {
            Some(kind) => Some(kind.value),
            None => (!self.section.has("login")).then_some(AccountKind::InstagramByFacebook),
        }
    }
}
