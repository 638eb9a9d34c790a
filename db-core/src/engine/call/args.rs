//! Parses the arguments of a call as Redis does, with Redis's error messages.

use super::failure::Failure;
use super::number::parse_i64;
use super::spec::CommandSpec;
use crate::ids::DatabaseId;
use crate::keyspace::Key;
use crate::limits::DATABASES;

/// A key among the arguments of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyArg {
    /// Its position among the arguments.
    pub(crate) at: u32,
    pub(crate) hash: u64,
}

/// A command's name and arguments, its keys already found and hashed.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub(crate) spec: &'static CommandSpec,
    args: &'a [&'a [u8]],
    keys: &'a [KeyArg],
    /// The database of its keys.
    database: DatabaseId,
}

impl<'a> Call<'a> {
    /// `keys` are those of the call, in order, all of one database.
    #[inline]
    pub(crate) fn new(
        spec: &'static CommandSpec,
        args: &'a [&'a [u8]],
        keys: &'a [KeyArg],
        database: DatabaseId,
    ) -> Call<'a> {
        Call { spec, args, keys, database }
    }

    /// A call of a command that has no keys.
    #[must_use]
    pub fn without_keys(spec: &'static CommandSpec, args: &'a [&'a [u8]]) -> Call<'a> {
        Call { spec, args, keys: &[], database: DatabaseId(0) }
    }

    /// All arguments with the name.
    #[must_use]
    pub fn args(&self) -> &'a [&'a [u8]] {
        self.args
    }

    /// The argument at `at`; the name is 0.
    #[must_use]
    pub fn arg(&self, at: usize) -> &'a [u8] {
        self.args[at]
    }

    /// The argument at `at` as an integer.
    ///
    /// # Errors
    /// If it is none.
    pub fn int(&self, at: usize) -> Result<i64, Failure> {
        parse_i64(self.args[at]).ok_or(Failure::NOT_AN_INTEGER)
    }

    /// The `n`-th key.
    #[inline]
    pub(crate) fn key(&self, n: usize) -> Key<'a> {
        let KeyArg { at, hash } = self.keys[n];
        Key { bytes: self.args[at as usize], hash, database: self.database }
    }

    /// The key that is the argument at `at`, if that is one.
    pub(crate) fn key_at(&self, at: usize) -> Option<Key<'a>> {
        let n = self.keys.iter().position(|key| key.at as usize == at)?;
        Some(self.key(n))
    }

    /// Where its keys stand, with their hashes.
    pub(crate) const fn key_args(&self) -> &'a [KeyArg] {
        self.keys
    }

    /// All keys in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key<'a>> + Clone + use<'a> {
        let call = *self;
        (0..self.keys.len()).map(move |n| call.key(n))
    }

    /// The arguments from `at` on, as options.
    #[must_use]
    pub fn options(&self, at: usize) -> Options<'a> {
        Options { rest: &self.args[at.min(self.args.len())..] }
    }
}

/// Trailing options: words in any case, some with a value.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    rest: &'a [&'a [u8]],
}

impl<'a> Options<'a> {
    /// The next word.
    pub fn word(&mut self) -> Option<&'a [u8]> {
        let (word, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(word)
    }

    /// The value that the last word takes.
    ///
    /// # Errors
    /// If there is none.
    pub fn value(&mut self) -> Result<&'a [u8], Failure> {
        self.word().ok_or(Failure::SYNTAX)
    }
}

/// Returns a database's logical number, as SELECT takes it.
///
/// # Errors
/// If it is no number, or there is no such database.
pub fn database(arg: &[u8]) -> Result<u8, Failure> {
    let number = parse_i64(arg).ok_or(Failure::NOT_AN_INTEGER)?;
    if i32::try_from(number).is_err() {
        return Err("ERR value is out of range, value must between -2147483648 and 2147483647".into());
    }
    let logical = u8::try_from(number).ok().filter(|logical| usize::from(*logical) < DATABASES);
    logical.ok_or(Failure::NO_SUCH_DATABASE)
}

/// Whether `arg` is `word` in any case.
#[must_use]
pub fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}
