//! Payloads that servers have written, older layouts made by hand from the format, and damage of each.

use super::file::{FileChecksum, RdbFile};
use super::*;

/// The parts of a value, as text, and how many bytes are left behind it.
fn parts(layout: ValueLayout, bytes: &[u8]) -> Result<(Vec<String>, u64), RdbError> {
    let mut input = Input::of_slice(bytes);
    let mut shown = Vec::new();
    read_value(&mut input, layout, |item| {
        shown.push(text(item));
        Ok::<(), RdbError>(())
    })?;
    Ok((shown, input.left()))
}

fn text(item: RdbItem<'_>) -> String {
    let string = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match item {
        RdbItem::Text(bytes) | RdbItem::Element(bytes) | RdbItem::Member(bytes) => string(bytes),
        RdbItem::Field { name, value, expire } => {
            let expire = expire.map_or_else(String::new, |at| format!(" until {}", at.0));
            format!("{}={}{expire}", string(name), string(value))
        }
        RdbItem::Scored { name, score } => format!("{}:{}", string(name), score.get()),
        RdbItem::Entry { id, fields } => {
            let fields = fields.chunks(2).map(|pair| format!(" {}={}", string(pair[0]), string(pair[1])));
            format!("{}-{}{}", id.ms, id.seq, fields.collect::<String>())
        }
        RdbItem::Stream { last, added, deleted } => {
            format!("last {}-{} added {added} deleted {}-{}", last.ms, last.seq, deleted.ms, deleted.seq)
        }
        RdbItem::Group { name, last, read } => {
            format!("group {} last {}-{} read {read:?}", string(name), last.ms, last.seq)
        }
        RdbItem::Consumer { name, active, .. } => format!("{} active {active:?}", string(name)),
        RdbItem::Pending { id, time, count } => format!("pending {}-{} at {time} {count} times", id.ms, id.seq),
    }
}

/// The type and the parts of the value of a sealed payload.
fn opened(payload: &[u8]) -> Option<(ValueLayout, Vec<String>)> {
    let (mut input, version) = open(payload)?;
    let Layout::Value(layout) = Layout::of(input.byte().ok()?, version).ok()? else { return None };
    let mut shown = Vec::new();
    read_value(&mut input, layout, |item| {
        shown.push(text(item));
        Ok::<(), RdbError>(())
    })
    .ok()?;
    (input.left() == 0).then_some((layout, shown))
}

