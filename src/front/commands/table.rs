//! Specs of the commands that the front runs, in the same table as the engine's commands.

use Flag::*;
use tanist_db_core::command::{Argument, Category, CommandSpec, CommandTable, Flag, Group, front_command};

use super::{admin, client, config, connection, info, module, pin, replication, save};
use crate::front::caller::Caller;

/// All commands.
pub(in crate::front) static COMMANDS: CommandTable =
    CommandTable::with(&[CONNECTION, SERVER, GENERIC, nodes::COMMANDS, TANIST]);

/// A handler of the front, which works on the caller. It returns what has become of the command, or nothing if that is its reply.
macro_rules! run {
    ($handler:path) => {
        |front, call, session, reply| $handler(Caller::of(front), call, session, reply).map(Into::into)
    };
}

mod nodes;

const CLIENT: &[CommandSpec] = &[
    front_command(
        "client|getname",
        2,
        &[NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "2.6.9",
        run!(client::getname),
    )
    .categories_own(&[Category::Connection])
    .doc("The name of the connection.", "O(1)"),
    front_command("client|help", 2, &[Loading, Stale, Sentinel], Group::Connection, "5.0.0", run!(client::help))
        .categories_own(&[Category::Connection])
        .doc("What the subcommands do.", "O(1)"),
    front_command("client|id", 2, &[NoScript, Loading, Stale, Sentinel], Group::Connection, "5.0.0", run!(client::id))
        .categories_own(&[Category::Connection])
        .doc("The number of the connection.", "O(1)"),
    front_command(
        "client|info",
        2,
        &[NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "6.2.0",
        run!(client::info),
    )
    .categories_own(&[Category::Connection])
    .tips(&["nondeterministic_output"])
    .doc("Everything about the connection.", "O(1)"),
    front_command(
        "client|kill",
        -3,
        &[Admin, NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "2.4.0",
        run!(client::kill),
    )
    .categories_own(&[Category::Connection])
    .arguments(&[Argument::one_of(
        "filter",
        &[
            Argument::string("ip:port").deprecated_since("2.8.12"),
            Argument::one_of(
                "new-format",
                &[
                    Argument::integer("client-id").after("ID").since("2.8.12").optional(),
                    Argument::one_of(
                        "normal_master_slave_pubsub",
                        &[
                            Argument::word("normal", "NORMAL"),
                            Argument::word("master", "MASTER").since("3.2.0"),
                            Argument::word("slave", "SLAVE"),
                            Argument::word("replica", "REPLICA").since("5.0.0"),
                            Argument::word("pubsub", "PUBSUB"),
                        ],
                    )
                    .after("TYPE")
                    .since("2.8.12")
                    .optional(),
                    Argument::string("username").after("USER").optional(),
                    Argument::string("ip:port").after("ADDR").optional(),
                    Argument::string("ip:port").after("LADDR").since("6.2.0").optional(),
                    Argument::string("yes/no").after("SKIPME").optional(),
                ],
            )
            .multiple(),
        ],
    )])
    .doc("Ends connections.", "O(N) where N is the number of client connections"),
    front_command(
        "client|list",
        -2,
        &[Admin, NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "2.4.0",
        run!(client::list),
    )
    .categories_own(&[Category::Connection])
    .tips(&["nondeterministic_output"])
    .arguments(&[
        Argument::one_of(
            "normal_master_replica_pubsub",
            &[
                Argument::word("normal", "NORMAL"),
                Argument::word("master", "MASTER"),
                Argument::word("replica", "REPLICA"),
                Argument::word("pubsub", "PUBSUB"),
            ],
        )
        .after("TYPE")
        .since("5.0.0")
        .optional(),
        Argument::block("id", &[Argument::integer("client-id").multiple()]).after("ID").since("6.2.0").optional(),
    ])
    .doc("Everything about all connections.", "O(N) where N is the number of client connections"),
    front_command(
        "client|no-evict",
        3,
        &[Admin, NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "7.0.0",
        run!(client::no_evict),
    )
    .categories_own(&[Category::Connection])
    .arguments(&[Argument::one_of("enabled", &[Argument::word("on", "ON"), Argument::word("off", "OFF")])])
    .doc("Keeps the connection when memory is short.", "O(1)"),
    front_command(
        "client|no-touch",
        3,
        &[NoScript, Loading, Stale],
        Group::Connection,
        "7.2.0",
        run!(client::no_touch),
    )
    .categories_own(&[Category::Connection])
    .doc("Whether commands count as use of their keys.", "O(1)"),
    front_command(
        "client|reply",
        3,
        &[NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "3.2.0",
        run!(client::reply),
    )
    .categories_own(&[Category::Connection])
    .arguments(&[Argument::one_of(
        "on_off_skip",
        &[Argument::word("on", "ON"), Argument::word("off", "OFF"), Argument::word("skip", "SKIP")],
    )])
    .doc("Which replies the connection gets.", "O(1)"),
    front_command(
        "client|setinfo",
        4,
        &[NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "7.2.0",
        run!(client::setinfo),
    )
    .categories_own(&[Category::Connection])
    .doc("Names the library of the client.", "O(1)"),
    front_command(
        "client|setname",
        3,
        &[NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "2.6.9",
        run!(client::setname),
    )
    .categories_own(&[Category::Connection])
    .arguments(&[Argument::string("connection-name")])
    .doc("Names the connection.", "O(1)"),
    front_command(
        "client|unblock",
        -3,
        &[Admin, NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "5.0.0",
        run!(client::unblock),
    )
    .categories_own(&[Category::Connection])
    .arguments(&[
        Argument::integer("client-id"),
        Argument::one_of("timeout_error", &[Argument::word("timeout", "TIMEOUT"), Argument::word("error", "ERROR")])
            .optional(),
    ])
    .doc("Ends the wait of a connection.", "O(log N) where N is the number of client connections"),
];

const CONFIG: &[CommandSpec] = &[
    front_command("config|get", -3, &[Admin, NoScript, Loading, Stale], Group::Server, "2.0.0", run!(config::get))
        .arguments(&[Argument::block("parameter", &[Argument::string("parameter")]).multiple()])
        .doc("The values of settings.", "O(N) when N is the number of configuration parameters provided"),
    front_command("config|help", 2, &[Loading, Stale], Group::Server, "5.0.0", run!(config::help))
        .doc("What the subcommands do.", "O(1)"),
    front_command(
        "config|resetstat",
        2,
        &[Admin, NoScript, Loading, Stale],
        Group::Server,
        "2.0.0",
        run!(config::resetstat),
    )
    .doc("Starts the figures of INFO anew.", "O(1)"),
    front_command("config|set", -4, &[Admin, NoScript, Loading, Stale], Group::Server, "2.0.0", run!(config::set))
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .arguments(&[
            Argument::block("parameter_value", &[Argument::string("parameter"), Argument::string("value")]).multiple()
        ])
        .doc("Changes settings.", "O(N) when N is the number of configuration parameters provided"),
];

const MODULE: &[CommandSpec] = &[
    front_command("module|help", 2, &[Loading, Stale], Group::Server, "5.0.0", run!(module::help))
        .doc("What the subcommands do.", "O(1)"),
    front_command("module|list", 2, &[Admin, NoScript], Group::Server, "4.0.0", run!(module::list))
        .tips(&["nondeterministic_output_order"])
        .doc("The modules: none.", "O(N) where N is the number of loaded modules."),
];

const CONNECTION: &[CommandSpec] = &[
    front_command(
        "hello",
        -1,
        &[NoScript, Loading, Stale, Fast, NoAuth, Sentinel, AllowBusy],
        Group::Connection,
        "6.0.0",
        run!(connection::hello),
    )
    .categories_own(&[Category::Connection])
    .arguments(&[Argument::block(
        "arguments",
        &[
            Argument::integer("protover"),
            Argument::block("username_password", &[Argument::string("username"), Argument::string("password")])
                .after("AUTH")
                .optional(),
            Argument::string("clientname").after("SETNAME").optional(),
        ],
    )
    .optional()])
    .doc("Chooses the version of the protocol; may authenticate and name the connection too.", "O(1)"),
    front_command(
        "auth",
        -2,
        &[NoScript, Loading, Stale, Fast, NoAuth, Sentinel, AllowBusy],
        Group::Connection,
        "1.0.0",
        run!(connection::auth),
    )
    .categories_own(&[Category::Connection])
    .arguments(&[Argument::string("username").since("6.0.0").optional(), Argument::string("password")])
    .doc("Authenticates the connection.", "O(N) where N is the number of passwords defined for the user"),
    front_command("select", 2, &[Loading, Stale, Fast], Group::Connection, "1.0.0", run!(connection::select))
        .categories_own(&[Category::Connection])
        .arguments(&[Argument::integer("index")])
        .doc("Chooses the database.", "O(1)"),
    front_command(
        "quit",
        -1,
        &[AllowBusy, NoScript, Loading, Stale, Fast, NoAuth],
        Group::Connection,
        "1.0.0",
        run!(connection::quit),
    )
    .categories_own(&[Category::Connection])
    .doc("Ends the connection.", "O(1)")
    .at_once(),
    front_command(
        "reset",
        1,
        &[NoScript, Loading, Stale, Fast, NoAuth, AllowBusy],
        Group::Connection,
        "6.2.0",
        run!(connection::reset),
    )
    .categories_own(&[Category::Connection])
    .doc("Puts the connection into its first state.", "O(1)")
    .at_once(),
    front_command("client", -2, &[Sentinel], Group::Connection, "2.4.0", run!(client::help))
        .doc("About connections.", "Depends on subcommand.")
        .subcommands(CLIENT),
];

const SERVER: &[CommandSpec] = &[
    front_command("config", -2, &[], Group::Server, "2.0.0", run!(config::help))
        .doc("Settings.", "Depends on subcommand.")
        .subcommands(CONFIG),
    front_command("module", -2, &[], Group::Server, "4.0.0", run!(module::help))
        .doc("About modules, of which there are none.", "Depends on subcommand.")
        .subcommands(MODULE),
    front_command("info", -1, &[Loading, Stale, Sentinel], Group::Server, "1.0.0", run!(info::run))
        .categories_own(&[Category::Dangerous])
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .arguments(&[Argument::string("section").optional().multiple()])
        .doc("The state of the node in words.", "O(1)"),
    front_command(
        "role",
        1,
        &[NoScript, Loading, Stale, Fast, Sentinel],
        Group::Server,
        "2.8.12",
        run!(replication::role),
    )
    .categories_own(&[Category::Admin, Category::Dangerous])
    .doc("The role of the node.", "O(1)"),
    front_command("save", 1, &[Admin, NoScript, NoMulti, NoAsyncLoading], Group::Server, "1.0.0", run!(save::save))
        .doc(
            "Makes an image of all that there is now, and waits until the vault has it.",
            "O(N) where N is the number of pages",
        ),
    front_command("bgsave", -1, &[Admin, NoScript, NoAsyncLoading], Group::Server, "1.0.0", run!(save::bgsave))
        .arguments(&[Argument::word("schedule", "SCHEDULE").optional().since("3.2.2")])
        .doc("Begins to make an image of all that there is now.", "O(1)"),
    front_command("lastsave", 1, &[Loading, Stale, Fast], Group::Server, "1.0.0", run!(save::lastsave))
        .categories_own(&[Category::Admin, Category::Dangerous])
        .tips(&["nondeterministic_output"])
        .doc("Returns when the vault has published its newest image, in seconds since 1970.", "O(1)"),
    front_command("failover", -1, &[Admin, NoScript, Stale], Group::Server, "6.2.0", run!(admin::failover))
        .arguments(&[
            Argument::block(
                "target",
                &[Argument::string("host"), Argument::integer("port"), Argument::word("force", "FORCE").optional()],
            )
            .after("TO")
            .optional(),
            Argument::word("abort", "ABORT").optional(),
            Argument::integer("milliseconds").after("TIMEOUT").optional(),
        ])
        .doc("Makes the standby the primary, as TANIST SWITCHOVER does.", "O(1)"),
];

const GENERIC: &[CommandSpec] = &[
    front_command("wait", 3, &[Blocking], Group::Generic, "3.0.0", run!(replication::wait))
        .categories_own(&[Category::Connection])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .arguments(&[Argument::integer("numreplicas"), Argument::integer("timeout")])
        .doc("Waits until replicas have the writes of this connection.", "O(1)"),
    front_command("waitaof", 4, &[Blocking], Group::Generic, "7.2.0", run!(replication::waitaof))
        .categories_own(&[Category::Connection])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .arguments(&[Argument::integer("numlocal"), Argument::integer("numreplicas"), Argument::integer("timeout")])
        .doc("Waits until the writes of this connection are in the log on disk.", "O(1)"),
];

/// Version of Tanist that brought the commands of this table.
const TANIST_SINCE: &str = "0.1.0";

const ADMIN: &[Flag] = &[Admin, NoScript, NoMulti, Loading, Stale];
const PIN: &[Flag] = &[NoScript, NoMulti, Loading, Stale];
const PUSH: &[Flag] = &[Admin, NoScript, NoMulti, Loading, Stale, Protected];
const ADMIN_CATEGORIES: &[Category] = &[Category::Admin, Category::Dangerous];

const TANIST_SUBCOMMANDS: &[CommandSpec] = &[
    front_command("tanist|digest", 2, ADMIN, Group::Module, TANIST_SINCE, run!(admin::digest))
        .categories_own(ADMIN_CATEGORIES)
        .doc(
            "Returns log position and hash of all pages: equal on nodes that hold the same.",
            "O(N) where N is the number of pages",
        ),
    front_command("tanist|health", 2, ADMIN, Group::Module, TANIST_SINCE, run!(admin::health))
        .categories_own(ADMIN_CATEGORIES)
        .doc("Returns OK from the node that serves, else an error that says why not.", "O(1)"),
    front_command("tanist|help", 2, ADMIN, Group::Module, TANIST_SINCE, run!(admin::help))
        .categories_own(ADMIN_CATEGORIES)
        .doc("Lists the subcommands.", "O(1)"),
    front_command("tanist|pin", -2, PIN, Group::Module, TANIST_SINCE, run!(pin::pin))
        .arguments(&[Argument::word("new", "NEW").optional()])
        .doc(
            "Makes this connection read a frozen version: the newest that is pinned, or the state of this moment.",
            "O(N) where N is the number of shards",
        ),
    front_command("tanist|push", 4, PUSH, Group::Module, TANIST_SINCE, run!(admin::push))
        .categories_own(ADMIN_CATEGORIES)
        .arguments(&[Argument::integer("client-id"), Argument::string("message")])
        .doc("For tests: sends a message to a connection, of what this one has written.", "O(log N)"),
    front_command("tanist|status", 2, ADMIN, Group::Module, TANIST_SINCE, run!(admin::status))
        .categories_own(ADMIN_CATEGORIES)
        .doc("Returns the state of node and cluster as JSON.", "O(1)"),
    front_command("tanist|switchover", -2, ADMIN, Group::Module, TANIST_SINCE, run!(admin::switchover))
        .categories_own(ADMIN_CATEGORIES)
        .arguments(&[Argument::string("node").optional()])
        .doc("Makes the standby the primary. Nothing is lost; clients wait for a moment.", "O(1)"),
    front_command("tanist|unpin", 2, PIN, Group::Module, TANIST_SINCE, run!(pin::unpin)).doc(
        "Makes this connection read and write the present state again.",
        "O(N) where N is the number of kept pages",
    ),
];

const TANIST: &[CommandSpec] = &[front_command("tanist", -2, ADMIN, Group::Module, TANIST_SINCE, run!(admin::help))
    .categories_own(ADMIN_CATEGORIES)
    .doc("A container for commands that administer the pair.", "Depends on subcommand.")
    .subcommands(TANIST_SUBCOMMANDS)];

#[cfg(test)]
mod tests;
