//! The tables against Redis's own: names, arity, flags, group, categories.

use std::collections::BTreeMap;

use tanist_client::{BLOCKING, TimeoutPlace};
use tanist_db_core::command::{Argument, CommandSpec, Flag, Group};

use super::COMMANDS;

/// The protocol's commands as its own documentation lists them, one a line.
const REFERENCE: &str = include_str!("../../../../db-core/tests/data/commands.tsv");
/// Those that Valkey alone has.
const VALKEY: &str = include_str!("../../../../db-core/tests/data/valkey.tsv");
/// Those that came with Redis 8.
const REDIS_8: &str = include_str!("../../../../db-core/tests/data/redis8.tsv");

struct Row {
    arity: i8,
    flags: Vec<String>,
    group: &'static str,
    since: &'static str,
    categories: Vec<String>,
}

fn sorted(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.sort_unstable();
    words
}

fn reference() -> BTreeMap<String, Row> {
    let rows = [REFERENCE, VALKEY, REDIS_8].into_iter().flat_map(|table| table.lines().skip(1)).map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let words = |at: usize| sorted(fields[at].split(',').map(str::to_lowercase));
        let row = Row {
            arity: fields[2].parse().unwrap(),
            flags: words(3),
            group: fields[0],
            since: fields[4],
            categories: words(5),
        };
        (fields[1].to_lowercase().replace(' ', "|"), row)
    });
    rows.collect()
}

fn every_spec() -> impl Iterator<Item = &'static CommandSpec> {
    COMMANDS
        .all()
        .flat_map(|spec| std::iter::once(spec).chain(spec.subcommands))
        .filter(|spec| spec.group != Group::Module)
}

/// The client library repeats what changes nothing: what it takes for that is what the protocol and this table say.
#[test]
fn the_client_library_repeats_what_only_reads() {
    let reads = |row: &Row| {
        let has = |name: &str| row.flags.iter().any(|flag| flag == name);
        has("readonly") && !has("blocking") && !has("may_replicate")
    };
    let reference = reference();
    let containers: Vec<&str> = reference.keys().filter_map(|name| Some(name.split_once('|')?.0)).collect();
    let of_data =
        reference.iter().filter(|(name, row)| reads(row) && !name.contains('|') && !containers.contains(&&***name));
    // Not flagged, since they touch no data.
    let others = ["echo", "info", "ping", "role", "time"].map(str::to_owned);
    // TOUCH counts as a use of its keys.
    let expected = of_data
        .map(|(name, _)| name.clone())
        .filter(|name| name != "touch")
        .chain(others)
        .map(|name| name.to_uppercase());
    assert_eq!(sorted(expected), tanist_client::READS);
    for spec in every_spec().filter(|spec| tanist_client::READS.contains(&&*spec.name.to_uppercase())) {
        assert!(!spec.flags.has(Flag::Write), "{}", spec.name);
    }
}

/// The client library gives each command that blocks a connection of its own, and knows where its timeout stands.
#[test]
fn the_client_library_knows_what_blocks() {
    let of_data = |spec: &&CommandSpec| [Group::List, Group::SortedSet, Group::Stream].contains(&spec.group);
    let blocking = every_spec().filter(|spec| spec.flags.has(Flag::Blocking)).filter(of_data);
    let places = blocking.map(|spec| {
        let at = |argument: Option<&Argument>| argument.is_some_and(|argument| argument.name == "timeout");
        let place = match (at(spec.arguments.first()), at(spec.arguments.last())) {
            (true, false) => TimeoutPlace::First,
            (false, true) => TimeoutPlace::Last,
            _ if spec.arguments.iter().any(|argument| argument.token == "BLOCK") => TimeoutPlace::Option,
            _ => panic!("{}: where is its timeout?", spec.name),
        };
        (spec.name.to_uppercase(), place)
    });
    let known = BLOCKING.map(|(name, place)| (name.to_owned(), place));
    assert_eq!(places.collect::<BTreeMap<_, _>>().into_iter().collect::<Vec<_>>(), known);
}

#[test]
fn records_agree_with_the_protocol() {
    let reference = reference();
    for spec in every_spec() {
        let row = &reference[spec.name];
        let flags = Flag::NAMES.iter().filter(|(flag, _)| spec.flags.has(*flag)).map(|(_, name)| (*name).to_owned());
        let categories = spec.own_categories.iter().map(|category| format!("{category:?}").to_lowercase());
        assert_eq!(spec.arity, row.arity, "{}", spec.name);
        assert_eq!(sorted(flags), row.flags, "{}", spec.name);
        assert_eq!((spec.group.name(), spec.since), (&*row.group.replace('_', "-"), row.since), "{}", spec.name);
        assert_eq!(sorted(categories), row.categories, "{}", spec.name);
    }
}

#[test]
fn records_are_complete() {
    for spec in every_spec() {
        assert!(!spec.summary.is_empty() && !spec.complexity.is_empty(), "{}", spec.name);
        assert_eq!(spec.name, spec.name.to_lowercase());
        assert!(!(spec.flags.has(Flag::Write) && spec.flags.has(Flag::Readonly)), "{}", spec.name);
        for sub in spec.subcommands {
            assert!(sub.name.starts_with(&format!("{}|", spec.name)), "{}", sub.name);
        }
    }
}
