//! Specs of string commands.

use Flag::*;
use Handler::Keys;

use crate::command::{compare, increx, lcs, string, string_number};
use crate::engine::call::spec::{
    Argument, Begin, Category, CommandSpec, Find, Flag, Group, Handler, KeySpec, KeyUse, spec,
};

const IFEQ: Argument = Argument::string("ifeq-value").after("IFEQ");
const IFNE: Argument = Argument::string("ifne-value").after("IFNE");
const IFDEQ: Argument = Argument::string("ifdeq-digest").after("IFDEQ");
const IFDNE: Argument = Argument::string("ifdne-digest").after("IFDNE");

/// When a key expires, in the words of most commands.
const LIFETIMES: [Argument; 4] = [
    Argument::integer("seconds").after("EX"),
    Argument::integer("milliseconds").after("PX"),
    Argument::unix_time("unix-time-seconds").after("EXAT"),
    Argument::unix_time("unix-time-milliseconds").after("PXAT"),
];

/// The same, or `last`.
const fn lifetimes_or(last: Argument) -> [Argument; 5] {
    let [ex, px, exat, pxat] = LIFETIMES;
    [ex, px, exat, pxat, last]
}

const LIFETIMES_OR_PERSIST: &[Argument] = &lifetimes_or(Argument::word("persist", "PERSIST"));
const LIFETIMES_OR_KEEP: &[Argument] = &lifetimes_or(Argument::word("keepttl", "KEEPTTL"));

