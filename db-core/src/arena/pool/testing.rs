//! Access to a pool's internals for tests.

use super::PagePool;
use crate::arena::page::PAGE_BYTES;

impl PagePool {
    /// Bytes of pages handed out: live, retired for frozen versions, and the shards' spares.
    #[must_use]
    pub fn bytes_in_use(&self) -> u64 {
        self.state.lock().pages_out * PAGE_BYTES as u64
    }
}
