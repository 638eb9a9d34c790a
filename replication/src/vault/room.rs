//! Whether the vault's disk has space, for operators: derived from refused and successful writes.

use tanist_db_core::clock::UnixMillis;

use crate::wire::message::HealthView;

/// From the first refusal until both kinds of writing succeed again.
#[derive(Debug, Default)]
pub struct DiskRoom {
    /// When it began.
    since: Option<UnixMillis>,
    /// Frames refused since then.
    appends: u64,
    /// Images refused since then.
    images: u64,
    /// The newest refusal.
    why: String,
    /// The newest append, and the newest image, were refused.
    short: [bool; 2],
}

const APPENDS: usize = 0;
const IMAGES: usize = 1;

impl DiskRoom {
    /// `frames` were refused; `why` is the sentence for it.
    pub fn append_refused(&mut self, now: UnixMillis, frames: u64, why: &str) {
        self.refused(APPENDS, now, why);
        self.appends += frames;
    }

    /// An image was.
    pub fn image_refused(&mut self, now: UnixMillis, why: &str) {
        self.refused(IMAGES, now, why);
        self.images += 1;
    }

    fn refused(&mut self, kind: usize, now: UnixMillis, why: &str) {
        self.since.get_or_insert(now);
        self.short[kind] = true;
        why.clone_into(&mut self.why);
    }

    /// Records were stored. Returns what is over, if that ends it.
    pub fn appended(&mut self) -> Option<HealthView> {
        self.stored(APPENDS)
    }

    /// An image was.
    pub fn image_stored(&mut self) -> Option<HealthView> {
        self.stored(IMAGES)
    }

    fn stored(&mut self, kind: usize) -> Option<HealthView> {
        self.short[kind] = false;
        (self.since.is_some() && self.short == [false; 2]).then(|| {
            let over = self.view();
            *self = Self::default();
            over
        })
    }

    /// What is wrong, if anything.
    #[must_use]
    pub fn view(&self) -> HealthView {
        HealthView {
            no_room_since_unix_ms: self.since.map_or(0, |since| since.0),
            refused_appends: self.appends,
            refused_images: self.images,
            why: self.why.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_from_the_first_refusal_until_everything_is_stored_again() {
        let mut room = DiskRoom::default();
        assert_eq!((room.view(), room.appended()), (HealthView::default(), None));
        room.append_refused(UnixMillis(5), 2, "no room for the log");
        room.image_refused(UnixMillis(7), "no room for an image");
        room.append_refused(UnixMillis(9), 1, "no room for the log");
        let view = room.view();
        assert_eq!((view.no_room_since_unix_ms, view.refused_appends, view.refused_images), (5, 3, 1));
        assert_eq!(view.why, "no room for the log");
        assert_eq!(room.appended(), None, "images are still refused");
        assert_eq!(room.view(), view);
        assert_eq!(room.image_stored(), Some(view));
        assert_eq!(room.view(), HealthView::default());
    }
}
