//! Changes of a key that holds a list.

use crate::arena::{Pages, Ref};
use crate::effect::{Family, KeyEffect, Reader, RecordError, Strings, put_bytes, put_number};
use crate::keyspace::{Keyspace, Located};
use crate::limits::VALUE_BYTES_MAX;
use crate::value::Kind;
use crate::value::list::{self, LargeList, ListView};
use crate::value::packed::{self, Edit};
use crate::value::record::{Encoding, Form, Head};

/// Changes of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListChange<'a> {
    /// These elements are added one after the other at an end; the key is made if it does not exist.
    Push {
        /// How the list is held then; it never goes back to a form before this one.
        form: ListForm,
        /// Where.
        end: End,
        /// At least one.
        elements: Strings<'a>,
    },
    /// The list has these elements and no others, and no expiry, whatever the key held.
    Store {
        /// How it is held.
        form: ListForm,
        /// At least one.
        elements: Strings<'a>,
    },
    /// This element is inserted before the one at an index, which exists.
    Insert {
        /// As of [`Push`](Self::Push).
        form: ListForm,
        /// From the first element on.
        index: u64,
        /// What is inserted.
        element: &'a [u8],
    },
    /// The element at an index, which exists, is another one.
    Set {
        /// As of [`Push`](Self::Push).
        form: ListForm,
        /// From the first element on.
        index: u64,
        /// What it is then.
        element: &'a [u8],
    },
    /// Elements are removed. The key is deleted with its last one.
    Cut {
        /// Which ones.
        cuts: Cuts<'a>,
    },
    /// The element at one end moves to the other one.
    Rotate {
        /// Where it is taken from.
        from: End,
    },
}

impl<'a> ListChange<'a> {
    /// Adds elements at an end of what the key holds; `exists`: what it holds, if anything, has not expired. Without it there must be
    /// one element, or those are added at the right.
    #[must_use]
    pub fn add(exists: bool, form: ListForm, end: End, elements: Strings<'a>) -> ListChange<'a> {
        if exists { ListChange::Push { form, end, elements } } else { ListChange::Store { form, elements } }
    }
}

/// An end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Where the first element is.
    Left,
    /// Where the last one is.
    Right,
}

/// How a list is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListForm {
    /// In one piece.
    Packed,
    /// In a tree.
    Tree,
}

impl ListForm {
    /// Whether elements can be added to what is there, none or a list in this form or one before it, so that it is in this form then:
    /// the bytes in one piece are bounded.
    #[must_use]
    pub fn has_room<'e>(
        self,
        old: Option<&ListView<'_, impl Pages>>,
        mut elements: impl Iterator<Item = &'e [u8]>,
    ) -> bool {
        if self == ListForm::Tree {
            return true;
        }
        let mut bytes = old.map_or(packed::EMPTY_BYTES, ListView::packed_bytes);
        elements.all(|element| {
            bytes += packed::string_bytes(element.len());
            bytes <= packed::BYTES_MAX
        })
    }
}

/// Parts of a list that are removed: index and number of elements of each, from the end on, none behind or within the one before.
#[derive(Clone, Copy, Debug)]
pub struct Cuts<'a>(CutsRepr<'a>);

#[derive(Clone, Copy, Debug)]
enum CutsRepr<'a> {
    Plain(&'a [(u64, u64)]),
    /// So many pairs of numbers, which have been read once.
    Encoded(usize, Reader<'a>),
}

/// What is left of several parts.
struct EachCut<'a> {
    plain: std::slice::Iter<'a, (u64, u64)>,
    /// How many parts of a record come behind them.
    encoded: usize,
    from: Reader<'a>,
}

impl Iterator for EachCut<'_> {
    type Item = (u64, u64);

    #[inline]
    fn next(&mut self) -> Option<(u64, u64)> {
        match self.plain.next() {
            Some(cut) => Some(*cut),
            None if self.encoded == 0 => None,
            None => Some(self.read()),
        }
    }
}

impl EachCut<'_> {
    /// Not inlined: a node that executes has no need of it.
    #[inline(never)]
    fn read(&mut self) -> (u64, u64) {
        self.encoded -= 1;
        let mut number = || self.from.number().expect("a record's numbers were read before");
        (number(), number())
    }
}

impl<'a> From<&'a [(u64, u64)]> for Cuts<'a> {
    fn from(cuts: &'a [(u64, u64)]) -> Self {
        Cuts(CutsRepr::Plain(cuts))
    }
}

impl PartialEq for Cuts<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Cuts<'_> {}

