use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tanist_db_core::level::{Level, Levels};
use tokio::io::ReadBuf;

use super::*;
use crate::wire::message::{Answer, Hello, LeaseView, Peer, Request};

/// Runs a future whose source never has to wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}

/// Returns its bytes in pieces of a fixed length; then ends, or waits forever.
#[derive(Debug)]
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
    ends: bool,
}

impl AsyncRead for Pieces {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let n = self.piece.min(self.bytes.len() - self.at).min(buf.remaining());
        if n == 0 && !self.ends {
            return Poll::Pending;
        }
        buf.put_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        Poll::Ready(Ok(()))
    }
}

fn pieces(bytes: &[u8], piece: usize) -> FrameReader<Pieces> {
    FrameReader::new(Pieces { bytes: bytes.to_vec(), at: 0, piece, ends: true })
}

fn hello() -> Hello {
    Hello {
        levels: Levels { oldest: Level(1), newest: Level(2) },
        cluster: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
        peer: Peer::Database,
        node: "node-a".into(),
        incarnation: 9,
        pid: 4711,
        resp_address: "127.0.0.1:6379".into(),
        quic_address: "127.0.0.1:6379".into(),
    }
}

#[test]
fn a_frame_has_these_bytes() {
    let frame = seal(FrameKind::Batch, b"tanist");
    #[rustfmt::skip]
    let golden = [
        b'T', b'N', b'S', b'1', 1, 4, 0, 0,
        6, 0, 0, 0, 0x32, 0x80, 0x89, 0x22,
        0x72, 0xD4, 0xC4, 0x72, 0, 0, 0, 0,
        b't', b'a', b'n', b'i', b's', b't',
    ];
    assert_eq!(frame[..], golden, "{frame:02X?}");
}

#[test]
fn messages_have_these_bytes() {
    let renew = seal_message(&Call { seq: 7, request: Request::Renew { epoch: 3 } });
    let reply = seal_message(&Reply { seq: 7, answer: Answer::Durable { lsn: 258 } });
    let digest = |frame: &Bytes| (frame.len(), crc32c::crc32c(frame));
    let golden = [(73, 2_663_013_644), (83, 922_847_764), (109, 1_495_198_972)];
    assert_eq!([digest(&renew), digest(&reply), digest(&seal_message(&hello()))], golden);
}

#[test]
fn every_flipped_bit_is_refused() {
    for frame in [seal(FrameKind::Chunk, b"0123456789abcdef"), seal_message(&hello()), seal(FrameKind::Batch, b"")] {
        for bit in 0..frame.len() * 8 {
            let mut bytes = frame.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::open(bytes.clone().into()).is_err(), "flipped bit {bit} of a file");
            assert!(now(pieces(&bytes, 1000).next()).is_err(), "flipped bit {bit} of a stream");
        }
    }
}

#[test]
fn every_truncation_is_short() {
    let frame = seal(FrameKind::Chunk, b"0123456789abcdef");
    for end in 0..frame.len() {
        let need = if end < HEADER_BYTES { HEADER_BYTES } else { frame.len() };
        let short =
            |error: FrameError| matches!(error, FrameError::Short { have, need: n } if have == end && n == need);
        assert!(short(Frame::open(frame.slice(..end)).unwrap_err()));
        match now(pieces(&frame[..end], 7).next()) {
            Ok(frame) => assert!(end == 0 && frame.is_none()),
            Err(error) => assert!(short(error)),
        }
    }
}

#[test]
fn sound_checksums_do_not_excuse_a_wrong_header() {
    let reseal = |at: usize, byte: u8| {
        let mut bytes = seal(FrameKind::Call, b"x").to_vec();
        bytes[at] = byte;
        let crc = header_crc(bytes.first_chunk().unwrap());
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        Frame::open(bytes.into()).unwrap_err()
    };
    assert_eq!(
        reseal(4, 2).to_string(),
        "frame of format version 2, and this program knows version 1: start the release that wrote it, or a newer one"
    );
    for (at, byte) in [(5, 0), (5, 7), (6, 1), (7, 1), (20, 1), (23, 1)] {
        assert!(matches!(reseal(at, byte), FrameError::Header(_)), "byte {at}");
    }
    assert!(matches!(reseal(11, 0x7F), FrameError::TooLong { kind: FrameKind::Call, .. }));
}

