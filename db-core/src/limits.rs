//! Every limit of the engine: name, unit, reason.

/// Longest key in bytes. A key is stored in one piece within a page, beside its value's root.
pub const KEY_BYTES_MAX: usize = 8 * 1024;

/// Longest name of a consumer group of a stream, and of a consumer, in bytes: each is in one item of a tree, twice as long if it were all
/// zeros.
pub const GROUP_NAME_BYTES_MAX: usize = 1024;

/// Longest value in bytes: what the protocol allows for one string.
pub const VALUE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Longest chunk of an image in bytes: one network frame and one file write.
pub const IMAGE_CHUNK_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of redo records that may wait for the shipper: what a second of writes takes at 64 MiB/s. Above it writes wait.
pub const REDO_QUEUE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bytes at which a run of queued records is closed and becomes a batch of its own: large enough for group commit, small
/// enough to be sent while the next one fills. A larger record stands alone and is not copied.
pub const REDO_RUN_BYTES: usize = 256 * 1024;

/// Longest redo record in bytes: one value of the largest size and others beside it in MSET or EXEC. Alone in its batch it
/// must fit into one frame of the wire and of a segment, which end a little below 1 GiB.
pub const RECORD_BYTES_MAX: u64 = 896 * 1024 * 1024;

/// Most bytes of arguments that one transaction may queue: they stay in memory until EXEC. A value of the largest size
/// fits.
pub const TRANSACTION_BYTES_MAX: u64 = 768 * 1024 * 1024;

/// Most commands that one transaction may queue: all of them run under the locks of their shards.
pub const TRANSACTION_COMMANDS_MAX: usize = 1024 * 1024;

/// Most bytes that one SORT holds beside the data: copies of elements and weights, and its reply. Two values of the largest size fit.
pub const SORT_BYTES_MAX: u64 = 2 * VALUE_BYTES_MAX + 1024 * 1024;

/// Bytes of a value that COPY and RENAME copy while its shards are locked: 64 pages. A larger one is copied a piece at a time.
pub const COPIED_AT_ONCE_BYTES: u64 = 1024 * 1024;

/// Times that a copy in pieces is begun again because its source has changed: then it is made in one piece.
pub const COPY_ATTEMPTS_MAX: usize = 3;

/// Bytes of a reply that is made while its shards are locked: copying them takes some 0.1 ms. A read with a larger one is executed on a
/// frozen version.
pub const LARGE_REPLY_BYTES: usize = 1024 * 1024;

/// Elements of such a reply: visiting them takes some 0.1 ms too.
pub const LARGE_REPLY_ELEMENTS: u64 = 16 * 1024;

/// Bytes that the replies of one EXEC take together: it holds its locks, so they are made in one piece.
pub const EXEC_REPLY_BYTES_MAX: usize = VALUE_BYTES_MAX as usize + 1024 * 1024;

/// Bytes that a session's watched keys may take: each of them costs the writers of its shard a look-up.
pub const WATCHED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of a buffer that a session keeps from one command to the next: with 10,000 idle sessions three such buffers
/// each stay below 0.5 GB.
pub const SCRATCH_BYTES_KEPT: usize = 16 * 1024;

/// Slots a shard in which the newest record is noted for the reply gate (32 KiB a shard). Two keys in one slot only
/// delay each other's readers.
pub const DIRTY_SLOTS: usize = 4096;

/// Most shards of an engine: the locks of all of them are taken for a freeze.
pub const SHARDS_MAX: u16 = 256;

/// Most keys deleted by one record of the expiry: its shard is locked for that long.
pub const EXPIRE_RECORD_KEYS_MAX: usize = 256;

/// Most pages and entries of given-up values, or keys of flushed databases, that one record frees, but for 64 pages or the entries of a segment (447)
/// more: its shard is locked for some 0.1 ms.
pub const RECLAIM_RECORD_STEPS_MAX: usize = 1024;

/// Most free pages that are kept at hand while a version is frozen (8 MiB): more than a burst of writes copies between two chunks of an image.
pub const WARM_PAGES_MAX: usize = 512;

/// Keys that have expired and that are deleted in one step of cleaning up, and pages of given-up values that are freed: a
/// millisecond or two of a thread that has other work as well.
pub const CLEAN_UP_KEYS_MAX: usize = 2_000;

/// Most keys that one record of the compaction looks at: its shard is locked for some 0.1 ms.
pub const COMPACT_RECORD_KEYS_MAX: usize = 256;

/// Bytes of pages cut into slots below which a shard is not compacted: nothing would be won.
pub const COMPACT_BYTES_MIN: u64 = 256 * 1024;

/// See [`CLEAN_UP_KEYS_MAX`].
pub const CLEAN_UP_COMPACT_KEYS_MAX: usize = 8 * COMPACT_RECORD_KEYS_MAX;

/// See [`CLEAN_UP_KEYS_MAX`].
pub const CLEAN_UP_STEPS_MAX: usize = 8 * RECLAIM_RECORD_STEPS_MAX;

/// Bytes of pages, in per cent of `maxmemory`, above which commands that may need memory fail even where the bytes in use are below
/// it: pages that deletions have left half empty must not outgrow the machine.
pub const PAGES_MAX_PERCENT: u64 = 150;

const _: () = assert!(DIRTY_SLOTS.is_power_of_two() && SHARDS_MAX.is_power_of_two());
const _: () = assert!(TRANSACTION_BYTES_MAX < RECORD_BYTES_MAX && RECORD_BYTES_MAX < u32::MAX as u64);
const _: () = assert!(VALUE_BYTES_MAX < TRANSACTION_BYTES_MAX);

/// A call with more arguments takes long: at up to a microsecond each, it would keep the clients of its thread waiting for longer
/// than all commands of another client's turn do.
pub const LONG_ARGUMENTS: usize = 512;

/// A request of more bytes takes long: to copy them once takes 0.1 ms.
pub const LONG_REQUEST_BYTES: usize = 1024 * 1024;

/// DEBUG SLEEP sleeps no longer: a test that wants more has made a mistake.
pub const DEBUG_SLEEP_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// Settings that a cluster may have: the superblock has room for so many.
pub const SETTINGS_MAX: usize = 32;

/// Databases: as many as Redis has unless told otherwise.
pub const DATABASES: usize = 16;

/// Physical numbers of databases: those that clients can select, and as many that were flushed and wait to be reclaimed. The superblock
/// has room for the handles of so many.
pub const DATABASE_NUMBERS: usize = 2 * DATABASES;

/// Keys of a database in a shard that FLUSHDB frees at once: some microseconds. More are reclaimed by steps, which takes a physical number.
pub const FLUSHED_AT_ONCE_KEYS_MAX: u64 = 64;

/// Blocked commands that one record serves: the others execute again by themselves.
pub const SERVED_AT_ONCE_MAX: usize = 1024;

/// A blocking command waits no longer, unless forever: a thousand years, so that no deadline overflows.
pub const BLOCK_TIMEOUT_MAX: std::time::Duration = std::time::Duration::from_secs(1_000 * 365 * 24 * 3_600);
