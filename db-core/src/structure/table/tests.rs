//! Tables against plain maps: several of them in one arena, of all forms.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use super::directory::{DEPTH_OF_PAGE, ENTRIES_PER_PAGE};
use super::drain::drain;
use super::handle::{TableHandle, Top};
use super::segment::{BUCKET_BYTES, BUCKETS, SIZES, create};
use super::*;
use crate::arena::{FrozenShard, PagePool};
use crate::ids::PageId;
use crate::keyspace::tests::Random;
use crate::structure::{root, slab};

/// Handles stand in a page of their own, at odd places as they do in records.
const PLACES: [usize; 4] = [3, 41, 1000, 16_360];

/// A target that is told by a number. It stands for itself; nothing is there.
trait Numbered: Target {
    fn of(number: u32) -> Self;
    fn number(self) -> u32;
}

impl Numbered for Ref {
    fn of(number: u32) -> Ref {
        Ref(number)
    }

    fn number(self) -> u32 {
        self.0
    }
}

/// A target of 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Long(u64);

impl Target for Long {
    const BYTES: usize = 8;

    fn of_word(word: u64) -> Long {
        Long(word)
    }

    fn word(self) -> u64 {
        self.0
    }
}

impl Numbered for Long {
    fn of(number: u32) -> Long {
        Long(u64::from(number) << 32)
    }

    fn number(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// The expected content of a table: by number, the tag.
type Model = BTreeMap<u32, u32>;

/// Number of segments of a table.
pub(crate) fn segments<T>(pages: &impl Pages, table: TableAt<T>) -> u32 {
    TableHandle::read(pages, table).segments
}

struct Tables<T> {
    target: PhantomData<T>,
    arena: Arena,
    handles: PageId,
    models: [Model; PLACES.len()],
    next: u32,
}

impl<T: Numbered> Tables<T> {
    fn new() -> Self {
        let mut arena = Arena::new(&PagePool::new(0));
        root::create(&mut arena, 1);
        let handles = arena.allocate();
        Tables { target: PhantomData, arena, handles, models: Default::default(), next: 1 }
    }

    fn at(&self, which: usize) -> TableAt<T> {
        TableAt::new(self.handles, PLACES[which])
    }

    fn insert(&mut self, which: usize, tag: u32) {
        let at = self.at(which);
        insert(&mut self.arena, at, tag, T::of(self.next));
        self.models[which].insert(self.next, tag);
        self.next += 1;
    }

    fn find(&self, which: usize, tag: u32, at: u32) -> Option<Found<T>> {
        find(&self.arena, self.at(which), tag, |there| there.number() == at)
    }

    fn remove(&mut self, which: usize, at: u32) {
        let tag = self.models[which].remove(&at).unwrap();
        let found = self.find(which, tag, at).unwrap();
        let table = self.at(which);
        remove(&mut self.arena, table, &found);
        assert!(self.find(which, tag, at).is_none());
    }

    fn form(&self, which: usize) -> u8 {
        Top::read(&self.arena, self.at(which)).form
    }

    /// An address of a model, by chance.
    fn some(&self, which: usize, random: &mut Random) -> Option<u32> {
        let from = random.below(u64::from(self.next)) as u32;
        let model = &self.models[which];
        model.range(from..).next().or_else(|| model.iter().next()).map(|(at, _)| *at)
    }

    /// Checks all tables, and that nothing else is in use.
    fn check(&self) {
        let mut claims =
            Claims { arena: &self.arena, pages: BTreeSet::new(), slots: BTreeSet::new(), seen: Vec::new() };
        assert!(claims.claim(root::ROOT) && claims.claim(self.handles));
        for (which, model) in self.models.iter().enumerate() {
            claims.seen.clear();
            check(&self.arena, self.at(which), &mut claims).unwrap();
            claims.seen.sort_unstable();
            assert!(claims.seen.iter().copied().eq(model.iter().map(|(at, tag)| (*at, *tag))));
            assert_eq!(entries(&self.arena, self.at(which)), model.len() as u64);
        }
        let of_slots: BTreeSet<PageId> = claims.slots.iter().map(|at| at.page()).collect();
        let used = claims.pages.len() + of_slots.len();
        assert_eq!(self.arena.pages_used() as usize, used, "pages of nobody");
        for id in of_slots {
            let there = claims.slots.iter().filter(|at| at.page() == id).count();
            assert_eq!(slab::SlabHeader::read(self.arena.page(id)).unwrap().used, there, "slots of nobody");
        }
    }
}

struct Claims<'a> {
    arena: &'a Arena,
    pages: BTreeSet<PageId>,
    slots: BTreeSet<Ref>,
    seen: Vec<(u32, u32)>,
}

impl Claims<'_> {
    fn claim(&mut self, id: PageId) -> bool {
        self.arena.is_used(id) && self.pages.insert(id)
    }
}

