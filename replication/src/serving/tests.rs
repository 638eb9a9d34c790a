use std::future::Future;
use std::pin::Pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use super::*;
use crate::limits::SERVING_WAITERS_MAX;

fn primary(until: u64) -> Standing {
    Standing {
        role: Role::Primary,
        epoch: Epoch(4),
        lease_until: Monotonic(until),
        execute_until: Monotonic(until),
        long_waits: false,
        took_over: false,
        primary: None,
    }
}

struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counting() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count(AtomicU32::new(0)));
    (Arc::clone(&count), Waker::from(count))
}

fn poll(wait: &mut Wait<'_>, waker: &Waker) -> Poll<Woken> {
    Pin::new(wait).poll(&mut Context::from_waker(waker))
}

#[test]
fn execution_ends_with_the_lease_and_says_why() {
    let serving = Serving::new();
    assert_eq!(serving.may_execute(Monotonic(0)), Permit::NotPrimary);
    serving.publish(&primary(100), Monotonic(10));
    assert_eq!(serving.may_execute(Monotonic(99)), Permit::Yes);
    assert_eq!(serving.may_execute(Monotonic(100)), Permit::Hold);
    assert!(serving.enter(Monotonic(99)).is_ok());
    assert_eq!(serving.enter(Monotonic(100)).err(), Some(Permit::Hold));
    let held = Standing { role: Role::HandingOver, execute_until: Monotonic(0), ..primary(100) };
    serving.publish(&held, Monotonic(20));
    assert_eq!(serving.may_execute(Monotonic(21)), Permit::Hold);
    serving.publish(&Standing { role: Role::Fenced, ..Standing::joining() }, Monotonic(30));
    assert_eq!(serving.may_execute(Monotonic(31)), Permit::Stopped);
}

#[test]
fn a_renewal_within_the_lease_wakes_nobody_and_one_after_it_wakes_all() {
    const SECOND: u64 = 1_000_000;
    let serving = Serving::new();
    serving.publish(&primary(2 * SECOND), Monotonic(10));
    let seen = serving.version();
    serving.publish(&primary(3 * SECOND), Monotonic(SECOND));
    assert_eq!(serving.version(), seen);
    serving.publish(&primary(5 * SECOND), Monotonic(4 * SECOND));
    assert_ne!(serving.version(), seen, "held sessions must learn that the lease is back");
}

/// A session held by a lease that ended after the renewal's `now` was read, and before the renewal was published: it slept on
/// until its own deadline.
#[test]
fn a_renewal_at_the_last_moment_wakes_whoever_found_the_lease_ended() {
    let serving = Serving::new();
    serving.publish(&primary(1_000_000), Monotonic(10));
    let renewal = Monotonic(999_999);
    assert_eq!(serving.may_execute(Monotonic(1_000_000)), Permit::Hold);
    let seen = serving.version();
    serving.publish(&primary(3_000_000), renewal);
    assert_ne!(serving.version(), seen);
}

#[test]
fn only_reached_positions_are_woken() {
    let serving = Serving::new();
    let (count, waker) = counting();
    let seen = serving.version();
    let mut waits: Vec<_> = (1..=10).map(|lsn| serving.wait(Lsn(lsn), seen)).collect();
    for wait in &mut waits {
        assert!(poll(wait, &waker).is_pending());
    }
    serving.advance_durable(Lsn(4));
    assert_eq!(count.0.load(Ordering::SeqCst), 4);
    for (i, wait) in waits.iter_mut().enumerate() {
        assert_eq!(poll(wait, &waker).is_ready(), i < 4);
    }
    serving.advance_durable(Lsn(3));
    assert_eq!((serving.durable(), count.0.load(Ordering::SeqCst)), (Lsn(4), 4));
    serving.publish(&primary(9), Monotonic(1));
    assert_eq!(count.0.load(Ordering::SeqCst), 10, "a change of role wakes everyone");
    assert_eq!(poll(&mut waits[9], &waker), Poll::Ready(Woken::Changed));
}

#[test]
fn a_dropped_wait_leaves_nothing_behind() {
    let serving = Serving::new();
    let (_, waker) = counting();
    let mut wait = serving.wait(Lsn(5), serving.version());
    assert!(poll(&mut wait, &waker).is_pending());
    assert!(poll(&mut wait, &waker).is_pending());
    assert_eq!(serving.waiters.lock().by_position.len(), 1);
    drop(wait);
    assert!(serving.waiters.lock().by_position.is_empty());
}

#[test]
fn a_fenced_node_confirms_nothing() {
    let serving = Serving::new();
    serving.advance_durable(Lsn(5));
    serving.publish(&Standing { role: Role::Fenced, ..Standing::joining() }, Monotonic(1));
    serving.advance_durable(Lsn(9));
    let (_, waker) = counting();
    assert_eq!(poll(&mut serving.wait(Lsn(6), serving.version()), &waker), Poll::Ready(Woken::Stopped));
    assert_eq!(poll(&mut serving.wait(Lsn(5), serving.version()), &waker), Poll::Ready(Woken::Durable));
}

#[test]
fn waiters_are_bounded() {
    let serving = Serving::new();
    let (_, waker) = counting();
    let mut waits: Vec<_> = (0..=SERVING_WAITERS_MAX).map(|_| serving.wait(Lsn(1), serving.version())).collect();
    let outcomes = waits.iter_mut().map(|wait| poll(wait, &waker));
    let crowded = outcomes.filter(|outcome| *outcome == Poll::Ready(Woken::Crowded)).count();
    assert_eq!(crowded, 1);
}

