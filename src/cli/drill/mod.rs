//! `tanist drill`: a failover exercise on a running pair. The primary is killed, paused or asked to hand over while clients
//! write; afterwards the replies that each client got are compared with the data.
//!
//! | file | knows |
//! |---|---|
//! | `round` | the steps of one round |
//! | `pair` | whether a pair is healthy, who has taken over |
//! | `target` | how a process is identified reliably, and signalled |
//! | `load` | the clients |
//! | `kind`, `link`, `stock` | the kinds of clients, and how each talks to the cluster |
//! | `ledger` | a client's writes and their replies: lost, doubled |
//! | `witness` | when writes were confirmed, when errors came, the longest gap |
//! | `report`, `timeline`, `picture` | how it is shown |
//!
//! Without `--load` two clients write a little, so the drill observes a pair under its user's own load without adding much to it.

mod kind;
mod ledger;
mod link;
mod load;
mod pair;
mod picture;
mod report;
mod round;
mod stock;
mod target;
mod timeline;
mod witness;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tanist_db_core::clock::SystemClock;

use self::kind::{Kinds, Participants, UntriedKind};
use self::load::{Access, Weight};
use self::pair::Pair;
use self::report::Report;
use self::round::{Plan, Round};
use self::stock::Form;
use super::args::{ToolArgs, client_options, shutdown};
use super::print;
use super::status::Asker;
use crate::cluster_file::{ClusterFile, DataFolder};
use crate::config::{Layer, NodeLayer, Password};
use crate::exit::Failure;

/// Without a load of its own a drill writes so often: often enough to see a pause of some ten milliseconds.
const PROBE_PAUSE: Duration = Duration::from_millis(10);
/// Clients of each kind that one thread can drive so that they measure the cluster and not the drill.
const CLIENTS_MAX: i64 = 64;

/// What is done to the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fault {
    /// Ask it to hand over to the standby, as `tanist switchover` does
    Switchover,
    /// Send SIGKILL to its database process
    Kill,
    /// Send SIGSTOP to its database process, until the standby has taken over; then SIGCONT
    Pause,
}

impl Fault {
    /// The fault with its node, for titles.
    fn of(self, node: &str) -> String {
        match self {
            Fault::Switchover => format!("switchover from node {node}"),
            Fault::Kill => format!("kill -9 of node {node}"),
            Fault::Pause => format!("pause of node {node}"),
        }
    }