impl<T: Numbered> Inspector<T> for Claims<'_> {
    fn page(&mut self, id: PageId) -> bool {
        self.claim(id)
    }

    fn slot(&mut self, at: Ref, bytes: usize) -> Result<(), &'static str> {
        let is_slot = |page| slab::SlabHeader::read(page).is_ok() && slab::slot_index(page, at.offset()).is_some();
        let there = self.arena.is_used(at.page()) && is_slot(self.arena.page(at.page()));
        let fits = there && slab::capacity(self.arena, at) == slab::slot_bytes(slab::class_of(bytes));
        if fits && self.slots.insert(at) { Ok(()) } else { Err("no slot of its own") }
    }

    fn entries(&mut self, entries: Vec<(u32, T)>) -> Result<(), &'static str> {
        self.seen.extend(entries.iter().map(|(tag, at)| (at.number(), *tag)));
        Ok(())
    }
}

/// All entries of a table, by a scan.
fn scanned<T: Numbered>(pages: &impl Pages, table: TableAt<T>, count: usize) -> Vec<u32> {
    let (mut seen, mut cursor) = (Vec::new(), 0);
    loop {
        cursor = scan(pages, table, cursor, count, |at| seen.push(at.number()));
        assert!(cursor < 1 << 32);
        if cursor == 0 {
            seen.sort_unstable();
            return seen;
        }
    }
}

fn assert_equals<T: Numbered>(pages: &impl Pages, table: TableAt<T>, model: &Model) {
    assert_eq!(entries(pages, table), model.len() as u64);
    for (at, tag) in model {
        assert!(find(pages, table, *tag, |there| there.number() == *at).is_some());
    }
    assert!(scanned(pages, table, 10).iter().eq(model.keys()));
}

/// Mostly random tags; some agree in their first bits, and some are the same.
fn tag(random: &mut Random) -> u32 {
    match random.below(100) {
        0 => random.below(50) as u32,
        1 => u32::MAX - random.below(50) as u32,
        2..7 => 0x1234_0000 | random.below(65_536) as u32,
        _ => random.next() as u32,
    }
}

