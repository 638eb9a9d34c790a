//! The planted bugs (see `tanist_db_core::planted`), each of which the oracles must find.

/// Their names, which say what is wrong.
pub const BUGS: [&str; 36] = [
    "reply before durable",
    "sync skipped",
    "directory sync skipped",
    "no epoch check on append",
    "epoch not persisted",
    "lease counted from the answer",
    "reads served after the lease",
    "a record replayed twice",
    "image and log tail off by one",
    "torn tail accepted",
    "untold records not written again",
    "half a transaction replayed",
    "held replies sent after fencing",
    "two holders after a hand-over",
    "records of others acknowledged",
    "image's name not synced",
    "lease forgotten at a restart",
    "length of a lease forgotten",
    "hold does not wait for what executes",
    "log trimmed beyond the image",
    "replies out of their order",
    "an executed write is called off",
    "a message passes the gate",
    "the lease's thread waits for a shard",
    "a replica frees by itself what was given up",
    "two structures share a slot",
    "a feature level raised before the standby knows it",
    "a node's feature level is not remembered",
    "a frozen read passes the gate",
    "a forwarded command is executed twice",
    "a held command is lost",
    "a standby reads data that are too old",
    "a standby reads behind its client's write",
    "a reply does not say what it depends on",
    "a forwarded read by an old primary",
    "a watch passes over a change",
];

/// The bug of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static str> {
    BUGS.into_iter().find(|bug| *bug == name)
}

/// How a planted bug was found.
#[cfg(feature = "planted-bugs")]
#[derive(Clone, Debug)]
pub struct Found {
    /// Seeds run, the one that has found it included.
    pub seeds: u64,
    /// What has found it.
    pub violation: crate::Violation,
}

/// Runs seeds from `from` on, at most `seeds_max`, until the bug is found.
///
/// # Panics
/// If the seed breaks a promise without the bug as well: then it has found something else.
#[cfg(feature = "planted-bugs")]
#[must_use]
pub fn hunt(bug: &'static str, from: u64, seeds_max: u64) -> Option<Found> {
    (0..seeds_max).find_map(|seed| {
        let outcome = crate::run(from + seed, crate::Options { print: false, bug: Some(bug) });
        let violation = outcome.violation?;
        let without = crate::run(from + seed, crate::Options::default()).violation;
        assert!(without.is_none(), "seed {} without any bug: {without:?}", from + seed);
        Some(Found { seeds: seed + 1, violation })
    })
}
