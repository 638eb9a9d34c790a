//! The file that is written: beside its place at first, and moved there when it is whole.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use tanist_db_core::rdb::writer::RdbWriter;

use crate::exit::Failure;

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// A file to be; what was written of it is removed unless it becomes whole.
#[derive(Debug)]
pub(super) struct TargetFile {
    path: PathBuf,
    /// Where it is written.
    part: PathBuf,
    /// A file of its name is replaced.
    force: bool,
    /// There is something at `part`.
    is_begun: bool,
}

impl TargetFile {
    /// # Errors
    /// There is a file of this name, or cannot be one.
    pub(super) fn new(path: &Path, force: bool) -> Result<TargetFile, Failure> {
        let Some(name) = path.file_name() else {
            return Err(Failure::Config(format!("{} is no name of a file; nothing was exported", path.display())));
        };
        let mut of_part = name.to_owned();
        of_part.push(format!(".part-{}", std::process::id()));
        let target = TargetFile { path: path.to_owned(), part: path.with_file_name(of_part), force, is_begun: false };
        target.must_be_free()?;
        Ok(target)
    }

    fn must_be_free(&self) -> Result<(), Failure> {
        let refused = |why: &str| Err(Failure::Config(format!("{} {why}; nothing was exported", self.path.display())));
        match fs::symlink_metadata(&self.path) {
            Ok(_) if !self.force => refused("exists already, and --force would replace it"),
            Ok(about) if about.is_dir() => refused("is a folder"),
            _ => Ok(()),
        }
    }

    /// Begins the file.
    pub(super) fn writer(&mut self) -> Result<BufWriter<File>, Failure> {
        let opened = OpenOptions::new().write(true).create_new(true).open(&self.part);
        let file = opened.map_err(|error| self.cannot_write(&error))?;
        self.is_begun = true;
        Ok(BufWriter::with_capacity(BUFFER_BYTES, file))
    }

    /// Ends the file and gives it its name when it is on disk. Returns its length in bytes.
    pub(super) fn complete(mut self, writer: RdbWriter<BufWriter<File>>) -> Result<u64, Failure> {
        let (out, bytes) = writer.end().map_err(|error| self.cannot_write(&error))?;
        out.get_ref().sync_all().map_err(|error| self.cannot_write(&error))?;
        // The export may have taken minutes.
        self.must_be_free()?;
        fs::rename(&self.part, &self.path).map_err(|error| self.cannot_write(&error))?;
        self.is_begun = false;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let synced = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        synced.map_err(|error| self.cannot_write(&error))?;
        Ok(bytes)
    }

    /// Why there is no file.
    pub(super) fn cannot_write(&self, why: &dyn Display) -> Failure {
        Failure::Runtime(format!("cannot write {}: {why}; nothing was exported", self.path.display()))
    }
}

impl Drop for TargetFile {
    fn drop(&mut self) {
        if self.is_begun {
            // Nobody is left to tell that it stays.
            let _ = fs::remove_file(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use tanist_db_core::rdb::writer::Dialect;

    use super::*;

    #[test]
    fn a_file_has_its_name_when_it_is_whole() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("dump.rdb");
        let files = || fs::read_dir(dir.path()).expect("a folder").count();
        let mut target = TargetFile::new(&path, false).expect("there is no such file");
        let writer = target.writer().expect("writable");
        assert!(files() == 1 && !path.exists());
        drop(target);
        assert_eq!(files(), 0, "what was begun is removed");
        drop(writer);

        let mut target = TargetFile::new(&path, false).expect("there is no such file");
        let writer = RdbWriter::begin(target.writer().expect("writable"), Dialect::Redis, &[]).expect("writable");
        assert_eq!(target.complete(writer).expect("written"), 18);
        let mut bytes = Vec::new();
        File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)).expect("readable");
        assert!(bytes.starts_with(b"REDIS0010\xff") && files() == 1);

        let refused = TargetFile::new(&path, false).expect_err("it exists").to_string();
        assert!(refused.ends_with("exists already, and --force would replace it; nothing was exported"), "{refused}");
        assert!(TargetFile::new(&path, true).is_ok());
        assert!(TargetFile::new(dir.path(), true).expect_err("a folder").to_string().contains("is a folder"));
    }
}
