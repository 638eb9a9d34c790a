//! Commands of strings, of keys and of transactions.

use crate::dice::Dice;

impl Dice {
    pub(crate) fn set_options(&mut self) -> Vec<String> {
        let mut options = Vec::new();
        for _ in 0..self.below(4) {
            match self.below(9) {
                0 => options.push("NX".into()),
                1 => options.push("xx".into()),
                2 => options.push("GET".into()),
                3 => options.push("KEEPTTL".into()),
                4 => options.extend(["EX".into(), self.lifetime()]),
                5 => options.extend(["PX".into(), self.lifetime() + "000"]),
                6 => options.extend(["EXAT".into(), self.future()]),
                7 => options.extend(["PXAT".into(), self.future() + "000"]),
                _ => options.push(self.of(&["PERSIST", "foo", "EX", ""]).into()),
            }
        }
        options
    }

    fn expire_options(&mut self) -> Vec<String> {
        (0..self.below(3)).map(|_| self.of(&["NX", "XX", "GT", "LT", "lt", "zz"]).into()).collect()
    }

    pub(crate) fn string_command(&mut self) -> Vec<String> {
        match self.below(46) {
            0..=3 => {
                let mut words = vec!["set".into(), self.key(), self.value()];
                words.extend(self.set_options());
                words
            }
            4 | 5 => vec!["get".into(), self.key()],
            6 => vec![self.of(&["getset", "setnx", "append", "append", "append"]).into(), self.key(), self.value()],
            7 => vec![self.of(&["setex", "psetex"]).into(), self.key(), self.lifetime() + "000", self.value()],
            8 => {
                let mut words = vec!["getex".into(), self.key()];
                words.extend(self.set_options());
                words
            }
            9 => vec!["getdel".into(), self.key()],
            10 | 11 => {
                let mut words = vec![self.of(&["mset", "msetnx"]).into()];
                (0..self.below(4)).for_each(|_| words.extend([self.key(), self.value()]));
                words.extend((self.below(8) == 0).then(|| self.key()));
                words
            }
            12..=14 => {
                let mut words = vec![self.of(&["mget", "del", "unlink", "exists", "touch"]).into()];
                words.extend((0..self.below(4)).map(|_| self.key()));
                words
            }
            15 | 16 => vec![
                self.of(&["incr", "decr", "strlen", "type", "persist", "expiretime", "pexpiretime"]).into(),
                self.key(),
            ],
            17 | 18 => vec![self.of(&["incrby", "decrby"]).into(), self.key(), self.integer()],
            19..=21 => vec!["incrbyfloat".into(), self.key(), self.float()],
            22 | 23 => vec!["setrange".into(), self.key(), self.offset(), self.value()],
            24 | 25 => vec![self.of(&["getrange", "substr"]).into(), self.key(), self.offset(), self.offset()],
            26 | 27 => {
                let mut words = vec!["expireat".into(), self.key(), self.moment()];
                words.extend(self.expire_options());
                words
            }
            28 => {
                let mut words = vec!["pexpireat".into(), self.key(), self.moment() + "123"];
                words.extend(self.expire_options());
                words
            }
            29 => {
                let mut words = vec![self.of(&["expire", "pexpire"]).into(), self.key(), self.lifetime() + "000"];
                words.extend(self.expire_options());
                words
            }
            30 => vec![self.of(&["ttl", "pttl"]).into(), self.key()],
            31 | 32 => vec![self.of(&["rename", "renamenx"]).into(), self.key(), self.key()],
            33 => {
                let mut words = vec!["copy".into(), self.key(), self.key()];
                words.extend((0..self.below(3)).map(|_| self.of(&["REPLACE", "db", "0", "1", "x"]).into()));
                words
            }
            34 => vec!["keys".into(), self.of(&["*", "key:[1-3]", "*1*", "key:?", "[^k]*", "k\\ey:1"]).into()],
            35 => vec![self.of(&["ping", "echo", "dbsize", "nosuch", "object", "unwatch"]).into(), self.value()],
            36 => vec![
                self.of(&["multi", "multi", "exec", "exec", "exec", "discard", "dbsize", "ping", "unwatch"]).into(),
            ],
            37 => vec!["watch".into(), self.key()],
            38 => vec![self.of(&["exec", "dbsize"]).into()],
            39 => vec!["object".into(), self.of(&["refcount", "nosuch", "encoding"]).into(), "missing".into()],
            42 => vec!["move".into(), self.key(), self.of(&["0", "1", "2", "16", "-1", "x"]).into()],
            43 if self.below(4) == 0 => {
                let index = |dice: &mut Dice| dice.of(&["0", "1", "2", "2", "16", "x"]).to_owned();
                vec!["swapdb".into(), index(self), index(self)]
            }
            44 if self.below(4) == 0 => vec!["select".into(), self.of(&["0", "1", "2"]).into()],
            45 => {
                let mut words = vec!["copy".into(), self.key(), self.key(), "DB".into()];
                words.extend([self.of(&["0", "1", "2", "99"]).into(), self.of(&["REPLACE", "replace", "x"]).into()]);
                words
            }
            40 if self.below(40) == 0 => {
                vec![self.of(&["flushall", "flushdb"]).into(), self.of(&["async", "SYNC", "x"]).into()]
            }
            _ => vec![
                "command".into(),
                "getkeys".into(),
                self.of(&["mset", "get", "ping", "nosuch"]).into(),
                "a".into(),
                "b".into(),
            ],
        }
    }
}
