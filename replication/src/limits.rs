//! All limits of this crate, each with its unit and the reason for its value. Relations between them are asserted below.

use std::time::Duration;

// --- Frames

/// Longest archived message in bytes. The largest is a status of a few nodes and images, a few KiB.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Longest image chunk in bytes. An image walk gives chunks of at most 1 MiB; the rest is room for its own envelope.
pub const CHUNK_BYTES_MAX: usize = 2 << 20;

/// Longest archived redo batch in bytes. One record may carry a value of 512 MB; with its frame header a batch stays below
/// 1 GiB, which fits every length field with room to spare.
pub const BATCH_BYTES_MAX: usize = (1 << 30) - 4096;

/// Bytes that a frame reader asks of its stream at once: a full QUIC window would be larger, a control message is smaller.
pub const READ_BYTES: usize = 64 << 10;

/// A frame reader does not go to its stream for less room than this, in bytes: a packet's payload.
pub const READ_BYTES_MIN: usize = 8 << 10;

/// A frame of which so many bytes have come is a long one.
pub const LONG_FRAME_BYTES: usize = 16 << 20;

/// By how much the memory of a long frame grows at most, of what has come: 512 MB are copied once at 64 MB, and what is not yet
/// filled is not resident.
pub const LONG_FRAME_GROWTH: usize = 8;

// --- Connections

/// Certificate authority's lifetime: longer than a machine's.
pub const CA_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Lifetime of a process's certificate: renewing is one command, and a stolen key serves no longer than this.
pub const LEAF_LIFE: Duration = Duration::from_secs(365 * 86_400);

/// How far before its making a certificate begins to be valid: clocks of a cluster's machines differ.
pub const CERTIFICATE_BACKDATE: Duration = Duration::from_secs(86_400);

/// Largest certificate or key file that is read, in bytes; ours have about 1 KiB.
pub const PEM_BYTES_MAX: u64 = 64 << 10;

/// Largest UDP payload in bytes. Measured on loopback: 6500 doubles the throughput of the default, 8,900 collapses.
pub const PACKET_BYTES_MAX: u16 = 6_500;

/// Socket buffer in bytes that is asked of the system, each way: a burst of what is in flight at 1 GiB/s and 4 ms.
pub const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Streams that a peer may have open in one connection: control, append, follow, image in, image out, and three to spare
/// for a stream that ends while its successor begins.
pub const STREAMS_MAX: u32 = 8;

/// Bytes under way in one stream: 1 GiB/s at a round trip of 8 ms.
pub const STREAM_WINDOW_BYTES: u32 = 8 << 20;

/// Bytes under way in one connection. Streams that nobody reads must not starve the control stream: see the assertion.
pub const CONNECTION_WINDOW_BYTES: u32 = STREAMS_MAX * STREAM_WINDOW_BYTES;

/// Bytes under way each way in a connection of the client library: a node with 1,000 of them that all stall holds 8 GiB at
/// the very worst, and one of them reaches 1 GiB/s at a round trip of 4 ms.
pub const CLIENT_WINDOW_BYTES: u32 = 4 << 20;

/// Bytes of replies under way in one stream between nodes: as many as a session's output holds at most, in pieces. A client that reads
/// slowly costs its node so much.
pub const LINK_WINDOW_BYTES: u32 = 256 << 10;

/// Streams that one connection between nodes may have at first. quinn makes room for each stream that it allows: for a million at once it
/// took 140 ms, in which the new primary's thread did nothing else.
pub const LINK_STREAMS_MIN: u32 = 256;

/// The most of them, one for each client that is forwarded: as many as a node can have clients.
pub const LINK_STREAMS_MAX: u32 = 1 << 20;

/// A connection of the client library is given up after this long without a sign of life. Long, because a client that is kept
/// busy by its own program is not gone; a client looks for signs of life of its node more often and by itself.
pub const CLIENT_IDLE_MAX: Duration = Duration::from_secs(10);

/// Packets that may arrive before they are acknowledged together.
pub const ACK_PACKETS: u32 = 10;

/// Longest wait of an acknowledgement: below the time after which a sender probes, which counts it in.
pub const ACK_DELAY_MAX: Duration = Duration::from_millis(2);

