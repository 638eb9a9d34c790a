//! Passes over what there is not here: streams, and what modules have written.

use std::io::Read;

use super::string::{count, skip_string};
use super::{Input, RdbError};

/// Bytes of an entry's id in a stream: milliseconds and a number.
const ID_BYTES: u64 = 16;
const TIME_BYTES: u64 = 8;

/// A stream in the form of Redis 5 (1), 7.0 (2) or 7.2 (3).
pub(super) fn stream<R: Read>(input: &mut Input<R>, form: u8) -> Result<(), RdbError> {
    // Pieces, each with its first id; then the number of entries, and the last id in two numbers.
    for _ in 0..count(input)? {
        skip_string(input)?;
        skip_string(input)?;
    }
    counts(input, 3)?;
    if form >= 2 {
        // The first id, the largest one deleted, and how many were ever added.
        counts(input, 5)?;
    }
    for _ in 0..count(input)? {
        group(input, form)?;
    }
    Ok(())
}

/// Readers of a stream that share its entries.
fn group<R: Read>(input: &mut Input<R>, form: u8) -> Result<(), RdbError> {
    skip_string(input)?;
    counts(input, if form >= 2 { 3 } else { 2 })?;
    // Entries that were delivered: when, and how often.
    for _ in 0..count(input)? {
        input.pass(ID_BYTES + TIME_BYTES)?;
        counts(input, 1)?;
    }
    for _ in 0..count(input)? {
        skip_string(input)?;
        input.pass(if form >= 3 { 2 * TIME_BYTES } else { TIME_BYTES })?;
        for _ in 0..count(input)? {
            input.pass(ID_BYTES)?;
        }
    }
    Ok(())
}

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
