//! Commands of streams. Ids are given, since chosen ones depend on the moment; what is trimmed about (`~`) depends on how entries are
//! packed, and is not compared.

use crate::dice::Dice;

/// Whether two replies to XPENDING or XINFO agree: all but times, which may differ by a moment, and how entries are packed.
pub(crate) fn agree(theirs: &[u8], ours: &[u8]) -> bool {
    const MOMENT: u64 = 2000;
    /// Milliseconds since 1970, and nothing else that is counted.
    const TIME_MIN: i64 = 1_000_000_000_000;
    let lines = |reply: &[u8]| String::from_utf8_lossy(reply).split("\r\n").map(str::to_owned).collect::<Vec<_>>();
    let (theirs, ours) = (lines(theirs), lines(ours));
    let number = |line: &str| line.strip_prefix(':').and_then(|line| line.parse::<i64>().ok());
    let packing = |at: usize| at > 0 && theirs[at - 1].starts_with("radix-tree-");
    let same = |at: usize| {
        let (Some(a), Some(b)) = (number(&theirs[at]), number(&ours[at])) else { return theirs[at] == ours[at] };
        // In XPENDING an idle time stands before a count.
        let idle = at > 0 && (theirs[at - 1] == "idle" || theirs.get(at + 1).is_some_and(|next| next.starts_with(':')));
        let is_time = idle || a.min(b) > TIME_MIN;
        a == b || packing(at) || is_time && a.abs_diff(b) < MOMENT
    };
    theirs.len() == ours.len() && (0..theirs.len()).all(same)
}

impl Dice {
    fn milliseconds(&mut self) -> u64 {
        match self.below(40) {
            0 => self.below(1 << 40),
            1..=3 => self.below(100),
            _ => 5 + self.below(3),
        }
    }

    fn id(&mut self) -> String {
        let edges = [
            "-",
            "+",
            "0",
            "0-0",
            "0-1",
            "x",
            "",
            "5",
            "5-",
            "-5",
            "5-x",
            "5-*",
            "18446744073709551615",
            "18446744073709551615-18446744073709551615",
            "18446744073709551616",
            "5-18446744073709551616",
            "01-02",
            "+5-1",
            " 5-1",
            "5-+1",
            "5- 1",
            "*",
            "$",
            ">",
            "(5-1",
            "(",
        ];
        match self.below(12) {
            0 => self.of(&edges).to_owned(),
            1 => self.milliseconds().to_string(),
            _ => format!("{}-{}", self.milliseconds(), self.below(60)),
        }
    }

    /// The id of a new entry.
    fn new_id(&mut self) -> String {
        match self.below(20) {
            0 | 1 => self.id().replace('*', "7-*"),
            _ => format!("{}-*", self.milliseconds()),
        }
    }

    fn bound(&mut self) -> String {
        match self.below(8) {
            0 | 1 => "-".into(),
            2 | 3 => "+".into(),
            4 => format!("({}", self.id()),
            _ => self.id(),
        }
    }

    fn group(&mut self) -> String {
        self.of(&["g", "g", "h", "h", "group:3", ""]).to_owned()
    }

    fn consumer(&mut self) -> String {
        self.of(&["alice", "alice", "bob", "carol"]).to_owned()
    }

    fn count(&mut self, name: &str) -> Vec<String> {
        match self.below(3) {
            0 => Vec::new(),
            _ => vec![self.cased(name), self.of(&["1", "2", "5", "50", "1000", "0", "-1", "x"]).into()],
        }
    }

    fn trimming(&mut self) -> Vec<String> {
        let mark = match self.below(4) {
            0 | 1 => Vec::new(),
            2 => vec!["=".to_owned()],
            // About nothing, or refused.
            _ => return vec![self.of(&["maxlen", "limit", "minid"]).into(), self.of(&["100000", "x", "-1"]).into()],
        };
        let (name, value) = match self.below(2) {
            0 => ("MAXLEN", self.of(&["0", "1", "5", "30", "30", "60", "-1", "x"]).to_owned()),
            _ => ("minid", self.id()),
        };
        [vec![name.to_owned()], mark, vec![value]].concat()
    }

    fn entry_fields(&mut self) -> Vec<String> {
        let many = if self.below(30) == 0 { 40 } else { 3 };
        let same = self.below(3) > 0;
        (0..1 + self.below(many))
            .flat_map(|number| {
                let name = if same { format!("field:{number}") } else { self.name() };
                [name, self.value()]
            })
            .collect()
    }

    fn ids(&mut self) -> Vec<String> {
        (0..1 + self.below(6)).map(|_| self.id()).collect()
    }

    fn stream_add(&mut self, key: String) -> Vec<String> {
        let mut words = vec!["xadd".to_owned(), key];
        if self.below(12) == 0 {
            words.push("NOMKSTREAM".into());
        }
        if self.below(6) == 0 {
            words.extend(self.trimming());
        }
        words.push(self.new_id());
        words.extend(self.entry_fields());
        words
    }

