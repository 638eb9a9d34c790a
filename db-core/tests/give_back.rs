//! After FLUSHALL a process kept 876 MB for 768 KB of data, forever: memory that nobody needs is returned to the operating
//! system, and what is written afterwards is as it was before.
//!
//! A program of its own, since it looks at the memory of its process.

use std::time::Duration;

use tanist_db_core::arena::PAGE_BYTES;
use tanist_db_core::clock::{Monotonic, UnixMillis};
use tanist_db_core::command::Reply;
use tanist_db_core::command::testing::NoFront;
use tanist_db_core::engine::{Engine, EngineOptions, Session};
use tanist_db_core::ids::Epoch;

const MIB: u64 = 1 << 20;
/// What the pool keeps for the next taker, however little is in use.
const RESERVE: u64 = 32 * MIB;
/// Memory goes back in blocks of so many bytes of which all is free.
const BLOCK: u64 = 2 * MIB;

struct Database {
    engine: Engine,
    session: Session,
    now: Monotonic,
}

impl Database {
    fn call(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let mut reply = Reply::default();
        let executed = self.engine.execute(&mut self.session, &mut NoFront, args, UnixMillis(1), &mut reply);
        assert!(executed.replied().is_some());
        while self.engine.redo().take(1 << 20).is_some() {}
        reply.take()
    }

    /// 200 values of 1 MB, which differ by `salt`.
    fn fill(&mut self, salt: usize) {
        for i in 0..200 {
            self.call(&[b"SET", format!("key:{i}").as_bytes(), &value(i + salt)]);
        }
    }

    fn assert_content(&mut self, salt: usize) {
        for i in 0..200 {
            let found = self.call(&[b"GET", format!("key:{i}").as_bytes()]);
            assert!(found.ends_with(&[&value(i + salt)[..], b"\r\n"].concat()), "key:{i}");
        }
    }

    /// So many looks, a second from each other.
    fn wait(&mut self, looks: u32) -> u64 {
        (0..looks)
            .map(|_| {
                self.now = self.now.after(Duration::from_secs(1));
                self.engine.give_back(self.now)
            })
            .sum()
    }
}

fn value(number: usize) -> Vec<u8> {
    (0..1_000_000).map(|at| (at * 31 + number * 7 + 1) as u8).collect()
}

/// Bytes of this process that lie in memory; `None` where the system does not say.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[test]
fn memory_goes_back_when_nobody_needs_it_and_comes_again() {
    let engine = Engine::new(EngineOptions::default());
    engine.begin_epoch(Epoch(1)).expect("a newer epoch");
    let mut database = Database { engine, session: Session::new(1), now: Monotonic(0) };
    for salt in 0..2 {
        database.fill(salt);
        assert_eq!(database.wait(30), 0, "what is in use stays");
        let full = resident();
        database.call(&[b"FLUSHALL"]);
        assert_eq!(database.wait(9), 0, "what may be needed in a moment stays");
        let given = database.wait(20);
        let kept = database.engine.pool().bytes_free();
        assert!(given > 100 * MIB, "{given} bytes went back");
        let beside = database.engine.pool().bytes_in_use() / PAGE_BYTES as u64 * BLOCK;
        assert!(kept <= beside.max(RESERVE) + BLOCK, "{kept} bytes are kept");
        assert_eq!(database.engine.pool().bytes_returned(), given);
        if let Some((full, after)) = full.zip(resident()) {
            assert!(after + given / 2 < full, "{full} bytes were resident and {after} are, {given} went back");
        }
        database.fill(salt + 1);
        database.assert_content(salt + 1);
    }
}
