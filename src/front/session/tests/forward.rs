//! Forwarding between two nodes of which the test plays the roles: `a` is the primary, `b` its standby.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tanist_db_core::ids::Epoch;
use tanist_replication::serving::{PrimaryAddress, Standing};

use super::*;
use crate::config::Standby;
use crate::front::forward::Greeting;
use crate::front::limits::{FORWARDED_SETTLE_WAIT, FORWARDED_TAKEOVER_WAIT};

const UNKNOWN: &str =
    "-UNKNOWN the primary was lost before it replied to this command, which may or may not have been executed\r\n";

/// Nodes by name, as a session finds them.
#[derive(Clone, Default)]
pub(super) struct Network {
    nodes: Rc<RefCell<BTreeMap<String, Rc<Node>>>>,
    /// Ends of streams that the test holds, instead of a session.
    held: Rc<RefCell<Vec<(Greeting, DuplexStream)>>>,
    holds: Rc<RefCell<bool>>,
}

impl Network {
    /// A primary `a` and its standby `b`, which share nothing but this.
    pub(super) fn pair() -> (Network, Rc<Node>, Rc<Node>) {
        let network = Network::default();
        let (a, b) = (Rc::new(Node::named("a")), Rc::new(Node::named("b")));
        for (name, node) in [("a", &a), ("b", &b)] {
            network.nodes.borrow_mut().insert(name.into(), Rc::clone(node));
            node.install_engine();
            node.confirm_all();
        }
        a.begin(1);
        b.follow("a", 1);
        (network, a, b)
    }

    pub(super) fn client(&self, node: &Node) -> Client {
        let peer = Peer {
            address: "10.1.1.1:50000".into(),
            local: "127.0.0.1:6379".into(),
            way: Way::Resp,
            authenticated: false,
        };
        let now = node.context.clock.monotonic();
        let registration = node.context.registry.register(peer, now, usize::MAX).unwrap();
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let thread = LinkedThread { thread: TokioThread::default(), network: self.clone() };
        tokio::task::spawn_local(serve(Arc::clone(&node.context), registration, theirs, thread));
        Client { stream: ours }
    }

    fn dial(&self, primary: &str, greeting: Greeting) -> io::Result<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        if *self.holds.borrow() {
            self.held.borrow_mut().push((greeting, theirs));
            return Ok(ours);
        }
        let node = self.nodes.borrow().get(primary).cloned().ok_or_else(|| io::Error::other("nobody is there"))?;
        let peer = Peer {
            address: greeting.address,
            local: String::new(),
            way: Way::Forwarded { epoch: greeting.epoch },
            authenticated: true,
        };
        let now = node.context.clock.monotonic();
        let registration = node.context.registry.register(peer, now, usize::MAX).unwrap();
        tokio::task::spawn_local(serve(Arc::clone(&node.context), registration, theirs, TokioThread::default()));
        Ok(ours)
    }

    /// From now on the test plays the primary.
    fn hold(&self) {
        *self.holds.borrow_mut() = true;
    }

    /// The stream that a session has opened.
    async fn held(&self) -> (Greeting, Client) {
        loop {
            if let Some((greeting, stream)) = self.held.borrow_mut().pop() {
                return (greeting, Client { stream });
            }
            sleep(millis(1)).await;
        }
    }
}

/// A thread that reaches other nodes in memory.
struct LinkedThread {
    thread: TokioThread,
    network: Network,
}

impl Runtime for LinkedThread {
    type Link = DuplexStream;

    type Opening = LocalBoxFuture<'static, io::Result<DuplexStream>>;

    fn open_link(&mut self, primary: Arc<PrimaryAddress>, greeting: Greeting) -> Self::Opening {
        let network = self.network.clone();
        async move { network.dial(&primary.node, greeting) }.boxed_local()
    }

    fn poll_alarm(&mut self, deadline: Monotonic, clock: &dyn Clock, cx: &mut Context<'_>) -> Poll<()> {
        self.thread.poll_alarm(deadline, clock, cx)
    }

    fn apart(&mut self, places: &Arc<tokio::sync::Semaphore>, job: Job) -> BoxFuture<'static, ()> {
        self.thread.apart(places, job)
    }
}

impl Node {
    fn named(name: &str) -> Node {
        let config = config::Node { standby: Standby::Forward, ..config::Node::default() };
        Node::without_data_named(name, config)
    }

