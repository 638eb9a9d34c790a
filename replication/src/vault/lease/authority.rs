//! The lease authority: decides who holds the lease, and whose records and images the vault accepts.
//!
//! All fencing is decided here and nowhere else. The lease authority is a state machine without I/O: it receives a request and
//! the time, and returns the answer. A change of the lease is returned as [`Ruling::Persist`]. The caller makes it durable, and
//! every record accepted before it; then it calls [`LeaseAuthority::persisted`], and only that publishes the change. In between
//! the old epoch is already fenced, the new one is not yet known to anyone, and other calls that depend on the lease wait. A
//! crash in between leaves either the old lease or the new one, and no node has learned of the new one.
//!
//! The invariants:
//!
//! - An epoch is granted once, and each is one more than the last. At most one is accepted at any time.
//! - An epoch is granted only when the one before has run out, was given up or handed over by its holder, or ended by the
//!   supervisor that reaped the holder's process.
//! - A record is accepted only under the newest epoch, from its holder, and directly after the newest accepted one.
//! - A lease that has run out may be renewed as long as nobody has claimed: the time says *when* to claim, the epoch says
//!   who may write.

use std::time::Duration;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::level::Levels;
use tanist_db_core::planted::planted;

use crate::vault::catalog::LeaseRecord;
use crate::vault::lease::roster::{Caller, ConnectionId, Roster};
use crate::vault::log::segment::LogFrame;
use crate::wire::message::{Answer, FollowerView, LeaseView, Peer, Request};

mod append;
mod levels;

pub use append::{AppendRuling, StreamId};

/// What is to be done about a call on a control stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Answer this.
    Answer(Answer),
    /// Once every frame accepted so far is on disk or refused, make the record durable, and call [`LeaseAuthority::persisted`]. If
    /// that fails the vault must stop.
    Persist {
        /// What to remember.
        record: LeaseRecord,
        /// The epoch is new: write the log's end into the record's `sealed` first.
        seal: bool,
    },
    /// A change is being made durable: ask again when it is.
    Wait,
}

/// A change of the lease that is not durable yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LeaseChange {
    record: LeaseRecord,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Why {
    Claim,
    HandOver,
    /// Release or obituary.
    End,
    /// A node knows other feature levels than when it last came.
    Levels,
}

/// The vault's own silence counts as a pause from this part of a lease on: two renewals of the shortest that are allowed may
/// have been missed, and a busy machine does not keep a process waiting for so long.
const PAUSE_SHARE: u32 = 4;

/// The judge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseAuthority {
    length: Duration,
    /// The feature levels that the vault knows.
    pub(crate) levels: Levels,
    /// The lease as everyone may know it.
    lease: LeaseRecord,
    expiry: Monotonic,
    /// Its running out has been told.
    expiry_told: bool,
    change: Option<LeaseChange>,
    roster: Roster,
    /// When the vault last said that it runs.
    awake: Monotonic,
    /// Newest record accepted for writing, not before the newest durable one.
    accepted: Lsn,
    appender: Option<append::AcceptedStream>,
    streams: u64,
}

impl LeaseAuthority {
    /// A lease authority after a start of the vault: `lease` as remembered, `end` of the log as found. A lease that was not ended
    /// counts as fresh, since its holder may have been told so a moment before the vault stopped; and if leases were longer
    /// then, it lasts so long once more: a holder that is cut off does not hear of the new length and counts by the old.
    #[must_use]
    pub fn new(now: Monotonic, length: Duration, lease: LeaseRecord, end: Lsn) -> Self {
        let granted = Duration::from_micros(lease.length_us);
        let longest = if planted("length of a lease forgotten") { length } else { length.max(granted) };
        Self {
            length,
            levels: Levels::OWN,
            lease,
            expiry: if planted("lease forgotten at a restart") { now } else { now.after(longest) },
            expiry_told: false,
            change: None,
            roster: Roster::default(),
            awake: now,
            accepted: end,
            appender: None,
            streams: 0,
        }
    }

    /// Length of a lease.
    #[must_use]
    pub const fn length(&self) -> Duration {
        self.length
    }

    /// A peer was admitted. Returns the connection that it replaces.
    pub fn enter(&mut self, now: Monotonic, caller: &Caller) -> Option<ConnectionId> {
        if caller.hello.peer == Peer::Database { self.roster.enter(now, caller) } else { None }
    }

