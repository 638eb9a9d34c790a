//! The library against nodes that become primary and cease to be: what is retried, what is not, and what a caller is told.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::{AsyncCommands, RedisResult, Value};
use support::{Authority, Cluster, Manner, is_unknown, until};
use tanist_client::{Client, Error, OUTCOME_UNKNOWN, Options, Outcome, is_outcome_unknown, outcome};
use tokio::time::Instant;

#[tokio::test]
async fn typed_commands_pipelines_and_transactions_work() {
    let cluster = Cluster::new();
    let mut client = cluster.client().await;
    let _: () = client.set("king", "Brian").await.unwrap();
    let king: String = client.get("king").await.unwrap();
    assert_eq!(king, "Brian");
    let absent: Option<String> = client.get("queen").await.unwrap();
    assert_eq!(absent, None);

    let (first, second): (i64, i64) = redis::pipe()
        .cmd("INCR")
        .arg("n")
        .cmd("SET")
        .arg("x")
        .arg("y")
        .ignore()
        .cmd("INCR")
        .arg("n")
        .query_async(&mut client)
        .await
        .unwrap();
    assert_eq!((first, second), (1, 2));
    let mut transaction = redis::pipe();
    transaction.atomic().cmd("INCR").arg("n").get("x");
    let (third, x): (i64, String) = transaction.query_async(&mut client).await.unwrap();
    assert_eq!((third, x.as_str()), (3, "y"));

    let large: Vec<u8> = (0..20 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let _: () = client.set("large", &large).await.unwrap();
    let back: Vec<u8> = client.get("large").await.unwrap();
    assert!(back == large);

    assert_eq!(
        client.command(&["PING"]).await.unwrap(),
        Value::SimpleString("PONG".into()),
        "a push message is no reply"
    );
    let error = client.command(&["NONSENSE"]).await.unwrap_err();
    assert!(matches!(&error, Error::Server(e) if e.code() == "ERR"), "{error}");
    let failed: RedisResult<()> = redis::cmd("NONSENSE").query_async(&mut client).await;
    assert_eq!(failed.unwrap_err().code(), Some("ERR"));
}

#[tokio::test]
async fn no_operation_fails_while_the_role_moves() {
    let cluster = Cluster::new();
    let client = cluster.client().await;
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut count = 0_i64;
                let end = Instant::now() + Duration::from_secs(3);
                while Instant::now() < end {
                    count += 1;
                    let reply = client.command(&["INCR", &format!("task {task}")]).await.unwrap();
                    assert_eq!(reply, Value::Int(count), "each once, and in order");
                }
                count
            })
        })
        .collect();
    let mut changes = 0;
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Held first, as a planned switchover does it; then the other node is primary.
        cluster.behave(Manner::Hold);
        tokio::time::sleep(Duration::from_millis(10)).await;
        changes += 1;
        cluster.elect(changes % 2);
        cluster.behave(Manner::Serve);
    }
    let mut total = 0;
    for task in tasks {
        total += task.await.unwrap();
    }
    assert_eq!(cluster.executed("INCR") as i64, total);
    assert!(changes > 15 && total > 1_000, "{changes} changes, {total} operations");
    let on_b = cluster.world.executed.lock().unwrap().iter().filter(|(node, _)| *node == 1).count() as i64;
    assert!(on_b > total / 10 && on_b < total * 9 / 10, "{on_b} of {total} on the second node");
}

#[tokio::test]
async fn a_pipeline_keeps_its_order_over_a_change_of_role() {
    let cluster = Cluster::new();
    let mut client = cluster.client().await;
    for round in 1..=20_usize {
        let mut pipeline = redis::pipe();
        let key = format!("text {round}");
        for i in 0..200 {
            pipeline.cmd("APPEND").arg(&key).arg(format!("{i},"));
        }
        let moves = async {
            tokio::time::sleep(Duration::from_micros(300 * round as u64)).await;
            cluster.elect(round % 2);
        };
        let (lengths, ()) = tokio::join!(pipeline.query_async::<Vec<usize>>(&mut client), moves);
        let lengths = lengths.unwrap();
        assert!(lengths.is_sorted() && lengths.len() == 200);
        let text: String = client.get(&key).await.unwrap();
        assert_eq!(text, (0..200).map(|i| format!("{i},")).collect::<String>());
    }
}

#[tokio::test]
async fn a_transaction_is_executed_once_over_changes_of_role() {
    let cluster = Cluster::new();
    let mut client = cluster.client().await;
    for round in 1..=20_i64 {
        let mut pipeline = redis::pipe();
        pipeline.atomic().cmd("INCR").arg("a").cmd("INCR").arg("b");
        let moves = async {
            tokio::time::sleep(Duration::from_micros(100 * round as u64)).await;
            cluster.elect(round as usize % 2);
        };
        let (both, ()) = tokio::join!(pipeline.query_async::<(i64, i64)>(&mut client), moves);
        assert_eq!(both.unwrap(), (round, round));
    }
}