/// What redis-server 7.0.15 returned to DUMP.
fn of_redis() -> Vec<(&'static [u8], ValueLayout, Vec<String>)> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let all: [(&[u8], ValueLayout, Vec<String>); 14] = [
        (b"\x00\x05hello\x0a\x00cr\xdfve4 \x0a", ValueLayout::String, words("hello")),
        (b"\x00\xc0\x0c\x0a\x00<*\xf8Q\x5c\x04\xbc\xd5", ValueLayout::String, words("12")),
        (b"\x00\xc1\xd4\xfe\x0a\x00\xc6\xc4\x86#\xfe\xbe\xde.", ValueLayout::String, words("-300")),
        (b"\x00\xc2p\x11\x01\x00\x0a\x00\x01\xa4\x08\xfe\x950\x95\xa5", ValueLayout::String, words("70000")),
        (
            b"\x00\xc3\x10<\x01aa\xe0\x13\x00\x02bcd\xe0\x10\x02\x01cd\x0a\x00\xd6\xb9e\x87\xc8:\xf0{",
            ValueLayout::String,
            vec!["a".repeat(30) + &"bcd".repeat(10)],
        ),
        (
            b"\x12\x01\x02\xc3.@n\x1an\x00\x00\x00\x07\x00\x81a\x02\x01\x01\xf1x\xec\x03\xf2p\x11\x01\x04\xf3\xc0\xabv\xff\x05\xf4 \x19\x08\x00\xe8\x03\x00\x00\x09\xe0Fb\xe0<\x00\x01H\xff\x0a\x00\x81\x9d8\x0c\x02.\xbd\xd8",
            ValueLayout::ListListpacks,
            words(&format!("a 1 -5000 70000 -9000000 4294967296000 {}", "b".repeat(70))),
        ),
        (
            b"\x0b\x0e\x02\x00\x00\x00\x03\x00\x00\x00\xfd\xff\x01\x00\x02\x00\x0a\x00\xd1\xb7\x8e\xd9\xbc\x07\xc2\x7f",
            ValueLayout::SetIntegers,
            words("-3 1 2"),
        ),
        (
            b"\x0b\x10\x04\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00p\x11\x01\x00\x0a\x00'5Cn\xfdfV\xc4",
            ValueLayout::SetIntegers,
            words("1 70000"),
        ),
        (
            b"\x0b\x18\x08\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x0a\x001\x22\xf0m\xf5B\xc0\xb4",
            ValueLayout::SetIntegers,
            words("1 1099511627776"),
        ),
        (b"\x02\x03\x01b\x01a\xc0\x07\x0a\x00E\x1d0 U\x9b\x1c\xb0", ValueLayout::Set, words("b a 7")),
        (
            b"\x10\x14\x14\x00\x00\x00\x04\x00\x81a\x02\x01\x01\x81b\x02\x83two\x04\xff\x0a\x00\x04(\xb5%\xe1\xe2k\x12",
            ValueLayout::HashListpack,
            words("a=1 b=two"),
        ),
        (
            b"\x04\x02\x01b\x03two\x01a\xc0\x01\x0a\x001Y\x92\x09Q\xbc\xccN",
            ValueLayout::Hash,
            words("b=two a=1"),
        ),
        (
            b"\x11%%\x00\x00\x00\x08\x00\x81c\x02\x84-inf\x05\x81a\x02\x01\x01\x81b\x02\x832.5\x04\x81d\x02\x83inf\x04\xff\x0a\x00G\xfa\x98E\xb0\xa7h\x05",
            ValueLayout::SortedSetListpack,
            words("c:-inf a:1 b:2.5 d:inf"),
        ),
        (
            b"\x05\x04\x01d\x00\x00\x00\x00\x00\x00\xf0\x7f\x01b\x00\x00\x00\x00\x00\x00\x04@\x01a\x00\x00\x00\x00\x00\x00\xf0?\x01c\x00\x00\x00\x00\x00\x00\xf0\xff\x0a\x00\xe5 \x12B\x18\xbe&\xe8",
            ValueLayout::SortedSet,
            words("d:inf b:2.5 a:1 c:-inf"),
        ),
    ];
    all.into()
}

#[test]
fn payloads_of_redis_are_read() {
    for (payload, layout, shown) in of_redis() {
        assert_eq!(opened(payload), Some((layout, shown)));
    }
}

/// What valkey-server 9.1.2 returned.
#[test]
fn payloads_of_valkey_are_read() {
    let set = b"\x14\x0f\x0f\x00\x00\x00\x03\x00\x81a\x02\x81b\x02\x07\x01\xffP\x00\xcc\x80}\xfa\x8d\x17\x99\xa7";
    assert_eq!(opened(set).unwrap(), (ValueLayout::SetListpack, ["a", "b", "7"].map(str::to_owned).to_vec()));
    let expiring = b"\x16\x02\x01a\xc0\x01\xff\x9frN\x18\x09\x00\x00\x01b\xc0\x02\xff\xff\xff\xff\xff\xff\xff\xffP\x00=\xf8\xd8\xc6\xb5\x89\xa7\xa2";
    let fields = ["a=1 until 9999999999999", "b=2"].map(str::to_owned).to_vec();
    assert_eq!(opened(expiring).unwrap(), (ValueLayout::HashExpiring, fields));
}

#[test]
fn every_flipped_bit_of_a_payload_is_noticed() {
    for (payload, ..) in of_redis() {
        for at in 0..payload.len() * 8 {
            let mut flipped = payload.to_vec();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(open(&flipped).is_none(), "{payload:?}: bit {at}");
        }
    }
}

