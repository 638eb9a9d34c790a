//! What a node says when it must not execute a command.

use std::time::Duration;

use tanist_db_core::command::CommandSpec;
use tanist_replication::serving::{Role, Serving};

use super::registry::Way;

/// The error while data is being loaded.
pub(super) const LOADING: &str = "LOADING Tanist is loading the dataset in memory";

/// The error for a command that only the primary executes.
pub(super) fn sentence(serving: &Serving, way: Way, spec: &CommandSpec) -> String {
    let primary = serving.primary();
    if way == Way::Library {
        let address = primary.map_or_else(|| "?".to_owned(), |primary| primary.quic.clone());
        return format!("NOTPRIMARY {address} this node is {}", serving.role().word());
    }
    let first = if spec.writes() {
        "READONLY You can't write against a read only replica."
    } else {
        "READONLY this node is the standby and answers no reads."
    };
    match primary {
        Some(primary) => format!("{first} The primary is at {}.", primary.resp),
        None => format!("{first} No primary is known yet."),
    }
}

pub(crate) use tanist_client::wire::NOT_EXECUTED;

/// The error for a command that has waited too long to be executed.
pub(super) fn not_executed(role: Role, waited: Duration) -> String {
    let why = match role {
        Role::Promoting => "this node is taking over",
        Role::HandingOver => "a switchover is under way",
        _ => "the vault is out of reach or behind",
    };
    format!("NOTDURABLE {why} and did not let this command execute within {} ms {NOT_EXECUTED}", waited.as_millis())
}

/// The error for a write that was executed and not confirmed in time.
pub(super) fn not_durable(waited: Duration) -> String {
    format!(
        "NOTDURABLE the vault did not confirm this write within {} ms; it may or may not survive",
        waited.as_millis()
    )
}
