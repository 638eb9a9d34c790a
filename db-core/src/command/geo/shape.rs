//! What is searched: a circle or a box around a point, and the cells that cover it.

use std::ops::Range;

use super::point::{Cell, Point, STEPS_MAX};

/// Radius of the earth in metres: the quadratic mean, for WGS-84.
const EARTH_RADIUS: f64 = 6_372_797.560_856;

/// Half of the equator in metres, as Web Mercator has it.
const HALF_EQUATOR: f64 = 20_037_726.37;

/// Returns the metres between two points along a great circle (haversine).
pub(super) fn distance(from: Point, to: Point) -> f64 {
    let [lat1, lon1] = [from.latitude.to_radians(), from.longitude.to_radians()];
    let [lat2, lon2] = [to.latitude.to_radians(), to.longitude.to_radians()];
    let u = ((lat2 - lat1) / 2.0).sin();
    let v = ((lon2 - lon1) / 2.0).sin();
    2.0 * EARTH_RADIUS * (u * u + lat1.cos() * lat2.cos() * v * v).sqrt().asin()
}

/// How far a search goes, in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Extent {
    /// So far in every direction.
    Radius(f64),
    /// A box with the centre in its middle: along the parallel of each point, and along its meridian.
    Box {
        /// From its western to its eastern side.
        width: f64,
        /// From its southern to its northern side.
        height: f64,
    },
}

/// What is searched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) centre: Point,
    pub(super) extent: Extent,
}

impl Shape {
    /// Returns the metres from the centre to a point, if that is within.
    pub(super) fn distance_within(&self, point: Point) -> Option<f64> {
        let metres = distance(self.centre, point);
        let is_within = match self.extent {
            Extent::Radius(radius) => metres <= radius,
            Extent::Box { width, height } => {
                let of_meridian = distance(point, Point { latitude: self.centre.latitude, ..point });
                let of_parallel = distance(point, Point { longitude: self.centre.longitude, ..point });
                of_meridian <= height / 2.0 && of_parallel <= width / 2.0
            }
        };
        is_within.then_some(metres)
    }

    /// Returns the ranges of scores that are searched, in the order of the search: those of the cell that the centre is in and of its
    /// neighbours, unless they are out of reach.
    pub(super) fn ranges(&self) -> Vec<Range<u64>> {
        let bounds = self.bounds();
        let mut steps = self.steps();
        // The centre may be near an edge of its cell, and the neighbour there end before the bounds.
        if steps > 1 && !Cell::of(self.centre, steps).neighbours_cover(&bounds) {
            steps -= 1;
        }
        let cell = Cell::of(self.centre, steps);
        let area = cell.area();
        let is_in_reach = |columns: i32, rows: i32| {
            let beyond = |by: i32, area: &Range<f64>, bounds: &Range<f64>| match by {
                1 => area.end > bounds.end,
                -1 => area.start < bounds.start,
                _ => false,
            };
            // Cells of one cut are halves of the earth, each the others' neighbour on both sides.
            steps < 2
                || !(beyond(columns, &area.longitude, &bounds.longitude)
                    || beyond(rows, &area.latitude, &bounds.latitude))
        };
        const NEIGHBOURS: [(i32, i32); 8] = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let mut ranges = vec![cell.scores()];
        for (columns, rows) in NEIGHBOURS.into_iter().filter(|(columns, rows)| is_in_reach(*columns, *rows)) {
            let range = cell.moved(columns, rows).scores();
            // Of large cells, two neighbours may be the same.
            if ranges.len() == 1 || ranges.last() != Some(&range) {
                ranges.push(range);
            }
        }
        ranges
    }

