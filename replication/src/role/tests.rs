//! Golden scripts: one for each transition, and for each step that can fail or be repeated.

mod switchover;

use std::time::Duration;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::{Epoch, Lsn};

use super::*;
use crate::lease::LeaseTimes;
use crate::limits::{CLAIM_PAUSE, STOP_WAIT, SWITCHOVER_ANSWER_WAIT, SWITCHOVER_CHOOSE_WAIT, SWITCHOVER_HOLD_MAX};
use crate::serving::{Role, Standing};
use crate::wire::message::{FollowerView, LeaseView, Progress};

const LEASE: Duration = Duration::from_millis(1_600);

/// A machine under test: node `a`, start 7.
struct Script {
    machine: Machine,
    now: Monotonic,
    standing: Standing,
}

fn view(epoch: u64, holder: &str, incarnation: u64, remaining_ms: u64) -> LeaseView {
    LeaseView {
        epoch,
        holder: holder.to_owned(),
        incarnation,
        remaining_us: remaining_ms * 1_000,
        ..LeaseView::default()
    }
}

fn standby(node: &str, applied: u64) -> FollowerView {
    let progress = Progress { role: "standby".to_owned(), applied, ..Progress::default() };
    FollowerView { node: node.to_owned(), incarnation: 3, progress, ..FollowerView::default() }
}

fn sight(executing: u32, last: u64) -> Event {
    Event::Tick(Sight { executing, last: Lsn(last), ..Sight::default() })
}

impl Script {
    fn new(applied: u64) -> Script {
        let me = Identity {
            node: "a".to_owned(),
            incarnation: 7,
            resp_address: "a:1".to_owned(),
            quic_address: "a:1".to_owned(),
        };
        Script {
            machine: Machine::new(me, LeaseTimes::of(LEASE), Lsn(applied)),
            now: Monotonic(1_000_000),
            standing: Standing::joining(),
        }
    }

    /// What is to be done about `event`, without what is published.
    fn on(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.machine.handle(event, self.now, &mut effects);
        for effect in effects.extract_if(.., |effect| matches!(effect, Effect::Publish(_))) {
            let Effect::Publish(standing) = effect else { unreachable!() };
            assert!(standing.execute_until <= standing.lease_until);
            self.standing = standing;
        }
        assert_eq!(self.standing.role, self.machine.role());
        effects
    }

    fn pass(&mut self, by: Duration) {
        self.now = self.now.after(by);
    }

    fn executes(&self) -> bool {
        self.now < self.standing.execute_until
    }

    /// A standby that has applied 100 under b's epoch 4.
    fn standby() -> Script {
        let mut script = Script::new(90);
        assert_eq!(script.on(Event::Connected { view: view(4, "b", 3, 1_000), length: LEASE }), [Effect::StartFollow]);
        script.on(Event::Following { durable: Lsn(100) });
        script.on(Event::Applied { last: Lsn(100) });
        assert_eq!(script.standing.role, Role::Standby);
        script
    }

    /// A primary of epoch 5 whose log ends durably at 101.
    fn primary() -> Script {
        let mut script = Script::standby();
        script.on(Event::News(view(4, "b", 3, 0)));
        let sent = script.now;
        script.on(Event::Claimed { epoch: Epoch(5), sealed: Lsn(100), sent });
        script.on(Event::OwnRecordAppended { lsn: Lsn(101) });
        script.on(Event::Durable { lsn: Lsn(101) });
        assert_eq!(script.standing.role, Role::Primary);
        script
    }

    /// A primary that holds, with the log's end at 120 and durable.
    fn drained() -> Script {
        let mut script = Script::primary();
        script.on(sight(2, 118));
        assert_eq!(script.on(Event::SwitchoverAsked { to: None }), [Effect::Ask(Ask::Followers)]);
        let sent = script.now;
        script.on(Event::Followers { sent, nodes: vec![standby("b", 110)] });
        assert_eq!(script.standing.role, Role::HandingOver);
        assert!(!script.executes());
        assert_eq!(script.on(sight(1, 119)), [], "a batch still executes");
        script.on(sight(0, 120));
        script.on(Event::Durable { lsn: Lsn(120) });
        script
    }

