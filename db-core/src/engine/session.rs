//! A session: what the engine remembers of one connection between its commands.

use super::blocking::Place;
use super::call::{KeyArg, Protocol};
use super::scratch::Scratch;
use super::transaction::Transaction;
use super::watch::Watching;
use crate::limits::{COPIED_AT_ONCE_BYTES, DATABASES};

/// State of one connection: protocol, queued transaction, watched keys, and buffers that are used again.
#[derive(Debug)]
pub struct Session {
    pub(super) protocol: Protocol,
    pub(super) transaction: Option<Box<Transaction>>,
    pub(super) watching: Option<Watching>,
    /// The seats of its blocked command.
    pub(super) place: Option<Place>,
    pub(super) scratch: Scratch,
    /// Bytes of a read's reply beyond which it is large.
    pub(super) large_bytes: usize,
    /// Logical number of the database that is selected.
    pub(super) database: u8,
    /// Keys of the command being executed.
    pub(super) keys: Vec<KeyArg>,
}

impl Session {
    /// A fresh session. `seed` starts its dice (for RANDOMKEY): a different one for each connection, its number say.
    #[must_use]
    pub fn new(seed: u64) -> Session {
        Session {
            protocol: Protocol::Resp2,
            transaction: None,
            watching: None,
            place: None,
            scratch: Scratch::new(seed),
            large_bytes: usize::MAX,
            database: 0,
            keys: Vec::new(),
        }
    }

    /// The version of the protocol in which replies are written.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Changes the version (HELLO); the reply being written must be told too.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Reads whose reply takes more than `bytes` are refused from now on ([`Refused::Large`](super::Refused::Large)), if there is a
    /// bound (not `usize::MAX`, as at first), and so are those that would look at more elements than
    /// [`LARGE_REPLY_ELEMENTS`](crate::limits::LARGE_REPLY_ELEMENTS). Within EXEC they are not.
    ///
    /// The same bytes are the bound above which a value is copied in pieces ([`Refused::InPieces`](super::Refused::InPieces)), but
    /// [`COPIED_AT_ONCE_BYTES`](crate::limits::COPIED_AT_ONCE_BYTES) at most.
    pub fn set_large_bytes(&mut self, bytes: usize) {
        self.large_bytes = bytes;
        self.scratch.copied_at_once = (bytes < usize::MAX).then(|| COPIED_AT_ONCE_BYTES.min(bytes as u64));
    }

    /// A session for a single read elsewhere, with the protocol and the database of this one.
    #[must_use]
    pub fn for_one_read(&mut self) -> Session {
        let (protocol, database) = (self.protocol, self.database);
        Session { protocol, database, ..Session::new(self.scratch.roll()) }
    }

    /// The logical number of the database that is selected.
    #[must_use]
    pub fn database(&self) -> u8 {
        self.database
    }

    /// Selects a database (SELECT).
    ///
    /// # Panics
    /// If there is none of this logical number.
    pub fn select(&mut self, logical: u8) {
        assert!(usize::from(logical) < DATABASES, "database {logical}");
        self.database = logical;
    }

    /// Whether commands are being queued.
    #[must_use]
    pub fn in_multi(&self) -> bool {
        self.transaction.is_some()
    }

    /// Whether keys are watched.
    #[must_use]
    pub fn watches(&self) -> bool {
        self.watching.is_some()
    }

    /// The commands queued since MULTI, for whoever has them executed elsewhere.
    #[must_use]
    pub fn transaction(&self) -> Option<&Transaction> {
        self.transaction.as_deref()
    }

    /// The transaction being queued is over, as with DISCARD, and so is every watch.
    pub fn end_transaction(&mut self) -> Option<Box<Transaction>> {
        self.watching = None;
        self.transaction.take()
    }

    /// Whether an EXEC now would execute a command that may write.
    #[must_use]
    pub fn exec_writes(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.writes())
    }

    /// Whether an EXEC now may take longer than other clients of its thread should wait.
    #[must_use]
    pub fn exec_takes_long(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.takes_long())
    }

    /// The command `args` was refused before it could be queued or executed: the EXEC of the transaction being queued, if any,
    /// will fail. If it was EXEC itself, the transaction is over and nothing is watched any more.
    pub fn refuse(&mut self, args: &[&[u8]]) {
        if args.first().is_some_and(|name| name.eq_ignore_ascii_case(b"exec")) {
            self.transaction = None;
            self.watching = None;
        }
        self.spoil_transaction();
    }

    /// The EXEC of the transaction being queued, if any, will fail.
    pub(super) fn spoil_transaction(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.spoil();
        }
    }

    /// Back to the first state: RESP2, the first database, nothing queued, nothing watched.
    pub fn reset(&mut self) {
        self.database = 0;
        self.protocol = Protocol::Resp2;
        self.transaction = None;
        self.watching = None;
    }
}
