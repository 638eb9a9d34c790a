//! Specs of commands on keys of any type.

use Flag::*;
use Handler::{Cursor, Free, Keys, KeysOrWhole, Whole};

use crate::command::{dump, expiry, key, object, scan, sort};
use crate::engine::call::spec::{
    Argument, Begin, Category, CommandSpec, Find, Flag, Group, Handler, KeySpec, KeyUse, spec,
};

const SORT: Handler = KeysOrWhole(sort::sort, sort::names_keys);
const SORT_CATEGORIES: &[Category] = &[Category::Set, Category::SortedSet, Category::List, Category::Dangerous];
const SORT_COMPLEXITY: &str = "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).";

/// The options of SORT that take values beside STORE, and how many.
const SORT_VALUES: &[(&str, u8)] = &[("BY", 1), ("GET", 1), ("LIMIT", 2)];

const SORT_ARGUMENTS: &[Argument] = &[
    Argument::key("key", 0),
    Argument::key_pattern("pattern", 1).after("BY").optional(),
    Argument::block("offset_count", &[Argument::integer("offset"), Argument::integer("count")])
        .after("LIMIT")
        .optional(),
    Argument::key_pattern("pattern", 1).each_after("GET").optional(),
    Argument::one_of("order", &[Argument::word("asc", "ASC"), Argument::word("desc", "DESC")]).optional(),
    Argument::word("sorting", "ALPHA").optional(),
    Argument::key("destination", 2).after("STORE").optional(),
];

const OBJECT: &[CommandSpec] = &[
    spec("object|encoding", 3, &[Readonly], Group::Generic, "2.2.3", Keys(object::encoding))
        .keys(&[KeySpec::at(2, KeyUse::Exist)])
        .categories_own(&[Category::Keyspace])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0)])
        .doc("The name of the representation of a value.", "O(1)"),
    spec("object|freq", 3, &[Readonly], Group::Generic, "4.0.0", Keys(object::freq))
        .keys(&[KeySpec::at(2, KeyUse::Exist)])
        .categories_own(&[Category::Keyspace])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0)])
        .doc("How often a key is used.", "O(1)"),
    spec("object|help", 2, &[Loading, Stale], Group::Generic, "6.2.0", Free(object::help))
        .categories_own(&[Category::Keyspace])
        .doc("What the subcommands do.", "O(1)"),
    spec("object|idletime", 3, &[Readonly], Group::Generic, "2.2.3", Keys(object::idletime))
        .keys(&[KeySpec::at(2, KeyUse::Exist)])
        .categories_own(&[Category::Keyspace])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0)])
        .doc("How long a key was not used.", "O(1)"),
    spec("object|refcount", 3, &[Readonly], Group::Generic, "2.2.3", Keys(object::refcount))
        .keys(&[KeySpec::at(2, KeyUse::Exist)])
        .categories_own(&[Category::Keyspace])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0)])
        .doc("How many share a value.", "O(1)"),
];

pub(super) static COMMANDS: &[CommandSpec] = &[
    spec("del", -2, &[Write], Group::Generic, "1.0.0", Keys(key::del))
        .keys(&[KeySpec::from(1, 1, KeyUse::Remove)])
        .categories_own(&[Category::Keyspace])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .arguments(&[Argument::key("key", 0).multiple()])
.doc("Deletes keys.", "O(N) where N is the number of keys that will be removed."),
    spec("unlink", -2, &[Write, Fast], Group::Generic, "4.0.0", Keys(key::del))
        .keys(&[KeySpec::from(1, 1, KeyUse::Remove)])
        .categories_own(&[Category::Keyspace])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .arguments(&[Argument::key("key", 0).multiple()])
.doc("Deletes keys.", "O(1) for each key removed regardless of its size."),
    spec("exists", -2, &[Readonly, Fast], Group::Generic, "1.0.0", Keys(key::exists))
        .keys(&[KeySpec::from(1, 1, KeyUse::Exist)])
        .categories_own(&[Category::Keyspace])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .arguments(&[Argument::key("key", 0).multiple()])
.doc("How many of the keys exist.", "O(N) where N is the number of keys to check."),
    spec("type", 2, &[Readonly, Fast], Group::Generic, "1.0.0", Keys(key::kind))
        .keys(&[KeySpec::at(1, KeyUse::Exist)])
        .categories_own(&[Category::Keyspace])
        .arguments(&[Argument::key("key", 0)])
.doc("What kind of value a key holds.", "O(1)"),
    spec("touch", -2, &[Readonly, Fast], Group::Generic, "3.2.1", Keys(key::exists))
        .keys(&[KeySpec::from(1, 1, KeyUse::Exist)])
        .categories_own(&[Category::Keyspace])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .arguments(&[Argument::key("key", 0).multiple()])
.doc("How many of the keys exist.", "O(N) where N is the number of keys that will be touched."),
    spec("expire", -3, &[Write, Fast], Group::Generic, "1.0.0", Keys(expiry::expire))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::Keyspace])
        .arguments(&[Argument::key("key", 0), Argument::integer("seconds"), Argument::one_of("condition", &[Argument::word("nx", "NX"), Argument::word("xx", "XX"), Argument::word("gt", "GT"), Argument::word("lt", "LT")]).since("7.0.0").optional()])
