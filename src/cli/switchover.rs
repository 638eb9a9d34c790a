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
        // By name, so that several who want the same at once get it once, and not there and back again.
        let to = args.to.clone().or_else(|| only_other(&status, &primary.name));
        let mut words = vec!["TANIST", "SWITCHOVER"];
        words.extend(to.as_deref());
        let said = asker.tell(&primary.resp, &words, ANSWER_WAIT).await;
        let now = with_primary(&asker, |node| said.is_err() || node.name != primary.name).await;
        let said = match (said, now.primary()) {
            (Ok(said), _) => said,
            (Err(_), Some(now)) if Some(&now.name) == to.as_ref() => {
                format!("node {} is primary with epoch {}; another request asked for it too", now.name, now.epoch)
            }
            (Err(why), _) => {
                return Err(Failure::Runtime(format!("node {}, asked to hand over, says: {why}", primary.name)));
            }
        };
        print(&format!("{said}\n"));
        Ok(())
    })
}

/// The name of the node beside `primary`, if there is exactly one.
fn only_other(status: &ClusterStatus, primary: &str) -> Option<String> {
    let mut others = status.nodes.iter().map(|node| &node.name).filter(|name| *name != primary);
    others.next().filter(|name| others.next().is_none() && !name.is_empty()).cloned()
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
