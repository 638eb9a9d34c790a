//! HyperLogLogs, made here and by the other server, and sparse ones that are not sound.

use crate::dice::Dice;

impl Dice {
    fn counter(&mut self) -> String {
        // None that the other modules change: what they may leave there is refused here before Redis notices.
        if self.below(25) == 0 { format!("set:{}", self.below(4)) } else { format!("{{hll}}:{}", self.below(8)) }
    }

    /// Some of many elements: a few counters become dense, most stay sparse.
    fn counted(&mut self) -> Vec<String> {
        let (count, of) = match self.below(12) {
            0 => (2_000, 200_000),
            1..=3 => (40, 2_000),
            _ => (self.below(5), 100_000),
        };
        (0..count).map(|_| format!("element {}", self.below(of))).collect()
    }

    /// A string that may pass for a HyperLogLog, with registers of a run or two.
    fn forged(&mut self) -> String {
        let header = self.of(&["HYLL\x01\0\0\0", "HYLL\x01\0\0\0", "HYLL\0\0\0\0", "HYLL\x02\0\0\0", "HYLK\x01\0\0\0"]);
        let runs = self.of(&["\x7f", "\x3f", "", "\x7f\x7f", "\x40\x01\x7f\x7d"]);
        format!("{header}{}\0\0\0\0\0\0\0{runs}", self.of(&["\0", "\x05"]))
    }

    pub(crate) fn hyperloglog_command(&mut self) -> Vec<String> {
        match self.below(16) {
            0..=5 => [vec!["pfadd".into(), self.counter()], self.counted()].concat(),
            6..=8 => vec!["pfcount".into(), self.counter()],
            9 => {
                let mut words = vec!["pfcount".into()];
                words.extend((0..1 + self.below(3)).map(|_| self.counter()));
                words
            }
            10 | 11 => {
                let mut words = vec!["pfmerge".into()];
                words.extend((0..1 + self.below(4)).map(|_| self.counter()));
                words
            }
            12 | 13 => vec!["get".into(), self.counter()],
            14 => match self.below(6) {
                0 => vec!["del".into(), self.counter()],
                1 => vec!["expire".into(), self.counter(), "100000".into()],
                2 => vec!["ttl".into(), self.counter()],
                3 => vec!["set".into(), "{hll}:forged".into(), self.forged()],
                4 => vec![self.of(&["pfcount", "pfmerge"]).into(), "{hll}:forged".into()],
                _ => vec!["append".into(), self.counter(), String::new()],
            },
            _ => match self.below(3) {
                0 => vec!["setrange".into(), self.counter(), "0".into(), "HYLL".into()],
                1 => vec!["copy".into(), self.counter(), format!("{{hll}}:{}", self.below(8)), "REPLACE".into()],
                _ => vec!["strlen".into(), self.counter()],
            },
        }
    }
}
