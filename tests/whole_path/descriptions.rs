//! What a real node says of its commands (`COMMAND INFO`, `COMMAND DOCS`) beside what `redis-server` says of them.

use crate::harness::Cluster;
use crate::redis::{Raw, Redis, words};

/// What `COMMAND INFO` says of a command otherwise than Redis 7.0.15, on purpose: command, place in the answer, why.
const DIFFERENT: &[(&str, usize, &str)] = &[
    ("command|getkeys", ARITY, "later versions let it be asked about a command without arguments"),
    ("command|getkeysandflags", ARITY, "as the one before"),
    ("cluster|info", FLAGS, "later versions allow it while data is being loaded"),
    ("cluster|myid", FLAGS, "as the one before"),
    ("cluster|nodes", FLAGS, "as the one before"),
    ("cluster|shards", FLAGS, "as the one before"),
    ("cluster|slots", FLAGS, "as the one before"),
    ("multi", FLAGS, "no_multi came with a later version"),
    ("watch", FLAGS, "no_multi came with a later version"),
    ("scan", FLAGS, "touches_arbitrary_keys came with a later version"),
    ("randomkey", FLAGS, "touches_arbitrary_keys came with a later version"),
    ("zrank", ARITY, "later versions take WITHSCORE"),
    ("zrevrank", ARITY, "as the one before"),
    ("blmove", FLAGS, "later versions allow it in scripts"),
    ("blpop", FLAGS, "later versions allow it in scripts"),
    ("brpop", FLAGS, "later versions allow it in scripts"),
    ("brpoplpush", FLAGS, "later versions allow it in scripts"),
    ("bzpopmax", FLAGS, "later versions allow it in scripts"),
    ("bzpopmin", FLAGS, "later versions allow it in scripts"),
    ("wait", FLAGS, "later versions say blocking instead of noscript"),
    ("wait", CATEGORIES, "@blocking follows from its flag"),
];

/// Commands that Redis 7.0.15 does not know.
const UNKNOWN: &[&str] = &[
    "client|no-touch",
    "client|setinfo",
    "cluster|myshardid",
    "debug|bgetdel",
    "debug|help",
    "debug|sleep",
    "delex",
    "delifeq",
    "digest",
    "hexpire",
    "hexpireat",
    "hexpiretime",
    "hgetdel",
    "hgetex",
    "hpersist",
    "hpexpire",
    "hpexpireat",
    "hpexpiretime",
    "hpttl",
    "hsetex",
    "httl",
    "increx",
    "msetex",
    "sentinel",
    "sentinel|ckquorum",
    "sentinel|failover",
    "sentinel|get-master-addr-by-name",
    "sentinel|get-primary-addr-by-name",
    "sentinel|help",
    "sentinel|master",
    "sentinel|masters",
    "sentinel|myid",
    "sentinel|primaries",
    "sentinel|primary",
    "sentinel|replicas",
    "sentinel|sentinels",
    "sentinel|slaves",
    "tanist",
    "waitaof",
];

const ARITY: usize = 1;
const FLAGS: usize = 2;
const CATEGORIES: usize = 6;
const SUBCOMMANDS: usize = 9;

#[test]
fn commands_are_described_as_redis_describes_them() {
    let (cluster, redis) = (Cluster::start(), Redis::start());
    let (primary, _) = cluster.wait_for_pair();
    let (mut ours, mut theirs) = (Raw::connect(primary.port), Raw::connect(redis.port));
    for protocol in ["hello 2", "hello 3"] {
        theirs.ask(&words(protocol));
        ours.ask(&words(protocol));
        let listed = Told::of(&ours.ask(&words("command list filterby pattern *")));
        let names: Vec<&str> = listed.members().iter().map(Told::word).collect();
        assert!(names.len() > 80, "{names:?}");
        for name in names.into_iter().filter(|name| !name.starts_with("tanist")) {
            let ask = words(&format!("command info {name}"));
            same_description(name, &theirs.ask(&ask), &ours.ask(&ask));
            // In the older protocol a map looks like any array.
            if protocol == "hello 3" {
                let ask = words(&format!("command docs {name}"));
                same_documentation(name, &theirs.ask(&ask), &ours.ask(&ask));
            }
        }
    }
}

