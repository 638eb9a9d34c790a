//! Seeds that every change must pass, the ones that once found something, and that a seed decides everything.

use tanist_sim::{Counts, Options, run};

/// As many as a minute has time for on a busy machine; `just sim` runs more.
const SEEDS: u64 = 200;

#[test]
fn all_promises_are_kept() {
    let mut counts = Counts::default();
    for seed in 1..=SEEDS {
        counts.add(&keeps_promises(seed));
    }
    // A simulator in which nothing happens finds nothing.
    let seen = [
        counts.done,
        counts.unknown,
        counts.takeovers,
        counts.switchovers,
        counts.images,
        counts.compared,
        counts.messages,
        counts.standby_reads,
    ];
    assert!(seen.iter().all(|count| *count > SEEDS / 10), "{counts:?}");
    assert!(counts.undecided <= SEEDS / 50, "histories that nobody judges prove nothing: {counts:?}");
}

/// Each line of `regressions` is a seed and what was lost.
#[test]
fn what_was_found_once_is_not_found_again() {
    for line in include_str!("../regressions").lines().filter(|line| !line.starts_with('#')) {
        let seed = line.split_whitespace().next().and_then(|word| word.parse().ok());
        keeps_promises(seed.unwrap_or_else(|| panic!("a line begins with its seed: {line}")));
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1..=12 {
        let [first, second] = [(); 2].map(|()| run(seed, Options::default()));
        assert_eq!(
            (first.digest, first.events, first.counts),
            (second.digest, second.events, second.counts),
            "seed {seed}"
        );
    }
    assert_ne!(run(1, Options::default()).digest, run(2, Options::default()).digest);
}

fn keeps_promises(seed: u64) -> Counts {
    let outcome = run(seed, Options::default());
    if let Some(violation) = outcome.violation {
        let last = outcome.last_lines.join("\n");
        panic!("{last}\nseed {seed}: {}: {}\nagain: just sim --seed {seed}", violation.oracle, violation.why);
    }
    outcome.counts
}