/// Round trip assumed before the first is measured: the first packet is repeated after about three of it.
pub const INITIAL_RTT: Duration = Duration::from_millis(1);

/// Pause between signs of life of a silent connection.
pub const KEEP_ALIVE: Duration = Duration::from_millis(100);

/// A connection is given up after this long without a sign of life; a fresh one is then tried. It proves nothing about the
/// peer. Measured: a killed peer is noticed after 302-338 ms, and there was no false alarm with 16 busy processes.
pub const IDLE_MAX: Duration = Duration::from_millis(300);

/// The same for a connection between nodes. Longer, since what is under way on it becomes unknown: a takeover ends its streams before,
/// and a node that stands still for a moment does not.
pub const LINK_IDLE_MAX: Duration = Duration::from_secs(2);

/// Pause between two proofs that a connection of a predecessor is gone. quinn's own of 20 ms would make a thousand clients of a
/// restarted node wait; a proof is smaller than what it answers, so it cannot be used to flood anybody.
pub const RESET_PAUSE: Duration = Duration::from_micros(100);

/// Longest wait for a connection. Three times what a dead port takes.
pub const CONNECT_WAIT: Duration = Duration::from_secs(1);

/// Longest host name in bytes: what the domain name system allows.
pub const HOST_BYTES_MAX: usize = 253;

/// Longest wait for a host name to be resolved: a resolver's own first timeout. The lookup goes on behind it, so that a shorter
/// wait would only pile up threads.
pub const RESOLVE_WAIT: Duration = Duration::from_secs(5);

/// As [`RESOLVE_WAIT`], where addresses are known from before: then those are dialled. Half of the shortest lease.
pub const RESOLVE_WAIT_KNOWN: Duration = Duration::from_millis(100);

/// Addresses of one host name that are tried. A process has one for each family and network of its machine.
pub const DIAL_ADDRESSES_MAX: usize = 8;

/// Time from an attempt at one address to that at the next: many times a handshake within a site, so that the second address
/// costs nothing where the first one answers.
pub const DIAL_STAGGER: Duration = Duration::from_millis(25);

/// Handshakes under way at one endpoint before further ones are turned away.
pub const HANDSHAKES_MAX: usize = 256;

/// Longest wait for the beginning of a conversation: a welcome, a stream's first message.
pub const CALL_WAIT: Duration = Duration::from_secs(2);

/// Calls of one control stream that wait for their answers. A node has about three under way.
pub const CALLS_MAX: usize = 64;

// --- Serving

/// Waits for a durable position or a change of role at one time. A session waits at most once, so this bounds sessions: ten
/// times the 10,000 connections that a node is built for; 100 bytes each.
pub const SERVING_WAITERS_MAX: usize = 100_000;

/// Counters over which executing batches spread. Enough that the arbiters of a large machine rarely share one; the role driver
/// adds them up only while it hands over.
pub const EXECUTION_LANES: usize = 32;

// --- Memory

/// Between two looks whether free pages may go back to the machine: what is idle for ten of them does.
pub const GIVE_BACK_EVERY: Duration = Duration::from_secs(1);

// --- Roles

/// A standby does not claim more often than this: a refused claim is answered with the time that is left.
pub const CLAIM_PAUSE: Duration = Duration::from_millis(50);

/// How often a hold looks whether it is complete: what executes takes microseconds, and each look adds to a switchover's pause.
pub const HOLD_LOOK_EVERY: Duration = Duration::from_millis(1);

/// A switchover looks for a successor that long; a vault and a healthy standby answer within milliseconds.
pub const SWITCHOVER_CHOOSE_WAIT: Duration = Duration::from_secs(2);

/// Requests that wait for the end of one switchover: people and their tools.
pub const SWITCHOVER_ASKERS_MAX: usize = 64;

/// Requests that wait for an image: people and their tools.
pub const IMAGE_ASKERS_MAX: usize = 64;

/// A switchover that cannot drain in this time is given up: clients wait meanwhile.
pub const SWITCHOVER_HOLD_MAX: Duration = Duration::from_secs(1);

/// Whoever asked for a switchover waits that long for the vault's word on it: it answers within milliseconds or is out of reach.
pub const SWITCHOVER_ANSWER_WAIT: Duration = Duration::from_secs(2);

