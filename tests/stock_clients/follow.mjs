// ioredis under changes of the primary: node follow.mjs PORT LIST, until its input ends. As follow.py.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/`);
const { Redis } = require("ioredis");

const [port, key] = [Number(process.argv[2]), process.argv[3]];
const client = new Redis({ port, commandTimeout: 30_000, maxRetriesPerRequest: 0, retryStrategy: () => 5 });
client.on("error", () => {});
const told = { acknowledged: [], refused: [], unknown: [], errors: {}, longest_gap_ms: 0 };
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

let ended = false;
process.stdin.on("end", () => (ended = true)).resume();
let last = performance.now();
for (let number = 0; !ended; number++) {
  try {
    await client.rpush(key, number);
    told.acknowledged.push(number);
    const now = performance.now();
    told.longest_gap_ms = Math.max(told.longest_gap_ms, now - last);
    last = now;
    if (number % 16 === 0) assert.equal(await client.lindex(key, -1), String(number));
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    told.errors[error.message] = (told.errors[error.message] ?? 0) + 1;
    (error.message.includes("(not executed)") ? told.refused : told.unknown).push(number);
    await sleep(5);
  }
}
client.disconnect();
console.log(JSON.stringify(told));
