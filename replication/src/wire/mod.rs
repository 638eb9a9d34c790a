//! The wire protocol: messages between the processes of a cluster, and the frames that contain them.

#[cfg(not(feature = "test-support"))]
pub(crate) mod frame;
#[cfg(feature = "test-support")]
pub mod frame;
pub mod hello;
pub mod message;
