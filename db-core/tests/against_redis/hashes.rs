//! Commands of hashes.

use crate::dice::Dice;

impl Dice {
    pub(crate) fn field(&mut self) -> String {
        match self.below(12) {
            0 => self.name(),
            1 => "f".repeat(1 + self.below(100) as usize),
            _ => format!("field:{}", self.below(170)),
        }
    }

    fn fields(&mut self) -> Vec<String> {
        (0..self.below(5)).map(|_| self.field()).collect()
    }

    fn pairs(&mut self) -> Vec<String> {
        let many = if self.below(30) == 0 { 150 } else { 4 };
        let mut words: Vec<String> = (0..self.below(many)).flat_map(|_| [self.field(), self.value()]).collect();
        if self.below(15) == 0 {
            words.push(self.field());
        }
        words
    }

    pub(crate) fn hash_command(&mut self) -> Vec<String> {
        let key = self.key_of("hash");
        match self.below(24) {
            0..=4 => [vec![self.of(&["hset", "hset", "hmset"]).into(), key], self.pairs()].concat(),
            5 | 6 => vec!["hsetnx".into(), key, self.field(), self.value()],
            7..=9 => [vec![self.of(&["hdel", "hdel", "hmget"]).into(), key], self.fields()].concat(),
            10 | 11 => vec![self.of(&["hget", "hexists", "hstrlen"]).into(), key, self.field()],
            12 | 13 => vec![self.of(&["hlen", "hkeys", "hvals", "hgetall", "type"]).into(), key],
            14..=16 => vec!["hincrby".into(), key, self.field(), self.integer()],
            17 | 18 => vec!["hincrbyfloat".into(), key, self.field(), self.float()],
            19 => {
                let count = self.of(&["100000", "0", "x", "-9223372036854775808"]).into();
                let rest = match self.below(4) {
                    0 => vec![self.of(&["withvalues", "WITHVALUES", "foo"]).to_owned()],
                    1 => vec!["withvalues".to_owned(), "x".to_owned()],
                    _ => Vec::new(),
                };
                [vec!["hrandfield".into(), key, count], rest].concat()
            }
            20 | 21 => self.scan("hscan", key),
            _ => vec![self.of(&["del", "persist", "exists", "unlink", "ttl"]).into(), key],
        }
    }
}
