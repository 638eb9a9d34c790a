//! Key specifications: which arguments of a command are keys.
//!
//! Used by everything that needs keys: locking, `COMMAND GETKEYS`, `COMMAND INFO`, transactions. A [`KeySpec`] is a key
//! specification as in Redis 7: where the search begins, how keys are found from there, and how they are accessed.

use crate::engine::call::args::is;
use crate::engine::call::failure::Failure;
use crate::engine::call::number::parse_i64;

/// What a command does with a key and its value; the words are those of a key specification in `COMMAND INFO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Checks whether it exists, or reads metadata other than its value.
    Exist,
    /// Shows its value, or something computed from it.
    Read,
    /// Shows its value and changes it.
    Change,
    /// Shows something computed from its value, and may note that in it.
    Compute,
    /// Shows its value and adds to it.
    Merge,
    /// Changes it without showing its value.
    Alter,
    /// Adds to its value.
    Extend,
    /// Replaces it, whatever its type.
    Overwrite,
    /// Makes it if it is not there.
    Insert,
    /// Shows its value and deletes it.
    Take,
    /// Deletes part of its value, and it with the last one, without showing it.
    Discard,
    /// Deletes it, whatever its type.
    Remove,
    /// Makes it one of another database.
    Move,
    /// As SET, whose options decide.
    Set,
}

impl KeyUse {
    /// The flags of the key specification.
    #[must_use]
    pub const fn flags(self) -> &'static [&'static str] {
        match self {
            KeyUse::Exist => &["RO"],
            KeyUse::Read => &["RO", "access"],
            KeyUse::Change | KeyUse::Move => &["RW", "access", "update"],
            KeyUse::Compute => &["RW", "access"],
            KeyUse::Merge => &["RW", "access", "insert"],
            KeyUse::Alter => &["RW", "update"],
            KeyUse::Extend => &["RW", "insert"],
            KeyUse::Overwrite => &["OW", "update"],
            KeyUse::Insert => &["OW", "insert"],
            KeyUse::Take => &["RW", "access", "delete"],
            KeyUse::Discard => &["RW", "delete"],
            KeyUse::Remove => &["RM", "delete"],
            KeyUse::Set => &["RW", "access", "update", "variable_flags"],
        }
    }
}

