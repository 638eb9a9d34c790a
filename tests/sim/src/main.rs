//! Runs seeds, and reports which of them violate a guarantee.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use tanist_sim::{Counts, Options, Outcome, planted, run};

/// Whole clusters under seeded faults.
#[derive(Debug, Parser)]
#[command(name = "tanist-sim")]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Run this seed alone, and print what happens.
    #[arg(long)]
    seed: Option<u64>,
    /// Make a planted bug, by its name; `list` names all. Needs the feature `planted-bugs`.
    #[arg(long)]
    bug: Option<String>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let bug = match arguments.bug.as_deref().map(planted::find) {
        None => None,
        Some(Some(bug)) => Some(bug),
        Some(None) => {
            say(&format!("planted bugs: {}", planted::BUGS.join(", ")));
            return ExitCode::FAILURE;
        }
    };
    if bug.is_some() && !cfg!(feature = "planted-bugs") {
        say("this build makes no mistakes: planted bugs need the feature `planted-bugs`, as `just sim-bug` has it");
        return ExitCode::FAILURE;
    }
    if let Some(seed) = arguments.seed {
        let outcome = run(seed, Options { print: true, bug });
        report(&outcome, bug);
        return if outcome.violation.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    many(&arguments, bug)
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is told to a person, nothing depends on it")]
fn many(arguments: &Arguments, bug: Option<&'static str>) -> ExitCode {
    let begun = Instant::now();
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from + arguments.seeds;
    let work = || {
        let (mut counts, mut events, mut wrong) = (Counts::default(), 0, 0_u64);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return (counts, events, wrong);
            }
            let outcome = run(seed, Options { print: false, bug });
            counts.add(&outcome.counts);
            events += outcome.events;
            if outcome.violation.is_some() {
                wrong += 1;
                report(&outcome, bug);
            }
        }
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..arguments.threads.max(1)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a run catches its panics")).collect()
    });
    let (mut counts, mut events, mut wrong) = (Counts::default(), 0, 0);
    for (part, happened, bad) in parts {
        counts.add(&part);
        events += happened;
        wrong += bad;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let seeds = arguments.seeds;
    say(&format!(
        "{seeds} seeds in {seconds:.1} s ({:.1} a second), {events} events\n\
         operations: {} done, {} refused, {} unknown\n\
         {} messages heard, {} faults, {} takeovers, {} switchovers, {} images, {} starts of the vault, {} versions compared, {} feature levels raised, {} reads by standbys, {} histories not judged\n\
         {wrong} broke a promise",
        seeds as f64 / seconds,
        counts.done,
        counts.refused,
        counts.unknown,
        counts.messages,
        counts.faults,
        counts.takeovers,
        counts.switchovers,
        counts.images,
        counts.vault_starts,
        counts.compared,
        counts.levels,
        counts.standby_reads,
        counts.undecided,
    ));
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(outcome: &Outcome, bug: Option<&str>) {
    let Some(violation) = &outcome.violation else {
        return say(&format!(
            "seed {} keeps all promises: {:?}, trace {:016x}",
            outcome.seed, outcome.counts, outcome.digest
        ));
    };
    for line in &outcome.last_lines {
        say(&format!("    {line}"));
    }
    say(&format!("seed {}: {}: {}", outcome.seed, violation.oracle, violation.why));
    match bug {
        None => say(&format!("again: just sim --seed {}", outcome.seed)),
        Some(bug) => say(&format!("again: just sim-bug --bug '{bug}' --seed {}", outcome.seed)),
    }
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn say(line: &str) {
    println!("{line}");
}
