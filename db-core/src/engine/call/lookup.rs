//! Looks up a command's spec by its name, in any case, without an allocation.
//!
//! The index is an open-addressed table made at compile time. Its hash is of the first and the last eight bytes of the
//! name, letters made small, and of its length.

use super::failure::Failure;
use super::modules;
use super::spec::CommandSpec;

const SLOTS: usize = 1024;
const EMPTY: u16 = u16::MAX;

/// Commands by their groups.
pub(crate) type Groups = &'static [&'static [CommandSpec]];

/// All commands that a process knows: the engine's, and those that the engine's caller runs.
#[derive(Debug)]
pub struct CommandTable {
    engine: Groups,
    front: Groups,
    index: [u16; SLOTS],
    /// Beside each entry its name as a number, if it is of up to eight letters: with its length, that is all of it. Else 0.
    short_names: [u64; SLOTS],
}

impl CommandTable {
    /// The engine's commands and those of its caller. For a `static`: it is made at compile time.
    ///
    /// # Panics
    /// If there are too many, or a name stands twice.
    pub(crate) const fn of(engine: Groups, front: Groups) -> CommandTable {
        let index = build(engine, front);
        let short_names = short_names(engine, front, &index);
        CommandTable { engine, front, index, short_names }
    }

    /// Every command, by group.
    pub fn all(&self) -> impl Iterator<Item = &'static CommandSpec> + Clone + use<> {
        self.engine.iter().chain(self.front).flat_map(|group| group.iter())
    }

    /// The record of the command `name`, in any case; of the container if it has subcommands.
    #[inline]
    #[must_use]
    pub fn lookup(&self, name: &[u8]) -> Option<&'static CommandSpec> {
        let ends = small_ends(name);
        let mut slot = slot_of(ends, name.len());
        loop {
            let entry = self.index[slot];
            if entry == EMPTY {
                return None;
            }
            let spec = at(self.engine, self.front, entry);
            let same = match self.short_names[slot] {
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
    pub fn resolve(&self, args: &[&[u8]]) -> Result<&'static CommandSpec, Failure> {
        self.find(args.len(), |at| args[at]).map_err(|unfit| match unfit {
            Unfit::Name => unknown_command(args),
            Unfit::Subcommand(container) => unknown_subcommand(container, args[1]),
            Unfit::Count(spec) if spec.is_exec() => Failure::EXEC_ARITY,
            Unfit::Count(spec) => Failure::arity(spec.name),
        })
    }

    /// [`resolve`](Self::resolve) for `count` arguments of which `arg` returns the one at an index, without words for a failure.
    ///
    /// # Errors
    /// Where [`resolve`](Self::resolve) fails.
    #[inline]
    pub fn find<'a>(&self, count: usize, arg: impl Fn(usize) -> &'a [u8]) -> Result<&'static CommandSpec, Unfit> {
        let mut spec = self.lookup(if count == 0 { &[] } else { arg(0) }).ok_or(Unfit::Name)?;
        if !spec.subcommands.is_empty() && count > 1 {
            spec = subcommand(spec, arg(1)).ok_or(Unfit::Subcommand(spec))?;
        }
        if spec.takes(count) { Ok(spec) } else { Err(Unfit::Count(spec)) }
    }

    /// A command, or a subcommand as `container|name`.
    pub(crate) fn named(&self, name: &[u8]) -> Option<&'static CommandSpec> {
        match name.iter().position(|byte| *byte == b'|') {
            Some(bar) => subcommand(self.lookup(&name[..bar])?, &name[bar + 1..]),
            None => self.lookup(name),
        }
    }
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

/// The subcommand `name` of `container`.
pub(crate) fn subcommand(container: &CommandSpec, name: &[u8]) -> Option<&'static CommandSpec> {
    let start = container.name.len() + 1;
    container.subcommands.iter().find(|spec| name.eq_ignore_ascii_case(&spec.name.as_bytes()[start..]))
}

