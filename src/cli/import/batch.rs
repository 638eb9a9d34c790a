//! Commands that make keys, and which of them are sent together.
//!
//! A batch is one transaction, so that it is executed once or not at all, in the database that it names, on whichever node is primary.
//! Each collection begins with DEL, so a batch that begins all of its keys may be executed again. One that continues a list may not:
//! it says how long the list was before.

use redis::Cmd;
use tanist_db_core::clock::UnixMillis;
use tanist_db_core::rdb::RdbItem;
use tanist_db_core::value::Kind;

/// Bytes of a batch that is sent, but for its last command: some milliseconds of the primary's time.
const BATCH_BYTES: usize = 512 * 1024;
/// Commands of one.
const BATCH_COMMANDS: usize = 2048;
/// Bytes of a command that adds members, but for its last one.
const COMMAND_BYTES: usize = 64 * 1024;
/// Members that a command adds.
const COMMAND_MEMBERS: usize = 128;

/// What is executed together.
#[derive(Debug, Default)]
pub(super) struct ImportBatch {
    /// Number of the database of all commands.
    pub(super) database: u64,
    pub(super) commands: Vec<Cmd>,
    /// The key that it begins with and that a batch before has begun, if there is one.
    pub(super) continues: Option<Continued>,
    /// Bytes of the arguments.
    bytes: usize,
}

/// A key that is made by several batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Continued {
    pub(super) key: Vec<u8>,
    /// Of a list, or of a stream: how many elements or entries the batches before have added.
    pub(super) elements: Option<u64>,
    /// Its type.
    pub(super) kind: Kind,
}

/// Makes batches of keys, and delivers each that is full.
pub(super) struct Batcher<D> {
    deliver: D,
    batch: ImportBatch,
    key: Vec<u8>,
    kind: Kind,
    /// The command that members are added to.
    open: Option<Open>,
    /// Members of the key so far.
    members: u64,
    /// Members of the key that are in commands of this batch or of ones before.
    pushed: u64,
    /// Whether such a command has begun the key.
    begun: bool,
    /// Of a stream: its newest group and its newest consumer, once its entries are there.
    group: Option<(Vec<u8>, Vec<u8>)>,
}

struct Open {
    command: Cmd,
    members: usize,
    bytes: usize,
}

impl<E, D: FnMut(ImportBatch) -> Result<(), E>> Batcher<D> {
    pub(super) fn new(deliver: D) -> Self {
        let (batch, key) = (ImportBatch::default(), Vec::new());
        Batcher {
            deliver,
            batch,
            key,
            kind: Kind::String,
            open: None,
            members: 0,
            pushed: 0,
            begun: false,
            group: None,
        }
    }

    /// Begins a key.
    pub(super) fn begin(&mut self, database: u64, key: &[u8], kind: Kind) -> Result<(), E> {
        if database != self.batch.database {
            self.flush(None)?;
            self.batch.database = database;
        }
        self.key.clear();
        self.key.extend_from_slice(key);
        (self.kind, self.members, self.pushed, self.begun, self.group) = (kind, 0, 0, false, None);
        Ok(())
    }

    /// Adds a part of the key's value.
    pub(super) fn add(&mut self, item: RdbItem<'_>) -> Result<(), E> {
        if let RdbItem::Field { name, value, expire: Some(at) } = item {
            return self.add_expiring(name, value, at);
        }
        if self.kind == Kind::Stream {
            return self.add_of_stream(item);
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.opened()?,
        };
        let command = &mut open.command;
        open.bytes += match item {
            RdbItem::Text(text) | RdbItem::Element(text) | RdbItem::Member(text) => {
                command.arg(text);
                text.len()
            }
            RdbItem::Field { name, value, .. } => {
                command.arg(name).arg(value);
                name.len() + value.len()
            }
            RdbItem::Scored { name, score } => {
                // The shortest text that is read as this double.
                command.arg(score.get().to_string()).arg(name);
                name.len()
            }
            // Of a stream.
            _ => 0,
        };
        open.members += 1;
        self.members += 1;
        // The command of a string stays open for its expiry.
        let full = open.members >= COMMAND_MEMBERS || open.bytes >= COMMAND_BYTES;
        self.open = Some(open);
        if full && self.kind != Kind::String { self.close() } else { Ok(()) }
    }

