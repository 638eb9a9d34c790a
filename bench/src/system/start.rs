//! How systems are started.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{Client, Folder, Programs, Server, System};
use crate::Fallible;
use crate::load::{Clock, pause};

/// A server that is not ready after so long will not be.
const START_SECONDS_MAX: f64 = 60.0;

pub(super) fn start(programs: &Programs, system: System, extra: &[String]) -> Fallible<Server> {
    let folder = Folder::new(&programs.data)?;
    let port = free_port()?;
    // Made at once, so that what was started is stopped whatever happens on the way.
    let mut server = Server { system, port, pid: 0, tanist: programs.tanist.clone(), children: Vec::new(), folder };
    if system.is_tanist() {
        start_tanist(programs, &mut server, extra)?;
    } else {
        start_redis(&mut server, extra)?;
    }
    Ok(server)
}

fn start_tanist(programs: &Programs, server: &mut Server, extra: &[String]) -> Fallible<()> {
    let level = if server.system == System::TanistDurable { "durable" } else { "relaxed" };
    let mut command = ends_with_this(&programs.tanist.to_string_lossy());
    command.args(["up", "--port", &server.port.to_string(), "--durability", level, "--data"]);
    command.arg(server.data()).args(extra);
    server.children.push(spawn(command, server.folder(), "tanist")?);
    until(server, "serves", |server| can_write(server.port))?;
    until(server, "has a standby", |server| standby_follows(server).unwrap_or(false))?;
    server.pid = database_pid(&server.status()?, "primary").ok_or("no primary has told its process id")?;
    Ok(())
}

fn start_redis(server: &mut Server, extra: &[String]) -> Fallible<()> {
    let (program, port) = (server.system.program(), server.port);
    let fsync = match server.system {
        System::RedisAlways | System::ValkeyAlways => Some("always"),
        System::RedisReplica | System::ValkeyReplica => Some("everysec"),
        _ => None,
    };
    let flags = |port: u16| {
        let mut command = ends_with_this(program);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        if let Some(fsync) = fsync {
            command.args(["--appendonly", "yes", "--appendfsync", fsync]);
        }
        command
    };
    let mut command = flags(port);
    command.args(extra);
    server.children.push(spawn(command, server.folder(), "server")?);
    server.pid = server.children[0].id();
    until(server, "serves", |server| can_write(server.port))?;
    if server.system.has_replica() {
        let folder = server.folder().join("replica");
        std::fs::create_dir(&folder)?;
        let mut command = flags(port + 1);
        command.args(["--replicaof", "127.0.0.1", &port.to_string()]);
        server.children.push(spawn(command, &folder, "replica")?);
        until(server, "has a replica", |server| {
            let state = Client::connect(server.port + 1).and_then(|mut c| c.info("replication", "master_link_status"));
            state.is_ok_and(|state| state == "up")
        })?;
    }
    Ok(())
}

/// A command whose process is told to end when this one ends, however it does.
fn ends_with_this(program: &str) -> Command {
    if !found("setpriv") {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", program]);
    command
}

fn spawn(mut command: Command, folder: &Path, name: &str) -> Fallible<Child> {
    let log = File::create(folder.join(format!("{name}.out")))?;
    command.current_dir(folder).stdin(Stdio::null()).stderr(log.try_clone()?).stdout(log);
    command.spawn().map_err(|error| format!("{name} does not start: {error}").into())
}

fn until(server: &mut Server, what: &str, is_so: impl Fn(&Server) -> bool) -> Fallible<()> {
    let clock = Clock::start();
    while !is_so(server) {
        let last = server.children.last_mut().ok_or("nothing was started")?;
        if clock.seconds() > START_SECONDS_MAX || last.try_wait()?.is_some() {
            let out = std::fs::read_to_string(server.folder().join("tanist.out")).unwrap_or_default();
            return Err(format!("{}: no sign yet that it {what}; {out}", server.name()).into());
        }
        pause(20);
    }
    Ok(())
}

fn can_write(port: u16) -> bool {
    Client::connect(port)
        .and_then(|mut client| client.ask(&["SET", "k-bench-ready", "1"]))
        .is_ok_and(|said| said == "OK")
}

fn standby_follows(server: &Server) -> Fallible<bool> {
    Ok(database_pid(&server.status()?, "standby").is_some())
}

/// Process id of the database process that has this role and answers.
pub(crate) fn database_pid(status: &serde_json::Value, role: &str) -> Option<u32> {
    let node = node_of(status, role)?;
    u32::try_from(node["pid"].as_u64()?).ok()
}

/// The node with this role, if it answers.
pub(crate) fn node_of<'a>(status: &'a serde_json::Value, role: &str) -> Option<&'a serde_json::Value> {
    status["nodes"].as_array()?.iter().find(|node| node["role"] == role && node["reachable"] == true)
}

pub(super) fn status(tanist: &Path, data: &Path) -> Fallible<serde_json::Value> {
    let output = Command::new(tanist).args(["status", "--json", "--data"]).arg(data).output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Whether a program is on the PATH.
pub(crate) fn found(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|p| p.join(program).is_file()))
}

/// First line of what a program says of its version.
pub(crate) fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
}

/// A port that is free with the two behind it.
fn free_port() -> Fallible<u16> {
    for _ in 0..1000 {
        let base = 10_000 + rand::random::<u16>() % 20_000;
        let tcp = (base..base + 2).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
        if tcp && (base..base + 3).all(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok()) {
            return Ok(base);
        }
    }
    Err("no three free ports in a row".into())
}
