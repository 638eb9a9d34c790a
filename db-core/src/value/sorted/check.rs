//! The proof that bytes which may be damaged are a sorted set.

use crate::arena::{Pages, Ref};
use crate::value::entry::{CollectionInspector, EntryContent};
use crate::value::map::check_entries;
use crate::value::packed;
use crate::value::record::{Encoding, Head};

use super::large::item;
use super::{LargeSorted, ROOT_BYTES, Score, pairs};

/// Checks bytes that may be damaged: the sorted set in the record at `at`.
pub(crate) fn check(
    pages: &impl Pages,
    at: Ref,
    head: &Head,
    inspector: &mut impl CollectionInspector,
) -> Result<(), &'static str> {
    let rest = head.rest(pages.page(at.page()));
    match head.encoding {
        Encoding::PACKED => check_packed(rest),
        _ if rest.len() != ROOT_BYTES => Err("the root of a sorted set has a wrong length"),
        _ => {
            let sorted = LargeSorted::at(at.page(), head.rest_at);
            if sorted.len(pages) == 0 {
                return Err("a sorted set has no member");
            }
            check_large(pages, sorted, false, inspector)
        }
    }
}

fn check_packed(blob: &[u8]) -> Result<(), &'static str> {
    packed::check(blob, 2)?;
    let shortest = packed::strings(blob).skip(1).step_by(2).all(|bytes| {
        Score::from_bytes(bytes).is_some_and(|score| {
            let (all, len) = score.short_bytes();
            all[..len] == *bytes
        })
    });
    let keys = || pairs(blob).map(|(name, score)| (score, name));
    let ascend = keys().zip(keys().skip(1)).all(|(a, b)| a < b);
    if shortest && ascend { Ok(()) } else { Err("a sorted set in one piece is out of order") }
}

/// Checks a large one; `draining`: it waits to be reclaimed.
pub(crate) fn check_large(
    pages: &impl Pages,
    sorted: LargeSorted,
    draining: bool,
    inspector: &mut impl CollectionInspector,
) -> Result<(), &'static str> {
    let mut entries = Vec::new();
    check_entries(pages, sorted.members(), EntryContent::Value, draining, inspector, &mut |at, entry, page| {
        let value = entry.value(&pages, page);
        let bytes = value.as_slice().filter(|bytes| bytes.len() == 8).ok_or("a score has a wrong length")?;
        let score = Score::from_bytes(bytes).ok_or("a score is not a number")?;
        entries.push(item(score, at));
        Ok(())
    })?;
    entries.sort_unstable();
    let tree = sorted.ordered(pages);
    let mut items = Vec::new();
    tree.check(pages, &mut |id| inspector.page(id), &mut |item| {
        // Members are compared next, so each item must lead to an entry.
        let item = item.try_into().map_err(|_| "an item of a sorted set has a wrong length")?;
        if entries.binary_search(&item).is_err() {
            return Err("an item of a sorted set leads to no entry of it");
        }
        items.push(item);
        Ok(())
    })?;
    items.sort_unstable();
    items.dedup();
    // Of one that waits, the tree is given up first.
    if items.len() == entries.len() || draining {
        Ok(())
    } else {
        Err("a member of a sorted set is missing in its order")
    }
}
