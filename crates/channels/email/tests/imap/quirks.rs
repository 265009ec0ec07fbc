//! Servers that do what no standard says, each by script.

use std::time::Duration;

use smista_domain::{Remedy, Upstream};
use smista_email::{
    EmailSettings,
    config::{After, Login, Password, Start, TlsMode},
};
use smista_testkit::{
    memory_intake::{MemoryIntake, RowState},
    scripted_imap::{Fault, ScriptedImap},
};

use crate::support::{Running, Supervised, letter, settings, timing};

struct Server {
    imap: ScriptedImap,
    settings: EmailSettings,
    intake: MemoryIntake,
}

impl Server {
    async fn with(letters: usize) -> Self {
        let imap = ScriptedImap::start().await.expect("it listens");
        for n in 0..letters {
            imap.deliver(&letter(n));
        }
        let settings = settings(imap.port, TlsMode::None);
        let intake = MemoryIntake::new(&settings.name);
        Self { imap, settings, intake }
    }

    fn supervised(&self) -> Supervised {
        Supervised::start(self.settings.clone(), timing(), &self.intake)
    }

    fn run(&self) -> Running {
        let channel = smista_email::EmailChannel::with(
            self.settings.clone(),
            smista_email::MemoryBudget::default(),
            timing(),
        );
        Running::start(channel.into(), self.intake.clone())
    }

    /// Everything comes despite a distortion of each answer to `command`.
    async fn distorted(command: &str, contains: &str, from: &'static str, to: &'static str) {
        let server = Self::with(3).await;
        server.imap.fault(command, contains, usize::MAX, Fault::Distort(from, to));
        let channel = server.supervised();
        server.intake.until(&format!("all came despite {to:?}"), |c| c.committed() == 3).await;
        channel.stop().await;
        assert!(server.imap.fired() > 0);
        assert_eq!(server.intake.contents().rows.len(), 3, "{to:?}");
    }
}

#[tokio::test]
async fn sloppy_grammar_loses_nothing() {
    for (contains, from, to) in [
        ("BODY.PEEK", "UID 2 BODY", "UID  2  BODY"),
        ("BODY.PEEK", "BODY[] {", "BODY[] ~{"),
        ("BODY.PEEK", "(UID", "(FLAGS (\\Seen $x [Gmail]/y foo]bar) MODSEQ (12) X-FOO bar UID"),
        (
            "BODY.PEEK",
            "* 1 FETCH",
            "* 9 FETCH (FLAGS ())\r\n* 9 FETCH (UID 77 FLAGS ())\r\n* OK [FROB (1] x\r\n* 1 FETCH",
        ),
        ("BODY.PEEK", "* 2 FETCH", "* NO [ALERT] quota\r\n* 2 EXPUNGE\r\n* 9 EXISTS\r\n* 2 FETCH"),
        ("RFC822.SIZE", " RFC822.SIZE", " X-SIZE"),
        ("RFC822.SIZE", "INTERNALDATE \"01-Nov-2020 10:00:00 +0100\"", "INTERNALDATE NIL"),
        ("RFC822.SIZE", "INTERNALDATE \"01-Nov-2020 10:00:00 +0100\"", "INTERNALDATE \"soon\""),
    ] {
        Server::distorted("UID FETCH", contains, from, to).await;
    }
}

#[tokio::test]
async fn search_answers_of_other_kinds() {
    Server::distorted("UID SEARCH", "", "* SEARCH 1 2 3", "* ESEARCH (TAG \"S1\") UID ALL 1:3").await;
    Server::distorted("UID SEARCH", "", "* SEARCH 1 2 3", "* SEARCH 3 2 0 1 3\r\n* SEARCH 2").await;
    // OK, but no answer at all
    Server::distorted("UID SEARCH", "", "* SEARCH", "* X").await;
}

#[tokio::test]
async fn sizes_without_uid_or_not_at_all() {
    Server::distorted("UID FETCH", "RFC822.SIZE", "(UID", "(X").await;
    Server::distorted("EXAMINE", "", "* OK [UIDNEXT", "* OK [X").await;
    Server::distorted("EXAMINE", "", "EXISTS", "X").await;
}

