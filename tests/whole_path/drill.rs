//! `tanist drill`: each fault on a real pair. Nothing is lost or doubled, the roles are as expected, the drill leaves nothing
//! behind. That its accounts would show a loss is tested beside them, in `src/cli/drill/ledger.rs` and `report.rs`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tanist_test_support::state;

use crate::harness::{Cluster, Node, TANIST, rounds, signal, wait_until};
use crate::load::connect_primary;
use crate::stock_clients::stock_clients;

#[test]
fn a_drilled_switchover_changes_places_and_fails_nobody() {
    let cluster = Cluster::start();
    let before = cluster.wait_for_pair();
    let svg = cluster.data().with_file_name("drill.svg");
    let count = rounds(2);
    let mut arguments = vec!["drill", "switchover", "--yes", "--json", "--load", "2", "--watch-ms", "500", "--svg"];
    let (path, number) = (svg.display().to_string(), count.to_string());
    arguments.extend([path.as_str(), "--rounds", &number]);
    let report = report(&cluster, &cluster.tool(&arguments));
    assert_eq!(report["rounds"].as_array().map(Vec::len), Some(count));
    assert_eq!(primaries(&report, 0), (before.0.name.as_str(), before.1.name.as_str()));
    assert_eq!(primaries(&report, 1), (before.1.name.as_str(), before.0.name.as_str()));
    for round in report["rounds"].as_array().expect("rounds") {
        assert_eq!(round["clients"][0]["kind"], "library");
        assert_eq!(
            round["clients"][0]["errors"],
            serde_json::json!({}),
            "a switchover fails no operation of the library"
        );
    }
    let (primary, standby) = cluster.wait_for_pair();
    let mut pids = [before.0.pid, before.1.pid, primary.pid, standby.pid];
    pids.sort_unstable();
    assert_eq!((pids[0], pids[2]), (pids[1], pids[3]), "no process was restarted for it");
    let drawing = fs::read_to_string(svg).expect("the drawing was made");
    assert!(drawing.starts_with("<svg") && drawing.ends_with("</svg>\n") && drawing.contains("switchover from node"));
    assert_nothing_left(&cluster);
}

#[test]
fn a_drilled_kill_loses_and_doubles_nothing() {
    let cluster = Cluster::start();
    // A user's own data, which the drill must leave alone.
    redis::cmd("SET").arg("king").arg("Brian").exec(&mut connect_primary([cluster.port; 2])).expect("acknowledged");
    let before = cluster.wait_for_pair();
    let report = report(&cluster, &cluster.tool(&["drill", "kill", "--yes", "--json", "--load", "4"]));
    assert_eq!(primaries(&report, 0), (before.0.name.as_str(), before.1.name.as_str()));
    let (primary, standby) = cluster.wait_for_pair();
    assert_eq!((&primary.name, primary.pid), (&before.1.name, before.1.pid), "the standby took over as it was");
    assert_ne!(standby.pid, before.0.pid, "the killed process was started again");
    let mut connection = connect_primary([primary.port; 2]);
    let king: String = redis::cmd("GET").arg("king").query(&mut connection).expect("it serves");
    assert_eq!(king, "Brian");
    redis::cmd("DEL").arg("king").exec(&mut connection).expect("acknowledged");
    assert_nothing_left(&cluster);
}

#[test]
fn a_drilled_pause_is_a_takeover_and_the_paused_node_comes_back() {
    let cluster = Cluster::start();
    let before = cluster.wait_for_pair();
    // Without a load of its own: light probes.
    let report = report(&cluster, &cluster.tool(&["drill", "pause", "--yes", "--json"]));
    assert_eq!(primaries(&report, 0), (before.0.name.as_str(), before.1.name.as_str()));
    let (_, standby) = cluster.wait_for_pair();
    assert_eq!(standby.name, before.0.name);
    assert_ne!(state(standby.pid), Some('T'));
    assert_nothing_left(&cluster);
}

