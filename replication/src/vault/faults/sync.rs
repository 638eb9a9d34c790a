//! Syncs that fail, and syncs that report success without syncing.

use tanist_db_core::ids::Lsn;

use super::run::{Act, Told, act, acts, frames, open, run, start, start_after_lies};
use super::{rounds, sentence};
use crate::vault::disk::sim::DiskSim;
use crate::vault::error::StorageError;
use crate::vault::log::segment::LogFrame;
use crate::vault::testing::frame;

/// Whatever sync fails: nothing is acknowledged that a power failure behind it could take away.
#[test]
fn nothing_is_acknowledged_after_a_failed_sync() {
    let acts = acts();
    let frames = frames(&acts);
    let (mut failed, mut later) = (0, 0);
    for seed in 0..rounds() {
        for operation in 0.. {
            let disk = DiskSim::new(seed * 1_000_003 + operation);
            disk.fail_sync_at(operation);
            let (told, error, more) = run_stubbornly(&disk, &acts);
            if disk.operations() <= operation {
                break;
            }
            // Some operations are no syncs; a folder's sync that fails while old segments go away is no loss.
            failed += u64::from(error.is_some());
            later += more.len();
            let what = format!("seed {seed}, the sync at {operation} fails");
            let instead = more.first().map_or(Lsn(u64::MAX), |frame| frame.first);
            let before = frames.iter().filter(|frame| frame.last < instead);
            let frames: Vec<_> = before.chain(&more).cloned().collect();
            // The process starts again on a machine that goes on, or the power fails.
            let on = disk.fork();
            on.restart_process();
            disk.restart();
            for disk in [on, disk] {
                let found = start(&disk, &frames, &what).unwrap_or_else(|error| panic!("{what}: {error}"));
                found.check_has(told, &disk, &frames, &what);
            }
        }
    }
    println!("{failed} failed syncs; {later} groups were acknowledged after one that was none of the log's");
    assert!(failed > 400 && later > 100, "only {failed} syncs failed, only {later} groups came after one");
}

/// Continues with groups of records after an error, which an actor must not do after every error; returns those that were
/// acknowledged.
fn run_stubbornly(disk: &DiskSim, acts: &[Act]) -> (Told, Option<StorageError>, Vec<LogFrame>) {
    let (mut told, mut more) = (Told::default(), Vec::new());
    let mut storage = match open(disk) {
        Ok(storage) => storage,
        Err(error) => return (told, Some(error), more),
    };
    for next in acts {
        let Err(error) = act(disk, &mut storage, next, &mut told) else { continue };
        if let Act::Restart = next {
            disk.restart_process();
            storage = open(disk).unwrap_or_else(|again| panic!("{again} after {error}"));
        }
        for _ in 0..3 {
            let group = vec![frame(told.epoch, storage.log.extent().durable.0 + 1, 1)];
            match act(disk, &mut storage, &Act::Commit(group.clone()), &mut told) {
                Ok(()) => more.extend(group),
                Err(again) => assert!(matches!(again, StorageError::Poisoned { .. }), "{again} after {error}"),
            }
        }
        let of_the_log = matches!(next, Act::Commit(_) | Act::Settle);
        assert!(!of_the_log || more.is_empty(), "acknowledged after {error}");
        return (told, Some(error), more);
    }
    (told, None, more)
}

/// Hardware that lies can take what was acknowledged, and nothing here can bring it back. What is left is the truth's
/// beginning, or a start refuses.
#[test]
fn what_lying_syncs_leave_is_a_beginning_of_the_truth_or_refused() {
    let acts = acts();
    let frames = frames(&acts);
    let (mut whole, mut less, mut refused) = (0, 0, 0);
    let mut said = std::collections::BTreeSet::new();
    let operations = {
        let disk = DiskSim::new(1);
        run(&disk, &acts);
        disk.operations()
    };
    for round in 0..400 * rounds() {
        let disk = DiskSim::new(round);
        let from = round * 7_919 % operations;
        disk.lie_from(from);
        // The power goes off at some time after that.
        disk.cut_power_at(from + round * 104_729 % (operations - from).min(300));
        let (told, _) = run(&disk, &acts);
        disk.restart();
        let what = format!("round {round}: syncs lie from operation {from} on");
        match start_after_lies(&disk, &frames, &what) {
            Ok(found) if found.told.durable >= told.durable => whole += 1,
            Ok(_) => less += 1,
            Err(error) => {
                refused += 1;
                said.insert(
                    sentence(&error).split(": ").last().unwrap_or_default().chars().take(40).collect::<String>(),
                );
            }
        }
    }
    println!("lying syncs: {whole} lost nothing, {less} lost an end, {refused} refused: {said:#?}");
    assert!(whole > 0 && refused > 0);
}
