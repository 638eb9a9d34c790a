//! Simulated clients: they send one operation after the other, or several at once, to the node that they believe to be primary,
//! and try another one when that refuses or does not answer.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Time;
use crate::env::Env;
use crate::event::Event;
use crate::node::{Request, SessionId, is_not_confirmed};
use crate::random::Random;
use crate::value::Value;
use crate::workload::{Ended, Fate, Script, Workload};

/// What happens to a client.
#[derive(Debug)]
pub(crate) enum ClientEvent {
    /// Its next operation is due.
    Next,
    /// Replies have come on its connection `number`.
    Answered {
        /// Which.
        number: u64,
        /// Whole replies.
        bytes: Vec<u8>,
    },
    /// Its connection `number` has ended.
    Closed {
        /// Which.
        number: u64,
    },
    /// It has waited long enough for the operation whose last command is `command`.
    Late {
        /// Which.
        command: u64,
    },
}

/// A client gives up waiting after this.
const PATIENCE: Duration = Duration::from_millis(700);
/// So often it asks for several things at once,
const PIPELINED_PERCENT: u64 = 25;
/// and at most for so many.
const PIPELINE_MAX: u64 = 8;

/// An operation under way.
#[derive(Debug)]
struct Running {
    script: Box<dyn Script>,
    invoked: Time,
    /// Its connection, and its place there.
    order: (u64, u64),
    replies: Vec<Value>,
    /// Numbers of the commands that it has sent.
    commands: Vec<u64>,
    /// How it ends, as far as is known.
    fate: Fate,
}

/// What a reply tells of its command.
enum Verdict {
    /// Executed.
    Executed,
    /// Certainly not executed; the primary may be the named node.
    Refused(Option<String>),
    /// Another client has ended its wait. It has changed nothing, and its node is as good as before.
    Unblocked,
    /// Executed, but not confirmed in time; or perhaps executed.
    NotConfirmed,
}

impl Verdict {
    fn of(reply: &Value) -> Verdict {
        let Value::Error(text) = reply else { return Verdict::Executed };
        match text.split(' ').next() {
            Some("NOTPRIMARY") => Verdict::Refused(text.split(' ').nth(1).map(str::to_owned)),
            Some("READONLY") => {
                let primary = text.split_once("The primary is at ").map(|(_, primary)| primary.trim_end_matches('.'));
                Verdict::Refused(primary.map(str::to_owned))
            }
            Some("NOTDURABLE") if is_not_confirmed(reply) => Verdict::NotConfirmed,
            Some("UNKNOWN") => Verdict::NotConfirmed,
            Some("UNBLOCKED") if text.contains("CLIENT UNBLOCK") => Verdict::Unblocked,
            Some("LOADING" | "MASTERDOWN" | "NOTDURABLE" | "BUSY" | "UNBLOCKED") => Verdict::Refused(None),
            _ => Verdict::Executed,
        }
    }
}

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    id: usize,
    random: Random,
    /// The node that it asks.
    target: usize,
    /// Number of its connection.
    number: u64,
    commands: u64,
    /// Operations that it has begun.
    begun: u64,
    /// Oldest first: replies come in the order of commands.
    running: VecDeque<Running>,
    /// When the newest bytes arrive: they keep their order.
    sent_at: Time,
    /// It leaves for this node when all replies have come.
    leaves_for: Option<usize>,
    /// What it is to do at the end, instead of what comes to its mind.
    last_words: Option<VecDeque<Box<dyn Script>>>,
    /// When it asked for the newest write that was confirmed.
    pub(crate) wrote: Option<Time>,
}

impl Client {
    pub(crate) fn new(id: usize, mut random: Random, env: &mut Env) -> Client {
        let target = random.index(env.scenario.nodes);
        env.after(random.millis(1, 30), Event::Client(id, ClientEvent::Next));
        Client {
            id,
            random,
            target,
            number: 1,
            commands: 0,
            begun: 0,
            running: VecDeque::new(),
            sent_at: Time(0),
            leaves_for: None,
            last_words: None,
            wrote: None,
        }
    }

    /// From now on it does only this.
    pub(crate) fn conclude(&mut self, scripts: Vec<Box<dyn Script>>) {
        self.last_words = Some(scripts.into());
    }

    /// Whether it has said its last words.
    pub(crate) fn is_done(&self) -> bool {
        self.running.is_empty() && self.last_words.as_ref().is_some_and(VecDeque::is_empty)
    }

    pub(crate) fn on(&mut self, event: ClientEvent, workloads: &mut [Box<dyn Workload>], env: &mut Env) {
        match event {
            ClientEvent::Next => self.begin(workloads, env),
            ClientEvent::Answered { number, bytes } if number == self.number => self.answered(&bytes, env),
            ClientEvent::Closed { number } if number == self.number => self.lost(env),
            ClientEvent::Late { command }
                if self.running.iter().any(|running| running.commands.last() == Some(&command)) =>
            {
                self.lost(env);
            }
            ClientEvent::Answered { .. } | ClientEvent::Closed { .. } | ClientEvent::Late { .. } => {}
        }
    }

    /// Begins an operation, or several at once: whatever does not wait for replies can be sent behind others.
    fn begin(&mut self, workloads: &mut [Box<dyn Workload>], env: &mut Env) {
        if !self.running.is_empty() {
            return;
        }
        let at_once = if self.random.percent(PIPELINED_PERCENT) { self.random.between(2, PIPELINE_MAX + 1) } else { 1 };
        for _ in 0..at_once {
            let script = match &mut self.last_words {
                Some(scripts) => match scripts.pop_front() {
                    Some(script) => script,
                    None => return,
                },
                None => {
                    let workload = self.random.index(workloads.len());
                    workloads[workload].begin(self.id, &mut self.random)
                }
            };
            let blind = script.is_blind();
            let (invoked, replies) = (env.now, Vec::new());
            self.begun += 1;
            let order = (self.number * 1_000 + self.id as u64, self.begun);
            let running = Running { script, invoked, order, replies, commands: Vec::new(), fate: Fate::Done };
            self.running.push_back(running);
            self.send(env);
            if !blind {
                break;
            }
        }
    }

