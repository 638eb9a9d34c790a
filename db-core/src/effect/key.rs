//! Changes of a key of any type.

use super::{Family, KeyEffect, Reader, RecordError, put_time};
use crate::clock::UnixMillis;
use crate::ids::DatabaseId;
use crate::keyspace::{Keyspace, Located};

/// What becomes of an existing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChange {
    /// It is gone.
    Del,
    /// It has this expiry.
    Expire(Option<UnixMillis>),
    /// It is one of the database `to`; a key of that name there is replaced.
    Move {
        /// Another database.
        to: DatabaseId,
    },
}

const FAMILY: u8 = 1;
const DEL: u8 = 0;
const EXPIRE: u8 = 1;
const PERSIST: u8 = 2;
const MOVE: u8 = 3;

impl KeyEffect for KeyChange {
    #[inline]
    fn operation(&self) -> u8 {
        FAMILY << 4
            | match self {
                KeyChange::Del => DEL,
                KeyChange::Expire(Some(_)) => EXPIRE,
                KeyChange::Expire(None) => PERSIST,
                KeyChange::Move { .. } => MOVE,
            }
    }

    #[inline]
    fn bytes_max(&self) -> usize {
        size_of::<u64>()
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            KeyChange::Expire(Some(at)) => put_time(out, at),
            KeyChange::Move { to } => out.push(to.0),
            KeyChange::Del | KeyChange::Expire(None) => {}
        }
    }

    #[inline]
    fn pages(&self, keyspace: &Keyspace, at: &Located<'_>) -> Result<Option<usize>, &'static str> {
        if !keyspace.holds(at) {
            return Err("the key that it changes does not exist");
        }
        match self {
            KeyChange::Move { to } if *to == at.key().database => Err("it moves a key to where it is"),
            KeyChange::Move { to } if keyspace.logical(*to).is_none() => {
                Err("it moves a key to a database that is gone")
            }
            KeyChange::Move { .. } => Ok(Some(keyspace.pages_to_move(at.key()))),
            KeyChange::Expire(_) => Ok(Some(0)),
            KeyChange::Del => Ok(None),
        }
    }

    #[inline]
    fn apply(&self, keyspace: &mut Keyspace, at: &mut Located<'_>) {
        match *self {
            KeyChange::Del => keyspace.remove(at),
            KeyChange::Expire(expire) => keyspace.set_expire(at, expire),
            KeyChange::Move { to } => keyspace.move_to(at, to),
        }
    }

    #[inline]
    fn other_database(&self) -> Option<DatabaseId> {
        match self {
            KeyChange::Move { to } => Some(*to),
            KeyChange::Del | KeyChange::Expire(_) => None,
        }
    }
}

impl<'a> Family<'a> for KeyChange {
    const NUMBER: u8 = FAMILY;

    fn decode(operation: u8, from: &mut Reader<'a>) -> Result<Option<KeyChange>, RecordError> {
        Ok(Some(match operation {
            DEL => KeyChange::Del,
            EXPIRE => KeyChange::Expire(Some(from.time()?)),
            PERSIST => KeyChange::Expire(None),
            MOVE => KeyChange::Move { to: from.database()? },
            _ => return Ok(None),
        }))
    }
}
