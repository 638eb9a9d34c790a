//! What a table must say of where it was made.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::system::{found, version};

/// Machine, versions and date, as JSON with words as values.
pub(crate) fn describe(tanist: &Path) -> serde_json::Value {
    let mut versions = vec![version(tanist).unwrap_or_default()];
    for program in ["redis-server", "valkey-server"].into_iter().filter(|program| found(program)) {
        versions.push(format!("{program} {}", short(&version(Path::new(program)).unwrap_or_default())));
    }
    let kernel = rustix::system::uname();
    json!({
        "cpu": cpu(),
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "memory_gib": rustix::system::sysinfo().totalram >> 30,
        "kernel": kernel.release().to_string_lossy(),
        "versions": versions,
        "date": time::OffsetDateTime::now_utc().date().to_string(),
    })
}

/// Whether so many bytes leave room for all else on this machine.
pub(crate) fn has_room_for(bytes: u64) -> bool {
    bytes < rustix::system::sysinfo().totalram as u64 / 10 * 7
}

/// The same as a line of the documentation.
pub(crate) fn sentence(machine: &serde_json::Value) -> String {
    let text = |name: &str| machine[name].as_str().unwrap_or_default().to_owned();
    let versions: Vec<&str> = machine["versions"].as_array().into_iter().flatten().filter_map(|v| v.as_str()).collect();
    format!(
        "{}, {} cores, {} GiB, Linux {}; {}; {}",
        text("cpu"),
        machine["cores"],
        machine["memory_gib"],
        text("kernel"),
        versions.join(", "),
        text("date"),
    )
}

fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    model.unwrap_or(std::env::consts::ARCH).to_owned()
}

/// Of `Redis server v=7.0.15 sha=...` the number.
fn short(version: &str) -> String {
    let number = version.split_whitespace().find_map(|word| word.strip_prefix("v="));
    number.unwrap_or(version).to_owned()
}
