//! The Redis protocol over real sockets: acceptors on two threads, a real engine, a vault that confirms at once.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_rt::Arbiter;
use redis::{AsyncCommands, Commands};
use tanist::config;
use tanist::front::limits::OPERATOR_PLACES;
use tanist::front::tcp::{self, StopAccepting};
use tanist::front::{Identity, NodeContext, Settings};
use tanist_db_core::clock::{Clock, Monotonic, SystemClock};
use tanist_db_core::engine::{Engine, EngineOptions};
use tanist_db_core::ids::Epoch;
use tanist_replication::serving::{Role, Serving, Standing};

/// A primary whose every record is durable as soon as it is taken from the queue.
fn a_node(maxclients: u32) -> Arc<NodeContext> {
    let clock = Arc::new(SystemClock::new());
    let serving = Serving::new();
    let identity = Identity {
        node: "a".into(),
        cluster: "00112233445566778899aabbccddeeff".into(),
        incarnation: 0,
        members: Vec::new(),
        bind: "127.0.0.1".into(),
        port: 0,
        folder: "data".into(),
        threads: 2,
        started: clock.unix(),
    };
    let settings = Settings::new(&config::Node { maxclients, ..config::Node::default() }, &config::Lease::default());
    let context = NodeContext::new(Arc::clone(&serving), clock.clone(), settings, identity);
    let engine = Arc::new(Engine::new(EngineOptions::default()));
    context.install_engine(Arc::clone(&engine));
    let vault = (Arc::clone(&serving), Arc::downgrade(&engine));
    let ship = move || {
        let Some(engine) = vault.1.upgrade() else { return };
        while let Some(batch) = engine.redo().take(1 << 20) {
            vault.0.advance_durable(tanist_db_core::ids::Lsn(batch.first_lsn + batch.ends.len() as u64 - 1));
        }
    };
    serving.on_demand(Box::new(ship.clone()));
    engine.redo().on_append(Box::new(ship));
    let epoch = Epoch(1);
    engine.begin_epoch(epoch).expect("a newer epoch");
    let until = Monotonic(u64::MAX);
    let standing = Standing {
        role: Role::Primary,
        epoch,
        lease_until: until,
        execute_until: until,
        long_waits: false,
        took_over: false,
        primary: None,
    };
    serving.publish(&standing, clock.monotonic());
    context
}

/// Serves `context` while `test` runs on a thread of its own with the address.
fn serve_during(context: &Arc<NodeContext>, test: impl FnOnce(SocketAddr) + Send + 'static) {
    let context = Arc::clone(context);
    actix_rt::System::new().block_on(async move {
        let probe = tcp::bind("127.0.0.1:0".parse().expect("an address"), 1).expect("a free port");
        let address = probe[0].local_addr().expect("its address");
        drop(probe);
        let arbiters = [Arbiter::new(), Arbiter::new()];
        let handles = arbiters.each_ref().map(Arbiter::handle);
        let acceptors = tcp::start(&context, None, address, &handles).expect("the port is free");
        let tested = tokio::task::spawn_blocking(move || test(address)).await;
        for acceptor in acceptors {
            acceptor.send(StopAccepting).await.expect("the acceptor is there");
        }
        // The sockets close with their actors, a moment after the answer.
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        arbiters.iter().for_each(|arbiter| {
            arbiter.stop();
        });
        tested.expect("the test passes");
    });
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the node listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream
}

fn expect(stream: &mut TcpStream, expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    stream.read_exact(&mut got).expect("the reply comes");
    assert_eq!(got.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn an_ordinary_client_library_works() {
    serve_during(&a_node(100), |address| {
        let client = redis::Client::open(format!("redis://{address}")).expect("an address");
        let mut connection = client.get_connection().expect("a connection");
        let () = connection.set("a", "1").expect("SET");
        assert_eq!(connection.incr::<_, _, i64>("a", 41).expect("INCR"), 42);
        let (a, b): (i64, Option<i64>) = redis::pipe().atomic().get("a").get("b").query(&mut connection).expect("EXEC");
        assert_eq!((a, b), (42, None));
        let info: redis::InfoDict = redis::cmd("INFO").query(&mut connection).expect("INFO");
        assert_eq!(info.get::<String>("role").as_deref(), Some("master"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let resp3 = redis::Client::open(format!("redis://{address}/?protocol=resp3")).expect("an address");
            let mut connection = resp3.get_multiplexed_async_connection().await.expect("a connection");
            let values: Vec<Option<String>> = connection.mget(&["a", "b"][..]).await.expect("MGET");
            assert_eq!(values, [Some("42".to_owned()), None]);
        });
    });
}

/// Fifty clients on two threads, each with whole pipelines in flight: all is executed once, and counted together.
#[test]
fn many_pipelines_at_once_lose_and_double_nothing() {
    const CLIENTS: usize = 50;
    const ROUNDS: usize = 40;
    serve_during(&a_node(100), |address| {
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                scope.spawn(move || {
                    let mut stream = connect(address);
                    let request = format!("INCR own:{client}\r\nINCR all\r\n").repeat(16);
                    let mut received = 0;
                    for round in 0..ROUNDS {
                        stream.write_all(request.as_bytes()).expect("the node reads");
                        let mut replies = Vec::new();
                        while replies.iter().filter(|byte| **byte == b'\n').count() < 32 {
                            let mut piece = [0; 4096];
                            let bytes = stream.read(&mut piece).expect("replies come");
                            assert!(bytes > 0, "the connection stays");
                            replies.extend_from_slice(&piece[..bytes]);
                        }
                        let text = String::from_utf8(replies).expect("numbers");
                        let own: Vec<usize> =
                            text.lines().step_by(2).map(|line| line[1..].parse().expect("a number")).collect();
                        assert_eq!(own, (round * 16 + 1..=round * 16 + 16).collect::<Vec<_>>());
                        received += own.len();
                    }
                    assert_eq!(received, ROUNDS * 16);
                });
            }
        });
        let mut stream = connect(address);
        let total = (CLIENTS * ROUNDS * 16).to_string();
        stream.write_all(b"GET all\r\n").expect("the node reads");
        expect(&mut stream, format!("${}\r\n{total}\r\n", total.len()).as_bytes());
    });
}

