//! A node's machine: its clock, its supervisor, and the database process that it keeps running.

mod join;
mod process;
mod role_driver;
mod session;
mod streams;
mod transfer;
mod upkeep;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tanist_replication::limits::{CONNECT_PAUSE, OBITUARY_WAIT};
use tanist_replication::node::{ImageReport, SiblingOrder, Timer};
use tanist_replication::role::{End, Event as RoleEvent};

use crate::clock::{MachineClock, Time};
use crate::env::Env;
use crate::event::Event;
use crate::net::{ConnId, Payload, Stream};
use crate::release::Release;
use crate::vault::VaultEvent;
use join::Joining;
pub(crate) use process::Process;
pub(crate) use session::{LinkId, Piece, ProcessId, Request, SessionId, is_not_confirmed};

/// What happens to a database process.
#[derive(Debug)]
pub(crate) enum NodeEvent {
    /// Something came over a connection to the vault.
    Arrived {
        /// Which.
        conn: ConnId,
        /// On which stream.
        stream: Stream,
        /// What.
        payload: Payload,
    },
    /// A connection to the vault has ended.
    LinkLost {
        /// Which.
        conn: ConnId,
    },
    /// The attempt to connect number `attempt` has taken too long.
    ConnectLate {
        /// Which.
        attempt: u64,
    },
    /// The next attempt to connect is due.
    Connect,
    /// A call has waited so long that the vault counts as silent.
    CallLate {
        /// Which.
        call: u64,
    },
    /// A timer of the driver is due.
    Timer(Timer),
    /// The role driver's beat.
    Beat,
    /// The upkeep's beat.
    Expire,
    /// More keys may have expired.
    ExpireMore,
    /// The command that holds all shards has come to its end.
    HoldEnds,
    /// A command that a session has sent apart is executed.
    Apart(SessionId),
    /// A version is to be frozen, and could not be because a command held a shard.
    Freeze,
    /// An order of the role driver, which had that connection, reaches a sibling.
    Order(SiblingOrder, Option<ConnId>),
    /// Another actor has something for the machine.
    Happened(RoleEvent),
    /// A stream has ended on the connection `conn`.
    StreamLost {
        /// Which.
        conn: ConnId,
        /// Why; absent if the machine has been told.
        why: Option<String>,
    },
    /// What became of an image.
    Carried(Result<ImageReport, String>),
    /// The shipper is woken, by its turn of that number or, 0, by anyone.
    Ship(u64),
    /// So long after the records of an append stream were refused another may be opened.
    ShipAgain(Stream),
    /// A run of frames on the follow stream has come to its end.
    RunEnds,
    /// The next chunk of an upload is due.
    NextChunk,
    /// A client has sent something.
    Session(SessionId, Request),
    /// A session looks again.
    Poll(SessionId),
    /// Something has come from another node.
    Link {
        /// Who has sent it.
        from: ProcessId,
        /// On which stream.
        link: LinkId,
        /// What.
        piece: Piece,
    },
}

/// An arbiter's thread, which may be kept from running while others run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thread {
    /// Role driver, shipper, the connection.
    RoleDriver,
    /// The follower.
    Follower,
    /// The transfer.
    Transfer,
    /// The upkeep.
    Upkeep,
    /// Commands that take long.
    Long,
    /// Sessions.
    Sessions,
}

impl NodeEvent {
    fn thread(&self) -> Thread {
        match self {
            NodeEvent::Arrived { stream: Stream::Follow(_), .. } | NodeEvent::RunEnds => Thread::Follower,
            NodeEvent::Order(SiblingOrder::Follow(_) | SiblingOrder::StopFollowing, _) => Thread::Follower,
            NodeEvent::Arrived { stream: Stream::Put(_), .. } | NodeEvent::NextChunk => Thread::Transfer,
            NodeEvent::Freeze => Thread::Transfer,
            NodeEvent::Expire | NodeEvent::ExpireMore if upkeep::role_driver_expires() => Thread::RoleDriver,
            NodeEvent::Expire | NodeEvent::ExpireMore => Thread::Upkeep,
            NodeEvent::Order(SiblingOrder::Append(_), _) => Thread::Upkeep,
            NodeEvent::HoldEnds | NodeEvent::Apart(_) => Thread::Long,
            NodeEvent::Order(SiblingOrder::Carry(_) | SiblingOrder::StopCarrying, _) => Thread::Transfer,
            NodeEvent::Session(..) | NodeEvent::Poll(_) | NodeEvent::Link { .. } => Thread::Sessions,
            _ => Thread::RoleDriver,
        }
    }
}

