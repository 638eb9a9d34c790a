//! Stock clients while the primary changes, with one address, with Sentinel and with a cluster: which errors they see, how long they
//! wait, and that nothing is lost or doubled.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::cluster::{ClusterClient, ClusterConnection};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{node_command, redis_py_command};
use crate::harness::{Cluster, Node, rounds, signal, wait_until};
use crate::load::{connect, connect_primary};

/// The programs that `tanist drill` has as well.
const PYTHON: &str = include_str!("../../../src/cli/drill/stock/client.py");
const NODE: &str = include_str!("../../../src/cli/drill/stock/client.mjs");

/// What a client was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) acknowledged: Vec<u64>,
    refused: Vec<u64>,
    unknown: Vec<u64>,
    pub(super) errors: BTreeMap<String, u64>,
    longest_gap_ms: f64,
    /// Those of `unknown` that were executed.
    pub(super) executed: usize,
}

/// How clients find the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// They know one address.
    Address(u16),
    /// They ask both nodes as Sentinels.
    Sentinel([u16; 2]),
    /// They ask both nodes as those of a cluster. `redis` (Rust) tries a command again so often: it counts redirections, of which there are
    /// two where the new primary does not know yet that it is one, and it sends again what a lost connection has left without a reply.
    Cluster([u16; 2], u32),
}

impl Form {
    fn word(self) -> &'static str {
        match self {
            Form::Address(_) => "address",
            Form::Sentinel(_) => "sentinel",
            Form::Cluster(..) => "cluster",
        }
    }

    fn ports(&self) -> &[u16] {
        match self {
            Form::Address(port) => std::slice::from_ref(port),
            Form::Sentinel(ports) | Form::Cluster(ports, _) => ports,
        }
    }
}

/// A client at work.
struct Worker {
    key: String,
    form: Form,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Told>,
}

impl Worker {
    fn start(key: String, form: Form, mut client: Client) -> Worker {
        let (stop, its) = (Arc::<AtomicBool>::default(), key.clone());
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || client.push_until(&stopped, &its));
        Worker { key, form, stop, thread }
    }

    fn finish(self) -> (String, Form, Told) {
        self.stop.store(true, Ordering::Relaxed);
        (self.key, self.form, self.thread.join().expect("the thread ends"))
    }
}

/// Clients, each with a list of its own.
pub(super) struct Workers(Vec<Worker>);

impl Workers {
    pub(super) fn start(forms: &[Form]) -> Workers {
        let mut workers = Vec::new();
        for &form in forms {
            let ports = form.ports().iter().map(u16::to_string).collect::<Vec<_>>().join(",");
            let name = |client: &str| format!("{client} {} {ports}", form.word());
            for (library, command) in
                [("redis-py", redis_py_command()), ("ioredis", node_command()), ("node-redis", node_command())]
            {
                // It subscribes to what Sentinels publish, which no node does yet.
                let subscribes = library == "node-redis" && matches!(form, Form::Sentinel(_));
                let Some(command) = command.filter(|_| !subscribes) else { continue };
                let script = Client::Script(Script::start(command, library, form));
                workers.push(Worker::start(name(library), form, script));
            }
            let client = match form {
                // It wants a Sentinel to be nothing else (ROLE).
                Form::Sentinel(_) => continue,
                Form::Address(port) => Client::Address(port, None),
                Form::Cluster(ports, retries) => Client::cluster(ports, retries),
            };
            workers.push(Worker::start(name("redis-rs"), form, client));
        }
        Workers(workers)
    }

    /// Waits until each of them has had something executed from now on.
    pub(super) fn wait_for_progress(&self, cluster: &Cluster) {
        let mut connection = connect_primary([cluster.port, cluster.port + 1]);
        let mut length = |key: &str| redis::cmd("LLEN").arg(key).query::<u64>(&mut connection).expect("a number");
        for Worker { key, .. } in &self.0 {
            let before = length(key);
            wait_until(&format!("{key} goes on"), || (length(key) > before).then_some(()));
        }
    }

