//! Messages between the processes of a cluster and the frames they stand in.

#[cfg(not(feature = "test-support"))]
pub(crate) mod frame;
#[cfg(feature = "test-support")]
pub mod frame;
pub mod hello;
pub mod message;
