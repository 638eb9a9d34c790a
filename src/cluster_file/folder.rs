//! Paths in the data folder, and the locks that keep two processes from working on the same part of it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ClusterFile;
use super::private::{Closed, close};
use crate::exit::Failure;

/// What an interrupted first run may leave behind before `cluster.toml` is written.
const BEFORE_BIRTH: [&str; 6] = ["lock", "logs", "tls", "tls.new", BEGIN_VAULT, "cluster.toml.new"];
/// See [`DataFolder::begin_vault`].
const BEGIN_VAULT: &str = "begin-vault";
/// A process whose parent was killed notices it at once, and needs this long at most to stop and to free its part.
pub const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_RETRY: Duration = Duration::from_millis(20);
/// What a lock's file says of its holder is shorter, in bytes.
const HOLDER_BYTES_MAX: u64 = 256;
/// Drawn by the kernel when it starts.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Name of the lock that the database process of node `name` holds.
#[must_use]
pub fn database_lock(name: &str) -> String {
    format!("node-{name}.database.lock")
}

/// The folder of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFolder {
    root: PathBuf,
}

/// Keeps others out of a part of the data folder for as long as it lives.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
}

impl DataFolder {
    /// The folder at `root`, whether it exists or not.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `cluster.toml`.
    #[must_use]
    pub fn cluster_toml(&self) -> PathBuf {
        self.root.join("cluster.toml")
    }

    /// Certificates and keys.
    #[must_use]
    pub fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// The vault's files.
    #[must_use]
    pub fn vault(&self) -> PathBuf {
        self.root.join("vault")
    }

    /// Where this file is, the vault may begin with nothing; it removes the file before it serves. Made with the cluster.
    #[must_use]
    pub fn begin_vault(&self) -> PathBuf {
        self.root.join(BEGIN_VAULT)
    }