impl<'a> Cuts<'a> {
    fn len(&self) -> usize {
        match self.0 {
            CutsRepr::Plain(cuts) => cuts.len(),
            CutsRepr::Encoded(count, _) => count,
        }
    }

    #[inline]
    fn iter(&self) -> EachCut<'a> {
        match self.0 {
            CutsRepr::Plain(cuts) => EachCut { plain: cuts.iter(), encoded: 0, from: Reader::EMPTY },
            CutsRepr::Encoded(count, from) => EachCut { plain: [].iter(), encoded: count, from },
        }
    }

    fn decode(from: &mut Reader<'a>) -> Result<Self, RecordError> {
        let count = usize::try_from(from.number()?).map_err(|_| RecordError::TooLong)?;
        let all = *from;
        for _ in 0..count {
            from.number()?;
            from.number()?;
        }
        Ok(Cuts(CutsRepr::Encoded(count, all)))
    }

    /// Whether they are in order, and within a list of `len` elements.
    fn fit(&self, len: u64) -> bool {
        let mut end = len;
        self.len() > 0
            && self.iter().all(|(index, count)| {
                let fits = count > 0 && index.checked_add(count).is_some_and(|behind| behind <= end);
                end = index;
                fits
            })
    }
}

const FAMILY: u8 = 4;
const PUSH_LEFT: u8 = 0;
const PUSH_RIGHT: u8 = 1;
const STORE: u8 = 2;
const INSERT: u8 = 3;
const SET: u8 = 4;
/// Added to one of those above: the list is a tree then.
const TREE: u8 = 5;
const CUT: u8 = 10;
const ROTATE_LEFT: u8 = 11;
const ROTATE_RIGHT: u8 = 12;

impl KeyEffect for ListChange<'_> {
    fn operation(&self) -> u8 {
        let (operation, form) = match *self {
            ListChange::Push { form, end: End::Left, .. } => (PUSH_LEFT, form),
            ListChange::Push { form, end: End::Right, .. } => (PUSH_RIGHT, form),
            ListChange::Store { form, .. } => (STORE, form),
            ListChange::Insert { form, .. } => (INSERT, form),
            ListChange::Set { form, .. } => (SET, form),
            ListChange::Cut { .. } => (CUT, ListForm::Packed),
            ListChange::Rotate { from: End::Left } => (ROTATE_LEFT, ListForm::Packed),
            ListChange::Rotate { from: End::Right } => (ROTATE_RIGHT, ListForm::Packed),
        };
        let tree = if form == ListForm::Tree { TREE } else { 0 };
        FAMILY << 4 | (operation + tree)
    }

    fn bytes_max(&self) -> usize {
        const NUMBERS: usize = 20;
        match self {
            ListChange::Push { elements, .. } | ListChange::Store { elements, .. } => elements.bytes_max(),
            ListChange::Insert { element, .. } | ListChange::Set { element, .. } => NUMBERS + element.len(),
            ListChange::Cut { cuts } => NUMBERS + cuts.len() * NUMBERS,
            ListChange::Rotate { .. } => 0,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ListChange::Push { elements, .. } | ListChange::Store { elements, .. } => elements.encode(out),
            ListChange::Insert { index, element, .. } | ListChange::Set { index, element, .. } => {
                put_number(out, *index);
                put_bytes(out, element);
            }
            ListChange::Cut { cuts } => {
                put_number(out, cuts.len() as u64);
                for (index, count) in cuts.iter() {
                    put_number(out, index);
                    put_number(out, count);
                }
            }
            ListChange::Rotate { .. } => {}
        }
    }

    fn pages(&self, keyspace: &Keyspace, at: &Located<'_>) -> Result<Option<usize>, &'static str> {
        let found = keyspace.record(at);
        let found = found.as_ref();
        if found.is_some_and(|(_, head)| head.kind != Kind::List) && !matches!(self, ListChange::Store { .. }) {
            return Err("what it changes is no list");
        }
        let len = || found.map_or(0, |(record, head)| ListView::new(keyspace.arena(), *record, head).len());
        match *self {
            ListChange::Push { form, elements, .. } => pages_to_add(keyspace, found, form, elements.iter()).map(Some),
            ListChange::Store { form, elements } => pages_to_add(keyspace, None, form, elements.iter()).map(Some),
            ListChange::Insert { form, index, element } | ListChange::Set { form, index, element } if index < len() => {
                pages_to_add(keyspace, found, form, std::iter::once(element)).map(Some)
            }
            ListChange::Cut { cuts } if cuts.fit(len()) => Ok(None),
            ListChange::Rotate { .. } if len() > 0 => Ok(Some(crate::structure::tree::PAGES_MAX)),
            _ => Err("it changes elements that the list does not have"),
        }
    }

    fn apply(&self, keyspace: &mut Keyspace, at: &mut Located<'_>) {
        match *self {
            ListChange::Push { form, end, elements } => push(keyspace, at, form, end, elements),
            ListChange::Store { form, elements } => {
                keyspace.remove(at);
                push(keyspace, at, form, End::Right, elements);
            }
            ListChange::Insert { form, index, element } => {
                let element = &[element];
                let in_one_piece = |blob: &[u8]| Edit::insert(blob, index as usize, element);
                change(keyspace, at, form, in_one_piece, |list, keyspace| {
                    list.insert(keyspace.arena_mut(), index, element[0]);
                });
            }
            ListChange::Set { form, index, element } => {
                let element = &[element];
                let in_one_piece = |blob: &[u8]| Edit::set(blob, index as usize, element);
                change(keyspace, at, form, in_one_piece, |list, keyspace| {
                    list.set(keyspace.arena_mut(), index, element[0]);
                });
            }
            ListChange::Cut { cuts } => cut(keyspace, at, &cuts),
            ListChange::Rotate { from } => rotate(keyspace, at, from),
        }
    }
}

