//! Exit codes of Tanist's processes, and the failures that lead to them.

use std::process::ExitCode;

/// All went as asked.
pub const EXIT_OK: u8 = 0;
/// Something failed while running; the sentence on stderr says what.
pub const EXIT_RUNTIME: u8 = 1;
/// Data are not as they should be: a drill found a write that is gone, or one that happened twice; a file to import is damaged, or
/// something was left out of an import or export (`EX_DATAERR`).
pub const EXIT_DATA: u8 = 65;
/// A database process that was fenced or has diverged: its supervisor starts it again and it rejoins (`EX_TEMPFAIL`).
pub const EXIT_REJOIN: u8 = 75;
/// A flag, a setting, a certificate or the data folder is wrong: starting again changes nothing (`EX_CONFIG`).
pub const EXIT_CONFIG: u8 = 78;

/// Why a command ends without success: one sentence for a person, sorted by what its parent does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// What was asked for cannot be: correct it first.
    #[error("{0}")]
    Config(String),
    /// It failed this time.
    #[error("{0}")]
    Runtime(String),
    /// Data are not as they were confirmed to clients, or as a file should have them.
    #[error("{0}")]
    Data(String),
    /// The process must start again as a joining node.
    #[error("{0}")]
    Rejoin(String),
    /// What was asked for cannot be; a child process has said why.
    #[error("see the message before")]
    SaidByChild,
}

impl Failure {
    /// The process's exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Failure::Config(_) | Failure::SaidByChild => EXIT_CONFIG,
            Failure::Runtime(_) => EXIT_RUNTIME,
            Failure::Data(_) => EXIT_DATA,
            Failure::Rejoin(_) => EXIT_REJOIN,
        }
    }

    /// The process's exit code as `main` returns it.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Failure::Config(error.0)
    }
}
