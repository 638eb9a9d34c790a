//! A disk in memory that keeps only what [`Disk`] promises: for tests and the simulator.
//!
//! Each write and each change of a name first goes into a pending list of its file or folder. A sync applies the list to the
//! durable state. At a power failure a seeded random choice decides how much of each list had reached the disk anyway: nothing,
//! all, or any part, down to single sectors of a write. Errors can be injected: the power failure at a numbered operation, a full
//! disk, a sync that fails. Writes before a failed sync of a file are lost as on Linux: they can be read until the power fails,
//! and no later sync writes them to the disk.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::vault::disk::{Disk, DiskFile};

const SECTOR: usize = 512;

/// The disk; clones are the same disk.
#[derive(Clone, Debug)]
pub struct DiskSim {
    state: Arc<Mutex<DiskState>>,
}

#[derive(Debug)]
struct DiskState {
    files: HashMap<u64, FileState>,
    folders: HashMap<u64, FolderState>,
    next_id: u64,
    /// Operations that change something, counted from the beginning.
    operations: u64,
    cut_at: Option<u64>,
    cut: bool,
    room: u64,
    copies_on_write: bool,
    fail_sync_at: Option<u64>,
    lie_from: Option<u64>,
    random: u64,
    /// Raised by each restart: files opened before it are of no use after it.
    life: u64,
}

#[derive(Clone, Debug, Default)]
struct FileState {
    durable: Vec<u8>,
    live: Vec<u8>,
    pending: Vec<DiskChange>,
}

