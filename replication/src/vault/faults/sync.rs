//! Syncs that fail, and syncs that lie.

use super::run::{Act, act, acts, frames, open, run, start};
use super::{rounds, sentence};
use crate::vault::disk_sim::DiskSim;
use crate::vault::error::StorageError;

/// Whatever sync fails: nothing is acknowledged that a power cut behind it could take away.
#[test]
fn nothing_is_acknowledged_after_a_failed_sync() {
    let acts = acts();
    let frames = frames(&acts);
    let mut failed = 0;
    for seed in 0..rounds() {
        for operation in 0.. {
            let disk = DiskSim::new(seed * 1_000_003 + operation);
            disk.fail_sync_at(operation);
            let (told, error) = run_stubbornly(&disk, &acts);
            if disk.operations() <= operation {
                break;
            }
            // Some operations are no syncs; a folder's sync that fails while old segments go away is no loss.
            failed += u64::from(error.is_some());
            disk.restart();
            let what = format!("seed {seed}, the sync at {operation} fails");
            let found = start(&disk, &frames, &what).unwrap_or_else(|error| panic!("{what}: {error}"));
            found.check_has(told, &what);
        }
    }
    println!("{failed} failed syncs");
    assert!(failed > 400, "only {failed} syncs failed");
}

/// Goes on after an error with everything that follows, as an actor must not.
fn run_stubbornly(disk: &DiskSim, acts: &[Act]) -> (super::run::Told, Option<StorageError>) {
    let mut told = super::run::Told::default();
    let mut storage = match open(disk) {
        Ok(storage) => storage,
        Err(error) => return (told, Some(error)),
    };
    for (i, next) in acts.iter().enumerate() {
        if let Err(error) = act(disk, &mut storage, next, &mut told) {
            let poisoned = !matches!(next, Act::Image | Act::Grant(_) | Act::Restart);
            let later = acts[i + 1..].iter().filter(|act| matches!(act, Act::Commit(_)));
            for next in later.take(if poisoned { 3 } else { 0 }) {
                let again = act_again(disk, &mut storage, next, &mut told);
                assert!(matches!(again, Err(StorageError::Poisoned { .. })), "{again:?} after {error}");
            }
            return (told, Some(error));
        }
    }
    (told, None)
}

/// A group that follows the log's end, in place of one that does not any more.
fn act_again(
    disk: &DiskSim,
    storage: &mut crate::vault::Storage,
    next: &Act,
    told: &mut super::run::Told,
) -> Result<(), StorageError> {
    let (epoch, first) = (told.epoch + 1, storage.log.extent().durable.0 + 1);
    assert!(matches!(next, Act::Commit(_)));
    act(disk, storage, &Act::Commit(vec![crate::vault::testing::frame(epoch, first, 1)]), told)
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
        match start(&disk, &frames, &what) {
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
