//! The load: connections that each write a pipeline of commands and read as many replies, round and round.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Which commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Set,
    Get,
    Incr,
    /// MSET of ten keys.
    Mset,
    /// SET and GET, one to one, keys by a zipf distribution.
    Mix,
}

/// One load.
pub(crate) struct Load {
    pub(crate) kind: Kind,
    pub(crate) keys: u64,
    pub(crate) value_bytes: usize,
    pub(crate) connections: usize,
    pub(crate) pipeline: usize,
    pub(crate) seconds: f64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) commands: u64,
    pub(crate) per_second: f64,
    pub(crate) cpu_per_million: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) p999_us: u64,
}

impl Outcome {
    /// The median of each figure by itself.
    pub(crate) fn median(outcomes: &mut [Outcome]) -> Outcome {
        fn middle<T: PartialOrd + Copy>(outcomes: &[Outcome], of: impl Fn(&Outcome) -> T) -> T {
            let mut all: Vec<T> = outcomes.iter().map(of).collect();
            all.sort_by(|a, b| a.partial_cmp(b).expect("figures are numbers"));
            all[all.len() / 2]
        }
        Outcome {
            commands: middle(outcomes, |o| o.commands),
            per_second: middle(outcomes, |o| o.per_second),
            cpu_per_million: middle(outcomes, |o| o.cpu_per_million),
            p50_us: middle(outcomes, |o| o.p50_us),
            p99_us: middle(outcomes, |o| o.p99_us),
            p999_us: middle(outcomes, |o| o.p999_us),
        }
    }
}

impl Load {
    /// Runs on one thread until the time is up.
    pub(crate) fn run(&self, port: u16) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let start = Instant::now();
        let until = start + Duration::from_secs_f64(self.seconds);
        let mut times = runtime.block_on(async {
            let tasks: Vec<_> = (0..self.connections)
                .map(|number| {
                    let commands = Commands::new(self, number as u64);
                    tokio::spawn(drive(port, commands, self.pipeline, until))
                })
                .collect();
            let mut times = Vec::new();
            for task in tasks {
                times.extend(task.await.expect("the task ends").expect("the server answers"));
            }
            times
        });
        let seconds = start.elapsed().as_secs_f64();
        times.sort_unstable();
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or(0).into();
        let commands = (times.len() * self.pipeline) as u64;
        Outcome {
            commands,
            per_second: commands as f64 / seconds,
            cpu_per_million: 0.0,
            p50_us: at(0.50),
            p99_us: at(0.99),
            p999_us: at(0.999),
        }
    }
}

/// Writes random commands of one kind into a buffer.
struct Commands {
    kind: Kind,
    keys: u64,
    value: Vec<u8>,
    rng: SmallRng,
}

impl Commands {
    fn new(load: &Load, number: u64) -> Self {
        let value = vec![b'x'; load.value_bytes];
        Self { kind: load.kind, keys: load.keys, value, rng: SmallRng::seed_from_u64(number) }
    }

    fn push(&mut self, out: &mut Vec<u8>) {
        let key = match self.kind {
            Kind::Mix => zipf(&mut self.rng, self.keys),
            _ => self.rng.random_range(0..self.keys),
        };
        match self.kind {
            Kind::Set => push(out, &[b"SET", &name(b'k', key), &self.value]),
            Kind::Get => push(out, &[b"GET", &name(b'k', key)]),
            Kind::Incr => push(out, &[b"INCR", &name(b'n', key)]),
            Kind::Mix if self.rng.random() => push(out, &[b"SET", &name(b'k', key), &self.value]),
            Kind::Mix => push(out, &[b"GET", &name(b'k', key)]),
            Kind::Mset => {
                out.extend_from_slice(b"*21\r\n$4\r\nMSET\r\n");
                for i in 0..10 {
                    push_bulk(out, &name(b'k', (key + i * 7919) % self.keys));
                    push_bulk(out, &self.value);
                }
            }
        }
    }
}

