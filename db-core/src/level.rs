//! Feature levels (protocol versions): which records, messages and formats a program supports, and which of them it may write.
//!
//! Every release that adds something to what is written has a new level, one more than the release before; it can also read and
//! write what that one did ([`Levels::OWN`]). A cluster has a level too, the newest that all of its processes support, and
//! nothing newer than that is written or sent: an older standby would fail at the first record that it does not know. The vault
//! decides the cluster's level, and a log record makes it part of the state (`Engine::raise_level`), so the log and every image
//! say which level they need.
//!
//! ```text
//!   a build's levels:    oldest ........ newest
//!   the cluster's level:         ^ only rises; a build whose levels do not contain it is refused
//! ```

use std::fmt;

use thiserror::Error;

/// A feature level. 65,535 releases that change a format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(pub u16);

/// What has come with a level after the first, a line for each. Whoever writes one of these asks first whether the cluster's level
/// (`Engine::level`), or a connection's, is that of the line. A line goes, and the question with it, when its level is the oldest.
pub mod since {
    use super::Level;

    /// Everything that is not listed below.
    pub const FIRST: Level = Level(1);

    /// For the test of an upgrade, which no release has: the record `0x0e`, the request `Rehearse` and its answer `Rehearsed`.
    #[cfg(feature = "next-level")]
    pub const REHEARSAL: Level = Level(2);
}

/// The newest level of this program.
#[cfg(not(feature = "next-level"))]
const NEWEST: Level = since::FIRST;
#[cfg(feature = "next-level")]
const NEWEST: Level = since::REHEARSAL;

/// The newest level of the release before; the first release has none before it.
const OLDEST: Level = Level(if NEWEST.0 > since::FIRST.0 { NEWEST.0 - 1 } else { NEWEST.0 });

/// The levels that a program knows, all those between included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Levels {
    /// The oldest.
    pub oldest: Level,
    /// The newest, not before the oldest.
    pub newest: Level,
}

/// A level is none that the program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("feature level {level}, and this program knows {known}: {}", self.remedy())]
pub struct LevelError {
    /// The level.
    pub level: Level,
    /// What the program knows.
    pub known: Levels,
}

/// What was read has a format version that the program does not know. Nothing more is concluded from it: its bytes may mean
/// anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "format version {found}, and this program knows version {known}: start the release that wrote it, or a newer one"
)]
pub struct FormatError {
    /// The version.
    pub found: u16,
    /// What the program knows.
    pub known: u16,
}

impl FormatError {
    /// Checks that `found` is the version that the program knows.
    ///
    /// # Errors
    /// If it is not.
    pub fn check(found: u16, known: u16) -> Result<(), FormatError> {
        if found == known { Ok(()) } else { Err(FormatError { found, known }) }
    }
}

impl LevelError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        let LevelError { level, known } = self;
        if *level > known.newest {
            return format!("start a release that knows level {level}, as the rest of the cluster does");
        }
        format!("upgrade all of the cluster to a release of level {} first", known.oldest)
    }
}

/// Those of this program.
impl Default for Levels {
    fn default() -> Levels {
        Levels::OWN
    }
}

impl Levels {
    /// Those of this program.
    pub const OWN: Levels = Levels { oldest: OLDEST, newest: NEWEST };

    /// Whether `level` is one of them.
    #[must_use]
    pub fn contains(self, level: Level) -> bool {
        (self.oldest..=self.newest).contains(&level)
    }

    /// The newest level that both know, if there is one.
    #[must_use]
    pub fn common(self, other: Levels) -> Option<Level> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }

    /// Checks that `level` is one of them.
    ///
    /// # Errors
    /// If it is not.
    pub fn check(self, level: Level) -> Result<(), LevelError> {
        if self.contains(level) { Ok(()) } else { Err(LevelError { level, known: self }) }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.oldest == self.newest {
            return write!(f, "feature level {} only", self.newest);
        }
        write!(f, "feature levels {} to {}", self.oldest, self.newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn levels(oldest: u16, newest: u16) -> Levels {
        Levels { oldest: Level(oldest), newest: Level(newest) }
    }

    #[test]
    fn two_releases_in_a_row_have_a_level_in_common_and_others_have_none() {
        assert_eq!(levels(1, 2).common(levels(2, 3)), Some(Level(2)));
        assert_eq!(levels(1, 1).common(levels(1, 2)), Some(Level(1)));
        assert_eq!(levels(1, 3).common(levels(2, 3)), Some(Level(3)));
        assert_eq!(levels(1, 2).common(levels(3, 4)), None);
        assert_eq!(levels(3, 4).common(levels(1, 2)), None);
        assert!(Levels::OWN.contains(Levels::OWN.newest) && Levels::OWN.contains(Levels::OWN.oldest));
        let before = (Levels::OWN.oldest.0..Levels::OWN.newest.0).len();
        assert!([0, 1].contains(&before), "the release before, and none before that");
    }

    #[test]
    fn a_level_that_is_not_known_is_refused_with_both_sides_and_what_to_do() {
        assert_eq!(levels(2, 3).check(Level(2)), Ok(()));
        let newer = levels(1, 2).check(Level(3)).unwrap_err().to_string();
        assert_eq!(
            newer,
            "feature level 3, and this program knows feature levels 1 to 2: start a release that knows level 3, as the rest of the cluster does"
        );
        let older = levels(2, 3).check(Level(1)).unwrap_err().to_string();
        assert!(
            older.contains("level 1,") && older.contains("2 to 3") && older.contains("a release of level 2 first"),
            "{older}"
        );
        assert_eq!(levels(1, 1).to_string(), "feature level 1 only");
    }
}