#[tokio::test]
async fn a_write_whose_reply_is_lost_is_unknown_and_not_repeated() {
    let cluster = Cluster::new();
    let client = cluster.client().await;
    for (manner, executed) in [(Manner::LoseReply, 1), (Manner::LoseRequest, 1)] {
        cluster.behave(manner);
        let result = client.command(&["INCR", "n"]).await;
        assert!(is_unknown(&result), "{result:?}");
        assert_eq!(cluster.executed("INCR"), executed);
    }
    assert_eq!(client.command(&["INCR", "n"]).await.unwrap(), Value::Int(2));

    cluster.behave(Manner::LoseReply);
    let mut pipeline = redis::pipe();
    pipeline.atomic().cmd("INCR").arg("n");
    let error = pipeline.query_async::<Value>(&mut client.clone()).await.unwrap_err();
    assert!(is_outcome_unknown(&error) && error.to_string().contains("outcome unknown"), "{error}");
}

#[tokio::test]
async fn a_read_whose_reply_is_lost_is_repeated() {
    let cluster = Cluster::new();
    let client = cluster.client().await;
    client.command(&["SET", "k", "v"]).await.unwrap();
    cluster.behave(Manner::LoseReply);
    assert_eq!(client.command(&["GET", "k"]).await.unwrap(), Value::BulkString(b"v".to_vec()));
    assert_eq!(cluster.executed("GET"), 2);
}

#[tokio::test]
async fn a_vanished_primary_costs_little_and_its_writes_are_unknown() {
    let mut cluster = Cluster::new();
    let client = cluster.client().await;
    client.command(&["SET", "k", "v"]).await.unwrap();
    cluster.behave(Manner::Hold);
    let held = tokio::spawn({
        let client = client.clone();
        async move { client.command(&["INCR", "n"]).await }
    });
    until("the command is held", || cluster.world.held.lock().unwrap().0 == 1).await;
    cluster.vanish(0);
    cluster.behave(Manner::Serve);
    let epoch = cluster.elect(1);
    let start = Instant::now();
    assert_eq!(client.command(&["GET", "k"]).await.unwrap(), Value::BulkString(b"v".to_vec()));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(is_unknown(&held.await.unwrap()));
    assert_eq!(cluster.executed("INCR"), 0);
    let primary = client.primary().unwrap();
    assert_eq!((primary.address, primary.epoch), (cluster.address(1).into(), epoch));
}

/// The old primary stays connected and keeps silent, so only what the new one says of its term can end the wait before the deadline.
#[tokio::test]
async fn a_takeover_ends_the_wait_for_a_primary_that_keeps_silent() {
    let cluster = Cluster::new();
    let client = cluster.client().await;
    cluster.behave(Manner::Hang);
    let ask = |words: [&'static str; 2]| {
        let client = client.clone();
        tokio::spawn(async move { client.command(&words).await })
    };
    let (write, read) = (ask(["INCR", "n"]), ask(["GET", "k"]));
    until("the first command hangs", || cluster.world.held.lock().unwrap().0 == 1).await;
    cluster.behave(Manner::Serve);
    cluster.begin_term(1, true);
    let lost = write.await.unwrap();
    assert!(matches!(&lost, Err(Error::Unknown(why)) if !why.contains("no reply within")), "{lost:?}");
    assert_eq!(read.await.unwrap().unwrap(), Value::Nil, "a read is repeated");
    assert_eq!(cluster.executed("INCR"), 0);
}

#[tokio::test]
async fn a_program_that_keeps_its_runtime_busy_suspects_nobody() {
    let cluster = Cluster::new();
    let client = cluster.client().await;
    cluster.behave(Manner::Hold);
    let held = tokio::spawn({
        let client = client.clone();
        async move { client.command(&["INCR", "n"]).await }
    });
    until("the command is held", || cluster.world.held.lock().unwrap().0 == 1).await;
    let busy = Instant::now() + Duration::from_secs(3);
    while Instant::now() < busy {
        std::hint::spin_loop();
    }
    cluster.behave(Manner::Serve);
    assert_eq!(held.await.unwrap().unwrap(), Value::Int(1));
    assert_eq!(cluster.world.greetings.load(Ordering::SeqCst), 2, "no connection was made anew");
}

#[tokio::test]
async fn a_silent_primary_without_a_successor_is_given_up_and_found_again() {
    let mut cluster = Cluster::idle();
    cluster.start(0, "node-a");
    cluster.elect(0);
    let client = cluster.client().await;
    cluster.behave(Manner::Hold);
    let start = Instant::now();
    let held = tokio::spawn({
        let client = client.clone();
        async move { client.command(&["INCR", "n"]).await }
    });
    until("the command is held", || cluster.world.held.lock().unwrap().0 == 1).await;
    cluster.vanish(0);
    assert!(is_unknown(&held.await.unwrap()));
    let took = start.elapsed();
    assert!(took > Duration::from_millis(1_500) && took < Duration::from_secs(6), "{took:?}");
    assert_eq!(client.primary(), None);
}

