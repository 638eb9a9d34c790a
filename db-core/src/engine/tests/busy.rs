//! Shards that are locked by another command: no thread blocks, and no wake-up is lost.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::sync_channel;
use std::task::{Context, Poll, Wake, Waker};

use super::*;
use crate::clock::SystemClock;
use crate::limits::WATCHED_BYTES_MAX;

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs `act` while another thread holds all shards of `engine`.
fn while_held<T>(engine: &Arc<Engine>, act: impl FnOnce() -> T) -> T {
    let (hold, held) = sync_channel::<()>(0);
    let (resume, resumed) = sync_channel::<()>(0);
    let holder = Arc::clone(engine);
    let thread = std::thread::spawn(move || {
        holder.while_held(|| {
            hold.send(()).unwrap();
            resumed.recv().unwrap_err();
        });
    });
    held.recv().unwrap();
    let result = act();
    drop(resume);
    thread.join().unwrap();
    result
}

fn is_busy(executed: (String, Executed)) -> bool {
    executed.0.is_empty() && matches!(executed.1.refused(), Some(Refused::Busy(_)))
}

#[test]
fn a_command_that_needs_a_held_shard_leaves_no_trace_and_succeeds_later() {
    let mut client = Client::alone();
    client.run("set a 1");
    let engine = Arc::clone(&client.engine);
    let lines = ["get a", "incr a", "mset a 5 b 6", "keys *", "scan 0", "watch a", "flushall", "dbsize"];
    while_held(&engine, || {
        for line in lines {
            assert!(is_busy(client.executed(line)), "{line}");
        }
        client.run("multi");
        assert_eq!(client.run("incr a"), "+QUEUED|", "what is queued needs no shard");
        assert!(is_busy(client.executed("exec")));
        assert!(client.session.in_multi(), "an EXEC that was refused may be tried again");
        assert_eq!(client.run("echo x"), "+QUEUED|");
        assert_eq!((engine.last(), engine.keys()), (Lsn(2), 1), "figures are known, and nothing has happened");
    });
    assert_eq!(client.run("exec"), "*2|:2|$1|x|");
    assert_eq!(client.run("get a"), "$1|2|");
}

#[test]
fn whoever_waits_for_a_shard_is_woken_when_it_is_free() {
    let client = Client::alone();
    let engine = Arc::clone(&client.engine);
    let bell = Arc::<Bell>::default();
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    let mut free = pin!(engine.shard_free(ShardId(2), Rank::First));
    let mut given_up = Some(Box::pin(engine.shard_free(ShardId(2), Rank::First)));
    while_held(&engine, || {
        for _ in 0..3 {
            assert_eq!(free.as_mut().poll(&mut cx), Poll::Pending);
        }
        assert_eq!(given_up.as_mut().unwrap().as_mut().poll(&mut cx), Poll::Pending);
        given_up = None;
        assert_eq!(bell.0.load(Ordering::Relaxed), 0);
    });
    assert_eq!(bell.0.load(Ordering::Relaxed), 1, "once, and nobody who has given up");
    assert_eq!(free.as_mut().poll(&mut cx), Poll::Ready(()));
    assert_eq!(
        pin!(engine.shard_free(ShardId(2), Rank::First)).poll(&mut cx),
        Poll::Ready(()),
        "a free shard is not waited for"
    );
}

#[test]
fn whoever_waits_comes_before_long_commands() {
    let client = Client::alone();
    let engine = Arc::clone(&client.engine);
    let bell = Arc::<Bell>::default();
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    let rung = || bell.0.load(Ordering::Relaxed);
    let mut first = None;
    let mut long = pin!(engine.shard_free(ShardId(2), Rank::Long));
    while_held(&engine, || {
        assert_eq!(engine.claimed(), None);
        assert_eq!(long.as_mut().poll(&mut cx), Poll::Pending);
        assert_eq!(engine.claimed(), None, "a long command claims nothing");
        first = Some(Box::pin(engine.shard_free(ShardId(2), Rank::First)));
        assert_eq!(first.as_mut().unwrap().as_mut().poll(&mut cx), Poll::Pending);
        assert_eq!(engine.claimed(), Some(ShardId(2)));
    });
    assert_eq!(rung(), 1, "whoever comes first");
    assert_eq!(first.as_mut().unwrap().as_mut().poll(&mut cx), Poll::Ready(()));
    assert_eq!(engine.claimed(), Some(ShardId(2)), "it has yet to try");
    assert_eq!(long.as_mut().poll(&mut cx), Poll::Pending, "it is free, but not for it");
    first = None;
    assert_eq!((engine.claimed(), rung()), (None, 2));
    assert_eq!(long.as_mut().poll(&mut cx), Poll::Ready(()));
    assert!(first.is_none());
}

/// Threads take one shard in turns, each waiting for it without blocking: every wake-up that is lost ends the test in silence.
#[test]
fn no_wake_up_is_lost_among_threads() {
    const TURNS: usize = 20_000;
    let engine = primary();
    let taken = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
                let mut cx = Context::from_waker(&waker);
                while taken.load(Ordering::Relaxed) < TURNS {
                    if let Some(_held) = engine.cells[1].try_lock() {
                        taken.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    let mut free = pin!(engine.shard_free(ShardId(1), Rank::First));
                    while free.as_mut().poll(&mut cx).is_pending() {
                        std::thread::park();
                    }
                }
            });
        }
    });
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn upkeep_passes_over_what_is_held() {
    let mut client = Client::alone();
    client.run("set a 1 px 10");
    let engine = Arc::clone(&client.engine);
    let late = UnixMillis(client.now + 1_000);
    while_held(&engine, || {
        assert_eq!(engine.expire_due(late, 100), 0);
        engine.try_freeze(&SystemClock::new()).unwrap_err();
    });
    assert_eq!(engine.expire_due(late, 100), 1);
    engine.try_freeze(&SystemClock::new()).unwrap();
}

/// A session that ends while a long command holds the shards must not wait for them; its watches go with the next.
#[test]
fn watches_that_end_while_their_shard_is_held_are_forgotten_later() {
    let engine = primary();
    let watched =
        |engine: &Engine| engine.cells.iter().filter(|cell| !cell.lock().watched.databases.is_empty()).count();
    let mut client = Client::new(&engine);
    client.run("watch a");
    assert_eq!(watched(&engine), 1);
    while_held(&engine, || drop(client));
    assert_eq!(watched(&engine), 1, "it is still there");
    let mut other = Client::new(&engine);
    other.run("watch a");
    other.run("unwatch");
    assert_eq!(watched(&engine), 0);
    assert!(engine.cells.iter().all(|cell| cell.abandoned.lock().is_empty()));
    let long = "k".repeat(KEY_BYTES_MAX);
    assert!(WATCHED_BYTES_MAX > long.len(), "what a session leaves behind is bounded");
}