    /// Ends them, and compares what they were told with what is there.
    pub(super) fn finish(self, cluster: &Cluster) -> Vec<(String, Form, Told)> {
        let mut told: Vec<_> = self.0.into_iter().map(Worker::finish).collect();
        let mut connection = connect_primary([cluster.port, cluster.port + 1]);
        let mut table = String::new();
        for (key, _, told) in &mut told {
            let there: Vec<u64> =
                redis::cmd("LRANGE").arg(&*key).arg(0).arg(-1).query(&mut connection).expect("a list");
            let times = |number: &u64| there.iter().filter(|there| *there == number).count();
            let lost: Vec<_> = told.acknowledged.iter().filter(|number| times(number) == 0).collect();
            let doubled: Vec<_> = there.iter().filter(|number| times(number) > 1).collect();
            let refused: Vec<_> = told.refused.iter().filter(|number| times(number) > 0).collect();
            assert!(lost.is_empty() && doubled.is_empty(), "{key}: lost {lost:?}, doubled {doubled:?}");
            assert!(refused.is_empty(), "{key}: executed although it said otherwise: {refused:?}");
            assert!(there.is_sorted(), "{key}: out of order");
            told.executed = told.unknown.iter().filter(|number| times(number) > 0).count();
            let errors: u64 = told.errors.values().sum();
            let (done, gap) = (told.acknowledged.len(), told.longest_gap_ms);
            writeln!(table, "{key:32} {done:8} done, {errors:3} errors, longest gap {gap:7.1} ms").expect("a text");
        }
        println!("{table}");
        for (key, _, told) in &told {
            assert!(told.acknowledged.len() > 100, "{key} has done next to nothing");
            for (error, times) in &told.errors {
                println!("{key}: {times} times {error}");
            }
        }
        told
    }
}

/// A client, which sends nothing again by itself: so each number is sent once.
enum Client {
    Script(Script),
    /// A connection of Rust's `redis` to a node, which is made when it is used first, and anew when it was lost.
    Address(u16, Option<redis::Connection>),
    /// Those to a cluster.
    Cluster(Box<ClusterConnection>),
}

impl Client {
    fn cluster(ports: [u16; 2], retries: u32) -> Client {
        let addresses = ports.map(|port| format!("redis://127.0.0.1:{port}"));
        let client = ClusterClient::builder(addresses).retries(retries).build().expect("addresses");
        Client::Cluster(Box::new(client.get_connection().expect("a cluster")))
    }

    /// Appends 0, 1, 2, ... to the list `key`, and looks at its end now and then.
    fn push_until(&mut self, stop: &AtomicBool, key: &str) -> Told {
        let (mut told, mut last) = (Told::default(), Instant::now());
        let refused = |told: &mut Told, text: String| {
            *told.errors.entry(text).or_default() += 1;
            std::thread::sleep(Duration::from_millis(5));
        };
        for number in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
            match self.execute(&["RPUSH", key, &number.to_string()]) {
                Ok(_) => {
                    told.acknowledged.push(number);
                    told.longest_gap_ms = told.longest_gap_ms.max(last.elapsed().as_secs_f64() * 1e3);
                    last = Instant::now();
                }
                Err(text) => {
                    let fate = if text.contains("(not executed)") { &mut told.refused } else { &mut told.unknown };
                    fate.push(number);
                    refused(&mut told, text);
                    continue;
                }
            }
            if number % 16 == 0 {
                match self.execute(&["LINDEX", key, "-1"]) {
                    Ok(end) => assert_eq!(end, number.to_string(), "{key}"),
                    Err(text) => refused(&mut told, text),
                }
            }
        }
        told
    }

    /// The reply to a command, as text, or that of an error.
    fn execute(&mut self, words: &[&str]) -> Result<String, String> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let (port, connection) = match self {
            Client::Script(script) => return script.execute(words),
            Client::Cluster(connection) => return command.query(&mut **connection).map_err(|e| e.to_string()),
            Client::Address(port, connection) => (*port, connection),
        };
        let mut used = match connection.take() {
            Some(used) => used,
            None => connect(port).map_err(|e| e.to_string())?,
        };
        let done = command.query(&mut used);
        let is_lost = |error: &redis::RedisError| {
            error.is_unrecoverable_error() || error.is_io_error() || error.is_connection_dropped()
        };
        if !done.as_ref().is_err_and(is_lost) {
            *connection = Some(used);
        }
        done.map_err(|e| e.to_string())
    }
}

/// A client in an interpreter, which executes what it is told, a line for each command and each reply.
struct Script {
    child: Child,
    requests: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Script {
    fn start(mut interpreter: Command, library: &str, form: Form) -> Script {
        let nodes: Vec<_> = form.ports().iter().map(|port| ("127.0.0.1", port)).collect();
        let mut options = json!({"form": form.word(), "nodes": nodes, "name": "mymaster", "wait_ms": 30_000});
        match library {
            "redis-py" => interpreter.args(["-c", PYTHON]),
            library => {
                options["library"] = library.trim_start_matches("node-").into();
                interpreter.args(["--input-type=module", "--eval", NODE, "--"])
            }
        };
        interpreter.arg(options.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = interpreter.spawn().expect("the script starts");
        let (requests, replies) = (child.stdin.take(), child.stdout.take().expect("a pipe"));
        let mut script = Script { child, requests, replies: BufReader::new(replies) };
        assert!(script.line()["version"].is_string(), "{library} is installed");
        script
    }

    fn execute(&mut self, words: &[&str]) -> Result<String, String> {
        let mut requests = self.requests.as_ref().expect("a pipe, until this is dropped");
        writeln!(requests, "{}", json!(words)).expect("the script listens");
        let line = self.line();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if line["error"].is_null() { Ok(text(&line["reply"])) } else { Err(text(&line["error"])) }
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.replies.read_line(&mut line).expect("the script's output");
        serde_json::from_str(&line).expect("a line of JSON")
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // The end of its input is the end of the script.
        drop(self.requests.take());
        let _ = self.child.wait();
    }
}

/// The standby becomes the primary, and clients work for a moment.
pub(super) fn switch_over(cluster: &Cluster) {
    let output = cluster.tool(&["switchover"]);
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), cluster.logs());
    cluster.wait_for_pair();
    std::thread::sleep(Duration::from_millis(200));
}

