//! Why a dump is not read.

/// Why a dump is not read.
#[derive(Debug, thiserror::Error)]
pub enum RdbError {
    /// It ends within something.
    #[error("it ends within something")]
    Cut,
    /// It is not what a server writes.
    #[error("{0}")]
    Damaged(&'static str),
    /// A string is longer than a value may be.
    #[error("a string of {0} bytes is longer than the limit of 512 MiB")]
    TooLong(u64),
    /// Its version is not known.
    #[error("it is of version {0}, and those that are known are 1 to 12 (Redis) and 80 (Valkey)")]
    UnknownVersion(u32),
    /// A byte says that something follows which is not known.
    #[error("what follows is of type {0}, which is not known")]
    UnknownType(u8),
    /// It is known and not supported.
    #[error("{0} cannot be read")]
    Unsupported(&'static str),
    /// The input cannot be read.
    #[error("{0}")]
    Io(std::io::Error),
}

impl From<std::io::Error> for RdbError {
    fn from(error: std::io::Error) -> RdbError {
        if error.kind() == std::io::ErrorKind::UnexpectedEof { RdbError::Cut } else { RdbError::Io(error) }
    }
}
