//! Servers take turns under one load: what disturbs the machine disturbs them all, and ratios survive it.

use serde::Serialize;

use crate::load::{Moment, Outcome, Prepared, Timing};
use crate::system::Server;
use crate::{Arguments, Fallible};

/// The figures of a turn, or the median of several turns, each figure by itself.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    /// Processor seconds of the serving process for a million commands (of all groups together).
    pub(crate) cpu_per_million: f64,
    /// Of all processes of the system.
    pub(crate) all_cpu_per_million: f64,
    /// Of the load generator.
    pub(crate) own_cpu_per_million: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

impl Figures {
    fn of_latency(outcome: &Outcome) -> Self {
        Self {
            per_second: outcome.per_second(),
            p50_us: outcome.all.micros(0.5) as f64,
            p99_us: outcome.all.micros(0.99) as f64,
            p999_us: outcome.all.micros(0.999) as f64,
            max_us: outcome.all.latency.max() as f64,
            ..Self::default()
        }
    }

    fn median(all: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(all.iter().map(figure));
        Self {
            per_second: of(|f| f.per_second),
            cpu_per_million: of(|f| f.cpu_per_million),
            all_cpu_per_million: of(|f| f.all_cpu_per_million),
            own_cpu_per_million: of(|f| f.own_cpu_per_million),
            p50_us: of(|f| f.p50_us),
            p99_us: of(|f| f.p99_us),
            p999_us: of(|f| f.p999_us),
            max_us: of(|f| f.max_us),
        }
    }
}

/// The middle one; of an even number the upper of both.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Runs the turns of each server; returns for each server the medians of each group.
pub(crate) fn take_turns(arguments: &Arguments, servers: &[Server], load: &Prepared) -> Fallible<Vec<Vec<Figures>>> {
    let ways: Vec<_> = servers.iter().map(|server| (server, server.port)).collect();
    take_turns_at(arguments, &ways, load)
}

/// The same of servers at these ports.
pub(crate) fn take_turns_at(
    arguments: &Arguments,
    ways: &[(&Server, u16)],
    load: &Prepared,
) -> Fallible<Vec<Vec<Figures>>> {
    let mut turns: Vec<Vec<Vec<Figures>>> = ways.iter().map(|_| Vec::new()).collect();
    for number in 0..arguments.turns {
        for place in 0..ways.len() {
            // Each turn begins with another server, so that none always follows the same neighbour.
            let at = (place + number) % ways.len();
            let (server, port) = ways[at];
            turns[at].push(turn_at(server, port, load, arguments.timing(false), || {})?);
        }
    }
    let groups = |of: &Vec<Vec<Figures>>| of.first().map_or(0, Vec::len);
    let medians = |of: &Vec<Vec<Figures>>, g| Figures::median(&of.iter().map(|groups| groups[g]).collect::<Vec<_>>());
    Ok(turns.iter().map(|of| (0..groups(of)).map(|g| medians(of, g)).collect()).collect())
}

/// One server under the load once.
pub(crate) fn turn(server: &Server, load: &Prepared, timing: Timing) -> Fallible<Vec<Figures>> {
    turn_until(server, load, timing, || {})
}

/// The same; `last` is called while the connections are still there.
pub(crate) fn turn_until(
    server: &Server,
    load: &Prepared,
    timing: Timing,
    last: impl FnMut(),
) -> Fallible<Vec<Figures>> {
    turn_at(server, server.port, load, timing, last)
}

fn turn_at(
    server: &Server,
    port: u16,
    load: &Prepared,
    timing: Timing,
    mut last: impl FnMut(),
) -> Fallible<Vec<Figures>> {
    let mut account = Account::default();
    let mut moment = |moment| {
        account.note(server, moment);
        if moment == Moment::End {
            last();
        }
    };
    let outcomes = load.run(port, timing, &mut moment).map_err(|error| format!("{}: {error}", server.name()))?;
    let millions = outcomes.iter().map(|outcome| outcome.all.commands).sum::<u64>() as f64 / 1e6;
    let cpu = account.seconds().map(|seconds| seconds / millions);
    let figures = outcomes.iter().map(|outcome| Figures {
        cpu_per_million: cpu[0],
        all_cpu_per_million: cpu[1],
        own_cpu_per_million: cpu[2],
        ..Figures::of_latency(outcome)
    });
    Ok(figures.collect())
}

/// Processor time between begin and end of the measurement: the serving process, the entire system, the generator.
#[derive(Default)]
struct Account {
    begin: [u64; 3],
    end: [u64; 3],
}

impl Account {
    fn note(&mut self, server: &Server, moment: Moment) {
        let now = [server.cpu_nanos(), server.cpu_nanos_of_all(), crate::system::cpu_nanos(std::process::id())];
        match moment {
            Moment::Begin => self.begin = now,
            Moment::End => self.end = now,
        }
    }

    fn seconds(&self) -> [f64; 3] {
        std::array::from_fn(|i| self.end[i].saturating_sub(self.begin[i]) as f64 / 1e9)
    }
}
