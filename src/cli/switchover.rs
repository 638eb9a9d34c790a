//! `tanist switchover`.

use std::time::Duration;

use super::args::{NodesArgs, node_name};
use super::print;
use super::status::{Asker, ClusterStatus};
use crate::exit::Failure;

/// Longest wait for the primary's answer. It gives up by itself long before; after this nobody knows how it went.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

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
        let status = asker.with_primary(|_| true).await;
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
        let now = asker.with_primary(|node| said.is_err() || node.name != primary.name).await;
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
