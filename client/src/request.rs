//! A caller's request: the encoded commands, and what the library must know about them.

use std::time::Duration;

use bytes::Bytes;
use redis::{Arg, Cmd, Pipeline};

use crate::class::{Class, TimeoutWord, classify, timeout_of};
use crate::error::Error;

/// Commands that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) commands: Vec<Command>,
    pub(crate) unit: Unit,
    /// Of a request that is one command which blocks.
    pub(crate) wait: Option<Wait>,
}

/// How long a command blocks at most.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    words: Cmd,
    timeout: TimeoutWord,
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

impl Request {
    pub(crate) fn of_args<A: AsRef<[u8]>>(args: &[A]) -> Result<Self, Error> {
        let mut command = Cmd::with_capacity(args.len(), args.iter().map(|arg| arg.as_ref().len()).sum());
        for arg in args {
            command.arg(arg.as_ref());
        }
        Self::of_command(&command)
    }

    pub(crate) fn of_command(command: &Cmd) -> Result<Self, Error> {
        Ok(Self { commands: vec![Command::new(command)?], unit: Unit::Each, wait: Wait::of(command) })
    }

    pub(crate) fn of_pipeline(pipeline: &Pipeline) -> Result<Self, Error> {
        let is_select = |command: &Cmd| word(command, 0) == "SELECT";
        let goes_back = pipeline.cmd_iter().last().is_some_and(|last| is_select(last) && word(last, 1) == "0");
        // What a transaction selects and takes back nobody else sees.
        let selects = pipeline.is_transaction() && goes_back;
        let command = |command: &Cmd| match selects && is_select(command) {
            true => Ok(Command { bytes: command.get_packed_command().into(), class: Class::Read }),
            false => Command::new(command),
        };
        let mut commands = pipeline.cmd_iter().map(command).collect::<Result<Vec<_>, _>>()?;
        if !pipeline.is_transaction() {
            if let Some(blocking) = pipeline.cmd_iter().find(|command| Wait::of(command).is_some()) {
                let why = "it would hold up the rest of the pipeline: send it alone, or in a transaction, where it does not block";
                return Err(Error::Unsuitable { command: word(blocking, 0), why });
            }
            return Ok(Self { commands, unit: Unit::Each, wait: None });
        }
        let frame = |bytes| Command { bytes: Bytes::from_static(bytes), class: Class::Read };
        commands.insert(0, frame(b"*1\r\n$5\r\nMULTI\r\n"));
        commands.push(frame(b"*1\r\n$4\r\nEXEC\r\n"));
        Ok(Self { commands, unit: Unit::Transaction, wait: None })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.commands.iter().map(|command| command.bytes.len()).sum()
    }
}

impl Command {
    fn new(command: &Cmd) -> Result<Self, Error> {
        let class = classify(&word(command, 0), &word(command, 1))?;
        Ok(Self { bytes: command.get_packed_command().into(), class })
    }
}

impl Wait {
    fn of(command: &Cmd) -> Option<Wait> {
        let timeout = timeout_of(&word(command, 0), command)?;
        Some(Wait { words: command.clone(), timeout })
    }

    /// What is left of the timeout after `waited`: at least a millisecond, since nothing would be forever.
    pub(crate) fn left(&self, waited: Duration) -> Option<Duration> {
        self.timeout.timeout.map(|timeout| timeout.saturating_sub(waited).max(Duration::from_millis(1)))
    }

    /// The command with what is left of its timeout.
    pub(crate) fn encode(&self, left: Option<Duration>) -> Bytes {
        let Some(left) = left else { return self.words.get_packed_command().into() };
        let mut command = Cmd::new();
        for (index, word) in self.words.args_iter().enumerate() {
            match word {
                Arg::Simple(_) if index == self.timeout.index => command.arg(self.timeout.written(left)),
                Arg::Simple(word) => command.arg(word),
                _ => &mut command,
            };
        }
        command.get_packed_command().into()
    }
}

/// A word of a command, in capital letters; nothing if there is none.
fn word(command: &Cmd, index: usize) -> String {
    match command.args_iter().nth(index) {
        Some(Arg::Simple(word)) => String::from_utf8_lossy(word).to_ascii_uppercase(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_the_shared_connection_is_refused() {
        for words in [&["multi"][..], &["EXEC"], &["subscribe", "x"], &["HELLO", "2"], &["client", "reply", "off"], &[]]
        {
            assert!(matches!(Request::of_args(words), Err(Error::Unsuitable { .. })), "{words:?}");
        }
        assert!(Request::of_args(&["CLIENT", "SETNAME", "x"]).is_ok());
    }

    #[test]
    fn another_database_is_selected_by_transactions_that_go_back() {
        let words = |pipeline: &redis::Pipeline| Request::of_pipeline(pipeline).is_ok();
        let mut pipeline = redis::pipe();
        pipeline.cmd("SELECT").arg(3).cmd("GET").arg("k");
        assert!(!words(&pipeline) && !words(pipeline.clone().atomic()));
        pipeline.cmd("select").arg(0);
        assert!(!words(&pipeline) && words(pipeline.clone().atomic()));
        assert!(!words(pipeline.cmd("SELECT").arg(1).atomic()));
    }

    #[test]
    fn a_command_that_blocks_goes_alone_and_waits_no_longer_than_it_was_asked_to() {
        let ms = Duration::from_millis;
        let wait = |words: &[&str]| Request::of_args(words).unwrap().wait;
        let pop = wait(&["blpop", "k", "1.5"]).unwrap();
        assert_eq!(
            (pop.left(ms(0)), pop.left(ms(1400)), pop.left(ms(9000))),
            (Some(ms(1500)), Some(ms(100)), Some(ms(1)))
        );
        assert_eq!(pop.encode(pop.left(ms(1400)))[..], *b"*3\r\n$5\r\nblpop\r\n$1\r\nk\r\n$5\r\n0.100\r\n");
        let forever = wait(&["BLPOP", "k", "0"]).unwrap();
        assert_eq!(forever.left(ms(9000)), None);
        assert_eq!(forever.encode(None)[..], *b"*3\r\n$5\r\nBLPOP\r\n$1\r\nk\r\n$1\r\n0\r\n");
        assert!(wait(&["LPOP", "k", "1"]).is_none() && wait(&["BLPOP", "k", "x"]).is_none());

        let mut pipeline = redis::pipe();
        pipeline.cmd("GET").arg("k").cmd("BLPOP").arg("k").arg(1);
        assert!(
            matches!(Request::of_pipeline(&pipeline), Err(Error::Unsuitable { command, .. }) if command == "BLPOP")
        );
        assert!(Request::of_pipeline(pipeline.atomic()).unwrap().wait.is_none());
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
