//! Events that the role driver receives, and actions that it returns.

use std::time::Duration;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::Epoch;

use super::Note;
use crate::node::ImageReport;
use crate::role::{End, Event, SwitchoverReport};
use crate::transport::rpc::Welcome;
use crate::wire::message::{Answer, Request};

/// Something has happened.
#[derive(Debug)]
pub enum DriverEvent<W> {
    /// The process takes part from now on.
    Begin,
    /// The vault has greeted on the connection `generation`.
    Connected {
        /// As [`Action::Connect`] named it.
        generation: u64,
        /// What the vault said.
        welcome: Welcome,
    },
    /// The connection `generation`, or a stream of it, has ended.
    ConnectionLost {
        /// Which.
        generation: u64,
        /// In words.
        why: String,
    },
    /// The vault has said something unasked.
    News {
        /// On which connection.
        generation: u64,
        /// What.
        answer: Answer,
    },
    /// A call has come to its end. Comes once for each [`Action::Call`] at most.
    Answered {
        /// As [`Action::Call`] named it.
        call: u64,
        /// What came of it.
        outcome: CallOutcome,
    },
    /// A timer that [`Action::Later`] has set.
    Timer(Timer),
    /// Some time has passed: [`BEAT_EVERY`](crate::limits::BEAT_EVERY).
    Beat {
        /// Bytes of the data: no image is due before so much log.
        data_bytes: u64,
    },
    /// A sibling has something for the machine, or the process is to end.
    Happened(Event),
    /// What became of the image that [`SiblingOrder::Carry`] asked for.
    Carried(Result<ImageReport, String>),
    /// Somebody asks for a switchover.
    SwitchoverAsked {
        /// Successor; `None`: the best follower.
        to: Option<String>,
        /// Where the outcome goes, once, unless the process ends before.
        way: W,
    },
    /// Somebody asks for an image of all that there is now.
    ImageAsked {
        /// As above.
        way: W,
    },
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// The vault has answered.
    Answer(Answer),
    /// No answer will come.
    Nothing,
    /// No answer has come in time: the vault is silent.
    Late,
}

/// What [`Action::Later`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// The machine wants to be woken at this moment. A later one makes it void.
    Wake(Monotonic),
    /// A report that was put off is due.
    Report,
    /// The next question how far the log is durable is due.
    Position,
}

/// What somebody has asked for, and is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Performed {
    /// A switchover.
    Switchover(SwitchoverReport),
    /// An image.
    Image(ImageReport),
}

/// Something is to be done.
#[derive(Debug)]
pub enum Action<W> {
    /// Connect to the vault, however long that takes, and tell the welcome. Attempts of older numbers are given up.
    Connect {
        /// Number of the connection.
        generation: u64,
    },
    /// Close the present connection.
    Close {
        /// What the vault is told.
        why: &'static str,
    },
    /// Call the vault on the present connection.
    Call {
        /// Number of the call.
        call: u64,
        /// What to ask.
        request: Request,
        /// No answer for so long is [`CallOutcome::Late`].
        wait: Duration,
    },
    /// Hand this to the sibling that it concerns, behind all that was handed to it before.
    Order(SiblingOrder),
    /// Tell the timer at this moment.
    Later(Monotonic, Timer),
    /// The outcome of a switchover or an image, for whoever asked.
    Reply(W, Result<Performed, String>),
    /// Something that people may want to know.
    Note(Note),
    /// End the process. The last action.
    End(End),
}

/// What a sibling is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiblingOrder {
    /// Shipper: open the append stream of the epoch on the present connection, and go on after what the vault has.
    Ship(Epoch),
    /// Shipper: ship no more, and forget what was not confirmed.
    StopShipping,
    /// Follower: follow on the present connection after what is applied. The epoch is the newest known: one of this node's own before
    /// it is over.
    Follow(Epoch),
    /// Follower: follow no more.
    StopFollowing,
    /// Transfer: freeze under the epoch, and carry the version to the vault on the present connection.
    Carry(Epoch),
    /// Transfer: give up the upload under way: it belongs to a term that is over.
    StopCarrying,
    /// Upkeep: append a record, and report its position.
    Append(OwnRecord),
}

/// A record that no client has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnRecord {
    /// The first of an epoch.
    EpochStart(Epoch),
    /// A barrier: one that changes nothing, so that the log's end moves.
    Barrier,
}
