//! Key records and values: the content of an allocator slot.
//!
//! A record has a header, the key, and the value: in line if both fit into a slot, else as the root of a page list (`paged`).
//! Which of the two depends on the lengths alone, so the same content always has the same layout.

pub(crate) mod entry;
pub(crate) mod external;
pub(crate) mod hyperloglog;
pub(crate) mod list;
pub(crate) mod map;
pub(crate) mod number;
pub(crate) mod packed;
pub(crate) mod paged;
pub(crate) mod prefetch;
pub(crate) mod reclaim;
pub(crate) mod record;
pub(crate) mod sorted;
pub(crate) mod stream;
mod view;

pub use list::ListView;
pub use map::{MapView, Member};
pub use record::Kind;
pub use sorted::{Bound, Score, SortedView};
pub use stream::{PendingEntry, StreamConsumer, StreamEntry, StreamGroup, StreamId, StreamText, StreamView};
pub use view::ValueView;
