//! The redo queue: records that were appended on this node and that the shipper has not taken yet.
//!
//! Its short lock defines the one global order of the log: a record gets its position while the locks of all shards that it
//! touches are held, so the order of the log is a serial order of the commands.

use std::collections::VecDeque;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::batch::RedoBatch;
use crate::ids::{Epoch, Lsn};
use crate::limits::{REDO_QUEUE_BYTES_MAX, REDO_RUN_BYTES};

/// Appended records in order, cut into runs that become batches without another copy.
pub struct RedoQueue {
    state: Mutex<QueueState>,
    /// Copy of `State::last`, for readers without the lock.
    last: AtomicU64,
    /// Copy of `State::bytes`, for readers without the lock.
    bytes: AtomicU64,
    bytes_max: u64,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

struct QueueState {
    epoch: Epoch,
    last: Lsn,
    runs: VecDeque<RedoBatch>,
    bytes: u64,
}

/// Where a record went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appended {
    pub(crate) lsn: Lsn,
    /// The queue was empty: [`RedoQueue::wake`] is due once no shard lock is held.
    pub(crate) first: bool,
}

impl RedoQueue {
    /// A queue whose next record comes right after `last`.
    pub(crate) fn new(epoch: Epoch, last: Lsn) -> RedoQueue {
        RedoQueue::with_bytes_max(epoch, last, REDO_QUEUE_BYTES_MAX)
    }

    pub(crate) fn with_bytes_max(epoch: Epoch, last: Lsn, bytes_max: u64) -> RedoQueue {
        RedoQueue {
            state: Mutex::new(QueueState { epoch, last, runs: VecDeque::new(), bytes: 0 }),
            last: AtomicU64::new(last.0),
            bytes: AtomicU64::new(0),
            bytes_max,
            wake: OnceLock::new(),
        }
    }

    /// Takes records from the front as one batch: as many of one run as fit into `max_bytes` of records, but at least
    /// one. `None` when there is none: only then does the next record wake the consumer, who therefore takes until `None`.
    pub fn take(&self, max_bytes: usize) -> Option<RedoBatch> {
        let mut state = self.state.lock();
        let run = state.runs.front_mut()?;
        let batch = if run.blob.len() <= max_bytes || run.ends.len() == 1 {
            state.runs.pop_front()?
        } else {
            split_front(run, max_bytes)
        };
        state.bytes -= batch.blob.len() as u64;
        self.bytes.store(state.bytes, Ordering::Relaxed);
        Some(batch)
    }

    /// Bytes of records not yet taken.
    #[must_use]
    pub fn queued_bytes(&self) -> u64 {
        // Relaxed: a bound that may be seen a moment late; it orders nothing.
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether a session may execute a write. One record may overshoot the bound, so no record is too large to ever
    /// fit.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.queued_bytes() < self.bytes_max
    }

    /// Names what [`RedoQueue::wake`] calls: when a record has arrived at the empty queue, on the thread that appended it,
    /// after all locks were released. It must neither block nor take long. It may be called once too often.
    ///
    /// # Panics
    /// If named twice: a process has one shipper for its life.
    pub fn on_append(&self, wake: Box<dyn Fn() + Send + Sync>) {
        assert!(self.wake.set(wake).is_ok(), "a redo queue has one consumer");
    }

    /// Newest record appended or applied.
    pub(crate) fn last(&self) -> Lsn {
        // Acquire pairs with the stores below: whoever sees a position sees its record applied once it holds the locks.
        Lsn(self.last.load(Ordering::Acquire))
    }

    /// Epoch under which records are appended; of the newest epoch-start record when following.
    pub(crate) fn epoch(&self) -> Epoch {
        self.state.lock().epoch
    }

    /// Assigns the next position to `record`. The caller holds the locks of all shards that it touches. A large record is taken
    /// over without a copy and leaves `record` empty.
    pub(crate) fn append(&self, record: &mut Vec<u8>) -> Appended {
        let mut state = self.state.lock();
        let first = state.runs.is_empty();
        let lsn = state.push(record);
        self.last.store(lsn.0, Ordering::Release);
        self.bytes.store(state.bytes, Ordering::Relaxed);
        Appended { lsn, first }
    }

    /// Wakes the consumer. The caller must not hold any lock.
    pub fn wake(&self) {
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }

    /// From now on records carry `epoch`.
    ///
    /// # Panics
    /// If the epoch would go back.
    pub(crate) fn set_epoch(&self, epoch: Epoch) {
        let mut state = self.state.lock();
        assert!(epoch >= state.epoch, "an epoch never goes back: {} after {}", epoch, state.epoch);
        state.epoch = epoch;
    }

    /// Notes that the record at `lsn`, made elsewhere, was applied here.
    ///
    /// # Panics
    /// If records of our own wait here: a node that follows has none.
    pub(crate) fn applied(&self, lsn: Lsn) {
        let mut state = self.state.lock();
        assert!(state.runs.is_empty(), "a follower has no records of its own");
        assert_eq!(lsn, state.last.next(), "records are applied without a gap");
        state.last = lsn;
        self.last.store(lsn.0, Ordering::Release);
    }
}

