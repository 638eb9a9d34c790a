//! Verifies that pages from outside (an image) are a valid keyspace: every address leads to what is expected there, nothing is
//! used twice, nothing is left over, all counts agree.

use crate::arena::{Arena, PAGE_BYTES, Page, Pages, Ref, SlabUse};
use crate::ids::{DatabaseId, PageId};
use crate::limits::{KEY_BYTES_MAX, SETTINGS_MAX};
use crate::structure::heap::{self, Heap};
use crate::structure::table::{self, Inspector};
use crate::structure::{expiry, root, slab};
use crate::value::Kind;
use crate::value::entry::CollectionInspector;
use crate::value::external;
use crate::value::paged::Root;
use crate::value::reclaim;
use crate::value::record::{self, Form, Head};

use super::KeyHasher;

type Verdict = Result<(), &'static str>;

/// So many records ahead of the check their memory is asked for: about the time that it takes to come.
const RECORDS_AHEAD: usize = 12;

/// Checks all of `pages` as shard `shard` of `shards`, and returns how full the allocator's are. The time is that of reading every page once and every key at random.
pub(super) fn check(pages: &Arena, hasher: KeyHasher, shard: u16, shards: u16) -> Result<SlabUse, &'static str> {
    if !pages.is_used(root::ROOT) {
        return Err("it has no superblock");
    }
    root::check(pages.page(root::ROOT))?;
    if shard != 0 && (0..SETTINGS_MAX).any(|number| root::setting(pages, number).is_some()) {
        return Err("it has settings, which are those of shard 0");
    }
    if root::hash_seed(pages) != hasher.seed() {
        return Err("its hash seed is not the image's");
    }
    let bound = pages.page_bound() as usize;
    let claims = vec![PageOwner::Nobody; bound];
    let (slots, expiring) = (Vec::new(), Vec::new());
    let mut check = Check { pages, hasher, shard, shards, database: DatabaseId(0), claims, slots, expiring };
    check.claim(root::ROOT);
    root::database_numbers().try_for_each(|database| check.database(database))?;
    check.reclaimed()?;
    check.chains(Heap::SHARED)?;
    let slab_use = check.slabs()?;
    check.leftovers()?;
    Ok(slab_use)
}

/// Whom a page belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PageOwner {
    Nobody,
    /// A structure that uses the page as a whole.
    Whole,
    /// The allocator; the number of its `slots` entry.
    Slab(u32),
}

/// The slots of a slab page that were found in use.
struct Slots {
    page: PageId,
    used: [u64; 16],
    chained: bool,
    heap: Heap,
    /// Nobody needs any more what is in it.
    given_up: bool,
}

impl Slots {
    /// Marks a slot as used; returns false if it was marked before.
    fn mark(&mut self, index: usize) -> bool {
        let (word, bit) = (index / 64, 1 << (index % 64));
        let fresh = self.used[word] & bit == 0;
        self.used[word] |= bit;
        fresh
    }
}

struct Check<'a> {
    pages: &'a Arena,
    hasher: KeyHasher,
    shard: u16,
    shards: u16,
    /// The physical database that is being checked.
    database: DatabaseId,
    claims: Vec<PageOwner>,
    slots: Vec<Slots>,
    /// Its records with an expiry that have been found.
    expiring: Vec<(u64, Ref)>,
}

impl Inspector for Check<'_> {
    fn page(&mut self, id: PageId) -> bool {
        self.claim(id)
    }

    fn slot(&mut self, at: Ref, bytes: usize) -> Verdict {
        self.claim_slot(at, |_| Ok(bytes)).map(|_| ())
    }

    fn entries(&mut self, entries: Vec<(u32, Ref)>) -> Verdict {
        self.records(entries)
    }
}

impl CollectionInspector for Check<'_> {
    fn page(&mut self, id: PageId) -> bool {
        self.claim(id)
    }

    fn slot(&mut self, at: Ref, bytes_of: &mut dyn FnMut(&Page) -> Result<usize, &'static str>) -> Verdict {
        self.claim_slot(at, bytes_of).map(|_| ())
    }

    fn value(&mut self, root: Root<'_>) -> Verdict {
        self.large_value(root)
    }

    fn heap(&mut self, heap: Heap, given_up: bool) -> Verdict {
        self.owned_heap(heap, given_up)
    }
}

impl<'a> Check<'a> {
    /// Claims a page as a whole; false if it is not in use or somebody else's.
    fn claim(&mut self, id: PageId) -> bool {
        let free = self.pages.is_used(id) && self.claims[id.0 as usize] == PageOwner::Nobody;
        if free {
            self.claims[id.0 as usize] = PageOwner::Whole;
        }
        free
    }