    /// Sends what the newest operation can send now. False if that is nothing.
    fn send(&mut self, env: &mut Env) -> bool {
        let Some(running) = self.running.back_mut() else { return false };
        let (mut numbers, mut bytes) = (Vec::new(), Vec::new());
        let mut replies = running.replies.clone();
        loop {
            let number = (self.commands + 1) * 1_000 + self.id as u64;
            let Some(words) = running.script.next(number, &replies) else { break };
            self.commands += 1;
            numbers.push(number);
            encode(&words, &mut bytes);
            if !running.script.is_blind() {
                break;
            }
            // It looks at their number only.
            replies.push(Value::Bulk(None));
        }
        let Some(last) = numbers.last().copied() else { return false };
        running.commands.extend(&numbers);
        let session = SessionId { client: self.id, number: self.number };
        let thinks = !running.replies.is_empty() && !env.scenario.think.is_zero();
        let think = if thinks { self.random.millis(0, env.scenario.think.as_millis() as u64) } else { Duration::ZERO };
        self.sent_at = self.sent_at.max(env.now.after(think + env.net.delay(&mut self.random)));
        env.at(self.sent_at, Event::Session(self.target, session, Request::Commands(numbers, bytes)));
        env.after(think + PATIENCE, Event::Client(self.id, ClientEvent::Late { command: last }));
        true
    }

    fn answered(&mut self, bytes: &[u8], env: &mut Env) {
        env.trace.bytes(bytes);
        let connection = self.number;
        for reply in Value::parse_all(bytes) {
            match reply.message() {
                Some(text) => env.oracle.heard(text, env.now),
                None if self.number == connection => self.take(reply, env),
                None => {}
            }
        }
    }

    /// The reply to the oldest command that has none.
    fn take(&mut self, reply: Value, env: &mut Env) {
        let Some(running) = self.running.front_mut() else {
            return env.oracle.fail("replies", format!("client {} got a reply to nothing: {reply:?}", self.id));
        };
        match Verdict::of(&reply) {
            Verdict::Executed => {}
            Verdict::Refused(primary) => {
                running.fate = Fate::Refused;
                let named = primary.and_then(|name| env.scenario.node(&name)).filter(|node| *node != self.target);
                self.leaves_for = Some(named.unwrap_or((self.target + 1) % env.scenario.nodes));
            }
            Verdict::Unblocked => running.fate = Fate::Refused,
            Verdict::NotConfirmed => {
                running.fate = Fate::Unknown;
                if !running.script.is_blind() {
                    // What the connection watches is no concern of the next operation.
                    self.leaves_for.get_or_insert(self.target);
                }
            }
        }
        running.replies.push(reply);
        if running.replies.len() < running.commands.len() {
            return;
        }
        let fate = running.fate;
        // An operation that looks at replies is the newest.
        if fate == Fate::Done && !running.script.is_blind() && self.send(env) {
            return;
        }
        if self.running.len() == 1
            && let Some(target) = self.leaves_for
        {
            self.hang_up(env);
            self.target = target;
        }
        self.end(fate, env);
    }

    /// Whatever has no reply may or may not have happened.
    fn lost(&mut self, env: &mut Env) {
        self.hang_up(env);
        self.target = (self.target + 1) % env.scenario.nodes;
        while !self.running.is_empty() {
            self.end(Fate::Unknown, env);
        }
    }

    fn hang_up(&mut self, env: &mut Env) {
        let session = SessionId { client: self.id, number: self.number };
        self.sent_at = self.sent_at.max(env.now.after(env.net.delay(&mut self.random)));
        env.at(self.sent_at, Event::Session(self.target, session, Request::Close));
        self.number += 1;
        self.leaves_for = None;
    }

    /// The oldest operation has ended.
    fn end(&mut self, fate: Fate, env: &mut Env) {
        let Some(mut running) = self.running.pop_front() else { return };
        env.trace.step(env.now, &[self.id as u64, fate as u64]);
        let (invoked, order) = (running.invoked, running.order);
        let is_of_standby = running.commands.iter().any(|command| env.oracle.known.read_here.contains(command));
        let stale = if is_of_standby { env.scenario.stale_max() } else { Duration::ZERO };
        let ended = Ended { invoked, returned: env.now, fate, order, stale };
        running.script.ended(ended, &running.replies);
        let counts = &mut env.oracle.counts;
        match fate {
            Fate::Done => {
                counts.done += 1;
                if running.script.writes() {
                    self.wrote = Some(running.invoked);
                }
            }
            Fate::Refused => counts.refused += 1,
            Fate::Unknown => counts.unknown += 1,
        }
        if let (Some(scripts), true) = (&mut self.last_words, fate != Fate::Done) {
            // The end is said again until it is heard.
            scripts.push_front(running.script);
        }
        if self.running.is_empty() {
            let pause = if fate == Fate::Done { self.random.millis(0, 25) } else { self.random.millis(2, 30) };
            env.after(pause, Event::Client(self.id, ClientEvent::Next));
        }
    }
}

/// The request of these words in the Redis protocol.
fn encode(words: &[Vec<u8>], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}
