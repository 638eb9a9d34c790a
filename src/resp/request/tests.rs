use proptest::prelude::*;

use super::*;

/// A connection as the front drives it: bytes come in pieces, some requests are parsed ahead, and then consumed.
struct Reader {
    parser: RequestParser,
    ahead: usize,
    buffer: Vec<u8>,
    commands: Vec<Vec<Vec<u8>>>,
}

impl Reader {
    fn new(limits: RequestLimits) -> Self {
        Self { parser: RequestParser::new(limits), ahead: 1, buffer: Vec::new(), commands: Vec::new() }
    }

    fn feed(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        self.buffer.extend_from_slice(piece);
        loop {
            let (mut requests, mut at) = (Vec::new(), 0);
            let last = loop {
                match self.parser.parse(&self.buffer[at..]) {
                    Ok(Parsed::Command(request)) => {
                        requests.push((at, request));
                        at += request.bytes;
                        if requests.len() == self.ahead {
                            break Ok(Parsed::Command(request));
                        }
                    }
                    Ok(Parsed::Nothing { bytes }) => at += bytes,
                    last => break last,
                }
            };
            for (at, request) in requests {
                let arguments = self.parser.arguments(&request, &self.buffer[at..]);
                self.commands.push(arguments.iter().map(|a| a.to_vec()).collect());
            }
            self.parser.forget();
            self.buffer.drain(..at);
            if let Parsed::Incomplete { missing } = last? {
                assert!(missing > 0);
                return Ok(());
            }
        }
    }
}

fn error_of(limits: RequestLimits, bytes: &[u8]) -> String {
    Reader::new(limits).feed(bytes).expect_err("these bytes are no request").to_string()
}

fn encode(command: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", command.len()).into_bytes();
    for argument in command {
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[test]
fn arrays_lines_and_empty_requests_mix() {
    let mut reader = Reader::new(RequestLimits::TRUSTED);
    reader.feed(b"*1\r\n$4\r\nPING\r\n\r\n*0\r\n*-1\r\nSET \"a b\" 1\n*2\r\n$0\r\n\r\n$2\r\n\r\n\r\n").unwrap();
    assert_eq!(
        reader.commands,
        [vec![b"PING".to_vec()], vec![b"SET".to_vec(), b"a b".to_vec(), b"1".to_vec()], vec![vec![], b"\r\n".to_vec()]]
    );
    assert!(reader.buffer.is_empty());
}

#[test]
fn errors_have_redis_words() {
    let cases: [(&[u8], &str); 14] = [
        (b"*x\r\n", "invalid multibulk length"),
        (b"*3000000000\r\n", "invalid multibulk length"),
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*01\r\n", "invalid multibulk length"),
        (b"*1\r ", "invalid multibulk length"),
        (b"*1111111111111111111", "invalid multibulk length"),
        (b"*1\r\nfoo\r\n", "expected '$', got 'f'"),
        (b"*1\r\n\x07\r\n", "expected '$', got '?'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*1\r\n$blabla\r\n", "invalid bulk length"),
        (b"*1\r\n$3\r\nabcde\r\n", "expected CRLF after bulk"),
        (b"SET \"a\r\n", "unbalanced quotes in request"),
        (b"*3\r\n$536870912\r\n", ""),
    ];
    for (bytes, expected) in cases {
        if expected.is_empty() {
            Reader::new(RequestLimits::TRUSTED).feed(bytes).unwrap();
        } else {
            let shown = error_of(RequestLimits::TRUSTED, bytes);
            assert_eq!(shown, format!("Protocol error: {expected}"), "{}", bytes.escape_ascii());
        }
    }
    assert_eq!(error_of(RequestLimits::TRUSTED, &vec![b'a'; 70_000]), "Protocol error: too big inline request");
    let mut line = vec![b'a'; 65_537];
    line.push(b'\n');
    assert_eq!(error_of(RequestLimits::TRUSTED, &line), "Protocol error: too big inline request");
}

#[test]
fn an_unauthenticated_client_gets_ten_short_arguments() {
    let unauthenticated = RequestLimits::UNAUTHENTICATED;
    Reader::new(unauthenticated).feed(b"*10\r\n$16384\r\n").unwrap();
    assert_eq!(error_of(unauthenticated, b"*11\r\n"), "Protocol error: unauthenticated multibulk length");
    assert_eq!(error_of(unauthenticated, b"*2\r\n$16385\r\n"), "Protocol error: unauthenticated bulk length");
    assert_eq!(error_of(unauthenticated, b"*2\r\n$536870913\r\n"), "Protocol error: invalid bulk length");
    assert_eq!(
        error_of(unauthenticated, b"a b c d e f g h i j k\n"),
        "Protocol error: unauthenticated multibulk length"
    );
    let long = [&b"AUTH "[..], &vec![b'p'; 16_385], b"\r\n"].concat();
    assert_eq!(error_of(unauthenticated, &long), "Protocol error: unauthenticated bulk length");
}

#[test]
fn a_request_is_bounded_as_a_whole() {
    let limits = RequestLimits { request_bytes_max: 64, ..RequestLimits::TRUSTED };
    Reader::new(limits).feed(b"*2\r\n$20\r\n01234567890123456789\r\n$20\r\n").unwrap();
    assert_eq!(error_of(limits, b"*2\r\n$20\r\n01234567890123456789\r\n$30\r\n"), "Protocol error: too big request");
}

#[test]
fn limits_change_between_two_requests_of_one_buffer() {
    let mut reader = Reader::new(RequestLimits::UNAUTHENTICATED);
    reader.feed(b"*1\r\n$4\r\nAUTH\r\n").unwrap();
    reader.parser.set_limits(RequestLimits::TRUSTED);
    reader.feed(b"*12\r\n$20000\r\n").unwrap();
    assert_eq!(*reader.parser.limits(), RequestLimits::TRUSTED);
}

#[test]
fn a_declared_length_allocates_nothing() {
    let mut parser = RequestParser::new(RequestLimits::TRUSTED);
    assert_eq!(parser.parse(b"*1048576\r\n$536870912\r\n"), Ok(Parsed::Incomplete { missing: 536_870_914 }));
    assert!(parser.spans.capacity() < 64 && parser.unquoted.capacity() == 0);
}

#[test]
fn a_large_bulk_in_small_pieces_is_not_scanned_again() {
    let value = vec![b'v'; 1 << 20];
    let bytes = encode(&[b"SET".to_vec(), b"k".to_vec(), value.clone()]);
    let mut parser = RequestParser::new(RequestLimits::TRUSTED);
    let mut seen = 0;
    let mut calls = 0;
    let last = loop {
        seen = (seen + 7).min(bytes.len());
        calls += 1;
        match parser.parse(&bytes[..seen]).unwrap() {
            Parsed::Incomplete { missing } => assert!(seen + missing <= bytes.len()),
            other => break other,
        }
    };
    assert!(calls > 100_000);
    let Parsed::Command(request) = last else { panic!("{last:?}") };
    assert_eq!(request.bytes, bytes.len());
    assert_eq!(parser.arguments(&request, &bytes)[2], value);
}

fn a_command() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20)
}

