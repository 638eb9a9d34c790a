//! Places on the earth.

use redis::{FromRedisValue, ParsingError, RedisWrite, ToRedisArgs, Value};

use super::{Call, Execute, call};

/// Commands for places, which are members of sorted sets: what removes or counts those does so here.
pub trait GeoCommands: Execute + Sized {
    /// Adds members at places, or moves them: longitude, latitude and member, or several of these. Returns how many are new.
    fn geoadd(&self, key: impl ToRedisArgs, places: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "GEOADD").arg(key).arg(places)
    }

    /// The longitudes and latitudes of members, in their order. They are up to half a metre from where the member was put.
    fn geopos(&self, key: impl ToRedisArgs, members: impl ToRedisArgs) -> Call<'_, Vec<Option<(f64, f64)>>> {
        call(self, "GEOPOS").arg(key).arg(members)
    }

    /// The geohashes of members as text, in their order.
    fn geohash(&self, key: impl ToRedisArgs, members: impl ToRedisArgs) -> Call<'_, Vec<Option<String>>> {
        call(self, "GEOHASH").arg(key).arg(members)
    }

    /// The distance between two members; `None` if one of them is missing.
    fn geodist(
        &self,
        key: impl ToRedisArgs,
        from: impl ToRedisArgs,
        to: impl ToRedisArgs,
        unit: GeoUnit,
    ) -> Call<'_, Option<f64>> {
        call(self, "GEODIST").arg(key).arg(from).arg(to).arg(unit)
    }

    /// The members that are found.
    fn geosearch<M: FromRedisValue>(&self, key: impl ToRedisArgs, search: GeoSearch) -> Call<'_, Vec<M>> {
        call(self, "GEOSEARCH").arg(key).arg(search)
    }

    /// The same with their places, and their distances from the centre.
    fn geosearch_places<M: FromRedisValue>(
        &self,
        key: impl ToRedisArgs,
        search: GeoSearch,
    ) -> Call<'_, Vec<GeoPlace<M>>> {
        call(self, "GEOSEARCH").arg(key).arg(search).arg("WITHDIST").arg("WITHCOORD")
    }

    /// Stores the members that are found in place of `to`; returns how many there are.
    fn geosearchstore(&self, to: impl ToRedisArgs, key: impl ToRedisArgs, search: GeoSearch) -> Call<'_, u64> {
        call(self, "GEOSEARCHSTORE").arg(to).arg(key).arg(search)
    }

    /// The same with their distances from the centre as scores, rather than their places.
    fn geosearchstore_distances(
        &self,
        to: impl ToRedisArgs,
        key: impl ToRedisArgs,
        search: GeoSearch,
    ) -> Call<'_, u64> {
        call(self, "GEOSEARCHSTORE").arg(to).arg(key).arg(search).arg("STOREDIST")
    }
}

impl<E: Execute> GeoCommands for E {}

/// A unit of length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeoUnit {
    /// Metres.
    Metres,
    /// Kilometres.
    Kilometres,
    /// Feet.
    Feet,
    /// Miles.
    Miles,
}

impl ToRedisArgs for GeoUnit {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let word = match self {
            GeoUnit::Metres => "m",
            GeoUnit::Kilometres => "km",
            GeoUnit::Feet => "ft",
            GeoUnit::Miles => "mi",
        };
        word.write_redis_args(out);
    }
}

/// A member that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct GeoPlace<M> {
    /// The member.
    pub member: M,
    /// From the centre, in the unit of the search.
    pub distance: f64,
    /// Degrees to the east.
    pub longitude: f64,
    /// Degrees to the north.
    pub latitude: f64,
}

impl<M: FromRedisValue> FromRedisValue for GeoPlace<M> {
    fn from_redis_value(reply: Value) -> Result<GeoPlace<M>, ParsingError> {
        let (member, distance, (longitude, latitude)) = <(M, f64, (f64, f64))>::from_redis_value(reply)?;
        Ok(GeoPlace { member, distance, longitude, latitude })
    }
}

/// What is searched: `GeoSearch::around(13.4, 52.5).within(GeoUnit::Kilometres, 20.0).nearest(10)`.
#[derive(Clone, Debug)]
pub struct GeoSearch {
    words: Vec<Vec<u8>>,
}

impl GeoSearch {
    /// Around a point: its longitude and latitude.
    #[must_use]
    pub fn around(longitude: f64, latitude: f64) -> GeoSearch {
        GeoSearch { words: Vec::new() }.with(("FROMLONLAT", longitude, latitude))
    }

    /// Around a member.
    #[must_use]
    pub fn around_member(member: impl ToRedisArgs) -> GeoSearch {
        GeoSearch { words: Vec::new() }.with("FROMMEMBER").with(member)
    }

    /// So far in every direction.
    #[must_use]
    pub fn within(self, unit: GeoUnit, radius: f64) -> GeoSearch {
        self.with(("BYRADIUS", radius, unit))
    }

    /// In a box with the centre in its middle.
    #[must_use]
    pub fn within_box(self, unit: GeoUnit, width: f64, height: f64) -> GeoSearch {
        self.with(("BYBOX", width, height, unit))
    }

    /// Only `count` members, the nearest ones, the nearest first.
    #[must_use]
    pub fn nearest(self, count: u64) -> GeoSearch {
        self.with(("ASC", "COUNT", count))
    }

    /// Only `count` members, any ones: the search ends as soon as there are so many.
    #[must_use]
    pub fn any(self, count: u64) -> GeoSearch {
        self.with(("COUNT", count, "ANY"))
    }

    /// The nearest first.
    #[must_use]
    pub fn ascending(self) -> GeoSearch {
        self.with("ASC")
    }

    /// The farthest first.
    #[must_use]
    pub fn descending(self) -> GeoSearch {
        self.with("DESC")
    }

    fn with(mut self, words: impl ToRedisArgs) -> GeoSearch {
        self.words.extend(words.to_redis_args());
        self
    }
}

impl ToRedisArgs for GeoSearch {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.words.iter().for_each(|word| out.write_arg(word));
    }

    fn num_of_args(&self) -> usize {
        self.words.len()
    }
}
