//! Scripted sequences of faults that random choice would rarely produce, each aimed at one guarantee.

use std::time::Duration;

use tanist::config::Standby;

use crate::clock::Time;
use crate::fault::{Fault, Moment, Target};
use crate::net::Way;
use crate::random::Random;
use crate::release::NEWEST;
use crate::scenario::{Ambush, Scenario};

/// Adds one to some plans.
pub(crate) fn add(scenario: &mut Scenario, random: &mut Random, from_ms: u64, to_ms: u64) {
    let at = Time(random.between(from_ms, to_ms) * 1_000);
    if random.percent(40) {
        upgrade(scenario, random, from_ms, to_ms);
    }
    match random.below(12) {
        0 => lost_hand_over(scenario, random, at),
        1 => late_renewal(scenario, random, at),
        2 => deaf_vault(scenario, random, at),
        3 => busy_hold(scenario, random, at),
        4 => shorter_lease(scenario, random, at),
        5 => failing_disk(scenario, random, at),
        6 | 7 => long_commands(scenario, random, from_ms, to_ms),
        8 => downgrade(scenario, random, at),
        9 => changes(scenario, random, at),
        10 if scenario.nodes > 2 => old_world(scenario, random, at),
        _ => {}
    }
}

/// Every machine gets the new release, one after the other, and some the old one once more.
fn upgrade(scenario: &mut Scenario, random: &mut Random, from_ms: u64, to_ms: u64) {
    let mut at = Time(random.between(from_ms, to_ms) * 1_000);
    let first = random.index(scenario.nodes + 1);
    for turn in 0..scenario.nodes + 1 {
        let machine = (first + turn) % (scenario.nodes + 1);
        let install = |release| match machine {
            node if node < scenario.nodes => Fault::Install(Target::Node(node), release),
            _ => Fault::InstallVault(release),
        };
        scenario.faults.push((at, install(NEWEST)));
        at = at.after(random.millis(5, 300));
        if random.percent(15) {
            scenario.faults.push((at, install(1)));
            at = at.after(random.millis(5, 300));
            scenario.faults.push((at, install(NEWEST)));
        }
        if random.percent(30) {
            scenario.faults.push((at, Fault::SwitchOver));
            at = at.after(random.millis(5, 100));
        }
    }
}

/// The vault is the last to get the new release, which takes the cluster to its level. It starts again at once, and a node has got
/// the old release meanwhile.
fn downgrade(scenario: &mut Scenario, random: &mut Random, at: Time) {
    scenario.releases.nodes.fill(NEWEST);
    scenario.releases.vault = 1;
    scenario.faults.push((at, Fault::InstallVault(NEWEST)));
    let node = random.index(scenario.nodes);
    scenario.faults.push((at.after(random.millis(0, 60)), Fault::Install(Target::Node(node), 1)));
    scenario.faults.push((at.after(random.millis(60, 250)), Fault::KillVault));
}

/// The answer to a hand-over does not arrive: the old holder must not go on.
fn lost_hand_over(scenario: &mut Scenario, random: &mut Random, at: Time) {
    scenario.faults.push((at, Fault::SwitchOver));
    let ways = if random.percent(50) { vec![Way::Down] } else { vec![Way::Down, Way::Up] };
    let fault = Fault::Cut(Target::Node(0), ways, Some(random.millis(60, 900)));
    scenario.ambushes.push(Ambush { moment: Moment::HandOverSent, skips: 0, fault });
}

/// Renewals are answered late, and then not at all: the holder's count began when it asked.
fn late_renewal(scenario: &mut Scenario, random: &mut Random, at: Time) {
    let slow = random.millis(60, 300);
    scenario.faults.push((at, Fault::Slow(Target::Primary, Way::Down, 1_200, slow)));
    let cut = Fault::Cut(Target::Primary, vec![Way::Up], Some(random.millis(400, 900)));
    scenario.faults.push((at.after(slow.saturating_sub(Duration::from_millis(random.below(20)))), cut));
}

/// The vault hears nothing of the holder, which hears the vault: what is durable then is another's.
fn deaf_vault(scenario: &mut Scenario, random: &mut Random, at: Time) {
    scenario.lease = random.millis(150, 270);
    let cut = Fault::Cut(Target::Primary, vec![Way::Up], Some(random.millis(200, 700)));
    scenario.faults.push((at, cut));
}

/// Switchovers while many commands take their time.
fn busy_hold(scenario: &mut Scenario, random: &mut Random, at: Time) {
    (scenario.slow_percent, scenario.slow) = (40, Duration::from_millis(100));
    for switchover in 0..8 {
        let at = at.after(Duration::from_millis(80 * switchover + random.below(60)));
        scenario.faults.push((at, Fault::SwitchOver));
    }
}

/// The primary changes all the time, and clients keep their connections and think about what they have read: what a connection keeps at one
/// primary must end with it, and what was sent to one must not be executed when it is a primary once more.
fn changes(scenario: &mut Scenario, random: &mut Random, at: Time) {
    scenario.standby = Standby::Forward;
    scenario.think = Duration::from_millis(60);
    for change in 0..random.between(6, 16) {
        let at = at.after(Duration::from_millis(60 * change + random.below(50)));
        scenario.faults.push((at, Fault::SwitchOver));
    }
}

/// The vault is out of reach for the primary and a standby, which reach each other: while the third node takes over, the standby's clients
/// still ask the old primary.
fn old_world(scenario: &mut Scenario, random: &mut Random, at: Time) {
    scenario.standby = Standby::Forward;
    let lasts = random.millis(600, 1_000);
    for target in [Target::Primary, Target::Other] {
        scenario.faults.push((at, Fault::Cut(target, vec![Way::Up, Way::Down], Some(lasts))));
    }
}

/// Nothing but commands that hold all shards for up to three leases, and switchovers asked meanwhile: no lease may run out.
fn long_commands(scenario: &mut Scenario, random: &mut Random, from_ms: u64, to_ms: u64) {
    scenario.faults.clear();
    scenario.ambushes.clear();
    scenario.only_long_commands = true;
    let lease_ms = scenario.lease.as_millis() as u64;
    for _ in 0..random.between(2, 9) {
        let at = Time(random.between(from_ms, to_ms) * 1_000);
        let lasts = random.millis(lease_ms / 2, lease_ms * 3);
        scenario.faults.push((at, Fault::LongCommand(Target::Primary, lasts)));
        if random.percent(50) {
            scenario.faults.push((at.after(random.millis(0, lease_ms)), Fault::SwitchOver));
        }
    }
}

/// The vault starts again with shorter leases while the holder is cut off from it, and counts by the old length.
fn shorter_lease(scenario: &mut Scenario, random: &mut Random, at: Time) {
    scenario.lease = random.millis(400, 480);
    scenario.lease_later = Some(random.millis(150, 200));
    let cut = Fault::Cut(Target::Primary, vec![Way::Down, Way::Up], Some(random.millis(500, 900)));
    scenario.faults.push((at, cut));
    scenario.faults.push((at.after(random.millis(0, 30)), Fault::KillVault));
}

/// Syncs fail, the vault starts again with what the machine's memory holds, and then the power fails.
fn failing_disk(scenario: &mut Scenario, random: &mut Random, at: Time) {
    for time in 0..3 {
        let at = at.after(Duration::from_millis(500 * time));
        scenario.faults.push((at, Fault::SyncFails(random.below(4))));
        scenario.faults.push((at.after(random.millis(250, 480)), Fault::PowerCut(0)));
    }
}
