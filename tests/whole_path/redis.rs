//! Debian's `redis-server` beside the cluster under test, and connections that show replies as the bytes that came.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::wait_until;

/// The words of a line as arguments.
pub(crate) fn words(line: &str) -> Vec<Vec<u8>> {
    line.split_whitespace().map(|word| word.as_bytes().to_vec()).collect()
}

pub(crate) fn free_port() -> u16 {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("bound").port()
}

/// Debian's server on a free port, without a log or snapshots.
pub(crate) struct Redis {
    child: Child,
    pub(crate) port: u16,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::with("redis-server", &[]).expect("redis-server runs; install it with: apt-get install redis-server")
    }

    /// A relative of it with more options; `None` where there is no such program.
    pub(crate) fn with(program: &str, options: &[&str]) -> Option<Self> {
        let port = free_port();
        let child = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(options)
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        // Accepting is not enough: a process just being started by another test may still hold the port that was tried.
        wait_until("the server answers", || {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
            stream.write_all(b"PING\r\n").ok()?;
            stream.read_exact(&mut [0; 7]).ok()
        });
        Some(Self { child, port })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that shows replies as the bytes that came.
pub(crate) struct Raw {
    reader: BufReader<TcpStream>,
}

impl Raw {
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server accepts");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
        Self { reader: BufReader::new(stream) }
    }

    pub(crate) fn ask(&mut self, command: &[Vec<u8>]) -> String {
        String::from_utf8_lossy(&self.ask_bytes(command)).into_owned()
    }

    pub(crate) fn ask_bytes(&mut self, command: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
        for part in command {
            bytes.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(b"\r\n");
        }
        self.reader.get_mut().write_all(&bytes).expect("the server reads");
        let mut reply = Vec::new();
        self.read_reply(&mut reply);
        reply
    }

    /// Sends requests without waiting for their replies.
    pub(crate) fn send(&mut self, requests: &str) {
        self.reader.get_mut().write_all(requests.as_bytes()).expect("the server reads");
    }

    /// Everything up to the end of the reply to an `ECHO end` that was sent before.
    pub(crate) fn read_until_end(&mut self) -> String {
        let mut replies = Vec::new();
        while !replies.ends_with(b"$3\r\nend\r\n") {
            let read = self.reader.read_until(b'\n', &mut replies).expect("replies come");
            assert!(read > 0, "the connection ended after {:?}", String::from_utf8_lossy(&replies));
        }
        String::from_utf8_lossy(&replies).into_owned()
    }

    /// Everything up to the end of the connection.
    pub(crate) fn read_to_close(&mut self) -> String {
        let mut replies = Vec::new();
        if let Err(error) = self.reader.read_to_end(&mut replies) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
        String::from_utf8_lossy(&replies).into_owned()
    }

    /// Sends `lines` at once, each as a request of its own. Returns all that comes back before the end of an answer to `ECHO
    /// end`, which follows, or before the connection ends.
    pub(crate) fn talk(&mut self, lines: &[&str]) -> String {
        const END: &str = "$3\r\nend\r\n";
        let text = lines.iter().chain(&["CLIENT REPLY ON", "ECHO end"]).map(|line| format!("{line}\r\n"));
        self.reader.get_mut().write_all(text.collect::<String>().as_bytes()).expect("the server reads");
        let mut replies = Vec::new();
        while !replies.ends_with(END.as_bytes()) {
            match self.reader.read_until(b'\n', &mut replies) {
                Ok(1..) => {}
                Ok(0) => break,
                Err(error) => panic!("{lines:?}: {error} after {:?}", String::from_utf8_lossy(&replies)),
            }
        }
        String::from_utf8_lossy(&replies).into_owned()
    }

    /// Appends one whole reply, however deep, to `reply`.
    fn read_reply(&mut self, reply: &mut Vec<u8>) {
        let start = reply.len();
        self.reader.read_until(b'\n', reply).expect("a reply");
        let line = String::from_utf8_lossy(&reply[start..]).trim_end().to_string();
        let count = line.get(1..).and_then(|number| number.parse::<i64>().ok()).unwrap_or(0).max(0) as usize;
        match line.bytes().next() {
            Some(b'$' | b'=') if !line.ends_with("-1") => {
                let start = reply.len();
                reply.resize(start + count + 2, 0);
                self.reader.read_exact(&mut reply[start..]).expect("a bulk string");
            }
            Some(b'*' | b'~' | b'>') => (0..count).for_each(|_| self.read_reply(reply)),
            Some(b'%') => (0..2 * count).for_each(|_| self.read_reply(reply)),
            _ => {}
        }
    }
}
