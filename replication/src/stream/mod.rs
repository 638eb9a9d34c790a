//! The sending end of the redo log.

mod window;

pub use window::{Unsealed, Window, WindowError};
