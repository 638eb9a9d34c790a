//! The connection.

use Flag::*;
use Handler::{Free, Front};

use crate::command::server;
use crate::command::spec::{Argument, Category, CommandSpec, Flag, FrontCommand, Group, Handler, spec};

const CLIENT: &[CommandSpec] = &[
    spec(
        "client|getname",
        2,
        &[NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "2.6.9",
        Front(FrontCommand::Client),
    )
    .categories_own(&[Category::Connection])
    .doc("The name of the connection.", "O(1)"),
    spec("client|help", 2, &[Loading, Stale, Sentinel], Group::Connection, "5.0.0", Front(FrontCommand::Client))
        .categories_own(&[Category::Connection])
        .doc("What the subcommands do.", "O(1)"),
    spec(
        "client|id",
        2,
        &[NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "5.0.0",
        Front(FrontCommand::Client),
    )
    .categories_own(&[Category::Connection])
    .doc("The number of the connection.", "O(1)"),
    spec(
        "client|info",
        2,
        &[NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "6.2.0",
        Front(FrontCommand::Client),
    )
    .categories_own(&[Category::Connection])
    .tips(&["nondeterministic_output"])
    .doc("Everything about the connection.", "O(1)"),
    spec(
        "client|kill",
        -3,
        &[Admin, NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "2.4.0",
        Front(FrontCommand::Client),
    )
    .categories_own(&[Category::Connection])
    .arguments(&[Argument::one_of("filter", &[Argument::string("ip:port"), Argument::one_of("new-format", &[Argument::integer("client-id").after("ID").since("2.8.12").optional(), Argument::one_of("normal_master_slave_pubsub", &[Argument::word("normal", "NORMAL"), Argument::word("master", "MASTER").since("3.2.0"), Argument::word("slave", "SLAVE"), Argument::word("replica", "REPLICA").since("5.0.0"), Argument::word("pubsub", "PUBSUB")]).after("TYPE").since("2.8.12").optional(), Argument::string("username").after("USER").optional(), Argument::string("ip:port").after("ADDR").optional(), Argument::string("ip:port").after("LADDR").since("6.2.0").optional(), Argument::string("yes/no").after("SKIPME").optional()]).multiple()])])
.doc("Ends connections.", "O(N) where N is the number of client connections"),
    spec(
        "client|list",
        -2,
        &[Admin, NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "2.4.0",
        Front(FrontCommand::Client),
    )
    .categories_own(&[Category::Connection])
    .tips(&["nondeterministic_output"])
    .arguments(&[Argument::one_of("normal_master_replica_pubsub", &[Argument::word("normal", "NORMAL"), Argument::word("master", "MASTER"), Argument::word("replica", "REPLICA"), Argument::word("pubsub", "PUBSUB")]).after("TYPE").since("5.0.0").optional(), Argument::block("id", &[Argument::integer("client-id").multiple()]).after("ID").since("6.2.0").optional()])
.doc("Everything about all connections.", "O(N) where N is the number of client connections"),
    spec(
        "client|no-evict",
        3,
        &[Admin, NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "7.0.0",
        Front(FrontCommand::Client),
    )
    .categories_own(&[Category::Connection])
    .arguments(&[Argument::one_of("enabled", &[Argument::word("on", "ON"), Argument::word("off", "OFF")])])
.doc("Keeps the connection when memory is short.", "O(1)"),
    spec("client|no-touch", 3, &[NoScript, Loading, Stale], Group::Connection, "7.2.0", Front(FrontCommand::Client))
        .categories_own(&[Category::Connection])
        .doc("Whether commands count as use of their keys.", "O(1)"),
    spec(
        "client|reply",
        3,
        &[NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "3.2.0",
        Front(FrontCommand::Client),
    )
    .categories_own(&[Category::Connection])
    .arguments(&[Argument::one_of("on_off_skip", &[Argument::word("on", "ON"), Argument::word("off", "OFF"), Argument::word("skip", "SKIP")])])
.doc("Which replies the connection gets.", "O(1)"),
    spec(
        "client|setinfo",
        4,
        &[NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "7.2.0",
        Front(FrontCommand::Client),
    )
    .categories_own(&[Category::Connection])
    .doc("Names the library of the client.", "O(1)"),
    spec(
        "client|setname",
        3,
        &[NoScript, Loading, Stale, Sentinel],
        Group::Connection,
        "2.6.9",
        Front(FrontCommand::Client),
    )
    .categories_own(&[Category::Connection])
    .arguments(&[Argument::string("connection-name")])
.doc("Names the connection.", "O(1)"),
];

pub(super) static COMMANDS: &[CommandSpec] = &[
    spec("ping", -1, &[Fast, Sentinel], Group::Connection, "1.0.0", Free(server::ping))
        .categories_own(&[Category::Connection])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .arguments(&[Argument::string("message").optional()])
.doc("Answers PONG, or what it is given.", "O(1)"),
    spec("echo", 2, &[Loading, Stale, Fast], Group::Connection, "1.0.0", Free(server::echo))
        .categories_own(&[Category::Connection])
        .arguments(&[Argument::string("message")])
.doc("Answers what it is given.", "O(1)"),
    spec(
        "hello",
        -1,
        &[NoScript, Loading, Stale, Fast, NoAuth, Sentinel, AllowBusy],
        Group::Connection,
        "6.0.0",
        Front(FrontCommand::Hello),
    )
    .categories_own(&[Category::Connection])
    .arguments(&[Argument::block("arguments", &[Argument::integer("protover"), Argument::block("username_password", &[Argument::string("username"), Argument::string("password")]).after("AUTH").optional(), Argument::string("clientname").after("SETNAME").optional()]).optional()])
.doc("Chooses the version of the protocol; may authenticate and name the connection too.", "O(1)"),
    spec(
        "auth",
        -2,
        &[NoScript, Loading, Stale, Fast, NoAuth, Sentinel, AllowBusy],
        Group::Connection,
        "1.0.0",
        Front(FrontCommand::Auth),
    )
    .categories_own(&[Category::Connection])
    .arguments(&[Argument::string("username").since("6.0.0").optional(), Argument::string("password")])
.doc("Authenticates the connection.", "O(N) where N is the number of passwords defined for the user"),
    spec("select", 2, &[Loading, Stale, Fast], Group::Connection, "1.0.0", Front(FrontCommand::Select))
        .categories_own(&[Category::Connection])
        .arguments(&[Argument::integer("index")])
.doc("Chooses the database; there is only 0.", "O(1)"),
    spec(
        "quit",
        -1,
        &[AllowBusy, NoScript, Loading, Stale, Fast, NoAuth],
        Group::Connection,
        "1.0.0",
        Front(FrontCommand::Quit),
    )
    .categories_own(&[Category::Connection])
    .doc("Ends the connection.", "O(1)"),
    spec(
        "reset",
        1,
        &[NoScript, Loading, Stale, Fast, NoAuth, AllowBusy],
        Group::Connection,
        "6.2.0",
        Front(FrontCommand::Reset),
    )
    .categories_own(&[Category::Connection])
    .doc("Puts the connection into its first state.", "O(1)"),
    spec("client", -2, &[Sentinel], Group::Connection, "2.4.0", Front(FrontCommand::Client))
        .doc("About connections.", "Depends on subcommand.")
        .subcommands(CLIENT),
];
