//! The first pass over the file: it is read to its end before anything of it is sent.

use std::io::Read;
use std::path::Path;

use tanist_db_core::limits::DATABASES;
use tanist_db_core::rdb::file::{FileChecksum, RdbFile};
use tanist_db_core::rdb::{Layout, RdbError, read_value};

use crate::exit::Failure;

/// Checks that the file is whole and that there is a database for each of its keys. Returns the number of its keys.
///
/// # Errors
/// A sentence that says what is wrong, and where.
pub(super) fn survey<R: Read>(path: &Path, mut file: RdbFile<R>) -> Result<u64, Failure> {
    let read = keys(&mut file);
    let (at, path) = (file.position(), path.display());
    let checksum = file.checksum();
    let wrong = |what: String| Err(Failure::Data(format!("{path} {what}; nothing was imported")));
    match (read, checksum) {
        (Err(RdbError::Io(error)), _) | (_, Err(RdbError::Io(error))) => {
            Err(Failure::Runtime(format!("cannot read {path}: {error}; nothing was imported")))
        }
        (Err(error), Ok(FileChecksum::Right)) => wrong(format!("cannot be read from byte {at} on: {error}")),
        (Err(error), Ok(FileChecksum::None)) => {
            wrong(format!("is damaged or of another format: it cannot be read from byte {at} on: {error}"))
        }
        (Err(error), _) => wrong(format!(
            "is damaged or not complete: its checksum does not fit, and it cannot be read from byte {at} on: {error}"
        )),
        (Ok(_), Ok(FileChecksum::Wrong) | Err(_)) => wrong("is damaged: its checksum does not fit".into()),
        (Ok(keys), Ok(_)) if keys.database_max >= DATABASES as u64 => wrong(format!(
            "has keys in database {}, and there are databases 0 to {} here: move them with MOVE or COPY ... DB first",
            keys.database_max,
            DATABASES - 1
        )),
        (Ok(keys), Ok(_)) => Ok(keys.count),
    }
}

#[derive(Debug, Default)]
struct Keys {
    count: u64,
    /// The highest number of a database that has keys.
    database_max: u64,
}

fn keys<R: Read>(file: &mut RdbFile<R>) -> Result<Keys, RdbError> {
    let (mut keys, mut key) = (Keys::default(), Vec::new());
    while let Some(head) = file.next_key(&mut key)? {
        keys.count += 1;
        keys.database_max = keys.database_max.max(head.database);
        match head.layout {
            Layout::Value(layout) => read_value(file.input(), layout, |_| Ok::<(), RdbError>(()))?,
            Layout::Foreign(layout) => layout.skip(file.input())?,
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surveyed(bytes: &[u8]) -> Result<u64, String> {
        let file = RdbFile::open(bytes, bytes.len() as u64).map_err(|e| e.to_string())?;
        survey(Path::new("dump.rdb"), file).map_err(|failure| failure.to_string())
    }

    /// Two keys in databases 0 and 3, up to the checksum.
    const SOUND: &[u8] = b"REDIS0010\xfe\x00\xfb\x01\x00\x00\x01a\x01b\xfe\x03\xfb\x01\x00\x00\x01c\xc0\x07\xff";

    #[test]
    fn a_file_without_a_checksum_is_taken_as_it_is() {
        assert_eq!(surveyed(&[SOUND, &[0; 8]].concat()), Ok(2));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let refused = |bytes: &[u8]| surveyed(bytes).unwrap_err();
        let wrong = refused(&[SOUND, &[1; 8]].concat());
        assert_eq!(wrong, "dump.rdb is damaged: its checksum does not fit; nothing was imported");
        let cut = refused(&SOUND[..20]);
        let words = "it cannot be read from byte 20 on: it ends within something; nothing was imported";
        assert!(cut.starts_with("dump.rdb is damaged or not complete") && cut.ends_with(words), "{cut}");
        let far = refused(b"REDIS0010\xfe\x10\x00\x01a\x01b\xff\0\0\0\0\0\0\0\0");
        assert!(far.starts_with("dump.rdb has keys in database 16, and there are databases 0 to 15 here"), "{far}");
        let unknown = refused(b"REDIS0010\xfe\x00\x63\x01a\x01b\xff\0\0\0\0\0\0\0\0");
        assert!(unknown.contains("byte 12 on: what follows is of type 99, which is not known"), "{unknown}");
    }
}
