//! Clients: one operation at a time, on the node that they believe to be primary, and on another when that refuses or is silent.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Time;
use crate::env::Env;
use crate::event::Event;
use crate::node::{Answered, Request, SessionId, Verdict};
use crate::random::Random;
use crate::value::Value;
use crate::workload::{Ended, Fate, Script, Workload};

/// What happens to a client.
#[derive(Debug)]
pub(crate) enum ClientEvent {
    /// Its next operation is due.
    Next,
    /// An answer has come on its connection `number`.
    Answered {
        /// Which.
        number: u64,
        /// The answer.
        answered: Answered,
    },
    /// Its connection `number` has ended.
    Closed {
        /// Which.
        number: u64,
    },
    /// It has waited long enough for command `command`.
    Late {
        /// Which.
        command: u64,
    },
}

/// A client gives up waiting after this.
const PATIENCE: Duration = Duration::from_millis(700);

#[derive(Debug)]
struct Running {
    script: Box<dyn Script>,
    invoked: Time,
    replies: Vec<Value>,
    /// The command whose answer is waited for.
    command: u64,
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
    running: Option<Running>,
    /// What it is to do at the end, instead of what comes to its mind.
    last_words: Option<VecDeque<Box<dyn Script>>>,
    /// When the newest operation was completed, and when it was asked for.
    pub(crate) served: Option<(Time, Time)>,
}

impl Client {
    pub(crate) fn new(id: usize, mut random: Random, env: &mut Env) -> Client {
        let target = random.index(env.scenario.nodes);
        env.after(random.millis(1, 30), Event::Client(id, ClientEvent::Next));
        Client { id, random, target, number: 1, commands: 0, running: None, last_words: None, served: None }
    }

    /// From now on it does only this.
    pub(crate) fn conclude(&mut self, scripts: Vec<Box<dyn Script>>) {
        self.last_words = Some(scripts.into());
    }

    /// Whether it has said its last words.
    pub(crate) fn is_done(&self) -> bool {
        self.running.is_none() && self.last_words.as_ref().is_some_and(VecDeque::is_empty)
    }

    pub(crate) fn on(&mut self, event: ClientEvent, workloads: &mut [Box<dyn Workload>], env: &mut Env) {
        match event {
            ClientEvent::Next => self.begin(workloads, env),
            ClientEvent::Answered { number, answered } if number == self.number => self.answered(answered, env),
            ClientEvent::Closed { number } if number == self.number => self.lost(env),
            ClientEvent::Late { command } if self.running.as_ref().is_some_and(|r| r.command == command) => {
                self.lost(env);
            }
            ClientEvent::Answered { .. } | ClientEvent::Closed { .. } | ClientEvent::Late { .. } => {}
        }
    }

    fn begin(&mut self, workloads: &mut [Box<dyn Workload>], env: &mut Env) {
        if self.running.is_some() {
            return;
        }
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
        self.running = Some(Running { script, invoked: env.now, replies: Vec::new(), command: 0 });
        self.go_on(env);
    }

    /// Sends the next command of the operation, or ends it.
    fn go_on(&mut self, env: &mut Env) {
        let Some(running) = &mut self.running else { return };
        self.commands += 1;
        let number = self.commands * 1_000 + self.id as u64;
        match running.script.next(number, &running.replies) {
            Some(words) => {
                running.command = number;
                let session = SessionId { client: self.id, number: self.number };
                let delay = env.net.delay(&mut self.random);
                env.after(delay, Event::Session(self.target, session, Request::Command(number, words)));
                env.after(PATIENCE, Event::Client(self.id, ClientEvent::Late { command: number }));
            }
            None => self.end(Fate::Done, env),
        }
    }

    fn answered(&mut self, answered: Answered, env: &mut Env) {
        let Some(running) = self.running.as_mut().filter(|running| running.command == answered.command) else { return };
        match answered.verdict {
            Verdict::Reply(bytes) => {
                env.trace.bytes(&bytes);
                running.replies.push(Value::parse(&bytes));
                self.go_on(env);
            }
            Verdict::Refused(primary) => {
                self.hang_up(env);
                let named = primary.and_then(|name| env.scenario.node(&name)).filter(|node| *node != self.target);
                self.target = named.unwrap_or_else(|| self.random.index(env.scenario.nodes));
                self.end(Fate::Refused, env);
            }
            Verdict::NotConfirmed | Verdict::Closed => self.lost(env),
        }
    }

    /// Whatever was asked last may or may not have happened.
    fn lost(&mut self, env: &mut Env) {
        self.hang_up(env);
        self.target = (self.target + 1) % env.scenario.nodes;
        if self.running.is_some() {
            self.end(Fate::Unknown, env);
        }
    }

    fn hang_up(&mut self, env: &mut Env) {
        let session = SessionId { client: self.id, number: self.number };
        let delay = env.net.delay(&mut self.random);
        env.after(delay, Event::Session(self.target, session, Request::Close));
        self.number += 1;
    }

    fn end(&mut self, fate: Fate, env: &mut Env) {
        let Some(mut running) = self.running.take() else { return };
        env.trace.step(env.now, &[self.id as u64, fate as u64]);
        let ended = Ended { invoked: running.invoked, returned: env.now, fate };
        running.script.ended(ended, &running.replies);
        let counts = &mut env.oracle.counts;
        match fate {
            Fate::Done => {
                counts.done += 1;
                self.served = Some((running.invoked, env.now));
            }
            Fate::Refused => counts.refused += 1,
            Fate::Unknown => counts.unknown += 1,
        }
        if let (Some(scripts), true) = (&mut self.last_words, fate != Fate::Done) {
            // The end is said again until it is heard.
            scripts.push_front(running.script);
        }
        let pause = if fate == Fate::Done { self.random.millis(0, 25) } else { self.random.millis(2, 30) };
        env.after(pause, Event::Client(self.id, ClientEvent::Next));
    }
}