/// Random changes of several tables; what was frozen is compared later.
fn run<T: Numbered>(seed: u64, steps: u64) -> Vec<u8> {
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut tables = Tables::<T>::new();
    let mut frozen: Vec<(FrozenShard, usize, Model)> = Vec::new();
    let mut forms = BTreeSet::new();
    for step in 0..steps {
        let which = random.below(PLACES.len() as u64) as usize;
        // Tables of different sizes, all of which grow and shrink in turn.
        let large = [12, 150, 1500, 20_000][which];
        let grows = (step * 3 / steps + which as u64).is_multiple_of(2);
        for _ in 0..1 + random.below(1 + large / 40) {
            if random.below(10) < if grows { 8 } else { 2 } && (tables.models[which].len() as u64) < large {
                let tag = tag(&mut random);
                tables.insert(which, tag);
            } else if let Some(at) = tables.some(which, &mut random) {
                tables.remove(which, at);
            }
            forms.insert(tables.form(which));
        }
        let table = tables.at(which);
        match random.below(60) {
            0 => frozen.push((tables.arena.freeze(), which, tables.models[which].clone())),
            1 if !frozen.is_empty() => {
                let (version, which, model) = frozen.swap_remove(random.below(frozen.len() as u64) as usize);
                assert_equals(&version, tables.at(which), &model);
            }
            2 => assert!(
                scanned(&tables.arena, table, 1 + random.below(99) as usize).iter().eq(tables.models[which].keys())
            ),
            3 => {
                if let Some(at) = tables.some(which, &mut random) {
                    let tag = tables.models[which].remove(&at).unwrap();
                    let found = tables.find(which, tag, at).unwrap();
                    replace(&mut tables.arena, &mut { found }, T::of(tables.next));
                    tables.models[which].insert(tables.next, tag);
                    tables.next += 1;
                }
            }
            4 => {
                let pick = super::random(&tables.arena, table, random.next());
                assert_eq!(pick.is_some(), !tables.models[which].is_empty());
                assert!(pick.is_none_or(|at| tables.models[which].contains_key(&at.number())));
            }
            5 if random.below(8) == 0 => {
                super::drain::drain_all(&mut tables.arena, table, |_| {});
                tables.models[which].clear();
            }
            6 if random.below(4) == 0 => drain_all(&mut tables, which, &mut random),
            7 => tables.check(),
            _ => {}
        }
    }
    tables.check();
    assert!(forms.iter().copied().eq(form::EMPTY..=form::DIRECTORY), "{forms:?}");
    for which in 0..PLACES.len() {
        while let Some(at) = tables.some(which, &mut random) {
            tables.remove(which, at);
        }
        assert_eq!(TableHandle::read(&tables.arena, tables.at(which)), TableHandle::EMPTY);
    }
    tables.check();
    let bytes = |id: u32| tables.arena.page(PageId(id)).all().to_vec();
    (0..tables.arena.page_bound()).filter(|id| tables.arena.is_used(PageId(*id))).flat_map(bytes).collect()
}

/// Drains a table by steps; it is in order after each.
fn drain_all<T: Numbered>(tables: &mut Tables<T>, which: usize, random: &mut Random) {
    let table = tables.at(which);
    let model = std::mem::take(&mut tables.models[which]);
    let mut gone = BTreeMap::new();
    while !drain(&mut tables.arena, table, random.below(4) as usize, |_, at| {
        assert!(gone.insert(at.number(), model[&at.number()]).is_none());
    }) {
        tables.models[which] = model.iter().filter(|(at, _)| !gone.contains_key(at)).map(|(a, b)| (*a, *b)).collect();
        tables.check();
        if tables.form(which) == form::DRAINING {
            assert!(model.iter().all(|(at, tag)| tables.find(which, *tag, *at).is_none()));
            assert_eq!(scan(&tables.arena, table, 0, 10, |_| panic!("nothing is visited")), 0);
            assert!(super::random(&tables.arena, table, random.next()).is_none());
            if random.below(10) == 0 {
                super::drain::drain_all(&mut tables.arena, table, |_| {});
                gone = model.clone();
            }
        }
    }
    tables.models[which].clear();
    assert_eq!(gone, model);
    tables.check();
}

#[test]
fn random_changes_of_several_tables() {
    for seed in 1..=3 {
        let first = run::<Ref>(seed, 3000);
        assert!(seed != 1 || first == run::<Ref>(seed, 3000), "same changes, same bytes");
        run::<Long>(seed, 3000);
    }
}

