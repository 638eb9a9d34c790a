//! What came after Redis 7.0: commands, and options of older ones.

use crate::dice::Dice;

impl Dice {
    pub(crate) fn newer_command(&mut self) -> Vec<String> {
        match self.below(20) {
            0..=2 => {
                let name = self.of(&["zrank", "zrevrank"]).into();
                let option = self.of(&["WITHSCORE", "withscore", "withscore", "WITHSCORES", "x"]).into();
                vec![name, self.key_of("zset"), self.sorted_member(), option]
            }
            3 => {
                let value = self.of(&["1", "x", ""]).into();
                vec![self.of(&["set", "delifeq"]).into(), self.key_of("key"), value]
            }
            4..=11 => self.field_expiry_command(),
            12..=14 => self.compare_and_set(),
            15..=17 => self.several_with_expiry(),
            _ => {
                let key = self.key_of("hash");
                let mut words = self.scan("hscan", key);
                words.push(self.of(&["NOVALUES", "novalues", "novalues", "x"]).into());
                words
            }
        }
    }

    fn compare_and_set(&mut self) -> Vec<String> {
        let mut words = vec!["set".to_owned(), self.key_of("key"), self.of(&["1", "x", ""]).to_owned()];
        words.extend(self.set_options());
        for _ in 0..1 + self.below(8) / 7 {
            words.extend([self.of(&["IFEQ", "ifeq"]), self.of(&["1", "x", "", "x"])].map(str::to_owned));
        }
        if self.below(20) == 0 {
            words.pop();
        }
        words.extend(self.set_options());
        words
    }

    fn several_with_expiry(&mut self) -> Vec<String> {
        let count = self.below(4);
        let said = if self.below(12) == 0 { self.integer() } else { count.to_string() };
        let mut words = vec!["msetex".to_owned(), said];
        (0..count).for_each(|_| words.extend([self.key_of("key"), self.of(&["1", "x", ""]).to_owned()]));
        words.extend(self.set_options());
        words
    }

    fn field_expiry_command(&mut self) -> Vec<String> {
        let key = self.key_of("hash");
        let (words, each) = match self.below(8) {
            0..=2 => {
                let (name, unit) = self.expiring(["hexpire", "hpexpire", "hexpireat", "hpexpireat"]);
                let time = if self.below(8) == 0 { self.no_time() } else { self.time(unit) };
                let words = vec![name, key, time];
                (self.with_maybe(words, &["nx", "XX", "gt", "lt", "foo"]), 1)
            }
            3 => {
                let name = self.of(&["httl", "hpttl", "hexpiretime", "hpexpiretime", "hpersist", "hgetdel"]).into();
                (vec![name, key], 1)
            }
            4 | 5 => (self.with_lifetime(vec!["hgetex".into(), key], "persist"), 1),
            _ => {
                let words = self.with_maybe(vec!["hsetex".into(), key], &["fnx", "FXX", "nx", "xx", "fnx"]);
                (self.with_lifetime(words, "KEEPTTL"), 2)
            }
        };
        self.with_fields(words, each)
    }

    fn expiring(&mut self, names: [&str; 4]) -> (String, usize) {
        let unit = self.below(4) as usize;
        (names[unit].into(), unit)
    }

    /// A time of a unit, in the past or far enough in the future: in seconds or milliseconds, from now on or since 1970.
    fn time(&mut self, unit: usize) -> String {
        let far = 10_000 + self.below(100_000);
        match unit {
            // One from now on is the future, which would come in the middle of the test.
            0 | 1 if self.below(6) == 0 => "0".to_owned(),
            2 | 3 if self.below(6) == 0 => self.below(2).to_string(),
            0 => far.to_string(),
            1 => (far * 1000).to_string(),
            2 => (4_000_000_000 + far).to_string(),
            _ => ((4_000_000_000 + far) * 1000).to_string(),
        }
    }

    /// What is no time, or too far away. Not any number: as a time from now on it would come in the middle of the test.
    fn no_time(&mut self) -> String {
        let edges = ["9223372036854775807", "-9223372036854775808", "9223372036854775808"];
        let words = ["x", "", "-1", "-7", "01", "+1", " 1", "-0"];
        if self.below(3) == 0 { self.of(&edges) } else { self.of(&words) }.to_owned()
    }

    fn with_maybe(&mut self, mut words: Vec<String>, options: &[&str]) -> Vec<String> {
        while self.below(4) == 0 {
            words.push(self.of(options).into());
        }
        words
    }

    fn with_lifetime(&mut self, mut words: Vec<String>, other: &str) -> Vec<String> {
        let (name, unit) = self.expiring(["ex", "PX", "exat", "pxat"]);
        match self.below(12) {
            0..=2 => words.push(other.into()),
            3 => words.extend([name, self.no_time()]),
            4 => words.push(name),
            5 => words.extend([name, self.time(unit), other.into()]),
            6..=9 => words.extend([name, self.time(unit)]),
            _ => {}
        }
        words
    }

    /// Adds FIELDS, their number, and `each` strings for each of them.
    fn with_fields(&mut self, mut words: Vec<String>, each: usize) -> Vec<String> {
        let count = 1 + self.below(3);
        let said = if self.below(15) == 0 {
            self.of(&["0", "-1", "x", "9", "9223372036854775807"]).into()
        } else {
            count.to_string()
        };
        words.extend([self.of(&["FIELDS", "fields", "FIELDS", "fields", "fields", "field"]).into(), said]);
        for _ in 0..count {
            words.push(self.field());
            if each == 2 {
                words.push(self.value());
            }
        }
        words
    }
}
