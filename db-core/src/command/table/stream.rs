//! Streams.

use Flag::*;
use Handler::{Free, Keys};

use crate::command::stream;
use crate::engine::call::spec::{
    Argument, Begin, Category, CommandSpec, Find, Flag, Group, Handler, KeySpec, KeyUse, spec,
};

const XGROUP: &[CommandSpec] = &[
    spec("xgroup|create", -5, &[Write, DenyOom], Group::Stream, "5.0.0", Keys(stream::xgroup_create))
        .keys(&[KeySpec::at(2, KeyUse::Extend)])
        .categories_own(&[Category::Stream])
        .arguments(&[
            Argument::key("key", 0),
            Argument::string("groupname"),
            Argument::one_of("id", &[Argument::string("id"), Argument::word("new_id", "$")]),
            Argument::word("mkstream", "MKSTREAM").optional(),
            Argument::integer("entries_read").after("ENTRIESREAD").optional(),
        ])
        .doc("Creates a consumer group.", "O(1)"),
    spec("xgroup|createconsumer", 5, &[Write, DenyOom], Group::Stream, "6.2.0", Keys(stream::xgroup_createconsumer))
        .keys(&[KeySpec::at(2, KeyUse::Extend)])
        .categories_own(&[Category::Stream])
        .arguments(&[Argument::key("key", 0), Argument::string("groupname"), Argument::string("consumername")])
        .doc("Creates a consumer in a group.", "O(1)"),
    spec("xgroup|delconsumer", 5, &[Write], Group::Stream, "5.0.0", Keys(stream::xgroup_delconsumer))
        .keys(&[KeySpec::at(2, KeyUse::Discard)])
        .categories_own(&[Category::Stream])
        .arguments(&[Argument::key("key", 0), Argument::string("groupname"), Argument::string("consumername")])
        .doc("Removes a consumer from a group.", "O(1)"),
    spec("xgroup|destroy", 4, &[Write], Group::Stream, "5.0.0", Keys(stream::xgroup_destroy))
        .keys(&[KeySpec::at(2, KeyUse::Discard)])
        .categories_own(&[Category::Stream])
        .arguments(&[Argument::key("key", 0), Argument::string("groupname")])
        .doc(
            "Removes a consumer group.",
            "O(N) where N is the number of entries in the group's pending entries list (PEL).",
        ),
    spec("xgroup|help", 2, &[Loading, Stale], Group::Stream, "5.0.0", Free(stream::xgroup_help))
        .categories_own(&[Category::Stream])
        .doc("What the subcommands do.", "O(1)"),
    spec("xgroup|setid", -5, &[Write], Group::Stream, "5.0.0", Keys(stream::xgroup_setid))
        .keys(&[KeySpec::at(2, KeyUse::Alter)])
        .categories_own(&[Category::Stream])
        .arguments(&[
            Argument::key("key", 0),
            Argument::string("groupname"),
            Argument::one_of("id", &[Argument::string("id"), Argument::word("new_id", "$")]),
            Argument::integer("entries_read").after("ENTRIESREAD").optional(),
        ])
        .doc("Sets the last delivered id of a group.", "O(1)"),
];

const XINFO: &[CommandSpec] = &[
    spec("xinfo|consumers", 4, &[Readonly], Group::Stream, "5.0.0", Keys(stream::xinfo_consumers))
        .keys(&[KeySpec::at(2, KeyUse::Read)])
        .categories_own(&[Category::Stream])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0), Argument::string("groupname")])
        .doc("The consumers of a group.", "O(1)"),
    spec("xinfo|groups", 3, &[Readonly], Group::Stream, "5.0.0", Keys(stream::xinfo_groups))
        .keys(&[KeySpec::at(2, KeyUse::Read)])
        .categories_own(&[Category::Stream])
        .arguments(&[Argument::key("key", 0)])
        .doc("The groups of a stream.", "O(1)"),
    spec("xinfo|help", 2, &[Loading, Stale], Group::Stream, "5.0.0", Free(stream::xinfo_help))
        .categories_own(&[Category::Stream])
        .doc("What the subcommands do.", "O(1)"),
    spec("xinfo|stream", -3, &[Readonly], Group::Stream, "5.0.0", Keys(stream::xinfo_stream))
        .keys(&[KeySpec::at(2, KeyUse::Read)])
        .categories_own(&[Category::Stream])
        .arguments(&[
            Argument::key("key", 0),
            Argument::block("full", &[Argument::integer("count").after("COUNT").optional()]).after("FULL").optional(),
        ])
        .doc("What there is to know of a stream.", "O(1)"),
];