/// A listpack or ziplist as servers make it, of short strings and the integers 0 to 12.
fn ziplist_of(entries: &[&str]) -> Vec<u8> {
    let (mut body, mut before, mut last) = (Vec::new(), 0, 10);
    for entry in entries {
        last = 10 + body.len();
        let start = body.len();
        if before < 254 {
            body.push(before as u8);
        } else {
            body.push(254);
            body.extend_from_slice(&(before as u32).to_le_bytes());
        }
        match entry.parse::<u8>() {
            Ok(small) if small < 13 => body.push(0xf1 + small),
            _ if entry.len() < 64 => {
                body.push(entry.len() as u8);
                body.extend_from_slice(entry.as_bytes());
            }
            _ => {
                body.extend_from_slice(&[0x40 | (entry.len() >> 8) as u8, entry.len() as u8]);
                body.extend_from_slice(entry.as_bytes());
            }
        }
        before = body.len() - start;
    }
    with_ziplist_head(&body, last, entries.len() as u16)
}

/// A ziplist of these entries.
fn with_ziplist_head(body: &[u8], last: usize, count: u16) -> Vec<u8> {
    let (len, last) = ((11 + body.len()) as u32, last as u32);
    [&len.to_le_bytes()[..], &last.to_le_bytes(), &count.to_le_bytes(), body, &[0xff]].concat()
}

/// A listpack of these entries.
fn with_listpack_head(body: &[u8], count: u16) -> Vec<u8> {
    let len = (7 + body.len()) as u32;
    [&len.to_le_bytes()[..], &count.to_le_bytes(), body, &[0xff]].concat()
}

/// A string in a dump.
fn string_of(bytes: &[u8]) -> Vec<u8> {
    let len = bytes.len();
    let mut out = if len < 64 { vec![len as u8] } else { vec![0x40 | (len >> 8) as u8, len as u8] };
    out.extend_from_slice(bytes);
    out
}

/// Layouts that newer servers do not write, made by hand.
fn older() -> Vec<(ValueLayout, Vec<u8>, Vec<String>)> {
    let long = "x".repeat(300);
    let strings = ["a", "7", &long, "b"];
    let owned = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let ziplist = string_of(&ziplist_of(&strings));
    let integers =
        b"\0\xc0\x18\xfc\x04\xd0\x70\x11\x01\0\x06\xe0\0\0\0\0\0\x01\0\0\x0a\xf0\x01\x02\xff\x05\xfe\x80\x03\xf1";
    let integers = with_ziplist_head(integers, 10 + integers.len() - 2, 6);
    // Two fields, the first value with two unused bytes behind it.
    let zipmap = b"\x02\x01a\x03\x02one??\x03two\x01\x002\xff";
    vec![
        (ValueLayout::List, [&[3][..], b"\x01a\xc0\x07\x00"].concat(), owned(&["a", "7", ""])),
        (ValueLayout::ListZiplist, ziplist.clone(), owned(&strings)),
        (
            ValueLayout::ListZiplist,
            string_of(&integers),
            owned(&["-1000", "70000", "1099511627776", "-65023", "-128", "0"]),
        ),
        (ValueLayout::ListZiplists, [&[2][..], &ziplist, &string_of(&ziplist_of(&["c"]))].concat(), {
            owned(&["a", "7", &long, "b", "c"])
        }),
        // An element that is too long for a listpack, and a listpack.
        (
            ValueLayout::ListListpacks,
            [b"\x02\x01\x04long\x02".as_slice(), &string_of(&with_listpack_head(b"\x81a\x02", 1))].concat(),
            owned(&["long", "a"]),
        ),
        (ValueLayout::HashZipmap, string_of(zipmap), owned(&["a=one", "two=2"])),
        (ValueLayout::HashZiplist, string_of(&ziplist_of(&["f", "1", "g", "v"])), owned(&["f=1", "g=v"])),
        (ValueLayout::SortedSetZiplist, string_of(&ziplist_of(&["m", "1", "n", "2.5"])), owned(&["m:1", "n:2.5"])),
        (
            ValueLayout::SortedSetText,
            b"\x04\x01a\x032.5\x01b\xfe\x01c\xff\x01d\x02-3".to_vec(),
            owned(&["a:2.5", "b:inf", "c:-inf", "d:-3"]),
        ),
        // Of Redis 7.4: the first expiry, then fields with what is added to one before it.
        (
            ValueLayout::HashExpiringFirst,
            b"\xe8\x03\0\0\0\0\0\0\x02\x01\x01a\x011\x00\x01b\x012".to_vec(),
            owned(&["a=1 until 1000", "b=2"]),
        ),
        (
            ValueLayout::HashExpiringListpack,
            [
                b"\x07\0\0\0\0\0\0\0".as_slice(),
                &string_of(&with_listpack_head(b"\x81a\x02\x01\x01\x07\x01\x81b\x02\x02\x01\0\x01", 6)),
            ]
            .concat(),
            owned(&["a=1 until 7", "b=2"]),
        ),
    ]
}

