//! One flipped bit, or a missing end, in anything that the vault keeps is an error that names the file: never a partial load.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Cluster, TANIST, wait_until};
use crate::load::connect;

#[test]
fn a_flipped_bit_in_a_segment_is_refused_by_name() {
    damaged(|vault| newest_segment(&vault.join("log")), |bytes| flip_middle(bytes));
}

#[test]
fn a_flipped_bit_in_an_image_is_refused_by_name() {
    damaged(|vault| largest_file(&vault.join("images")), |bytes| flip_middle(bytes));
}

#[test]
fn a_truncated_image_is_refused_by_name() {
    damaged(|vault| largest_file(&vault.join("images")), |bytes| bytes.truncate(bytes.len() / 2));
}

#[test]
fn a_flipped_bit_in_the_catalog_is_refused_by_name() {
    damaged(|vault| vault.join("catalog").join("db"), |bytes| flip_our_value(bytes));
}

/// Fills a cluster, stops it, damages one file, and wants `up` to refuse with its name; then heals it and wants all back.
fn damaged(choose: impl Fn(&Path) -> PathBuf, damage: impl Fn(&mut Vec<u8>)) {
    let mut cluster = Cluster::with_options(&["--image-interval-ms", "300"]);
    let (primary, _) = cluster.wait_for_pair();
    let mut connection = connect(primary.port).expect("the primary accepts");
    for i in 0..40 {
        let mut pipe = redis::pipe();
        for j in 0..100 {
            pipe.set(format!("key:{i}:{j}"), "x".repeat(500)).ignore();
        }
        pipe.query::<()>(&mut connection).expect("acknowledged");
    }
    wait_until("an image is stored", || {
        let status = cluster.status()?;
        status["vault"]["images"].as_array().is_some_and(|images| !images.is_empty()).then_some(())
    });
    assert_eq!(cluster.stop(), Some(0));

    let file = choose(&cluster.data().join("vault"));
    let good = fs::read(&file).expect("the file is there");
    let mut bad = good.clone();
    damage(&mut bad);
    assert_ne!(good, bad);
    fs::write(&file, &bad).expect("written");
    let (code, said) = up_until_it_refuses(&cluster);
    let name = file.file_name().expect("a name").to_string_lossy().to_string();
    assert!(said.contains(&name) || said.contains("catalog"), "the sentence names {name}: {said}");
    assert_ne!(code, Some(0), "{said}");
    println!("{}", said.lines().last().unwrap_or_default());

    fs::write(&file, &good).expect("healed");
    cluster.up();
    let (primary, _) = cluster.wait_for_pair();
    let mut connection = connect(primary.port).expect("the primary accepts");
    let keys: u64 = redis::cmd("DBSIZE").query(&mut connection).expect("an answer");
    assert_eq!(keys, 4000);
}

/// Runs `up` on a damaged folder: it must end by itself, and no node may have served meanwhile.
fn up_until_it_refuses(cluster: &Cluster) -> (Option<i32>, String) {
    let said = cluster.data().with_file_name("refused.log");
    let log = fs::File::create(&said).expect("a log");
    let mut up = cluster
        .up_command()
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a handle"))
        .stderr(log)
        .spawn()
        .expect("up starts");
    let start = Instant::now();
    loop {
        if let Some(status) = up.try_wait().expect("it can be waited for") {
            return (status.code(), fs::read_to_string(said).expect("text"));
        }
        for port in [cluster.port, cluster.port + 1] {
            if let Ok(mut connection) = connect(port) {
                let served = redis::cmd("GET").arg("key:1:1").query::<Option<String>>(&mut connection);
                assert!(served.is_err(), "served from a damaged vault: {served:?}");
            }
        }
        if start.elapsed() > Duration::from_secs(40) {
            let _ = up.kill();
            panic!("up neither refused nor ended:\n{}\n{}", fs::read_to_string(said).expect("text"), cluster.logs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Flips a bit inside the first of our framed values in sled's file (its own pages carry checksums of their own).
fn flip_our_value(bytes: &mut [u8]) {
    let middle = bytes.iter().position(|byte| *byte != 0).map_or(0, |first| first + 40);
    bytes[middle] ^= 0x04;
}

fn flip_middle(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn newest_segment(log: &Path) -> PathBuf {
    let segments = files(log).into_iter().filter(|file| file.extension().is_some_and(|e| e == "seg"));
    segments.max().expect("a segment")
}

fn largest_file(dir: &Path) -> PathBuf {
    files(dir).into_iter().max_by_key(|path| fs::metadata(path).map(|meta| meta.len()).unwrap_or(0)).expect("a file")
}

#[test]
fn a_vault_alone_refuses_a_damaged_folder() {
    let mut cluster = Cluster::start();
    assert_eq!(cluster.stop(), Some(0));
    let segment = newest_segment(&cluster.data().join("vault").join("log"));
    let mut bytes = fs::read(&segment).expect("the segment");
    bytes[3] ^= 0xff;
    fs::write(&segment, bytes).expect("written");
    let output = Command::new(TANIST)
        .args(["vault", "--data"])
        .arg(cluster.data())
        .stdin(Stdio::null())
        .output()
        .expect("the vault ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(".seg"), "{output:?}");
}
