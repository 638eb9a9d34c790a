//! Predicts which calls may take long, before they are executed.
//!
//! A thread that executes commands serves many clients, so a command that would keep them waiting for too long is executed on
//! another thread. The prediction is made for every call and must be cheap: it considers only the form of the call, not the data.
//! So a short call that makes hundreds of megabytes (RESTORE of what is compressed) is not recognized, and occupies its
//! thread for as long as that takes. Large reads, and copies of large values, are noticed when they are executed
//! ([`Refused`](crate::engine::Refused)).

use super::scan;
use crate::engine::Session;
use crate::engine::call::{CommandSpec, Handler};
use crate::limits::{LONG_ARGUMENTS, LONG_REQUEST_BYTES};

/// Whether the call `args`, which takes `bytes` of its client's input, may take longer than other clients of its thread should
/// wait.
#[inline]
#[must_use]
pub fn takes_long(spec: &CommandSpec, session: &Session, args: &[&[u8]], bytes: usize) -> bool {
    match spec.handler {
        _ if spec.searches => true,
        Handler::Keys(_) | Handler::Blocking(_) | Handler::KeysOrBlocking(..) => {
            args.len() > LONG_ARGUMENTS || bytes > LONG_REQUEST_BYTES
        }
        Handler::Whole(_) => true,
        // SORT takes more than a moment for each element, BITOP reads and makes whole strings: their arguments say nothing of how much.
        Handler::KeysOrWhole(..) => true,
        Handler::Cursor(_) => scan::takes_long(args),
        Handler::Control(_) => spec.is_exec() && session.exec_takes_long(),
        Handler::Free(_) | Handler::Front(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::ENGINE_COMMANDS;

    fn long(words: &[&str]) -> bool {
        let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let bytes = args.iter().map(|arg| arg.len()).sum();
        takes_long(ENGINE_COMMANDS.resolve(&args).unwrap(), &Session::new(1), &args, bytes)
    }

    #[test]
    fn what_needs_everything_or_has_many_keys_or_bytes_takes_long() {
        assert!(long(&["KEYS", "*"]) && long(&["FLUSHALL"]) && long(&["DBSIZE"]));
        assert!(long(&["BITOP", "NOT", "a", "b"]));
        assert!(long(&["SORT", "a"]) && long(&["SORT_RO", "a", "BY", "w*"]));
        assert!(long(&["GEORADIUS", "a", "1", "1", "1", "m"]) && !long(&["GEORADIUS_RO", "a", "1", "1", "1", "m"]));
        assert!(!long(&["GET", "a"]) && !long(&["PING"]) && !long(&["COMMAND"]) && !long(&["EXEC"]));
        let many = vec!["k"; LONG_ARGUMENTS];
        assert!(long(&[&["DEL"][..], &many[..]].concat()) && !long(&[&["DEL"][..], &many[1..]].concat()));
        let value = "x".repeat(LONG_REQUEST_BYTES);
        assert!(long(&["SET", "a", &value]) && !long(&["SET", "a", &value[..1000]]));
        assert!(!long(&["SCAN", "0"]) && !long(&["SCAN", "0", "COUNT", "100"]));
        assert!(long(&["SCAN", "0", "MATCH", "a*", "count", "1000000"]));
        assert!(!long(&["SCAN", "0", "COUNT"]) && !long(&["SCAN", "0", "COUNT", "x"]), "these fail at once");
    }
}
