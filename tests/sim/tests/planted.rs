//! Do the oracles see? Each planted bug is found within a thousand seeds, which `just planted` shows as a table.
#![cfg(feature = "planted-bugs")]

use tanist_sim::planted::{BUGS, hunt};

/// A bug that is not found by then is not found.
const SEEDS_MAX: u64 = 1_000;

#[test]
fn every_planted_bug_is_found() {
    // Their panics are findings, and not this test's.
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    println!("| bug | seeds | found by | saying |\n|---|---|---|---|");
    for bug in BUGS {
        match hunt(bug, 1, SEEDS_MAX) {
            Some(found) => {
                let why = found.violation.why.lines().next().unwrap_or_default();
                println!("| {bug} | {} | {} | {why} |", found.seeds, found.violation.oracle);
            }
            None => missed.push(bug),
        }
    }
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "not found within {SEEDS_MAX} seeds: {}", missed.join(", "));
}
