//! How fast a server that has nothing gets everything, and how far a standby is behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::micro;
use super::turns::median;
use crate::load::{Clock, Group, Kind, Pace, Prepared, fill, pause};
use crate::report::Report;
use crate::system::{Client, Server, System, database_pid, node_of};
use crate::table::figure;
use crate::{Arguments, Fallible};

/// Time from a standby's death until it has everything again; lag at 80 % load
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Keys and values together, in units of 1,000,000,000 bytes
    #[arg(long, value_delimiter = ',', default_values_t = [1.0])]
    pub(crate) gigabytes: Vec<f64>,
    #[arg(long, default_value_t = 100)]
    pub(crate) value_bytes: usize,
    /// Part of the full speed at which lag is watched
    #[arg(long, default_value_t = 0.8)]
    pub(crate) share: f64,
    /// A neighbour to load the same from a dump, with `DEBUG RELOAD`
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [System::Redis, System::Valkey])]
    pub(crate) neighbours: Vec<System>,
}

/// A wait that takes longer has failed.
const PATIENCE_SECONDS: f64 = 300.0;

pub(crate) fn run(arguments: &Arguments, options: &Options) -> Fallible<Report> {
    let mut report = Report::new("load-image", &["GB", "what", "MB", "seconds", "MB/s", "more"]);
    for gigabytes in &options.gigabytes {
        let keys = ((gigabytes * 1e9) as u64 / (16 + options.value_bytes as u64)).max(1);
        tanist(arguments, options, *gigabytes, keys, &mut report)?;
        alone(arguments, *gigabytes, keys, &mut report)?;
        for system in options.neighbours.iter().filter(|system| system.is_there()) {
            neighbour(arguments, options, *system, *gigabytes, keys, &mut report)?;
        }
    }
    Ok(report)
}

fn add(report: &mut Report, gigabytes: f64, what: &str, bytes: f64, seconds: f64, more: &str) {
    let rate = bytes / seconds / 1e6;
    report.table.row(&[
        gigabytes.to_string(),
        what.to_owned(),
        figure(bytes / 1e6),
        figure(seconds),
        figure(rate),
        more.to_owned(),
    ]);
    let result =
        json!({"gigabytes": gigabytes, "what": what, "bytes": bytes, "seconds": seconds, "megabytes_per_second": rate});
    report.results.push(result);
}

fn tanist(arguments: &Arguments, options: &Options, gigabytes: f64, keys: u64, report: &mut Report) -> Fallible<()> {
    // Often enough that the wait for an image of everything is short.
    let extra = ["--image-interval-ms", "3000", "--image-log-bytes", "1024gb"].map(str::to_owned);
    let server = Server::start_with(&arguments.programs(), System::TanistRelaxed, &extra)?;
    fill(server.port, 0, keys, options.value_bytes)?;
    let bytes = image_of_everything(&server)?;
    let status = server.status()?;
    let standby = node_of(&status, "standby").ok_or("no standby")?;
    let port = port_of(standby).ok_or("the standby tells no address")?;
    let old = database_pid(&status, "standby").ok_or("the standby tells no process id")?;
    let last = standby["durable_lsn"].as_u64().unwrap_or(0);
    let clock = Clock::start();
    kill(old)?;
    let is_back = || {
        let said = Client::connect(port).and_then(|mut client| client.ask(&["TANIST", "STATUS"])).ok();
        let said = said.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
        said.is_some_and(|said| {
            let is_new = said["pid"].as_u64() != Some(u64::from(old));
            is_new && said["role"] == "standby" && said["applied_lsn"].as_u64() >= Some(last)
        })
    };
    wait("the standby is back", 10, is_back)?;
    add(
        report,
        gigabytes,
        "tanist: standby killed, until it has everything",
        bytes as f64,
        clock.seconds(),
        &said_by(&server, standby["name"].as_str().unwrap_or_default()),
    );
    lag(arguments, options, &server, keys, gigabytes, report)
}

/// Waits until the newest image holds everything; its bytes.
fn image_of_everything(server: &Server) -> Fallible<u64> {
    let mut bytes = 0;
    wait("an image of everything", 200, || {
        let Ok(status) = server.status() else { return false };
        let vault = &status["vault"];
        let (image, durable) = (&vault["images"][0], vault["durable_lsn"].as_u64().unwrap_or(u64::MAX));
        bytes = image["bytes"].as_u64().unwrap_or(0);
        // The record that tells of the cut follows it, and so may one more.
        image["cut"].as_u64().is_some_and(|cut| cut + 2 >= durable)
    })?;
    Ok(bytes)
}

/// What the database process that loaded last has said of it.
fn said_by(server: &Server, node: &str) -> String {
    let log = server.data().join("logs").join(format!("node-{node}.log"));
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let words = text.lines().rev().find_map(|line| Some(line.split_once(" loaded: ")?.1.split_once(',')?.1.trim()));
    words.map_or_else(String::new, |words| format!("of it the image: {words}"))
}

fn port_of(node: &serde_json::Value) -> Option<u16> {
    node["resp"].as_str()?.rsplit(':').next()?.parse().ok()
}

