//! Commands of lists.

use crate::dice::Dice;

impl Dice {
    fn element(&mut self) -> String {
        match self.below(14) {
            0 => self.value(),
            1 => self.integer(),
            2 => "e".repeat(1 + self.below(300) as usize),
            _ => format!("element:{}", self.below(25)),
        }
    }

    fn elements(&mut self) -> Vec<String> {
        let many = if self.below(25) == 0 { 120 } else { 5 };
        (0..self.below(many)).map(|_| self.element()).collect()
    }

    fn index(&mut self) -> String {
        if self.below(10) == 0 { self.integer() } else { (self.below(60) as i64 - 30).to_string() }
    }

    fn end(&mut self) -> String {
        self.of(&["LEFT", "right", "left", "RIGHT", "LEFT", "RIGHT", "x"]).to_owned()
    }

    fn lists(&mut self) -> Vec<String> {
        (0..self.below(4)).map(|_| self.key_of("list")).collect()
    }

    pub(crate) fn list_command(&mut self) -> Vec<String> {
        let key = self.key_of("list");
        match self.below(30) {
            0..=4 => {
                [vec![self.of(&["lpush", "rpush", "rpush", "lpushx", "rpushx"]).into(), key], self.elements()].concat()
            }
            5 | 6 => {
                let count = match self.below(3) {
                    0 => vec![self.of(&["0", "1", "3", "100", "-1", "x", "9223372036854775808"]).into()],
                    _ => Vec::new(),
                };
                [vec![self.of(&["lpop", "rpop"]).into(), key], count].concat()
            }
            7 => vec![self.of(&["llen", "type"]).into(), key],
            8..=11 => vec!["lrange".into(), key, self.index(), self.index()],
            12 | 13 => vec!["lindex".into(), key, self.index()],
            14 | 15 => vec!["lset".into(), key, self.index(), self.element()],
            16 | 17 => {
                let place = self.of(&["before", "AFTER", "BEFORE", "after", "x"]).into();
                vec!["linsert".into(), key, place, self.element(), self.element()]
            }
            18 | 19 => vec!["lrem".into(), key, self.index(), self.element()],
            20 => vec!["ltrim".into(), key, self.index(), self.index()],
            21 | 22 => {
                let mut words = vec!["lpos".into(), key, self.element()];
                for _ in 0..self.below(4) {
                    let value = self.of(&["0", "1", "2", "-1", "-2", "5", "100", "x"]).into();
                    words.extend([self.of(&["RANK", "count", "MAXLEN", "rank", "COUNT", "foo"]).into(), value]);
                }
                words
            }
            23 | 24 => vec!["lmove".into(), key, self.key_of("list"), self.end(), self.end()],
            25 => vec!["rpoplpush".into(), key, self.key_of("list")],
            26 | 27 => {
                let lists = self.lists();
                let count = if self.below(8) == 0 { self.integer() } else { lists.len().to_string() };
                let mut words = vec!["lmpop".into(), count];
                words.extend(lists);
                words.push(self.end());
                if self.below(2) == 0 {
                    words.push(self.of(&["COUNT", "count", "x"]).into());
                    words.push(self.of(&["1", "2", "10", "0", "-1", "x"]).into());
                }
                words
            }
            _ => vec![self.of(&["del", "persist", "exists", "unlink", "ttl"]).into(), key],
        }
    }
}