    /// A connection has ended.
    pub fn leave(&mut self, connection: ConnectionId) {
        self.roster.leave(connection);
        if self.appender.as_ref().is_some_and(|appender| appender.connection == connection) {
            self.appender = None;
        }
    }

    /// Who may write, as everyone may know it.
    #[must_use]
    pub fn view(&self, now: Monotonic) -> LeaseView {
        let left = if self.is_live(now) { self.expiry.since(now) } else { Duration::ZERO };
        LeaseView {
            epoch: self.lease.epoch,
            holder: self.lease.holder.clone(),
            incarnation: self.lease.incarnation,
            remaining_us: micros(left),
            resp_address: self.lease.resp_address.clone(),
            quic_address: self.lease.quic_address.clone(),
            level: self.level().0,
        }
    }

    /// The connected database processes.
    #[must_use]
    pub fn nodes(&self, now: Monotonic) -> Vec<FollowerView> {
        self.roster.views(now, "")
    }

    /// When the lease runs out, unless it has.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Monotonic> {
        (self.lease.epoch > 0 && !self.lease.ended && !self.expiry_told).then_some(self.expiry)
    }

    /// The vault runs: to be said every few milliseconds, and before anything that has waited for it is ruled on. After a
    /// pause of the vault itself, in which nobody could renew, the lease counts as fresh, as after a start: a pause must
    /// not replace a healthy primary.
    pub fn awake(&mut self, now: Monotonic) {
        let paused = now.since(self.awake) > self.length / PAUSE_SHARE;
        if paused && self.next_expiry().is_some() {
            self.expiry = self.expiry.max(now.after(self.length));
        }
        self.awake = now;
    }

    /// Checks whether the lease has run out; returns true if that is new, so that everyone must be notified.
    pub fn tick(&mut self, now: Monotonic) -> bool {
        let news = self.next_expiry().is_some_and(|expiry| now >= expiry) && self.change.is_none();
        self.expiry_told |= news;
        news
    }

    /// Rules on a call of the control stream; `durable` is the log's durable end. Opening requests and `Status` have calls
    /// of their own and are refused here.
    pub fn call(&mut self, now: Monotonic, caller: &Caller, request: Request, durable: Lsn) -> Ruling {
        if let Err(why) = caller.may_ask(&request) {
            return Ruling::Answer(Answer::Refused { why });
        }
        if let Request::Report(progress) = request {
            self.roster.report(now, caller, progress);
            return Ruling::Answer(Answer::Followers(self.roster.views(now, &caller.hello.node)));
        }
        if request == Request::Position {
            return Ruling::Answer(Answer::Durable { lsn: durable.0 });
        }
        #[cfg(feature = "next-level")]
        if let Request::Rehearse { number } = request {
            return Ruling::Answer(self.rehearse(caller, number));
        }
        if self.change.is_some() {
            return Ruling::Wait;
        }
        match request {
            Request::Renew { epoch } => self.renew(now, caller, epoch),
            Request::Claim { seen } => self.claim(now, caller, seen),
            Request::HandOver { epoch, successor, at } => {
                self.hand_over(now, caller, epoch, &successor, Lsn(at), durable)
            }
            Request::Release { epoch } if self.holds(caller, epoch) => self.end(),
            Request::Release { .. } => self.answer_lease(now),
            Request::Obituary { node, incarnation } => self.obituary(now, &node, incarnation),
            _ => Ruling::Answer(Answer::Refused { why: "this request opens a stream of its own".to_owned() }),
        }
    }

    /// The change that [`Ruling::Persist`] asked for is durable, with the log's end at `sealed`. Returns the answer to the call
    /// that caused it. Everyone must be notified of the lease.
    ///
    /// # Panics
    /// If no change was asked for.
    pub fn persisted(&mut self, now: Monotonic, sealed: Lsn) -> Answer {
        let change = self.change.take().expect("only a change that was asked for becomes durable");
        self.lease = change.record;
        if change.why == Why::Levels {
            return Answer::Lease(self.view(now));
        }
        self.expiry_told = false;
        if change.why == Why::End {
            return Answer::Lease(self.view(now));
        }
        // The claimant counts from the moment it sent the claim, which is earlier: it always stops first.
        self.expiry = now.after(self.length);
        self.lease.sealed = sealed.0;
        self.accepted = sealed;
        self.appender = None;
        match change.why {
            Why::Claim => Answer::Claimed { epoch: self.lease.epoch, sealed: sealed.0 },
            _ => Answer::Lease(self.view(now)),
        }
    }

    fn is_live(&self, now: Monotonic) -> bool {
        self.lease.epoch > 0 && !self.lease.ended && now < self.expiry
    }

    /// Whether `caller` is the process to which `epoch`, the newest, was granted, and has not given it up.
    fn holds(&self, caller: &Caller, epoch: u64) -> bool {
        let same = epoch == self.lease.epoch && caller.is(&self.lease.holder, self.lease.incarnation);
        same && epoch > 0 && !self.lease.ended
    }

    fn answer_lease(&self, now: Monotonic) -> Ruling {
        Ruling::Answer(Answer::Lease(self.view(now)))
    }

    fn renew(&mut self, now: Monotonic, caller: &Caller, epoch: u64) -> Ruling {
        if self.holds(caller, epoch) {
            self.extend(now);
        }
        self.answer_lease(now)
    }

    /// The holder has asked for it; never shortens what was promised before.
    fn extend(&mut self, now: Monotonic) {
        self.expiry = self.expiry.max(now.after(self.length));
        self.expiry_told = false;
    }

    fn claim(&mut self, now: Monotonic, caller: &Caller, seen: u64) -> Ruling {
        // One that is repeated because its answer was lost. If leases have become longer since, what is remembered is too short
        // for whoever begins to count now: it waits for the end of this one and is granted another.
        if self.holds(caller, seen.saturating_add(1)) && self.lease.length_us >= micros(self.length) {
            self.extend(now);
            return Ruling::Answer(Answer::Claimed { epoch: self.lease.epoch, sealed: self.lease.sealed });
        }
        if seen != self.lease.epoch || self.is_live(now) {
            return self.answer_lease(now);
        }
        self.begin(self.grant(seen, caller), Why::Claim)
    }

    fn hand_over(
        &mut self,
        now: Monotonic,
        caller: &Caller,
        epoch: u64,
        successor: &str,
        at: Lsn,
        durable: Lsn,
    ) -> Ruling {
        if !self.holds(caller, epoch) {
            return self.answer_lease(now);
        }
        match self.check_successor(caller, successor, at, durable) {
            Ok(record) => self.begin(record, Why::HandOver),
            Err(why) => Ruling::Answer(Answer::Refused { why }),
        }
    }

    fn check_successor(&self, caller: &Caller, name: &str, at: Lsn, durable: Lsn) -> Result<LeaseRecord, String> {
        if name == caller.hello.node {
            return Err(format!("{name} holds the lease already"));
        }
        let (successor, progress) =
            self.roster.member(name).ok_or_else(|| format!("{name} is not connected to the vault"))?;
        if at != durable || at != self.accepted {
            let accepted = self.accepted;
            return Err(format!("the log's durable end is {durable} (accepted {accepted}), not {at}: drain it first"));
        }
        if progress.applied != at.0 {
            return Err(format!("{name} has reported {} as applied, not {at}: wait for it", progress.applied));
        }
        Ok(self.grant(self.lease.epoch, successor))
    }

    fn obituary(&mut self, now: Monotonic, node: &str, incarnation: u64) -> Ruling {
        self.roster.bury(node, incarnation);
        let dead = self.lease.holder == node && self.lease.incarnation == incarnation;
        if dead && self.lease.epoch > 0 && !self.lease.ended { self.end() } else { self.answer_lease(now) }
    }

    /// The epoch after `seen`, for `caller`; where the log is sealed turns out when the change is made durable.
    fn grant(&self, seen: u64, caller: &Caller) -> LeaseRecord {
        let hello = caller.hello.clone();
        LeaseRecord {
            level: self.lease.level,
            nodes: self.lease.nodes.clone(),
            epoch: seen + 1,
            holder: hello.node,
            incarnation: hello.incarnation,
            resp_address: hello.resp_address,
            quic_address: hello.quic_address,
            sealed: 0,
            ended: false,
            length_us: micros(self.length),
        }
    }

    fn end(&mut self) -> Ruling {
        self.begin(LeaseRecord { ended: true, ..self.lease.clone() }, Why::End)
    }

    fn begin(&mut self, record: LeaseRecord, why: Why) -> Ruling {
        assert!(self.change.is_none(), "one change of the lease at a time");
        self.change = Some(LeaseChange { record: record.clone(), why });
        Ruling::Persist { record, seal: matches!(why, Why::Claim | Why::HandOver) }
    }

    /// The newest epoch that anyone may have been granted, told or not.
    fn newest_epoch(&self) -> Epoch {
        Epoch(self.change.as_ref().map_or(self.lease.epoch, |change| change.record.epoch))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
