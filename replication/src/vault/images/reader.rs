//! Reads an image for download.

use std::sync::Arc;

use bytes::Bytes;

use super::{Manifest, file_name, view};
use crate::vault::disk::{Disk, DiskFile};
use crate::vault::error::StorageError;
use crate::wire::frame::{FrameError, FrameHeader, FrameKind, HEADER_BYTES};
use crate::wire::message::ImageView;

/// A place in an image. Verifies every frame, every file and their number before or while it gives them away; a receiver that has
/// not received the regular end does not have the image.
#[derive(Debug)]
pub struct ImageReader {
    disk: Arc<dyn Disk>,
    folder: String,
    manifest: Manifest,
    index: usize,
    open: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    file: Box<dyn DiskFile>,
    offset: u64,
    chunks: u32,
    crc: u32,
}

impl ImageReader {
    pub(super) const fn new(disk: Arc<dyn Disk>, folder: String, manifest: Manifest) -> Self {
        Self { disk, folder, manifest, index: 0, open: None }
    }

    /// What the image is.
    #[must_use]
    pub fn view(&self) -> ImageView {
        view(&self.manifest.image)
    }

    /// The next frames, about `bytes_max` bytes of them and at least one; none at the image's end.
    ///
    /// # Errors
    /// If a file cannot be read or is damaged.
    pub fn read(&mut self, bytes_max: usize) -> Result<Vec<Bytes>, StorageError> {
        let mut out = Vec::new();
        let mut bytes = 0;
        while bytes < bytes_max && self.index < self.manifest.files.len() {
            if let Some(frame) = self.next()? {
                bytes += frame.len();
                out.push(frame);
            }
        }
        Ok(out)
    }

    /// The next frame of the current file; `None` at the file's sound end.
    fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        let path = format!("{}/{}", self.folder, file_name(self.index));
        let entry = self.manifest.files[self.index];
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open_file(&path)?,
        };
        if open.offset == entry.bytes {
            if (open.chunks, open.crc) != (entry.chunks, entry.crc) {
                return Err(self.damaged(&path, 0, "its content is not what the manifest says"));
            }
            self.index += 1;
            return Ok(None);
        }
        let frame = self.frame(&path, &open, entry.bytes)?;
        open.offset += frame.len() as u64;
        open.chunks += 1;
        open.crc = crc32c::crc32c_append(open.crc, &frame);
        self.open = Some(open);
        Ok(Some(frame))
    }

    fn open_file(&self, path: &str) -> Result<OpenFile, StorageError> {
        let entry = self.manifest.files[self.index];
        let file = match self.disk.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(self.damaged(path, 0, "it is missing"));
            }
            Err(error) => return Err(StorageError::io(&*self.disk, path, error)),
        };
        let len = file.len().map_err(|e| StorageError::io(&*self.disk, path, e))?;
        if len != entry.bytes {
            let what = format!("it has {len} bytes, the manifest says {}", entry.bytes);
            return Err(self.damaged(path, len.min(entry.bytes), what));
        }
        Ok(OpenFile { file, offset: 0, chunks: 0, crc: 0 })
    }

    fn frame(&self, path: &str, open: &OpenFile, end: u64) -> Result<Bytes, StorageError> {
        let fail = |e| StorageError::io(&*self.disk, path, e);
        let mut bytes = vec![0; HEADER_BYTES];
        let read = open.file.read_at(open.offset, &mut bytes).map_err(fail)?;
        let header = match FrameHeader::parse(&bytes[..read]) {
            Ok(header) if header.kind == FrameKind::Chunk => header,
            Ok(_) => return Err(self.damaged(path, open.offset, "it holds a frame that is not a chunk")),
            Err(FrameError::Version(error)) => {
                return Err(StorageError::unreadable(&*self.disk, path, error.into()));
            }
            Err(error) => return Err(self.damaged(path, open.offset, error.to_string())),
        };
        if open.offset + header.frame_bytes() as u64 > end {
            return Err(self.damaged(path, open.offset, "a chunk reaches beyond its end"));
        }
        bytes.resize(header.frame_bytes(), 0);
        let read = open.file.read_at(open.offset + HEADER_BYTES as u64, &mut bytes[HEADER_BYTES..]).map_err(fail)?;
        match header.check_body(&bytes[HEADER_BYTES..HEADER_BYTES + read]) {
            Ok(()) => Ok(bytes.into()),
            Err(error) => Err(self.damaged(path, open.offset, error.to_string())),
        }
    }

    fn damaged(&self, path: &str, offset: u64, what: impl Into<String>) -> StorageError {
        StorageError::damaged(&*self.disk, path, offset, what)
    }
}
