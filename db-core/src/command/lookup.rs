//! From a name in any case to its record, without an allocation.
//!
//! The index is an open-addressed table made at compile time. Its hash is of the first and the last eight bytes of the
//! name, letters made small, and of its length.

use super::failure::Failure;
use super::spec::CommandSpec;
use super::table::TABLES;

const SLOTS: usize = 512;
const EMPTY: u16 = u16::MAX;

static INDEX: [u16; SLOTS] = build();

/// Beside each entry its name as a number, if it is of up to eight letters: with its length, that is all of it. Else 0.
static SHORT_NAMES: [u64; SLOTS] = short_names();

/// Every command, by group.
pub fn all() -> impl Iterator<Item = &'static CommandSpec> + Clone {
    TABLES.iter().flat_map(|table| table.iter())
}

/// The record of the command `name`, in any case; of the container if it has subcommands.
#[must_use]
pub fn lookup(name: &[u8]) -> Option<&'static CommandSpec> {
    let ends = small_ends(name);
    let mut slot = slot_of(ends, name.len());
    loop {
        let entry = INDEX[slot];
        if entry == EMPTY {
            return None;
        }
        let spec = &TABLES[usize::from(entry >> 8)][usize::from(entry & 0xff)];
        let same = match SHORT_NAMES[slot] {
            0 => name.eq_ignore_ascii_case(spec.name.as_bytes()),
            short => short == ends.0 && name.len() == spec.name.len(),
        };
        if same {
            return Some(spec);
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// The record that `args`, with the name, call: of the subcommand in a container. Checks the number of arguments.
///
/// # Errors
/// If there is no such command or subcommand, or the number of arguments is not what it takes.
pub fn resolve(args: &[&[u8]]) -> Result<&'static CommandSpec, Failure> {
    find(args.len(), |at| args[at]).map_err(|unfit| match unfit {
        Unfit::Name => unknown_command(args),
        Unfit::Subcommand(container) => unknown_subcommand(container, args[1]),
        Unfit::Count(spec) if spec.is_exec() => Failure::EXEC_ARITY,
        Unfit::Count(spec) => Failure::arity(spec.name),
    })
}

/// Why arguments call nothing.
#[derive(Clone, Copy, Debug)]
pub enum Unfit {
    /// There is no such command.
    Name,
    /// The container has no such subcommand.
    Subcommand(&'static CommandSpec),
    /// The command takes another number of arguments.
    Count(&'static CommandSpec),
}

/// [`resolve`] for `count` arguments of which `arg` gives the one at an index, without words for a failure.
///
/// # Errors
/// Where [`resolve`] fails.
#[inline]
pub fn find<'a>(count: usize, arg: impl Fn(usize) -> &'a [u8]) -> Result<&'static CommandSpec, Unfit> {
    let mut spec = lookup(if count == 0 { &[] } else { arg(0) }).ok_or(Unfit::Name)?;
    if !spec.subcommands.is_empty() && count > 1 {
        spec = subcommand(spec, arg(1)).ok_or(Unfit::Subcommand(spec))?;
    }
    if spec.takes(count) { Ok(spec) } else { Err(Unfit::Count(spec)) }
}

/// The subcommand `name` of `container`.
pub(super) fn subcommand(container: &CommandSpec, name: &[u8]) -> Option<&'static CommandSpec> {
    let start = container.name.len() + 1;
    container.subcommands.iter().find(|spec| name.eq_ignore_ascii_case(&spec.name.as_bytes()[start..]))
}

fn unknown_command(args: &[&[u8]]) -> Failure {
    const SHOWN_MAX: usize = 128;
    let name = args.first().copied().unwrap_or_default();
    let mut shown = String::new();
    for arg in args.iter().skip(1) {
        if shown.len() >= SHOWN_MAX {
            break;
        }
        let end = arg.len().min(SHOWN_MAX - shown.len());
        shown.push_str(&format!("'{}' ", String::from_utf8_lossy(&arg[..end])));
    }
    let name = String::from_utf8_lossy(&name[..name.len().min(SHOWN_MAX)]);
    Failure::owned(format!("ERR unknown command '{name}', with args beginning with: {shown}"))
}

