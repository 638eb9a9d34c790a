//! Access to a driver's state for tests and the simulator.

use super::Driver;
use crate::role::Machine;

impl<W> Driver<W> {
    /// The machine that it drives.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Calls whose answers may still come.
    #[must_use]
    pub fn calls_under_way(&self) -> usize {
        self.calls.len()
    }

    /// Whether a switchover that was asked for has not ended.
    #[must_use]
    pub fn is_switching(&self) -> bool {
        self.askers.is_some()
    }
}
