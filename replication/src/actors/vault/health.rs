//! The vault's health: answered on request, pushed to subscribers, and logged.

use std::sync::Arc;

use parking_lot::Mutex;
use tanist_db_core::clock::{Clock, Monotonic};
use tokio::sync::watch;

use crate::EVENT;
use crate::limits::HEALTH_NEWS_EVERY;
use crate::repeats::Repeats;
use crate::vault::StorageError;
use crate::vault::room::DiskRoom;
use crate::wire::message::HealthView;

/// Shared by the log writer's thread and the tasks that store images.
#[derive(Debug)]
pub(super) struct Health {
    clock: Arc<dyn Clock>,
    state: Mutex<HealthState>,
    /// What databases are told.
    news: watch::Sender<HealthView>,
}

#[derive(Debug, Default)]
struct HealthState {
    room: DiskRoom,
    lines: Repeats,
    /// The next news leave no sooner, unless it is that nothing is wrong any more.
    next_news: Monotonic,
}

impl Health {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Arc<Health> {
        Arc::new(Health { clock, state: Mutex::default(), news: watch::Sender::default() })
    }

    /// What is wrong now.
    pub(super) fn view(&self) -> HealthView {
        self.state.lock().room.view()
    }

    /// What was last told, and its changes.
    pub(super) fn watch(&self) -> watch::Receiver<HealthView> {
        self.news.subscribe()
    }

    /// A group of frames is durable; or so many of them were `refused`, since there is no room.
    pub(super) fn committed(&self, refused: u64, why: &str) {
        let mut state = self.state.lock();
        if refused == 0 {
            let over = state.room.appended();
            return self.recovered(&mut state, over);
        }
        state.room.append_refused(self.clock.unix(), refused, why);
        self.troubled(&mut state, refused, why);
    }

    /// An image was stored, or could not be. Only a full disk concerns the vault as a whole.
    pub(super) fn image(&self, stored: Result<(), &StorageError>) {
        let mut state = self.state.lock();
        match stored {
            Ok(()) => {
                let over = state.room.image_stored();
                self.recovered(&mut state, over);
            }
            Err(error @ StorageError::Full { .. }) => {
                let why = error.to_string();
                state.room.image_refused(self.clock.unix(), &why);
                self.troubled(&mut state, 1, &why);
            }
            Err(_) => {}
        }
    }

    fn troubled(&self, state: &mut HealthState, times: u64, why: &str) {
        let now = self.clock.monotonic();
        // The words differ in the file that there is no room for, and that says nothing.
        if let Some(times) = state.lines.happened_times(now, "", times) {
            tracing::warn!(target: EVENT, "writes are refused: {why}{times}");
        }
        if now >= state.next_news {
            state.next_news = now.after(HEALTH_NEWS_EVERY);
            self.news.send_replace(state.room.view());
        }
    }

    fn recovered(&self, state: &mut HealthState, over: Option<HealthView>) {
        let Some(over) = over else { return };
        let seconds = self.clock.unix().0.saturating_sub(over.no_room_since_unix_ms) / 1000;
        tracing::info!(
            target: EVENT,
            "the disk has room again; in {seconds} s it had none, {} appends and {} images were refused",
            over.refused_appends,
            over.refused_images
        );
        *state = HealthState::default();
        self.news.send_replace(HealthView::default());
    }
}
