//! Actors on named operating system threads of their own.

use actix::{Actor, Addr, Context};
use tokio::sync::oneshot;

/// Kept by an actor as long as its thread is to run.
#[derive(Debug)]
pub(crate) struct Life {
    _ends: oneshot::Sender<()>,
}

/// Starts the actor that `make` makes, on a new thread `name` with its own arbiter. The thread ends with the actor. Blocks
/// until the actor was made, which is a matter of a new thread.
pub(crate) fn on_thread<A>(
    name: &str,
    make: impl FnOnce(Life) -> Result<A, String> + Send + 'static,
) -> Result<Addr<A>, String>
where
    A: Actor<Context = Context<A>>,
{
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let body = move || {
        actix_rt::System::new().block_on(async move {
            let (ends, ended) = oneshot::channel();
            let started = make(Life { _ends: ends }).map(Actor::start);
            let running = started.is_ok();
            // Whoever asked waits for this.
            let _ = tell.send(started);
            if running {
                // Comes to its end when the actor, and with it its `Life`, is dropped.
                let _ = ended.await;
            }
        });
    };
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    spawned.map_err(|error| format!("thread {name} cannot be started: {error}"))?;
    told.recv().map_err(|_| format!("thread {name} ended before its actor was started"))?
}
