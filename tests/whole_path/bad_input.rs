//! Bad input of the operator: one clear sentence, a non-zero exit, nothing damaged.

use std::fs;
use std::net::TcpListener;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use tanist::cluster_file::ClusterFile;
use tanist_replication::transport::principal::Principal;
use time::OffsetDateTime;

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
        (&["up", "--port", "70000"], "from 1 to 65533"),
        (&["status", "notanaddress"], "host:port"),
        (&["switchover", "host:0"], "host:port"),
        (&["up", "--durability", "sometimes"], "durable"),
        (&["status", "--data", "/nonexistent/folder"], "/nonexistent/folder"),
    ] {
        let output = Command::new(TANIST).args(arguments).output().expect("it runs");
        refused(&output, expected);
        assert_eq!(output.status.code(), Some(78), "{arguments:?}");
        assert_eq!(output.stderr.iter().filter(|byte| **byte == b'\n').count(), 1, "one sentence: {output:?}");
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
    assert!(!cluster.data().exists(), "nothing is left behind");
    refused(&cluster.up_command().args(["--bind", "203.0.113.1"]).output().expect("it ends"), "203.0.113.1");
    assert!(!cluster.data().exists(), "nothing is left behind");
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
    let tls = cluster.data().join("tls");
    let file = Principal::Vault.certificate_file(&tls);
    let (start, end, later) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1), date_time_ymd(2090, 1, 1));
    let expired = vault_certificate(&cluster, start..end);
    fs::write(&file, &expired).expect("written");
    refused(&run(&cluster), "vault.pem expired");
    refused(&run(&cluster), "tanist certs renew");
    // All but the date was as it should be.
    fs::write(&file, vault_certificate(&cluster, start..later)).expect("written");
    cluster.up();
    assert_eq!(cluster.stop(), Some(0));
    fs::write(&file, &expired).expect("written");
    let renewed = cluster.tool(&["certs", "renew"]);
    assert!(renewed.status.success(), "{renewed:?}");
    cluster.up();
}

/// A certificate for the vault's own key, signed by the cluster's own authority, that is valid for `time` only.
fn vault_certificate(cluster: &Cluster, time: Range<OffsetDateTime>) -> String {
    let tls = cluster.data().join("tls");
    let key = |file: &Path| KeyPair::from_pem(&fs::read_to_string(file).expect("a key")).expect("sound");
    let id = ClusterFile::load(&cluster.data().join("cluster.toml")).expect("the cluster's file").cluster;
    let mut authority = CertificateParams::default();
    authority.distinguished_name = named(format!("Tanist cluster {id}"));
    let authority = Issuer::new(authority, key(&tls.join("ca.key")));
    let mut vault = CertificateParams::new([Principal::Vault.server_name(id.0)]).expect("a name");
    vault.distinguished_name = named(Principal::Vault.to_string());
    vault.use_authority_key_identifier_extension = true;
    vault.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    vault.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    (vault.not_before, vault.not_after) = (time.start, time.end);
    vault.signed_by(&key(&Principal::Vault.key_file(&tls)), &authority).expect("a certificate").pem()
}

fn named(name: String) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}