impl<'a> Family<'a> for ListChange<'a> {
    const NUMBER: u8 = FAMILY;

    fn decode(operation: u8, from: &mut Reader<'a>) -> Result<Option<ListChange<'a>>, RecordError> {
        let form = if operation < TREE { ListForm::Packed } else { ListForm::Tree };
        let kind = if operation < CUT { operation % TREE } else { operation };
        Ok(Some(match kind {
            PUSH_LEFT => ListChange::Push { form, end: End::Left, elements: Strings::decode(from)? },
            PUSH_RIGHT => ListChange::Push { form, end: End::Right, elements: Strings::decode(from)? },
            STORE => ListChange::Store { form, elements: Strings::decode(from)? },
            INSERT => ListChange::Insert { form, index: from.number()?, element: from.value()? },
            SET => ListChange::Set { form, index: from.number()?, element: from.value()? },
            CUT => ListChange::Cut { cuts: Cuts::decode(from)? },
            ROTATE_LEFT => ListChange::Rotate { from: End::Left },
            ROTATE_RIGHT => ListChange::Rotate { from: End::Right },
            _ => return Ok(None),
        }))
    }
}

/// Pages that adding elements to what is there may take or copy beside those of any change.
fn pages_to_add<'e>(
    keyspace: &Keyspace,
    found: Option<&(Ref, Head)>,
    form: ListForm,
    elements: impl Iterator<Item = &'e [u8]> + Clone,
) -> Result<usize, &'static str> {
    let (mut count, mut too_long) = (0_usize, false);
    elements.clone().for_each(|element| {
        count += 1;
        too_long |= element.len() as u64 > VALUE_BYTES_MAX;
    });
    if count == 0 || too_long {
        return Err("it adds no element, or one that is longer than the limit");
    }
    let old = found.map(|(record, head)| ListView::new(keyspace.arena(), *record, head));
    if form == ListForm::Packed && old.as_ref().is_some_and(ListView::is_large) {
        return Err("it adds elements in a form that the list has left");
    }
    if !form.has_room(old.as_ref(), elements.clone()) {
        return Err("a list in one piece would be too long");
    }
    let lengths = elements.map(<[u8]>::len);
    Ok(match (form, old.as_ref().map_or(0, ListView::packed_bytes)) {
        (ListForm::Packed, _) => 0,
        (ListForm::Tree, 0) => list::pages_to_add(lengths),
        // What it is in one piece is added again.
        (ListForm::Tree, again) => list::pages_to_add(lengths.chain(std::iter::repeat_n(1, again))),
    })
}

/// Changes the list in one piece, or in a tree that it may become for that.
fn change<'s>(
    keyspace: &mut Keyspace,
    at: &mut Located<'_>,
    form: ListForm,
    in_one_piece: impl FnOnce(&[u8]) -> Edit<'s>,
    in_tree: impl FnOnce(LargeList, &mut Keyspace),
) {
    match form {
        ListForm::Packed => keyspace.edit(at, keyspace.record(at), Kind::List, in_one_piece),
        ListForm::Tree => {
            let list = make_large(keyspace, at);
            in_tree(list, keyspace);
        }
    }
}