    /// Degrees that it does not go beyond. Where meridians converge, the longitudes are those of the parallel nearer to the equator.
    fn bounds(&self) -> Bounds {
        let (width, height) = match self.extent {
            Extent::Radius(radius) => (radius, radius),
            Extent::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let Point { longitude, latitude } = self.centre;
        let north = degrees(height / EARTH_RADIUS);
        let parallel = if latitude < 0.0 { latitude - north } else { latitude + north };
        let east = degrees(width / EARTH_RADIUS / parallel.to_radians().cos());
        Bounds { longitude: longitude - east..longitude + east, latitude: latitude - north..latitude + north }
    }

    /// Cuts of a cell that is large enough for it and its neighbours to cover all, usually.
    fn steps(&self) -> u8 {
        let mut metres = match self.extent {
            Extent::Radius(radius) => radius,
            Extent::Box { width, height } => (width / 2.0 * (width / 2.0) + height / 2.0 * (height / 2.0)).sqrt(),
        };
        if metres == 0.0 {
            return STEPS_MAX;
        }
        let mut steps = 1i32;
        while metres < HALF_EQUATOR {
            metres *= 2.0;
            steps += 1;
        }
        // Towards the poles cells are narrower.
        let narrower = match self.centre.latitude.abs() {
            latitude if latitude > 80.0 => 2,
            latitude if latitude > 66.0 => 1,
            _ => 0,
        };
        (steps - 2 - narrower).clamp(1, i32::from(STEPS_MAX)) as u8
    }
}

/// Degrees between which a shape lies.
struct Bounds {
    longitude: Range<f64>,
    latitude: Range<f64>,
}

impl Cell {
    /// Whether the neighbours in the four directions reach the bounds.
    fn neighbours_cover(self, bounds: &Bounds) -> bool {
        let area = |columns, rows| self.moved(columns, rows).area();
        !(area(0, 1).latitude.end < bounds.latitude.end
            || area(0, -1).latitude.start > bounds.latitude.start
            || area(1, 0).longitude.end < bounds.longitude.end
            || area(-1, 0).longitude.start > bounds.longitude.start)
    }
}

/// Radians as degrees; by a division, whose result may differ in its last bit from that of `f64::to_degrees`.
fn degrees(radians: f64) -> f64 {
    radians / (std::f64::consts::PI / 180.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(longitude: f64, latitude: f64) -> Point {
        Point::new(longitude, latitude).unwrap()
    }

    #[test]
    fn distances_are_along_great_circles() {
        let quarter = distance(point(0.0, 0.0), point(90.0, 0.0));
        assert!((quarter - EARTH_RADIUS * std::f64::consts::FRAC_PI_2).abs() < 1e-6, "{quarter}");
        assert_eq!(distance(point(5.0, 5.0), point(5.0, 5.0)), 0.0);
        let [palermo, catania] = [point(13.361_389, 38.115_556), point(15.087_269, 37.502_669)];
        let stored = |place: Point| Point::of_score(place.score());
        assert_eq!(format!("{:.4}", distance(stored(palermo), stored(catania))), "166274.1516");
    }

    /// Whatever is within is in a range that is searched; the seeds are places all over, and extents of all sizes.
    #[test]
    fn what_is_within_is_searched() {
        let mut dice = crate::random::SplitMix64(7);
        let mut share = || (dice.next() >> 11) as f64 / (1u64 << 53) as f64;
        let mut hits = 0;
        for _ in 0..20_000 {
            let centre = point(share() * 300.0 - 150.0, share() * 120.0 - 60.0);
            let metres = 10f64.powf(share() * 6.0);
            let extent = if share() < 0.5 {
                Extent::Radius(metres)
            } else {
                Extent::Box { width: metres, height: metres * share() }
            };
            let shape = Shape { centre, extent };
            let ranges = shape.ranges();
            for _ in 0..8 {
                let turn = |share: f64| (share - 0.5) * 2.0 * metres / EARTH_RADIUS * 57.0;
                let Some(near) = Point::new(centre.longitude + turn(share()), centre.latitude + turn(share())) else {
                    continue;
                };
                if shape.distance_within(near).is_some() {
                    hits += 1;
                    let score = near.score() as u64;
                    assert_eq!(ranges.iter().filter(|range| range.contains(&score)).count(), 1, "{shape:?} {near:?}");
                }
            }
        }
        assert!(hits > 10_000, "{hits}");
    }

    #[test]
    fn a_search_of_the_whole_earth_reads_every_score_once() {
        let ranges = Shape { centre: point(10.0, 10.0), extent: Extent::Radius(3e7) }.ranges();
        let total: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        assert_eq!((ranges.len(), total), (4, 1 << 52));
        let none = Shape { centre: point(10.0, 10.0), extent: Extent::Radius(0.0) }.ranges();
        assert!(none.len() <= 9 && none.iter().all(|range| range.end - range.start == 1));
    }
}
