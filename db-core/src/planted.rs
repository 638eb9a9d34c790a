//! Planted bugs (mutations): deliberate mistakes at critical places, so that the simulator can prove that it finds them.
//!
//! Without the feature `planted-bugs` no bug is ever active, and nothing of this is compiled into its callers. With it, one
//! thread may activate one bug by its name.

/// Whether the bug `name` is active on this thread.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
#[must_use]
pub const fn planted(_name: &str) -> bool {
    false
}

#[cfg(feature = "planted-bugs")]
pub use active::{active, plant, planted};

#[cfg(feature = "planted-bugs")]
mod active {
    use std::cell::Cell;

    thread_local! {
        static ACTIVE: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Makes the bug `name`, or none, active on this thread.
    pub fn plant(name: Option<&'static str>) {
        ACTIVE.set(name);
    }

    /// The bug that is active on this thread.
    #[must_use]
    pub fn active() -> Option<&'static str> {
        ACTIVE.get()
    }

    /// Whether the bug `name` is active on this thread.
    #[must_use]
    pub fn planted(name: &str) -> bool {
        ACTIVE.get() == Some(name)
    }
}
