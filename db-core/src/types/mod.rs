//! Data types: a folder for each type of value.

pub mod map;
pub mod string;
