//! Marks between the replies that a session sends to the node which forwards to it. Their bytes: `src/front/forward/wire.rs`.

use tanist_db_core::ids::Lsn;
use tanist_db_core::planted::planted;

use super::{Conversation, Runtime};
use crate::front::forward::{END, position_mark};

/// What such a node has been told.
#[derive(Debug)]
pub(super) struct Marks {
    is_end_told: bool,
    /// Largest for a session to which nobody forwards, so that one comparison says for each reply that nothing is to be told.
    position: Lsn,
}

impl Marks {
    pub(super) fn new(is_forwarded: bool) -> Marks {
        Marks { is_end_told: !is_forwarded, position: if is_forwarded { Lsn::ZERO } else { Lsn(u64::MAX) } }
    }
}

impl<W: Runtime> Conversation<'_, W> {
    /// Sends the mark: what has no reply is not executed.
    pub(super) fn tell_end(&mut self) {
        if !std::mem::replace(&mut self.marks.is_end_told, true) {
            let start = self.output.reply.len();
            self.output.reply.raw(&END);
            self.output.finish_free(start);
        }
    }

    /// Puts the mark before the reply that began at offset `reply_start`, which depends on the record `lsn`: whoever has the reply knows
    /// that it does.
    #[inline]
    pub(super) fn tell_position(&mut self, reply_start: usize, lsn: Lsn) {
        if lsn > self.marks.position && !planted("a reply does not say what it depends on") {
            self.marks.position = lsn;
            self.output.insert(reply_start, &position_mark(lsn));
        }
    }
}