pub(super) static COMMANDS: &[CommandSpec] = &[
    spec("xadd", -5, &[Write, DenyOom, Fast], Group::Stream, "5.0.0", Keys(stream::xadd))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::Stream])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0), Argument::word("nomkstream", "NOMKSTREAM").since("6.2.0").optional(), Argument::block("trim", &[Argument::one_of("strategy", &[Argument::word("maxlen", "MAXLEN"), Argument::word("minid", "MINID").since("6.2.0")]), Argument::one_of("operator", &[Argument::word("equal", "="), Argument::word("approximately", "~")]).optional(), Argument::string("threshold"), Argument::integer("count").after("LIMIT").since("6.2.0").optional()]).optional(), Argument::one_of("id_or_auto", &[Argument::word("auto_id", "*"), Argument::string("id")]), Argument::block("field_value", &[Argument::string("field"), Argument::string("value")]).multiple()])
        .doc("Adds an entry to a stream, which is created if it does not exist.", "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted."),
    spec("xlen", 2, &[Readonly, Fast], Group::Stream, "5.0.0", Keys(stream::xlen))
        .keys(&[KeySpec::at(1, KeyUse::Exist)])
        .categories_own(&[Category::Stream])
        .arguments(&[Argument::key("key", 0)])
        .doc("Returns the number of entries.", "O(1)"),
    spec("xrange", -4, &[Readonly], Group::Stream, "5.0.0", Keys(stream::xrange))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Stream])
        .arguments(&[Argument::key("key", 0), Argument::string("start"), Argument::string("end"), Argument::integer("count").after("COUNT").optional()])
        .doc("Returns the entries from one id to another.", "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1)."),
    spec("xrevrange", -4, &[Readonly], Group::Stream, "5.0.0", Keys(stream::xrevrange))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Stream])
        .arguments(&[Argument::key("key", 0), Argument::string("end"), Argument::string("start"), Argument::integer("count").after("COUNT").optional()])
        .doc("Returns the entries from one id down to another.", "O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1)."),
    spec("xdel", -3, &[Write, Fast], Group::Stream, "5.0.0", Keys(stream::xdel))
        .keys(&[KeySpec::at(1, KeyUse::Discard)])
        .categories_own(&[Category::Stream])
        .arguments(&[Argument::key("key", 0), Argument::string("id").multiple()])
        .doc("Removes entries from a stream.", "O(1) for each single item to delete in the stream, regardless of the stream size."),
    spec("xtrim", -4, &[Write], Group::Stream, "5.0.0", Keys(stream::xtrim))
        .keys(&[KeySpec::at(1, KeyUse::Discard)])
        .categories_own(&[Category::Stream])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0), Argument::block("trim", &[Argument::one_of("strategy", &[Argument::word("maxlen", "MAXLEN"), Argument::word("minid", "MINID").since("6.2.0")]), Argument::one_of("operator", &[Argument::word("equal", "="), Argument::word("approximately", "~")]).optional(), Argument::string("threshold"), Argument::integer("count").after("LIMIT").since("6.2.0").optional()])])
        .doc("Removes the oldest entries.", "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are organized in macro nodes containing multiple entries that can be released with a single deallocation."),
    spec("xsetid", -3, &[Write, DenyOom, Fast], Group::Stream, "5.0.0", Keys(stream::xsetid))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::Stream])
        .arguments(&[Argument::key("key", 0), Argument::string("last-id"), Argument::integer("entries_added").after("ENTRIESADDED").since("7.0.0").optional(), Argument::string("max_deleted_entry_id").after("MAXDELETEDID").since("7.0.0").optional()])
        .doc("Sets what a stream notes of its entries.", "O(1)"),
    spec("xread", -4, &[Readonly, Blocking], Group::Stream, "5.0.0", Handler::KeysOrBlocking(stream::xread, &stream::XREAD, stream::waits))
        .keys(&[KeySpec { begin: Begin::After("STREAMS", 1), find: Find::Part(2), key_use: KeyUse::Read }])
        .categories_own(&[Category::Stream])
        .arguments(&[Argument::integer("count").after("COUNT").optional(), Argument::integer("milliseconds").after("BLOCK").optional(), Argument::block("streams", &[Argument::key("key", 0).multiple(), Argument::string("id").multiple()]).after("STREAMS")])
        .doc("Returns the entries behind given ids; may wait for them.", "For each stream mentioned: O(N) with N being the number of elements being returned, it means that XREAD-ing with a fixed COUNT is O(1). Note that when the BLOCK option is used, XADD will pay O(M) time in order to serve the M clients blocked on the stream getting new data."),
    spec("xreadgroup", -7, &[Write, Blocking], Group::Stream, "5.0.0", Handler::KeysOrBlocking(stream::xreadgroup, &stream::XREADGROUP, stream::waits))
        .keys(&[KeySpec { begin: Begin::After("STREAMS", 4), find: Find::Part(2), key_use: KeyUse::Read }])
        .categories_own(&[Category::Stream])
        .arguments(&[Argument::block("group_consumer", &[Argument::string("group"), Argument::string("consumer")]).after("GROUP"), Argument::integer("count").after("COUNT").optional(), Argument::integer("milliseconds").after("BLOCK").optional(), Argument::word("noack", "NOACK").optional(), Argument::block("streams", &[Argument::key("key", 0).multiple(), Argument::string("id").multiple()]).after("STREAMS")])
        .doc("Delivers entries to a consumer of a group; may wait for them.", "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data."),
    spec("xack", -4, &[Write, Fast], Group::Stream, "5.0.0", Keys(stream::xack))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::Stream])
        .arguments(&[Argument::key("key", 0), Argument::string("group"), Argument::string("id").multiple()])
        .doc("Acknowledges entries that were delivered to a consumer of a group.", "O(1) for each message ID processed."),
    spec("xpending", -3, &[Readonly], Group::Stream, "5.0.0", Keys(stream::xpending))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Stream])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0), Argument::string("group"), Argument::block("filters", &[Argument::integer("min-idle-time").after("IDLE").since("6.2.0").optional(), Argument::string("start"), Argument::string("end"), Argument::integer("count"), Argument::string("consumer").optional()]).optional()])
        .doc("The entries that were delivered and not yet acknowledged.", "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for iterating every consumer."),
    spec("xclaim", -6, &[Write, Fast], Group::Stream, "5.0.0", Keys(stream::xclaim))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::Stream])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0), Argument::string("group"), Argument::string("consumer"), Argument::string("min-idle-time"), Argument::string("id").multiple(), Argument::integer("ms").after("IDLE").optional(), Argument::unix_time("unix-time-milliseconds").after("TIME").optional(), Argument::integer("count").after("RETRYCOUNT").optional(), Argument::word("force", "FORCE").optional(), Argument::word("justid", "JUSTID").optional(), Argument::string("id").after("LASTID").optional()])
        .doc("Makes pending entries those of another consumer.", "O(log N) with N being the number of messages in the PEL of the consumer group."),
    spec("xautoclaim", -6, &[Write, Fast], Group::Stream, "6.2.0", Keys(stream::xautoclaim))
        .keys(&[KeySpec::at(1, KeyUse::Discard)])
        .categories_own(&[Category::Stream])
        .tips(&["nondeterministic_output"])
        .arguments(&[Argument::key("key", 0), Argument::string("group"), Argument::string("consumer"), Argument::string("min-idle-time"), Argument::string("start"), Argument::integer("count").after("COUNT").optional(), Argument::word("justid", "JUSTID").optional()])
        .doc("Makes entries that have been pending for long those of another consumer.", "O(1) if COUNT is small."),
    spec("xgroup", -2, &[], Group::Stream, "5.0.0", Free(stream::xgroup_help))
        .doc("A container for commands of consumer groups.", "Depends on subcommand.")
        .subcommands(XGROUP),
    spec("xinfo", -2, &[], Group::Stream, "5.0.0", Free(stream::xinfo_help))
        .doc("A container for commands of streams that describe them.", "Depends on subcommand.")
        .subcommands(XINFO),
];
