//! Nodes against the real vault, each on its own threads, in one process. A crash ends all actors of a node at once. A cut
//! (network partition) is a relay between node and vault that drops everything.

mod scene;

use std::time::Duration;

use rustix::process::{Pid, Signal};
use scene::{LEASE, Scene, Stopwatch, Writer, eventually};

use crate::role::End;
use crate::serving::Role;
use crate::supervisor::supervise;

#[actix_rt::test]
async fn a_pair_replicates_and_a_crashed_primary_is_replaced_without_losing_a_confirmed_write() {
    let scene = Scene::new().await;
    let a = scene.node("a", 1).await;
    a.serves().await;
    let b = scene.node("b", 1).await;
    b.has_role(Role::Standby).await;
    let writer = Writer::start(&[&a, &b]);
    eventually(|| writer.confirmed() > 500).await;
    a.crash();
    let dead_at = Stopwatch::start();
    scene.obituary("a", 1).await;
    let before = writer.confirmed();
    eventually(|| writer.confirmed() > before).await;
    println!("first write {} ms after the crash, {}", dead_at.elapsed().as_millis(), b.status().last_takeover);
    eventually(|| writer.confirmed() > before + 500).await;
    assert_eq!(b.status().role, Role::Primary);
    let a = scene.node("a", 2).await;
    a.has_role(Role::Standby).await;
    let confirmed = writer.stop().await;
    b.holds(&confirmed);
    eventually(|| a.last() == b.last()).await;
    assert_eq!(a.content_hash(), b.content_hash());
    scene.stop(&[&a, &b]).await;
}

/// The child stands for the database process: node `a` dies with it, and only its supervisor can tell the vault.
#[actix_rt::test]
async fn the_supervisor_of_a_killed_process_ends_its_lease_within_milliseconds() {
    let scene = Scene::new().await;
    let (tell, mut started) = tokio::sync::mpsc::channel(4);
    let pid_file = scene.file("pid");
    let note = pid_file.clone();
    let supervised = actix_rt::spawn(supervise(
        scene.supervisor("a"),
        move |incarnation| {
            tell.try_send(incarnation).unwrap();
            let mut command = std::process::Command::new("sh");
            command.args(["-c", &format!("echo $$ > {}; exec cat", note.display())]);
            command
        },
        std::future::pending(),
    ));
    let a = scene.node("a", started.recv().await.unwrap()).await;
    a.serves().await;
    let b = scene.node("b", 1).await;
    b.has_role(Role::Standby).await;
    a.crash();
    let pid: i32 = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    let dead_at = Stopwatch::start();
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    b.serves().await;
    let took = dead_at.elapsed();
    println!("{} us from the kill until the standby serves, {}", took.as_micros(), b.status().last_takeover);
    assert!(took < LEASE / 2, "nobody waited for the lease");
    assert!(started.recv().await.is_some(), "it is started again");
    supervised.abort();
    scene.stop(&[&b]).await;
}

#[actix_rt::test]
async fn without_an_obituary_the_lease_has_to_run_out_first() {
    let scene = Scene::new().await;
    let a = scene.node("a", 1).await;
    a.serves().await;
    let b = scene.node("b", 1).await;
    b.has_role(Role::Standby).await;
    let dead_at = Stopwatch::start();
    a.crash();
    b.serves().await;
    assert!(dead_at.elapsed() > LEASE / 2, "the vault cannot know that it is dead");
    scene.stop(&[&b]).await;
}

#[actix_rt::test]
async fn switchovers_back_and_forth_under_load_lose_nothing() {
    let scene = Scene::new().await;
    let a = scene.node("a", 1).await;
    a.serves().await;
    let b = scene.node("b", 1).await;
    b.has_role(Role::Standby).await;
    let writer = Writer::start(&[&a, &b]);
    let mut holds = Vec::new();
    for round in 0..6 {
        let (from, to) = if round % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let before = writer.confirmed();
        eventually(|| writer.confirmed() > before + 200).await;
        let report = from.handle.request_switchover(None).await.unwrap();
        assert_eq!(report.successor, to.name);
        holds.push(report.hold_us);
        to.serves().await;
        assert_eq!(from.status().role, Role::Standby);
    }
    println!("holds in us: {holds:?}; longest gap between confirmed writes {:?}", writer.longest_gap());
    let confirmed = writer.stop().await;
    for node in [&a, &b] {
        eventually(|| node.last() == a.last().max(b.last())).await;
        node.holds(&confirmed);
    }
    assert_eq!(a.content_hash(), b.content_hash());
    let refused = b.handle.request_switchover(None).await.unwrap_err();
    assert!(refused.contains("ask the primary, a"), "{refused}");
    scene.stop(&[&a, &b]).await;
}

/// Four of them went there and back again.
#[actix_rt::test]
async fn switchovers_that_are_asked_for_at_once_are_one() {
    let scene = Scene::new().await;
    let a = scene.node("a", 1).await;
    a.serves().await;
    let b = scene.node("b", 1).await;
    b.has_role(Role::Standby).await;
    let asked = [None, Some("b".to_owned()), None, None].map(|to| a.handle.request_switchover(to));
    let reports = futures_util::future::join_all(asked).await;
    assert_eq!(reports[0].as_ref().unwrap().epoch, 2);
    assert!(reports.iter().all(|report| report == &reports[0]), "{reports:?}");
    b.serves().await;
    let again = b.handle.request_switchover(Some("b".to_owned())).await.unwrap();
    assert_eq!((again.successor.as_str(), again.epoch), ("b", 2), "what is so already is a success");
    scene.stop(&[&a, &b]).await;
}

