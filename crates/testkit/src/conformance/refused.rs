//! Upstream does not let us in: said by name, with what to do; over by itself when it is mended; and nobody else's trouble.

use std::path::Path;

use serde_json::Value;

use super::{
    Rig,
    trial::{Trial, name},
};

impl<R: Rig> Trial<R> {
    /// The condition that says that upstream refuses us, and of which channel, once `status` shows it.
    async fn refusal(&self) -> Value {
        let find = || self.conditions().into_iter().find(|c| c["code"] == R::REFUSED);
        let mut found = None;
        let what = format!("status says {}", R::REFUSED);
        self.town
            .until(&what, || {
                found = find();
                found.is_some()
            })
            .await;
        found.unwrap_or_default()
    }
}

/// `check --connect` fails and names the channel; `status` names it with a stable code, what happened and what to do, in Italian
/// and English, and ends with 1. When the credentials are mended, everything comes in without a restart, and `status` is
/// content again.
pub async fn login_refused<R: Rig>(program: &Path) {
    let mut trial = Trial::<R>::new(program, 1).await;
    let channel = name::<R>(0);
    trial.rig.shut(&trial.town, 0);
    trial.put(0, 1..=3);
    let checked = trial.town.run(&["check", "--connect"]);
    assert_eq!(checked.code, 69, "check --connect: {checked:?}");
    assert!(checked.out.contains(channel), "check --connect does not name {channel}: {checked:?}");

    let daemon = trial.daemon(0);
    let condition = trial.refusal().await;
    assert_eq!(condition["subject"], channel, "{condition}");
    for key in ["text", "hint"] {
        let word = |lang: &str| condition[key][lang].as_str().unwrap_or_default().to_owned();
        let (it, en) = (word("it"), word("en"));
        assert!(!it.is_empty() && !en.is_empty() && it != en, "{key} in both languages: {condition}");
    }
    assert_eq!(trial.state(0), "failing");
    let said = trial.town.run(&["status", "--lang", "it"]);
    assert_eq!(said.code, 1, "status: {said:?}");
    let hint = condition["hint"]["it"].as_str().unwrap_or_default();
    for part in [channel, R::REFUSED, hint] {
        assert!(said.out.contains(part), "status does not say {part:?}: {said:?}");
    }

    trial.rig.mend(&trial.town, 0);
    trial.until_queued(0, &[1..=3]).await;
    trial.until_told(0, 3).await;
    trial.until_caught_up(0).await;
    trial.town.until("status says that it is over", || !trial.says(R::REFUSED)).await;
    let checked = trial.town.run(&["check", "--connect"]);
    assert_eq!(checked.code, 0, "check --connect: {checked:?}");
    trial.end([daemon]);
    trial.each_once(0, 1..=3).await;
}

/// Three channels, one of which is refused: the others go on, from the start and later, and `status` says which one does not.
pub async fn one_of_many_fails_alone<R: Rig>(program: &Path) {
    let mut trial = Trial::<R>::new(program, 3).await;
    trial.rig.shut(&trial.town, 0);
    trial.put(0, 1..=2);
    trial.put(1, 3..=4);
    trial.put(2, 6..=7);
    let daemon = trial.daemon(0);
    let condition = trial.refusal().await;
    assert_eq!(condition["subject"], name::<R>(0), "{condition}");
    trial.until_queued(1, &[3..=4]).await;
    trial.until_queued(2, &[6..=7]).await;
    trial.put(1, 5..=5);
    trial.put(2, 8..=8);
    trial.until_queued(1, &[3..=5]).await;
    trial.until_queued(2, &[6..=8]).await;
    for well in [1, 2] {
        trial.until_caught_up(well).await;
        let accused = trial.conditions().iter().any(|c| c["subject"] == name::<R>(well));
        assert!(!accused, "{} is well: {:?}", name::<R>(well), trial.conditions());
    }
    assert_eq!(trial.state(0), "failing");

    trial.rig.mend(&trial.town, 0);
    trial.until_queued(0, &[1..=2]).await;
    trial.end([daemon]);
    for (channel, numbers) in [(0, 1..=2), (1, 3..=5), (2, 6..=8)] {
        trial.each_once(channel, numbers).await;
    }
}
