//! The abstraction of the vault's disk: what survives a power failure.
//!
//! Paths are relative to the vault's folder and use `/`. An implementation promises exactly this and no more: data that
//! [`DiskFile::sync`] covered is there after a power failure, and a file name is there once [`Disk::sync_folder`] has synced its
//! folder after the file was created, renamed or removed. Everything else may be lost, or be there in part.

pub mod fs;
#[cfg(any(test, feature = "test-support"))]
pub mod sim;

use std::{fmt, io};

/// A folder that contains files by name.
pub trait Disk: Send + Sync + fmt::Debug {
    /// The path as a person would look for it, for sentences.
    fn name(&self, path: &str) -> String;

    /// Names within `folder`, sorted; not their paths.
    ///
    /// # Errors
    /// As the machine says, `NotFound` if there is no such folder.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Makes an empty file, which must not exist yet.
    ///
    /// # Errors
    /// As the machine says.
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// As the machine says, `NotFound` if there is no such file.
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Makes a folder unless it is there.
    ///
    /// # Errors
    /// As the machine says.
    fn make_folder(&self, path: &str) -> io::Result<()>;

    /// Renames a file or folder within its folder, atomically.
    ///
    /// # Errors
    /// As the machine says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the machine says.
    fn remove_file(&self, path: &str) -> io::Result<()>;

    /// Removes a folder and the files in it.
    ///
    /// # Errors
    /// As the machine says.
    fn remove_folder(&self, path: &str) -> io::Result<()>;

    /// Makes the names within a folder durable; the empty path is the vault's folder itself.
    ///
    /// # Errors
    /// As the machine says. After an error nothing is known about any name changed since the last success.
    fn sync_folder(&self, path: &str) -> io::Result<()>;
}

/// An open file, read and written by position.
#[allow(
    clippy::len_without_is_empty,
    reason = "the length comes from the machine, and whether it is zero is nobody's question"
)]
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Its length in bytes.
    ///
    /// # Errors
    /// As the machine says.
    fn len(&self) -> io::Result<u64>;

    /// Reads until `into` is full or the file ends; returns the number of bytes read.
    ///
    /// # Errors
    /// As the machine says.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// As the machine says; some of the bytes may then have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    ///
    /// # Errors
    /// As the machine says.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Makes the file `len` bytes long, ending in zeros, with room for all of them on the disk: syncing what is written there
    /// later costs less than syncing a file that grows.
    ///
    /// # Errors
    /// As the machine says, or `Unsupported`; the file is as it was, or longer.
    fn reserve(&mut self, len: u64) -> io::Result<()>;

    /// Makes the content durable.
    ///
    /// # Errors
    /// As the machine says. After an error nothing is known about anything written since the last success, and a second
    /// call proves nothing: the caller must stop.
    fn sync(&mut self) -> io::Result<()>;
}

/// Whether an error means that the disk has no room: the only one that may pass.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// All of a file's bytes.
///
/// # Errors
/// As the machine says, or `InvalidData` if it is longer than `bytes_max`.
pub fn read_whole(disk: &dyn Disk, path: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let len = file.len()?;
    if len > bytes_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {bytes_max} bytes")));
    }
    let mut bytes = vec![0; usize::try_from(len).expect("a length below a limit fits")];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}
