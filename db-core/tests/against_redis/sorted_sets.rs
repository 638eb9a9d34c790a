//! Commands of sorted sets.

use crate::dice::Dice;

impl Dice {
    pub(crate) fn sorted_member(&mut self) -> String {
        match self.below(14) {
            0 => self.name(),
            1 => self.integer(),
            2 => "z".repeat(1 + self.below(120) as usize),
            _ => format!("m:{}", self.below(180)),
        }
    }

    fn sorted_members(&mut self) -> Vec<String> {
        (0..self.below(4)).map(|_| self.sorted_member()).collect()
    }

    fn score(&mut self) -> String {
        match self.below(10) {
            0 => self.float(),
            1 => self
                .of(&["inf", "-inf", "-0", "0", "1e308", "-1e308", "9007199254740993", "4503599627370497"])
                .to_owned(),
            2 => format!("{}.{}", self.below(20), self.below(10)),
            _ => (self.below(30) as i64 - 5).to_string(),
        }
    }

    fn score_bound(&mut self) -> String {
        let bound = match self.below(8) {
            0 => self.of(&["-inf", "+inf", "x", "(x", "", "nan", "(", "1e400", " ", " 2"]).to_owned(),
            _ => self.score(),
        };
        if self.below(3) == 0 { format!("({bound}") } else { bound }
    }

    fn lex_bound(&mut self) -> String {
        match self.below(8) {
            0 => self.of(&["-", "+", "x", "", "[", "("]).to_owned(),
            1 => self.of(&["-", "+"]).to_owned(),
            _ => format!("{}{}", self.of(&["[", "("]), self.sorted_member()),
        }
    }

    fn rank(&mut self) -> String {
        if self.below(12) == 0 { self.integer() } else { (self.below(40) as i64 - 20).to_string() }
    }

    fn limit(&mut self) -> Vec<String> {
        if self.below(2) == 0 {
            return Vec::new();
        }
        let offset = self.of(&["0", "1", "3", "-1", "x"]).into();
        vec![self.of(&["LIMIT", "limit", "foo"]).into(), offset, self.of(&["0", "1", "10", "-1"]).into()]
    }

    fn with_scores(&mut self) -> Vec<String> {
        if self.below(2) == 0 { vec![self.of(&["WITHSCORES", "withscores", "x"]).into()] } else { Vec::new() }
    }

    /// A key whose members are all of one score: what ranges by member are for.
    fn flat(&mut self) -> String {
        format!("flat:{}", self.below(4))
    }

    fn range_options(&mut self) -> (Vec<String>, String, String) {
        let (mut words, by) = (Vec::new(), self.below(3));
        let (min, max) = match by {
            0 => (self.rank(), self.rank()),
            1 => (self.score_bound(), self.score_bound()),
            _ => (self.lex_bound(), self.lex_bound()),
        };
        words.extend([None, Some("BYSCORE"), Some("bylex")][by as usize].map(str::to_owned));
        if self.below(3) == 0 {
            words.push(self.of(&["REV", "rev"]).into());
        }
        words.extend(self.limit());
        (words, min, max)
    }

    fn combine(&mut self, name: &str, to: Option<String>) -> Vec<String> {
        let keys: Vec<String> = (0..self.below(4))
            .map(|_| if self.below(4) == 0 { self.key_of("set") } else { self.key_of("zset") })
            .collect();
        let count = if self.below(10) == 0 { self.integer() } else { keys.len().to_string() };
        let mut words = vec![name.to_owned()];
        words.extend(to);
        words.push(count);
        let weights = keys.len();
        words.extend(keys);
        if self.below(3) == 0 {
            words.push(self.of(&["WEIGHTS", "weights"]).into());
            (0..weights).for_each(|_| words.push(self.of(&["1", "2", "0", "-1", "0.5", "inf", "x"]).to_owned()));
        }
        if self.below(3) == 0 {
            words.extend([self.of(&["AGGREGATE", "foo"]).into(), self.of(&["sum", "MIN", "max", "x"]).into()]);
        }
        if self.below(3) == 0 {
            words.extend(self.of(&["WITHSCORES", "LIMIT 2", "limit 0", "limit -1"]).split(' ').map(str::to_owned));
        }
        words
    }

