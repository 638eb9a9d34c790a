//! Push messages that report writes: a write that a client has learned of through a message is never lost, whatever reply its
//! writer got. And clients that unblock each other.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tanist_history::models::{Register, RegisterInput, RegisterOutput};
use tanist_history::{Operation, Outcome, check};

use super::{Command, Ended, Fate, Judgement, Known, Script, Workload, command};
use crate::random::Random;
use crate::value::Value;

const KEYS: u64 = 2;

#[derive(Debug, Default)]
pub(super) struct Messages {
    shared: Rc<RefCell<Shared>>,
    count: u64,
}

#[derive(Debug, Default)]
struct Shared {
    /// The numbers of connections, as each client has learned its own last. It may have another by now.
    ids: BTreeMap<usize, i64>,
    asked: Vec<MessageCall>,
}

/// A write or read as its client saw it.
#[derive(Debug)]
struct MessageCall {
    client: usize,
    key: String,
    input: RegisterInput,
    /// Number of its command.
    command: u64,
    ended: Ended,
    reply: Option<Value>,
}

#[derive(Clone, Debug)]
enum MessageRequest {
    /// The number of the client's own connection.
    Learn,
    /// Ends the wait of a connection.
    Unblock(Command),
    /// Writes, and at once tells a connection what.
    Tell {
        value: String,
        id: i64,
    },
    Read,
}

impl Messages {
    fn script(&self, client: usize, key: u64, request: MessageRequest) -> Box<dyn Script> {
        let key = format!("message:{key}");
        Box::new(MessageOp { client, key, request, command: 0, shared: Rc::clone(&self.shared) })
    }
}

impl Workload for Messages {
    fn begin(&mut self, client: usize, random: &mut Random) -> Box<dyn Script> {
        self.count += 1;
        let ids: Vec<i64> = self.shared.borrow().ids.values().copied().collect();
        let request = match random.below(10) {
            0..2 => MessageRequest::Learn,
            _ if ids.is_empty() => MessageRequest::Learn,
            2 => {
                let how = *random.pick(&["TIMEOUT", "ERROR"]);
                MessageRequest::Unblock(command(&["CLIENT", "UNBLOCK", &random.pick(&ids).to_string(), how]))
            }
            3..8 => MessageRequest::Tell { value: format!("{client}.{}", self.count), id: *random.pick(&ids) },
            _ => MessageRequest::Read,
        };
        self.script(client, random.below(KEYS), request)
    }

    fn last_words(&mut self) -> Vec<Box<dyn Script>> {
        (0..KEYS).map(|key| self.script(0, key, MessageRequest::Read)).collect()
    }

    fn judge(&self, known: &Known) -> Judgement {
        let history: Vec<_> = self.shared.borrow().asked.iter().map(|asked| asked.operation(known)).collect();
        check(&history).into()
    }
}

impl MessageCall {
    fn operation(&self, known: &Known) -> Operation<Register> {
        let (mut returned, told) = (self.ended.returned, self.reply.as_ref());
        let outcome = match (self.ended.fate, told) {
            (Fate::Refused, _) => Outcome::NotExecuted,
            (Fate::Done, Some(Value::Bulk(value))) => Outcome::Confirmed(RegisterOutput::Value(value.clone())),
            (Fate::Done, _) => Outcome::Confirmed(RegisterOutput::Done),
            (Fate::Unknown, _) => match self.heard(known) {
                Some(heard) => {
                    returned = heard;
                    Outcome::Confirmed(RegisterOutput::Done)
                }
                None => Outcome::Unknown,
            },
        };
        let writes = matches!(self.input, RegisterInput::Set(_));
        let (invoked, returned) = (self.ended.not_before(writes).0, Some(returned.0));
        let (client, key, input) = (self.client as u32, self.key.clone(), self.input.clone());
        // What was confirmed by a message was so on another connection.
        let order = (self.ended.fate == Fate::Done).then_some(self.ended.order);
        Operation { client, key, invoked, returned, order, input, outcome }
    }

    /// When somebody first heard of this write. If it was not executed, or not where its connection has gone on since, its message tells
    /// of what that has written before.
    fn heard(&self, known: &Known) -> Option<crate::clock::Time> {
        let RegisterInput::Set(value) = &self.input else { return None };
        known.executed.get(&self.command)?;
        if matches!(&self.reply, Some(Value::Error(text)) if text.starts_with("UNKNOWN")) {
            return None;
        }
        known.heard.get(value).copied()
    }
}

#[derive(Debug)]
struct MessageOp {
    client: usize,
    key: String,
    request: MessageRequest,
    /// Number of its first command.
    command: u64,
    shared: Rc<RefCell<Shared>>,
}

impl Script for MessageOp {
    fn next(&mut self, number: u64, replies: &[Value]) -> Option<Command> {
        if replies.is_empty() {
            self.command = number;
        }
        match (&self.request, replies.len()) {
            (MessageRequest::Learn, 0) => Some(command(&["CLIENT", "ID"])),
            (MessageRequest::Unblock(words), 0) => Some(words.clone()),
            (MessageRequest::Tell { value, .. }, 0) => Some(command(&["SET", &self.key, value])),
            (MessageRequest::Tell { value, id }, 1) => Some(command(&["TANIST", "PUSH", &id.to_string(), value])),
            (MessageRequest::Read, 0) => Some(command(&["GET", &self.key])),
            _ => None,
        }
    }

    fn writes(&self) -> bool {
        matches!(self.request, MessageRequest::Tell { .. })
    }

    fn ended(&mut self, ended: Ended, replies: &[Value]) {
        let mut shared = self.shared.borrow_mut();
        let input = match (&self.request, replies) {
            (MessageRequest::Learn, [Value::Int(id)]) => {
                shared.ids.insert(self.client, *id);
                return;
            }
            (MessageRequest::Learn | MessageRequest::Unblock(_), _) => return,
            (MessageRequest::Tell { value, .. }, _) => RegisterInput::Set(value.clone()),
            (MessageRequest::Read, _) => RegisterInput::Get,
        };
        let (client, key, command) = (self.client, self.key.clone(), self.command);
        shared.asked.push(MessageCall { client, key, input, command, ended, reply: replies.first().cloned() });
    }
}
