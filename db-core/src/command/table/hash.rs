//! Hashes.

use Flag::*;
use Handler::Keys;

use crate::command::hash;
use crate::engine::call::spec::{Argument, Category, CommandSpec, Flag, Group, Handler, KeySpec, KeyUse, spec};

pub(super) static COMMANDS: &[CommandSpec] = &[
    spec("hset", -4, &[Write, DenyOom, Fast], Group::Hash, "2.0.0", Keys(hash::hset))
        .keys(&[KeySpec::at(1, KeyUse::Alter)]).member(2)
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), Argument::block("field_value", &[Argument::string("field"), Argument::string("value")]).multiple()])

        .doc("Sets fields of a hash, which is created if it does not exist.", "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with multiple field/value pairs."),
    spec("hsetnx", 4, &[Write, DenyOom, Fast], Group::Hash, "2.0.0", Keys(hash::hsetnx))
        .keys(&[KeySpec::at(1, KeyUse::Extend)]).member(2)
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), Argument::string("field"), Argument::string("value")])
        .doc("Sets a field of a hash if the field does not exist.", "O(1)"),
    spec("hget", 3, &[Readonly, Fast], Group::Hash, "2.0.0", Keys(hash::hget))
        .keys(&[KeySpec::at(1, KeyUse::Read)]).member(2)
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), Argument::string("field")])
        .doc("Returns the value of a field.", "O(1)"),
    spec("hmget", -3, &[Readonly, Fast], Group::Hash, "2.0.0", Keys(hash::hmget))
        .keys(&[KeySpec::at(1, KeyUse::Read)]).member(2)
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), Argument::string("field").multiple()])
        .doc("Returns the values of fields.", "O(N) where N is the number of fields being requested."),
    spec("hmset", -4, &[Write, DenyOom, Fast], Group::Hash, "2.0.0", Keys(hash::hmset))
        .keys(&[KeySpec::at(1, KeyUse::Alter)]).member(2)
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), Argument::block("field_value", &[Argument::string("field"), Argument::string("value")]).multiple()])
        .doc("Sets fields of a hash.", "O(N) where N is the number of fields being set."),
    spec("hdel", -3, &[Write, Fast], Group::Hash, "2.0.0", Keys(hash::hdel))
        .keys(&[KeySpec::at(1, KeyUse::Discard)]).member(2)
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), Argument::string("field").multiple()])

        .doc("Deletes fields, and the hash with its last one.", "O(N) where N is the number of fields to be removed."),
    spec("hlen", 2, &[Readonly, Fast], Group::Hash, "2.0.0", Keys(hash::hlen))
        .keys(&[KeySpec::at(1, KeyUse::Exist)])
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0)])
        .doc("Returns the number of fields.", "O(1)"),
    spec("hstrlen", 3, &[Readonly, Fast], Group::Hash, "3.2.0", Keys(hash::hstrlen))
        .keys(&[KeySpec::at(1, KeyUse::Exist)]).member(2)
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), Argument::string("field")])
        .doc("Returns the length of the value of a field.", "O(1)"),
    spec("hexists", 3, &[Readonly, Fast], Group::Hash, "2.0.0", Keys(hash::hexists))
        .keys(&[KeySpec::at(1, KeyUse::Exist)]).member(2)
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), Argument::string("field")])
        .doc("Returns whether a field exists.", "O(1)"),
    spec("hkeys", 2, &[Readonly], Group::Hash, "2.0.0", Keys(hash::hkeys))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Hash])
        .tips(&["nondeterministic_output_order"])
        .arguments(&[Argument::key("key", 0)])
        .doc("Returns all fields.", "O(N) where N is the size of the hash."),
    spec("hvals", 2, &[Readonly], Group::Hash, "2.0.0", Keys(hash::hvals))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Hash])
        .tips(&["nondeterministic_output_order"])
        .arguments(&[Argument::key("key", 0)])
        .doc("Returns all values.", "O(N) where N is the size of the hash."),
    spec("hgetall", 2, &[Readonly], Group::Hash, "2.0.0", Keys(hash::hgetall))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Hash])
        .tips(&["nondeterministic_output_order"])
        .arguments(&[Argument::key("key", 0)])
        .doc("Returns all fields and their values.", "O(N) where N is the size of the hash."),
    spec("hincrby", 4, &[Write, DenyOom, Fast], Group::Hash, "2.0.0", Keys(hash::hincrby))
        .keys(&[KeySpec::at(1, KeyUse::Change)]).member(2)
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), Argument::string("field"), Argument::integer("increment")])
        .doc("Adds an integer to the value of a field.", "O(1)"),
    spec("hincrbyfloat", 4, &[Write, DenyOom, Fast], Group::Hash, "2.6.0", Keys(hash::hincrbyfloat))
        .keys(&[KeySpec::at(1, KeyUse::Change)]).member(2)
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), Argument::string("field"), Argument::double("increment")])
        .doc("Adds a number to the value of a field.", "O(1)"),
    spec("hrandfield", -2, &[Readonly], Group::Hash, "6.2.0", Keys(hash::hrandfield))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Hash])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0), Argument::block("options", &[Argument::integer("count"), Argument::word("withvalues", "WITHVALUES").optional()]).optional()])
        .doc("Returns fields chosen at random.", "O(N) where N is the number of fields returned"),
    spec("hscan", -3, &[Readonly], Group::Hash, "2.8.0", Keys(hash::hscan))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Hash])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0), Argument::integer("cursor"), Argument::pattern("pattern").after("MATCH").optional(), Argument::integer("count").after("COUNT").optional(), Argument::word("novalues", "NOVALUES").since("8.0.0").optional(),])
        .doc("Returns some fields at a time, until all were returned.", "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.."),
];