/// Steps of a scan with any changes in between: what is there all the time is visited, and once.
#[test]
fn a_scan_survives_every_change_of_form() {
    for seed in 1..=60u64 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut tables = Tables::<Ref>::new();
        // From a handful to several segments and back, in steps as large as the table.
        let sizes: Vec<usize> = (0..40).map(|_| [0, 5, 30, 200, 900, 3000, 9000][random.below(7) as usize]).collect();
        for _ in 0..1 + random.below(40) {
            tables.insert(0, random.next() as u32);
        }
        let stay = tables.models[0].clone();
        let (mut seen, mut cursor) = (Vec::new(), 0);
        for size in sizes.into_iter().cycle() {
            cursor =
                scan(&tables.arena, tables.at(0), cursor, 1 + random.below(4) as usize, |at| seen.push(at.number()));
            if cursor == 0 {
                break;
            }
            while tables.models[0].len() < stay.len() + size {
                tables.insert(0, random.next() as u32);
            }
            // The newest go first, so that none that came meanwhile is taken for one that stayed.
            while tables.models[0].len() > stay.len() + size {
                let newest = *tables.models[0].keys().next_back().unwrap();
                tables.remove(0, newest);
            }
        }
        let once: BTreeSet<u32> = seen.iter().copied().collect();
        assert_eq!(once.len(), seen.len(), "none is visited twice");
        assert!(stay.keys().all(|at| once.contains(at)), "what stays is visited");
    }
}

#[test]
fn homes_are_in_the_order_of_tags_in_every_size() {
    let mut random = Random(7);
    let under_directory = (1..=22).flat_map(|depth| SIZES.map(|buckets| (buckets, depth)));
    for (buckets, depth) in BUCKETS[1..].iter().map(|buckets| (*buckets, 0)).chain(under_directory) {
        let run: SegmentSpan<Ref> = if depth == 0 {
            SegmentSpan::new(PageId(1), 64, buckets)
        } else {
            SegmentSpan::in_directory(Ref(2), buckets, depth)
        };
        let inside = random.next() as u32;
        let mut previous = 0;
        for bucket in 0..=buckets {
            let first = run.first_tag(inside, bucket);
            if bucket > 0 {
                assert!(first > previous, "each home has tags");
                assert_eq!(run.home((first - 1) as u32), bucket - 1);
                assert_eq!(run.home(previous as u32), bucket - 1);
            }
            previous = first;
        }
        assert_eq!(previous - run.first_tag(inside, 0), 1 << (32 - depth));
    }
}

#[test]
fn small_segments_fill_their_slots() {
    let small = &BUCKETS[1..];
    let classes: BTreeSet<usize> = small.iter().map(|buckets| slab::class_of(buckets * BUCKET_BYTES)).collect();
    assert_eq!(classes.len(), small.len(), "each has a class of its own");
    for buckets in small {
        let bytes = buckets * BUCKET_BYTES;
        assert!(slab::slot_bytes(slab::class_of(bytes)) - bytes <= 64, "{buckets} buckets");
    }
    for buckets in SIZES {
        let mut arena = Arena::new(&PagePool::new(0));
        root::create(&mut arena, 1);
        for _ in 0..10 {
            let run = create::<Ref>(&mut arena, 1, buckets, std::iter::empty());
            assert_eq!(slab::capacity(&arena, run.slot()), run.slot_bytes());
            assert_eq!(run.offset(0) % BUCKET_BYTES, 0, "buckets are cache lines");
        }
    }
}

/// A directory of two levels, and back: tags that agree in 8 bits make it deep with few entries.
#[test]
fn directories_of_two_levels() {
    let mut random = Random(3);
    let mut tables = Tables::<Ref>::new();
    for at in 0..60_000u64 {
        let free = random.next() as u32;
        tables.insert(0, if at % 2 == 0 { free } else { 0xab00_0000 | free >> 8 });
    }
    assert!(Top::read(&tables.arena, tables.at(0)).depth > DEPTH_OF_PAGE, "the directory has a root page");
    assert!(pages_to_double(&tables.arena, tables.at(0)) >= 4);
    tables.check();
    assert_equals(&tables.arena, tables.at(0), &tables.models[0]);
    let (drained, frozen) = (tables.models[0].clone(), tables.arena.freeze());
    let all: Vec<u32> = tables.models[0].keys().copied().collect();
    for (number, at) in all.into_iter().enumerate() {
        tables.remove(0, at);
        if number % 5000 == 0 {
            tables.check();
        }
    }
    assert_eq!(TableHandle::read(&tables.arena, tables.at(0)), TableHandle::EMPTY);
    assert_equals(&frozen, tables.at(0), &drained);
    drop(frozen);
    for (at, tag) in drained {
        insert(&mut tables.arena, TableAt::new(tables.handles, PLACES[0]), tag, Ref(at));
        tables.models[0].insert(at, tag);
    }
    drain_all(&mut tables, 0, &mut random);
    assert_eq!(ENTRIES_PER_PAGE, 1 << DEPTH_OF_PAGE);
}

