//! Finds the log position that a read depends on: which record last wrote the keys that a reply may show. The reply gate waits
//! for it.
//!
//! A shard keeps, for each of a fixed number of slots, the newest record that wrote a key of that slot. A reader's reply may be
//! sent when that record is durable. If two keys share a slot, a reader may wait for a write that it did not see: a delay, never
//! an error.

use crate::ids::Lsn;
use crate::limits::DIRTY_SLOTS;

#[derive(Debug)]
pub(crate) struct Dirty {
    slots: Box<[Lsn]>,
    /// Newest record that wrote anything in the shard.
    newest: Lsn,
    /// Newest record that wrote every key of the shard.
    all: Lsn,
}

impl Dirty {
    /// That of a shard with all records up to `cut`, of which nothing else is known: whatever is read depends on all of them.
    pub(crate) fn new(cut: Lsn) -> Dirty {
        Dirty { slots: vec![Lsn::ZERO; DIRTY_SLOTS].into(), newest: cut, all: cut }
    }

    /// The same of a frozen version, which nobody writes.
    pub(crate) fn of_frozen(cut: Lsn) -> Dirty {
        Dirty { slots: Box::default(), newest: cut, all: cut }
    }

    /// Newest record that may have written the key of `hash`.
    pub(crate) fn of(&self, hash: u64) -> Lsn {
        self.slots.get(slot(hash)).map_or(self.all, |slot| self.all.max(*slot))
    }

    /// Newest record that wrote anything in the shard.
    pub(crate) fn newest(&self) -> Lsn {
        self.newest
    }

    /// The record at `lsn`, newer than any noted before, wrote the key of `hash`.
    pub(crate) fn wrote(&mut self, hash: u64, lsn: Lsn) {
        self.slots[slot(hash)] = lsn;
        self.newest = lsn;
    }

    /// The record at `lsn`, newer than any noted before, wrote every key.
    pub(crate) fn wrote_all(&mut self, lsn: Lsn) {
        self.newest = lsn;
        self.all = lsn;
    }
}

/// The middle bits: the low ones choose the shard, the high ones the place in its index.
fn slot(hash: u64) -> usize {
    (hash >> 20) as usize & (DIRTY_SLOTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_knows_its_newest_record() {
        let mut dirty = Dirty::new(Lsn::ZERO);
        let (here, elsewhere) = (5 << 20, 6 << 20);
        assert_eq!((dirty.of(here), dirty.newest()), (Lsn::ZERO, Lsn::ZERO));
        dirty.wrote(here, Lsn(3));
        assert_eq!((dirty.of(here), dirty.of(elsewhere), dirty.newest()), (Lsn(3), Lsn::ZERO, Lsn(3)));
        dirty.wrote_all(Lsn(4));
        assert_eq!((dirty.of(here), dirty.of(elsewhere), dirty.newest()), (Lsn(4), Lsn(4), Lsn(4)));
        dirty.wrote(elsewhere, Lsn(5));
        assert_eq!((dirty.of(here), dirty.of(elsewhere), dirty.newest()), (Lsn(4), Lsn(5), Lsn(5)));
        let dirty = Dirty::of_frozen(Lsn(7));
        assert_eq!((dirty.of(here), dirty.newest()), (Lsn(7), Lsn(7)));
    }
}
