//! Data types: a folder for each type of value.

pub mod string;
