//! The vault on a disk that fails it: a run with everything in it, and what a start makes of whatever is left of it.
//!
//! `log`, `images` and `catalog` have tests of their own for their own files. Here all of them stand together, as
//! [`Storage`](super::Storage) opens them: 500 groups of records, changes of the epoch, images, trims, and starts
//! in between.
//!
//! | fault | file | what is wanted |
//! |---|---|---|
//! | the power goes off in any operation, and again in any operation of the start that follows | `power` | all that was acknowledged, and nothing that was not sent |
//! | the process is killed behind any operation, and again in the start | `power` | the same |
//! | a sync fails | `sync` | nothing of the log is acknowledged after one of its own; a start finds all that was |
//! | a sync lies | `sync` | a start finds a beginning of the truth, or refuses in a sentence |
//! | the disk is full | `full` | a refusal that passes; nothing acknowledged is lost |
//! | bits flip, files are cut short, files are gone | `rot` | a start finds exactly what was acknowledged, or refuses in a sentence |
//!
//! `TANIST_FAULT_ROUNDS` makes all of it longer: seeds of the simulated disk, and samples.

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

/// A refusal names what is wrong and says what to do; gives the sentence.
fn sentence(error: &StorageError) -> String {
    let text = error.to_string();
    assert!(matches!(error, StorageError::Damaged { .. }), "a start refuses for damage alone: {text}");
    assert!(text.contains("sim:"), "it names the file: {text}");
    assert!(text.contains("restore") || text.contains("remove"), "it says what to do: {text}");
    text
}
