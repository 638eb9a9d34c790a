//! A client that knows the Redis protocol, two addresses, and nothing of failover: when one address does not serve it, it takes the
//! other.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use redis::{Connection, ConnectionLike, Value};

use super::fate::{Asker, Fate, of_error};
use crate::cluster::connect;

/// Longest wait for a connection: on one network a node that is there answers within a millisecond.
const CONNECT_WAIT: Duration = Duration::from_millis(100);
/// Longest wait for a reply. An application would wait longer; this one is to notice a silent node soon.
const REPLY_WAIT: Duration = Duration::from_millis(500);
/// Before the other address is tried.
const PAUSE: Duration = Duration::from_millis(2);

pub(super) struct Resp {
    nodes: Vec<SocketAddr>,
    turn: usize,
    connection: Option<Connection>,
}

impl Resp {
    pub(super) fn new(nodes: &[SocketAddr]) -> Resp {
        Resp { nodes: nodes.to_vec(), turn: 0, connection: None }
    }

    fn judge(&mut self, result: redis::RedisResult<Value>) -> Fate {
        match result.and_then(Value::extract_error) {
            Ok(value) => Fate::Told(value),
            Err(error) => {
                self.connection = None;
                self.turn += 1;
                sleep(PAUSE);
                of_error(&error)
            }
        }
    }
}

impl Asker for Resp {
    fn ready(&mut self) -> bool {
        if self.connection.is_none() {
            let node = self.nodes[self.turn % self.nodes.len()];
            self.connection = connect(node, CONNECT_WAIT).ok();
            match &self.connection {
                Some(connection) => connection.set_read_timeout(Some(REPLY_WAIT)).expect("a limit"),
                None => {
                    self.turn += 1;
                    sleep(PAUSE);
                }
            }
        }
        self.connection.is_some()
    }

    fn ask(&mut self, words: &[&str]) -> Fate {
        let connection = self.connection.as_mut().expect("asked when ready");
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let result = connection.req_command(&command);
        self.judge(result)
    }

    fn transacts(&self) -> bool {
        true
    }

    /// Only EXEC executes anything: what breaks before it has no effect.
    fn transaction(&mut self, commands: &[&[&str]]) -> Fate {
        let queued = [&["MULTI"][..]].iter().chain(commands).all(|words| matches!(self.ask(words), Fate::Told(_)));
        if queued { self.ask(&["EXEC"]) } else { Fate::Refused }
    }
}
