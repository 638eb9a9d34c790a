//! Writes numbered keys as fast as the cluster accepts them, shows the effect of each failover, and verifies all writes at the
//! end.
//!
//!     cargo run --release -- up                                          # in one terminal
//!     cargo run --release -p tanist-client --example failover            # in another
//!
//! Then kill the primary's database process, or `target/release/tanist switchover`, while it runs. Takes a folder of certificates,
//! addresses and a number of seconds (20) as arguments. Exits with 1 if an acknowledged write is missing.

#![expect(clippy::print_stdout, reason = "a program for people")]

mod arguments;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::{AsyncCommands, Value};
use tanist_client::{Client, Error};
use tokio::time::Instant;

const WRITERS: u64 = 64;

/// What one writer has seen.
#[derive(Default)]
struct Tally {
    acknowledged: Vec<u64>,
    unknown: Vec<u64>,
    failed: BTreeMap<String, u64>,
}

struct Run {
    prefix: String,
    next: AtomicU64,
    acknowledged: AtomicU64,
    start: Instant,
    end: Instant,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("failover: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<bool, String> {
    let (options, time) = arguments::read("failover")?;
    let client = Client::connect(options).await.map_err(|error| error.to_string())?;
    let start = Instant::now();
    let run = Arc::new(Run {
        prefix: format!("failover:{}", std::process::id()),
        next: AtomicU64::new(0),
        acknowledged: AtomicU64::new(0),
        start,
        end: start + time,
    });
    tokio::spawn(report_primary(client.clone(), run.clone()));
    let gaps = tokio::spawn(report_gaps(run.clone()));
    let writers: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(write(client.clone(), run.clone()))).collect();
    let mut total = Tally::default();
    for writer in writers {
        let tally = writer.await.map_err(|error| error.to_string())?;
        total.acknowledged.extend(tally.acknowledged);
        total.unknown.extend(tally.unknown);
        for (error, times) in tally.failed {
            *total.failed.entry(error).or_default() += times;
        }
    }
    let longest = gaps.await.map_err(|error| error.to_string())?;
    println!(
        "acknowledged {}, unknown {}, failed {}",
        total.acknowledged.len(),
        total.unknown.len(),
        sum(&total.failed)
    );
    total.failed.iter().for_each(|(error, times)| println!("  {times} x {error}"));
    println!("longest gap between acknowledged writes: {} ms", longest.as_millis());
    verify(client, &run.prefix, &total).await
}

/// Writes the next number, again and again; each number once.
async fn write(client: Client, run: Arc<Run>) -> Tally {
    let mut tally = Tally::default();
    while Instant::now() < run.end {
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        let (key, value) = (format!("{}:{number}", run.prefix), number.to_string());
        match client.command(&["SET", &key, &value]).await {
            Ok(_) => {
                tally.acknowledged.push(number);
                run.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            // It may have been written or not: only the data can tell.
            Err(Error::Unknown(_)) => tally.unknown.push(number),
            Err(error) => *tally.failed.entry(error.to_string()).or_default() += 1,
        }
    }
    tally
}

async fn report_primary(client: Client, run: Arc<Run>) {
    let mut follow = client.follow();
    loop {
        let now = follow.borrow_and_update().clone();
        let at = run.start.elapsed().as_millis();
        match now {
            Some(primary) => println!("{at:6} ms  primary is {} under epoch {}", primary.address, primary.epoch),
            None => println!("{at:6} ms  no primary"),
        }
        if follow.changed().await.is_err() {
            return;
        }
    }
}

/// Prints noticeable pauses; returns the longest.
async fn report_gaps(run: Arc<Run>) -> Duration {
    let (mut count, mut last, mut longest) = (0, Instant::now(), Duration::ZERO);
    while Instant::now() < run.end {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let acknowledged = run.acknowledged.load(Ordering::Relaxed);
        if acknowledged == count {
            continue;
        }
        let gap = last.elapsed();
        if gap > Duration::from_millis(50) {
            println!("{:6} ms  writes go on after {} ms", run.start.elapsed().as_millis(), gap.as_millis());
        }
        (count, last, longest) = (acknowledged, Instant::now(), longest.max(gap));
    }
    longest.max(last.elapsed())
}

/// Reads every acknowledged number back, and tells what became of those whose outcome was unknown.
async fn verify(mut client: Client, prefix: &str, total: &Tally) -> Result<bool, String> {
    let mut missing = Vec::new();
    let mut executed = 0;
    for numbers in total.acknowledged.chunks(1_000) {
        let values = read(&mut client, prefix, numbers).await?;
        missing.extend(numbers.iter().zip(values).filter(|(number, value)| !holds(value, **number)).map(|(n, _)| *n));
    }
    for numbers in total.unknown.chunks(1_000) {
        let values = read(&mut client, prefix, numbers).await?;
        executed += numbers.iter().zip(values).filter(|(number, value)| holds(value, **number)).count();
    }
    println!("of {} unknown writes {executed} had been executed", total.unknown.len());
    if missing.is_empty() {
        println!("every acknowledged write is there");
    } else {
        println!("LOST: {} acknowledged writes, the first is number {}", missing.len(), missing[0]);
    }
    Ok(missing.is_empty())
}

async fn read(client: &mut Client, prefix: &str, numbers: &[u64]) -> Result<Vec<Value>, String> {
    let keys: Vec<String> = numbers.iter().map(|number| format!("{prefix}:{number}")).collect();
    client.mget(keys).await.map_err(|error| error.to_string())
}

fn holds(value: &Value, number: u64) -> bool {
    matches!(value, Value::BulkString(text) if *text == number.to_string().into_bytes())
}

fn sum(failed: &BTreeMap<String, u64>) -> u64 {
    failed.values().sum()
}
