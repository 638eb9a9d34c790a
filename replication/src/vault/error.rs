//! Errors of the vault's storage, grouped by what the caller does next.

use std::io;

use tanist_db_core::level::{FormatError, LevelError};
use thiserror::Error;

use super::disk::{Disk, is_full};
use super::layout::{IMAGES_FOLDER, Unreadable};

/// For a damaged log: nobody else has its records.
pub(crate) const RESTORE_LOG: &str =
    "restore the vault's folder from a copy, and find out what has changed it before trusting the disk again";

/// For a damaged image: the older one and the log after it contain the same records.
pub(crate) const REMOVE_IMAGE: &str =
    "restore the image's folder from a copy, or remove it if there is an older image: the log after that one is kept";

/// For a damaged catalog: all of it stands elsewhere.
pub(crate) const REMOVE_CATALOG: &str =
    "stop the cluster and remove the catalog's folder: it is made again from log and images";

/// Why something stored could not be written or read.
#[derive(Debug, Error)]
pub enum StorageError {
    /// Stored bytes are not what was written. Refuse: serve nothing that depends on them, change nothing.
    #[error("{file} is damaged at byte {offset}: {what}; nothing was changed: {remedy}")]
    Damaged {
        /// The file.
        file: String,
        /// Where the damage was noticed, in bytes from the file's start.
        offset: u64,
        /// What is wrong with it.
        what: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The folder belongs to another cluster. Refuse.
    #[error("{file} belongs to cluster {found:032x}, not to {wanted:032x}: give this vault a data folder of its own")]
    OtherCluster {
        /// The file that says so.
        file: String,
        /// Whose it is.
        found: u128,
        /// Whose it should be.
        wanted: u128,
    },
    /// What is kept is of a feature level that this program does not know. Refuse: another release reads it.
    #[error("{file} is at {error}; nothing was changed")]
    Level {
        /// The file that says so.
        file: String,
        /// The level, and what this program knows.
        error: LevelError,
    },
    /// It is sound and of a format version that this program does not know. Refuse: another release reads it.
    #[error("{file} has {error}; nothing was changed")]
    Version {
        /// The file, or the entry of the catalog.
        file: String,
        /// The version, and what this program knows.
        error: FormatError,
    },
    /// The disk is full. Nothing was added and nothing is lost: try again when there is room.
    #[error("no room left for {file}: free some space and service resumes by itself")]
    Full {
        /// The file that was to grow.
        file: String,
    },
    /// The machine failed to write or sync: what is on disk is not known any more. Stop.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the machine said.
        source: io::Error,
    },
    /// An earlier write or sync failed: nothing is accepted any more. Stop.
    #[error("nothing is stored any more since an earlier failure: {why}")]
    Poisoned {
        /// That failure.
        why: String,
    },
    /// The records asked for were trimmed away: load an image first.
    #[error("the log begins at record {oldest}")]
    Trimmed {
        /// Oldest record still in the log.
        oldest: u64,
    },
    /// Something else in the folder stands in the way; the sentence says what to do.
    #[error("{0}")]
    Refused(String),
}

impl StorageError {
    /// The error for a failed operation on `path`.
    pub(crate) fn io(disk: &dyn Disk, path: &str, source: io::Error) -> Self {
        let file = disk.name(path);
        if is_full(&source) { Self::Full { file } } else { Self::Io { file, source } }
    }

    /// The error for bytes of `path` that cannot be used.
    pub(crate) fn unreadable(disk: &dyn Disk, path: &str, why: Unreadable) -> Self {
        match why {
            Unreadable::Damaged(what) => Self::damaged(disk, path, 0, what),
            Unreadable::Version(error) => Self::Version { file: disk.name(path), error },
        }
    }

    pub(crate) fn damaged(disk: &dyn Disk, path: &str, offset: u64, what: impl Into<String>) -> Self {
        let remedy = if path.starts_with(IMAGES_FOLDER) { REMOVE_IMAGE } else { RESTORE_LOG };
        Self::Damaged { file: disk.name(path), offset, what: what.into(), remedy }
    }
}