/// Kills the primary, which is returned, waits until the pair is healthy again, and clients work for a moment.
pub(super) fn kill_primary(cluster: &Cluster) -> Node {
    let (primary, _) = cluster.wait_for_pair();
    signal(primary.pid, Signal::KILL);
    cluster.wait_for("another process", |nodes| {
        nodes.iter().find(|node| node.port == primary.port && node.pid != primary.pid).map(|_| ())
    });
    cluster.wait_for_pair();
    std::thread::sleep(Duration::from_millis(500));
    primary
}

/// Runs clients of these forms, of a pair in `mode`, while `act` is done to it so many times. Returns what they were told.
fn follow(
    mode: &str,
    forms: fn([u16; 2]) -> Vec<Form>,
    times: usize,
    mut act: impl FnMut(&Cluster),
) -> Vec<(String, Form, Told)> {
    let cluster = Cluster::with_options(&["--cluster-mode", mode]);
    cluster.wait_for_pair();
    let workers = Workers::start(&forms([cluster.port, cluster.port + 1]));
    workers.wait_for_progress(&cluster);
    for _ in 0..times {
        act(&cluster);
    }
    workers.wait_for_progress(&cluster);
    workers.finish(&cluster)
}

/// Clients of either node, and such as ask Sentinels.
fn plain(ports: [u16; 2]) -> Vec<Form> {
    vec![Form::Address(ports[0]), Form::Address(ports[1]), Form::Sentinel(ports)]
}

/// As many retries as is usual.
fn of_a_cluster(ports: [u16; 2]) -> Vec<Form> {
    vec![Form::Cluster(ports, 16)]
}

/// As few as follow a redirection at all: a command that was lost is hardly sent again.
fn of_a_cluster_that_dies(ports: [u16; 2]) -> Vec<Form> {
    vec![Form::Cluster(ports, 1)]
}

#[test]
fn clients_of_either_node_or_of_sentinels_do_not_notice_a_switchover() {
    for (key, _, told) in follow("off", plain, rounds(20), switch_over) {
        assert!(told.errors.is_empty(), "{key}: {:?}", told.errors);
    }
}

#[test]
fn clients_of_a_cluster_do_not_notice_a_switchover() {
    for (key, _, told) in follow("single", of_a_cluster, rounds(20), switch_over) {
        assert!(told.errors.is_empty(), "{key}: {:?}", told.errors);
    }
}

#[test]
fn of_a_kill_clients_notice_what_was_under_way() {
    let kills = rounds(10);
    let mut killed = BTreeMap::<u16, u64>::new();
    let kill = |cluster: &Cluster| *killed.entry(kill_primary(cluster).port).or_default() += 1;
    for (key, form, told) in follow("off", plain, kills, kill) {
        assert!(told.executed <= kills, "{key}: {} were executed without a reply: {:?}", told.executed, told.errors);
        let Form::Address(port) = form else { continue };
        // Of its own node's death a client knows no more than that its connection is gone. Of the other's it is told honestly.
        let is_unknown = |text: &str| text.contains("may or may not have been executed");
        let unknown: u64 = told.errors.iter().filter(|(text, _)| is_unknown(text)).map(|(_, n)| n).sum();
        let others = kills as u64 - killed.get(&port).copied().unwrap_or_default();
        assert!(unknown <= others, "{key}: {:?}", told.errors);
        let is_honest = |text: &str| is_unknown(text) || text.contains("(not executed)") || text.contains("LOADING");
        if !killed.contains_key(&port) {
            assert!(told.errors.keys().all(|text| is_honest(text)), "{key}: {:?}", told.errors);
        }
    }
}

#[test]
fn clients_of_a_cluster_go_on_after_a_kill() {
    let kills = rounds(10);
    let kill = |cluster: &Cluster| drop(kill_primary(cluster));
    for (key, _, told) in follow("single", of_a_cluster_that_dies, kills, kill) {
        assert!(told.executed <= kills, "{key}: {} were executed without a reply: {:?}", told.executed, told.errors);
    }
}
