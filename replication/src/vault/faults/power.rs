//! The power goes off.

use super::rounds;
use super::run::{acts, frames, run, start};
use crate::vault::disk_sim::DiskSim;

/// Starts whose every operation is cut too: each so-many-th of the run's cuts.
const CUT_AGAIN_EVERY: u64 = 23;

#[test]
fn power_cut_at_every_operation_of_a_run_and_of_the_start_behind_it() {
    let acts = acts();
    let frames = frames(&acts);
    let (mut cuts, mut again) = (0, 0);
    for seed in 0..rounds() {
        for cut_at in 0.. {
            let disk = DiskSim::new(seed * 1_000_003 + cut_at);
            disk.cut_power_at(cut_at);
            let (told, error) = run(&disk, &acts);
            if !disk.is_cut() {
                assert!(error.is_none() && cut_at > 1_000, "the run has many operations: {error:?}");
                break;
            }
            disk.restart();
            let what = format!("seed {seed}, cut at {cut_at}");
            if cut_at % CUT_AGAIN_EVERY == seed % CUT_AGAIN_EVERY {
                for operation in 0.. {
                    let fork = disk.fork();
                    fork.cut_power_at(fork.operations() + operation);
                    let _ = start(&fork, &frames, &what);
                    if !fork.is_cut() {
                        break;
                    }
                    fork.restart();
                    let what = format!("{what} and again in operation {operation} of the start");
                    let found = start(&fork, &frames, &what).unwrap_or_else(|error| panic!("{what}: {error}"));
                    found.check_has(told, &what);
                    again += 1;
                }
            }
            let found = start(&disk, &frames, &what).unwrap_or_else(|error| panic!("{what}: {error}"));
            found.check_has(told, &what);
            cuts += 1;
        }
    }
    println!("{cuts} power cuts, {again} of them followed by another one in the start");
}

/// A killed process takes nothing from the page cache.
#[test]
fn kill_at_every_act() {
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
