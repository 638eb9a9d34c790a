use std::time::Duration;

use tanist_db_core::engine::{Engine, EngineOptions};
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::level::Level;

use super::*;
use crate::lease::LeaseTimes;
use crate::limits::{
    IMAGE_ASKERS_MAX, IMAGE_RETRY, POSITION_PAUSE, REPEAT_LOG_EVERY, REPORT_PAUSE, SWITCHOVER_ASKERS_MAX,
};
use crate::node::ImageReport;
use crate::role::{Identity, SwitchoverReport};
use crate::serving::{Role, Serving};
use crate::transport::rpc::Welcome;
use crate::wire::message::{Answer, FollowerView, LeaseView, Progress};

const LEASE: Duration = Duration::from_millis(1_600);
const IMAGE_LOG_BYTES: usize = 1_000;

/// A driver under test: node `a`, start 7. Whoever asks for a switchover is a number.
struct Scene {
    driver: Driver<u32>,
    shared: Arc<Shared>,
    now: Monotonic,
}

/// The lease with another node.
fn others(epoch: u64) -> LeaseView {
    LeaseView { epoch, holder: "b".to_owned(), remaining_us: 1_000_000, ..LeaseView::default() }
}

/// Actions as lines, each in a few words.
fn told(actions: Vec<Action<u32>>) -> Vec<String> {
    let told = actions.into_iter().map(|action| match action {
        Action::Connect { generation } => format!("connect {generation}"),
        Action::Close { .. } => "close".to_owned(),
        Action::Call { call, request, .. } => {
            let request = format!("{request:?}");
            format!("call {call} {}", request.split([' ', '(']).next().unwrap())
        }
        Action::Order(order) => format!("{order:?}"),
        Action::Later(_, Timer::Wake(_)) => "wake".to_owned(),
        Action::Later(_, Timer::Report) => "report later".to_owned(),
        Action::Later(_, Timer::Position) => "position later".to_owned(),
        Action::Reply(asker, outcome) => format!("reply {asker} {}", outcome.is_ok()),
        Action::Note(Note::Role { was, standing }) => format!("{} -> {}", was.word(), standing.role.word()),
        Action::Note(Note::ConnectionLost { why, times }) => format!("lost: {why}, told {}", times.is_some()),
        Action::Note(Note::Connected { .. }) => "connected".to_owned(),
        Action::Note(Note::ImageFailed { times, .. }) => format!("image failed, told {}", times.is_some()),
        Action::Note(Note::ImageStored(_)) => "image stored".to_owned(),
        Action::Note(Note::TookOver(_)) => "took over".to_owned(),
        Action::Note(Note::SwitchoverEnded(outcome)) => format!("switchover {}", outcome.is_ok()),
        Action::Note(Note::SwitchoverUnsettled(_)) => "unsettled".to_owned(),
        Action::End(end) => format!("end {end:?}"),
    });
    told.collect()
}

impl Scene {
    fn new() -> Scene {
        let engine = Engine::new(EngineOptions { shards: 2, ..EngineOptions::default() });
        let shared = Shared::new(Arc::new(engine), Serving::new());
        let address = "a:1".to_owned();
        let me =
            Identity { node: "a".to_owned(), incarnation: 7, resp_address: address.clone(), quic_address: address };
        let machine = Machine::new(me, LeaseTimes::of(LEASE), Lsn(0));
        let plan = ImagePlan::new(Duration::from_secs(3_600), IMAGE_LOG_BYTES as u64);
        Scene { driver: Driver::new(Arc::clone(&shared), machine, plan), shared, now: Monotonic(1_000_000) }
    }

    fn on(&mut self, event: DriverEvent<u32>) -> Vec<String> {
        told(self.driver.handle(event, self.now))
    }

    fn happened(&mut self, event: Event) -> Vec<String> {
        self.on(DriverEvent::Happened(event))
    }

    fn answer(&mut self, call: u64, answer: Answer) -> Vec<String> {
        self.on(DriverEvent::Answered { call, outcome: CallOutcome::Answer(answer) })
    }

    fn connected(&mut self, generation: u64, view: LeaseView) -> Vec<String> {
        let welcome = Welcome { incarnation: 1, lease: LEASE, durable: 0, view, level: Level(1) };
        self.on(DriverEvent::Connected { generation, welcome })
    }

    fn lost(&mut self, generation: u64, why: &str) -> Vec<String> {
        self.on(DriverEvent::ConnectionLost { generation, why: why.to_owned() })
    }

