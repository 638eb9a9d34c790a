//! Storage of images (snapshots): uploaded to a temporary folder, published by one rename, verified again when read.
//!
//! An image is a folder `images/<cut, 20 digits>-<epoch>` with files of whole frames exactly as they came, and a `manifest` that
//! says how many files there are, how long each is, and the checksum of each. A folder is not read before it has its final name,
//! and it gets that name only when all of it is durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rkyv::{Archive, Deserialize, Serialize, rancor};
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::planted::planted;

use crate::limits;
use crate::vault::catalog::{ImageRecord, Records};
use crate::vault::disk::{self, Disk};
use crate::vault::envelope;
use crate::vault::error::StorageError;
use crate::vault::layout::IMAGES_FOLDER;
use crate::wire::message::ImageView;

mod reader;
mod upload;

pub use reader::ImageReader;
pub use upload::{Finished, Upload};

/// How the names of unfinished uploads and removals begin.
const TEMPORARY: &str = "tmp-";
const MANIFEST: &str = "manifest";

/// Content of an image's folder.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
struct Manifest {
    cluster: u128,
    image: ImageRecord,
    files: Vec<ManifestFile>,
}

/// One of its files.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ManifestFile {
    /// Frames in it.
    chunks: u32,
    /// CRC-32C of all its bytes.
    crc: u32,
    /// Its length in bytes.
    bytes: u64,
}

/// The stored images.
#[derive(Debug)]
pub struct ImageStore {
    disk: Arc<dyn Disk>,
    cluster: u128,
    records: Records,
    /// Newest first. Never locked while the disk works: status and downloads read it.
    images: Mutex<Vec<ImageRecord>>,
    /// Held by whoever publishes.
    publishing: Mutex<()>,
    /// Numbers of temporary folders.
    folders: AtomicU64,
    /// Each upload under way has one more.
    uploads: Arc<()>,
}

impl ImageStore {
    /// Finds the images in `disk`, removes what interrupted uploads left, and makes the catalog agree.
    ///
    /// # Errors
    /// If an image is another cluster's, or the disk or catalog fails. A damaged image is listed: whoever reads it hears of
    /// the damage.
    pub fn open(disk: Arc<dyn Disk>, cluster: u128, records: Records) -> Result<Self, StorageError> {
        let fail = |e| StorageError::io(&*disk, IMAGES_FOLDER, e);
        disk.make_folder(IMAGES_FOLDER).and_then(|()| disk.sync_folder("")).map_err(fail)?;
        let mut listed = records.images()?;
        let mut images = Vec::new();
        for name in disk.list(IMAGES_FOLDER).map_err(fail)? {
            if name.starts_with(TEMPORARY) {
                disk.remove_folder(&format!("{IMAGES_FOLDER}/{name}")).map_err(fail)?;
            } else if let Some((cut, epoch)) = parse_name(&name) {
                images.push(find(&*disk, cluster, &listed, cut, epoch)?);
            }
        }
        // A crash may have come between the naming of an image and the sync of its name.
        disk.sync_folder(IMAGES_FOLDER).map_err(fail)?;
        for image in images.iter().filter(|image| !listed.contains(image)) {
            records.put_image(image)?;
        }
        listed.retain(|listed| !images.iter().any(|image| (image.cut, image.epoch) == (listed.cut, listed.epoch)));
        for gone in &listed {
            tracing::warn!(image = name_of(gone), "an image that the catalog lists is not there; forgetting it");
            records.remove_image(gone)?;
        }
        images.sort_by_key(|image| std::cmp::Reverse((image.cut, image.epoch)));
        Ok(Self {
            disk,
            cluster,
            records,
            images: Mutex::new(images),
            publishing: Mutex::new(()),
            folders: AtomicU64::new(0),
            uploads: Arc::default(),
        })
    }

    /// All images, newest first.
    #[must_use]
    pub fn views(&self) -> Vec<ImageView> {
        self.images.lock().iter().map(view).collect()
    }

    /// The newest cut.
    #[must_use]
    pub fn newest_cut(&self) -> Option<Lsn> {
        self.images.lock().first().map(|image| Lsn(image.cut))
    }