#[derive(Clone, Debug)]
enum DiskChange {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

impl DiskChange {
    /// Where the file ends after it at least.
    fn end(&self) -> u64 {
        match self {
            DiskChange::Write(offset, bytes) => offset + bytes.len() as u64,
            DiskChange::Truncate(len) => *len,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct FolderState {
    durable: BTreeMap<String, FileEntry>,
    live: BTreeMap<String, FileEntry>,
    pending: Vec<NameChange>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Add(String, FileEntry),
    Remove(String),
    Rename(String, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileEntry {
    File(u64),
    Folder(u64),
}

#[derive(Debug)]
struct SimFile {
    state: Arc<Mutex<DiskState>>,
    id: u64,
    life: u64,
}

impl DiskSim {
    /// An empty disk whose accidents are drawn from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = DiskState {
            files: HashMap::new(),
            folders: HashMap::from([(0, FolderState::default())]),
            next_id: 1,
            operations: 0,
            cut_at: None,
            cut: false,
            room: u64::MAX,
            copies_on_write: false,
            fail_sync_at: None,
            lie_from: None,
            random: seed,
            life: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Number of operations so far that changed something: writes, cuts, syncs, names.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// The power goes off in the middle of operation number `operation`; from then on everything fails.
    pub fn cut_power_at(&self, operation: u64) {
        self.state.lock().cut_at = Some(operation);
    }

    /// Whether the power is off.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.state.lock().cut
    }

    /// The power comes back: what was not synced is there, or not, or in part.
    pub fn restart(&self) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let mut random = state.random;
        let mut folders: Vec<_> = state.folders.iter_mut().collect();
        folders.sort_by_key(|(id, _)| **id);
        for (_, folder) in folders {
            folder.restart(&mut random);
        }
        let mut files: Vec<_> = state.files.iter_mut().collect();
        files.sort_by_key(|(id, _)| **id);
        for (_, file) in files {
            file.restart(&mut random);
        }
        state.random = random;
        (state.cut, state.cut_at, state.fail_sync_at, state.lie_from) = (false, None, None, None);
        state.life += 1;
    }

    /// The process stops in the middle of what it does, or the power fails: everything fails from now on. Whether what was
    /// written stays is decided at the restart.
    pub fn stop(&self) {
        self.state.lock().cut = true;
    }

    /// The process has died, not the machine: everything written stays.
    pub fn restart_process(&self) {
        let mut state = self.state.lock();
        (state.cut, state.cut_at, state.fail_sync_at) = (false, None, None);
        state.life += 1;
    }

    /// Bytes that files may still grow by.
    pub fn set_room(&self, bytes: u64) {
        self.state.lock().room = bytes;
    }

    /// From now on a write over what is there needs as much room as a new one: such file systems put it elsewhere.
    pub fn copy_on_write(&self) {
        self.state.lock().copies_on_write = true;
    }

    /// The sync that is operation number `operation` fails, once, be it of a file or of a folder.
    pub fn fail_sync_at(&self, operation: u64) {
        self.state.lock().fail_sync_at = Some(operation);
    }

    /// From operation number `operation` on every sync says that it succeeded and does nothing: hardware that lies.
    pub fn lie_from(&self, operation: u64) {
        self.state.lock().lie_from = Some(operation);
    }

    /// All files by path, sorted.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let state = self.state.lock();
        let (mut paths, mut folders) = (Vec::new(), vec![(String::new(), 0)]);
        while let Some((prefix, id)) = folders.pop() {
            for (name, node) in &state.folders[&id].live {
                match node {
                    FileEntry::File(_) => paths.push(format!("{prefix}{name}")),
                    FileEntry::Folder(id) => folders.push((format!("{prefix}{name}/"), *id)),
                }
            }
        }
        paths.sort_unstable();
        paths
    }

    /// What was planted and has not happened will not.
    pub fn disarm(&self) {
        let mut state = self.state.lock();
        (state.cut_at, state.fail_sync_at) = (None, None);
    }

    /// A file's bytes as a reader sees them.
    ///
    /// # Panics
    /// If there is no such file: a test asks for what it has made.
    #[must_use]
    pub fn content(&self, path: &str) -> Vec<u8> {
        let state = self.state.lock();
        let id = state.file(path).expect("a test asks for a file that is there");
        state.files[&id].live.clone()
    }

    /// Replaces a file's bytes behind everyone's back, durably: rot, or a careless hand.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn tamper(&self, path: &str, content: &[u8]) {
        let mut state = self.state.lock();
        let id = state.file(path).expect("a test tampers with a file that is there");
        let file = state.files.entry(id).or_default();
        (file.live, file.durable) = (content.to_vec(), content.to_vec());
        file.pending.clear();
    }

    /// An independent disk with the same content.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.state.lock();
        let copy = DiskState {
            files: state.files.clone(),
            folders: state.folders.clone(),
            next_id: state.next_id,
            operations: state.operations,
            cut_at: None,
            cut: false,
            room: state.room,
            copies_on_write: state.copies_on_write,
            fail_sync_at: None,
            lie_from: None,
            random: state.random,
            life: 0,
        };
        Self { state: Arc::new(Mutex::new(copy)) }
    }
}

/// The next of a fixed sequence (SplitMix64).
fn draw(random: &mut u64) -> u64 {
    *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *random;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl FileState {
    fn restart(&mut self, random: &mut u64) {
        self.forget(random);
        self.live = self.durable.clone();
    }

    /// What is not synced is on the disk, or not, or in part; and stays so.
    fn forget(&mut self, random: &mut u64) {
        let mode = draw(random) % 4;
        for change in std::mem::take(&mut self.pending) {
            match (mode, change) {
                (0, _) => {}
                (1, change) => apply(&mut self.durable, &change),
                (_, DiskChange::Truncate(len)) => {
                    if draw(random).is_multiple_of(2) {
                        apply(&mut self.durable, &DiskChange::Truncate(len));
                    }
                }
                (_, DiskChange::Write(offset, bytes)) => self.forget_write(offset, &bytes, random),
            }
        }
    }

    /// Any of the sectors that a write touches may have reached the disk.
    fn forget_write(&mut self, offset: u64, bytes: &[u8], random: &mut u64) {
        let mut at = 0;
        while at < bytes.len() {
            let sector_end = (offset as usize + at) / SECTOR * SECTOR + SECTOR - offset as usize;
            let end = sector_end.min(bytes.len());
            if draw(random).is_multiple_of(2) {
                apply(&mut self.durable, &DiskChange::Write(offset + at as u64, bytes[at..end].to_vec()));
            }
            at = end;
        }
    }
}

impl FolderState {
    /// Names change in order, so a crash keeps the first of the changes.
    fn restart(&mut self, random: &mut u64) {
        let kept = draw(random) as usize % (self.pending.len() + 1);
        for change in self.pending.drain(..).take(kept) {
            rename(&mut self.durable, change);
        }
        self.live = self.durable.clone();
    }

    fn change(&mut self, change: NameChange) {
        rename(&mut self.live, change.clone());
        self.pending.push(change);
    }
}

fn apply(content: &mut Vec<u8>, change: &DiskChange) {
    match change {
        DiskChange::Truncate(len) => content.resize(*len as usize, 0),
        DiskChange::Write(offset, bytes) => {
            let (start, end) = (*offset as usize, *offset as usize + bytes.len());
            if content.len() < end {
                content.resize(end, 0);
            }
            content[start..end].copy_from_slice(bytes);
        }
    }
}

fn rename(names: &mut BTreeMap<String, FileEntry>, change: NameChange) {
    match change {
        NameChange::Add(name, node) => drop(names.insert(name, node)),
        NameChange::Remove(name) => drop(names.remove(&name)),
        NameChange::Rename(from, to) => {
            if let Some(node) = names.remove(&from) {
                names.insert(to, node);
            }
        }
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn power_cut() -> io::Error {
    io::Error::other("the power was cut")
}

impl DiskState {
    /// Counts an operation; returns whether it is the one in whose middle the power fails.
    fn operate(&mut self) -> io::Result<bool> {
        if self.cut {
            return Err(power_cut());
        }
        let now = self.operations;
        self.operations += 1;
        self.cut = self.cut_at == Some(now);
        Ok(self.cut)
    }

    /// Counts a sync; returns whether it really syncs.
    fn operate_sync(&mut self) -> io::Result<bool> {
        let now = self.operations;
        if self.operate()? {
            return Err(power_cut());
        }
        if self.fail_sync_at == Some(now) {
            return Err(io::Error::other("the disk failed to sync"));
        }
        Ok(self.lie_from.is_none_or(|from| now < from))
    }

    fn powered(&self) -> io::Result<()> {
        if self.cut { Err(power_cut()) } else { Ok(()) }
    }

    fn node(&self, path: &str) -> io::Result<FileEntry> {
        let mut node = FileEntry::Folder(0);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let FileEntry::Folder(id) = node else { return Err(not_found()) };
            node = *self.folders[&id].live.get(name).ok_or_else(not_found)?;
        }
        Ok(node)
    }

    fn file(&self, path: &str) -> io::Result<u64> {
        match self.node(path)? {
            FileEntry::File(id) => Ok(id),
            FileEntry::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn folder(&self, path: &str) -> io::Result<u64> {
        match self.node(path)? {
            FileEntry::Folder(id) => Ok(id),
            FileEntry::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// The folder that contains `path`, and the name in it.
    fn place<'a>(&self, path: &'a str) -> io::Result<(u64, &'a str)> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.folder(folder)?, name))
    }

    fn change_name(&mut self, folder: u64, change: NameChange) -> io::Result<()> {
        let cut = self.operate()?;
        self.folders.entry(folder).or_default().change(change);
        if cut { Err(power_cut()) } else { Ok(()) }
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }
}

impl Disk for DiskSim {
    fn name(&self, path: &str) -> String {
        format!("sim:{path}")
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        state.powered()?;
        let id = state.folder(folder)?;
        Ok(state.folders[&id].live.keys().cloned().collect())
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state.lock();
        let (folder, name) = state.place(path)?;
        if state.folders[&folder].live.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // A name needs room as well.
        if state.room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let id = state.id();
        state.files.insert(id, FileState::default());
        state.change_name(folder, NameChange::Add(name.to_owned(), FileEntry::File(id)))?;
        Ok(Box::new(SimFile { state: Arc::clone(&self.state), id, life: state.life }))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state.lock();
        state.powered()?;
        let id = state.file(path)?;
        Ok(Box::new(SimFile { state: Arc::clone(&self.state), id, life: state.life }))
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        let (parent, name) = state.place(path)?;
        if state.folders[&parent].live.contains_key(name) {
            return state.powered();
        }
        let id = state.id();
        state.folders.insert(id, FolderState::default());
        state.change_name(parent, NameChange::Add(name.to_owned(), FileEntry::Folder(id)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        let (folder, old) = state.place(from)?;
        let (other, new) = state.place(to)?;
        assert_eq!(folder, other, "a name changes within its folder");
        state.node(from)?;
        state.change_name(folder, NameChange::Rename(old.to_owned(), new.to_owned()))
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.file(path)?;
        let (folder, name) = state.place(path)?;
        state.change_name(folder, NameChange::Remove(name.to_owned()))
    }

    fn remove_folder(&self, path: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        let id = state.folder(path)?;
        let names: Vec<_> = state.folders[&id].live.keys().cloned().collect();
        for name in names {
            state.change_name(id, NameChange::Remove(name))?;
        }
        let (parent, name) = state.place(path)?;
        state.change_name(parent, NameChange::Remove(name.to_owned()))
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        let id = state.folder(path)?;
        if state.operate_sync()? {
            let folder = state.folders.entry(id).or_default();
            folder.durable = folder.live.clone();
            folder.pending.clear();
        }
        Ok(())
    }
}

impl SimFile {
    fn state(&self) -> io::Result<parking_lot::MutexGuard<'_, DiskState>> {
        let state = self.state.lock();
        state.powered()?;
        assert_eq!(state.life, self.life, "a file outlived its process");
        Ok(state)
    }

    fn change(&mut self, change: DiskChange) -> io::Result<()> {
        let mut state = self.state()?;
        let state = &mut *state;
        let file = state.files.entry(self.id).or_default();
        let growth = match &change {
            DiskChange::Write(_, bytes) if state.copies_on_write => bytes.len() as u64,
            change => change.end().saturating_sub(file.live.len() as u64),
        };
        if growth > state.room {
            return self.run_full(state, change);
        }
        state.room -= growth;
        let cut = state.operate()?;
        let file = state.files.entry(self.id).or_default();
        apply(&mut file.live, &change);
        file.pending.push(change);
        if cut { Err(power_cut()) } else { Ok(()) }
    }

    /// A full disk takes what fits.
    fn run_full(&self, state: &mut DiskState, change: DiskChange) -> io::Result<()> {
        if let DiskChange::Write(offset, mut bytes) = change {
            state.operate()?;
            let file = state.files.entry(self.id).or_default();
            let over = if state.copies_on_write { 0 } else { (file.live.len() as u64).saturating_sub(offset) };
            let fits = over + state.room;
            bytes.truncate(fits as usize);
            state.room = 0;
            apply(&mut file.live, &DiskChange::Write(offset, bytes.clone()));
            file.pending.push(DiskChange::Write(offset, bytes));
        }
        Err(io::ErrorKind::StorageFull.into())
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state()?.files[&self.id].live.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.state()?;
        let live = &state.files[&self.id].live;
        let rest = live.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(into.len());
        into[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(DiskChange::Write(offset, bytes.to_vec()))
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.change(DiskChange::Truncate(len))
    }

    fn reserve(&mut self, len: u64) -> io::Result<()> {
        self.change(DiskChange::Truncate(len))
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state()?;
        let state = &mut *state;
        let synced = state.operate_sync();
        let file = state.files.entry(self.id).or_default();
        match synced {
            Ok(true) => file.pending.drain(..).for_each(|change| apply(&mut file.durable, &change)),
            // It lies.
            Ok(false) => {}
            Err(_) if state.cut => {}
            Err(_) => file.forget(&mut state.random),
        }
        synced.map(drop)
    }
}