    fn beat(&mut self) -> Vec<String> {
        self.on(DriverEvent::Beat { data_bytes: 0 })
    }

    /// The lease is renewed, however long it has run.
    fn renew(&mut self) {
        let at = self.driver.machine().wake_at().unwrap();
        self.now = self.now.max(at);
        let woken = self.on(DriverEvent::Timer(Timer::Wake(at)));
        let renewal = woken.iter().find_map(|action| action.strip_prefix("call ")?.strip_suffix(" Renew"));
        let renewal = renewal.unwrap_or_else(|| panic!("{woken:?}")).parse().unwrap();
        let view = LeaseView {
            epoch: 1,
            holder: "a".to_owned(),
            incarnation: 7,
            remaining_us: 1_600_000,
            ..LeaseView::default()
        };
        self.answer(renewal, Answer::Lease(view));
    }

    /// A node that another one is primary of.
    fn standby() -> Scene {
        let mut scene = Scene::new();
        assert_eq!(scene.on(DriverEvent::Begin), ["connect 1"]);
        assert_eq!(scene.connected(1, others(4)), ["connected", "Follow(Epoch(4))", "call 1 Report"]);
        scene
    }

    /// The primary of the first epoch.
    fn primary() -> Scene {
        let mut scene = Scene::new();
        scene.on(DriverEvent::Begin);
        scene.connected(1, LeaseView::default());
        scene.answer(1, Answer::Followers(Vec::new()));
        let claimed = scene.happened(Event::Following { durable: Lsn(0) });
        assert!(claimed.contains(&"call 2 Claim".to_owned()), "{claimed:?}");
        let begun = scene.answer(2, Answer::Claimed { epoch: 1, sealed: 0 });
        assert!(begun.contains(&"Append(EpochStart(Epoch(1)))".to_owned()), "{begun:?}");
        let lsn = scene.shared.engine.begin_epoch(Epoch(1)).unwrap();
        scene.happened(Event::OwnRecordAppended { lsn });
        let took = scene.happened(Event::Durable { lsn });
        assert!(took.contains(&"took over".to_owned()), "{took:?}");
        assert_eq!(scene.shared.serving.role(), Role::Primary);
        scene
    }
}

#[test]
fn a_silent_vault_is_replaced_and_what_the_old_connection_still_brings_is_dropped() {
    let mut scene = Scene::standby();
    let late = scene.on(DriverEvent::Answered { call: 1, outcome: CallOutcome::Late });
    assert_eq!(late[..3], ["lost: it is silent, told true", "close", "connect 2"]);
    assert!(!scene.shared.figures.lock().vault.up);
    assert!(scene.answer(1, Answer::Followers(Vec::new())).is_empty(), "that call is over");
    assert!(scene.lost(1, "its end comes late").is_empty(), "another one is being made");
    let view = others(9);
    assert!(scene.on(DriverEvent::News { generation: 1, answer: Answer::Lease(view.clone()) }).is_empty());
    assert!(scene.connected(1, view.clone()).is_empty());
    assert!(scene.connected(2, view).contains(&"Follow(Epoch(9))".to_owned()), "all orders are repeated");
    assert!(scene.shared.figures.lock().vault.up);
}

#[test]
fn what_is_asked_without_a_connection_comes_to_nothing_at_once() {
    let mut scene = Scene::standby();
    scene.lost(1, "cut");
    scene.now = scene.now.after(LEASE * 3);
    for event in [Event::Applied { last: Lsn(1) }, Event::Following { durable: Lsn(1) }] {
        let actions = scene.happened(event);
        assert!(!actions.iter().any(|action| action.starts_with("call")), "{actions:?}");
    }
    assert_eq!(scene.driver.calls_under_way(), 0);
}

#[test]
fn a_connection_that_is_lost_again_and_again_is_told_once_and_then_counted() {
    let mut scene = Scene::standby();
    assert_eq!(scene.lost(1, "reset")[0], "lost: reset, told true");
    assert_eq!(scene.connected(2, others(4))[0], "connected");
    assert_eq!(scene.lost(2, "reset")[0], "lost: reset, told false");
    assert_eq!(scene.connected(3, others(4))[0], "Follow(Epoch(4))", "its loss was not told");
    scene.now = scene.now.after(REPEAT_LOG_EVERY);
    assert_eq!(scene.lost(3, "reset")[0], "lost: reset, told true");
    assert_eq!(scene.connected(4, others(4))[0], "connected");
}

