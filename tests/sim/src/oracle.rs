//! The oracles: invariants that must be true at every moment. Oracles see everything and change nothing.

mod truth;

use std::collections::BTreeMap;
use std::sync::Arc;

use tanist_db_core::clock::UnixMillis;
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::redo::batch::BatchView;
use tanist_replication::vault::disk::Disk;
use tanist_replication::vault::log::Extent;
use tanist_replication::vault::log::segment::LogFrame;

use crate::clock::Time;
use crate::workload::Known;
use truth::Truth;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which oracle has seen it.
    pub oracle: String,
    /// What it has seen.
    pub why: String,
}

/// How much has happened in a run, so that a person sees that it was worth something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations that clients have completed.
    pub done: u64,
    /// Operations refused.
    pub refused: u64,
    /// Operations of unknown fate.
    pub unknown: u64,
    /// Takeovers and first terms.
    pub takeovers: u64,
    /// Switchovers that succeeded.
    pub switchovers: u64,
    /// Images stored.
    pub images: u64,
    /// Starts of the vault.
    pub vault_starts: u64,
    /// Versions compared byte by byte.
    pub compared: u64,
    /// Faults that have struck.
    pub faults: u64,
    /// Messages that clients have heard.
    pub messages: u64,
    /// Commands that held all shards for long.
    pub holds: u64,
    /// Times that the cluster's feature level has risen.
    pub levels: u64,
    /// Reads that a standby has executed.
    pub standby_reads: u64,
    /// Histories that were not judged: too much happened at once.
    pub undecided: u64,
}

impl Counts {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Counts) {
        self.done += other.done;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.takeovers += other.takeovers;
        self.switchovers += other.switchovers;
        self.images += other.images;
        self.vault_starts += other.vault_starts;
        self.compared += other.compared;
        self.faults += other.faults;
        self.messages += other.messages;
        self.holds += other.holds;
        self.levels += other.levels;
        self.standby_reads += other.standby_reads;
        self.undecided += other.undecided;
    }
}

/// All oracles that watch while the run goes on.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) violation: Option<Violation>,
    pub(crate) counts: Counts,
    pub(crate) known: Known,
    /// Nodes that have begun to execute since the last event.
    pub(crate) entered: Vec<usize>,
    truth: Truth,
    /// The record that the reply to each command depends on.
    depends: BTreeMap<u64, Lsn>,
    /// Hashes of versions by epoch and position.
    digests: BTreeMap<(Epoch, Lsn), u128>,
    /// The newest epoch that the vault has told anyone of.
    pub(crate) epoch: u64,
    /// The newest feature level that it has told.
    level: u16,
}

impl Oracle {
    /// Something is not as it must be. The first finding counts.
    pub(crate) fn fail(&mut self, oracle: &str, why: String) {
        self.violation.get_or_insert(Violation { oracle: oracle.to_owned(), why });
    }

    pub(crate) fn bounded(&mut self, what: &str, is: usize, at_most: usize) {
        if is > at_most {
            self.fail("bounds", format!("{what}: {is}, at most {at_most} are allowed"));
        }
    }

    // --- The log

    /// The vault has opened its log. Everything that was ever durable must be in it.
    pub(crate) fn log_found(&mut self, disk: &Arc<dyn Disk>, extent: &Extent, epoch: u64) {
        self.counts.vault_starts += 1;
        if let Err(why) = self.truth.found(disk, extent) {
            self.fail("durable log", why);
        }
        if epoch < self.epoch {
            let newest = self.epoch;
            self.fail("epochs", format!("the vault has forgotten epoch {newest}, it knows only {epoch}"));
        }
        // It may have been granted a moment before the crash, and told to nobody.
        self.epoch = self.epoch.max(epoch);
    }

