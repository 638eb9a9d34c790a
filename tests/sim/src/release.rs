//! Which release each machine runs. There are two; the second supports one more feature level. A machine is upgraded or
//! downgraded at any time; where the cluster's level refuses the older release, the newer one is installed again.

use tanist_db_core::level::{Level, Levels};

use crate::random::Random;

/// A release, by the newest feature level that it knows; it knows the one before as well.
pub(crate) type Release = u16;

/// The newest one.
pub(crate) const NEWEST: Release = 2;

/// What a release knows.
fn levels(release: Release) -> Levels {
    Levels { oldest: Level(release.saturating_sub(1).max(1)), newest: Level(release) }
}

/// What is installed on each machine. A process is replaced at the moment at which another release is installed.
#[derive(Clone, Debug)]
pub(crate) struct Releases {
    pub(crate) nodes: Vec<Release>,
    pub(crate) vault: Release,
}

impl Releases {
    /// The old one everywhere, or any.
    pub(crate) fn draw(random: &mut Random, nodes: usize) -> Releases {
        let mixed = random.percent(30);
        let mut draw = || if mixed { random.between(1, u64::from(NEWEST) + 1) as Release } else { 1 };
        Releases { nodes: (0..nodes).map(|_| draw()).collect(), vault: draw() }
    }

    pub(crate) fn of_node(&self, node: usize) -> Levels {
        levels(self.nodes[node])
    }

    pub(crate) fn of_vault(&self) -> Levels {
        levels(self.vault)
    }
}
