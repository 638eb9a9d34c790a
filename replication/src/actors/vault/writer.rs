//! The log writer: one named thread that owns the log and makes groups of frames durable (group commit).
//!
//! All frames that wait when a sync ends form the next group, so a single frame does not wait and many share one sync. The
//! durable position is published in a [`LogState`] that anyone may watch; nothing is sent back for a frame. Barriers, leases and
//! trims go through the same queue: when one is done, everything accepted before it is on disk or refused.
//!
//! [`LogWriter`] decides what to do with each of them. The thread ends when that has failed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tanist_db_core::ids::Lsn;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::health::Health;
use crate::limits;
use crate::vault::StorageError;
use crate::vault::catalog::{LeaseRecord, Records};
use crate::vault::log::Log;
use crate::vault::log::recent::Recent;
use crate::vault::log::segment::LogFrame;
use crate::vault::log::turn::{Done, LogOrder, Turn};
use crate::vault::log::writer::{LogState, LogWriter};

/// Idle time after which the durable mark is synced.
const IDLE: Duration = Duration::from_millis(200);
/// The unit in which waiting frames are counted: the smallest frame takes one.
const ROOM_UNIT_BYTES: usize = limits::LOG_QUEUE_BYTES_MAX / limits::LOG_QUEUE_FRAMES_MAX;
/// Items that need no room: one change of the lease at a time, and the stop.
const ORDERS_MAX: usize = 2;

/// Leave to put a frame into the queue.
#[derive(Debug)]
pub(super) struct QueuePermit {
    _permit: OwnedSemaphorePermit,
}

/// The writer has ended.
#[derive(Debug)]
pub(super) struct Gone;

enum Item {
    Frame(LogFrame, QueuePermit),
    /// An order, with its room if it is one that needs it.
    Order(WriterOrder, Option<QueuePermit>),
    Stop(oneshot::Sender<()>),
}

type WriterOrder = LogOrder<oneshot::Sender<LogState>, oneshot::Sender<Lsn>>;
type WriterTurn = Turn<oneshot::Sender<LogState>, oneshot::Sender<Lsn>>;

/// The way to the writer. Clones lead to the same one.
#[derive(Clone, Debug)]
pub(super) struct LogHandle {
    items: SyncSender<Item>,
    room: Arc<Semaphore>,
    state: watch::Receiver<LogState>,
    recent: Arc<Mutex<Recent>>,
}

impl LogHandle {
    /// Starts the thread.
    pub(super) fn start(log: Log, records: Records, health: Arc<Health>) -> std::io::Result<Self> {
        let (items, queue) = sync_channel(limits::LOG_QUEUE_FRAMES_MAX + ORDERS_MAX);
        let log = LogWriter::new(log, records);
        let (told, state) = watch::channel(log.state().clone());
        let recent = Arc::clone(log.recent());
        let writer = Writer { log, queue, told, health, rooms: Vec::new() };
        thread::Builder::new().name("vault-log".to_owned()).spawn(move || writer.run())?;
        Ok(Self { items, room: Arc::new(Semaphore::new(limits::LOG_QUEUE_FRAMES_MAX)), state, recent })
    }

    /// Waits until the queue has room for a frame of `bytes`. A frame longer than the whole queue waits until it is empty.
    pub(super) async fn room(&self, bytes: usize) -> Result<QueuePermit, Gone> {
        let units = bytes.div_ceil(ROOM_UNIT_BYTES).clamp(1, limits::LOG_QUEUE_FRAMES_MAX);
        let units = u32::try_from(units).expect("the queue's limit is small");
        let permit = Arc::clone(&self.room).acquire_many_owned(units).await;
        permit.map(|permit| QueuePermit { _permit: permit }).map_err(|_| Gone)
    }

    /// Puts a frame into the queue: the lease authority has ruled that it follows the one before.
    pub(super) fn write(&self, frame: LogFrame, room: QueuePermit) -> Result<(), Gone> {
        self.put(Item::Frame(frame, room))
    }

    /// The state when everything put in before is on disk or refused.
    pub(super) async fn barrier(&self) -> Result<LogState, Gone> {
        let (done, wait) = oneshot::channel();
        let room = self.room(1).await?;
        self.put(Item::Order(LogOrder::Barrier(done), Some(room)))?;
        wait.await.map_err(|_| Gone)
    }

