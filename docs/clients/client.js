#!/usr/bin/env node
// A client of Polygraph in JavaScript: registers and transactions of a service that speaks lines of
// JSON over TCP. The protocol is told in docs/client-protocol.md.
"use strict";
const net = require("node:net");
const readline = require("node:readline");

let address, timeoutMs, socket, waiting;

class Fail extends Error {} // it certainly did not happen
class Info extends Error {} // nobody can know

function connect() {
  return new Promise((resolve, reject) => {
    const [host, port] = address.split(":");
    const line = net.connect(Number(port), host);
    line.setNoDelay(true);
    const timer = setTimeout(() => line.destroy(new Error("connect: timeout")), timeoutMs);
    line.once("connect", () => {
      clearTimeout(timer);
      socket = line;
      readline.createInterface({ input: line }).on("line", (text) => waiting?.resolve(text));
      line.on("error", (error) => waiting?.reject(error));
      // A line without its end is no answer: it comes as one before "close", so look at the end first.
      line.on("close", () => (line === socket && (socket = undefined), waiting?.reject(new Error("closed"))));
      resolve();
    });
    line.once("error", (error) => (clearTimeout(timer), reject(new Fail(error.message))));
  });
}

// Sends the request once. Without a whole answer in time the connection is dropped, and it is doubt.
async function ask(request, Doubt) {
  if (!socket) await connect();
  const line = socket;
  try {
    const text = await new Promise((resolve, reject) => {
      waiting = { resolve, reject };
      setTimeout(() => reject(new Error("timeout")), timeoutMs);
      line.write(JSON.stringify(request) + "\n");
    });
    const answer = JSON.parse(text); // half an answer is no JSON
    if (answer.error === "conflict" || answer.error === "busy") throw new Fail(answer.error);
    if (answer.error) throw new Doubt(answer.error);
    return answer.value;
  } catch (error) {
    if (error instanceof Fail || error instanceof Doubt) throw error;
    line.destroy();
    socket = undefined;
    throw new Doubt(error.message);
  } finally {
    waiting = undefined;
  }
}

let readsOnly = false;
// Until it commits, a transaction has not happened, and its connection is not used after a failure.
async function inTransaction(request) {
  if (!socket) throw new Fail("the connection of this transaction is gone");
  try {
    return await ask(request, Fail);
  } catch (error) {
    socket?.destroy();
    socket = undefined;
    throw error;
  }
}

const calls = {
  abilities: () => ["Registers", "Transactions"],
  open: (asked) => {
    address = asked.address;
    timeoutMs = asked.op_timeout_s * 800; // before the operation's time is over
    return connect();
  },
  read: ({ key }) => ask({ f: "get", key: String(key) }, Fail),
  write: ({ key, value }) => ask({ f: "put", key: String(key), value }, Info),
  compare_and_set: ({ key, old, new: new_ }) => ask({ f: "cas", key: String(key), old, new: new_ }, Info),
  begin: ({ read_only }) => ask({ f: "begin", read_only: (readsOnly = read_only) }, Fail),
  get: ({ key }) => inTransaction({ f: "get", key: String(key) }),
  put: ({ key, value }) => inTransaction({ f: "put", key: String(key), value }),
  commit: () => ask({ f: "commit" }, readsOnly ? Fail : Info),
  abort: () => (socket?.destroy(), (socket = undefined)),
};

async function main() {
  for await (const text of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(text);
    const answer = { id: asked.id };
    try {
      Object.assign(answer, { type: "ok", value: (await calls[asked.call](asked)) ?? null });
    } catch (error) {
      Object.assign(answer, { type: error instanceof Fail ? "fail" : "info", error: error.message });
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
  process.exit(0);
}

main();
