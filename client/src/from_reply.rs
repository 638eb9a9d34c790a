//! Replies as Rust values: the one place where a reply becomes what a caller asked for.
//!
//! The shapes are those of [`FromRedisValue`]: `Option` for what may be missing, numbers, `f64`, `bool`, `Vec<u8>` and `String`, `Vec`,
//! maps and sets, and tuples. RESP2 and RESP3 differ in shape only, and both are read: a map may come as a flat list, pairs flat or nested,
//! a number as a string, a flag as 0 or 1.

use redis::{FromRedisValue, Value};

use crate::error::Error;

/// A reply as a `T`.
///
/// # Errors
/// [`Error::Server`] if the reply is an error, [`Error::Reply`] if it is no `T`.
pub(crate) fn from_reply<T: FromRedisValue>(reply: Value) -> Result<T, Error> {
    match reply {
        Value::ServerError(error) => Err(Error::Server(error)),
        reply => T::from_redis_value(reply).map_err(|error| Error::Reply(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use bytes::BytesMut;

    use super::*;
    use crate::wire::reply::ReplyParser;

    fn read<T: FromRedisValue>(bytes: &[u8]) -> Result<T, Error> {
        let mut buffer = BytesMut::from(bytes);
        let reply = ReplyParser::default().next(&mut buffer).unwrap().expect("a whole reply");
        assert!(buffer.is_empty());
        from_reply(reply)
    }

    fn text(text: &str) -> String {
        text.to_owned()
    }

    /// The same value from the reply in RESP2 and from that in RESP3.
    #[track_caller]
    fn both<T: FromRedisValue + PartialEq + std::fmt::Debug>(resp2: &[u8], resp3: &[u8], expected: &T) {
        for bytes in [resp2, resp3] {
            assert_eq!(read::<T>(bytes).as_ref().unwrap(), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn what_is_missing_is_none() {
        both(b"$-1\r\n", b"_\r\n", &None::<String>);
        both(b"*-1\r\n", b"_\r\n", &None::<(String, String)>);
        both(b"$0\r\n\r\n", b"$0\r\n\r\n", &Some(String::new()));
        both(b"*2\r\n$1\r\na\r\n$-1\r\n", b"*2\r\n$1\r\na\r\n_\r\n", &vec![Some(text("a")), None]);
    }

    #[test]
    fn numbers_and_flags() {
        both(b":7\r\n", b":7\r\n", &7_u64);
        both(b"$3\r\n1.5\r\n", b",1.5\r\n", &1.5);
        both(b"$4\r\n-inf\r\n", b",-inf\r\n", &f64::NEG_INFINITY);
        both(b":1\r\n", b"#t\r\n", &true);
        both(b"+OK\r\n", b"+OK\r\n", &true);
        both(b"$-1\r\n", b"_\r\n", &false);
        both(b"+OK\r\n", b"+OK\r\n", &());
        both(b"*2\r\n:1\r\n:0\r\n", b"*2\r\n#t\r\n#f\r\n", &vec![true, false]);
    }

    #[test]
    fn strings_are_text_or_bytes() {
        both(b"$2\r\n\xc3\xbc\r\n", b"$2\r\n\xc3\xbc\r\n", &text("ü"));
        both(b"$1\r\n\xff\r\n", b"$1\r\n\xff\r\n", &vec![0xff_u8]);
        both(b"*1\r\n$1\r\n\xff\r\n", b"*1\r\n$1\r\n\xff\r\n", &vec![vec![0xff_u8]]);
        assert!(matches!(read::<String>(b"$1\r\n\xff\r\n"), Err(Error::Reply(_))));
    }

    #[test]
    fn maps_sets_and_pairs() {
        let map = BTreeMap::from([(text("a"), 1), (text("b"), 2)]);
        both(
            b"*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n",
            b"%2\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n",
            &map,
        );
        both(b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", b"~2\r\n$1\r\na\r\n$1\r\nb\r\n", &BTreeSet::from([text("a"), text("b")]));
        let pairs = vec![(text("a"), 1.0), (text("b"), 2.5)];
        both(
            b"*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$3\r\n2.5\r\n",
            b"*2\r\n*2\r\n$1\r\na\r\n,1\r\n*2\r\n$1\r\nb\r\n,2.5\r\n",
            &pairs,
        );
        both(b"*0\r\n", b"%0\r\n", &BTreeMap::<String, String>::new());
        both(b"*2\r\n$1\r\na\r\n$1\r\n1\r\n", b"*1\r\n*2\r\n$1\r\na\r\n,1\r\n", &pairs[..1].to_vec());
        both(
            b"*2\r\n$1\r\nk\r\n*1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n",
            b"*2\r\n$1\r\nk\r\n*1\r\n*2\r\n$1\r\na\r\n,1\r\n",
            &Some((text("k"), pairs[..1].to_vec())),
        );
        both(b"*2\r\n$1\r\n7\r\n*1\r\n$1\r\na\r\n", b"*2\r\n$1\r\n7\r\n*1\r\n$1\r\na\r\n", &(7_u64, vec![text("a")]));
    }

    #[test]
    fn errors_are_told_apart() {
        let error = read::<u64>(b"-WRONGTYPE no\r\n").unwrap_err();
        assert!(matches!(&error, Error::Server(error) if error.code() == "WRONGTYPE"), "{error:?}");
        let error = read::<u64>(b"$1\r\nx\r\n").unwrap_err();
        assert!(matches!(&error, Error::Reply(_)), "{error:?}");
        assert_eq!(error.outcome(), crate::Outcome::Answered);
    }
}
