//! All messages between nodes, supervisors, tools and the vault.
//!
//! One QUIC connection per process. Its first bidirectional stream is the *control* stream and starts with [`Hello`]; every other
//! stream starts with the [`Request`] that names its purpose. Every message is in a frame (`wire::frame`). Redo batches and image
//! chunks travel as raw frames between messages of their stream and are never parsed here.
//!
//! **Existing messages never change.** A message of a later release is a new variant after the last one of [`Request`] or
//! [`Answer`], in a box, so that those before it keep their bytes. It is sent only on connections with at least the level of its
//! line in `tanist_db_core::level::since`. `wire/message/tests.rs` checks the bytes of each.

#![expect(missing_docs, reason = "rkyv derives fields of its own for enum variants")]

use rkyv::with::Skip;
use rkyv::{Archive, Deserialize, Serialize};
use tanist_db_core::level::Levels;

/// What a connecting process is.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A database process: may hold the lease, append, follow, store and load images.
    Database,
    /// The process that watches a database process: may only send obituaries of its own node.
    Supervisor,
    /// A tool: may only ask for status.
    Tool,
}

/// First message on a control stream.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hello {
    /// Feature levels that the sender knows: they stand ahead of the archive (`wire::hello`).
    #[rkyv(with = Skip)]
    pub levels: Levels,
    /// The cluster that the sender belongs to, made at its birth.
    pub cluster: u128,
    /// What the sender is.
    pub peer: Peer,
    /// The node's name, as in its certificate; empty for a tool.
    pub node: String,
    /// Random for each start of a database process; its supervisor gives the number of the process it watches.
    pub incarnation: u64,
    /// Process id of the database process, for people.
    pub pid: u32,
    /// Where the node serves the Redis protocol, for people and for redirection.
    pub resp_address: String,
    /// Where the node serves the client library.
    pub quic_address: String,
}

/// Who may write, and what, as the vault sees it.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LeaseView {
    /// The newest epoch ever granted; 0 before the first.
    pub epoch: u64,
    /// Node that holds or last held it; empty before the first.
    pub holder: String,
    /// Incarnation of that holder.
    pub incarnation: u64,
    /// Time left in microseconds as the vault counts; 0: ended, and anyone may claim.
    pub remaining_us: u64,
    /// Where the holder serves the Redis protocol.
    pub resp_address: String,
    /// Where the holder serves the client library.
    pub quic_address: String,
    /// Feature level of the cluster: nothing newer may be written.
    pub level: u16,
}

/// What a node tells of itself, for status and for the vault's choice of a successor.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Progress {
    /// Role, in one word of `docs/glossary.md`.
    pub role: String,
    /// Newest record applied to this node's state.
    pub applied: u64,
    /// Newest record that this node knows to be durable.
    pub durable: u64,
    /// The node's epoch.
    pub epoch: u64,
    /// Last takeover or switchover of this node in words; empty if none.
    pub last_takeover: String,
}

/// Asked on the control stream, each answered by one [`Answer`] with the same `seq`, or opening another stream.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request {
    /// Keep the lease of `epoch`. Answer: `Lease` (renewed if it shows the asker under that epoch with time left).
    Renew {
        /// The asker's epoch.
        epoch: u64,
    },
    /// Become primary after `seen`, the newest epoch that the asker knows. Answer: `Claimed`, or `Lease` when refused.
    Claim {
        /// Compare-and-set: refused unless this is still the newest epoch.
        seen: u64,
    },
    /// Give the lease to `successor` at once, under a new epoch. Answer: `Lease` (handed over if it shows the successor),
    /// or `Refused` (the asker still holds it).
    HandOver {
        /// The asker's epoch.
        epoch: u64,
        /// Node that takes over.
        successor: String,
        /// Refused unless the successor has reported all up to here as applied, and it is the log's durable end.
        at: u64,
    },
    /// Give the lease up (clean shutdown). Answer: `Lease`.
    Release {
        /// The asker's epoch.
        epoch: u64,
    },
    /// The process is certainly dead: the supervisor has collected its exit, or has found its lock file free. Answer: `Lease`.
    Obituary {
        /// Node whose database process died; must be the sender's own.
        node: String,
        /// Which start of it.
        incarnation: u64,
    },
    /// How the sender stands. Answer: `Followers`.
    Report(Progress),
    /// Everything about the cluster. Answer: `Status`.
    Status,

    /// Opens an append stream. Answer: `AppendReady`, or `Fenced`. Then frames of kind `Batch` in order, each covered by
    /// a later `Durable`, or ended by `Fenced` or `Refused`.
    Append {
        /// The appender's epoch.
        epoch: u64,
    },
    /// Opens a follow stream: every durable record after `after`, now and as they come. Answer: `Following` or `Trimmed`;
    /// then frames of kind `Batch` (the first may start at or before `after`), and `Durable` as news.
    Follow {
        /// Newest record that the follower has.
        after: u64,
    },
    /// Opens an image upload. Answer: `ImageReady`, `Fenced` or `Refused`; then frames of kind `Chunk`, then `ImageEnd`;
    /// answered by `ImageStored`, `Fenced` or `Refused`.
    ImagePut {
        /// The sender's epoch.
        epoch: u64,
        /// The log position that the image contains exactly.
        cut: u64,
    },
    /// All chunks of the upload have been sent.
    ImageEnd {
        /// How many.
        chunks: u32,
        /// Their bytes together.
        bytes: u64,
    },
    /// Opens a download of the newest image. Answer: `Image` then frames of kind `Chunk`, or `NoImage`, or `Refused`
    /// (damaged: the sentence names the file).
    ImageGet,
    /// How far the log is durable, for a standby that reads for its clients. Answer: `Durable`.
    Position,

    /// For the test of an upgrade (`level::since::REHEARSAL`). Answer: `Rehearsed`, or `Refused`.
    #[cfg(feature = "next-level")]
    Rehearse {
        /// The answer repeats it.
        number: u64,
    },
}

