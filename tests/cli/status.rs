//! `status` tells the truth whatever is missing.

use smista_testkit::installation::Installation;

use super::{Office, letter};
use crate::support::program;

/// A URL that nothing answers on.
const NOWHERE: &str = "url = \"postgres://smista@localhost/smista?host=/nonexistent\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_it_says_so_and_shows_what_the_database_knows() {
    let office = Office::with(&[letter(1)]).await;
    let italian = office.town.run(&["status"]);
    assert_eq!(italian.code, 1, "{italian:?}");
    assert!(
        italian.out.contains("non è in funzione") && italian.out.contains("lavori-pubblici"),
        "{italian:?}"
    );
    let english = office.town.run(&["status", "--lang", "en"]);
    assert!(english.code == 1 && english.out.contains("does not run"), "{english:?}");
    let json = office.town.run(&["status", "--json"]).json();
    assert!(json["daemon"].is_null(), "{json}");
    assert_eq!(json["database"]["ok"], true, "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_daemon_and_database_it_is_69() {
    let town = Installation::new(program(), NOWHERE, None, &[]);
    for (lang, word) in [("it", "non risponde"), ("en", "does not answer")] {
        let said = town.run(&["status", "--lang", lang]);
        assert!(said.code == 69 && said.out.contains(word), "{said:?}");
        for command in [&["ledger"][..], &["queue", "list"], &["deliveries", "list"], &["migrate"]] {
            let said = town.run(&[command, &["--lang", lang]].concat());
            assert!(said.code == 69 && said.err.contains(word), "{command:?}: {said:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_the_daemon_answers_and_stops_when_told() {
    let town = Installation::new(program(), NOWHERE, None, &[]);
    let daemon = town.daemon();
    town.until("it says what is missing", || {
        let said = town.run(&["status", "--json"]);
        said.code == 1 && said.json()["daemon"]["conditions"][0]["code"] == "database-away"
    })
    .await;
    let json = town.run(&["status", "--json"]).json();
    assert_eq!(json["database"]["ok"], false, "{json}");
    for (lang, what, todo) in [("it", "database", "PostgreSQL"), ("en", "database", "PostgreSQL")] {
        let said = town.run(&["status", "--lang", lang]);
        assert!(said.code == 1 && said.out.contains(what) && said.out.contains(todo), "{said:?}");
    }
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(town.run(&["status"]).code, 69, "its socket is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_all_is_well_it_is_0_and_says_so() {
    let office = Office::with(&[letter(1)]).await;
    let daemon = office.town.daemon();
    office.town.until("it runs", || office.town.run(&["status"]).code == 0).await;
    let said = office.town.run(&["status"]);
    assert!(said.out.contains("Tutto a posto") && said.out.contains("lavori-pubblici"), "{said:?}");
    let english = office.town.run(&["status", "--lang", "en"]);
    assert!(english.out.contains("All is well"), "{english:?}");
    let json = office.town.run(&["status", "--json"]).json();
    assert_eq!(json["daemon"]["pid"], daemon.pid().as_raw(), "{json}");
    assert_eq!(daemon.terminate(), 0);
}
