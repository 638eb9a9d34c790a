//! Events of the driver that are logged for operators.

use crate::EVENT;
use crate::node::ImageReport;
use crate::repeats::Times;
use crate::role::{SwitchoverReport, Takeover};
use crate::serving::{Role, Standing};

/// Something that has happened. Where there are `times`, it may happen at any rate; they are absent if it is not to be told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// There is a connection to the vault.
    Connected {
        /// Newest record of its log that is durable.
        durable: u64,
    },
    /// It is lost.
    ConnectionLost {
        /// In words.
        why: String,
        /// How often.
        times: Option<Times>,
    },
    /// The node's role has changed.
    Role {
        /// What it was.
        was: Role,
        /// What is published now.
        standing: Standing,
    },
    /// This node has become primary.
    TookOver(Takeover),
    /// Nobody knows for now how a switchover will end.
    SwitchoverUnsettled(String),
    /// A switchover has ended.
    SwitchoverEnded(Result<SwitchoverReport, String>),
    /// An image is in the vault.
    ImageStored(ImageReport),
    /// It is not.
    ImageFailed {
        /// In words.
        why: String,
        /// How often.
        times: Option<Times>,
    },
}

impl Note {
    /// Writes it to the log.
    pub fn log(&self) {
        match self {
            Note::Connected { durable } => {
                tracing::info!(target: EVENT, "connected to the vault (its log is durable to record {durable})");
            }
            Note::ConnectionLost { why, times: Some(times) } => {
                tracing::warn!(target: EVENT, "connection to the vault lost: {why}{times}");
            }
            Note::ImageFailed { why, times: Some(times) } => {
                tracing::warn!(target: EVENT, "image not stored: {why}{times}");
            }
            Note::ConnectionLost { times: None, .. } | Note::ImageFailed { times: None, .. } => {}
            Note::Role { was, standing } => role_changed(*was, standing),
            Note::TookOver(takeover) => tracing::info!(target: EVENT, "{}", takeover.words()),
            Note::SwitchoverUnsettled(why) => tracing::warn!(target: EVENT, "switchover: {why}"),
            Note::SwitchoverEnded(Ok(report)) => tracing::info!(target: EVENT, "{}", report.words()),
            Note::SwitchoverEnded(Err(why)) => tracing::warn!(target: EVENT, "no switchover: {why}"),
            Note::ImageStored(report) => tracing::info!("{}", report.words()),
        }
    }
}

fn role_changed(was: Role, standing: &Standing) {
    let primary = standing.primary.as_ref().map_or("nobody", |primary| primary.node.as_str());
    let (is, epoch) = (standing.role, standing.epoch);
    tracing::info!("{} -> {} (epoch {epoch}, lease with {primary})", was.word(), is.word());
    if (was, is) == (Role::Joining, Role::Standby) {
        tracing::info!(target: EVENT, "standby, primary is {primary}");
    }
}