    /// The oldest cut: the log is needed only after it.
    #[must_use]
    pub fn oldest_cut(&self) -> Option<Lsn> {
        self.images.lock().last().map(|image| Lsn(image.cut))
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// If [`limits::IMAGE_UPLOADS_MAX`] are under way, or the disk fails or is full.
    pub fn begin(&self, cut: Lsn, epoch: Epoch) -> Result<Upload, StorageError> {
        // Counted first and looked at afterwards: of two that come at once, the second sees the first.
        let turn = Arc::clone(&self.uploads);
        if Arc::strong_count(&turn) > 1 + limits::IMAGE_UPLOADS_MAX {
            let why = format!("{} images are being stored already", limits::IMAGE_UPLOADS_MAX);
            return Err(StorageError::Refused(why));
        }
        let image = ImageRecord { cut: cut.0, epoch: epoch.0, ..ImageRecord::default() };
        Upload::begin(Arc::clone(&self.disk), self.cluster, self.temporary(), image, turn)
    }

    fn temporary(&self) -> String {
        format!("{IMAGES_FOLDER}/{TEMPORARY}{}", self.folders.fetch_add(1, Ordering::Relaxed))
    }

    /// Publishes a finished upload under its name, and removes the images that are no longer kept. An image of the same cut and
    /// epoch that is there already stays, since it is the same. Returns the oldest cut that is left: the log is needed only after
    /// it.
    ///
    /// # Errors
    /// If a newer image is there, or disk or catalog fails.
    pub fn publish(&self, finished: Finished) -> Result<Lsn, StorageError> {
        let _turn = self.publishing.lock();
        let image = finished.image();
        let position = (image.cut, image.epoch);
        let newest = self.images.lock().first().map(|newest| (newest.cut, newest.epoch));
        match newest {
            Some(newest) if newest == position => return Ok(self.oldest_cut().unwrap_or_default()),
            Some(newest) if newest > position => {
                let why =
                    format!("an image up to record {} is there already, this one ends at {}", newest.0, image.cut);
                return Err(StorageError::Refused(why));
            }
            _ => {}
        }
        let path = format!("{IMAGES_FOLDER}/{}", name_of(&image));
        finished.rename(&path)?;
        if !planted("image's name not synced") {
            self.sync(&path)?;
        }
        self.images.lock().insert(0, image);
        self.records.put_image(&image)?;
        self.remove_old();
        Ok(self.oldest_cut().unwrap_or_default())
    }

    /// Removes what is no longer kept. An image that fails to go away is listed no more; the next start finds it again.
    fn remove_old(&self) {
        loop {
            let old = {
                let mut images = self.images.lock();
                if images.len() <= limits::IMAGES_KEPT {
                    return;
                }
                images.pop()
            };
            if let Some(Err(error)) = old.map(|old| self.remove(&old)) {
                tracing::warn!(%error, "could not remove an old image");
            }
        }
    }

    /// Opens the newest image; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read or is damaged.
    pub fn open_newest(&self) -> Result<Option<ImageReader>, StorageError> {
        let Some(image) = self.images.lock().first().copied() else { return Ok(None) };
        let manifest = read_manifest(&*self.disk, self.cluster, &name_of(&image))?;
        let folder = format!("{IMAGES_FOLDER}/{}", name_of(&image));
        Ok(Some(ImageReader::new(Arc::clone(&self.disk), folder, manifest)))
    }

    /// A folder loses its name before it loses its files, so that no half of an image ever has a name.
    fn remove(&self, image: &ImageRecord) -> Result<(), StorageError> {
        let path = format!("{IMAGES_FOLDER}/{}", name_of(image));
        let grave = self.temporary();
        self.records.remove_image(image)?;
        self.disk.rename(&path, &grave).map_err(|e| StorageError::io(&*self.disk, &path, e))?;
        self.sync(&path)?;
        self.disk.remove_folder(&grave).map_err(|e| StorageError::io(&*self.disk, &grave, e))
    }

    fn sync(&self, path: &str) -> Result<(), StorageError> {
        self.disk.sync_folder(IMAGES_FOLDER).map_err(|e| StorageError::io(&*self.disk, path, e))
    }
}

/// What is known of the image in a folder: from its manifest, or if that is damaged, from the catalog or the mere name.
fn find(
    disk: &dyn Disk,
    cluster: u128,
    listed: &[ImageRecord],
    cut: u64,
    epoch: u64,
) -> Result<ImageRecord, StorageError> {
    let bare = ImageRecord { cut, epoch, ..ImageRecord::default() };
    match read_manifest(disk, cluster, &name_of(&bare)) {
        Ok(manifest) => Ok(manifest.image),
        Err(damage @ StorageError::Damaged { .. }) => {
            tracing::error!(%damage, "an image is damaged and cannot be loaded; a new one will replace it");
            let known = listed.iter().find(|image| (image.cut, image.epoch) == (cut, epoch));
            Ok(known.copied().unwrap_or(bare))
        }
        Err(error) => Err(error),
    }
}

fn read_manifest(disk: &dyn Disk, cluster: u128, name: &str) -> Result<Manifest, StorageError> {
    let path = format!("{IMAGES_FOLDER}/{name}/{MANIFEST}");
    let damaged = |what: &str| StorageError::damaged(disk, &path, 0, what);
    let bytes = match disk::read_whole(disk, &path, limits::MANIFEST_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(damaged("it is missing")),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Err(damaged(&error.to_string())),
        Err(error) => return Err(StorageError::io(disk, &path, error)),
    };
    let body = envelope::open(name, &bytes).map_err(|why| StorageError::unreadable(disk, &path, why))?;
    let manifest = rkyv::from_bytes::<Manifest, rancor::Error>(body).map_err(|_| damaged("it is not a manifest"))?;
    if manifest.cluster != cluster {
        return Err(StorageError::OtherCluster { file: disk.name(&path), found: manifest.cluster, wanted: cluster });
    }
    if parse_name(name) != Some((manifest.image.cut, manifest.image.epoch)) {
        return Err(damaged("it is another image's"));
    }
    Ok(manifest)
}

fn name_of(image: &ImageRecord) -> String {
    format!("{:020}-{}", image.cut, image.epoch)
}

fn parse_name(name: &str) -> Option<(u64, u64)> {
    let (cut, epoch) = name.split_once('-')?;
    let image = ImageRecord { cut: cut.parse().ok()?, epoch: epoch.parse().ok()?, ..ImageRecord::default() };
    (name_of(&image) == name).then_some((image.cut, image.epoch))
}

fn view(image: &ImageRecord) -> ImageView {
    let ImageRecord { cut, epoch, chunks, bytes, stored_unix_ms } = *image;
    ImageView { cut, epoch, chunks, bytes, stored_unix_ms }
}

fn file_name(index: usize) -> String {
    format!("chunks-{index:06}")
}

#[cfg(test)]
mod tests;
