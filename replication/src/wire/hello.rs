//! Version negotiation: the first message of a connection and its refusal, which all releases understand.
//!
//! A [`Hello`] and a [`Refusal`] are always in frames of format version 1. A hello begins with the feature levels that the sender
//! supports, so that two releases can find out whether they can talk to each other:
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 2 | oldest feature level that the sender knows |
//! | 2 | 2 | newest feature level that the sender knows |
//! | 4 | | archived [`Hello`]: read only if there is a level in common, which says how it is laid out |
//!
//! A refusal's body is a sentence in UTF-8. Integers are little-endian. Every other message uses the connection's level, the
//! newest that both ends support.

use rkyv::rancor;
use tanist_db_core::level::{Level, Levels};

use super::frame::{FrameKind, Message};
use super::message::Hello;

/// Why a peer is not served, in words that every release can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The sentence.
    pub why: String,
}

/// The feature levels that the sender of a hello knows, from the body of its frame; `None` if they make no sense. The rest may be of
/// another release.
#[must_use]
pub fn levels_of(body: &[u8]) -> Option<Levels> {
    let [a, b, c, d] = *body.first_chunk::<4>()?;
    let (oldest, newest) = (Level(u16::from_le_bytes([a, b])), Level(u16::from_le_bytes([c, d])));
    (oldest.0 > 0 && oldest <= newest).then_some(Levels { oldest, newest })
}

/// The level of a connection between a vault that knows `own` and a process that knows `theirs`.
///
/// # Errors
/// If there is none: a sentence for the person who has started it.
pub fn agree(own: Levels, theirs: Levels) -> Result<Level, String> {
    own.common(theirs).ok_or_else(|| {
        let older = if theirs.newest < own.oldest { "it" } else { "the vault" };
        format!(
            "the vault knows {own} and the process that has come knows {theirs}, so they cannot talk: upgrade {older} first, by one release at a time"
        )
    })
}

impl Message for Hello {
    const KIND: FrameKind = FrameKind::Hello;

    fn archive(&self, mut out: Vec<u8>) -> Vec<u8> {
        out.extend_from_slice(&self.levels.oldest.0.to_le_bytes());
        out.extend_from_slice(&self.levels.newest.0.to_le_bytes());
        rkyv::api::high::to_bytes_in::<_, rancor::Error>(self, out).expect("archiving to memory cannot fail")
    }

    fn open(body: &[u8]) -> Option<Self> {
        let levels = levels_of(body)?;
        let hello = rkyv::from_bytes::<Hello, rancor::Error>(&body[4..]).ok()?;
        Some(Hello { levels, ..hello })
    }
}

impl Message for Refusal {
    const KIND: FrameKind = FrameKind::Refusal;

    fn archive(&self, mut out: Vec<u8>) -> Vec<u8> {
        out.extend_from_slice(self.why.as_bytes());
        out
    }

    fn open(body: &[u8]) -> Option<Self> {
        Some(Refusal { why: String::from_utf8(body.to_vec()).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn levels(oldest: u16, newest: u16) -> Levels {
        Levels { oldest: Level(oldest), newest: Level(newest) }
    }

    #[test]
    fn levels_are_read_whatever_follows() {
        assert_eq!(levels_of(b"\x01\0\x02\x01what no release of today knows"), Some(levels(1, 0x0102)));
        for nonsense in [&b"\x01\0\x02"[..], b"", b"\0\0\x02\0", b"\x02\0\x01\0"] {
            assert_eq!(levels_of(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn neighbours_agree_and_others_hear_who_has_to_be_upgraded() {
        assert_eq!(agree(levels(1, 2), levels(2, 3)), Ok(Level(2)));
        let why = agree(levels(3, 4), levels(1, 2)).unwrap_err();
        assert!(why.contains("3 to 4") && why.contains("1 to 2") && why.contains("upgrade it first"), "{why}");
        let why = agree(levels(1, 1), levels(2, 3)).unwrap_err();
        assert!(why.contains("level 1 only") && why.contains("upgrade the vault first"), "{why}");
    }

    #[test]
    fn a_refusal_is_a_sentence() {
        let refusal = Refusal { why: "not here: übel".to_owned() };
        assert_eq!(Refusal::open(&refusal.archive(Vec::new())), Some(refusal));
        assert_eq!(Refusal::open(b"\xff"), None);
    }
}