#[test]
fn progress_is_reported_once_at_a_time_and_no_sooner_than_after_a_pause() {
    let mut scene = Scene::standby();
    assert!(scene.happened(Event::Following { durable: Lsn(0) }).iter().all(|action| !action.contains("Report")));
    let nodes = vec![FollowerView { node: "c".to_owned(), ..FollowerView::default() }];
    let answered = scene.answer(1, Answer::Followers(nodes.clone()));
    assert_eq!(answered, ["report later"]);
    assert_eq!(scene.shared.figures.lock().others, nodes);
    scene.now = scene.now.after(REPORT_PAUSE);
    assert_eq!(scene.on(DriverEvent::Timer(Timer::Report)), ["call 2 Report"]);
}

#[test]
fn a_timer_that_a_later_one_has_made_void_does_nothing() {
    let mut scene = Scene::primary();
    let at = scene.driver.machine().wake_at().unwrap();
    assert!(scene.on(DriverEvent::Timer(Timer::Wake(Monotonic(at.0 - 1)))).is_empty());
    scene.now = at;
    let woken = scene.on(DriverEvent::Timer(Timer::Wake(at)));
    assert!(woken.iter().any(|action| action.ends_with("Renew")), "{woken:?}");
    assert!(scene.on(DriverEvent::Timer(Timer::Wake(at))).is_empty(), "it comes once");
}

#[test]
fn an_image_is_ordered_when_due_and_again_a_while_after_it_has_failed() {
    let mut scene = Scene::primary();
    let carry = "Carry(Epoch(1))".to_owned();
    assert!(!scene.beat().contains(&carry), "nothing was written");
    scene.shared.engine.freeze();
    scene.shared.note_log_bytes(IMAGE_LOG_BYTES);
    assert!(scene.beat().contains(&carry));
    assert!(!scene.beat().contains(&carry), "one at a time");
    assert_eq!(scene.on(DriverEvent::Carried(Err("full".to_owned()))), ["image failed, told true"]);
    assert!(scene.shared.figures.lock().image_failed);
    assert!(!scene.beat().contains(&carry));
    scene.now = scene.now.after(IMAGE_RETRY);
    scene.renew();
    assert!(scene.beat().contains(&carry));
    let report = ImageReport { cut: 3, bytes: 10, took_us: 5 };
    assert_eq!(scene.on(DriverEvent::Carried(Ok(report))), ["image stored"]);
    assert_eq!(scene.shared.figures.lock().last_image, Some(report));
}

#[test]
fn who_asks_for_an_image_gets_one_of_all_that_there_was() {
    let mut scene = Scene::primary();
    let carry = "Carry(Epoch(1))".to_owned();
    assert_eq!(
        scene.on(DriverEvent::ImageAsked { way: 1 }),
        std::slice::from_ref(&carry),
        "at once, whatever was written"
    );
    assert!(scene.shared.figures.lock().images().since.is_some());
    scene.shared.engine.freeze();
    let last = scene.shared.engine.last().0;
    assert!(scene.on(DriverEvent::ImageAsked { way: 2 }).is_empty(), "the one under way may not have all");
    let report = |cut| ImageReport { cut, bytes: 10, took_us: 5 };
    let stored = scene.on(DriverEvent::Carried(Ok(report(last - 1))));
    assert_eq!(stored, ["image stored".to_owned(), "reply 1 true".to_owned(), carry]);
    assert_eq!(scene.on(DriverEvent::Carried(Ok(report(last)))), ["image stored", "reply 2 true"]);
    scene.on(DriverEvent::ImageAsked { way: 3 });
    let failed = scene.on(DriverEvent::Carried(Err("full".to_owned())));
    assert_eq!(failed, ["reply 3 false", "image failed, told true"]);
    for way in 0..u32::try_from(IMAGE_ASKERS_MAX).unwrap() {
        assert!(!scene.on(DriverEvent::ImageAsked { way }).iter().any(|line| line.starts_with("reply")));
    }
    assert_eq!(scene.on(DriverEvent::ImageAsked { way: 99 }), ["reply 99 false"]);
    // The lease runs out.
    scene.now = scene.now.after(2 * LEASE);
    let replies = scene.beat().into_iter().filter(|line| line.starts_with("reply") && line.ends_with("false")).count();
    assert_eq!(replies, IMAGE_ASKERS_MAX);
    assert_eq!(Scene::standby().on(DriverEvent::ImageAsked { way: 5 }), ["reply 5 false"]);
}

