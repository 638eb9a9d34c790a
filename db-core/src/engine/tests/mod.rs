//! The engine as a whole: its commands under time, memory and concurrency, and its log.

mod atomic;
mod blocking;
mod busy;
mod commands;
mod describe;
mod dump;
mod field_expiry;
mod frozen;
mod gate;
mod newer_strings;
mod pieces;
mod replay;
mod sort;
mod streams;
mod transactions;
mod work;

use super::*;
use crate::command::testing::ENGINE_COMMANDS;
use crate::engine::call::{Group, front_command};

/// splitmix64.
#[derive(Debug, Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// A caller with a few commands of its own, which it answers with their names.
pub(super) struct NamedFront;

impl Front for NamedFront {
    fn commands(&self) -> &'static CommandTable {
        &COMMANDS
    }
}

static COMMANDS: CommandTable = CommandTable::with(&[NAMED]);

const NAMED: &[CommandSpec] = &[
    named("name"),
    named("reset").at_once(),
    named("names").subcommands(&[named("names|one")]),
    front_command("fails", 1, &[], Group::Server, "1.0.0", |_, _, _, reply| {
        reply.simple("half a reply");
        Err("ERR it fails".into())
    }),
];

const fn named(name: &'static str) -> CommandSpec {
    front_command(name, -1, &[], Group::Server, "1.0.0", |front, call, session, reply| {
        let front: &mut dyn Any = front;
        assert!(front.is::<NamedFront>());
        if call.spec.name == "reset" {
            session.reset();
        }
        reply.simple(call.spec.name);
        Ok(Executed::AT_ONCE)
    })
}

/// A connection to an engine, with a clock that is set by hand.
pub(super) struct Client {
    pub(super) engine: Arc<Engine>,
    pub(super) session: Session,
    pub(super) now: u64,
}

/// An engine of four shards that writes under epoch 1; its newest record is 1.
pub(super) fn primary() -> Arc<Engine> {
    let engine = Arc::new(follower());
    engine.begin_epoch(Epoch(1)).unwrap();
    engine
}

pub(super) fn follower() -> Engine {
    Engine::new(EngineOptions { shards: 4, hash_seed: 11, ..EngineOptions::default() })
}

impl Client {
    pub(super) fn new(engine: &Arc<Engine>) -> Client {
        Client { engine: Arc::clone(engine), session: Session::new(1), now: 1_000_000 }
    }

    /// A client of its own engine.
    pub(super) fn alone() -> Client {
        Client::new(&primary())
    }

    pub(super) fn call(&mut self, args: &[&[u8]]) -> (String, Executed) {
        let (reply, executed) = self.reply(args);
        (String::from_utf8_lossy(&reply).replace("\r\n", "|"), executed)
    }

    /// Executes a command; the reply as it stands on the wire.
    pub(super) fn reply(&mut self, args: &[&[u8]]) -> (Vec<u8>, Executed) {
        let mut reply = Reply::new(self.session.protocol());
        let now = UnixMillis(self.now);
        let executed = self.engine.execute(&mut self.session, &mut NamedFront, args, now, &mut reply);
        (reply.take(), executed)
    }

    /// Executes words separated by blanks, once no other thread holds what they need; the reply has `|` for line ends.
    pub(super) fn run(&mut self, words: &str) -> String {
        loop {
            let (reply, executed) = self.executed(words);
            if !matches!(executed.refused(), Some(Refused::Busy(_))) {
                return reply;
            }
            std::thread::yield_now();
        }
    }

    /// Executes a command that has its reply at once.
    pub(super) fn replied(&mut self, words: &str) -> (String, Replied) {
        let (reply, executed) = self.executed(words);
        (reply, executed.replied().unwrap_or_else(|| panic!("{words}: {executed:?}")))
    }

    /// Executes a command, and shows why it was not executed.
    pub(super) fn refused(&mut self, words: &str) -> (String, Option<Refused>) {
        let (reply, executed) = self.executed(words);
        (reply, executed.refused())
    }

    pub(super) fn executed(&mut self, words: &str) -> (String, Executed) {
        let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        self.call(&args)
    }
}