/// What happens to a node's machine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HostEvent {
    /// The supervisor starts the database process.
    Start,
    /// The database process that has ended is gone, and reaped.
    Exit {
        /// Which start of it.
        life: u64,
    },
    /// Threads that stood still run again.
    Resume,
    /// The supervisor tells the vault of a death, until it has heard.
    TellObituary,
    /// It has.
    ObituaryHeard {
        /// Of which start.
        incarnation: u64,
    },
}

#[derive(Debug)]
enum NodeState {
    Down,
    Joining(Box<Joining>),
    Up(Box<Process>),
}

/// A node's machine.
#[derive(Debug)]
pub(crate) struct NodeHost {
    pub(crate) node: usize,
    pub(crate) clock: Arc<MachineClock>,
    /// Which start of the process runs, or ran last.
    pub(crate) life: u64,
    state: NodeState,
    /// All threads stand still.
    pub(crate) paused_until: Time,
    /// One does.
    pub(crate) stalled: Option<(Thread, Time)>,
    /// What has come for threads that stand still.
    backlog: VecDeque<(u64, NodeEvent)>,
    resume_at: Option<Time>,
    /// Deaths that the vault has not heard of.
    untold: VecDeque<u64>,
    /// The whole machine is gone until then: nobody reports its process's death.
    pub(crate) lost_until: Time,
}

impl NodeHost {
    pub(crate) fn new(node: usize, clock: Arc<MachineClock>) -> NodeHost {
        NodeHost {
            node,
            clock,
            life: 0,
            state: NodeState::Down,
            paused_until: Time(0),
            stalled: None,
            backlog: VecDeque::new(),
            resume_at: None,
            untold: VecDeque::new(),
            lost_until: Time(0),
        }
    }

    /// The process, if it takes part.
    pub(crate) fn process(&self) -> Option<&Process> {
        match &self.state {
            NodeState::Up(process) => Some(process),
            NodeState::Down | NodeState::Joining(_) => None,
        }
    }

    pub(crate) fn process_mut(&mut self) -> Option<&mut Process> {
        match &mut self.state {
            NodeState::Up(process) => Some(process),
            NodeState::Down | NodeState::Joining(_) => None,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.state, NodeState::Down)
    }

    pub(crate) fn on_host(&mut self, event: HostEvent, env: &mut Env) {
        if matches!(event, HostEvent::Resume) {
            return self.resume(env);
        }
        if env.now < self.lost_until {
            return env.at(self.lost_until, Event::Host(self.node, event));
        }
        match event {
            HostEvent::Start if self.is_running() => {}
            HostEvent::Start => {
                self.life = env.incarnation();
                env.lives[self.node] = self.life;
                env.say(format_args!("{}: process starts", env.scenario.name(self.node)));
                self.state = NodeState::Joining(Box::new(Joining::start(self.node, self.life, env)));
            }
            HostEvent::Exit { life } if life == self.life && self.is_running() => self.gone(true, env),
            HostEvent::Exit { .. } | HostEvent::Resume => {}
            HostEvent::TellObituary => self.tell_obituary(env),
            HostEvent::ObituaryHeard { incarnation } => self.untold.retain(|untold| *untold != incarnation),
        }
    }

    fn tell_obituary(&mut self, env: &mut Env) {
        let Some(incarnation) = self.untold.front().copied() else { return };
        if env.net.passes(self.node) {
            let delay = env.net.delay(&mut env.random);
            env.after(delay, Event::Vault(VaultEvent::Obituary { node: self.node, incarnation }));
        }
        env.after(OBITUARY_WAIT + CONNECT_PAUSE, Event::Host(self.node, HostEvent::TellObituary));
    }

    pub(crate) fn on(&mut self, life: u64, event: NodeEvent, env: &mut Env) {
        if life != self.life {
            return;
        }
        let thread = event.thread();
        if let Some(until) = self.process().and_then(|process| process.waits_until(&event)) {
            self.stalled = Some((thread, until));
        }
        let queued = self.backlog.iter().any(|(_, queued)| queued.thread() == thread);
        if queued || env.now < self.stands_until(thread) {
            return self.put_off(life, event, env);
        }
        self.handle(event, env);
    }

