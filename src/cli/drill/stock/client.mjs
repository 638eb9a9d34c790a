// ioredis or node-redis, executing what it is told: node client.mjs OPTIONS, until its input ends. As client.py; OPTIONS has
// `library` too, ioredis or redis. Modules are looked for in the current folder.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.cwd()}/`);
const options = JSON.parse(process.argv.at(-1));
const nodes = options.nodes.map(([host, port]) => ({ host, port }));
const password = process.env.TANIST_REQUIREPASS || undefined;
const say = (what) => console.log(JSON.stringify(what));
const retry = () => 5;

const libraries = {
  ioredis({ Redis, Cluster }) {
    const common = { password, socketTimeout: options.wait_ms, maxRetriesPerRequest: 0, retryStrategy: retry };
    const asked = { sentinels: nodes, name: options.name, sentinelPassword: password, sentinelRetryStrategy: retry };
    const cluster = { clusterRetryStrategy: retry, retryDelayOnFailover: 0, redisOptions: common };
    const make = {
      address: () => new Redis({ ...common, ...nodes[0] }),
      sentinel: () => new Redis({ ...common, ...asked }),
      cluster: () => new Cluster(nodes, cluster),
    };
    const client = make[options.form]().on("error", () => {});
    return ([name, ...args]) => client.call(name.toLowerCase(), ...args);
  },

  redis({ createClient, createCluster }) {
    const socket = { reconnectStrategy: retry, socketTimeout: options.wait_ms };
    const addresses = nodes.map((node) => ({ password, socket: { ...socket, ...node } }));
    const defaults = { password, socket };
    const cluster = options.form === "cluster";
    const client = cluster ? createCluster({ rootNodes: addresses, defaults }) : createClient(addresses[0]);
    client.on("error", () => {});
    const connected = client.connect();
    return async (words) => {
      await connected;
      return cluster ? client.sendCommand(words[1], false, words) : client.sendCommand(words);
    };
  },
};

function load(name) {
  try {
    return [require(name), require(`${name}/package.json`).version];
  } catch (error) {
    say({ error: error.message.split("\n")[0] });
    process.exit();
  }
}

const [library, version] = load(options.library);
const execute = libraries[options.library](library);
say({ version });
for await (const line of createInterface({ input: process.stdin })) {
  try {
    say({ reply: await execute(JSON.parse(line)) });
  } catch (error) {
    say({ error: error.message || error.name });
  }
}
process.exit();
