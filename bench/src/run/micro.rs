//! The engine's own measuring program, in the documentation's form.

use std::process::Command;

use serde_json::{Value, json};

use super::turns::median;
use crate::report::Report;
use crate::table::figure;
use crate::{Arguments, Fallible};

/// The engine in one process, without network: GET and SET on live and on frozen pages, and on hash maps behind the same locks
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) keys: u64,
}

/// What is compared with the same on hash maps.
const COMPARED: [(&str, &str); 5] =
    [("load", "load"), ("get", "get"), ("set", "set"), ("get, frozen", "get"), ("set, frozen", "set")];

pub(crate) fn run(arguments: &Arguments, options: &Options) -> Fallible<Report> {
    let mut report = Report::new("micro", &["what", "unit", "tanist", "hash map", "ratio"]);
    let rounds: Vec<Vec<Value>> =
        (0..arguments.turns.max(1)).map(|_| measure(arguments, options.keys)).collect::<Fallible<_>>()?;
    let of = |who: &str, what: &str| median(rounds.iter().filter_map(|figures| value(figures, who, what)));
    for (what, beside) in COMPARED {
        let (ours, theirs) = (of("tanist", what), of("hash map", beside));
        let row = [what.to_owned(), "ns".into(), figure(ours), figure(theirs), figure(ours / theirs)];
        report.table.row(&row);
        report.results.push(json!({"what": what, "ns": ours, "hash_map_ns": theirs, "ratio": ours / theirs}));
    }
    let compared =
        |who: &str, what: &str| who == "hash map" || COMPARED.iter().any(|(name, _)| who == "tanist" && *name == what);
    for figure_of in rounds.first().into_iter().flatten() {
        let text = |name: &str| figure_of[name].as_str().unwrap_or_default();
        let (who, what) = (text("who"), text("what"));
        if compared(who, what) || report.results.iter().any(|seen| seen["what"] == what && seen["who"] == who) {
            continue;
        }
        let name = if who == "tanist" { what.to_owned() } else { format!("{who}: {what}") };
        report.table.row(&[name, text("unit").into(), figure(of(who, what)), String::new(), String::new()]);
        report.results.push(json!({"who": who, "what": what, "value": of(who, what), "unit": text("unit")}));
    }
    report.notes.push(format!("{} keys of 16 bytes, values of 100 bytes, 16 shards.", options.keys));
    Ok(report)
}

/// Runs the program; its figures are objects with `who`, `what`, `value` and `unit`.
pub(crate) fn measure(_: &Arguments, keys: u64) -> Fallible<Vec<Value>> {
    let output = Command::new("cargo")
        .args(["run", "--quiet", "--release", "-p", "tanist-db-core", "--example", "micro", "--", "--json"])
        .arg(keys.to_string())
        .output()?;
    if !output.status.success() {
        return Err(format!("micro has failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// The median over the program's own rounds.
pub(crate) fn value(figures: &[Value], who: &str, what: &str) -> Option<f64> {
    let of = figures.iter().filter(|figure| figure["who"] == who && figure["what"] == what);
    let mut values = of.filter_map(|figure| figure["value"].as_f64()).peekable();
    values.peek()?;
    Some(median(values))
}
