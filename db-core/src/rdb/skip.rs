//! Passes over what there is not here: what modules have written.

use std::io::Read;

use super::string::{count, skip_string};
use super::{Input, RdbError};

fn counts<R: Read>(input: &mut Input<R>, how_many: usize) -> Result<(), RdbError> {
    (0..how_many).try_for_each(|_| count(input).map(|_| ()))
}

/// What a module has written as the value of a key: its number, then parts that say of which kind they are.
pub(super) fn module<R: Read>(input: &mut Input<R>) -> Result<(), RdbError> {
    count(input)?;
    module_parts(input)
}

/// What a module has written beside the keys: its number, when that is to be read, and parts.
pub(super) fn module_beside_keys<R: Read>(input: &mut Input<R>) -> Result<(), RdbError> {
    counts(input, 3)?;
    module_parts(input)
}

fn module_parts<R: Read>(input: &mut Input<R>) -> Result<(), RdbError> {
    const END: u64 = 0;
    const SIGNED: u64 = 1;
    const UNSIGNED: u64 = 2;
    const FLOAT: u64 = 3;
    const DOUBLE: u64 = 4;
    const STRING: u64 = 5;
    loop {
        match count(input)? {
            END => return Ok(()),
            SIGNED | UNSIGNED => counts(input, 1)?,
            FLOAT => input.pass(4)?,
            DOUBLE => input.pass(8)?,
            STRING => skip_string(input)?,
            _ => return Err(RdbError::Damaged("what a module has written is of a form that no server writes")),
        }
    }
}