/// `BODY[] NIL`, an empty body, and a body without UID are letters that were not served.
#[tokio::test]
async fn what_is_not_served_is_announced_and_the_others_come() {
    for (from, to) in [
        ("UID 2 BODY[] {", "UID 2 BODY[] NIL X-OTHER {"),
        ("(UID 2 ", "(X 2 "),
        ("UID 2 BODY[] {", "UID 2 BODY[] \"\" X-OTHER {"),
    ] {
        let server = Server::with(3).await;
        server.imap.fault("UID FETCH", "BODY.PEEK", usize::MAX, Fault::Distort(from, to));
        let run = server.run();
        server.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
        let contents = server.intake.contents();
        assert_eq!((contents.committed(), contents.announced()), (2, 1), "{to:?}");
        assert_eq!(contents.position("INBOX"), Some((7, 3)), "the gap is a row, so the cursor may pass");
        assert!(contents.warned("uid-not-served"));
        run.stop().await.expect("stopped");
    }
}

#[tokio::test]
async fn a_withheld_letter_comes_when_it_is_served_at_last() {
    let mut server = Server::with(3).await;
    server.settings.poll = Duration::from_millis(100);
    server.imap.folder("INBOX", |f| f.letters.get_mut(&2).expect("there").withheld = true);
    let run = server.run();
    server.intake.until("announced", |c| c.announced() == 1 && c.committed() == 2).await;
    server.intake.until("tried again", |c| c.rows.iter().any(|r| r.attempts > 2)).await;
    server.imap.folder("INBOX", |f| f.letters.get_mut(&2).expect("there").withheld = false);
    server.intake.until("it came", |c| c.committed() == 3).await;
    run.stop().await.expect("stopped");
    assert_eq!(server.intake.contents().row("INBOX/7/2").expect("a row").bytes.as_ref(), letter(1));
}

#[tokio::test]
async fn a_withheld_letter_that_is_deleted_has_vanished() {
    let mut server = Server::with(3).await;
    server.settings.poll = Duration::from_millis(100);
    server.imap.folder("INBOX", |f| f.letters.get_mut(&2).expect("there").withheld = true);
    let run = server.run();
    server.intake.until("announced", |c| c.announced() == 1 && c.committed() == 2).await;
    server.imap.folder("INBOX", |f| f.letters.remove(&2));
    server.intake.until("vanished", |c| c.rows.iter().any(|r| r.state == RowState::Vanished)).await;
    run.stop().await.expect("stopped");
}

/// A letter that breaks the connection whenever it is served: suspected, fetched alone, announced, passed.
#[tokio::test]
async fn a_poisonous_letter_does_not_stop_the_ones_behind_it() {
    for fault in
        [Fault::Instead("* 2 FETCH (UID 3 BODY[] {30}\r\nabc"), Fault::Bad, Fault::Bye, Fault::EofMidway]
    {
        let server = Server::with(6).await;
        server.intake.announced_due(false);
        // the batch with UID 3 in it, then UID 3 alone
        server.imap.fault("UID FETCH 1:6 (UID BODY", "", usize::MAX, Fault::EofMidway);
        for set in ["UID FETCH 3 ", "UID FETCH 4 ", "UID FETCH 5 "] {
            server.imap.fault(set, "BODY", usize::MAX, fault.clone());
        }
        let mut timing = timing();
        timing.silence = Duration::from_millis(500);
        let channel = Supervised::start(server.settings.clone(), timing, &server.intake);
        server
            .intake
            .until(&format!("the others came: {fault:?}"), |c| c.position("INBOX") == Some((7, 6)))
            .await;
        channel.stop().await;
        let contents = server.intake.contents();
        assert_eq!(contents.rows.len(), 6, "{fault:?}: each has a row");
        assert!(contents.committed() >= 3 && contents.announced() >= 1, "{fault:?}");
        assert_eq!(contents.row("INBOX/7/6").expect("a row").state, RowState::Committed);
    }
}

