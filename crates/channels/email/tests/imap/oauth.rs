//! Access tokens: a token endpoint that rotates, expires, refuses and fails, and a Dovecot that asks it whose a token is.

use std::{fs, sync::Arc, time::Duration};

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use smista_domain::{Channel as _, ChannelError, Remedy, Verdict};
use smista_email::{
    EmailChannel, MemoryBudget,
    config::{
        Login, Password, TlsMode,
        oauth::{Flow, OAuthSettings, Provider},
    },
    oauth::{Access, GrantFile, TokenError, Tokens, endpoint::Patience, grant, login::Begun},
};
use smista_testkit::{
    dovecot::DovecotOptions,
    memory_intake::MemoryIntake,
    scripted_imap::{Fault, ScriptedImap},
    token_endpoint::{CLIENT_ID, CLIENT_SECRET, Failure, SCOPE, TokenEndpoint},
};
use tempfile::TempDir;

use crate::support::{Mailbox, Running, letter, settings, timing};

/// An endpoint, and a machine that gets its tokens there.
struct Machine {
    endpoint: TokenEndpoint,
    state: TempDir,
    settings: OAuthSettings,
    patience: Patience,
}

/// The hour of these tests.
fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("in range")
}

impl Machine {
    async fn new(flow: Flow) -> Self {
        let endpoint = TokenEndpoint::start().await.expect("it listens");
        let state = tempfile::tempdir().expect("a folder");
        let settings = OAuthSettings {
            provider: Provider::Other,
            flow,
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(Password::Fixed(CLIENT_SECRET.into())),
            client_secret_expires: None,
            token_url: endpoint.url("/token"),
            device_url: Some(endpoint.url("/device")),
            auth_url: None,
            scope: SCOPE.to_owned(),
            ca: Vec::new(),
            idle_days: Some(90),
            grant_file: GrantFile::of(state.path(), "urp"),
        };
        Self { endpoint, state, settings, patience: Patience::default() }
    }

    /// With a refresh token of `urp`, that was last used at `used_at`.
    async fn logged_in_at(used_at: Timestamp) -> Self {
        let this = Self::new(Flow::RefreshToken).await;
        this.keep(&this.endpoint.log_in("urp"), used_at);
        this
    }

    async fn logged_in() -> Self {
        Self::logged_in_at(now()).await
    }

    fn keep(&self, token: &str, used_at: Timestamp) {
        let dir = self.state.path().join("oauth");
        fs::create_dir_all(&dir).expect("a folder");
        let text = serde_json::json!({
            "refresh_token": token, "client_id": CLIENT_ID, "token_url": self.settings.token_url,
            "obtained_at": used_at.to_string(), "used_at": used_at.to_string(),
        });
        fs::write(self.settings.grant_file.path(), text.to_string()).expect("written");
    }

    fn tokens(&self) -> Tokens {
        Tokens::new(self.settings.clone(), self.patience, now)
    }

    fn kept(&self) -> grant::Grant {
        self.settings.grant_file.read().expect("readable").expect("a grant")
    }

    /// A Dovecot that takes its tokens.
    async fn mailbox(&self) -> Mailbox {
        self.mailbox_with(DovecotOptions::default()).await
    }

    async fn mailbox_with(&self, options: DovecotOptions) -> Mailbox {
        let options = DovecotOptions { introspection_url: Some(self.endpoint.url("/introspect")), ..options };
        let settings = self.settings.clone();
        Mailbox::start_with(&options).await.with(|s| s.login = Login::OAuth(Box::new(settings)))
    }
}

fn word(access: &Access) -> String {
    access.token.expose_secret().to_owned()
}

