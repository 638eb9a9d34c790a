//! All limits of the client library, each with its unit and the reason for its value.

use std::time::Duration;

/// Nodes that a client tries, those given and those that nodes name. A cluster has two; some are replaced in time.
pub const NODES_MAX: usize = 16;

/// Commands of one client that may wait or be under way, unless its options say otherwise.
pub const COMMANDS_MAX: u32 = 1_024;

/// Bytes of requests of one client that may wait or be under way, unless its options say otherwise. A larger request is
/// sent alone.
pub const REQUEST_BYTES_MAX: u32 = 64 << 20;

/// How long a command is tried, unless the options say otherwise: several times a takeover after a lost host.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Commands of one client that block at one time: each has a connection of its own to each node, whose sessions a node has
/// thousands of.
pub const BLOCKED_MAX: usize = 256;

/// Connections of commands that have ended their wait, kept for the next ones: as many as a few workers need. Each sends a sign of life
/// every [`KEEP_ALIVE`].
pub const BLOCKED_IDLE_MAX: usize = 16;

/// How long a command without a timeout blocks: longer than any process lives, and short enough to be added to a time.
pub const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Longest wait for a connection and for the node's first notice.
pub const CONNECT_WAIT: Duration = Duration::from_secs(1);

/// Longest host name in bytes: what the domain name system allows.
pub const HOST_BYTES_MAX: usize = 253;

/// Longest wait for a host name to be resolved: a resolver's own first timeout. The lookup goes on behind it, so that a shorter wait
/// would only pile up threads.
pub const RESOLVE_WAIT: Duration = Duration::from_secs(5);

/// Addresses of one host name that are tried. A node has one for each family and network of its machine.
pub const DIAL_ADDRESSES_MAX: usize = 8;

/// Time from an attempt at one address of a name to that at the next: many times a handshake within a site.
pub const DIAL_STAGGER: Duration = Duration::from_millis(25);

/// First pause before a node is tried again; doubles up to [`RETRY_PAUSE_MAX`].
pub const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// Longest pause before a node is tried again: a share of the time in which a takeover should go unnoticed.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_millis(200);

/// Pause between signs of life of a silent connection.
pub const KEEP_ALIVE: Duration = Duration::from_millis(100);

/// QUIC's own idle timeout. Far longer than any suspicion: it also runs while this process is stopped or its runtime
/// is kept busy, which says nothing about the node.
pub const IDLE_MAX: Duration = Duration::from_secs(10);

/// How often a connection is asked whether anything has arrived. A runtime that is kept busy makes these looks rarer, so it is
/// looks that are counted, not time.
pub const PULSE: Duration = Duration::from_millis(50);

/// Checks without a sign of life after which a connection on which no command depends is replaced: 300 ms, three signs of life.
pub const SILENT_PULSES_SUSPECT: u32 = 6;

/// Checks without a sign of life after which no more replies are expected of a node that is no longer primary: 200 ms, the first
/// of them perhaps short, so longer than two signs of life are apart. What it has not answered by then nobody knows; to wait
/// longer would only add to the takeover.
pub const SILENT_PULSES_REPLACED: u32 = 4;

/// The same, where a takeover has replaced the primary: hardly any reply is still to come, and a reply that does not is what the
/// commands in flight wait for. Far longer than packets that left together can arrive apart within a site.
pub const SILENT_PULSES_TAKEN_OVER: u32 = 5;

/// How often such a connection is asked: 10 ms in all.
pub const PULSE_TAKEN_OVER: Duration = Duration::from_millis(2);

/// Checks without a sign of life after which the connection to a primary without a known successor is given up: 2 s. Before that
/// it may only be busy, and giving up makes the outcome of what is under way unknown.
pub const SILENT_PULSES_LOST: u32 = 40;

/// Round trip assumed before the first is measured: without it, a connect to a dead port takes seconds.
pub const INITIAL_RTT: Duration = Duration::from_millis(1);

/// Longest wait of an acknowledgement.
pub const ACK_DELAY_MAX: Duration = Duration::from_millis(2);

/// Largest UDP payload in bytes; as the nodes' own.
pub const PACKET_BYTES_MAX: u16 = 6_500;

/// Bytes under way each way: 1 GiB/s at a round trip of 4 ms.
pub const WINDOW_BYTES: u32 = 4 << 20;

/// Bytes that are asked of the stream at once.
pub const READ_BYTES: usize = 64 << 10;

/// Longest text in a node's notice, in bytes: an address or a sentence.
pub const NOTICE_TEXT_BYTES_MAX: usize = 512;

/// Longest line of a reply in bytes: an error, a number, a length.
pub const REPLY_LINE_BYTES_MAX: usize = 64 << 10;

/// Longest string in a reply in bytes: the protocol's own limit of a value.
pub const REPLY_STRING_BYTES_MAX: usize = 512 << 20;

/// Largest number of elements in one part of a reply: a list of all keys of a large database.
pub const REPLY_ELEMENTS_MAX: usize = 1 << 28;

/// Deepest nesting of a reply.
pub const REPLY_DEPTH_MAX: usize = 64;

/// Largest certificate or key file in bytes; ours have about 1 KiB.
pub const PEM_BYTES_MAX: u64 = 64 << 10;

const _: () = assert!(KEEP_ALIVE.as_millis() * 3 <= PULSE.as_millis() * SILENT_PULSES_SUSPECT as u128);
const _: () = assert!(KEEP_ALIVE.as_millis() < PULSE.as_millis() * (SILENT_PULSES_REPLACED - 1) as u128);
const _: () = assert!(PULSE.as_millis() * (SILENT_PULSES_LOST as u128) < IDLE_MAX.as_millis());
