//! Every setting at its smallest and its largest accepted value, all at once: what is accepted starts. `--shards 512` was accepted, and
//! the database process died of it again and again.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output};

use redis::{Connection, IntoConnectionInfo};
use tanist_test_support::wait_until;

use crate::harness::Cluster;

/// Starts a pair with these settings, waits until it says that it is ready, and returns a connection to its primary.
fn started(settings: &[(&str, &str)]) -> (Cluster, Connection) {
    let options: Vec<String> =
        settings.iter().flat_map(|(name, value)| [format!("--{name}"), (*value).to_owned()]).collect();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut cluster = Cluster::prepared(&options);
    cluster.begin_up();
    // Not by asking for the status: that would take the only place of `maxclients 1`, and needs the password.
    let port = wait_until("`up` says that it is ready", || {
        let events = cluster.events();
        assert!(!events.contains("did not start"), "{events}\n{}", cluster.logs());
        let port = events.split("redis-cli -p ").nth(1)?.split_whitespace().next()?.parse::<u16>().ok()?;
        Some(port)
    });
    let password = settings.iter().find(|(name, _)| *name == "requirepass").map_or("", |(_, password)| password);
    let mut settings = redis::RedisConnectionInfo::default();
    if !password.is_empty() {
        settings = settings.set_password(password);
    }
    let info = ("127.0.0.1", port).into_connection_info().expect("an address").set_redis_settings(settings);
    let client = redis::Client::open(info).expect("an address");
    let connection = wait_until("the primary takes a client", || client.get_connection().ok());
    (cluster, connection)
}

#[test]
fn all_settings_at_their_smallest() {
    let (cluster, mut connection) = started(&[
        ("shards", "1"),
        ("lease-ms", "200"),
        ("renew-ms", "1"),
        ("durability", "relaxed"),
        ("durable-wait-ms", "201"),
        ("relaxed-bytes-max", "1mb"),
        ("relaxed-ms-max", "1"),
        ("maxmemory", "1"),
        ("maxclients", "1"),
        ("image-interval-ms", "1"),
        ("image-log-bytes", "1mb"),
        ("image-memory-percent", "1"),
        ("threads", "1"),
        ("log-level", "off"),
    ]);
    let pong: String = redis::cmd("PING").query(&mut connection).expect("it answers");
    assert_eq!(pong, "PONG", "{}", cluster.logs());
}

#[test]
fn all_settings_at_their_largest() {
    let password = "p".repeat(512);
    let (cluster, mut connection) = started(&[
        ("shards", "256"),
        ("lease-ms", "43200000"),
        ("renew-ms", "10800000"),
        ("durability", "durable"),
        ("durable-wait-ms", "86400000"),
        ("relaxed-bytes-max", "18446744073709551615"),
        ("relaxed-ms-max", "86400000"),
        ("maxmemory", "18446744073709551615"),
        ("requirepass", &password),
        ("maxclients", "4294967295"),
        ("image-interval-ms", "86400000"),
        ("image-log-bytes", "18446744073709551615"),
        ("image-memory-percent", "100"),
        ("threads", "512"),
        ("log-format", "json"),
    ]);
    redis::cmd("SET").arg("k").arg("v").exec(&mut connection).expect("acknowledged");
    let value: String = redis::cmd("GET").arg("k").query(&mut connection).expect("a value");
    assert_eq!(value, "v", "{}", cluster.logs());
}

/// `tanist up` in a folder below the test's own, stopped as soon as it is ready.
fn up_in(cluster: &Cluster, name: &OsStr) -> Output {
    let data = cluster.data().with_file_name(name);
    let mut command = Command::new("timeout");
    command.args(["--signal=TERM", "8", crate::harness::TANIST, "up", "--port", &cluster.port.to_string(), "--data"]);
    command.arg(data).output().expect("it ends")
}

#[test]
fn a_data_folder_with_an_odd_name() {
    let cluster = Cluster::prepared(&[]);
    let long = "0123456789abcdef".repeat(15);
    let odd = [b"it's a \"folder\" \xFF\xC3\xA4 ".as_slice(), b"%s $HOME ;#"].concat();
    for name in [OsStr::from_bytes(&odd), OsStr::new(&long)] {
        let output = up_in(&cluster, name);
        let said = String::from_utf8_lossy(&output.stdout).to_string();
        assert!(said.contains("ready; use it") && said.contains("vault    stopped"), "{}: {output:?}", name.display());
    }
}

#[test]
fn a_setting_of_no_use_is_refused_before_anything_is_made() {
    let cluster = Cluster::prepared(&[]);
    let long = "x".repeat(600);
    for (options, expected) in [
        (&["--shards", "512"][..], "from 1 to 256"),
        (&["--threads", "65535"], "to 512"),
        (&["--requirepass", &long], "at most 512 bytes"),
        (&["--config", "/dev/zero"], "device"),
        (&["--config", "/"], "folder"),
        (&["--advertise", "0.0.0.0"], "cannot be dialled"),
    ] {
        let output = cluster.up_command().args(options).output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(78) && said.contains(expected), "{options:?}: {output:?}");
        assert!(!cluster.data().exists(), "nothing is left behind");
    }
    let unknown = cluster.up_command().env("TANIST_LEASE_MSS", "500").output().expect("it ends");
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("perhaps TANIST_LEASE_MS is meant"), "{unknown:?}");
    let linked = cluster.up_command().env("TANIST_PORT", "tcp://10.0.0.1:6379").output().expect("it ends");
    assert!(String::from_utf8_lossy(&linked.stderr).contains("enableServiceLinks"), "{linked:?}");
}