/// A plain line of words that need no quotes, and how it is typed.
fn a_line() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec("[a-z0-9:]{1,12}".prop_map(String::into_bytes), 1..6)
}

#[derive(Clone, Debug)]
enum Sent {
    Array(Vec<Vec<u8>>),
    Line(Vec<Vec<u8>>),
}

proptest! {
    #[test]
    fn random_splits_give_the_same_commands(
        sent in prop::collection::vec(prop_oneof![a_command().prop_map(Sent::Array), a_line().prop_map(Sent::Line)], 1..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ahead in 1..6_usize,
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for request in sent {
            match request {
                Sent::Array(command) => { bytes.extend(encode(&command)); expected.push(command); }
                Sent::Line(words) => { bytes.extend(words.join(&b' ')); bytes.extend(b"\r\n"); expected.push(words); }
            }
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let mut reader = Reader { ahead, ..Reader::new(RequestLimits::TRUSTED) };
        for piece in cuts.windows(2) {
            reader.feed(&bytes[piece[0]..piece[1]]).unwrap();
        }
        prop_assert_eq!(reader.commands, expected);
        prop_assert!(reader.buffer.is_empty());
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(bytes.len() + 1);
        let mut reader = Reader::new(RequestLimits::UNAUTHENTICATED);
        let _ = reader.feed(&bytes[..cut]).and_then(|()| reader.feed(&bytes[cut..]));
    }

    #[test]
    fn nearly_valid_bytes_never_panic_and_splitting_them_changes_nothing(
        pieces in prop::collection::vec(
            prop::sample::select(vec![&b"*"[..], b"$", b"\r\n", b"\n", b"\r", b"0", b"1", b"2", b"-", b"3", b"a", b"\"", b"'", b" ", b"\\x4"]),
            0..60,
        ),
    ) {
        let mut whole = Reader::new(RequestLimits::TRUSTED);
        let at_once = whole.feed(&pieces.concat());
        let mut split = Reader { ahead: 3, ..Reader::new(RequestLimits::TRUSTED) };
        let in_pieces = pieces.iter().try_for_each(|piece| split.feed(piece));
        prop_assert_eq!(at_once, in_pieces);
        prop_assert_eq!(whole.commands, split.commands);
    }
}
