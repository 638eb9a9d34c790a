//! The load: one thread, one epoll, sockets that never block, requests made ahead.
//!
//! The generator shares the machine's cores with the server that it measures, so what it costs, the server lacks. Therefore
//! - requests are made before the clock starts and sent round and round;
//! - replies are not parsed: the length of what a batch is answered with is known ahead, or its lines are counted;
//! - a batch costs one `write`, one `read` and its share of an `epoll_wait`, as with `redis-benchmark`.
//!
//! A group of connections sends one kind of command at one pace. Groups with different loads run in one loop, with an
//! outcome each. At the *closed* pace a connection sends its next batch as soon as it has the reply to the last: that gives
//! the highest throughput. At the *open* pace batches are due at fixed times, whether or not the server keeps up, and
//! latency counts from the time at which a batch was due: a server that stands still for a second has a second of late
//! requests, not one slow one (no coordinated omission).

mod clock;
mod collections;
mod drive;
mod fill;
mod outcome;
mod requests;

pub(crate) use clock::{Clock, pause};
pub(crate) use collections::{CollectionCommand, Deed};
pub(crate) use drive::{Moment, Prepared, Timing};
pub(crate) use fill::{fill, send_all};
pub(crate) use outcome::{Outcome, SLICE_MICROS, Tally};
pub(crate) use requests::{Kind, key, push_command};

/// When a connection sends its next batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// As soon as it has the reply to the last.
    Closed,
    /// At fixed times: so many commands a second from the whole group.
    Open {
        /// Commands, not batches.
        per_second: f64,
    },
}

/// Connections with one load.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) kind: Kind,
    pub(crate) connections: usize,
    /// Commands a batch.
    pub(crate) pipeline: usize,
    /// Commands are about this many different keys.
    pub(crate) keys: u64,
    pub(crate) value_bytes: usize,
    pub(crate) pace: Pace,
}
