//! Sorted sets.

use Flag::*;
use Handler::Keys;

use crate::command::sorted_set;
use crate::engine::call::spec::{
    Argument, Begin, Category, CommandSpec, Find, Flag, Group, Handler, KeySpec, KeyUse, spec,
};

pub(super) static COMMANDS: &[CommandSpec] = &[
    spec("zadd", -4, &[Write, DenyOom, Fast], Group::SortedSet, "1.2.0", Keys(sorted_set::zadd))
        .keys(&[KeySpec::at(1, KeyUse::Alter)]).member(3)
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::one_of("condition", &[Argument::word("nx", "NX"), Argument::word("xx", "XX")]).since("3.0.2").optional(), Argument::one_of("comparison", &[Argument::word("gt", "GT"), Argument::word("lt", "LT")]).since("6.2.0").optional(), Argument::word("change", "CH").since("3.0.2").optional(), Argument::word("increment", "INCR").since("3.0.2").optional(), Argument::block("score_member", &[Argument::double("score"), Argument::string("member")]).multiple()])
        .doc("Adds members to a sorted set, or changes their scores.", "O(log(N)) for each item added, where N is the number of elements in the sorted set."),
    spec("zincrby", 4, &[Write, DenyOom, Fast], Group::SortedSet, "1.2.0", Keys(sorted_set::zincrby))
        .keys(&[KeySpec::at(1, KeyUse::Change)]).member(3)
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::integer("increment"), Argument::string("member")])
        .doc("Adds to the score of a member.", "O(log(N)) where N is the number of elements in the sorted set."),
    spec("zrem", -3, &[Write, Fast], Group::SortedSet, "1.2.0", Keys(sorted_set::zrem))
        .keys(&[KeySpec::at(1, KeyUse::Discard)]).member(2)
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::string("member").multiple()])
        .doc("Removes members, and the sorted set with its last one.", "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed."),
    spec("zscore", 3, &[Readonly, Fast], Group::SortedSet, "1.2.0", Keys(sorted_set::zscore))
        .keys(&[KeySpec::at(1, KeyUse::Read)]).member(2)
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::string("member")])
        .doc("Returns the score of a member.", "O(1)"),
    spec("zmscore", -3, &[Readonly, Fast], Group::SortedSet, "6.2.0", Keys(sorted_set::zmscore))
        .keys(&[KeySpec::at(1, KeyUse::Read)]).member(2)
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::string("member").multiple()])
        .doc("Returns the scores of members.", "O(N) where N is the number of members being requested."),
    spec("zcard", 2, &[Readonly, Fast], Group::SortedSet, "1.2.0", Keys(sorted_set::zcard))
        .keys(&[KeySpec::at(1, KeyUse::Exist)])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0)])
        .doc("Returns the number of members.", "O(1)"),
    spec("zcount", 4, &[Readonly, Fast], Group::SortedSet, "2.0.0", Keys(sorted_set::zcount))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::double("min"), Argument::double("max")])
        .doc("Returns the number of members in a range of scores.", "O(log(N)) with N being the number of elements in the sorted set."),
    spec("zlexcount", 4, &[Readonly, Fast], Group::SortedSet, "2.8.9", Keys(sorted_set::zlexcount))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::string("min"), Argument::string("max")])
        .doc("Returns the number of members in a range of members of one score.", "O(log(N)) with N being the number of elements in the sorted set."),
    spec("zrank", -3, &[Readonly, Fast], Group::SortedSet, "2.0.0", Keys(sorted_set::zrank))
        .keys(&[KeySpec::at(1, KeyUse::Read)]).member(2)
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::string("member"), Argument::word("withscore", "WITHSCORE").since("7.2.0").optional()])
        .doc("Returns the index of a member, counted from the lowest score.", "O(log(N))"),
    spec("zrevrank", -3, &[Readonly, Fast], Group::SortedSet, "2.0.0", Keys(sorted_set::zrevrank))
        .keys(&[KeySpec::at(1, KeyUse::Read)]).member(2)
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::string("member"), Argument::word("withscore", "WITHSCORE").since("7.2.0").optional()])
        .doc("Returns the index of a member, counted from the highest score.", "O(log(N))"),
    spec("zrange", -4, &[Readonly], Group::SortedSet, "1.2.0", Keys(sorted_set::zrange))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::string("start"), Argument::string("stop"), Argument::one_of("sortby", &[Argument::word("byscore", "BYSCORE"), Argument::word("bylex", "BYLEX")]).since("6.2.0").optional(), Argument::word("rev", "REV").since("6.2.0").optional(), Argument::block("offset_count", &[Argument::integer("offset"), Argument::integer("count")]).after("LIMIT").since("6.2.0").optional(), Argument::word("withscores", "WITHSCORES").optional()])
        .doc("Returns the members in a range of indexes, scores or members.", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned."),
    spec("zrangestore", -5, &[Write, DenyOom], Group::SortedSet, "6.2.0", Keys(sorted_set::zrangestore))
        .keys(&[KeySpec::at(1, KeyUse::Overwrite), KeySpec::at(2, KeyUse::Read)])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("dst", 0), Argument::key("src", 1), Argument::string("min"), Argument::string("max"), Argument::one_of("sortby", &[Argument::word("byscore", "BYSCORE"), Argument::word("bylex", "BYLEX")]).optional(), Argument::word("rev", "REV").optional(), Argument::block("offset_count", &[Argument::integer("offset"), Argument::integer("count")]).after("LIMIT").optional()])
        .doc("Stores the members in a range of indexes, scores or members.", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key."),
    spec("zrevrange", -4, &[Readonly], Group::SortedSet, "1.2.0", Keys(sorted_set::zrevrange))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::integer("start"), Argument::integer("stop"), Argument::word("withscores", "WITHSCORES").optional()])
        .doc("Returns the members in a range of indexes, from the highest score on.", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned."),
    spec("zrangebyscore", -4, &[Readonly], Group::SortedSet, "1.0.5", Keys(sorted_set::zrangebyscore))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::double("min"), Argument::double("max"), Argument::word("withscores", "WITHSCORES").since("2.0.0").optional(), Argument::block("offset_count", &[Argument::integer("offset"), Argument::integer("count")]).after("LIMIT").optional()])
        .doc("Returns the members in a range of scores.", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N))."),
    spec("zrevrangebyscore", -4, &[Readonly], Group::SortedSet, "2.2.0", Keys(sorted_set::zrevrangebyscore))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::double("max"), Argument::double("min"), Argument::word("withscores", "WITHSCORES").optional(), Argument::block("offset_count", &[Argument::integer("offset"), Argument::integer("count")]).after("LIMIT").optional()])
        .doc("Returns the members in a range of scores, from the highest one on.", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N))."),
    spec("zrangebylex", -4, &[Readonly], Group::SortedSet, "2.8.9", Keys(sorted_set::zrangebylex))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::string("min"), Argument::string("max"), Argument::block("offset_count", &[Argument::integer("offset"), Argument::integer("count")]).after("LIMIT").optional()])
        .doc("Returns the members in a range of members of one score.", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N))."),
    spec("zrevrangebylex", -4, &[Readonly], Group::SortedSet, "2.8.9", Keys(sorted_set::zrevrangebylex))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::string("max"), Argument::string("min"), Argument::block("offset_count", &[Argument::integer("offset"), Argument::integer("count")]).after("LIMIT").optional()])
        .doc("Returns the members in a range of members of one score, in reverse order.", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N))."),
    spec("zremrangebyrank", 4, &[Write], Group::SortedSet, "2.0.0", Keys(sorted_set::zremrangebyrank))
        .keys(&[KeySpec::at(1, KeyUse::Discard)])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::integer("start"), Argument::integer("stop")])
        .doc("Removes the members in a range of indexes.", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation."),
    spec("zremrangebyscore", 4, &[Write], Group::SortedSet, "1.2.0", Keys(sorted_set::zremrangebyscore))
        .keys(&[KeySpec::at(1, KeyUse::Discard)])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::double("min"), Argument::double("max")])
        .doc("Removes the members in a range of scores.", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation."),
    spec("zremrangebylex", 4, &[Write], Group::SortedSet, "2.8.9", Keys(sorted_set::zremrangebylex))
        .keys(&[KeySpec::at(1, KeyUse::Discard)])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::string("min"), Argument::string("max")])
        .doc("Removes the members in a range of members of one score.", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation."),
    spec("zpopmin", -2, &[Write, Fast], Group::SortedSet, "5.0.0", Keys(sorted_set::zpopmin))
        .keys(&[KeySpec::at(1, KeyUse::Take)])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::integer("count").optional()])
        .doc("Removes the members with the lowest scores and returns them.", "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped."),
    spec("zpopmax", -2, &[Write, Fast], Group::SortedSet, "5.0.0", Keys(sorted_set::zpopmax))
        .keys(&[KeySpec::at(1, KeyUse::Take)])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0), Argument::integer("count").optional()])
        .doc("Removes the members with the highest scores and returns them.", "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped."),
    spec("zmpop", -4, &[Write], Group::SortedSet, "7.0.0", Keys(sorted_set::zmpop))
        .keys(&[KeySpec { begin: Begin::At(1), find: Find::Count { first: 1 }, key_use: KeyUse::Take }])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::integer("numkeys"), Argument::key("key", 0).multiple(), Argument::one_of("where", &[Argument::word("min", "MIN"), Argument::word("max", "MAX")]), Argument::integer("count").after("COUNT").optional()])
        .doc("Removes members from the first sorted set that exists and returns them.", "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped."),
    spec("zrandmember", -2, &[Readonly], Group::SortedSet, "6.2.0", Keys(sorted_set::zrandmember))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::SortedSet])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0), Argument::block("options", &[Argument::integer("count"), Argument::word("withscores", "WITHSCORES").optional()]).optional()])
        .doc("Returns members chosen at random.", "O(N) where N is the number of elements returned"),
    spec("zunion", -3, &[Readonly], Group::SortedSet, "6.2.0", Keys(sorted_set::zunion))
        .keys(&[KeySpec { begin: Begin::At(1), find: Find::Count { first: 1 }, key_use: KeyUse::Read }])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::integer("numkeys"), Argument::key("key", 0).multiple(), Argument::integer("weight").after("WEIGHTS").optional().multiple(), Argument::one_of("aggregate", &[Argument::word("sum", "SUM"), Argument::word("min", "MIN"), Argument::word("max", "MAX")]).after("AGGREGATE").optional(), Argument::word("withscores", "WITHSCORES").optional()])
        .doc("Returns the members that any of several sets has, with combined scores.", "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set."),
    spec("zunionstore", -4, &[Write, DenyOom], Group::SortedSet, "2.0.0", Keys(sorted_set::zunionstore))
        .keys(&[KeySpec::at(1, KeyUse::Overwrite), KeySpec { begin: Begin::At(2), find: Find::Count { first: 1 }, key_use: KeyUse::Read }])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("destination", 0), Argument::integer("numkeys"), Argument::key("key", 1).multiple(), Argument::integer("weight").after("WEIGHTS").optional().multiple(), Argument::one_of("aggregate", &[Argument::word("sum", "SUM"), Argument::word("min", "MIN"), Argument::word("max", "MAX")]).after("AGGREGATE").optional()])
        .doc("Stores the members that any of several sets has, with combined scores.", "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set."),
    spec("zinter", -3, &[Readonly], Group::SortedSet, "6.2.0", Keys(sorted_set::zinter))
        .keys(&[KeySpec { begin: Begin::At(1), find: Find::Count { first: 1 }, key_use: KeyUse::Read }])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::integer("numkeys"), Argument::key("key", 0).multiple(), Argument::integer("weight").after("WEIGHTS").optional().multiple(), Argument::one_of("aggregate", &[Argument::word("sum", "SUM"), Argument::word("min", "MIN"), Argument::word("max", "MAX")]).after("AGGREGATE").optional(), Argument::word("withscores", "WITHSCORES").optional()])
        .doc("Returns the members that all of several sets have, with combined scores.", "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set."),
    spec("zinterstore", -4, &[Write, DenyOom], Group::SortedSet, "2.0.0", Keys(sorted_set::zinterstore))
        .keys(&[KeySpec::at(1, KeyUse::Overwrite), KeySpec { begin: Begin::At(2), find: Find::Count { first: 1 }, key_use: KeyUse::Read }])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("destination", 0), Argument::integer("numkeys"), Argument::key("key", 1).multiple(), Argument::integer("weight").after("WEIGHTS").optional().multiple(), Argument::one_of("aggregate", &[Argument::word("sum", "SUM"), Argument::word("min", "MIN"), Argument::word("max", "MAX")]).after("AGGREGATE").optional()])
        .doc("Stores the members that all of several sets have, with combined scores.", "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set."),
    spec("zintercard", -3, &[Readonly], Group::SortedSet, "7.0.0", Keys(sorted_set::zintercard))
        .keys(&[KeySpec { begin: Begin::At(1), find: Find::Count { first: 1 }, key_use: KeyUse::Read }])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::integer("numkeys"), Argument::key("key", 0).multiple(), Argument::integer("limit").after("LIMIT").optional()])
        .doc("Returns the number of members that all of several sets have.", "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets."),
    spec("zdiff", -3, &[Readonly], Group::SortedSet, "6.2.0", Keys(sorted_set::zdiff))
        .keys(&[KeySpec { begin: Begin::At(1), find: Find::Count { first: 1 }, key_use: KeyUse::Read }])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::integer("numkeys"), Argument::key("key", 0).multiple(), Argument::word("withscores", "WITHSCORES").optional()])
        .doc("Returns the members of the first set that no other one has.", "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set."),
    spec("zdiffstore", -4, &[Write, DenyOom], Group::SortedSet, "6.2.0", Keys(sorted_set::zdiffstore))
        .keys(&[KeySpec::at(1, KeyUse::Overwrite), KeySpec { begin: Begin::At(2), find: Find::Count { first: 1 }, key_use: KeyUse::Read }])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("destination", 0), Argument::integer("numkeys"), Argument::key("key", 1).multiple()])
        .doc("Stores the members of the first set that no other one has.", "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set."),
    spec("zscan", -3, &[Readonly], Group::SortedSet, "2.8.0", Keys(sorted_set::zscan))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::SortedSet])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0), Argument::integer("cursor"), Argument::pattern("pattern").after("MATCH").optional(), Argument::integer("count").after("COUNT").optional()])
        .doc("Returns some members with their scores at a time, until all were returned.", "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.."),
    spec("bzpopmin", -3, &[Write, Blocking, Fast], Group::SortedSet, "5.0.0", Handler::Blocking(&sorted_set::BZPOPMIN))
        .keys(&[KeySpec { begin: Begin::At(1), find: Find::Range { last: -2, step: 1 }, key_use: KeyUse::Take }])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0).multiple(), Argument::double("timeout")])
        .doc("Removes the member with the lowest score of the first sorted set that exists; waits for one.", "O(log(N)) with N being the number of elements in the sorted set."),
    spec("bzpopmax", -3, &[Write, Blocking, Fast], Group::SortedSet, "5.0.0", Handler::Blocking(&sorted_set::BZPOPMAX))
        .keys(&[KeySpec { begin: Begin::At(1), find: Find::Range { last: -2, step: 1 }, key_use: KeyUse::Take }])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::key("key", 0).multiple(), Argument::double("timeout")])
        .doc("Removes the member with the highest score of the first sorted set that exists; waits for one.", "O(log(N)) with N being the number of elements in the sorted set."),
    spec("bzmpop", -5, &[Write, Blocking], Group::SortedSet, "7.0.0", Handler::Blocking(&sorted_set::BZMPOP))
        .keys(&[KeySpec { begin: Begin::At(2), find: Find::Count { first: 1 }, key_use: KeyUse::Take }])
        .categories_own(&[Category::SortedSet])
        .arguments(&[Argument::double("timeout"), Argument::integer("numkeys"), Argument::key("key", 0).multiple(), Argument::one_of("where", &[Argument::word("min", "MIN"), Argument::word("max", "MAX")]), Argument::integer("count").after("COUNT").optional()])
        .doc("Removes members from the first sorted set that exists and returns them; waits for one.", "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped."),
];