/// A successor that is further behind, in records, is not chosen: it would have to catch up while clients wait.
pub const SWITCHOVER_LAG_MAX: u64 = 50_000;

/// A primary that is asked to stop drains and releases its lease within this; a parent kills it later than that.
pub const STOP_WAIT: Duration = Duration::from_secs(5);
const _: () = assert!(STREAMS_MAX as u64 * STREAM_WINDOW_BYTES as u64 <= CONNECTION_WINDOW_BYTES as u64);
const _: () = assert!(KEEP_ALIVE.as_millis() * 3 <= IDLE_MAX.as_millis());
const _: () = assert!(IDLE_MAX.as_millis() < CONNECT_WAIT.as_millis());

// --- A node's actors

/// News of the vault that wait for the role driver. The lease changes a few times a second at worst; a node that is further
/// behind takes a fresh connection, whose welcome says all of it.
pub const NEWS_QUEUE_MAX: usize = 64;

/// Messages that wait for an actor: a handful of orders for each change of role.
pub const MAILBOX_MAX: usize = 256;

/// A node reports to the vault at least this often, and looks after expiry and images.
pub const BEAT_EVERY: Duration = Duration::from_millis(100);

/// An attempt to connect to the vault, from the first packet to the welcome, is given up after this and begun anew: after a cut
/// has healed, the next attempt succeeds at once.
pub const CONNECT_TRY: Duration = Duration::from_millis(300);

const _: () = assert!(DIAL_STAGGER.as_millis() * (DIAL_ADDRESSES_MAX as u128) < CONNECT_TRY.as_millis());

/// Pause between attempts to connect.
pub const CONNECT_PAUSE: Duration = Duration::from_millis(50);

/// A vault that cannot be reached is mentioned in the log this often.
pub const AWAY_LOG_EVERY: Duration = Duration::from_secs(10);

/// What repeats is mentioned in a log this often: a person who reads along sees that it goes on, and a day of it is a few pages.
pub const REPEAT_LOG_EVERY: Duration = Duration::from_secs(10);

/// After records were refused, the append stream is opened again no sooner: most of the time it is the disk that is full, and
/// writes wait for seconds.
pub const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// Nodes hear how the vault stands at most so often, as long as it goes on standing badly.
pub const HEALTH_NEWS_EVERY: Duration = Duration::from_secs(1);

/// A node reports to the vault no more often than this: it adds to the pause of a switchover, which waits for the successor's
/// last report.
pub const REPORT_PAUSE: Duration = Duration::from_millis(5);

/// A standby that reads for its clients asks the vault for the end of the log no more often than this: its data are always believed to be
/// about as much older than they are.
pub const POSITION_PAUSE: Duration = Duration::from_millis(25);

/// Pause before the next step of cleaning up, where one was not enough.
pub const EXPIRE_PAUSE: Duration = Duration::from_millis(5);

/// Bytes of records in one frame to the vault, a longer single record aside: large enough that its own costs do not matter,
/// small enough that the first record does not wait for the last.
pub const SHIP_FRAME_BYTES: usize = 256 << 10;

/// Records that nobody waits for gather so long before they are shipped, unless they fill a frame: each frame costs five threads
/// a wake-up. Far below what level `relaxed` may have at risk.
pub const SHIP_GATHER: Duration = Duration::from_millis(2);

/// Bytes of records from which on their frame is sealed by a thread of its own: copying and summing so much takes about half a
/// millisecond, in which no renewal could leave.
pub const SHIP_ASIDE_BYTES: usize = 1 << 20;

/// Bytes of frames that the vault has not confirmed. Further records stay in the engine's queue, whose own bound makes writes
/// wait.
pub const SHIP_WINDOW_BYTES: usize = 16 << 20;

/// Small frames that the vault has not confirmed. While so many are under way, records gather into a larger frame: at high
/// load that makes full frames without adding a wait at low load.
pub const SHIP_FRAMES_MAX: usize = 2;

/// A frame whose records are shorter than this is small, in bytes.
pub const SHIP_SMALL_BYTES: usize = 16 << 10;

