//! Commands at an engine that has no front.

use tanist_db_core::clock::UnixMillis;
use tanist_db_core::command::{FrontCommand, Reply};
use tanist_db_core::engine::{Engine, Front, Session};

struct NoFront;

impl Front for NoFront {
    fn run(&mut self, _: FrontCommand, _: &[&[u8]], _: &mut Session, reply: &mut Reply) {
        reply.simple("OK");
    }
}

/// Executes a command at this wall time, and gives the reply's bytes.
pub(crate) fn execute<W: AsRef<[u8]>>(engine: &Engine, session: &mut Session, words: &[W], now: u64) -> Vec<u8> {
    let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
    let mut reply = Reply::new(session.protocol());
    engine.execute(session, &mut NoFront, &words, UnixMillis(now), &mut reply);
    reply.as_bytes().to_vec()
}