fn kill(pid: u32) -> Fallible<()> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).ok_or("a process id")?;
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::KILL)?)
}

fn wait(what: &str, every_ms: u64, mut is_so: impl FnMut() -> bool) -> Fallible<()> {
    let clock = Clock::start();
    while !is_so() {
        if clock.seconds() > PATIENCE_SECONDS {
            return Err(format!("waited in vain: {what}").into());
        }
        pause(every_ms);
    }
    Ok(())
}

/// The engine takes the same image apart in one process.
fn alone(arguments: &Arguments, gigabytes: f64, keys: u64, report: &mut Report) -> Fallible<()> {
    let figures = micro::measure(arguments, keys)?;
    let of = |what: &str| micro::value(&figures, "image", what).ok_or_else(|| format!("micro tells no {what}"));
    let bytes = of("bytes")?;
    for (what, name) in [
        ("walk", "engine alone: pages to chunks"),
        ("feed", "engine alone: chunks to pages"),
        ("verify", "engine alone: check of the whole"),
    ] {
        let seconds = bytes / (of(what)? * f64::from(1 << 30));
        add(report, gigabytes, name, bytes, seconds, "");
    }
    let seconds = bytes / f64::from(1 << 30) * (1.0 / of("feed")? + 1.0 / of("verify")?);
    add(report, gigabytes, "engine alone: chunks to pages, and check", bytes, seconds, "one core, all in memory");
    Ok(())
}

fn neighbour(
    arguments: &Arguments,
    options: &Options,
    system: System,
    gigabytes: f64,
    keys: u64,
    report: &mut Report,
) -> Fallible<()> {
    let extra = ["--enable-debug-command", "yes"].map(str::to_owned);
    let server = Server::start_with(&arguments.programs(), system, &extra)?;
    fill(server.port, 0, keys, options.value_bytes)?;
    let mut client = server.client()?;
    client.be_patient()?;
    client.ask(&["SAVE"])?;
    let bytes = std::fs::metadata(server.folder().join("dump.rdb"))?.len();
    let clock = Clock::start();
    client.ask(&["DEBUG", "RELOAD", "NOSAVE"])?;
    let words = format!("{}: DEBUG RELOAD NOSAVE", system.name());
    add(report, gigabytes, &words, bytes as f64, clock.seconds(), "empties itself first");
    Ok(())
}

/// The standby's lag while SET comes at the open pace.
fn lag(
    arguments: &Arguments,
    options: &Options,
    server: &Server,
    keys: u64,
    gigabytes: f64,
    report: &mut Report,
) -> Fallible<()> {
    let group =
        |pace| Group { kind: Kind::Set, connections: 50, pipeline: 1, keys, value_bytes: options.value_bytes, pace };
    let timing = arguments.timing(false);
    let full = Prepared::new(&[group(Pace::Closed)]).run(server.port, timing, &mut |_| {})?[0].per_second();
    let load = Prepared::new(&[group(Pace::Open { per_second: full * options.share })]);
    let status = server.status()?;
    let standby = node_of(&status, "standby").and_then(port_of).ok_or("the standby tells no address")?;
    let stop = Arc::new(AtomicBool::new(false));
    let (flag, primary) = (Arc::clone(&stop), server.port);
    let watch = std::thread::spawn(move || lags(primary, standby, &flag).map_err(|error| error.to_string()));
    let outcome = load.run(server.port, timing, &mut |_| {});
    stop.store(true, Ordering::Relaxed);
    let lags = watch.join().map_err(|_| "the watch of the lag has ended early")??;
    let outcome = outcome?.remove(0);
    let middle = median(lags.iter().copied());
    let most = lags.iter().copied().fold(0.0, f64::max);
    let rate = outcome.per_second();
    let ms = |records: f64| figure(records / rate * 1e3);
    report.notes.push(format!(
        "Lag at {:.0} % load ({} k/s, {gigabytes} GB): median {middle:.0} records ({} ms), most {most:.0} records ({} ms), {} looks.",
        options.share * 100.0,
        figure(rate / 1e3),
        ms(middle),
        ms(most),
        lags.len(),
    ));
    report.results.push(json!({
        "gigabytes": gigabytes, "what": "lag", "per_second": rate, "median_records": middle, "max_records": most,
        "median_ms": middle / rate * 1e3, "max_ms": most / rate * 1e3,
    }));
    Ok(())
}

/// Records that the primary knows to be durable and that the standby, asked right after, has not applied.
fn lags(primary: u16, standby: u16, stop: &AtomicBool) -> Fallible<Vec<f64>> {
    let (mut primary, mut standby) = (Client::connect(primary)?, Client::connect(standby)?);
    let number = |client: &mut Client, field: &str| -> Fallible<f64> {
        let said: serde_json::Value = serde_json::from_str(&client.ask(&["TANIST", "STATUS"])?)?;
        Ok(said[field].as_f64().ok_or_else(|| format!("the status has no {field}"))?)
    };
    let mut lags = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let durable = number(&mut primary, "durable_lsn")?;
        let applied = number(&mut standby, "applied_lsn")?;
        lags.push((durable - applied).max(0.0));
        pause(20);
    }
    Ok(lags)
}
