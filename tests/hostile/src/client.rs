//! What a node hears from a client library before anything else, and what the library hears from a node.

use bytes::BytesMut;
use futures_util::FutureExt;
use tanist_client::wire::greeting::{GREETING_BYTES, Notice, check_greeting, greeting};
use tanist_client::wire::reply::ReplyParser;

/// The bytes as a greeting, as a notice, and as replies, whole and in pieces alike.
pub fn read(bytes: &[u8]) {
    if let Some(first) = bytes.first_chunk::<GREETING_BYTES>() {
        assert_eq!(check_greeting(*first).is_ok(), *first == greeting());
    }
    let mut stream = bytes;
    if let Ok(notice) = Notice::read(&mut stream).now_or_never().expect("a slice is always ready") {
        assert!(matches!(notice, Notice::Refused { .. }) || bytes.starts_with(&notice.to_bytes()));
    }
    assert_eq!(replies(bytes, usize::MAX), replies(bytes, 3));
}

/// Replies, as text since a value may hold what is not equal to itself, and whether the stream broke.
fn replies(bytes: &[u8], piece: usize) -> (Vec<String>, bool) {
    let (mut parser, mut buffer, mut values) = (ReplyParser::default(), BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece.min(bytes.len().max(1))) {
        buffer.extend_from_slice(piece);
        loop {
            match parser.next(&mut buffer) {
                Ok(Some(value)) => values.push(format!("{value:?}")),
                Ok(None) => break,
                Err(_) => return (values, true),
            }
        }
    }
    (values, false)
}

/// A greeting, notices, and replies of every type.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let notices = [
        Notice::Primary { epoch: 5, took_over: false },
        Notice::Primary { epoch: 6, took_over: true },
        Notice::Elsewhere { epoch: 5, address: Some("10.0.0.1:6380".to_owned()) },
        Notice::Elsewhere { epoch: 0, address: None },
        Notice::Refused { why: "no".to_owned() },
    ];
    let replies: [&[u8]; 8] = [
        b"+OK\r\n-ERR no\r\n:5\r\n$3\r\nabc\r\n_\r\n",
        b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
        b"%1\r\n+key\r\n~2\r\n:1\r\n:2\r\n",
        b",1.5\r\n,inf\r\n,nan\r\n#t\r\n",
        b"(123456789012345678901234567890\r\n",
        b"=7\r\ntxt:abc\r\n!5\r\nERR x\r\n",
        b">2\r\n+a\r\n+b\r\n|1\r\n+a\r\n+b\r\n:1\r\n",
        b"$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n",
    ];
    let mut seeds = vec![greeting().to_vec()];
    seeds.extend(notices.iter().map(Notice::to_bytes));
    seeds.extend(replies.iter().map(|reply| reply.to_vec()));
    seeds
}
