//! For tests of changes.

use super::Change;
use super::codec::Reader;

/// Reads a change of a key as it stands in a record behind operation and key: all of it.
pub(crate) fn decode(operation: u8, bytes: &[u8]) -> Change<'_> {
    let mut from = Reader(bytes);
    let change = Change::decode(operation, &mut from).unwrap();
    assert!(from.0.is_empty(), "nothing is left over");
    change
}
