//! Limits of settings, each with its unit and its reason. `CONFIG SET` uses the same limits.

use std::time::Duration;

/// Shortest lease, in milliseconds: below it a busy machine's scheduling alone would end leases.
pub const LEASE_MS_MIN: u64 = 200;
/// Longest wait or interval that is not obviously a mistake in the unit: a day, in milliseconds.
pub const MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// Least age that a standby's data may have for its reads, in milliseconds: a few times the pause between its questions to the vault.
pub const STANDBY_READ_MS_MIN: u64 = 100;
/// Longest lease, in milliseconds: commands have to wait for longer than a lease, and [`MS_MAX`] bounds their wait.
pub const LEASE_MS_MAX: u64 = MS_MAX / 2;
/// Renewals that must fit into a lease, so that a lost packet or a slow disk costs no takeover.
pub const RENEWALS_PER_LEASE_MIN: u64 = 4;
/// Less than this, in bytes, at level relaxed would make every other write wait.
pub const RELAXED_BYTES_MIN: u64 = 1 << 20;
/// Bytes of log between images; below it the node would do little else than take them.
pub const IMAGE_LOG_BYTES_MIN: u64 = 1 << 20;
/// Threads that execute commands: twice the shards that there may be, beyond which they only wait for each other's locks.
pub const THREADS_MAX: u16 = 512;
/// Longest password in bytes, as in Redis.
pub const PASSWORD_BYTES_MAX: usize = 512;
/// Longest name of the primary for clients that ask a Sentinel, in bytes.
pub const SENTINEL_NAME_BYTES_MAX: usize = 128;
/// Longest log filter in bytes: it travels as an argument to the processes that `up` starts.
pub const LOG_LEVEL_BYTES_MAX: usize = 4096;
/// Longest path of a data folder in bytes: the system's own limit for a path, less what is put below the folder.
pub const DATA_PATH_BYTES_MAX: usize = 4096 - 512;
/// Largest configuration file or `cluster.toml`, in bytes: one with every setting has less than 2 KiB.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Open files of a node beside those of its clients and its threads: sockets to the vault, logs, the runtime's own.
pub const FILES_RESERVED: u64 = 64;
/// Open files of each thread that executes commands: its listener, its timers, what wakes it.
pub const FILES_PER_THREAD: u64 = 6;

/// Lines of a log that wait to be written, in bytes: some seconds of the most talkative level, and nothing beside a node's data.
pub const LINES_WAITING_BYTES_MAX: usize = 1 << 20;
/// The same in lines.
pub const LINES_WAITING_MAX: usize = 4096;
/// How long the end of a process waits until its last lines are written: whoever takes over waits for that end. Half of the shortest
/// lease.
pub const LAST_LINES_WAIT: Duration = Duration::from_millis(LEASE_MS_MIN / 2);

const _: () = assert!(THREADS_MAX as u32 == 2 * tanist_db_core::limits::SHARDS_MAX as u32);
const _: () = assert!(LEASE_MS_MIN >= RENEWALS_PER_LEASE_MIN && LEASE_MS_MAX < MS_MAX);