/// Under the same UIDVALIDITY, what arrives gets a UID below the cursor.
#[tokio::test]
async fn uidnext_that_goes_down_is_reconciled() {
    let server = Server::with(5).await;
    server.imap.folder("INBOX", |f| f.letters.retain(|uid, _| !matches!(uid, 3 | 4)));
    let run = server.run();
    server.intake.until("all came", |c| c.committed() == 3 && c.caught_up("INBOX") > 0).await;
    run.stop().await.expect("stopped");
    assert_eq!(server.intake.contents().position("INBOX"), Some((7, 5)));
    server.imap.folder("INBOX", |f| {
        let mut late = f.letters.get(&5).expect("there").clone();
        late.bytes = letter(77);
        f.letters.insert(3, late);
        f.told_next = Some(3);
    });
    let run = server.run();
    server.intake.until("the late one", |c| c.committed() == 4).await;
    run.stop().await.expect("stopped");
    let contents = server.intake.contents();
    assert_eq!(contents.row("INBOX/7/3").expect("a row").bytes.as_ref(), letter(77));
    assert_eq!((contents.known, contents.position("INBOX")), (0, Some((7, 5))));
}

#[tokio::test]
async fn without_uidvalidity_the_operator_is_asked() {
    let server = Server::with(1).await;
    server.imap.folder("INBOX", |f| f.validity = None);
    let error = server.run().end().await.expect_err("it cannot go on");
    assert_eq!((error.code, error.remedy), ("uidvalidity-missing", Remedy::AskOperator));
}

#[tokio::test]
async fn start_new_without_uidnext() {
    let mut server = Server::with(4).await;
    server.settings.start = Start::New;
    server.imap.folder("INBOX", |f| f.told_next = None);
    let run = server.run();
    server.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
    server.imap.deliver(&letter(9));
    server.intake.until("the new one", |c| c.committed() == 1).await;
    run.stop().await.expect("stopped");
    assert_eq!(server.intake.contents().position("INBOX"), Some((7, 5)));
}

/// `start = "new"`, and a year later the server renumbers: the old letters must not become cases.
#[tokio::test]
async fn start_new_and_then_another_uidvalidity() {
    let mut server = Server::with(4).await;
    server.settings.start = Start::New;
    let run = server.run();
    server.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
    server.imap.deliver_at(&letter(100), "01-Jan-2099 10:00:00 +0100");
    server.intake.until("the new one", |c| c.committed() == 1).await;
    run.stop().await.expect("stopped");

    server.imap.folder("INBOX", |f| f.renumber(8));
    // as large as it was: found by its bytes; another one arrived meanwhile
    server.imap.deliver_at(&letter(101), "02-Jan-2099 10:00:00 +0100");
    // a server that takes no notice of SINCE: INTERNALDATE decides
    server.imap.fault("UID SEARCH", "SINCE", 9, Fault::Instead("* SEARCH 1 2 3 4 5 6\r\n{T} OK found\r\n"));
    let run = server.run();
    server.intake.until("the newer one", |c| c.committed() == 2 && c.position("INBOX") == Some((8, 6))).await;
    run.stop().await.expect("stopped");
    let contents = server.intake.contents();
    assert_eq!((contents.rows.len(), contents.recognised), (2, 1));
    assert!(contents.row("INBOX/8/5").expect("recognised").keys.len() == 2);
    assert!(contents.warned("uidvalidity-changed"));
    assert!(
        !server.imap.log().iter().any(|l| l.contains("BODY.PEEK") && l.contains(" 1:")),
        "old ones stay unread"
    );
}

/// A first start that is cut off between recording its instant and its cursor takes in what came since.
#[tokio::test]
async fn start_new_cut_off_in_the_middle() {
    let mut server = Server::with(4).await;
    server.settings.start = Start::New;
    let run = server.run();
    server.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
    run.stop().await.expect("stopped");
    let limit = server.intake.contents().cursors.get("*since/INBOX").cloned().expect("recorded");
    // as it is after such a crash: the limit is there, the cursor is not
    let fresh = MemoryIntake::new(&server.settings.name);
    smista_domain::Intake::accept(&fresh, Vec::new(), Some(limit)).await.expect("accepted");
    server.intake = fresh;
    server.imap.deliver_at(&letter(100), "01-Jan-2099 10:00:00 +0100");
    let run = server.run();
    server
        .intake
        .until("what came since", |c| c.committed() == 1 && c.position("INBOX") == Some((7, 5)))
        .await;
    run.stop().await.expect("stopped");
    assert_eq!(server.intake.contents().rows[0].bytes.as_ref(), letter(100));
}

