"""redis-py against a running pair: redis_py.py PRIMARY_PORT STANDBY_PORT PROTOCOL.

Prints a line for each check, and exits with 1 if one has failed. The last one moves the primary to the other node.
"""

import sys
import threading
import time
import traceback

import redis

PATIENCE = 30
ports = [int(port) for port in sys.argv[1:3]]
protocol = int(sys.argv[3])


def connect(port, **options):
    # `protocol` is the default of a redis-py connection as well; said here, it is certain.
    return redis.Redis(port=port, protocol=protocol, decode_responses=True, socket_timeout=PATIENCE, **options)


def equal(found, expected):
    assert found == expected, f"found {found!r}, expected {expected!r}"


def fails(call, text):
    try:
        reply = call()
    except redis.RedisError as error:
        assert text in str(error), f"{error!r} does not contain {text!r}"
        return error
    raise AssertionError(f"no error, but {reply!r}")


def pairs(reply):
    """Members and scores: tuples in RESP2, lists in RESP3."""
    return [tuple(pair) for pair in reply]


def in_background(call):
    """Runs `call` in a thread; returns a function that waits for its result."""
    result = []
    thread = threading.Thread(target=lambda: result.append(call()), daemon=True)
    thread.start()

    def finish():
        thread.join(PATIENCE)
        assert result, "the call has not ended"
        return result[0]

    return finish


def wait_for_blocked(db, client_id):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if any(int(client["id"]) == client_id and "b" in client["flags"] for client in db.client_list()):
            return
        time.sleep(0.01)
    raise AssertionError("the client does not block")


def the_protocol_is_the_one_that_was_asked_for(db):
    equal(f"resp={protocol}" in db.execute_command("CLIENT", "LIST", "ID", db.client_id()), True)
    equal(db.ping(), True)


def strings(db):
    equal(db.set("text", "grün"), True)
    equal(db.get("text"), "grün")
    equal(db.get("nothing"), None)
    equal(db.set("text", "x", nx=True), None)
    equal(db.set("text", "new", get=True), "grün")
    equal(db.append("text", "er"), 5)
    equal(db.getrange("text", 1, 2), "ew")
    equal(db.incr("number"), 1)
    equal(db.incrby("number", 41), 42)
    equal(db.decr("number"), 41)
    equal(db.incrbyfloat("number", 0.5), 41.5)
    equal(db.mset({"a": 1, "b": 2}), True)
    equal(db.mget("a", "nothing", "b"), ["1", None, "2"])
    equal(db.delete("a", "b", "nothing"), 2)
    raw = redis.Redis(port=ports[0], protocol=protocol)
    binary = bytes(range(256)) * 1000
    equal(raw.set("binary", binary), True)
    equal(raw.get("binary"), binary)
    fails(lambda: db.incr("text"), "not an integer")


def hashes(db):
    equal(db.hset("hash", mapping={"name": "Brian", "born": 941}), 2)
    equal(db.hget("hash", "name"), "Brian")
    equal(db.hgetall("hash"), {"name": "Brian", "born": "941"})
    equal(db.hmget("hash", "born", "nothing"), ["941", None])
    equal(db.hincrby("hash", "born", 1), 942)
    equal(db.hincrbyfloat("hash", "weight", 1.5), 1.5)
    equal(db.hexists("hash", "nothing"), False)
    equal(db.hsetnx("hash", "name", "x"), 0)
    equal(db.hdel("hash", "weight", "nothing"), 1)
    equal(sorted(db.hkeys("hash")), ["born", "name"])
    equal(db.hlen("hash"), 2)
    equal(sorted(db.hrandfield("hash", 2)), ["born", "name"])
    fails(lambda: db.lpush("hash", 1), "WRONGTYPE")


def lists(db):
    equal(db.rpush("list", "a", "b", "c"), 3)
    equal(db.lpush("list", "z"), 4)
    equal(db.lrange("list", 0, -1), ["z", "a", "b", "c"])
    equal(db.lindex("list", -1), "c")
    equal(db.lset("list", 0, "y"), True)
    equal(db.linsert("list", "before", "b", "ab"), 5)
    equal(db.lpos("list", "b"), 3)
    equal(db.lrem("list", 0, "ab"), 1)
    equal(db.ltrim("list", 0, 2), True)
    equal(db.lpop("list"), "y")
    equal(db.rpop("list", 2), ["b", "a"])
    equal(db.lpop("list"), None)
    db.rpush("list", 1, 2, 3)
    equal(db.lmove("list", "other", "LEFT", "RIGHT"), "1")
    equal(db.lmpop(2, "nothing", "list", direction="LEFT", count=2), ["list", ["2", "3"]])


