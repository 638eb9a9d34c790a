//! The log writer: one named thread that owns the log and makes groups of frames durable.
//!
//! Whatever waits when a sync ends forms the next group, so a lone frame waits for nothing and many share one sync. What the
//! writer has achieved stands in a [`LogState`] that anyone may watch; nothing is sent back for a frame. Barriers, leases
//! and trims take their turn in the same queue: whatever was accepted before them is on disk, or refused, when they are done.
//!
//! What it does with each of them is [`LogWriter`]'s matter. It ends when that has failed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
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
use crate::vault::log_writer::{LogState, LogWriter};
use crate::vault::recent::Recent;
use crate::vault::segment::LogFrame;

/// Silence after which the mark is made durable.
const IDLE: Duration = Duration::from_millis(200);
/// The unit in which waiting frames are counted: the smallest frame takes one.
const ROOM_UNIT_BYTES: usize = limits::LOG_QUEUE_BYTES_MAX / limits::LOG_QUEUE_FRAMES_MAX;
/// Items that need no room: one change of the lease at a time, and the stop.
const ORDERS_MAX: usize = 2;

/// Leave to put a frame into the queue.
#[derive(Debug)]
pub(super) struct Room {
    _permit: OwnedSemaphorePermit,
}

/// The writer has ended.
#[derive(Debug)]
pub(super) struct Gone;

enum Item {
    Frame(LogFrame, Room),
    Order(Order),
}

enum Order {
    Barrier { done: oneshot::Sender<LogState>, _room: Room },
    Lease { record: LeaseRecord, seal: bool, done: oneshot::Sender<Lsn> },
    Trim { through: Lsn, _room: Room },
    Stop(oneshot::Sender<()>),
}

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
        let writer = Writer { log, queue, told, health, group: Vec::new() };
        thread::Builder::new().name("vault-log".to_owned()).spawn(move || writer.run())?;
        Ok(Self { items, room: Arc::new(Semaphore::new(limits::LOG_QUEUE_FRAMES_MAX)), state, recent })
    }

    /// Waits until the queue has room for a frame of `bytes`. A frame longer than the whole queue waits until it is empty.
    pub(super) async fn room(&self, bytes: usize) -> Result<Room, Gone> {
        let units = bytes.div_ceil(ROOM_UNIT_BYTES).clamp(1, limits::LOG_QUEUE_FRAMES_MAX);
        let units = u32::try_from(units).expect("the queue's limit is small");
        let permit = Arc::clone(&self.room).acquire_many_owned(units).await;
        permit.map(|permit| Room { _permit: permit }).map_err(|_| Gone)
    }

    /// Puts a frame into the queue: the lease authority has ruled that it follows the one before.
    pub(super) fn write(&self, frame: LogFrame, room: Room) -> Result<(), Gone> {
        self.put(Item::Frame(frame, room))
    }

    /// The state when everything put in before is on disk or refused.
    pub(super) async fn barrier(&self) -> Result<LogState, Gone> {
        let (done, wait) = oneshot::channel();
        let room = self.room(1).await?;
        self.put(Item::Order(Order::Barrier { done, _room: room }))?;
        wait.await.map_err(|_| Gone)
    }

    /// Remembers the lease, durably, behind everything put in before. Gives the log's end. One at a time.
    pub(super) fn put_lease(&self, record: LeaseRecord, seal: bool) -> Result<oneshot::Receiver<Lsn>, Gone> {
        let (done, wait) = oneshot::channel();
        self.put(Item::Order(Order::Lease { record, seal, done }))?;
        Ok(wait)
    }

    /// Removes segments that hold nothing newer than `through`, some time later.
    pub(super) async fn trim(&self, through: Lsn) -> Result<(), Gone> {
        let room = self.room(1).await?;
        self.put(Item::Order(Order::Trim { through, _room: room }))
    }

    /// Writes what is queued, makes everything durable, and ends the thread.
    pub(super) async fn stop(&self) {
        let (done, wait) = oneshot::channel();
        if self.put(Item::Order(Order::Stop(done))).is_ok() {
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
    /// Frames of the group that forms; their room is given back when they are written.
    group: Vec<(LogFrame, Room)>,
}

/// Why the thread ends.
enum End {
    Stopped,
    Failed,
}

impl From<StorageError> for End {
    fn from(_: StorageError) -> Self {
        Self::Failed
    }
}

impl Writer {
    fn run(mut self) {
        // What has failed stands in the state.
        if let Err(End::Failed) = self.work() {
            self.tell();
        }
    }

    fn work(&mut self) -> Result<(), End> {
        loop {
            let Some(item) = self.wait()? else { return Ok(()) };
            let order = self.gather(item);
            self.commit()?;
            if let Some(order) = order {
                self.obey(order)?;
            }
        }
    }

    /// The next item; `None` when nobody is left to send one.
    fn wait(&mut self) -> Result<Option<Item>, End> {
        loop {
            match self.queue.recv_timeout(IDLE) {
                Ok(item) => return Ok(Some(item)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => self.log.settle()?,
            }
        }
    }

    /// Takes what is queued into the group, up to its limit or the next order, which is given back.
    fn gather(&mut self, first: Item) -> Option<Order> {
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Item::Order(order) => return Some(order),
                Item::Frame(frame, room) => {
                    bytes += frame.bytes().len();
                    self.group.push((frame, room));
                }
            }
            next = match self.queue.try_recv() {
                Ok(item) if bytes < limits::GROUP_BYTES_MAX => Some(item),
                // One more than fits is taken all the same: it cannot be put back.
                Ok(Item::Frame(frame, room)) => {
                    self.group.push((frame, room));
                    None
                }
                Ok(Item::Order(order)) => return Some(order),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
            };
        }
        None
    }

    /// Makes the group durable, tells so, and gives the room back.
    fn commit(&mut self) -> Result<(), End> {
        let (frames, rooms): (Vec<_>, Vec<_>) = std::mem::take(&mut self.group).into_iter().unzip();
        if !frames.is_empty() {
            let refused = self.log.state().refused;
            self.log.commit(frames)?;
            let state = self.log.state();
            self.health.committed(state.refused - refused, &state.refused_why);
            self.tell();
        }
        drop(rooms);
        Ok(())
    }

    fn tell(&self) {
        self.told.send_replace(self.log.state().clone());
    }

    fn obey(&mut self, order: Order) -> Result<(), End> {
        match order {
            Order::Barrier { done, _room } => drop(done.send(self.log.state().clone())),
            Order::Lease { record, seal, done } => drop(done.send(self.log.put_lease(record, seal)?)),
            Order::Trim { through, _room } => {
                self.log.trim(through);
                self.tell();
            }
            Order::Stop(done) => {
                self.log.close()?;
                let _ = done.send(());
                return Err(End::Stopped);
            }
        }
        Ok(())
    }
}
