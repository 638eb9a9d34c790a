//! Moving out: a running pair is exported, real servers load the file, and every key is compared.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::spawn;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tanist_test_support::skip;

use crate::frozen_reads::move_money;
use crate::harness::{Cluster, TANIST, seed, signal, wait_until};
use crate::import::{Dumping, SETTINGS, call, content, fill, import, same_content, text};
use crate::redis::{Raw, Redis, words};

/// A folder for files that are exported, and the path of one.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("dump.rdb");
    (folder, path)
}

fn export(cluster: &Cluster, file: &Path, more: &[&str]) -> Output {
    let file = file.display().to_string();
    cluster.tool(&[&["export", &file], more].concat())
}

/// A server that has loaded the file; `None` where there is no such program.
fn loaded(program: &str, file: &Path) -> Option<Redis> {
    let folder = file.parent().expect("a folder").display().to_string();
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    let server = Redis::with(program, &["--dir", &folder, "--dbfilename", &name])?;
    let mut raw = Raw::connect(server.port);
    wait_until("the file is loaded", || (raw.ask(&words("PING")) == "+PONG\r\n").then_some(()));
    Some(server)
}

fn exported(cluster: &Cluster, file: &Path, more: &[&str]) -> String {
    let output = export(cluster, file, more);
    assert!(output.status.success(), "{}\n{}", text(&output.stderr), cluster.logs());
    text(&output.stdout)
}

/// What a server has written in every layout comes in by an import, leaves by an export, and is the same in the end.
#[test]
fn every_key_comes_out_as_it_came_in() {
    let cluster = Cluster::start();
    let mut rng = StdRng::seed_from_u64(seed());
    let (_folder, file) = place();
    for (round, settings) in SETTINGS.into_iter().enumerate() {
        let redis = Dumping::start("redis-server", settings).expect("redis-server runs");
        fill(&mut redis.raw(), &mut rng);
        let imported = import(&cluster, &redis.save(), if round == 0 { &[] } else { &["--merge"] });
        assert!(imported.status.success(), "{}\n{}", text(&imported.stderr), cluster.logs());
        let summary = exported(&cluster, &file, if round == 0 { &[] } else { &["--force"] });
        let again = loaded("redis-server", &file).expect("redis-server runs");
        let keys = same_content(&mut redis.raw(), &mut Raw::connect(again.port));
        assert!(summary.starts_with(&format!("exported {keys} keys in ")), "{summary}");
        assert!(summary.contains("18 hashes, 18 lists, 54 sets, 21 streams, 54 strings, 18 sorted sets"), "{summary}");
        assert!(summary.contains("with an expiry: 12\n") && !summary.contains("left out"), "{summary}");
        let checked = std::process::Command::new("redis-check-rdb").arg(&file).output().expect("redis-check-rdb runs");
        assert!(checked.status.success(), "{}", text(&checked.stdout));
    }
}

#[test]
fn expiries_of_fields_come_out_where_servers_know_them() {
    let cluster = Cluster::start();
    let mut ours = Raw::connect(cluster.port);
    for line in [
        "HSET small a 1 b 2 c 3",
        "HPEXPIREAT small 9999999999999 FIELDS 1 a",
        "HPEXPIREAT small 9999999990000 FIELDS 1 c",
        "SET text v",
        "SET soon v PX 1",
    ] {
        call(&mut ours, words(line));
    }
    let fields: Vec<String> = (0..2000).map(|at| format!("field:{at}")).collect();
    let pairs = fields.iter().map(|field| format!("{field} {field}-value")).collect::<Vec<_>>().join(" ");
    call(&mut ours, words(&format!("HSET large {pairs}")));
    for (at, field) in fields.iter().enumerate().filter(|(at, _)| at % 3 == 0) {
        call(&mut ours, words(&format!("HPEXPIREAT large {} FIELDS 1 {field}", 9_000_000_000_000u64 + at as u64)));
    }
    let before = content(&mut ours);
    assert_eq!(before.len(), 3);

    // Redis 7.0 has all but the expiries, and that is said.
    let (_folder, file) = place();
    let output = export(&cluster, &file, &[]);
    let (summary, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(65), "{error}");
    let line = "left out: expiries of fields, of hashes that are there without them: 669 (";
    assert!(summary.contains("exported 3 keys in ") && summary.contains(line), "{summary}");
    assert!(error.contains("was written, but not with all that there is: expiries of fields"), "{error}");
    let redis = loaded("redis-server", &file).expect("redis-server runs");
    same_content(&mut ours, &mut Raw::connect(redis.port));

    // The form of Redis 7.4 comes back whole.
    let summary = exported(&cluster, &file, &["--force", "--for", "redis-7.4"]);
    assert!(!summary.contains("left out"), "{summary}");
    let times = format!("HPEXPIRETIME large FIELDS {} {}", fields.len(), fields.join(" "));
    call(&mut ours, words("SELECT 0"));
    let expected = [ours.ask(&words(&times)), ours.ask(&words("HPEXPIRETIME small FIELDS 3 a b c"))];
    for database in [0, 3, 15] {
        call(&mut ours, words(&format!("SELECT {database}")));
        call(&mut ours, words("FLUSHDB"));
    }
    let imported = import(&cluster, &file, &[]);
    assert!(imported.status.success(), "{}", text(&imported.stderr));
    assert!(content(&mut ours) == before);
    call(&mut ours, words("SELECT 0"));
    let found = [ours.ask(&words(&times)), ours.ask(&words("HPEXPIRETIME small FIELDS 3 a b c"))];
    assert!(found == expected);

    let summary = exported(&cluster, &file, &["--force", "--for", "valkey"]);
    assert!(!summary.contains("left out"), "{summary}");
    let Some(valkey) = loaded("valkey-server", &file) else {
        return skip("the load of an export by Valkey", "a valkey-server on the PATH");
    };
    let mut theirs = Raw::connect(valkey.port);
    same_content(&mut ours, &mut theirs);
    call(&mut theirs, words("SELECT 0"));
    let found = [theirs.ask(&words(&times)), theirs.ask(&words("HPEXPIRETIME small FIELDS 3 a b c"))];
    assert!(found == expected);
}