impl QueueState {
    fn push(&mut self, record: &mut Vec<u8>) -> Lsn {
        self.last = self.last.next();
        self.bytes += record.len() as u64;
        let len = u32::try_from(record.len()).expect("a record is smaller than RECORD_BYTES_MAX");
        let (epoch, first_lsn) = (self.epoch.0, self.last.0);
        if record.len() >= REDO_RUN_BYTES {
            let blob = std::mem::take(record);
            self.runs.push_back(RedoBatch { epoch, first_lsn, ends: vec![len], blob });
            return self.last;
        }
        match self.runs.back_mut() {
            Some(run) if run.epoch == epoch && run.blob.len() + record.len() <= REDO_RUN_BYTES => {
                run.blob.extend_from_slice(record);
                run.ends.push(run.blob.len() as u32);
            }
            _ => {
                let mut blob = Vec::with_capacity(record.len().max(4096));
                blob.extend_from_slice(record);
                self.runs.push_back(RedoBatch { epoch, first_lsn, ends: vec![len], blob });
            }
        }
        self.last
    }
}

/// Cuts the records that fit into `max_bytes`, at least one, off the front of `run`, which keeps at least one.
fn split_front(run: &mut RedoBatch, max_bytes: usize) -> RedoBatch {
    let fitting = run.ends.partition_point(|end| *end as usize <= max_bytes);
    let count = fitting.clamp(1, run.ends.len() - 1);
    let bytes = run.ends[count - 1] as usize;
    let later_ends = run.ends.split_off(count).into_iter().map(|end| end - bytes as u32).collect();
    let later_blob = run.blob.split_off(bytes);
    let later =
        RedoBatch { epoch: run.epoch, first_lsn: run.first_lsn + count as u64, ends: later_ends, blob: later_blob };
    std::mem::replace(run, later)
}

impl fmt::Debug for RedoQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedoQueue").field("last", &self.last()).field("queued_bytes", &self.queued_bytes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn queue() -> RedoQueue {
        RedoQueue::with_bytes_max(Epoch(2), Lsn(10), 100)
    }

    #[test]
    fn records_get_consecutive_positions_and_leave_in_order() {
        let queue = queue();
        for (i, text) in [&b"a"[..], b"bb", b"ccc"].iter().enumerate() {
            assert_eq!(queue.append(&mut text.to_vec()).lsn, Lsn(11 + i as u64));
        }
        assert_eq!((queue.last(), queue.queued_bytes()), (Lsn(13), 6));
        let batch = queue.take(usize::MAX).unwrap();
        assert_eq!(batch, RedoBatch { epoch: 2, first_lsn: 11, ends: vec![1, 3, 6], blob: b"abbccc".to_vec() });
        assert_eq!((queue.take(usize::MAX), queue.queued_bytes()), (None, 0));
    }

    #[test]
    fn a_batch_is_cut_to_size_but_never_empty() {
        let queue = queue();
        for text in [&b"aaaa"[..], b"bb", b"cc", b"dddd"] {
            queue.append(&mut text.to_vec());
        }
        let taken: Vec<_> = std::iter::from_fn(|| queue.take(4)).map(|b| (b.first_lsn, b.ends, b.blob)).collect();
        let expected =
            [(11, vec![4], b"aaaa".to_vec()), (12, vec![2, 4], b"bbcc".to_vec()), (14, vec![4], b"dddd".to_vec())];
        assert_eq!(taken, expected);
        queue.append(&mut b"eeee".to_vec());
        queue.append(&mut b"f".to_vec());
        assert_eq!(queue.take(1).unwrap().blob, b"eeee", "one record may exceed what was asked for");
        assert_eq!(queue.take(1).unwrap().first_lsn, 16);
    }

    #[test]
    fn a_large_record_moves_without_a_copy() {
        let queue = queue();
        queue.append(&mut b"small".to_vec());
        let mut large = vec![7; REDO_RUN_BYTES];
        let address = large.as_ptr();
        queue.append(&mut large);
        assert!(large.is_empty());
        queue.append(&mut b"after".to_vec());
        assert!(!queue.has_room(), "a single record may exceed the bound");
        assert_eq!(queue.take(usize::MAX).unwrap().blob, b"small");
        assert_eq!(queue.take(usize::MAX).unwrap().blob.as_ptr(), address);
        assert_eq!(queue.take(usize::MAX).unwrap().first_lsn, 13);
        assert!(queue.has_room());
    }

    #[test]
    fn a_batch_has_one_epoch() {
        let queue = queue();
        queue.append(&mut b"a".to_vec());
        queue.set_epoch(Epoch(3));
        queue.append(&mut b"b".to_vec());
        let epochs: Vec<_> = std::iter::from_fn(|| queue.take(100)).map(|b| (b.epoch, b.first_lsn)).collect();
        assert_eq!(epochs, [(2, 11), (3, 12)]);
    }

    #[test]
    fn only_the_first_record_wakes() {
        let queue = queue();
        let woken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&woken);
        queue.on_append(Box::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        let firsts: Vec<bool> = (0..3).map(|_| queue.append(&mut b"x".to_vec()).first).collect();
        assert_eq!(firsts, [true, false, false]);
        queue.wake();
        assert_eq!(woken.load(Ordering::Relaxed), 1);
    }
}