fn same_description(name: &str, theirs: &str, ours: &str) {
    let (theirs, ours) = (Told::of(theirs), Told::of(ours));
    if UNKNOWN.contains(&name) {
        assert_eq!(theirs.members()[0], Told::Word("null".into()), "{name}");
        return;
    }
    let (theirs, ours) = (theirs.members()[0].members(), ours.members()[0].members());
    assert_eq!((theirs.len(), ours.len()), (10, 10), "{name}");
    for place in 0..10 {
        let listed = DIFFERENT.iter().find(|(command, at, _)| (*command, *at) == (name, place));
        match listed {
            // A container has the subcommands that there are, each of which is compared by its own name.
            None if place == SUBCOMMANDS && ours[place] != Told::Members('*', Vec::new()) => {}
            None => assert_eq!(ours[place], theirs[place], "{name}, place {place}"),
            Some((_, _, why)) => assert_ne!(ours[place], theirs[place], "{name}: {why}"),
        }
    }
}

/// What is compared of `COMMAND DOCS`: summaries are our own words, and so is the history.
const FIELDS: [&str; 3] = ["since", "group", "arguments"];

/// Commands whose arguments are others than in Redis 7.0.15, on purpose.
const OTHER_ARGUMENTS: &[(&str, &str)] = &[
    ("command|getkeysandflags", "later versions list them"),
    ("bitop", "later versions list the operations, and have more of them"),
    ("hscan", "later versions take NOVALUES"),
    ("set", "later versions take IFEQ and its relatives"),
    ("zrank", "later versions take WITHSCORE"),
    ("zrevrank", "as the one before"),
];

fn same_documentation(name: &str, theirs: &str, ours: &str) {
    let (theirs, ours) = (Told::of(theirs), Told::of(ours));
    if UNKNOWN.contains(&name) {
        return;
    }
    for field in FIELDS {
        let (theirs, ours) = (theirs.members()[1].field(field), ours.members()[1].field(field));
        match OTHER_ARGUMENTS.iter().find(|(command, _)| field == "arguments" && *command == name) {
            None => assert_eq!(ours, theirs, "{name}, {field}"),
            Some((_, why)) => assert_ne!(ours, theirs, "{name}: {why}"),
        }
    }
}

/// A reply whose sets, and the sets that the older protocol shows as arrays of flags, have an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Word(String),
    /// With the mark of its kind in the protocol.
    Members(char, Vec<Told>),
}

impl Told {
    fn of(reply: &str) -> Told {
        Told::next(&mut reply.split("\r\n"))
    }

    fn next<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Told {
        let line = lines.next().expect("a whole reply");
        let (kind, rest) = line.split_at(1);
        let count = || rest.parse::<i64>().expect("a count");
        let mut members = |count: i64| (0..count).map(|_| Told::next(lines)).collect::<Vec<_>>();
        match kind {
            "_" => Told::Word("null".into()),
            "$" | "*" if count() < 0 => Told::Word("null".into()),
            "$" => Told::Word(lines.next().expect("a whole reply").into()),
            "%" => Told::Members('%', without_notes(members(2 * count()))),
            "*" | "~" => {
                let mut members = without_notes(members(count()));
                // Only flags, categories and tips are words throughout; their order means nothing.
                if members.iter().all(|member| matches!(member, Told::Word(word) if word.parse::<i64>().is_err())) {
                    members.sort();
                }
                Told::Members(kind.chars().next().expect("a kind"), members)
            }
            _ => Told::Word(rest.into()),
        }
    }

    fn word(&self) -> &str {
        match self {
            Told::Word(word) => word,
            Told::Members(..) => panic!("{self:?} is no word"),
        }
    }

    /// The value of a field of a map.
    fn field(&self, name: &str) -> Option<&Told> {
        let (fields, []) = self.members().as_chunks::<2>() else { panic!("{self:?} is no map") };
        fields.iter().find(|[field, _]| field.word() == name).map(|[_, value]| value)
    }

    fn members(&self) -> &[Told] {
        match self {
            Told::Members(_, members) => members,
            Told::Word(word) => panic!("{word:?} has no members"),
        }
    }
}

/// A key specification without Redis's remarks in prose.
fn without_notes(mut members: Vec<Told>) -> Vec<Told> {
    if members.first() == Some(&Told::Word("notes".into())) {
        members.drain(..2);
    }
    members
}
