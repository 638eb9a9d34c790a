//! Settings of the cluster: state that is not in any key. The bytes of the nodes are compared at every cut (snapshot position)
//! and at the end.

use super::{Command, Ended, Fate, Judgement, Known, Script, Workload, command};
use crate::random::Random;
use crate::value::Value;

/// Those whose value changes nothing that is judged.
const NAMES: [&str; 2] = ["relaxed-bytes-max", "maxmemory"];

#[derive(Debug)]
pub(super) struct Settings;

impl Workload for Settings {
    fn begin(&mut self, _: usize, random: &mut Random) -> Box<dyn Script> {
        let value =
            if random.percent(20) { "default".to_owned() } else { random.between(1 << 40, 1 << 48).to_string() };
        let name = *random.pick(&NAMES);
        Box::new(Change { words: command(&["CONFIG", "SET", name, &value]) })
    }

    fn last_words(&mut self) -> Vec<Box<dyn Script>> {
        Vec::new()
    }

    fn judge(&self, _: &Known) -> Judgement {
        Judgement::Possible
    }
}

#[derive(Debug)]
struct Change {
    words: Command,
}

impl Script for Change {
    fn next(&mut self, _: u64, replies: &[Value]) -> Option<Command> {
        replies.is_empty().then(|| self.words.clone())
    }

    fn writes(&self) -> bool {
        true
    }

    fn ended(&mut self, ended: Ended, replies: &[Value]) {
        let good = matches!(replies, [Value::Simple(text)] if text == "OK");
        assert!(good || ended.fate != Fate::Done, "{:?} was answered with {replies:?}", self.words);
    }
}