#[actix_rt::test]
async fn a_switchover_without_a_standby_is_refused_and_changes_nothing() {
    let scene = Scene::new().await;
    let a = scene.node("a", 1).await;
    a.serves().await;
    let refused = a.handle.request_switchover(Some("b".to_owned())).await.unwrap_err();
    assert_eq!(refused, "b is not connected to the vault as a standby");
    let writer = Writer::start(&[&a]);
    eventually(|| writer.confirmed() > 10).await;
    a.holds(&writer.stop().await);
    scene.stop(&[&a]).await;
}

#[actix_rt::test]
async fn while_the_vault_is_away_nothing_is_confirmed_and_then_service_resumes_in_the_same_process() {
    let mut scene = Scene::new().await;
    let a = scene.node("a", 1).await;
    a.serves().await;
    let writer = Writer::start(&[&a]);
    eventually(|| writer.confirmed() > 200).await;
    scene.stop_vault().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let before = writer.confirmed();
    tokio::time::sleep(LEASE * 2).await;
    assert_eq!(writer.confirmed(), before, "nobody can confirm anything");
    let epoch = a.status().epoch;
    scene.start_vault().await;
    let back_at = Stopwatch::start();
    eventually(|| writer.confirmed() > before + 200).await;
    println!("writes are confirmed again {} ms after the vault is back", back_at.elapsed().as_millis());
    assert_eq!(a.status().epoch, epoch);
    a.holds(&writer.stop().await);
    scene.stop(&[&a]).await;
}

#[actix_rt::test]
async fn a_cut_off_primary_is_replaced_and_has_to_rejoin() {
    let scene = Scene::new().await;
    let relay = scene.relay().await;
    let a = scene.node_over("a", 1, relay.address).await;
    a.serves().await;
    let b = scene.node("b", 1).await;
    b.has_role(Role::Standby).await;
    let writer = Writer::start(&[&a, &b]);
    eventually(|| writer.confirmed() > 200).await;
    relay.cut(true);
    b.serves().await;
    let before = writer.confirmed();
    eventually(|| writer.confirmed() > before + 200).await;
    relay.cut(false);
    let ended = tokio::time::timeout(Duration::from_secs(5), a.handle.ended()).await.unwrap();
    assert!(matches!(&ended, End::Rejoin(why) if why.contains("fenced")), "{ended:?}");
    assert_eq!(a.status().role, Role::Fenced);
    b.holds(&writer.stop().await);
    scene.stop(&[&b]).await;
}

#[actix_rt::test]
async fn a_short_cut_costs_no_term_and_heals_quickly() {
    let scene = Scene::new().await;
    let relay = scene.relay().await;
    let a = scene.node_over("a", 1, relay.address).await;
    a.serves().await;
    let writer = Writer::start(&[&a]);
    eventually(|| writer.confirmed() > 200).await;
    relay.cut(true);
    tokio::time::sleep(LEASE * 2).await;
    relay.cut(false);
    let healed_at = Stopwatch::start();
    let before = writer.confirmed();
    eventually(|| writer.confirmed() > before).await;
    println!("confirmed again {} ms after the cut healed", healed_at.elapsed().as_millis());
    assert_eq!(a.status().epoch, 1);
    a.holds(&writer.stop().await);
    scene.stop(&[&a]).await;
}

#[actix_rt::test]
async fn images_are_shipped_while_it_runs_and_a_new_node_loads_one() {
    let scene = Scene::new().await;
    let a = scene.node("a", 1).await;
    a.serves().await;
    let writer = Writer::start(&[&a]);
    eventually(|| a.status().images_stored >= 3).await;
    let b = scene.node("b", 1).await;
    assert!(b.joined_at > 0, "it began with an image, not with the log's first record");
    b.has_role(Role::Standby).await;
    let confirmed = writer.stop().await;
    eventually(|| b.last() == a.last()).await;
    b.holds(&confirmed);
    assert_eq!(a.content_hash(), b.content_hash());
    let status = a.status();
    println!("{} freezes, longest pause {} us, {:?}", status.freezes, status.freeze_pause_us_max, status.last_image);
    scene.stop(&[&a, &b]).await;
}

#[actix_rt::test]
async fn a_primary_that_stops_hands_its_lease_back_at_once() {
    let scene = Scene::new().await;
    let a = scene.node("a", 1).await;
    a.serves().await;
    let b = scene.node("b", 1).await;
    b.has_role(Role::Standby).await;
    let begun = Stopwatch::start();
    a.handle.shutdown().await;
    assert_eq!(a.handle.ended().await, End::Stopped);
    b.serves().await;
    assert!(begun.elapsed() < LEASE, "nobody had to wait for the lease: {:?}", begun.elapsed());
    scene.stop(&[&b]).await;
}
