//! `make bench`: messages per second from a mailbox to the queues of the sectors, with a real Dovecot and a PostgreSQL that
//! commits for good, beside a plain fetch-and-parse loop of Python's imaplib over the same mailbox, by turns, in one run.
//!
//! `smista-bench [--quick] [--letters N,N] [--no-python] [--no-certified] [--no-large] [--no-rules] [--statements]`. Ends with 1 when something does not add up or a goal is
//! missed by far; the numbers are ratios, since machines differ.

#![allow(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::struct_excessive_bools,
    clippy::indexing_slicing,
    reason = "a program for the developer's machine"
)]

use std::{
    path::Path,
    process::{Command, ExitCode},
    sync::Arc,
};

use serde_json::json;
use smista_testkit::{
    bench::{certified::CertifiedMailbox, letters::Letters, line, python},
    dovecot::Dovecot,
    installation::beside,
    pec::Authority,
    postgres::{TestPostgres, TestPostgresOptions},
};

/// Mailboxes of the test server, one for each number of letters.
const MAILBOXES: [&str; 2] = ["urp", "bulk"];
/// For the runs with certified mail and, beside it, with the same number of plain letters.
const CERTIFIED_MAILBOXES: [&str; 2] = ["pec", "protocollo"];
const CERTIFIED: usize = 10_000;
/// For the run with large letters.
const LARGE_MAILBOX: &str = "tributi";
/// Octets of the largest letters: Gmail's limit, and below that of smista's default configuration.
const LARGE: usize = 25_000_000;
/// How many letters the Python loop gets at a turn.
const TURN: usize = 2_500;

const GOAL_RATIO: f64 = 5.0;
const GOAL_SAME: f64 = 0.85;
const GOAL_MEMORY: f64 = 150.0;
const GOAL_CERTIFIED: f64 = 0.75;

struct Plan {
    letters: Vec<usize>,
    python: bool,
    certified: bool,
    large: bool,
    rules: bool,
    statements: bool,
}

fn plan() -> Result<Plan, String> {
    let mut plan = Plan {
        letters: vec![5_000, 50_000],
        python: true,
        certified: true,
        large: true,
        rules: true,
        statements: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => plan.letters = vec![2_000],
            "--letters" => {
                let list = arguments.next().unwrap_or_default();
                plan.letters = list.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| {
                    format!("--letters {list:?}: one or two numbers, for instance --letters 5000,50000")
                })?;
                if plan.letters.is_empty() || plan.letters.len() > MAILBOXES.len() {
                    return Err("--letters: one or two numbers".to_owned());
                }
            }
            "--no-python" => plan.python = false,
            "--no-certified" => plan.certified = false,
            "--no-large" => plan.large = false,
            "--no-rules" => plan.rules = false,
            "--statements" => plan.statements = true,
            other => {
                return Err(format!(
                    "{other}: unknown; there are --quick, --letters N,N, --no-python, --no-certified, --no-large, --no-rules"
                ));
            }
        }
    }
    Ok(plan)
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / (numbers.len().max(1) as f64)
}

fn list(numbers: &[f64]) -> String {
    numbers.iter().map(|n| format!("{n:.0}")).collect::<Vec<_>>().join(" ")
}

fn goal(met: bool) -> &'static str {
    if met { "reached" } else { "MISSED" }
}

/// A certified mailbox beside a plain one of as many letters, each of which opens a case: rates, and that every envelope is a
/// case and no receipt one. True if it all adds up.
async fn certified(program: &Path, dovecot: &Dovecot, server: &Arc<TestPostgres>) -> bool {
    let [certified, plain] = CERTIFIED_MAILBOXES;
    let mut mailbox = CertifiedMailbox::new(&Authority::new("CA"), 2026);
    dovecot.deliver_all(certified, "INBOX", mailbox.by_ref().take(CERTIFIED)).expect("delivered");
    let letters = Letters::of(plain, 2026).alone().take(CERTIFIED);
    dovecot.deliver_all(plain, "INBOX", letters).expect("delivered");
    let (mut rates, mut sound) = ([0.0, 0.0], true);
    for _ in 0..2 {
        for (rate, user) in rates.iter_mut().zip(CERTIFIED_MAILBOXES) {
            let run = line::run(program, dovecot, server, user, CERTIFIED).await;
            *rate += run.rate() / 2.0;
            run.wrong.iter().for_each(|wrong| println!("  WRONG: {wrong}"));
            sound &= run.wrong.is_empty();
            if user == certified {
                let expected = json!(mailbox.ignored);
                if run.ledger["reasons"] != expected || run.ledger["opened"] != json!(mailbox.cases) {
                    sound = false;
                    println!(
                        "  WRONG: {} cases and {expected} expected, and the ledger says {}",
                        mailbox.cases, run.ledger
                    );
                }
            }
        }
    }
    let [certified, plain] = rates;
    println!(
        "\n{CERTIFIED} messages of a certified mailbox, {} of them letters: {certified:.0} messages/s; {CERTIFIED} plain letters: \
         {plain:.0}/s; {:.2} of the rate (goal: {GOAL_CERTIFIED}, {}); ledger by reason: {:?}",
        mailbox.cases,
        certified / plain,
        goal(certified / plain >= GOAL_CERTIFIED),
        mailbox.ignored
    );
    sound
}

