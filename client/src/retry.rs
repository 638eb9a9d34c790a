//! Decides what to do with a request when replies arrive, or when the connection breaks. No I/O.
//!
//! | what happened | then |
//! |---|---|
//! | refused with `NOTPRIMARY` | it was not executed: send it again, to the primary |
//! | never sent | the same |
//! | sent, connection broken, only reads unanswered | the same: reading twice harms nobody |
//! | sent, connection broken, a write unanswered | [`Error::Unknown`]: it may have been executed |
//!
//! A command that blocks is a write like any other: if its connection breaks, it may have taken an element. When a switchover ends its wait
//! it is refused, so it goes on at the new primary, for what is left of its timeout.
//!
//! Exactly-once semantics would change the last row: with a session id and a number on each command, a node can recognize a retry
//! and return the stored reply, so [`Attempt::after_loss`] may return [`Next::Again`] there too. Nothing else in the library
//! would change.

use redis::Value;

use crate::class::Class;
use crate::error::Error;
use crate::request::{Command, Request, Unit, Wait};
use crate::wire::NOT_PRIMARY;

/// A request with the replies that it has so far.
#[derive(Debug)]
pub(crate) struct Attempt {
    request: Request,
    replies: Vec<Option<Value>>,
    /// The transaction depends on keys watched on the connection on which it was sent first.
    pub(crate) watched: bool,
}

/// What to do with a request.
#[derive(Debug)]
pub(crate) enum Next {
    /// All replies are there.
    Done(Vec<Value>),
    /// Send what is still pending, for this reason.
    Again(String),
    /// Tell the caller.
    Fail(Error),
}

impl Attempt {
    pub(crate) fn new(request: Request) -> Self {
        let replies = request.commands.iter().map(|_| None).collect();
        Self { request, replies, watched: false }
    }

    pub(crate) fn unit(&self) -> Unit {
        self.request.unit
    }

    /// How long it blocks, if it does.
    pub(crate) fn wait(&self) -> Option<&Wait> {
        self.request.wait.as_ref()
    }

    /// Commands to be sent, in order.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &Command> {
        self.request.commands.iter().zip(&self.replies).filter(|(_, reply)| reply.is_none()).map(|(command, _)| command)
    }

    /// Commands that have been executed.
    pub(crate) fn done(&self) -> usize {
        self.replies.iter().flatten().count()
    }

    /// As many replies as commands were pending have come.
    pub(crate) fn after_replies(&mut self, replies: Vec<Value>) -> Next {
        assert_eq!(replies.len(), self.pending().count(), "a request is judged when all its replies are there");
        match self.refusal(&replies) {
            Some(why) if self.unit() == Unit::Transaction => return Next::Again(why),
            Some(why) => {
                self.keep(replies);
                return Next::Again(why);
            }
            None => self.keep(replies),
        }
        Next::Done(self.replies.drain(..).flatten().collect())
    }

    /// The connection broke after `replies` had come. `sent`: a part of what was pending may have reached the node.
    pub(crate) fn after_loss(&mut self, replies: Vec<Value>, sent: bool, why: &str) -> Next {
        if !sent {
            return Next::Again(why.to_owned());
        }
        if self.unit() == Unit::Each {
            self.keep(replies);
        }
        // What was refused is pending and unanswered too, and certainly not executed; to tell it from what is unknown would
        // need one more state for a case that a broken connection during a change of role hardly ever makes.
        if self.pending().all(|command| command.class == Class::Read) {
            Next::Again(why.to_owned())
        } else {
            Next::Fail(Error::Unknown(why.to_owned()))
        }
    }

    /// Why the request, or a part of it, was not executed.
    fn refusal(&self, replies: &[Value]) -> Option<String> {
        let refused = replies.iter().find_map(refused);
        match (self.unit(), replies.last()) {
            // A transaction counts by its last reply: a refused part makes `EXEC` fail.
            (Unit::Transaction, Some(Value::ServerError(error))) if error.code() == NOT_PRIMARY => refused,
            (Unit::Transaction, Some(Value::ServerError(error))) if error.code() == "EXECABORT" => refused,
            (Unit::Transaction, _) => None,
            (Unit::Each, _) => refused,
        }
    }

    fn keep(&mut self, replies: Vec<Value>) {
        let open = self.replies.iter_mut().filter(|reply| reply.is_none());
        for (slot, reply) in open.zip(replies) {
            if refused(&reply).is_none() {
                *slot = Some(reply);
            }
        }
    }
}

