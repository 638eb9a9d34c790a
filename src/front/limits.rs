//! Bounds of the front: name, unit, reason.

use std::time::Duration;

/// Bytes of one read: the largest run of requests that one system call brings. One such buffer a thread.
pub const READ_BYTES: usize = 64 * 1024;
/// Requests kept unread by the engine while commands may not execute; beyond it the peer's window closes.
pub const INPUT_AHEAD_BYTES: usize = 64 * 1024;
/// Memory that a connection keeps between requests, for each of input and output: most requests and replies fit, and
/// 10,000 idle connections cost 80 MB at worst.
pub const BUFFER_KEPT_BYTES: usize = 4 * 1024;
/// Commands executed in a row before other connections of the thread get their turn: at a microsecond each, 0.1 ms.
pub const BATCH_COMMANDS: usize = 128;
/// Bytes of requests executed in a row, for the same reason.
pub const BATCH_BYTES: usize = 256 * 1024;
/// Requests of one connection that are parsed before the first of them is executed: as many as a processor can ask its memory
/// for with profit, and few enough that what was asked for is still there when its turn comes.
pub const REQUESTS_AHEAD: usize = 32;
/// Replies of one connection that wait for the vault: what a pipeline may have in flight. 40 bytes each.
pub const HELD_REPLIES_MAX: usize = 16 * 1024;
/// Bytes of one connection's output, held or not yet taken by a slow reader, beyond which it executes nothing. One reply
/// may overshoot.
pub const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// Sent bytes that may stay in front of held ones before they are cut off: bounds waste without copying each time.
pub const SENT_BYTES_KEPT: usize = 64 * 1024;
/// A connection that is to close has so long, after its last reply may leave, to take what is left.
pub const CLOSING_TIME: Duration = Duration::from_secs(5);
/// A connection that has not said who it is, where that is required, is cut at the next look after so long: within ten seconds.
pub const AUTHENTICATION_TIME: Duration = Duration::from_secs(9);
/// Connections of the client library that have come and not greeted yet, at one time. Each costs a TLS handshake and about 100 KB;
/// a client greets within two round trips.
pub const STRANGERS_MAX: usize = 256;
/// Between two looks of an acceptor at its idle connections.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Connections waiting to be accepted by one listener, as in Redis (`tcp-backlog`).
pub const LISTEN_BACKLOG: i32 = 511;
/// Pause of an acceptor that the system refused another descriptor.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Idle time after which the system probes a peer, as in Redis (`tcp-keepalive`).
pub const KEEPALIVE: Duration = Duration::from_secs(300);
/// Longest name that a connection may give itself or its library, in bytes: `CLIENT LIST` shows all of them.
pub const NAME_BYTES_MAX: usize = 512;

const _: () = assert!(INPUT_AHEAD_BYTES >= READ_BYTES);
const _: () = assert!(BATCH_BYTES >= READ_BYTES);
const _: () = assert!(AUTHENTICATION_TIME.as_secs() + SWEEP_INTERVAL.as_secs() <= 10);
const _: () = assert!(REQUESTS_AHEAD <= BATCH_COMMANDS);
