//! Reads of streams that wait: who is served with what, and what ends a wait.

use super::*;

/// The reply to a call in words; empty if it has blocked.
fn ask(client: &mut Client, words: &str) -> String {
    let (reply, executed) = client.executed(words);
    assert_eq!(reply.is_empty(), matches!(executed, Executed::Blocked(_)), "{words}: {reply}");
    reply
}

fn clients<const N: usize>(engine: &Arc<Engine>) -> [Client; N] {
    std::array::from_fn(|_| Client::new(engine))
}

/// What another command has served it with; empty if none has.
fn served(client: &mut Client) -> String {
    let mut reply = Reply::new(client.session.protocol());
    client.session.take_served(&mut reply);
    String::from_utf8_lossy(reply.as_bytes()).replace("\r\n", "|")
}

const ENTRY: &str = "*1|*2|$1|s|*1|*2|$3|5-1|*2|$1|f|$1|v|";

#[test]
fn all_who_read_are_served_by_one_entry() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let mut waiting: [Client; 3] = clients(&engine);
    writer.run("xadd s 4-1 f old");
    let calls =
        ["xread block 0 streams s $", "xread block 0 streams other s 0 4-1", "xread block 0 count 1 streams s +"];
    for (client, call) in waiting.iter_mut().zip(calls) {
        // What + means is there already.
        let expected = if call.ends_with('+') { "*1|*2|$1|s|*1|*2|$3|4-1|*2|$1|f|$3|old|" } else { "" };
        assert_eq!(ask(client, call), expected);
    }
    writer.run("xadd s 5-1 f v");
    assert_eq!(served(&mut waiting[0]), ENTRY);
    assert_eq!(served(&mut waiting[1]), ENTRY);
    assert_eq!(writer.run("xlen s"), ":2|", "nobody has taken it");
}

#[test]
fn a_moment_stays_what_it_was_when_the_wait_began() {
    let engine = primary();
    let [mut writer, mut client] = clients(&engine);
    writer.run("xadd s 4-1 f v");
    let call = "xread block 0 streams s $";
    assert_eq!(ask(&mut client, call), "");
    // Executed again by its session, it does not begin behind what has come meanwhile.
    assert_eq!(ask(&mut client, call), "");
    writer.run("multi");
    writer.run("xadd s 5-1 f v");
    writer.run("xadd s 5-2 f v");
    writer.run("exec");
    assert!(served(&mut client).contains("$3|5-1|"));
}

#[test]
fn a_call_without_block_does_not_wait() {
    let engine = primary();
    let [mut client, mut writer] = clients(&engine);
    assert_eq!(
        ask(&mut client, "xread streams s block 0"),
        "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.|"
    );
    assert_eq!(ask(&mut client, "xread streams block $"), "*-1|");
    writer.run("xgroup create s block $ mkstream");
    assert_eq!(ask(&mut client, "xreadgroup group block block streams s >"), "*-1|");
    writer.run("multi");
    writer.run("xread block 0 streams s $");
    writer.run("xreadgroup group block c block 0 streams s >");
    assert_eq!(writer.run("exec"), "*2|*-1|*-1|");
    for (call, error) in [
        ("xread block x streams s 0", "timeout is not an integer or out of range"),
        ("xread block -1 streams s 0", "timeout is negative"),
        ("xread block 9223372036854775807 streams s 0", "timeout is out of range"),
    ] {
        assert_eq!(ask(&mut client, call), format!("-ERR {error}|"), "{call}");
    }
}

#[test]
fn an_entry_is_delivered_to_the_consumer_that_waits_longest() {
    let engine = primary();
    let mut writer = Client::new(&engine);
    let mut waiting: [Client; 3] = clients(&engine);
    writer.run("xgroup create s g $ mkstream");
    writer.run("xgroup create s h $");
    let calls = [
        "xreadgroup group g a block 0 streams s >",
        "xreadgroup group g b block 0 streams s >",
        "xreadgroup group h c block 0 noack streams s >",
    ];
    waiting.iter_mut().zip(calls).for_each(|(client, call)| assert_eq!(ask(client, call), ""));
    assert_eq!(writer.run("xinfo consumers s g"), "*0|", "who waits has read nothing");
    let before = engine.last();
    writer.run("xadd s 5-1 f v");
    assert_eq!(engine.last().0, before.0 + 1, "the entry and its deliveries are in one record");
    assert_eq!([0, 1, 2].map(|at| served(&mut waiting[at])), [ENTRY, "", ENTRY].map(str::to_owned));
    assert_eq!(writer.run("xpending s g"), "*4|:1|$3|5-1|$3|5-1|*1|*2|$1|a|$1|1|");
    assert_eq!(writer.run("xpending s h"), "*4|:0|$-1|$-1|*-1|");
    writer.run("xadd s 5-2 f v");
    assert!(served(&mut waiting[1]).contains("$3|5-2|"));
    let follower = follower();
    while let Some(batch) = engine.redo().take(1 << 20) {
        follower.apply_whole(&crate::redo::batch::RedoBatch::open(&batch.to_bytes()).unwrap()).unwrap();
    }
    assert_eq!(follower.content_hash(), engine.content_hash());
}

/// What a consumer that waits is told when it has nothing more to wait for; empty if it waits on.
fn told(ends: &[&str]) -> String {
    let engine = primary();
    let [mut writer, mut client] = clients(&engine);
    writer.run("xgroup create s g $ mkstream");
    let call = "xreadgroup group g c block 0 streams s >";
    assert_eq!(ask(&mut client, call), "");
    ends.iter().for_each(|words| assert!(!writer.run(words).starts_with('-'), "{words}"));
    // Who is called executes its call again.
    if client.session.is_called() { ask(&mut client, call) } else { served(&mut client) }
}

#[test]
fn a_consumer_is_told_when_its_group_is_lost() {
    let lost = "-NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option|";
    let other = "-WRONGTYPE Operation against a key holding the wrong kind of value|";
    for (ends, expected) in [
        (&["del s"][..], lost),
        (&["xgroup destroy s g"], lost),
        (&["rename s t"], lost),
        (&["flushall"], lost),
        (&["flushdb"], lost),
        (&["swapdb 0 1"], lost),
        (&["set s v"], other),
        (&["multi", "del s", "set s v", "exec"], other),
        (&["multi", "del s", "xgroup create s g $ mkstream", "exec"], ""),
        (&["xgroup create s h $", "xgroup setid s g 0", "xgroup destroy s h", "persist s"], ""),
    ] {
        assert_eq!(told(ends), expected, "{ends:?}");
    }
}

/// Who waits for a list does not mind what becomes of it.
#[test]
fn who_reads_without_a_group_waits_on() {
    let engine = primary();
    let [mut writer, mut client] = clients(&engine);
    writer.run("xadd s 4-1 f v");
    assert_eq!(ask(&mut client, "xread block 0 streams s $"), "");
    ["del s", "set s v", "del s", "xadd s 4-1 f v", "flushall"].iter().for_each(|words| {
        writer.run(words);
        assert_eq!(served(&mut client), "", "{words}");
    });
    writer.run("xadd s 5-1 f v");
    assert_eq!(served(&mut client), ENTRY);
}
