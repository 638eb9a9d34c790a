//! The vault's machine and process: replaces `actors::vault` and drives the same state machines.

mod appends;
mod control;
mod images;
mod pushes;
mod writer;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tanist_db_core::clock::{Clock, Monotonic};
use tanist_db_core::ids::Lsn;
use tanist_replication::vault::catalog::{CatalogMemory, Records};
use tanist_replication::vault::disk::Disk;
use tanist_replication::vault::disk::sim::DiskSim;
use tanist_replication::vault::images::ImageStore;
use tanist_replication::vault::lease::roster::ConnectionId;
use tanist_replication::vault::lease::server::LeaseServer;
use tanist_replication::vault::log::writer::LogWriter;
use tanist_replication::vault::{LeaseAuthority, Storage, StorageError};
use tanist_replication::wire::message::Answer;

use crate::clock::{MachineClock, Time};
use crate::env::Env;
use crate::event::Event;
use crate::fault::Rot;
use crate::net::{ConnId, Payload, Stream, Way};
use crate::release::{NEWEST, Release};
use control::Member;
use writer::Writing;

/// How often the vault looks whether the lease has run out, as its actor does.
const TICK: Duration = Duration::from_millis(10);
/// Idle time after which the durable mark is synced, as in its log writer.
const IDLE: Duration = Duration::from_millis(200);
/// Whose files these are.
pub(crate) const CLUSTER: u128 = 0x7a15;

/// What happens to the vault.
#[derive(Debug)]
pub(crate) enum VaultEvent {
    /// Its process starts.
    Start,
    /// It stands still no more.
    Resume,
    /// Something came over a connection.
    Arrived {
        /// Which.
        conn: ConnId,
        /// On which stream.
        stream: Stream,
        /// What.
        payload: Payload,
    },
    /// A connection has ended.
    Lost {
        /// Which.
        conn: ConnId,
    },
    /// A supervisor reports a death.
    Obituary {
        /// Of which node's process.
        node: usize,
        /// Which start of it.
        incarnation: u64,
    },
    /// To the process `life`.
    Own(u64, Own),
}

/// What the vault's process has put off.
#[derive(Debug)]
pub(crate) enum Own {
    /// A look at the lease.
    Tick,
    /// The log writer's turn is over.
    Written,
    /// It has been idle for a while.
    Idle(u64),
    /// An append stream hears that the lease has changed.
    Fence(ConnId, Stream),
    /// A follower may be pushed to again.
    Push(ConnId, Stream),
    /// The next chunk of a download.
    NextChunk(ConnId, Stream),
    /// An upload waits no longer for the log to reach its cut.
    CutLate(ConnId, Stream),
}

/// Where an answer to a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Control(ConnId, u64),
    Welcome(ConnId),
    Supervisor { node: usize, incarnation: u64 },
}

/// The vault's machine.
#[derive(Debug)]
pub(crate) struct VaultHost {
    pub(crate) clock: Arc<MachineClock>,
    pub(crate) disk: DiskSim,
    pub(crate) catalog: CatalogMemory,
    pub(crate) process: Option<Vault>,
    pub(crate) paused_until: Time,
    /// What has come while it stood still.
    backlog: VecDeque<VaultEvent>,
    /// The next start is interrupted by a power failure so many disk operations after it has begun.
    pub(crate) cut_recovery_after: Option<u64>,
    /// Damage to what is stored, taken back once the vault has refused it.
    pub(crate) rot: Option<Rot>,
    /// Every sync takes up to so many times its usual time.
    pub(crate) slow: u64,
    /// The disk is full until this is over.
    pub(crate) full: bool,
    lives: u64,
}

/// The vault's process.
#[derive(Debug)]
pub(crate) struct Vault {
    life: u64,
    clock: Arc<MachineClock>,
    disk: Arc<dyn Disk>,
    lease: LeaseServer<Reply>,
    images: ImageStore,
    writing: Writing,
    members: BTreeMap<ConnId, Member>,
    appends: BTreeMap<(ConnId, Stream), appends::Append>,
    pushes: BTreeMap<(ConnId, Stream), pushes::Push>,
    puts: BTreeMap<(ConnId, Stream), images::Put>,
    gets: BTreeMap<(ConnId, Stream), tanist_replication::vault::images::ImageReader>,
}

impl VaultHost {
    pub(crate) fn new(clock: Arc<MachineClock>, seed: u64) -> VaultHost {
        VaultHost {
            clock,
            disk: DiskSim::new(seed),
            catalog: CatalogMemory::default(),
            process: None,
            paused_until: Time(0),
            backlog: VecDeque::new(),
            cut_recovery_after: None,
            rot: None,
            slow: 1,
            full: false,
            lives: 0,
        }
    }

    pub(crate) fn on(&mut self, event: VaultEvent, env: &mut Env) {
        match event {
            VaultEvent::Resume => {
                for event in std::mem::take(&mut self.backlog) {
                    self.take(event, env);
                }
            }
            event if self.backlog.is_empty() => self.take(event, env),
            event => self.backlog.push_back(event),
        }
    }

