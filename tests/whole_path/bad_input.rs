//! Bad input of the operator: one clear sentence, a non-zero exit, nothing damaged.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use crate::harness::{Cluster, TANIST};
use crate::load::connect_primary;

fn refused(output: &Output, expected: &str) {
    let said = String::from_utf8_lossy(&output.stderr).to_string();
    assert!(!output.status.success(), "it must not succeed: {output:?}");
    assert!(said.contains(expected), "the sentence speaks of {expected:?}: {said}");
    assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{said}");
    println!("{}", said.trim());
}

fn run(cluster: &Cluster) -> Output {
    cluster.up_command().stdin(Stdio::null()).output().expect("it ends by itself")
}

#[test]
fn a_wrong_flag_or_value_is_refused() {
    for (arguments, expected) in [
        (&["up", "--prot", "1"][..], "--prot"),
        (&["up", "--port", "99999999"], "99999999"),
        (&["up", "--durability", "sometimes"], "durable"),
        (&["status", "--data", "/nonexistent/folder"], "/nonexistent/folder"),
    ] {
        refused(&Command::new(TANIST).args(arguments).output().expect("it runs"), expected);
    }
}

#[test]
fn a_wrong_setting_in_a_file_or_the_environment_is_refused() {
    let mut cluster = Cluster::prepared(&[]);
    let file = cluster.data().with_file_name("tanist.toml");
    fs::write(&file, "prot = 1\n").expect("written");
    refused(&cluster.up_command().arg("--config").arg(&file).output().expect("it ends"), "prot");
    refused(&cluster.up_command().env("TANIST_DURABILITY", "never").output().expect("it ends"), "never");
    cluster.up();
}

#[test]
fn a_port_in_use_is_refused_and_nothing_stays_running() {
    let mut cluster = Cluster::prepared(&[]);
    let taken = TcpListener::bind(("127.0.0.1", cluster.port)).expect("the port was free");
    refused(&run(&cluster), &cluster.port.to_string());
    drop(taken);
    cluster.up();
}

#[test]
fn a_data_folder_in_use_is_refused() {
    let cluster = Cluster::start();
    refused(&run(&cluster), "data");
    cluster.wait_for_pair();
}

#[test]
fn a_vault_folder_of_another_cluster_is_refused() {
    let mut cluster = Cluster::start();
    redis::cmd("SET").arg("k").arg("v").exec(&mut connect_primary([cluster.port; 2])).expect("acknowledged");
    assert_eq!(cluster.stop(), Some(0));
    let file = cluster.data().join("cluster.toml");
    let good = fs::read_to_string(&file).expect("the cluster file");
    let line = good.lines().find(|line| line.starts_with("cluster")).expect("the cluster's id");
    let digit = line.rfind(|c: char| c.is_ascii_hexdigit()).expect("a digit");
    let other =
        format!("{}{}{}", &line[..digit], if line[digit..].starts_with('1') { '2' } else { '1' }, &line[digit + 1..]);
    fs::write(&file, good.replace(line, &other)).expect("written");
    refused(&run(&cluster), "cluster");
    fs::write(&file, good).expect("healed");
    cluster.up();
    let value: String = redis::cmd("GET").arg("k").query(&mut connect_primary([cluster.port; 2])).expect("a value");
    assert_eq!(value, "v");
}

#[test]
fn a_truncated_certificate_or_cluster_file_is_refused() {
    let mut cluster = Cluster::start();
    assert_eq!(cluster.stop(), Some(0));
    for name in ["tls/vault.pem", "tls/ca.pem", "tls/a.key", "cluster.toml"] {
        let file = cluster.data().join(name);
        let good = fs::read(&file).expect("the file");
        fs::write(&file, &good[..good.len() / 2]).expect("written");
        refused(&run(&cluster), name.rsplit('/').next().expect("a name"));
        fs::write(&file, good).expect("healed");
    }
    cluster.up();
}

#[test]
fn an_expired_certificate_is_refused_with_what_to_do() {
    let mut cluster = Cluster::start();
    assert_eq!(cluster.stop(), Some(0));
    let file = cluster.data().join("tls").join("vault.pem");
    let good = fs::read_to_string(&file).expect("the certificate");
    fs::write(&file, expired_certificate()).expect("written");
    refused(&run(&cluster), "expired");
    fs::write(&file, good).expect("healed");
    cluster.up();
}

/// A certificate whose year is over.
fn expired_certificate() -> String {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new(vec!["vault.test.tanist".to_string()]).expect("a name");
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2021, 1, 1);
    parameters.self_signed(&key).expect("a certificate").pem()
}
