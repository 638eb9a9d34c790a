//! Writes payloads, each type in its plainest layout: one that every release of Redis since 5.0, and of Valkey, reads.

use super::payload::seal;
use super::string::{BITS_14, BITS_32, BITS_64};
use crate::arena::Pages;
use crate::value::{Kind, ListView, MapView, SortedView, ValueView};

const STRING: u8 = 0;
const LIST: u8 = 1;
const SET: u8 = 2;
const HASH: u8 = 4;
const SORTED_SET: u8 = 5;

/// Returns the payload of a string.
#[must_use]
pub fn string(value: &ValueView<'_>) -> Vec<u8> {
    written(STRING, |out| put_value(out, value))
}

/// Returns the payload of a list.
#[must_use]
pub fn list(view: &ListView<'_, impl Pages>) -> Vec<u8> {
    written(LIST, |out| {
        put_length(out, view.len());
        view.each_from(0, &mut |element| {
            put_value(out, &element);
            true
        });
    })
}

/// Returns the payload of a set, or of a hash.
#[must_use]
pub fn map(view: &MapView<'_, impl Pages>, kind: Kind) -> Vec<u8> {
    let has_values = kind == Kind::Hash;
    written(if has_values { HASH } else { SET }, |out| {
        put_length(out, view.len());
        view.each(&mut |name, value| {
            put_string(out, name);
            if has_values {
                put_value(out, &value);
            }
        });
    })
}

/// Returns the payload of a sorted set. From the highest score on, as Redis does it: the order in which it adds them fastest.
#[must_use]
pub fn sorted_set(view: &SortedView<'_, impl Pages>) -> Vec<u8> {
    written(SORTED_SET, |out| {
        put_length(out, view.len());
        view.each_back_from(view.len(), &mut |name, score| {
            put_string(out, name);
            out.extend_from_slice(&score.get().to_bits().to_le_bytes());
            true
        });
    })
}

fn written(kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![kind];
    write(&mut out);
    seal(&mut out);
    out
}

fn put_value(out: &mut Vec<u8>, value: &ValueView<'_>) {
    put_length(out, value.len());
    value.range(0, value.len(), out);
}

fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    put_length(out, string.len() as u64);
    out.extend_from_slice(string);
}

fn put_length(out: &mut Vec<u8>, len: u64) {
    match len {
        0..0x40 => out.push(len as u8),
        0x40..0x4000 => out.extend_from_slice(&[BITS_14 | (len >> 8) as u8, len as u8]),
        _ => match u32::try_from(len) {
            Ok(len) => {
                out.push(BITS_32);
                out.extend_from_slice(&len.to_be_bytes());
            }
            Err(_) => {
                out.push(BITS_64);
                out.extend_from_slice(&len.to_be_bytes());
            }
        },
    }
}
