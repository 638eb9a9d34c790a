//! The page of the documentation: what was measured, kept as numbers beside the build, and as a table and a picture in `docs/`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tanist::rank::nearest_rank;

use super::{Fault, LEASE, Sample, columns, plot};

/// Adds `samples` to those of earlier runs, and writes the page anew in `folder`.
pub(super) fn add(fault: Fault, samples: &[Sample], folder: &Path) {
    let numbers = numbers();
    fs::create_dir_all(&numbers).expect("the build's folder can be written");
    let mut text = fs::read_to_string(numbers.join(fault.name())).unwrap_or_default();
    for Sample { resp, library, own } in samples {
        let _ = writeln!(text, "{} {} {}", resp.as_micros(), library.as_micros(), own.as_micros());
    }
    fs::write(numbers.join(fault.name()), text).expect("the build's folder can be written");
    let all: Vec<_> = Fault::ALL.into_iter().map(|fault| (fault, read(fault))).collect();
    fs::write(folder.join("takeover-times.md"), page(&all)).expect("the book can be written");
    fs::write(folder.join("takeover-times.svg"), plot::svg(&all)).expect("the book can be written");
}

/// Where the numbers of all runs since the last `just takeovers` are kept.
fn numbers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/takeovers")
}

fn read(fault: Fault) -> Vec<Sample> {
    let text = fs::read_to_string(numbers().join(fault.name())).unwrap_or_default();
    let samples = text.lines().map(|line| {
        let mut micros = line.split(' ').map(|number| Duration::from_micros(number.parse().expect("a number")));
        let mut next = || micros.next().expect("three numbers a line");
        Sample { resp: next(), library: next(), own: next() }
    });
    samples.collect()
}

fn page(all: &[(Fault, Vec<Sample>)]) -> String {
    let mut text = format!(
        "# Takeover times\n\n\
         Gathered on {}, until {}, by one run or several of\n\n\
         ```sh\n\
         cargo build --release\n\
         TANIST_FAULT=crash TANIST_ROUNDS=40 TANIST_TAKEOVERS_BOOK=docs TANIST_PROGRAM=target/release/tanist \\\n    \
         cargo test --test cluster -- --nocapture takeovers_by_fault\n\
         ```\n\n\
         `TANIST_ROUNDS` is how many takeovers a run makes of each fault; `TANIST_FAULT` (`crash`, `lost-host`, `cut`, `switchover`) lets it make\n\
         those of one only. Each run adds to what is in `target/takeovers`, until that is removed; `just takeovers` does so first, and then makes 200\n\
         of each.\n\n\
         Vault, two nodes and clients each have a network namespace on this one machine; the lease is {} ms, all other settings are the\n\
         defaults. Three clients speak the Redis protocol, wait at most 500 ms for a reply, and then take the other node; two use the\n\
         client library. All of them write and read all the time, and every history was checked. The time of a takeover is the longest\n\
         one in which one of these clients had no write confirmed, from before the fault until all are served again. The node's own\n\
         report is what it counts itself: from its claim to its serving, or how long a switchover held the clients.\n\n\
         Times in milliseconds; the aim is for 99 of 100. A percentile is a time that occurred (nearest rank): of fewer than 100 takeovers, p99 is\n\
         the longest.\n\n\
         | what happens to the primary | as seen by | number | min | p50 | p90 | p99 | max | aim |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        machine(),
        today(),
        LEASE.as_millis()
    );
    for (fault, samples) in all.iter().filter(|(_, samples)| !samples.is_empty()) {
        for (number, (who, times)) in columns(samples).into_iter().enumerate() {
            let rank = |share| nearest_rank(&times, share).expect("there are samples");
            let [min, p50, p90, p99, max] =
                [0.0, 0.5, 0.9, 0.99, 1.0].map(|share| format!("{:.1}", rank(share).as_secs_f64() * 1e3));
            let what = if number == 0 { fault.words() } else { "" };
            let aim = if number < 2 { fault.aim().as_millis().to_string() } else { String::new() };
            let _ =
                writeln!(text, "| {what} | {who} | {} | {min} | {p50} | {p90} | {p99} | {max} | {aim} |", times.len());
        }
    }
    text + "\n![Share of takeovers that are over after a time, by fault](takeover-times.svg)\n"
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{processors} processors {}, Linux {}", model.unwrap_or("of unknown make"), kernel.trim())
}

fn today() -> String {
    time::OffsetDateTime::now_utc().date().to_string()
}
