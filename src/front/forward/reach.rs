//! Whether a standby that forwards reaches a primary which serves: the health of the one follows from that of the other.
//!
//! The standby asks the primary `PING` now and then, by the way that its clients' commands go.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use parking_lot::Mutex;
use tanist_db_core::ids::Epoch;
use tanist_replication::serving::{PrimaryAddress, Role};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use super::link::Links;
use super::wire::{Greeting, NODE_ITSELF};
use crate::config::Standby;
use crate::front::NodeContext;
use crate::front::health::{ping_error, primary_elsewhere};
use crate::front::limits::{REACH_EVERY, REACH_WAIT};

/// Longest answer that is read, in bytes: an error is a sentence.
const ANSWER_BYTES_MAX: u64 = 512;

/// What the newest attempt to reach the primary has found.
#[derive(Debug, Default)]
pub(in crate::front) struct PrimaryReach(Mutex<Option<(Epoch, String)>>);

impl PrimaryReach {
    /// Why the primary of `epoch` could not be reached, or cannot serve; `None` if it does, or was not asked yet.
    pub(in crate::front) fn trouble(&self, epoch: Epoch) -> Option<String> {
        self.0.lock().as_ref().filter(|(asked, _)| *asked == epoch).map(|(_, why)| why.clone())
    }

    /// The primary of `epoch` was asked.
    pub(in crate::front) fn note(&self, epoch: Epoch, answer: Result<(), String>) {
        *self.0.lock() = answer.err().map(|why| (epoch, why));
    }
}

/// Asks the primary again and again while the node is a standby that forwards.
pub(in crate::front) async fn watch(context: Arc<NodeContext>, links: Rc<Links>) {
    loop {
        sleep(REACH_EVERY).await;
        let forwards = context.serving.role() == Role::Standby && context.settings.standby() != Standby::Refuse;
        let epoch = context.serving.epoch();
        let Some(primary) = primary_elsewhere(&context).filter(|_| forwards) else { continue };
        let greeting = Greeting {
            epoch,
            incarnation: context.identity.incarnation,
            client: NODE_ITSELF,
            first: 0,
            address: String::new(),
        };
        let mut answer = attempt(&links, &primary, &greeting).await;
        if answer.is_err() {
            // The connection may have been an old one.
            answer = attempt(&links, &primary, &greeting).await;
        }
        context.primary_reach.note(epoch, answer);
    }
}

async fn attempt(links: &Links, primary: &PrimaryAddress, greeting: &Greeting) -> Result<(), String> {
    let asked = async { ask(&mut links.open(primary, greeting).await?).await };
    let answer = timeout(REACH_WAIT, asked).await;
    answer
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|why| format!("node {}: {why}", primary.node))
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    stream.write_all(b"PING\r\n").await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
    match answer.trim_end() {
        "+PONG" => Ok(()),
        "" => Err(io::ErrorKind::UnexpectedEof.into()),
        error => Err(io::Error::other(error.trim_start_matches('-').to_owned())),
    }
}

/// The answer to a node that asks for itself.
pub(super) fn answer(context: &NodeContext, asked: Epoch) -> String {
    let (epoch, now) = (context.serving.epoch(), context.clock.monotonic());
    match ping_error(context, now) {
        Some(why) => format!("-{why}\r\n"),
        None if epoch > asked => format!("-MASTERDOWN another epoch, {epoch}, has begun\r\n"),
        None => "+PONG\r\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_counts_in_its_epoch_alone() {
        let reach = PrimaryReach::default();
        assert_eq!(reach.trouble(Epoch(1)), None, "nobody was asked");
        reach.note(Epoch(1), Err("nobody is there".into()));
        assert_eq!(reach.trouble(Epoch(1)).as_deref(), Some("nobody is there"));
        assert_eq!(reach.trouble(Epoch(2)), None, "of another primary nothing is known yet");
        reach.note(Epoch(1), Ok(()));
        assert_eq!(reach.trouble(Epoch(1)), None);
    }

    #[test]
    fn only_a_pong_says_that_the_primary_serves() {
        let asked = |answer: &'static str| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (mut ours, mut theirs) = tokio::io::duplex(64);
                theirs.write_all(answer.as_bytes()).await.unwrap();
                theirs.shutdown().await.unwrap();
                ask(&mut ours).await.map_err(|error| error.to_string())
            })
        };
        assert_eq!(asked("+PONG\r\n"), Ok(()));
        assert_eq!(asked("-MISCONF it cannot\r\n"), Err("MISCONF it cannot".into()));
        assert_eq!(asked(""), Err("unexpected end of file".into()));
    }
}