    /// Has asked the vault to hand the lease to `b` at 120.
    fn handed() -> Script {
        let mut script = Script::drained();
        let sent = script.now;
        let effects = script.on(Event::Followers { sent, nodes: vec![standby("b", 120)] });
        assert_eq!(effects, [Effect::Ask(hand_over())]);
        script
    }
}

fn hand_over() -> Ask {
    Ask::HandOver { epoch: Epoch(5), successor: "b".to_owned(), at: Lsn(120) }
}

fn ended(effects: &[Effect]) -> Option<&End> {
    effects.iter().find_map(|effect| match effect {
        Effect::End(end) => Some(end),
        _ => None,
    })
}

fn is_rejoin(effects: &[Effect]) -> bool {
    matches!(ended(effects), Some(End::Rejoin(_)))
}

/// Lost: a process whose role driver had stood still for longer than its lease, and whose follower had not, ended in a panic: it began
/// an epoch that was older than what it had applied.
#[test]
fn a_claim_that_was_overtaken_by_the_followed_log_is_given_up() {
    let mut script = Script::standby();
    script.on(Event::News(view(4, "b", 3, 0)));
    let sent = script.now;
    let effects = script.on(Event::Claimed { epoch: Epoch(5), sealed: Lsn(100), sent });
    assert_eq!(effects.last(), Some(&Effect::BeginEpoch(Epoch(5))));
    assert_eq!(script.on(Event::Overtaken)[..2], [Effect::CloseAppend, Effect::StartFollow]);
    assert_eq!(script.standing.role, Role::Standby);
    script.on(Event::News(view(6, "b", 3, 1_000)));
    assert_eq!((script.standing.role, script.machine.epoch()), (Role::Standby, Epoch(6)));
}

/// Lost: a process that had stood still for longer than its lease was told by its follow stream, late, of records of the epoch that
/// had overtaken it, took them for its own beginning, and said that it had taken over.
#[test]
fn records_of_a_newer_epoch_are_not_taken_for_the_own_beginning() {
    for (sealed, told_before, told_after) in
        [(100, None, Some(103)), (105, Some(108), None), (105, Some(108), Some(109))]
    {
        let mut script = Script::standby();
        script.on(Event::News(view(4, "b", 3, 0)));
        let sent = script.now;
        script.on(Event::Claimed { epoch: Epoch(5), sealed: Lsn(sealed), sent });
        if let Some(durable) = told_before {
            script.on(Event::Following { durable: Lsn(durable) });
            assert_eq!(
                script.on(Event::Applied { last: Lsn(sealed) }),
                [Effect::StopFollow, Effect::BeginEpoch(Epoch(5))]
            );
        }
        assert_eq!(script.on(Event::OwnRecordAppended { lsn: Lsn(sealed + 1) }), []);
        if let Some(durable) = told_after {
            assert_eq!(script.on(Event::Following { durable: Lsn(durable) }), []);
        }
        assert_eq!(script.standing.role, Role::Promoting);
        script.on(Event::Durable { lsn: Lsn(sealed + 1) });
        assert_eq!(script.standing.role, Role::Primary, "its own append stream says so");
        script.on(Event::Shutdown);
        assert_eq!(script.on(sight(0, sealed + 5)), []);
        assert_eq!(script.on(Event::Following { durable: Lsn(sealed + 9) }), [], "nor are they taken for its end");
    }
}

