//! Reads that a standby executes itself (`standby = read`): of data that are not too old, and never older than what the client has seen.
//! The protocol is in docs/protocols/standby-reads.md.

use std::time::Duration;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::command::{CommandSpec, Flag};
use tanist_db_core::ids::Lsn;
use tanist_db_core::planted::planted;
use tanist_replication::serving::Role;

use super::{NodeContext, commands};
use crate::config::Standby;

/// Where a read is executed that a client has sent to a standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadPlace {
    /// Here.
    Here,
    /// By the primary.
    Elsewhere,
    /// Nowhere: the standby's data may be older than they may be, so old.
    Nowhere(Duration),
}

/// Whether a standby may execute `spec` at all. What waits, pins a version, or keeps what it has
/// computed (PFCOUNT) is of the primary.
pub(super) fn is_standby_read(spec: &CommandSpec) -> bool {
    let only_reads = spec.flags.has(Flag::Readonly) && !spec.writes();
    spec.touches_data() && only_reads && !spec.flags.has(Flag::Blocking) && !commands::pins(spec)
}

impl NodeContext {
    /// Sets what this node does with commands on data while it is a standby.
    pub fn set_standby(&self, standby: Standby) {
        self.settings.set_standby(standby);
        self.serving.freshness().want(standby == Standby::Read);
    }

    /// How old the data may be that this standby would read at `now`; `None` if it does not read, or has yet to learn it.
    pub(super) fn data_age(&self, now: Monotonic) -> Option<Duration> {
        let as_of = self.serving.freshness().as_of();
        let reads = self.settings.standby() == Standby::Read && self.serving.role() == Role::Standby;
        (reads && as_of > Monotonic(0)).then(|| now.since(as_of))
    }

    /// How old the data may be, if that is older than a standby reads and there was time enough to learn of newer ones.
    pub(super) fn too_old(&self, now: Monotonic) -> Option<Duration> {
        let max = self.settings.standby_read_age_max();
        self.data_age(now).filter(|age| *age > max && self.serving.freshness().asking_for(now) > max)
    }

    /// Where a read is executed at `now` for a client that has seen what the record `seen` has changed.
    pub(super) fn place_of_read(&self, now: Monotonic, seen: Lsn) -> ReadPlace {
        let (Some(age), Some(engine)) = (self.data_age(now), self.engine()) else { return ReadPlace::Elsewhere };
        if age > self.settings.standby_read_age_max() && !planted("a standby reads data that are too old") {
            return self.too_old(now).map_or(ReadPlace::Elsewhere, ReadPlace::Nowhere);
        }
        let has_seen =
            seen == Lsn::ZERO || seen <= engine.last() || planted("a standby reads behind its client's write");
        if has_seen { ReadPlace::Here } else { ReadPlace::Elsewhere }
    }
}
