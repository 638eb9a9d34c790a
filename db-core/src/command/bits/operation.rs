//! BITOP: a string of what other strings have in common, or not.

use crate::effect::KeyChange;
use crate::engine::Data;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::keyspace::Located;
use crate::types::string::StringChange;
use crate::value::ValueView;

/// Bytes of the result that are computed from all sources before the next ones, so that they stay in the processor's cache.
const COMPUTED_AT_ONCE: usize = 16 * 1024;

/// Which bits of the result are 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// Those that all sources have.
    And,
    /// That any has.
    Or,
    /// That an odd number of them has.
    Xor,
    /// That the only source has not.
    Not,
    /// That the first has, and no other.
    Diff,
    /// That any of the others has, and not the first.
    Diff1,
    /// That the first has, and any of the others.
    AndOr,
    /// That exactly one has.
    One,
}

impl Operation {
    const NAMES: [(&'static str, Operation); 8] = [
        ("AND", Operation::And),
        ("OR", Operation::Or),
        ("XOR", Operation::Xor),
        ("NOT", Operation::Not),
        ("DIFF", Operation::Diff),
        ("DIFF1", Operation::Diff1),
        ("ANDOR", Operation::AndOr),
        ("ONE", Operation::One),
    ];

    /// The operation of that name, which takes so many sources.
    fn parse(word: &[u8], sources: usize) -> Result<Operation, Failure> {
        let found = Self::NAMES.iter().find(|(name, _)| is(word, name));
        let (name, operation) = *found.ok_or(Failure::SYNTAX)?;
        match operation {
            Operation::Not if sources != 1 => {
                Err(Failure::fixed("ERR BITOP NOT must be called with a single source key."))
            }
            Operation::Diff | Operation::Diff1 | Operation::AndOr if sources < 2 => {
                Err(Failure::owned(format!("ERR BITOP {name} must be called with at least two source keys.")))
            }
            operation => Ok(operation),
        }
    }

    /// Computes the bytes from `start` on that `out` has room for. `more`: as long, for what the operation needs beside.
    fn compute(self, sources: &[Option<ValueView<'_>>], start: u64, out: &mut [u8], more: &mut [u8]) {
        let Some((first, others)) = sources.split_first() else { return };
        out.fill(0);
        match self {
            Operation::And | Operation::Or | Operation::Xor | Operation::Not => {
                each_byte(first, start, out, |byte, source| *byte = source);
                for other in others {
                    match self {
                        Operation::And => each_byte(other, start, out, |byte, source| *byte &= source),
                        Operation::Or => each_byte(other, start, out, |byte, source| *byte |= source),
                        _ => each_byte(other, start, out, |byte, source| *byte ^= source),
                    }
                }
                if self == Operation::Not {
                    out.iter_mut().for_each(|byte| *byte = !*byte);
                }
            }
            Operation::Diff | Operation::Diff1 | Operation::AndOr => {
                for other in others {
                    each_byte(other, start, out, |byte, source| *byte |= source);
                }
                match self {
                    Operation::Diff => each_byte(first, start, out, |byte, source| *byte = source & !*byte),
                    Operation::Diff1 => each_byte(first, start, out, |byte, source| *byte &= !source),
                    _ => each_byte(first, start, out, |byte, source| *byte &= source),
                }
            }
            Operation::One => {
                more.fill(0);
                sources.iter().for_each(|source| twice(source, start, out, more));
                out.iter_mut().zip(more).for_each(|(byte, more)| *byte &= !*more);
            }
        }
    }
}

/// Shows each byte of `out` with the source's at that place, from `start` on; 0 behind its end.
fn each_byte(source: &Option<ValueView<'_>>, start: u64, out: &mut [u8], change: impl Fn(&mut u8, u8)) {
    let mut rest = out;
    let end = start + rest.len() as u64;
    for piece in source.iter().flat_map(|source| source.chunks_of(start, end)) {
        let (now, later) = rest.split_at_mut(piece.len());
        now.iter_mut().zip(piece).for_each(|(byte, source)| change(byte, *source));
        rest = later;
    }
    rest.iter_mut().for_each(|byte| change(byte, 0));
}

/// Adds a source to the bits that `any` has, and `more` more than once.
fn twice(source: &Option<ValueView<'_>>, start: u64, any: &mut [u8], more: &mut [u8]) {
    let mut at = 0;
    let end = start + any.len() as u64;
    for piece in source.iter().flat_map(|source| source.chunks_of(start, end)) {
        let (any, more) = (&mut any[at..at + piece.len()], &mut more[at..at + piece.len()]);
        for ((any, more), source) in any.iter_mut().zip(more).zip(piece) {
            *more |= *any & source;
            *any |= source;
        }
        at += piece.len();
    }
}

/// BITOP: as long as its longest source.
pub(crate) fn bitop(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let operation = Operation::parse(call.arg(1), call.args().len() - 3)?;
    let mut to = data.locate(&call.key(0));
    let sources: Vec<Located<'_>> = call.keys().skip(1).map(|key| data.locate(&key)).collect();
    let result = compute(data, operation, &sources)?;
    reply.count(result.len() as u64);
    if !result.is_empty() {
        return data.change(&mut to, StringChange::Set { value: &result, expire: None });
    }
    if data.exists(&to) {
        data.change(&mut to, KeyChange::Del)?;
    }
    Ok(())
}

fn compute(data: &mut Data<'_>, operation: Operation, sources: &[Located<'_>]) -> Result<Vec<u8>, Failure> {
    for at in sources {
        data.see(at);
    }
    let value = |at: &Located<'_>| data.string_again(at).map(|found| found.map(|entry| entry.value()));
    let sources: Vec<Option<ValueView<'_>>> = sources.iter().map(value).collect::<Result<_, _>>()?;
    let len = sources.iter().flatten().map(ValueView::len).max().unwrap_or(0);
    let (mut result, mut more) = (vec![0; len as usize], vec![0; COMPUTED_AT_ONCE]);
    for (index, out) in result.chunks_mut(COMPUTED_AT_ONCE).enumerate() {
        let more = &mut more[..out.len()];
        operation.compute(&sources, (index * COMPUTED_AT_ONCE) as u64, out, more);
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Byte by byte, as the operations are described.
    fn model(operation: Operation, bytes: &[u8]) -> u8 {
        let (first, others) = (bytes[0], bytes[1..].iter().fold(0, |any, byte| any | byte));
        let bit = |at: u8| {
            let ones = bytes.iter().filter(|byte| **byte & (1 << at) != 0).count();
            let (first, others) = (first & (1 << at) != 0, others & (1 << at) != 0);
            match operation {
                Operation::And => ones == bytes.len(),
                Operation::Or => ones > 0,
                Operation::Xor => ones % 2 == 1,
                Operation::Not => !first,
                Operation::Diff => first && !others,
                Operation::Diff1 => others && !first,
                Operation::AndOr => first && others,
                Operation::One => ones == 1,
            }
        };
        (0..8).filter(|at| bit(*at)).fold(0, |byte, at| byte | 1 << at)
    }

    #[test]
    fn every_operation_is_what_it_is_bit_by_bit() {
        let strings: Vec<Vec<u8>> = [(5, 7), (40, 3), (0, 1), (13, 11), (40, 29)]
            .map(|(len, factor): (u32, u32)| (0..len).map(|at| (at * factor * 41 + factor) as u8).collect())
            .into();
        for (name, operation) in Operation::NAMES {
            for count in 1..=if operation == Operation::Not { 1 } else { strings.len() } {
                if Operation::parse(name.as_bytes(), count).is_err() {
                    continue;
                }
                let sources: Vec<_> = strings[..count].iter().map(|bytes| Some(ValueView::whole(bytes))).collect();
                let (mut out, mut more) = ([0xee; 40], [0xee; 40]);
                operation.compute(&sources, 0, &mut out, &mut more);
                for (at, byte) in out.iter().enumerate() {
                    let column: Vec<u8> =
                        strings[..count].iter().map(|string| string.get(at).copied().unwrap_or(0)).collect();
                    assert_eq!(*byte, model(operation, &column), "{name} of {count}, byte {at}");
                }
            }
        }
    }

    #[test]
    fn an_operation_says_how_many_sources_it_takes() {
        let words = |word: &str, sources| Operation::parse(word.as_bytes(), sources).map_err(|it| it.text().to_owned());
        assert_eq!(words("not", 2), Err("ERR BITOP NOT must be called with a single source key.".into()));
        assert_eq!(words("diff1", 1), Err("ERR BITOP DIFF1 must be called with at least two source keys.".into()));
        assert_eq!(words("AnD", 1), Ok(Operation::And));
        assert_eq!(words("one", 1), Ok(Operation::One));
        assert_eq!(words("NAND", 2), Err("ERR syntax error".into()));
    }
}