#[test]
fn older_layouts_are_read() {
    for (layout, bytes, shown) in older() {
        assert_eq!(parts(layout, &bytes).unwrap(), (shown, 0), "{layout:?}");
    }
}

#[test]
fn a_value_that_ends_early_is_refused_wherever_it_ends() {
    let of_redis = of_redis().into_iter().map(|(payload, layout, _)| (layout, payload[1..payload.len() - 10].to_vec()));
    for (layout, bytes) in of_redis.chain(older().into_iter().map(|(layout, bytes, _)| (layout, bytes))) {
        for len in 0..bytes.len() {
            assert!(matches!(parts(layout, &bytes[..len]), Err(RdbError::Cut)), "{layout:?} {len}");
        }
    }
}

#[test]
fn packed_forms_must_be_consistent() {
    let refused = |layout, blob: &[u8]| {
        let read = parts(layout, &string_of(blob));
        assert!(matches!(read, Err(RdbError::Damaged(_))), "{layout:?} {blob:?}: {read:?}");
    };
    let ziplist = ziplist_of(&["a", "7", "b"]);
    let listpack = with_listpack_head(b"\x81a\x02\x81b\x02", 2);
    assert_eq!(parts(ValueLayout::SetListpack, &string_of(&listpack)).unwrap().0, ["a", "b"]);
    for (layout, sound) in [(ValueLayout::ListZiplist, &ziplist), (ValueLayout::SetListpack, &listpack)] {
        // Every byte of head and lengths counts: another one makes the whole inconsistent, or another string of the same length.
        for at in 0..sound.len() {
            for value in [0, 1, 2, 0x7f, 0x80, 0xc0, 0xf0, 0xf5, 0xfe, 0xff] {
                let mut changed = sound.clone();
                changed[at] = value;
                if let Ok((shown, 0)) = parts(layout, &string_of(&changed)) {
                    let original = parts(layout, &string_of(sound)).unwrap().0;
                    let same_shape = shown.len() == original.len();
                    assert!(same_shape, "{layout:?} byte {at} as {value}: {shown:?}");
                }
            }
        }
        for short in 0..sound.len() {
            refused(layout, &sound[..short]);
        }
        refused(layout, &[sound, &[0xff][..]].concat());
    }
    refused(ValueLayout::HashListpack, &with_listpack_head(b"\x81a\x02", 1));
    refused(ValueLayout::SortedSetListpack, &listpack);
    refused(ValueLayout::SetIntegers, b"\x02\0\0\0\x02\0\0\0\x02\0\x01\0");
    refused(ValueLayout::SetIntegers, b"\x02\0\0\0\x02\0\0\0\x01\0\x01\0");
    refused(ValueLayout::SetIntegers, b"\x02\0\0\0\x03\0\0\0\x01\0\x02\0");
    refused(ValueLayout::SetIntegers, b"\x03\0\0\0\x01\0\0\0\x01\0\x02");
    refused(ValueLayout::HashZipmap, b"\x02\x01a\x01\0b\xff");
    refused(ValueLayout::HashZipmap, b"\x01\x01a\x01\0b\xff\xff");
}

