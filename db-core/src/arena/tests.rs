//! The arena alone: pages against a plain map, frozen versions in the same and in other threads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::cleared::SLOTS_PER_STEP;
use super::*;
use crate::clock::Monotonic;
use crate::ids::PageId;
use crate::keyspace::tests::Random;

type Content = BTreeMap<u32, u64>;

/// What a page of the model looks like: a number at both ends and in the middle.
const AT: [usize; 3] = [0, PAGE_BYTES / 2, PAGE_BYTES - 8];

fn write(arena: &mut Arena, id: u32, number: u64) {
    let page = arena.page_mut(PageId(id));
    AT.iter().for_each(|at| page.put_u64(*at, number));
}

fn assert_page(page: &Page, number: u64) {
    AT.iter().for_each(|at| assert_eq!(page.u64_at(*at), number));
}

fn assert_content(pages: &impl Pages, content: &Content) {
    for id in (0..pages.page_bound()).map(PageId) {
        assert_eq!(pages.is_used(id), content.contains_key(&id.0));
    }
    content.iter().for_each(|(id, number)| assert_page(pages.page(PageId(*id)), *number));
}

/// Pages kept for frozen versions alone: copied, or freed, since those were made.
fn retired(arena: &Arena) -> u64 {
    arena.pool().bytes_retired() / PAGE_BYTES as u64
}

struct Run {
    random: Random,
    arena: Arena,
    content: Content,
    number: u64,
}

impl Run {
    fn new(seed: u64) -> Run {
        println!("seed {seed}");
        Run { random: Random(seed), arena: Arena::new(&PagePool::new(0)), content: Content::new(), number: 0 }
    }

    fn step(&mut self) {
        self.number += 1;
        let pages = self.content.len() as u64;
        match self.random.below(10) {
            0..=1 if pages < 1200 => {
                let id = self.arena.allocate();
                let lowest = (0..).find(|id| !self.content.contains_key(id)).unwrap();
                assert_eq!(id.0, lowest, "the lowest unused page is taken");
                assert!(self.arena.page(id).all().iter().all(|byte| *byte == 0));
                write(&mut self.arena, id.0, self.number);
                self.content.insert(id.0, self.number);
            }
            2 if pages != 0 => {
                let id = self.any();
                self.arena.free(PageId(id));
                self.content.remove(&id);
            }
            _ if pages != 0 => {
                let id = self.any();
                write(&mut self.arena, id, self.number);
                self.content.insert(id, self.number);
            }
            _ => {}
        }
        if self.random.below(2_000) == 0 {
            self.arena.clear();
            self.content.clear();
        }
        match self.random.below(200) {
            0 => drop(self.arena.recycle()),
            1 => self.arena.reserve(40).unwrap(),
            _ => {}
        }
        self.arena.settle();
    }

    fn any(&mut self) -> u32 {
        let index = self.random.below(self.content.len() as u64) as usize;
        *self.content.keys().nth(index).unwrap()
    }
}

#[test]
fn random_pages_and_freezes() {
    for seed in 1..=3 {
        let mut run = Run::new(seed);
        let mut frozen: Vec<(FrozenShard, Content)> = Vec::new();
        for _ in 0..8000 {
            run.step();
            if run.random.below(150) == 0 && frozen.len() < 5 {
                frozen.push((run.arena.freeze(), run.content.clone()));
            }
            if !frozen.is_empty() && run.random.below(100) == 0 {
                let index = run.random.below(frozen.len() as u64) as usize;
                let (version, content) = &mut frozen[index];
                let last = PageId(run.random.below(u64::from(version.page_bound()) + 1) as u32);
                // What is not released yet is as it was.
                let left = version.unreleased_pages().next().map_or(u32::MAX, |id| id.0);
                content.range(left..).for_each(|(id, number)| assert_page(version.page(PageId(*id)), *number));
                content.range(..left).for_each(|(id, _)| assert!(version.is_released(PageId(*id))));
                version.release_through(last);
                if run.random.below(3) == 0 {
                    frozen.swap_remove(index);
                }
            }
        }
        assert_content(&run.arena, &run.content);
        frozen.clear();
        assert_eq!(retired(&run.arena), 0);
        let pool = Arc::clone(run.arena.pool());
        drop(run);
        assert_eq!(pool.bytes_in_use(), 0, "every page came back");
    }
}

#[test]
fn frozen_versions_in_other_threads() {
    for seed in 11..=13 {
        let mut run = Run::new(seed);
        (0..3000).for_each(|_| run.step());
        let mut copied = 0;
        std::thread::scope(|scope| {
            let mut readers = Vec::new();
            for _ in 0..12 {
                let (mut version, content) = (run.arena.freeze(), run.content.clone());
                readers.push(scope.spawn(move || {
                    for (id, number) in &content {
                        assert_page(version.page(PageId(*id)), *number);
                        version.release_through(PageId(*id));
                    }
                }));
                for _ in 0..800 {
                    run.step();
                    copied = copied.max(retired(&run.arena));
                }
            }
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        });
        assert_content(&run.arena, &run.content);
        assert_eq!(retired(&run.arena), 0);
        assert!(copied > 0);
    }
}

