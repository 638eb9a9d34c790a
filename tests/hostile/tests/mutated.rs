//! Every target over its seeds and over mutations of them. `TANIST_SEED` repeats a run, `TANIST_MUTATIONS` makes it longer.

#![expect(clippy::print_stdout, reason = "the seed, without which a failure cannot be repeated")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use tanist_hostile::mutate::{Random, mutate};
use tanist_hostile::{TARGETS, Target};

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Clock and process make another seed for each run.
fn seed() -> u64 {
    let fresh = std::collections::hash_map::RandomState::new();
    number("TANIST_SEED", std::hash::BuildHasher::hash_one(&fresh, 0))
}

fn run(name: &str, usual: u64) {
    let target = TARGETS.into_iter().find(|target| target.name == name).expect("it is one of them");
    let (seed, seeds) = (seed(), (target.seeds)());
    println!("{name}: seed {seed} (again with TANIST_SEED={seed})");
    seeds.iter().for_each(|input| try_one(target, seed, input));
    let mut random = Random(seed);
    for _ in 0..number("TANIST_MUTATIONS", usual) {
        let (first, second) = (random.below(seeds.len()), random.below(seeds.len()));
        let input = mutate(&mut random, &seeds[first], &seeds[second]);
        try_one(target, seed, &input);
    }
}

fn try_one(target: Target, seed: u64, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.read)(input))).is_err() {
        panic!("{}, seed {seed}: {:?}", target.name, input.escape_ascii().to_string());
    }
}

#[test]
fn requests() {
    run("resp", 10_000);
}

#[test]
fn redo_batches() {
    run("redo", 5_000);
}

#[test]
fn images() {
    run("image", 3_000);
}

#[test]
fn messages_of_the_cluster() {
    run("wire", 20_000);
}

#[test]
fn messages_of_clients() {
    run("client", 20_000);
}

#[test]
fn configuration() {
    run("config", 5_000);
}

#[test]
fn dump_files() {
    run("rdb", 20_000);
}

#[test]
fn hyperloglogs_of_clients() {
    run("hyperloglog", 3_000);
}

#[test]
fn payloads_of_restore() {
    run("restore", 5_000);
}
