//! Sets.

use Flag::*;
use Handler::Keys;

use crate::command::set;
use crate::engine::call::spec::{
    Argument, Begin, Category, CommandSpec, Find, Flag, Group, Handler, KeySpec, KeyUse, spec,
};

pub(super) static COMMANDS: &[CommandSpec] = &[
    spec("sadd", -3, &[Write, DenyOom, Fast], Group::Set, "1.0.0", Keys(set::sadd))
        .keys(&[KeySpec::at(1, KeyUse::Extend)]).member(2)
        .categories_own(&[Category::Set])
        .arguments(&[Argument::key("key", 0), Argument::string("member").multiple()])

        .doc("Adds members to a set, which is created if it does not exist.", "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments."),
    spec("srem", -3, &[Write, Fast], Group::Set, "1.0.0", Keys(set::srem))
        .keys(&[KeySpec::at(1, KeyUse::Discard)]).member(2)
        .categories_own(&[Category::Set])
        .arguments(&[Argument::key("key", 0), Argument::string("member").multiple()])

        .doc("Removes members, and the set with its last one.", "O(N) where N is the number of members to be removed."),
    spec("sismember", 3, &[Readonly, Fast], Group::Set, "1.0.0", Keys(set::sismember))
        .keys(&[KeySpec::at(1, KeyUse::Exist)]).member(2)
        .categories_own(&[Category::Set])
        .arguments(&[Argument::key("key", 0), Argument::string("member")])
        .doc("Returns whether a member is in a set.", "O(1)"),
    spec("smismember", -3, &[Readonly, Fast], Group::Set, "6.2.0", Keys(set::smismember))
        .keys(&[KeySpec::at(1, KeyUse::Read)]).member(2)
        .categories_own(&[Category::Set])
        .arguments(&[Argument::key("key", 0), Argument::string("member").multiple()])
        .doc("Returns which members are in a set.", "O(N) where N is the number of elements being checked for membership"),
    spec("smembers", 2, &[Readonly], Group::Set, "1.0.0", Keys(set::smembers))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Set])
        .tips(&["nondeterministic_output_order"])
        .arguments(&[Argument::key("key", 0)])
        .doc("Returns all members.", "O(N) where N is the set cardinality."),
    spec("scard", 2, &[Readonly, Fast], Group::Set, "1.0.0", Keys(set::scard))
        .keys(&[KeySpec::at(1, KeyUse::Exist)])
        .categories_own(&[Category::Set])
        .arguments(&[Argument::key("key", 0)])
        .doc("Returns the number of members.", "O(1)"),
    spec("spop", -2, &[Write, Fast], Group::Set, "1.0.0", Keys(set::spop))
        .keys(&[KeySpec::at(1, KeyUse::Take)])
        .categories_own(&[Category::Set])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0), Argument::integer("count").since("3.2.0").optional()])

        .doc("Removes members chosen at random and returns them.", "Without the count argument O(1), otherwise O(N) where N is the value of the passed count."),
    spec("srandmember", -2, &[Readonly], Group::Set, "1.0.0", Keys(set::srandmember))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Set])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0), Argument::integer("count").since("2.6.0").optional()])

        .doc("Returns members chosen at random.", "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count."),
    spec("smove", 4, &[Write, Fast], Group::Set, "1.0.0", Keys(set::smove))
        .keys(&[KeySpec::at(1, KeyUse::Take), KeySpec::at(2, KeyUse::Extend)])
        .categories_own(&[Category::Set])
        .arguments(&[Argument::key("source", 0), Argument::key("destination", 1), Argument::string("member")])
        .doc("Moves a member from one set to another.", "O(1)"),
    spec("sinter", -2, &[Readonly], Group::Set, "1.0.0", Keys(set::sinter))
        .keys(&[KeySpec::from(1, 1, KeyUse::Read)])
        .categories_own(&[Category::Set])
        .tips(&["nondeterministic_output_order"])
        .arguments(&[Argument::key("key", 0).multiple()])
        .doc("Returns the members that all sets have.", "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets."),
    spec("sinterstore", -3, &[Write, DenyOom], Group::Set, "1.0.0", Keys(set::sinterstore))
        .keys(&[KeySpec::at(1, KeyUse::Alter), KeySpec::from(2, 1, KeyUse::Read)])
        .categories_own(&[Category::Set])
        .arguments(&[Argument::key("destination", 0), Argument::key("key", 1).multiple()])
        .doc("Stores the members that all sets have.", "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets."),
    spec("sintercard", -3, &[Readonly], Group::Set, "7.0.0", Keys(set::sintercard))
        .keys(&[KeySpec { begin: Begin::At(1), find: Find::Count { first: 1 }, key_use: KeyUse::Read }])
        .categories_own(&[Category::Set])
        .arguments(&[Argument::integer("numkeys"), Argument::key("key", 0).multiple(), Argument::integer("limit").after("LIMIT").optional()])
        .doc("Returns the number of members that all sets have.", "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets."),
    spec("sunion", -2, &[Readonly], Group::Set, "1.0.0", Keys(set::sunion))
        .keys(&[KeySpec::from(1, 1, KeyUse::Read)])
        .categories_own(&[Category::Set])
        .tips(&["nondeterministic_output_order"])
        .arguments(&[Argument::key("key", 0).multiple()])
        .doc("Returns the members that any of the sets has.", "O(N) where N is the total number of elements in all given sets."),
    spec("sunionstore", -3, &[Write, DenyOom], Group::Set, "1.0.0", Keys(set::sunionstore))
        .keys(&[KeySpec::at(1, KeyUse::Overwrite), KeySpec::from(2, 1, KeyUse::Read)])
        .categories_own(&[Category::Set])
        .arguments(&[Argument::key("destination", 0), Argument::key("key", 1).multiple()])
        .doc("Stores the members that any of the sets has.", "O(N) where N is the total number of elements in all given sets."),
    spec("sdiff", -2, &[Readonly], Group::Set, "1.0.0", Keys(set::sdiff))
        .keys(&[KeySpec::from(1, 1, KeyUse::Read)])
        .categories_own(&[Category::Set])
        .tips(&["nondeterministic_output_order"])
        .arguments(&[Argument::key("key", 0).multiple()])
        .doc("Returns the members of the first set that no other one has.", "O(N) where N is the total number of elements in all given sets."),
    spec("sdiffstore", -3, &[Write, DenyOom], Group::Set, "1.0.0", Keys(set::sdiffstore))
        .keys(&[KeySpec::at(1, KeyUse::Overwrite), KeySpec::from(2, 1, KeyUse::Read)])
        .categories_own(&[Category::Set])
        .arguments(&[Argument::key("destination", 0), Argument::key("key", 1).multiple()])
        .doc("Stores the members of the first set that no other one has.", "O(N) where N is the total number of elements in all given sets."),
    spec("sscan", -3, &[Readonly], Group::Set, "2.8.0", Keys(set::sscan))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Set])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0), Argument::integer("cursor"), Argument::pattern("pattern").after("MATCH").optional(), Argument::integer("count").after("COUNT").optional()])
        .doc("Returns some members at a time, until all were returned.", "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.."),
];