/// A stream of which an entry was deleted, with two groups, as redis-server 7.0.15 and valkey-server 9.1.2 have dumped it.
#[test]
fn streams_are_read() {
    let of_redis = b"\x13\x01\x10\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\xc3@N@T\x12T\x00\x00\x00\x1f\x00\x03\x01\x01\x01\x02\x01\x81a\x02\x81b\x02\x00 \x09\x00\x00 \x01\x09\x01\x01\x83two\x04\x05\x01\x03`\x0c\x06\xc1,\x02\x81x\x02\x05`\x0b\x0e\xdf\xff\x02\x01\x01\x85other\x06\x01\x01\x06 0\x00\x02\x80\x13\x01\x81y !\x00\xff\x03\x07\x00\x05\x01\x05\x02\x04\x02\x01g\x06\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01@B\x0f\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\x80\x84\x1e\x00\x00\x00\x00\x00\x04\x01\x05alice\xa4\x1b\xdb/\xa2\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\x01h\x07\x00\x09\x00\x01\x03bob\xa4\x1b\xdb/\xa2\x01\x00\x00\x00\x0a\x00&8}\xf8\x0b\xf7\xf6\xb8";
    let of_valkey = b"\x15\x01\x10\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\xc3@N@T\x12T\x00\x00\x00\x1f\x00\x03\x01\x01\x01\x02\x01\x81a\x02\x81b\x02\x00 \x09\x00\x00 \x01\x09\x01\x01\x83two\x04\x05\x01\x03`\x0c\x06\xc1,\x02\x81x\x02\x05`\x0b\x0e\xdf\xff\x02\x01\x01\x85other\x06\x01\x01\x06 0\x00\x02\x80\x13\x01\x81y !\x00\xff\x03\x07\x00\x05\x01\x05\x02\x04\x02\x01g\x06\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01@B\x0f\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\x80\x84\x1e\x00\x00\x00\x00\x00\x04\x01\x05alice\xa5\x1b\xdb/\xa2\x01\x00\x00\xa5\x1b\xdb/\xa2\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\x01h\x07\x00\x09\x00\x01\x03bob\xa6\x1b\xdb/\xa2\x01\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00P\x00\x89\xce\x05z\xd6\x84\x08\xe2";
    let common = |at: usize, shown: &[String]| {
        let expected = [
            "5-1 a=1 b=two",
            "6-0 other=1",
            "7-0 a=1 b=y",
            "last 7-0 added 4 deleted 5-2",
            "group g last 6-0 read None",
            "alice",
            "pending 5-1 at 1000000 3 times",
            "pending 6-0 at 2000000 4 times",
            "group h last 7-0 read Some(9)",
            "bob",
        ];
        assert!(shown[at].starts_with(expected[at]), "{shown:?}");
    };
    for (payload, form) in [(&of_redis[..], 2), (&of_valkey[..], 3)] {
        let (layout, shown) = opened(payload).unwrap();
        assert_eq!((layout, shown.len()), (ValueLayout::Stream(form), 10));
        (0..10).for_each(|at| common(at, &shown));
        // One that was never active is known of in the newest form alone.
        assert_eq!(shown[9].ends_with("active None"), form == 3, "{shown:?}");
        for at in 0..payload.len() * 8 {
            let mut flipped = payload.to_vec();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(open(&flipped).is_none(), "bit {at}");
            let bytes = &flipped[1..flipped.len() - 10];
            // Whatever it is, it is read to an end.
            let _ = parts(layout, bytes);
        }
        let value = &payload[1..payload.len() - 10];
        for len in 0..value.len() {
            assert!(parts(layout, &value[..len]).is_err(), "the first {len} bytes");
        }
    }
}

