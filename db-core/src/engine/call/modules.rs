//! Commands of Redis's modules, which are not there: what there is instead.

/// What the names of a module's commands begin with, the module, and what serves instead.
const MODULES: [(&str, &str, &str); 9] = [
    ("JSON.", "RedisJSON", "keep a document as a string or a hash"),
    ("BF.", "RedisBloom", "keep the members in a set"),
    ("CF.", "RedisBloom", "keep the members in a set"),
    ("CMS.", "RedisBloom", "count in a hash or a sorted set"),
    ("TOPK.", "RedisBloom", "count in a sorted set"),
    ("TDIGEST.", "RedisBloom", "keep the samples in a sorted set"),
    ("TS.", "RedisTimeSeries", "keep the samples in a sorted set whose scores are times"),
    ("FT.", "RediSearch", "keep an index of your own in sets and sorted sets"),
    ("GRAPH.", "RedisGraph", "keep edges in sets"),
];

/// Commands of vector sets, which Redis 8 brings as a module.
const VECTOR_SETS: [&str; 13] = [
    "VADD",
    "VCARD",
    "VDIM",
    "VEMB",
    "VGETATTR",
    "VINFO",
    "VISMEMBER",
    "VLINKS",
    "VRANDMEMBER",
    "VRANGE",
    "VREM",
    "VSETATTR",
    "VSIM",
];

/// Returns the module that a command of this name belongs to, and what serves instead of it.
pub(super) fn of_command(name: &[u8]) -> Option<(&'static str, &'static str)> {
    let begins =
        |prefix: &str| name.len() > prefix.len() && name[..prefix.len()].eq_ignore_ascii_case(prefix.as_bytes());
    if VECTOR_SETS.iter().any(|vector_set| name.eq_ignore_ascii_case(vector_set.as_bytes())) {
        return Some(("vector sets", "keep vectors as strings, and search them in the client"));
    }
    MODULES.iter().find(|(prefix, ..)| begins(prefix)).map(|(_, module, instead)| (*module, *instead))
}
