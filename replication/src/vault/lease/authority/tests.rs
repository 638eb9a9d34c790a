use super::*;
use crate::transport::principal::Principal;
use crate::vault::testing::frame;
use crate::wire::message::{Hello, Progress};
use tanist_db_core::level::Levels;

const LEASE: Duration = Duration::from_secs(2);

/// A lease authority, its clock in milliseconds, and a log that is durable as soon as it is accepted.
struct Script {
    lease_authority: LeaseAuthority,
    now: Monotonic,
    durable: Lsn,
}

fn caller(connection: u64, peer: Peer, node: &str, incarnation: u64) -> Caller {
    let hello = Hello {
        levels: Levels::OWN,
        cluster: 1,
        peer,
        node: node.to_owned(),
        incarnation,
        pid: 1,
        resp_address: format!("{node}:resp"),
        quic_address: format!("{node}:quic"),
    };
    let certified = if peer == Peer::Tool { Principal::Tool } else { Principal::node(node).unwrap() };
    Caller::admit(ConnectionId(connection), hello, 1, &certified).unwrap()
}

fn database(connection: u64, node: &str, incarnation: u64) -> Caller {
    caller(connection, Peer::Database, node, incarnation)
}

impl Script {
    fn new() -> Self {
        let lease_authority = LeaseAuthority::new(Monotonic(0), LEASE, LeaseRecord::default(), Lsn::ZERO);
        Self { lease_authority, now: Monotonic(0), durable: Lsn::ZERO }
    }

    /// The vault after a crash: what was persisted, and the log.
    fn restart(&mut self, lease: LeaseRecord) {
        self.restart_with(LEASE, lease);
    }

    /// The same, with leases of another length.
    fn restart_with(&mut self, length: Duration, lease: LeaseRecord) {
        self.now = Monotonic(0);
        self.lease_authority = LeaseAuthority::new(self.now, length, lease, self.durable);
    }

    fn at(&mut self, ms: u64) -> &mut Self {
        self.now = Monotonic(ms * 1000);
        self
    }

    fn enter(&mut self, caller: &Caller) {
        self.lease_authority.enter(self.now, caller);
    }

    /// Calls, and makes durable what is to be.
    fn call(&mut self, caller: &Caller, request: Request) -> Answer {
        match self.lease_authority.call(self.now, caller, request, self.durable) {
            Ruling::Answer(answer) => answer,
            Ruling::Persist { .. } => self.lease_authority.persisted(self.now, self.durable),
            Ruling::Wait => panic!("nothing is in the making"),
        }
    }

    fn append(&mut self, caller: &Caller, stream: StreamId, epoch: u64, first: u64) -> AppendRuling {
        let frame = frame(epoch, first, 1);
        let ruling = self.lease_authority.append(caller, stream, &frame);
        if ruling == AppendRuling::Write {
            self.durable = frame.last;
        }
        ruling
    }

    fn open(&mut self, caller: &Caller, epoch: u64) -> StreamId {
        let stream = self.lease_authority.open_append(caller, Epoch(epoch)).unwrap();
        self.lease_authority.begin_append(caller, stream, self.durable).unwrap();
        stream
    }

    /// `a` holds epoch 1 from time 0 and has appended records 1 to 3; `b` is connected.
    fn with_primary() -> (Self, Caller, Caller, StreamId) {
        let mut script = Self::new();
        let (a, b) = (database(1, "a", 10), database(2, "b", 20));
        script.enter(&a);
        script.enter(&b);
        assert_eq!(script.call(&a, Request::Claim { seen: 0 }), Answer::Claimed { epoch: 1, sealed: 0 });
        let stream = script.open(&a, 1);
        for first in 1..=3 {
            assert_eq!(script.append(&a, stream, 1, first), AppendRuling::Write);
        }
        (script, a, b, stream)
    }

    fn report(&mut self, caller: &Caller, applied: u64) {
        let progress = Progress { applied, ..Progress::default() };
        self.call(caller, Request::Report(progress));
    }
}

/// Epoch, holder and milliseconds left of the lease in an answer.
fn lease(answer: &Answer) -> (u64, &str, u64) {
    match answer {
        Answer::Lease(view) => (view.epoch, &view.holder, view.remaining_us / 1000),
        other => panic!("expected a lease, got {other:?}"),
    }
}

