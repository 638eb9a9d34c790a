//! Changes of a key that holds a sorted set.

use crate::arena::{Pages, Ref};
use crate::effect::{Family, KeyEffect, Reader, RecordError, Strings, put_number};
use crate::keyspace::{Keyspace, Located};
use crate::limits::KEY_BYTES_MAX;
use crate::value::Kind;
use crate::value::packed;
use crate::value::record::{Encoding, Form, Head};
use crate::value::sorted::{self, LargeSorted, Score, SortedView};

/// Changes of a sorted set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortedChange<'a> {
    /// It has these members with these scores, beside others; the key is made if it does not exist.
    Put {
        /// How it is held then; it never goes back to a form before this one.
        form: SortedForm,
        /// Members, each followed by its score ([`Score::to_bytes`]). A member may be there twice: the last one counts.
        items: Strings<'a>,
    },
    /// It has these members and no others, and no expiry, whatever the key held.
    Store {
        /// How it is held.
        form: SortedForm,
        /// As of [`Put`](Self::Put).
        items: Strings<'a>,
    },
    /// It has none of these members any more. The key is deleted with its last one.
    Remove {
        /// Members.
        names: Strings<'a>,
    },
    /// The members from a rank on are removed. The key is deleted with its last one.
    Cut {
        /// From the lowest score on.
        rank: u64,
        /// How many; they exist.
        count: u64,
    },
}

impl<'a> SortedChange<'a> {
    /// Adds `items` to what the key holds; `exists`: what it holds, if anything, has not expired.
    #[must_use]
    pub const fn add(exists: bool, form: SortedForm, items: Strings<'a>) -> SortedChange<'a> {
        if exists { SortedChange::Put { form, items } } else { SortedChange::Store { form, items } }
    }
}

/// How a sorted set is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortedForm {
    /// In one piece.
    Packed,
    /// In a hash table and a tree.
    Large,
}

impl SortedForm {
    const fn encoding(self) -> Encoding {
        match self {
            SortedForm::Packed => Encoding::PACKED,
            SortedForm::Large => Encoding::SORTED,
        }
    }

    /// Whether members can be added to what is there, none or a sorted set in this form or one before it, so that it is in this form
    /// then: the bytes in one piece are bounded.
    #[must_use]
    pub fn has_room<'n>(self, old: Option<&SortedView<'_, impl Pages>>, names: impl Iterator<Item = &'n [u8]>) -> bool {
        if self == SortedForm::Large {
            return true;
        }
        let bytes = old.map_or(packed::EMPTY_BYTES, SortedView::packed_bytes);
        bytes + names.map(|name| sorted::pair_bytes(name.len())).sum::<usize>() <= packed::BYTES_MAX
    }
}

const FAMILY: u8 = 5;
const PUT: u8 = 0;
const STORE: u8 = 1;
/// Added to one of those above: it is large then.
const LARGE: u8 = 2;
const REMOVE: u8 = 4;
const CUT: u8 = 5;

