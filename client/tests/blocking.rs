//! Commands that block, against nodes that become primary and cease to be.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use support::{Cluster, Manner, is_unknown, until};
use tanist_client::commands::*;
use tanist_client::{Client, Error, Options};
use tokio::task::JoinHandle;
use tokio::time::Instant;

type Popped = Result<Option<(String, String)>, Error>;

/// A client that gives up other commands before these waits end.
async fn impatient(cluster: &Cluster) -> Client {
    Client::connect(Options { deadline: Duration::from_millis(300), ..cluster.options() }).await.unwrap()
}

/// A task that waits for `key`, when it does.
async fn blocked(cluster: &Cluster, client: &Client, key: &str, timeout: Option<Duration>) -> JoinHandle<Popped> {
    let before = cluster.executed("BLPOP");
    let (client, key) = (client.clone(), key.to_owned());
    let task = tokio::spawn(async move { client.blpop(key, timeout).await });
    until("it blocks", || cluster.executed("BLPOP") > before).await;
    task
}

fn popped(key: &str, value: &str) -> Option<(String, String)> {
    Some((key.to_owned(), value.to_owned()))
}

#[tokio::test]
async fn a_command_that_blocks_holds_up_no_other_and_outlasts_the_deadline_of_others() {
    let cluster = Cluster::new();
    let client = impatient(&cluster).await;
    let first = blocked(&cluster, &client, "a", None).await;
    let second = blocked(&cluster, &client, "b", Some(Duration::from_secs(100))).await;
    assert_eq!(client.command(&["INCR", "n"]).await.unwrap(), redis::Value::Int(1));
    tokio::time::sleep(Duration::from_millis(700)).await;
    client.set("b", "2").await.unwrap();
    assert_eq!(second.await.unwrap().unwrap(), popped("b", "2"));
    client.set("a", "1").await.unwrap();
    assert_eq!(first.await.unwrap().unwrap(), popped("a", "1"));

    let start = Instant::now();
    let none: Popped = client.blpop("a", Some(Duration::from_millis(600))).await;
    assert_eq!(none.unwrap(), None);
    assert!(start.elapsed() >= Duration::from_millis(590), "{:?}", start.elapsed());
    // Two nodes, and as many connections to each as there were commands at one time: the third pop has used one of them again.
    assert_eq!(cluster.world.greetings.load(Ordering::SeqCst), 2 * 3);
}

#[tokio::test]
async fn a_wait_goes_on_at_the_next_primary_for_the_rest_of_its_timeout() {
    let cluster = Cluster::new();
    let client = impatient(&cluster).await;
    let pop = blocked(&cluster, &client, "k", Some(Duration::from_secs(50))).await;
    let endless = blocked(&cluster, &client, "e", None).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.elect(1);
    until("both block again", || cluster.executed("BLPOP") == 4).await;
    client.set("k", "v").await.unwrap();
    client.set("e", "v").await.unwrap();
    assert_eq!(pop.await.unwrap().unwrap(), popped("k", "v"));
    assert_eq!(endless.await.unwrap().unwrap(), popped("e", "v"));
    let executed = cluster.world.executed.lock().unwrap().clone();
    let timeout = |node: usize, key: &str| -> f64 {
        let words =
            &executed.iter().find(|(on, words)| *on == node && words[0] == "BLPOP" && words[1] == key).unwrap().1;
        words[2].parse().unwrap()
    };
    let (before, after) = (timeout(0, "k"), timeout(1, "k"));
    assert!(before > 49.0 && after <= before - 0.4 && after > 10.0, "{before} s, then {after} s");
    assert_eq!((timeout(0, "e"), timeout(1, "e")), (0.0, 0.0));
}

#[tokio::test]
async fn a_pop_whose_reply_is_lost_is_unknown_and_not_repeated() {
    let mut cluster = Cluster::new();
    let client = cluster.client().await;
    for (round, manner) in [Manner::LoseReply, Manner::LoseRequest, Manner::Babble].into_iter().enumerate() {
        cluster.behave(manner);
        let pop = blocked(&cluster, &client, "k", None).await;
        cluster.world.data.lock().unwrap().insert(b"k".to_vec(), b"v".to_vec());
        assert!(is_unknown(&pop.await.unwrap()), "{manner:?}");
        assert_eq!(cluster.executed("BLPOP"), round + 1, "{manner:?}");
        cluster.behave(Manner::Serve);
    }

    let pop = blocked(&cluster, &client, "k", None).await;
    cluster.vanish(0);
    cluster.elect(1);
    assert!(is_unknown(&pop.await.unwrap()), "it may have taken an element");
    assert_eq!(cluster.executed("BLPOP"), 4);
    let next = cluster.address(1).into();
    until("the client follows", || client.primary().is_some_and(|primary| primary.address == next)).await;
    client.set("k", "v").await.unwrap();
    assert_eq!(client.blpop("k", None).await.unwrap(), popped("k", "v"));
}

#[tokio::test]
async fn a_caller_that_gives_up_ends_the_wait() {
    let cluster = Cluster::new();
    let client = cluster.client().await;
    let pop = blocked(&cluster, &client, "k", None).await;
    pop.abort();
    assert!(pop.await.unwrap_err().is_cancelled());
    // Its connection has gone when the node has heard of it: until then it might still take what comes.
    let other = blocked(&cluster, &client, "other", None).await;
    until("nobody waits for it", || *cluster.world.awaited.lock().unwrap() == [b"other"]).await;
    client.set("k", "v").await.unwrap();
    client.set("other", "v").await.unwrap();
    assert_eq!(other.await.unwrap().unwrap(), popped("other", "v"));
    assert_eq!(client.get("k").await.unwrap(), Some("v".to_owned()));
}

#[tokio::test]
async fn without_a_primary_a_pop_is_not_executed() {
    let cluster = Cluster::new();
    let client = impatient(&cluster).await;
    cluster.depose();
    let error = client.blpop::<String, String>("k", None).await.unwrap_err();
    assert!(matches!(error, Error::NotExecuted { done: 0, .. }), "{error:?}");
    assert_eq!(cluster.executed("BLPOP"), 0);
}

#[tokio::test]
async fn typed_commands_are_repeated_or_unknown_by_what_they_do() {
    let cluster = Cluster::new();
    let client = cluster.client().await;
    client.set("k", "v").await.unwrap();
    cluster.behave(Manner::LoseReply);
    assert_eq!(client.get("k").await.unwrap(), Some("v".to_owned()));
    assert_eq!(cluster.executed("GET"), 2);
    cluster.behave(Manner::LoseReply);
    assert!(is_unknown(&client.zincrby("z", 1.0, "m").await));
    assert_eq!(cluster.executed("ZINCRBY"), 1);
    let error = client.get::<u64>("k").await.unwrap_err();
    assert!(matches!(error, Error::Reply(_)), "{error:?}");
    let error = client.hlen("k").await.unwrap_err();
    assert!(matches!(error, Error::Server(_)), "{error:?}");
}