#[tokio::test]
async fn without_idle_the_poll_brings_it() {
    let mut server = Server::with(0).await;
    server.imap.set_capability("IMAP4rev1");
    server.settings.poll = Duration::from_millis(50);
    let run = server.run();
    server.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
    server.imap.deliver(&letter(0));
    server.intake.until("it came", |c| c.committed() == 1).await;
    run.stop().await.expect("stopped");
    assert_eq!(server.imap.count("IDLE"), 0);
    assert_eq!(server.imap.count("LOGIN"), 1, "without AUTH=PLAIN it is LOGIN");
}

/// IDLE that never tells anything: the poll beside it does.
#[tokio::test]
async fn a_poll_runs_beside_idle() {
    let mut server = Server::with(0).await;
    server.settings.poll = Duration::from_millis(100);
    server.imap.fault("IDLE", "", usize::MAX, Fault::Instead("+ idling\r\n"));
    let run = server.run();
    server.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
    server.imap.deliver(&letter(0));
    // this server takes DONE for an unknown command, so that each round ends with BAD and a new connection
    let outcome = run.end().await;
    assert!(outcome.is_err());
    let channel = server.supervised();
    server.intake.until("it came", |c| c.committed() == 1).await;
    channel.stop().await;
}

/// An EXISTS that comes before the `+` of IDLE is news as well.
#[tokio::test]
async fn exists_before_the_plus() {
    let server = Server::with(0).await;
    let run = server.run();
    server.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
    run.stop().await.expect("stopped");
    server.imap.fault("IDLE", "", 1, Fault::Junk(b"* 1 EXISTS\r\n"));
    let run = server.run();
    server.intake.until("looked again at once", |c| c.caught_up("INBOX") > 2).await;
    run.stop().await.expect("stopped");
}

#[tokio::test]
async fn without_uidplus_nothing_is_expunged() {
    let mut server = Server::with(2).await;
    server.imap.set_capability("IMAP4rev1 IDLE");
    server.settings.after = After::Move("Archivio".into());
    // somebody else's letter that is marked as deleted must stay
    server.imap.folder("INBOX", |f| f.letters.get_mut(&1).expect("there").flags.push("\\Deleted".into()));
    let run = server.run();
    server
        .intake
        .until("told", |c| c.committed() == 2 && c.rows.iter().all(|r| r.upstream == Upstream::Done))
        .await;
    server.intake.until("said so", |c| c.warned("no-uidplus")).await;
    run.stop().await.expect("stopped");
    assert!(!server.imap.log().iter().any(|l| l.contains("EXPUNGE")));
    assert_eq!(server.imap.folder("INBOX", |f| f.letters.len()), 2);
}

#[tokio::test]
async fn a_different_letter_under_the_uid_is_not_deleted() {
    let mut server = Server::with(1).await;
    server.settings.after = After::Delete { days: 0 };
    server.intake.close_gate();
    let run = server.run();
    server.intake.until("logged in", |c| !c.pulses.is_empty()).await;
    // up to where numbers are accounted for, and the letter
    server.intake.let_through(2);
    // it becomes another letter before it is told
    server.imap.fault("SELECT", "", 1, Fault::Bad);
    let _ = run.end().await;
    assert_eq!(server.intake.contents().committed(), 1);
    server.imap.folder("INBOX", |f| f.letters.get_mut(&1).expect("there").bytes = letter(7));
    server.intake.let_through(1000);
    let run = server.run();
    server.intake.until("said so", |c| c.warned("upstream-mismatch")).await;
    run.stop().await.expect("stopped");
    assert_eq!(server.imap.folder("INBOX", |f| f.letters.len()), 1);
}

