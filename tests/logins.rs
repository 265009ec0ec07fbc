//! Mailboxes that are entered with access tokens: the first login, what a dead token stops, what is said before.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdout, Stdio},
};

use serde_json::{Value, json};
use smista_testkit::{
    dovecot::{Dovecot, DovecotOptions},
    installation::{Installation, Mailbox},
    scripted_imap::{Fault, ScriptedImap},
    token_endpoint::{CLIENT_ID, CLIENT_SECRET, Failure, TokenEndpoint},
};

use crate::support::{database, letter, program};

/// A mail server that takes the tokens of a provider.
async fn provider() -> (TokenEndpoint, Dovecot) {
    let endpoint = TokenEndpoint::start().await.expect("it listens");
    let introspection_url = Some(endpoint.url("/introspect"));
    let options = DovecotOptions { introspection_url, ..DovecotOptions::default() };
    (endpoint, Dovecot::start_with(&options).await.expect("Dovecot"))
}

/// As if somebody had logged in some days ago.
fn keep(town: &Installation, name: &str, endpoint: &TokenEndpoint, token: &str, days_ago: i64) {
    let file = town.grant_file(name);
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    let at = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days_ago)).to_string();
    let grant = json!({
        "refresh_token": token, "client_id": CLIENT_ID, "token_url": endpoint.url("/token"),
        "obtained_at": at, "used_at": at,
    });
    fs::write(file, grant.to_string()).expect("written");
}

fn kept(town: &Installation, name: &str) -> Value {
    let text = fs::read_to_string(town.grant_file(name)).expect("a token is kept");
    serde_json::from_str(&text).expect("JSON")
}

/// A login that is under way, with its screen.
struct Screen {
    child: Child,
    lines: BufReader<ChildStdout>,
    shown: String,
}

impl Screen {
    fn of(town: &Installation, args: &[&str]) -> Self {
        let mut command = town.command();
        command.arg("login").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, lines, shown: String::new() }
    }

    /// Reads until a line has a word that begins so, and gives that word.
    fn word(&mut self, begin: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).expect("readable"), 0, "no '{begin}': {}", self.shown);
            self.shown.push_str(&line);
            if let Some(word) = line.split_whitespace().find(|word| word.starts_with(begin)) {
                return word.to_owned();
            }
        }
    }

    /// Everything that was shown, on either output, and the exit code.
    fn end(mut self) -> (i32, String) {
        let mut line = String::new();
        while self.lines.read_line(&mut line).expect("readable") > 0 {
            self.shown.push_str(&line);
            line.clear();
        }
        let output = self.child.wait_with_output().expect("it ends");
        self.shown.push_str(&String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap_or(-1), self.shown)
    }
}

