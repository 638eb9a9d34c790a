//! The errors and redirections of a node that may not execute a command.

use std::time::Duration;

use tanist_db_core::command::CommandSpec;
use tanist_replication::serving::{PrimaryAddress, Role, Serving};

use super::NodeContext;
use super::commands::host_and_port;
use super::health::HealthSigns;
use super::limits::LARGE_REPLIES_MAX;
use super::registry::Way;

/// The error while data is being loaded.
pub(super) const LOADING: &str = "LOADING Tanist is loading the dataset in memory";

/// The error for a client beyond `maxclients`.
pub(super) const NO_PLACE: &str = "ERR max number of clients reached";

/// The error for a command that only the primary executes.
pub(super) fn sentence(serving: &Serving, way: Way, spec: &CommandSpec) -> String {
    if way == Way::Library {
        let address = serving.primary().map_or_else(|| "?".to_owned(), |primary| primary.quic.clone());
        return format!("NOTPRIMARY {address} this node is {}", serving.role().word());
    }
    // CONFIG comes here only to set what the cluster has in common.
    let first = if spec.writes() || spec.name == "config|set" {
        "READONLY You can't write against a read only replica."
    } else {
        "READONLY this node is the standby and answers no reads."
    };
    match serving.primary() {
        Some(primary) => format!("{first} The primary is at {}.", primary.resp),
        None => format!("{first} No primary is known yet."),
    }
}

pub(crate) use tanist_client::wire::NOT_EXECUTED;

/// The error for a command that tests need and the settings do not allow, in Redis's words.
pub(super) const DEBUG_NOT_ALLOWED: &str = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \
                                            \"local\", you can run it from a local connection, otherwise you need to set \
                                            this option in the configuration file, and then restart the server.";

/// The error for a command of a cluster that this node does not pretend to be, in Redis's words.
pub(super) const NO_CLUSTER: &str = "ERR This instance has cluster support disabled";

/// The redirection of a cluster's client to the primary, to which `slot` belongs.
pub(super) fn moved(slot: u16, primary: &PrimaryAddress) -> String {
    let (host, port) = host_and_port(&primary.resp);
    format!("MOVED {slot} {host}:{port}")
}

/// The error for a command that was forwarded to a primary which was lost before it replied.
pub(super) const OUTCOME_UNKNOWN: &str =
    "UNKNOWN the primary was lost before it replied to this command, which may or may not have been executed";

/// The error for a read at a standby whose data may be older than they may be, in the words of a replica that has lost its master.
pub(super) fn too_old(age: Duration, max: Duration) -> String {
    let (age, max) = (age.as_millis(), max.as_millis());
    format!("MASTERDOWN this standby's data may be {age} ms old, and standby-read-ms-max is {max}")
}

/// The error for a blocked command whose end another client has asked for, in Redis's words.
pub(super) const UNBLOCKED_BY_CLIENT: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

/// The error for a command that was blocked when its node became a standby, in Redis's words; the connection ends behind it.
pub(super) const UNBLOCKED_BY_ROLE: &str =
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";

/// The error for a command that has waited too long to be executed.
pub(super) fn not_executed(context: &NodeContext, waited: Duration) -> String {
    let why = match context.serving.role() {
        Role::Promoting => "this node is taking over".to_owned(),
        Role::Standby => "this node is a standby, reaches no primary".to_owned(),
        Role::HandingOver => "this node hands over, for a switchover or because it stops".to_owned(),
        _ if context.serving.long_waits() => {
            "a switchover is about to begin, before which no long command may,".to_owned()
        }
        _ => what_was_missing(context),
    };
    format!("NOTDURABLE {why} and did not let this command execute within {} ms {NOT_EXECUTED}", waited.as_millis())
}

/// The error for a command that has waited too long for shards which a long command has locked.
pub(super) fn busy(waited: Duration) -> String {
    format!(
        "BUSY a command that takes long (see CLIENT LIST) holds the data and did not let this one execute within {} ms \
         {NOT_EXECUTED}",
        waited.as_millis()
    )
}

/// The error for a read of a connection whose pinned version was ended.
pub(super) fn unpinned(why: &str) -> String {
    format!("UNPINNED the version that this connection had pinned {why}; use TANIST PIN or TANIST UNPIN")
}

/// The error for a read whose large reply has waited too long for its turn.
pub(super) fn no_place_for_large(waited: Duration) -> String {
    format!(
        "BUSY {LARGE_REPLIES_MAX} large replies are being sent, and none came to its end within {} ms {NOT_EXECUTED}",
        waited.as_millis()
    )
}

/// What a primary could not execute without.
fn what_was_missing(context: &NodeContext) -> String {
    if let Some(silent) = HealthSigns::of(context).vault_silent() {
        return format!("the vault has been silent for {:.1} s", silent.as_secs_f64());
    }
    let full = context.engine().is_some_and(|engine| engine.redo().has_room() && !engine.has_room());
    if full {
        return "an image upload uses all the memory that it may (image_memory_percent)".to_owned();
    }
    "the vault is out of reach or behind".to_owned()
}

/// The error for a write that was executed and not confirmed in time.
pub(super) fn not_durable(waited: Duration) -> String {
    format!(
        "NOTDURABLE the vault did not confirm this write within {} ms; it may or may not survive",
        waited.as_millis()
    )
}
