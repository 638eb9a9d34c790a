// ioredis or node-redis under changes of the primary: node follow.mjs PORT LIST ioredis|node-redis, until its input ends. As follow.py.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/`);
const [port, key, library] = [Number(process.argv[2]), process.argv[3], process.argv[4]];

// Commands that a lost connection has left without a reply fail: neither client sends them again.
async function connect() {
  if (library === "node-redis") {
    const client = require("redis").createClient({ socket: { port, reconnectStrategy: () => 5 } });
    client.on("error", () => {});
    await client.connect();
    return { push: (n) => client.rPush(key, String(n)), last: () => client.lIndex(key, -1), end: () => client.destroy() };
  }
  const { Redis } = require("ioredis");
  const client = new Redis({ port, commandTimeout: 30_000, maxRetriesPerRequest: 0, retryStrategy: () => 5 });
  client.on("error", () => {});
  return { push: (n) => client.rpush(key, n), last: () => client.lindex(key, -1), end: () => client.disconnect() };
}

const client = await connect();
const told = { acknowledged: [], refused: [], unknown: [], errors: {}, longest_gap_ms: 0 };
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

let ended = false;
process.stdin.on("end", () => (ended = true)).resume();
let last = performance.now();
for (let number = 0; !ended; number++) {
  try {
    await client.push(number);
    told.acknowledged.push(number);
    const now = performance.now();
    told.longest_gap_ms = Math.max(told.longest_gap_ms, now - last);
    last = now;
    if (number % 16 === 0) assert.equal(await client.last(), String(number));
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    told.errors[error.message] = (told.errors[error.message] ?? 0) + 1;
    (error.message.includes("(not executed)") ? told.refused : told.unknown).push(number);
    await sleep(5);
  }
}
client.end();
console.log(JSON.stringify(told));
