//! The tables against Redis's own: names, arity, flags, group, categories.

use std::collections::BTreeMap;

use tanist_db_core::command::{CommandSpec, Flag, Group};

use super::COMMANDS;

/// The protocol's commands as its own documentation lists them, one a line.
const REFERENCE: &str = include_str!("../../../../db-core/tests/data/commands.tsv");

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
    let rows = REFERENCE.lines().skip(1).map(|line| {
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

#[test]
fn records_agree_with_the_protocol() {
    let reference = reference();
    for spec in every_spec() {
        let row = &reference[spec.name];
        let flags = Flag::NAMES.iter().filter(|(flag, _)| spec.flags.has(*flag)).map(|(_, name)| (*name).to_owned());
        let categories = spec.own_categories.iter().map(|category| format!("{category:?}").to_lowercase());
        assert_eq!(spec.arity, row.arity, "{}", spec.name);
        assert_eq!(sorted(flags), row.flags, "{}", spec.name);
        assert_eq!((spec.group.name(), spec.since), (row.group, row.since), "{}", spec.name);
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
