// ioredis against a running pair: node ioredis.mjs PRIMARY_PORT STANDBY_PORT PROTOCOL, in a folder where ioredis is installed.
//
// Prints a line for each check, and exits with 1 if one has failed. The last one moves the primary to the other node.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

// Modules are looked for where the program runs, not where this file is: nothing is installed into the source tree.
const require = createRequire(`${process.cwd()}/`);
const { Redis } = require("ioredis");

const PATIENCE = 30_000;
const [primary, standby, protocol] = process.argv.slice(2).map(Number);
const open = [];

function connect(port, options = {}) {
  const client = new Redis({ port, protocol, commandTimeout: PATIENCE, ...options });
  client.on("error", () => {});
  open.push(client);
  return client;
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const numbers = (many) => [...Array(many).keys()];
const sorted = (words) => [...words].sort();
const pairs = (flat) => Object.fromEntries(numbers(flat.length / 2).map((n) => [flat[2 * n], flat[2 * n + 1]]));

async function until(what, condition) {
  for (const end = Date.now() + PATIENCE; Date.now() < end; await sleep(10)) {
    if (await condition()) return;
  }
  assert.fail(`in vain: ${what}`);
}

async function waitForBlocked(db, id) {
  await until("the client blocks", async () => {
    const line = (await db.client("LIST")).split("\n").find((line) => line.includes(`id=${id} `));
    return line?.match(/ flags=\S*b/);
  });
}

async function everyBatch(stream) {
  const all = [];
  for await (const batch of stream) all.push(...batch);
  return all;
}

const checks = {
  async "the protocol is the one that was asked for"(db) {
    assert.match(await db.client("LIST", "ID", await db.client("ID")), new RegExp(` resp=${protocol}`));
    assert.equal(await db.ping(), "PONG");
  },

  async strings(db) {
    assert.equal(await db.set("text", "grün"), "OK");
    assert.equal(await db.get("text"), "grün");
    assert.equal(await db.get("nothing"), null);
    assert.equal(await db.set("text", "x", "NX"), null);
    assert.equal(await db.set("text", "new", "GET"), "grün");
    assert.equal(await db.append("text", "er"), 5);
    assert.equal(await db.incrby("number", 42), 42);
    assert.equal(await db.incrbyfloat("number", 0.5), "42.5");
    assert.equal(await db.mset({ a: 1, b: 2 }), "OK");
    assert.deepEqual(await db.mget("a", "nothing", "b"), ["1", null, "2"]);
    assert.equal(await db.del("a", "b", "nothing"), 2);
    const binary = Buffer.from(numbers(256_000).map((n) => n % 256));
    assert.equal(await db.set("binary", binary), "OK");
    assert.deepEqual(await db.getBuffer("binary"), binary);
    await assert.rejects(db.incr("text"), /not an integer/);
  },

  async hashes(db) {
    assert.equal(await db.hset("hash", { name: "Brian", born: 941 }), 2);
    assert.equal(await db.hget("hash", "name"), "Brian");
    assert.deepEqual(await db.hgetall("hash"), { name: "Brian", born: "941" });
    assert.deepEqual(await db.hmget("hash", "born", "nothing"), ["941", null]);
    assert.equal(await db.hincrby("hash", "born", 1), 942);
    assert.equal(await db.hexists("hash", "nothing"), 0);
    assert.equal(await db.hdel("hash", "born", "nothing"), 1);
    assert.deepEqual(await db.hkeys("hash"), ["name"]);
    await assert.rejects(db.lpush("hash", 1), /WRONGTYPE/);
  },

  async lists(db) {
    assert.equal(await db.rpush("list", "a", "b", "c"), 3);
    assert.equal(await db.lpush("list", "z"), 4);
    assert.deepEqual(await db.lrange("list", 0, -1), ["z", "a", "b", "c"]);
    assert.equal(await db.linsert("list", "BEFORE", "b", "ab"), 5);
    assert.equal(await db.lpos("list", "b"), 3);
    assert.equal(await db.lrem("list", 0, "ab"), 1);
    assert.equal(await db.lpop("list"), "z");
    assert.deepEqual(await db.rpop("list", 2), ["c", "b"]);
    assert.equal(await db.lmove("list", "other", "LEFT", "RIGHT"), "a");
    assert.deepEqual(await db.lmpop(2, "list", "other", "LEFT"), ["other", ["a"]]);
  },

  async sets(db) {
    assert.equal(await db.sadd("set", "a", "b", "c"), 3);
    assert.equal(await db.sadd("other", "b", "c", "d"), 3);
    assert.deepEqual(sorted(await db.smembers("set")), ["a", "b", "c"]);
    assert.deepEqual(await db.smismember("set", "a", "x"), [1, 0]);
    assert.deepEqual(sorted(await db.sinter("set", "other")), ["b", "c"]);
    assert.deepEqual(await db.sdiff("set", "other"), ["a"]);
    assert.equal(await db.sunionstore("all", "set", "other"), 4);
    assert.equal(await db.smove("set", "other", "a"), 1);
    assert.deepEqual(sorted(await db.spop("set", 5)), ["b", "c"]);
  },

  async "sorted sets"(db) {
    assert.equal(await db.zadd("zset", 1, "a", 2.5, "b", 3, "c"), 3);
    assert.equal(await db.zadd("zset", "NX", 5, "a"), 0);
    assert.equal(await db.zadd("zset", "GT", "CH", 2, "a"), 1);
    assert.equal(Number(await db.zincrby("zset", 0.5, "a")), 2.5);
    assert.equal(Number(await db.zscore("zset", "c")), 3);
    assert.equal(await db.zscore("zset", "nothing"), null);
    assert.deepEqual((await db.zmscore("zset", "a", "b")).map(Number), [2.5, 2.5]);
    assert.equal(await db.zrank("zset", "c"), 2);
    assert.deepEqual(await db.zrange("zset", 0, -1), ["a", "b", "c"]);
    assert.deepEqual(await db.zrange("zset", "(2.5", "+inf", "BYSCORE"), ["c"]);
    const [member, score] = (await db.zrange("zset", 2, 2, "WITHSCORES")).flat();
    assert.deepEqual([member, Number(score)], ["c", 3]);
    assert.equal(await db.zcount("zset", "-inf", 2.5), 2);
    const [last, highest] = (await db.zpopmax("zset")).flat();
    assert.deepEqual([last, Number(highest)], ["c", 3]);
    assert.equal(await db.zunionstore("twice", 2, "zset", "zset"), 2);
    assert.equal(await db.zremrangebyscore("twice", "-inf", "+inf"), 2);
  },

  async pipelines(db) {
    const pipeline = db.pipeline();
    numbers(5000).forEach((n) => pipeline.set(`pipe:${n}`, n));
    numbers(5000).forEach((n) => pipeline.get(`pipe:${n}`));
    const replies = await pipeline.exec();
    assert.deepEqual(replies.slice(0, 5000), numbers(5000).map(() => [null, "OK"]));
    assert.deepEqual(replies.slice(5000), numbers(5000).map((n) => [null, `${n}`]));
    const [, [error], [, text]] = await db.pipeline().set("text", "x").incr("text").get("text").exec();
    assert.match(error.message, /not an integer/);
    assert.equal(text, "x");
    // ioredis sends what is asked for without waiting in one piece.
    const together = connect(primary, { enableAutoPipelining: true });
    await Promise.all(numbers(1000).map((n) => together.incr("counter")));
    assert.equal(await db.get("counter"), "1000");
  },

  async transactions(db) {
    const replies = await db.multi().set("n", 1).incr("n").hset("h", "f", "v").hgetall("h").exec();
    assert.deepEqual(replies.slice(0, 3), [[null, "OK"], [null, 2], [null, 1]]);
    assert.deepEqual(replies[3], [null, { f: "v" }]);
    const [, [error]] = await db.multi().set("n", "x").incr("n").exec();
    assert.match(error.message, /not an integer/);
    await assert.rejects(db.multi().set("n", 7).call("NONSENSE").exec(), /EXECABORT/);
    assert.equal(await db.get("n"), "x");
  },

  async "watched keys"(db) {
    await db.set("balance", 10);
    await db.watch("balance");
    assert.deepEqual(await db.multi().incr("balance").exec(), [[null, 11]]);
    await db.watch("balance");
    await connect(primary).set("balance", 99);
    assert.equal(await db.multi().set("balance", 0).exec(), null);
    await db.watch("balance");
    await db.unwatch();
    await connect(primary).set("balance", 100);
    assert.deepEqual(await db.multi().incr("balance").exec(), [[null, 101]]);
  },

  async "blocking pops"(db) {
    const other = connect(primary, { commandTimeout: undefined });
    const id = await other.client("ID");
    for (const [call, push, expected] of [
      [() => other.blpop("l1", "l2", 0), () => db.rpush("l2", "x"), ["l2", "x"]],
      [() => other.brpop("l1", 30), () => db.rpush("l1", "a", "b"), ["l1", "b"]],
      [() => other.blmove("l3", "l4", "LEFT", "RIGHT", 0), () => db.rpush("l3", "m"), "m"],
      [() => other.bzpopmin("z1", 0), () => db.zadd("z1", 1.5, "a", 2, "b"), ["z1", "a", 1.5]],
      [() => other.blmpop(0, 2, "l5", "l6", "LEFT", "COUNT", 2), () => db.rpush("l6", 1, 2, 3), ["l6", ["1", "2"]]],
    ]) {
      const reply = call();
      await waitForBlocked(db, id);
      await push();
      const found = await reply;
      // A score is a string in RESP2.
      if (found.length === 3) found[2] = Number(found[2]);
      assert.deepEqual(found, expected);
    }
    assert.equal(await other.blpop("nothing", 0.1), null);
    assert.equal(await other.bzpopmax("nothing", 0.1), null);
    const timedOut = other.blpop("nothing", 0);
    await waitForBlocked(db, id);
    assert.equal(await db.client("UNBLOCK", id), 1);
    assert.equal(await timedOut, null);
    const failed = assert.rejects(other.blpop("nothing", 0), /unblocked via CLIENT UNBLOCK/);
    await waitForBlocked(db, id);
    assert.equal(await db.client("UNBLOCK", id, "ERROR"), 1);
    await failed;
  },

  async scans(db) {
    const many = 5000;
    const pipeline = db.pipeline();
    numbers(many).forEach((n) => pipeline.set(`scan:${n}`, n));
    pipeline.hset("scan-hash", ...numbers(many).flatMap((n) => [`f${n}`, n]));
    pipeline.sadd("scan-set", ...numbers(many));
    pipeline.zadd("scan-zset", ...numbers(many).flatMap((n) => [n, `m${n}`]));
    await pipeline.exec();
    const keys = await everyBatch(db.scanStream({ match: "scan:*", count: 100 }));
    assert.deepEqual(sorted(keys), sorted(numbers(many).map((n) => `scan:${n}`)));
    assert.deepEqual(await everyBatch(db.scanStream({ type: "zset" })), ["scan-zset"]);
    const fields = pairs(await everyBatch(db.hscanStream("scan-hash", { count: 100 })));
    assert.deepEqual(fields, Object.fromEntries(numbers(many).map((n) => [`f${n}`, `${n}`])));
    const members = await everyBatch(db.sscanStream("scan-set", { count: 100 }));
    assert.deepEqual(sorted(members), sorted(numbers(many).map(String)));
    const scores = pairs(await everyBatch(db.zscanStream("scan-zset", { count: 100 })));
    assert.deepEqual(numbers(many).map((n) => Number(scores[`m${n}`])), numbers(many));
  },

  async expiry(db) {
    assert.equal(await db.set("short", 1, "PX", 50), "OK");
    assert.equal(await db.set("long", 1, "EX", 1000), "OK");
    const left = await db.ttl("long");
    assert.ok(left > 900 && left <= 1000, `${left}`);
    assert.equal(await db.expire("long", 2000, "GT"), 1);
    assert.equal(await db.persist("long"), 1);
    assert.deepEqual([await db.ttl("long"), await db.ttl("nothing")], [-1, -2]);
    await until("the key expires", async () => (await db.exists("short")) === 0);
    await db.hset("hash", "f", 1);
    assert.equal(await db.pexpire("hash", 1), 1);
    await until("the hash expires", async () => (await db.exists("hash")) === 0);
  },

  // What ioredis needs today: `reconnectOnError` that takes the other node when the present one refuses. 2: the refused command is sent
  // again there. A blocked command is not refused but ended, and its caller asks again.
  async "a switchover is not noticed"(db) {
    assert.equal(await db.set("before", "kept"), "OK");
    const blocked = connect(primary, { commandTimeout: undefined });
    const id = await blocked.client("ID");
    const popped = blocked.blpop("list", 0);
    await waitForBlocked(db, id);
    const watching = connect(primary);
    await watching.watch("before");
    await db.call("TANIST", "SWITCHOVER");
    assert.equal((await db.role())[0], "master");
    assert.equal(await watching.multi().set("before", "changed").exec(), null);
    assert.equal(await db.get("before"), "kept");
    assert.equal(await db.incr("after"), 1);
    assert.deepEqual(await db.multi().incr("after").get("after").exec(), [[null, 2], [null, "2"]]);
    assert.equal(await db.rpush("list", "element"), 1);
    assert.deepEqual(await popped, ["list", "element"]);
    assert.equal(await connect(standby).get("after"), "2");
  },
};

console.log(`ioredis ${require("ioredis/package.json").version}, RESP${protocol}`);
const db = connect(primary);
let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await db.flushall();
    await check(db);
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
open.forEach((client) => client.disconnect());
process.exitCode = failed ? 1 : 0;
