//! Access to the internals of a node and a vault for tests and the simulator.

use std::time::Duration;

use crate::lease::LeaseTimes;
use crate::node::Shipper;
use crate::vault::lease::server::LeaseServer;

impl LeaseTimes {
    /// A lease of `length`, renewed eight times in its length: three renewals may be lost in a row, and a fourth be slow,
    /// before the holder has to stop.
    #[must_use]
    pub fn of(length: Duration) -> LeaseTimes {
        LeaseTimes { length, renew_every: length / 8 }
    }
}

impl Shipper {
    /// Bytes that the vault has not confirmed.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.term.as_ref().and_then(|(_, shipping)| shipping.window.as_ref()).map_or(0, |window| window.bytes)
    }
}

impl<W> LeaseServer<W> {
    /// Calls that wait for a change to be made durable.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl crate::vault::lease::authority::LeaseAuthority {
    /// The same in a vault that knows `levels`; the record's own is one of them.
    #[must_use]
    pub fn knowing(mut self, levels: tanist_db_core::level::Levels) -> Self {
        self.levels = levels;
        self
    }
}