/// The vault pushes to a follower no more often than this, so that a push costs both little more for many groups than for one:
/// what it adds to a follower's lag, and to the pause of a switchover.
pub const FOLLOW_PAUSE: Duration = Duration::from_millis(1);

/// Bytes of the log that a follower applies before it tells how far it is.
pub const FOLLOW_BYTES: usize = 256 << 10;

/// An image is shipped at about this rate, in bytes a second, if nothing asks for more: it then costs each end a tenth of a
/// processor.
pub const IMAGE_PACE: u64 = 64 << 20;

/// A large image is shipped faster than [`IMAGE_PACE`], so that it takes no longer than this.
pub const IMAGE_TIME_MAX: Duration = Duration::from_secs(60);

/// From this share of the bound on frozen memory on the transfer hurries, in percent, ...
pub const FROZEN_PERCENT_CALM: u64 = 10;
/// ... and from this one on it goes as fast as it can.
pub const FROZEN_PERCENT_FULL: u64 = 30;

/// Frozen pages may take so many bytes however small the data are.
pub const FROZEN_BYTES_MIN: u64 = 32 << 20;

const _: () = assert!(FROZEN_PERCENT_CALM < FROZEN_PERCENT_FULL && FROZEN_PERCENT_FULL <= 100);

/// After an image that could not be stored, the next is tried no sooner.
pub const IMAGE_RETRY: Duration = Duration::from_secs(1);

// --- Supervisor

/// First pause before a process that has died soon after its start twice is started again; doubles with each.
pub const RESTART_PAUSE_MIN: Duration = Duration::from_millis(100);

/// Longest such pause: a person who repairs the cause should not have to wait for the repair to be noticed.
pub const RESTART_PAUSE_MAX: Duration = Duration::from_secs(5);

/// A process that lived so long did not die of its start.
pub const RESTART_STEADY: Duration = Duration::from_secs(10);

/// A database process that was asked to stop and has not after this is killed; longer than [`STOP_WAIT`].
pub const CHILD_STOP_WAIT: Duration = Duration::from_secs(10);

/// A vault whose parent was killed waits so long for nodes to say their last words, as those have the same parent; as long as a
/// primary may take to stop.
pub const OUTLAST_WAIT: Duration = STOP_WAIT;

/// How long the end of a connection may take to be sent when its process ends: longer than a packet, shorter than anybody
/// notices.
pub const LAST_PACKET_WAIT: Duration = Duration::from_millis(50);

/// Deaths that the vault has not heard of yet. While it is away no start of the process can get a lease, so only the first
/// matters.
pub const OBITUARIES_MAX: usize = 64;

/// The vault answers an obituary within this, or is asked again on a fresh connection.
pub const OBITUARY_WAIT: Duration = Duration::from_millis(300);

const _: () = assert!(CHILD_STOP_WAIT.as_millis() > STOP_WAIT.as_millis());
const _: () = assert!(SHIP_FRAME_BYTES <= SHIP_ASIDE_BYTES);
const _: () = assert!(SHIP_SMALL_BYTES <= SHIP_FRAME_BYTES && SHIP_FRAME_BYTES <= SHIP_WINDOW_BYTES);

// --- Vault

/// How often a vault looks whether its folder is still where it was: what is acknowledged after it has gone is lost with it.
pub const FOLDER_LOOK_EVERY: Duration = Duration::from_secs(1);

/// A log segment is followed by a new one once it has this many bytes: small enough to trim in useful steps, large enough
/// that a day's log is a list that fits a screen. A single longer frame makes a longer segment.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// The newest segment's file is longer than its content by up to this, in bytes: room in one piece, and lengths that change
/// seldom.
pub const SEGMENT_RESERVE_BYTES: u64 = 8 << 20;

/// Zeros are written up to so many bytes ahead of groups of up to a quarter of this: a sync of 4 KiB over bytes that have been
/// written before takes 78 us, over bytes that were only reserved 130, in a file that grows 150 (ext4; the median of 2,000). Long
/// groups would be written twice for it.
pub const SEGMENT_ZERO_BYTES: u64 = 256 << 10;

