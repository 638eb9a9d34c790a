//! Ranges of a sorted set: by rank, by score, by member.

use std::ops::{Bound, RangeBounds};

use redis::{RedisWrite, ToRedisArgs};

/// The scores of a Rust range: `1.0..5.0`, `..=7.0`, or `..` for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreRange {
    min: String,
    max: String,
}

impl<R: RangeBounds<f64>> From<R> for ScoreRange {
    fn from(range: R) -> ScoreRange {
        let bound = |bound: Bound<&f64>, endless: &str| match bound {
            Bound::Included(score) => score.to_string(),
            Bound::Excluded(score) => format!("({score}"),
            Bound::Unbounded => endless.to_owned(),
        };
        ScoreRange { min: bound(range.start_bound(), "-inf"), max: bound(range.end_bound(), "+inf") }
    }
}

impl ToRedisArgs for ScoreRange {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        (&self.min, &self.max).write_redis_args(out);
    }

    fn num_of_args(&self) -> usize {
        2
    }
}

/// Which members, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZRange {
    min: Vec<u8>,
    max: Vec<u8>,
    by: Option<&'static str>,
    reversed: bool,
    limit: Option<(u64, i64)>,
}

impl ZRange {
    /// By rank, both ends included: 0 is the lowest, -1 the highest.
    #[must_use]
    pub fn ranks(start: i64, stop: i64) -> ZRange {
        Self::between(start.to_string(), stop.to_string(), None)
    }

    /// By score: `ZRange::scores(1.0..5.0)`.
    #[must_use]
    pub fn scores(range: impl Into<ScoreRange>) -> ZRange {
        let ScoreRange { min, max } = range.into();
        Self::between(min, max, Some("BYSCORE"))
    }

    /// By member, where all scores are equal: `ZRange::members("a".."c")`.
    #[must_use]
    pub fn members<M: AsRef<[u8]>>(range: impl RangeBounds<M>) -> ZRange {
        let [min, max] = member_bounds(&range);
        Self::between(min, max, Some("BYLEX"))
    }

    fn between(min: impl Into<Vec<u8>>, max: impl Into<Vec<u8>>, by: Option<&'static str>) -> ZRange {
        ZRange { min: min.into(), max: max.into(), by, reversed: false, limit: None }
    }

    /// From the highest to the lowest; ranks then count from the highest.
    #[must_use]
    pub fn reversed(self) -> ZRange {
        ZRange { reversed: true, ..self }
    }

    /// Of the members found only `count`, behind the first `offset`. Not for ranks.
    #[must_use]
    pub fn limit(self, offset: u64, count: u64) -> ZRange {
        ZRange { limit: Some((offset, i64::try_from(count).unwrap_or(i64::MAX))), ..self }
    }
}

/// The words for the bounds of a range of members.
pub(super) fn member_bounds<M: AsRef<[u8]>>(range: &impl RangeBounds<M>) -> [Vec<u8>; 2] {
    let bound = |bound: Bound<&M>, endless: &[u8]| match bound {
        Bound::Included(member) => [b"[", member.as_ref()].concat(),
        Bound::Excluded(member) => [b"(", member.as_ref()].concat(),
        Bound::Unbounded => endless.to_vec(),
    };
    [bound(range.start_bound(), b"-"), bound(range.end_bound(), b"+")]
}

impl ToRedisArgs for ZRange {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        // In reverse a range by score or member is named from its highest end on.
        let (first, second) =
            if self.reversed && self.by.is_some() { (&self.max, &self.min) } else { (&self.min, &self.max) };
        [first, second].into_iter().for_each(|bound| out.write_arg(bound));
        self.by.write_redis_args(out);
        self.reversed.then_some("REV").write_redis_args(out);
        self.limit.map(|(offset, count)| ("LIMIT", offset, count)).write_redis_args(out);
    }

    fn num_of_args(&self) -> usize {
        2 + usize::from(self.by.is_some()) + usize::from(self.reversed) + self.limit.map_or(0, |_| 3)
    }
}
