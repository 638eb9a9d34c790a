//! Commands that treat strings as arrays of bits, and LCS.

use crate::dice::Dice;

impl Dice {
    /// Mostly of a bit in a string of some kilobytes.
    fn bit_offset(&mut self) -> String {
        match self.below(12) {
            0 => self.of(&["0", "-1", "4294967296", "x", "", "#1", "9223372036854775807", "00", "7"]).to_owned(),
            1..=5 => self.below(100).to_string(),
            _ => self.below(30_000).to_string(),
        }
    }

    fn bit_range(&mut self) -> Vec<String> {
        let end = |dice: &mut Dice| match dice.below(10) {
            0 => dice.integer(),
            1..=4 => (dice.below(40) as i64 - 20).to_string(),
            _ => (dice.below(40_000) as i64 - 10_000).to_string(),
        };
        match self.below(4) {
            0 => Vec::new(),
            1 => vec![end(self), end(self)],
            2 => vec![end(self)],
            _ => vec![end(self), end(self), self.of(&["BIT", "bit", "bit", "BYTE", "byte", "x"]).into()],
        }
    }

    fn bit_field(&mut self) -> [String; 2] {
        let bits = if self.below(15) == 0 {
            self.of(&["0", "65", "64", "x", ""]).into()
        } else {
            (1 + self.below(64)).to_string()
        };
        let kind = if self.below(30) == 0 { "x" } else { self.of(&["i", "u"]) };
        let offset = match self.below(4) {
            0 => format!("#{}", self.below(300)),
            1 => self.bit_offset(),
            _ => self.below(200).to_string(),
        };
        [format!("{kind}{bits}"), offset]
    }

    fn field_value(&mut self) -> String {
        match self.below(4) {
            0 => self.integer(),
            1 => (self.below(u64::MAX) as i64).to_string(),
            _ => (self.below(600) as i64 - 300).to_string(),
        }
    }

    fn bitfield(&mut self) -> Vec<String> {
        let mut words = vec![self.of(&["bitfield", "bitfield", "bitfield", "bitfield_ro"]).into(), self.key()];
        let only_reads = words[0] == "bitfield_ro" && self.below(8) != 0;
        for _ in 0..self.below(5) {
            match self.below(if only_reads { 1 } else { 6 }) {
                0 => words.extend(["get".to_owned()].into_iter().chain(self.bit_field())),
                1 | 2 => {
                    words.extend(["SET".to_owned()].into_iter().chain(self.bit_field()));
                    words.push(self.field_value());
                }
                3 | 4 => {
                    words.extend(["incrby".to_owned()].into_iter().chain(self.bit_field()));
                    words.push(self.field_value());
                }
                _ => words.extend(["overflow".into(), self.of(&["wrap", "SAT", "fail", "FAIL", "sat", "x"]).into()]),
            }
        }
        words
    }

    fn lcs(&mut self) -> Vec<String> {
        // Keys of their own: the table of two long strings takes both servers their time.
        let text = |dice: &mut Dice| format!("{{text}}:{}", dice.below(4));
        if self.below(2) == 0 {
            let letters = (0..self.below(60)).map(|_| self.of(&["a", "b", "c", "d"])).collect();
            return vec!["set".into(), text(self), letters];
        }
        let mut words =
            vec!["lcs".into(), text(self), if self.below(15) == 0 { self.key_of("set") } else { text(self) }];
        for _ in 0..self.below(4) {
            match self.below(8) {
                0 => words.push(self.of(&["LEN", "x", "minmatchlen"]).into()),
                1 => words.push("len".into()),
                2..=4 => words.push("idx".into()),
                5 => words.push("WITHMATCHLEN".into()),
                _ => {
                    let least = if self.below(5) == 0 { self.integer() } else { self.below(6).to_string() };
                    words.extend(["minmatchlen".to_owned(), least]);
                }
            }
        }
        words
    }

    fn bitop(&mut self, names: &[&str]) -> Vec<String> {
        let mut words = vec!["bitop".into(), self.of(names).into(), self.key()];
        words.extend((0..1 + self.below(4)).map(|_| self.key()));
        words
    }

    pub(crate) fn bit_command(&mut self) -> Vec<String> {
        match self.below(20) {
            0..=5 => {
                let bit = if self.below(20) == 0 { self.of(&["2", "-1", "x", ""]) } else { self.of(&["0", "1", "1"]) };
                vec!["setbit".into(), self.key(), self.bit_offset(), bit.to_owned()]
            }
            6 | 7 => vec!["getbit".into(), self.key(), self.bit_offset()],
            8 | 9 => [vec!["bitcount".into(), self.key()], self.bit_range()].concat(),
            10 | 11 => {
                let bit = if self.below(20) == 0 { self.of(&["2", "x"]) } else { self.of(&["0", "1"]) };
                [vec!["bitpos".into(), self.key(), bit.to_owned()], self.bit_range()].concat()
            }
            12 | 13 => self.bitop(&["AND", "or", "XOR", "not", "not", "nand"]),
            14..=17 => self.bitfield(),
            _ => self.lcs(),
        }
    }
}
