//! The proof that bytes which may be damaged are a stream.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::arena::{Pages, Ref};
use crate::limits::GROUP_NAME_BYTES_MAX;
use crate::value::entry::{CollectionInspector, EntryContent, check_entry};
use crate::value::record::Head;

use super::group::{Noted, StreamConsumer};
use super::id::StreamId;
use super::node::{StreamNode, are_fields};
use super::{LargeStream, ROOT_BYTES, fields_at};

type Verdict = Result<(), &'static str>;

/// Checks parts of a stream, one after the other: nodes, then items of groups, each in order.
#[derive(Debug, Default)]
pub(crate) struct PartsProof {
    entries: u64,
    last: Option<StreamId>,
    /// The last item of a group.
    item: Vec<u8>,
    /// Numbers of groups.
    groups: BTreeSet<u64>,
    /// Group, number and name of each consumer whose name has not come under its number.
    consumers: BTreeMap<(u64, u64), Vec<u8>>,
    named: BTreeSet<(u64, u64)>,
    /// Group, consumer and id of pending entries.
    pending: Vec<(u64, u64, StreamId)>,
    owned: usize,
    numbers: u64,
}

impl PartsProof {
    /// The next node.
    pub(crate) fn node(&mut self, bytes: &[u8]) -> Verdict {
        let (first, last) = StreamNode::check(bytes)?;
        if self.last.is_some_and(|before| before >= first || before >= StreamNode(bytes).base()) {
            return Err("the nodes of a stream are out of order");
        }
        self.last = Some(last);
        self.entries += StreamNode(bytes).len() as u64;
        Ok(())
    }

    /// The next item of a group.
    pub(crate) fn item(&mut self, bytes: &[u8]) -> Verdict {
        const MALFORMED: &str = "an item of a group of a stream is malformed";
        let noted = Noted::read(bytes).ok_or(MALFORMED)?;
        if noted.item().as_slice() != bytes || *bytes <= *self.item {
            return Err(MALFORMED);
        }
        self.item.clear();
        self.item.extend_from_slice(bytes);
        let (numbers, next) = (&mut self.numbers, |number: u64| number.saturating_add(1));
        let sound = match noted {
            Noted::Group(name, group) => {
                *numbers = (*numbers).max(next(group.number));
                name.len() <= GROUP_NAME_BYTES_MAX && self.groups.insert(group.number)
            }
            Noted::Consumer(group, name, StreamConsumer { number, .. }) => {
                *numbers = (*numbers).max(next(number));
                name.len() <= GROUP_NAME_BYTES_MAX
                    && self.groups.contains(&group)
                    && self.consumers.insert((group, number), name).is_none()
            }
            Noted::Name(group, consumer, name) => {
                let is_its = self.consumers.remove(&(group, consumer)).is_some_and(|its| its == name);
                is_its && self.named.insert((group, consumer))
            }
            Noted::Pending(group, entry) => {
                self.pending.push((group, entry.consumer, entry.id));
                self.named.contains(&(group, entry.consumer))
            }
            Noted::Owned(group, consumer, id) => {
                if self.owned == 0 {
                    self.pending.sort_unstable();
                }
                let is_next = self.pending.get(self.owned) == Some(&(group, consumer, id));
                self.owned += 1;
                is_next
            }
        };
        if sound { Ok(()) } else { Err("the groups of a stream contradict themselves") }
    }

    /// That was all. Returns the number of entries, the id of the last one, and how many numbers groups and consumers have got at least.
    pub(crate) fn end(self) -> Result<(u64, Option<StreamId>, u64), &'static str> {
        if self.consumers.is_empty() && self.owned == self.pending.len() {
            Ok((self.entries, self.last, self.numbers))
        } else {
            Err("the groups of a stream contradict themselves")
        }
    }
}

/// Checks bytes that may be damaged: the stream in the record at `at`.
pub(crate) fn check(pages: &impl Pages, at: Ref, head: &Head, inspector: &mut impl CollectionInspector) -> Verdict {
    let rest = head.rest(pages.page(at.page()));
    let Some((_, tail)) = rest.split_at_checked(ROOT_BYTES) else {
        return Err("the root of a stream has a wrong length");
    };
    let large = LargeStream::at(at.page(), head.rest_at);
    let proof = check_parts(pages, large, tail, inspector)?;
    let (entries, last, numbers) = proof.end()?;
    let (len, newest) = (large.len(pages), large.last(pages));
    if entries != len || last.is_some_and(|last| last > newest) || numbers > large.numbers(pages) {
        return Err("a stream contradicts itself");
    }
    Ok(())
}

/// Checks one that waits to be reclaimed, of which some may be gone.
pub(crate) fn check_large(pages: &impl Pages, large: LargeStream, inspector: &mut impl CollectionInspector) -> Verdict {
    check_parts(pages, large, &[], inspector).map(|_| ())
}

fn check_parts(
    pages: &impl Pages,
    large: LargeStream,
    tail: &[u8],
    inspector: &mut impl CollectionInspector,
) -> Result<PartsProof, &'static str> {
    let inspector = RefCell::new(inspector);
    let (mut proof, mut long, mut long_bytes) = (PartsProof::default(), 0, 0);
    large.nodes().check(pages, &mut |id| inspector.borrow_mut().page(id), &mut |node| {
        proof.node(node)?;
        let Some(at) = StreamNode(node).elsewhere() else { return Ok(()) };
        let entry = check_entry(pages, at, EntryContent::Value, &mut **inspector.borrow_mut())?;
        let page = pages.page(at.page());
        if !entry.name(page).is_empty() || !are_fields(&fields_at(pages, at)) {
            return Err("an entry of a stream is malformed");
        }
        long += 1;
        long_bytes += entry.memory_bytes(page);
        Ok(())
    })?;
    if !tail.is_empty() {
        proof.node(tail)?;
        if StreamNode(tail).elsewhere().is_some() {
            return Err("the last node of a stream stands elsewhere");
        }
    }
    if long != large.long(pages) || long_bytes != large.long_bytes(pages) {
        return Err("a stream counts its long entries wrong");
    }
    large.groups().check(pages, &mut |id| inspector.borrow_mut().page(id), &mut |item| proof.item(item))?;
    Ok(proof)
}
