// A validator with its own store, settings and journal, and the requests that tests send to it.

import { createHash } from "node:crypto";

import { load } from "./component.js";
import { memoryStore } from "./store.js";

const instantiate = await load(process.env.COUNTERSIGN_COMPONENT);

export const ID = "lic_00000000000000000000000000";
export const KEY = "a key that another system issued";
export const MISTYPED = "ACME-00000-00000-00000-00000-00000-00001";

export let store, settings, journal, validator, service;

/** Makes a new instance, whose store has one licence: its key is KEY, and it is for example.com. */
export async function setUp() {
  store = memoryStore();
  settings = {};
  journal = [];
  ({ validator, service } = await instantiate({
    "countersign:license/store": store,
    "countersign:license/settings": { get: (name) => settings[name] },
    "countersign:license/journal": { append: (event) => void journal.push(line(event)) },
  }));
  write({ tag: "absent" }, {});
  store.calls = [];
}

/** What a host writes of an event in its line, without the time. */
function line({ name, code, reason, license, seconds, durationMicros }) {
  const fields = { event: name, code, reason, license: license?.id, product: license?.product, hint: license?.hint };
  // Integers of 64 bits arrive as BigInt.
  const number = (value) => (value === undefined ? undefined : Number(value));
  const numbers = { seconds: number(seconds), durationMicros: number(durationMicros) };
  return Object.fromEntries(Object.entries({ ...fields, ...numbers }).filter(([, value]) => value !== undefined));
}

export function storeKey(key) {
  return `license:${createHash("sha256").update(key).digest("hex")}`;
}

/** Writes the licence of KEY, with these fields, if `expect` holds. */
export function write(expect, fields) {
  const record = {
    format: 1,
    generation: 1,
    id: ID,
    product: "acme-editor",
    status: "active",
    hint: "sued",
    plan: "pro",
    issuedAt: "2026-01-01T00:00:00Z",
    features: ["export"],
    domains: ["example.com"],
    requires: [],
    ...fields,
  };
  return store.put(storeKey(KEY), new TextEncoder().encode(JSON.stringify(record)), expect, undefined);
}

/** Sends a request. Returns the answer with its headers by name and its body parsed. */
export function send(method, path, body = "", headers = {}) {
  const encode = (text) => new TextEncoder().encode(text);
  const { status, headers: answered, body: bytes } = service.handle({
    method,
    path,
    headers: Object.entries(headers).map(([name, value]) => ({ name, value: encode(value) })),
    body: { tag: "complete", val: encode(body) },
  });
  const text = new TextDecoder().decode(bytes);
  return {
    status,
    headers: Object.fromEntries(answered.map(({ name, value }) => [name, new TextDecoder().decode(value)])),
    body: text && JSON.parse(text),
  };
}