impl KeyEffect for SortedChange<'_> {
    fn operation(&self) -> u8 {
        let large = |form| if form == SortedForm::Large { LARGE } else { 0 };
        FAMILY << 4
            | match *self {
                SortedChange::Put { form, .. } => PUT + large(form),
                SortedChange::Store { form, .. } => STORE + large(form),
                SortedChange::Remove { .. } => REMOVE,
                SortedChange::Cut { .. } => CUT,
            }
    }

    fn bytes_max(&self) -> usize {
        const NUMBERS: usize = 20;
        match self {
            SortedChange::Put { items, .. } | SortedChange::Store { items, .. } => items.bytes_max(),
            SortedChange::Remove { names } => names.bytes_max(),
            SortedChange::Cut { .. } => NUMBERS,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            SortedChange::Put { items, .. } | SortedChange::Store { items, .. } => items.encode(out),
            SortedChange::Remove { names } => names.encode(out),
            SortedChange::Cut { rank, count } => {
                put_number(out, *rank);
                put_number(out, *count);
            }
        }
    }

    fn pages(&self, keyspace: &Keyspace, at: &Located<'_>) -> Result<Option<usize>, &'static str> {
        let found = keyspace.record(at);
        let found = found.as_ref();
        if found.is_some_and(|(_, head)| head.kind != Kind::SortedSet) && !matches!(self, SortedChange::Store { .. }) {
            return Err("what it changes is no sorted set");
        }
        match *self {
            SortedChange::Put { form, items } | SortedChange::Store { form, items } => {
                let old = found.filter(|_| matches!(self, SortedChange::Put { .. }));
                pages_to_put(keyspace, old, form, &items).map(Some)
            }
            SortedChange::Remove { .. } if found.is_some() => Ok(None),
            SortedChange::Cut { rank, count } => {
                let len = found.map_or(0, |(record, head)| SortedView::new(keyspace.arena(), *record, head).len());
                let fits = count > 0 && rank.checked_add(count).is_some_and(|end| end <= len);
                if fits { Ok(None) } else { Err("it removes members that there are not") }
            }
            SortedChange::Remove { .. } => Err("what it takes members out of does not exist"),
        }
    }

    fn apply(&self, keyspace: &mut Keyspace, at: &mut Located<'_>) {
        match *self {
            SortedChange::Put { form, items } => put(keyspace, at, form, &items),
            SortedChange::Store { form, items } => {
                keyspace.remove(at);
                put(keyspace, at, form, &items);
            }
            SortedChange::Remove { names } => {
                let in_one_piece = |blob: &mut Vec<u8>| {
                    names.iter().for_each(|name| packed::remove(blob, 2, name));
                };
                shrink(keyspace, at, in_one_piece, |large, keyspace| {
                    names.iter().for_each(|name| large.remove(keyspace.arena_mut(), name));
                });
            }
            SortedChange::Cut { rank, count } => {
                let in_one_piece = |blob: &mut Vec<u8>| packed::cut(blob, 2, rank as usize, count as usize);
                shrink(keyspace, at, in_one_piece, |large, keyspace| large.cut(keyspace.arena_mut(), rank, count));
            }
        }
    }
}

impl<'a> Family<'a> for SortedChange<'a> {
    const NUMBER: u8 = FAMILY;

    fn decode(operation: u8, from: &mut Reader<'a>) -> Result<Option<SortedChange<'a>>, RecordError> {
        let form = if operation & LARGE == 0 { SortedForm::Packed } else { SortedForm::Large };
        Ok(Some(match operation {
            REMOVE => SortedChange::Remove { names: Strings::decode(from)? },
            CUT => SortedChange::Cut { rank: from.number()?, count: from.number()? },
            _ if operation & !LARGE == PUT => SortedChange::Put { form, items: Strings::decode(from)? },
            _ if operation & !LARGE == STORE => SortedChange::Store { form, items: Strings::decode(from)? },
            _ => return Ok(None),
        }))
    }
}

/// Pages that adding members to what is there may take or copy beside those of any change.
fn pages_to_put(
    keyspace: &Keyspace,
    found: Option<&(Ref, Head)>,
    form: SortedForm,
    items: &Strings<'_>,
) -> Result<usize, &'static str> {
    let (mut each, mut sound, mut too_long) = (items.iter(), true, false);
    while let Some(name) = each.next() {
        too_long |= name.len() > KEY_BYTES_MAX;
        sound &= each.next().is_some_and(|score| score.len() == 8 && Score::from_bytes(score).is_some());
    }
    if items.is_empty() || !sound {
        return Err("it adds no whole member, or no score");
    }
    if too_long {
        return Err("a member is longer than the limit");
    }
    let old = found.map(|(record, head)| SortedView::new(keyspace.arena(), *record, head));
    if form == SortedForm::Packed && old.as_ref().is_some_and(SortedView::is_large) {
        return Err("it adds members in a form that the sorted set has left");
    }
    if !form.has_room(old.as_ref(), names(items)) {
        return Err("a sorted set in one piece would be too long");
    }
    if form == SortedForm::Packed {
        return Ok(0);
    }
    // What it is in one piece is added again.
    let again = old.as_ref().map_or(0, SortedView::packed_bytes);
    let large = found.filter(|(_, head)| head.encoding == Encoding::SORTED);
    let large = large.map(|(record, head)| LargeSorted::at(record.page(), head.rest_at));
    let bytes: usize = items.iter().map(<[u8]>::len).sum();
    Ok(sorted::pages_to_put(keyspace.arena(), large, items.len() / 2 + again, bytes + again))
}

