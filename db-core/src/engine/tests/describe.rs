//! What OBJECT, MEMORY USAGE and TYPE tell of values of each type, small and large.

use super::*;

/// A key of each kind: the call that makes it, its type, its representation.
fn kinds() -> Vec<(String, &'static str, &'static str)> {
    let many = |text: &dyn Fn(u32) -> String| (0..2000).map(text).collect::<Vec<_>>().join(" ");
    let named = |kind: &'static str, form: &'static str, call: String| (call, kind, form);
    vec![
        named("string", "int", "set k 12345".into()),
        named("string", "embstr", format!("set k {}", "x".repeat(44))),
        named("string", "raw", format!("set k {}", "x".repeat(45))),
        named("string", "raw", format!("set k {}", "x".repeat(300_000))),
        named("list", "quicklist", "rpush k a b".into()),
        named("list", "quicklist", format!("rpush k {}", many(&|n| format!("element{n}")))),
        named("set", "intset", "sadd k 1 2 3".into()),
        named("set", "listpack", "sadd k a b".into()),
        named("set", "hashtable", format!("sadd k {}", many(&|n| format!("member{n}")))),
        named("hash", "listpack", "hset k f v".into()),
        named("hash", "hashtable", format!("hset k {}", many(&|n| format!("field{n} {n}")))),
        named("hash", "listpackex", "hsetex k ex 100 fields 1 f v".into()),
        named("zset", "listpack", "zadd k 1 a 2 b".into()),
        named("zset", "skiplist", format!("zadd k {}", many(&|n| format!("{n} member{n}")))),
    ]
}

#[test]
fn each_type_has_its_name_and_that_of_its_representation() {
    for (call, kind, form) in kinds() {
        let mut client = Client::alone();
        client.run(&call);
        let shown = &call[..call.len().min(40)];
        assert_eq!(client.run("type k"), format!("+{kind}|"), "{shown}");
        assert_eq!(client.run("object encoding k"), format!("${}|{form}|", form.len()), "{shown}");
        assert_eq!(client.run("object refcount k"), ":1|", "{shown}");
        for other in ["string", "list", "set", "hash", "zset", "none"] {
            let found = if other == kind { "*2|$1|0|*1|$1|k|" } else { "*2|$1|0|*0|" };
            assert_eq!(client.run(&format!("scan 0 type {other}")), found, "{shown}");
        }
    }
}

#[test]
fn memory_usage_is_what_the_engine_has_in_use_for_the_key() {
    /// An entry in the table of keys and one in the index of expiries are in pages that are there before.
    const SHARED: u64 = 64;
    for (call, ..) in kinds() {
        let engine = Arc::new(Engine::new(EngineOptions { shards: 1, ..EngineOptions::default() }));
        engine.begin_epoch(Epoch(1)).unwrap();
        let mut client = Client::new(&engine);
        // What a page takes for itself is there before.
        client.run(&call.replacen(" k ", " a ", 1));
        let before = client.engine.memory().used;
        client.run(&call);
        let taken = client.engine.memory().used - before;
        let told = client.run("memory usage k");
        let shown = &call[..call.len().min(40)];
        let usage: u64 = told[1..told.len() - 1].parse().unwrap_or_else(|_| panic!("{shown}: {told}"));
        assert!((taken..=taken + SHARED).contains(&usage), "{shown}: {usage} of {taken} bytes");
        for samples in ["0", "1", "5"] {
            assert_eq!(client.run(&format!("memory usage k samples {samples}")), told, "{shown}");
        }
    }
}

#[test]
fn a_key_that_has_expired_is_not_described() {
    let mut client = Client::alone();
    client.run("set k v px 10");
    client.now += 10;
    assert_eq!(client.run("type k"), "+none|");
    for question in ["object encoding", "object refcount", "object idletime", "object freq", "memory usage"] {
        assert_eq!(client.run(&format!("{question} k")), "$-1|", "{question}");
    }
}
