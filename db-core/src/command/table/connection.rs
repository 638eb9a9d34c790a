//! Specs of commands on the connection.

use Flag::*;
use Handler::Free;

use crate::command::server;
use crate::engine::call::spec::{Argument, Category, CommandSpec, Flag, Group, Handler, spec};

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
];