#[tokio::test]
async fn commands_wait_for_a_primary_until_their_deadline() {
    let cluster = Cluster::new();
    let client = Client::connect(Options { deadline: Duration::from_millis(600), ..cluster.options() }).await.unwrap();
    cluster.depose();
    let (reply, ()) = tokio::join!(client.command(&["INCR", "n"]), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cluster.elect(1);
    });
    assert_eq!(reply.unwrap(), Value::Int(1));

    cluster.depose();
    let start = Instant::now();
    let error = client.command(&["INCR", "n"]).await.unwrap_err();
    assert!(matches!(&error, Error::NotExecuted { done: 0, .. }), "{error:?}");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(600) && took < Duration::from_millis(1_500), "{took:?}");
    cluster.elect(0);
    assert_eq!(client.command(&["INCR", "n"]).await.unwrap(), Value::Int(2), "what was given up is not executed later");
}

#[tokio::test]
async fn a_held_command_past_its_deadline_is_unknown_and_the_connection_goes_on() {
    let cluster = Cluster::new();
    let client = Client::connect(Options { deadline: Duration::from_millis(300), ..cluster.options() }).await.unwrap();
    cluster.behave(Manner::Hold);
    assert!(is_unknown(&client.command(&["INCR", "n"]).await));
    cluster.behave(Manner::Serve);
    assert_eq!(
        client.command(&["INCR", "m"]).await.unwrap(),
        Value::Int(1),
        "the late reply is not taken for this one"
    );
}

