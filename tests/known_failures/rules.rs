//! Rules that nobody understands: which one it was, and why.

use std::{fs, io::Write as _, process::Stdio};

use smista_testkit::installation::{Installation, Said};

use crate::support::{database, letter, program};

const SPAM: &[u8] = b"From: Promo <promo@example.com>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Offerta\r\n\
    Message-ID: <offerta@example.com>\r\nContent-Type: text/plain\r\n\r\nLe offriamo il posizionamento del suo sito sui \
    motori di ricerca.\r\n";

async fn town_with(bytes: &[u8]) -> Installation {
    let (table, _store) = database().await;
    let town = Installation::new(program(), &table, None, &[]);
    let file = town.path().join("lettera.eml");
    fs::write(&file, bytes).expect("a letter");
    town.json(&["import", "mail", file.to_str().expect("UTF-8")]);
    town
}

fn explained(town: &Installation, bytes: &[u8]) -> Said {
    let mut child = town
        .command()
        .args(["explain", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    child.stdin.take().expect("its input").write_all(bytes).expect("written");
    let output = child.wait_with_output().expect("its end");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// What was put away is still there, and its bytes explained name the rule.
#[tokio::test(flavor = "multi_thread")]
async fn osticket_6098_which_filter_closed_my_ticket() {
    let town = town_with(SPAM).await;
    let row = &town.json(&["deliveries", "list", "--outcome", "set_aside"])[0];
    assert_eq!(row["reason"], "pubblicita", "{row}");
    let raw = town.run(&["deliveries", "show", &row["id"].to_string(), "--raw"]);
    assert_eq!(raw.out.as_bytes(), SPAM);
    let said = explained(&town, raw.out.as_bytes());
    assert!(said.code == 0 && said.out.contains("spam-web"), "{said:?}");
    assert!(said.out.contains("posizionamento"), "the words that matched: {said:?}");
}

/// The stored decision names the rule, though the rules are others now.
#[tokio::test(flavor = "multi_thread")]
async fn otobo_4269_which_filter_matched() {
    let town = town_with(&letter(1)).await;
    let number = town.json(&["queue", "list"])[0]["number"].as_str().expect("a number").to_owned();
    let before = town.run(&["explain", &number]);
    let rule = before.out.lines().find(|line| line.contains("buca")).expect("the rule's line").to_owned();
    for entry in fs::read_dir(town.config().join("rules")).expect("rules") {
        let path = entry.expect("a file").path();
        if path.ends_with("strade.toml") {
            fs::remove_file(path).expect("a rule file less");
        }
    }
    let after = town.run(&["explain", &number]);
    assert!(after.out.contains(&rule), "{before:?} {after:?}");
    assert!(!explained(&town, &letter(1)).out.contains(&rule), "the files say something else now");
}