#[test]
fn a_joining_node_is_a_standby_once_it_has_caught_up_and_claims_nothing_before() {
    let mut script = Script::new(90);
    assert_eq!(script.on(Event::Connected { view: view(4, "b", 3, 0), length: LEASE }), [Effect::StartFollow]);
    assert_eq!(script.on(Event::Following { durable: Lsn(100) }), []);
    assert_eq!(script.on(Event::Applied { last: Lsn(99) }), []);
    assert_eq!((script.standing.role, script.machine.wake_at()), (Role::Joining, None));
    assert_eq!(script.on(Event::Applied { last: Lsn(100) }), [Effect::Ask(Ask::Claim { seen: Epoch(4) })]);
}

#[test]
fn the_first_node_of_a_cluster_claims_epoch_one() {
    let mut script = Script::new(0);
    script.on(Event::Connected { view: LeaseView::default(), length: LEASE });
    let effects = script.on(Event::Following { durable: Lsn(0) });
    assert_eq!(effects, [Effect::Ask(Ask::Claim { seen: Epoch(0) })]);
    let sent = script.now;
    let effects = script.on(Event::Claimed { epoch: Epoch(1), sealed: Lsn(0), sent });
    assert_eq!(effects, [Effect::OpenAppend(Epoch(1)), Effect::StopFollow, Effect::BeginEpoch(Epoch(1))]);
}