#[test]
fn all_who_ask_for_a_switchover_hear_of_the_one_under_way_and_too_many_are_sent_away() {
    let mut scene = Scene::primary();
    let asked = |scene: &mut Scene, to: Option<&str>, way| {
        scene.on(DriverEvent::SwitchoverAsked { to: to.map(str::to_owned), way })
    };
    asked(&mut scene, None, 0);
    assert!(scene.driver.is_switching());
    for way in 1..u32::try_from(SWITCHOVER_ASKERS_MAX).unwrap() {
        let to = if way % 2 == 0 { "b" } else { "c" };
        assert!(asked(&mut scene, Some(to), way).is_empty(), "nothing is done twice");
    }
    assert_eq!(asked(&mut scene, None, 99), ["reply 99 false"]);
    let report = SwitchoverReport { successor: "b".to_owned(), epoch: 2, hold_us: 5 };
    scene.driver.switchover_ended(Ok(report));
    let replies = told(std::mem::take(&mut scene.driver.actions));
    assert_eq!(replies[..4], ["switchover true", "reply 0 true", "reply 1 false", "reply 2 true"]);
    assert_eq!(replies.len(), 1 + SWITCHOVER_ASKERS_MAX);
    assert!(!scene.driver.is_switching());
    assert!(scene.shared.progress().last_takeover.starts_with("handed over to b"));
}

#[test]
fn who_hands_over_to_nobody_is_told_so() {
    let mut scene = Scene::standby();
    let refused = scene.on(DriverEvent::SwitchoverAsked { to: None, way: 3 });
    assert_eq!(refused, ["switchover false", "reply 3 false"], "a standby has nothing to hand over");
}

#[test]
fn after_the_end_nothing_is_done_any_more() {
    let mut scene = Scene::standby();
    let ended = scene.happened(Event::Broken(End::Rejoin("why".to_owned())));
    assert_eq!(ended.last().unwrap(), "end Rejoin(\"why\")");
    assert!(scene.lost(1, "cut").is_empty());
    assert!(scene.beat().is_empty());
}

#[test]
fn the_vault_hears_how_the_node_stands() {
    let scene = Scene::primary();
    let progress = scene.shared.progress();
    let stands = Progress { last_takeover: String::new(), ..progress.clone() };
    let expected =
        Progress { role: "primary".to_owned(), applied: 1, durable: 0, epoch: 1, last_takeover: String::new() };
    assert_eq!(stands, expected, "the shipper, which is not here, is who advances the durable position");
    assert!(progress.last_takeover.starts_with("took over from nobody"));
}

#[test]
fn a_standby_whose_clients_read_asks_again_and_again_how_far_the_log_is() {
    let mut scene = Scene::standby();
    scene.happened(Event::Following { durable: Lsn(0) });
    assert_eq!(scene.shared.serving.role(), Role::Standby);
    let call = |actions: &[String]| {
        let asked = actions.iter().find_map(|action| action.strip_prefix("call ")?.strip_suffix(" Position"));
        asked.map(|call| call.parse::<u64>().unwrap())
    };
    assert_eq!(call(&scene.beat()), None, "nobody wants to know");
    scene.shared.serving.freshness().want(true);
    let asked = scene.now;
    let first = call(&scene.beat()).unwrap();
    scene.now = scene.now.after(Duration::from_millis(1));
    assert_eq!(call(&scene.beat()), None, "one is under way");
    assert_eq!(scene.answer(first, Answer::Durable { lsn: 0 }), ["position later"]);
    assert_eq!(scene.shared.serving.freshness().as_of(), asked);
    scene.now = asked.after(POSITION_PAUSE);
    let later = scene.on(DriverEvent::Timer(Timer::Position));
    assert!(call(&later).is_some(), "{later:?}");
}

#[test]
fn a_primary_that_hands_over_has_all_data_of_its_own_time() {
    let mut scene = Scene::primary();
    scene.shared.serving.freshness().want(true);
    assert!(!scene.beat().iter().any(|action| action.contains("Position")), "it serves");
    let serving = Arc::clone(&scene.shared.serving);
    let standing = Standing { role: Role::Standby, ..Standing::joining() };
    let served_until = scene.now.after(Duration::from_millis(10));
    serving.publish(&standing, served_until);
    assert_eq!(serving.freshness().as_of(), served_until, "nobody else has executed anything until then");
}