/// Bytes that one group commit writes before it syncs: some milliseconds of a disk's time, so that the first of the group
/// does not wait much longer than it would alone. A single longer frame makes a longer group.
pub const GROUP_BYTES_MAX: usize = 8 << 20;

/// Bytes of frames that wait for the log writer, over all connections: a few groups, so that the next one forms while one
/// is synced. A single longer frame waits alone.
pub const LOG_QUEUE_BYTES_MAX: usize = 32 << 20;

/// Frames that wait for the log writer: bounds the cost of very small ones.
pub const LOG_QUEUE_FRAMES_MAX: usize = 4096;

/// Frames are copied into one write as long as they are together shorter than this; a longer one is written from where it
/// stands. In bytes.
pub const WRITE_BYTES: usize = 256 << 10;

/// Bytes of the newest durable frames that stay in memory for followers: what a healthy one lags. One that lags more reads
/// the segment files.
pub const RECENT_BYTES: usize = 16 << 20;

/// A frame of the log of so many bytes is sent to a follower as it is; shorter ones are copied together.
pub const FOLLOW_PIECE_BYTES: usize = 64 << 10;

/// Bytes that a reader of the log or of an image takes from disk or memory before it sends them on.
pub const LOG_READ_BYTES: usize = 1 << 20;

/// A file of an image is closed once it has this many bytes: few files, and a short one to name when it is damaged.
pub const IMAGE_FILE_BYTES: u64 = 8 << 20;

/// Images kept: the newest, and one more should the newest turn out to be damaged.
pub const IMAGES_KEPT: usize = 2;

/// Longest manifest of an image in bytes: 24 bytes for each file of it, so images up to 5 TiB.
pub const MANIFEST_BYTES_MAX: u64 = 16 << 20;

/// Nodes that the vault remembers the feature level of: a few KiB of a catalog's value, and more than a cluster has.
pub const NODES_MAX: usize = 64;

/// Longest value in the catalog in bytes: sled leaks values of 128 KiB and more.
pub const CATALOG_VALUE_BYTES_MAX: usize = 16 << 10;

/// Connections that the vault serves at once: two processes for each of a few nodes, tools, and old ones that idle out.
pub const VAULT_CONNECTIONS_MAX: usize = 64;

/// Connections to the vault whose makers have not been admitted yet; one more takes the place of the oldest. A peer needs a few
/// milliseconds to be admitted.
pub const VAULT_UNADMITTED_MAX: usize = 64;

/// From so many on, whoever comes has to show first that it gets what is sent to its address.
pub const VAULT_UNADMITTED_CALM: usize = VAULT_UNADMITTED_MAX / 2;

/// Longest sentence or address that a peer may give, in bytes.
pub const PEER_TEXT_BYTES_MAX: usize = 1024;

/// Images that are uploaded at once: one, and one of a primary that is being replaced.
pub const IMAGE_UPLOADS_MAX: usize = 2;

/// How long an uploaded image waits for the log to reach its cut before it is refused.
pub const IMAGE_CUT_WAIT: Duration = Duration::from_secs(10);

const _: () = assert!(CHUNK_BYTES_MAX >= 1 << 20 && CHUNK_BYTES_MAX < BATCH_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX > 512 << 20 && BATCH_BYTES_MAX < u32::MAX as usize / 2);
const _: () = assert!(READ_BYTES_MIN <= READ_BYTES);
const _: () = assert!(GROUP_BYTES_MAX <= LOG_QUEUE_BYTES_MAX && WRITE_BYTES <= GROUP_BYTES_MAX);
const _: () = assert!(SEGMENT_ZERO_BYTES <= SEGMENT_RESERVE_BYTES && SEGMENT_RESERVE_BYTES <= SEGMENT_BYTES);
const _: () = assert!(GROUP_BYTES_MAX as u64 <= SEGMENT_BYTES && LOG_READ_BYTES <= RECENT_BYTES);
const _: () = assert!(IMAGE_FILE_BYTES > CHUNK_BYTES_MAX as u64 && IMAGES_KEPT >= 1);

/// A permission to execute that ends sooner than this is renewed with a word to all who wait. Far more than the time between
/// two instructions even on a busy machine, far less than a lease.
pub const PERMISSION_NEARLY_OVER: Duration = Duration::from_millis(100);