fn unknown_subcommand(container: &CommandSpec, name: &[u8]) -> Failure {
    let name = String::from_utf8_lossy(&name[..name.len().min(128)]);
    let container = container.name.to_ascii_uppercase();
    Failure::owned(format!("ERR unknown subcommand '{name}'. Try {container} HELP."))
}

const fn build() -> [u16; SLOTS] {
    let mut index = [EMPTY; SLOTS];
    let mut table = 0;
    while table < TABLES.len() {
        let mut at = 0;
        while at < TABLES[table].len() {
            let name = TABLES[table][at].name.as_bytes();
            let mut slot = slot_of(small_ends(name), name.len());
            while index[slot] != EMPTY {
                slot = (slot + 1) % SLOTS;
            }
            assert!(at < 256, "an entry has eight bits for the place in its table");
            index[slot] = (table as u16) << 8 | at as u16;
            at += 1;
        }
        table += 1;
    }
    index
}

const fn short_names() -> [u64; SLOTS] {
    let mut names = [0; SLOTS];
    let mut slot = 0;
    while slot < SLOTS {
        let entry = INDEX[slot];
        if entry != EMPTY {
            let name = TABLES[(entry >> 8) as usize][(entry & 0xff) as usize].name.as_bytes();
            let mut letters = 0;
            while letters < name.len() && name[letters].is_ascii_lowercase() {
                letters += 1;
            }
            if letters == name.len() && letters <= 8 {
                names[slot] = small_ends(name).0;
            }
        }
        slot += 1;
    }
    names
}

const fn slot_of((head, tail): (u64, u64), len: usize) -> usize {
    let mixed = head ^ tail.rotate_left(17) ^ len as u64;
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as usize
}

/// The ends of a name, letters made small.
const fn small_ends(name: &[u8]) -> (u64, u64) {
    // The bit in which capitals differ from small letters; a letter with it is nothing else's.
    const SMALL: u64 = 0x2020_2020_2020_2020;
    let (head, tail) = ends(name);
    (head | SMALL, tail | SMALL)
}

/// The name in one or two numbers: its first and last eight bytes, which overlap in a short one.
const fn ends(name: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        return (u64::from_le_bytes(*head), u64::from_le_bytes(*tail));
    }
    if let (Some(head), Some(tail)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        return (u32::from_le_bytes(*head) as u64 | (u32::from_le_bytes(*tail) as u64) << 32, 0);
    }
    match name {
        [] => (0, 0),
        [one] => (*one as u64, 0),
        [first, .., last] => (*first as u64 | (name[1] as u64) << 8 | (*last as u64) << 16, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_in_any_case() {
        for spec in all() {
            let upper = spec.name.to_ascii_uppercase();
            assert_eq!(lookup(upper.as_bytes()).map(|found| found.name), Some(spec.name));
            assert_eq!(lookup(spec.name.as_bytes()).map(|found| found.name), Some(spec.name));
        }
        for name in ["", "g", "gett", "GE T", "no-such-command-with-a-long-name"] {
            assert!(lookup(name.as_bytes()).is_none(), "{name:?}");
        }
    }

    #[test]
    fn names_stand_once_and_fill_less_than_half_of_the_index() {
        let mut names: Vec<_> = all().map(|spec| spec.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(count < SLOTS / 2);
    }

    #[test]
    fn what_cannot_be_called_is_refused_in_the_words_of_redis() {
        let refused = |args: &[&[u8]]| resolve(args).unwrap_err().text().to_owned();
        assert_eq!(refused(&[b"foo", b"a", b"b"]), "ERR unknown command 'foo', with args beginning with: 'a' 'b' ");
        assert_eq!(refused(&[b"GET"]), "ERR wrong number of arguments for 'get' command");
        assert_eq!(refused(&[b"object", b"foo"]), "ERR unknown subcommand 'foo'. Try OBJECT HELP.");
        assert_eq!(refused(&[b"object", b"encoding"]), "ERR wrong number of arguments for 'object|encoding' command");
        assert_eq!(refused(&[b"object"]), "ERR wrong number of arguments for 'object' command");
    }
}
