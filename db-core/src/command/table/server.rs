//! Specs of commands on the server as a whole.

use Flag::*;
use Handler::{Free, Keys, Whole};

use crate::command::{debug, introspect, memory, server};
use crate::engine::call::spec::{
    Argument, Begin, Category, CommandSpec, Find, Flag, Group, Handler, KeySpec, KeyUse, spec,
};

/// A handler that looks at the tables of the engine's caller.
macro_rules! front {
    ($handler:path) => {
        Handler::Front(|front, call, session, reply| $handler(front, call, session, reply).map(Into::into))
    };
}

const MEMORY: &[CommandSpec] = &[
    spec("memory|help", 2, &[Loading, Stale], Group::Server, "4.0.0", Free(memory::help))
        .doc("What the subcommands do.", "O(1)"),
    spec("memory|usage", -3, &[Readonly], Group::Server, "4.0.0", Keys(memory::usage))
        .keys(&[KeySpec::at(2, KeyUse::Exist)])
        .arguments(&[Argument::key("key", 0), Argument::integer("count").after("SAMPLES").optional()])
        .doc("The bytes that a key and its value take.", "O(1)"),
];

const COMMAND: &[CommandSpec] = &[
    spec("command|count", 2, &[Loading, Stale, Sentinel], Group::Server, "2.8.13", front!(introspect::count))
        .categories_own(&[Category::Connection])
        .doc("The number of commands.", "O(1)"),
    spec("command|docs", -2, &[Loading, Stale, Sentinel], Group::Server, "7.0.0", front!(introspect::docs))
        .categories_own(&[Category::Connection])
        .tips(&["nondeterministic_output_order"])
        .arguments(&[Argument::string("command-name").optional().multiple()])
        .doc("Documentation of commands.", "O(N) where N is the number of commands to look up"),
    spec("command|getkeys", -3, &[Loading, Stale, Sentinel], Group::Server, "2.8.13", front!(introspect::getkeys))
        .categories_own(&[Category::Connection])
        .doc("The keys in a call.", "O(N) where N is the number of arguments to the command"),
    spec(
        "command|getkeysandflags",
        -3,
        &[Loading, Stale, Sentinel],
        Group::Server,
        "7.0.0",
        front!(introspect::getkeysandflags),
    )
    .categories_own(&[Category::Connection])
    .arguments(&[Argument::string("command"), Argument::string("arg").optional().multiple()])
    .doc(
        "Returns the keys in a call, each with what is done with it.",
        "O(N) where N is the number of arguments to the command",
    ),
    spec("command|help", 2, &[Loading, Stale, Sentinel], Group::Server, "5.0.0", front!(introspect::help))
        .categories_own(&[Category::Connection])
        .doc("What the subcommands do.", "O(1)"),
    spec("command|info", -2, &[Loading, Stale, Sentinel], Group::Server, "2.8.13", front!(introspect::info))
        .categories_own(&[Category::Connection])
        .tips(&["nondeterministic_output_order"])
        .arguments(&[Argument::string("command-name").optional().multiple()])
        .doc("Everything about commands.", "O(N) where N is the number of commands to look up"),
    spec("command|list", -2, &[Loading, Stale, Sentinel], Group::Server, "7.0.0", front!(introspect::list))
        .categories_own(&[Category::Connection])
        .tips(&["nondeterministic_output_order"])
        .arguments(&[Argument::one_of(
            "filterby",
            &[
                Argument::string("module-name").after("MODULE"),
                Argument::string("category").after("ACLCAT"),
                Argument::pattern("pattern").after("PATTERN"),
            ],
        )
        .after("FILTERBY")
        .optional()])
        .doc("The names of commands.", "O(N) where N is the total number of commands"),
];

/// Commands of ours, as the subcommands of Redis's DEBUG have no records.
const DEBUG: &[CommandSpec] = &[
    spec(
        "debug|bgetdel",
        -4,
        &[Write, Admin, NoScript, Blocking, Protected],
        Group::Module,
        "0.1.0",
        Handler::Blocking(&debug::BGETDEL),
    )
    .keys(&[KeySpec { begin: Begin::At(2), find: Find::Range { last: -2, step: 1 }, key_use: KeyUse::Take }])
    .doc("Takes the first string that is there, or waits for one.", "O(N) where N is the number of keys"),
    spec("debug|help", 2, &[Admin, NoScript, Loading, Stale, Protected], Group::Module, "0.1.0", Free(debug::help))
        .doc("Lists the subcommands.", "O(1)"),
    #[cfg(feature = "next-level")]
    spec("debug|rehearse", 3, &[Write, Admin, NoScript, Protected], Group::Module, "0.1.0", Whole(debug::rehearse))
        .arguments(&[Argument::string("text")])
        .doc("Writes a record of the next feature level.", "O(1)"),
    spec("debug|sleep", 3, &[Admin, NoScript, Loading, Stale, Protected], Group::Module, "0.1.0", Whole(debug::sleep))
        .doc("Sleeps while it holds all data.", "O(1)"),
];

pub(super) static COMMANDS: &[CommandSpec] = &[
    spec("command", -1, &[Loading, Stale, Sentinel], Group::Server, "2.8.13", front!(introspect::every))
        .categories_own(&[Category::Connection])
        .tips(&["nondeterministic_output_order"])
        .doc("Everything about all commands.", "O(N) where N is the total number of commands")
        .subcommands(COMMAND),
    spec("debug", -2, &[Admin, NoScript, Loading, Stale, Protected], Group::Server, "1.0.0", Free(debug::help))
        .doc("A container for commands for tests.", "Depends on subcommand.")
        .subcommands(DEBUG),
    spec("dbsize", 1, &[Readonly, Fast], Group::Server, "1.0.0", Whole(server::dbsize))
        .categories_own(&[Category::Keyspace])
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"])
        .doc("The number of keys.", "O(1)"),
    spec("flushall", -1, &[Write], Group::Server, "1.0.0", Whole(server::flushall))
        .categories_own(&[Category::Keyspace, Category::Dangerous])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .arguments(&[Argument::one_of(
            "async",
            &[Argument::word("async", "ASYNC").since("4.0.0"), Argument::word("sync", "SYNC").since("6.2.0")],
        )
        .optional()])
        .doc("Deletes all keys.", "O(N) where N is the total number of keys in all databases"),
    spec("flushdb", -1, &[Write], Group::Server, "1.0.0", Whole(server::flushdb))
        .categories_own(&[Category::Keyspace, Category::Dangerous])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .arguments(&[Argument::one_of(
            "async",
            &[Argument::word("async", "ASYNC").since("4.0.0"), Argument::word("sync", "SYNC").since("6.2.0")],
        )
        .optional()])
        .doc("Deletes all keys.", "O(N) where N is the number of keys in the selected database"),
    spec("memory", -2, &[], Group::Server, "4.0.0", Free(memory::help))
        .doc("What is known of the memory that keys take.", "Depends on subcommand.")
        .subcommands(MEMORY),
    spec("swapdb", 3, &[Write, Fast], Group::Server, "4.0.0", Whole(server::swapdb))
        .categories_own(&[Category::Keyspace, Category::Dangerous])
        .arguments(&[Argument::integer("index1"), Argument::integer("index2")])
        .doc("Lets two databases have each other's keys.", "O(1)"),
];
