//! Fields of hashes that expire: what readers see, and what is deleted when.

use super::*;

/// Fields of the hash `h`, with those in `expiring` set to expire after 100 ms.
fn hash(client: &mut Client, fields: u32, expiring: &[u32]) {
    let pairs: Vec<String> = (0..fields).map(|field| format!("f{field} v{field}")).collect();
    client.run(&format!("hset h {}", pairs.join(" ")));
    let names: Vec<String> = expiring.iter().map(|field| format!("f{field}")).collect();
    let done = client.run(&format!("hpexpire h 100 fields {} {}", names.len(), names.join(" ")));
    assert_eq!(done, format!("*{}|{}", names.len(), ":1|".repeat(names.len())));
}

/// In one piece, and in a hash table.
const SIZES: [u32; 2] = [10, 2_000];

#[test]
fn a_field_that_has_expired_is_nowhere() {
    for fields in SIZES {
        let mut client = Client::alone();
        hash(&mut client, fields, &[3, 4]);
        assert_eq!(client.run("hget h f3"), "$2|v3|");
        assert_eq!(client.run("hpttl h fields 3 f3 f5 none"), "*3|:100|:-1|:-2|");
        client.now += 100;
        assert_eq!(client.run("hget h f3"), "$-1|");
        assert_eq!(client.run("hmget h f3 f5"), "*2|$-1|$2|v5|");
        assert_eq!(client.run("hexists h f3"), ":0|");
        assert_eq!(client.run("hstrlen h f4"), ":0|");
        assert_eq!(client.run("hlen h"), format!(":{}|", fields - 2));
        assert_eq!(client.run("hpttl h fields 1 f3"), "*1|:-2|");
        assert!(!client.run("hgetall h").contains("|f3|") && !client.run("hscan h 0 count 5000").contains("|f3|"));
        assert!(client.run("hkeys h").starts_with(&format!("*{}|", fields - 2)));
        assert_eq!(client.run("hdel h f3"), ":0|");
        assert_eq!(client.run("hsetnx h f3 new"), ":1|");
        assert_eq!(client.run("hincrby h f4 5"), ":5|", "nothing is added to what has expired");
        assert_eq!(client.run("hpttl h fields 2 f3 f4"), "*2|:-1|:-1|", "a field that is set again does not expire");
        assert_eq!(client.run("hlen h"), format!(":{fields}|"));
    }
}

#[test]
fn a_hash_whose_fields_have_all_expired_is_nowhere() {
    for fields in SIZES {
        let mut client = Client::alone();
        hash(&mut client, fields, &(0..fields).collect::<Vec<_>>());
        client.run("set other v");
        client.now += 100;
        for (command, reply) in [
            ("exists h", ":0|"),
            ("type h", "+none|"),
            ("hlen h", ":0|"),
            ("hgetall h", "*0|"),
            ("hrandfield h", "$-1|"),
            ("ttl h", ":-2|"),
            ("keys *", "*1|$5|other|"),
            ("randomkey", "$5|other|"),
            ("copy h copied", ":0|"),
            ("rename h renamed", "-ERR no such key|"),
            ("hpersist h fields 1 f1", "*1|:-2|"),
            ("lpush h element", ":1|"),
            ("lrange h 0 -1", "*1|$7|element|"),
        ] {
            assert_eq!(client.run(command), reply, "{command}");
        }
    }
}

/// Expired fields are deleted by records of a bounded size, and the key with its last one.
#[test]
fn expired_fields_are_deleted() {
    for fields in SIZES {
        let mut client = Client::alone();
        hash(&mut client, fields, &(0..fields / 2).collect::<Vec<_>>());
        let engine = Arc::clone(&client.engine);
        assert_eq!(engine.expiring(), 1, "one entry for all fields");
        let due = UnixMillis(client.now + 100);
        assert_eq!(engine.expire_due(UnixMillis(client.now + 99), 100), 0);
        let mut deleted = 0;
        while deleted < fields as usize / 2 {
            let step = engine.expire_due(due, 100);
            assert!(step > 0 && step <= 100, "{step} at once");
            deleted += step;
        }
        assert_eq!(engine.expire_due(due, 100), 0);
        assert_eq!((engine.expiring(), engine.keys()), (0, 1));
        assert_eq!(client.run("hlen h"), format!(":{}|", fields - fields / 2));

        let names: Vec<String> = (fields / 2..fields).map(|field| format!("f{field}")).collect();
        client.run(&format!("hpexpire h 50 fields {} {}", names.len(), names.join(" ")));
        while engine.expire_due(UnixMillis(client.now + 50), 100) > 0 {}
        assert_eq!((engine.expiring(), engine.keys()), (0, 0));
    }
}

/// Whichever comes first, of the key and of its fields, is deleted first.
#[test]
fn a_key_and_its_fields_expire_each_in_its_time() {
    let mut client = Client::alone();
    let engine = Arc::clone(&client.engine);
    hash(&mut client, 10, &[1]);
    client.run("pexpire h 200");
    assert_eq!(engine.expire_due(UnixMillis(client.now + 150), 10), 1);
    assert_eq!(client.run("hlen h"), ":9|");
    assert_eq!(engine.expire_due(UnixMillis(client.now + 150), 10), 0);
    assert_eq!(engine.expire_due(UnixMillis(client.now + 200), 10), 1);
    assert_eq!(engine.keys(), 0);

    hash(&mut client, 10, &[1]);
    client.run("pexpire h 50");
    assert_eq!(engine.expire_due(UnixMillis(client.now + 60), 10), 1);
    assert_eq!(engine.keys(), 0, "the key takes its fields along");
}

/// Whoever watches a hash of which a field is deleted has to look again.
#[test]
fn watchers_notice_a_deleted_field() {
    let mut client = Client::alone();
    hash(&mut client, 10, &[1]);
    client.run("watch h");
    client.engine.expire_due(UnixMillis(client.now + 100), 10);
    client.run("multi");
    client.run("set other v");
    assert_eq!(client.run("exec"), "*-1|");
}

/// A hash that is gone with its last field counts as changed, deleted or not.
#[test]
fn watchers_notice_that_all_fields_have_expired() {
    let mut client = Client::alone();
    hash(&mut client, 2, &[0, 1]);
    client.run("watch h");
    client.now += 100;
    client.run("multi");
    client.run("set other v");
    assert_eq!(client.run("exec"), "*-1|");
}
