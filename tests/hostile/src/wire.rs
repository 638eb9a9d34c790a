//! Frames and messages between the processes of a cluster.

use bytes::Bytes;
use futures_util::FutureExt;
use tanist_db_core::level::Levels;
use tanist_replication::vault::log::segment::LogFrame;
use tanist_replication::wire::frame::{Frame, FrameKind, FrameReader, seal, seal_message};
use tanist_replication::wire::hello::Refusal;
use tanist_replication::wire::message::{
    Answer, Call, FollowerView, HealthView, Hello, LeaseView, Peer, Progress, Reply, Request, StatusView,
};

const KINDS: [FrameKind; 6] =
    [FrameKind::Hello, FrameKind::Call, FrameKind::Reply, FrameKind::Batch, FrameKind::Chunk, FrameKind::Refusal];

/// The bytes as a stream of frames, and as the body of a frame of each kind.
pub fn read(bytes: &[u8]) {
    frames(bytes);
    for kind in KINDS {
        if bytes.len() <= 1 << 20 {
            frames(&seal(kind, bytes));
        }
    }
}

fn frames(bytes: &[u8]) {
    let mut reader = FrameReader::new(bytes);
    let mut at = 0;
    while let Ok(Some(frame)) = reader.next().now_or_never().expect("a slice is always ready") {
        let end = at + frame.bytes().len();
        let opened = Frame::open(Bytes::copy_from_slice(&bytes[at..end])).expect("what the reader takes is a frame");
        assert_eq!(opened, frame);
        at = end;
        let (hello, call, reply) = (frame.message::<Hello>(), frame.message::<Call>(), frame.message::<Reply>());
        if let Ok(call) = call {
            let again = seal_message(&call);
            assert_eq!(Frame::open(again).expect("it was sealed").kind(), FrameKind::Call);
        }
        let _ = (hello, reply, frame.message::<Refusal>());
        if let Ok(batch) = LogFrame::of(frame) {
            assert!(batch.first <= batch.last, "a batch holds a record");
        }
    }
}

/// Messages of every shape.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let hello = Hello {
        levels: Levels::OWN,
        cluster: 7,
        peer: Peer::Database,
        node: "a".to_owned(),
        incarnation: 3,
        pid: 4,
        resp_address: "127.0.0.1:6379".to_owned(),
        quic_address: "127.0.0.1:6380".to_owned(),
    };
    let lease = LeaseView { epoch: 2, holder: "a".to_owned(), remaining_us: 5, ..LeaseView::default() };
    let view = FollowerView { node: "b".to_owned(), ..FollowerView::default() };
    let requests = [
        Request::Renew { epoch: 1 },
        Request::Claim { seen: 1 },
        Request::HandOver { epoch: 1, successor: "b".to_owned(), at: 9 },
        Request::Obituary { node: "a".to_owned(), incarnation: 3 },
        Request::Report(Progress { role: "standby".to_owned(), applied: 5, ..Progress::default() }),
        Request::Append { epoch: 1 },
        Request::ImagePut { epoch: 1, cut: 5 },
    ];
    let answers = [
        Answer::Welcome { incarnation: 1, lease_us: 2, durable: 3, lease: Box::new(lease.clone()), level: 1 },
        Answer::Lease(lease),
        Answer::Followers(vec![view.clone(), view.clone()]),
        Answer::Status(Box::new(StatusView { nodes: vec![view], ..StatusView::default() })),
        Answer::Refused { why: "not so".to_owned() },
        Answer::Health(HealthView { refused_appends: 4, why: "no room".to_owned(), ..HealthView::default() }),
    ];
    let mut frames = vec![seal_message(&hello), seal_message(&Refusal { why: "not so".to_owned() })];
    frames.extend(requests.into_iter().map(|request| seal_message(&Call { seq: 1, request })));
    frames.extend(answers.into_iter().map(|answer| seal_message(&Reply { seq: 1, answer })));
    let bodies = frames.iter().map(|frame| Frame::open(frame.clone()).expect("it was sealed").body().to_vec());
    bodies.chain(frames.iter().map(|frame| frame.to_vec())).collect()
}