#[tokio::main]
async fn main() -> ExitCode {
    let plan = match plan() {
        Ok(plan) => plan,
        Err(text) => {
            eprintln!("smista-bench: {text}");
            return ExitCode::from(2);
        }
    };
    let program = beside("smista");
    let dovecot = Dovecot::start().await.expect("Dovecot: is dovecot-imapd installed?");
    let settings = if plan.statements {
        // Of the package with the server's contributions; measuring costs something itself.
        vec![
            "shared_preload_libraries=pg_stat_statements".to_owned(),
            "pg_stat_statements.track=all".to_owned(),
        ]
    } else {
        Vec::new()
    };
    let server = tokio::task::spawn_blocking(|| {
        TestPostgres::start_with(TestPostgresOptions {
            durable: true,
            settings,
            ..TestPostgresOptions::default()
        })
    })
    .await
    .expect("PostgreSQL");
    let server = Arc::new(server);
    if plan.statements {
        server.as_superuser("create extension pg_stat_statements; grant pg_read_all_stats to smista").await;
    }

    let (mut rates, mut failed) = (Vec::new(), false);
    for (mailbox, &count) in MAILBOXES.into_iter().zip(&plan.letters) {
        let mut octets = 0;
        let letters = Letters::of(mailbox, 2026).take(count).inspect(|letter| octets += letter.len());
        dovecot.deliver_all(mailbox, "INBOX", letters).expect("delivered");
        println!(
            "\n{count} letters of {:.1} kB on average, one in ten with a photograph",
            octets as f64 / count as f64 / 1000.0
        );
        // The server builds its index of a new mailbox before anybody's time is taken.
        python::rate(&dovecot, mailbox, 0, 50).expect("python3");
        let turn = |at: usize| {
            let skip = at * count.saturating_sub(TURN) / 2;
            let rate = plan
                .python
                .then(|| python::rate(&dovecot, mailbox, skip, TURN.min(count)).expect("the Python loop"));
            rate.into_iter()
                .inspect(|rate| println!("  imaplib, 50 at a time, parsed      {rate:8.0} letters/s"))
                .next()
        };
        let (mut loops, mut runs) = (Vec::new(), Vec::new());
        // Small mailboxes are over in a moment: three runs of them, one of the large.
        let times = if count <= 10_000 { 3 } else { 1 };
        for at in 0..times {
            loops.extend(turn(at));
            let run = line::run(&program, &dovecot, &server, mailbox, count).await;
            println!(
                "  smista, mailbox to queue, durable  {:8.0} letters/s   ({:.1} s, {:.1} s of them until the first commit; fifths: \
                 {}; processor {:.1} s and PostgreSQL {:.1} s; at most {:.0} MB)",
                run.rate(),
                run.seconds,
                run.start_up,
                list(&run.fifths),
                run.processor,
                run.database,
                run.peak as f64 / 1e6
            );
            for wrong in &run.wrong {
                failed = true;
                println!("  WRONG: {wrong}");
            }
            runs.push(run);
        }
        loops.extend(turn(2));
        let rate = mean(&runs.iter().map(line::Run::rate).collect::<Vec<_>>());
        rates.push(rate);
        if let Some(run) = runs.last() {
            println!("  ledger: {}", run.ledger);
        }
        if plan.statements {
            for line in line::statements(&server).await {
                println!("  {line}");
            }
        }
        if plan.python {
            let ratio = rate / mean(&loops);
            println!(
                "  ratio: {ratio:.1} times the loop (goal: {GOAL_RATIO:.0}, {})",
                goal(ratio >= GOAL_RATIO)
            );
        }
    }
    if let [few, many] = rates.as_slice() {
        println!(
            "\n{} letters against {}: {:.2} of the rate (goal: the same, {})",
            plan.letters.last().copied().unwrap_or_default(),
            plan.letters.first().copied().unwrap_or_default(),
            many / few,
            goal(many / few >= GOAL_SAME)
        );
    }
    if plan.certified {
        failed |= !certified(&program, &dovecot, &server).await;
    }
    if plan.large {
        let mut letters = Letters::of(LARGE_MAILBOX, 7);
        let mut all: Vec<Vec<u8>> = Vec::new();
        for n in 0..500 {
            all.extend(letters.next());
            if n % 100 == 50 {
                all.push(letters.large(LARGE));
            }
        }
        let count = all.len();
        dovecot.deliver_all(LARGE_MAILBOX, "INBOX", all).expect("delivered");
        let run = line::run(&program, &dovecot, &server, LARGE_MAILBOX, count).await;
        failed |= !run.wrong.is_empty();
        run.wrong.iter().for_each(|wrong| println!("  WRONG: {wrong}"));
        let peak = run.peak as f64 / 1e6;
        println!(
            "\n{count} letters, five of them of {} MB: at most {peak:.0} MB of memory (goal: below {GOAL_MEMORY:.0}, {}), {:.1} s",
            LARGE / 1_000_000,
            goal(peak < GOAL_MEMORY),
            run.seconds
        );
    }
    if plan.rules {
        let decisions = beside("examples/decisions");
        if decisions.is_file() {
            println!("\nDecisions per second of one core, with 50 and with 5,000 rules:");
            failed |= !Command::new(decisions).status().is_ok_and(|status| status.success());
        } else {
            println!("\n(rules: build with `cargo build --release -p smista-triage --example decisions`)");
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