/// Replies and notifications (news) from the vault. On the control stream `seq` 0 means a notification, which replies to no request
/// (`Lease`, `Health`).
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Reply to [`Hello`].
    Welcome {
        /// Random for each start of the vault.
        incarnation: u64,
        /// Length of a lease in microseconds.
        lease_us: u64,
        /// Newest durable record.
        durable: u64,
        /// Who may write now.
        lease: Box<LeaseView>,
        /// Feature level of this connection: the newest that both ends know.
        level: u16,
    },
    /// Who may write now.
    Lease(LeaseView),
    /// The asker holds `epoch` from the moment it sent the claim.
    Claimed {
        /// Its epoch.
        epoch: u64,
        /// The log's end under all older epochs: nothing of theirs will ever be added.
        sealed: u64,
    },
    /// The newest reports of the other nodes that are connected.
    Followers(Vec<FollowerView>),
    /// The cluster as the vault sees it.
    Status(Box<StatusView>),
    /// An append stream may begin after `durable`.
    AppendReady {
        /// Newest durable record.
        durable: u64,
    },
    /// Everything up to here is in the vault.
    Durable {
        /// Newest durable record.
        lsn: u64,
    },
    /// A newer epoch exists: the asker may never write again under its own. Final.
    Fenced {
        /// The newest epoch.
        epoch: u64,
    },
    /// A follow stream begins.
    Following {
        /// Newest durable record.
        durable: u64,
    },
    /// The log no longer reaches back so far: load an image first.
    Trimmed {
        /// Oldest record still in the log.
        oldest: u64,
    },
    /// Chunks may come.
    ImageReady,
    /// The image is published.
    ImageStored,
    /// An image follows.
    Image(ImageView),
    /// No image has been stored yet.
    NoImage,
    /// Not done, nothing changed; the sentence tells a person why.
    Refused {
        /// The sentence.
        why: String,
    },
    /// How the vault is. News for databases: after `Welcome` if anything is wrong, and when it changes.
    Health(HealthView),

    /// Reply to [`Request::Rehearse`].
    #[cfg(feature = "next-level")]
    Rehearsed {
        /// That of the request.
        number: u64,
    },
}

/// What is wrong with the vault; all zero and empty: nothing.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct HealthView {
    /// Since when its disk has had no room, in milliseconds since 1970; 0: it has.
    pub no_room_since_unix_ms: u64,
    /// Frames of records refused since then.
    pub refused_appends: u64,
    /// Images refused since then.
    pub refused_images: u64,
    /// The newest refusal: what there is no room for, and what to do.
    pub why: String,
}

/// A node as the vault sees it.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FollowerView {
    /// Its name.
    pub node: String,
    /// Its incarnation.
    pub incarnation: u64,
    /// Its newest report.
    pub progress: Progress,
    /// Its database process's id.
    pub pid: u32,
    /// Where it serves the Redis protocol.
    pub resp_address: String,
    /// Where it serves the client library.
    pub quic_address: String,
    /// Age of the report in microseconds.
    pub age_us: u64,
    /// Newest feature level that it knows.
    pub newest_level: u16,
}

/// A stored image.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ImageView {
    /// Log position that it contains exactly.
    pub cut: u64,
    /// Epoch under which it was taken.
    pub epoch: u64,
    /// Number of chunks.
    pub chunks: u32,
    /// Their bytes together.
    pub bytes: u64,
    /// When it was published, milliseconds since 1970.
    pub stored_unix_ms: u64,
}

/// Answer to [`Request::Status`].
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct StatusView {
    /// Process id of the vault.
    pub pid: u32,
    /// Who may write.
    pub lease: LeaseView,
    /// Newest durable record.
    pub durable: u64,
    /// Oldest record in the log.
    pub oldest: u64,
    /// Bytes of log on disk.
    pub log_bytes: u64,
    /// Images, newest first.
    pub images: Vec<ImageView>,
    /// What is wrong with it.
    pub health: HealthView,
    /// Database processes that are connected.
    pub nodes: Vec<FollowerView>,
    /// Newest feature level that the vault knows.
    pub newest_level: u16,
}

/// A request on a control stream, or the opening of another.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
pub struct Call {
    /// Chosen by the asker, not 0; the answer repeats it.
    pub seq: u64,
    /// What is asked.
    pub request: Request,
}

/// An answer, or news with `seq` 0.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reply {
    /// `seq` of the call, or 0.
    pub seq: u64,
    /// What is answered.
    pub answer: Answer,
}

#[cfg(test)]
mod tests;