    /// Adds a field that expires: a command of its own, since each may expire at another time.
    fn add_expiring(&mut self, name: &[u8], value: &[u8], at: UnixMillis) -> Result<(), E> {
        self.begin_collection()?;
        let mut command = redis::cmd("HSETEX");
        command.arg(self.key.as_slice()).arg("PXAT").arg(at.0).arg("FIELDS").arg(1).arg(name).arg(value);
        let bytes = self.key.len() + name.len() + value.len();
        self.members += 1;
        self.push(command, bytes)?;
        self.pushed = self.members;
        Ok(())
    }

    /// Adds a part of a stream: each is a command of its own. All but the first entries may be executed again.
    fn add_of_stream(&mut self, item: RdbItem<'_>) -> Result<(), E> {
        self.begin_collection()?;
        let named = |name: &str, key: &[u8]| {
            let mut command = redis::cmd(name);
            command.arg(key);
            command
        };
        let key = self.key.clone();
        let (group, consumer) = self.group.clone().unwrap_or_default();
        let mut commands = Vec::new();
        match item {
            RdbItem::Entry { id, fields } => {
                let mut command = named("XADD", &key);
                command.arg(format!("{}-{}", id.ms, id.seq)).arg(fields);
                commands.push((command, fields.iter().map(|text| text.len()).sum()));
            }
            RdbItem::Stream { last, added, deleted } => {
                if self.members == 0 {
                    // A stream without an entry is made by one that goes, and does not count as deleted.
                    for (name, words) in [("XADD", &["0-1", "f", "v"][..]), ("XTRIM", &["MAXLEN", "0"])] {
                        let mut command = named(name, &key);
                        command.arg(words);
                        commands.push((command, 0));
                    }
                }
                let mut command = named("XSETID", &key);
                command.arg(format!("{}-{}", last.ms, last.seq)).arg("ENTRIESADDED").arg(added);
                command.arg("MAXDELETEDID").arg(format!("{}-{}", deleted.ms, deleted.seq));
                commands.push((command, 0));
                self.group = Some((Vec::new(), Vec::new()));
            }
            RdbItem::Group { name, last, read } => {
                let mut command = redis::cmd("XGROUP");
                command.arg("DESTROY").arg(key.as_slice()).arg(name);
                commands.push((command, name.len()));
                let mut command = redis::cmd("XGROUP");
                command.arg("CREATE").arg(key.as_slice()).arg(name).arg(format!("{}-{}", last.ms, last.seq));
                command.arg("ENTRIESREAD").arg(read.map_or(-1, u64::cast_signed));
                commands.push((command, name.len()));
                self.group = Some((name.to_vec(), Vec::new()));
            }
            RdbItem::Consumer { name, .. } => {
                let mut command = redis::cmd("XGROUP");
                command.arg("CREATECONSUMER").arg(key.as_slice()).arg(group.as_slice()).arg(name);
                commands.push((command, name.len()));
                self.group = Some((group, name.to_vec()));
            }
            RdbItem::Pending { id, time, count } => {
                let mut command = named("XCLAIM", &key);
                command.arg(group).arg(consumer).arg(0).arg(format!("{}-{}", id.ms, id.seq));
                command.arg("TIME").arg(time).arg("RETRYCOUNT").arg(count).arg("FORCE").arg("JUSTID");
                commands.push((command, 0));
            }
            _ => {}
        }
        self.members += 1;
        for (command, bytes) in commands {
            self.push(command, key.len() + bytes)?;
        }
        self.pushed = self.members;
        Ok(())
    }