    /// A thread stands still until then.
    fn stands_until(&self, thread: Thread) -> Time {
        let stalled = self.stalled.filter(|(stalled, _)| *stalled == thread).map_or(Time(0), |(_, until)| until);
        self.paused_until.max(stalled)
    }

    fn put_off(&mut self, life: u64, event: NodeEvent, env: &mut Env) {
        let until = self.stands_until(event.thread());
        self.backlog.push_back((life, event));
        if self.resume_at.is_none_or(|at| until < at) {
            self.resume_at = Some(until);
            env.at(until, Event::Host(self.node, HostEvent::Resume));
        }
    }

    /// Threads that run again take up what has come meanwhile, in its order.
    fn resume(&mut self, env: &mut Env) {
        self.resume_at = None;
        for (life, event) in std::mem::take(&mut self.backlog) {
            if env.now < self.stands_until(event.thread()) {
                self.put_off(life, event, env);
            } else if life == self.life {
                self.handle(event, env);
            }
        }
    }

    fn handle(&mut self, event: NodeEvent, env: &mut Env) {
        match &mut self.state {
            NodeState::Down => {}
            NodeState::Joining(joining) => {
                if let Some(joined) = joining.on(event, env) {
                    let process = Process::start(self.node, self.life, Arc::clone(&self.clock), joined, env);
                    self.state = NodeState::Up(Box::new(process));
                }
            }
            NodeState::Up(process) => {
                process.on(event, env);
                if let Some(end) = process.take_end() {
                    self.ended(&end, env);
                }
            }
        }
    }

    /// The process has come to an end of its own.
    fn ended(&mut self, end: &End, env: &mut Env) {
        env.say(format_args!("{}: process ends: {end:?}", env.scenario.name(self.node)));
        match end {
            End::Failed(why) => env.oracle.fail("failed for good", format!("{}: {why}", env.scenario.name(self.node))),
            // A process is replaced, has been away for longer than the log reaches back, or holds a lease of a length that is no
            // more. It never parts with the log.
            End::Rejoin(why)
                if !["fenced", "the log begins", "the vault now grants"].iter().any(|fine| why.starts_with(fine)) =>
            {
                env.oracle.fail("parted", format!("{}: {why}", env.scenario.name(self.node)));
            }
            End::Rejoin(_) | End::Stopped => {}
        }
        // Its sessions' threads run on until it is gone.
        let lingers = env.random.micros(0, 4_000);
        env.after(lingers, Event::Host(self.node, HostEvent::Exit { life: self.life }));
    }

    /// Another release is installed, and its process takes the place of the one that runs.
    pub(crate) fn install(&mut self, release: Release, env: &mut Env) {
        if env.releases.nodes[self.node] != release {
            env.say(format_args!("{}: release {release} is installed", env.scenario.name(self.node)));
            env.releases.nodes[self.node] = release;
            self.kill(None, env);
        }
    }

    /// The process is killed. With `host` the whole machine is gone for so long.
    pub(crate) fn kill(&mut self, host: Option<Duration>, env: &mut Env) {
        if self.is_running() {
            env.say(format_args!(
                "{}: killed{}",
                env.scenario.name(self.node),
                if host.is_some() { " with its machine" } else { "" }
            ));
            self.gone(host.is_none(), env);
        }
        if let Some(away) = host {
            self.lost_until = env.now.after(away);
        }
    }

    fn gone(&mut self, reaped: bool, env: &mut Env) {
        let (now, node) = (env.now, self.node);
        for conn in env.net.of_node(node) {
            env.net.close(now, conn, crate::net::Way::Up, false, &mut env.random, &mut env.queue);
        }
        if let NodeState::Up(process) = std::mem::replace(&mut self.state, NodeState::Down) {
            process.drop_sessions(env);
        }
        self.paused_until = Time(0);
        self.stalled = None;
        self.backlog.clear();
        if reaped {
            self.untold.push_back(self.life);
            let reap = env.random.micros(500, 4_000);
            env.after(reap, Event::Host(node, HostEvent::TellObituary));
        }
        let wait = env.random.millis(5, 300);
        env.after(wait, Event::Host(node, HostEvent::Start));
    }
}
