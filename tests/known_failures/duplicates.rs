//! Letters that come again: nothing is doubled, and nothing that was finished begins anew.

use std::fs;

use smista_testkit::installation::Installation;

use crate::support::{database, letter, program};

#[tokio::test(flavor = "multi_thread")]
async fn chatwoot_12054_what_was_finished_or_put_away_is_imported_again() {
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, None, &[]);
    let files: Vec<String> = (1..=2)
        .map(|n| {
            let path = town.path().join(format!("{n}.eml"));
            let list = if n == 2 { &b"List-Id: <notizie.example.it>\r\n"[..] } else { b"" };
            fs::write(&path, [list, &letter(n)].concat()).expect("a letter");
            path.display().to_string()
        })
        .collect();
    let import = ["import", "mail", &files[0], &files[1]];
    assert_eq!(town.json(&import)["new"], 2);
    let number = town.json(&["queue", "list"])[0]["number"].as_str().expect("a number").to_owned();
    town.json(&["queue", "close", &number, "--outcome", "riparata"]);
    let before = town.json(&["deliveries", "list"]);
    assert_eq!(town.json(&import), serde_json::json!({"new": 0, "known": 2, "errors": 0}));
    assert_eq!(town.json(&["deliveries", "list"]), before);
    assert_eq!(town.json(&["queue", "list"]), serde_json::json!([]), "the closed case stays closed");
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}
