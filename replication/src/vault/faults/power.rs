//! The power goes off, or the process is killed.

use super::rounds;
use super::run::{acts, frames, run, start};
use crate::vault::disk::sim::DiskSim;

/// Starts whose every operation is struck too: each so-many-th of the run's.
const AGAIN_EVERY: u64 = 23;

#[test]
fn power_cut_at_every_operation_of_a_run_and_of_the_start_behind_it() {
    strike_at_every_operation("power cuts", 0..rounds(), DiskSim::restart);
}

/// A killed process takes nothing from the page cache: each write, sync and rename is done or was not begun.
#[test]
fn kill_at_every_operation_of_a_run_and_of_the_start_behind_it() {
    strike_at_every_operation("kills", 0..1, DiskSim::restart_process);
}

/// Whatever operation is the last, and again whatever is the last of the start that follows, a start finds all that was told;
/// `restart` decides what is left of what was not synced.
fn strike_at_every_operation(strikes: &str, seeds: std::ops::Range<u64>, restart: fn(&DiskSim)) {
    let acts = acts();
    let frames = frames(&acts);
    let (mut struck, mut again) = (0, 0);
    for seed in seeds {
        for last in 0.. {
            let disk = DiskSim::new(seed * 1_000_003 + last);
            disk.cut_power_at(last);
            let (told, error) = run(&disk, &acts);
            if !disk.is_cut() {
                assert!(error.is_none() && last > 1_000, "the run has many operations: {error:?}");
                break;
            }
            restart(&disk);
            let what = format!("seed {seed}, {strikes} at {last}");
            if last % AGAIN_EVERY == seed % AGAIN_EVERY {
                for operation in 0.. {
                    let fork = disk.fork();
                    fork.cut_power_at(fork.operations() + operation);
                    let _ = start(&fork, &frames, &what);
                    if !fork.is_cut() {
                        break;
                    }
                    restart(&fork);
                    let what = format!("{what} and again in operation {operation} of the start");
                    let found = start(&fork, &frames, &what).unwrap_or_else(|error| panic!("{what}: {error}"));
                    found.check_has(told, &fork, &frames, &what);
                    again += 1;
                }
            }
            let found = start(&disk, &frames, &what).unwrap_or_else(|error| panic!("{what}: {error}"));
            found.check_has(told, &disk, &frames, &what);
            struck += 1;
        }
    }
    println!("{struck} {strikes}, {again} of them followed by another one in the start");
}

/// Between two acts nothing is under way: exactly what was told is there.
#[test]
fn kill_behind_every_act() {
    let acts = acts();
    let frames = frames(&acts);
    for killed_after in 0..acts.len() {
        let disk = DiskSim::new(1);
        let (told, error) = run(&disk, &acts[..killed_after]);
        assert!(error.is_none(), "{error:?}");
        disk.restart_process();
        let what = format!("killed after {killed_after} acts");
        let found = start(&disk, &frames, &what).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(found.told, told, "{what}");
    }
}
