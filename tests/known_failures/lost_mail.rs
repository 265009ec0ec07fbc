//! Mail that other systems lost: what came while they were down, what somebody else had read, what was attached.

use std::{
    fmt::Write as _,
    fs,
    time::{Duration, SystemTime},
};

use smista_testkit::{
    dovecot::Dovecot,
    installation::{Installation, Mailbox},
};

use crate::support::{database, letter, program};

/// A daemon is stopped, letters come meanwhile (received so many days ago, read by another client or not), and it starts
/// again: all of them are sorted, once.
async fn what_came_during_a_stop(letters: usize, days_ago: u32, read: bool) {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    dovecot.deliver("urp", "INBOX", &letter(0)).expect("delivered");
    let daemon = town.daemon();
    town.until("the first is sorted", || town.count("email/urp", "opened") == 1).await;
    assert_eq!(daemon.terminate(), 0);

    let at = SystemTime::now() - Duration::from_hours(24) * days_ago;
    for n in 1..=letters {
        dovecot.deliver_at("urp", "INBOX", &letter(n), Some(at)).expect("delivered");
    }
    if read {
        let dir = dovecot.maildir("urp", "INBOX").expect("its folder");
        for entry in fs::read_dir(dir.join("new")).expect("new letters") {
            let path = entry.expect("one").path();
            let name = path.file_name().and_then(|n| n.to_str()).expect("a name");
            fs::rename(&path, dir.join("cur").join(format!("{name}:2,S"))).expect("read by somebody");
        }
    }
    let all = i64::try_from(letters + 1).expect("a count");
    let daemon = town.daemon();
    town.until("all are sorted", || town.count("email/urp", "opened") == all).await;
    assert_eq!(town.count("email/urp", "delivered"), all);
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn chatwoot_10429_down_for_days_and_older_mail_is_never_fetched() {
    what_came_during_a_stop(3, 9, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chatwoot_6574_only_the_last_ten_letters_after_a_stop() {
    what_came_during_a_stop(35, 0, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn freescout_3406_mail_that_another_client_has_read_is_never_fetched() {
    what_came_during_a_stop(3, 0, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chatwoot_14590_attachments_beyond_the_fifteenth_are_dropped() {
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, None, &[]);
    let mut text = "From: Anna <anna@example.it>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Foto\r\nMIME-Version: 1.0\r\n\
                    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nLe foto.\r\n"
        .to_owned();
    for n in 1..=40 {
        let _ = write!(
            text,
            "--b\r\nContent-Type: image/jpeg\r\nContent-Disposition: attachment; filename=foto{n}.jpg\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n/9j/4AAQ\r\n"
        );
    }
    text.push_str("--b--\r\n");
    let file = town.path().join("foto.eml");
    fs::write(&file, text).expect("a letter");
    town.json(&["import", "mail", file.to_str().expect("UTF-8")]);
    let number = town.json(&["queue", "list"])[0]["number"].as_str().expect("a number").to_owned();
    let case = town.json(&["queue", "show", &number]);
    let attachments = case["message_list"][0]["attachments"].as_array().expect("attachments");
    assert_eq!(attachments.len(), 40, "{case}");
    assert!(attachments.iter().any(|a| a["name"] == "foto40.jpg"), "{case}");
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}
