//! What came of a load: counts and latencies, in all and by slices of time.

use hdrhistogram::Histogram;

/// Length of a slice of a time series in microseconds.
pub(crate) const SLICE_MICROS: u64 = 100_000;

/// Latency that the histogram can hold, in microseconds; slower batches count as this.
const LATENCY_MICROS_MAX: u64 = 120_000_000;

/// A count of commands with the latency of their batches in microseconds.
#[derive(Clone)]
pub(crate) struct Tally {
    pub(crate) commands: u64,
    pub(crate) latency: Histogram<u32>,
}

impl Tally {
    /// `digits` is the precision of latencies: 3 is 0.1 %.
    pub(crate) fn new(digits: u8) -> Self {
        let latency =
            Histogram::new_with_bounds(1, LATENCY_MICROS_MAX, digits).expect("the bounds are in order, 1 to 5 digits");
        Self { commands: 0, latency }
    }

    pub(super) fn record(&mut self, commands: u64, micros: u64) {
        self.commands += commands;
        self.latency.saturating_record(micros.max(1));
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        self.commands += other.commands;
        self.latency.add(&other.latency).expect("both have the same bounds");
    }

    /// Latency in microseconds below which `share` of all batches stay.
    pub(crate) fn micros(&self, share: f64) -> u64 {
        self.latency.value_at_quantile(share)
    }
}

/// What a group of connections did while it was measured.
#[derive(Clone)]
pub(crate) struct Outcome {
    pub(crate) seconds: f64,
    pub(crate) all: Tally,
    /// Slices of 100 ms since the measurement began; empty if none were asked for.
    pub(crate) slices: Vec<Tally>,
    with_slices: bool,
}

impl Outcome {
    pub(super) fn new(with_slices: bool) -> Self {
        Self { seconds: 0.0, all: Tally::new(3), slices: Vec::new(), with_slices }
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.all.commands as f64 / self.seconds
    }

    /// Notes a batch that was done `at` microseconds after the measurement began.
    pub(super) fn record(&mut self, at: u64, commands: u64, micros: u64) {
        self.all.record(commands, micros);
        if self.with_slices {
            let slice = (at / SLICE_MICROS) as usize;
            while self.slices.len() <= slice {
                self.slices.push(Tally::new(2));
            }
            self.slices[slice].record(commands, micros);
        }
    }
}
