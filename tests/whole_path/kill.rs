//! `kill -9` of the primary in the middle of writes: every acknowledged write is on the standby, with its value.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redis::AsyncCommands;
use rustix::process::Signal;
use tanist_client::{Client, Options};

use crate::harness::{Cluster, Node, PATIENCE, print_times, rounds, seed, signal, wait_until, words};
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

/// A kill in the middle of one connection's pipeline: what is there afterwards is a beginning of what was sent, without a hole,
/// and not shorter than what was acknowledged.
#[test]
fn a_kill_in_the_middle_of_a_pipe_leaves_a_whole_beginning() {
    let mut rng = StdRng::seed_from_u64(seed());
    let words = Arc::new(words());
    let cluster = Cluster::start();
    for round in 0..rounds(8) {
        let (primary, _) = cluster.wait_for_pair();
        let pipe = Pipe::start(primary.port, round, &words);
        wait_until("the first acknowledgement", || (pipe.acknowledged.load(Ordering::Relaxed) > 0).then_some(()));
        sleep(Duration::from_millis(rng.random_range(0..300)));
        signal(primary.pid, Signal::KILL);
        let (acknowledged, sent) = pipe.finish();
        let mut connection = connect_primary([cluster.port, cluster.port + 1]);
        let there = whole_beginning(&mut connection, round, sent, &words);
        println!("round {round}: sent {sent}, acknowledged {acknowledged}, there {there}");
        assert!(acknowledged <= there, "acknowledged {acknowledged}, but only {there} of {sent} are there");
    }
}

/// How many of the commands that were sent have taken effect; all of them before any that have not.
fn whole_beginning(connection: &mut redis::Connection, round: usize, sent: usize, words: &[String]) -> usize {
    let mut found: Vec<Option<String>> = Vec::new();
    for first in (0..sent).step_by(1000) {
        let keys: Vec<_> = (first..(first + 1000).min(sent)).map(|nth| pipe_key(round, nth)).collect();
        found.extend(redis::cmd("MGET").arg(keys).query::<Vec<Option<String>>>(connection).expect("MGET answers"));
    }
    let there = found.iter().take_while(|value| value.is_some()).count();
    assert!(found[there..].iter().all(Option::is_none), "a hole in what one connection wrote in order");
    for (nth, value) in found[..there].iter().enumerate() {
        assert_eq!(value.as_ref(), Some(&words[nth % words.len()]), "the value of {}", pipe_key(round, nth));
    }
    there
}

fn pipe_key(round: usize, nth: usize) -> String {
    format!("p:{round}:{nth}")
}

/// A connection that sends writes until it breaks, and counts acknowledgements.
struct Pipe {
    acknowledged: Arc<AtomicUsize>,
    sender: JoinHandle<usize>,
    receiver: JoinHandle<()>,
}

impl Pipe {
    fn start(port: u16, round: usize, words: &Arc<Vec<String>>) -> Pipe {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the primary accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        stream.set_write_timeout(Some(PATIENCE)).expect("a limit");
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let (replies, count) = (stream.try_clone().expect("a second handle"), Arc::clone(&acknowledged));
        let words = Arc::clone(words);
        Pipe {
            acknowledged,
            sender: std::thread::spawn(move || send_until_broken(stream, round, &words)),
            receiver: std::thread::spawn(move || count_until_broken(replies, &count)),
        }
    }

    /// Waits for the connection's end: how many were acknowledged, and how many may have been sent.
    fn finish(self) -> (usize, usize) {
        let sent = self.sender.join().expect("the sender did not panic");
        self.receiver.join().expect("every reply was an acknowledgement");
        (self.acknowledged.load(Ordering::Relaxed), sent)
    }
}

/// Sends writes, some at a time, until the connection breaks. The last ones may have been sent in part, or not at all.
fn send_until_broken(mut stream: TcpStream, round: usize, words: &[String]) -> usize {
    const AT_A_TIME: usize = 32;
    let mut sent = 0;
    loop {
        let commands = (sent..sent + AT_A_TIME).map(|nth| {
            let (key, value) = (pipe_key(round, nth), &words[nth % words.len()]);
            format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len())
        });
        let commands: String = commands.collect();
        sent += AT_A_TIME;
        if stream.write_all(commands.as_bytes()).is_err() {
            return sent;
        }
    }
}

fn count_until_broken(mut stream: TcpStream, acknowledged: &AtomicUsize) {
    const OK: &[u8] = b"+OK\r\n";
    let mut bytes = 0;
    let mut buffer = [0; 64 * 1024];
    while let Ok(read) = stream.read(&mut buffer)
        && read > 0
    {
        let right = buffer[..read].iter().zip(OK.iter().cycle().skip(bytes % OK.len())).all(|(got, ok)| got == ok);
        assert!(right, "another reply than OK: {}", String::from_utf8_lossy(&buffer[..read.min(200)]));
        bytes += read;
        acknowledged.store(bytes / OK.len(), Ordering::Relaxed);
    }
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
        assert!(start.elapsed() < PATIENCE, "neither of {ports:?} acknowledged a write");
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
    client_options_at(cluster, "127.0.0.1")
}

/// Reaches the nodes at `host`, an IPv6 address in brackets.
pub(crate) fn client_options_at(cluster: &Cluster, host: &str) -> Options {
    let nodes = [cluster.port, cluster.port + 1].map(|port| format!("{host}:{port}").parse().expect("an address"));
    Options::new(nodes.into(), cluster.data().join("tls"))
}