def sets(db):
    equal(db.sadd("set", "a", "b", "c"), 3)
    equal(db.sadd("other", "b", "c", "d"), 3)
    equal(set(db.smembers("set")), {"a", "b", "c"})
    equal(bool(db.sismember("set", "a")), True)
    equal(list(map(bool, db.smismember("set", "a", "x"))), [True, False])
    equal(set(db.sinter("set", "other")), {"b", "c"})
    equal(set(db.sunion("set", "other")), {"a", "b", "c", "d"})
    equal(set(db.sdiff("set", "other")), {"a"})
    equal(db.sinterstore("both", "set", "other"), 2)
    equal(db.srem("set", "a", "x"), 1)
    equal(bool(db.smove("set", "other", "b")), True)
    equal(db.spop("set"), "c")
    equal(db.scard("set"), 0)


def sorted_sets(db):
    equal(db.zadd("zset", {"a": 1, "b": 2.5, "c": 3}), 3)
    equal(db.zadd("zset", {"a": 5}, nx=True), 0)
    equal(db.zadd("zset", {"a": 2}, gt=True, ch=True), 1)
    equal(db.zincrby("zset", 0.5, "a"), 2.5)
    equal(db.zscore("zset", "c"), 3.0)
    equal(db.zscore("zset", "nothing"), None)
    equal(db.zmscore("zset", ["a", "nothing"]), [2.5, None])
    equal(db.zrank("zset", "c"), 2)
    equal(db.zrange("zset", 0, -1), ["a", "b", "c"])
    equal(pairs(db.zrange("zset", 0, 1, withscores=True)), [("a", 2.5), ("b", 2.5)])
    equal(db.zrange("zset", "(2.5", "+inf", byscore=True), ["c"])
    equal(pairs(db.zrevrange("zset", 0, 0, withscores=True)), [("c", 3.0)])
    equal(db.zcount("zset", "-inf", 2.5), 2)
    equal(pairs(db.zpopmax("zset", 1)), [("c", 3.0)])
    equal(db.zadd("names", {name: 0 for name in ["ann", "bob", "cid"]}), 3)
    equal(db.zrange("names", "[b", "(c", bylex=True), ["bob"])
    equal(db.zunionstore("all", {"zset": 2, "names": 1}), 5)
    equal(db.zscore("all", "a"), 5.0)
    equal(db.zremrangebyrank("all", 0, 2), 3)


def pipelines(db):
    pipe = db.pipeline(transaction=False)
    for number in range(5000):
        pipe.set(f"pipe:{number}", number)
    for number in range(5000):
        pipe.get(f"pipe:{number}")
    replies = pipe.execute()
    equal(replies, [True] * 5000 + [str(number) for number in range(5000)])
    pipe = db.pipeline(transaction=False)
    pipe.set("text", "x").incr("text").get("text")
    replies = pipe.execute(raise_on_error=False)
    equal([replies[0], str(replies[1]).count("not an integer"), replies[2]], [True, 1, "x"])


def transactions(db):
    pipe = db.pipeline(transaction=True)
    equal(pipe.set("n", 1).incr("n").hset("h", "f", "v").hgetall("h").execute(), [True, 2, 1, {"f": "v"}])
    pipe = db.pipeline(transaction=True)
    pipe.set("n", "x").incr("n").get("n")
    replies = pipe.execute(raise_on_error=False)
    equal([replies[0], str(replies[1]).count("not an integer"), replies[2]], [True, 1, "x"])
    pipe = db.pipeline(transaction=True)
    pipe.set("n", 7).execute_command("NONSENSE")
    fails(pipe.execute, "unknown command")
    equal(db.get("n"), "x")


def watched_keys(db):
    db.set("balance", 10)
    with db.pipeline() as pipe:
        pipe.watch("balance")
        balance = int(pipe.get("balance"))
        pipe.multi()
        pipe.set("balance", balance + 1)
        equal(pipe.execute(), [True])
    with db.pipeline() as pipe:
        pipe.watch("balance")
        db.set("balance", 99)
        pipe.multi()
        pipe.set("balance", 0)
        try:
            pipe.execute()
            raise AssertionError("the conflict went unnoticed")
        except redis.WatchError:
            pass
    equal(db.get("balance"), "99")
    # redis-py's own loop around WATCH: two threads, no increment lost.
    def add_one(pipe):
        balance = int(pipe.get("balance"))
        pipe.multi()
        pipe.set("balance", balance + 1)

    def add():
        for _ in range(50):
            db.transaction(add_one, "balance")
        return True

    finish = [in_background(add) for _ in range(2)]
    equal([each() for each in finish], [True, True])
    equal(db.get("balance"), "199")