#[test]
fn a_takeover_waits_for_the_sealed_end_and_serves_when_its_epoch_start_is_durable() {
    let mut script = Script::standby();
    assert_eq!(script.machine.wake_at(), Some(script.now.after(Duration::from_secs(1))));
    let effects = script.on(Event::News(view(4, "b", 3, 0)));
    assert_eq!(effects, [Effect::Ask(Ask::Claim { seen: Epoch(4) })]);
    let sent = script.now;
    script.pass(Duration::from_millis(3));
    let effects = script.on(Event::Claimed { epoch: Epoch(5), sealed: Lsn(104), sent });
    assert_eq!((effects, script.standing.role), (vec![Effect::OpenAppend(Epoch(5))], Role::Promoting));
    assert_eq!(script.on(Event::Applied { last: Lsn(103) }), []);
    script.pass(Duration::from_millis(5));
    let effects = script.on(Event::Applied { last: Lsn(104) });
    assert_eq!(effects, [Effect::StopFollow, Effect::BeginEpoch(Epoch(5))]);
    assert_eq!(script.on(Event::OwnRecordAppended { lsn: Lsn(105) }), []);
    assert_eq!(script.on(Event::Durable { lsn: Lsn(104) }), []);
    assert!(!script.executes(), "reads wait too: what they would see may not be sealed yet");
    script.pass(Duration::from_millis(2));
    let effects = script.on(Event::Durable { lsn: Lsn(105) });
    let [Effect::TookOver(takeover)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((takeover.from.as_str(), takeover.epoch, takeover.total()), ("b", Epoch(5), Duration::from_millis(10)));
    assert!(takeover.words().contains("in 10.0 ms: claim 3.0, catching up 5.0, epoch start durable 2.0"));
    assert!(script.executes());
    assert_eq!(script.standing.lease_until, sent.after(LEASE - LEASE / 16), "counted from the claim's sending");
    assert_eq!(script.standing.primary.as_ref().unwrap().resp, "a:1");
    assert!(script.standing.took_over, "its clients need not wait for b");
}

#[test]
fn a_lease_that_runs_out_unannounced_is_claimed_and_a_refusal_is_waited_out() {
    let mut script = Script::standby();
    script.pass(Duration::from_millis(999));
    assert_eq!(script.on(sight(0, 100)), []);
    script.pass(Duration::from_millis(1));
    assert_eq!(script.on(sight(0, 100)), [Effect::Ask(Ask::Claim { seen: Epoch(4) })]);
    let (ask, sent) = (Ask::Claim { seen: Epoch(4) }, script.now);
    assert_eq!(script.on(Event::Lease { ask, sent, view: view(4, "b", 3, 800) }), []);
    assert_eq!(script.machine.wake_at(), Some(script.now.after(Duration::from_millis(800))));
}

#[test]
fn of_two_claimants_the_slower_sees_the_newer_epoch_and_stays() {
    let mut script = Script::standby();
    script.on(Event::News(view(4, "b", 3, 0)));
    let (ask, sent) = (Ask::Claim { seen: Epoch(4) }, script.now);
    assert_eq!(script.on(Event::Lease { ask, sent, view: view(5, "c", 1, 1_600) }), []);
    assert_eq!((script.standing.role, script.standing.epoch), (Role::Standby, Epoch(5)));
    assert_eq!(script.standing.primary.as_ref().unwrap().node, "c");
}

#[test]
fn a_claim_whose_answer_was_lost_is_repeated_as_it_was() {
    let mut script = Script::standby();
    script.on(Event::News(view(4, "b", 3, 0)));
    assert_eq!(script.on(Event::Disconnected), []);
    assert_eq!(script.on(Event::Unanswered { ask: Ask::Claim { seen: Epoch(4) } }), []);
    script.pass(Duration::from_millis(100));
    let effects = script.on(Event::Connected { view: view(5, "a", 7, 1_500), length: LEASE });
    assert_eq!(effects, [Effect::StartFollow, Effect::Ask(Ask::Claim { seen: Epoch(4) })]);
    let sent = script.now;
    let effects = script.on(Event::Claimed { epoch: Epoch(5), sealed: Lsn(100), sent });
    assert_eq!(effects, [Effect::OpenAppend(Epoch(5)), Effect::StopFollow, Effect::BeginEpoch(Epoch(5))]);
}

#[test]
fn an_own_epoch_whose_lease_has_run_out_is_followed_by_a_new_one() {
    let mut script = Script::standby();
    script.on(Event::News(view(4, "b", 3, 0)));
    script.on(Event::Disconnected);
    script.on(Event::Unanswered { ask: Ask::Claim { seen: Epoch(4) } });
    script.pass(Duration::from_millis(100));
    let effects = script.on(Event::Connected { view: view(5, "a", 7, 0), length: LEASE });
    assert_eq!(effects, [Effect::StartFollow, Effect::Ask(Ask::Claim { seen: Epoch(5) })]);
}

#[test]
fn an_answer_to_a_claim_that_comes_too_late_changes_nothing() {
    let mut replaced = Script::standby();
    replaced.on(Event::News(view(4, "b", 3, 0)));
    replaced.on(Event::News(view(6, "b", 4, 1_000)));
    let sent = replaced.now;
    let late = || Event::Claimed { epoch: Epoch(5), sealed: Lsn(100), sent };
    assert_eq!(replaced.on(late()), []);
    assert_eq!(replaced.standing.role, Role::Standby);
    let mut primary = Script::primary();
    assert_eq!(primary.on(late()), []);
    assert_eq!(primary.standing.role, Role::Primary);
}

#[test]
fn an_epoch_granted_to_an_earlier_start_of_this_node_is_not_taken_for_its_own() {
    let mut script = Script::standby();
    assert_eq!(script.on(Event::News(view(5, "a", 6, 1_500))), []);
    assert_eq!(script.machine.wake_at(), Some(script.now.after(Duration::from_millis(1_500))));
}

#[test]
fn a_connection_lost_while_promoting_is_resumed() {
    let mut script = Script::standby();
    script.on(Event::News(view(4, "b", 3, 0)));
    let sent = script.now;
    script.on(Event::Claimed { epoch: Epoch(5), sealed: Lsn(104), sent });
    script.on(Event::Disconnected);
    let effects = script.on(Event::Connected { view: view(5, "a", 7, 1_000), length: LEASE });
    let renew = Effect::Ask(Ask::Renew { epoch: Epoch(5) });
    assert_eq!(effects, [Effect::StartFollow, Effect::OpenAppend(Epoch(5)), renew.clone()]);
    script.on(Event::Applied { last: Lsn(104) });
    script.on(Event::OwnRecordAppended { lsn: Lsn(105) });
    script.on(Event::Disconnected);
    let effects = script.on(Event::Connected { view: view(5, "a", 7, 1_000), length: LEASE });
    assert_eq!(effects, [Effect::OpenAppend(Epoch(5)), renew], "what is begun is not begun again, only shipped");
    script.on(Event::Durable { lsn: Lsn(105) });
    assert_eq!(script.standing.role, Role::Primary);
}

#[test]
fn an_epoch_that_is_over_before_it_was_begun_leaves_a_standby() {
    for fence in [Event::Fenced { epoch: Epoch(6) }, Event::News(view(6, "b", 4, 1_000))] {
        let mut script = Script::standby();
        script.on(Event::News(view(4, "b", 3, 0)));
        let sent = script.now;
        script.on(Event::Claimed { epoch: Epoch(5), sealed: Lsn(104), sent });
        assert_eq!(script.on(fence)[0], Effect::CloseAppend);
        assert_eq!(script.standing.role, Role::Standby);
    }
}

#[test]
fn an_epoch_that_is_over_after_it_was_begun_ends_the_process() {
    let mut script = Script::standby();
    script.on(Event::News(view(4, "b", 3, 0)));
    let sent = script.now;
    script.on(Event::Claimed { epoch: Epoch(5), sealed: Lsn(100), sent });
    assert!(is_rejoin(&script.on(Event::Fenced { epoch: Epoch(6) })), "its start record may never be sealed");
    assert_eq!(script.standing.role, Role::Fenced);
}

#[test]
fn a_log_that_ends_before_what_was_applied_is_not_continued() {
    let mut script = Script::standby();
    script.on(Event::News(view(4, "b", 3, 0)));
    let sent = script.now;
    assert!(is_rejoin(&script.on(Event::Claimed { epoch: Epoch(5), sealed: Lsn(99), sent })));
}

#[test]
fn a_vault_that_has_forgotten_epochs_is_refused() {
    let mut script = Script::primary();
    script.on(Event::Disconnected);
    let effects = script.on(Event::Connected { view: view(3, "b", 1, 0), length: LEASE });
    assert!(matches!(ended(&effects), Some(End::Failed(_))), "{effects:?}");
    assert!(!script.executes());
}

#[test]
fn renewals_count_from_their_sending_and_an_unanswered_one_extends_nothing() {
    let mut script = Script::primary();
    let granted = script.standing.lease_until;
    script.pass(Duration::from_millis(200));
    let ask = Ask::Renew { epoch: Epoch(5) };
    assert_eq!(script.on(sight(0, 101)), [Effect::Ask(ask.clone())]);
    let sent = script.now;
    script.pass(Duration::from_millis(150));
    script.on(Event::Lease { ask: ask.clone(), sent, view: view(5, "a", 7, 1_590) });
    assert_eq!(script.standing.lease_until, sent.after(LEASE - LEASE / 16));
    assert!(script.standing.lease_until > granted);
    let until = script.standing.lease_until;
    script.pass(Duration::from_millis(100));
    script.on(sight(0, 101));
    script.on(Event::Unanswered { ask });
    assert_eq!(script.standing.lease_until, until);
}

#[test]
fn a_primary_whose_vault_is_away_holds_and_goes_on_under_the_same_epoch() {
    let mut script = Script::primary();
    script.on(Event::Disconnected);
    script.pass(LEASE * 3);
    assert_eq!(script.on(sight(0, 101)), [], "there is nobody to ask");
    assert!(!script.executes());
    assert_eq!(script.standing.role, Role::Primary);
    let effects = script.on(Event::Connected { view: view(5, "a", 7, 0), length: LEASE });
    let ask = Ask::Renew { epoch: Epoch(5) };
    assert_eq!(effects, [Effect::OpenAppend(Epoch(5)), Effect::Ask(ask.clone())]);
    assert!(!script.executes());
    let sent = script.now;
    script.on(Event::Lease { ask, sent, view: view(5, "a", 7, 1_600) });
    assert!(script.executes());
}

#[test]
fn a_primary_that_was_replaced_ends_whatever_tells_it() {
    let renew = Ask::Renew { epoch: Epoch(5) };
    let tellings = [
        Event::Fenced { epoch: Epoch(6) },
        Event::News(view(6, "b", 4, 1_000)),
        Event::Connected { view: view(6, "b", 4, 1_000), length: LEASE },
        Event::Lease { ask: renew.clone(), sent: Monotonic(1_000_000), view: view(6, "b", 4, 1_000) },
        // Ended by an obituary or a release that it did not ask for: not even a renewal brings it back.
        Event::Lease { ask: renew, sent: Monotonic(1_000_000), view: view(5, "a", 7, 0) },
    ];
    for telling in tellings {
        let mut script = Script::primary();
        assert!(is_rejoin(&script.on(telling.clone())), "{telling:?}");
        assert_eq!((script.standing.role, script.executes()), (Role::Fenced, false));
        assert_eq!(script.on(sight(0, 500)), [], "nothing follows");
    }
}

/// A machine that asks to be woken when nothing can be done is woken forever.
#[test]
fn it_wants_to_be_woken_for_the_next_renewal_or_claim_and_only_with_a_vault_to_ask() {
    let mut primary = Script::primary();
    assert_eq!(primary.machine.wake_at(), Some(primary.now.after(LeaseTimes::of(LEASE).renew_every)));
    primary.on(Event::Disconnected);
    assert_eq!(primary.machine.wake_at(), None);

    let mut standby = Script::standby();
    assert!(standby.machine.wake_at().is_some_and(|claim| claim >= standby.now.after(Duration::from_millis(1_000))));
    standby.on(Event::Disconnected);
    assert_eq!(standby.machine.wake_at(), None);
}

#[test]
fn what_was_never_answered_is_asked_again() {
    let mut standby = Script::standby();
    let claim = Ask::Claim { seen: Epoch(4) };
    assert_eq!(standby.on(Event::News(view(4, "b", 3, 0))), [Effect::Ask(claim.clone())]);
    standby.pass(CLAIM_PAUSE);
    assert_eq!(standby.on(sight(0, 100)), [], "the answer may still come");
    assert_eq!(standby.on(Event::Unanswered { ask: claim.clone() }), [Effect::Ask(claim)]);

    let mut primary = Script::primary();
    assert_eq!(primary.on(Event::SwitchoverAsked { to: None }), [Effect::Ask(Ask::Followers)]);
    assert_eq!(primary.on(sight(0, 101)), []);
    assert_eq!(primary.on(Event::Unanswered { ask: Ask::Followers }), [Effect::Ask(Ask::Followers)]);
}

/// It executes nothing yet, but its lease is told from the claim on.
#[test]
fn a_claimant_shows_its_lease() {
    let mut script = Script::standby();
    script.on(Event::News(view(4, "b", 3, 0)));
    let sent = script.now;
    script.on(Event::Claimed { epoch: Epoch(5), sealed: Lsn(105), sent });
    assert_eq!(script.standing.role, Role::Promoting);
    assert!(script.standing.lease_until > sent && !script.executes());
}

/// The vault extends a lease when it is asked to renew it, and for no other question.
#[test]
fn an_answer_that_is_no_renewal_extends_nothing() {
    let mut script = Script::handed();
    let until = script.standing.lease_until;
    script.pass(Duration::from_millis(400));
    let sent = script.now;
    script.on(Event::Lease { ask: hand_over(), sent, view: view(5, "a", 7, 900) });
    assert_eq!((script.standing.role, script.standing.lease_until), (Role::Primary, until));
    script.on(Event::Lease { ask: Ask::Renew { epoch: Epoch(5) }, sent, view: view(5, "a", 7, 1_600) });
    assert!(script.standing.lease_until > until);
}

/// Lost: clients waited 200 ms for replies of a dead primary, in one of four takeovers, because news of the grant came before the answer.
#[test]
fn a_takeover_is_one_also_if_news_of_its_grant_come_before_the_answer() {
    let mut script = Script::standby();
    script.on(Event::News(view(4, "b", 3, 0)));
    let sent = script.now;
    assert_eq!(script.on(Event::News(view(5, "a", 7, 1_600))), []);
    script.on(Event::Claimed { epoch: Epoch(5), sealed: Lsn(100), sent });
    script.on(Event::OwnRecordAppended { lsn: Lsn(101) });
    script.on(Event::Durable { lsn: Lsn(101) });
    assert!(script.standing.took_over);
}

#[test]
fn a_takeover_names_the_holder_before_whatever_is_said_twice() {
    let mut script = Script::standby();
    script.on(Event::News(view(4, "b", 3, 0)));
    let sent = script.now;
    script.on(Event::Claimed { epoch: Epoch(5), sealed: Lsn(100), sent });
    script.on(Event::OwnRecordAppended { lsn: Lsn(101) });
    for _ in 0..2 {
        script.on(Event::News(view(5, "a", 7, 1_600)));
    }
    let effects = script.on(Event::Durable { lsn: Lsn(101) });
    assert!(matches!(&effects[..], [Effect::TookOver(takeover)] if takeover.from == "b"), "{effects:?}");
}

#[test]
fn a_shorter_lease_is_renewed_as_often_as_it_needs() {
    let mut script = Script::new(100);
    let length = LEASE / 8;
    script.on(Event::Connected { view: view(4, "b", 3, 0), length });
    assert_eq!(script.machine.times(), LeaseTimes { length, renew_every: length / 4 });
}

#[test]
fn old_news_changes_nothing() {
    let mut script = Script::primary();
    assert_eq!(script.on(Event::News(view(4, "b", 3, 900))), []);
    assert!(script.executes());
}

#[test]
fn a_primary_that_is_stopped_drains_and_gives_the_lease_up() {
    let mut script = Script::primary();
    assert_eq!(script.on(Event::Shutdown), []);
    assert!(!script.executes());
    assert_eq!(script.on(sight(1, 110)), []);
    assert_eq!(script.on(sight(0, 111)), []);
    let release = Ask::Release { epoch: Epoch(5) };
    assert_eq!(script.on(Event::Durable { lsn: Lsn(111) }), [Effect::Ask(release.clone())]);
    let sent = script.now;
    let effects = script.on(Event::Lease { ask: release, sent, view: view(5, "a", 7, 0) });
    assert_eq!(effects, [Effect::End(End::Stopped)]);
    assert_ne!(script.standing.role, Role::Fenced);
}

#[test]
fn stopping_does_not_wait_for_ever_and_a_standby_not_at_all() {
    let mut script = Script::primary();
    script.on(Event::Disconnected);
    script.on(Event::Shutdown);
    script.pass(STOP_WAIT);
    assert_eq!(ended(&script.on(sight(0, 130))), Some(&End::Stopped));
    assert_eq!(Script::standby().on(Event::Shutdown), [Effect::End(End::Stopped)]);
    let mut script = Script::handed();
    script.on(Event::Shutdown);
    assert_eq!(ended(&script.on(Event::News(view(6, "b", 3, 1_600)))), Some(&End::Stopped));
}

#[test]
fn a_broken_follower_ends_the_process() {
    let mut script = Script::standby();
    let end = End::Rejoin("the log has been trimmed".to_owned());
    assert_eq!(script.on(Event::Broken(end.clone())), [Effect::End(end)]);
}