fn why(answer: &Answer) -> &str {
    match answer {
        Answer::Refused { why } => why,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn a_lease_that_nobody_ever_had_does_not_run_out() {
    let mut script = Script::new();
    assert_eq!(script.lease_authority.next_expiry(), None);
    assert!(!script.lease_authority.tick(Monotonic(60_000_000)));
}

#[test]
fn of_two_claimants_one_is_granted_the_epoch() {
    let mut script = Script::new();
    let (a, b) = (database(1, "a", 10), database(2, "b", 20));
    assert_eq!(script.call(&a, Request::Claim { seen: 0 }), Answer::Claimed { epoch: 1, sealed: 0 });
    let refused = script.at(500).call(&b, Request::Claim { seen: 0 });
    assert_eq!(lease(&refused), (1, "a", 1500));
    let refused = script.call(&b, Request::Claim { seen: 1 });
    assert_eq!(lease(&refused), (1, "a", 1500), "the lease has not run out");
    let answer = script.at(2000).call(&b, Request::Claim { seen: 1 });
    assert_eq!(answer, Answer::Claimed { epoch: 2, sealed: 0 });
    let late = script.call(&a, Request::Claim { seen: 1 });
    assert_eq!(lease(&late), (2, "b", 2000));
}

#[test]
fn while_a_claim_is_made_durable_the_old_epoch_is_fenced_and_nobody_hears_of_the_new_one() {
    let (mut script, a, b, stream) = Script::with_primary();
    script.at(2000);
    let ruling = script.lease_authority.call(script.now, &b, Request::Claim { seen: 1 }, script.durable);
    let Ruling::Persist { record, seal: true } = ruling else { panic!("{ruling:?}") };
    assert_eq!((record.epoch, record.holder.as_str(), record.incarnation), (2, "b", 20));
    assert_eq!(script.append(&a, stream, 1, 4), AppendRuling::End(Answer::Fenced { epoch: 2 }));
    assert_eq!(script.lease_authority.open_append(&a, Epoch(1)), Err(Answer::Fenced { epoch: 2 }));
    assert_eq!(
        script.lease_authority.open_append(&b, Epoch(2)),
        Err(Answer::Fenced { epoch: 2 }),
        "not before it is durable"
    );
    assert_eq!(script.lease_authority.view(script.now).epoch, 1);
    for request in [Request::Renew { epoch: 1 }, Request::Claim { seen: 1 }, Request::Release { epoch: 1 }] {
        assert_eq!(script.lease_authority.call(script.now, &a, request, script.durable), Ruling::Wait);
    }
    assert!(!script.lease_authority.tick(Monotonic(9_000_000)));
    assert_eq!(script.lease_authority.persisted(script.now, Lsn(3)), Answer::Claimed { epoch: 2, sealed: 3 });
    let stream = script.open(&b, 2);
    assert_eq!(script.append(&b, stream, 2, 4), AppendRuling::Write);
}

#[test]
fn a_claim_whose_answer_was_lost_may_be_repeated() {
    let (mut script, a, ..) = Script::with_primary();
    let again = script.at(1000).call(&a, Request::Claim { seen: 0 });
    assert_eq!(again, Answer::Claimed { epoch: 1, sealed: 0 });
    assert_eq!(script.lease_authority.view(script.now).remaining_us, 2_000_000);
    let other_start = database(3, "a", 11);
    assert_eq!(lease(&script.call(&other_start, Request::Claim { seen: 0 })).0, 1, "another start is another claimant");
}

#[test]
fn a_lease_that_ran_out_is_renewed_unless_someone_claimed() {
    let (mut script, a, b, _) = Script::with_primary();
    assert!(!script.lease_authority.tick(Monotonic(1_999_999)));
    assert!(script.lease_authority.tick(Monotonic(2_000_000)), "running out is news");
    assert!(!script.lease_authority.tick(Monotonic(2_000_001)), "once");
    let renewed = script.at(2500).call(&a, Request::Renew { epoch: 1 });
    assert_eq!(lease(&renewed), (1, "a", 2000));
    assert_eq!(script.lease_authority.next_expiry(), Some(Monotonic(4_500_000)));
    assert_eq!(script.at(4600).call(&b, Request::Claim { seen: 1 }), Answer::Claimed { epoch: 2, sealed: 3 });
    let refused = script.call(&a, Request::Renew { epoch: 1 });
    assert_eq!(lease(&refused), (2, "b", 2000));
}

#[test]
fn a_pause_of_the_vault_itself_costs_nobody_the_lease() {
    let (mut script, a, b, _) = Script::with_primary();
    let run_to = |script: &mut Script, from: u64, to: u64| {
        (from..=to).step_by(10).for_each(|ms| script.at(ms).lease_authority.awake(Monotonic(ms * 1000)));
    };
    run_to(&mut script, 0, 1500);
    // Silent from 1.5 s to 9 s, like everyone's messages to it.
    script.at(9000).lease_authority.awake(Monotonic(9_000_000));
    assert!(!script.lease_authority.tick(script.now));
    let refused = script.call(&b, Request::Claim { seen: 1 });
    assert_eq!(lease(&refused), (1, "a", 2000), "nobody could renew: the lease is fresh");
    // The holder is gone indeed: then it runs out, once.
    run_to(&mut script, 9000, 11_000);
    assert!(script.lease_authority.tick(script.now));
    script.at(20_000).lease_authority.awake(Monotonic(20_000_000));
    assert_eq!(script.call(&b, Request::Claim { seen: 1 }), Answer::Claimed { epoch: 2, sealed: 3 }, "it had run out");
    assert_eq!(lease(&script.call(&a, Request::Renew { epoch: 1 })), (2, "b", 2000));
}

#[test]
fn only_the_holder_renews() {
    let (mut script, _, b, _) = Script::with_primary();
    let (other_start, early) = (database(3, "a", 11), database(4, "a", 10));
    script.at(1000);
    for (caller, epoch) in [(&b, 1), (&other_start, 1), (&early, 0), (&early, 2)] {
        assert_eq!(lease(&script.call(caller, Request::Renew { epoch })), (1, "a", 1000));
    }
    assert_eq!(lease(&script.call(&early, Request::Renew { epoch: 1 })).2, 2000, "the same start on a new connection");
}

#[test]
fn records_of_an_old_epoch_are_refused_for_good() {
    let (mut script, a, b, stream) = Script::with_primary();
    script.at(2000).call(&b, Request::Claim { seen: 1 });
    assert_eq!(script.append(&a, stream, 1, 4), AppendRuling::End(Answer::Fenced { epoch: 2 }));
    assert_eq!(script.lease_authority.open_append(&a, Epoch(1)), Err(Answer::Fenced { epoch: 2 }));
    let stream = script.open(&b, 2);
    let foreign = script.append(&b, stream, 1, 4);
    assert_eq!(foreign, refusal("records of epoch 1 on a stream of epoch 2"));
    assert_eq!(script.append(&b, stream, 2, 3), refusal("records 3 to 3 do not follow the log's end at 3"));
    assert_eq!(script.append(&b, stream, 2, 5), refusal("records 5 to 5 do not follow the log's end at 3"));
    assert_eq!(script.append(&b, stream, 2, 4), AppendRuling::Write);
    assert_eq!(script.append(&b, stream, 2, 4), AppendRuling::Known);
    assert!(why(&script.lease_authority.open_append(&b, Epoch(3)).unwrap_err()).contains("never granted"));
}

fn refusal(why: &str) -> AppendRuling {
    AppendRuling::End(Answer::Refused { why: why.to_owned() })
}

#[test]
fn a_newer_stream_replaces_the_older_and_begins_at_the_durable_end() {
    let (mut script, a, _, old) = Script::with_primary();
    // Record 4 was accepted but the disk was full; the new stream is told so and sends it again.
    assert_eq!(script.lease_authority.append(&a, old, &frame(1, 4, 1)), AppendRuling::Write);
    let new = script.lease_authority.open_append(&a, Epoch(1)).unwrap();
    assert_eq!(script.append(&a, old, 1, 5), refusal("a newer append stream has replaced this one"));
    assert_eq!(script.append(&a, new, 1, 4), refusal("records came before the vault was ready for them"));
    script.lease_authority.begin_append(&a, new, Lsn(3)).unwrap();
    assert_eq!(script.append(&a, new, 1, 4), AppendRuling::Write);
    assert!(script.lease_authority.begin_append(&a, old, Lsn(3)).is_err());
    script.lease_authority.leave(a.connection);
    assert!(matches!(script.append(&a, new, 1, 5), AppendRuling::End(Answer::Refused { .. })));
}

#[test]
fn a_hand_over_needs_a_successor_that_has_everything() {
    let (mut script, a, b, stream) = Script::with_primary();
    let ask = |successor: &str, at| Request::HandOver { epoch: 1, successor: successor.to_owned(), at };
    assert!(why(&script.call(&a, ask("c", 3))).contains("not connected"));
    assert!(why(&script.call(&a, ask("a", 3))).contains("already"));
    script.report(&b, 2);
    assert!(why(&script.call(&a, ask("b", 3))).contains("has reported 2 as applied, not 3"));
    script.report(&b, 3);
    assert!(why(&script.call(&a, ask("b", 2))).contains("durable end is 3"));
    // Record 4 is accepted, but not durable yet.
    assert_eq!(script.lease_authority.append(&a, stream, &frame(1, 4, 1)), AppendRuling::Write);
    assert!(why(&script.call(&a, ask("b", 3))).contains("accepted 4"));
    script.durable = Lsn(4);
    script.report(&b, 4);
    assert_eq!(lease(&script.at(1900).call(&b, ask("b", 4))), (1, "a", 100), "only the holder hands over");
    let handed = script.call(&a, ask("b", 4));
    assert_eq!(lease(&handed), (2, "b", 2000));
    let Answer::Lease(view) = handed else { panic!() };
    assert_eq!((view.incarnation, view.resp_address.as_str(), view.quic_address.as_str()), (20, "b:resp", "b:quic"));
    assert_eq!(script.append(&a, stream, 1, 5), AppendRuling::End(Answer::Fenced { epoch: 2 }));
    assert_eq!(script.call(&b, Request::Claim { seen: 1 }), Answer::Claimed { epoch: 2, sealed: 4 });
    assert_eq!(lease(&script.call(&a, ask("b", 4))), (2, "b", 2000), "repeated, it shows that it was done");
}

#[test]
fn a_successor_that_left_is_not_handed_the_lease() {
    let (mut script, a, b, _) = Script::with_primary();
    script.report(&b, 3);
    script.lease_authority.leave(b.connection);
    let answer = script.call(&a, Request::HandOver { epoch: 1, successor: "b".to_owned(), at: 3 });
    assert!(why(&answer).contains("not connected"));
}

#[test]
fn a_released_lease_is_free_at_once_and_accepts_nothing() {
    let (mut script, a, b, stream) = Script::with_primary();
    assert_eq!(lease(&script.call(&b, Request::Release { epoch: 1 })).2, 2000, "not the holder");
    assert_eq!(lease(&script.call(&a, Request::Release { epoch: 1 })), (1, "a", 0));
    assert_eq!(lease(&script.call(&a, Request::Renew { epoch: 1 })), (1, "a", 0));
    assert_eq!(script.append(&a, stream, 1, 4), AppendRuling::End(Answer::Fenced { epoch: 1 }));
    assert_eq!(script.call(&b, Request::Claim { seen: 1 }), Answer::Claimed { epoch: 2, sealed: 3 });
}

#[test]
fn an_obituary_counts_for_the_very_process_that_held_the_lease() {
    let (mut script, a, b, _) = Script::with_primary();
    let (own, other) = (caller(5, Peer::Supervisor, "a", 10), caller(6, Peer::Supervisor, "b", 20));
    let death = |incarnation| Request::Obituary { node: "a".to_owned(), incarnation };
    assert_eq!(lease(&script.call(&own, death(9))), (1, "a", 2000), "an earlier start of it");
    assert!(why(&script.call(&other, death(10))).contains("own node"));
    assert!(why(&script.call(&b, death(10))).contains("supervisor"));
    assert_eq!(lease(&script.call(&own, death(10))), (1, "a", 0));
    assert_eq!(lease(&script.call(&own, death(10))), (1, "a", 0), "repeated");
    assert!(script.lease_authority.nodes(script.now).iter().all(|node| node.node != "a"));
    assert_eq!(lease(&script.call(&a, Request::Renew { epoch: 1 })), (1, "a", 0), "the dead do not renew");
    assert_eq!(script.call(&b, Request::Claim { seen: 1 }), Answer::Claimed { epoch: 2, sealed: 3 });
    assert_eq!(lease(&script.call(&own, death(10))), (2, "b", 2000), "the death of a former holder is no news");
}

#[test]
fn after_a_restart_a_lease_counts_as_fresh_unless_it_was_ended() {
    let (mut script, a, b, _) = Script::with_primary();
    let remembered = LeaseRecord { epoch: 1, holder: "a".to_owned(), incarnation: 10, ..LeaseRecord::default() };
    script.restart(remembered.clone());
    assert_eq!(lease(&script.at(1999).call(&b, Request::Claim { seen: 1 })), (1, "a", 1));
    let stream = script.open(&a, 1);
    assert_eq!(script.append(&a, stream, 1, 3), AppendRuling::Known);
    assert_eq!(script.append(&a, stream, 1, 4), AppendRuling::Write);
    assert_eq!(script.at(2000).call(&b, Request::Claim { seen: 1 }), Answer::Claimed { epoch: 2, sealed: 4 });
    script.restart(LeaseRecord { ended: true, ..remembered });
    assert_eq!(lease(&script.call(&a, Request::Renew { epoch: 1 })), (1, "a", 0));
    assert_eq!(script.call(&b, Request::Claim { seen: 1 }), Answer::Claimed { epoch: 2, sealed: 4 });
}

/// Lost once: the vault started again with shorter leases, the holder was cut off from it and counted by the old length, and
/// answered reads beside its successor.
#[test]
fn a_lease_that_became_shorter_at_a_restart_lasts_as_long_as_it_was_granted_once() {
    let (mut script, a, b, _) = Script::with_primary();
    let short = LEASE / 4;
    let ruling = script.lease_authority.call(script.now, &a, Request::Release { epoch: 1 }, script.durable);
    let Ruling::Persist { record, .. } = ruling else { panic!("{ruling:?}") };
    let remembered = LeaseRecord { ended: false, ..record };
    assert_eq!(remembered.length_us, 2_000_000, "it is remembered with its length");
    script.restart_with(short, remembered.clone());
    assert_eq!(lease(&script.at(600).call(&b, Request::Claim { seen: 1 })), (1, "a", 1400));
    let renewed = script.at(700).call(&a, Request::Renew { epoch: 1 });
    assert_eq!(lease(&renewed), (1, "a", 1300), "a renewal takes nothing away");
    assert!(!script.lease_authority.tick(Monotonic(1_999_999)));
    assert_eq!(script.at(2000).call(&b, Request::Claim { seen: 1 }), Answer::Claimed { epoch: 2, sealed: 3 });
    assert_eq!(lease(&script.call(&a, Request::Claim { seen: 1 })), (2, "b", 500), "once");
    // An obituary is certain, whatever the length was.
    script.restart_with(short, remembered);
    let supervisor = caller(5, Peer::Supervisor, "a", 10);
    let death = Request::Obituary { node: "a".to_owned(), incarnation: 10 };
    assert_eq!(lease(&script.call(&supervisor, death)), (1, "a", 0));
    assert_eq!(script.call(&b, Request::Claim { seen: 1 }), Answer::Claimed { epoch: 2, sealed: 3 });
}

/// What is remembered of a lease is never less than what its holder counts by.
#[test]
fn a_claim_that_is_repeated_after_leases_became_longer_is_granted_anew() {
    let (mut script, a, ..) = Script::with_primary();
    let remembered = LeaseRecord {
        epoch: 1,
        holder: "a".to_owned(),
        incarnation: 10,
        length_us: 2_000_000,
        ..LeaseRecord::default()
    };
    script.restart_with(2 * LEASE, remembered);
    assert_eq!(lease(&script.call(&a, Request::Claim { seen: 0 })), (1, "a", 4000));
    script.at(4000);
    let ruling = script.lease_authority.call(script.now, &a, Request::Claim { seen: 1 }, script.durable);
    let Ruling::Persist { record, .. } = ruling else { panic!("{ruling:?}") };
    assert_eq!((record.epoch, record.length_us), (2, 4_000_000));
}

#[test]
fn after_a_lost_catalog_nobody_is_the_holder_and_the_epoch_does_not_go_back() {
    let (mut script, a, b, _) = Script::with_primary();
    script.restart(LeaseRecord { epoch: 1, sealed: 3, ..LeaseRecord::default() });
    assert_eq!(script.lease_authority.open_append(&a, Epoch(1)), Err(Answer::Fenced { epoch: 1 }));
    assert_eq!(lease(&script.call(&b, Request::Claim { seen: 1 })), (1, "", 2000));
    assert_eq!(script.at(2000).call(&b, Request::Claim { seen: 1 }), Answer::Claimed { epoch: 2, sealed: 3 });
}

#[test]
fn an_image_is_published_under_the_newest_epoch_and_not_before_its_cut_is_durable() {
    let (mut script, a, b, _) = Script::with_primary();
    assert_eq!(script.lease_authority.may_publish(&a, Epoch(1), Lsn(3), Lsn(3)), Ok(()));
    assert!(
        why(&script.lease_authority.may_publish(&a, Epoch(1), Lsn(4), Lsn(3)).unwrap_err())
            .contains("durable only to 3")
    );
    assert_eq!(script.lease_authority.may_publish(&b, Epoch(1), Lsn(3), Lsn(3)), Err(Answer::Fenced { epoch: 1 }));
    script.at(2000).call(&b, Request::Claim { seen: 1 });
    assert_eq!(script.lease_authority.may_publish(&a, Epoch(1), Lsn(3), Lsn(3)), Err(Answer::Fenced { epoch: 2 }));
}

#[test]
fn peers_ask_only_what_is_theirs() {
    let tool = caller(1, Peer::Tool, "", 0);
    let supervisor = caller(2, Peer::Supervisor, "a", 0);
    for request in
        [Request::Renew { epoch: 0 }, Request::Claim { seen: 0 }, Request::ImageGet, Request::Follow { after: 0 }]
    {
        assert!(tool.may_ask(&request).is_err() && supervisor.may_ask(&request).is_err());
        assert!(database(3, "a", 0).may_ask(&request).is_ok());
    }
    assert!(tool.may_ask(&Request::Status).is_ok());
    let mut script = Script::new();
    assert!(why(&script.call(&tool, Request::Claim { seen: 0 })).contains("only ask for status"));
}

#[test]
fn a_first_message_must_match_cluster_and_certificate() {
    let sound = database(1, "a", 1).hello;
    let admit =
        |hello: Hello, certified: &str| Caller::admit(ConnectionId(1), hello, 1, &Principal::parse(certified).unwrap());
    assert!(admit(sound.clone(), "node-a").is_ok());
    assert!(admit(sound.clone(), "node-b").unwrap_err().contains("certificate"));
    assert!(admit(sound.clone(), "tool").is_err());
    assert!(admit(Hello { peer: Peer::Tool, ..sound.clone() }, "node-a").is_err());
    assert!(admit(Hello { cluster: 2, ..sound.clone() }, "node-a").unwrap_err().contains("cluster"));
    for name in ["", "A", "../x", "a b", "vault"] {
        assert!(admit(Hello { node: name.to_owned(), ..sound.clone() }, "node-a").is_err());
    }
    assert!(admit(sound.clone(), "client").is_err() && admit(sound.clone(), "vault").is_err());
    assert!(admit(Hello { resp_address: "x".repeat(2000), ..sound }, "node-a").is_err());
}

#[test]
fn the_newer_connection_of_a_node_replaces_the_older() {
    let mut script = Script::new();
    let (old, new) = (database(1, "a", 10), database(2, "a", 11));
    assert_eq!(script.lease_authority.enter(script.now, &old), None);
    assert_eq!(script.lease_authority.enter(script.now, &new), Some(ConnectionId(1)));
    script.report(&old, 5);
    script.lease_authority.leave(old.connection);
    let nodes = script.lease_authority.nodes(script.now);
    assert_eq!((nodes.len(), nodes[0].incarnation, nodes[0].progress.applied), (1, 11, 0));
}