/// In the form of Redis 5 nothing is said of what was read.
#[test]
fn old_streams_are_read() {
    let node = b"\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x1d\x1d\x00\x00\x00\x0a\x00\x01\x01\x00\x01\x01\x01\x81f\x02\x00\x01\x02\x01\x00\x01\x00\x01\x81v\x02\x04\x01\xff";
    let behind = b"\x01\x01\x01\x03\x01a\x00\x00\x00\x00\x01b\x01\x01\x00\x00\x01c\x09\x09\x00\x00";
    let (shown, left) = parts(ValueLayout::Stream(1), &[&[1], &node[..], behind].concat()).unwrap();
    let expected = [
        "1-1 f=v",
        "last 1-1 added 1 deleted 0-0",
        "group a last 0-0 read Some(0)",
        "group b last 1-1 read Some(1)",
        "group c last 9-9 read None",
    ];
    assert_eq!((shown, left), (expected.map(str::to_owned).to_vec(), 0));
}

#[test]
fn what_is_no_number_is_no_score() {
    for bytes in [&b"\x01\x01a\xfd"[..], b"\x01\x01a\x03nan", b"\x01\x01a\x01x", b"\x01\x01a\x00"] {
        assert!(matches!(parts(ValueLayout::SortedSetText, bytes), Err(RdbError::Damaged(_))), "{bytes:?}");
    }
    let nan = [b"\x01\x01a".as_slice(), &f64::NAN.to_bits().to_le_bytes()].concat();
    assert!(matches!(parts(ValueLayout::SortedSet, &nan), Err(RdbError::Damaged(_))));
}

#[test]
fn claimed_lengths_cost_nothing() {
    // 64 bits of length, and a compressed string that says so of itself.
    assert!(matches!(parts(ValueLayout::String, b"\x81\xff\xff\xff\xff\xff\xff\xff\xff"), Err(RdbError::Cut)));
    assert!(matches!(parts(ValueLayout::String, b"\xc3\x01\x81\0\0\0\xff\0\0\0\0x"), Err(RdbError::TooLong(_))));
    assert!(matches!(parts(ValueLayout::String, b"\xc3\x01\x80\x1f\xff\xff\xffx"), Err(RdbError::Damaged(_))));
    assert!(matches!(parts(ValueLayout::Set, b"\x81\xff\xff\xff\xff\xff\xff\xff\xff"), Err(RdbError::Cut)));
    // A source that is shorter than it said.
    let mut input = Input::new(&b"\x80\x10\0\0\0abc"[..], 1 << 40);
    let mut out = Vec::new();
    assert!(matches!(string::string(&mut input, &mut out), Err(RdbError::Cut)));
    assert!(out.capacity() < 1 << 16, "{}", out.capacity());
}

/// A file of redis-server 7.0.15's layout: notes, a library, two databases, expiries, a stream and a module's value.
fn file() -> Vec<u8> {
    let stream = &b"\x13\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x1d\x1d\x00\x00\x00\x0a\x00\x01\x01\x00\x01\x01\x01\x81f\x02\x00\x01\x02\x01\x00\x01\x00\x01\x81v\x02\x04\x01\xff\x01\x01\x01\x01\x01\x00\x00\x01\x00"[..];
    let mut file = b"REDIS0010\xfa\x09redis-ver\x067.0.15\xf5\x03lib\xfe\x00\xfb\x05\x02".to_vec();
    file.extend_from_slice(b"\x00\x01a\x05hello");
    file.extend_from_slice(b"\xfc\x01\x02\x00\x00\x00\x00\x00\x00\xf9\x05\x00\x01b\xc0\x0c");
    file.extend_from_slice(&[stream[0]]);
    file.extend_from_slice(b"\x06stream");
    file.extend_from_slice(&stream[1..]);
    file.extend_from_slice(b"\x07\x06module\x81\0\0\0\0\0\0\0\x01\x02\x05\x01\x05\x04\0\0\0\0\0\0\0\0\x05\x02ab\x00");
    file.extend_from_slice(b"\xfe\x03\xfd\x02\x00\x00\x00\xf8\x07\x02\x03set\x02\x01x\x01y\xff");
    let checksum = CHECKSUM.checksum(&file);
    file.extend_from_slice(&checksum.to_le_bytes());
    file
}

/// What a file contains, and how its checksum is.
fn read_file(bytes: &[u8]) -> (Result<Vec<String>, RdbError>, Option<FileChecksum>) {
    let mut file = match RdbFile::open(bytes, bytes.len() as u64) {
        Ok(file) => file,
        Err(error) => return (Err(error), None),
    };
    let mut all = Vec::new();
    let read = read_keys(&mut file, &mut all);
    (read.map(|()| all), Some(file.checksum().unwrap()))
}

