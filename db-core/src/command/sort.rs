//! SORT and SORT_RO: the elements of a list, set or sorted set in the order of what they are, or of keys and fields whose names are
//! made of them.

use std::cmp::Ordering;
use std::ops::Range;

use super::{float, list};
use crate::effect::KeyChange;
use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::keyspace::Located;
use crate::limits::SORT_BYTES_MAX;
use crate::types::list::ListChange;
use crate::value::{Kind, ValueView};

const NOT_A_WEIGHT: Failure = Failure::fixed("ERR One or more scores can't be converted into double");
const TOO_LARGE: Failure = Failure::fixed("ERR the elements, weights and results of one SORT exceed 1 GiB");

/// Whether a call looks at keys that are not among its arguments.
pub(crate) fn names_keys(args: &[&[u8]]) -> bool {
    args.windows(2).any(|pair| (is(pair[0], "BY") || is(pair[0], "GET")) && pair[1].contains(&b'*'))
}

/// What BY and GET look up for an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern<'a> {
    /// The element itself.
    Element,
    /// Nothing: the same key for every element makes no sense.
    Constant,
    /// The string at the key that has the element between these two; or a field of the hash there.
    Key { before: &'a [u8], after: &'a [u8], field: Option<&'a [u8]> },
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a [u8]) -> Pattern<'a> {
        // As in C, what stands for something is before a zero byte.
        let visible = text.split(|byte| *byte == 0).next().unwrap_or_default();
        if visible == b"#" {
            return Pattern::Element;
        }
        let Some(star) = visible.iter().position(|byte| *byte == b'*') else { return Pattern::Constant };
        let behind = star + 1;
        let arrow = visible[behind..].windows(2).position(|pair| pair == b"->").map(|at| behind + at);
        // An arrow at the end is part of the name.
        let arrow = arrow.filter(|at| at + 2 < visible.len());
        let after = &text[behind..arrow.unwrap_or(text.len())];
        Pattern::Key { before: &text[..star], after, field: arrow.map(|at| &text[at + 2..]) }
    }

    /// Returns the value for an element. `name` is scratch.
    fn value<'d>(&self, data: &'d mut Data<'_>, element: &'d [u8], name: &mut Vec<u8>) -> Option<ValueView<'d>> {
        let (before, after, field) = match *self {
            Pattern::Element => return Some(ValueView::whole(element)),
            Pattern::Constant => return None,
            Pattern::Key { before, after, field } => (before, after, field),
        };
        name.clear();
        [before, element, after].iter().for_each(|part| name.extend_from_slice(part));
        let at = data.locate(&data.key(name));
        // What is of another type is as good as missing.
        match field {
            Some(field) => data.map(&at, Kind::Hash).ok()??.value(field),
            None => data.string(&at).ok()?.map(|entry| entry.value()),
        }
    }
}

/// The options of a call.
struct SortOptions<'a> {
    descending: bool,
    /// Weights are compared as bytes, not as numbers.
    alpha: bool,
    /// Elements stay in the order in which the key holds them.
    as_held: bool,
    /// What the weights are; the elements themselves if there is none.
    by: Option<Pattern<'a>>,
    /// Elements that are passed, and those that are taken (negative: all).
    limit: (i64, i64),
    /// What is shown of each element.
    get: Vec<Pattern<'a>>,
}