    pub(crate) fn sorted_set_command(&mut self) -> Vec<String> {
        let key = self.key_of("zset");
        match self.below(44) {
            0..=9 => {
                let mut words = vec!["zadd".into(), key];
                for _ in 0..self.below(3) {
                    words.push(self.of(&["NX", "xx", "GT", "LT", "CH", "ch", "incr", "foo"]).into());
                }
                let many = if self.below(30) == 0 { 150 } else { 4 };
                (0..self.below(many)).for_each(|_| words.extend([self.score(), self.sorted_member()]));
                words
            }
            10 | 11 => vec!["zadd".into(), self.flat(), "0".into(), self.sorted_member()],
            12 | 13 => vec!["zincrby".into(), key, self.score(), self.sorted_member()],
            14 | 15 => [vec!["zrem".into(), key], self.sorted_members()].concat(),
            16 => vec!["zscore".into(), key, self.sorted_member()],
            17 => [vec!["zmscore".into(), key], self.sorted_members()].concat(),
            18 => vec![self.of(&["zcard", "type", "zcard"]).into(), key],
            19 | 20 => vec!["zcount".into(), key, self.score_bound(), self.score_bound()],
            21 => vec!["zlexcount".into(), self.flat(), self.lex_bound(), self.lex_bound()],
            22 | 23 => vec![self.of(&["zrank", "zrevrank"]).into(), key, self.sorted_member()],
            24..=26 => {
                let (options, min, max) = self.range_options();
                let key = if options.iter().any(|word| word == "bylex") { self.flat() } else { key };
                [vec!["zrange".into(), key, min, max], options, self.with_scores()].concat()
            }
            27 => {
                let (options, min, max) = self.range_options();
                let from = if options.iter().any(|word| word == "bylex") { self.flat() } else { key };
                [vec!["zrangestore".into(), self.key_of("zset"), from, min, max], options].concat()
            }
            28 => [vec!["zrevrange".into(), key, self.rank(), self.rank()], self.with_scores()].concat(),
            29 | 30 => {
                let name = self.of(&["zrangebyscore", "zrevrangebyscore"]).into();
                let (limit, scores) = (self.limit(), self.with_scores());
                [vec![name, key, self.score_bound(), self.score_bound()], limit, scores].concat()
            }
            31 => {
                let name = self.of(&["zrangebylex", "zrevrangebylex"]).into();
                [vec![name, self.flat(), self.lex_bound(), self.lex_bound()], self.limit()].concat()
            }
            32 => match self.below(12) {
                0..3 => vec!["zremrangebyrank".into(), key, self.rank(), self.rank()],
                3..6 => vec!["zremrangebyscore".into(), key, self.score_bound(), self.score_bound()],
                _ => vec!["zremrangebylex".into(), self.flat(), self.lex_bound(), self.lex_bound()],
            },
            33 | 34 => {
                let count = match self.below(3) {
                    0 => vec![self.of(&["0", "1", "3", "-1", "x"]).into()],
                    _ => Vec::new(),
                };
                [vec![self.of(&["zpopmin", "zpopmax"]).into(), key], count].concat()
            }
            35 => {
                let keys: Vec<String> = (0..self.below(4)).map(|_| self.key_of("zset")).collect();
                let count = if self.below(8) == 0 { self.integer() } else { keys.len().to_string() };
                let mut words = vec!["zmpop".into(), count];
                words.extend(keys);
                words.push(self.of(&["MIN", "max", "x"]).into());
                if self.below(2) == 0 {
                    words.extend([self.of(&["COUNT", "x"]).into(), self.of(&["1", "2", "0", "x"]).into()]);
                }
                words
            }
            36 => {
                let count = self.of(&["100000", "0", "x"]).into();
                [vec!["zrandmember".into(), key, count], self.with_scores()].concat()
            }
            37 | 38 => {
                let name = self.of(&["zunion", "zinter", "zdiff", "zintercard"]).to_owned();
                self.combine(&name, None)
            }
            39 | 40 => {
                let name = self.of(&["zunionstore", "zinterstore", "zdiffstore"]).to_owned();
                self.combine(&name, Some(key))
            }
            41 => self.scan("zscan", key),
            _ => vec![self.of(&["del", "persist", "exists", "unlink", "ttl"]).into(), key],
        }
    }
}
