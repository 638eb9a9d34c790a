//! A vault whose disk really fails: a sync that returns an error, and a file system without room.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use redis::Commands;
use tanist_test_support::skip;

use crate::harness::{Cluster, seed, wait_until, words};
use crate::load::{Told, Writer, connect, connect_primary};

/// `strace` makes one `fdatasync` of each of the vault's threads fail. Nothing may be acknowledged by that process any more: it
/// ends, says why, and the next one has everything that was.
#[test]
fn a_failed_sync_ends_the_vault_and_loses_nothing() {
    let mut cluster = Cluster::start();
    let ports = [cluster.port, cluster.port + 1];
    let failing_after = 20 + seed() % 200;
    let writers: Vec<_> = (0..4).map(|n| Writer::start(n, ports, Arc::new(words()))).collect();
    sleep(Duration::from_millis(300));
    let vault = cluster.vault_pid();
    let Some(mut strace) = fail_sync(vault, failing_after) else {
        writers.into_iter().for_each(|writer| drop(writer.finish()));
        return skip(
            "a sync that fails",
            "Debian's strace, and that it may attach: root, or kernel.yama.ptrace_scope=0",
        );
    };
    wait_until("the vault ends", || (!Path::new(&format!("/proc/{vault}")).exists()).then_some(()));
    strace.wait().expect("strace ends with what it traces");
    let mut connection = connect_primary(ports);
    sleep(Duration::from_millis(300));
    let told: Vec<_> = writers.into_iter().map(Writer::finish).collect();
    told.iter().for_each(|told| told.verify(&mut connection));
    assert_ne!(cluster.vault_pid(), vault);
    let logs = cluster.logs();
    assert!(logs.contains("Input/output error"), "it said why it ended:\n{logs}");
    assert_eq!(cluster.stop(), Some(0));
    cluster.up();
    told.iter().for_each(|told| told.verify(&mut connect_primary(ports)));
}

/// Attaches to `pid`; each thread's sync number `after` fails. `None` if that is not possible here.
fn fail_sync(pid: i32, after: u64) -> Option<Child> {
    let mut strace = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e"])
        .arg(format!("inject=fdatasync:error=EIO:when={after}"))
        .args(["-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    wait_until("strace traces the vault or gives up", || {
        if strace.try_wait().expect("it can be waited for").is_some() {
            return Some(None);
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?.trim();
        (tracer == strace.id().to_string()).then_some(Some(()))
    })?;
    Some(strace)
}

/// A file system of its own, given back when dropped.
struct Small {
    at: PathBuf,
}

impl Small {
    /// `None` where this user may not mount.
    fn mount(at: &Path, megabytes: u64) -> Option<Self> {
        fs::create_dir_all(at).expect("a folder");
        let size = format!("size={megabytes}m,mode=700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tanist-test"])
            .arg(at)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then(|| Self { at: at.to_owned() })
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a test that fails may leave processes behind that are only now on their way out.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

/// Writes fail while there is no room and succeed again when there is, in the same processes.
#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let mut cluster = Cluster::prepared(&[]);
    let Some(small) = Small::mount(&cluster.data(), 48) else {
        return skip("a disk that is full", "a file system of its own: root, where mount is permitted");
    };
    cluster.up();
    let (vault, ports) = (cluster.vault_pid(), [cluster.port, cluster.port + 1]);
    let mut told = Told::default();
    let mut connection = connect_primary(ports);
    let ballast = small.at.join("ballast");
    fs::write(&ballast, vec![1; 8 << 20]).expect("there is room for that");
    let refused = (0..).find_map(|i| set(&mut connection, &mut told, i).err()).expect("48 MB are soon full");
    assert_eq!(refused.code(), Some("NOTDURABLE"), "{refused}");
    let before = told.count;
    println!("{before} writes of about 100 kB, then: {refused}");
    let refused = set(&mut connection, &mut told, 1_000_000).expect_err("it is as full as before");
    assert_eq!(refused.code(), Some("NOTDURABLE"), "{refused}");
    let logs = cluster.logs();
    assert!(logs.contains("no room left for"), "the vault says what to do:\n{logs}");

    fs::remove_file(&ballast).expect("it is there");
    wait_until("writes are acknowledged again", || {
        let mut connection = connect(cluster.wait_for_pair().0.port).ok()?;
        set(&mut connection, &mut told, 2_000_000).ok()
    });
    assert_eq!(cluster.vault_pid(), vault, "the vault went on by itself");
    told.verify(&mut connect_primary(ports));
    assert_eq!(cluster.stop(), Some(0));
    cluster.up();
    told.verify(&mut connect_primary(ports));
    assert!(before > 50 && told.count > before);
    cluster.stop();
}

fn set(connection: &mut redis::Connection, told: &mut Told, i: u64) -> redis::RedisResult<()> {
    let (key, value) = (format!("key:{i}"), format!("{i}:").repeat(12_500));
    let outcome = connection.set(&key, &value);
    match &outcome {
        Ok(()) => told.acknowledge(key, value),
        Err(_) => told.doubt(key, value),
    }
    outcome
}