impl<'a> SortOptions<'a> {
    fn parse(call: &Call<'a>) -> Result<SortOptions<'a>, Failure> {
        let mut sort =
            SortOptions { descending: false, alpha: false, as_held: false, by: None, limit: (0, -1), get: Vec::new() };
        let may_store = call.spec.writes();
        let mut options = call.options(2);
        while let Some(word) = options.word() {
            match () {
                () if is(word, "ASC") => sort.descending = false,
                () if is(word, "DESC") => sort.descending = true,
                () if is(word, "ALPHA") => sort.alpha = true,
                () if is(word, "LIMIT") => {
                    let (offset, count) = (options.value()?, options.value()?);
                    let number = |arg: &[u8]| parse_i64(arg).ok_or(Failure::NOT_AN_INTEGER);
                    sort.limit = (number(offset)?, number(count)?);
                }
                () if is(word, "BY") => {
                    let pattern = Pattern::parse(options.value()?);
                    // Once it is constant a later one changes nothing.
                    sort.as_held |= !matches!(pattern, Pattern::Key { .. });
                    sort.by = Some(pattern);
                }
                () if is(word, "GET") => sort.get.push(Pattern::parse(options.value()?)),
                // Its key is the last one of the call.
                () if is(word, "STORE") && may_store => drop(options.value()?),
                () => return Err(Failure::SYNTAX),
            }
        }
        if sort.get.is_empty() {
            sort.get.push(Pattern::Element);
        }
        Ok(sort)
    }

    /// Which of `len` elements LIMIT lets through.
    fn part(&self, len: u64) -> Range<u64> {
        let start = self.limit.0.max(0).cast_unsigned().min(len);
        let count = u64::try_from(self.limit.1).unwrap_or(len);
        start..start.saturating_add(count).min(len)
    }

    /// From which end elements are taken as the key holds them, and which of `len` are.
    fn held(&self, len: u64) -> (bool, Range<u64>) {
        if self.as_held { (self.descending, self.part(len)) } else { (false, 0..len) }
    }

    /// Returns the elements as the key holds them; of what stays in that order only those that LIMIT lets through.
    fn elements(&self, data: &mut Data<'_>, at: &Located<'_>, room: &mut Room) -> Result<Vec<Vec<u8>>, Failure> {
        let Some(kind) = data.entry(at).map(|entry| entry.kind()) else { return Ok(Vec::new()) };
        let mut copies = Copies { elements: Vec::new(), wanted: 0, room, outcome: Ok(()) };
        match kind {
            Kind::List => {
                let Some(view) = data.list(at)? else { return Ok(Vec::new()) };
                let (from_end, part) = self.held(view.len());
                copies.wanted = part.end - part.start;
                match from_end {
                    true => view.each_back_from(view.len() - part.start, &mut |element| copies.add(&element)),
                    false => view.each_from(part.start, &mut |element| copies.add(&element)),
                }
            }
            Kind::SortedSet => {
                let Some(view) = data.sorted(at)? else { return Ok(Vec::new()) };
                let (from_end, part) = self.held(view.len());
                copies.wanted = part.end - part.start;
                let mut add = |name, _| copies.add(&ValueView::whole(name));
                match from_end {
                    true => view.each_back_from(view.len() - part.start, &mut add),
                    false => view.each_from(part.start, &mut add),
                }
            }
            Kind::Set => {
                let Some(view) = data.map(at, Kind::Set)? else { return Ok(Vec::new()) };
                let (_, part) = self.held(view.len());
                copies.wanted = part.end;
                view.each(&mut |member| {
                    copies.add(&ValueView::whole(member.name));
                });
                copies.elements.drain(..copies.elements.len().min(part.start as usize));
            }
            Kind::String | Kind::Hash | Kind::Stream => return Err(Failure::WRONG_TYPE),
        }
        copies.outcome?;
        Ok(copies.elements)
    }

    /// Returns those of the elements that LIMIT lets through, in order.
    fn sort(
        &self,
        data: &mut Data<'_>,
        elements: Vec<Vec<u8>>,
        room: &mut Room,
    ) -> Result<impl Iterator<Item = Vec<u8>>, Failure> {
        let part = self.part(elements.len() as u64);
        let mut name = Vec::new();
        let mut weighed = Vec::with_capacity(elements.len());
        for element in elements {
            let weight = self.weight(data, &element, &mut name, room)?;
            weighed.push((element, weight));
        }
        weighed.sort_by(|one, other| {
            let order = compare(one, other);
            if self.descending { order.reverse() } else { order }
        });
        let passed = part.start as usize;
        Ok(weighed.into_iter().map(|(element, _)| element).skip(passed).take(part.end as usize - passed))
    }

    fn weight(
        &self,
        data: &mut Data<'_>,
        element: &[u8],
        name: &mut Vec<u8>,
        room: &mut Room,
    ) -> Result<Weight, Failure> {
        let Some(by) = self.by else {
            return if self.alpha { Ok(Weight::Element) } else { number(&ValueView::whole(element)) };
        };
        match (self.alpha, by.value(data, element, name)) {
            (true, found) => Ok(Weight::Text(found.map(|value| room.copy(&value)).transpose()?)),
            (false, Some(value)) => number(&value),
            (false, None) => Ok(Weight::Number(0.0)),
        }
    }

    /// Shows what GET asks for of each element.
    fn each_result(
        &self,
        data: &mut Data<'_>,
        elements: &[Vec<u8>],
        room: &mut Room,
        show: &mut dyn FnMut(Option<&ValueView<'_>>),
    ) -> Outcome {
        let mut name = Vec::new();
        for element in elements {
            for pattern in &self.get {
                let value = pattern.value(data, element, &mut name);
                room.take(value.as_ref().map_or(0, ValueView::len))?;
                show(value.as_ref());
            }
        }
        Ok(())
    }
}

/// What an element is sorted by.
enum Weight {
    Number(f64),
    /// What BY has found.
    Text(Option<Vec<u8>>),
    /// Itself, as bytes.
    Element,
}

fn number(value: &ValueView<'_>) -> Result<Weight, Failure> {
    let number = value.as_slice().map_or_else(
        || {
            let mut text = Vec::new();
            value.range(0, value.len(), &mut text);
            float::parse_weight(&text)
        },
        float::parse_weight,
    );
    number.map(Weight::Number).ok_or(NOT_A_WEIGHT)
}

/// Equal texts leave elements as they are, equal numbers do not: so does Redis.
fn compare((one, of_one): &(Vec<u8>, Weight), (other, of_other): &(Vec<u8>, Weight)) -> Ordering {
    match (of_one, of_other) {
        (Weight::Number(a), Weight::Number(b)) => {
            a.partial_cmp(b).unwrap_or(Ordering::Equal).then_with(|| one.cmp(other))
        }
        (Weight::Text(a), Weight::Text(b)) => a.cmp(b),
        _ => one.cmp(other),
    }
}

/// Bytes that a call may still take.
struct Room(u64);

impl Room {
    /// Bytes that an element or a weight takes beside its own.
    const COPY_BYTES: u64 = 64;
    /// Bytes that a result takes beside its own.
    const RESULT_BYTES: u64 = 32;

    fn take(&mut self, bytes: u64) -> Outcome {
        self.0 = self.0.checked_sub(bytes).ok_or(TOO_LARGE)?;
        Ok(())
    }

    fn copy(&mut self, value: &ValueView<'_>) -> Result<Vec<u8>, Failure> {
        self.take(value.len() + Room::COPY_BYTES)?;
        let mut copy = Vec::new();
        value.range(0, value.len(), &mut copy);
        Ok(copy)
    }
}

/// Copies of the first elements that it is shown.
struct Copies<'r> {
    elements: Vec<Vec<u8>>,
    wanted: u64,
    room: &'r mut Room,
    outcome: Outcome,
}

impl Copies<'_> {
    /// Whether more are wanted.
    fn add(&mut self, element: &ValueView<'_>) -> bool {
        if self.outcome.is_err() || self.elements.len() as u64 >= self.wanted {
            return false;
        }
        self.outcome = self.room.copy(element).map(|copy| self.elements.push(copy));
        self.outcome.is_ok()
    }
}