    /// What would happen, in a sentence without its beginning.
    fn would(self, pair: &Pair) -> String {
        let (primary, standby) = (&pair.primary.name, &pair.standby.name);
        let process = pair.primary.pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
        match self {
            Fault::Switchover => format!("hand leadership over from node {primary} to node {standby}"),
            Fault::Kill => {
                format!("kill -9 the database process of node {primary}{process}, so that node {standby} takes over")
            }
            Fault::Pause => format!(
                "stop the database process of node {primary}{process} until its lease has run out and node {standby} has taken \
                 over"
            ),
        }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct DrillArgs {
    /// What to do to the primary
    #[arg(value_enum, value_name = "FAULT")]
    fault: Fault,
    /// Do it; without this flag the drill only says what it would do
    #[arg(long)]
    yes: bool,
    /// Which clients write, with commas between: library (Tanist's), plain (one address, the primary's), forwarded (one address,
    /// the standby's), either (both addresses), redis-py, ioredis, node-redis, or all. What is not installed is not tried
    #[arg(long, value_name = "LIST", default_value = "library,plain,forwarded")]
    clients: Kinds,
    /// Write with so many clients of each kind as fast as they are answered; without it, one of each writes every 10 ms
    #[arg(long, value_name = "CLIENTS", value_parser = clap::value_parser!(u32).range(1..=CLIENTS_MAX))]
    load: Option<u32>,
    /// How often to do it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// How long to watch clients before the fault and after the recovery, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    watch_ms: u64,
    /// Draw the round with the longest gap into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print JSON, as described in docs/operations.md
    #[arg(long)]
    json: bool,
    /// Password of the default user; prefer TANIST_REQUIREPASS or the file to the flag
    #[arg(long, env = "TANIST_REQUIREPASS", hide_env_values = true, value_name = "PASSWORD")]
    requirepass: Option<Password>,
    #[command(flatten)]
    tool: ToolArgs,
}

pub(super) fn run(args: DrillArgs) -> Result<(), Failure> {
    let node = NodeLayer { requirepass: args.requirepass.clone(), ..NodeLayer::default() };
    let config = args.tool.clone().config(Layer { node, ..Layer::default() })?;
    let folder = DataFolder::new(&config.common.data);
    let cluster = folder.cluster()?;
    super::block_on(async move {
        let plan = plan(&args, folder, &cluster, config.node.requirepass)?;
        let pair = plan.healthy().await?;
        let _possible = plan.target(&pair)?;
        if !args.yes {
            return Err(Failure::Config(format!(
                "this would {}{}; clients wait meanwhile, and connections to the old primary may break: add --yes to do it",
                args.fault.would(&pair),
                if args.rounds > 1 { format!(", {} times in turn", args.rounds) } else { String::new() }
            )));
        }
        let drawing = args.svg.as_deref().map(open).transpose()?;
        let access = plan.access.clone().of(&pair, &plan.asker).await?;
        let participants = Participants::choose(&args.clients, &access).await?;
        if !args.json {
            print(&(headline(&args, &plan, &pair, &participants) + "\n"));
        }
        let kinds: Vec<_> = participants.tried.iter().map(|tried| tried.kind).collect();
        let (mut rounds, mut ended) = (Vec::new(), Ok(()));
        for number in 1..=args.rounds {
            match plan.round(number, &kinds).await {
                Ok(round) => rounds.push(round),
                Err(failure) if rounds.is_empty() => return Err(failure),
                Err(failure) => {
                    ended = Err(failure);
                    break;
                }
            }
        }
        // What was lost in the rounds before says more than why there are no more of them.
        let report = Report::new(args.fault, cluster.cluster.to_string(), participants, &rounds);
        tell(&args, &plan, &report, &rounds, drawing).and(ended)
    })
}

fn plan(args: &DrillArgs, folder: DataFolder, cluster: &ClusterFile, password: Password) -> Result<Plan, Failure> {
    let clock = Arc::new(SystemClock::new());
    let access = Access {
        client: client_options(&folder, cluster)?,
        // Until the pair has been looked at.
        resp: Vec::new(),
        form: Form::Cluster,
        forwards: false,
        password: password.clone(),
        clock: clock.clone(),
    };
    let weight = match args.load {
        Some(clients) => Weight { clients, pause: Duration::ZERO },
        None => Weight { clients: 1, pause: PROBE_PAUSE },
    };
    Ok(Plan {
        fault: args.fault,
        weight,
        watch: Duration::from_millis(args.watch_ms),
        prefix: format!("tanist-drill:{:016x}", rand::random::<u64>()),
        asker: Asker::new(&folder, password)?,
        access,
        folder,
        clock,
        shutdown: shutdown(false)?,
    })
}

/// What is about to happen, and to whom.
fn headline(args: &DrillArgs, plan: &Plan, pair: &Pair, participants: &Participants) -> String {
    let Weight { clients, .. } = plan.weight;
    let how = match args.load {
        Some(1) => "a client of each kind writes as fast as it is answered".into(),
        Some(_) => format!("{clients} clients of each kind write as fast as they are answered"),
        None => format!("a client of each kind writes every {} ms", PROBE_PAUSE.as_millis()),
    };
    let rounds = if args.rounds > 1 { format!("{} rounds, the first: ", args.rounds) } else { String::new() };
    let mut lines = vec![format!("{rounds}{}; {how}", args.fault.of(&pair.primary.name)), String::new()];
    lines.extend(participants.tried.iter().map(|tried| timeline::line(tried.name, &tried.manner)));
    lines.extend(participants.not_tried.iter().map(UntriedKind::words));
    lines.join("\n") + "\n"
}

fn tell(
    args: &DrillArgs,
    plan: &Plan,
    report: &Report,
    rounds: &[Round],
    drawing: Option<PictureFile<'_>>,
) -> Result<(), Failure> {
    let worst = rounds.iter().max_by_key(|round| round.longest_gap());
    if args.json {
        print(&(serde_json::to_string_pretty(report).map_err(|e| Failure::Runtime(e.to_string()))? + "\n"));
    } else {
        let plot = worst.map(|round| report::plot(args.fault, round)).unwrap_or_default();
        print(&format!("{}\n{plot}\n{}\n", report.text(), report.account().words()));
    }
    if let (Some(drawing), Some(round)) = (drawing, worst) {
        drawing.write(&report.picture(round, plan.weight.clients))?;
    }
    if report.account().is_clean() { Ok(()) } else { Err(Failure::Data(report.account().words())) }
}

/// The file for the drawing, opened before anything is done to the pair.
struct PictureFile<'a> {
    path: &'a Path,
    file: File,
}

fn open(path: &Path) -> Result<PictureFile<'_>, Failure> {
    let file = File::create(path)
        .map_err(|e| Failure::Config(format!("cannot write {}: {e}; nothing was done", path.display())))?;
    Ok(PictureFile { path, file })
}

impl PictureFile<'_> {
    fn write(mut self, svg: &str) -> Result<(), Failure> {
        self.file
            .write_all(svg.as_bytes())
            .map_err(|e| Failure::Runtime(format!("cannot write {}: {e}", self.path.display())))
    }
}