fn read_keys(file: &mut RdbFile<&[u8]>, all: &mut Vec<String>) -> Result<(), RdbError> {
    let mut key = Vec::new();
    while let Some(head) = file.next_key(&mut key)? {
        let mut shown = format!("{} {}", head.database, String::from_utf8_lossy(&key));
        if let Some(at) = head.expire {
            shown += &format!(" until {}", at.0);
        }
        match head.layout {
            Layout::Foreign(layout) => {
                layout.skip(file.input())?;
                shown += &format!(" a {}", layout.name());
            }
            Layout::Value(layout) => read_value(file.input(), layout, |item| {
                shown += &format!(" {}", text(item));
                Ok::<(), RdbError>(())
            })?,
        }
        all.push(shown);
    }
    Ok(())
}

#[test]
fn a_file_is_read_to_its_end() {
    let (read, checksum) = read_file(&file());
    let expected = [
        "0 a hello",
        "0 b until 513 12",
        "0 stream 1-1 f=v last 1-1 added 1 deleted 0-0",
        "0 module a module value",
        "3 set until 2000 x y",
    ];
    assert_eq!(read.unwrap(), expected);
    assert_eq!(checksum, Some(FileChecksum::Right));
    let mut unchecked = file();
    let len = unchecked.len();
    unchecked[len - 8..].fill(0);
    assert_eq!(read_file(&unchecked).1, Some(FileChecksum::None));
}

#[test]
fn a_file_that_ends_early_is_noticed_wherever_it_ends() {
    let whole = file();
    for len in 0..whole.len() {
        let (read, checksum) = read_file(&whole[..len]);
        assert!(matches!(read, Err(RdbError::Cut)), "{len}: {read:?}");
        // Zeros at its new end look as if it had none.
        let none = whole[..len].ends_with(&[0; 8]);
        let expected = if none { FileChecksum::None } else { FileChecksum::Wrong };
        assert!(checksum.is_none_or(|checksum| checksum == expected), "{len}: {checksum:?}");
    }
    let (read, _) = read_file(&[&whole[..], b"*1\r\n"].concat());
    assert!(matches!(read, Err(RdbError::Damaged(_))), "{read:?}");
}

#[test]
fn every_flipped_bit_of_a_file_is_noticed() {
    let whole = file();
    for at in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        let (read, checksum) = read_file(&flipped);
        assert!(read.is_err() || checksum == Some(FileChecksum::Wrong), "bit {at}: {read:?}");
        assert_ne!(checksum, Some(FileChecksum::Right), "bit {at}");
    }
}

#[test]
fn other_versions_and_types_are_named() {
    let refused = |bytes: &[u8]| read_file(bytes).0.unwrap_err().to_string();
    assert_eq!(
        refused(b"REDIS0013\xff\0\0\0\0\0\0\0\0"),
        "it is of version 13, and those that are known are 1 to 12 (Redis) and 80 (Valkey)"
    );
    assert_eq!(refused(b"VALKEY081\xff"), refused(b"REDIS0081\xff"));
    assert_eq!(refused(b"REDIS+010\xff\0\0\0\0\0\0\0\0"), "its version is no number");
    assert_eq!(refused(b"PK\x03\x04567890"), "it does not begin as a dump of Redis or Valkey does");
    assert_eq!(refused(b"REDIS0010\x1a\x01k\0\0\0\0\0\0\0\0"), "what follows is of type 26, which is not known");
    assert!(refused(b"VALKEY080\xf3\x01k\0\0\0\0\0\0\0\0").contains("moves slots"));
    assert_eq!(read_file(b"REDIS0003\xfe\0\0\x01k\x01v\xff").0.unwrap(), ["0 k v"]);
    assert_eq!(read_file(b"REDIS0003\xfe\0\0\x01k\x01v\xff").1, Some(FileChecksum::None));
}
