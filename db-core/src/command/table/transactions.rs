//! Specs of transaction commands.

use crate::engine::call::Control as C;
use Flag::*;
use Handler::Control;

use crate::engine::call::spec::{Argument, Category, CommandSpec, Flag, Group, Handler, KeySpec, KeyUse, spec};

pub(super) static COMMANDS: &[CommandSpec] = &[
    spec(
        "multi",
        1,
        &[NoScript, Loading, Stale, Fast, NoMulti, AllowBusy],
        Group::Transactions,
        "1.2.0",
        Control(C::Multi),
    )
    .categories_own(&[Category::Transaction])
    .doc("Starts a transaction: commands are queued.", "O(1)"),
    spec("exec", 1, &[NoScript, Loading, Stale, SkipSlowlog], Group::Transactions, "1.2.0", Control(C::Exec))
        .categories_own(&[Category::Transaction])
        .doc("Executes the queued commands as one.", "Depends on commands in the transaction"),
    spec("discard", 1, &[NoScript, Loading, Stale, Fast, AllowBusy], Group::Transactions, "2.0.0", Control(C::Discard))
        .categories_own(&[Category::Transaction])
        .doc("Forgets the queued commands.", "O(N), when N is the number of queued commands"),
    spec(
        "watch",
        -2,
        &[NoScript, Loading, Stale, Fast, NoMulti, AllowBusy],
        Group::Transactions,
        "2.2.0",
        Control(C::Watch),
    )
    .keys(&[KeySpec::from(1, 1, KeyUse::Exist)])
    .categories_own(&[Category::Transaction])
    .arguments(&[Argument::key("key", 0).multiple()])
    .doc("Lets EXEC do nothing if one of the keys changes before.", "O(1) for every key."),
    spec("unwatch", 1, &[NoScript, Loading, Stale, Fast, AllowBusy], Group::Transactions, "2.2.0", Control(C::Unwatch))
        .categories_own(&[Category::Transaction])
        .doc("Forgets the watched keys.", "O(1)"),
];
