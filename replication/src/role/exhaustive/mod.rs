//! Model checking: explores every order of events of a small cluster: the real [`Machine`](super::Machine) of two nodes and the
//! real [`LeaseAuthority`](crate::vault::LeaseAuthority) of a vault, in all interleavings of messages, clock ticks, pauses, cuts
//! and crashes up to the bounds of a [`Budget`].
//!
//! The simulator (`tests/sim`) makes long random runs; this visits every state of short ones. It explores the production code,
//! not a specification. The rest of the cluster is modelled as small as possible:
//!
//! | here | in the product |
//! |---|---|
//! | an engine is a list of records | `Engine::execute`, `Engine::apply` |
//! | [`ModelStep::Enter`] and [`ModelStep::Execute`], between which anything may happen | a session paused behind `Serving::enter` |
//! | accepted means durable | `vault::log`, whose own tests cut the power at every operation |
//! | [`ModelStep::Persist`], between a ruling and its being known | `actors::vault` around `Ruling::Persist` |
//! | streams of a connection are queues that may overtake each other | QUIC |
//! | a request sent on a connection that was lost may still arrive, after those of the next one | the same |
//! | a node ships all it has as soon as its stream is open | `actors::shipper`, `stream::window` |
//!
//! The clock advances in halves of a lease. A message may take any time, and a node may read the clock arbitrarily late.
//!
//! Five properties are checked in every state (see [`Cluster::properties`](stateright::Model::properties)). It is also checked
//! that the interesting states are reached: some in which a hand-over has been done, some with a write under a newer epoch.
//! Planted bugs show that the properties can fail: a vault that ignores epochs, a holder that counts its lease from the answer, a
//! holder whose clock is slower than the margin allows. For each of them the checker must find the shortest trace to the
//! violation, and prints it.

mod cluster;
mod vault;
mod world;

use stateright::{Checker, Model};

use cluster::Cluster;

/// What is different from the product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Planted {
    /// The vault takes records from whoever sends them, if they follow its log.
    no_epoch_check: bool,
    /// The holder counts its lease from the answer's arrival, not from the request's sending.
    counts_from_answer: bool,
    /// By how many hundredths the first node's clock is slow.
    slow_percent: u64,
}

/// How much of what makes the world large may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Budget {
    /// Halves of a lease that pass.
    ticks: u8,
    /// How often a node looks at its clock: to renew, to claim, to go on with a switchover.
    looks: u8,
    /// Commands that are executed.
    writes: u8,
    /// Sessions that are paused between their permission and their execution.
    pauses: u8,
    /// Processes that die.
    kills: u8,
    /// Connections that are lost.
    cuts: u8,
    /// Vaults that die.
    vault_kills: u8,
    /// Switchovers that are asked for.
    switchovers: u8,
}

/// Looks at every state, and wants `claims` to hold in all of them, and each of `reached` in one.
fn explore(planted: Planted, budget: Budget, claims: &'static [&'static str], reached: &'static [&'static str]) {
    let checker = Cluster { planted, budget, claims, reached }.checker().threads(2).spawn_bfs().join();
    println!("{planted:?}, {budget:?}: {} states, depth {}", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
}

/// Finds the shortest story in which `claim` does not hold, and prints it.
fn counterexample(planted: Planted, budget: Budget, claim: &'static [&'static str; 1]) {
    // A search for one thing ends where it is found, and one thread finds the nearest.
    let checker = Cluster { planted, budget, claims: claim, reached: &[] }.checker().threads(1).spawn_bfs().join();
    let story = checker.assert_any_discovery(claim[0]);
    println!("{planted:?}: it is not so that {}:", claim[0]);
    for (i, (state, step)) in story.into_vec().into_iter().enumerate() {
        let Some(step) = step else { break };
        println!("  {:2}. {}", i + 1, step.words(&state));
    }
}

/// Explores without bugs: `usual`, or what `longer` makes of it if `TANIST_MODEL_LONGER` is set.
fn explore_all(usual: Budget, reached: &'static [&'static str], longer: impl FnOnce(&mut Budget)) {
    let mut budget = usual;
    if std::env::var_os("TANIST_MODEL_LONGER").is_some() {
        longer(&mut budget);
    }
    explore(Planted::default(), budget, &Cluster::CLAIMS, reached);
}

#[test]
fn time_and_pauses_make_no_second_writer() {
    let budget = Budget { ticks: 2, looks: 1, writes: 2, pauses: 1, ..Budget::default() };
    explore_all(budget, &[Cluster::SECOND_WRITES], |budget| budget.looks = 2);
}

#[test]
fn crashes_of_processes_make_no_second_writer() {
    let budget = Budget { ticks: 1, looks: 1, writes: 1, kills: 1, ..Budget::default() };
    explore_all(budget, &[Cluster::SECOND_WRITES], |budget| budget.writes = 2);
}

#[test]
fn lost_connections_make_no_second_writer() {
    let budget = Budget { ticks: 2, looks: 1, writes: 1, cuts: 1, ..Budget::default() };
    explore_all(budget, &[Cluster::SECOND_WRITES], |budget| budget.writes = 2);
}

#[test]
fn a_vault_that_starts_again_makes_no_second_writer() {
    let budget = Budget { ticks: 2, looks: 1, writes: 1, vault_kills: 1, ..Budget::default() };
    explore_all(budget, &[Cluster::SECOND_WRITES], |budget| budget.writes = 2);
}

#[test]
fn a_switchover_makes_no_second_writer() {
    let budget = Budget { looks: 3, writes: 1, switchovers: 1, ..Budget::default() };
    explore_all(budget, &[Cluster::HANDED_OVER, Cluster::SECOND_WRITES], |budget| budget.cuts = 1);
}

#[test]
fn without_the_epoch_check_two_write_and_an_acknowledged_write_is_lost() {
    let planted = Planted { no_epoch_check: true, ..Planted::default() };
    let budget = Budget { ticks: 2, looks: 1, writes: 2, ..Budget::default() };
    counterexample(planted, budget, &[Cluster::ONE_WRITER]);
    counterexample(planted, budget, &[Cluster::NOTHING_LOST]);
}

#[test]
fn counting_a_lease_from_its_answer_makes_two_holders() {
    let planted = Planted { counts_from_answer: true, ..Planted::default() };
    let budget = Budget { ticks: 3, looks: 2, ..Budget::default() };
    counterexample(planted, budget, &[Cluster::ONE_HOLDER]);
    counterexample(planted, budget, &[Cluster::FRESH]);
    // The time says when, the epoch says who: what is written is safe even so.
    explore(planted, budget, &[Cluster::ONE_WRITER, Cluster::NOTHING_LOST], &[Cluster::SECOND_SERVES]);
}

#[test]
fn the_margin_covers_a_clock_that_is_five_percent_slow_and_not_one_of_ten() {
    let budget = Budget { ticks: 3, looks: 3, ..Budget::default() };
    explore(Planted { slow_percent: 5, ..Planted::default() }, budget, &Cluster::CLAIMS, &[Cluster::SECOND_SERVES]);
    counterexample(Planted { slow_percent: 10, ..Planted::default() }, budget, &[Cluster::ONE_HOLDER]);
}
