//! Failures that users of other systems reported, each under the name of its report. Where another test plays the scenario in
//! full, docs/known-failures.md names that one, and it is not here again.

mod duplicates;
mod lost_mail;
mod others_go_on;
mod rules;
