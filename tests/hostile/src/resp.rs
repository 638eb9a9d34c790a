//! Requests as a client sends them, to the parser and, if it lets them pass, to the engine.

use tanist::resp::{Parsed, ProtocolError, RequestLimits, RequestParser};
use tanist_db_core::engine::{Engine, EngineOptions, Session};
use tanist_db_core::ids::Epoch;

use crate::command::execute;

/// Memory of the engine: a few commands can ask for a great deal.
const MEMORY_BYTES: u64 = 16 << 20;

/// What a parser makes of bytes.
type Outcome = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

/// Requests of an unauthenticated client and of a friend; whole and in pieces they must come out alike. The friend's are executed.
pub fn read(bytes: &[u8]) {
    for limits in [RequestLimits::UNAUTHENTICATED, RequestLimits::TRUSTED] {
        let whole = parse(limits, bytes, usize::MAX);
        for piece in [1, 7] {
            assert_eq!(parse(limits, bytes, piece), whole, "in pieces of {piece}");
        }
        if limits.before_authentication {
            let short = |request: &Vec<Vec<u8>>| {
                request.len() <= limits.arguments_max && request.iter().all(|a| a.len() <= limits.bulk_bytes_max)
            };
            assert!(whole.0.iter().all(short), "an unauthenticated client's request is beyond its limits");
        } else {
            execute_all(&whole.0);
        }
    }
}

fn parse(limits: RequestLimits, bytes: &[u8], piece: usize) -> Outcome {
    let (mut parser, mut buffer, mut requests) = (RequestParser::new(limits), Vec::new(), Vec::new());
    for piece in bytes.chunks(piece.min(bytes.len().max(1))) {
        buffer.extend_from_slice(piece);
        loop {
            match parser.parse(&buffer) {
                Ok(Parsed::Command(request)) => {
                    let owned = |argument: &&[u8]| argument.to_vec();
                    requests.push(parser.arguments(&request, &buffer).iter().map(owned).collect());
                    parser.forget();
                    buffer.drain(..request.bytes);
                }
                Ok(Parsed::Nothing { bytes }) => drop(buffer.drain(..bytes)),
                Ok(Parsed::Incomplete { .. }) => break,
                Err(error) => return (requests, Some(error)),
            }
        }
    }
    (requests, None)
}

fn execute_all(requests: &[Vec<Vec<u8>>]) {
    if requests.is_empty() {
        return;
    }
    let engine = Engine::new(EngineOptions {
        shards: 2,
        memory_bytes_max: MEMORY_BYTES,
        hash_seed: 3,
        ..EngineOptions::default()
    });
    engine.begin_epoch(Epoch(1)).expect("a newer epoch");
    let mut session = Session::new(1);
    for request in requests.iter().take(64) {
        let reply = execute(&engine, &mut session, request, 1_000_000);
        assert!(!reply.is_empty(), "every request has an answer: {request:?}");
    }
}

/// Requests of several kinds.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let lines: [&[&str]; 14] = [
        &["SET", "key", "value", "EX", "100"],
        &["GET", "key"],
        &["MSET", "a", "1", "b", "2"],
        &["INCRBY", "a", "9223372036854775807"],
        &["INCRBYFLOAT", "a", "1e300"],
        &["SETRANGE", "key", "100", "x"],
        &["GETRANGE", "key", "-3", "9"],
        &["HELLO", "3", "AUTH", "default", "secret", "SETNAME", "me"],
        &["SCAN", "0", "MATCH", "*[a-z]?", "COUNT", "10"],
        &["MULTI"],
        &["EXEC"],
        &["WATCH", "a", "b"],
        &["EXPIREAT", "key", "-1"],
        &["OBJECT", "ENCODING", "key"],
    ];
    let mut seeds: Vec<Vec<u8>> = lines.iter().map(|arguments| array(arguments)).collect();
    let whole = seeds.concat();
    seeds.push(whole);
    seeds.push(b"SET key \"quoted \\x41 \\n\" 'single' \r\n\r\nPING\n*0\r\n*-1\r\n".to_vec());
    seeds
}

fn array(arguments: &[&str]) -> Vec<u8> {
    let bulks = arguments.iter().map(|argument| format!("${}\r\n{argument}\r\n", argument.len()));
    format!("*{}\r\n{}", arguments.len(), bulks.collect::<String>()).into_bytes()
}
