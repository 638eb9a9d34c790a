//! Writers that remember what was acknowledged, and the check that all of it is there.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use redis::{Commands, Connection};
use tanist_test_support::refused;

use crate::harness::PATIENCE;

/// What one writer was told: key -> newest acknowledged value, and values sent later whose fate it does not know.
#[derive(Default, Debug)]
pub(crate) struct Told {
    pub(crate) acknowledged: HashMap<String, String>,
    unknown: HashMap<String, Vec<String>>,
    pub(crate) count: u64,
    /// Longest time between two acknowledgements.
    pub(crate) longest_gap: Duration,
}

/// A thread that writes to whichever of two ports acknowledges, one command at a time.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Told>,
}

impl Writer {
    /// Writes `words` round and round under keys of its own, each round with a new value.
    pub(crate) fn start(number: usize, ports: [u16; 2], words: Arc<Vec<String>>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || write_until(&stopped, number, ports, &words));
        Self { stop, thread }
    }

    pub(crate) fn finish(self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the writer did not panic")
    }
}

impl Told {
    pub(crate) fn acknowledge(&mut self, key: String, value: String) {
        self.unknown.remove(&key);
        self.acknowledged.insert(key, value);
        self.count += 1;
    }

    pub(crate) fn doubt(&mut self, key: String, value: String) {
        self.unknown.entry(key).or_default().push(value);
    }

    /// Every acknowledged value is there, unless a later one of unknown fate took its place.
    pub(crate) fn verify(&self, connection: &mut Connection) {
        let keys: Vec<_> = self.acknowledged.keys().collect();
        for keys in keys.chunks(500) {
            let found: Vec<Option<String>> = connection.mget(keys).expect("MGET answers");
            for (key, found) in keys.iter().zip(found) {
                let expected = &self.acknowledged[*key];
                let later = self.unknown.get(*key);
                let right = found
                    .as_ref()
                    .is_some_and(|found| found == expected || later.is_some_and(|later| later.contains(found)));
                assert!(right, "acknowledged {key} = {expected}, found {found:?} (unknown fate: {later:?})");
            }
        }
    }
}

/// A connection with time limits, so that a stopped process cannot hang a test.
pub(crate) fn connect(port: u16) -> redis::RedisResult<Connection> {
    let client = redis::Client::open(("127.0.0.1", port))?;
    let connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(connection)
}

/// A connection to whichever port answers a write.
pub(crate) fn connect_primary(ports: [u16; 2]) -> Connection {
    let start = Instant::now();
    loop {
        for port in ports {
            if let Ok(mut connection) = connect(port)
                && connection.set::<_, _, ()>("probe", "1").is_ok()
            {
                return connection;
            }
        }
        assert!(start.elapsed() < PATIENCE, "neither of {ports:?} takes a write");
        sleep(Duration::from_millis(5));
    }
}

/// Sets `keys` keys of half a kilobyte, a thousand a pipeline.
pub(crate) fn fill(connection: &mut Connection, keys: usize) {
    for first in (0..keys).step_by(1000) {
        let mut pipe = redis::pipe();
        for key in first..(first + 1000).min(keys) {
            pipe.set(format!("fill:{key}"), "x".repeat(500)).ignore();
        }
        pipe.query::<()>(connection).expect("the primary acknowledges");
    }
}

fn write_until(stop: &AtomicBool, number: usize, ports: [u16; 2], words: &[String]) -> Told {
    let mut told = Told::default();
    let mut connection = None;
    let mut turn = 0;
    let mut last = Instant::now();
    for round in 0u64.. {
        for word in words {
            let (key, value) = (format!("{number}:{word}"), format!("{word}-{round}"));
            loop {
                if stop.load(Ordering::Relaxed) {
                    return told;
                }
                let Some(open) = connection.as_mut() else {
                    turn += 1;
                    connection = connect(ports[turn % 2]).ok();
                    continue;
                };
                match Commands::set::<_, _, ()>(open, &key, &value) {
                    Ok(()) => {
                        told.longest_gap = told.longest_gap.max(last.elapsed());
                        last = Instant::now();
                        told.acknowledge(key, value);
                        break;
                    }
                    Err(error) => {
                        if !refused(error.code(), &error.to_string()) {
                            told.doubt(key.clone(), value.clone());
                        }
                        connection = None;
                        sleep(Duration::from_millis(1));
                    }
                }
            }
        }
    }
    told
}
