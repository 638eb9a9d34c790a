//! The cluster's feature level (protocol version) as part of the state: a setting, which the primary raises by a log record.
//! Features of that level are used only after that record, so a reader of the log or an image knows in advance what to expect.

use super::Engine;
use super::settings::{LEVEL, SettingId};
use crate::ids::Lsn;
use crate::level::{Level, LevelError, Levels};
use crate::redo::ReplayError;

impl Engine {
    /// The feature levels that this program knows.
    #[must_use]
    pub fn levels(&self) -> Levels {
        self.levels
    }

    /// The feature level of the state: nothing newer is appended. The oldest that this program knows, unless it was raised.
    #[must_use]
    pub fn level(&self) -> Level {
        self.setting(LEVEL).map_or(self.levels.oldest, level_of).max(self.levels.oldest)
    }

    /// An engine whose program knows `levels`.
    ///
    /// # Errors
    /// If the state is of a newer one.
    pub fn knowing(mut self, levels: Levels) -> Result<Engine, LevelError> {
        self.levels = levels;
        levels.check(self.level()).map(|()| self)
    }

    /// Raises the state's feature level by a record, if it is older than `to`, this program knows that, and this engine writes. The
    /// caller has decided that this node may execute. Returns whether a record was appended; where a command holds the first shard, or
    /// there is no memory, the next attempt may succeed.
    pub fn raise_level(&self, to: Level) -> bool {
        if to <= self.level() || !self.levels.contains(to) {
            return false;
        }
        let raised = self.change_settings(&[(LEVEL, Some(to.0.into()))], || Ok(()));
        let Some(replied) = raised.ok().and_then(|executed| executed.replied()) else { return false };
        if replied.wakes {
            self.redo.wake();
        }
        true
    }

    /// Whether the record at `lsn`, which changes setting `number`, may be applied.
    pub(super) fn check_setting(&self, lsn: Lsn, number: u8, value: Option<u64>) -> Result<(), ReplayError> {
        if SettingId(number) != LEVEL {
            return Ok(());
        }
        let before = self.setting(LEVEL);
        if value < before || value == Some(0) {
            return Err(ReplayError::Contradiction { lsn, what: "the feature level goes back" });
        }
        let level = value.map_or(self.levels.oldest, level_of).max(self.levels.oldest);
        self.levels.check(level).map_err(|error| ReplayError::Level { lsn, error })
    }
}

/// A level as it stands in a setting. One that cannot be is newer than all that a program knows.
fn level_of(value: u64) -> Level {
    Level(u16::try_from(value).unwrap_or(u16::MAX))
}
