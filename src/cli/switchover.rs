//! `tanist switchover`.

use std::time::Duration;

use tanist_db_core::clock::{Clock as _, SystemClock};

use super::args::{NodesArgs, node_name};
use super::print;
use super::status::{Asker, ClusterStatus, NodeStatus};
use crate::exit::Failure;

/// Longest wait for the primary's answer. It gives up by itself long before; after this nobody knows how it went.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// Pause between two looks at who is primary.
const SETTLE_PAUSE: Duration = Duration::from_millis(10);
/// For so long the tool looks who is primary, before and after a change of roles.
const SETTLE_WAIT: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(super) struct SwitchoverArgs {
    /// Node that shall become the primary; without it, the standby that is
    #[arg(long, value_parser = node_name, value_name = "NAME")]
    to: Option<String>,
    #[command(flatten)]
    nodes: NodesArgs,
}

pub(super) fn run(args: SwitchoverArgs) -> Result<(), Failure> {
    let asker = Asker::from_args(args.nodes)?;
    super::block_on(async move {
        let status = with_primary(&asker, |_| true).await;
        let Some(primary) = status.primary() else {
            return Err(Failure::Runtime(format!("{}; a takeover needs no command", status.no_primary())));
        };
        if let Some(to) = &args.to
            && !status.nodes.iter().any(|node| node.name == *to)
        {
            return Err(Failure::Config(format!("this cluster has no node '{to}': nothing was changed")));
        }
        if args.to.as_ref() == Some(&primary.name) {
            print(&format!(
                "node {} is primary already, with epoch {}: nothing was changed\n",
                primary.name, primary.epoch
            ));
            return Ok(());
        }
        let mut words = vec!["TANIST", "SWITCHOVER"];
        words.extend(args.to.as_deref());
        let said = asker.tell(&primary.resp, &words, ANSWER_WAIT).await;
        let said =
            said.map_err(|why| Failure::Runtime(format!("node {}, asked to hand over, says: {why}", primary.name)))?;
        with_primary(&asker, |node| node.name != primary.name).await;
        print(&format!("{said}\n"));
        Ok(())
    })
}

/// The cluster's status as soon as a node that fits says that it is primary; after [`SETTLE_WAIT`], whatever it is
/// then. The vault moves the lease first, the successor serves a moment later.
async fn with_primary(asker: &Asker, fits: impl Fn(&NodeStatus) -> bool) -> ClusterStatus {
    let mut status = asker.status().await;
    let clock = SystemClock::new();
    let begun = clock.monotonic();
    while !status.is_refused() && !status.primary().is_some_and(&fits) && clock.monotonic().since(begun) < SETTLE_WAIT {
        tokio::time::sleep(SETTLE_PAUSE).await;
        status = asker.status().await;
    }
    status
}
