//! What keys hold: a folder for each type of value.

pub(crate) mod string;
