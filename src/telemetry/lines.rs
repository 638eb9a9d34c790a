//! Asynchronous output of lines to stderr or stdout by a thread of its own: a disk that hangs, or a reader that has stopped,
//! never blocks a thread that logs. Lines that do not fit into the buffer are dropped and counted, and the count is logged later.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use crate::config::limits::{LINES_WAITING_BYTES_MAX, LINES_WAITING_MAX};

/// Where lines are written to. Clones write to the same.
#[derive(Clone)]
pub(super) struct Lines {
    orders: SyncSender<Order>,
    waiting: Arc<Backlog>,
}

#[derive(Default)]
struct Backlog {
    bytes: AtomicUsize,
    lost: AtomicUsize,
}

enum Order {
    Write(Vec<u8>),
    /// Everything before has been written once the sender is dropped.
    Flush(#[expect(dead_code, reason = "its drop is what is waited for")] SyncSender<()>),
}

impl Lines {
    /// Starts the thread. `say_lost` makes the line that stands where so many were lost.
    pub(super) fn start(target: impl Write + Send + 'static, say_lost: fn(usize) -> String) -> io::Result<Lines> {
        let (orders, received) = sync_channel(LINES_WAITING_MAX);
        let waiting = Arc::<Backlog>::default();
        let shared = Arc::clone(&waiting);
        std::thread::Builder::new()
            .name("lines".into())
            .spawn(move || write_all(&received, &shared, target, say_lost))?;
        Ok(Lines { orders, waiting })
    }

    /// Hands over one line, with its end. Never blocks.
    pub(super) fn send(&self, line: Vec<u8>) {
        // Relaxed, here and below: figures of their own; the channel orders the rest.
        let bytes = line.len();
        let before = self.waiting.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = before + bytes <= LINES_WAITING_BYTES_MAX;
        if !fits || self.orders.try_send(Order::Write(line)).is_err() {
            self.waiting.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.waiting.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Asks to be told when everything that was handed over has been written.
    pub(super) fn flush(&self) -> Written {
        let (done, written) = sync_channel(0);
        // Where there is no room the reader has stopped: there is nothing to wait for.
        let _sent = self.orders.try_send(Order::Flush(done));
        Written(written)
    }
}

/// See [`Lines::flush`].
pub(super) struct Written(Receiver<()>);

impl Written {
    /// Returns once it has been written, at the latest after `time`.
    pub(super) fn wait(self, time: Duration) {
        let _written = self.0.recv_timeout(time);
    }
}

fn write_all(orders: &Receiver<Order>, waiting: &Backlog, mut target: impl Write, say_lost: fn(usize) -> String) {
    while let Ok(order) = orders.recv() {
        let Order::Write(line) = order else { continue };
        // In one write: two processes may share a pipe.
        let written = target.write_all(&line).is_ok();
        waiting.bytes.fetch_sub(line.len(), Ordering::Relaxed);
        if !written {
            waiting.lost.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let lost = waiting.lost.swap(0, Ordering::Relaxed);
        if lost > 0 && target.write_all(say_lost(lost).as_bytes()).is_err() {
            waiting.lost.fetch_add(lost, Ordering::Relaxed);
        }
    }
}

/// A log line comes in one write.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.send(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn say_lost(lines: usize) -> String {
        format!("{lines} lost\n")
    }

    #[test]
    fn a_reader_that_has_stopped_holds_up_nobody_and_is_told_what_it_missed() {
        let (mut reader, writer) = io::pipe().unwrap();
        let lines = Lines::start(writer, say_lost).unwrap();
        let line = [&[b'x'; 999][..], b"\n"].concat();
        for _ in 0..5_000 {
            lines.send(line.clone());
        }
        lines.flush().wait(Duration::from_millis(10));
        let kept = {
            let mut text = vec![0; 1_000_000];
            reader.read_exact(&mut text).unwrap();
            lines.send(b"later\n".to_vec());
            drop(lines);
            reader.read_to_end(&mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        let whole = kept.lines().filter(|line| line.len() == 999).count();
        let lost: usize = kept.lines().filter_map(|line| line.strip_suffix(" lost")?.parse::<usize>().ok()).sum();
        assert!(lost > 3_000 && whole + lost == 5_000, "{whole} + {lost}");
        assert!(kept.ends_with("later\n"));
    }

    #[test]
    fn what_was_said_before_a_flush_has_been_written_after_it() {
        let (mut reader, writer) = io::pipe().unwrap();
        let lines = Lines::start(writer, say_lost).unwrap();
        lines.send(b"one\n".to_vec());
        lines.flush().wait(Duration::from_secs(60));
        let mut text = [0; 4];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"one\n");
    }

    #[test]
    fn a_target_that_fails_ends_nothing() {
        struct Fails(usize);
        impl Write for Fails {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                Err(io::Error::other("no room"))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::start(Fails(0), say_lost).unwrap();
        (0..3).for_each(|_| lines.send(b"x\n".to_vec()));
        lines.flush().wait(Duration::from_secs(60));
        assert_eq!(lines.waiting.lost.load(Ordering::Relaxed), 3);
    }
}
