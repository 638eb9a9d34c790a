//! Writes payloads, each type in its plainest layout: one that every release of Redis since 5.0, and of Valkey, reads. Only a stream is
//! written as Redis does since 7.0, and a hash with fields that expire as Valkey does since 9.0.

use super::payload::{VERSION_WRITTEN, seal};
use super::string::{BITS_14, BITS_32, BITS_64};
use super::value::NEVER;
use super::{VALKEY_VERSION, stream};
use crate::arena::Pages;
use crate::value::{Kind, ListView, MapView, Member, SortedView, StreamView, ValueView};

/// Version of payloads of streams: that of Redis 7.0.
const VERSION_OF_STREAMS: u16 = 10;

const STRING: u8 = 0;
const LIST: u8 = 1;
const SET: u8 = 2;
pub(super) const HASH: u8 = 4;
const SORTED_SET: u8 = 5;
const STREAM: u8 = 19;
const HASH_EXPIRING: u8 = 22;

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
    let mut expires = false;
    if view.has_expiring_fields() {
        view.each(&mut |field| expires |= field.expiry.is_some());
    }
    let (layout, version) = match kind {
        Kind::Hash if expires => (HASH_EXPIRING, VALKEY_VERSION as u16),
        Kind::Hash => (HASH, VERSION_WRITTEN),
        _ => (SET, VERSION_WRITTEN),
    };
    written_as(layout, version, |out| {
        put_length(out, view.len());
        view.each(&mut |Member { name, value, expiry }| {
            put_string(out, name);
            if has_values {
                put_value(out, &value);
            }
            if expires {
                let time = expiry.map_or(NEVER, |time| time.min(i64::MAX as u64));
                out.extend_from_slice(&time.to_le_bytes());
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

/// Returns the payload of a stream, as Redis writes it since 7.0: older releases do not read it.
#[must_use]
pub fn stream(view: &StreamView<'_, impl Pages>) -> Vec<u8> {
    written_as(STREAM, VERSION_OF_STREAMS, |out| stream::put(out, view))
}

fn written(layout: u8, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    written_as(layout, VERSION_WRITTEN, write)
}

fn written_as(layout: u8, version: u16, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![layout];
    write(&mut out);
    seal(&mut out, version);
    out
}

fn put_value(out: &mut Vec<u8>, value: &ValueView<'_>) {
    put_length(out, value.len());
    value.range(0, value.len(), out);
}

pub(super) fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    put_length(out, string.len() as u64);
    out.extend_from_slice(string);
}

pub(super) fn put_length(out: &mut Vec<u8>, len: u64) {
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
