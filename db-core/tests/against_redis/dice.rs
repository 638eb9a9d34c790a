//! Random words.

/// What the keys of each type begin with.
pub(crate) const PREFIXES: [&str; 6] = ["key", "set", "hash", "list", "zset", "stream"];
/// Keys of each type.
pub(crate) const KEYS: u64 = 12;

/// splitmix64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    pub(crate) fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }

    pub(crate) fn key(&mut self) -> String {
        self.key_of("key")
    }

    /// Mostly a key of a type, sometimes one of any.
    pub(crate) fn key_of(&mut self, prefix: &str) -> String {
        let prefix = if self.below(25) == 0 { self.of(&PREFIXES) } else { prefix };
        format!("{prefix}:{}", self.below(KEYS))
    }

    pub(crate) fn integer(&mut self) -> String {
        let edges = [
            "0",
            "-1",
            "1",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "01",
            "+1",
            "x",
            "",
            " 1",
            "-0",
            "10",
            "-7",
        ];
        if self.below(3) == 0 { self.of(&edges).to_owned() } else { (self.below(2000) as i64 - 1000).to_string() }
    }

    pub(crate) fn float(&mut self) -> String {
        match self.below(6) {
            0 => self
                .of(&[
                    "1e3", "-1.5e-3", "inf", "-inf", "nan", "1e400", "0x1f", ".5", "5.", "1e", "", "abc", "1e-20",
                    "3.0e10",
                ])
                .to_owned(),
            1 => self.integer(),
            2 => format!("{}e{}", self.below(1 << 60), self.below(40) as i64 - 30),
            _ => format!("{}.{}", self.below(2_000_000) as i64 - 1_000_000, self.below(1 << 40)),
        }
    }

    pub(crate) fn value(&mut self) -> String {
        match self.below(8) {
            0 => self.float(),
            1 | 2 => self.integer(),
            3 => "long ".repeat(self.below(9000) as usize),
            4 => String::new(),
            _ => format!("value {}", self.below(100)),
        }
    }

    pub(crate) fn offset(&mut self) -> String {
        match self.below(5) {
            0 => self.integer(),
            _ => (self.below(60_000) as i64 - 10_000).to_string(),
        }
    }

    /// An absolute time in seconds: mostly far in the future, sometimes past or impossible.
    pub(crate) fn moment(&mut self) -> String {
        match self.below(8) {
            0 => self.integer(),
            1 => "1".to_owned(),
            2 => "9223372036854775".to_owned(),
            3 => "9223372036854776".to_owned(),
            _ => (4_000_000_000 + self.below(100)).to_string(),
        }
    }

    /// As [`Dice::moment`], but none in the past: when a key that is born expired is deleted, and DBSIZE no longer counts
    /// it, is not agreed.
    pub(crate) fn future(&mut self) -> String {
        match self.below(8) {
            0 => self.of(&["0", "-1", "x", "9223372036854776", "9223372036854775808"]).to_owned(),
            _ => (4_000_000_000 + self.below(100)).to_string(),
        }
    }

    /// A time to live in seconds that does not end during the test, or is refused.
    pub(crate) fn lifetime(&mut self) -> String {
        match self.below(6) {
            0 => {
                self.of(&["0", "-5", "x", "9223372036854775807", "-9223372036854775808", "9223372036854775"]).to_owned()
            }
            _ => (100_000 + self.below(1000) * 100).to_string(),
        }
    }

    pub(crate) fn cased(&mut self, name: &str) -> String {
        if self.below(4) == 0 { name.to_uppercase() } else { name.to_owned() }
    }

    /// A value that may be a field or a member: those are at most 8 KiB long here.
    pub(crate) fn name(&mut self) -> String {
        let mut name = self.value();
        name.truncate(8192);
        name
    }
}