#[test]
fn a_frozen_version_outlives_its_arena_and_pool_handle() {
    let pool = PagePool::new(0);
    let mut arena = Arena::new(&pool);
    for number in 0..100 {
        let id = arena.allocate();
        write(&mut arena, id.0, number);
    }
    let mut frozen = arena.freeze();
    drop(arena);
    frozen.release_through(PageId(49));
    assert_eq!(pool.bytes_in_use(), 50 * PAGE_BYTES as u64);
    drop(pool);
    (50..100).for_each(|number| assert_page(frozen.page(PageId(number)), u64::from(number)));
}

#[test]
fn only_the_first_write_to_a_needed_page_copies() {
    let mut arena = Arena::new(&PagePool::new(0));
    let ids: Vec<PageId> = (0..10).map(|_| arena.allocate()).collect();
    let mut frozen = arena.freeze();
    frozen.release_through(ids[4]);
    for _ in 0..3 {
        ids.iter().for_each(|id| arena.page_mut(*id).put_u8(0, 1));
    }
    assert_eq!((retired(&arena), arena.pool().bytes_in_use()), (5, 15 * PAGE_BYTES as u64));
    frozen.release_through(ids[6]);
    assert_eq!(retired(&arena), 3);
    drop(frozen);
    assert_eq!(retired(&arena), 0);
    let taken = arena.pool().bytes_in_use();
    ids.iter().for_each(|id| arena.page_mut(*id).put_u8(0, 2));
    assert_eq!((retired(&arena), arena.pool().bytes_in_use()), (0, taken));
}

#[test]
fn pages_may_be_released_before_their_turn() {
    let mut arena = Arena::new(&PagePool::new(0));
    let ids: Vec<PageId> = (0..200).map(|_| arena.allocate()).collect();
    let mut frozen = arena.freeze();
    ids[100..150].iter().for_each(|id| arena.page_mut(*id).put_u8(0, 1));
    assert_eq!(frozen.retired(20), ids[100..120]);
    frozen.release_early(&ids[100..120]);
    assert_eq!((retired(&arena), frozen.retired(100)), (30, ids[120..150].to_vec()));
    frozen.release_early(&ids[160..170]);
    ids[160..180].iter().for_each(|id| arena.page_mut(*id).put_u8(0, 1));
    assert_eq!(retired(&arena), 40, "what was released is written in place");
    let left: Vec<PageId> = frozen.unreleased_pages().collect();
    assert_eq!(left, [&ids[..100], &ids[120..160], &ids[170..]].concat());
    left.iter().for_each(|id| assert_eq!(frozen.page(*id).u8_at(0), 0, "as it was"));
    frozen.release_through(ids[199]);
    assert_eq!(retired(&arena), 0);
}

#[test]
#[should_panic(expected = "was released")]
fn a_page_released_early_is_not_read() {
    let mut arena = Arena::new(&PagePool::new(0));
    let ids = [arena.allocate(), arena.allocate()];
    let mut frozen = arena.freeze();
    frozen.release_early(&ids[1..]);
    let _ = frozen.page(ids[1]);
}

#[test]
#[should_panic(expected = "was released")]
fn a_released_page_is_not_read() {
    let mut arena = Arena::new(&PagePool::new(0));
    let id = arena.allocate();
    let mut frozen = arena.freeze();
    frozen.release_through(id);
    let _ = frozen.page(id);
}

#[test]
#[should_panic(expected = "page in use")]
fn a_freed_page_is_not_read() {
    let mut arena = Arena::new(&PagePool::new(0));
    let id = arena.allocate();
    arena.free(id);
    let _ = arena.page(id);
}

#[test]
fn the_pools_bound_holds_for_reservations() {
    let pool = PagePool::new(10 * PAGE_BYTES as u64);
    let mut arena = Arena::new(&pool);
    assert_eq!(arena.reserve(11), Err(OutOfMemory));
    assert_eq!(arena.reserve(10), Ok(()));
    assert_eq!(Arena::new(&pool).reserve(1), Err(OutOfMemory));
    drop(arena);
    let kept = if cfg!(feature = "page-heap") { 0 } else { 10 * PAGE_BYTES as u64 };
    assert_eq!((pool.bytes_in_use(), pool.bytes_free()), (0, kept));
}

