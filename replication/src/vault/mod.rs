//! The vault: stores the replicated log and the images (snapshots), grants the lease, and decides which node may write.
//!
//! It has four parts, plain code that an actor drives (`actors::vault`):
//!
//! - [`lease::authority`] manages the lease and decides on every append, image and lease call. All fencing is there.
//! - [`log`] stores the redo log: [segment](log::segment) files of frames exactly as they came over the wire, and a [durable
//!   mark](log::durable_mark) that says how far they were acknowledged. A group of frames is written, synced once, and acknowledged
//!   together.
//! - [`images`] stores images as files of frames exactly as they came, published by one rename.
//! - [`catalog`] stores the lease and the list of images. It is small, and its data on epochs and images can be rebuilt from log
//!   and images.
//!
//! The order of operations, for the actor and the simulator alike, is in [`lease::server`], [`log::writer`] and its turns,
//! [`log::acknowledge`] and [`log::feed`].
//!
//! ```text
//!   <dir>/lock                       held by the one vault that uses the folder
//!   <dir>/catalog/                   sled
//!   <dir>/log/00000000000000000001.seg
//!   <dir>/log/durable                the mark
//!   <dir>/images/<cut>-<epoch>/      manifest, chunks-000000, chunks-000001, ...
//! ```
//!
//! What a crash may leave behind, and what the next start does with it:
//!
//! | found at start | meaning | what is done |
//! |---|---|---|
//! | bytes after the mark that are no valid frame | a torn write, never acknowledged | truncated |
//! | valid frames after the mark | accepted, perhaps synced, never acknowledged | kept |
//! | anything invalid before the mark, a gap, epochs that go back | bit rot, or a manual change | refused, nothing changed |
//! | the log ends before the mark | acknowledged records are gone | refused, nothing changed |
//! | a newest segment of at most a header's length, invalid | a crash while it was created | removed |
//! | `images/tmp-*` | an upload or removal that was interrupted | removed |
//! | an image that the catalog does not list | a crash between rename and entry, or a lost catalog | listed again |
//! | a catalog whose lease is missing or older than the log's epoch | the catalog has lost data | refused |
//! | a catalog, and no log at all | the log is elsewhere, or removed by hand | refused |
//! | nothing at all | a new cluster, or a disk that is not mounted | refused without a permit ([`beginning`]) |
//! | no catalog at all, though there is a log | removed by hand | rebuilt; no node counts as the holder |
//!
//! I/O errors are of two kinds. A full disk is temporary: the write is refused, nothing was acknowledged, nothing is lost. Any
//! other failure of a write or sync is final, since the content of the disk is then unknown: the process stops.
//!
//! Deliberately missing: other back ends, delta images, point-in-time restore.

pub mod beginning;
pub mod catalog;
pub mod disk;
pub mod envelope;
pub mod error;
#[cfg(test)]
mod faults;
pub mod images;
mod layout;
pub mod lease;
pub mod lock;
pub mod log;
pub mod room;
pub mod storage;
#[cfg(test)]
pub(crate) mod testing;

pub use error::StorageError;
pub use lease::authority::LeaseAuthority;
pub use storage::Storage;
