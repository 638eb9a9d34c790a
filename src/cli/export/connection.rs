//! A connection for many requests that are sent ahead of their replies, which are read one by one: so memory is bounded by one reply.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use redis::{RedisResult, Value};
use tanist_replication::transport::address::HostPort;

use crate::cli::ask::{CONNECT_WAIT, authenticated, authentication};
use crate::config::Password;

/// Longest wait for something of a reply: a large value may wait for its turn behind others.
const REPLY_WAIT: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Connection {
    stream: Uninterrupted,
    parser: redis::Parser,
}

/// A stream whose reads go on after the process was stopped for a while, as by Ctrl-Z.
struct Uninterrupted(TcpStream);

impl Read for Uninterrupted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

impl Connection {
    /// Connects to the node at `address` (`host:port`).
    ///
    /// # Errors
    /// A sentence: it cannot be reached, or asks for another password.
    pub(super) fn open(address: &str, password: &Password) -> Result<Connection, String> {
        let at: HostPort = address.parse()?;
        let mut connected = Err("its name is that of no machine".to_owned());
        for address in (at.host(), at.port()).to_socket_addrs().map_err(|e| e.to_string())? {
            connected = TcpStream::connect_timeout(&address, CONNECT_WAIT).map_err(|e| e.to_string());
            if connected.is_ok() {
                break;
            }
        }
        let stream = connected?;
        let limited =
            stream.set_read_timeout(Some(REPLY_WAIT)).and_then(|()| stream.set_write_timeout(Some(REPLY_WAIT)));
        limited.and_then(|()| stream.set_nodelay(true)).map_err(|e| e.to_string())?;
        let mut connection = Connection { stream: Uninterrupted(stream), parser: redis::Parser::new() };
        if let Some(command) = authentication(password) {
            let told = connection.send(&command.get_packed_command()).and_then(|()| connection.receive());
            authenticated(told.map(drop))?;
        }
        Ok(connection)
    }

    /// Sends requests.
    pub(super) fn send(&mut self, requests: &[u8]) -> RedisResult<()> {
        Ok(self.stream.0.write_all(requests)?)
    }

    /// Reads the next reply; an error that the node replies with is one here.
    pub(super) fn receive(&mut self) -> RedisResult<Value> {
        self.parser.parse_value(&mut self.stream).and_then(Value::extract_error)
    }
}
