//! What came after Redis 7.0: commands, and options of older ones.

use crate::dice::Dice;

impl Dice {
    pub(crate) fn newer_command(&mut self) -> Vec<String> {
        match self.below(6) {
            0..=2 => {
                let name = self.of(&["zrank", "zrevrank"]).into();
                let option = self.of(&["WITHSCORE", "withscore", "withscore", "WITHSCORES", "x"]).into();
                vec![name, self.key_of("zset"), self.sorted_member(), option]
            }
            3 => {
                let value = self.of(&["1", "x", ""]).into();
                vec![self.of(&["set", "delifeq"]).into(), self.key_of("key"), value]
            }
            _ => {
                let key = self.key_of("hash");
                let mut words = self.scan("hscan", key);
                words.push(self.of(&["NOVALUES", "novalues", "novalues", "x"]).into());
                words
            }
        }
    }
}