    /// Is the primary of `epoch`.
    pub(super) fn begin(&self, epoch: u64) {
        self.engine().begin_epoch(Epoch(epoch)).expect("a newer epoch");
        let own = self.context.identity.node.clone();
        self.publish(Standing { epoch: Epoch(epoch), primary: Some(address(&own)), ..standing(Role::Primary, true) });
    }

    /// Follows the primary of `epoch`.
    pub(super) fn follow(&self, primary: &str, epoch: u64) {
        let standing = standing(Role::Standby, false);
        self.publish(Standing { epoch: Epoch(epoch), primary: Some(address(primary)), ..standing });
    }

    /// Knows of no primary.
    fn follow_nobody(&self, epoch: u64) {
        self.publish(Standing { epoch: Epoch(epoch), primary: None, ..standing(Role::Standby, false) });
    }
}

fn address(node: &str) -> Arc<PrimaryAddress> {
    Arc::new(PrimaryAddress { node: node.into(), resp: format!("{node}:6379"), quic: format!("{node}:7379") })
}

#[test]
fn a_client_of_the_standby_reads_and_writes_at_the_primary() {
    run(async {
        let (network, a, b) = Network::pair();
        let mut client = network.client(&b);
        client.ask("SET k v\r\nGET k\r\nPING\r\nINCR n\r\n", "+OK\r\n$1\r\nv\r\n+PONG\r\n:1\r\n").await;
        network.client(&a).ask("GET k\r\n", "$1\r\nv\r\n").await;
        client.ask("NOCOMMAND\r\nGET\r\nGET k\r\n", "-ERR unknown command 'NOCOMMAND', with args beginning with: \r\n-ERR wrong number of arguments for 'get' command\r\n$1\r\nv\r\n").await;
        assert_eq!(b.engine().last(), Lsn::ZERO, "the standby has executed nothing");
    });
}

#[test]
fn what_belongs_to_the_connection_goes_with_its_commands() {
    run(async {
        let (network, a, b) = Network::pair();
        let mut client = network.client(&b);
        client.ask("SELECT 3\r\nSET k three\r\nSELECT 0\r\nGET k\r\n", "+OK\r\n+OK\r\n+OK\r\n$-1\r\n").await;
        network.client(&a).ask("SELECT 3\r\nGET k\r\n", "+OK\r\n$5\r\nthree\r\n").await;
        client.send("HELLO 3\r\n").await;
        while client.line().await != "*0" {}
        client.ask("GET k\r\nHSET h f v\r\nHGETALL h\r\n", "_\r\n:1\r\n%1\r\n$1\r\nf\r\n$1\r\nv\r\n").await;
        client.ask("CLIENT REPLY OFF\r\nSET a 1\r\nCLIENT REPLY ON\r\nGET a\r\n", "+OK\r\n$1\r\n1\r\n").await;
        client.ask("CLIENT REPLY SKIP\r\nSET a 2\r\nGET a\r\n", "$1\r\n2\r\n").await;
        client.ask("RESET\r\nGET k\r\n", "+RESET\r\n$-1\r\n").await;
    });
}

#[test]
fn transactions_are_queued_here_and_executed_there() {
    run(async {
        let (network, a, b) = Network::pair();
        let mut client = network.client(&b);
        client.ask("MULTI\r\nSET k 1\r\nINCR k\r\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n").await;
        network.client(&a).ask("GET k\r\n", "$-1\r\n").await;
        client.ask("EXEC\r\n", "*2\r\n+OK\r\n:2\r\n").await;
        client.ask("EXEC\r\n", "-ERR EXEC without MULTI\r\n").await;
        client
            .ask("MULTI\r\nNOCOMMAND\r\n", "+OK\r\n-ERR unknown command 'NOCOMMAND', with args beginning with: \r\n")
            .await;
        client.ask("EXEC\r\n", "-EXECABORT Transaction discarded because of previous errors.\r\n").await;
        // Members that concern the connection, in between.
        client
            .ask(
                "MULTI\r\nCLIENT GETNAME\r\nCLIENT SETNAME me\r\nINCR k\r\nSELECT 2\r\nGET k\r\nCLIENT GETNAME\r\nEXEC\r\n",
                "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*6\r\n$-1\r\n+OK\r\n:3\r\n+OK\r\n$-1\r\n$2\r\nme\r\n",
            )
            .await;
        client.ask("GET k\r\nSELECT 0\r\nGET k\r\n", "$-1\r\n+OK\r\n$1\r\n3\r\n").await;
    });
}

