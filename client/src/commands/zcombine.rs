//! Unions, intersections and differences of sorted sets.

use redis::{RedisWrite, ToRedisArgs};

/// The sorted sets to be combined, and how scores of the same member become one. Sets are taken as well, with scores of 1.
#[derive(Clone, Debug)]
pub struct ZCombine {
    keys: Vec<Vec<u8>>,
    weights: Vec<f64>,
    aggregate: Option<ScoreAggregate>,
}

/// What becomes of several scores of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreAggregate {
    /// Their sum, which is usual.
    Sum,
    /// The lowest.
    Min,
    /// The highest.
    Max,
}

impl ZCombine {
    /// The sorted sets at these keys.
    #[must_use]
    pub fn of(keys: impl ToRedisArgs) -> ZCombine {
        ZCombine { keys: keys.to_redis_args(), weights: Vec::new(), aggregate: None }
    }

    /// Scores are multiplied before: a factor for each key. Not for differences.
    #[must_use]
    pub fn weights(self, weights: impl IntoIterator<Item = f64>) -> ZCombine {
        ZCombine { weights: weights.into_iter().collect(), ..self }
    }

    /// What becomes of several scores of a member. Not for differences.
    #[must_use]
    pub fn aggregate(self, aggregate: ScoreAggregate) -> ZCombine {
        ZCombine { aggregate: Some(aggregate), ..self }
    }
}

impl ToRedisArgs for ZCombine {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.keys.len().write_redis_args(out);
        self.keys.write_redis_args(out);
        if !self.weights.is_empty() {
            ("WEIGHTS", &self.weights).write_redis_args(out);
        }
        let word = self.aggregate.map(|aggregate| match aggregate {
            ScoreAggregate::Sum => "SUM",
            ScoreAggregate::Min => "MIN",
            ScoreAggregate::Max => "MAX",
        });
        word.map(|word| ("AGGREGATE", word)).write_redis_args(out);
    }
}
