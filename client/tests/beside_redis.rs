//! The library in a program that depends on `redis` with its default features. It did not compile: one of the features changes the type
//! of big numbers. This package's tests have those features, its users' builds have theirs.

use bytes::BytesMut;
use redis::Value;
use tanist_client::wire::reply::ReplyParser;

#[test]
fn a_big_number_is_what_the_redis_crate_makes_of_it() {
    let mut buffer = BytesMut::from(&b"(12345678901234567890123\r\n"[..]);
    let Value::BigNumber(number) = ReplyParser::default().next(&mut buffer).unwrap().unwrap() else {
        panic!("a big number")
    };
    // Without the feature it would be bytes, which do not show themselves.
    assert_eq!(number.to_string(), "12345678901234567890123");
}

#[test]
fn the_crate_that_is_handed_on_is_the_programs_own() {
    let value: tanist_client::redis::Value = Value::Nil;
    assert_eq!(value, redis::Value::Nil);
}