#[test]
fn a_watch_holds_as_long_as_its_primary() {
    run(async {
        let (network, a, b) = Network::pair();
        let (mut client, mut other) = (network.client(&b), network.client(&a));
        client.ask("WATCH k\r\nMULTI\r\nSET k 1\r\nEXEC\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n").await;
        client.ask("WATCH k\r\n", "+OK\r\n").await;
        other.ask("SET k 2\r\n", "+OK\r\n").await;
        client.ask("MULTI\r\nSET k 3\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*-1\r\n").await;
        client.ask("WATCH k\r\n", "+OK\r\n").await;
        other.ask("SET k 2\r\n", "+OK\r\n").await;
        client.ask("UNWATCH\r\nMULTI\r\nSET k 3\r\nEXEC\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n").await;
        // Its own node takes over, and cannot know who has written since.
        client.ask("WATCH k\r\nMULTI\r\nSET k 4\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n").await;
        a.follow("b", 2);
        b.begin(2);
        client
            .ask("EXEC\r\nSET k 5\r\nMULTI\r\nGET k\r\nEXEC\r\n", "*-1\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\n5\r\n")
            .await;
        // And the other way round.
        other.ask("GET k\r\n", "$1\r\n5\r\n").await;
        client.ask("WATCH k\r\nMULTI\r\nGET k\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n").await;
        b.follow("a", 3);
        a.begin(3);
        client.ask("EXEC\r\n", "*-1\r\n").await;
    });
}

#[test]
fn a_blocked_client_waits_at_the_primary_and_moves_with_it() {
    run(async {
        let (network, a, b) = Network::pair();
        let (mut client, mut other) = (network.client(&b), network.client(&a));
        client.send("BLPOP l 0\r\nGET k\r\n").await;
        sleep(millis(5)).await;
        other.ask("RPUSH l x\r\n", ":1\r\n").await;
        client.expect("*2\r\n$1\r\nl\r\n$1\r\nx\r\n$-1\r\n").await;
        // It times out there.
        client.ask("BLPOP l 0.2\r\nBLMOVE l m LEFT LEFT 0.1\r\n", "*-1\r\n*-1\r\n").await;
        // CLIENT UNBLOCK here.
        let id = client.id().await;
        for (how, reply) in [("", "*-1\r\n"), (" ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")] {
            client.send("BLPOP l 0\r\n").await;
            sleep(millis(5)).await;
            network.client(&b).ask(&format!("CLIENT UNBLOCK {id}{how}\r\n"), ":1\r\n").await;
            client.expect(reply).await;
        }
        client.ask("SET k 1\r\nWAIT 1 100\r\n", "+OK\r\n:1\r\n").await;
        // It waits on when the primary is another, until the time that was set at first.
        client.send("BLPOP l 3\r\n").await;
        sleep(millis(1000)).await;
        a.follow("b", 2);
        b.begin(2);
        client.expect_silence(millis(1900)).await;
        client.expect("*-1\r\n").await;
        client
            .ask("WAITAOF 1 0 100\r\nWAIT 1 100\r\nSET k 2\r\nWAIT 1 100\r\n", "*2\r\n:0\r\n:0\r\n:0\r\n+OK\r\n:1\r\n")
            .await;
        // And one that has blocked at its own node goes on at the next primary.
        client.send("BLPOP l 3\r\n").await;
        sleep(millis(1000)).await;
        b.follow("a", 3);
        a.begin(3);
        client.expect_silence(millis(1900)).await;
        client.expect("*-1\r\n").await;
        client.send("BLPOP l 0\r\n").await;
        sleep(millis(5)).await;
        other.ask("RPUSH l y\r\n", ":1\r\n").await;
        client.expect("*2\r\n$1\r\nl\r\n$1\r\ny\r\n").await;
    });
}

#[test]
fn who_leaves_while_blocked_takes_nothing() {
    run(async {
        let (network, a, b) = Network::pair();
        let (client, mut other) = (network.client(&b), network.client(&a));
        let mut client = client;
        client.send("BLPOP l 0\r\n").await;
        sleep(millis(5)).await;
        drop(client);
        sleep(millis(5)).await;
        other.ask("RPUSH l x\r\nLLEN l\r\n", ":1\r\n:1\r\n").await;
    });
}

