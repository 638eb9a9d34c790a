//! A command that waits for a key, and who serves it.
//!
//! Two may end the wait: the command that adds what it waits for, and its own session, when it times out, is unblocked or hangs
//! up. One atomic token says who does.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::call::{Blocking, Call, CommandSpec, KeyArg, Protocol};
use crate::ids::Lsn;

/// Its session may end the wait.
const WAITING: u8 = 0;
/// Another command is about to serve it: its locks are held, and it says soon what has become of it.
const CLAIMED: u8 = 1;
/// It has its reply.
const SERVED: u8 = 2;
/// Its session has ended the wait.
const LEFT: u8 = 3;

/// A blocked command.
#[derive(Debug)]
pub(crate) struct Waiter {
    token: AtomicU8,
    /// The session is to execute it again.
    called: AtomicBool,
    waker: Mutex<Option<Waker>>,
    served: Mutex<Option<Served>>,
    pub(super) call: WaitingCall,
}

/// A reply that another command made.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) reply: Vec<u8>,
    /// The record that has it.
    pub(super) lsn: Lsn,
}

/// What is to be executed for it.
pub(super) struct WaitingCall {
    pub(super) spec: &'static CommandSpec,
    pub(super) blocking: &'static Blocking,
    pub(super) args: Box<[Box<[u8]>]>,
    pub(super) keys: Box<[KeyArg]>,
    /// How many of its keys it waits for, from the first one on.
    pub(super) awaited: usize,
    /// The logical number of its database.
    pub(super) logical: u8,
    pub(super) protocol: Protocol,
}

impl WaitingCall {
    /// The call as its session executes it, which waits for so many of its keys, or all that there are.
    pub(super) fn new(
        blocking: &'static Blocking,
        call: &Call<'_>,
        awaited: usize,
        logical: u8,
        protocol: Protocol,
    ) -> WaitingCall {
        let (args, keys) = (call.args().iter().map(|arg| (*arg).into()).collect(), call.key_args());
        WaitingCall {
            spec: call.spec,
            blocking,
            args,
            keys: keys.into(),
            awaited: awaited.min(keys.len()),
            logical,
            protocol,
        }
    }

    /// Its arguments with the name.
    pub(super) fn args(&self) -> impl Iterator<Item = &[u8]> {
        self.args.iter().map(|arg| &**arg)
    }

    /// Puts other arguments in the place of some, none of which is a key.
    pub(super) fn replace(&mut self, args: Vec<(usize, Vec<u8>)>) {
        for (at, arg) in args {
            self.args[at] = arg.into();
        }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        let args: usize = self.args.iter().map(|arg| arg.len() + size_of::<Box<[u8]>>()).sum();
        args + size_of_val(&*self.keys)
    }

    fn named<'c>(&'c self, keys: &'c [KeyArg]) -> impl Iterator<Item = (&'c [u8], u64)> {
        keys.iter().map(|key| (&*self.args[key.at as usize], key.hash))
    }

    /// The keys that it waits for, with their hashes.
    pub(super) fn awaited(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.named(&self.keys[..self.awaited])
    }

    /// The keys beside those that it needs when it is served.
    pub(super) fn others(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.named(&self.keys[self.awaited..])
    }
}

impl fmt::Debug for WaitingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingCall")
            .field("spec", &self.spec.name)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

impl Waiter {
    pub(super) fn new(call: WaitingCall) -> Waiter {
        Waiter {
            token: AtomicU8::new(WAITING),
            called: AtomicBool::default(),
            waker: Mutex::default(),
            served: Mutex::default(),
            call,
        }
    }

    /// The key is there: wakes the session, which executes the command again. Whoever registers a waker looks for a call afterwards, so none
    /// is lost.
    pub(super) fn call(&self) {
        // Release: who sees the call sees what was done before it. The waker's lock orders it before or behind a registration.
        self.called.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    /// Whether it was called and has not [tried](Self::take_call) since.
    pub(super) fn is_called(&self) -> bool {
        self.called.load(Ordering::Acquire)
    }

    /// Whether it was called since the last time.
    pub(super) fn take_call(&self) -> bool {
        self.called.swap(false, Ordering::Acquire)
    }

    pub(super) fn is_served(&self) -> bool {
        self.token.load(Ordering::Acquire) == SERVED
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        *self.waker.lock() = Some(cx.waker().clone());
        if self.is_called() || self.is_served() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn pass_token(&self, from: u8, to: u8) -> bool {
        self.token.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Somebody is about to serve it; false if its session has ended the wait, or another serves it.
    pub(super) fn claim(&self) -> bool {
        self.pass_token(WAITING, CLAIMED)
    }

    /// Whoever has claimed it could not serve it: it waits on.
    pub(super) fn release(&self) {
        self.token.store(WAITING, Ordering::Release);
        // Its session may have wanted to end the wait meanwhile.
        self.wake();
    }

    /// Whoever has claimed it has its reply.
    pub(super) fn serve(&self, served: Served) {
        *self.served.lock() = Some(served);
        self.token.store(SERVED, Ordering::Release);
        self.wake();
    }

    /// Its session ends the wait; false if it is served, or about to be: then it is woken.
    pub(super) fn leave(&self) -> bool {
        self.pass_token(WAITING, LEFT) || self.token.load(Ordering::Acquire) == LEFT
    }

    /// Its reply, if another command has served it.
    pub(super) fn take_served(&self) -> Option<Served> {
        self.served.lock().take()
    }
}
