//! GEOSEARCH and its relatives: the members within a shape.

use std::cmp::Ordering;

use super::point::Point;
use super::shape::{Extent, Shape};
use super::{point, unit, write_distance, write_point};
use crate::arena::Arena;
use crate::command::float;
use crate::command::sorted_set::{Items, store};
use crate::engine::Data;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::keyspace::Key;
use crate::value::{Bound, Score, SortedView};

/// How a command says what is searched and where results go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SearchForm {
    /// GEORADIUS: a point and a radius.
    OfPoint,
    /// GEORADIUSBYMEMBER: a member and a radius.
    OfMember,
    /// GEOSEARCH: options.
    Search,
    /// GEOSEARCHSTORE: likewise, behind a key to store into.
    Store,
}

pub(crate) fn georadius(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    search(data, call, SearchForm::OfPoint, reply)
}

pub(crate) fn georadiusbymember(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    search(data, call, SearchForm::OfMember, reply)
}

pub(crate) fn geosearch(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    search(data, call, SearchForm::Search, reply)
}

pub(crate) fn geosearchstore(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    search(data, call, SearchForm::Store, reply)
}

/// Elements that could be visited while a distance is calculated, of which each takes some ten nanoseconds.
const ELEMENTS_OF_A_DISTANCE: u64 = 8;

fn search(data: &mut Data<'_>, call: &Call<'_>, form: SearchForm, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(usize::from(form == SearchForm::Store)));
    data.see(&at);
    let view = data.sorted_again(&at)?;
    let query = GeoQuery::parse(call, form, view.as_ref())?;
    let mut found = Vec::new();
    if let (Some(view), Some(shape)) = (&view, query.shape()) {
        found = query.search(view, &shape, reply)?;
    }
    let Some(to) = query.store else {
        query.write(&found, reply);
        return Ok(());
    };
    let score = |place: &FoundPlace<'_>| match query.store_distance {
        true => Score::new(place.metres / query.unit),
        false => Score::new(place.score),
    };
    let items = Items::new(found.iter().filter_map(|place| Some((place.name, score(place)?))));
    reply.count(store(data, &mut data.locate(&to), &items)?);
    Ok(())
}

/// A member that was found.
#[derive(Clone, Copy, Debug)]
struct FoundPlace<'v> {
    name: &'v [u8],
    score: f64,
    /// From the centre.
    metres: f64,
}

/// By what the centre is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Centre {
    Member,
    Point,
}

/// What a search asks for.
struct GeoQuery<'a> {
    /// By what the centre is given; its point is there if the key is.
    centre: Option<Centre>,
    point: Option<Point>,
    extent: Option<Extent>,
    /// Metres of the unit in which distances are shown.
    unit: f64,
    with_point: bool,
    with_distance: bool,
    with_hash: bool,
    /// `Less`: the nearest first.
    order: Option<Ordering>,
    /// Most members that are returned.
    count: Option<usize>,
    /// The first ones that are found will do.
    any: bool,
    store: Option<Key<'a>>,
    store_distance: bool,
}

type GeoView<'v> = SortedView<'v, Arena>;

