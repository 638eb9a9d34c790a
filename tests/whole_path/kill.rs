//! `kill -9` of the primary in the middle of writes: every acknowledged write is on the standby, with its value.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redis::AsyncCommands;
use rustix::process::Signal;
use tanist_client::{Client, Options};

use crate::harness::{Cluster, Node, print_times, rounds, seed, signal, words};
use crate::load::{Told, Writer, connect, connect_primary};

const WRITERS: usize = 4;

#[test]
fn a_killed_process_loses_nothing_acknowledged() {
    kill_rounds("kill -9 of the database process", |primary| signal(primary.pid, Signal::KILL));
}

#[test]
fn a_lost_host_loses_nothing_acknowledged() {
    kill_rounds("supervisor and database process killed together", |primary| {
        let supervisor = primary.supervisor_pid();
        signal(supervisor, Signal::STOP);
        signal(primary.pid, Signal::KILL);
        signal(supervisor, Signal::KILL);
    });
}

fn kill_rounds(what: &str, kill: impl Fn(&Node)) {
    let mut rng = StdRng::seed_from_u64(seed());
    let words = Arc::new(words());
    let cluster = Cluster::start();
    let ports = [cluster.port, cluster.port + 1];
    let mut times = Vec::new();
    for _ in 0..rounds(10) {
        let (primary, _) = cluster.wait_for_pair();
        let writers: Vec<_> = (0..WRITERS).map(|n| Writer::start(n, ports, Arc::clone(&words))).collect();
        sleep(Duration::from_millis(rng.random_range(200..1200)));
        let start = Instant::now();
        kill(&primary);
        times.push(first_acknowledged(ports, primary.port, start));
        sleep(Duration::from_millis(200));
        let told: Vec<_> = writers.into_iter().map(Writer::finish).collect();
        let mut connection = connect_primary(ports);
        for told in &told {
            assert!(told.count > 0, "a writer was never acknowledged");
            told.verify(&mut connection);
        }
    }
    print_times(&format!("{what}: from the kill to the first acknowledged write"), &mut times);
}

/// A kill in the middle of `redis-cli --pipe`: what it was told is a beginning of the list, and all of that is there.
#[test]
fn a_kill_in_the_middle_of_a_pipe_leaves_a_whole_beginning() {
    let words = words();
    let cluster = Cluster::start();
    let (primary, _) = cluster.wait_for_pair();
    let mut pipe = Command::new("redis-cli")
        .args(["-p", &primary.port.to_string(), "--pipe"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-cli runs");
    let mut input = pipe.stdin.take().expect("piped");
    for (i, word) in words.iter().enumerate() {
        if i == words.len() / 2 {
            signal(primary.pid, Signal::KILL);
        }
        let (key, value) = (format!("p:{i}"), word);
        let command = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len());
        if input.write_all(command.as_bytes()).is_err() {
            break;
        }
    }
    drop(input);
    pipe.wait().expect("redis-cli ends");
    let mut connection = connect_primary([cluster.port, cluster.port + 1]);
    let keys: Vec<_> = (0..words.len()).map(|i| format!("p:{i}")).collect();
    let mut get = redis::cmd("MGET");
    get.arg(keys);
    let found: Vec<Option<String>> = get.query(&mut connection).expect("MGET answers");
    let count = found.iter().take_while(|value| value.is_some()).count();
    println!("the pipe came to {count} of {} words before the kill", words.len());
    assert!(count > 0 && count < words.len(), "the kill came in the middle");
    assert!(found[count..].iter().all(Option::is_none), "a hole in what one connection wrote in order");
    assert!(found.iter().zip(&words).take(count).all(|(found, word)| found.as_ref() == Some(word)), "a wrong value");
}

/// Time from `start` until a new connection to either node has a write acknowledged. The killed one answers nobody until it has
/// been started again; after a lost host it may even be the one that takes over, if it is back before the lease has ended.
fn first_acknowledged(ports: [u16; 2], killed: u16, start: Instant) -> Duration {
    let other = if ports[0] == killed { ports[1] } else { ports[0] };
    loop {
        for port in [other, killed] {
            let done =
                connect(port).and_then(|mut connection| redis::cmd("SET").arg("probe").arg(1).exec(&mut connection));
            if done.is_ok() {
                return start.elapsed();
            }
        }
        assert!(start.elapsed() < crate::harness::PATIENCE, "neither of {ports:?} acknowledged a write");
        sleep(Duration::from_millis(2));
    }
}

/// The client library's side: it finds the new primary by itself, and what it was told is there.
#[test]
fn the_client_library_loads_the_word_list_through_a_kill() {
    let words = words();
    let cluster = Cluster::start();
    let (primary, _) = cluster.wait_for_pair();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let told = runtime.block_on(async {
        let client = Client::connect(client_options(&cluster)).await.expect("the client finds the primary");
        let mut told = Told::default();
        for (i, chunk) in words.chunks(64).enumerate() {
            if i == 500 {
                signal(primary.pid, Signal::KILL);
            }
            let writes = chunk.iter().map(|word| {
                let mut client = client.clone();
                async move { (word, client.set::<_, _, ()>(format!("c:{word}"), word).await) }
            });
            for (word, result) in futures_util::future::join_all(writes).await {
                match result {
                    Ok(()) => told.acknowledge(format!("c:{word}"), word.clone()),
                    Err(_) => told.doubt(format!("c:{word}"), word.clone()),
                }
            }
        }
        told
    });
    println!("acknowledged {} of {} words, the others were in flight at the kill", told.count, words.len());
    assert!(told.count as usize > words.len() - 2 * 64, "only commands in flight may fail");
    told.verify(&mut connect_primary([cluster.port, cluster.port + 1]));
}

pub(crate) fn client_options(cluster: &Cluster) -> Options {
    let nodes = vec![([127, 0, 0, 1], cluster.port).into(), ([127, 0, 0, 1], cluster.port + 1).into()];
    Options::new(nodes, cluster.data().join("tls"))
}