fn unknown_command(args: &[&[u8]]) -> Failure {
    const SHOWN_MAX: usize = 128;
    let name = args.first().copied().unwrap_or_default();
    if let Some((module, instead)) = modules::of_command(name) {
        let name = String::from_utf8_lossy(name);
        return Failure::owned(format!(
            "ERR unknown command '{name}': it belongs to the module {module}, which Tanist does not have; {instead}"
        ));
    }
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

/// The record that an entry of the index names: eight bits for its group, eight for its place there.
#[inline]
const fn at(engine: Groups, front: Groups, entry: u16) -> &'static CommandSpec {
    let (group, place) = ((entry >> 8) as usize, (entry & 0xff) as usize);
    if group < engine.len() { &engine[group][place] } else { &front[group - engine.len()][place] }
}

const fn build(engine: Groups, front: Groups) -> [u16; SLOTS] {
    let mut index = [EMPTY; SLOTS];
    let mut group = 0;
    while group < engine.len() + front.len() {
        let commands = if group < engine.len() { engine[group] } else { front[group - engine.len()] };
        let mut place = 0;
        while place < commands.len() {
            let name = commands[place].name.as_bytes();
            let mut slot = slot_of(small_ends(name), name.len());
            while index[slot] != EMPTY {
                assert!(!same(at(engine, front, index[slot]).name.as_bytes(), name), "a command stands twice");
                slot = (slot + 1) % SLOTS;
            }
            assert!(place < 256 && group < 255, "an entry has eight bits for the group and for the place");
            index[slot] = (group as u16) << 8 | place as u16;
            place += 1;
        }
        group += 1;
    }
    index
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut equal = a.len() == b.len();
    let mut at = 0;
    while equal && at < a.len() {
        equal = a[at] == b[at];
        at += 1;
    }
    equal
}

const fn short_names(engine: Groups, front: Groups, index: &[u16; SLOTS]) -> [u64; SLOTS] {
    let mut names = [0; SLOTS];
    let mut slot = 0;
    while slot < SLOTS {
        if index[slot] != EMPTY {
            let name = at(engine, front, index[slot]).name.as_bytes();
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
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize
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
    use crate::command::testing::ENGINE_COMMANDS;

    #[test]
    fn every_command_is_found_in_any_case() {
        let lookup = |name: &[u8]| ENGINE_COMMANDS.lookup(name).map(|found| found.name);
        for spec in ENGINE_COMMANDS.all() {
            assert_eq!(lookup(spec.name.to_ascii_uppercase().as_bytes()), Some(spec.name));
            assert_eq!(lookup(spec.name.as_bytes()), Some(spec.name));
        }
        for name in ["", "g", "gett", "GE T", "no-such-command-with-a-long-name"] {
            assert!(lookup(name.as_bytes()).is_none(), "{name:?}");
        }
    }

    #[test]
    fn names_fill_less_than_half_of_the_index() {
        assert!(ENGINE_COMMANDS.all().count() < SLOTS / 2);
    }

    #[test]
    fn what_cannot_be_called_is_refused_in_the_words_of_redis() {
        let refused = |args: &[&[u8]]| ENGINE_COMMANDS.resolve(args).unwrap_err().text().to_owned();
        assert_eq!(refused(&[b"foo", b"a", b"b"]), "ERR unknown command 'foo', with args beginning with: 'a' 'b' ");
        let module = "ERR unknown command 'Json.set': it belongs to the module RedisJSON, which Tanist does not have; keep a \
                      document as a string or a hash";
        assert_eq!(refused(&[b"Json.set", b"k"]), module);
        assert!(refused(&[b"vadd"]).contains("'vadd': it belongs to the module vector sets,"));
        assert!(refused(&[b"ts."]).ends_with("beginning with: "));
        assert_eq!(refused(&[b"GET"]), "ERR wrong number of arguments for 'get' command");
        assert_eq!(refused(&[b"object", b"foo"]), "ERR unknown subcommand 'foo'. Try OBJECT HELP.");
        assert_eq!(refused(&[b"object", b"encoding"]), "ERR wrong number of arguments for 'object|encoding' command");
        assert_eq!(refused(&[b"object"]), "ERR wrong number of arguments for 'object' command");
    }
}