/// The members among strings each of which is followed by its score.
fn names<'a>(items: &Strings<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let mut each = items.iter();
    std::iter::from_fn(move || {
        let name = each.next();
        each.next();
        name
    })
}

/// The members in one piece; none if the key does not exist.
fn packed_of(keyspace: &Keyspace, at: &Located<'_>) -> Vec<u8> {
    let rest = |(record, head): (Ref, Head)| packed::copy(head.rest(keyspace.arena().page(record.page())));
    keyspace.record(at).map_or_else(packed::empty, rest)
}

fn write(keyspace: &mut Keyspace, at: &mut Located<'_>, blob: &[u8]) {
    keyspace.put_rest(at, Kind::SortedSet, Form { encoding: Encoding::PACKED, rest_len: blob.len() }, blob);
}

fn put(keyspace: &mut Keyspace, at: &mut Located<'_>, form: SortedForm, items: &Strings<'_>) {
    if form == SortedForm::Large {
        let large = make_large(keyspace, at);
        put_large(keyspace, large, items.iter());
        return;
    }
    let mut each = items.iter();
    let mut next = || Some((each.next()?, each.next().and_then(Score::from_bytes)?));
    if items.len() == 2
        && let Some((name, score)) = next()
    {
        let (bytes, len) = score.short_bytes();
        let item = [name, &bytes[..len]];
        return keyspace.edit(at, keyspace.record(at), Kind::SortedSet, |blob| sorted::put_edit(blob, score, &item));
    }
    let mut blob = packed_of(keyspace, at);
    while let Some((name, score)) = next() {
        sorted::put(&mut blob, name, score);
    }
    write(keyspace, at, &blob);
}

/// Makes the key hold a large one with the members that it has; its expiry stays.
fn make_large(keyspace: &mut Keyspace, at: &mut Located<'_>) -> LargeSorted {
    let old = keyspace.record(at);
    if let Some((record, head)) = old.filter(|(_, head)| head.encoding == SortedForm::Large.encoding()) {
        return LargeSorted::at(record.page(), head.rest_at);
    }
    let blob = packed_of(keyspace, at);
    let form = Form { encoding: Encoding::SORTED, rest_len: sorted::ROOT_BYTES };
    let (record, head) = keyspace.put_rest(at, Kind::SortedSet, form, &[0; sorted::ROOT_BYTES]);
    let large = LargeSorted::at(record.page(), head.rest_at);
    sorted::pairs(&blob).for_each(|(name, score)| large.put(keyspace.arena_mut(), name, score));
    large
}

/// Adds members, each followed by its score, to a large one.
pub(crate) fn put_large<'s>(keyspace: &mut Keyspace, large: LargeSorted, mut items: impl Iterator<Item = &'s [u8]>) {
    while let (Some(name), Some(score)) = (items.next(), items.next().and_then(Score::from_bytes)) {
        large.put(keyspace.arena_mut(), name, score);
    }
}

/// Removes members from the existing sorted set, and the key with the last one.
fn shrink(
    keyspace: &mut Keyspace,
    at: &mut Located<'_>,
    in_one_piece: impl FnOnce(&mut Vec<u8>),
    in_large: impl FnOnce(LargeSorted, &mut Keyspace),
) {
    let (record, head) = keyspace.record(at).expect("it was looked at when the change was planned");
    let left = if head.encoding == Encoding::SORTED {
        let large = LargeSorted::at(record.page(), head.rest_at);
        in_large(large, keyspace);
        large.len(keyspace.arena())
    } else {
        let mut blob = packed_of(keyspace, at);
        in_one_piece(&mut blob);
        if packed::len(&blob) > 0 {
            write(keyspace, at, &blob);
        }
        packed::len(&blob) as u64
    };
    if left == 0 {
        keyspace.remove(at);
    }
}