fn no_secret(endpoint: &TokenEndpoint, said: &str) {
    for secret in endpoint.secrets().iter().map(String::as_str).chain([CLIENT_SECRET]) {
        assert!(!said.contains(secret), "'{secret}' is in: {said}");
    }
    assert!(!said.contains("Ermenegilda"), "what a provider says in its own words: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_with_a_dead_token_fails_alone_and_says_so_until_somebody_logs_in() {
    let (endpoint, dovecot) = provider().await;
    let (table, _store) = database().await;
    let dead = Mailbox::of(&dovecot, "tributi").oauth(&endpoint, "refresh-token");
    let good = Mailbox::of(&dovecot, "bulk").oauth(&endpoint, "refresh-token");
    let town =
        Installation::new(program(), &table, Some(&dovecot), &[dead, Mailbox::of(&dovecot, "urp"), good]);
    keep(&town, "tributi", &endpoint, &endpoint.log_in("tributi"), 0);
    endpoint.revoke_grants();
    keep(&town, "bulk", &endpoint, &endpoint.log_in("bulk"), 0);
    for (n, user) in ["tributi", "urp", "bulk"].into_iter().enumerate() {
        dovecot.deliver(user, "INBOX", &letter(n)).expect("delivered");
    }
    let daemon = town.daemon_in("run", &[("SMISTA_LOG", "debug")]);
    town.until("the others work", || {
        town.count("email/urp", "opened") == 1 && town.count("email/bulk", "opened") == 1
    })
    .await;
    town.until("status names the one that does not", || {
        town.run(&["status", "--json"]).out.contains("oauth-grant-lost")
    })
    .await;
    let said = town.run(&["status"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("email/tributi") && said.out.contains("smista login"), "{said:?}");
    let connect = town.run(&["check", "--connect"]);
    assert_eq!(connect.code, 69, "{connect:?}");
    assert!(connect.out.contains("invalid_grant"), "{connect:?}");
    assert!(town.count("email/tributi", "delivered") <= 0);

    let mut screen = Screen::of(&town, &["email/tributi"]);
    assert_eq!(screen.word("http://"), endpoint.url("/activate"));
    let code = screen.word("BCDF-");
    assert!(endpoint.confirm(&code, Ok("tributi")));
    let (code, shown) = screen.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("entrare come tributi") && shown.contains("INBOX: 1 messaggi"), "{shown}");
    town.until("its letter comes", || town.count("email/tributi", "opened") == 1).await;
    town.until("nothing is wrong any more", || town.run(&["status"]).code == 0).await;
    let log = daemon.log();
    assert_eq!(daemon.terminate(), 0);
    for said in [log, shown, said.out, connect.out, town.logs()] {
        no_secret(&endpoint, &said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_says_what_came_of_it() {
    let (endpoint, dovecot) = provider().await;
    let (table, _store) = database().await;
    let browser = |mailbox: Mailbox| {
        let (device, page) = (endpoint.url("/device"), endpoint.url("/authorize"));
        let oauth = mailbox.oauth.map(|text| text.replace("device_url", "auth_url").replace(&device, &page));
        Mailbox { oauth, ..mailbox }
    };
    let token = |user: &str, flow: &str| Mailbox::of(&dovecot, user).oauth(&endpoint, flow);
    let mailboxes = [
        token("urp", "refresh-token"),
        browser(token("bulk", "refresh-token")),
        Mailbox::of(&dovecot, "tributi"),
        Mailbox {
            name: "app".to_owned(),
            folders: vec!["Altra".to_owned()],
            ..token("urp", "client-credentials")
        },
    ];
    let town = Installation::new(program(), &table, Some(&dovecot), &mailboxes);
    dovecot.maildir("urp", "Altra").expect("a folder");
    // what is asked for is not there, or needs no login
    for (name, words) in [("email/boh", "email/urp, email/bulk"), ("email/tributi", "password")] {
        let said = town.run(&["login", name]);
        assert!(said.code == 2 && said.err.contains(words), "{said:?}");
    }
    // refused by the person, and by the provider
    let mut screen = Screen::of(&town, &["email/urp", "--lang", "en"]);
    let code = screen.word("BCDF-");
    assert!(endpoint.confirm(&code, Err("access_denied")));
    let (code, shown) = screen.end();
    assert!(code == 1 && shown.contains("access_denied") && shown.contains("What to do"), "{shown}");
    endpoint.fail(&[Failure::Error("invalid_client")]);
    let said = town.run(&["login", "email/urp"]);
    assert!(said.code == 1 && said.err.contains("invalid_client"), "{said:?}");
    endpoint.fail(&[Failure::Status(503, None)]);
    let said = town.run(&["login", "email/urp"]);
    assert!(said.code == 69 && said.err.contains("503"), "{said:?}");
    assert!(!town.grant_file("urp").exists());
    // granted by somebody who may not open the mailbox
    let mut screen = Screen::of(&town, &["email/urp"]);
    let code = screen.word("BCDF-");
    assert!(endpoint.confirm(&code, Ok("tributi")));
    let (code, shown) = screen.end();
    assert!(code == 1 && shown.contains("il token è buono"), "{shown}");
    // through a browser
    let mut screen = Screen::of(&town, &["email/bulk"]);
    let url = screen.word("http://");
    let end = endpoint.consent(&url, "bulk").expect("a good address");
    writeln!(screen.child.stdin.take().expect("its input"), "{end}").expect("pasted");
    let (code, shown) = screen.end();
    assert!(code == 0 && shown.contains("INBOX: 0 messaggi"), "{shown}");
    no_secret(&endpoint, &shown);
    let nothing = town.run(&["login", "email/bulk"]);
    assert!(nothing.code == 1 && nothing.err.contains("incollato"), "{nothing:?}");
    assert!(kept(&town, "bulk")["refresh_token"].is_string(), "the token of before is still there");
    // the application's own
    endpoint.let_app_open("urp");
    let said = town.run(&["login", "email/app"]);
    assert!(said.code == 0 && said.out.contains("Altra: 0 messaggi"), "{said:?}");
    // without a configuration
    fs::write(town.config().join("smista.toml"), "[comune").expect("written");
    assert_eq!(town.run(&["login", "email/urp"]).code, 78);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_is_said_before_and_what_nobody_uses_is_kept_alive() {
    let (endpoint, dovecot) = provider().await;
    let (table, _store) = database().await;
    let mut soon = Mailbox::of(&dovecot, "urp").oauth(&endpoint, "refresh-token");
    if let Some(oauth) = &mut soon.oauth {
        oauth.push_str("client_secret_expires = 2020-02-01\nidle_days = 10\n");
    }
    let town = Installation::new(program(), &table, Some(&dovecot), &[soon]);
    let said = town.run(&["check"]);
    assert!(said.code == 0 && said.err.contains("smista login email/urp"), "{said:?}");
    keep(&town, "urp", &endpoint, &endpoint.log_in("urp"), 3);
    let json = town.json(&["check"]);
    let codes: Vec<_> = json.as_array().expect("a list").iter().map(|f| f["code"].clone()).collect();
    for code in ["email-oauth-grant-expires", "email-oauth-secret-expires"] {
        assert!(codes.contains(&code.into()), "{json}");
    }
    let before = kept(&town, "urp");
    let daemon = town.daemon();
    town.until("both are said", || {
        let said = town.run(&["status", "--json"]).out;
        said.contains("token-expires") && said.contains("client-secret-expires")
    })
    .await;
    assert_eq!(town.run(&["status"]).code, 0, "warnings are no errors");
    town.until("it was used", || kept(&town, "urp")["used_at"] != before["used_at"]).await;
    assert_eq!(daemon.terminate(), 0);
    assert!(endpoint.all_good());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_rotation_and_use_the_new_token_is_on_the_disk() {
    let endpoint = TokenEndpoint::start().await.expect("it listens");
    let server = ScriptedImap::start().await.expect("it listens");
    let dovecot = Dovecot::start().await.expect("Dovecot");
    server.set_capability("IMAP4rev1 AUTH=XOAUTH2 SASL-IR IDLE MOVE UIDPLUS");
    let (table, _store) = database().await;
    let mailbox = Mailbox::of(&dovecot, "urp").plain_on(server.port).oauth(&endpoint, "refresh-token");
    let town = Installation::new(program(), &table, Some(&dovecot), &[mailbox]);
    for round in 1..=2 {
        let first = endpoint.log_in("urp");
        keep(&town, "urp", &endpoint, &first, 0);
        server.fault("AUTHENTICATE", "", 1, Fault::Silence);
        let daemon = town.daemon();
        town.until("it logs in", || server.count("AUTHENTICATE") == 2 * round - 1).await;
        daemon.kill9();
        assert_ne!(kept(&town, "urp")["refresh_token"], first.as_str());
        let said = town.run(&["check", "--connect"]);
        assert_eq!(said.code, 0, "{said:?}");
    }
    assert!(endpoint.all_good(), "no refresh token was used twice");
}
