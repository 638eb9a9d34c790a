//! Reads a small text file of an operator: settings, addresses, certificates. The path may lead to anything, so size and file
//! type are checked.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// The text of the file at `path`, which has at most `bytes_max` bytes. The error says in its own words what stands there instead.
///
/// # Errors
/// It cannot be read; it is no ordinary file (a device or a pipe may have no end, or keep a reader waiting forever); it is longer
/// (`FileTooLarge`); it is not UTF-8 (`InvalidData`).
pub fn read(path: &Path, bytes_max: u64) -> io::Result<String> {
    let kind = fs::metadata(path)?.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() { "it is a folder" } else { "it is a device or a pipe, and no file" };
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        let what = format!("it is longer than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not text (UTF-8)"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A configuration file of `/dev/zero` was read until the memory was full.
    #[test]
    fn only_a_short_text_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("good"), "text").unwrap();
        fs::write(at("long"), "texts").unwrap();
        fs::write(at("binary"), b"\xFF").unwrap();
        let made = Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(made.success());
        std::os::unix::fs::symlink("/dev/zero", at("zero")).unwrap();
        assert_eq!(read(&at("good"), 4).unwrap(), "text");
        for (name, word) in [
            ("long", "longer than 4 bytes"),
            ("binary", "not text"),
            ("pipe", "a pipe"),
            ("zero", "device"),
            ("", "folder"),
            ("none", "No such file"),
        ] {
            let error = read(&at(name), 4).expect_err(name).to_string();
            assert!(error.contains(word), "{name}: {error}");
        }
    }
}
