//! Showing a new standing to the sessions, and to the engine what it means.

use tanist_db_core::clock::Monotonic;
use tanist_db_core::engine::Engine;

use crate::serving::{Role, Serving, Standing};

/// Publishes `standing`. Whoever may execute must find an engine that writes, and whoever finds that it does not any more must
/// find the hold.
pub fn show(standing: &Standing, engine: &Engine, serving: &Serving, now: Monotonic) {
    let before = serving.role();
    if standing.role == Role::Primary && before == Role::HandingOver {
        engine.resume_epoch();
    }
    serving.publish(standing, now);
    if standing.role == Role::HandingOver && before != Role::HandingOver {
        engine.end_epoch();
    }
}
