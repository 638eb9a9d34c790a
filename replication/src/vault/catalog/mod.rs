//! The vault's metadata beside log and images: which cluster the folder belongs to, who holds the lease, which images exist.
//!
//! A catalog is a small durable key-value map behind a trait, since sled has threads and files of its own and cannot run on a
//! simulated disk. [`Records`] defines the keys and values. Each value has a checksummed envelope of its own, so a read returns
//! what was written, or an error that names the place.

#[cfg(any(test, feature = "test-support"))]
mod memory;
pub mod sled;

use std::fmt;
use std::sync::Arc;

use rkyv::{Archive, Deserialize, Serialize, rancor};

use crate::limits;
use crate::vault::envelope;
use crate::vault::error::{REMOVE_CATALOG, StorageError};
use crate::vault::layout::Unreadable;

#[cfg(any(test, feature = "test-support"))]
pub use memory::CatalogMemory;

/// A durable map of short values.
pub trait Catalog: Send + Sync + fmt::Debug {
    /// Where it is, for sentences.
    fn place(&self) -> String;

    /// Whether there was nothing at all before it was opened.
    fn is_new(&self) -> bool;

    /// The value under `key`.
    ///
    /// # Errors
    /// If it cannot be read.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError>;

    /// Puts a value; it is durable on return.
    ///
    /// # Errors
    /// If it cannot be written; then it may or may not be there.
    fn put(&self, key: &str, value: &[u8]) -> Result<(), StorageError>;

    /// Removes a value, durably.
    ///
    /// # Errors
    /// As [`Catalog::put`].
    fn remove(&self, key: &str) -> Result<(), StorageError>;

    /// All keys that start with `prefix`, in order.
    ///
    /// # Errors
    /// If they cannot be read.
    fn keys(&self, prefix: &str) -> Result<Vec<String>, StorageError>;
}

/// The lease as it is remembered: everything but how long it still lasts. And what may be written under it.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LeaseRecord {
    /// The newest epoch ever granted; 0 before the first.
    pub epoch: u64,
    /// Node that holds or last held it; empty before the first, and if the catalog was lost.
    pub holder: String,
    /// Incarnation of that holder.
    pub incarnation: u64,
    /// Where the holder serves the Redis protocol.
    pub resp_address: String,
    /// Where the holder serves the client library.
    pub quic_address: String,
    /// The log's end under all older epochs.
    pub sealed: u64,
    /// Given up by the holder or ended by an obituary; not set when it merely ran out.
    pub ended: bool,
    /// How long its holder may count after it was last renewed, in microseconds; 0 if the catalog was lost.
    pub length_us: u64,
    /// Feature level of the cluster; 0: that of the oldest process that may be in it.
    pub level: u16,
    /// The nodes that have come, by name, at most [`limits::NODES_MAX`].
    pub nodes: Vec<KnownNode>,
}

/// What a node's database process has said of itself when it last came.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct KnownNode {
    /// Its name.
    pub node: String,
    /// Newest feature level that it knew.
    pub newest_level: u16,
}

/// A stored image as it is remembered. The same stands in the image's own manifest.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImageRecord {
    /// Log position that it contains exactly.
    pub cut: u64,
    /// Epoch under which it was taken.
    pub epoch: u64,
    /// Number of chunks.
    pub chunks: u32,
    /// Their bytes together, without the envelopes.
    pub bytes: u64,
    /// When it was published, milliseconds since 1970.
    pub stored_unix_ms: u64,
}

const CLUSTER: &str = "cluster";
const LEASE: &str = "lease";
const IMAGES: &str = "image/";

/// The catalog's entries by meaning. Clones are the same catalog.
#[derive(Clone, Debug)]
pub struct Records {
    catalog: Arc<dyn Catalog>,
}

impl Records {
    /// The entries of `catalog`.
    #[must_use]
    pub const fn new(catalog: Arc<dyn Catalog>) -> Self {
        Self { catalog }
    }

    /// Where the catalog is.
    #[must_use]
    pub fn place(&self) -> String {
        self.catalog.place()
    }

