//! Comparison benchmarks: real servers on one machine, taking turns, ratios in one run.
//!
//! Times mean little on a shared machine; the ratio of two servers that took turns on it means something. Beside each
//! throughput stands the server's own processor time per million commands, which the load generator does not blur.
//!
//! Each subcommand answers one question with one table. It stores its figures as JSON, and with `--book docs` it replaces
//! its part of `docs/benchmarks.md`; `summary` puts the stored figures beside the aims.
//!
//! ```text
//! main -> run/*     what is asked of which servers, and the rows that answer it
//!          |- load     the generator: requests made ahead, one epoll, latency in histograms
//!          |- system   servers as processes, and the kernel's account of them
//!          '- report   table, JSON, the documentation's part;  plot: SVG by hand
//! ```

mod load;
mod machine;
mod report;
mod run;
mod system;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use load::Timing;
use system::{Folder, Programs};

/// What fails ends the run with a sentence.
pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
#[command(about)]
pub(crate) struct Arguments {
    /// The `tanist` program to measure [default: the one beside this program]
    #[arg(long, default_value_os_t = beside_this(), hide_default_value = true, global = true)]
    tanist: PathBuf,
    /// Turns for each server; the median of each figure is shown
    #[arg(long, default_value_t = 5, global = true)]
    turns: usize,
    /// Seconds of load a turn
    #[arg(long, default_value_t = 5.0, global = true)]
    seconds: f64,
    /// Seconds of load before each turn that are not measured
    #[arg(long, default_value_t = 1.0, global = true)]
    warm_up: f64,
    /// The book's folder: replace this command's part of its page on benchmarks
    #[arg(long, value_name = "DIR", global = true)]
    book: Option<PathBuf>,
    /// Where figures are stored as JSON
    #[arg(long, default_value = "target/bench", global = true)]
    results: PathBuf,
    /// Where servers keep their data while they run: on a disk
    #[arg(long, default_value = "target/bench/data", global = true)]
    data: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Throughput(run::throughput::Options),
    Collections(run::collections::Options),
    Durable(run::durable::Options),
    Forwarding(run::forwarding::Options),
    Image(run::image::Options),
    LoadImage(run::load_image::Options),
    Memory(run::memory::Options),
    Connections(run::connections::Options),
    Worst(run::worst::Options),
    Micro(run::micro::Options),
    Instructions(run::instructions::Options),
    Summary(run::summary::Options),
}

impl Arguments {
    fn timing(&self, slices: bool) -> Timing {
        Timing { warm_up_seconds: self.warm_up, seconds: self.seconds, slices }
    }

    fn programs(&self) -> Programs {
        Programs { tanist: self.tanist.clone(), data: self.data.clone() }
    }
}

fn main() -> ExitCode {
    match measure(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn measure(mut arguments: Arguments) -> Fallible<()> {
    // The one that asks no server.
    if let What::Instructions(options) = &arguments.what {
        return run::instructions::run(&arguments, options);
    }
    // Servers are started in folders of their own.
    arguments.tanist = arguments
        .tanist
        .canonicalize()
        .map_err(|error| format!("{}: {error}; build it with: cargo build --release", arguments.tanist.display()))?;
    std::fs::create_dir_all(&arguments.data)?;
    arguments.data = arguments.data.canonicalize()?;
    Folder::sweep(&arguments.data);
    let report = match &arguments.what {
        What::Throughput(options) => run::throughput::run(&arguments, options)?,
        What::Collections(options) => run::collections::run(&arguments, options)?,
        What::Durable(options) => run::durable::run(&arguments, options)?,
        What::Forwarding(options) => run::forwarding::run(&arguments, options)?,
        What::Image(options) => run::image::run(&arguments, options)?,
        What::LoadImage(options) => run::load_image::run(&arguments, options)?,
        What::Memory(options) => run::memory::run(&arguments, options)?,
        What::Worst(options) => run::worst::run(&arguments, options)?,
        What::Connections(options) => run::connections::run(&arguments, options)?,
        What::Summary(options) => return run::summary::run(&arguments, options),
        What::Instructions(_) => unreachable!("it has had its turn"),
        What::Micro(options) => run::micro::run(&arguments, options)?,
    };
    report.publish(&arguments)
}

/// Where Cargo puts the database.
fn beside_this() -> PathBuf {
    std::env::current_exe().unwrap_or_default().with_file_name("tanist")
}

fn complain(sentence: &str) {
    use std::io::Write;
    let _closed = writeln!(std::io::stderr(), "bench: {sentence}");
}
