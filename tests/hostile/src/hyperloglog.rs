//! Strings that clients set as HyperLogLogs.

use tanist_db_core::engine::{Engine, EngineOptions, Session};
use tanist_db_core::ids::Epoch;

use crate::command::execute;

const NOW: u64 = 1_000_000;

/// The bytes as a value, which is counted, added to and merged. What is accepted is one that a second engine, which is told the bytes
/// that came of it, counts alike; what is refused has changed nothing.
pub fn read(bytes: &[u8]) {
    let engine =
        Engine::new(EngineOptions { shards: 2, memory_bytes_max: 64 << 20, hash_seed: 3, ..EngineOptions::default() });
    engine.begin_epoch(Epoch(1)).expect("a newer epoch");
    let mut session = Session::new(1);
    let mut call = |words: &[&[u8]]| execute(&engine, &mut session, words, NOW);
    call(&[b"SET", b"k", bytes]);
    let before = engine.content_hash();
    let added = call(&[b"PFADD", b"k", b"a", b"b"]);
    if added.starts_with(b"-") {
        assert_eq!(engine.content_hash(), before);
        assert!(call(&[b"PFMERGE", b"k", b"missing"]).starts_with(b"-"));
        assert!(call(&[b"PFCOUNT", b"k", b"missing"]).starts_with(b"-"));
        // The count of one may be read without its registers.
        call(&[b"PFCOUNT", b"k"]);
        return;
    }
    assert_eq!(call(&[b"PFADD", b"k", b"b", b"a"]), b":0\r\n");
    call(&[b"PFCOUNT", b"k"]);
    assert_eq!(call(&[b"PFMERGE", b"merged", b"k", b"missing"]), b"+OK\r\n");
    let counts =
        [call(&[b"PFCOUNT", b"k", b"k"]), call(&[b"PFCOUNT", b"merged"]), call(&[b"PFCOUNT", b"merged", b"k"])];
    assert!(counts[0].starts_with(b":") && counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

/// Sparse and dense ones, made by our own commands, and the smallest.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let engine =
        Engine::new(EngineOptions { shards: 2, memory_bytes_max: 64 << 20, hash_seed: 3, ..EngineOptions::default() });
    engine.begin_epoch(Epoch(1)).expect("a newer epoch");
    let mut session = Session::new(1);
    let made = [1, 30, 600, 9_000].map(|count| {
        let mut words = vec!["PFADD".to_owned(), format!("of {count}")];
        words.extend((0..count).map(|element| element.to_string()));
        execute(&engine, &mut session, &words, NOW);
        let reply = execute(&engine, &mut session, &["GET".to_owned(), format!("of {count}")], NOW);
        let start = reply.iter().position(|byte| *byte == b'\n').expect("a string") + 1;
        reply[start..reply.len() - 2].to_vec()
    });
    let smallest = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff".to_vec();
    made.into_iter().chain([smallest]).collect()
}
