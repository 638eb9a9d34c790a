//! Background work on the shards: records that no client has asked for (such as the first of an epoch), and deletion of expired
//! keys.

use std::sync::Arc;
use std::time::Duration;

use tanist_db_core::clock::{Monotonic, UnixMillis};
use tanist_db_core::planted::planted;

use super::{OwnRecord, Shared};
use crate::EVENT;
use crate::limits::EXPIRE_PAUSE;
use crate::role::Event;

/// The upkeep of one database process. Its thread may wait for shards.
#[derive(Debug)]
pub struct Upkeep {
    shared: Arc<Shared>,
    /// More has expired than one step deletes: the next is due soon.
    expires_on: bool,
}

impl Upkeep {
    /// One that has done nothing yet.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Upkeep {
        Upkeep { shared, expires_on: false }
    }

    /// Some time has passed: [`BEAT_EVERY`](crate::limits::BEAT_EVERY). As [`Upkeep::expire`], unless that is due soon anyway;
    /// and the state's feature level follows the cluster's.
    pub fn beat(&mut self, now: Monotonic, unix: UnixMillis) -> Option<Duration> {
        self.raise_level(now);
        if self.expires_on { None } else { self.expire(now, unix) }
    }

    /// Deletes keys that have expired, a bounded number; skips shards that are held. Returns after what time to call again, if
    /// there may be more.
    pub fn expire(&mut self, now: Monotonic, unix: UnixMillis) -> Option<Duration> {
        self.expires_on = false;
        let Shared { engine, serving, .. } = &*self.shared;
        // What is deleted is appended, and nothing is while a switchover drains.
        let _executing = serving.enter(now).ok()?;
        self.expires_on = engine.clean_up(unix);
        self.expires_on.then_some(EXPIRE_PAUSE)
    }

    /// The vault has said that all processes of the cluster know a level: from the record on that says so it may be written.
    fn raise_level(&self, now: Monotonic) {
        let Shared { engine, serving, .. } = &*self.shared;
        let own = planted("a feature level raised before the standby knows it");
        let level = if own { engine.levels().newest } else { self.shared.level() };
        if level > engine.level()
            && let Ok(_executing) = serving.enter(now)
            && engine.raise_level(level)
        {
            tracing::info!(target: EVENT, "feature level {level} from record {} on", engine.settings_changed_at());
        }
    }

    /// Appends a record; waits for shards that are held. Returns what the machine must hear.
    #[must_use]
    pub fn append(&self, order: OwnRecord) -> Event {
        let engine = &self.shared.engine;
        match order {
            OwnRecord::EpochStart(epoch) => {
                engine.begin_epoch(epoch).map_or(Event::Overtaken, |lsn| Event::OwnRecordAppended { lsn })
            }
            // A cut is a record like any other, and nobody needs this version.
            OwnRecord::Barrier => Event::OwnRecordAppended { lsn: engine.freeze().cut() },
        }
    }
}

#[cfg(test)]
mod tests {
    use tanist_db_core::engine::{Engine, EngineOptions};
    use tanist_db_core::ids::{Epoch, Lsn};

    use super::*;
    use crate::serving::Serving;

    #[test]
    fn records_are_appended_in_the_order_of_the_orders_and_an_epoch_that_is_overtaken_is_not() {
        let engine = Engine::new(EngineOptions { shards: 2, ..EngineOptions::default() });
        let upkeep = Upkeep::new(Shared::new(Arc::new(engine), Serving::new()));
        assert_eq!(upkeep.append(OwnRecord::EpochStart(Epoch(2))), Event::OwnRecordAppended { lsn: Lsn(1) });
        assert_eq!(upkeep.append(OwnRecord::Barrier), Event::OwnRecordAppended { lsn: Lsn(2) });
        assert_eq!(upkeep.append(OwnRecord::EpochStart(Epoch(1))), Event::Overtaken);
        assert_eq!(upkeep.shared.engine.last(), Lsn(2));
    }

    #[test]
    fn who_must_not_execute_deletes_nothing() {
        let engine = Engine::new(EngineOptions { shards: 2, ..EngineOptions::default() });
        let mut upkeep = Upkeep::new(Shared::new(Arc::new(engine), Serving::new()));
        assert_eq!(upkeep.beat(Monotonic(5), UnixMillis(9)), None);
        assert_eq!(upkeep.shared.engine.last(), Lsn(0));
    }
}
