//! The arguments of a call, read in Redis's way and refused in Redis's words.

use super::failure::Failure;
use super::number::parse_i64;
use super::spec::CommandSpec;
use crate::keyspace::Key;

/// A command's name and arguments, its keys already hashed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) spec: &'static CommandSpec,
    args: &'a [&'a [u8]],
    hashes: &'a [u64],
}

impl<'a> Call<'a> {
    /// `hashes` holds one hash for each key of the call, in order.
    pub(crate) fn new(spec: &'static CommandSpec, args: &'a [&'a [u8]], hashes: &'a [u64]) -> Call<'a> {
        Call { spec, args, hashes }
    }

    /// All arguments with the name.
    pub(crate) fn args(&self) -> &'a [&'a [u8]] {
        self.args
    }

    /// The argument at `at`; the name is 0.
    pub(crate) fn arg(&self, at: usize) -> &'a [u8] {
        self.args[at]
    }

    /// The argument at `at` as an integer.
    pub(crate) fn int(&self, at: usize) -> Result<i64, Failure> {
        parse_i64(self.args[at]).ok_or(Failure::NOT_AN_INTEGER)
    }

    /// The `n`-th key.
    #[inline]
    pub(crate) fn key(&self, n: usize) -> Key<'a> {
        let keys = self.spec.keys;
        Key { bytes: self.args[usize::from(keys.first) + n * usize::from(keys.step)], hash: self.hashes[n] }
    }

    /// All keys in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key<'a>> + use<'a> {
        let call = *self;
        (0..self.hashes.len()).map(move |n| call.key(n))
    }

    /// The arguments from `at` on, as options.
    pub(crate) fn options(&self, at: usize) -> Options<'a> {
        Options { rest: &self.args[at.min(self.args.len())..] }
    }
}

/// Trailing options: words in any case, some with a value.
#[derive(Debug, Clone)]
pub(crate) struct Options<'a> {
    rest: &'a [&'a [u8]],
}

impl<'a> Options<'a> {
    /// The next word.
    pub(crate) fn word(&mut self) -> Option<&'a [u8]> {
        let (word, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(word)
    }

    /// The value that the last word takes.
    pub(crate) fn value(&mut self) -> Result<&'a [u8], Failure> {
        self.word().ok_or(Failure::SYNTAX)
    }
}

/// Whether `arg` is `word`, which is in capitals, in any case.
pub(crate) fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}
