//! The client library's examples, run as the documentation says, while the primary is killed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Cluster, TANIST, signal};
use crate::programs::run;

/// How long an example runs, and when the primary is killed.
const SECONDS: u64 = 6;
const KILL_AFTER: Duration = Duration::from_secs(2);
/// Times that the kill may miss.
const ROUNDS: u32 = 5;

#[test]
fn the_leaderboard_counts_every_point_once_through_a_kill() {
    let said = through_a_kill("leaderboard");
    assert_eq!(points(&said, "scored"), points(&said, "stored"), "{said}");
    assert!(points(&said, "scored") > 0.0 && said.contains("every point is there, once"), "{said}");
}

#[test]
fn the_job_queue_does_every_job_through_a_kill() {
    let said = through_a_kill("job_queue");
    assert!(said.contains(", lost 0\n") && said.contains("every job is done"), "{said}");
}

/// The number in the line that says how many points were `what`.
fn points(said: &str, what: &str) -> f64 {
    let line = said.lines().find_map(|line| line.strip_prefix(what)?.strip_suffix(" points"));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("{what} how many?\n{said}"))
}

/// What an example says that runs on a pair whose primary is killed in the middle. It must succeed, and have gone on with the next.
fn through_a_kill(name: &str) -> String {
    let example = built(name);
    let cluster = Cluster::start();
    for _ in 0..ROUNDS {
        let (primary, standby) = cluster.wait_for_pair();
        let mut command = Command::new(&example);
        command.arg(cluster.data().join("tls"));
        command.args([primary.port, standby.port].map(|port| format!("127.0.0.1:{port}"))).arg(SECONDS.to_string());
        let (succeeded, said) = std::thread::scope(|scope| {
            let running = scope.spawn(|| run(&mut command));
            sleep(KILL_AFTER);
            signal(primary.pid, Signal::KILL);
            running.join().expect("the example ends")
        });
        println!("{said}");
        assert!(succeeded, "{said}\n{}", cluster.logs());
        if [&primary, &standby].into_iter().all(|node| said.contains(&format!("127.0.0.1:{} in epoch", node.port))) {
            return said;
        }
        println!("the machine stood still: the kill came before the example began, or after its end");
    }
    panic!("in {ROUNDS} rounds {name} has never seen both nodes as primary\n{}", cluster.logs());
}

/// An example's program: of another package, so not built for this one's tests.
fn built(name: &str) -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "tanist-client", "--example", name]);
    let folder = Path::new(TANIST).parent().expect("it is in a folder");
    if folder.ends_with("release") {
        build.arg("--release");
    }
    let output = build.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder.join("examples").join(name)
}