/// Where a search for keys begins; the command's name is argument 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At this argument.
    At(u8),
    /// After the first argument that is this word in any case, looked for from an argument on; negative: from that one, counted
    /// from the end, backwards. Without the word there are no such keys.
    After(&'static str, i8),
    /// After the last of the options from an argument on that is this word and has a value. The other options that take values are listed with how
    /// many: what is a value is no option.
    AfterOption(&'static str, u8, &'static [(&'static str, u8)]),
    /// The same where clients are told to look for the word.
    AfterNamedOption(&'static str, u8, &'static [(&'static str, u8)]),
    /// Nowhere: their names are made of what the data holds.
    Elsewhere,
}

/// How keys are found from where the search begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Find {
    /// Every `step`th argument up to `last`, which counts from the beginning of the search, or from the end if negative (-1 is the
    /// last argument).
    Range {
        /// Last key.
        last: i8,
        /// From one key to the next.
        step: u8,
    },
    /// The first of so many equal parts of what follows.
    Part(u8),
    /// As many as the argument says at which the search begins.
    Count {
        /// First key, from the count on.
        first: u8,
    },
    /// The same where each key stands before its value.
    CountOfPairs {
        /// First key, from the count on.
        first: u8,
    },
}

impl Find {
    /// Whether an argument says how many keys there are.
    pub(crate) const fn counts(self) -> bool {
        matches!(self, Find::Count { .. } | Find::CountOfPairs { .. })
    }
}

/// Some of a command's keys: where they are and what is done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySpec {
    /// Where the search begins.
    pub begin: Begin,
    /// How it goes on.
    pub find: Find,
    /// What is done with the keys.
    pub key_use: KeyUse,
}

/// Positions of keys among the arguments of a call, each `step` after the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first: usize,
    /// Position of the last key, or beyond it by less than a step.
    last: usize,
    step: usize,
}

impl KeySpec {
    /// One key at an argument.
    pub(crate) const fn at(argument: u8, key_use: KeyUse) -> KeySpec {
        KeySpec { begin: Begin::At(argument), find: Find::Range { last: 0, step: 1 }, key_use }
    }

    /// Every `step`th argument from one on to the end.
    pub(crate) const fn from(argument: u8, step: u8, key_use: KeyUse) -> KeySpec {
        KeySpec { begin: Begin::At(argument), find: Find::Range { last: -1, step }, key_use }
    }

    /// Keys that are no arguments.
    pub(crate) const fn elsewhere(key_use: KeyUse) -> KeySpec {
        KeySpec { begin: Begin::Elsewhere, find: Find::Range { last: 0, step: 1 }, key_use }
    }

    /// Whether these are all keys of a command that has one, as its first argument.
    #[inline]
    pub(crate) const fn are_the_first(specs: &[KeySpec]) -> bool {
        matches!(specs, [KeySpec { begin: Begin::At(1), find: Find::Range { last: 0, .. }, .. }])
    }

    /// Calls `visit` with the position of each key in `args`.
    ///
    /// # Errors
    /// If a count of keys is no number or there are fewer arguments, or what `visit` returns.
    #[inline]
    pub fn each(&self, args: &[&[u8]], mut visit: impl FnMut(usize) -> Result<(), Failure>) -> Result<(), Failure> {
        let Some(Span { mut first, last, step }) = self.span(args)? else { return Ok(()) };
        while first <= last {
            visit(first)?;
            first += step;
        }
        Ok(())
    }

    fn span(&self, args: &[&[u8]]) -> Result<Option<Span>, Failure> {
        let Some(begin) = self.begins(args) else { return Ok(None) };
        let count = args.len();
        let (first, last, step) = match self.find {
            Find::Range { last, step } => (begin, from_end(count, begin, last), usize::from(step)),
            Find::Part(of) => (begin, (begin + count.saturating_sub(begin) / usize::from(of)).saturating_sub(1), 1),
            Find::Count { first } | Find::CountOfPairs { first } => {
                let step: usize = if matches!(self.find, Find::Count { .. }) { 1 } else { 2 };
                let keys = args.get(begin).and_then(|keys| parse_i64(keys)).ok_or(Failure::NOT_AN_INTEGER)?;
                let keys = usize::try_from(keys).map_err(|_| Failure::INVALID_KEYS)?;
                let first = begin + usize::from(first);
                if keys == 0 {
                    return Ok(None);
                }
                (first, first.saturating_add(step.saturating_mul(keys - 1)), step)
            }
        };
        if first >= count || last < first || last >= count {
            return Err(Failure::INVALID_KEYS);
        }
        Ok(Some(Span { first, last, step }))
    }

    /// Where the search begins in these arguments.
    fn begins(&self, args: &[&[u8]]) -> Option<usize> {
        match self.begin {
            Begin::At(argument) => Some(usize::from(argument)),
            Begin::After(word, from) if from >= 0 => {
                let from = from as usize;
                let found = args.get(from..)?.iter().position(|arg| is(arg, word))?;
                Some(from + found + 1)
            }
            Begin::After(word, from) => {
                let end = (args.len() + 1).checked_sub(usize::from(from.unsigned_abs()))?;
                Some(args[..end].iter().rposition(|arg| is(arg, word))? + 1)
            }
            Begin::AfterOption(word, from, others) | Begin::AfterNamedOption(word, from, others) => {
                let (mut at, mut found) = (usize::from(from), None);
                while let Some(arg) = args.get(at) {
                    let values =
                        others.iter().find(|(other, _)| is(arg, other)).map(|(_, values)| usize::from(*values));
                    if is(arg, word) && at + 1 < args.len() {
                        found = Some(at + 1);
                    }
                    at += 1 + values.unwrap_or(usize::from(is(arg, word)));
                }
                found
            }
            Begin::Elsewhere => None,
        }
    }

    /// The argument at which keys begin whatever the call is.
    #[must_use]
    pub const fn fixed(&self) -> Option<u8> {
        match (self.begin, self.find) {
            (Begin::At(argument), Find::Range { .. }) => Some(argument),
            _ => None,
        }
    }
}

/// The argument `last` steps after `begin`, or from the end of `count` arguments.
fn from_end(count: usize, begin: usize, last: i8) -> usize {
    match usize::try_from(last) {
        Ok(last) => begin + last,
        Err(_) => count.saturating_sub(usize::from(last.unsigned_abs())),
    }
}

/// First key, last key (negative: from the end) and step, as the protocol had them before it had key specifications; all 0 if the
/// keys of a command cannot be told like that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct KeyRange {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) step: i64,
}

impl KeyRange {
    /// What can be said of the keys that `specs` find: of a first part that is a range, and what follows it without a gap.
    pub(crate) fn of(specs: &[KeySpec]) -> KeyRange {
        let mut range = KeyRange::default();
        for spec in specs {
            let (Begin::At(first), Find::Range { last, step }) = (spec.begin, spec.find) else { break };
            let (first, step) = (i64::from(first), i64::from(step));
            let last = if last < 0 { i64::from(last) } else { first + i64::from(last) };
            if range == KeyRange::default() {
                range = KeyRange { first, last, step };
            } else if range.last + 1 == first && range.step == 1 && step == 1 {
                range.last = last;
            } else {
                break;
            }
        }
        range
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Positions of the keys in a call, or the failure's words.
    fn keys(specs: &[KeySpec], call: &str) -> Result<Vec<usize>, String> {
        let args: Vec<&[u8]> = call.split(' ').map(str::as_bytes).collect();
        let mut found = Vec::new();
        for spec in specs {
            let seen = spec.each(&args, |at| {
                found.push(at);
                Ok(())
            });
            seen.map_err(|failure| failure.text().to_owned())?;
        }
        Ok(found)
    }

    const fn spec(begin: Begin, find: Find) -> KeySpec {
        KeySpec { begin, find, key_use: KeyUse::Read }
    }

    const TO_END: Find = Find::Range { last: -1, step: 1 };
    const ONE: Find = Find::Range { last: 0, step: 1 };

    #[test]
    fn ranges_begin_at_an_argument() {
        assert_eq!(keys(&[KeySpec::at(1, KeyUse::Read)], "get a"), Ok(vec![1]));
        assert_eq!(keys(&[KeySpec::from(1, 1, KeyUse::Remove)], "del a b c"), Ok(vec![1, 2, 3]));
        for pairs in ["mset a 1 b 2", "mset a 1 b"] {
            assert_eq!(keys(&[KeySpec::from(1, 2, KeyUse::Overwrite)], pairs), Ok(vec![1, 3]), "{pairs}");
        }
        let all_but_one = spec(Begin::At(1), Find::Range { last: -2, step: 1 });
        assert_eq!(keys(&[all_but_one], "blpop a b 0"), Ok(vec![1, 2]));
        assert_eq!(keys(&[all_but_one], "blpop 0"), Err("ERR Invalid arguments specified for command".into()));
        assert_eq!(keys(&[], "ping"), Ok(vec![]));
    }

    #[test]
    fn a_count_says_how_many() {
        let eval = [spec(Begin::At(2), Find::Count { first: 1 })];
        assert_eq!(keys(&eval, "eval script 2 a b x"), Ok(vec![3, 4]));
        assert_eq!(keys(&eval, "eval script 0 x"), Ok(vec![]));
        assert_eq!(keys(&eval, "eval script two a"), Err("ERR value is not an integer or out of range".into()));
        for wrong in ["eval script 2 a", "eval script -1 a", "eval script 9223372036854775807 a"] {
            assert_eq!(keys(&eval, wrong), Err("ERR Invalid arguments specified for command".into()), "{wrong}");
        }
        let store = [KeySpec::at(1, KeyUse::Overwrite), eval[0]];
        assert_eq!(keys(&store, "zunionstore to 2 a b WEIGHTS 1 2"), Ok(vec![1, 3, 4]));
    }

    #[test]
    fn a_count_says_how_many_pairs() {
        let pairs = [spec(Begin::At(1), Find::CountOfPairs { first: 1 })];
        assert_eq!(keys(&pairs, "msetex 2 a 1 b 2 EX 5"), Ok(vec![2, 4]));
        assert_eq!(keys(&pairs, "msetex 1 a"), Ok(vec![2]), "the command finds that a value is missing");
        for wrong in ["msetex 2 a 1", "msetex 9223372036854775807 a 1"] {
            assert!(keys(&pairs, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_word_stands_before_the_keys() {
        let streams = [spec(Begin::After("STREAMS", 1), Find::Part(2))];
        assert_eq!(keys(&streams, "xread COUNT 2 streams a b 0 0"), Ok(vec![4, 5]));
        assert_eq!(keys(&streams, "xread COUNT 2"), Ok(vec![]));
        assert!(keys(&streams, "xread streams a").is_err());
        let migrate = [spec(Begin::After("KEYS", -2), TO_END)];
        assert_eq!(keys(&migrate, "migrate host 1 key 0 10 KEYS a b"), Ok(vec![7, 8]));
        assert_eq!(keys(&migrate, "migrate KEYS"), Ok(vec![]));
    }

    #[test]
    fn an_option_is_not_found_in_the_value_of_another() {
        let store = Begin::AfterNamedOption("STORE", 6, &[("COUNT", 1)]);
        let radius = [KeySpec::at(1, KeyUse::Read), spec(store, ONE)];
        assert_eq!(keys(&radius, "georadius k 1 2 3 m STORE store ASC"), Ok(vec![1, 7]));
        assert_eq!(keys(&radius, "georadius store 1 2 3 m"), Ok(vec![1]));
        assert_eq!(keys(&radius, "georadius k 1 2 3 m STORE"), Ok(vec![1]));
        let others = &[("BY", 1), ("GET", 1), ("LIMIT", 2)];
        let sort = [spec(Begin::AfterOption("STORE", 2, others), ONE)];
        assert_eq!(keys(&sort, "sort k BY store LIMIT 0 store STORE to"), Ok(vec![8]));
        assert_eq!(keys(&sort, "sort store BY store"), Ok(vec![]));
        assert_eq!(keys(&sort, "sort k STORE first GET # STORE last"), Ok(vec![7]));
        assert_eq!(
            keys(&sort, "sort k STORE first STORE"),
            Ok(vec![3]),
            "what lacks a value is refused by the command"
        );
        assert_eq!(keys(&[KeySpec::elsewhere(KeyUse::Read)], "sort k BY w_*"), Ok(vec![]));
    }

    #[test]
    fn ranges_are_told_in_the_old_form() {
        let range = |specs: &[KeySpec]| {
            let KeyRange { first, last, step } = KeyRange::of(specs);
            (first, last, step)
        };
        let (read, count) = (KeyUse::Read, spec(Begin::At(2), Find::Count { first: 1 }));
        assert_eq!(range(&[KeySpec::at(2, read)]), (2, 2, 1));
        assert_eq!(range(&[KeySpec::at(1, read), KeySpec::at(2, read)]), (1, 2, 1));
        assert_eq!(range(&[KeySpec::from(1, 2, read)]), (1, -1, 2));
        assert_eq!(range(&[KeySpec::at(1, read), count]), (1, 1, 1));
        assert_eq!((range(&[count]), range(&[])), ((0, 0, 0), (0, 0, 0)));
    }
}