#[tokio::test]
async fn a_read_only_folder_is_said() {
    let mut server = Server::with(1).await;
    server.settings.after = After::Seen;
    server.imap.fault(
        "SELECT",
        "",
        usize::MAX,
        Fault::Instead("* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n{T} OK [READ-ONLY] open\r\n"),
    );
    let run = server.run();
    server.intake.until("said so", |c| c.warned("folder-read-only") && c.caught_up("INBOX") > 0).await;
    run.stop().await.expect("stopped");
    assert_eq!(server.imap.count("UID STORE"), 0);
}

#[tokio::test]
async fn starttls_is_not_given_up_and_not_injected() {
    let mut server = Server::with(1).await;
    server.settings.tls = TlsMode::StartTls;
    server.settings.ca = {
        let (ca, _, _) = smista_testkit::dovecot::certificates().expect("made");
        smista_email::imap::tls::certificates(ca.as_bytes()).expect("read")
    };
    server.imap.fault("STARTTLS", "", 1, Fault::No(""));
    let error = server.run().end().await.expect_err("no TLS, no password");
    assert_eq!((error.code, error.remedy), ("insecure", Remedy::AskOperator));
    server.imap.fault("STARTTLS", "", 1, Fault::Bad);
    let error = server.run().end().await.expect_err("no TLS, no password");
    assert_eq!(error.code, "insecure");

    server.imap.inject_after_starttls(b"* CAPABILITY IMAP4rev1\r\nS2 OK logged in\r\n");
    let error = server.run().end().await.expect_err("what was injected is not believed");
    assert_eq!(error.code, "insecure");

    server.imap.set_greeting("* PREAUTH already in");
    let error = server.run().end().await.expect_err("STARTTLS is no longer possible");
    assert_eq!(error.code, "insecure");
    assert!(!server.imap.log().iter().any(|l| l.contains("LOGIN") || l.contains("AUTHENTICATE")));
}

