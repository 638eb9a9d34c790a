//! The disk is full.

use super::rounds;
use super::run::{Act, Told, act, acts, frames, open, start};
use crate::vault::disk::sim::DiskSim;
use crate::vault::error::StorageError;

/// Before every act there is room for a few bytes only; what is refused is done again with room.
#[test]
fn a_full_disk_refuses_at_every_point_and_service_resumes() {
    let acts = acts();
    let frames = frames(&acts);
    let mut refused = 0;
    for pass in 0..40 * rounds() {
        let disk = DiskSim::new(pass);
        if pass % 4 == 3 {
            disk.copy_on_write();
        }
        let (mut storage, mut told) = (open(&disk).unwrap(), Told::default());
        for (i, next) in acts.iter().enumerate() {
            let what = format!("pass {pass}, act {i}");
            disk.set_room((i as u64 * 131 + pass * 37) % 1_500);
            let before = told;
            let outcome = act(&disk, &mut storage, next, &mut told);
            disk.set_room(u64::MAX);
            let Err(error) = outcome else { continue };
            refused += 1;
            assert!(matches!(error, StorageError::Full { .. }), "{what}: {error}");
            assert_eq!(told, before, "{what}: nothing was told");
            // A lease that cannot be remembered, or a start that cannot be finished, ends the process.
            if matches!(next, Act::Grant(_) | Act::Restart) {
                disk.restart_process();
                storage = open(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
            }
            act(&disk, &mut storage, next, &mut told).unwrap_or_else(|error| panic!("{what} again: {error}"));
        }
        disk.restart_process();
        let found = start(&disk, &frames, &format!("pass {pass}")).unwrap();
        assert_eq!(found.told, told, "pass {pass}");
    }
    println!("{refused} refusals by a full disk");
    assert!(refused > 1_000);
}