    /// Ends the key; returns whether there is one: a collection has members.
    pub(super) fn end(&mut self, expire: Option<UnixMillis>) -> Result<bool, E> {
        if let (Kind::String, Some(open), Some(at)) = (self.kind, &mut self.open, expire) {
            open.command.arg("PXAT").arg(at.0);
        }
        self.close()?;
        if let (true, Some(at)) = (self.members > 0 && self.kind != Kind::String, expire) {
            let mut command = redis::cmd("PEXPIREAT");
            command.arg(self.key.as_slice()).arg(at.0);
            let bytes = self.key.len();
            self.push(command, bytes)?;
        }
        Ok(self.members > 0)
    }

    /// Delivers what is left.
    pub(super) fn finish(mut self) -> Result<(), E> {
        self.flush(None)
    }

    fn opened(&mut self) -> Result<Open, E> {
        self.begin_collection()?;
        let mut command = redis::cmd(match self.kind {
            Kind::String => "SET",
            Kind::List => "RPUSH",
            Kind::Set => "SADD",
            Kind::Hash => "HSET",
            Kind::SortedSet => "ZADD",
            Kind::Stream => "XADD",
        });
        command.arg(self.key.as_slice());
        Ok(Open { command, members: 0, bytes: self.key.len() })
    }

    /// Removes what a collection replaces, before its first member.
    fn begin_collection(&mut self) -> Result<(), E> {
        if self.members == 0 && self.kind != Kind::String {
            let mut command = redis::cmd("DEL");
            command.arg(self.key.as_slice());
            let bytes = self.key.len();
            self.push(command, bytes)?;
            self.begun = true;
        }
        Ok(())
    }

    /// The open command becomes one of the batch.
    fn close(&mut self) -> Result<(), E> {
        let Some(open) = self.open.take() else { return Ok(()) };
        self.push(open.command, open.bytes)?;
        self.pushed = self.members;
        Ok(())
    }

    fn push(&mut self, command: Cmd, bytes: usize) -> Result<(), E> {
        if self.batch.bytes >= BATCH_BYTES || self.batch.commands.len() >= BATCH_COMMANDS {
            // What is in earlier commands of the key counts, not what this one adds.
            let counts = self.kind == Kind::List || self.kind == Kind::Stream && self.group.is_none();
            let elements = counts.then_some(self.pushed);
            let continued = self.begun.then(|| Continued { key: self.key.clone(), elements, kind: self.kind });
            self.flush(continued)?;
        }
        self.batch.bytes += bytes;
        self.batch.commands.push(command);
        Ok(())
    }