/// Money moves between accounts all the time, and each file has all of it.
#[test]
fn an_export_shows_one_moment_while_clients_write() {
    const ACCOUNTS: usize = 3_000;
    let cluster = Cluster::start();
    let (primary, _) = cluster.wait_for_pair();
    let mut raw = Raw::connect(primary.port);
    for account in 0..ACCOUNTS {
        call(&mut raw, words(&format!("SET account:{account} 100")));
    }
    // Large values among them, so that the export takes a while.
    for key in 0..200 {
        call(&mut raw, vec![b"SET".to_vec(), format!("large:{key}").into_bytes(), vec![b'x'; 400_000]]);
    }
    let over = Arc::new(AtomicBool::new(false));
    let movers: Vec<_> = (0..3)
        .map(|_| {
            let (over, ports) = (Arc::clone(&over), [cluster.port, cluster.port + 1]);
            spawn(move || move_money(ACCOUNTS, ports, &over))
        })
        .collect();
    let (_folder, file) = place();
    for round in 0..3 {
        let summary = exported(&cluster, &file, &["--force"]);
        assert!(summary.starts_with("exported 3,200 keys in "), "{summary}");
        let redis = loaded("redis-server", &file).expect("redis-server runs");
        let mut theirs = Raw::connect(redis.port);
        let accounts = (0..ACCOUNTS).map(|account| {
            let reply = theirs.ask(&words(&format!("GET account:{account}")));
            reply.lines().nth(1).and_then(|text| text.parse::<i64>().ok()).expect("a number")
        });
        assert_eq!(accounts.sum::<i64>(), 100 * ACCOUNTS as i64, "round {round}");
    }
    over.store(true, Ordering::Relaxed);
    let moved: u64 = movers.into_iter().map(|mover| mover.join().expect("a mover ends")).sum();
    println!("{moved} transfers meanwhile");
    assert!(moved > 0);
}

#[test]
fn an_export_that_cannot_be_leaves_no_file() {
    let cluster = Cluster::start();
    let (primary, _) = cluster.wait_for_pair();
    let mut raw = Raw::connect(primary.port);
    for key in 0..400 {
        call(&mut raw, vec![b"SET".to_vec(), format!("k:{key}").into_bytes(), vec![b'x'; 1_000_000]]);
    }
    let (folder, file) = place();
    let files = || std::fs::read_dir(folder.path()).expect("a folder").count();
    // The version is older than it may be before its end is reached.
    call(&mut raw, words("CONFIG SET pinned-seconds-max 1"));
    let tool = std::process::Command::new(TANIST)
        .arg("export")
        .arg(&file)
        .arg("--data")
        .arg(cluster.data())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the tool runs");
    wait_until("the file is begun", || (files() == 1).then_some(()));
    let pid = tool.id() as i32;
    signal(pid, rustix::process::Signal::STOP);
    std::thread::sleep(std::time::Duration::from_millis(2500));
    signal(pid, rustix::process::Signal::CONT);
    let output = tool.wait_with_output().expect("it ends");
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("the version that was exported is gone: ") && error.contains("pinned-seconds-max"),
        "{error}"
    );
    assert!(error.contains("nothing was exported"), "{error}");
    assert_eq!(files(), 0);

    call(&mut raw, words("CONFIG SET pinned-seconds-max 600"));
    exported(&cluster, &file, &[]);
    let output = export(&cluster, &file, &[]);
    assert_eq!(output.status.code(), Some(78));
    let error = text(&output.stderr);
    assert!(error.contains("exists already, and --force would replace it; nothing was exported"), "{error}");
    let output = export(&cluster, &folder.path().join("no/such/folder.rdb"), &[]);
    assert!(text(&output.stderr).contains("cannot write "), "{}", text(&output.stderr));
    assert_eq!(files(), 1);
}
