//! A vault whose disk really fails: a sync that returns an error, and a file system without room.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use redis::Commands;
use rustix::process::Signal;
use tanist_test_support::skip;

use crate::harness::{Cluster, seed, signal, wait_until, words};
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
    fail(pid, "fdatasync", &format!(":when={after}"))
}

/// Attaches to `pid`; the system calls fail, all of them or those that `when` selects. `None` if that is not possible here.
fn fail(pid: i32, calls: &str, when: &str) -> Option<Child> {
    let mut strace = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e"])
        .arg(format!("inject={calls}:error=EIO{when}"))
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

/// From some moment on every request to the disk fails. sled panicked when it was dropped, so the vault ended by a signal and nobody
/// read a sentence.
#[test]
fn a_vault_whose_disk_fails_in_everything_says_so_and_is_started_again() {
    let cluster = Cluster::start();
    let ports = [cluster.port, cluster.port + 1];
    redis::cmd("SET").arg("king").arg(1).exec(&mut connect_primary(ports)).expect("acknowledged");
    let vault = cluster.vault_pid();
    let calls = "openat,pwrite64,pread64,fsync,fdatasync,sync_file_range,ftruncate,fallocate,statx,fstat";
    let Some(mut strace) = fail(vault, calls, "") else {
        return skip(
            "a disk that fails",
            "Debian's strace, and that it may attach: root, or kernel.yama.ptrace_scope=0",
        );
    };
    // The vault looks after its folder by itself; nobody needs to write.
    wait_until("the vault ends", || (!Path::new(&format!("/proc/{vault}")).exists()).then_some(()));
    strace.wait().expect("strace ends with what it traces");
    let found: usize = redis::cmd("GET").arg("king").query(&mut connect_primary(ports)).expect("a value");
    assert_eq!(found, 1);
    let died =
        wait_until("`up` says why", || cluster.events().lines().find(|line| line.contains("died:")).map(str::to_owned));
    println!("{died}");
    assert!(died.contains("Input/output error"), "a sentence: {died}\n{}", cluster.logs());
}

/// Open files outlive their folder: the vault went on acknowledging what no start would find.
#[test]
fn a_vault_whose_folder_goes_away_ends_with_a_sentence_and_comes_back_with_it() {
    let cluster = Cluster::start();
    let ports = [cluster.port, cluster.port + 1];
    let (folder, away) = (cluster.data().join("vault"), cluster.data().with_file_name("vault.away"));
    redis::cmd("SET").arg("king").arg(1).exec(&mut connect_primary(ports)).expect("acknowledged");
    fs::rename(&folder, &away).expect("as an unmount would");
    wait_until("`up` says why", || {
        let events = cluster.events();
        let says = |words: &str| events.lines().any(|line| line.contains("died:") && line.contains(words));
        (says("is not there any more") && says("holds no vault")).then_some(())
    });
    assert!(!folder.exists(), "it has not begun another");
    fs::rename(&away, &folder).expect("mounted again");
    cluster.wait_for_pair();
    let found: usize = redis::cmd("GET").arg("king").query(&mut connect_primary(ports)).expect("a value");
    assert_eq!(found, 1);
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
    is_told_once_and_shown(&cluster, &small);
    // A change of the lease needs room as well, and has some of its own.
    let epoch = |cluster: &Cluster| cluster.status()?["vault"]["epoch"].as_u64();
    let before_takeover = epoch(&cluster);
    signal(cluster.wait_for_pair().0.pid, Signal::KILL);
    wait_until("another epoch is granted", || (epoch(&cluster)? > before_takeover?).then_some(()));
    assert_eq!(cluster.vault_pid(), vault, "the vault goes on with a lease that it could remember");

    fs::remove_file(&ballast).expect("it is there");
    wait_until("writes are acknowledged again", || {
        let mut connection = connect(cluster.wait_for_pair().0.port).ok()?;
        set(&mut connection, &mut told, 2_000_000).ok()
    });
    assert_eq!(cluster.vault_pid(), vault, "the vault went on by itself");
    assert_eq!(cluster.status().expect("an answer")["vault"]["no_room_since_unix_ms"], 0);
    wait_until("the vault says so", || cluster.events().contains("has room again").then_some(()));
    told.verify(&mut connect_primary(ports));
    assert_eq!(cluster.stop(), Some(0));
    cluster.up();
    told.verify(&mut connect_primary(ports));
    assert!(before > 50 && told.count > before);
    cluster.stop();
}

/// Not a byte is left. The log had 300 lines a second about it, written to the same disk, and `status` nothing.
fn is_told_once_and_shown(cluster: &Cluster, small: &Small) {
    let mut rest = fs::File::create(small.at.join("rest")).expect("a name needs no room here");
    while rest.write_all(&[1; 4096]).is_ok() {}
    let lines = cluster.events().lines().count();
    let trouble = wait_until("`status` says what is wrong", || {
        let vault = cluster.status()?["vault"].clone();
        (vault["no_room_since_unix_ms"].as_u64()? > 0 && vault["refused_appends"].as_u64()? > 20).then_some(vault)
    });
    assert!(trouble["trouble"].as_str().is_some_and(|why| why.contains("free some space")), "{trouble}");
    let shown = String::from_utf8_lossy(&cluster.tool(&["status"]).stdout).into_owned();
    assert!(shown.contains("vault: no room since"), "{shown}");
    let more = cluster.events().lines().count() - lines;
    println!("{} appends were refused in {more} lines", trouble["refused_appends"]);
    assert!(more < 10, "{}", cluster.events());
    let port = cluster.wait_for_pair().0.port;
    let mut primary = connect(port).expect("it accepts");
    let report: String = redis::cmd("TANIST").arg("STATUS").query(&mut primary).expect("an answer");
    assert!(report.contains("free some space"), "nodes are told as well: {report}");
    let info: String = redis::cmd("INFO").arg("tanist").query(&mut primary).expect("an answer");
    let trouble = info.lines().find(|line| line.starts_with("tanist_vault_trouble:"));
    assert!(trouble.is_some_and(|line| line.contains("free some space")), "{info}");
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
