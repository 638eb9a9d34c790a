//! A caller's request: the encoded commands, and what the library must know about them.

use bytes::Bytes;
use redis::{Arg, Cmd, Pipeline};

use crate::error::Error;

/// Commands that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) commands: Vec<Command>,
    pub(crate) unit: Unit,
}

/// One command on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) bytes: Bytes,
    pub(crate) class: Class,
}

/// How far the commands of a request depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Each is executed for itself, in order.
    Each,
    /// `MULTI`, commands, `EXEC`: all or none.
    Transaction,
}

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

impl Request {
    pub(crate) fn of_args<A: AsRef<[u8]>>(args: &[A]) -> Result<Self, Error> {
        let mut command = Cmd::with_capacity(args.len(), args.iter().map(|arg| arg.as_ref().len()).sum());
        for arg in args {
            command.arg(arg.as_ref());
        }
        Self::of_command(&command)
    }

    pub(crate) fn of_command(command: &Cmd) -> Result<Self, Error> {
        Ok(Self { commands: vec![Command::new(command)?], unit: Unit::Each })
    }

    pub(crate) fn of_pipeline(pipeline: &Pipeline) -> Result<Self, Error> {
        let mut commands = pipeline.cmd_iter().map(Command::new).collect::<Result<Vec<_>, _>>()?;
        if !pipeline.is_transaction() {
            return Ok(Self { commands, unit: Unit::Each });
        }
        let frame = |bytes| Command { bytes: Bytes::from_static(bytes), class: Class::Read };
        commands.insert(0, frame(b"*1\r\n$5\r\nMULTI\r\n"));
        commands.push(frame(b"*1\r\n$4\r\nEXEC\r\n"));
        Ok(Self { commands, unit: Unit::Transaction })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.commands.iter().map(|command| command.bytes.len()).sum()
    }
}

impl Command {
    fn new(command: &Cmd) -> Result<Self, Error> {
        let word = |index: usize| match command.args_iter().nth(index) {
            Some(Arg::Simple(word)) => String::from_utf8_lossy(word).to_ascii_uppercase(),
            _ => String::new(),
        };
        let class = classify(&word(0), &word(1))?;
        Ok(Self { bytes: command.get_packed_command().into(), class })
    }
}

/// All commands of a client share one connection: what would change the connection for the others does not go through.
fn classify(name: &str, second: &str) -> Result<Class, Error> {
    let unsuitable = |why| Err(Error::Unsuitable { command: name.to_owned(), why });
    match name {
        "" => unsuitable("a command has a name"),
        "MULTI" | "EXEC" | "DISCARD" => unsuitable("send a transaction as one atomic pipeline"),
        "SUBSCRIBE" | "PSUBSCRIBE" | "SSUBSCRIBE" | "UNSUBSCRIBE" | "PUNSUBSCRIBE" | "SUNSUBSCRIBE" | "MONITOR"
        | "SYNC" | "PSYNC" => unsuitable("it would take over the connection that all commands share"),
        "HELLO" | "AUTH" | "RESET" | "QUIT" => {
            unsuitable("the library keeps the connection itself, and the certificate says who the client is")
        }
        "CLIENT" if second == "REPLY" => unsuitable("every command is answered"),
        "WATCH" => Ok(Class::Watch),
        "UNWATCH" => Ok(Class::Unwatch),
        _ if READS.binary_search(&name).is_ok() => Ok(Class::Read),
        _ => Ok(Class::Write),
    }
}

/// Commands that change nothing, not even by their options: a lost answer of theirs is asked for again without a word. Sorted. A test of
/// the database holds it against its table of commands and the protocol's own.
pub const READS: [&str; 88] = [
    "BITCOUNT",
    "BITFIELD_RO",
    "BITPOS",
    "DBSIZE",
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
    fn what_would_change_the_shared_connection_is_refused() {
        for words in [&["multi"][..], &["EXEC"], &["subscribe", "x"], &["HELLO", "2"], &["client", "reply", "off"], &[]]
        {
            assert!(matches!(Request::of_args(words), Err(Error::Unsuitable { .. })), "{words:?}");
        }
        assert!(Request::of_args(&["CLIENT", "SETNAME", "x"]).is_ok());
    }

    #[test]
    fn requests_are_encoded_as_arrays_of_strings() {
        let request = Request::of_args(&["SET", "k", "v\r\n"]).unwrap();
        assert_eq!(request.commands[0].bytes[..], *b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nv\r\n\r\n");
        let mut pipeline = redis::pipe();
        pipeline.atomic().cmd("GET").arg("a").cmd("INCR").arg("b");
        let request = Request::of_pipeline(&pipeline).unwrap();
        let together: Vec<u8> = request.commands.iter().flat_map(|command| command.bytes.to_vec()).collect();
        assert_eq!(together, pipeline.get_packed_pipeline());
        assert_eq!((request.commands.len(), request.unit, request.bytes()), (4, Unit::Transaction, together.len()));
    }
}