pub(super) static COMMANDS: &[CommandSpec] = &[
    spec("get", 2, &[Readonly, Fast], Group::String, "1.0.0", Keys(string::get))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0)])
        .doc("The value of a key.", "O(1)"),
    spec("set", -3, &[Write, DenyOom], Group::String, "1.0.0", Keys(string::set))
        .keys(&[KeySpec::at(1, KeyUse::Set)])
        .categories_own(&[Category::String])
        .arguments(&[
            Argument::key("key", 0),
            Argument::string("value"),
            Argument::one_of(
                "condition",
                &[
                    Argument::word("nx", "NX"),
                    Argument::word("xx", "XX"),
                    IFEQ.since("8.4.0"),
                    IFNE.since("8.4.0"),
                    IFDEQ.since("8.4.0"),
                    IFDNE.since("8.4.0"),
                ],
            )
            .since("2.6.12")
            .optional(),
            Argument::word("get", "GET").since("6.2.0").optional(),
            Argument::one_of(
                "expiration",
                &[
                    Argument::integer("seconds").after("EX").since("2.6.12"),
                    Argument::integer("milliseconds").after("PX").since("2.6.12"),
                    Argument::unix_time("unix-time-seconds").after("EXAT").since("6.2.0"),
                    Argument::unix_time("unix-time-milliseconds").after("PXAT").since("6.2.0"),
                    Argument::word("keepttl", "KEEPTTL").since("6.0.0"),
                ],
            )
            .optional(),
        ])
        .doc("Sets a key to a value, whatever it held; perhaps on a condition, perhaps with an expiry.", "O(1)"),
    spec("getex", -2, &[Write, Fast], Group::String, "6.2.0", Keys(string::getex))
        .keys(&[KeySpec::at(1, KeyUse::Change)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0), Argument::one_of("expiration", LIFETIMES_OR_PERSIST).optional()])
        .doc("The value of a key, after changing its expiry.", "O(1)"),
    spec("getdel", 2, &[Write, Fast], Group::String, "6.2.0", Keys(string::getdel))
        .keys(&[KeySpec::at(1, KeyUse::Take)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0)])
        .doc("The value of a key, and deletes it.", "O(1)"),
    spec("delifeq", 3, &[Write, Fast], Group::String, "9.0.0", Keys(compare::delifeq))
        .keys(&[KeySpec::at(1, KeyUse::Remove)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0), Argument::string("value")])
        .doc("Deletes a key if its value is the given one.", "O(1)"),
    spec("delex", -2, &[Write, Fast], Group::String, "8.4.0", Keys(compare::delex))
        .keys(&[KeySpec::at(1, KeyUse::Discard)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0), Argument::one_of("condition", &[IFEQ, IFNE, IFDEQ, IFDNE]).optional()])
        .doc(
            "Deletes a key, perhaps only if its value is, or is not, a certain one.",
            "O(1) for IFEQ/IFNE, O(N) for IFDEQ/IFDNE where N is the length of the string value.",
        ),
    spec("digest", 2, &[Readonly, Fast], Group::String, "8.4.0", Keys(compare::digest))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0)])
        .doc("A hash of the value of a key (XXH3).", "O(N) where N is the length of the string value."),
    spec("getset", 3, &[Write, DenyOom, Fast], Group::String, "1.0.0", Keys(string::getset))
        .keys(&[KeySpec::at(1, KeyUse::Change)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0), Argument::string("value")])
        .doc("The value of a key, and sets it to another.", "O(1)"),
    spec("setnx", 3, &[Write, DenyOom, Fast], Group::String, "1.0.0", Keys(string::setnx))
        .keys(&[KeySpec::at(1, KeyUse::Insert)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0), Argument::string("value")])
        .doc("Sets a key that does not exist.", "O(1)"),
    spec("setex", 4, &[Write, DenyOom], Group::String, "2.0.0", Keys(string::setex))
        .keys(&[KeySpec::at(1, KeyUse::Overwrite)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0), Argument::integer("seconds"), Argument::string("value")])
        .doc("Sets a key with an expiry in seconds.", "O(1)"),
    spec("psetex", 4, &[Write, DenyOom], Group::String, "2.6.0", Keys(string::psetex))
        .keys(&[KeySpec::at(1, KeyUse::Overwrite)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0), Argument::integer("milliseconds"), Argument::string("value")])
        .doc("Sets a key with an expiry in milliseconds.", "O(1)"),
    spec("mset", -3, &[Write, DenyOom], Group::String, "1.0.1", Keys(string::mset))
        .keys(&[KeySpec::from(1, 2, KeyUse::Overwrite)])
        .categories_own(&[Category::String])
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
        .arguments(&[Argument::block("key_value", &[Argument::key("key", 0), Argument::string("value")]).multiple()])
        .doc("Sets several keys at once.", "O(N) where N is the number of keys to set."),
    spec("msetnx", -3, &[Write, DenyOom], Group::String, "1.0.1", Keys(string::msetnx))
        .keys(&[KeySpec::from(1, 2, KeyUse::Insert)])
        .categories_own(&[Category::String])
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"])
        .arguments(&[Argument::block("key_value", &[Argument::key("key", 0), Argument::string("value")]).multiple()])
        .doc("Sets several keys at once if none of them exists.", "O(N) where N is the number of keys to set."),
    spec("msetex", -4, &[Write, DenyOom], Group::String, "8.4.0", Keys(string::msetex))
        .keys(&[KeySpec { begin: Begin::At(1), find: Find::CountOfPairs { first: 1 }, key_use: KeyUse::Overwrite }])
        .categories_own(&[Category::String])
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
        .arguments(&[
            Argument::integer("numkeys"),
            Argument::block("data", &[Argument::key("key", 0), Argument::string("value")]).multiple(),
            Argument::one_of("condition", &[Argument::word("nx", "NX"), Argument::word("xx", "XX")]).optional(),
            Argument::one_of("expiration", LIFETIMES_OR_KEEP).optional(),
        ])
        .doc(
            "Sets several keys at once, perhaps on a condition, perhaps with an expiry.",
            "O(N) where N is the number of keys to set.",
        ),
    spec("mget", -2, &[Readonly, Fast], Group::String, "1.0.0", Keys(string::mget))
        .keys(&[KeySpec::from(1, 1, KeyUse::Read)])
        .categories_own(&[Category::String])
        .tips(&["request_policy:multi_shard"])
        .arguments(&[Argument::key("key", 0).multiple()])
        .doc("The values of several keys at one moment.", "O(N) where N is the number of keys to retrieve."),
    spec("append", 3, &[Write, DenyOom, Fast], Group::String, "2.0.0", Keys(string::append))
        .keys(&[KeySpec::at(1, KeyUse::Extend)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0), Argument::string("value")])
        .doc("Lengthens the value of a key by a string.", "O(1)."),
    spec("strlen", 2, &[Readonly, Fast], Group::String, "2.2.0", Keys(string::strlen))
        .keys(&[KeySpec::at(1, KeyUse::Exist)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0)])
        .doc("The length of the value of a key.", "O(1)"),
    spec("setrange", 4, &[Write, DenyOom], Group::String, "2.2.0", Keys(string::setrange))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0), Argument::integer("offset"), Argument::string("value")])
        .doc(
            "Overwrites part of the value of a key from an offset on.",
            "O(1), not counting the time taken to copy the new string in place.",
        ),
    spec("getrange", 4, &[Readonly], Group::String, "2.4.0", Keys(string::getrange))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0), Argument::integer("start"), Argument::integer("end")])
        .doc("Part of the value of a key.", "O(N) where N is the length of the returned string."),
    spec("substr", 4, &[Readonly], Group::String, "1.0.0", Keys(string::getrange))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0), Argument::integer("start"), Argument::integer("end")])
        .doc("Part of the value of a key.", "O(N) where N is the length of the returned string."),
    spec("incr", 2, &[Write, DenyOom, Fast], Group::String, "1.0.0", Keys(string_number::incr))
        .keys(&[KeySpec::at(1, KeyUse::Change)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0)])
        .doc("Adds one to the integer at a key.", "O(1)"),
    spec("incrby", 3, &[Write, DenyOom, Fast], Group::String, "1.0.0", Keys(string_number::incrby))
        .keys(&[KeySpec::at(1, KeyUse::Change)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0), Argument::integer("increment")])
        .doc("Adds to the integer at a key.", "O(1)"),
    spec("increx", -2, &[Write, DenyOom, Fast], Group::String, "8.8.0", Keys(increx::increx))
        .keys(&[KeySpec::at(1, KeyUse::Change)])
        .categories_own(&[Category::String])
        .arguments(&[
            Argument::key("key", 0),
            Argument::one_of(
                "increment",
                &[Argument::double("float").after("BYFLOAT"), Argument::integer("integer").after("BYINT")],
            )
            .optional(),
            Argument::word("saturate", "SATURATE").optional(),
            Argument::string("lowerbound").after("LBOUND").optional(),
            Argument::string("upperbound").after("UBOUND").optional(),
            Argument::one_of("expiration", LIFETIMES_OR_PERSIST).optional(),
            Argument::word("enx", "ENX").optional(),
        ])
        .doc("Adds to the number at a key within bounds, and may set its expiry.", "O(1)"),
    spec("incrbyfloat", 3, &[Write, DenyOom, Fast], Group::String, "2.6.0", Keys(string_number::incrbyfloat))
        .keys(&[KeySpec::at(1, KeyUse::Change)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0), Argument::double("increment")])
        .doc("Adds to the number at a key.", "O(1)"),
    spec("decr", 2, &[Write, DenyOom, Fast], Group::String, "1.0.0", Keys(string_number::decr))
        .keys(&[KeySpec::at(1, KeyUse::Change)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0)])
        .doc("Takes one from the integer at a key.", "O(1)"),
    spec("decrby", 3, &[Write, DenyOom, Fast], Group::String, "1.0.0", Keys(string_number::decrby))
        .keys(&[KeySpec::at(1, KeyUse::Change)])
        .categories_own(&[Category::String])
        .arguments(&[Argument::key("key", 0), Argument::integer("decrement")])
        .doc("Takes from the integer at a key.", "O(1)"),
    spec("lcs", -3, &[Readonly], Group::String, "7.0.0", Keys(lcs::lcs))
        .keys(&[KeySpec { begin: Begin::At(1), find: Find::Range { last: 1, step: 1 }, key_use: KeyUse::Read }])
        .categories_own(&[Category::String])
        .arguments(&[
            Argument::key("key1", 0),
            Argument::key("key2", 0),
            Argument::word("len", "LEN").optional(),
            Argument::word("idx", "IDX").optional(),
            Argument::integer("len").after("MINMATCHLEN").optional(),
            Argument::word("withmatchlen", "WITHMATCHLEN").optional(),
        ])
        .doc(
            "The longest common subsequence of the values of two keys, its length, or where it is.",
            "O(N*M) where N and M are the lengths of s1 and s2, respectively",
        ),
];
