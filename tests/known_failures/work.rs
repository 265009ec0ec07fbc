//! Work on its way to whoever does it: no entry for two, none that nobody gets, none that is tried for ever.

use std::{collections::BTreeSet, process::Stdio};

use serde_json::Value;

use super::{cases, deliveries, import, office, only_rules, sound};
use crate::{
    cli::Office,
    support::{database, letter, program},
};

/// Eight programs of one sector at the same moment, and five cases.
#[tokio::test(flavor = "multi_thread")]
async fn zammad_1581_several_agents_pick_the_same_ticket() {
    let office = office(None, &[]).await;
    import(&office, &(1..=5).map(letter).collect::<Vec<_>>());
    let claim = |worker: usize| {
        let worker = format!("squadra-{worker}");
        let mut command = office.town.command();
        command.args(["queue", "claim", "lavori-pubblici", "--json", "--max", "2", "--worker", &worker]);
        command.stdout(Stdio::piped()).spawn().expect("the program runs")
    };
    let running: Vec<_> = (0..8).map(claim).collect();
    let mut leases = Vec::new();
    for child in running {
        let output = child.wait_with_output().expect("its end");
        let rows: Vec<Value> = serde_json::from_slice(&output.stdout).expect("rows");
        leases.extend(rows.into_iter().map(|row| (row["number"].to_string(), row["lease"].clone())));
    }
    let numbers: BTreeSet<&String> = leases.iter().map(|(number, _)| number).collect();
    assert_eq!((leases.len(), numbers.len()), (5, 5), "{leases:?}");
    for (_, lease) in &leases {
        office.town.json(&["queue", "take", lease.as_str().expect("a lease")]);
    }
    let all = cases(&office);
    assert!(all.iter().all(|case| case["state"] == "taken"), "{all:?}");
    sound(&office).await;
}

/// A letter about two matters: it is nobody's by chance. The fallback sector gets it, and sees both candidates, with the words.
#[tokio::test(flavor = "multi_thread")]
async fn ureport_341_nobody_knows_which_department_handles_what() {
    let office = office(None, &[]).await;
    let rule = |id: &str, word: &str, sector: &str| {
        format!("[[rule]]\nid = \"{id}\"\nany = [\"{word}\"]\nsector = \"{sector}\"\nweight = 30\n")
    };
    let rules =
        [rule("buche", "buca", "lavori-pubblici"), rule("rifiuti", "cassonetto", "ambiente")].concat();
    only_rules(&office.town.config(), &rules);
    let text = String::from_utf8(letter(1)).expect("UTF-8");
    let both = text.replace("nell'asfalto", "accanto al cassonetto");
    import(&office, &[both.into_bytes(), letter(2)]);
    let doubtful = &office.town.json(&["queue", "list", "--sector", "urp"])[0]["number"];
    let clear = &office.town.json(&["queue", "list", "--sector", "lavori-pubblici"])[0]["number"];
    for lang in ["it", "en"] {
        let said = office.town.run(&["explain", doubtful.as_str().expect("a number"), "--lang", lang]);
        for word in ["lavori-pubblici", "ambiente", "buca", "cassonetto"] {
            assert!(said.code == 0 && said.out.contains(word), "{word}: {said:?}");
        }
    }
    let said = office.town.run(&["explain", clear.as_str().expect("a number")]);
    assert!(said.out.contains("lavori-pubblici") && !said.out.contains("ambiente"), "{said:?}");
    sound(&office).await;
}

/// The lease runs out now, as if the program that has it had died.
async fn the_program_dies(office: &Office) {
    let over = "update queue_entries set leased_until = now() - interval '1 second' where state = 'leased'";
    let changed = sqlx::query(over).execute(office.store.pool()).await.expect("its lease is over");
    assert_eq!(changed.rows_affected(), 1);
}

/// One report takes down whatever works on it, each time: it is not tried for ever, and the others of its sector are done.
#[tokio::test(flavor = "multi_thread")]
async fn fixmystreet_3228_the_daemon_loops_on_one_report() {
    let (table, store) = database().await;
    let queue = format!("{table}\n[queue]\nfallback = \"urp\"\nmax_attempts = 2\n");
    let town = smista_testkit::installation::Installation::new(program(), &queue, None, &[]);
    only_rules(&town.config(), super::POTHOLES);
    let office = Office { town, store };
    import(&office, &[letter(1)]);
    import(&office, &[letter(2)]);
    let claim = || office.town.json(&["queue", "claim", "lavori-pubblici"])[0].clone();
    let stuck = claim();
    the_program_dies(&office).await;
    assert_eq!(claim()["number"], stuck["number"], "it comes back");
    let other = claim();
    assert_ne!(other["number"], stuck["number"], "and holds up nobody");
    office.town.json(&["queue", "take", other["lease"].as_str().expect("a lease")]);
    the_program_dies(&office).await;
    assert!(claim().is_null(), "it is not offered a third time");
    let fallback = office.town.json(&["queue", "list", "--sector", "urp"]);
    assert_eq!(fallback[0]["number"], stuck["number"], "{fallback}");
    let shown = office.town.json(&["queue", "show", stuck["number"].as_str().expect("a number")]);
    assert_eq!((&shown["cause"], &shown["attempts"]), (&"max-attempts".into(), &0.into()), "{shown}");
    sound(&office).await;
}

/// What is stuck can be put away by a person, with a reason, and is no alarm any more; it stays counted, and can come back.
#[tokio::test(flavor = "multi_thread")]
async fn fixmystreet_4048_stuck_reports_cannot_be_acknowledged() {
    let office = office(None, &[]).await;
    import(&office, &[b"\x00\x01\x02 no letter at all".to_vec(), letter(1), letter(2)]);
    let stuck = deliveries(&office, "--state", "quarantined");
    let row = office.town.ledger("email/import").expect("a row");
    assert_eq!(row["quarantined"].as_u64(), Some(stuck.len() as u64), "{row}");
    for row in &stuck {
        let id = row["id"].to_string();
        office.town.json(&["deliveries", "ignore", &id, "--reason", "pubblicita illeggibile"]);
    }
    assert_eq!(deliveries(&office, "--state", "quarantined"), Vec::<Value>::new());

    // The same of a case: rerouted and closed with a reason, and open again.
    let numbers: Vec<String> =
        cases(&office).iter().filter_map(|case| case["number"].as_str().map(str::to_owned)).collect();
    office.town.json(&["queue", "reroute", &numbers[0], "ambiente", "--reason", "non è nostra"]);
    office.town.json(&["queue", "close", &numbers[0], "--outcome", "il gestore è avvisato"]);
    let open = office.town.json(&["queue", "list"]);
    assert!(open.as_array().expect("rows").iter().all(|row| row["number"] != numbers[0].as_str()), "{open}");
    let shown = office.town.json(&["queue", "show", &numbers[0]]).to_string();
    assert!(shown.contains("non è nostra") && shown.contains("il gestore è avvisato"), "{shown}");
    office.town.json(&["queue", "reopen", &numbers[0], "--reason", "risponde ora"]);
    sound(&office).await;
}
