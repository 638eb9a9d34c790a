//! Specs of commands that treat strings as HyperLogLogs.

use Flag::*;
use Handler::Keys;

use crate::command::hyperloglog;
use crate::engine::call::spec::{Argument, Category, CommandSpec, Flag, Group, Handler, KeySpec, KeyUse, spec};

pub(super) static COMMANDS: &[CommandSpec] = &[
    spec("pfadd", -2, &[Write, DenyOom, Fast], Group::HyperLogLog, "2.8.9", Keys(hyperloglog::pfadd))
        .keys(&[KeySpec::at(1, KeyUse::Extend)])
        .categories_own(&[Category::HyperLogLog])
        .arguments(&[Argument::key("key", 0), Argument::string("element").multiple().optional()])
        .doc("Adds elements to a HyperLogLog.", "O(1) to add every element."),
    spec("pfcount", -2, &[Readonly, MayReplicate], Group::HyperLogLog, "2.8.9", Keys(hyperloglog::pfcount))
        .keys(&[KeySpec::from(1, 1, KeyUse::Compute)])
        .categories_own(&[Category::HyperLogLog])
        .arguments(&[Argument::key("key", 0).multiple()])
        .doc(
            "About how many different elements one or several HyperLogLogs have seen.",
            "O(1) with a very small average constant time when called with a single key. O(N) with N being the number of keys, \
             and much bigger constant times, when called with multiple keys.",
        ),
    spec("pfmerge", -2, &[Write, DenyOom], Group::HyperLogLog, "2.8.9", Keys(hyperloglog::pfmerge))
        .keys(&[KeySpec::at(1, KeyUse::Merge), KeySpec::from(2, 1, KeyUse::Read)])
        .categories_own(&[Category::HyperLogLog])
        .arguments(&[Argument::key("destkey", 0), Argument::key("sourcekey", 1).multiple()])
        .doc(
            "Merges HyperLogLogs into the first one.",
            "O(N) to merge N HyperLogLogs, but with high constant times.",
        ),
];
