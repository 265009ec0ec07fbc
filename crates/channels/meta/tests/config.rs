//! `[meta]`: what is read, and what is said about mistakes.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::path::PathBuf;

use smista_meta::{
    MetaSettings,
    config::{AccountKind, codes},
};
use smista_settings::{Diagnostics, Environment, Severity, Sources, parse};

/// The settings, and the codes of what is wrong.
fn read(text: &str) -> (Option<MetaSettings>, Vec<&'static str>) {
    let environment: Environment =
        [("TOKEN", "una parola lunga"), ("SECRET", "chiave")].into_iter().collect();
    let mut sources = Sources::new(PathBuf::from("/nonexistent"), environment);
    let diagnostics = Diagnostics::new();
    let file = sources.add("smista.toml".into(), text.as_bytes().to_vec()).expect("text");
    let mut root = parse(&mut sources, file, &diagnostics).expect("TOML");
    let settings = root.table("meta").and_then(MetaSettings::read);
    let found = diagnostics.into_sorted(&sources);
    for diagnostic in &found {
        assert!(diagnostic.span.is_some(), "it has a place: {diagnostic:?}");
        assert!(diagnostic.hint.is_some(), "it says what to do: {diagnostic:?}");
        assert_eq!(diagnostic.severity, Severity::Error);
    }
    (settings, found.iter().map(|d| d.code).collect())
}

const HEAD: &str = "[meta]\napp_secret_env = \"SECRET\"\nverify_token_env = \"TOKEN\"\n";
const PAGE: &str = "[[meta.page]]\nname = \"comune\"\nid = \"104567890123456\"\n";

#[test]
fn defaults() {
    let (settings, found) = read(&format!("{HEAD}{PAGE}"));
    assert!(found.is_empty(), "{found:?}");
    let settings = settings.expect("good");
    assert_eq!(settings.version, "v26.0");
    assert_eq!(settings.graph_url, "https://graph.facebook.com");
    assert_eq!(settings.instagram_url, "https://graph.instagram.com");
    let [page] = settings.accounts.as_slice() else { panic!("{settings:?}") };
    assert_eq!(
        (page.name.as_str(), page.id.as_str(), page.kind),
        ("meta/comune", "104567890123456", AccountKind::Page)
    );
    assert!(settings.reading().own.contains("104567890123456"));
}

#[test]
fn what_is_sent_is_for_the_account_with_its_id() {
    let more = "[[meta.instagram]]\nname = \"foto\"\nid = \"17841400000000001\"\nlogin = \"instagram\"\n";
    let (settings, found) = read(&format!("{HEAD}{PAGE}{more}"));
    assert!(found.is_empty(), "{found:?}");
    let settings = settings.expect("good");
    assert_eq!(settings.accounts[1].kind, AccountKind::InstagramByItself);
    let channel = |id: &str| settings.channel_of(id).map(ToString::to_string);
    assert_eq!(channel("17841400000000001").as_deref(), Some("meta/foto"));
    assert_eq!((channel("0"), channel("")), (None, None), "several: an unnamed one is nobody's");
    let (alone, _) = read(&format!("{HEAD}{PAGE}"));
    assert_eq!(alone.expect("good").channel_of("").map(ToString::to_string).as_deref(), Some("meta/comune"));
}

#[test]
fn every_mistake_has_its_code() {
    let with = |more: &str| read(&format!("{HEAD}{more}\n{PAGE}"));
    for (text, code) in [
        ("graph_url = \"http://graph.facebook.com\"", codes::URL),
        ("graph_url = \"https://\"", codes::URL),
        ("instagram_url = \"https://a b\"", codes::URL),
        ("version = \"26\"", codes::VERSION),
        ("version = \"v26\"", codes::VERSION),
        ("verify_token_file = \"x\"", "secret-twice"),
        ("app_secret = \"x\"", "secret-in-file"),
        ("boh = 1", "unknown-key"),
    ] {
        let (settings, found) = with(text);
        assert_eq!(found, [code], "{text}");
        // An unknown key or a secret in the file are told, and stop the whole configuration where findings are counted.
        assert!(settings.is_none() || !code.starts_with("meta-"), "{text}");
    }
    for (text, code) in [
        ("[meta]\nverify_token_env = \"TOKEN\"\n", codes::APP_SECRET),
        ("[meta]\napp_secret_files = []\nverify_token_env = \"TOKEN\"\n", codes::APP_SECRET),
        ("[meta]\napp_secret_env = \"SECRET\"\n", codes::VERIFY_TOKEN),
    ] {
        assert_eq!(read(&format!("{text}{PAGE}")).1, [code], "{text}");
    }
    assert_eq!(read(HEAD).1, [codes::NO_ACCOUNT]);
    for (page, code) in [
        ("name = \"Pagina del Comune\"\nid = \"104567\"", codes::NAME),
        ("name = \"a\"\nid = \"comunegubbio\"", codes::ID),
        ("name = \"comune\"\nid = \"104567\"", codes::NAME_TWICE),
        ("name = \"b\"\nid = \"104567890123456\"", codes::ID_TWICE),
        ("name = \"b\"", "missing-key"),
        ("name = \"b\"\nid = \"104567\"\ntoken = \"EAAB\"", "secret-in-file"),
        ("name = \"b\"\nid = \"104567\"\nlogin = \"facebook\"", "unknown-key"),
    ] {
        let (_, found) = read(&format!("{HEAD}{PAGE}[[meta.page]]\n{page}\n"));
        assert_eq!(found, [code], "{page}");
    }
    let login = "[[meta.instagram]]\nname = \"b\"\nid = \"178414\"\nlogin = \"google\"\n";
    assert_eq!(read(&format!("{HEAD}{login}")).1, ["unknown-word"]);
    let missing = "[meta]\napp_secret_files = [\"manca\", \"anche\"]\nverify_token_env = \"TOKEN\"\n";
    let (settings, found) = read(&format!("{missing}{PAGE}"));
    assert_eq!(found, ["secret-missing", "secret-missing"]);
    assert_eq!(settings.expect("the daemon's credentials may be its alone").app_secrets.len(), 2);
}

#[test]
fn codes_are_unique_and_documented() {
    let page = include_str!("../../../../docs/reference/diagnostics.md");
    let unique: std::collections::BTreeSet<_> = codes::ALL.iter().collect();
    assert_eq!(unique.len(), codes::ALL.len());
    for code in codes::ALL {
        assert!(code.starts_with("meta-"));
        assert_eq!(
            page.matches(&format!("| `{code}` |")).count(),
            1,
            "{code} in docs/reference/diagnostics.md"
        );
    }
}