/// Clients that are no part of Tanist take part if they are installed, and are named if they are not.
#[test]
fn stock_clients_take_part_in_a_drill_or_are_named() {
    for (mode, fault) in [("off", "switchover"), ("single", "kill")] {
        let cluster = Cluster::with_options(&["--cluster-mode", mode]);
        cluster.wait_for_pair();
        let arguments = ["drill", fault, "--yes", "--json", "--clients", "all", "--watch-ms", "1000"];
        let installed = stock_clients();
        let report = report(&cluster, &in_folder(&mut cluster.tool_command(&arguments), installed.as_deref()));
        let kinds = |list: &Value| {
            let list = list.as_array().expect("a list").clone();
            list.iter().map(|one| one["kind"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
        };
        let (tried, not_tried) = (kinds(&report["tried"]), kinds(&report["not_tried"]));
        assert_eq!(tried.len() + not_tried.len(), 7, "{report:#}");
        assert_eq!(kinds(&report["rounds"][0]["clients"]), tried);
        let impossible = if mode == "off" { "node-redis" } else { "forwarded" };
        assert!(not_tried.contains(&impossible.to_owned()), "{report:#}");
        assert!(installed.is_none() || not_tried.len() == 1, "{report:#}");
        assert_nothing_left(&cluster);
    }
}

#[test]
fn clients_that_are_not_installed_are_no_failure_unless_there_are_no_others() {
    let cluster = Cluster::start();
    cluster.wait_for_pair();
    let drill = |clients: &str| {
        let arguments = ["drill", "switchover", "--yes", "--watch-ms", "300", "--clients", clients];
        cluster.tool_command(&arguments).env("PATH", "/nowhere").output().expect("the tool runs")
    };
    let output = drill("library,redis-py");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("not tried: redis-py (cannot start python3") && said.contains("pip install redis)"),
        "{said}"
    );
    assert!(said.ends_with("nothing lost, nothing doubled\n"), "{said}");
    let output = drill("redis-py,ioredis");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("npm install ioredis") && said.contains("nothing was done"), "{said}");
    let output = drill("libary");
    assert_eq!(output.status.code(), Some(78), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a command where stock clients are found, if they are installed.
fn in_folder(command: &mut Command, installed: Option<&Path>) -> Output {
    if let Some(folder) = installed {
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(folder.join("venv/bin")).chain(std::env::split_paths(&rest));
        command.current_dir(folder).env("PATH", std::env::join_paths(paths).expect("folders"));
    }
    command.output().expect("the tool runs")
}

#[test]
fn a_drill_without_consent_or_without_a_standby_does_nothing() {
    let cluster = Cluster::start();
    let before = cluster.wait_for_pair();
    for fault in ["kill", "pause", "switchover"] {
        let output = cluster.tool(&["drill", fault]);
        let sentence = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{sentence}");
        assert!(sentence.contains("this would") && sentence.contains("--yes"), "{sentence}");
        assert!(sentence.contains(&format!("node {}", before.0.name)), "{sentence}");
    }
    signal(before.1.pid, Signal::STOP);
    let output = cluster.tool(&["drill", "kill", "--yes"]);
    signal(before.1.pid, Signal::CONT);
    let sentence = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{sentence}");
    assert!(sentence.contains("has no standby") && sentence.contains("nothing was done"), "{sentence}");
    let after = cluster.wait_for_pair();
    assert_eq!(who(&after), who(&before));
    assert_nothing_left(&cluster);
}

#[test]
fn a_process_that_was_paused_by_an_interrupted_drill_goes_on() {
    // Long enough for the pause to be interrupted before anybody takes over.
    let cluster = Cluster::with_options(&["--lease-ms", "30000", "--durable-wait-ms", "60000"]);
    let before = cluster.wait_for_pair();
    let drill = Command::new(TANIST)
        .args(["drill", "pause", "--yes", "--load", "2", "--watch-ms", "300", "--data"])
        .arg(cluster.data())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the drill starts");
    wait_until("the primary is paused", || (state(before.0.pid) == Some('T')).then_some(()));
    signal(i32::try_from(drill.id()).expect("a process id"), Signal::INT);
    let output = drill.wait_with_output().expect("the drill ends");
    let sentence = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{sentence}");
    assert!(sentence.contains("interrupted"), "{sentence}");
    assert_ne!(state(before.0.pid), Some('T'), "it goes on");
    assert_eq!(who(&cluster.wait_for_pair()), who(&before), "nobody has taken over");
    assert_nothing_left(&cluster);
}

/// The report of a drill that went well: all confirmed, nothing lost, nothing doubled.
fn report(cluster: &Cluster, output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", cluster.logs());
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["lost"], &report["doubled"]), (&Value::from(0), &Value::from(0)), "{report:#}");
    for round in report["rounds"].as_array().expect("rounds") {
        assert!(round["epoch_after"].as_u64() > round["epoch_before"].as_u64(), "{report:#}");
        assert!(round["takeover"].as_str().is_some_and(|words| words.starts_with("took over from")), "{report:#}");
        for clients in round["clients"].as_array().expect("kinds of clients") {
            assert!(clients["confirmed"].as_u64() > Some(0), "{report:#}");
        }
    }
    for gaps in report["gaps"].as_array().expect("kinds of clients") {
        println!("{}: longest gap {} ms at most over all rounds, {}", report["fault"], gaps["max_ms"], gaps["kind"]);
    }
    report
}

/// Who was primary before and after a round.
fn primaries(report: &Value, round: usize) -> (&str, &str) {
    let round = &report["rounds"][round];
    (round["primary_before"].as_str().expect("a name"), round["primary_after"].as_str().expect("a name"))
}

fn who(pair: &(Node, Node)) -> [(&str, i32); 2] {
    [(&pair.0.name, pair.0.pid), (&pair.1.name, pair.1.pid)]
}

/// The drill's own keys have gone; `probe` is the harness's.
fn assert_nothing_left(cluster: &Cluster) {
    let mut connection = connect_primary([cluster.port, cluster.port + 1]);
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).expect("it serves");
    assert_eq!(keys, ["probe"]);
}
