//! The lease authority's decisions on records and images.

use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::planted::planted;

use super::{LeaseAuthority, LogFrame, Why};
use crate::vault::lease::roster::{Caller, ConnectionId};
use crate::wire::message::{Answer, Peer};

/// An append stream, numbered in the order of their coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// The one stream whose frames are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AcceptedStream {
    stream: StreamId,
    pub(super) connection: ConnectionId,
    epoch: Epoch,
    /// What older streams had sent is on disk or refused, and the sender knows where to begin.
    begun: bool,
}

/// What is to be done about a frame of an append stream.
#[derive(Debug, PartialEq, Eq)]
pub enum AppendRuling {
    /// Write it behind the newest accepted one.
    Write,
    /// It is there already.
    Known,
    /// End the stream with this.
    End(Answer),
}

impl LeaseAuthority {
    /// Whether `caller` may write under `epoch` now.
    ///
    /// # Errors
    /// The answer that says why not.
    pub fn may_write(&self, caller: &Caller, epoch: Epoch) -> Result<(), Answer> {
        if caller.hello.peer != Peer::Database {
            return Err(Answer::Refused { why: "only a database process may write".to_owned() });
        }
        if epoch > self.newest_epoch() {
            let newest = self.newest_epoch();
            return Err(Answer::Refused { why: format!("epoch {epoch} was never granted, the newest is {newest}") });
        }
        if planted("no epoch check on append") {
            return Ok(());
        }
        // A change in the making fences at once, whether it grants a new epoch or ends this one.
        if self.is_fencing() || !self.holds(caller, epoch.0) {
            return Err(Answer::Fenced { epoch: self.newest_epoch().0 });
        }
        Ok(())
    }

    /// A request to append under `epoch`. The stream replaces any older one. When all frames accepted before are on disk or
    /// refused, [`LeaseAuthority::begin_append`] follows.
    ///
    /// # Errors
    /// The answer that says why not.
    pub fn open_append(&mut self, caller: &Caller, epoch: Epoch) -> Result<StreamId, Answer> {
        self.may_write(caller, epoch)?;
        self.streams += 1;
        let stream = StreamId(self.streams);
        self.appender = Some(AcceptedStream { stream, connection: caller.connection, epoch, begun: false });
        Ok(stream)
    }

    /// Nothing accepted before is still on its way: the stream goes on after `durable`.
    ///
    /// # Errors
    /// The answer that says why not: it was fenced or replaced in the meantime.
    pub fn begin_append(&mut self, caller: &Caller, stream: StreamId, durable: Lsn) -> Result<(), Answer> {
        let epoch = self.current(stream)?;
        self.may_write(caller, epoch)?;
        self.accepted = durable;
        if let Some(appender) = &mut self.appender {
            appender.begun = true;
        }
        Ok(())
    }

    /// Rules on a frame of `stream`.
    pub fn append(&mut self, caller: &Caller, stream: StreamId, frame: &LogFrame) -> AppendRuling {
        match self.judge(caller, stream, frame) {
            Ok(ruling) => ruling,
            Err(answer) => AppendRuling::End(answer),
        }
    }

    /// Whether an image of the log up to `cut` may be published: it must contain nothing that could still be lost.
    ///
    /// # Errors
    /// The answer that says why not.
    pub fn may_publish(&self, caller: &Caller, epoch: Epoch, cut: Lsn, durable: Lsn) -> Result<(), Answer> {
        self.may_write(caller, epoch)?;
        if cut > durable {
            let why = format!("the image reaches to record {cut}, but the log is durable only to {durable}");
            return Err(Answer::Refused { why });
        }
        Ok(())
    }

    /// A change in the making fences, unless it leaves the lease where it is.
    fn is_fencing(&self) -> bool {
        self.change.as_ref().is_some_and(|change| change.why != Why::Levels)
    }

    fn judge(&mut self, caller: &Caller, stream: StreamId, frame: &LogFrame) -> Result<AppendRuling, Answer> {
        let refused = |why: String| Err(Answer::Refused { why });
        if planted("no epoch check on append") {
            return Ok(self.place(frame));
        }
        if self.is_fencing() {
            return Err(Answer::Fenced { epoch: self.newest_epoch().0 });
        }
        let epoch = match self.current(stream) {
            Ok(epoch) => epoch,
            // Whoever replaced it may have been granted a newer epoch: then that is what the sender must hear.
            Err(replaced) => {
                let held = self.may_write(caller, frame.epoch);
                return Err(held.err().unwrap_or(replaced));
            }
        };
        self.may_write(caller, epoch)?;
        if frame.epoch != epoch {
            return refused(format!("records of epoch {} on a stream of epoch {epoch}", frame.epoch));
        }
        if !self.appender.as_ref().is_some_and(|appender| appender.begun) {
            return refused("records came before the vault was ready for them".to_owned());
        }
        if frame.first.0 <= self.lease.sealed && frame.first != self.accepted.next() {
            return Ok(self.gap(frame));
        }
        Ok(self.place(frame))
    }

    /// Whether a frame is there already, follows, or neither.
    fn place(&mut self, frame: &LogFrame) -> AppendRuling {
        if frame.last <= self.accepted {
            return AppendRuling::Known;
        }
        if frame.first != self.accepted.next() {
            return self.gap(frame);
        }
        self.accepted = frame.last;
        AppendRuling::Write
    }

    fn gap(&self, frame: &LogFrame) -> AppendRuling {
        let (first, last, accepted) = (frame.first, frame.last, self.accepted);
        let why = format!("records {first} to {last} do not follow the log's end at {accepted}");
        AppendRuling::End(Answer::Refused { why })
    }

    /// The epoch of `stream`, if it is the one that counts.
    fn current(&self, stream: StreamId) -> Result<Epoch, Answer> {
        match &self.appender {
            Some(appender) if appender.stream == stream => Ok(appender.epoch),
            _ => Err(Answer::Refused { why: "a newer append stream has replaced this one".to_owned() }),
        }
    }
}
