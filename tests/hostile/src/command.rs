//! Commands at an engine that has no front.

use tanist_db_core::clock::UnixMillis;
use tanist_db_core::command::Reply;
use tanist_db_core::command::testing::NoFront;
use tanist_db_core::engine::{Engine, Session};

/// Executes a command at this wall time, and gives the reply's bytes.
pub(crate) fn execute<W: AsRef<[u8]>>(engine: &Engine, session: &mut Session, words: &[W], now: u64) -> Vec<u8> {
    let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
    // It sleeps: a front refuses it unless its settings allow tests.
    if words.first().is_some_and(|name| name.eq_ignore_ascii_case(b"debug")) {
        return b"-ERR".to_vec();
    }
    let mut reply = Reply::new(session.protocol());
    engine.execute(session, &mut NoFront, &words, UnixMillis(now), &mut reply);
    reply.as_bytes().to_vec()
}
