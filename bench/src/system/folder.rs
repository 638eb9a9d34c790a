//! Folders for servers' data, which remove themselves; and those of a run that was killed are removed by the next.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Fallible;

/// A folder for as long as this lives.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(below: &Path) -> Fallible<Self> {
        let name = format!("run-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = below.join(name);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes what runs have left whose process is gone.
    pub(crate) fn sweep(below: &Path) {
        let Ok(entries) = fs::read_dir(below) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let owner = name.strip_prefix("run-").and_then(|rest| rest.split('-').next());
            if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                let _gone = fs::remove_dir_all(&path);
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _swept_later = fs::remove_dir_all(&self.0);
    }
}
