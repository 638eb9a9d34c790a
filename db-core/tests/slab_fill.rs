//! How full the allocator's pages are after churn: printed, and bounded where keys are replaced by others.
//!
//! `cargo test --workspace --test slab_fill -- --nocapture`

#![expect(clippy::print_stdout, reason = "what was measured")]

use tanist_db_core::clock::UnixMillis;
use tanist_db_core::command::Reply;
use tanist_db_core::command::testing::NoFront;
use tanist_db_core::engine::{Engine, EngineOptions, Session};
use tanist_db_core::ids::Epoch;

const KEYS: u64 = 60_000;

struct Database {
    engine: Engine,
    session: Session,
    random: u64,
}

impl Database {
    fn new() -> Database {
        let engine = Engine::new(EngineOptions { shards: 4, ..EngineOptions::default() });
        engine.begin_epoch(Epoch(1)).expect("a newer epoch");
        Database { engine, session: Session::new(1), random: 0x9e37_79b9_7f4a_7c15 }
    }

    fn call(&mut self, args: &[&[u8]]) {
        let mut reply = Reply::default();
        let executed = self.engine.execute(&mut self.session, &mut NoFront, args, UnixMillis(1), &mut reply);
        assert!(executed.replied().is_some());
        while self.engine.redo().take(1 << 20).is_some() {}
    }

    /// A number below `bound`, by xorshift.
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    fn set(&mut self, key: u64, bytes: u64) {
        self.call(&[b"SET", format!("key:{key:012}").as_bytes(), &vec![b'v'; bytes as usize]]);
    }

    fn delete(&mut self, key: u64) {
        self.call(&[b"DEL", format!("key:{key:012}").as_bytes()]);
    }

    /// Prints and returns the share of the slots' pages that is in use.
    fn fill(&self, after: &str) -> f64 {
        let memory = self.engine.memory();
        println!(
            "{after:60} {:5.1} MB in slabs, {:4.1} % in use",
            memory.slabs as f64 / 1e6,
            100.0 * memory.slab_fill()
        );
        memory.slab_fill()
    }
}

#[test]
fn keys_that_are_replaced_by_others_leave_pages_more_than_half_full() {
    let mut database = Database::new();
    for key in 0..KEYS {
        let bytes = 10 + database.below(490);
        database.set(key, bytes);
    }
    let mut worst = database.fill("filled: 10 to 500 bytes");
    for _ in 0..3 * KEYS {
        let (gone, bytes) = (database.below(KEYS), 10 + database.below(490));
        database.delete(gone);
        database.set(gone, bytes);
    }
    worst = worst.min(database.fill("each deleted and set again, in random order, three times"));
    for round in 1..=10 {
        for key in 0..KEYS {
            let bytes = 10 + database.below(49 * (10 - round) + 50);
            database.set(key, bytes);
        }
        worst = worst.min(database.fill(&format!("all overwritten: 10 to {} bytes", 60 + 49 * (10 - round))));
    }
    assert!(worst > 0.5, "{worst}");
}

#[test]
fn pages_that_deletions_at_random_leave_behind_are_compacted() {
    for bytes in [100, 1000] {
        let mut database = Database::new();
        (0..KEYS).for_each(|key| database.set(key, bytes));
        database.fill(&format!("filled: {bytes} bytes"));
        for share in [50, 90, 99] {
            for key in 0..KEYS {
                if database.below(100) < share {
                    database.delete(key);
                }
            }
            let before = database.fill(&format!("about {share} % of what is left deleted, at random"));
            let keys = database.engine.keys();
            let mut steps = 0;
            while database.engine.clean_up(UnixMillis(1)) {
                steps += 1;
            }
            let after = database.fill(&format!("compacted in {steps} steps"));
            let full_enough = steps == 0 && before > 0.5;
            let small = database.engine.memory().slabs < 4 * 256 * 1024;
            assert!(after > before.max(0.5) || full_enough || small, "{after}");
            assert_eq!(database.engine.keys(), keys);
        }
    }
}