.doc("Lets a key expire after seconds.", "O(1)"),
    spec("expireat", -3, &[Write, Fast], Group::Generic, "1.2.0", Keys(expiry::expireat))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::Keyspace])
        .arguments(&[Argument::key("key", 0), Argument::unix_time("unix-time-seconds"), Argument::one_of("condition", &[Argument::word("nx", "NX"), Argument::word("xx", "XX"), Argument::word("gt", "GT"), Argument::word("lt", "LT")]).since("7.0.0").optional()])
.doc("Lets a key expire at a moment given in seconds.", "O(1)"),
    spec("pexpire", -3, &[Write, Fast], Group::Generic, "2.6.0", Keys(expiry::pexpire))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::Keyspace])
        .arguments(&[Argument::key("key", 0), Argument::integer("milliseconds"), Argument::one_of("condition", &[Argument::word("nx", "NX"), Argument::word("xx", "XX"), Argument::word("gt", "GT"), Argument::word("lt", "LT")]).since("7.0.0").optional()])
.doc("Lets a key expire after milliseconds.", "O(1)"),
    spec("pexpireat", -3, &[Write, Fast], Group::Generic, "2.6.0", Keys(expiry::pexpireat))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::Keyspace])
        .arguments(&[Argument::key("key", 0), Argument::unix_time("unix-time-milliseconds"), Argument::one_of("condition", &[Argument::word("nx", "NX"), Argument::word("xx", "XX"), Argument::word("gt", "GT"), Argument::word("lt", "LT")]).since("7.0.0").optional()])
.doc("Lets a key expire at a moment given in milliseconds.", "O(1)"),
    spec("ttl", 2, &[Readonly, Fast], Group::Generic, "1.0.0", Keys(expiry::ttl))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Keyspace])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0)])
.doc("Seconds until a key expires.", "O(1)"),
    spec("pttl", 2, &[Readonly, Fast], Group::Generic, "2.6.0", Keys(expiry::pttl))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Keyspace])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0)])
.doc("Milliseconds until a key expires.", "O(1)"),
    spec("expiretime", 2, &[Readonly, Fast], Group::Generic, "7.0.0", Keys(expiry::expiretime))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Keyspace])
        .arguments(&[Argument::key("key", 0)])
.doc("The moment at which a key expires, in seconds.", "O(1)"),
    spec("pexpiretime", 2, &[Readonly, Fast], Group::Generic, "7.0.0", Keys(expiry::pexpiretime))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Keyspace])
        .arguments(&[Argument::key("key", 0)])
.doc("The moment at which a key expires, in milliseconds.", "O(1)"),
    spec("persist", 2, &[Write, Fast], Group::Generic, "2.2.0", Keys(expiry::persist))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::Keyspace])
        .arguments(&[Argument::key("key", 0)])
.doc("Takes the expiry of a key away.", "O(1)"),
    spec("rename", 3, &[Write], Group::Generic, "1.0.0", Keys(key::rename))
        .keys(&[KeySpec::at(1, KeyUse::Take), KeySpec::at(2, KeyUse::Overwrite)])
        .categories_own(&[Category::Keyspace])
        .arguments(&[Argument::key("key", 0), Argument::key("newkey", 1)])
.doc("Gives a key another name, overwriting what has it.", "O(1)"),
    spec("move", 3, &[Write, Fast], Group::Generic, "1.0.0", Keys(key::move_to))
        .keys(&[KeySpec::at(1, KeyUse::Move)])
        .categories_own(&[Category::Keyspace])
        .arguments(&[Argument::key("key", 0), Argument::integer("db")])
        .doc("Moves a key to another database.", "O(1)"),
    spec("renamenx", 3, &[Write, Fast], Group::Generic, "1.0.0", Keys(key::renamenx))
        .keys(&[KeySpec::at(1, KeyUse::Take), KeySpec::at(2, KeyUse::Insert)])
        .categories_own(&[Category::Keyspace])
        .arguments(&[Argument::key("key", 0), Argument::key("newkey", 1)])