    /// Whether there was no catalog at all before this one was opened.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.catalog.is_new()
    }

    /// Whether the catalog is `cluster`'s own; if not, it is empty.
    ///
    /// # Errors
    /// If it is another cluster's, or damaged.
    pub fn knows(&self, cluster: u128) -> Result<bool, StorageError> {
        let Some(body) = self.get(CLUSTER)? else { return Ok(false) };
        let found = body.try_into().map_err(|_| self.damaged(CLUSTER, "it is not a cluster's number"))?;
        match u128::from_le_bytes(found) {
            found if found == cluster => Ok(true),
            found => Err(StorageError::OtherCluster { file: self.place(), found, wanted: cluster }),
        }
    }

    /// Makes a new catalog `cluster`'s own.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn enter(&self, cluster: u128) -> Result<(), StorageError> {
        self.put(CLUSTER, &cluster.to_le_bytes())
    }

    /// The lease, if one was ever granted.
    ///
    /// # Errors
    /// If it cannot be read or is damaged.
    pub fn lease(&self) -> Result<Option<LeaseRecord>, StorageError> {
        let Some(body) = self.get(LEASE)? else { return Ok(None) };
        let record = rkyv::from_bytes::<LeaseRecord, rancor::Error>(&body);
        record.map(Some).map_err(|_| self.damaged(LEASE, "it is not a lease"))
    }

    /// Remembers the lease.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put_lease(&self, lease: &LeaseRecord) -> Result<(), StorageError> {
        self.put(LEASE, &rkyv::to_bytes::<rancor::Error>(lease).expect("archiving to memory cannot fail"))
    }

    /// All images.
    ///
    /// # Errors
    /// If they cannot be read or are damaged.
    pub fn images(&self) -> Result<Vec<ImageRecord>, StorageError> {
        let mut images = Vec::new();
        for key in self.catalog.keys(IMAGES)? {
            let Some(body) = self.get(&key)? else { continue };
            let record = rkyv::from_bytes::<ImageRecord, rancor::Error>(&body);
            images.push(record.map_err(|_| self.damaged(&key, "it is not an image"))?);
        }
        Ok(images)
    }

    /// Remembers an image.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put_image(&self, image: &ImageRecord) -> Result<(), StorageError> {
        self.put(&image_key(image), &rkyv::to_bytes::<rancor::Error>(image).expect("archiving to memory cannot fail"))
    }

    /// Forgets an image.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn remove_image(&self, image: &ImageRecord) -> Result<(), StorageError> {
        self.catalog.remove(&image_key(image))
    }

    /// An error for an entry that contradicts log or images.
    pub(super) fn damaged(&self, key: &str, what: impl fmt::Display) -> StorageError {
        let what = format!("entry {key:?}: {what}");
        StorageError::Damaged { file: self.place(), offset: 0, what, remedy: REMOVE_CATALOG }
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(value) = self.catalog.get(key)? else { return Ok(None) };
        match envelope::open(key, &value) {
            Ok(body) => Ok(Some(body.to_vec())),
            Err(Unreadable::Damaged(what)) => Err(self.damaged(key, what)),
            Err(Unreadable::Version(error)) => {
                Err(StorageError::Version { file: format!("{}, entry {key:?},", self.place()), error })
            }
        }
    }

    fn put(&self, key: &str, body: &[u8]) -> Result<(), StorageError> {
        let value = envelope::seal(key, body);
        assert!(value.len() <= limits::CATALOG_VALUE_BYTES_MAX, "what the catalog keeps is short by its limits");
        self.catalog.put(key, &value)
    }
}

