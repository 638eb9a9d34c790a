//! Instructions of one operation, counted by valgrind: a figure that a busy machine does not disturb, so that a check can bound it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::report::Report;
use crate::system::found;
use crate::{Arguments, Fallible};

/// Instructions per GET, SET, APPEND, INCR, EXPIRE, DEL, SET on a frozen page, and of commands on collections, over the request parser and the engine, counted by valgrind
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Fail if an operation takes more instructions than its bound, or so few that the bound is stale
    #[arg(long)]
    pub(crate) check: bool,
    /// Operations that are counted: a run of twice as many against a run of as many
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) times: u64,
}

/// An operation of the program `tanist-hot-path`, whose own text says what belongs to it.
struct Operation {
    name: &'static str,
    /// About 8 % above what it took when the bound was set: another compiler's code differs by a few per cent, and a lock, an
    /// allocation or a look-up more in the path of every command by more than that.
    instructions_max: u64,
}

const OPERATIONS: [Operation; 31] = [
    Operation { name: "get", instructions_max: 1_345 },
    Operation { name: "set", instructions_max: 2_110 },
    Operation { name: "append", instructions_max: 3_110 },
    Operation { name: "incr", instructions_max: 2_560 },
    Operation { name: "expire", instructions_max: 2_240 },
    Operation { name: "del", instructions_max: 2_520 },
    Operation { name: "frozen-set", instructions_max: 6_935 },
    Operation { name: "hset-small", instructions_max: 3_905 },
    Operation { name: "hset-large", instructions_max: 3_725 },
    Operation { name: "hget-small", instructions_max: 1_955 },
    Operation { name: "hget-large", instructions_max: 1_940 },
    Operation { name: "sadd-small", instructions_max: 4_415 },
    Operation { name: "sadd-large", instructions_max: 5_025 },
    Operation { name: "sismember-small", instructions_max: 1_980 },
    Operation { name: "sismember-large", instructions_max: 1_960 },
    Operation { name: "lpush-small", instructions_max: 3_330 },
    Operation { name: "lpush-large", instructions_max: 3_610 },
    Operation { name: "lpop-small", instructions_max: 3_245 },
    Operation { name: "lpop-large", instructions_max: 3_520 },
    Operation { name: "zadd-small", instructions_max: 4_710 },
    Operation { name: "zadd-large", instructions_max: 16_530 },
    Operation { name: "zadd-new-small", instructions_max: 5_785 },
    Operation { name: "zadd-new-large", instructions_max: 9_305 },
    Operation { name: "zrank-small", instructions_max: 2_100 },
    Operation { name: "zrank-large", instructions_max: 3_910 },
    Operation { name: "zrange-small", instructions_max: 4_110 },
    Operation { name: "zrange-large", instructions_max: 25_300 },
    Operation { name: "lrange-small", instructions_max: 2_940 },
    Operation { name: "lrange-large", instructions_max: 19_295 },
    Operation { name: "hgetall-small", instructions_max: 6_550 },
    Operation { name: "hgetall-large", instructions_max: 8_350 },
];

/// Share of its bound below which an operation has become so much cheaper that the bound guards nothing.
const STALE_BELOW: f64 = 0.75;

/// The bounds' machine: others have other instructions.
const BOUNDED: bool = cfg!(target_arch = "x86_64");

/// glibc copies with what the processor at hand does best, up to an instruction that counts once for each byte. Without these
/// it takes the code that every x86-64 has, so that counts of different machines can be compared.
const PLAIN_COPIES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM");

pub(crate) fn run(arguments: &Arguments, options: &Options) -> Fallible<()> {
    if !found("valgrind") {
        return Err(
            "instructions are counted by valgrind, which is not here; install it: apt-get install valgrind".into()
        );
    }
    let program = build()?;
    let mut report = Report::new("instructions", &["operation", "instructions", "bound"]);
    let mut wrong = Vec::new();
    for operation in &OPERATIONS {
        let few = collected(&program, operation.name, options.times)?;
        let many = collected(&program, operation.name, 2 * options.times)?;
        let each = many.saturating_sub(few) as f64 / options.times as f64;
        let bound = BOUNDED.then_some(operation.instructions_max);
        let words = bound.map_or_else(String::new, |bound| bound.to_string());
        report.table.row(&[operation.name.into(), format!("{each:.0}"), words]);
        report.results.push(json!({"operation": operation.name, "instructions": each, "bound": bound}));
        wrong.extend(verdict(operation, each));
    }
    report.notes.push(format!("{}, {}.", first_line("rustc"), first_line("valgrind")));
    report.publish(arguments)?;
    match (options.check, BOUNDED) {
        (true, false) => Err("the bounds are those of x86_64: nothing is checked here".into()),
        (true, true) if !wrong.is_empty() => Err(wrong.join("; ").into()),
        _ => Ok(()),
    }
}

/// What is wrong with so many instructions.
fn verdict(operation: &Operation, each: f64) -> Option<String> {
    let Operation { name, instructions_max: bound } = operation;
    if each > *bound as f64 {
        Some(format!("{name} takes {each:.0} instructions, more than its bound of {bound}: its path has become longer"))
    } else if each < STALE_BELOW * *bound as f64 {
        let lower = (each * 1.08).round();
        Some(format!(
            "{name} takes {each:.0} instructions, far below its bound of {bound}, which guards nothing any more: lower it to about {lower} in {}",
            file!(),
        ))
    } else {
        None
    }
}

/// Builds the program and says where it is.
fn build() -> Fallible<PathBuf> {
    let output = Command::new("cargo")
        .args(["build", "--quiet", "--release", "-p", "tanist-hot-path", "--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("tanist-hot-path cannot be built".into());
    }
    let messages = String::from_utf8(output.stdout)?;
    let mut messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executable = messages.find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    executable.ok_or_else(|| "cargo has not said where tanist-hot-path is".into())
}

/// Instructions of a whole run.
fn collected(program: &Path, operation: &str, times: u64) -> Fallible<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([operation, &times.to_string()])
        .env(PLAIN_COPIES.0, PLAIN_COPIES.1)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{operation} has failed under valgrind: {said}").into());
    }
    total(&said).ok_or_else(|| format!("valgrind has not counted {operation}: {said}").into())
}

/// Of valgrind's `==123== Collected : 456` the number.
fn total(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

/// What a program says of its version.
fn first_line(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    said.lines().next().unwrap_or(program).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_bound_and_far_below_it_are_wrong() {
        let operation = Operation { name: "get", instructions_max: 1000 };
        let wrong = |each| verdict(&operation, each).is_some();
        assert_eq!([700.0, 749.0, 751.0, 1000.0, 1001.0].map(wrong), [true, true, false, false, true]);
    }

    #[test]
    fn the_total_is_read_from_what_valgrind_says() {
        assert_eq!(total("==7== \n==7== Events    : Ir\n==7== Collected : 532241322\n==7== \n"), Some(532_241_322));
        assert_eq!(total("==7== nothing"), None);
    }
}
