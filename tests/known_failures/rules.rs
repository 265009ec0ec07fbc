//! Rules that nobody understands: which one it was, and why.

use std::fs;

use serde_json::Value;
use smista_testkit::{
    installation::{Installation, Mailbox, Said},
    scripted_imap::ScriptedImap,
};

use super::{cases, deliveries, import, office, only_rules, scripted, sound};
use crate::{
    cli::run_with,
    support::{database, letter, program},
};

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
    run_with(town, &["explain", "-"], bytes)
}

/// A town whose rules are these and no others.
fn ruled(rules: &str) -> Installation {
    let town = Installation::new(program(), "", None, &[]);
    only_rules(&town.config(), rules);
    town
}

/// The decision on a plain text, whose first line may be its subject.
fn decided(town: &Installation, text: &str) -> Value {
    run_with(town, &["explain", "-", "--json"], text.as_bytes()).json()
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

/// A rule that is still being written, in files of its own, asked about everything that came in.
#[tokio::test(flavor = "multi_thread")]
async fn osticket_5929_which_tickets_does_the_filter_match_that_i_am_editing() {
    let office = office(None, &[]).await;
    let text = String::from_utf8(letter(3)).expect("UTF-8").replace("asfalto", "selciato");
    import(&office, &[letter(1), letter(2), text.into_bytes()]);
    let draft = office.town.path().join("bozza");
    fs::create_dir_all(draft.join("rules")).expect("a folder");
    for file in ["smista.toml", "sectors.toml", "password"] {
        fs::copy(office.town.config().join(file), draft.join(file)).expect("copied");
    }
    let rule = "[[rule]]\nid = \"centro\"\nany = [\"selciato\"]\nsector = \"cultura\"\nweight = 60\n\
                examples = [\"Il selciato è rotto\"]\ncounterexamples = [\"L'asfalto è rotto\"]\n";
    fs::write(draft.join("rules/centro.toml"), rule).expect("the draft");
    let config = draft.to_str().expect("UTF-8");
    let mut matched = Vec::new();
    for row in office.town.json(&["deliveries", "list"]).as_array().expect("rows") {
        let raw = office.town.run(&["deliveries", "show", &row["id"].to_string(), "--raw"]);
        let said =
            run_with(&office.town, &["--config", config, "explain", "-", "--json"], raw.out.as_bytes());
        if said.json()["votes"].to_string().contains("centro") {
            matched.push(row["number"].clone());
        }
    }
    assert_eq!(matched, [cases(&office)[2]["number"].clone()], "this one alone");
    let tested = office.town.run(&["--config", config, "rules", "test"]);
    assert_eq!(tested.code, 0, "its examples say what it is for: {tested:?}");
    sound(&office).await;
}

/// Each condition shows what it found; a letter that misses one of them shows nothing of the rule, and why nobody won.
#[test]
fn freescout_5381_how_do_i_see_whether_the_conditions_hold() {
    let town = ruled(
        "[[rule]]\nid = \"ponte\"\nall = [\"ponte\", \"crepe\"]\nnone = [\"dentista\"]\nsubject = [\"pericolo\"]\n\
         sender = [\"@anas.it\"]\nattachment = [\"image/*\"]\nsector = \"lavori-pubblici\"\nweight = 30\n",
    );
    let letter = |sender: &str| {
        format!(
            "From: {sender}\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Pericolo\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nIl ponte ha delle crepe.\r\n\
             --b\r\nContent-Type: image/jpeg; name=ponte.jpg\r\n\r\nx\r\n--b--\r\n"
        )
    };
    let said = explained(&town, letter("capo@anas.it").as_bytes());
    assert!(said.code == 0 && said.out.contains("regola ponte"), "{said:?}");
    let json = run_with(&town, &["explain", "-", "--json"], letter("capo@anas.it").as_bytes()).json();
    let evidence = json["votes"][0]["evidence"].to_string();
    for word in ["ponte", "crepe", "Pericolo", "capo@anas.it", "ponte.jpg"] {
        assert!(evidence.contains(word), "{word}: {evidence}");
    }
    let said = explained(&town, letter("altri@example.it").as_bytes());
    assert!(!said.out.contains("regola ponte"), "{said:?}");
    let json = run_with(&town, &["explain", "-", "--json"], letter("altri@example.it").as_bytes()).json();
    assert_eq!((&json["fallback"], &json["fallback_reason"]), (&true.into(), &"no-rule".into()), "{json}");
}

/// Three filters as in the report; whatever the order of files, the result is the same and names all that hold.
#[test]
fn osticket_5692_stop_processing_on_match_is_ignored() {
    let supplies =
        "[[rule]]\nid = \"forniture\"\nany = [\"forniture\"]\nsector = \"patrimonio\"\nweight = 60\n";
    let team = |id: &str, word: &str, sector: &str| {
        format!("[[rule]]\nid = \"{id}\"\nany = [\"{word}\"]\nsector = \"{sector}\"\nweight = 30\n")
    };
    let (one, two) = (team("squadra-a", "scuola", "istruzione"), team("squadra-b", "museo", "cultura"));
    let text = "Forniture per la scuola e per il museo";
    let orders = [[supplies, &one, &two], [&two, &one, supplies], [&one, supplies, &two]];
    let all: Vec<Value> = orders
        .iter()
        .map(|order| {
            let town = ruled("");
            for (n, rule) in order.iter().enumerate() {
                fs::write(town.config().join(format!("rules/{n}.toml")), rule).expect("a rule");
            }
            decided(&town, text)
        })
        .collect();
    assert_eq!(all[0]["sector"], "patrimonio", "the strongest, wherever it stands: {}", all[0]);
    assert_eq!(all[0]["votes"].as_array().map(Vec::len), Some(3), "{}", all[0]);
    assert!(all.iter().all(|decision| *decision == all[0]), "{all:?}");
    // Where none is stronger, no order decides in secret.
    let even = decided(&ruled(&[one, two].concat()), text);
    assert_eq!((&even["fallback"], &even["fallback_reason"]), (&true.into(), &"no-lead".into()), "{even}");
}

/// A hundred values in one condition, of words and of senders: the first, one in the middle and the last.
#[test]
fn chatwoot_15934_of_many_values_only_the_first_is_matched() {
    let list = |value: &dyn Fn(usize) -> String| {
        (0..100).map(|n| format!("\"{}\"", value(n))).collect::<Vec<_>>().join(", ")
    };
    let word = |n: usize| {
        let letter = |n: usize| char::from(b'a' + u8::try_from(n).expect("small"));
        format!("z{}{}bar", letter(n / 10), letter(n % 10))
    };
    let town = ruled(&format!(
        "[[rule]]\nid = \"parole\"\nany = [{}]\nsector = \"cultura\"\nweight = 30\n\
         [[rule]]\nid = \"mittenti\"\nsender = [{}]\nsector = \"tributi\"\nweight = 30\n",
        list(&word),
        list(&|n| format!("ditta{n}@example.it"))
    ));
    for n in [0, 1, 57, 99] {
        let said = decided(&town, &format!("Chiedo notizie di {} da voi", word(n)));
        assert_eq!(said["sector"], "cultura", "{n}: {said}");
        let said = decided(&town, &format!("From: ditta{n}@example.it\nSubject: Avviso\n\nSaluti"));
        assert_eq!(said["sector"], "tributi", "{n}: {said}");
    }
    assert_eq!(decided(&town, "Chiedo notizie di zkkbar")["fallback"], true);
}

/// (A or B) and C and not D.
#[test]
fn fazer_468_and_and_or_in_one_chain_cannot_be_expressed() {
    let town = ruled(
        "[[rule]]\nid = \"misto\"\nany = [\"lampione\", \"semaforo\"]\nall = [\"spento\"]\nnone = [\"privato\"]\n\
         sector = \"lavori-pubblici\"\nweight = 30\n",
    );
    for (text, holds) in [
        ("Il lampione è spento", true),
        ("Il semaforo è spento", true),
        ("Il lampione è rotto", false),
        ("Il forno è spento", false),
        ("Il lampione privato è spento", false),
    ] {
        assert_eq!(decided(&town, text)["fallback"], !holds, "{text}");
    }
}

/// One value or another of a field is a list; one field or another is two rules for the same sector.
#[test]
fn zammad_885_there_is_no_or_in_postmaster_filters() {
    let town = ruled(
        "[[rule]]\nid = \"oggetto\"\nsubject = [\"tributi\", \"tassa\"]\nsector = \"tributi\"\nweight = 30\n\
         [[rule]]\nid = \"mittente\"\nsender = [\"@agenzia.example\", \"caf@example.it\"]\nsector = \"tributi\"\nweight = 30\n",
    );
    let letter = |sender: &str, subject: &str| format!("From: {sender}\nSubject: {subject}\n\nBuongiorno");
    for (sender, subject, holds) in [
        ("a@example.it", "La tassa", true),
        ("a@example.it", "Tributi", true),
        ("x@agenzia.example", "Avviso", true),
        ("caf@example.it", "Avviso", true),
        ("caf@example.it", "Tributi", true),
        ("a@example.it", "Avviso", false),
    ] {
        let said = decided(&town, &letter(sender, subject));
        assert_eq!(said["fallback"], !holds, "{sender} {subject}: {said}");
    }
}

/// An answer of ours, and what comes back of it: its bounce, a vacation notice, our own letter. Nothing opens, nothing leaves.
#[tokio::test(flavor = "multi_thread")]
async fn helpdesk_3628_mail_loops_of_bounces_and_automatic_answers() {
    let server = ScriptedImap::start().await.expect("it listens");
    let ours = Mailbox { user: "urp@comune.gubbio.pg.it".to_owned(), ..scripted(&server, "urp") };
    let office = office(None, &[ours]).await;
    import(&office, &[letter(1)]);
    let number = office.number();
    assert_eq!(office.town.run(&["queue", "answer", &number, "Ripareremo."]).code, 0);
    let back = |n: usize, head: &str, body: &str| {
        format!(
            "{head}To: urp@comune.gubbio.pg.it\r\nSubject: Re: [{number}] Buca numero 1\r\nMessage-ID: <eco-{n}@example.it>\r\n\
             In-Reply-To: <buca-1@example.it>\r\n{body}"
        )
        .into_bytes()
    };
    let report = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nNon recapitato\r\n\
                  --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.it\r\n\r\n\
                  Final-Recipient: rfc822; cittadina1@example.it\r\nAction: failed\r\nStatus: 5.1.1\r\n--b--\r\n";
    let text = "\r\nLa buca la vedo al ritorno.\r\n";
    for round in 0..3 {
        let letters = [
            back(3 * round, "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example.it\r\n", report),
            back(3 * round + 1, "From: cittadina1@example.it\r\nAuto-Submitted: auto-replied\r\n", text),
            back(3 * round + 2, "From: URP <urp@comune.gubbio.pg.it>\r\n", text),
        ];
        import(&office, &letters);
    }
    let mut reasons: Vec<String> =
        deliveries(&office, "--outcome", "ignored").iter().map(|row| row["reason"].to_string()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    assert_eq!(reasons, ["\"auto-reply\"", "\"bounce\"", "\"own-mail\""]);
    let row = office.town.ledger("email/import").expect("a row");
    assert_eq!(
        (&row["opened"], &row["appended"], &row["ignored"]),
        (&1.into(), &0.into(), &9.into()),
        "{row}"
    );
    let leaves =
        sqlx::query_scalar::<_, i64>("select count(*) from outbox").fetch_one(office.store.pool()).await;
    assert_eq!(leaves.expect("counted"), 1, "our answer, and no answer to any of these");
    sound(&office).await;
}
