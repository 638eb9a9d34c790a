//! Messages between the processes of a cluster and the frames they stand in.

pub mod frame;
pub mod hello;
pub mod message;