    fn take(&mut self, event: VaultEvent, env: &mut Env) {
        if env.now < self.paused_until {
            if self.backlog.is_empty() {
                env.at(self.paused_until, Event::Vault(VaultEvent::Resume));
            }
            return self.backlog.push_back(event);
        }
        match (event, &mut self.process) {
            (VaultEvent::Start, None) => self.start(env),
            (VaultEvent::Own(life, _), Some(vault)) if vault.life != life => {}
            (VaultEvent::Start, Some(_)) | (_, None) => {}
            (event, Some(vault)) => vault.on(event, self.slow, env),
        }
        self.look_at_disk(env);
    }

    /// A power failure in the middle of an operation takes the machine down, a failed write or sync the process.
    fn look_at_disk(&mut self, env: &mut Env) {
        let Some(vault) = &self.process else { return };
        if self.disk.is_cut() {
            self.die(true, env);
        } else if let Some(why) = vault.writing.failed() {
            env.say(format_args!("vault: the disk has failed: {why}"));
            self.die(false, env);
        }
    }

    /// The process ends at once; with `power` everything that was not synced may be lost. A new one starts later.
    pub(crate) fn die(&mut self, power: bool, env: &mut Env) {
        env.say(format_args!("vault: {}", if power { "power cut" } else { "process dies" }));
        self.disk.stop();
        if self.process.take().is_some() {
            let (now, random, queue) = (env.now, &mut env.random, &mut env.queue);
            env.net.vault_died(now, random, queue);
        }
        if power {
            self.disk.restart();
            if let Some(rot) = self.rot.take() {
                rot.undo(&self.disk, &self.catalog);
            }
        } else {
            self.disk.restart_process();
        }
        self.disk.set_room(if self.full { 0 } else { u64::MAX });
        let long = if env.random.percent(50) { 20 } else { 400 };
        let wait = env.random.millis(2, long);
        env.after(wait, Event::Vault(VaultEvent::Start));
    }

    /// Another release is installed, and its process takes the place of the one that runs.
    pub(crate) fn install(&mut self, release: Release, env: &mut Env) {
        if env.releases.vault != release {
            env.say(format_args!("vault: release {release} is installed"));
            env.releases.vault = release;
            if self.process.is_some() {
                self.die(false, env);
            }
        }
    }

    /// The cluster's feature level as the vault remembers it; 0 if nobody has come yet.
    pub(crate) fn level(&self) -> u16 {
        let lease = Records::new(Arc::new(self.catalog.clone())).lease();
        lease.ok().flatten().map_or(0, |lease| lease.level)
    }

    fn start(&mut self, env: &mut Env) {
        if let Some(operations) = self.cut_recovery_after.take() {
            self.disk.cut_power_at(self.disk.operations() + operations);
        }
        let rot = self.rot.as_mut().is_some_and(|rot| rot.strike(&self.disk, &self.catalog));
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let catalog = Arc::new(self.catalog.clone());
        let opened = Storage::open_with(disk, catalog, CLUSTER, env.scenario.segment_bytes, env.releases.of_vault());
        if self.disk.is_cut() {
            drop(opened);
            return self.die(true, env);
        }
        match opened {
            Ok(storage) => self.serve(storage, env),
            Err(error) => {
                env.say(format_args!("vault: refuses to start: {error}"));
                self.disk.stop();
                self.disk.restart_process();
                if let StorageError::Level { .. } = error {
                    // What a person does who is told so: takes the release that was there before.
                    env.releases.vault = NEWEST;
                } else if rot {
                    // What a person does who is told so: gets the file back.
                    self.rot.take().expect("it has struck").undo(&self.disk, &self.catalog);
                } else if !matches!(error, StorageError::Full { .. } | StorageError::Io { .. }) {
                    env.oracle.fail("recovery", format!("the vault refuses what a crash has left behind: {error}"));
                }
                let wait = env.random.millis(10, 100);
                env.after(wait, Event::Vault(VaultEvent::Start));
            }
        }
    }

    fn serve(&mut self, storage: Storage, env: &mut Env) {
        let Storage { disk, log, images, records, lease, .. } = storage;
        let extent = log.extent();
        env.say(format_args!("vault: open, durable to {}, epoch {}", extent.durable, lease.epoch));
        env.oracle.log_found(&disk, &extent, lease.epoch);
        if let Some(rot) = self.rot.take() {
            // It has done no harm, or lies in an image, where a node would find it that has no other to load.
            rot.undo(&self.disk, &self.catalog);
        }
        self.lives += 1;
        let now = self.clock.monotonic();
        env.oracle.level_told(lease.level);
        let lease_authority = LeaseAuthority::new(now, env.scenario.lease_after(self.lives), lease, extent.durable);
        let lease_authority = lease_authority.knowing(env.releases.of_vault());
        let vault = Vault {
            life: self.lives,
            clock: Arc::clone(&self.clock),
            disk,
            lease: LeaseServer::new(lease_authority, self.lives),
            images,
            writing: Writing::new(LogWriter::new(log, records)),
            members: BTreeMap::new(),
            appends: BTreeMap::new(),
            pushes: BTreeMap::new(),
            puts: BTreeMap::new(),
            gets: BTreeMap::new(),
        };
        let (at, random, queue) = (env.now, &mut env.random, &mut env.queue);
        env.net.vault_started(at, self.lives, random, queue);
        vault.later(TICK, Own::Tick, env);
        self.process = Some(vault);
    }
}