#[test]
fn commands_wait_for_a_primary_and_say_so_if_there_is_none() {
    run(async {
        let (network, a, b) = Network::pair();
        let mut client = network.client(&b);
        client.ask("SET k 1\r\n", "+OK\r\n").await;
        b.follow_nobody(2);
        client.send("INCR k\r\nPING\r\n").await;
        client.expect_silence(millis(2900)).await;
        client
            .expect(
                "-NOTDURABLE this node is a standby, reaches no primary and did not let this command execute within 3000 ms (not executed)\r\n-MASTERDOWN this standby knows no primary\r\n",
            )
            .await;
        client.send("INCR k\r\nPING\r\n").await;
        client.expect_silence(millis(1000)).await;
        a.begin(3);
        b.follow("a", 3);
        client.expect(":2\r\n+PONG\r\n").await;
        // The primary's node is not there at first.
        network.nodes.borrow_mut().remove("a");
        a.follow_nobody(4);
        b.follow_nobody(4);
        a.begin(5);
        b.follow("a", 5);
        client.send("INCR k\r\n").await;
        client.expect_silence(millis(500)).await;
        network.nodes.borrow_mut().insert("a".into(), Rc::clone(&a));
        client.expect(":3\r\n").await;
    });
}

#[test]
fn a_change_loses_nothing_and_repeats_nothing() {
    run(async {
        let (network, a, b) = Network::pair();
        let mut client = network.client(&b);
        // Held where they are by a primary that hands over, and executed by the next, in their order.
        a.play(Role::HandingOver);
        client.send("RPUSH l 1\r\nRPUSH l 2\r\nRPUSH l 3\r\nPING\r\n").await;
        client.expect_silence(millis(50)).await;
        a.follow("b", 2);
        b.begin(2);
        client.expect(":1\r\n:2\r\n:3\r\n+PONG\r\n").await;
        client.ask("LRANGE l 0 -1\r\n", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n").await;
        assert_eq!(a.engine().last(), Lsn(1), "the start of its epoch");
        // The same client when its own node hands over.
        b.play(Role::HandingOver);
        client.send("RPUSH m 1\r\nRPUSH m 2\r\n").await;
        client.expect_silence(millis(50)).await;
        b.follow("a", 3);
        a.begin(3);
        client.expect(":1\r\n:2\r\n").await;
    });
}

#[test]
fn what_a_lost_primary_may_have_executed_is_not_repeated() {
    run(async {
        let (network, a, b) = Network::pair();
        network.hold();
        let mut client = network.client(&b);
        client.send("INCR n\r\nGET n\r\nINCR n\r\nINCR n\r\n").await;
        let (greeting, mut primary) = network.held().await;
        assert_eq!((greeting.epoch, greeting.first, &*greeting.address), (Epoch(1), 0, "10.1.1.1:50000"));
        primary.expect("INCR n\r\nGET n\r\nINCR n\r\nINCR n\r\n").await;
        primary.send(":1\r\n").await;
        client.expect(":1\r\n").await;
        *network.holds.borrow_mut() = false;
        drop(primary);
        // The read is executed again, the writes are not.
        client.expect(&format!("$-1\r\n{UNKNOWN}{UNKNOWN}")).await;
        client.ask("GET n\r\nINCR n\r\n", "$-1\r\n:1\r\n").await;
        assert_eq!(a.engine().last(), Lsn(2));
        // A transaction and a blocked command the same.
        let exec = "MULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\nEXEC\r\n";
        for (request, queued, forwarded) in
            [("MULTI\r\nINCR n\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n", exec), ("BLPOP l 0\r\n", "", "BLPOP l 0\r\n")]
        {
            network.hold();
            let mut client = network.client(&b);
            client.ask(request, queued).await;
            let (_, mut primary) = network.held().await;
            primary.expect(forwarded).await;
            *network.holds.borrow_mut() = false;
            drop(primary);
            client.expect(UNKNOWN).await;
            client.ask("GET n\r\n", "$1\r\n1\r\n").await;
        }
    });
}

/// The old primary keeps its stream and keeps silent.
#[test]
fn after_a_takeover_replies_are_waited_for_only_a_moment() {
    for (took_over, wait) in [(true, FORWARDED_TAKEOVER_WAIT), (false, FORWARDED_SETTLE_WAIT)] {
        run(async {
            let (network, _a, b) = Network::pair();
            network.hold();
            let mut client = network.client(&b);
            client.send("INCR n\r\n").await;
            let (_, mut primary) = network.held().await;
            primary.expect("INCR n\r\n").await;
            b.engine().begin_epoch(Epoch(2)).expect("a newer epoch");
            let standing = standing(Role::Primary, true);
            b.publish(Standing { epoch: Epoch(2), took_over, primary: Some(address("b")), ..standing });
            let since = Instant::now();
            client.expect(UNKNOWN).await;
            let waited = since.elapsed();
            assert!(waited >= wait && waited < wait * 2, "{waited:?} of {wait:?}");
        });
    }
}

#[test]
fn what_the_primary_says_it_has_not_executed_is_executed_by_the_next() {
    run(async {
        let (network, _a, b) = Network::pair();
        network.hold();
        let mut client = network.client(&b);
        client.send("INCR n\r\nINCR n\r\n").await;
        let (_, mut primary) = network.held().await;
        primary.expect("INCR n\r\nINCR n\r\n").await;
        primary.send(":7\r\n\0\u{1}").await;
        client.expect(":7\r\n").await;
        let (greeting, mut primary) = network.held().await;
        assert_eq!(greeting.first, 1, "it keeps its number");
        primary.expect("INCR n\r\n").await;
        b.begin(2);
        primary.send("\0\u{1}").await;
        client.expect(":1\r\n").await;
    });
}

#[test]
fn a_reply_that_breaks_off_ends_the_connection() {
    run(async {
        let (network, _a, b) = Network::pair();
        network.hold();
        let mut client = network.client(&b);
        client.send("LRANGE l 0 -1\r\n").await;
        let (_, mut primary) = network.held().await;
        primary.expect("LRANGE l 0 -1\r\n").await;
        primary.send("*2\r\n$1\r\na\r\n").await;
        client.expect("*2\r\n$1\r\na\r\n").await;
        drop(primary);
        client.expect_end().await;
    });
}

#[test]
fn a_primary_that_is_silent_is_not_waited_for_when_there_is_another() {
    run(async {
        let (network, a, b) = Network::pair();
        network.hold();
        let mut client = network.client(&b);
        client.send("INCR n\r\nGET n\r\n").await;
        let (_, mut primary) = network.held().await;
        primary.expect("INCR n\r\nGET n\r\n").await;
        client.expect_silence(millis(5000)).await;
        a.follow("b", 2);
        b.begin(2);
        client.expect_silence(millis(200)).await;
        client.expect(&format!("{UNKNOWN}$-1\r\n")).await;
        // What comes later is heard by nobody.
        let _ = primary.stream.write_all(b":1\r\n").await;
        client.ask("GET n\r\n", "$-1\r\n").await;
    });
}

#[test]
fn a_pinned_version_ends_with_its_primary() {
    run(async {
        let (network, a, b) = Network::pair();
        let mut client = network.client(&b);
        client.ask("SET k 1\r\nTANIST PIN NEW\r\nSET k 2\r\n", "+OK\r\n:2\r\n-ERR this connection has pinned a version, which is only read; TANIST UNPIN ends that\r\n").await;
        network.client(&a).ask("SET k 3\r\n", "+OK\r\n").await;
        client.ask("GET k\r\nTANIST UNPIN\r\nGET k\r\n", "$1\r\n1\r\n+OK\r\n$1\r\n3\r\n").await;
        client.ask("TANIST PIN NEW\r\nGET k\r\n", ":3\r\n$1\r\n3\r\n").await;
        a.follow("b", 2);
        b.begin(2);
        let ended = "-UNPINNED the version that this connection had pinned was of a primary that is none any more; use TANIST PIN or TANIST UNPIN\r\n";
        client
            .ask(
                "GET k\r\nPING\r\nGET k\r\nTANIST UNPIN\r\nGET k\r\n",
                &format!("{ended}+PONG\r\n{ended}+OK\r\n$-1\r\n"),
            )
            .await;
    });
}

#[test]
fn a_slow_client_of_the_standby_costs_bounded_memory_and_gets_all() {
    run(async {
        let (network, _a, b) = Network::pair();
        let mut client = network.client(&b);
        let text = "x".repeat(40_000);
        client.ask(&set_string(&text), "+OK\r\n").await;
        let reads = "GET string\r\n".repeat(100);
        client.send(&reads).await;
        sleep(millis(2000)).await;
        let reply = format!("$40000\r\n{text}\r\n");
        for _ in 0..100 {
            client.expect(&reply).await;
        }
        client.ask("PING\r\n", "+PONG\r\n").await;
    });
}

/// A standby that could not reach its primary called itself a master, and a balancer sent it clients.
#[test]
fn a_standby_is_a_master_to_its_clients_as_long_as_it_reaches_the_primary() {
    run(async {
        let (network, _a, b) = Network::pair();
        let mut client = network.client(&b);
        let slave = "*5\r\n$5\r\nslave\r\n$1\r\na\r\n:6379\r\n$7\r\nconnect\r\n:0\r\n";
        client.ask("PING\r\nROLE\r\n", "+PONG\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n").await;
        b.context.primary_reach.note(Epoch(1), Err("node a: timed out".into()));
        let why = "cannot forward: node a: timed out";
        client.ask("PING\r\nROLE\r\n", &format!("-MASTERDOWN this standby {why}\r\n{slave}")).await;
        client.ask("TANIST HEALTH\r\n", &format!("-NOTSERVING node b: standby, {why}\r\n")).await;
        b.follow("c", 2);
        client.ask("PING\r\n", "+PONG\r\n").await;
        b.follow_nobody(2);
        client.ask("PING\r\n", "-MASTERDOWN this standby knows no primary\r\n").await;
        b.begin(3);
        client.ask("PING\r\nROLE\r\n", "+PONG\r\n*3\r\n$6\r\nmaster\r\n:").await;
    });
}

/// A process that has just taken the place of the dead primary replied `-LOADING` to clients of a healthy standby, or kept their commands.
#[test]
fn a_process_that_loads_says_at_once_that_it_executes_nothing() {
    run(async {
        let network = Network::default();
        let (a, b) = (Rc::new(Node::named("a")), Rc::new(Node::named("b")));
        for (name, node) in [("a", &a), ("b", &b)] {
            network.nodes.borrow_mut().insert(name.into(), Rc::clone(node));
        }
        b.install_engine();
        b.confirm_all();
        b.follow("a", 1);
        let mut client = network.client(&b);
        client.send("INCR n\r\n").await;
        client.expect_silence(millis(300)).await;
        b.begin(2);
        client.expect(":1\r\n").await;
    });
}

/// The wait began anew with each attempt, and so never ended.
#[test]
fn a_primary_that_nobody_reaches_is_waited_for_so_long() {
    run(async {
        let (network, _a, b) = Network::pair();
        network.nodes.borrow_mut().remove("a");
        let mut client = network.client(&b);
        client.send("GET k\r\n").await;
        client.expect_silence(millis(2900)).await;
        let refused = client.line().await;
        assert!(refused.starts_with("-NOTDURABLE ") && refused.ends_with(" (not executed)"), "{refused}");
    });
}

/// A command that has no reply of its own yet left its place in the array empty.
#[test]
fn a_member_that_waits_is_refused_in_a_forwarded_transaction() {
    run(async {
        let (network, _a, b) = Network::pair();
        b.context.install_admin(nodes::machinery());
        let mut client = network.client(&b);
        client.send("MULTI\r\nFAILOVER\r\nGET k\r\nEXEC\r\nPING\r\n").await;
        let refused = "-ERR Command not allowed inside a transaction\r\n";
        client.expect(&format!("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n{refused}$-1\r\n+PONG\r\n")).await;
    });
}

#[test]
fn what_was_forwarded_has_its_replies_before_the_connection_ends() {
    run(async {
        let (network, _a, b) = Network::pair();
        // A mistake in the protocol.
        let mut client = network.client(&b);
        client
            .ask("SET k v\r\nGET k\r\n*x\r\n", "+OK\r\n$1\r\nv\r\n-ERR Protocol error: invalid multibulk length\r\n")
            .await;
        client.expect_end().await;
        // A client that sends nothing more.
        let mut client = network.client(&b);
        client.send("SET k w\r\nGET k\r\n").await;
        client.stream.shutdown().await.unwrap();
        client.expect("+OK\r\n$1\r\nw\r\n").await;
        client.expect_end().await;
    });
}

/// What it has sent before is not lost with it: a clean end became an unknown outcome.
#[test]
fn the_mark_of_a_primary_that_takes_nothing_more_is_read() {
    run(async {
        let (network, _a, b) = Network::pair();
        network.hold();
        let mut client = network.client(&b);
        client.send("INCR n\r\n").await;
        let (_, mut primary) = network.held().await;
        primary.expect("INCR n\r\n").await;
        primary.send("\0\u{1}").await;
        drop(primary);
        client.send("INCR n\r\n").await;
        b.begin(2);
        client.expect(":1\r\n:2\r\n").await;
    });
}
