//! Commands of sets.

use crate::dice::Dice;

impl Dice {
    fn member(&mut self) -> String {
        match self.below(12) {
            0 => self.name(),
            1 => self.integer(),
            2 => "m".repeat(1 + self.below(100) as usize),
            3..=7 => self.below(700).to_string(),
            _ => format!("member:{}", self.below(200)),
        }
    }

    fn members(&mut self) -> Vec<String> {
        let many = if self.below(30) == 0 { 150 } else { 5 };
        (0..self.below(many)).map(|_| self.member()).collect()
    }

    fn sets(&mut self) -> Vec<String> {
        (0..self.below(4)).map(|_| self.key_of("set")).collect()
    }

    pub(crate) fn set_command(&mut self) -> Vec<String> {
        let key = self.key_of("set");
        match self.below(24) {
            0..=5 => [vec!["sadd".into(), key], self.members()].concat(),
            6..=8 => [vec!["srem".into(), key], self.members()].concat(),
            9 => [vec!["smismember".into(), key], self.members()].concat(),
            10 => vec!["sismember".into(), key, self.member()],
            11 => vec![self.of(&["scard", "smembers", "smembers", "type"]).into(), key],
            12 | 13 => vec!["smove".into(), key, self.key_of("set"), self.member()],
            14..=16 => [vec![self.of(&["sinter", "sunion", "sdiff"]).into(), key], self.sets()].concat(),
            17 | 18 => {
                let name = self.of(&["sinterstore", "sunionstore", "sdiffstore"]).into();
                [vec![name, key], self.sets()].concat()
            }
            19 => {
                let sets = self.sets();
                let count = if self.below(8) == 0 { self.integer() } else { sets.len().to_string() };
                let limit = match self.below(4) {
                    0 => vec!["LIMIT".into(), self.of(&["0", "1", "5", "1000", "-1", "x"]).into()],
                    1 => vec![self.of(&["limit", "foo", "LIMIT"]).into()],
                    _ => Vec::new(),
                };
                [vec!["sintercard".into(), count], sets, limit].concat()
            }
            // All that there are: which ones would be up to chance.
            20 => vec!["spop".into(), key, self.of(&["100000", "0", "-1", "x", "9223372036854775807"]).into()],
            21 => vec!["srandmember".into(), key, self.of(&["100000", "0", "x", "-9223372036854775808"]).into()],
            22 => self.scan("sscan", key),
            _ => vec![self.of(&["del", "persist", "exists", "unlink", "ttl"]).into(), key],
        }
    }

    /// A scan that shows all at once.
    pub(crate) fn scan(&mut self, name: &str, key: String) -> Vec<String> {
        let mut words = vec![name.to_owned(), key];
        words.push(self.of(&["0", "0", "0", "0", "x", "-"]).into());
        words.extend(["count".into(), "1000000".into()]);
        match self.below(5) {
            0 => words.extend(["match".into(), self.of(&["*1*", "member:*", "[a-f]*", "*"]).into()]),
            1 => words.push(self.of(&["match", "foo", "count", "type"]).into()),
            2 => words.extend(["COUNT".into(), self.of(&["0", "-1", "x", "1000000"]).into()]),
            _ => {}
        }
        words
    }
}
