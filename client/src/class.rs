//! What the library must know of commands by their names: which may be repeated, which block, which cannot be sent.

use std::time::Duration;

use redis::{Arg, Cmd};

use crate::error::Error;

/// What the library must know of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Changes nothing: may be sent again whatever became of it.
    Read,
    /// May change something.
    Write,
    /// Ties the next transaction to the connection.
    Watch,
    /// Unties it.
    Unwatch,
}

/// All commands of a client share one connection: what would change the connection for the others does not go through.
pub(crate) fn classify(name: &str, second: &str) -> Result<Class, Error> {
    let unsuitable = |why| Err(Error::Unsuitable { command: name.to_owned(), why });
    match name {
        "" => unsuitable("a command has a name"),
        "MULTI" | "EXEC" | "DISCARD" => unsuitable("send a transaction as one atomic pipeline"),
        "SUBSCRIBE" | "PSUBSCRIBE" | "SSUBSCRIBE" | "UNSUBSCRIBE" | "PUNSUBSCRIBE" | "SUNSUBSCRIBE" | "MONITOR"
        | "SYNC" | "PSYNC" => unsuitable("it would take over the connection that all commands share"),
        "HELLO" | "AUTH" | "RESET" | "QUIT" => {
            unsuitable("the library keeps the connection itself, and the certificate says who the client is")
        }
        "SELECT" => unsuitable(
            "the choice would be that of all who share the connection: send it in a transaction whose last command is SELECT 0",
        ),
        "CLIENT" if second == "REPLY" => unsuitable("every command is answered"),
        "WATCH" => Ok(Class::Watch),
        "UNWATCH" => Ok(Class::Unwatch),
        _ if READS.binary_search(&name).is_ok() => Ok(Class::Read),
        _ => Ok(Class::Write),
    }
}

/// Commands that change nothing, not even by their options: a lost answer of theirs is asked for again without a word. Sorted. A test of
/// the database holds it against its table of commands and the protocol's own.
pub const READS: [&str; 89] = [
    "BITCOUNT",
    "BITFIELD_RO",
    "BITPOS",
    "DBSIZE",
    "DIGEST",
    "DUMP",
    "ECHO",
    "EVALSHA_RO",
    "EVAL_RO",
    "EXISTS",
    "EXPIRETIME",
    "FCALL_RO",
    "GEODIST",
    "GEOHASH",
    "GEOPOS",
    "GEORADIUSBYMEMBER_RO",
    "GEORADIUS_RO",
    "GEOSEARCH",
    "GET",
    "GETBIT",
    "GETRANGE",
    "HEXISTS",
    "HEXPIRETIME",
    "HGET",
    "HGETALL",
    "HKEYS",
    "HLEN",
    "HMGET",
    "HPEXPIRETIME",
    "HPTTL",
    "HRANDFIELD",
    "HSCAN",
    "HSTRLEN",
    "HTTL",
    "HVALS",
    "INFO",
    "KEYS",
    "LCS",
    "LINDEX",
    "LLEN",
    "LOLWUT",
    "LPOS",
    "LRANGE",
    "MGET",
    "PEXPIRETIME",
    "PING",
    "PTTL",
    "RANDOMKEY",
    "ROLE",
    "SCAN",
    "SCARD",
    "SDIFF",
    "SINTER",
    "SINTERCARD",
    "SISMEMBER",
    "SMEMBERS",
    "SMISMEMBER",
    "SORT_RO",
    "SRANDMEMBER",
    "SSCAN",
    "STRLEN",
    "SUBSTR",
    "SUNION",
    "TIME",
    "TTL",
    "TYPE",
    "XLEN",
    "XPENDING",
    "XRANGE",
    "XREVRANGE",
    "ZCARD",
    "ZCOUNT",
    "ZDIFF",
    "ZINTER",
    "ZINTERCARD",
    "ZLEXCOUNT",
    "ZMSCORE",
    "ZRANDMEMBER",
    "ZRANGE",
    "ZRANGEBYLEX",
    "ZRANGEBYSCORE",
    "ZRANK",
    "ZREVRANGE",
    "ZREVRANGEBYLEX",
    "ZREVRANGEBYSCORE",
    "ZREVRANK",
    "ZSCAN",
    "ZSCORE",
    "ZUNION",
];

/// Where a blocking command has its timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutPlace {
    /// Its first argument.
    First,
    /// Its last argument.
    Last,
    /// Behind the word BLOCK, which may be missing, and before STREAMS: in milliseconds.
    Option,
}

