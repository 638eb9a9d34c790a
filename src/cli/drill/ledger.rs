//! The ledger: records one client's writes and the replies that it got, and compares them with the data afterwards.
//!
//! A client sends one write at a time and alternates between two kinds, because they reveal different errors:
//!
//! - `APPEND` of a unique token. Each write can be distinguished from all others, so each is checked by itself: a confirmed one
//!   must be there once, an unknown one at most once, a refused one not at all.
//! - `INCR` of one counter, the write where users fear loss most. Its reply shows how many came before, so an error shows in the
//!   very next reply. While outcomes are unknown only bounds can be checked.

use std::collections::HashMap;

/// Tokens in one key: long enough to be few keys, short enough that a value stays within a few pages.
const TOKENS_PER_KEY: usize = 256;

/// What a client knows of a write that it has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The reply came.
    Confirmed,
    /// Neither reply nor refusal: it may have happened or not.
    Unknown,
    /// It was told that it did not happen, or it was never sent.
    Refused,
}

/// A write, to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// `APPEND` of the token with this number.
    Append(usize),
    /// `INCR` of the counter.
    Increment,
}

/// How the data differ from what clients were told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Account {
    /// Confirmed writes that are not there.
    pub(super) lost: u64,
    /// Writes that happened more often than they may have: twice, or once though the client was told that they did not, which
    /// tells it to send them again.
    pub(super) doubled: u64,
}

impl std::ops::AddAssign for Account {
    fn add_assign(&mut self, other: Account) {
        self.lost += other.lost;
        self.doubled += other.doubled;
    }
}

impl std::ops::Add for Account {
    type Output = Account;

    fn add(mut self, other: Account) -> Account {
        self += other;
        self
    }
}

impl Account {
    /// True if every write is as its client was told.
    pub(super) fn is_clean(self) -> bool {
        self == Account::default()
    }

    /// The verdict in words.
    pub(super) fn words(self) -> String {
        if self.is_clean() {
            return "nothing lost, nothing doubled".into();
        }
        let Account { lost, doubled } = self;
        format!(
            "LOST: {lost} confirmed writes are gone; DOUBLED: {doubled} writes happened more often than clients were told"
        )
    }
}

/// The writes of one client.
#[derive(Debug)]
pub(super) struct Ledger {
    prefix: String,
    /// By token.
    tokens: Vec<Fate>,
    counter: Counter,
    increment_next: bool,
}

impl Ledger {
    /// For a client whose keys begin with `prefix`.
    pub(super) fn new(prefix: String) -> Ledger {
        Ledger { prefix, tokens: Vec::new(), counter: Counter::default(), increment_next: false }
    }

    /// The write to send next, in words. Its fate is to be told before the next one is taken.
    pub(super) fn next(&mut self) -> (Write, Vec<String>) {
        self.increment_next = !self.increment_next;
        if self.increment_next {
            let token = self.tokens.len();
            (Write::Append(token), vec!["APPEND".into(), self.token_key(token), format!("{token};")])
        } else {
            (Write::Increment, vec!["INCR".into(), self.counter_key()])
        }
    }

    /// Notes what became of a write; `reply` is the number in the reply of a confirmed one.
    pub(super) fn told(&mut self, write: Write, fate: Fate, reply: u64) {
        match write {
            Write::Append(token) => {
                assert_eq!(token, self.tokens.len(), "a client sends one write at a time");
                self.tokens.push(fate);
            }
            Write::Increment => self.counter.told(fate, reply),
        }
    }

    /// Every key that this client may have written.
    pub(super) fn keys(&self) -> Vec<String> {
        let tokens = (0..self.tokens.len()).step_by(TOKENS_PER_KEY).map(|token| self.token_key(token));
        tokens.chain([self.counter_key()]).collect()
    }

    /// Compares with the values of [`keys`](Self::keys); a key that is not there has none.
    pub(super) fn compare(&self, found: &HashMap<String, String>) -> Account {
        let mut there = vec![0u64; self.tokens.len()];
        // A token that nobody sent, or bytes that are no token, happened without having been asked for.
        let mut strange = 0;
        for first in (0..self.tokens.len()).step_by(TOKENS_PER_KEY) {
            let value = found.get(&self.token_key(first)).map(String::as_str).unwrap_or_default();
            for token in value.split_terminator(';') {
                let within = first..first + TOKENS_PER_KEY;
                match token.parse().ok().filter(|token| within.contains(token)).and_then(|at: usize| there.get_mut(at))
                {
                    Some(times) => *times += 1,
                    None => strange += 1,
                }
            }
        }
        let mut account = Account { lost: 0, doubled: strange };
        for (fate, times) in self.tokens.iter().zip(there) {
            let (least, most) = match fate {
                Fate::Confirmed => (1, 1),
                Fate::Unknown => (0, 1),
                Fate::Refused => (0, 0),
            };
            account += Account { lost: u64::from(times < least), doubled: times.saturating_sub(most) };
        }
        account +=
            self.counter.compare(found.get(&self.counter_key()).and_then(|value| value.parse().ok()).unwrap_or(0));
        account
    }

    fn token_key(&self, token: usize) -> String {
        format!("{}:tokens:{}", self.prefix, token / TOKENS_PER_KEY)
    }