    /// The vault says that these are durable.
    pub(crate) fn committed<'a>(&mut self, frames: impl Iterator<Item = &'a LogFrame>) {
        for frame in frames {
            if let Err(why) = self.truth.committed(frame) {
                self.fail("durable log", why);
            }
        }
    }

    /// The vault tells the holder of `epoch` that its record `lsn` is durable.
    pub(crate) fn acknowledged(&mut self, epoch: Epoch, lsn: Lsn) {
        match self.truth.epoch_of(lsn) {
            Some(of) if of == epoch => {}
            of => self.fail("acknowledged", format!("record {lsn} as one of epoch {epoch}, but it is of {of:?}")),
        }
    }

    /// A node has applied a batch: it must be what is in the log.
    pub(crate) fn applied(&mut self, batch: &BatchView<'_>) {
        if let Err(why) = self.truth.applied(batch) {
            self.fail("durable log", why);
        }
    }

    /// A reply or a message has left that depends on everything up to `lsn`.
    pub(crate) fn released(&mut self, lsn: Lsn) {
        let durable = self.truth.durable();
        if lsn > durable {
            self.fail("replies", format!("what left depends on record {lsn}, durable is only {durable}"));
        }
    }

    /// An image was stored.
    pub(crate) fn published(&mut self, cut: Lsn) {
        self.counts.images += 1;
        let durable = self.truth.durable();
        if cut > durable {
            self.fail("images", format!("an image up to {cut} was stored, durable is only {durable}"));
        }
    }

    // --- Epochs and holders

    /// A change of the lease is durable and told.
    pub(crate) fn granted(&mut self, epoch: u64, sealed: Lsn) {
        if epoch < self.epoch || epoch > self.epoch + 1 {
            let before = self.epoch;
            self.fail("epochs", format!("epoch {epoch} was granted after {before}, from {sealed} on"));
        }
        self.epoch = self.epoch.max(epoch);
    }

    /// The vault tells everyone that the cluster has this feature level, or finds it in what it remembers. It never goes back.
    pub(crate) fn level_told(&mut self, level: u16) {
        if level < self.level {
            let before = self.level;
            self.fail("levels", format!("the vault says feature level {level} after {before}"));
        }
        if level > self.level && level > 1 {
            self.counts.levels += 1;
        }
        self.level = level;
    }

    /// The vault has accepted records of this epoch.
    pub(crate) fn accepted(&mut self, epoch: Epoch) {
        if epoch.0 != self.epoch {
            let newest = self.epoch;
            self.fail("epochs", format!("records of epoch {epoch} were accepted when the newest was {newest}"));
        }
    }

    /// A node has found that it may execute.
    pub(crate) fn entered(&mut self, node: usize) {
        self.entered.push(node);
    }

    /// A command holds all shards of a node.
    pub(crate) fn held(&mut self) {
        self.counts.holds += 1;
    }

    pub(crate) fn took_over(&mut self) {
        self.counts.takeovers += 1;
    }

    pub(crate) fn switchover_ended(&mut self, well: bool) {
        self.counts.switchovers += u64::from(well);
    }

    // --- Content

    /// The hash of a node's pages at a position: all nodes must have the same there.
    pub(crate) fn digest(&mut self, epoch: Epoch, (at, hash): (Lsn, u128), whose: &str) {
        match self.digests.insert((epoch, at), hash) {
            None => {}
            Some(other) if other == hash => self.counts.compared += 1,
            Some(_) => {
                self.fail("equal pages", format!("{whose} differs from another at record {at} of epoch {epoch}"))
            }
        }
    }

    /// A command was executed, and its reply depends on the record `lsn`.
    pub(crate) fn executed(&mut self, command: u64, unix: UnixMillis, lsn: Lsn) {
        self.known.executed.insert(command, unix);
        self.depends.insert(command, lsn);
    }

    /// The record that the reply to a command depends on.
    pub(crate) fn depends_on(&self, command: u64) -> Lsn {
        self.depends.get(&command).copied().unwrap_or_default()
    }

    /// A standby that has applied the log up to `last` reads for a client that has seen what `seen` has changed.
    pub(crate) fn read_here(&mut self, command: u64, last: Lsn, seen: Lsn) {
        self.counts.standby_reads += 1;
        self.known.read_here.insert(command);
        if last < seen {
            self.fail("monotonic reads", format!("a standby reads at record {last} for a client that has seen {seen}"));
        }
    }

    /// A client has heard a message of others.
    pub(crate) fn heard(&mut self, text: &str, now: Time) {
        self.counts.messages += 1;
        self.known.heard.entry(text.to_owned()).or_insert(now);
    }

    /// The wall clocks show this.
    pub(crate) fn wall(&mut self, now: Time, unix: UnixMillis) {
        crate::workload::note_latest(&mut self.known, now, unix);
    }
}