/// The node's words, if `reply` says that it is not primary and has not executed the command.
pub(crate) fn refused(reply: &Value) -> Option<String> {
    match reply {
        Value::ServerError(error) if error.code() == NOT_PRIMARY => {
            Some(format!("the node is not primary ({})", error.details().unwrap_or_default()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Value {
        redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap()
    }

    fn refusal() -> Value {
        error("NOTPRIMARY 127.0.0.1:6380 ask there")
    }

    fn pipeline(names: &[&str], atomic: bool) -> Attempt {
        let mut pipeline = redis::pipe();
        if atomic {
            pipeline.atomic();
        }
        for name in names {
            pipeline.cmd(name).arg("k");
        }
        Attempt::new(Request::of_pipeline(&pipeline).unwrap())
    }

    fn pending(attempt: &Attempt) -> usize {
        attempt.pending().count()
    }

    #[test]
    fn replies_come_back_in_order_and_errors_are_replies() {
        let replies = vec![Value::Int(1), error("ERR wrong"), Value::Okay];
        let next = pipeline(&["INCR", "LPUSH", "SET"], false).after_replies(replies.clone());
        assert!(matches!(next, Next::Done(done) if done == replies));
    }

    #[test]
    fn of_a_pipeline_only_what_was_refused_is_sent_again() {
        let mut attempt = pipeline(&["INCR", "INCR", "GET"], false);
        let next = attempt.after_replies(vec![Value::Int(1), refusal(), refusal()]);
        assert!(matches!(next, Next::Again(why) if why.contains("6380")));
        assert_eq!((attempt.done(), pending(&attempt)), (1, 2));
        let next = attempt.after_replies(vec![Value::Int(2), Value::Nil]);
        assert!(matches!(next, Next::Done(done) if done == [Value::Int(1), Value::Int(2), Value::Nil]));
    }

    #[test]
    fn a_transaction_is_sent_again_as_a_whole_and_only_if_none_of_it_happened() {
        let abort = error("EXECABORT Transaction discarded because of previous errors.");
        let mut attempt = pipeline(&["SET", "GET"], true);
        for exec in [refusal(), abort.clone()] {
            let next = attempt.after_replies(vec![Value::Okay, Value::SimpleString("QUEUED".into()), refusal(), exec]);
            assert!(matches!(next, Next::Again(_)));
            assert_eq!((attempt.done(), pending(&attempt)), (0, 4));
        }
        let replies = vec![Value::Okay, error("ERR wrong"), error("ERR wrong"), abort];
        assert!(matches!(attempt.after_replies(replies.clone()), Next::Done(done) if done == replies));
    }

    #[test]
    fn what_was_never_sent_is_sent_again() {
        let mut attempt = pipeline(&["INCR"], false);
        assert!(matches!(attempt.after_loss(vec![], false, "cut"), Next::Again(_)));
        assert!(matches!(pipeline(&["INCR"], true).after_loss(vec![], false, "cut"), Next::Again(_)));
    }

    #[test]
    fn an_unanswered_write_is_unknown_and_an_unanswered_read_is_not() {
        let unknown = |next| matches!(next, Next::Fail(Error::Unknown(why)) if why == "cut");
        assert!(unknown(pipeline(&["INCR"], false).after_loss(vec![], true, "cut")));
        assert!(unknown(pipeline(&["GET", "INCR"], false).after_loss(vec![Value::Nil], true, "cut")));
        assert!(unknown(pipeline(&["GET", "SET"], true).after_loss(vec![Value::Okay], true, "cut")));

        assert!(matches!(pipeline(&["GET"], false).after_loss(vec![], true, "cut"), Next::Again(_)));
        assert!(matches!(pipeline(&["GET", "TTL"], true).after_loss(vec![], true, "cut"), Next::Again(_)));
        let pop = Attempt::new(Request::of_args(&["BLPOP", "k", "1"]).unwrap()).after_loss(vec![], true, "cut");
        assert!(unknown(pop), "it may have taken an element");
        let mut answered = pipeline(&["INCR", "GET"], false);
        assert!(matches!(answered.after_loss(vec![Value::Int(1)], true, "cut"), Next::Again(_)));
        assert_eq!((answered.done(), pending(&answered)), (1, 1));
    }
}
