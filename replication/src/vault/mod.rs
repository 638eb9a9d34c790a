//! The vault: keeps what was acknowledged, and says who may write.
//!
//! Four things live here, each of them plain code that an actor drives (`actors::vault`):
//!
//! - [`lease::authority`] judges. It holds the lease and decides on every append, image and lease call. All fencing is there.
//! - [`log`] keeps the redo log: [segment](log::segment) files of the very frames that came over the wire, and a
//!   [mark](log::mark) of how far they were acknowledged. A group of frames is written, synced once, and acknowledged together.
//! - [`images`] keeps images as files of the very frames that came, published by one rename.
//! - [`catalog`] remembers the lease and the images' list. It is small, and what it says of epochs and images can be made
//!   again from log and images.
//!
//! Around them stands what is done with them in order, whoever drives it: [`lease::server`], [`log::writer`] and its turns,
//! [`log::acknowledge`], [`log::feed`].
//!
//! ```text
//!   <dir>/lock                       held by the one vault that uses the folder
//!   <dir>/catalog/                   sled
//!   <dir>/log/00000000000000000001.seg
//!   <dir>/log/durable                the mark
//!   <dir>/images/<cut>-<epoch>/      manifest, chunks-000000, chunks-000001, ...
//! ```
//!
//! What a crash may leave behind, and what a start makes of it:
//!
//! | found at start | meaning | what is done |
//! |---|---|---|
//! | bytes behind the mark that are no sound frame | a torn write, never acknowledged | cut off |
//! | sound frames behind the mark | decided, perhaps synced, never acknowledged | kept |
//! | anything unsound before the mark, a gap, epochs that go back | rot, or a careless hand | refused, nothing changed |
//! | the log ends before the mark | acknowledged records are gone | refused, nothing changed |
//! | a newest segment of at most a header's length, not sound | a crash at its making | removed |
//! | `images/tmp-*` | an upload or removal that was interrupted | removed |
//! | an image that the catalog does not list | a crash between rename and entry, or a lost catalog | listed again |
//! | a catalog whose lease is missing or older than the log's epoch | the catalog has forgotten | refused |
//! | a catalog, and no log at all | the log is elsewhere, or removed by hand | refused |
//! | nothing at all | a new cluster, or a disk that is not mounted | refused without a permit ([`beginning`]) |
//! | no catalog at all, though there is a log | removed by hand | made again; nobody is taken for the holder |
//!
//! Errors of the machine are of two kinds. A full disk refuses and passes: nothing was acknowledged, nothing is lost. Any
//! other failure of a write or sync poisons the log for good, since what is on disk is then unknown: the process stops.
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