fn image_key(image: &ImageRecord) -> String {
    format!("{IMAGES}{:020}-{}", image.cut, image.epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_an_entry_is_an_error_that_names_it() {
        let memory = CatalogMemory::default();
        let records = Records::new(Arc::new(memory.clone()));
        records.enter(7).unwrap();
        let lease = LeaseRecord { epoch: 3, holder: "a".to_owned(), ..LeaseRecord::default() };
        records.put_lease(&lease).unwrap();
        let image = ImageRecord { cut: 9, epoch: 3, chunks: 1, bytes: 10, stored_unix_ms: 5 };
        records.put_image(&image).unwrap();
        assert_eq!((records.lease().unwrap(), records.images().unwrap()), (Some(lease), vec![image]));
        for key in memory.keys("").unwrap() {
            let bits = memory.get(&key).unwrap().unwrap().len() * 8;
            for bit in 0..bits {
                memory.tamper(&key, |value| value[bit / 8] ^= 1 << (bit % 8));
                let outcome = match key.as_str() {
                    CLUSTER => records.knows(7).err(),
                    LEASE => records.lease().err(),
                    _ => records.images().err(),
                };
                let sentence = outcome.expect("damage is an error").to_string();
                assert!(sentence.contains(&key) && sentence.contains("sim:catalog"), "{sentence}");
                memory.tamper(&key, |value| value[bit / 8] ^= 1 << (bit % 8));
            }
        }
    }

    /// A change of these is another version of the envelope.
    #[test]
    fn golden_bytes_of_the_entries() {
        let memory = CatalogMemory::default();
        let records = Records::new(Arc::new(memory.clone()));
        let lease = LeaseRecord {
            epoch: 1,
            holder: "a".to_owned(),
            incarnation: 2,
            resp_address: "r".to_owned(),
            quic_address: "q".to_owned(),
            sealed: 3,
            ended: true,
            length_us: 4,
            level: 5,
            nodes: vec![KnownNode { node: "b".to_owned(), newest_level: 6 }],
        };
        records.put_lease(&lease).unwrap();
        records.put_image(&ImageRecord { cut: 5, epoch: 6, chunks: 7, bytes: 8, stored_unix_ms: 9 }).unwrap();
        records.enter(10).unwrap();
        let body = |key: &str| {
            let value = memory.get(key).unwrap().unwrap();
            envelope::open(key, &value).unwrap().to_vec()
        };
        let number = |number: u64| number.to_le_bytes();
        let short = |letter: u8| [letter, 255, 255, 255, 255, 255, 255, 255];
        let words = [number(1), short(b'a'), number(2), short(b'r'), short(b'q'), number(3)];
        // The list of nodes stands ahead of what names it, by its distance and length.
        let list = [&short(b'b')[..], &[6, 0]].concat();
        let lease = [&list, &words.concat()[..], &[1], &number(4), &[5, 0], &[187, 255, 255, 255, 1, 0, 0, 0]].concat();
        assert_eq!(body(LEASE), lease);
        let image = [&number(5)[..], &number(6), &[7, 0, 0, 0], &number(8), &number(9)].concat();
        assert_eq!(body("image/00000000000000000005-6"), image);
        assert_eq!(body(CLUSTER), [number(10), number(0)].concat());
    }

    #[test]
    fn a_sound_envelope_around_something_else_is_an_error_that_names_the_entry() {
        let memory = CatalogMemory::default();
        let records = Records::new(Arc::new(memory.clone()));
        let image = image_key(&ImageRecord::default());
        for key in [CLUSTER, LEASE, &image] {
            memory.put(key, &envelope::seal(key, b"short")).unwrap();
        }
        for error in [records.knows(7).unwrap_err(), records.lease().unwrap_err(), records.images().unwrap_err()] {
            let StorageError::Damaged { file, what, remedy, .. } = error else { panic!("{error}") };
            assert_eq!((file.as_str(), remedy), ("sim:catalog", REMOVE_CATALOG));
            assert!([CLUSTER, LEASE, &image].iter().any(|key| what.contains(&format!("{key:?}"))), "{what}");
        }
    }

    /// "Remove the catalog" would be bad advice: a newer release has written it.
    #[test]
    fn an_entry_of_another_version_is_refused_with_both_versions_and_is_no_damage() {
        let memory = CatalogMemory::default();
        let records = Records::new(Arc::new(memory.clone()));
        records.enter(7).unwrap();
        memory.tamper(CLUSTER, |value| {
            value[4] += 1;
            let crc = [&value[..12], &value[16..]]
                .iter()
                .fold(crc32c::crc32c(CLUSTER.as_bytes()), |crc, part| crc32c::crc32c_append(crc, part));
            value[12..16].copy_from_slice(&crc.to_le_bytes());
        });
        let why = records.knows(7).unwrap_err().to_string();
        assert_eq!(
            why,
            "sim:catalog, entry \"cluster\", has format version 4, and this program knows version 3: \
             start the release that wrote it, or a newer one; nothing was changed"
        );
    }

    #[test]
    fn images_come_and_go_one_by_one_and_a_catalog_is_new_until_something_is_put() {
        let memory = CatalogMemory::default();
        let records = Records::new(Arc::new(memory.clone()));
        assert!(records.is_new() && records.lease().unwrap().is_none() && records.images().unwrap().is_empty());
        let image = |cut, epoch| ImageRecord { cut, epoch, ..ImageRecord::default() };
        for image in [image(10, 1), image(9, 1), image(9, 2)] {
            records.put_image(&image).unwrap();
        }
        assert!(!records.is_new());
        assert_eq!(records.images().unwrap(), [image(9, 1), image(9, 2), image(10, 1)]);
        records.remove_image(&image(9, 1)).unwrap();
        let fork = memory.fork();
        records.remove_image(&image(10, 1)).unwrap();
        assert_eq!(records.images().unwrap(), [image(9, 2)]);
        assert_eq!(Records::new(Arc::new(fork)).images().unwrap().len(), 2);
    }

    #[test]
    fn another_cluster_is_refused() {
        let records = Records::new(Arc::new(CatalogMemory::default()));
        assert!(!records.knows(7).unwrap());
        records.enter(7).unwrap();
        assert!(records.knows(7).unwrap());
        assert!(matches!(records.knows(8), Err(StorageError::OtherCluster { found: 7, wanted: 8, .. })));
    }
}