#[test]
fn a_value_of_a_hundred_megabytes_goes_in_and_out() {
    serve_during(&a_node(100), |address| {
        let value: Vec<u8> = (0..100_000_000_u32).map(|i| (i % 251) as u8).collect();
        let mut stream = connect(address);
        stream.write_all(format!("*3\r\n$3\r\nSET\r\n$1\r\nv\r\n${}\r\n", value.len()).as_bytes()).expect("header");
        stream.write_all(&value).expect("value");
        stream.write_all(b"\r\nGET v\r\n").expect("end");
        expect(&mut stream, b"+OK\r\n");
        expect(&mut stream, format!("${}\r\n", value.len()).as_bytes());
        let mut got = vec![0; value.len()];
        stream.read_exact(&mut got).expect("the value comes");
        assert!(got == value);
        expect(&mut stream, b"\r\n");
    });
}

#[test]
fn too_many_clients_are_told_and_a_place_is_free_when_one_leaves() {
    let context = a_node(2);
    let registry = Arc::clone(&context.registry);
    serve_during(&context, move |address| {
        let mut one = connect(address);
        let mut two = connect(address);
        for stream in [&mut one, &mut two] {
            stream.write_all(b"PING\r\n").expect("the node reads");
            expect(stream, b"+PONG\r\n");
        }
        let mut three = connect(address);
        three.write_all(b"PING\r\n").expect("the node reads");
        let mut told = String::new();
        three.read_to_string(&mut told).expect("a word and the end");
        assert_eq!(told, "-ERR max number of clients reached\r\n");
        drop(one);
        while registry.count() > 1 {
            thread::yield_now();
        }
        let mut four = connect(address);
        four.write_all(b"PING\r\n").expect("the node reads");
        expect(&mut four, b"+PONG\r\n");
        assert_eq!((registry.accepted(), registry.refused()), (4, 1));
    });
}

/// At `maxclients` nobody could find out why, nor raise it.
#[test]
fn an_operator_has_a_place_when_clients_have_taken_all() {
    let context = a_node(1);
    let registry = Arc::clone(&context.registry);
    serve_during(&context, move |address| {
        let mut client = connect(address);
        client.write_all(b"PING\r\n").expect("the node reads");
        expect(&mut client, b"+PONG\r\n");
        let mut operator = connect(address);
        operator.write_all(b"CLIENT SETNAME me\r\nCONFIG GET maxclients\r\n").expect("the node reads");
        expect(&mut operator, b"+OK\r\n*2\r\n$10\r\nmaxclients\r\n$1\r\n1\r\n");
        let mut refused = connect(address);
        refused.write_all(b"HELLO 2 SETNAME x Y\r\nMULTI\r\n").expect("the node reads");
        expect(&mut refused, b"-ERR Syntax error in HELLO option 'Y'\r\n-ERR max number of clients reached\r\n");
        operator.write_all(b"CONFIG SET maxclients 2\r\nPING\r\n").expect("the node reads");
        expect(&mut operator, b"+OK\r\n+PONG\r\n");
        assert_eq!((registry.accepted(), registry.refused()), (3, 1), "the operator has a client's place now");
        let mut told = String::new();
        refused.read_to_string(&mut told).expect("the end");
        while registry.count() > 2 {
            thread::yield_now();
        }
        let more = (0..OPERATOR_PLACES).map(|_| {
            let mut stream = connect(address);
            stream.write_all(b"ROLE\r\n").expect("the node reads");
            stream
        });
        let more: Vec<_> = more.collect();
        while registry.count() < 2 + OPERATOR_PLACES {
            thread::yield_now();
        }
        connect(address).read_to_string(&mut told).expect("a word and the end");
        assert_eq!(told, "-ERR max number of clients reached\r\n");
        drop(more);
    });
}