impl Vault {
    fn on(&mut self, event: VaultEvent, slow: u64, env: &mut Env) {
        match event {
            VaultEvent::Start | VaultEvent::Resume => {}
            VaultEvent::Arrived { conn, stream, payload } => {
                if env.net.is_open(conn, Way::Up) {
                    self.arrived(conn, stream, payload, env);
                }
            }
            VaultEvent::Lost { conn } => self.leave(conn, env),
            VaultEvent::Obituary { node, incarnation } => self.obituary(node, incarnation, env),
            VaultEvent::Own(_, own) => self.own(own, env),
        }
        self.write(slow, env);
        let frames = self.writing.queued();
        env.oracle.bounded(
            "frames that wait for the log writer",
            frames,
            tanist_replication::limits::LOG_QUEUE_FRAMES_MAX,
        );
        env.oracle.bounded(
            "calls that wait for the lease",
            self.lease.waiting(),
            self.members.len() + env.scenario.nodes,
        );
    }

    fn own(&mut self, own: Own, env: &mut Env) {
        match own {
            Own::Tick => {
                if let Some(lease) = self.lease.tick(self.now()) {
                    env.say(format_args!("vault: the lease of epoch {} has run out", lease.epoch));
                    self.spread_news(env);
                }
                self.later(TICK, Own::Tick, env);
            }
            Own::Written => self.written(env),
            Own::Idle(turn) => self.writing.idle(turn),
            Own::Fence(conn, stream) => self.fence(conn, stream, env),
            Own::Push(conn, stream) => self.push_again(conn, stream, env),
            Own::NextChunk(conn, stream) => self.next_chunk(conn, stream, env),
            Own::CutLate(conn, stream) => self.publish(conn, stream, true, env),
        }
    }

    fn arrived(&mut self, conn: ConnId, stream: Stream, payload: Payload, env: &mut Env) {
        match (stream, payload) {
            (Stream::Control, Payload::Hello(hello)) => self.enter(conn, hello, env),
            (Stream::Control, Payload::Request(seq, request)) => self.called(conn, seq, request, env),
            (Stream::Append(_), Payload::Request(_, request)) => self.open_append(conn, stream, &request, env),
            (Stream::Append(_), Payload::Frame(frame)) => self.append(conn, stream, frame, env),
            (Stream::Follow(_), Payload::Request(_, request)) => self.open_push(conn, stream, &request, env),
            (Stream::Put(_), Payload::Request(_, request)) => self.put_request(conn, stream, &request, env),
            (Stream::Put(_), Payload::Frame(frame)) => self.put_chunk(conn, stream, frame, env),
            (Stream::Get(_), Payload::Request(..)) => self.open_get(conn, stream, env),
            (stream, Payload::Reset) => self.forget_stream(conn, stream),
            (stream, payload) => env.oracle.fail("harness", format!("{payload:?} on {stream:?}")),
        }
    }

    fn forget_stream(&mut self, conn: ConnId, stream: Stream) {
        let place = (conn, stream);
        self.appends.remove(&place);
        self.pushes.remove(&place);
        self.puts.remove(&place);
        self.gets.remove(&place);
    }

    fn leave(&mut self, conn: ConnId, env: &mut Env) {
        if self.members.remove(&conn).is_none() {
            return;
        }
        self.lease.leave(ConnectionId(conn.0));
        self.appends.retain(|(of, _), _| *of != conn);
        self.pushes.retain(|(of, _), _| *of != conn);
        self.puts.retain(|(of, _), _| *of != conn);
        self.gets.retain(|(of, _), _| *of != conn);
        let (now, random, queue) = (env.now, &mut env.random, &mut env.queue);
        env.net.close(now, conn, Way::Down, true, random, queue);
    }

    fn now(&self) -> Monotonic {
        self.clock.monotonic()
    }

    fn durable(&self) -> Lsn {
        self.writing.state().extent.durable
    }

    fn later(&self, wait: Duration, own: Own, env: &mut Env) {
        env.after(wait, Event::Vault(VaultEvent::Own(self.life, own)));
    }

    fn answer(&self, conn: ConnId, stream: Stream, answer: Answer, env: &mut Env) {
        env.send(conn, Way::Down, stream, Payload::Answer(0, answer));
    }
}
