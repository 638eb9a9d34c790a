//! Push messages from other sessions, written between replies.
//!
//! A message is written between two turns: never within a reply, and after every reply that was there when it was sent. While a
//! command of the session runs on a worker thread, it is not known what data it has seen, so messages wait until it is back, and until
//! the last piece of a large reply, or of one that the primary makes, has come. They pass the reply gate like replies. As in Redis they are not replies: `CLIENT REPLY`
//! neither silences them nor skips one instead of a reply.

use tanist_db_core::ids::Lsn;
use tanist_db_core::planted::planted;

use super::{Conversation, Runtime};
use crate::config::Durability;
use crate::front::reply_gate::Instead;

impl<W: Runtime> Conversation<'_, W> {
    /// Whether a message is there that can be written.
    pub(super) fn may_take_messages(&self) -> bool {
        let has_room = self.away.is_none() && self.large.is_none() && !self.output.is_full() && !self.caller.closing;
        has_room && !self.forwarding.is_within_reply() && self.caller.entry().has_messages()
    }

    /// Writes messages as long as there is room for them: the rest waits where its bound is known.
    pub(super) fn take_messages(&mut self) {
        while self.may_take_messages() {
            let Some(message) = self.caller.entry().take_message() else { return };
            let reply_start = self.output.reply.len();
            self.output.reply.raw(message.bytes(self.session.protocol()));
            self.runtime.messaged(message.lsn);
            self.gate_message(reply_start, message.lsn);
        }
    }

    fn gate_message(&mut self, reply_start: usize, lsn: Lsn) {
        let serving = &*self.context.serving;
        if self.context.durability() == Durability::Relaxed || planted("a message passes the gate") {
            self.output.finish_free(reply_start);
        } else {
            let deadline = self.context.clock.monotonic().after(self.context.settings.durable_wait());
            self.output.finish(reply_start, lsn, serving.durable(), deadline, Instead::End);
        }
    }

    /// A message has waited too long for the vault, and is not told.
    pub(super) fn miss_message(&self) {
        let wait = self.context.settings.durable_wait().as_millis();
        let why = format!("the vault did not confirm within {wait} ms what a message for it tells");
        self.context.registry.cut_off(self.caller.entry(), &why);
    }
}