    fn counter_key(&self) -> String {
        format!("{}:count", self.prefix)
    }
}

/// What a client knows of its counter.
#[derive(Debug, Default)]
struct Counter {
    /// As of the newest reply.
    value: u64,
    /// Increments of unknown fate that no reply has shown to have happened: they may still do so.
    unknown: u64,
    account: Account,
}

impl Counter {
    fn told(&mut self, fate: Fate, reply: u64) {
        match fate {
            Fate::Confirmed => {
                self.account += between(self.value + 1, self.value + 1 + self.unknown, reply);
                self.unknown = self.unknown.saturating_sub(reply.saturating_sub(self.value + 1));
                self.value = reply;
            }
            Fate::Unknown => self.unknown += 1,
            Fate::Refused => {}
        }
    }

    fn compare(&self, found: u64) -> Account {
        let mut account = self.account;
        account += between(self.value, self.value + self.unknown, found);
        account
    }
}

/// A count that should be from `least` to `most`.
fn between(least: u64, most: u64, count: u64) -> Account {
    Account { lost: least.saturating_sub(count), doubled: count.saturating_sub(most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database with one client, where each write can be made to go wrong.
    struct Scene {
        ledger: Ledger,
        data: HashMap<String, String>,
    }

    impl Scene {
        fn new() -> Scene {
            Scene { ledger: Ledger::new("p".into()), data: HashMap::new() }
        }

        /// Sends a write that happens `times` times and of which the client is told `fate`.
        fn write(&mut self, times: usize, fate: Fate) {
            let (write, words) = self.ledger.next();
            let mut reply = 0;
            for _ in 0..times {
                let value = self.data.entry(words[1].clone()).or_default();
                match write {
                    Write::Append(_) => value.push_str(&words[2]),
                    Write::Increment => {
                        reply = value.parse().unwrap_or(0) + 1;
                        *value = reply.to_string();
                    }
                }
            }
            self.ledger.told(write, fate, reply);
        }

        fn account(&self) -> (u64, u64) {
            let Account { lost, doubled } = self.ledger.compare(&self.data);
            (lost, doubled)
        }
    }

    #[test]
    fn what_was_told_truly_is_clean() {
        let mut scene = Scene::new();
        for _ in 0..1000 {
            scene.write(1, Fate::Confirmed);
        }
        for (times, fate) in [(0, Fate::Unknown), (1, Fate::Unknown), (0, Fate::Refused)] {
            for _ in 0..2 {
                scene.write(times, fate);
            }
        }
        scene.write(1, Fate::Confirmed);
        scene.write(1, Fate::Confirmed);
        assert!(scene.ledger.compare(&scene.data).is_clean());
        assert!(scene.ledger.keys().iter().all(|key| key.starts_with("p:")));
        assert!(scene.data.keys().all(|key| scene.ledger.keys().contains(key)), "every key is known, to be removed");
    }

    #[test]
    fn what_is_unknown_may_happen_late() {
        let mut scene = Scene::new();
        for fate in [Fate::Confirmed, Fate::Confirmed, Fate::Unknown, Fate::Unknown, Fate::Confirmed, Fate::Confirmed] {
            scene.write(usize::from(fate == Fate::Confirmed), fate);
        }
        assert_eq!(scene.account(), (0, 0));
        scene.data.insert("p:count".into(), "3".into());
        assert_eq!(scene.account(), (0, 0));
        scene.data.insert("p:count".into(), "4".into());
        assert_eq!(scene.account(), (0, 1));
    }

    #[test]
    fn a_planted_loss_is_counted() {
        let mut scene = Scene::new();
        scene.write(1, Fate::Confirmed);
        scene.write(1, Fate::Confirmed);
        let before = scene.data.clone();
        for _ in 0..6 {
            scene.write(1, Fate::Confirmed);
        }
        assert_eq!(scene.account(), (0, 0));
        scene.data = before;
        assert_eq!(scene.account(), (6, 0), "three tokens and three increments");
        scene.data.clear();
        assert_eq!(scene.account(), (8, 0));
    }

    #[test]
    fn a_loss_is_counted_even_if_writing_went_on() {
        let mut scene = Scene::new();
        scene.write(1, Fate::Confirmed);
        scene.write(1, Fate::Confirmed);
        scene.data.clear();
        for _ in 0..2 {
            scene.write(1, Fate::Confirmed);
        }
        assert_eq!(scene.account(), (2, 0));
    }

    #[test]
    fn a_planted_double_is_counted_whatever_the_client_was_told() {
        for fate in [Fate::Confirmed, Fate::Unknown] {
            let mut scene = Scene::new();
            scene.write(2, fate);
            scene.write(2, fate);
            assert_eq!(scene.account(), (0, 2), "{fate:?}");
        }
        let mut scene = Scene::new();
        scene.write(1, Fate::Refused);
        scene.write(1, Fate::Refused);
        assert_eq!(scene.account(), (0, 2), "who is refused sends it again");
    }

    #[test]
    fn what_nobody_wrote_is_counted() {
        let mut scene = Scene::new();
        scene.write(1, Fate::Confirmed);
        scene.data.get_mut("p:tokens:0").expect("just written").push_str("9;x;");
        assert_eq!(scene.account(), (0, 2));
    }
}
