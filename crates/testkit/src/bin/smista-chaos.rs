//! `make chaos`: kill -9 at random moments while mail comes in, two hundred times with each policy; nothing lost, nothing
//! twice, nothing moved or flagged before its commit.
//!
//! `smista-chaos [--rounds N] [--policy keep|seen|move:Archivio|delete] [--seed S]`. Ends with 1 when anything was violated; the
//! seed that is printed draws the same moments again.

#![allow(clippy::disallowed_methods, reason = "a program for the developer's machine")]

use std::process::ExitCode;

use smista_testkit::{
    crashes::{POLICIES, Tally, rounds_seen},
    installation::beside,
};

struct Plan {
    rounds: usize,
    policies: Vec<String>,
    seed: u64,
}

fn plan() -> Result<Plan, String> {
    let mut plan =
        Plan { rounds: 200, policies: POLICIES.map(str::to_owned).to_vec(), seed: fastrand::u64(..) };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} wants a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{name} {value}: not a number"));
        match name.as_str() {
            "--rounds" => plan.rounds = usize::try_from(number()?).map_err(|e| e.to_string())?,
            "--seed" => plan.seed = number()?,
            "--policy" if POLICIES.contains(&value.as_str()) => plan.policies = vec![value],
            "--policy" => return Err(format!("--policy {value}: there are {}", POLICIES.join(", "))),
            _ => return Err(format!("{name}: unknown; there are --rounds N, --policy P, --seed S")),
        }
    }
    Ok(plan)
}

fn show(policy: &str, tally: &Tally) {
    let moments: Vec<String> = tally.moments.iter().map(|(m, n)| format!("{} {n}", m.word())).collect();
    println!(
        "{policy}: {} kills, {} of them in the middle of something; {} letters, each there once and none touched before its commit\n  \
         moments: {}",
        tally.kills,
        tally.in_the_middle,
        tally.letters,
        moments.join(", ")
    );
}

#[tokio::main]
async fn main() -> ExitCode {
    let plan = match plan() {
        Ok(plan) => plan,
        Err(text) => {
            eprintln!("smista-chaos: {text}");
            return ExitCode::from(2);
        }
    };
    let program = beside("smista");
    println!("{} rounds with each of {}; seed {}", plan.rounds, plan.policies.join(", "), plan.seed);
    let mut violated = false;
    for policy in plan.policies {
        let (program, rounds, seed, name) = (program.clone(), plan.rounds, plan.seed, policy.clone());
        let task = tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let tell = |n: usize| {
                if n.is_multiple_of(25) {
                    eprintln!("  {name}: {n} of {rounds}");
                }
            };
            rounds_seen(&program, &name, rounds, &mut random, tell).await
        });
        if let Ok(tally) = task.await {
            show(&policy, &tally);
        } else {
            // What was violated has been said by the panic.
            violated = true;
            println!("{policy}: VIOLATED (seed {})", plan.seed);
        }
    }
    if violated { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
