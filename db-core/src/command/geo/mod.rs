//! Places on the earth, as members of sorted sets.
//!
//! A score is a geohash of 52 bits: a number whose leading bits name the cell of the earth that the place is in (`point.rs`). So the
//! members of a cell stand side by side, and a search reads nine ranges of scores: the cell of its centre and its neighbours, of a size
//! that they cover what is searched (`shape.rs`). Of what is there it takes the members whose distance fits (`search.rs`).
//!
//! There is no type of its own: what adds, removes and stores members is what does so for every sorted set.

mod point;
mod search;
mod shape;

use super::float;
use super::sorted_set::{self, AddOptions};
use crate::engine::Data;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};

pub(crate) use search::{georadius, georadiusbymember, geosearch, geosearchstore};

use point::Point;
use shape::distance;

/// Metres of a unit of length.
fn unit(word: &[u8]) -> Result<f64, Failure> {
    const UNITS: [(&str, f64); 4] = [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)];
    let found = UNITS.iter().find(|(name, _)| is(word, name)).map(|(_, metres)| *metres);
    found.ok_or(Failure::fixed("ERR unsupported unit provided. please use M, KM, FT, MI"))
}

/// The point of two arguments, its longitude and its latitude.
fn point(longitude: &[u8], latitude: &[u8]) -> Result<Point, Failure> {
    let number = |arg| float::parse(arg).ok_or(Failure::NOT_A_FLOAT);
    let (longitude, latitude) = (number(longitude)?, number(latitude)?);
    Point::new(longitude, latitude)
        .ok_or_else(|| Failure::owned(format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}")))
}

/// Adds members at points.
pub(crate) fn geoadd(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let mut options = AddOptions::default();
    let is_option = |word: &&&[u8]| ["NX", "XX", "CH"].iter().any(|option| is(word, option));
    let words = call.args()[2..].iter().take_while(is_option);
    let first = 2 + words.map(|word| options.set(word)).count();
    let (places, []) = call.args()[first..].as_chunks::<3>() else { return Err(Failure::SYNTAX) };
    if places.is_empty() || options.contradict() {
        return Err(Failure::SYNTAX);
    }
    let mut members = Vec::with_capacity(places.len());
    for [longitude, latitude, name] in places {
        members.push((point(longitude, latitude)?.score(), *name));
    }
    sorted_set::add(data, call, &options, &members, reply)
}

/// Visits the points of the members that are the arguments from `first` on.
fn each_point(
    data: &mut Data<'_>,
    call: &Call<'_>,
    reply: &mut Reply,
    write: fn(Option<Point>, &mut Reply),
) -> Outcome {
    let names = &call.args()[2..];
    reply.expect(names.len() as u64)?;
    let at = data.locate(&call.key(0));
    let view = data.sorted(&at)?;
    reply.array(names.len());
    for name in names {
        write(view.as_ref().and_then(|view| view.score(name)).map(|score| Point::of_score(score.get())), reply);
    }
    Ok(())
}

pub(crate) fn geopos(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    each_point(data, call, reply, |point, reply| match point {
        Some(point) => write_point(point, reply),
        None => reply.null_array(),
    })
}

pub(crate) fn geohash(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    each_point(data, call, reply, |point, reply| match point {
        Some(point) => reply.bulk(&point.text()),
        None => reply.null(),
    })
}

pub(crate) fn geodist(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let metres = match &call.args()[4..] {
        [] => 1.0,
        [word] => unit(word)?,
        _ => return Err(Failure::SYNTAX),
    };
    let at = data.locate(&call.key(0));
    let view = data.sorted(&at)?;
    let point = |name| Some(Point::of_score(view.as_ref()?.score(name)?.get()));
    match point(call.arg(2)).zip(point(call.arg(3))) {
        Some((from, to)) => write_distance(distance(from, to) / metres, reply),
        None => reply.null(),
    }
    Ok(())
}

/// Writes a distance in any unit.
fn write_distance(distance: f64, reply: &mut Reply) {
    reply.bulk(format!("{distance:.4}").as_bytes());
}

fn write_point(point: Point, reply: &mut Reply) {
    reply.array(2);
    for degrees in [point.longitude, point.latitude] {
        let text = format!("{degrees:.17}");
        reply.long_double(text.trim_end_matches('0').trim_end_matches('.'));
    }
}