    /// The page as one of the allocator's, claimed at its first mention.
    fn slab(&mut self, id: PageId) -> Result<(&'a Page, usize), &'static str> {
        if !self.pages.is_used(id) {
            return Err("an address leads to a page that is not there");
        }
        let page = self.pages.page(id);
        match self.claims[id.0 as usize] {
            PageOwner::Slab(number) => Ok((page, number as usize)),
            PageOwner::Whole => Err("an address leads into a page that is no page of records"),
            PageOwner::Nobody => {
                slab::SlabHeader::read(page)?;
                self.claims[id.0 as usize] = PageOwner::Slab(self.slots.len() as u32);
                self.slots.push(Slots { page: id, used: [0; 16], chained: false, heap: Heap::SHARED, given_up: false });
                Ok((page, self.slots.len() - 1))
            }
        }
    }

    /// Claims the slot at `at`, whose size `bytes_of` tells from its content once it is known to be a slot.
    fn claim_slot(
        &mut self,
        at: Ref,
        bytes_of: impl FnOnce(&'a Page) -> Result<usize, &'static str>,
    ) -> Result<&'a Page, &'static str> {
        let (page, number) = self.slab(at.page())?;
        let index = slab::slot_index(page, at.offset()).ok_or("an address leads between two records")?;
        let bytes = bytes_of(page)?;
        if bytes > slab::SLOT_BYTES_MAX || slab::slot_bytes(slab::class_of(bytes)) != slab::capacity(self.pages, at) {
            return Err("a record has not the size of its slot");
        }
        if self.slots[number].mark(index) { Ok(page) } else { Err("a slot is used twice") }
    }

    /// Checks the table of a physical database, every record in it, and its expiry index.
    fn database(&mut self, database: DatabaseId) -> Verdict {
        let pages = self.pages;
        self.database = database;
        let flushed = !root::numbers(pages).contains(&database.0);
        let draining = table::is_draining(pages, root::table_of(database));
        if draining && !flushed {
            return Err("a database is half given up");
        }
        table::check(pages, root::table_of(database), self)?;
        let has_keys = table::entries(pages, root::table_of(database)) > 0;
        if flushed && !has_keys && table::has_memory(pages, root::table_of(database)) {
            return Err("a database that was flushed has a table without keys");
        }
        let mut expected = std::mem::take(&mut self.expiring);
        expected.sort_unstable();
        if flushed {
            // Its index is given up before its table, from the end on.
            let left = if draining { 0 } else { expiry::len(pages, root::expiry_of(database)) };
            expected.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        self.expiry(&expected)
    }

    fn records(&mut self, mut entries: Vec<(u32, Ref)>) -> Verdict {
        for (index, (tag, at)) in entries.iter().enumerate() {
            if let Some((_, later)) = entries.get(index + RECORDS_AHEAD) {
                self.prefetch(*later);
            }
            self.record(*tag, *at)?;
        }
        entries.sort_unstable();
        let key = |at: Ref| {
            let page = self.pages.page(at.page());
            Head::of(page, at).key(page)
        };
        let twice = entries.chunk_by(|a, b| a.0 == b.0).any(|same| {
            same.iter().enumerate().any(|(index, a)| same[index + 1..].iter().any(|b| key(a.1) == key(b.1)))
        });
        if twice { Err("a key is there twice") } else { Ok(()) }
    }

    /// Asks for what the check of the record at `at`, which may lead anywhere, will look at: its page's header, its own, its key.
    fn prefetch(&self, at: Ref) {
        if at.page().0 < self.pages.page_bound() {
            [0, at.offset(), at.offset() + 64].iter().for_each(|offset| self.pages.prefetch(at.page(), *offset));
        }
    }

    fn record(&mut self, tag: u32, at: Ref) -> Verdict {
        let mut head = Err("a record is missing");
        let page = self.claim_slot(at, |page| {
            let read = Head::read(page, at.offset())?;
            head = Ok(read);
            Ok(read.rest_at + read.rest_len - at.offset())
        })?;
        let head = head?;
        if head.key_len > KEY_BYTES_MAX || !record::is_in(page, at.offset(), self.database) {
            return Err("a record is malformed");
        }
        let key = self.hasher.key(head.key(page));
        if table::tag_of(key.hash) != tag || key.shard(self.shards).0 != self.shard {
            return Err("a record is not where its key belongs");
        }
        self.expiring.extend(head.first_expiry(page).map(|time| (time, at)));
        self.value(page, at, &head)
    }

    fn value(&mut self, page: &'a Page, at: Ref, head: &Head) -> Verdict {
        if !head.encoding.is_of(head.kind) {
            return Err("a value is held in no way that its type knows");
        }
        if head.kind == Kind::String {
            self.string(page, head)
        } else {
            external::check_collection(self.pages, at, head, self)
        }
    }

    fn string(&mut self, page: &'a Page, head: &Head) -> Verdict {
        if !head.is_paged() {
            let form = Form::of(head.key_len, head.rest_len as u64);
            return if form.is_paged() { Err("a value is too long for its record") } else { Ok(()) };
        }
        let root = Root::new(head.rest(page));
        self.large_value(root)?;
        if Form::of(head.key_len, root.len()).is_paged() { Ok(()) } else { Err("a short value stands in pages") }
    }

    /// Claims the pages and the tail of a value.
    fn large_value(&mut self, root: Root<'_>) -> Verdict {
        let pages = self.pages;
        let this = std::cell::RefCell::new(self);
        root.check(
            pages,
            |id| this.borrow_mut().claim(id),
            |at, bytes| this.borrow_mut().claim_slot(at, |_| Ok(bytes)).map(|_| ()),
        )
    }

    /// Checks what waits to be reclaimed.
    fn reclaimed(&mut self) -> Verdict {
        let pages = self.pages;
        let (mut item, mut count) = (root::reclaim_head(pages), 0);
        while !item.is_null() {
            let page = self.claim_slot(item, |_| Ok(reclaim::ITEM_BYTES))?;
            let (next, external) = reclaim::read(page, item)?;
            external.check_pending(pages, self)?;
            count += external.pages(pages);
            item = next;
        }
        if count == root::reclaim_pages(pages) {
            Ok(())
        } else {
            Err("the pages that wait to be reclaimed are counted wrong")
        }
    }

    /// Checks the expiry index of the database, whose items are to be those of `expected`.
    fn expiry(&mut self, expected: &[(u64, Ref)]) -> Verdict {
        let mut next = expected.iter();
        let (pages, database) = (self.pages, self.database);
        expiry::check(pages, root::expiry_of(database), &mut |id| self.claim(id), &mut |item| match next.next() {
            Some(there) if *there == item => Ok(()),
            _ => Err("the expiry index and the records disagree"),
        })?;
        if next.next().is_some() {
            return Err("a record is missing in the expiry index");
        }
        Ok(())
    }

    /// Claims the pages of an owner's heap; `given_up`: nobody needs any more what is in them.
    fn owned_heap(&mut self, heap: Heap, given_up: bool) -> Verdict {
        let page = self.claim_slot(heap.0, |_| Ok(heap::ROOT_BYTES))?;
        let draining = heap.is_draining(self.pages);
        if !heap.is_well_formed(page) || (draining && !given_up) {
            return Err("the root of a heap is malformed");
        }
        let (mut next, mut previous, mut count) = (heap.first(self.pages), None, 0);
        while let Some(id) = next {
            let (page, number) = self.slab(id)?;
            let header = slab::SlabHeader::read(page)?;
            // Pages before the first are freed without writing to it.
            let follows = header.previous_owned == previous || (count == 0 && draining);
            let owned = std::mem::replace(&mut self.slots[number].heap, heap) == heap;
            if owned || header.heap != heap || !follows {
                return Err("a chain of the pages of a heap leads astray");
            }
            self.slots[number].given_up = given_up;
            (previous, next, count) = (Some(id), header.next_owned, count + 1);
        }
        if heap.pages(self.pages) != count || (given_up && count == 0) {
            return Err("a heap counts its pages wrong");
        }
        if given_up { Ok(()) } else { self.chains(heap) }
    }

    /// Walks the chains of a heap's pages with room.
    fn chains(&mut self, heap: Heap) -> Verdict {
        for class in 0..slab::CLASSES {
            let mut next = heap.partial(self.pages, class);
            let mut previous = None;
            while let Some(id) = next {
                let (page, number) = self.slab(id)?;
                let header = slab::SlabHeader::read(page)?;
                let chained = std::mem::replace(&mut self.slots[number].chained, true);
                if chained || header.class != class || header.previous != previous || header.is_full() {
                    return Err("a chain of pages with room leads astray");
                }
                (previous, next) = (Some(id), header.next);
            }
        }
        Ok(())
    }

    fn slabs(&mut self) -> Result<SlabUse, &'static str> {
        let mut slab_use = SlabUse::default();
        for slots in &mut self.slots {
            let page = self.pages.page(slots.page);
            let header = slab::SlabHeader::read(page)?;
            if header.heap != slots.heap {
                return Err("a page of records belongs to another heap");
            }
            slab_use.pages += 1;
            slab_use.free_bytes += (PAGE_BYTES - header.used_bytes()) as u64;
            if slots.given_up {
                continue;
            }
            let marked: u32 = slots.used.iter().map(|word| word.count_ones()).sum();
            if marked as usize != header.used {
                return Err("a page of records counts wrong");
            }
            if slots.chained == header.is_full() {
                return Err("a page with room is in no chain, or a full one is");
            }
            slab::walk_free(page, |index| slots.mark(index))?;
        }
        Ok(slab_use)
    }

    fn leftovers(&self) -> Verdict {
        let left =
            |(id, claim): (usize, &PageOwner)| *claim == PageOwner::Nobody && self.pages.is_used(PageId(id as u32));
        if self.claims.iter().enumerate().any(left) { Err("a page belongs to nobody") } else { Ok(()) }
    }
}