/// Sixteen tasks on four threads wait for every position up to 5,000 while another thread raises it in uneven steps and
/// keeps changing the role: each wait must end. A lost wake-up shows as the timeout.
#[test]
fn no_wake_up_is_lost_between_threads() {
    const LAST: u64 = 5_000;
    let serving = Serving::new();
    let start = Barrier::new(5);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                start.wait();
                runtime.block_on(async {
                    let waiting = futures_util::future::join_all((0..4).map(|_| async {
                        let mut changes = 0_u64;
                        for lsn in 1..=LAST {
                            loop {
                                match serving.wait(Lsn(lsn), serving.version()).await {
                                    Woken::Durable => break,
                                    Woken::Changed => changes += 1,
                                    other => panic!("{other:?}"),
                                }
                            }
                        }
                        changes
                    }));
                    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("a wake-up was lost")
                })
            });
        }
        start.wait();
        let mut lsn = 0;
        while lsn < LAST {
            lsn = (lsn + 1 + lsn % 3).min(LAST);
            serving.advance_durable(Lsn(lsn));
            if lsn % 7 == 0 {
                serving.publish(&Standing { epoch: Epoch(lsn), ..primary(lsn) }, Monotonic(0));
            }
            if lsn % 5 == 0 {
                std::thread::yield_now();
            }
        }
    });
}

/// Eight threads append under the guard; the role driver's thread holds, waits for quiet, and reads the end twice: between the two
/// nothing may have been appended, however the threads are scheduled.
#[test]
fn a_complete_hold_is_exact() {
    let serving = Serving::new();
    let appended = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    if let Ok(guard) = serving.enter(Monotonic(5)) {
                        std::hint::spin_loop();
                        appended.fetch_add(1, Ordering::Relaxed);
                        drop(guard);
                    }
                }
            });
        }
        for _ in 0..100 {
            serving.publish(&primary(10), Monotonic(0));
            std::thread::yield_now();
            serving.publish(
                &Standing { role: Role::HandingOver, execute_until: Monotonic(0), ..primary(10) },
                Monotonic(0),
            );
            while serving.executing() != 0 {
                std::thread::yield_now();
            }
            let before = appended.load(Ordering::Relaxed);
            std::thread::yield_now();
            assert_eq!(appended.load(Ordering::Relaxed), before);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(appended.load(Ordering::Relaxed) > 0);
}

/// The queue fills and empties between a producer that waits for room and a shipper that frees it.
#[test]
fn room_is_never_waited_for_in_vain() {
    let serving = Serving::new();
    let queued = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                for _ in 0..10_000 {
                    while queued.load(Ordering::Relaxed) > 0 {
                        let seen = serving.want_room();
                        if queued.load(Ordering::Relaxed) > 0 {
                            let woken = tokio::time::timeout(Duration::from_secs(30), serving.changed(seen)).await;
                            assert_eq!(woken.expect("room was made and nobody was told"), Woken::Changed);
                        }
                    }
                    queued.fetch_add(1, Ordering::Relaxed);
                }
            });
        });
        let mut taken = 0;
        while taken < 10_000 {
            let took = queued.swap(0, Ordering::Relaxed);
            taken += took;
            if took > 0 {
                serving.room_freed();
            } else {
                std::thread::yield_now();
            }
        }
    });
}

#[test]
fn a_command_that_takes_long_is_seen_wherever_it_is_executed() {
    let serving = Serving::new();
    assert_eq!(serving.enter_long(Monotonic(5)).unwrap_err(), Permit::NotPrimary);
    serving.publish(&primary(100), Monotonic(5));
    let executing = serving.enter_long(Monotonic(5)).unwrap();
    assert_eq!((serving.executing(), serving.long_executing()), (1, 1));
    let elsewhere = std::thread::spawn(move || drop(executing));
    elsewhere.join().unwrap();
    assert_eq!((serving.executing(), serving.long_executing()), (0, 0));
    assert_eq!(serving.enter_long(Monotonic(100)).unwrap_err(), Permit::Hold, "the lease has ended");
    assert_eq!((serving.executing(), serving.long_executing()), (0, 0), "who is refused leaves nothing behind");
}

/// A stream of long commands of many clients would keep a switchover from its moment without end.
#[test]
fn commands_that_take_long_wait_for_a_switchover_that_waits_for_them() {
    let serving = Serving::new();
    serving.publish(&primary(100), Monotonic(5));
    let executing = serving.enter_long(Monotonic(5)).unwrap();
    serving.publish(&Standing { long_waits: true, ..primary(100) }, Monotonic(6));
    assert_eq!(serving.enter_long(Monotonic(7)).unwrap_err(), Permit::Hold);
    assert!(serving.enter(Monotonic(7)).is_ok(), "all others go on");
    drop(executing);
    assert_eq!((serving.enter_long(Monotonic(8)).is_err(), serving.long_executing()), (true, 0));
    let seen = serving.version();
    serving.publish(&primary(100), Monotonic(9));
    assert_ne!(serving.version(), seen, "who waits must learn that it is over");
    assert!(serving.enter_long(Monotonic(10)).is_ok());
}