/// Each entry of a table that has become thin comes about as often as any other.
#[test]
fn random_picks_are_even() {
    let mut random = Random(5);
    for (fill, keep) in [(20, 20), (3_000, 40), (20_000, 50), (20_000, 400), (60_000, 1_600)] {
        let mut tables = Tables::<Ref>::new();
        for _ in 0..fill {
            tables.insert(0, random.next() as u32);
        }
        // What is kept has the highest tags, so that nearly all of the tags' range is empty.
        let mut by_tag: Vec<(u32, u32)> = tables.models[0].iter().map(|(at, tag)| (*tag, *at)).collect();
        by_tag.sort_unstable();
        by_tag[..fill - keep].iter().for_each(|(_, at)| tables.remove(0, *at));
        let mut hits: BTreeMap<u32, u32> = tables.models[0].keys().map(|at| (*at, 0)).collect();
        println!("{fill} {keep}: depth {}", Top::read(&tables.arena, tables.at(0)).depth);
        let picks = 400 * keep as u32;
        for _ in 0..picks {
            *hits.get_mut(&super::random(&tables.arena, tables.at(0), random.next()).unwrap().0).unwrap() += 1;
        }
        assert!(hits.values().all(|hits| (280..520).contains(hits)), "{fill} {keep} {hits:?}");
    }
}

/// Bits that are flipped in handle, directory or segments: refused, or nothing that a search could notice. Never a panic.
#[test]
fn flipped_bits_are_noticed() {
    flip::<Ref>();
    flip::<Long>();
}

fn flip<T: Numbered>() {
    let mut random = Random(9);
    for size in [1, 7, 60, 1000, 1700, 6000] {
        let mut tables = Tables::<T>::new();
        for _ in 0..size {
            tables.insert(0, random.next() as u32);
        }
        let (mut refused, rounds) = (0, 1500);
        for _ in 0..rounds {
            let top = Top::read(&tables.arena, tables.at(0));
            let (page, from, len) = match random.below(3) {
                0 => (tables.handles, PLACES[0], HANDLE_BYTES),
                1 if top.form < form::DIRECTORY => {
                    let run = top.single::<T>();
                    (run.page, run.offset(0), run.buckets() * BUCKET_BYTES)
                }
                1 => (Ref(top.at).page(), Ref(top.at).offset(), 8 << top.depth),
                _ => {
                    let run = locate(&tables.arena, tables.at(0), random.next() as u32).unwrap();
                    let len = if run.has_head() { run.slot_bytes() } else { BUCKET_BYTES };
                    (run.page, run.slot().offset(), len)
                }
            };
            let (at, bit) = (from + random.below(len as u64) as usize, 1 << random.below(8));
            let old = tables.arena.page(page).u8_at(at);
            tables.arena.page_mut(page).put_u8(at, old ^ bit);
            let (pages, slots, seen) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
            let mut claims = Claims { arena: &tables.arena, pages, slots, seen };
            let verdict = claims.claim(tables.handles) && check(&tables.arena, tables.at(0), &mut claims).is_ok();
            refused += u32::from(!verdict);
            if verdict {
                scanned(&tables.arena, tables.at(0), 100);
            }
            tables.arena.page_mut(page).put_u8(at, old);
        }
        println!("{size} entries: {refused} of {rounds} refused");
        assert!(refused > rounds / 3);
        tables.check();
    }
}
