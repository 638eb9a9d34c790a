//! Do the oracles see? Each planted bug is found within a thousand seeds, which `just planted` shows as a table.
#![cfg(feature = "planted-bugs")]

use std::sync::Mutex;
use std::thread;

use tanist_sim::planted::{BUGS, hunt};

/// A bug that is not found by then is not found.
const SEEDS_MAX: u64 = 1_000;

#[test]
fn every_planted_bug_is_found() {
    // Their panics are findings, and not this test's.
    std::panic::set_hook(Box::new(|_| {}));
    let (bugs, missed) = (Mutex::new(BUGS.into_iter()), Mutex::new(Vec::new()));
    println!("| bug | seeds | found by | saying |\n|---|---|---|---|");
    // A bug is planted for one thread.
    let hunter = || {
        loop {
            let bug = bugs.lock().unwrap().next();
            let Some(bug) = bug else { break };
            match hunt(bug, 1, SEEDS_MAX) {
                Some(found) => {
                    let why = found.violation.why.lines().next().unwrap_or_default();
                    println!("| {bug} | {} | {} | {why} |", found.seeds, found.violation.oracle);
                }
                None => missed.lock().unwrap().push(bug),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(hunter);
        }
    });
    let missed = missed.into_inner().unwrap();
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "not found within {SEEDS_MAX} seeds: {}", missed.join(", "));
}