/// A key of 16 bytes.
fn name(first: u8, number: u64) -> [u8; 16] {
    let mut name = *b"k000000000000000";
    name[0] = first;
    let mut rest = number;
    for digit in name[1..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    name
}

/// Close to a zipf distribution with exponent 1: the logarithm of the rank is uniform.
fn zipf(rng: &mut SmallRng, keys: u64) -> u64 {
    let rank = (rng.random::<f64>() * (keys as f64).ln()).exp() as u64;
    (rank.min(keys - 1)).wrapping_mul(0x9E37_79B9_7F4A_7C15) % keys
}

fn push(out: &mut Vec<u8>, parts: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", parts.len()).as_bytes());
    for part in parts {
        push_bulk(out, part);
    }
}

fn push_bulk(out: &mut Vec<u8>, part: &[u8]) {
    out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
    out.extend_from_slice(part);
    out.extend_from_slice(b"\r\n");
}

/// One connection: answers the time of each pipeline in microseconds.
async fn drive(port: u16, mut commands: Commands, pipeline: usize, until: Instant) -> std::io::Result<Vec<u32>> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    // The commands are made ahead and sent round and round, so that the generator costs as little as can be.
    let batches: Vec<Vec<u8>> = (0..(20_000 / pipeline).clamp(64, 4096))
        .map(|_| {
            let mut batch = Vec::new();
            (0..pipeline).for_each(|_| commands.push(&mut batch));
            batch
        })
        .collect();
    let mut times = Vec::new();
    let mut replies = Replies::default();
    for batch in batches.iter().cycle() {
        let start = Instant::now();
        if start >= until {
            break;
        }
        stream.write_all(batch).await?;
        let mut missing = pipeline;
        while missing > 0 {
            if stream.read_buf(&mut replies.buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            missing -= replies.take()?;
        }
        times.push(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(times)
}

/// Counts whole replies: simple strings, errors, integers and bulk strings, which is all that these loads get.
#[derive(Default)]
struct Replies {
    buffer: Vec<u8>,
}

impl Replies {
    fn take(&mut self) -> std::io::Result<usize> {
        let (mut at, mut count) = (0, 0);
        while let Some(length) = self.buffer[at..].windows(2).position(|two| two == b"\r\n") {
            let line = &self.buffer[at..at + length];
            let mut end = at + length + 2;
            match line[0] {
                b'-' => return Err(std::io::Error::other(String::from_utf8_lossy(line).into_owned())),
                b'$' if line != b"$-1" => {
                    let bytes: usize = std::str::from_utf8(&line[1..]).ok().and_then(|n| n.parse().ok()).unwrap_or(0);
                    end += bytes + 2;
                }
                _ => {}
            }
            if end > self.buffer.len() {
                break;
            }
            at = end;
            count += 1;
        }
        self.buffer.drain(..at);
        Ok(count)
    }
}

/// Sets every key once, in order.
pub(crate) fn fill(port: u16, keys: u64, value_bytes: usize) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server accepts");
    let value = vec![b'x'; value_bytes];
    let mut replies = Replies::default();
    for first in (0..keys).step_by(500) {
        let mut batch = Vec::new();
        let last = (first + 500).min(keys);
        (first..last).for_each(|key| push(&mut batch, &[b"SET", &name(b'k', key), &value]));
        stream.write_all(&batch).expect("the server reads");
        let mut missing = (last - first) as usize;
        let mut chunk = [0; 16384];
        while missing > 0 {
            let read = stream.read(&mut chunk).expect("the server answers");
            assert!(read > 0, "the server closed the connection");
            replies.buffer.extend_from_slice(&chunk[..read]);
            missing -= replies.take().expect("the server accepts the write");
        }
    }
}

/// Whether the server takes a write now.
pub(crate) fn can_write(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut reply = [0; 5];
    stream.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$1\r\n1\r\n").is_ok()
        && stream.read_exact(&mut reply).is_ok()
        && reply == *b"+OK\r\n"
}
