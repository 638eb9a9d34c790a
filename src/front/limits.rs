//! Limits of the front, each with its unit and its reason.

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
/// Commands that take long and are executed at one time, each on a thread of its own: enough that one which waits for nobody
/// passes another, few enough that they leave processors to the rest. Others wait for their turn.
pub const LONG_COMMANDS_MAX: usize = 4;
/// Requests of one connection that are parsed before the first of them is executed: as many as a processor can ask its memory
/// for with profit, and few enough that what was asked for is still there when its turn comes.
pub const REQUESTS_AHEAD: usize = 32;
/// Replies of one connection that wait for the vault: what a pipeline may have in flight. 40 bytes each.
pub const HELD_REPLIES_MAX: usize = 16 * 1024;
/// Bytes of one connection's output, delayed by the reply gate or not yet read by a slow client, beyond which it executes
/// nothing. One reply may overshoot.
pub const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// Large replies that are made at one time, each on a thread of its own. Others wait for their turn.
pub const LARGE_REPLIES_MAX: usize = 64;
/// Pieces of a large reply that are made ahead: 64 KiB each.
pub const PIECES_AHEAD: usize = 4;
/// A connection that is sent a large reply and takes nothing for so long is cut off: the version of which it is made costs memory.
pub const PIECE_TIME_MAX: Duration = Duration::from_secs(30);
/// Pages kept for frozen versions may take so many bytes, however small the data are, before the oldest pinned version is ended.
pub const PINNED_BYTES_MIN: u64 = 16 << 20;
/// Between two versions that are ended for their memory: what is being read gives its memory back only when the read has seen it.
pub const PINS_END_EVERY: Duration = Duration::from_millis(20);
/// Kept pages that are given back in passing: about half a millisecond.
pub const VERSION_BYTES_AT_ONCE: u64 = 64 << 20;
/// Bytes of messages that one connection may leave untaken, what each takes beside its text included; beyond it, it is cut off. Enough
/// for tens of thousands of short ones, which a client that reads at all takes in a moment.
pub const INBOX_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Requests of one connection that are forwarded and have no reply yet: what a pipeline may have in flight. 16 bytes each.
pub const FORWARDED_REQUESTS_MAX: usize = 1024;
/// Bytes of these requests, which the standby keeps for the case that they have to be executed elsewhere. One request may overshoot.
pub const FORWARDED_BYTES_MAX: usize = 256 * 1024;
/// After a switchover, replies of the primary before are waited for so long: it lives and will say what it has executed, however busy its
/// machine is.
pub const FORWARDED_SETTLE_WAIT: Duration = Duration::from_secs(2);
/// The same where the primary was replaced by a takeover: most likely it is dead, and what it had sent before is here.
pub const FORWARDED_TAKEOVER_WAIT: Duration = Duration::from_millis(10);
/// Pauses between attempts to reach the primary, each twice the one before.
pub const FORWARD_PAUSE_MIN: Duration = Duration::from_millis(1);
/// The longest of them.
pub const FORWARD_PAUSE_MAX: Duration = Duration::from_millis(50);
/// Between two looks of a standby whether its primary can be reached: a quarter of what a balancer takes between its checks.
pub const REACH_EVERY: Duration = Duration::from_millis(250);
/// Such a look waits so long, and is repeated once: longer than it takes to find a new connection dead.
pub const REACH_WAIT: Duration = Duration::from_millis(500);
/// Sent bytes that may stay in the buffer in front of delayed ones before they are removed: bounds waste without copying each
/// time.
pub const SENT_BYTES_KEPT: usize = 64 * 1024;
/// A connection that is to close has so long, after its last reply may leave, to take what is left.
pub const CLOSING_TIME: Duration = Duration::from_secs(5);
/// A connection that has not said who it is, where that is required, is cut at the next look after so long: within ten seconds.
pub const AUTHENTICATION_TIME: Duration = Duration::from_secs(9);
/// Connections of the client library that have come and not greeted yet, at one time. Each costs a TLS handshake and about 100 KB;
/// a client greets within two round trips.
pub const UNADMITTED_MAX: usize = 256;
/// Between two looks of an acceptor at its idle connections.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Places beyond `maxclients` in which only an operator's commands are executed, so that a node that is full can still be asked and
/// told: a few tools and people at one time.
pub const OPERATOR_PLACES: usize = 16;
/// Whoever has come into such a place gives an operator's command within so long, or is cut at the next look: a pool of clients that
/// connects and waits must not keep the places.
pub const OPERATOR_WAIT: Duration = Duration::from_secs(2);
/// An operator who is silent for longer gives his place back: longer than any command of his takes.
pub const OPERATOR_IDLE: Duration = Duration::from_secs(60);
/// Connections beyond all places that are told so with care, at one time on one thread: a descriptor and a buffer of 4 KiB each. More
/// are told in passing.
pub const FAREWELLS_MAX: usize = 64;
/// The first request of such a connection is waited for so long, to be answered: a client of this network sends it within a round trip.
pub const FAREWELL_REQUEST_WAIT: Duration = Duration::from_millis(100);
/// Time that such a connection has to hear the answer and to close.
pub const FAREWELL_TIME: Duration = Duration::from_secs(1);
/// Connections waiting to be accepted by one listener, as in Redis (`tcp-backlog`).
pub const LISTEN_BACKLOG: i32 = 511;
/// Pause of an acceptor that the system refused another descriptor.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Idle time after which the system probes a peer, as in Redis (`tcp-keepalive`).
pub const KEEPALIVE: Duration = Duration::from_secs(300);
/// Longest name that a connection may give itself or its library, in bytes: `CLIENT LIST` shows all of them.
pub const NAME_BYTES_MAX: usize = 512;

const _: () = assert!(INPUT_AHEAD_BYTES >= READ_BYTES);
const _: () = assert!(INBOX_BYTES_MAX >= OUTPUT_BYTES_MAX);
const _: () = assert!(BATCH_BYTES >= READ_BYTES);
const _: () = assert!(AUTHENTICATION_TIME.as_secs() + SWEEP_INTERVAL.as_secs() <= 10);
const _: () = assert!(REQUESTS_AHEAD <= BATCH_COMMANDS);
