//! Random pipelines in random packets, with holds at random moments: every reply is complete, correct and in its place.

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Set(u8, u8),
    Get(u8),
    Increment,
    Echo(u8),
    Exec(u8),
    Pause,
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_u8, any::<u8>()).prop_map(|(key, value)| Step::Set(key, value)),
        (0..4_u8).prop_map(Step::Get),
        Just(Step::Increment),
        any::<u8>().prop_map(Step::Echo),
        any::<u8>().prop_map(Step::Exec),
        Just(Step::Pause),
    ]
}

/// What one client alone sees is what a plain map gives, whatever the vault's pace, as long as the vault keeps it.
fn expected(steps: &[Step]) -> (String, String) {
    let (mut sent, mut replies) = (String::new(), String::new());
    let mut values = [const { None::<u8> }; 4];
    let mut count = 0;
    for step in steps {
        match step {
            Step::Set(key, value) => {
                sent += &format!("SET k{key} {value}\r\n");
                replies += "+OK\r\n";
                values[usize::from(*key)] = Some(*value);
            }
            Step::Get(key) => {
                sent += &format!("GET k{key}\r\n");
                replies += &match values[usize::from(*key)].map(|value| value.to_string()) {
                    Some(value) => format!("${}\r\n{value}\r\n", value.len()),
                    None => "$-1\r\n".into(),
                };
            }
            Step::Increment => {
                sent += "INCR n\r\n";
                count += 1;
                replies += &format!(":{count}\r\n");
            }
            Step::Echo(byte) => {
                sent += &format!("ECHO {byte:03}\r\n");
                replies += &format!("$3\r\n{byte:03}\r\n");
            }
            Step::Exec(value) => {
                sent += &format!("MULTI\r\nSET k0 {value}\r\nINCR n\r\nEXEC\r\n");
                count += 1;
                values[0] = Some(*value);
                replies += &format!("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:{count}\r\n");
            }
            Step::Pause => {}
        }
    }
    (sent, replies)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn replies_are_whole_and_in_order_whatever_happens_meanwhile(
        steps in prop::collection::vec(a_step(), 1..60),
        packet in 1..80_usize,
        holds in prop::collection::vec(0..2800_u64, 0..3),
    ) {
        run(async {
            let node = Node::primary();
            node.confirm_all();
            let (sent, replies) = expected(&steps);
            let client = node.client();
            let (mut reader, mut writer) = tokio::io::split(client.stream);
            let context = Arc::clone(&node.context);
            tokio::task::spawn_local(async move {
                for hold in holds {
                    let role = |role, executes| Standing { epoch: Epoch(1), ..standing(role, executes) };
                    context.serving.publish(&role(Role::HandingOver, false), context.clock.monotonic());
                    sleep(millis(hold)).await;
                    context.serving.publish(&role(Role::Primary, true), context.clock.monotonic());
                    sleep(millis(3)).await;
                }
            });
            let sending = tokio::task::spawn_local(async move {
                for piece in sent.as_bytes().chunks(packet) {
                    writer.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
                writer
            });
            let mut got = vec![0; replies.len()];
            timeout(Duration::from_secs(60), reader.read_exact(&mut got)).await.expect("replies come").unwrap();
            assert_eq!(String::from_utf8_lossy(&got), replies);
            drop(sending.await.unwrap());
        });
    }
}
