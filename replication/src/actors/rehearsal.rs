//! For the test of an upgrade: on each connection of a level that has the message, a node asks the vault for a rehearsal. On an older
//! one it does not: the vault would take the message for damage.

use tanist_db_core::level::{Level, since};

use crate::limits::CALL_WAIT;
use crate::transport::rpc::ControlClient;
use crate::wire::message::{Answer, Request};

/// Asks on a connection of `level`, and says what has come of it.
pub(super) async fn rehearse(client: ControlClient, level: Level) {
    if level < since::REHEARSAL {
        return tracing::info!("no rehearsal on a connection of feature level {level}");
    }
    let number = u64::from(level.0);
    match client.call(Request::Rehearse { number }, CALL_WAIT).await {
        Ok(Answer::Rehearsed { number: told }) if told == number => tracing::info!("the vault has rehearsed"),
        other => tracing::error!("the vault has not rehearsed: {other:?}"),
    }
}