    /// Delivers the batch, unless it is empty, and begins one that goes on with a key.
    fn flush(&mut self, continues: Option<Continued>) -> Result<(), E> {
        let next = ImportBatch { database: self.batch.database, continues, ..ImportBatch::default() };
        let batch = std::mem::replace(&mut self.batch, next);
        if batch.commands.is_empty() { Ok(()) } else { (self.deliver)(batch) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tanist_db_core::value::Score;

    /// Batches as lines of words, each behind its database and what it continues.
    fn batches(make: impl FnOnce(&mut Batcher<&mut dyn FnMut(ImportBatch) -> Result<(), ()>>)) -> Vec<String> {
        let mut shown = Vec::new();
        let mut deliver = |batch: ImportBatch| {
            let words = |command: &Cmd| {
                let args: Vec<String> = command
                    .args_iter()
                    .map(|arg| match arg {
                        redis::Arg::Simple(arg) => String::from_utf8_lossy(&arg[..arg.len().min(12)]).into_owned(),
                        _ => "?".to_owned(),
                    })
                    .collect();
                args.join(" ")
            };
            let commands: Vec<String> = batch.commands.iter().map(words).collect();
            let continues = batch.continues.map_or_else(String::new, |continued| {
                format!(" after {:?} of {}", continued.elements, String::from_utf8_lossy(&continued.key))
            });
            shown.push(format!("{}{continues}: {}", batch.database, commands.join(" | ")));
            Ok(())
        };
        let mut batcher = Batcher::new(&mut deliver as &mut dyn FnMut(ImportBatch) -> Result<(), ()>);
        make(&mut batcher);
        batcher.finish().expect("it is delivered");
        shown
    }

    #[test]
    fn keys_become_commands_and_a_database_a_batch() {
        let shown = batches(|batcher| {
            let mut key = |database, key: &[u8], kind, items: &[RdbItem<'_>], expire| {
                batcher.begin(database, key, kind).expect("it is delivered");
                items.iter().for_each(|item| batcher.add(*item).expect("it is delivered"));
                batcher.end(expire).expect("it is delivered")
            };
            let at = Some(UnixMillis(5));
            let field = RdbItem::Field { name: b"f", value: b"v", expire: None };
            let scored = RdbItem::Scored { name: b"m", score: Score::new(0.1).expect("a number") };
            assert!(key(0, b"s", Kind::String, &[RdbItem::Text(b"v")], None));
            assert!(key(0, b"t", Kind::String, &[RdbItem::Text(b"")], at));
            assert!(key(0, b"l", Kind::List, &[RdbItem::Element(b"a"), RdbItem::Element(b"b")], at));
            assert!(!key(0, b"empty", Kind::Set, &[], at));
            assert!(key(2, b"h", Kind::Hash, &[field], None));
            assert!(key(2, b"z", Kind::SortedSet, &[scored], None));
        });
        assert_eq!(
            shown,
            [
                "0: SET s v | SET t  PXAT 5 | DEL l | RPUSH l a b | PEXPIREAT l 5",
                "2: DEL h | HSET h f v | DEL z | ZADD z 0.1 m"
            ]
        );
    }

    #[test]
    fn a_long_list_is_continued_with_what_came_before() {
        let element = vec![b'x'; COMMAND_BYTES];
        let of_batch = BATCH_BYTES / COMMAND_BYTES;
        let shown = batches(|batcher| {
            batcher.begin(0, b"l", Kind::List).expect("it is delivered");
            (0..=2 * of_batch).for_each(|_| batcher.add(RdbItem::Element(&element)).expect("it is delivered"));
            batcher.end(Some(UnixMillis(9))).expect("it is delivered");
            batcher.begin(0, b"s", Kind::String).expect("it is delivered");
            batcher.add(RdbItem::Text(b"v")).expect("it is delivered");
            batcher.end(None).expect("it is delivered");
        });
        let push = "RPUSH l xxxxxxxxxxxx";
        assert_eq!(
            shown,
            [
                format!("0: DEL l | {}", vec![push; of_batch].join(" | ")),
                format!("0 after Some({of_batch}) of l: {}", vec![push; of_batch].join(" | ")),
                format!("0 after Some({}) of l: {push} | PEXPIREAT l 9 | SET s v", 2 * of_batch),
            ]
        );
    }

    /// A batch may be full when DEL is in it: the next one adds to the list, so it must not be sent at the same time, nor twice.
    #[test]
    fn a_list_is_continued_behind_its_del_alone() {
        let long = vec![b'x'; BATCH_BYTES - 1];
        let shown = batches(|batcher| {
            batcher.begin(0, b"s", Kind::String).expect("it is delivered");
            batcher.add(RdbItem::Text(&long)).expect("it is delivered");
            batcher.end(None).expect("it is delivered");
            for key in [b"l", b"m"] {
                batcher.begin(0, key, Kind::List).expect("it is delivered");
                batcher.add(RdbItem::Element(b"a")).expect("it is delivered");
                batcher.end(None).expect("it is delivered");
            }
        });
        // The string and its name fill a batch; DEL goes into the next one.
        assert_eq!(shown, ["0: SET s xxxxxxxxxxxx", "0: DEL l | RPUSH l a | DEL m | RPUSH m a"]);
        let shown = batches(|batcher| {
            batcher.begin(0, b"s", Kind::String).expect("it is delivered");
            batcher.add(RdbItem::Text(&long[..BATCH_BYTES - 2])).expect("it is delivered");
            batcher.end(None).expect("it is delivered");
            batcher.begin(0, b"l", Kind::List).expect("it is delivered");
            batcher.add(RdbItem::Element(b"a")).expect("it is delivered");
            batcher.end(None).expect("it is delivered");
        });
        assert_eq!(shown, ["0: SET s xxxxxxxxxxxx | DEL l", "0 after Some(0) of l: RPUSH l a"]);
    }
}
