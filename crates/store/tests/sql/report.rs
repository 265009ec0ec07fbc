//! The ledger adds up, and what does not fit together is found.

use std::collections::BTreeMap;

use crate::town::Town;

#[tokio::test]
async fn the_ledger_counts_each_delivery_once() {
    let town = Town::new().await;
    town.register_channels(&["email/vuota".parse().expect("valid")]).await.expect("registered");
    let number = town.open("urp", 3).await.remove(0);
    town.follow_up(&number).await;
    for (values, n) in [
        ("'announced', null, null, null", 1),
        ("'waiting', null, null, '\\x00'", 2),
        ("'settled', 'ignored', 'auto-reply', '\\x00'", 3),
        ("'settled', 'ignored', 'double', '\\x00'", 1),
        ("'settled', 'set_aside', 'spam', '\\x00'", 2),
        ("'quarantined', null, 'unreadable', '\\x00'", 1),
    ] {
        town.run(&format!(
            "insert into deliveries (channel, scope, received_at, state, outcome, reason, bytes)
             select 'email/urp', 'INBOX', now(), {values} from generate_series(1, {n})"
        ))
        .await;
    }
    let ledger = town.ledger().await.expect("ledger");
    assert_eq!(ledger.iter().map(|r| r.channel.as_str()).collect::<Vec<_>>(), ["email/urp", "email/vuota"]);
    let row = &ledger[0];
    assert!(row.adds_up());
    assert_eq!(
        (row.delivered, row.opened, row.appended, row.ignored, row.set_aside, row.quarantined, row.waiting),
        (14, 3, 1, 4, 2, 1, 3)
    );
    let reasons = [("auto-reply", 3), ("double", 1), ("spam", 2), ("unreadable", 1)];
    assert_eq!(row.reasons, reasons.map(|(r, n)| (r.to_owned(), n)).into_iter().collect::<BTreeMap<_, _>>());
    assert_eq!(ledger[1].delivered, 0);

    let numbers = town.numbers().await.expect("numbers");
    let backlog = &numbers.backlog[0];
    assert_eq!((backlog.waiting, backlog.announced, backlog.quarantined), (2, 1, 1));
    assert!(backlog.oldest_waiting.is_some_and(|at| at <= numbers.now));
    let urp = numbers.queues.iter().find(|q| q.sector == "urp").expect("listed");
    assert_eq!((urp.ready, urp.leased, urp.taken), (3, 0, 0));
    assert_eq!(numbers.queues.len(), 4, "empty queues are shown, too");
}

/// After years nearly every case is closed, and `status` counts the open ones every few seconds.
#[tokio::test]
async fn open_cases_are_counted_without_reading_the_closed_ones() {
    let town = Town::new().await;
    let mut connection = town.connect_alone().await.expect("connected");
    // On so few rows the planner would read the table whatever indexes there are.
    sqlx::query!("set enable_seqscan = off").execute(&mut connection).await.expect("set");
    let plan = crate::town::texts(
        &mut connection,
        "explain select sector, count(*) from queue_entries where state <> 'closed' group by sector",
    )
    .await
    .expect("explained")
    .join("\n");
    assert!(plan.contains("queue_entries_open"), "{plan}");
}

#[tokio::test]
async fn verification_finds_what_somebody_broke() {
    for (broken, check) in [
        ("delete from attachments; delete from messages", "delivery-without-message"),
        ("update deliveries set outcome = 'ignored', reason = 'x'", "message-without-delivery"),
        ("update deliveries set segnalazione = 999", "delivery-without-case"),
        ("delete from delivery_keys", "delivery-without-key"),
        ("delete from queue_entries", "case-without-entry"),
        ("update deliveries set outcome = 'appended'", "case-not-opened-once"),
        ("update segnalazioni set sector = 'rpct'", "sectors-differ"),
        ("update segnalazioni set closed_at = now()", "closed-differs"),
        ("update queue_entries set messages = 5", "message-count-differs"),
        ("update thread_keys set segnalazione = 999", "thread-key-without-case"),
        ("delete from history", "case-without-history"),
        ("delete from history where seq = 2", "history-gap"),
        ("update history set payload = '{\"text\": \"altro\"}' where event = 'noted'", "history-broken"),
        ("update history set actor = 'altro' where seq = 1", "history-broken"),
        ("update history set at = at + interval '1 second' where seq = 1", "history-broken"),
        ("update history set key = 'altra' where seq = 2", "history-broken"),
        ("update history set hash = sha256('x'), payload_hash = sha256('y') where seq = 3", "history-broken"),
    ] {
        let town = Town::new().await;
        let number = town.open_one("urp").await;
        let queue = town.queue("test");
        queue.note(&number, "nota").await.expect("noted");
        queue.assign(&number, Some("Mario")).await.expect("assigned");
        town.assert_sound().await;
        town.run("alter table history disable trigger guard").await;
        town.run(broken).await;
        let problems = town.verify().await.expect("verified");
        assert!(problems.iter().any(|p| p.check == check), "{broken}: {problems:?}");
    }
}

#[tokio::test]
async fn a_number_is_found_as_people_write_it() {
    let town = Town::new().await;
    let number = town.open_one("urp").await;
    let (year, digits) = number.split_once('-').expect("a hyphen");
    let short = digits.trim_start_matches('0');
    for typed in [
        number.clone(),
        format!(" [{number}] "),
        format!("{year}/{short}"),
        short.to_owned(),
        format!("#{short}"),
    ] {
        assert_eq!(
            town.find_number(&typed, 2026).await.expect("searched").as_deref(),
            Some(number.as_str()),
            "{typed}"
        );
    }
    for typed in ["", "abc", "2026-", "2026-999999", "99999999999999", "20-1"] {
        assert_eq!(town.find_number(typed, 2026).await.expect("searched"), None, "{typed}");
    }
}