/// SORT, and SORT_RO, which has no STORE.
pub(crate) fn sort(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let mut options = SortOptions::parse(call)?;
    let (at, store) = (data.locate(&call.key(0)), call.keys().nth(1));
    if options.as_held && store.is_some() && data.entry(&at).is_some_and(|entry| entry.kind() == Kind::Set) {
        // What is stored of a set is in an order that does not depend on how the set is held.
        (options.as_held, options.alpha, options.by) = (false, true, None);
    }
    let mut room = Room(SORT_BYTES_MAX);
    let mut elements = options.elements(data, &at, &mut room)?;
    reply.expect(elements.len() as u64)?;
    if !options.as_held {
        elements = options.sort(data, elements, &mut room)?.collect();
    }
    let results = elements.len() * options.get.len();
    room.take((results as u64).saturating_mul(Room::RESULT_BYTES))?;
    let Some(store) = store else {
        reply.array(results);
        return options.each_result(data, &elements, &mut room, &mut |value| match value {
            Some(value) => reply.value(value),
            None => reply.null(),
        });
    };
    let mut stored = Vec::with_capacity(results);
    options.each_result(data, &elements, &mut room, &mut |value| {
        let mut copy = Vec::new();
        if let Some(value) = value {
            value.range(0, value.len(), &mut copy);
        }
        stored.push(copy);
    })?;
    let mut at = data.locate(&store);
    if results > 0 {
        let stored: Vec<&[u8]> = stored.iter().map(Vec::as_slice).collect();
        let form = list::form_with(data, &None, stored.iter().copied());
        data.change(&mut at, ListChange::Store { form, elements: stored.as_slice().into() })?;
    } else if data.exists(&at) {
        data.change(&mut at, KeyChange::Del)?;
    }
    reply.count(results as u64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_keys_and_fields() {
        let key = |before: &'static str, after: &'static str, field: Option<&'static str>| Pattern::Key {
            before: before.as_bytes(),
            after: after.as_bytes(),
            field: field.map(str::as_bytes),
        };
        for (text, pattern) in [
            ("#", Pattern::Element),
            ("#\0*", Pattern::Element),
            ("##", Pattern::Constant),
            ("nosort", Pattern::Constant),
            ("", Pattern::Constant),
            ("key->field", Pattern::Constant),
            ("w\0*", Pattern::Constant),
            ("*", key("", "", None)),
            ("w_*", key("w_", "", None)),
            ("a*b*c", key("a", "b*c", None)),
            ("h_*->f", key("h_", "", Some("f"))),
            ("h_*_x->f->g", key("h_", "_x", Some("f->g"))),
            ("a->b*", key("a->b", "", None)),
            ("h_*->", key("h_", "->", None)),
            ("h_*x\0y", key("h_", "x\0y", None)),
            ("h_*->f\0g", key("h_", "", Some("f\0g"))),
        ] {
            assert_eq!(Pattern::parse(text.as_bytes()), pattern, "{text:?}");
        }
    }

    #[test]
    fn only_patterns_with_a_star_need_other_keys() {
        let names = |call: &str| names_keys(&call.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        for call in ["sort k", "sort k by nosort get #", "sort k* store *", "sort_ro k limit 0 5 alpha", "sort k by"] {
            assert!(!names(call), "{call}");
        }
        for call in ["sort k by w_*", "sort k get # GET *->f", "sort k by nosort get *", "sort_ro k BY x by *"] {
            assert!(names(call), "{call}");
        }
    }
}