impl<'a> GeoQuery<'a> {
    fn parse(call: &Call<'a>, form: SearchForm, view: Option<&GeoView<'_>>) -> Result<GeoQuery<'a>, Failure> {
        let mut query = GeoQuery {
            centre: None,
            point: None,
            extent: None,
            unit: 1.0,
            with_point: false,
            with_distance: false,
            with_hash: false,
            order: None,
            count: None,
            any: false,
            store: (form == SearchForm::Store).then(|| call.key(0)),
            store_distance: false,
        };
        let mut at = match form {
            SearchForm::OfPoint => 6,
            SearchForm::OfMember => 5,
            SearchForm::Search => 2,
            SearchForm::Store => 3,
        };
        match form {
            SearchForm::OfPoint => query.point = Some(point(call.arg(2), call.arg(3))?),
            SearchForm::OfMember => query.point = view.map(|view| point_of(view, call.arg(2))).transpose()?,
            SearchForm::Search | SearchForm::Store => {}
        }
        // Of a key that is not there Redis wants nothing more to be right.
        if form == SearchForm::OfPoint || (form == SearchForm::OfMember && view.is_some()) {
            query.radius(call.arg(at - 2), call.arg(at - 1))?;
        }
        while at < call.args().len() {
            let values = match form {
                SearchForm::OfPoint | SearchForm::OfMember => query.store_option(call, at)?,
                SearchForm::Search | SearchForm::Store => query.shape_option(call, at, form, view)?,
            };
            at += 1 + match values {
                Some(values) => values,
                None => query.common_option(call, at)?,
            };
        }
        query.check(call, form)?;
        Ok(query)
    }

    /// Takes the option at an argument that every form has; returns how many values it has.
    fn common_option(&mut self, call: &Call<'a>, at: usize) -> Result<usize, Failure> {
        let word = call.arg(at);
        match () {
            () if is(word, "WITHCOORD") => self.with_point = true,
            () if is(word, "WITHDIST") => self.with_distance = true,
            () if is(word, "WITHHASH") => self.with_hash = true,
            () if is(word, "ANY") => self.any = true,
            () if is(word, "ASC") => self.order = Some(Ordering::Less),
            () if is(word, "DESC") => self.order = Some(Ordering::Greater),
            () if is(word, "COUNT") && at + 1 < call.args().len() => {
                let count = usize::try_from(call.int(at + 1)?).ok().filter(|count| *count > 0);
                self.count = Some(count.ok_or(Failure::fixed("ERR COUNT must be > 0"))?);
                return Ok(1);
            }
            () => return Err(Failure::SYNTAX),
        }
        Ok(0)
    }

    /// The same of GEORADIUS, which can store; `None` if it is none of these.
    fn store_option(&mut self, call: &Call<'a>, at: usize) -> Result<Option<usize>, Failure> {
        let (word, may_store) = (call.arg(at), call.spec.writes() && at + 1 < call.args().len());
        if !may_store || !(is(word, "STORE") || is(word, "STOREDIST")) {
            return Ok(None);
        }
        self.store_distance = is(word, "STOREDIST");
        self.store = Some(call.key_at(at + 1).ok_or(Failure::SYNTAX)?);
        Ok(Some(1))
    }

    /// The same of GEOSEARCH, which has all of them.
    fn shape_option(
        &mut self,
        call: &Call<'a>,
        at: usize,
        form: SearchForm,
        view: Option<&GeoView<'_>>,
    ) -> Result<Option<usize>, Failure> {
        let (word, values) = (call.arg(at), &call.args()[at + 1..]);
        match *values {
            _ if is(word, "STOREDIST") && form == SearchForm::Store => {
                self.store_distance = true;
                Ok(Some(0))
            }
            [member, ..] if is(word, "FROMMEMBER") && self.centre != Some(Centre::Point) => {
                self.centre = Some(Centre::Member);
                self.point = view.map(|view| point_of(view, member)).transpose()?;
                Ok(Some(1))
            }
            [longitude, latitude, ..] if is(word, "FROMLONLAT") && self.centre != Some(Centre::Member) => {
                self.centre = Some(Centre::Point);
                self.point = Some(point(longitude, latitude)?);
                Ok(Some(2))
            }
            [radius, word_of_unit, ..] if is(word, "BYRADIUS") && !matches!(self.extent, Some(Extent::Box { .. })) => {
                self.radius(radius, word_of_unit)?;
                Ok(Some(2))
            }
            [width, height, word_of_unit, ..]
                if is(word, "BYBOX") && !matches!(self.extent, Some(Extent::Radius(_))) =>
            {
                let width = length(width, "ERR need numeric width")?;
                let height = length(height, "ERR need numeric height")?;
                if width < 0.0 || height < 0.0 {
                    return Err(Failure::fixed("ERR height or width cannot be negative"));
                }
                self.unit = unit(word_of_unit)?;
                self.extent = Some(Extent::Box { width: width * self.unit, height: height * self.unit });
                Ok(Some(3))
            }
            _ => Ok(None),
        }
    }

    fn radius(&mut self, radius: &[u8], word_of_unit: &[u8]) -> Outcome {
        let radius = length(radius, "ERR need numeric radius")?;
        if radius < 0.0 {
            return Err(Failure::fixed("ERR radius cannot be negative"));
        }
        self.unit = unit(word_of_unit)?;
        self.extent = Some(Extent::Radius(radius * self.unit));
        Ok(())
    }

    fn check(&self, call: &Call<'_>, form: SearchForm) -> Outcome {
        let name = || String::from_utf8_lossy(call.arg(0));
        let by_options = matches!(form, SearchForm::Search | SearchForm::Store);
        if self.store.is_some() && (self.with_point || self.with_distance || self.with_hash) {
            let what = if form == SearchForm::Store { "GEOSEARCHSTORE" } else { "STORE option in GEORADIUS" };
            let text = format!("ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options");
            return Err(Failure::owned(text));
        }
        if by_options && self.centre.is_none() {
            let text = format!("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {}", name());
            return Err(Failure::owned(text));
        }
        if by_options && self.extent.is_none() {
            let text = format!("ERR exactly one of BYRADIUS and BYBOX can be specified for {}", name());
            return Err(Failure::owned(text));
        }
        if self.any && self.count.is_none() {
            return Err(Failure::fixed("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// What is searched, if the key is there.
    fn shape(&self) -> Option<Shape> {
        Some(Shape { centre: self.point?, extent: self.extent? })
    }

    /// Returns the members within the shape, in the order in which they are shown.
    fn search<'v>(&self, view: &GeoView<'v>, shape: &Shape, reply: &mut Reply) -> Result<Vec<FoundPlace<'v>>, Failure> {
        let before =
            |score: u64| Score::new(score as f64).map_or(0, |score| view.count_before(Bound::BeforeScore(score)));
        let ranks: Vec<_> = shape.ranges().iter().map(|range| before(range.start)..before(range.end)).collect();
        // All of them are looked at, whatever is found.
        let members: u64 = ranks.iter().map(|ranks| ranks.end - ranks.start).sum();
        reply.expect(members.saturating_mul(ELEMENTS_OF_A_DISTANCE))?;
        let any = self.count.filter(|_| self.any);
        // Without ANY the nearest ones are returned, or the farthest ones if these come first.
        let order = self.order.or(self.count.filter(|_| !self.any).map(|_| Ordering::Less));
        let mut found = Vec::new();
        for ranks in ranks {
            let mut left = ranks.end - ranks.start;
            view.each_from(ranks.start, &mut |name, score| {
                if left == 0 || any == Some(found.len()) {
                    return false;
                }
                left -= 1;
                let score = score.get();
                found.extend(shape.distance_within(Point::of_score(score)).map(|metres| FoundPlace {
                    name,
                    score,
                    metres,
                }));
                if any.is_none() {
                    self.keep_first(&mut found, order, 2);
                }
                true
            });
        }
        self.keep_first(&mut found, order, 1);
        Ok(found)
    }

    /// Sorts what was found, and forgets what is behind the first `count`, once there are so many times as many.
    fn keep_first(&self, found: &mut Vec<FoundPlace<'_>>, order: Option<Ordering>, times: usize) {
        let (Some(order), true) = (order, times == 1 || self.count.is_some_and(|count| found.len() / times >= count))
        else {
            return;
        };
        found.sort_by(|one, other| {
            let ascending = one.metres.total_cmp(&other.metres);
            if order == Ordering::Less { ascending } else { ascending.reverse() }
        });
        found.truncate(self.count.unwrap_or(usize::MAX));
    }

    fn write(&self, found: &[FoundPlace<'_>], reply: &mut Reply) {
        reply.array(found.len());
        let parts = [self.with_distance, self.with_hash, self.with_point].into_iter().filter(|with| *with).count();
        for place in found {
            if parts > 0 {
                reply.array(1 + parts);
            }
            reply.bulk(place.name);
            if self.with_distance {
                write_distance(place.metres / self.unit, reply);
            }
            if self.with_hash {
                reply.int(place.score as i64);
            }
            if self.with_point {
                write_point(Point::of_score(place.score), reply);
            }
        }
    }
}

/// The point of a member.
fn point_of(view: &GeoView<'_>, name: &[u8]) -> Result<Point, Failure> {
    let score = view.score(name).ok_or(Failure::fixed("ERR could not decode requested zset member"))?;
    Ok(Point::of_score(score.get()))
}

fn length(arg: &[u8], otherwise: &'static str) -> Result<f64, Failure> {
    float::parse(arg).ok_or(Failure::fixed(otherwise))
}
