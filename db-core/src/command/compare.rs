//! What acts on a string only if its value is, or is not, a certain one: options of SET, DELEX and DELIFEQ; and DIGEST, which stands
//! for a value that is too long to be sent.

use xxhash_rust::xxh3::Xxh3;

use crate::effect::KeyChange;
use crate::engine::Data;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::value::ValueView;

/// On which value a command acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ValueCondition<'a> {
    value: Compared<'a>,
    /// It must be another one.
    differs: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compared<'a> {
    Bytes(&'a [u8]),
    Digest(u64),
}

impl<'a> ValueCondition<'a> {
    /// Whether a word names a condition.
    pub(super) fn is_named(word: &[u8]) -> bool {
        ["IFEQ", "IFNE", "IFDEQ", "IFDNE"].iter().any(|name| is(word, name))
    }

    /// The condition that `word` [names](Self::is_named), on `value`.
    pub(super) fn parse(word: &[u8], value: &'a [u8]) -> Result<ValueCondition<'a>, Failure> {
        let by_digest = is(word, "IFDEQ") || is(word, "IFDNE");
        let value = if by_digest { Compared::Digest(parse_digest(value)?) } else { Compared::Bytes(value) };
        Ok(ValueCondition { value, differs: is(word, "IFNE") || is(word, "IFDNE") })
    }

    /// Whether it holds for the value of a key; what is not there is different from any.
    pub(super) fn holds(&self, found: Option<&ValueView<'_>>) -> bool {
        let equals = found.is_some_and(|found| match self.value {
            Compared::Bytes(bytes) => found.equals(bytes),
            Compared::Digest(wanted) => digest_of(found) == wanted,
        });
        equals != self.differs
    }
}

/// XXH3 of 64 bits, without a seed, as Redis has it.
fn digest_of(value: &ValueView<'_>) -> u64 {
    let mut hash = Xxh3::new();
    value.chunks().for_each(|chunk| hash.update(chunk));
    hash.digest()
}

fn parse_digest(text: &[u8]) -> Result<u64, Failure> {
    let is_digest = text.len() == 16 && text.iter().all(u8::is_ascii_hexdigit);
    let digest =
        std::str::from_utf8(text).ok().filter(|_| is_digest).and_then(|text| u64::from_str_radix(text, 16).ok());
    digest.ok_or(Failure::fixed("ERR digest must be exactly 16 hexadecimal characters"))
}

pub(crate) fn digest(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let Some(entry) = data.find_string(&call.key(0))? else {
        reply.null();
        return Ok(());
    };
    let value = entry.value();
    // All of it is read, as if it were the reply.
    reply.expect_bytes(value.len())?;
    reply.bulk(format!("{:016x}", digest_of(&value)).as_bytes());
    Ok(())
}

/// DELIFEQ: deletes the key if its value is this one.
pub(crate) fn delifeq(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    delete_if(data, call, &ValueCondition::parse(b"IFEQ", call.arg(2))?, reply)
}

/// DELEX: deletes the key, perhaps on a condition.
pub(crate) fn delex(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    match call.args()[2..] {
        [] => super::key::del(data, call, reply),
        [word, value] if ValueCondition::is_named(word) => {
            delete_if(data, call, &ValueCondition::parse(word, value)?, reply)
        }
        [_, _] => Err(Failure::fixed("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE")),
        _ => Err(Failure::arity(call.spec.name)),
    }
}

fn delete_if(data: &mut Data<'_>, call: &Call<'_>, condition: &ValueCondition<'_>, reply: &mut Reply) -> Outcome {
    let mut at = data.locate(&call.key(0));
    let deletes = data.string(&at)?.is_some_and(|entry| condition.holds(Some(&entry.value())));
    if deletes {
        data.change(&mut at, KeyChange::Del)?;
    }
    reply.int(deletes.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those that Redis's documentation and tests have.
    #[test]
    fn digests_are_those_of_redis() {
        for (value, digest) in [
            (&b"Hello world"[..], "b6acb9d84a38ff74"),
            (
                b"v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd",
                "00006c38adf31777",
            ),
        ] {
            assert_eq!(format!("{:016x}", digest_of(&ValueView::whole(value))), digest);
            assert_eq!(parse_digest(digest.to_uppercase().as_bytes()), Ok(digest_of(&ValueView::whole(value))));
        }
        for text in ["", "6c38adf31777", "0b6acb9d84a38ff74", "+6acb9d84a38ff74", "b6acb9d84a38ff7g"] {
            assert!(parse_digest(text.as_bytes()).is_err(), "{text}");
        }
    }
}
