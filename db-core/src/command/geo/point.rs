//! Points of the earth as numbers, and the cells that such a number's leading bits name.
//!
//! Longitude and latitude are cut into halves, again and again: a bit says which half a point is in. The bits of both stand in turn, that
//! of the longitude first, so a cell of `steps` cuts has a number of twice as many bits, and all points in it have numbers that
//! begin with these. The poles are left out, as in Web Mercator: cells there would be narrow.

use std::ops::Range;

/// Cuts of the cell that a score names: 52 bits, which a double holds exactly.
pub(super) const STEPS_MAX: u8 = 26;

const LONGITUDE_MAX: f64 = 180.0;
const LATITUDE_MAX: f64 = 85.051_128_78;

/// A point of the earth in degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
}

impl Point {
    /// Returns the point, unless it is beyond the longitudes that there are, or the latitudes that have a number.
    pub(super) fn new(longitude: f64, latitude: f64) -> Option<Point> {
        let is_there = longitude.abs() <= LONGITUDE_MAX && latitude.abs() <= LATITUDE_MAX;
        is_there.then_some(Point { longitude, latitude })
    }

    /// Returns the score of a member at this point.
    pub(super) fn score(self) -> f64 {
        Cell::of(self, STEPS_MAX).number() as f64
    }

    /// Returns the middle of the smallest cell, which is what is left of a point in a score. Any score is some point's.
    pub(super) fn of_score(score: f64) -> Point {
        // Through a signed number: one below 0 has a pattern of bits as good as any.
        let [rows, columns] = apart(score as i64 as u64);
        let area = Cell { columns, rows, steps: STEPS_MAX }.area();
        let middle = |sides: Range<f64>, max: f64| (f64::midpoint(sides.start, sides.end)).clamp(-max, max);
        Point { longitude: middle(area.longitude, LONGITUDE_MAX), latitude: middle(area.latitude, LATITUDE_MAX) }
    }

    /// Returns the geohash as the rest of the world writes it: of all latitudes, in 11 digits of 5 bits. The last one is 0, for the
    /// number has no more than 52 bits.
    pub(super) fn text(self) -> [u8; 11] {
        const DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let number = Cell::within(self, STEPS_MAX, 90.0).bits();
        std::array::from_fn(|at| match at {
            0..10 => DIGITS[(number >> (2 * STEPS_MAX as usize - 5 * (at + 1)) & 0x1f) as usize],
            _ => DIGITS[0],
        })
    }
}

/// A part of the earth, by its place in the grid of `2^steps` columns and as many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    columns: u32,
    rows: u32,
    steps: u8,
}

/// What a cell covers, in degrees.
#[derive(Clone, Debug)]
pub(super) struct CellArea {
    pub(super) longitude: Range<f64>,
    pub(super) latitude: Range<f64>,
}

impl Cell {
    /// Returns the cell of `steps` cuts that a point is in.
    pub(super) fn of(point: Point, steps: u8) -> Cell {
        Cell::within(point, steps, LATITUDE_MAX)
    }

    /// The same where the grid ends at `latitude_max`, north and south.
    fn within(point: Point, steps: u8, latitude_max: f64) -> Cell {
        let place = |degrees: f64, max: f64| ((degrees + max) / (2.0 * max) * f64::from(1u32 << steps)) as u32;
        Cell { columns: place(point.longitude, LONGITUDE_MAX), rows: place(point.latitude, latitude_max), steps }
    }

    /// Returns the cell so many columns to the east and rows to the north. Beyond an edge it is at the other one.
    pub(super) fn moved(self, columns: i32, rows: i32) -> Cell {
        let last = (1 << self.steps) - 1;
        let place = |at: u32, by: i32| if by == 0 { at } else { at.wrapping_add_signed(by) & last };
        Cell { columns: place(self.columns, columns), rows: place(self.rows, rows), steps: self.steps }
    }

