//! What was moved, and what was left out and why.

use std::collections::BTreeMap;
use std::time::Duration;

use tanist_db_core::value::Kind;

/// Why something is not where the rest was moved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum LeftOut {
    ExpiredKeys,
    ExpiredFields,
    EmptyCollections,
    LongKeys,
    LongNames,
    ModuleValues,
    ModuleData,
    Functions,
    ExpiriesOfFields,
}

impl LeftOut {
    const fn words(self) -> &'static str {
        match self {
            LeftOut::ExpiredKeys => "keys that had expired",
            LeftOut::ExpiredFields => "fields of hashes that had expired",
            LeftOut::EmptyCollections => "collections without a member",
            LeftOut::LongKeys => "keys longer than 8192 bytes",
            LeftOut::LongNames => "fields and members longer than 8192 bytes, of keys that are there without them",
            LeftOut::ModuleValues => "values that a module has written",
            LeftOut::ModuleData => "pieces of data that a module has kept beside the keys",
            LeftOut::Functions => "libraries of functions",
            LeftOut::ExpiriesOfFields => "expiries of fields, of hashes that are there without them",
        }
    }

    /// Whether somebody may miss it.
    const fn is_loss(self) -> bool {
        !matches!(self, LeftOut::ExpiredKeys | LeftOut::ExpiredFields | LeftOut::EmptyCollections)
    }
}

/// Keys that are named as examples.
const NAMED_MAX: usize = 3;
/// Bytes of a key that are shown.
const SHOWN_MAX: usize = 40;

#[derive(Debug, Default)]
struct Omitted {
    count: u64,
    /// Some of the keys, for people.
    examples: Vec<String>,
    /// There are other keys.
    others: bool,
}

/// What became of all keys.
#[derive(Debug, Default)]
pub(in crate::cli) struct Tally {
    /// Keys by the name of their type.
    kinds: BTreeMap<&'static str, u64>,
    databases: BTreeMap<u64, u64>,
    expiring: u64,
    left_out: BTreeMap<LeftOut, Omitted>,
    seen: u64,
}

impl Tally {
    /// There is a key.
    pub(in crate::cli) fn sees_key(&mut self) {
        self.seen += 1;
    }

    /// Returns the number of keys that there were.
    pub(in crate::cli) fn seen(&self) -> u64 {
        self.seen
    }

    /// A key was moved.
    pub(in crate::cli) fn moved(&mut self, kind: Kind, database: u64, expires: bool) {
        *self.kinds.entry(kind.name()).or_default() += 1;
        *self.databases.entry(database).or_default() += 1;
        self.expiring += u64::from(expires);
    }

    /// Something was left out: of this key, if of any.
    pub(in crate::cli) fn left_out(&mut self, why: LeftOut, count: u64, key: Option<&[u8]>) {
        if count == 0 {
            return;
        }
        let omitted = self.left_out.entry(why).or_default();
        omitted.count += count;
        if let Some(key) = key {
            let shown = String::from_utf8_lossy(&key[..key.len().min(SHOWN_MAX)]).escape_debug().to_string();
            let rest = if key.len() > SHOWN_MAX { "..." } else { "" };
            let example = format!("{shown}{rest}");
            if omitted.examples.contains(&example) {
                return;
            }
            if omitted.examples.len() < NAMED_MAX {
                omitted.examples.push(example);
            } else {
                omitted.others = true;
            }
        }
    }

    /// What somebody may miss, in a few words; `None` if there is nothing.
    pub(in crate::cli) fn loss(&self) -> Option<String> {
        let lost: Vec<_> = self.left_out.keys().filter(|why| why.is_loss()).map(|why| why.words()).collect();
        (!lost.is_empty()).then(|| lost.join("; "))
    }

    /// The whole account, for a person, which begins with what was done to the keys.
    pub(in crate::cli) fn summary(&self, done: &str, taken: Duration) -> String {
        let total: u64 = self.kinds.values().sum();
        let kinds: Vec<String> =
            self.kinds.iter().map(|(kind, count)| format!("{} {}", grouped(*count), plural(kind, *count))).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
        let seconds = taken.as_secs_f64();
        let mut text = format!("{done} {} keys in {seconds:.1} s{kinds}\n", grouped(total));
        if self.expiring > 0 {
            text += &format!("with an expiry: {}\n", grouped(self.expiring));
        }
        for (database, count) in &self.databases {
            text += &format!("in database {database}: {}\n", grouped(*count));
        }
        for (why, omitted) in &self.left_out {
            text += &format!("left out: {}\n", omitted.sentence(*why));
        }
        text
    }
}

impl Omitted {
    fn sentence(&self, why: LeftOut) -> String {
        let examples = match self.examples.as_slice() {
            [] => String::new(),
            some if self.others => format!(" ({}, ...)", some.join(", ")),
            all => format!(" ({})", all.join(", ")),
        };
        format!("{}: {}{examples}", why.words(), grouped(self.count))
    }
}

fn plural(kind: &str, count: u64) -> String {
    let name = if kind == "zset" { "sorted set" } else { kind };
    match (name, count) {
        (name, 1) => name.to_owned(),
        ("hash", _) => "hashes".to_owned(),
        (name, _) => format!("{name}s"),
    }
}

/// A number with a comma before each three digits.
pub(in crate::cli) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_what_is_there_and_what_is_not() {
        let mut tally = Tally::default();
        (0..1234).for_each(|_| tally.moved(Kind::Hash, 0, false));
        tally.moved(Kind::SortedSet, 3, true);
        tally.left_out(LeftOut::ExpiredKeys, 2, None);
        assert_eq!(tally.loss(), None);
        for key in [&b"events"[..], b"new\nline", &[b'x'; 50], b"fourth"] {
            tally.left_out(LeftOut::ModuleValues, 1, Some(key));
        }
        let long = format!("{}...", "x".repeat(40));
        let values = format!("values that a module has written: 4 (events, new\\nline, {long}, ...)");
        assert_eq!(
            tally.summary("imported", Duration::from_millis(2_345)),
            format!(
                "imported 1,235 keys in 2.3 s: 1,234 hashes, 1 sorted set\nwith an expiry: 1\nin database 0: 1,234\n\
                 in database 3: 1\nleft out: keys that had expired: 2\nleft out: {values}\n"
            )
        );
        assert_eq!(tally.loss().as_deref(), Some("values that a module has written"));
    }

    #[test]
    fn digits_are_grouped() {
        let shown = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
