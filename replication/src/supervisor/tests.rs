//! Real child processes. In most of these tests the vault is unreachable, which must not disturb a supervisor.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use tanist_db_core::clock::SystemClock;

use super::*;
use crate::transport::certs;
use crate::transport::principal::Principal;

fn options(folder: &Path) -> SupervisorOptions {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let node = Principal::node("a").unwrap();
    certs::create(&folder.join("tls"), 5, std::slice::from_ref(&node), clock.unix()).unwrap();
    let credentials = Credentials::load(&folder.join("tls"), &node, Arc::clone(&clock)).unwrap();
    SupervisorOptions {
        node: "a".to_owned(),
        credentials: Arc::new(credentials),
        // Nobody serves at the discard port.
        vault: SocketAddr::from(([127, 0, 0, 1], 9)).into(),
        clock,
        predecessor: None,
    }
}

fn shell(script: &str) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]);
    command
}

async fn never() {
    std::future::pending().await
}

#[tokio::test]
async fn a_process_that_refuses_its_settings_is_not_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let starts = AtomicU32::new(0);
    let command = |_| {
        starts.fetch_add(1, Ordering::Relaxed);
        shell("exit 78")
    };
    let ended = supervise(options(folder.path()), command, never()).await;
    assert!(matches!(ended, Err(SupervisorError::Settings(node)) if node == "a"));
    assert_eq!(starts.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_process_that_dies_is_started_again_under_another_number() {
    let folder = tempfile::tempdir().unwrap();
    let seen = parking_lot::Mutex::new(Vec::new());
    let command = |incarnation| {
        let mut seen = seen.lock();
        seen.push(incarnation);
        // Fenced, killed, crashed, and then something that ends the test.
        shell(["exit 75", "kill -9 $$", "exit 1", "exit 78"][seen.len() - 1])
    };
    assert!(supervise(options(folder.path()), command, never()).await.is_err());
    let mut seen = seen.into_inner();
    assert_eq!(seen.len(), 4);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 4, "incarnations tell starts apart");
}

#[tokio::test]
async fn a_process_that_is_asked_to_stop_sees_its_pipe_close_and_may_end_in_its_own_way() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("drained");
    let ready = folder.path().join("ready");
    let script = format!("trap '' TERM; touch {}; cat > /dev/null; touch {}", ready.display(), mark.display());
    let stop = async {
        while !ready.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    supervise(options(folder.path()), |_| shell(&script), stop).await.unwrap();
    assert!(mark.exists(), "it was given the time to drain");
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let command = |_| std::process::Command::new(folder.path().join("absent"));
    let ended = supervise(options(folder.path()), command, never()).await;
    assert!(matches!(ended, Err(SupervisorError::Start { .. })));
}