#[test]
fn a_cleared_arena_gives_its_pages_back_by_steps_and_uses_them_first() {
    const PAGES: u32 = 5 * SLOTS_PER_STEP;
    let pool = PagePool::new(0);
    let mut arena = Arena::new(&pool);
    (0..PAGES).for_each(|id| {
        arena.allocate();
        write(&mut arena, id, u64::from(id) + 1);
    });
    let out = |pages: u32| u64::from(pages) * PAGE_BYTES as u64;
    let mut frozen = arena.freeze();
    arena.clear();
    assert_eq!((arena.pages_used(), arena.cleared_bytes()), (0, out(PAGES)));
    let later = arena.freeze();
    // The version has passed the first half: that is what can be used again.
    frozen.release_through(PageId(PAGES / 2 - 1));
    assert!(arena.recycle());
    assert_eq!(
        (pool.bytes_in_use(), arena.cleared_bytes()),
        (out(PAGES - SLOTS_PER_STEP), out(PAGES - SLOTS_PER_STEP))
    );
    arena.reserve(10).unwrap();
    assert_eq!(pool.bytes_in_use(), out(PAGES - SLOTS_PER_STEP), "nothing new is asked for");
    while arena.recycle() {}
    assert_eq!((retired(&arena), pool.bytes_in_use()), (u64::from(PAGES / 2), out(PAGES / 2)));
    (PAGES / 2..PAGES).for_each(|id| assert_page(frozen.page(PageId(id)), u64::from(id) + 1));
    drop((frozen, later));
    assert_eq!((retired(&arena), pool.bytes_in_use()), (0, 0));
}

/// Pages whose memory went back are taken again, all of them and zeroed, before the pool asks for new memory.
#[cfg(not(feature = "page-heap"))]
#[test]
fn pages_without_memory_are_used_again() {
    const PAGES: u32 = 64 * 1024 * 1024 / PAGE_BYTES as u32;
    let pool = PagePool::new(0);
    let fill = |arena: &mut Arena| {
        (0..PAGES).for_each(|id| {
            assert_eq!(arena.allocate(), PageId(id));
            assert!(arena.page(PageId(id)).all().iter().all(|byte| *byte == 0), "a page starts zeroed");
            write(arena, id, u64::from(id) + 1);
        });
    };
    let mut arena = Arena::new(&pool);
    let bytes = u64::from(PAGES) * PAGE_BYTES as u64;
    let mut now = Monotonic(0);
    for _ in 0..3 {
        fill(&mut arena);
        arena.clear();
        while arena.recycle() {}
        let given: u64 = (0..20)
            .map(|_| {
                now = now.after(Duration::from_secs(1));
                pool.give_back(now)
            })
            .sum();
        assert!(given > 16 << 20, "{given} bytes went back");
        assert_eq!(pool.bytes_free() + pool.bytes_returned(), bytes);
        assert_eq!(pool.bytes_returned() % (2 << 20), 0);
    }
}

/// An arena over a frozen version shows it while the live one goes on, keeps its pages, and refuses to change any.
#[test]
fn an_arena_over_a_frozen_version_is_only_read() {
    let pool = PagePool::new(0);
    let mut arena = Arena::new(&pool);
    for number in 0..20 {
        let id = arena.allocate();
        write(&mut arena, id.0, number);
    }
    let over = Arena::of_frozen(Arc::new(arena.freeze()));
    for number in 0..20 {
        write(&mut arena, number, 100 + u64::from(number));
    }
    arena.free(PageId(3));
    arena.clear();
    while arena.recycle() {}
    assert_eq!((over.pages_used(), retired(&arena)), (20, 20));
    (0..20).for_each(|number| assert_page(over.page(PageId(number)), u64::from(number)));
    assert!(!over.is_used(PageId(20)) && over.page_bound() == 20);
    type Change = fn(&mut Arena);
    let changes: [Change; 6] = [
        |arena| arena.page_mut(PageId(1)).put_u64(0, 1),
        |arena| _ = arena.allocate(),
        |arena| arena.free(PageId(1)),
        |arena| arena.clear(),
        |arena| drop(arena.freeze()),
        |arena| _ = arena.insert(PageId(40), &[0; PAGE_BYTES]),
    ];
    let over = std::sync::Mutex::new(over);
    for (number, change) in changes.into_iter().enumerate() {
        let panics = std::panic::catch_unwind(|| {
            let mut over = over.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            change(&mut over);
        });
        assert!(panics.is_err(), "change {number}");
    }
    let over = over.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    (0..20).for_each(|number| assert_page(over.page(PageId(number)), u64::from(number)));
    drop(over);
    assert_eq!(retired(&arena), 0);
}

#[test]
#[cfg(not(feature = "page-heap"))]
fn warm_pages_are_at_hand_and_zero_and_within_the_bound() {
    let pool = PagePool::new(40 * PAGE_BYTES as u64);
    let mut arena = Arena::new(&pool);
    arena.reserve(10).unwrap();
    assert_eq!((pool.warm(20), pool.bytes_free()), (20, 20 * PAGE_BYTES as u64));
    assert_eq!(pool.warm(20), 0, "they are there");
    assert_eq!(pool.warm(1000), 10, "as many as can be handed out");
    let ids: Vec<PageId> = (0..40).map(|_| arena.allocate()).collect();
    assert!(ids.iter().all(|id| arena.page(*id).all().iter().all(|byte| *byte == 0)));
    assert_eq!((pool.warm(1), pool.bytes_free()), (0, 0));
}