#[tokio::test]
async fn no_secret_in_an_error_even_if_the_server_repeats_it() {
    let mut server = Server::with(1).await;
    server.imap.set_capability("IMAP4rev1");
    server.settings.login = Login::Password(Password::Fixed("segretissima".into()));
    let refusal = "{T} NO [AUTHENTICATIONFAILED] LOGIN urp \"segretissima\" refused\r\n";
    server.imap.fault("LOGIN", "", 1, Fault::Instead(refusal));
    let error = server.run().end().await.expect_err("refused");
    assert_eq!((error.code, error.remedy, error.worked), ("login-refused", Remedy::AskOperator, false));
    assert!(!format!("{error:?}").contains("segretissima"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_busy_is_no_wrong_password() {
    let server = Server::with(1).await;
    server.imap.fault("AUTHENTICATE", "", 1, Fault::No("UNAVAILABLE"));
    let error = server.run().end().await.expect_err("refused");
    assert_eq!((error.code, error.remedy), ("login-unavailable", Remedy::Reconnect));
}

#[tokio::test]
async fn where_login_is_disabled_the_password_is_not_sent() {
    let server = Server::with(1).await;
    server.imap.set_capability("IMAP4rev1 STARTTLS LOGINDISABLED");
    let error = server.run().end().await.expect_err("no login");
    assert_eq!((error.code, error.remedy), ("insecure", Remedy::AskOperator));
    assert_eq!(server.imap.count("LOGIN"), 0);
}

/// A panic in a connection's task is a lost connection and no more.
#[tokio::test]
async fn a_panic_is_a_lost_connection() {
    let server = Server::with(3).await;
    server.intake.panic_once();
    let error = server.run().end().await.expect_err("it panicked");
    assert_eq!((error.code, error.remedy), ("internal-error", Remedy::Reconnect));
    let run = server.run();
    server.intake.until("all came", |c| c.committed() == 3).await;
    run.stop().await.expect("stopped");
}

/// The server lets us in once and no more: the folders share that connection.
#[tokio::test]
async fn folders_share_what_connections_there_are() {
    let mut server = Server::with(1).await;
    server.imap.folder("Tributi", |f| f.add(letter(1), "01-Nov-2020 10:00:00 +0100"));
    server.settings.folders.push("Tributi".to_owned());
    server.settings.poll = Duration::from_millis(100);
    let first = server.run();
    server.intake.until("all came", |c| c.committed() == 2).await;
    first.stop().await.expect("stopped");
    // one login in two is refused, so that the second connection never comes about
    server.imap.refuse_logins_beyond(1);
    let second = server.run();
    server.imap.deliver(&letter(2));
    server.imap.folder("Tributi", |f| f.add(letter(3), "01-Nov-2020 10:00:00 +0100"));
    server.intake.until("these came, too", |c| c.committed() == 4 && c.warned("few-connections")).await;
    second.stop().await.expect("stopped");
}

/// An EXISTS with every answer is not news for ever.
#[tokio::test]
async fn exists_with_every_answer() {
    let server = Server::with(2).await;
    server.imap.fault("UID SEARCH", "", usize::MAX, Fault::Junk(b"* 2 EXISTS\r\n"));
    let run = server.run();
    server.intake.until("caught up", |c| c.committed() == 2 && c.caught_up("INBOX") > 0).await;
    run.stop().await.expect("stopped");
}

/// Letters that are larger than the whole budget come one by one, from two folders at once.
#[tokio::test]
async fn a_budget_smaller_than_a_letter_blocks_nothing() {
    let mut server = Server::with(0).await;
    let large = |n: usize| [letter(n), vec![b'x'; 300_000]].concat();
    for n in 0..5 {
        server.imap.deliver(&large(n));
        server.imap.folder("Tributi", |f| f.add(large(10 + n), "01-Nov-2020 10:00:00 +0100"));
    }
    server.settings.folders.push("Tributi".to_owned());
    let budget = smista_email::MemoryBudget::new(100_000);
    let channel = smista_email::EmailChannel::with(server.settings.clone(), budget, timing());
    let run = Running::start(channel.into(), server.intake.clone());
    server.intake.until("all came", |c| c.committed() == 10).await;
    run.stop().await.expect("stopped");
    assert!(server.intake.contents().largest_batch < 310_000, "never two at once");
}

/// What a look costs grows with what is new, not with what lies there; and nothing is fetched a second time.
#[tokio::test]
async fn a_look_costs_what_is_new() {
    let server = Server::with(700).await;
    let run = server.run();
    server.intake.until("all came", |c| c.committed() == 700 && c.caught_up("INBOX") > 0).await;
    run.stop().await.expect("stopped");
    let before = server.imap.log().len();
    let run = server.run();
    server.intake.until("caught up again", |c| c.caught_up("INBOX") > 1).await;
    server.imap.deliver(&letter(700));
    server.intake.until("the new one came", |c| c.committed() == 701 && c.caught_up("INBOX") > 2).await;
    run.stop().await.expect("stopped");
    let asked: Vec<String> = server.imap.log().split_off(before);
    let fetched: Vec<&String> = asked.iter().filter(|l| l.starts_with("UID FETCH")).collect();
    assert!(fetched.iter().all(|l| l.starts_with("UID FETCH 701 ")), "{fetched:?}");
    assert!(asked.iter().all(|l| !l.contains(" 1:")), "no scan of everything: {asked:?}");
}

/// Fifty letters in a row that are listed but not served: each becomes a row, a few at a time, and the ones behind them come.
#[tokio::test]
async fn many_letters_that_are_not_served() {
    let server = Server::with(60).await;
    server.intake.announced_due(false);
    server.imap.folder("INBOX", |f| f.letters.range_mut(6..=55).for_each(|(_, l)| l.withheld = true));
    let channel = server.supervised();
    server.intake.until("all have a row", |c| c.rows.len() == 60 && c.caught_up("INBOX") > 0).await;
    let errors = channel.stop().await;
    assert!(
        !errors.is_empty() && errors.iter().all(|e| e.code == "command-refused"),
        "the server is unwell, and it is said"
    );
    let contents = server.intake.contents();
    assert_eq!((contents.committed(), contents.announced()), (10, 50));
    assert_eq!(contents.position("INBOX"), Some((7, 60)));
}
