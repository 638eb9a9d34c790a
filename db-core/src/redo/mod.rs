//! Redo records: the effects of commands, and the batches they travel in.
//!
//! A command on the primary decides its effects, applies them by the code that replay uses, and appends them as one record while
//! it holds the locks of the shards that they touch. So the same image and the same log give the same bytes on every node.
//! [`RedoQueue`] assigns positions and contains the records that the shipper has not taken yet; a follower's engine applies
//! batches in order and skips records that it already has.

pub mod batch;
mod queue;
pub(crate) mod replay;

pub use crate::effect::RecordError;
pub use queue::RedoQueue;
pub use replay::{Applied, ReplayError};