fn code(error: &TokenError) -> (&'static str, Remedy) {
    // never in an error: what the provider says in its own words, and secrets
    let all = format!("{error:?} {}", smista_domain::chain(error));
    for private in ["Ermenegilda", "segret", "refresh.", "access."] {
        assert!(!all.contains(private), "{all}");
    }
    error.code()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_come_with_an_access_token() {
    for mechanism in ["xoauth2", "oauthbearer"] {
        for capability in [None, Some("IMAP4rev1 IDLE UIDPLUS")] {
            let machine = Machine::logged_in().await;
            let options = DovecotOptions {
                capability: capability.map(str::to_owned),
                bearer_mechanisms: Some(mechanism.to_owned()),
                ..DovecotOptions::default()
            };
            let mailbox = machine.mailbox_with(options).await;
            mailbox.deliver_many("INBOX", 3);
            let running = mailbox.run();
            running.intake.until("all are there", |c| c.committed() == 3).await;
            running.stop().await.expect("a stop is no error");
            let sessions = mailbox.dovecot.sessions();
            assert!(sessions.contains(&format!("method={}", mechanism.to_uppercase())), "{sessions}");
            // refused: with what the server says in between, and what comes after it
            machine.keep(&machine.endpoint.log_in("tributi"), now());
            let error = mailbox.run().end().await.expect_err("another's token");
            assert_eq!((error.code, error.remedy), ("oauth-token-refused", Remedy::AskOperator), "{error}");
            no_secret(&machine, &error);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_come_with_the_applications_own_token() {
    let machine = Machine::new(Flow::ClientCredentials).await;
    let mailbox = machine.mailbox().await;
    mailbox.deliver_many("INBOX", 2);
    let error = mailbox.run().end().await.expect_err("it opens no mailbox yet");
    assert_eq!((error.code, error.remedy), ("oauth-token-refused", Remedy::AskOperator), "{error}");
    assert_eq!(machine.endpoint.count("/token"), 1, "a new token is not fetched anew");
    machine.endpoint.let_app_open("urp");
    let running = mailbox.run();
    running.intake.until("all are there", |c| c.committed() == 2).await;
    running.stop().await.expect("a stop is no error");
    assert!(!machine.state.path().join("oauth").exists(), "nothing to keep");
}

#[tokio::test]
async fn a_rotated_token_is_on_the_disk_before_the_access_token_is_used() {
    let machine = Machine::logged_in().await;
    let tokens = machine.tokens();
    let first = tokens.access().await.expect("a token");
    assert!(!first.remembered);
    let one = machine.kept();
    assert_eq!(one.rotated_at, Some(now()));
    // in memory until shortly before its end
    let again = tokens.access().await.expect("a token");
    assert!(again.remembered && word(&again) == word(&first));
    assert_eq!(machine.endpoint.count("/token"), 1);
    // another process, and this one again: each uses what the other left
    for _ in 0..3 {
        machine.tokens().access().await.expect("a token");
        tokens.instead_of(&tokens.access().await.expect("a token").token).await.expect("another");
    }
    assert_eq!(machine.endpoint.count("/token"), 7);
    assert!(machine.endpoint.all_good(), "no refresh token was used twice");
    assert_ne!(machine.kept().refresh_token.expose_secret(), one.refresh_token.expose_secret());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_use_no_refresh_token_twice() {
    let machine = Machine::logged_in().await;
    machine.endpoint.set_lifetime(0);
    let all: Vec<Tokens> = (0..8).map(|_| machine.tokens()).collect();
    let asked = all.iter().flat_map(|tokens| [tokens.access(), tokens.access()]);
    for access in futures::future::join_all(asked).await {
        access.expect("a token");
    }
    assert_eq!(machine.endpoint.count("/token"), 16);
    assert!(machine.endpoint.all_good());
}

#[tokio::test]
async fn a_disk_that_takes_nothing_shows_before_the_token_is_used_up() {
    let machine = Machine::logged_in().await;
    let in_the_way = machine.settings.grant_file.path().with_extension("new");
    fs::create_dir(&in_the_way).expect("in the way");
    let error = machine.tokens().access().await.expect_err("no room");
    assert_eq!(code(&error), ("oauth-store", Remedy::AskOperator));
    assert_eq!(machine.endpoint.count("/token"), 0);
    fs::remove_dir(in_the_way).expect("out of the way");
    machine.tokens().access().await.expect("the old token is still good");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_disk_does_not_take_is_not_used_and_not_lost() {
    let machine = Machine::logged_in().await;
    let mailbox = machine.mailbox().await;
    let path = machine.settings.grant_file.path().to_owned();
    // between the provider's answer and the writing, the file becomes a folder
    let place = path.clone();
    machine.endpoint.before_answer(move || {
        fs::remove_file(&place).expect("the old token");
        fs::create_dir_all(place.join("x")).expect("in the way");
    });
    let channel = Arc::new(mailbox.channel());
    let error = Running::start(Arc::clone(&channel), mailbox.intake.clone()).end().await;
    let error = error.expect_err("not written");
    assert_eq!((error.code, error.remedy), ("oauth-store", Remedy::AskOperator), "{error}");
    assert_eq!((machine.endpoint.count("/token"), machine.endpoint.count("/introspect")), (1, 0));
    fs::remove_dir_all(&path).expect("out of the way");
    // the provider's new token is in memory alone: it is written first, then used
    mailbox.deliver_many("INBOX", 1);
    let running = Running::start(channel, mailbox.intake.clone());
    running.intake.until("it comes", |c| c.committed() == 1).await;
    running.stop().await.expect("a stop is no error");
    assert!(machine.endpoint.all_good());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_is_stopped_leaves_no_token_unwritten() {
    let machine = Machine::logged_in().await;
    let (release, released) = std::sync::mpsc::sync_channel::<()>(1);
    machine.endpoint.before_answer(move || released.recv().expect("released"));
    let before = machine.kept();
    let tokens = machine.tokens();
    let caller = tokio::spawn(async move { tokens.access().await });
    machine.endpoint.until("/token", 1).await;
    caller.abort();
    assert!(caller.await.expect_err("stopped").is_cancelled());
    release.send(()).expect("the answer goes out");
    // whoever comes next waits for the renewal, and finds what it wrote
    machine.tokens().access().await.expect("a token");
    assert!(machine.endpoint.all_good());
    assert_ne!(machine.kept().refresh_token.expose_secret(), before.refresh_token.expose_secret());
}

#[tokio::test]
async fn each_failure_asks_for_its_own() {
    let mut machine = Machine::logged_in().await;
    machine.patience.request = Duration::from_secs(1);
    machine.endpoint.set_rotates(false);
    let operator = Remedy::AskOperator;
    let soon = Remedy::Reconnect;
    for (failure, wanted) in [
        (Failure::Error("invalid_grant"), ("oauth-grant-lost", operator)),
        (Failure::Error("invalid_client"), ("oauth-client-refused", operator)),
        (Failure::Error("unauthorized_client"), ("oauth-client-refused", operator)),
        (Failure::Error("invalid_scope"), ("oauth-refused", operator)),
        (Failure::Error("temporarily_unavailable"), ("oauth-unavailable", soon)),
        (Failure::Status(500, None), ("oauth-unavailable", soon)),
        (Failure::Status(503, None), ("oauth-unavailable", soon)),
        (Failure::Status(404, None), ("oauth-unavailable", soon)),
        (Failure::Body("<html>welcome</html>"), ("oauth-unavailable", soon)),
        (Failure::Body("{}"), ("oauth-unavailable", soon)),
        (Failure::Body("{\"access_token\":\"\"}"), ("oauth-unavailable", soon)),
        (Failure::Body("{\"access_token\":\"x\",\"token_type\":\"mac\"}"), ("oauth-unavailable", soon)),
        (Failure::Garbage, ("oauth-unavailable", soon)),
        (Failure::Endless, ("oauth-unavailable", soon)),
        (Failure::Redirect, ("oauth-unavailable", soon)),
        (Failure::Close, ("oauth-unavailable", soon)),
        (Failure::Hang, ("oauth-unavailable", soon)),
    ] {
        machine.endpoint.fail(std::slice::from_ref(&failure));
        let error = machine.tokens().access().await.expect_err("it fails");
        assert_eq!(code(&error), wanted, "{failure:?}: {error}");
        assert!(error.to_string().starts_with("127.0.0.1: "), "{error}");
        machine.tokens().access().await.expect("afterwards all is well");
    }
    assert_eq!(machine.endpoint.count("/elsewhere"), 0, "a secret is not carried elsewhere");
    machine.settings.client_secret = Some(Password::Fixed("vecchio".into()));
    let error = machine.tokens().access().await.expect_err("another secret");
    assert_eq!(code(&error), ("oauth-client-refused", operator));
}

#[tokio::test]
async fn an_endpoint_that_wants_to_be_left_alone_is_left_alone() {
    let machine = Machine::logged_in().await;
    machine.endpoint.fail(&[Failure::Status(429, Some(3_000))]);
    let tokens = machine.tokens();
    for _ in 0..3 {
        let error = tokens.access().await.expect_err("too many");
        assert_eq!(code(&error), ("oauth-unavailable", Remedy::Reconnect));
    }
    assert_eq!(machine.endpoint.count("/token"), 1);
}

#[tokio::test]
async fn without_a_token_of_this_application_somebody_must_log_in() {
    let mut machine = Machine::new(Flow::RefreshToken).await;
    let needed = ("oauth-login-needed", Remedy::AskOperator);
    assert_eq!(code(&machine.tokens().access().await.expect_err("no token")), needed);
    machine.keep(&machine.endpoint.log_in("urp"), now());
    machine.settings.client_id = "another".to_owned();
    assert_eq!(code(&machine.tokens().access().await.expect_err("another application's")), needed);
    machine.settings.client_id = CLIENT_ID.to_owned();
    machine.settings.token_url = machine.endpoint.url("/other");
    assert_eq!(code(&machine.tokens().access().await.expect_err("another endpoint's")), needed);
    assert_eq!(machine.endpoint.count("/token") + machine.endpoint.count("/other"), 0);
}

#[tokio::test]
async fn a_stolen_token_kills_its_family_and_that_is_said() {
    let machine = Machine::logged_in().await;
    let stolen = machine.kept();
    machine.tokens().access().await.expect("a token");
    // somebody uses the old one: a strict provider revokes all that came of it
    machine.keep(stolen.refresh_token.expose_secret(), now());
    let error = machine.tokens().access().await.expect_err("used before");
    assert_eq!(code(&error), ("oauth-grant-lost", Remedy::AskOperator));
    assert!(!machine.endpoint.all_good());
}

#[tokio::test]
async fn an_untrusted_endpoint_gets_no_secret() {
    let mut machine = Machine::logged_in().await;
    // a server with a certificate that no root has signed
    let mailbox = machine.mailbox().await;
    machine.settings.token_url = format!("https://127.0.0.1:{}/token", mailbox.dovecot.imaps);
    machine.keep("refresh.x", now());
    let error = machine.tokens().access().await.expect_err("not trusted");
    assert_eq!(code(&error), ("oauth-unavailable", Remedy::Reconnect));
    assert!(
        smista_domain::chain(&error).to_lowercase().contains("certificate"),
        "{}",
        smista_domain::chain(&error)
    );
    // with its authority, what it says is heard: IMAP
    machine.settings.ca =
        smista_email::imap::tls::certificates(&mailbox.dovecot.ca_pem()).expect("a certificate");
    let error = machine.tokens().access().await.expect_err("no HTTP");
    let said = smista_domain::chain(&error).to_lowercase();
    assert!(!said.contains("certificate"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_from_memory_that_is_refused_is_fetched_anew_exactly_once() {
    let machine = Machine::logged_in().await;
    let mailbox = machine.mailbox().await;
    let channel = Arc::new(mailbox.channel());
    mailbox.deliver_many("INBOX", 1);
    let running = Running::start(Arc::clone(&channel), mailbox.intake.clone());
    running.intake.until("it comes", |c| c.committed() == 1).await;
    running.stop().await.expect("a stop is no error");
    assert_eq!(machine.endpoint.count("/token"), 1);
    // revoked, while it is in memory
    machine.endpoint.revoke_access();
    mailbox.dovecot.deliver("urp", "INBOX", &letter(7)).expect("delivered");
    let running = Running::start(Arc::clone(&channel), mailbox.intake.clone());
    running.intake.until("the other one, too", |c| c.committed() == 2).await;
    running.stop().await.expect("a stop is no error");
    assert_eq!(machine.endpoint.count("/token"), 2);
    // revoked again, and the new one is somebody else's: refused, and no third is fetched
    machine.endpoint.revoke_access();
    machine.keep(&machine.endpoint.log_in("tributi"), now());
    let error = Running::start(channel, mailbox.intake.clone()).end().await.expect_err("refused");
    assert_eq!((error.code, error.remedy), ("oauth-token-refused", Remedy::AskOperator), "{error}");
    assert_eq!(machine.endpoint.count("/token"), 3);
    no_secret(&machine, &error);
}

fn no_secret(machine: &Machine, error: &ChannelError) {
    let all = format!("{error:?} {}", smista_domain::chain(error));
    for secret in machine.endpoint.secrets() {
        assert!(!all.contains(&secret), "{all}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_tokens_is_told_apart() {
    let machine = Machine::logged_in().await;
    let mut mailbox = Mailbox::start().await;
    mailbox.settings.login = Login::OAuth(Box::new(machine.settings.clone()));
    let error = mailbox.run().end().await.expect_err("no mechanism");
    assert_eq!((error.code, error.remedy), ("oauth-unsupported", Remedy::AskOperator));
    machine.endpoint.revoke_grants();
    let error = mailbox.run().end().await.expect_err("no token");
    assert_eq!((error.code, error.remedy), ("oauth-grant-lost", Remedy::AskOperator));
    assert!(error.text.contains("smista login"), "{error}");
}

#[tokio::test]
async fn an_unused_token_is_kept_alive_and_its_end_is_announced() {
    let day = |n: i64| now() - jiff::SignedDuration::from_hours(24 * n);
    let machine = Machine::logged_in_at(now()).await;
    assert!(!machine.tokens().keep_alive().await.expect("used today"));
    machine.keep(&machine.endpoint.log_in("urp"), day(2));
    assert!(machine.tokens().keep_alive().await.expect("used"));
    assert_eq!((machine.kept().used_at, machine.endpoint.count("/token")), (now(), 1));

    let mailbox = machine.mailbox().await;
    let warned = |used: i64| {
        machine.keep("refresh.x", day(used));
        mailbox.settings.grant_warning(now(), 14).map(|found| found.text.it)
    };
    assert_eq!(warned(75), None);
    assert!(warned(80).is_some_and(|it| it.contains("scade tra 10 giorni")));
    assert!(warned(95).is_some_and(|it| it.contains("scaduto da 5 giorni")));
    // an end that the provider tells goes before
    machine.keep(&machine.endpoint.log_in("urp"), now());
    machine.endpoint.set_refresh_lifetime(3 * 86_400);
    machine.tokens().access().await.expect("a token");
    let told = mailbox.settings.grant_warning(now(), 14).expect("soon");
    assert!(told.text.it.contains("scade tra 3 giorni"), "{told:?}");
    assert!(told.hint.is_some_and(|hint| hint.it.contains("smista login email/urp")));
    fs::remove_file(machine.settings.grant_file.path()).expect("removed");
    let none = mailbox.settings.grant_warning(now(), 14).expect("none");
    assert!(none.text.en.contains("no refresh token"), "{none:?}");
}

async fn by_device(machine: &Machine) -> Result<(), TokenError> {
    let tokens = machine.tokens();
    let Begun::Device(device) = tokens.begin_login().await? else { panic!("a device") };
    assert_eq!(device.url, machine.endpoint.url("/activate"));
    assert!(machine.endpoint.confirm(&device.code, Ok("urp")));
    tokens.await_device(&device, Duration::ZERO).await
}

#[tokio::test]
async fn a_login_by_device_waits_for_the_person() {
    let machine = Machine::new(Flow::RefreshToken).await;
    machine.endpoint.hesitate(2, 1);
    by_device(&machine).await.expect("logged in");
    assert_eq!(machine.endpoint.count("/token"), 4);
    machine.tokens().access().await.expect("a token");
    // what fails on the way is tried again; what is refused is said
    let tokens = machine.tokens();
    for verdict in ["access_denied", "expired_token"] {
        machine.endpoint.hesitate(0, 0);
        let Begun::Device(device) = tokens.begin_login().await.expect("begun") else { panic!("a device") };
        machine.endpoint.fail(&[Failure::Status(500, None), Failure::Close]);
        assert!(machine.endpoint.confirm(&device.code, Err(verdict)));
        let error = tokens.await_device(&device, Duration::ZERO).await.expect_err("refused");
        assert_eq!(code(&error), ("oauth-refused", Remedy::AskOperator), "{error}");
    }
    machine.tokens().access().await.expect("the token of before is still there");
}

#[tokio::test]
async fn a_login_without_a_refresh_token_is_none() {
    let machine = Machine::new(Flow::RefreshToken).await;
    let tokens = machine.tokens();
    let Begun::Device(device) = tokens.begin_login().await.expect("begun") else { panic!("a device") };
    machine.endpoint.fail(&[Failure::Body("{\"access_token\":\"access.1\",\"token_type\":\"Bearer\"}")]);
    let error = tokens.await_device(&device, Duration::ZERO).await.expect_err("it would end within the hour");
    assert_eq!(code(&error), ("oauth-refused", Remedy::AskOperator), "{error}");
    assert!(machine.settings.grant_file.read().expect("readable").is_none());
}

#[tokio::test]
async fn a_login_by_browser_takes_the_address_that_it_ends_at() {
    let mut machine = Machine::new(Flow::RefreshToken).await;
    machine.settings.device_url = None;
    machine.settings.auth_url = Some(machine.endpoint.url("/authorize"));
    let tokens = machine.tokens();
    let Begun::Browser(browser) = tokens.begin_login().await.expect("begun") else { panic!("a browser") };
    let end = machine.endpoint.consent(&browser.url, "urp").expect("a good address");
    let error =
        tokens.redeem(&browser, "http://localhost/?code=x&state=y").await.expect_err("of another login");
    assert_eq!(code(&error), ("oauth-refused", Remedy::AskOperator));
    tokens.redeem(&browser, &format!("{end}\n")).await.expect("logged in");
    tokens.access().await.expect("a token");
    let error = tokens.redeem(&browser, &end).await.expect_err("a code counts once");
    assert_eq!(code(&error).0, "oauth-grant-lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probing_says_what_a_run_would() {
    let machine = Machine::logged_in().await;
    let mailbox = machine.mailbox().await;
    let steps = mailbox.channel().probe().await;
    assert!(steps.iter().any(|s| s.step == "login" && s.verdict == Verdict::Ok), "{steps:?}");
    machine.endpoint.revoke_grants();
    let steps = mailbox.channel().probe().await;
    let last = steps.last().expect("a step");
    assert_eq!((last.step, last.code), ("token", Some("oauth-grant-lost")));
}

/// Exchange Online lets a good token in and then says, with BAD, that the mailbox is not open to it.
#[tokio::test]
async fn a_good_token_that_opens_no_mailbox_asks_the_operator() {
    let machine = Machine::logged_in().await;
    let server = ScriptedImap::start().await.expect("it listens");
    server.set_capability("IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR IDLE");
    server.fault("EXAMINE", "", 1, Fault::Instead("{T} BAD User is authenticated but not connected.\r\n"));
    let mut settings = settings(server.port, TlsMode::None);
    settings.login = Login::OAuth(Box::new(machine.settings.clone()));
    let intake = MemoryIntake::new(&settings.name);
    let channel = Arc::new(EmailChannel::with(settings, MemoryBudget::default(), timing()));
    let error = Running::start(channel, intake).end().await.expect_err("not connected");
    assert_eq!((error.code, error.remedy), ("oauth-token-refused", Remedy::AskOperator), "{error}");
    assert_eq!((server.count("AUTHENTICATE XOAUTH2"), server.count("LOGIN")), (1, 0));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_an_endpoint_that_hangs() {
    let machine = Machine::logged_in().await;
    let mailbox = machine.mailbox().await;
    machine.endpoint.fail(&[Failure::Hang]);
    let running = mailbox.run();
    machine.endpoint.until("/token", 1).await;
    running.stop().await.expect("a stop is no error");
}
