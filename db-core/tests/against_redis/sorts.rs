//! SORT and SORT_RO: of the other modules' keys, and of keys of its own that never change their type.

use crate::dice::{Dice, PREFIXES};

/// Keys of its own: lists, sets, sorted sets.
const LISTS: u64 = 3;
const SETS: u64 = 5;
const ALL: u64 = 7;

/// What is known of the order of a key's elements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// It is a list.
    List,
    /// It is a sorted set.
    SortedSet,
    /// It may be a set, which has them in no order.
    ByChance,
}

/// Whether the order of the reply is not promised: that of a set as it is held, and of members whose texts are equal.
pub(crate) fn is_unordered(words: &[String]) -> bool {
    let has = |wanted: &str| words.iter().any(|word| word.eq_ignore_ascii_case(wanted));
    let as_held = words.windows(2).any(|pair| pair[0].eq_ignore_ascii_case("by") && !pair[1].contains('*'));
    let held = match words.get(1).and_then(|key| key.strip_prefix("numbers:")?.parse::<u64>().ok()) {
        Some(0..LISTS) => Held::List,
        Some(SETS..) => Held::SortedSet,
        _ => Held::ByChance,
    };
    words[0].to_lowercase().starts_with("sort")
        && has("by")
        && match held {
            Held::List => false,
            Held::SortedSet => !as_held && has("alpha"),
            Held::ByChance => as_held && !has("store") || !as_held && has("alpha"),
        }
}

impl Dice {
    fn number(&mut self) -> String {
        match self.below(120) {
            0 => self.of(&["x", "nan", "1e400", "1e-310", " ", "7 ", "--1", "0x"]).into(),
            1..20 => {
                self.of(&["1.5", "-0", "1e3", " 7", "inf", "-inf", "0x1f", "", ".5", "5.", "+3", "-2.5e-3"]).into()
            }
            _ => (self.below(40) as i64 - 10).to_string(),
        }
    }

    /// What is sorted, or something else.
    fn sorted_thing(&mut self) -> String {
        match self.below(4) {
            0 => format!("element:{}", self.below(25)),
            1 => self.below(12).to_string(),
            _ => self.number(),
        }
    }

    fn weight(&mut self) -> String {
        if self.below(40) == 0 { self.value() } else { self.number() }
    }

    /// Fills a key of its own.
    fn fill(&mut self) -> Vec<String> {
        let (n, count) = (self.below(ALL), 1 + self.below(12));
        let key = format!("numbers:{n}");
        if self.below(8) == 0 {
            return vec!["del".into(), key];
        }
        let name = match n {
            0..LISTS => self.of(&["rpush", "lpush"]),
            LISTS..SETS => "sadd",
            _ => "zadd",
        };
        let mut words = vec![name.into(), key];
        for _ in 0..count {
            words.extend((name == "zadd").then(|| self.below(6).to_string()));
            words.push(self.number());
        }
        words
    }

    /// Sets, or takes away, what elements are sorted by or looked up in.
    fn weigh(&mut self) -> Vec<String> {
        let thing = self.sorted_thing();
        match self.below(8) {
            0 => vec!["del".into(), format!("w:{thing}"), format!("h:{thing}")],
            1..=4 => vec!["set".into(), format!("w:{thing}"), self.weight()],
            _ => vec!["hset".into(), format!("h:{thing}"), self.of(&["f", "g"]).into(), self.weight()],
        }
    }

    fn sort_pattern(&mut self) -> String {
        // No strings of the other modules: Redis compares by `strcoll`, up to a zero byte.
        let patterns =
            ["w:*", "w:*", "w:*", "h:*->f", "h:*->f", "h:*->g", "h:*->", "list:*->f", "w:*->f", "x*x*", "hash:*->"];
        match self.of(&patterns) {
            "hash:*->" => format!("hash:*->field:{}", self.below(200)),
            pattern => pattern.into(),
        }
    }

    pub(crate) fn sort_command(&mut self) -> Vec<String> {
        match self.below(10) {
            0..=2 => return self.fill(),
            3 => return self.weigh(),
            _ => {}
        }
        let (key, held) = match self.below(ALL + 4) {
            n @ 0..LISTS => (format!("numbers:{n}"), Held::List),
            n @ LISTS..SETS => (format!("numbers:{n}"), Held::ByChance),
            n @ SETS..ALL => (format!("numbers:{n}"), Held::SortedSet),
            _ => {
                let prefix = self.of(&PREFIXES);
                (self.key_of(prefix), Held::ByChance)
            }
        };
        let mut options: Vec<Vec<String>> = Vec::new();
        let alpha = self.below(3) == 0;
        let by = match self.below(4) {
            0 => Some(self.of(&["nosort", "#", "key:1->f", ""]).to_owned()),
            1 => Some(self.sort_pattern()),
            _ => None,
        };
        let store = self.below(4) == 0;
        // Which elements come first must not be left to chance, and where some are taken, or stored, it decides.
        let (may_limit, may_store) = match &by {
            Some(pattern) if !pattern.contains('*') => (held != Held::ByChance || store, true),
            Some(_) if alpha => (false, held == Held::List),
            _ => (true, true),
        };
        options.extend(alpha.then(|| vec!["ALPHA".into()]));
        options.extend(by.map(|pattern| vec!["by".into(), pattern]));
        if may_store && store {
            options.push(vec!["STORE".into(), self.store_key()]);
        }
        if may_limit && self.below(3) == 0 {
            let number = |dice: &mut Dice| dice.of(&["0", "1", "2", "5", "-1", "100", "x"]).to_owned();
            options.push(vec!["LIMIT".into(), number(self), number(self)]);
        }
        for _ in 0..self.below(4).saturating_sub(1) {
            let pattern = if self.below(3) == 0 { self.of(&["#", "w", "#"]).into() } else { self.sort_pattern() };
            options.push(vec!["get".into(), pattern]);
        }
        options.extend((0..self.below(2)).map(|_| vec![self.of(&["ASC", "desc", "DESC"]).into()]));
        options.extend((self.below(60) == 0).then(|| vec!["foo".into()]));
        for at in (1..options.len()).rev() {
            options.swap(at, self.below(at as u64 + 1) as usize);
        }
        // Those of GET would change places, which tells nothing; the others may.
        [vec![self.of(&["sort", "sort", "sort", "sort_ro"]).into(), key], options.concat()].concat()
    }

    fn store_key(&mut self) -> String {
        match self.below(4) {
            0 => format!("numbers:{}", self.below(LISTS)),
            1 => self.key(),
            _ => self.key_of("list"),
        }
    }
}