#[tokio::test]
async fn what_is_under_way_is_bounded() {
    let cluster = Cluster::new();
    let options = Options { commands_max: 4, deadline: Duration::from_millis(500), ..cluster.options() };
    let client = Client::connect(options).await.unwrap();
    cluster.behave(Manner::Hold);
    let tasks: Vec<_> = (0..12)
        .map(|task| {
            let client = client.clone();
            tokio::spawn(async move { client.command(&["INCR", &task.to_string()]).await })
        })
        .collect();
    let (mut unknown, mut refused) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Err(Error::Unknown(_)) => unknown += 1,
            Err(Error::NotExecuted { why, .. }) => {
                assert!(why.contains("too many commands"), "{why}");
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((unknown, refused), (4, 8));
}

/// Through the traits of the `redis` crate it was a broken pipe like any other: something to try again.
#[tokio::test]
async fn what_is_unknown_is_unknown_through_the_redis_crate_too() {
    let cluster = Cluster::new();
    let mut client = cluster.client().await;
    let lost = [Manner::LoseRequest, Manner::LoseReply];
    for manner in lost {
        cluster.behave(manner);
        let error = client.incr::<_, _, i64>("n", 1).await.unwrap_err();
        assert!(is_outcome_unknown(&error) && matches!(error.retry_method(), redis::RetryMethod::NoRetry), "{error}");
        cluster.behave(manner);
        let error = redis::pipe().incr("n", 1).query_async::<()>(&mut client).await.unwrap_err();
        assert_eq!((outcome(&error), error.code()), (Outcome::Unknown, Some(OUTCOME_UNKNOWN)));
    }
    assert_eq!(cluster.executed("INCRBY"), 2, "each was sent once, and two arrived");
    let odd = redis::pipe().cmd("INCR").arg("n").cmd("NONSENSE").query_async::<()>(&mut client).await.unwrap_err();
    assert_eq!(outcome(&odd), Outcome::Answered, "{odd}");
}

#[tokio::test]
async fn a_primary_that_was_not_named_is_found_by_what_a_standby_says() {
    let cluster = Cluster::new();
    let options = Options { nodes: vec![cluster.address(1).into()], ..cluster.options() };
    let client = Client::connect(options).await.unwrap();
    assert_eq!(client.primary().unwrap().address, cluster.address(0).into());
    assert_eq!(client.command(&["INCR", "n"]).await.unwrap(), Value::Int(1));
}

/// One node under two names: the second prober used to come back to it forever.
#[tokio::test]
async fn a_node_is_reached_by_its_name_and_under_several() {
    let cluster = Cluster::new();
    let port = cluster.address(0).port();
    let names = ["localhost", "127.0.0.1"].map(|host| format!("{host}:{port}").parse().unwrap());
    let client = Client::connect(Options { nodes: names.to_vec(), ..cluster.options() }).await.unwrap();
    assert_eq!(client.command(&["INCR", "n"]).await.unwrap(), Value::Int(1));
    let nobody = Options {
        nodes: vec!["nobody.invalid:1".parse().unwrap()],
        deadline: Duration::from_millis(50),
        ..cluster.options()
    };
    let error = Client::connect(nobody).await.unwrap_err();
    assert!(matches!(error, Error::NotExecuted { .. }), "{error}");

    cluster.elect(1);
    assert_eq!(client.command(&["INCR", "n"]).await.unwrap(), Value::Int(2));
}

#[tokio::test]
async fn watched_keys_do_not_survive_a_change_of_connection() {
    let cluster = Cluster::new();
    let mut client = cluster.client().await;
    let mut transaction = redis::pipe();
    transaction.atomic().cmd("INCR").arg("n");
    client.command(&["WATCH", "n"]).await.unwrap();
    let (n,): (i64,) = transaction.query_async(&mut client).await.unwrap();
    assert_eq!(n, 1);

    client.command(&["WATCH", "n"]).await.unwrap();
    cluster.elect(1);
    until("the client follows", || {
        client.primary().is_some_and(|primary| primary.address == cluster.address(1).into())
    })
    .await;
    let error = transaction.query_async::<Value>(&mut client).await.unwrap_err();
    assert!(error.to_string().contains("watched keys"), "{error}");
    assert_eq!(cluster.executed("INCR"), 1);
    let (n,): (i64,) = transaction.query_async(&mut client).await.unwrap();
    assert_eq!(n, 2);
}

#[tokio::test]
async fn nonsense_from_a_node_ends_its_connection_and_harms_nothing_else() {
    let cluster = Cluster::new();
    let client = cluster.client().await;
    cluster.behave(Manner::Babble);
    let result = client.command(&["INCR", "n"]).await;
    assert!(is_unknown(&result), "{result:?}");
    cluster.behave(Manner::Serve);
    assert_eq!(client.command(&["INCR", "n"]).await.unwrap(), Value::Int(1));
}

#[tokio::test]
async fn a_client_keeps_one_connection_to_each_node_and_lets_go_when_dropped() {
    let cluster = Cluster::new();
    let client = cluster.client().await;
    for _ in 0..100 {
        client.command(&["INCR", "n"]).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(cluster.world.greetings.load(Ordering::SeqCst), 2);
    let mut follow = client.follow();
    drop(client);
    let gone = tokio::time::timeout(Duration::from_secs(2), async { while follow.changed().await.is_ok() {} });
    gone.await.expect("the task behind the client has ended");
}

#[tokio::test]
async fn certificates_decide_who_talks_to_whom() {
    let cluster = Cluster::new();
    let quick = |options: Options| Options { deadline: Duration::from_millis(700), ..options };
    let told = |result: Result<Client, Error>| result.map(|_| ()).unwrap_err().to_string();

    let foreign = Authority::new();
    let options = Options { tls: foreign.tls(), ..cluster.options() };
    let error = told(Client::connect(quick(options)).await);
    assert!(error.contains("the node's certificate is of another cluster"), "{error}");

    let mut other = Cluster::idle();
    other.start(0, "vault");
    other.elect(0);
    let error = told(Client::connect(quick(other.options())).await);
    assert!(error.contains("the node's certificate was refused"), "{error}");

    let mixed = Cluster::new();
    std::fs::copy(foreign.tls().join("client.pem"), mixed.authority.tls().join("client.pem")).unwrap();
    std::fs::copy(foreign.tls().join("client.key"), mixed.authority.tls().join("client.key")).unwrap();
    let error = told(Client::connect(quick(mixed.options())).await);
    assert!(error.contains("this client's certificate"), "{error}");
}

#[tokio::test]
async fn useless_files_and_options_are_told_at_once() {
    let cluster = Cluster::new();
    let file = |name: &str| cluster.authority.tls().join(name);
    let told = async || Client::connect(cluster.options()).await.map(|_| ()).unwrap_err().to_string();

    cluster.authority.write_client("client", 1975, 2000);
    assert!(told().await.contains("client.pem: it expired on"), "{}", told().await);
    cluster.authority.write_client("client", 4000, 4096);
    assert!(told().await.contains("client.pem: it is valid only from"), "{}", told().await);
    cluster.authority.write_client("node-a", 1975, 4096);
    assert!(told().await.contains("does not speak for a client"), "{}", told().await);
    cluster.authority.write_client("client", 1975, 4096);
    for name in ["client.key", "client.pem", "ca.pem"] {
        std::fs::write(file(name), "nothing of use").unwrap();
        assert!(told().await.contains(&format!("{name}: it holds no")), "{}", told().await);
        std::fs::remove_file(file(name)).unwrap();
        assert!(told().await.contains(&format!("{name}: it cannot be read")), "{}", told().await);
    }
    let error = Client::connect(Options::new(vec![], file(""))).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("no node is given"), "{error}");
}
