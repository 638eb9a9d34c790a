//! Strings.

use Flag::*;
use Handler::Keys;

use crate::command::spec::{Category, CommandSpec, Flag, Group, Handler, KeyPositions, KeyUse, spec};
use crate::command::{string, string_number};

pub(super) static COMMANDS: &[CommandSpec] = &[
    spec("get", 2, &[Readonly, Fast], Group::String, "1.0.0", Keys(string::get))
        .keys(KeyPositions::ONE, &[KeyUse::Read])
        .categories_own(&[Category::String])
        .doc("The value of a key.", "O(1)"),
    spec("set", -3, &[Write, DenyOom], Group::String, "1.0.0", Keys(string::set))
        .keys(KeyPositions::ONE, &[KeyUse::Set])
        .categories_own(&[Category::String])
        .doc("Sets a key to a value, whatever it held; perhaps on a condition, perhaps with an expiry.", "O(1)"),
    spec("getex", -2, &[Write, Fast], Group::String, "6.2.0", Keys(string::getex))
        .keys(KeyPositions::ONE, &[KeyUse::Change])
        .categories_own(&[Category::String])
        .doc("The value of a key, after changing its expiry.", "O(1)"),
    spec("getdel", 2, &[Write, Fast], Group::String, "6.2.0", Keys(string::getdel))
        .keys(KeyPositions::ONE, &[KeyUse::Take])
        .categories_own(&[Category::String])
        .doc("The value of a key, and deletes it.", "O(1)"),
    spec("getset", 3, &[Write, DenyOom, Fast], Group::String, "1.0.0", Keys(string::getset))
        .keys(KeyPositions::ONE, &[KeyUse::Change])
        .categories_own(&[Category::String])
        .doc("The value of a key, and sets it to another.", "O(1)"),
    spec("setnx", 3, &[Write, DenyOom, Fast], Group::String, "1.0.0", Keys(string::setnx))
        .keys(KeyPositions::ONE, &[KeyUse::Insert])
        .categories_own(&[Category::String])
        .doc("Sets a key that does not exist.", "O(1)"),
    spec("setex", 4, &[Write, DenyOom], Group::String, "2.0.0", Keys(string::setex))
        .keys(KeyPositions::ONE, &[KeyUse::Overwrite])
        .categories_own(&[Category::String])
        .doc("Sets a key with an expiry in seconds.", "O(1)"),
    spec("psetex", 4, &[Write, DenyOom], Group::String, "2.6.0", Keys(string::psetex))
        .keys(KeyPositions::ONE, &[KeyUse::Overwrite])
        .categories_own(&[Category::String])
        .doc("Sets a key with an expiry in milliseconds.", "O(1)"),
    spec("mset", -3, &[Write, DenyOom], Group::String, "1.0.1", Keys(string::mset))
        .keys(KeyPositions::PAIRS, &[KeyUse::Overwrite])
        .categories_own(&[Category::String])
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
        .doc("Sets several keys at once.", "O(N) where N is the number of keys to set."),
    spec("msetnx", -3, &[Write, DenyOom], Group::String, "1.0.1", Keys(string::msetnx))
        .keys(KeyPositions::PAIRS, &[KeyUse::Insert])
        .categories_own(&[Category::String])
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"])
        .doc("Sets several keys at once if none of them exists.", "O(N) where N is the number of keys to set."),
    spec("mget", -2, &[Readonly, Fast], Group::String, "1.0.0", Keys(string::mget))
        .keys(KeyPositions::ALL, &[KeyUse::Read])
        .categories_own(&[Category::String])
        .tips(&["request_policy:multi_shard"])
        .doc("The values of several keys at one moment.", "O(N) where N is the number of keys to retrieve."),
    spec("append", 3, &[Write, DenyOom, Fast], Group::String, "2.0.0", Keys(string::append))
        .keys(KeyPositions::ONE, &[KeyUse::Extend])
        .categories_own(&[Category::String])
        .doc("Lengthens the value of a key by a string.", "O(1)."),
    spec("strlen", 2, &[Readonly, Fast], Group::String, "2.2.0", Keys(string::strlen))
        .keys(KeyPositions::ONE, &[KeyUse::Exist])
        .categories_own(&[Category::String])
        .doc("The length of the value of a key.", "O(1)"),
    spec("setrange", 4, &[Write, DenyOom], Group::String, "2.2.0", Keys(string::setrange))
        .keys(KeyPositions::ONE, &[KeyUse::Alter])
        .categories_own(&[Category::String])
        .doc(
            "Overwrites part of the value of a key from an offset on.",
            "O(1), not counting the time taken to copy the new string in place.",
        ),
    spec("getrange", 4, &[Readonly], Group::String, "2.4.0", Keys(string::getrange))
        .keys(KeyPositions::ONE, &[KeyUse::Read])
        .categories_own(&[Category::String])
        .doc("Part of the value of a key.", "O(N) where N is the length of the returned string."),
    spec("substr", 4, &[Readonly], Group::String, "1.0.0", Keys(string::getrange))
        .keys(KeyPositions::ONE, &[KeyUse::Read])
        .categories_own(&[Category::String])
        .doc("Part of the value of a key.", "O(N) where N is the length of the returned string."),
    spec("incr", 2, &[Write, DenyOom, Fast], Group::String, "1.0.0", Keys(string_number::incr))
        .keys(KeyPositions::ONE, &[KeyUse::Change])
        .categories_own(&[Category::String])
        .doc("Adds one to the integer at a key.", "O(1)"),
    spec("incrby", 3, &[Write, DenyOom, Fast], Group::String, "1.0.0", Keys(string_number::incrby))
        .keys(KeyPositions::ONE, &[KeyUse::Change])
        .categories_own(&[Category::String])
        .doc("Adds to the integer at a key.", "O(1)"),
    spec("incrbyfloat", 3, &[Write, DenyOom, Fast], Group::String, "2.6.0", Keys(string_number::incrbyfloat))
        .keys(KeyPositions::ONE, &[KeyUse::Change])
        .categories_own(&[Category::String])
        .doc("Adds to the number at a key.", "O(1)"),
    spec("decr", 2, &[Write, DenyOom, Fast], Group::String, "1.0.0", Keys(string_number::decr))
        .keys(KeyPositions::ONE, &[KeyUse::Change])
        .categories_own(&[Category::String])
        .doc("Takes one from the integer at a key.", "O(1)"),
    spec("decrby", 3, &[Write, DenyOom, Fast], Group::String, "1.0.0", Keys(string_number::decrby))
        .keys(KeyPositions::ONE, &[KeyUse::Change])
        .categories_own(&[Category::String])
        .doc("Takes from the integer at a key.", "O(1)"),
];