fn push(keyspace: &mut Keyspace, at: &mut Located<'_>, form: ListForm, end: End, elements: Strings<'_>) {
    let mut each = elements.iter();
    if form == ListForm::Packed && elements.len() > 1 {
        let mut blob = packed_of(keyspace, at);
        for element in each {
            let index = if end == End::Left { 0 } else { packed::len(&blob) };
            packed::insert(&mut blob, index, element);
        }
        return write(keyspace, at, &blob);
    }
    let first = &[each.next().unwrap_or_default()];
    let in_one_piece = |blob: &[u8]| Edit::insert(blob, if end == End::Left { 0 } else { packed::len(blob) }, first);
    change(keyspace, at, form, in_one_piece, |list, keyspace| {
        for element in std::iter::once(first[0]).chain(each) {
            let index = if end == End::Left { 0 } else { list.len(keyspace.arena()) };
            list.insert(keyspace.arena_mut(), index, element);
        }
    });
}

/// The list in one piece; empty if the key does not exist.
fn packed_of(keyspace: &Keyspace, at: &Located<'_>) -> Vec<u8> {
    let rest = |(record, head): (Ref, Head)| packed::copy(head.rest(keyspace.arena().page(record.page())));
    keyspace.record(at).map_or_else(packed::empty, rest)
}

/// Makes the key, which holds no tree, hold `blob`; its expiry stays.
fn write(keyspace: &mut Keyspace, at: &mut Located<'_>, blob: &[u8]) {
    let form = Form { encoding: Encoding::PACKED, rest_len: blob.len() };
    keyspace.put_rest(at, Kind::List, form, blob);
}

/// Makes the key hold a tree with the elements that it has; its expiry stays.
fn make_large(keyspace: &mut Keyspace, at: &mut Located<'_>) -> LargeList {
    match keyspace.record(at) {
        Some((record, head)) if head.encoding == Encoding::TREE => LargeList::at(record.page(), head.rest_at),
        _ => make_large_of_piece(keyspace, at),
    }
}

/// The same for a list in one piece, or none.
#[cold]
fn make_large_of_piece(keyspace: &mut Keyspace, at: &mut Located<'_>) -> LargeList {
    let blob = packed_of(keyspace, at);
    let form = Form { encoding: Encoding::TREE, rest_len: list::ROOT_BYTES };
    let (record, head) = keyspace.put_rest(at, Kind::List, form, &[0; list::ROOT_BYTES]);
    let list = LargeList::at(record.page(), head.rest_at);
    for (index, element) in packed::strings(&blob).enumerate() {
        list.insert(keyspace.arena_mut(), index as u64, element);
    }
    list
}

fn cut(keyspace: &mut Keyspace, at: &mut Located<'_>, cuts: &Cuts<'_>) {
    let found = keyspace.record(at);
    let (record, head) = found.expect("it was looked at when the change was planned");
    if head.encoding == Encoding::TREE {
        let list = LargeList::at(record.page(), head.rest_at);
        cuts.iter().for_each(|(index, count)| list.remove(keyspace.arena_mut(), index, count));
        if list.len(keyspace.arena()) == 0 {
            keyspace.remove(at);
        }
        return;
    }
    let mut each = cuts.iter().map(|(index, count)| (index as usize, count as usize));
    if cuts.len() == 1
        && let Some((index, count)) = each.next()
    {
        return keyspace.edit(at, found, Kind::List, |blob| Edit::cut(blob, 1, index, count));
    }
    let mut blob = packed_of(keyspace, at);
    each.for_each(|(index, count)| packed::cut(&mut blob, 1, index, count));
    if packed::len(&blob) > 0 {
        write(keyspace, at, &blob);
    } else {
        keyspace.remove(at);
    }
}

fn rotate(keyspace: &mut Keyspace, at: &mut Located<'_>, from: End) {
    let (record, head) = keyspace.record(at).expect("it was looked at when the change was planned");
    let view = ListView::new(keyspace.arena(), record, &head);
    let (last, large) = (view.len() - 1, view.is_large());
    let (taken, put) = if from == End::Left { (0, last) } else { (last, 0) };
    if large {
        LargeList::at(record.page(), head.rest_at).rotate(keyspace.arena_mut(), taken, put);
        return;
    }
    let mut element = Vec::new();
    if let Some(value) = view.get(taken) {
        value.range(0, value.len(), &mut element);
    }
    let mut blob = packed_of(keyspace, at);
    packed::cut(&mut blob, 1, taken as usize, 1);
    packed::insert(&mut blob, put as usize, &element);
    write(keyspace, at, &blob);
}
