//! Commands of strings that came with Redis 8, of which there is no server to compare with: what its own tests and its documentation say.

use super::*;

/// Calls in their order, each with its reply.
fn play(lines: &[(&str, &str)]) {
    let mut client = Client::alone();
    for (call, reply) in lines {
        assert_eq!(client.run(call), *reply, "{call}");
    }
}

#[test]
fn set_and_delex_compare_values_and_digests() {
    play(&[
        ("set k hello", "+OK|"),
        ("digest k", "$16|9555e8555c62dcfd|"),
        ("digest missing", "$-1|"),
        ("set k world ifeq other", "$-1|"),
        ("set k hello ifne other", "+OK|"),
        ("set k world ifne hello", "$-1|"),
        ("set k world IFEQ hello GET", "$5|hello|"),
        ("set k hello IFEQ x GET", "$5|world|"),
        ("set k hello ex 100", "+OK|"),
        ("set k hello keepttl ifdeq 9555E8555C62DCFD", "+OK|"),
        ("ttl k", ":100|"),
        ("set k new ifdne 9555e8555c62dcfd", "$-1|"),
        ("set k hello ifdne 9555e8555c62dcfe", "+OK|"),
        ("ttl k", ":-1|"),
        ("set k x ifdeq 555e8555c62dcfd", "-ERR digest must be exactly 16 hexadecimal characters|"),
        ("set k x ifeq a ifne b", "-ERR syntax error|"),
        ("set k x nx ifne b", "-ERR syntax error|"),
        ("set k x ifne", "-ERR syntax error|"),
        ("set missing x ifeq a", "$-1|"),
        ("set missing x ifdeq 9555e8555c62dcfd", "$-1|"),
        ("exists missing", ":0|"),
        ("set missing x ifne a", "+OK|"),
        ("rpush list a", ":1|"),
        ("set list x ifne a", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
        ("digest list", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
        ("delex list ifeq a", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
        ("delex list", ":1|"),
        ("delex k ifeq other", ":0|"),
        ("delex k ifdne 9555e8555c62dcfd", ":0|"),
        ("delex k ifdeq x", "-ERR digest must be exactly 16 hexadecimal characters|"),
        ("delex k if x", "-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE|"),
        ("delex k ifeq", "-ERR wrong number of arguments for 'delex' command|"),
        ("delex k ifeq a b", "-ERR wrong number of arguments for 'delex' command|"),
        ("delex k ifdeq 9555e8555c62dcfd", ":1|"),
        ("delex k ifne a", ":0|"),
        ("delex k", ":0|"),
    ]);
}

/// A value of many pages has the digest that its bytes have in one piece.
#[test]
fn a_digest_is_of_all_pages() {
    let mut client = Client::alone();
    let value = (0..300_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
    client.call(&[b"set", b"k", &value]);
    let digest = xxhash_rust::xxh3::xxh3_64(&value);
    assert_eq!(client.run("digest k"), format!("$16|{digest:016x}|"));
    assert_eq!(client.run(&format!("delex k ifdeq {digest:016x}")), ":1|");
}

#[test]
fn increx_adds_within_bounds() {
    play(&[
        ("increx k", "*2|:1|:1|"),
        ("increx k byint -11", "*2|:-10|:-11|"),
        ("increx k byint 100 ubound 80", "*2|:-10|:0|"),
        ("increx k byint 100 ubound 80 saturate", "*2|:80|:90|"),
        ("increx k byint 5 ubound 30", "*2|:80|:0|"),
        ("increx k byint 5 ubound 30 saturate", "*2|:30|:-50|"),
        ("increx k byint -25 lbound 0 ubound 30", "*2|:5|:-25|"),
        ("increx k byint -25 lbound 0 ubound 30 ex 100", "*2|:5|:0|"),
        ("ttl k", ":-1|"),
        ("increx missing byint 15 ubound 10", "*2|:0|:0|"),
        ("exists missing", ":0|"),
        ("set k 9223372036854775800", "+OK|"),
        ("increx k byint 9223372036854775800", "*2|:9223372036854775800|:0|"),
        ("increx k byint 9223372036854775800 saturate", "*2|:9223372036854775807|:7|"),
        ("increx k saturate ubound -9223372036854775808", "-ERR applied increment would overflow|"),
        ("get k", "$19|9223372036854775807|"),
        ("set k 1.5", "+OK|"),
        ("increx k", "-ERR value is not an integer or out of range|"),
        ("increx k byfloat 0.25", "*2|$4|1.75|$4|0.25|"),
        ("increx k byfloat 100 ubound 42.5 saturate", "*2|$4|42.5|$5|40.75|"),
        ("increx k byfloat -100 lbound -5.5", "*2|$4|42.5|$1|0|"),
        ("increx k byfloat inf", "-ERR BYFLOAT increment cannot be Infinity|"),
        ("set k -inf", "+OK|"),
        ("increx k byfloat 1", "-ERR value cannot be Infinity|"),
        ("increx k byfloat 0.5 lbound 10.5 ubound 1.5", "-ERR LBOUND can't be greater than UBOUND|"),
        ("increx k byint 1 lbound 10 ubound 5", "-ERR LBOUND can't be greater than UBOUND|"),
        ("increx k byint abc", "-ERR Increment is not an integer or out of range|"),
        ("increx k byfloat abc", "-ERR Increment is not a valid float|"),
        ("rpush list a", ":1|"),
        ("increx list", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
    ]);
    for wrong in [
        "foo",
        "byint 1 byfloat 1",
        "byint 1 byint 2",
        "ex 10 px 10",
        "ex 10 ex 20",
        "ex 10 persist",
        "persist ex 10",
        "persist persist",
        "persist enx",
        "enx enx ex 10",
        "saturate saturate",
        "lbound 0 lbound 1",
        "ubound",
    ] {
        play(&[(&format!("increx k {wrong}"), "-ERR syntax error|")]);
    }
}

/// What would leave the numbers that there are is beyond every bound.
#[test]
fn increx_has_the_bounds_of_its_type() {
    let mut client = Client::alone();
    client.run("set k 1.1e4932");
    let rejected = client.run("increx k byfloat 1.1e4932");
    assert!(rejected.ends_with("|$1|0|"), "{rejected}");
    let saturated = client.run("increx k byfloat 1.1e4932 saturate");
    assert!(saturated.starts_with("*2|$4933|118973149535723176502126385303097020516906332229462420044032373389173700"));
    assert_eq!(client.run("strlen k"), ":4933|");
}

#[test]
fn increx_sets_the_expiry() {
    play(&[
        ("increx k ex 100 enx", "*2|:1|:1|"),
        ("ttl k", ":100|"),
        ("increx k ex 10 enx", "*2|:2|:1|"),
        ("ttl k", ":100|"),
        ("increx k exat 1 enx", "*2|:3|:1|"),
        ("increx k", "*2|:4|:1|"),
        ("ttl k", ":100|"),
        ("increx k px 5000", "*2|:5|:1|"),
        ("pttl k", ":5000|"),
        ("increx k persist", "*2|:6|:1|"),
        ("ttl k", ":-1|"),
        ("increx k exat 1", "*2|:7|:1|"),
        ("exists k", ":0|"),
        ("increx k pxat 1", "*2|:1|:1|"),
        ("exists k", ":0|"),
        ("increx k ex 0", "-ERR invalid expire time in 'increx' command|"),
        ("increx k enx", "-ERR ENX flag requires an expiration|"),
    ]);
}
