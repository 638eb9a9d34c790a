// ioredis or node-redis under changes of the primary: node follow.mjs PORTS LIST ioredis|node-redis FORM, until its input ends. As follow.py.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/`);
const [, , ports, key, library, form] = process.argv;
const nodes = ports.split(",").map((port) => ({ host: "127.0.0.1", port: Number(port) }));

// Clients that send nothing again by themselves: so each number is sent once. Commands that a lost connection has left without a reply
// fail.
function ioredis() {
  const { Redis, Cluster } = require("ioredis");
  const options = { commandTimeout: 30_000, maxRetriesPerRequest: 0, retryStrategy: () => 5 };
  const sentinel = { ...options, sentinels: nodes, name: "mymaster", sentinelRetryStrategy: () => 5 };
  const cluster = { clusterRetryStrategy: () => 5, retryDelayOnFailover: 0, redisOptions: options };
  const make = {
    address: () => new Redis({ ...options, ...nodes[0] }),
    sentinel: () => new Redis(sentinel),
    cluster: () => new Cluster(nodes, cluster),
  };
  const client = make[form]();
  client.on("error", () => {});
  return { push: (n) => client.rpush(key, n), last: () => client.lindex(key, -1), end: () => client.disconnect() };
}

async function nodeRedis() {
  const { createClient, createCluster } = require("redis");
  const socket = { reconnectStrategy: () => 5 };
  const addresses = nodes.map((node) => ({ socket: { ...socket, ...node } }));
  const make = {
    address: () => createClient(addresses[0]),
    cluster: () => createCluster({ rootNodes: addresses, defaults: { socket } }),
  };
  const client = make[form]();
  client.on("error", () => {});
  await client.connect();
  return { push: (n) => client.rPush(key, String(n)), last: () => client.lIndex(key, -1), end: () => client.destroy() };
}

const client = library === "node-redis" ? await nodeRedis() : ioredis();
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
