//! The log writer: one named thread that owns the log and makes groups of frames durable.
//!
//! Whatever waits when a sync ends forms the next group, so a lone frame waits for nothing and many share one sync. What the
//! writer has achieved stands in a [`LogState`] that anyone may watch; nothing is sent back for a frame. Barriers, leases
//! and trims take their turn in the same queue: whatever was accepted before them is on disk, or refused, when they are done.
//!
//! It fails by saying so in its state, once, and ending: after a failed write or sync nothing is known about the disk. A full
//! disk only refuses the group.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tanist_db_core::ids::{Epoch, Lsn};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::limits;
use crate::vault::StorageError;
use crate::vault::catalog::{LeaseRecord, Records};
use crate::vault::log::{Extent, Log};
use crate::vault::recent::Recent;
use crate::vault::segment::LogFrame;

/// Silence after which the mark is made durable.
const IDLE: Duration = Duration::from_millis(200);
/// Groups after which it is made durable although there is no silence: some tenths of a second under full load.
const GROUPS_PER_SETTLE: u32 = 1024;
/// The unit in which waiting frames are counted: the smallest frame takes one.
const ROOM_UNIT_BYTES: usize = limits::LOG_QUEUE_BYTES_MAX / limits::LOG_QUEUE_FRAMES_MAX;
/// Items that need no room: one change of the lease at a time, and the stop.
const ORDERS_MAX: usize = 2;

/// What the log writer has achieved.
#[derive(Clone, Debug, Default)]
pub(super) struct LogState {
    pub(super) extent: Extent,
    /// Frames that were refused, counted from the start: whoever sees the number rise must not rely on what it had sent.
    pub(super) refused: u64,
    /// Why the newest of them was.
    pub(super) refused_why: Arc<str>,
    /// Nothing will ever be written again: the process must end.
    pub(super) failed: Option<Arc<str>>,
}

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
    pub(super) fn start(log: Log, records: Records) -> std::io::Result<Self> {
        let (items, queue) = sync_channel(limits::LOG_QUEUE_FRAMES_MAX + ORDERS_MAX);
        let first = LogState { extent: log.extent(), ..LogState::default() };
        let (told, state) = watch::channel(first.clone());
        let recent = Arc::new(Mutex::new(Recent::new(limits::RECENT_BYTES)));
        let writer = Writer {
            log,
            records,
            queue,
            told,
            state: first,
            recent: Arc::clone(&recent),
            group: Vec::new(),
            unsettled: 0,
        };
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

    /// Puts a frame into the queue: the keeper has ruled that it follows the one before.
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

    /// Frames after `after` from memory; `None` if memory does not reach back so far.
    pub(super) fn recent(&self, after: Lsn) -> Option<Vec<LogFrame>> {
        self.recent.lock().after(after, limits::LOG_READ_BYTES)
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
    log: Log,
    records: Records,
    queue: Receiver<Item>,
    told: watch::Sender<LogState>,
    state: LogState,
    recent: Arc<Mutex<Recent>>,
    /// Frames of the group that forms; their room is given back when they are written.
    group: Vec<(LogFrame, Room)>,
    /// Groups since the mark was last made durable.
    unsettled: u32,
}

/// Why the thread ends.
enum End {
    Stopped,
    Failed(StorageError),
}

impl From<StorageError> for End {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}

impl Writer {
    fn run(mut self) {
        let Err(end) = self.work() else { return };
        if let End::Failed(error) = end {
            self.state.failed = Some(error.to_string().into());
            self.told.send_replace(self.state.clone());
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
                Err(RecvTimeoutError::Timeout) if self.unsettled > 0 => self.settle()?,
                Err(RecvTimeoutError::Timeout) => {}
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
        let group = std::mem::take(&mut self.group);
        if group.is_empty() {
            return Ok(());
        }
        let came = group.len();
        let mut end = self.state.extent.durable;
        let (frames, rooms): (Vec<_>, Vec<_>) = group
            .into_iter()
            // A frame whose predecessor was refused is refused too.
            .filter(|(frame, _)| {
                let follows = frame.first == end.next();
                end = if follows { frame.last } else { end };
                follows
            })
            .unzip();
        self.refuse(came - frames.len(), None);
        match self.log.commit(&frames) {
            Ok(()) => self.recent.lock().push(&frames),
            Err(StorageError::Full { file }) => self.refuse(frames.len(), Some(StorageError::Full { file })),
            Err(error) => return Err(error.into()),
        }
        self.tell();
        drop(rooms);
        self.unsettled += 1;
        if self.unsettled >= GROUPS_PER_SETTLE {
            self.settle()?;
        }
        Ok(())
    }

    fn refuse(&mut self, frames: usize, why: Option<StorageError>) {
        self.state.refused += frames as u64;
        if let Some(why) = why {
            tracing::warn!(%why, frames, "records refused");
            self.state.refused_why = why.to_string().into();
        }
    }

    fn tell(&mut self) {
        self.state.extent = self.log.extent();
        self.told.send_replace(self.state.clone());
    }

    fn settle(&mut self) -> Result<(), End> {
        self.log.settle()?;
        self.unsettled = 0;
        Ok(())
    }

    fn obey(&mut self, order: Order) -> Result<(), End> {
        match order {
            Order::Barrier { done, _room } => drop(done.send(self.state.clone())),
            Order::Lease { record, seal, done } => self.put_lease(record, seal, done)?,
            Order::Trim { through, _room } => {
                // Segments that stay only take room: the next trim tries again.
                if let Err(error) = self.log.trim(through) {
                    tracing::warn!(%error, "could not remove an old log segment");
                }
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

    fn put_lease(&mut self, mut record: LeaseRecord, seal: bool, done: oneshot::Sender<Lsn>) -> Result<(), End> {
        let end = self.log.extent().durable;
        if seal {
            record.sealed = end.0;
        }
        self.records.put_lease(&record)?;
        self.log.stamp(Epoch(record.epoch))?;
        let _ = done.send(end);
        Ok(())
    }
}