    /// Stores the lease durably, after everything queued before. Returns the log's end. One at a time.
    pub(super) fn put_lease(&self, record: LeaseRecord, seal: bool) -> Result<oneshot::Receiver<Lsn>, Gone> {
        let (done, wait) = oneshot::channel();
        self.put(Item::Order(LogOrder::Lease { record, seal, way: done }, None))?;
        Ok(wait)
    }

    /// Removes segments that contain nothing newer than `through`, some time later.
    pub(super) async fn trim(&self, through: Lsn) -> Result<(), Gone> {
        let room = self.room(1).await?;
        self.put(Item::Order(LogOrder::Trim(through), Some(room)))
    }

    /// Writes what is queued, makes everything durable, and ends the thread.
    pub(super) async fn stop(&self) {
        let (done, wait) = oneshot::channel();
        if self.put(Item::Stop(done)).is_ok() {
            let _ = wait.await;
        }
    }

    /// The state, and its changes.
    pub(super) fn watch(&self) -> watch::Receiver<LogState> {
        self.state.clone()
    }

    /// The state now.
    pub(super) fn state(&self) -> LogState {
        self.state.borrow().clone()
    }

    /// The newest durable frames.
    pub(super) fn recent(&self) -> &Mutex<Recent> {
        &self.recent
    }

    /// What is put in has room, is the one change of the lease, or the stop: the queue is never full.
    fn put(&self, item: Item) -> Result<(), Gone> {
        self.items.try_send(item).map_err(|error| match error {
            TrySendError::Disconnected(_) => Gone,
            TrySendError::Full(_) => unreachable!("room is given out before an item is put in"),
        })
    }
}

struct Writer {
    log: LogWriter,
    queue: Receiver<Item>,
    told: watch::Sender<LogState>,
    health: Arc<Health>,
    /// Room of what the turn is about, given back when its frames are durable.
    rooms: Vec<QueuePermit>,
}

impl Writer {
    fn run(mut self) {
        // What has failed stands in the state.
        if self.work().is_err() {
            self.tell();
        }
    }

    /// Works until it is told to stop, or nobody is left to send anything.
    fn work(&mut self) -> Result<(), StorageError> {
        while let Some(item) = self.wait()? {
            let (turn, stop) = self.gather(item);
            let (frames, order) = turn.into_parts();
            self.commit(frames)?;
            self.rooms.clear();
            if let Some(order) = order {
                self.obey(order)?;
            }
            if let Some(done) = stop {
                self.log.close()?;
                let _ = done.send(());
                return Ok(());
            }
        }
        Ok(())
    }

    /// The next item; `None` when nobody is left to send one.
    fn wait(&mut self) -> Result<Option<Item>, StorageError> {
        loop {
            match self.queue.recv_timeout(IDLE) {
                Ok(item) => return Ok(Some(item)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => self.log.settle()?,
            }
        }
    }

    /// Takes what is queued into a turn, up to its limit or to the stop.
    fn gather(&mut self, first: Item) -> (WriterTurn, Option<oneshot::Sender<()>>) {
        let mut turn = Turn::default();
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Item::Stop(done) => return (turn, Some(done)),
                Item::Frame(frame, room) => {
                    turn.frame(frame);
                    self.rooms.push(room);
                }
                Item::Order(order, room) => {
                    turn.order(order);
                    self.rooms.extend(room);
                }
            }
            next = if turn.is_full() { None } else { self.queue.try_recv().ok() };
        }
        (turn, None)
    }

    /// Makes a group durable, and tells so.
    fn commit(&mut self, frames: Vec<LogFrame>) -> Result<(), StorageError> {
        if !frames.is_empty() {
            let refused = self.log.state().refused;
            self.log.commit(frames)?;
            let state = self.log.state();
            self.health.committed(state.refused - refused, &state.refused_why);
            self.tell();
        }
        Ok(())
    }

    fn obey(&mut self, order: WriterOrder) -> Result<(), StorageError> {
        // Whoever has asked may be gone.
        match self.log.obey(order)? {
            Done::Barrier(way, state) => drop(way.send(state)),
            Done::Lease(way, end) => drop(way.send(end)),
            Done::Trimmed => self.tell(),
        }
        Ok(())
    }

    fn tell(&self) {
        self.told.send_replace(self.log.state().clone());
    }
}
