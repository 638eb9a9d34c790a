//! What moving data in and out has in common.
//!
//! | file | knows |
//! |---|---|
//! | `gauge` | how far a pass is, and the wish that it ends |
//! | `progress` | how that is shown |
//! | `tally` | what was moved, and what was left out and why |

mod gauge;
mod progress;
mod tally;

pub(super) use self::gauge::{Gauge, Gauged, watched};
pub(super) use self::progress::{Progress, Unit};
pub(super) use self::tally::{LeftOut, Tally, grouped};
