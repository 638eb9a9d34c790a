//! The first phase of a process: connects to the vault and loads the newest image.

use std::time::Duration;

use tanist_db_core::engine::{Engine, EngineOptions};
use tanist_replication::limits::{CONNECT_PAUSE, CONNECT_TRY};
use tanist_replication::node::{DownloadError, ImageDownload};
use tanist_replication::wire::frame::Frame;
use tanist_replication::wire::message::{Answer, Hello, Peer};

use super::NodeEvent;
use crate::env::Env;
use crate::event::Event;
use crate::fault::{Fault, Target};
use crate::net::{ConnId, Payload, Stream, Way};
use crate::release::NEWEST;
use crate::vault::CLUSTER;

/// The stream of the image.
const GET: Stream = Stream::Get(1);
/// A download that has brought nothing for so long is begun again.
const PATIENCE: Duration = Duration::from_millis(600);

/// A process that has no state yet.
#[derive(Debug)]
pub(super) struct Joining {
    node: usize,
    life: u64,
    conn: Option<ConnId>,
    attempt: u64,
    lease: Duration,
    download: ImageDownload,
}

/// What it goes on with.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) engine: Engine,
    pub(super) lease: Duration,
}

impl Joining {
    pub(super) fn start(node: usize, life: u64, env: &mut Env) -> Joining {
        let download = ImageDownload::new(options(node, env));
        let mut joining = Joining { node, life, conn: None, attempt: 0, lease: Duration::ZERO, download };
        joining.connect(env);
        joining
    }

    fn connect(&mut self, env: &mut Env) {
        self.attempt += 1;
        let conn = env.net.open(self.node, self.life);
        self.conn = Some(conn);
        let hello = hello(self.node, self.life, env);
        env.send(conn, Way::Up, Stream::Control, Payload::Hello(hello));
        self.patience(CONNECT_TRY, env);
    }

    fn patience(&self, wait: Duration, env: &mut Env) {
        let event = NodeEvent::ConnectLate { attempt: self.attempt };
        env.after(wait, Event::Node { node: self.node, life: self.life, event });
    }

    /// Drops the connection and starts again.
    fn again(&mut self, env: &mut Env) {
        self.attempt += 1;
        self.download = ImageDownload::new(options(self.node, env));
        self.close(env);
        let event = NodeEvent::Connect;
        env.after(CONNECT_PAUSE, Event::Node { node: self.node, life: self.life, event });
    }

    fn close(&mut self, env: &mut Env) {
        if let Some(conn) = self.conn.take() {
            env.net.close(env.now, conn, Way::Up, true, &mut env.random, &mut env.queue);
        }
    }

    pub(super) fn on(&mut self, event: NodeEvent, env: &mut Env) -> Option<Joined> {
        match event {
            NodeEvent::Connect => self.connect(env),
            NodeEvent::ConnectLate { attempt } if attempt == self.attempt => self.again(env),
            NodeEvent::LinkLost { conn } if self.conn == Some(conn) => self.again(env),
            NodeEvent::Arrived { conn, stream, payload } if self.conn == Some(conn) => {
                return self.arrived(conn, stream, payload, env);
            }
            NodeEvent::Session(session, request) => super::session::refuse_loading(self.node, session, &request, env),
            _ => {}
        }
        None
    }

    fn arrived(&mut self, conn: ConnId, stream: Stream, payload: Payload, env: &mut Env) -> Option<Joined> {
        match payload {
            Payload::Answer(_, Answer::Welcome { lease_us, .. }) => {
                self.lease = Duration::from_micros(lease_us);
                env.send(conn, Way::Up, GET, Payload::Request(0, ImageDownload::request()));
                self.hurry(env);
            }
            Payload::Answer(_, Answer::Refused { why }) => {
                env.say(format_args!("{}: {why}", env.scenario.name(self.node)));
                if why.contains("feature level") {
                    // A person reads that.
                    let wait = env.random.millis(20, 300);
                    env.after(wait, Event::Fault(Fault::Install(Target::Node(self.node), NEWEST)));
                }
                self.again(env);
            }
            Payload::Answer(_, answer) if stream == GET => {
                let made = self.download.answer(answer);
                return self.made(made, env);
            }
            Payload::Frame(frame) => {
                let made = match Frame::open(frame) {
                    Ok(frame) => self.download.chunk(frame.body()),
                    Err(error) => Err(self.download.wrong(error.to_string())),
                };
                return self.made(made, env);
            }
            _ => {}
        }
        None
    }

    fn hurry(&mut self, env: &mut Env) {
        self.attempt += 1;
        self.patience(PATIENCE, env);
    }

    fn made(&mut self, made: Result<Option<Engine>, DownloadError>, env: &mut Env) -> Option<Joined> {
        match made {
            Ok(Some(engine)) => {
                env.oracle.digest(engine.epoch(), engine.content_hash_at(), "an image that was loaded");
                return Some(self.joined(engine, env));
            }
            Ok(None) => self.hurry(env),
            Err(DownloadError::Unusable { why, .. } | DownloadError::Final(why)) => env.oracle.fail("image", why),
        }
        None
    }

    fn joined(&mut self, engine: Engine, env: &mut Env) -> Joined {
        env.say(format_args!("{}: loaded, at record {}", env.scenario.name(self.node), engine.last()));
        self.close(env);
        Joined { engine, lease: self.lease }
    }
}

/// What the process's engine starts with.
fn options(node: usize, env: &Env) -> EngineOptions {
    let (shards, hash_seed) = (env.scenario.shards, env.scenario.hash_seed);
    EngineOptions { shards, memory_bytes_max: 0, hash_seed, levels: env.releases.of_node(node) }
}

/// The first message of each connection.
pub(super) fn hello(node: usize, life: u64, env: &Env) -> Hello {
    let name = env.scenario.name(node);
    Hello {
        levels: env.releases.of_node(node),
        cluster: CLUSTER,
        peer: Peer::Database,
        node: name.clone(),
        incarnation: life,
        pid: 0,
        resp_address: name.clone(),
        quic_address: name,
    }
}