    /// Returns the degrees that it covers.
    pub(super) fn area(self) -> CellArea {
        let sides = |at: u32, max: f64| {
            let side = |at: u32| -max + f64::from(at) / f64::from(1u32 << self.steps) * (2.0 * max);
            side(at)..side(at.wrapping_add(1))
        };
        CellArea { longitude: sides(self.columns, LONGITUDE_MAX), latitude: sides(self.rows, LATITUDE_MAX) }
    }

    /// Returns the scores of the points in it.
    pub(super) fn scores(self) -> Range<u64> {
        self.number()..(self.bits() + 1) << self.shift()
    }

    /// Its bits as the first ones of a score.
    fn number(self) -> u64 {
        self.bits() << self.shift()
    }

    fn shift(self) -> u32 {
        2 * u32::from(STEPS_MAX - self.steps)
    }

    fn bits(self) -> u64 {
        spread(self.rows) | spread(self.columns) << 1
    }
}

/// The bits of a number with a zero before each.
fn spread(number: u32) -> u64 {
    HALVES.iter().fold(u64::from(number), |bits, (shift, mask)| (bits | bits << shift) & mask)
}

/// The numbers that [`spread`] has made of, at the even and at the odd bits.
fn apart(bits: u64) -> [u32; 2] {
    let gather = |bits: u64| {
        let packed = HALVES.iter().rev().fold(bits, |bits, (shift, mask)| {
            let bits = bits & mask;
            bits | bits >> shift
        });
        packed as u32
    };
    [gather(bits), gather(bits >> 1)]
}

/// How bits are moved apart: half of those that stand together by so many places, and where they stand then.
const HALVES: [(u32, u64); 5] = [
    (16, 0x0000_ffff_0000_ffff),
    (8, 0x00ff_00ff_00ff_00ff),
    (4, 0x0f0f_0f0f_0f0f_0f0f),
    (2, 0x3333_3333_3333_3333),
    (1, 0x5555_5555_5555_5555),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_both_stand_in_turn() {
        assert_eq!((spread(0b101), spread(u32::MAX)), (0b10001, 0x5555_5555_5555_5555));
        for [rows, columns] in [[0, 0], [5, 9], [u32::MAX, 1], [0x1234_5678, 0x9abc_def0]] {
            assert_eq!(apart(spread(rows) | spread(columns) << 1), [rows, columns]);
        }
    }

    #[test]
    fn a_point_has_the_geohash_that_the_world_knows() {
        let palermo = Point::new(13.361_389, 38.115_556).unwrap();
        assert_eq!(palermo.score(), 3_479_099_956_230_698.0);
        assert_eq!(Point::of_score(palermo.score()).text(), *b"sqc8b49rny0");
        assert!(Point::new(180.1, 0.0).is_none() && Point::new(0.0, -85.1).is_none());
    }

    #[test]
    fn every_score_is_some_points() {
        for score in [0.0, -1.0, 1e300, f64::INFINITY, f64::NEG_INFINITY, 4_503_599_627_370_495.0] {
            let Point { longitude, latitude } = Point::of_score(score);
            assert!(Point::new(longitude, latitude).is_some(), "{score}");
        }
    }

    #[test]
    fn neighbours_go_around_the_earth() {
        let east = Cell::of(Point::new(179.9, 10.0).unwrap(), 5);
        let next = east.moved(1, 0).area();
        assert_eq!(next.longitude.start, -180.0);
        assert_eq!(east.moved(1, 0).moved(-1, 0), east);
        assert_eq!(east.moved(0, 3).moved(0, -3), east);
    }

    #[test]
    fn a_cell_holds_the_scores_of_its_points() {
        let point = Point::new(-73.98, 40.75).unwrap();
        for steps in 1..=STEPS_MAX {
            let cell = Cell::of(point, steps);
            assert!(cell.scores().contains(&(point.score() as u64)), "{steps}");
            assert!(cell.area().longitude.contains(&point.longitude) && cell.area().latitude.contains(&point.latitude));
            assert!(!cell.moved(1, 0).scores().contains(&(point.score() as u64)), "{steps}");
        }
    }
}
