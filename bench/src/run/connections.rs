//! What connections cost: idle ones, active ones, and one that asks for a lot and reads nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use super::turns::{turn, turn_until};
use crate::load::{Clock, Group, Kind, Pace, Prepared, fill, pause, push_command};
use crate::report::Report;
use crate::system::{Server, System};
use crate::table::figure;
use crate::{Arguments, Fallible};

/// Memory for idle and active connections, and for a client that does not read
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long, default_value_t = 10_000)]
    pub(crate) idle: usize,
    #[arg(long, default_value_t = 1_000)]
    pub(crate) active: usize,
    /// Values of 1 MB that the slow reader asks for
    #[arg(long, default_value_t = 500)]
    pub(crate) slow_gets: usize,
    /// Seconds for which it reads nothing
    #[arg(long, default_value_t = 3.0)]
    pub(crate) slow_seconds: f64,
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [System::Redis, System::Valkey, System::TanistRelaxed])]
    pub(crate) systems: Vec<System>,
}

const HEADING: [&str; 9] =
    ["server", "idle", "KB each", "active", "KB each", "k/s", "p50 us", "p99 us", "slow reader, extra MB"];

/// File descriptors beside the connections: logs, data, the other processes' sockets.
const OTHER_FILES: u64 = 500;

pub(crate) fn run(arguments: &Arguments, options: &Options) -> Fallible<Report> {
    let connections = options.idle + options.active;
    raise_limit(connections as u64 + OTHER_FILES)?;
    let mut report = Report::new("connections", &HEADING);
    for system in options.systems.iter().filter(|system| system.is_there()) {
        let clients = (connections + 100).to_string();
        let server = Server::start_with(&arguments.programs(), *system, &["--maxclients".to_owned(), clients])?;
        measure(arguments, options, &server, &mut report)?;
    }
    report.notes.push(format!(
        "Memory is anonymous resident memory of the serving process; what the kernel keeps for a socket is not in it. Active: SET and \
         GET, one to one, one command at a time, while the idle ones stay. Slow reader: {} `GET`s of 1 MB, nothing read for {} s.",
        options.slow_gets, options.slow_seconds
    ));
    Ok(report)
}

/// For this process and for those that it starts.
fn raise_limit(files: u64) -> Fallible<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|most| most < files) {
        return Err(
            format!("{files} open files are needed, and the limit is {:?}: see `ulimit -Hn`", limit.maximum).into()
        );
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}

fn measure(arguments: &Arguments, options: &Options, server: &Server, report: &mut Report) -> Fallible<()> {
    let group = Group {
        kind: Kind::Mix,
        connections: options.active,
        pipeline: 1,
        keys: 100_000,
        value_bytes: 100,
        pace: Pace::Closed,
    };
    fill(server.port, 0, group.keys, group.value_bytes)?;
    // What a first load makes the server allocate once is no connection's.
    let warm = Group { connections: 10, ..group.clone() };
    turn(server, &Prepared::new(&[warm]), arguments.timing(false))?;
    let load = Prepared::new(std::slice::from_ref(&group));
    let memory = || server.resident().anonymous as f64;
    let before = memory();
    let idle = idle(server, options.idle)?;
    let with_idle = memory();
    let mut with_active = with_idle;
    let figures = turn_until(server, &load, arguments.timing(false), || with_active = memory())?[0];
    drop(idle);
    let slow = slow_reader(server, options)?;
    let each = |bytes: f64, count: usize| (bytes.max(0.0)) / 1024.0 / count.max(1) as f64;
    let (idle_kb, active_kb) = (each(with_idle - before, options.idle), each(with_active - with_idle, options.active));
    report.table.row(&[
        server.name().into(),
        options.idle.to_string(),
        figure(idle_kb),
        options.active.to_string(),
        figure(active_kb),
        figure(figures.per_second / 1e3),
        figure(figures.p50_us),
        figure(figures.p99_us),
        figure(slow / 1e6),
    ]);
    report.results.push(json!({
        "server": server.name(), "idle": options.idle, "idle_kb_each": idle_kb, "active": options.active,
        "active_kb_each": active_kb, "figures": figures, "slow_reader_bytes": slow,
    }));
    Ok(())
}

/// Connections that have said one word each.
fn idle(server: &Server, count: usize) -> Fallible<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(count);
    for number in 0..count {
        let connect = || -> std::io::Result<TcpStream> {
            let mut stream = TcpStream::connect(("127.0.0.1", server.port))?;
            stream.write_all(b"*1\r\n$4\r\nPING\r\n")?;
            stream.read_exact(&mut [0; 7])?;
            Ok(stream)
        };
        streams.push(connect().map_err(|error| format!("{}: connection {number}: {error}", server.name()))?);
    }
    Ok(streams)
}

/// The highest memory above the resting one while a client asks and does not read.
fn slow_reader(server: &Server, options: &Options) -> Fallible<f64> {
    const KEY: &str = "a-large-value";
    let value = "v".repeat(1_000_000);
    server.client()?.ask(&["SET", KEY, &value])?;
    let mut requests = Vec::new();
    (0..options.slow_gets).for_each(|_| push_command(&mut requests, &[b"GET", KEY.as_bytes()]));
    let resting = server.resident().anonymous;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port))?;
    stream.set_nonblocking(true)?;
    let (clock, mut sent, mut most) = (Clock::start(), 0, resting);
    while clock.seconds() < options.slow_seconds {
        match stream.write(&requests[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // The server has had enough of this client, which is one way to stay within bounds.
            Err(_) => break,
        }
        most = most.max(server.resident().anonymous);
        pause(10);
    }
    Ok((most - resting) as f64)
}
