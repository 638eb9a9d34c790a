//! A server of the machine.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// What replies are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// Debian's, 7.0.
    Redis,
    /// 9.1.
    Valkey,
}

impl System {
    fn program(self) -> OsString {
        let (variable, usual) = match self {
            System::Redis => ("TANIST_REDIS_SERVER", "redis-server"),
            System::Valkey => ("TANIST_VALKEY_SERVER", "valkey-server"),
        };
        std::env::var_os(variable).unwrap_or_else(|| usual.into())
    }

    pub(crate) fn needs(self) -> &'static str {
        match self {
            System::Redis => "a redis-server on the PATH: Debian's redis-server",
            System::Valkey => {
                "a valkey-server on the PATH: tests/stock_clients/install.sh installs one and prints its folder"
            }
        }
    }
}

pub(crate) struct Process {
    process: Child,
    port: u16,
}

impl Process {
    /// A server without persistence on a free port, and a connection to it; `None` where there is no such program.
    ///
    /// One at a time: a process that another thread is just starting holds this one's port open until it has become its
    /// program, and would take the connection with it.
    pub(crate) fn start(system: System) -> Option<(Process, Connection)> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _starting = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?.local_addr().ok()?.port();
        let process = Command::new(system.program())
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            // SORT ALPHA compares as the locale says.
            .env("LC_ALL", "C")
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let process = Process { process, port };
        let connection = process.connect();
        Some((process, connection))
    }

    fn connect(&self) -> Connection {
        for _ in 0..2000 {
            if let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
                stream.set_nodelay(true).unwrap();
                return Connection { reader: BufReader::new(stream) };
            }
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
        panic!("the server does not answer");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn call(&mut self, args: &[Vec<u8>]) -> Vec<u8> {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.reader.get_mut().write_all(&request).unwrap();
        let mut reply = Vec::new();
        self.read(&mut reply);
        reply
    }

    fn read(&mut self, out: &mut Vec<u8>) {
        let start = out.len();
        self.reader.read_until(b'\n', out).unwrap();
        let head = String::from_utf8_lossy(&out[start..]).trim_end().to_owned();
        let count = || head[1..].parse::<i64>().unwrap();
        match head.as_bytes()[0] {
            b'$' if count() >= 0 => {
                let at = out.len();
                out.resize(at + count() as usize + 2, 0);
                self.reader.read_exact(&mut out[at..]).unwrap();
            }
            b'*' | b'~' => (0..count()).for_each(|_| self.read(out)),
            b'%' => (0..2 * count()).for_each(|_| self.read(out)),
            _ => {}
        }
    }
}