.doc("Gives a key another name unless something has it.", "O(1)"),
    spec("copy", -3, &[Write, DenyOom], Group::Generic, "6.2.0", Keys(key::copy))
        .keys(&[KeySpec::at(1, KeyUse::Read), KeySpec::at(2, KeyUse::Overwrite)])
        .categories_own(&[Category::Keyspace])
        .arguments(&[Argument::key("source", 0), Argument::key("destination", 1), Argument::integer("destination-db").after("DB").optional(), Argument::word("replace", "REPLACE").optional()])
.doc("Copies the value and expiry of a key to another.", "O(N) worst case for collections, where N is the number of nested items."),
    spec("dump", 2, &[Readonly], Group::Generic, "2.6.0", Keys(dump::dump))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Keyspace])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0)])
        .doc("The value of a key as bytes that RESTORE takes.", "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1)."),
    spec("restore", -4, &[Write, DenyOom], Group::Generic, "2.6.0", Keys(dump::restore))
        .keys(&[KeySpec::at(1, KeyUse::Overwrite)])
        .categories_own(&[Category::Keyspace, Category::Dangerous])
        .arguments(&[Argument::key("key", 0), Argument::integer("ttl"), Argument::string("serialized-value"), Argument::word("replace", "REPLACE").since("3.0.0").optional(), Argument::word("absttl", "ABSTTL").since("5.0.0").optional(), Argument::integer("seconds").after("IDLETIME").since("5.0.0").optional(), Argument::integer("frequency").after("FREQ").since("5.0.0").optional()])
        .doc("Makes a key with the value that DUMP has returned.", "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N))."),
    spec("sort", -2, &[Write, DenyOom], Group::Generic, "1.0.0", SORT)
        .keys(&[
            KeySpec::at(1, KeyUse::Read),
            KeySpec::elsewhere(KeyUse::Read),
            KeySpec { begin: Begin::AfterOption("STORE", 2, SORT_VALUES), find: Find::Range { last: 0, step: 1 }, key_use: KeyUse::Overwrite },
        ])
        .categories_own(SORT_CATEGORIES)
        .arguments(SORT_ARGUMENTS)
        .doc("Sorts the elements of a list, set or sorted set.", SORT_COMPLEXITY),
    spec("sort_ro", -2, &[Readonly], Group::Generic, "7.0.0", SORT)
        .keys(&[KeySpec::at(1, KeyUse::Read), KeySpec::elsewhere(KeyUse::Read)])
        .categories_own(SORT_CATEGORIES)
        .arguments(SORT_ARGUMENTS.split_last().unwrap().1)
        .doc("As SORT, without STORE.", SORT_COMPLEXITY),
    spec("randomkey", 1, &[Readonly, TouchesArbitraryKeys], Group::Generic, "1.0.0", Whole(key::randomkey))
        .categories_own(&[Category::Keyspace])
        .tips(&["request_policy:all_shards", "nondeterministic_output"])
        .doc("Some key by chance.", "O(1)"),
    spec("keys", 2, &[Readonly], Group::Generic, "1.0.0", Whole(scan::keys))
        .categories_own(&[Category::Keyspace, Category::Dangerous])
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
        .arguments(&[Argument::pattern("pattern")])
.doc("All keys that match a pattern.", "O(N) with N being the number of keys in the database, under the assumption that the key names in the database and the given pattern have limited length."),
    spec("scan", -2, &[Readonly, TouchesArbitraryKeys], Group::Generic, "2.8.0", Cursor(scan::scan))
        .categories_own(&[Category::Keyspace])
        .tips(&["nondeterministic_output", "request_policy:special"])
        .arguments(&[Argument::integer("cursor"), Argument::pattern("pattern").after("MATCH").optional(), Argument::integer("count").after("COUNT").optional(), Argument::string("type").after("TYPE").since("6.0.0").optional()])
.doc("Some keys at a time, until all were shown.", "O(1) for every call."),
    spec("object", -2, &[], Group::Generic, "2.2.3", Free(object::help))
        .doc("What is known of the representation of values.", "Depends on subcommand.")
        .subcommands(OBJECT),
];
