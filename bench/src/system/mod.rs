//! Systems under test: started on free ports in a folder of their own, stopped through their own handles.
//!
//! Each is what its users would run on one machine. Programs are found on the PATH, Tanist by a flag; what is not there is
//! left out of the comparison.

mod client;
mod folder;
mod process;
mod start;

use std::path::{Path, PathBuf};
use std::process::Child;

pub(crate) use client::Client;
pub(crate) use folder::Folder;
pub(crate) use process::{Resident, cpu_nanos, descendants, resident};
pub(crate) use start::{database_pid, found, node_of, version};

use crate::Fallible;
use crate::load::pause;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum System {
    /// `redis-server`, no log, no snapshots.
    Redis,
    /// The same with `appendfsync always`.
    RedisAlways,
    /// With `appendfsync everysec` and a replica: of its settings the closest in kind to a pair.
    RedisReplica,
    /// `valkey-server`, no log, no snapshots.
    Valkey,
    /// The same with `appendfsync always`.
    ValkeyAlways,
    /// With `appendfsync everysec` and a replica.
    ValkeyReplica,
    /// A pair and a vault, replies at once.
    TanistRelaxed,
    /// A pair and a vault, replies when durable.
    TanistDurable,
}

impl System {
    pub(crate) fn name(self) -> &'static str {
        match self {
            System::Redis => "redis",
            System::RedisAlways => "redis, fsync always",
            System::RedisReplica => "redis, everysec and replica",
            System::Valkey => "valkey",
            System::ValkeyAlways => "valkey, fsync always",
            System::ValkeyReplica => "valkey, everysec and replica",
            System::TanistRelaxed => "tanist relaxed",
            System::TanistDurable => "tanist durable",
        }
    }

    pub(crate) fn is_tanist(self) -> bool {
        matches!(self, System::TanistRelaxed | System::TanistDurable)
    }

    /// The program, for all but Tanist.
    fn program(self) -> &'static str {
        match self {
            System::Valkey | System::ValkeyAlways | System::ValkeyReplica => "valkey-server",
            _ => "redis-server",
        }
    }

    fn has_replica(self) -> bool {
        matches!(self, System::RedisReplica | System::ValkeyReplica)
    }

    /// About how many bytes of memory so many keys of 16 bytes with such values take, all copies together.
    pub(crate) fn memory_bytes(self, keys: u64, value_bytes: u64) -> u64 {
        let copies = if self.is_tanist() || self.has_replica() { 2 } else { 1 };
        keys * (value_bytes + 100) * 6 / 5 * copies
    }

    pub(crate) fn is_there(self) -> bool {
        self.is_tanist() || found(self.program())
    }
}

/// What all starts share.
pub(crate) struct Programs {
    pub(crate) tanist: PathBuf,
    /// Folder below which servers keep their data: on a disk, or `fsync` would cost nothing.
    pub(crate) data: PathBuf,
}

/// A running system.
pub(crate) struct Server {
    pub(crate) system: System,
    /// Where it takes commands.
    pub(crate) port: u16,
    /// The process that executes them.
    pub(crate) pid: u32,
    tanist: PathBuf,
    children: Vec<Child>,
    /// Last: it is removed when the processes are gone.
    folder: Folder,
}

impl Server {
    /// Starts with extra flags: of `tanist up`, or of the server.
    pub(crate) fn start_with(programs: &Programs, system: System, extra: &[String]) -> Fallible<Self> {
        start::start(programs, system, extra)
    }

    pub(crate) fn start(programs: &Programs, system: System) -> Fallible<Self> {
        Self::start_with(programs, system, &[])
    }

    /// Those of these systems that are there, running.
    pub(crate) fn start_all(programs: &Programs, systems: &[System]) -> Fallible<Vec<Self>> {
        systems.iter().filter(|system| system.is_there()).map(|system| Self::start(programs, *system)).collect()
    }

    pub(crate) fn name(&self) -> &'static str {
        self.system.name()
    }

    pub(crate) fn client(&self) -> Fallible<Client> {
        Client::connect(self.port)
    }

    /// Processor time that the serving process has used, all its threads, in nanoseconds.
    pub(crate) fn cpu_nanos(&self) -> u64 {
        cpu_nanos(self.pid)
    }

    /// Every process of the system: supervisors, vault, standby; a replica; the child that writes a snapshot.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.children.iter().flat_map(|child| descendants(child.id())).collect()
    }

    /// Processor time of all of them.
    pub(crate) fn cpu_nanos_of_all(&self) -> u64 {
        self.processes().into_iter().map(cpu_nanos).sum()
    }

    /// Resident memory of the serving process.
    pub(crate) fn resident(&self) -> Resident {
        resident(self.pid)
    }

    /// What `tanist status --json` says.
    pub(crate) fn status(&self) -> Fallible<serde_json::Value> {
        start::status(&self.tanist, &self.data())
    }

    /// Tanist's data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in &self.children {
            let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                let _ended_already = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        for child in &mut self.children {
            let patience = 600;
            let ended = (0..patience).any(|_| {
                let ended = !matches!(child.try_wait(), Ok(None));
                if !ended {
                    pause(50);
                }
                ended
            });
            if !ended {
                let _ended_already = child.kill();
                let _ended_already = child.wait();
            }
        }
    }
}
