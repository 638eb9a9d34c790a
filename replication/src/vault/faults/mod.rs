//! Fault injection for the vault's disk: a run that uses everything, and then a start from whatever is left on the disk.
//!
//! `log`, `images` and `catalog` have unit tests for their own files. Here they are tested together, as
//! [`Storage`](super::Storage) opens them: 500 groups of records, changes of the epoch, images, trims, and restarts in between.
//!
//! | fault | file | expected |
//! |---|---|---|
//! | the power fails in any operation, and again in any operation of the start that follows | `power` | all that was acknowledged, and nothing that was not sent |
//! | the process is killed behind any operation, and again in the start | `power` | the same |
//! | a sync fails | `sync` | nothing of the log is acknowledged after one of its own; a start finds all that was |
//! | a sync does nothing and reports success | `sync` | a start finds a prefix of what was written, or refuses with an error |
//! | the disk is full | `full` | a temporary refusal; nothing acknowledged is lost |
//! | bits flip, files are cut short, files are gone | `rot` | a start finds exactly what was acknowledged, or refuses with an error |
//!
//! `TANIST_FAULT_ROUNDS` makes all of it longer: more seeds of the simulated disk, and more samples.

mod catalog_disk;
mod full;
mod power;
mod rot;
mod run;
mod sync;

use super::error::StorageError;

/// How many times as much as usual: 1 in continuous integration.
fn rounds() -> u64 {
    std::env::var("TANIST_FAULT_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Checks that a refusal names what is wrong and says what to do; returns its message.
fn sentence(error: &StorageError) -> String {
    let text = error.to_string();
    assert!(matches!(error, StorageError::Damaged { .. }), "a start refuses for damage alone: {text}");
    assert!(text.contains("sim:"), "it names the file: {text}");
    assert!(text.contains("restore") || text.contains("remove"), "it says what to do: {text}");
    text
}