    /// Lets the vault begin with nothing, once; durably.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn let_vault_begin(&self) -> Result<(), Failure> {
        let path = self.begin_vault();
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|file| file.sync_all())
            .and_then(|()| File::open(&self.root)?.sync_all())
            .map_err(|e| Failure::Config(format!("cannot make {}: {e}", path.display())))
    }

    /// Where the processes' logs are.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The cluster that lives here.
    ///
    /// # Errors
    /// There is none, or its file is damaged.
    pub fn cluster(&self) -> Result<ClusterFile, Failure> {
        ClusterFile::load(&self.cluster_toml())
    }

    /// Makes the folder if it is not there, and gives what was made: the folder and those above it that were missing, the
    /// innermost first.
    ///
    /// # Errors
    /// The file system refuses, or something that is no folder is in the way.
    pub fn create(&self) -> Result<Vec<PathBuf>, Failure> {
        let missing = self.root.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let missing = missing.map(Path::to_owned).collect();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.root)
            .map_err(|e| Failure::Config(format!("cannot make the data folder {}: {e}", self.root.display())))?;
        Ok(missing)
    }

    /// Makes the folder of the logs unless it is there.
    ///
    /// # Errors
    /// The file system refuses.
    pub(crate) fn make_logs(&self) -> Result<(), Failure> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(self.logs());
        made.map_err(|e| Failure::Config(format!("cannot make {}: {e}", self.logs().display())))
    }

    /// Closes all that a cluster keeps here to other users, whatever the mode of the folder. Other files are left alone.
    pub(crate) fn close(&self) -> Closed {
        let mut closed = Closed::default();
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_ours = name.as_bytes().ends_with(b".lock")
                || BEFORE_BIRTH.iter().chain(&["cluster.toml", "vault"]).any(|known| name == *known);
            if is_ours {
                close(&entry.path(), &mut closed);
            }
        }
        closed
    }

    /// Takes back what [`create`](Self::create) has made, as far as nothing but the caller's lock `name` has been put there.
    pub fn take_back(&self, made: &[PathBuf], name: &str) {
        let only_lock = |folder: &Path| {
            let mut entries = fs::read_dir(folder).into_iter().flatten();
            entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == name))
        };
        if made.first().is_some_and(|root| only_lock(root)) {
            let _left = fs::remove_file(self.root.join(name));
            // Stops by itself where somebody has put something else.
            let _left = made.iter().try_for_each(fs::remove_dir);
        }
    }

    /// True if a new cluster may be made here: the folder contains nothing but what an interrupted first run leaves behind.
    ///
    /// # Errors
    /// It contains something else, which will not be touched; or it cannot be read.
    pub fn is_unborn(&self) -> Result<bool, Failure> {
        if self.cluster_toml().exists() {
            return Ok(false);
        }
        let cannot_read = |e| Failure::Config(format!("cannot read the data folder {}: {e}", self.root.display()));
        for entry in fs::read_dir(&self.root).map_err(cannot_read)? {
            let name = entry.map_err(cannot_read)?.file_name();
            if !BEFORE_BIRTH.iter().any(|left| name == *left) {
                return Err(Failure::Config(format!(
                    "{} has no cluster.toml but holds '{}': choose an empty or a new folder with --data",
                    self.root.display(),
                    name.display()
                )));
            }
        }
        Ok(true)
    }

    /// Id of the process that holds the lock `name`; `None` if nobody does.
    #[must_use]
    pub fn holder(&self, name: &str) -> Option<u32> {
        let mut file = File::open(self.root.join(name)).ok()?;
        if file.try_lock_shared().is_ok() {
            return None;
        }
        let mut holder = String::new();
        file.read_to_string(&mut holder).ok()?;
        holder.split_whitespace().next()?.parse().ok()
    }

    /// Incarnation of the process that was the last to hold the lock `name` by [`lock_as`](Self::lock_as), if it is certainly
    /// dead: the kernel has taken its lock back. What was written by another machine, by an earlier life of this one, or into
    /// another copy of the file, says nothing.
    #[must_use]
    pub fn dead_holder(&self, name: &str) -> Option<u64> {
        let mut file = File::open(self.root.join(name)).ok()?;
        file.try_lock_shared().ok()?;
        let mut words = String::new();
        (&mut file).take(HOLDER_BYTES_MAX).read_to_string(&mut words).ok()?;
        let (_, rest) = words.split_once(' ')?;
        let (incarnation, place) = rest.split_once(' ')?;
        (place == lock_place(&file)?).then(|| incarnation.parse().ok())?
    }

    /// [`lock`](Self::lock) for a process that its supervisor knows as `incarnation`.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn lock_as(&self, name: &str, incarnation: u64, wait: Duration) -> Result<FolderLock, Failure> {
        let mut lock = self.lock(name, wait)?;
        if let Some(place) = lock_place(&lock.file) {
            // Without these words a successor has to wait for the lease.
            let _ = write!(lock.file, " {incarnation} {place}");
        }
        Ok(lock)
    }

    /// Takes the lock `name` of this folder; waits up to `wait` for a process that is just stopping.
    ///
    /// # Errors
    /// Another process holds it; the sentence gives its id.
    pub fn lock(&self, name: &str, wait: Duration) -> Result<FolderLock, Failure> {
        let path = self.root.join(name);
        let cannot = |e: io::Error| Failure::Config(format!("cannot lock {}: {e}", path.display()));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(cannot)?;
        for _ in 0..=wait.as_millis() / LOCK_RETRY.as_millis() {
            match file.try_lock() {
                Ok(()) => {
                    file.set_len(0).and_then(|()| file.rewind()).map_err(cannot)?;
                    write!(file, "{}", std::process::id()).map_err(cannot)?;
                    return Ok(FolderLock { file });
                }
                Err(TryLockError::WouldBlock) => wait_for_lock(),
                Err(TryLockError::Error(e)) => return Err(cannot(e)),
            }
        }
        let mut holder = String::new();
        let _unknown = file.take(HOLDER_BYTES_MAX).read_to_string(&mut holder);
        let holder = holder.split_whitespace().next().map_or_else(String::new, |holder| format!(" (process {holder})"));
        Err(Failure::Config(format!(
            "another tanist{holder} is working on the data folder {} (it holds {name}): stop it first, or choose another \
             folder with --data",
            self.root.display()
        )))
    }
}

