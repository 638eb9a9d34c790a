//! Strings of bytes that an effect carries.

use super::codec::{Reader, RecordError, put_bytes, put_number};

/// Several strings: as arguments of a command, or as they stand in a record.
#[derive(Clone, Copy, Debug)]
pub struct Strings<'a>(StringsRepr<'a>);

#[derive(Clone, Copy, Debug)]
enum StringsRepr<'a> {
    Args(&'a [&'a [u8]]),
    /// So many strings, each with its length before it, which have been read once.
    Encoded(usize, &'a [u8]),
}

impl<'a> From<&'a [&'a [u8]]> for Strings<'a> {
    fn from(args: &'a [&'a [u8]]) -> Self {
        Strings(StringsRepr::Args(args))
    }
}

impl PartialEq for Strings<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Strings<'_> {}

/// What is left of several strings.
#[derive(Clone, Debug)]
struct Each<'a> {
    args: std::slice::Iter<'a, &'a [u8]>,
    /// How many strings of a record come behind them.
    encoded: usize,
    from: Reader<'a>,
}

impl<'a> Iterator for Each<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        match self.args.next() {
            Some(arg) => Some(arg),
            None if self.encoded == 0 => None,
            None => Some(self.read()),
        }
    }
}

impl<'a> Each<'a> {
    /// Not inlined: where there are arguments, which is where clients wait, it is not needed.
    #[inline(never)]
    fn read(&mut self) -> &'a [u8] {
        self.encoded -= 1;
        self.from.value().expect("a record's strings were read before")
    }
}

impl<'a> Strings<'a> {
    /// Returns the number of strings.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.0 {
            StringsRepr::Args(args) => args.len(),
            StringsRepr::Encoded(count, _) => count,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the strings in order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        match self.0 {
            StringsRepr::Args(args) => Each { args: args.iter(), encoded: 0, from: Reader::EMPTY },
            StringsRepr::Encoded(count, bytes) => Each { args: [].iter(), encoded: count, from: Reader(bytes) },
        }
    }

    /// No fewer bytes than they take in a record.
    pub(crate) fn bytes_max(&self) -> usize {
        const LENGTH: usize = 10;
        match self.0 {
            StringsRepr::Args(args) => LENGTH + args.iter().map(|arg| LENGTH + arg.len()).sum::<usize>(),
            StringsRepr::Encoded(_, bytes) => LENGTH + bytes.len(),
        }
    }

    /// Appends their number, and each with its length.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.len() as u64);
        match self.0 {
            StringsRepr::Args(args) => args.iter().for_each(|arg| put_bytes(out, arg)),
            StringsRepr::Encoded(_, bytes) => out.extend_from_slice(bytes),
        }
    }

    /// Reads what [`encode`](Self::encode) writes.
    pub(crate) fn decode(from: &mut Reader<'a>) -> Result<Self, RecordError> {
        let count = usize::try_from(from.number()?).map_err(|_| RecordError::TooLong)?;
        let all = from.0;
        for _ in 0..count {
            from.value()?;
        }
        Ok(Strings(StringsRepr::Encoded(count, &all[..all.len() - from.0.len()])))
    }
}
