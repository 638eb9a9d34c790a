//! Hash slots of Redis Cluster: which of 16384 parts of the keyspace a key belongs to, and the commands that look at one part.
//!
//! Data is not kept by slots: a command that asks for the keys of one looks at all keys.

use crc::{CRC_16_XMODEM, Crc};

use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::spec::{Handler, spec};
use crate::engine::call::{Argument, Call, CommandSpec, Failure, Flag, Group, Outcome, Reply};

/// Slots of a cluster.
pub const SLOTS: u16 = 16_384;

const CRC: Crc<u16, crc::Table<1>> = Crc::<u16>::new(&CRC_16_XMODEM);

/// The slot of `key`: that of what stands between its first braces, if anything does.
#[must_use]
pub fn slot_of(key: &[u8]) -> u16 {
    CRC.checksum(tag(key)) % SLOTS
}

fn tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else { return key };
    let inside = &key[open + 1..];
    match inside.iter().position(|byte| *byte == b'}') {
        Some(close) if close > 0 => &inside[..close],
        _ => key,
    }
}

/// CLUSTER COUNTKEYSINSLOT.
pub const COUNT_KEYS_IN_SLOT: CommandSpec =
    spec("cluster|countkeysinslot", 3, &[Flag::Stale], Group::Cluster, "3.0.0", Handler::Whole(count_keys))
        .arguments(&[Argument::integer("slot")])
        .doc("Returns how many keys a slot has.", "O(N) where N is the number of keys in the database");

/// CLUSTER GETKEYSINSLOT.
pub const GET_KEYS_IN_SLOT: CommandSpec =
    spec("cluster|getkeysinslot", 4, &[Flag::Stale], Group::Cluster, "3.0.0", Handler::Whole(get_keys))
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::integer("slot"), Argument::integer("count")])
        .doc("Returns some keys of a slot.", "O(N) where N is the number of keys in the database");

/// # Errors
/// That it is no number, or `invalid` if it is not one of a slot.
fn parse_slot(arg: &[u8], invalid: Failure) -> Result<u16, Failure> {
    let slot = parse_i64(arg).ok_or(Failure::NOT_AN_INTEGER)?;
    u16::try_from(slot).ok().filter(|slot| *slot < SLOTS).ok_or(invalid)
}

fn count_keys(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let slot = parse_slot(call.arg(2), Failure::fixed("ERR Invalid slot"))?;
    let mut count = 0;
    data.each(&mut |entry| count += usize::from(slot_of(entry.key()) == slot));
    reply.count(count as u64);
    Ok(())
}

fn get_keys(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    const INVALID: Failure = Failure::fixed("ERR Invalid slot or number of keys");
    let most = parse_i64(call.arg(3)).ok_or(Failure::NOT_AN_INTEGER);
    let slot = parse_slot(call.arg(2), INVALID)?;
    let most = usize::try_from(most?).map_err(|_| INVALID)?;
    // Twice, so that no copy of them is held.
    let mut count = 0;
    data.each(&mut |entry| count += usize::from(count < most && slot_of(entry.key()) == slot));
    reply.array(count);
    data.each(&mut |entry| {
        if count > 0 && slot_of(entry.key()) == slot {
            reply.bulk(entry.key());
            count -= 1;
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What CLUSTER KEYSLOT of Redis 7.0.15 returns.
    #[test]
    fn a_key_has_the_slot_that_redis_gives_it() {
        for (key, slot) in [
            ("", 0),
            ("foo", 12182),
            ("123456789", 0x31c3),
            ("{user1000}.following", 3443),
            ("{user1000}.followers", 3443),
            ("user1000", 3443),
            ("foo{}{bar}", 8363),
            ("foo{{bar}}zap", 4015),
            ("foo{bar}{zap}", 5061),
            ("bar", 5061),
            ("open{brace", 2228),
        ] {
            assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
        }
    }
}
