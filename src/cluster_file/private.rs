//! File permissions of a data folder: only the owner may read users' data, keys and the hash seed. The folder itself may have
//! been created by somebody else with wider permissions, so everything in it is restricted individually.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

/// What groups and others may do.
const OTHERS: u32 = 0o077;

/// What this process makes from now on nobody but its owner may read. Libraries make files as well.
pub(crate) fn make_files_private() {
    rustix::process::umask(Mode::from_raw_mode(OTHERS));
}

/// What [`close`] has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Closed {
    /// Was open to others, and is not any more.
    pub(crate) closed: Vec<PathBuf>,
    /// Is open to others, and why that cannot be changed.
    pub(crate) left_open: Vec<(PathBuf, String)>,
}

impl Closed {
    /// For a person; a sentence each, none if everything was as it should be.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if let Some(first) = self.closed.first() {
            let more = match self.closed.len() {
                1 => String::new(),
                all => format!(" and {} more", all - 1),
            };
            sentences
                .push(format!("other users could read {}{more}: closed to them (mode 0700 or 0600)", first.display()));
        }
        if let Some((path, why)) = self.left_open.first() {
            let path = path.display();
            sentences.push(format!(
                "other users can read {path}, and this process cannot change that ({why}): run `chmod -R go= {path}` as its owner"
            ));
        }
        sentences
    }
}

/// Closes `path` and everything below it to others. Links below it are left alone, as is what goes away meanwhile, or is closed to
/// this very process.
pub(super) fn close(path: &Path, found: &mut Closed) {
    let Ok(meta) = fs::metadata(path) else { return };
    if meta.permissions().mode() & OTHERS != 0 {
        match close_one(path, meta.permissions().mode()) {
            Ok(()) => found.closed.push(path.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => found.left_open.push((path.to_owned(), error.to_string())),
        }
    }
    if meta.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
                close(&entry.path(), found);
            }
        }
    }
}

fn close_one(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 & !OTHERS))?;
    // Some file systems say yes and keep their own.
    match fs::metadata(path)?.permissions().mode() & OTHERS {
        0 => Ok(()),
        _ => Err(io::Error::other("its file system keeps the mode")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn what_is_open_to_others_is_closed_all_the_way_down_and_told_once() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (outside, top) = (dir.path().join("outside"), dir.path().join("vault"));
        fs::create_dir_all(top.join("log")).expect("writable");
        fs::write(top.join("log").join("durable"), "").expect("writable");
        fs::write(&outside, "").expect("writable");
        std::os::unix::fs::symlink(&outside, top.join("link")).expect("writable");
        for (path, open) in
            [(&top, 0o755), (&top.join("log"), 0o750), (&top.join("log").join("durable"), 0o644), (&outside, 0o644)]
        {
            fs::set_permissions(path, Permissions::from_mode(open)).expect("it is ours");
        }

        let mut found = Closed::default();
        close(&top, &mut found);
        assert_eq!((found.closed.len(), found.left_open.len()), (3, 0), "{found:?}");
        let modes = [&top, &top.join("log"), &top.join("log").join("durable"), &outside].map(|path| mode(path));
        assert_eq!(modes, [0o700, 0o700, 0o600, 0o644]);
        let said = found.sentences();
        assert!(said.len() == 1 && said[0].contains("vault and 2 more"), "{said:?}");

        let mut again = Closed::default();
        close(&top, &mut again);
        close(&dir.path().join("nothing"), &mut again);
        assert_eq!((&again, again.sentences()), (&Closed::default(), Vec::new()));
    }

    #[test]
    fn what_cannot_be_closed_is_named_with_the_way_out() {
        let left_open = vec![(PathBuf::from("/data/vault"), "Operation not permitted".to_owned())];
        let said = Closed { left_open, ..Closed::default() }.sentences();
        assert!(said[0].contains("/data/vault") && said[0].contains("chmod -R go= /data/vault"), "{said:?}");
    }
}
