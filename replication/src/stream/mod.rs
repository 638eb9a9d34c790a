//! The sending end of the redo log.

mod window;

pub use window::{Window, WindowError};