/// Commands that wait for a key, and where their timeout in seconds, or milliseconds, stands. A test of the database holds it against its table of commands.
pub const BLOCKING: [(&str, TimeoutPlace); 10] = [
    ("BLMOVE", TimeoutPlace::Last),
    ("BLMPOP", TimeoutPlace::First),
    ("BLPOP", TimeoutPlace::Last),
    ("BRPOP", TimeoutPlace::Last),
    ("BRPOPLPUSH", TimeoutPlace::Last),
    ("BZMPOP", TimeoutPlace::First),
    ("BZPOPMAX", TimeoutPlace::Last),
    ("BZPOPMIN", TimeoutPlace::Last),
    ("XREAD", TimeoutPlace::Option),
    ("XREADGROUP", TimeoutPlace::Option),
];

/// The timeout of a command that blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeoutWord {
    /// Its index among the words.
    pub(crate) index: usize,
    /// How long it is; `None` is forever.
    pub(crate) timeout: Option<Duration>,
    in_millis: bool,
}

impl TimeoutWord {
    /// What stands there for another timeout, which is not nothing.
    pub(crate) fn written(&self, timeout: Duration) -> String {
        if self.in_millis { timeout.as_millis().max(1).to_string() } else { format!("{:.3}", timeout.as_secs_f64()) }
    }
}

/// Returns the timeout of a command that blocks. A command whose timeout cannot be read does not block: the node replies with an error at
/// once.
pub(crate) fn timeout_of(name: &str, command: &Cmd) -> Option<TimeoutWord> {
    let (_, place) = BLOCKING.iter().find(|(blocking, _)| *blocking == name)?;
    let index = match place {
        TimeoutPlace::First => 1,
        TimeoutPlace::Last => command.args_iter().count() - 1,
        TimeoutPlace::Option => block_option(command)?,
    };
    let in_millis = *place == TimeoutPlace::Option;
    let Some(Arg::Simple(word)) = command.args_iter().nth(index) else { return None };
    let word = std::str::from_utf8(word).ok()?;
    let timeout = if in_millis {
        Duration::from_millis(word.parse().ok()?)
    } else {
        Duration::try_from_secs_f64(word.parse().ok()?).ok()?
    };
    Some(TimeoutWord { index, timeout: Some(timeout).filter(|timeout| !timeout.is_zero()), in_millis })
}

/// The index of the word behind BLOCK, among the options of a command that reads streams.
fn block_option(command: &Cmd) -> Option<usize> {
    let word = |at: usize| match command.args_iter().nth(at) {
        Some(Arg::Simple(word)) => Some(word.to_ascii_uppercase()),
        _ => None,
    };
    let mut at = 1;
    loop {
        at += match word(at)?.as_slice() {
            b"BLOCK" => return Some(at + 1),
            b"STREAMS" => return None,
            b"GROUP" => 3,
            b"COUNT" => 2,
            _ => 1,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_sorted_and_nothing_that_writes_is_among_them() {
        assert!(READS.is_sorted());
        for write in ["GETEX", "GETDEL", "GETSET", "SET", "SORT", "INCR", "TOUCH", "BITFIELD", "EVAL", "TANIST"] {
            assert_eq!(classify(write, "").unwrap(), Class::Write, "{write}");
        }
        assert_eq!(classify("MGET", "k").unwrap(), Class::Read);
    }

    #[test]
    fn timeouts_of_blocking_commands_are_found() {
        let timeout = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            timeout_of(words[0], redis::cmd(words[0]).arg(&words[1..])).map(|word| (word.index, word.timeout))
        };
        let of = |seconds: f64| Some(Duration::from_secs_f64(seconds));
        assert_eq!(timeout("BLPOP a b 1.5"), Some((3, of(1.5))));
        assert_eq!(timeout("BLMPOP 2 1 a LEFT"), Some((1, of(2.0))));
        assert_eq!(timeout("BLMOVE a b LEFT LEFT 0"), Some((5, None)));
        assert_eq!(timeout("XREAD BLOCK 1500 STREAMS a $"), Some((2, of(1.5))));
        assert_eq!(timeout("XREADGROUP GROUP block block COUNT 5 block 0 STREAMS a >"), Some((7, None)));
        for odd in ["XREAD COUNT 5 STREAMS block 0", "XREAD COUNT 5", "XREAD BLOCK 1.5 STREAMS a 0", "XREAD BLOCK"] {
            assert_eq!(timeout(odd), None, "{odd}");
        }
        let read = redis::cmd("XREAD").arg(&["BLOCK", "9", "STREAMS", "a", "0"]).clone();
        let word = timeout_of("XREAD", &read).unwrap();
        assert_eq!((word.written(Duration::from_micros(1500)), word.written(Duration::ZERO)), ("1".into(), "1".into()));
        for odd in ["BLPOP a x", "BLPOP a -1", "BLPOP a 1e400", "BLPOP a nan", "BLPOP", "LPOP a 1"] {
            assert_eq!(timeout(odd), None, "{odd}");
        }
    }
}