def blocking_pops(db):
    other = connect(ports[0], single_connection_client=True)
    other_id = other.client_id()
    for call, push, expected in [
        (lambda: other.blpop(["l1", "l2"], timeout=PATIENCE), lambda: db.rpush("l2", "x"), ("l2", "x")),
        (lambda: other.brpop("l1", timeout=0), lambda: db.rpush("l1", "a", "b"), ("l1", "b")),
        (lambda: other.blmove("l3", "l4", timeout=0), lambda: db.rpush("l3", "m"), "m"),
        (lambda: other.bzpopmin("z1", timeout=0), lambda: db.zadd("z1", {"a": 1.5, "b": 2}), ("z1", "a", 1.5)),
        (lambda: other.blmpop(0, 2, "l5", "l6", direction="LEFT", count=2), lambda: db.rpush("l6", 1, 2, 3),
         ("l6", ["1", "2"])),
    ]:
        finish = in_background(call)
        wait_for_blocked(db, other_id)
        push()
        reply = finish()
        equal(reply if isinstance(reply, str) else tuple(reply), expected)
    equal(other.blpop("nothing", timeout=0.1), None)
    equal(other.bzpopmax("nothing", timeout=0.1), None)
    equal(other.blmove("nothing", "l4", timeout=0.1), None)
    for error in [False, True]:
        def blocked():
            try:
                return other.blpop("nothing", timeout=0)
            except redis.ResponseError as told:
                return str(told)
        finish = in_background(blocked)
        wait_for_blocked(db, other_id)
        equal(bool(db.client_unblock(other_id, error=error)), True)
        reply = finish()
        equal("unblocked via CLIENT UNBLOCK" in reply if error else reply, True if error else None)
    other.close()


def scans(db):
    many = 5000
    pipe = db.pipeline(transaction=False)
    for number in range(many):
        pipe.set(f"scan:{number}", number)
    pipe.hset("scan-hash", mapping={f"f{number}": number for number in range(many)})
    pipe.sadd("scan-set", *range(many))
    pipe.zadd("scan-zset", {f"m{number}": number for number in range(many)})
    pipe.execute()
    equal(sorted(db.scan_iter("scan:*", count=100)), sorted(f"scan:{number}" for number in range(many)))
    equal(sorted(db.scan_iter(_type="zset")), ["scan-zset"])
    equal(dict(db.hscan_iter("scan-hash", count=100)), {f"f{number}": str(number) for number in range(many)})
    equal(sorted(map(int, db.sscan_iter("scan-set", count=100))), list(range(many)))
    equal(dict(map(tuple, db.zscan_iter("scan-zset", count=100))), {f"m{number}": number for number in range(many)})
    equal(sorted(db.sscan_iter("scan-set", match="123*")), sorted(str(n) for n in range(many) if str(n)[:3] == "123"))


def expiry(db):
    equal(db.set("short", 1, px=50), True)
    equal(db.set("long", 1, ex=1000), True)
    equal(900 < db.ttl("long") <= 1000, True)
    equal(db.expire("long", 2000, gt=True), True)
    equal(db.persist("long"), True)
    equal([db.ttl("long"), db.ttl("nothing")], [-1, -2])
    end = time.monotonic() + PATIENCE
    while db.exists("short"):
        assert time.monotonic() < end, "the key does not expire"
        time.sleep(0.01)
    db.hset("hash", "f", 1)
    equal(db.pexpire("hash", 1), True)
    while db.exists("hash"):
        assert time.monotonic() < end, "the hash does not expire"
        time.sleep(0.01)


def a_switchover_is_not_noticed(db):
    """The old primary forwards from then on; a transaction with watched keys fails as if one had been written."""
    blocked = connect(ports[0], single_connection_client=True)
    blocked_id = blocked.client_id()
    finish = in_background(lambda: blocked.blpop("list", timeout=0))
    wait_for_blocked(db, blocked_id)
    db.set("before", "kept")
    pipe = db.pipeline()
    pipe.watch("before")
    db.execute_command("TANIST", "SWITCHOVER")
    equal(db.role()[0], "master")
    pipe.multi()
    pipe.set("before", "changed")
    try:
        pipe.execute()
        raise AssertionError("the watch has passed")
    except redis.WatchError:
        pass
    equal(db.get("before"), "kept")
    equal(db.set("after", 1), True)
    equal(db.transaction(lambda pipe: (pipe.multi(), pipe.incr("after")), "after"), [2])
    equal(db.rpush("list", "element"), 1)
    equal(list(finish()), ["list", "element"])
    other = connect(ports[1])
    equal(other.get("after"), "2")


CHECKS = [
    the_protocol_is_the_one_that_was_asked_for,
    strings,
    hashes,
    lists,
    sets,
    sorted_sets,
    pipelines,
    transactions,
    watched_keys,
    blocking_pops,
    scans,
    expiry,
    a_switchover_is_not_noticed,
]


def main():
    failed = 0
    print(f"redis-py {redis.__version__}, RESP{protocol}")
    db = connect(ports[0])
    for check in CHECKS:
        try:
            db.flushall()
            check(db)
            print(f"ok      {check.__name__}")
        except Exception:
            failed += 1
            print(f"FAILED  {check.__name__}\n{traceback.format_exc()}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