    fn stream_read(&mut self) -> Vec<String> {
        let of_group = self.below(3) > 0;
        let mut words = vec![if of_group { "xreadgroup" } else { "xread" }.to_owned()];
        if of_group {
            words.extend(["group".to_owned(), self.group(), self.consumer()]);
        }
        words.extend(self.count("count"));
        if self.below(if of_group { 6 } else { 60 }) == 0 {
            words.push("NOACK".into());
        }
        words.push("STREAMS".into());
        let mut keys: Vec<String> = (0..1 + self.below(3)).map(|_| self.key_of("stream")).collect();
        keys.dedup();
        keys.sort();
        keys.dedup();
        let ids: Vec<String> = keys
            .iter()
            .map(|_| match self.below(4) {
                0 => self.id(),
                1 => "0".into(),
                _ if of_group => ">".into(),
                _ => self.of(&["0", "5-3", "$"]).to_owned(),
            })
            .map(|id| if id == "+" { "0-1".into() } else { id })
            .collect();
        words.extend(keys);
        words.extend(ids);
        words
    }

    fn stream_claim(&mut self, key: String) -> Vec<String> {
        let min_idle = self.of(&["0", "0", "0", "-5", "100000000", "x"]).to_owned();
        let mut words = vec![key, self.group(), self.consumer(), min_idle];
        if self.below(2) == 0 {
            words.insert(0, "xautoclaim".into());
            words.push(self.bound());
            words.extend(self.count("COUNT"));
            if self.below(3) == 0 {
                words.push("justid".into());
            }
            return words;
        }
        words.insert(0, "xclaim".into());
        words.extend(self.ids());
        for _ in 0..self.below(3) {
            match self.below(8) {
                0 => words.push("FORCE".into()),
                1 => words.push("justid".into()),
                2 => words.extend(["IDLE".into(), self.of(&["0", "50000000", "500000000", "-1", "x"]).into()]),
                3 => {
                    words.extend(["time".into(), self.of(&["0", "1700000000000", "-1", "99999999999999", "x"]).into()])
                }
                4 => words.extend(["RETRYCOUNT".into(), self.of(&["0", "7", "-1", "x"]).into()]),
                5 => words.extend(["lastid".into(), self.id()]),
                _ => words.push(self.of(&["force", "FORCE", "foo"]).into()),
            }
        }
        words
    }

    fn stream_group(&mut self, key: String) -> Vec<String> {
        let group = self.group();
        match self.below(12) {
            0..=4 => {
                let id = if self.below(3) == 0 { self.id() } else { self.of(&["$", "0", "5-3"]).into() };
                let mut words = vec!["xgroup".into(), self.of(&["create", "CREATE", "setid"]).into(), key, group, id];
                if self.below(3) == 0 {
                    words.push("MKSTREAM".into());
                }
                if self.below(4) == 0 {
                    words.extend(["entriesread".into(), self.of(&["0", "3", "-1", "-2", "x"]).into()]);
                }
                words
            }
            5 | 6 => vec!["xgroup".into(), "destroy".into(), key, group],
            7 => vec!["xgroup".into(), "createconsumer".into(), key, group, self.consumer()],
            8 => vec!["xgroup".into(), "delconsumer".into(), key, group, self.consumer()],
            9 => vec!["xgroup".into(), self.of(&["help", "foo", "create"]).into()],
            _ => vec!["xack".into(), key, group].into_iter().chain(self.ids()).collect(),
        }
    }

    fn stream_look(&mut self, key: String) -> Vec<String> {
        match self.below(6) {
            0 => vec!["xinfo".into(), "groups".into(), key],
            1 => vec!["xinfo".into(), "consumers".into(), key, self.group()],
            2 => {
                let mut words = vec!["xinfo".into(), "stream".into(), key];
                if self.below(2) == 0 {
                    words.push(self.of(&["full", "FULL", "full", "foo"]).into());
                    words.extend(self.count("count"));
                }
                words
            }
            3 => vec!["xpending".into(), key, self.group()],
            _ => {
                let mut words = vec!["xpending".into(), key, self.group()];
                if self.below(4) == 0 {
                    words.extend(["IDLE".into(), self.of(&["0", "100000", "100000000", "x"]).into()]);
                }
                words.extend([self.bound(), self.bound(), self.of(&["1", "10", "100", "0", "-1", "x"]).into()]);
                if self.below(3) == 0 {
                    words.push(self.consumer());
                }
                words
            }
        }
    }

    pub(crate) fn stream_command(&mut self) -> Vec<String> {
        let key = self.key_of("stream");
        match self.below(40) {
            0..=13 => self.stream_add(key),
            14..=16 => {
                let name = self.of(&["xrange", "xrevrange"]).to_owned();
                [vec![name, key, self.bound(), self.bound()], self.count("COUNT")].concat()
            }
            17 => vec![self.of(&["xlen", "type", "xlen"]).into(), key],
            18 | 19 => vec!["xdel".into(), key].into_iter().chain(self.ids()).collect(),
            20 => [vec!["xtrim".into(), key], self.trimming()].concat(),
            21 => {
                let mut words = vec!["xsetid".into(), key, self.id()];
                if self.below(2) == 0 {
                    words.extend(["ENTRIESADDED".into(), self.of(&["0", "100", "1000", "-1", "x"]).into()]);
                }
                if self.below(3) == 0 {
                    words.extend(["maxdeletedid".into(), self.id()]);
                }
                words
            }
            22..=26 => self.stream_read(),
            27..=29 => self.stream_claim(key),
            30..=34 => self.stream_group(key),
            35..=38 => self.stream_look(key),
            _ => vec![self.of(&["del", "persist", "exists", "unlink", "ttl"]).into(), key],
        }
    }
}
