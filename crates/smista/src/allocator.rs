//! How the C library's allocator serves a daemon that is to stay small.
//!
//! Left alone it keeps an arena for each thread, and after the first letter of 25 MB it takes the next ones from those arenas,
//! where what is freed stays. It reads its settings from the environment before `main`, so the daemon sets them and starts
//! itself once more, as the same process.

use std::{ffi::OsString, os::unix::process::CommandExt as _, process::Command};

use smista_settings::Environment;

/// mallopt(3): few arenas; from 256 kB on memory comes from the system and goes back to it; what is free at the top goes back.
const SETTINGS: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "2"), ("MALLOC_MMAP_THRESHOLD_", "262144"), ("MALLOC_TRIM_THRESHOLD_", "1048576")];

/// Starts the program again with the allocator's settings, unless they (or an operator's own) are there already. Where that
/// cannot be done it goes on as it is: only memory is at stake.
pub(crate) fn settle(arguments: &[OsString]) {
    let environment = Environment::of_process();
    if SETTINGS.iter().any(|(name, _)| environment.get(name).is_some()) {
        return;
    }
    let (Some((name, rest)), Ok(program)) = (arguments.split_first(), std::env::current_exe()) else {
        return;
    };
    // Returns only when it failed.
    let _ = Command::new(program).arg0(name).args(rest).envs(SETTINGS).exec();
}