#[test]
fn frames_come_whole_whatever_the_pieces() {
    let bodies: Vec<Vec<u8>> = [0, 1, 23, 24, 25, 8_191, 65_536, 200_000].iter().map(|n| vec![*n as u8; *n]).collect();
    let stream: Vec<u8> = bodies.iter().flat_map(|body| seal(FrameKind::Batch, body)).collect();
    for piece in [1, 23, 24, 25, 1_000, 70_000, 1 << 20] {
        let mut reader = pieces(&stream, piece);
        for body in &bodies {
            let frame = now(reader.next()).unwrap().unwrap().expect(FrameKind::Batch).unwrap();
            assert_eq!(frame.body(), &body[..]);
            assert_eq!(frame.bytes(), &seal(FrameKind::Batch, body));
        }
        assert!(now(reader.next()).unwrap().is_none());
    }
}

#[test]
fn memory_follows_what_arrived_and_not_what_was_declared() {
    let frame = seal(FrameKind::Batch, &vec![7; 300 << 20]);
    for arrived in [HEADER_BYTES, 1 << 20, 5 << 20] {
        let source = Pieces { bytes: frame[..arrived].to_vec(), at: 0, piece: 100_000, ends: false };
        let mut reader = FrameReader::new(source);
        assert!(pin!(reader.next()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(reader.buffer.len(), arrived);
        assert!(reader.buffer.capacity() <= 3 * arrived + limits::READ_BYTES, "{}", reader.buffer.capacity());
    }
    let arrived = 20 << 20;
    let mut reader = FrameReader::new(Pieces { bytes: frame[..arrived].to_vec(), at: 0, piece: 100_000, ends: false });
    assert!(pin!(reader.next()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(reader.buffer.capacity() <= limits::LONG_FRAME_GROWTH * arrived, "{}", reader.buffer.capacity());
}

#[test]
fn a_dropped_read_loses_nothing() {
    let frame = seal(FrameKind::Chunk, &[5; 1_000]);
    let mut reader = FrameReader::new(Pieces { bytes: frame[..500].to_vec(), at: 0, piece: 10, ends: false });
    assert!(pin!(reader.next()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    reader.source.bytes.extend_from_slice(&frame[500..]);
    assert!(reader.buffered().unwrap().is_none());
    assert_eq!(now(reader.next()).unwrap().unwrap().body(), [5; 1_000]);
}

#[test]
fn messages_survive_the_round_trip() {
    let lease = LeaseView { epoch: 4, holder: "node-b".into(), ..LeaseView::default() };
    let welcome =
        Answer::Welcome { incarnation: 1, lease_us: 2_000_000, durable: 77, lease: Box::new(lease), level: 1 };
    let call = Call { seq: 1, request: Request::Claim { seen: 4 } };
    let reply = Reply { seq: 1, answer: welcome };
    let mut stream = Vec::new();
    now(send_message(&mut stream, &hello())).unwrap();
    now(send_message(&mut stream, &call)).unwrap();
    now(send_message(&mut stream, &reply)).unwrap();
    let mut reader = pieces(&stream, 11);
    assert_eq!(now(reader.message::<Hello>()).unwrap(), hello());
    assert_eq!(now(reader.message::<Call>()).unwrap(), call);
    assert_eq!(now(reader.message::<Reply>()).unwrap(), reply);
    assert!(matches!(now(reader.message::<Reply>()), Err(FrameError::Ended(FrameKind::Reply))));
}

#[test]
fn a_message_of_the_wrong_kind_or_shape_is_refused() {
    let call = seal_message(&Call { seq: 1, request: Request::Status });
    let error = now(pieces(&call, 100).message::<Hello>()).unwrap_err();
    assert!(matches!(error, FrameError::Unexpected { expected: FrameKind::Hello, found: FrameKind::Call }));
    for body in [&b""[..], b"\0", &[0xFF; 200]] {
        let error = now(pieces(&seal(FrameKind::Hello, body), 100).message::<Hello>()).unwrap_err();
        assert!(matches!(error, FrameError::Message(FrameKind::Hello)), "{error}");
    }
}