/// Which file of which running kernel a lock is: one that is free tells something of those who held this very one.
fn lock_place(file: &File) -> Option<String> {
    let boot = fs::read_to_string(BOOT_ID).ok()?;
    let meta = file.metadata().ok()?;
    Some(format!("{} {} {}", boot.trim(), meta.dev(), meta.ino()))
}

#[expect(clippy::disallowed_methods, reason = "start-up, before any arbiter exists")]
fn wait_for_lock() {
    std::thread::sleep(LOCK_RETRY);
}

/// Writes a file so that a crash leaves the old one or the new one, never a part.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("toml.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_elses_folder_is_left_alone() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let folder = DataFolder::new(dir.path());
        assert!(folder.is_unborn().expect("empty"));
        fs::create_dir(folder.tls()).expect("writable");
        assert!(folder.is_unborn().expect("as left by an interrupted first run"));
        fs::write(dir.path().join("thesis.tex"), "years of work").expect("writable");
        let failure = folder.is_unborn().expect_err("holds something of value");
        assert!(failure.to_string().contains("thesis.tex"), "{failure}");
    }

    #[test]
    fn a_lock_keeps_others_out_and_names_its_holder() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let folder = DataFolder::new(dir.path());
        let held = folder.lock("lock", Duration::ZERO).expect("free");
        let failure = folder.lock("lock", Duration::ZERO).expect_err("held");
        assert!(failure.to_string().contains(&format!("process {}", std::process::id())), "{failure}");
        assert_eq!(folder.holder("lock"), Some(std::process::id()));
        drop(held);
        assert_eq!(folder.holder("lock"), None);
        folder.lock("lock", Duration::ZERO).expect("free again");
    }

    /// The lease of a process that was killed together with its supervisor had to run out before anybody could serve.
    #[test]
    fn who_held_a_lock_of_this_very_file_and_holds_it_no_more_is_dead() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let folder = DataFolder::new(dir.path());
        assert_eq!(folder.dead_holder("lock"), None);
        let held = folder.lock_as("lock", 77, Duration::ZERO).expect("free");
        assert_eq!((folder.dead_holder("lock"), folder.holder("lock")), (None, Some(std::process::id())), "it lives");
        drop(held);
        assert_eq!((folder.dead_holder("lock"), folder.holder("lock")), (Some(77), None));

        let said = fs::read_to_string(dir.path().join("lock")).expect("text");
        fs::copy(dir.path().join("lock"), dir.path().join("copy")).expect("writable");
        assert_eq!(folder.dead_holder("copy"), None, "the original may be held elsewhere");
        let boot = said.split_whitespace().nth(2).expect("the kernel's start");
        for nonsense in [said.replace(boot, "another").as_str(), "", "5", "5 77", "5 x y"] {
            fs::write(dir.path().join("lock"), nonsense).expect("writable");
            assert_eq!(folder.dead_holder("lock"), None, "{nonsense}");
        }
        drop(folder.lock("lock", Duration::ZERO).expect("free"));
        assert_eq!(folder.dead_holder("lock"), None, "it has said no incarnation");
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("data");
        fs::write(&path, "").expect("writable");
        let failure = DataFolder::new(&path).create().expect_err("a file is in the way");
        assert!(failure.to_string().contains(&path.display().to_string()), "{failure}");
    }
    #[test]
    fn a_folder_that_was_made_is_taken_back_and_no_other() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let folder = DataFolder::new(&dir.path().join("new").join("data"));
        let made = folder.create().expect("made");
        let lock = folder.lock("lock", Duration::ZERO).expect("free");
        folder.take_back(&made, "lock");
        drop(lock);
        assert!(!dir.path().join("new").exists() && dir.path().exists());

        let made = folder.create().expect("made again");
        fs::write(folder.root().join("thesis.tex"), "years of work").expect("writable");
        folder.take_back(&made, "lock");
        assert!(folder.root().join("thesis.tex").exists());
        assert!(folder.create().expect("there").is_empty());
        fs::remove_file(folder.root().join("thesis.tex")).expect("removed");
        folder.take_back(&[], "lock");
        assert!(folder.root().exists(), "it was there before");
    }
}
