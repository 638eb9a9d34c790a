//! Writes an image that is being uploaded.

use std::io;
use std::sync::Arc;

use rkyv::rancor;
use tanist_db_core::clock::UnixMillis;

use super::{IMAGES_FOLDER, MANIFEST, Manifest, ManifestFile, file_name, name_of};
use crate::limits;
use crate::vault::catalog::ImageRecord;
use crate::vault::disk::{Disk, DiskFile};
use crate::vault::envelope;
use crate::vault::error::StorageError;
use crate::wire::frame::Frame;

/// A temporary folder that fills. Dropped unfinished, it goes away with all that is in it.
#[derive(Debug)]
pub struct Upload {
    place: Place,
    manifest: Manifest,
    file: Option<Box<dyn DiskFile>>,
}

/// An upload that is durable under its temporary name.
#[derive(Debug)]
pub struct Finished {
    place: Place,
    image: ImageRecord,
}

/// The temporary folder itself.
#[derive(Debug)]
struct Place {
    disk: Arc<dyn Disk>,
    folder: String,
    keep: bool,
    /// Counts as an upload under way as long as it exists.
    _turn: Arc<()>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = self.disk.remove_folder(&self.folder)
        {
            tracing::warn!(folder = self.disk.name(&self.folder), %error, "could not remove an unfinished image");
        }
    }
}

impl Place {
    fn fail(&self, name: &str, error: io::Error) -> StorageError {
        StorageError::io(&*self.disk, &format!("{}/{name}", self.folder), error)
    }
}

impl Upload {
    pub(super) fn begin(
        disk: Arc<dyn Disk>,
        cluster: u128,
        folder: String,
        image: ImageRecord,
        turn: Arc<()>,
    ) -> Result<Self, StorageError> {
        disk.make_folder(&folder).map_err(|e| StorageError::io(&*disk, &folder, e))?;
        let place = Place { disk, folder, keep: false, _turn: turn };
        Ok(Self { place, manifest: Manifest { cluster, image, files: Vec::new() }, file: None })
    }

    /// Adds chunks, each in the frame it came in. Their content is nobody's business here.
    ///
    /// # Errors
    /// If the disk fails or is full; the upload is then of no further use.
    pub fn add(&mut self, chunks: &[Frame]) -> Result<(), StorageError> {
        for chunk in chunks {
            if self.file.is_none() {
                self.begin_file()?;
            }
            self.write(chunk)?;
            if self.manifest.files.last().is_some_and(|file| file.bytes >= limits::IMAGE_FILE_BYTES) {
                self.end_file()?;
            }
        }
        Ok(())
    }

    /// All chunks have been sent: `chunks` of them, `bytes` long together without their envelopes. Makes them durable.
    ///
    /// # Errors
    /// If the counts differ, or the disk fails or is full.
    pub fn finish(mut self, chunks: u32, bytes: u64, now: UnixMillis) -> Result<Finished, StorageError> {
        let image = &mut self.manifest.image;
        if (image.chunks, image.bytes) != (chunks, bytes) || chunks == 0 {
            let (have, have_bytes) = (image.chunks, image.bytes);
            let why = format!("{chunks} chunks of {bytes} bytes were announced, {have} of {have_bytes} bytes came");
            return Err(StorageError::Refused(why));
        }
        image.stored_unix_ms = now.0;
        self.end_file()?;
        self.write_manifest()?;
        let Self { place, manifest, .. } = self;
        place.disk.sync_folder(&place.folder).map_err(|e| place.fail("", e))?;
        Ok(Finished { place, image: manifest.image })
    }

    fn begin_file(&mut self) -> Result<(), StorageError> {
        let name = file_name(self.manifest.files.len());
        let path = format!("{}/{name}", self.place.folder);
        self.file = Some(self.place.disk.create(&path).map_err(|e| self.place.fail(&name, e))?);
        self.manifest.files.push(ManifestFile::default());
        Ok(())
    }

    fn write(&mut self, chunk: &Frame) -> Result<(), StorageError> {
        let name = file_name(self.manifest.files.len() - 1);
        let (Some(file), Some(entry)) = (&mut self.file, self.manifest.files.last_mut()) else {
            return Ok(());
        };
        file.write_at(entry.bytes, chunk.bytes()).map_err(|e| self.place.fail(&name, e))?;
        entry.chunks += 1;
        entry.bytes += chunk.bytes().len() as u64;
        entry.crc = crc32c::crc32c_append(entry.crc, chunk.bytes());
        self.manifest.image.chunks += 1;
        self.manifest.image.bytes += chunk.body().len() as u64;
        Ok(())
    }

    fn end_file(&mut self) -> Result<(), StorageError> {
        let name = file_name(self.manifest.files.len().saturating_sub(1));
        match self.file.take() {
            Some(mut file) => file.sync().map_err(|e| self.place.fail(&name, e)),
            None => Ok(()),
        }
    }

    fn write_manifest(&self) -> Result<(), StorageError> {
        let body = rkyv::to_bytes::<rancor::Error>(&self.manifest).expect("archiving to memory cannot fail");
        let bytes = envelope::seal(&name_of(&self.manifest.image), &body);
        if bytes.len() as u64 > limits::MANIFEST_BYTES_MAX {
            return Err(StorageError::Refused("the image has more files than a manifest can list".to_owned()));
        }
        let write = || {
            let mut file = self.place.disk.create(&format!("{}/{MANIFEST}", self.place.folder))?;
            file.write_at(0, &bytes)?;
            file.sync()
        };
        write().map_err(|e| self.place.fail(MANIFEST, e))
    }
}

impl Finished {
    /// What was uploaded.
    #[must_use]
    pub const fn image(&self) -> ImageRecord {
        self.image
    }

    /// Renames the folder to its final name; durable once the images' folder is synced.
    pub(super) fn rename(mut self, path: &str) -> Result<(), StorageError> {
        let Place { disk, folder, .. } = &self.place;
        debug_assert!(path.starts_with(IMAGES_FOLDER));
        disk.rename(folder, path).map_err(|e| StorageError::io(&**disk, path, e))?;
        self.place.keep = true;
        Ok(())
    }
}
