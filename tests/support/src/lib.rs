//! What the tests of real processes share: bounds against hanging, signals, seeds, what is left out, and times that are printed.

#![expect(clippy::disallowed_methods, reason = "tests of real processes wait for real time")]
#![expect(clippy::print_stdout, reason = "what was measured, and the seed")]

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take before a test calls it broken; a bound against hanging, not a promise of speed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Lines of a log that a failing test shows.
const LOG_LINES: usize = 60;

/// Sends `signal` to a process that the test knows by its id.
///
/// # Panics
/// There is no such process, or it is not the test's.
pub fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a process id"), signal).expect("the process takes the signal");
}

/// Polls until `condition` gives a value.
///
/// # Panics
/// It gives none within [`PATIENCE`].
pub fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// The number to reproduce a run with: `TANIST_SEED`, or a new one, printed.
#[must_use]
pub fn seed() -> u64 {
    let seed = from_environment("TANIST_SEED").unwrap_or_else(rand::random);
    println!("seed {seed} (again with TANIST_SEED={seed})");
    seed
}

/// How often a test repeats its main act: `TANIST_ROUNDS`, or `usual`.
#[must_use]
pub fn rounds(usual: usize) -> usize {
    from_environment("TANIST_ROUNDS").unwrap_or(usual)
}

/// The value of the environment variable `name`, if it is set and can be read.
#[must_use]
pub fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Says that a test, or a part of one, is left out because the machine does not offer what it needs. Nobody sees the words of a
/// test that passes: with `TANIST_NO_SKIPS=1` it fails instead.
///
/// # Panics
/// With `TANIST_NO_SKIPS=1`.
pub fn skip(what: &str, needs: &str) {
    let sentence = format!("left out: {what}. It needs {needs}");
    let forbidden = from_environment("TANIST_NO_SKIPS") == Some(1);
    assert!(!forbidden, "{sentence}; TANIST_NO_SKIPS=1 lets nothing be left out");
    println!("{sentence}");
}

/// Prints minimum, median and maximum of some times, a line.
pub fn print_times(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let Some(last) = times.last() else { return };
    let median = times[times.len() / 2];
    println!("{what}: min {:.0?}, p50 {median:.0?}, max {last:.0?} over {} rounds", times[0], times.len());
}

/// Whether an error reply, by its code and its text, says that the command was not executed and never will be.
#[must_use]
pub fn refused(code: Option<&str>, text: &str) -> bool {
    match code {
        Some("READONLY" | "NOTPRIMARY" | "LOADING" | "EXECABORT") => true,
        Some("NOTDURABLE" | "BUSY") => text.contains("(not executed)"),
        _ => false,
    }
}

/// The process that has started `pid`.
///
/// # Panics
/// There is no such process.
#[must_use]
pub fn parent(pid: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    let after_name = stat.rsplit(')').next().expect("a name in brackets");
    after_name.split_whitespace().nth(1).expect("a parent").parse().expect("a number")
}

/// The letter that the kernel has for what a process does: `T` is stopped, `Z` has ended and is not reaped. `None`: it has gone.
#[must_use]
pub fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

/// The last lines of a log.
#[must_use]
pub fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

#[test]
fn only_what_says_so_was_refused() {
    assert!(refused(Some("READONLY"), "READONLY the primary is elsewhere"));
    assert!(refused(Some("NOTDURABLE"), "NOTDURABLE the vault is out of reach (not executed)"));
    assert!(!refused(Some("NOTDURABLE"), "NOTDURABLE it may or may not survive"));
    assert!(!refused(Some("ERR"), "ERR (not executed)") && !refused(None, "a broken pipe"));
}
