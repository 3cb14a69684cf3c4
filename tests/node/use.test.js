// Seats, leases and usage in Node: the calls that each verb makes of the store, and what it writes.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { ID, KEY, MISTYPED, journal, send, setUp, store, validator, write } from "./app.js";

const MACHINE = "a machine that the store never sees";
const USER = "somebody@users.example";

const VERBS = ["validate", "activate", "heartbeat", "deactivate", "activations", "usage"];
const STATE = `state:${ID}`;

beforeEach(async () => {
  await setUp();
  use({ activation: { per: "machine", limit: 1 }, allowances: [{ name: "credits", limit: 10 }] });
});

/** Writes the licence of KEY without domains, and with these fields. */
function use(fields) {
  write({ tag: "any" }, { domains: [], ...fields });
  store.calls = [];
}

/** Sends a request with KEY. Returns status and body, and the calls that it made of the store. */
function ask(verb, request, headers) {
  store.calls = [];
  const { status, body } = send("POST", `/api/v1/${verb}`, JSON.stringify({ key: KEY, ...request }), headers);
  return { status, body, calls: store.calls };
}

/** The fields that a request of this verb must have. */
function least(verb) {
  if (verb === "activations") return {};
  return verb === "usage" ? { allowance: "credits" } : { fingerprint: MACHINE };
}

test("a verb makes two reads and one write at most", () => {
  for (const [verb, request, code, ...calls] of [
    ["validate", {}, "FINGERPRINT_REQUIRED", "get"],
    ["validate", { fingerprint: MACHINE }, "NOT_ACTIVATED", "get", "get"],
    ["heartbeat", { fingerprint: MACHINE }, "NOT_ACTIVATED", "get", "get"],
    ["activate", {}, "FINGERPRINT_REQUIRED", "get"],
    ["activate", { fingerprint: MACHINE }, "VALID", "get", "get", "put"],
    ["activate", { fingerprint: MACHINE }, "VALID", "get", "get"],
    ["activate", { fingerprint: "another" }, "TOO_MANY_ACTIVATIONS", "get", "get"],
    ["heartbeat", { fingerprint: MACHINE }, "VALID", "get", "get"],
    ["validate", { fingerprint: MACHINE, allowance: "credits" }, "VALID", "get", "get"],
    ["activations", {}, undefined, "get", "get"],
    ["usage", { allowance: "credits", fingerprint: MACHINE }, "VALID", "get", "get"],
    ["usage", { allowance: "credits", fingerprint: MACHINE, consume: 10 }, "VALID", "get", "get", "put"],
    ["usage", { allowance: "credits", fingerprint: MACHINE, consume: 1 }, "USAGE_EXHAUSTED", "get", "get"],
    ["usage", { allowance: "credits", fingerprint: MACHINE, return: 1 }, "VALID", "get", "get", "put"],
    ["deactivate", { fingerprint: MACHINE }, undefined, "get", "get", "put"],
    ["deactivate", { fingerprint: MACHINE }, undefined, "get", "get"],
  ]) {
    const answer = ask(verb, request);
    assert.deepEqual([answer.status, answer.body.code, answer.calls], [200, code, calls], `${verb} ${JSON.stringify(request)}`);
  }
});

test("an unknown key costs one read, and a mistyped key or a malformed request none", () => {
  for (const verb of VERBS) {
    assert.deepEqual(ask(verb, { key: "nobody's", ...least(verb) }).calls, ["get"], verb);
    const mistyped = ask(verb, { key: MISTYPED, ...least(verb) });
    assert.deepEqual([mistyped.status, mistyped.body.code, mistyped.calls], [404, "MALFORMED_KEY", []], verb);
    const misspelt = ask(verb, { ...least(verb), fingerprnt: MACHINE });
    assert.deepEqual([misspelt.status, misspelt.body.field, misspelt.calls], [400, "fingerprnt", []], verb);
  }
});

test("a revoked key costs one read, and tells nothing but that", () => {
  for (const verb of VERBS) ask(verb, least(verb));
  ask("activate", { fingerprint: MACHINE });
  use({ status: "revoked", activation: { per: "machine", limit: 1 }, allowances: [{ name: "credits", limit: 10 }] });
  for (const verb of VERBS) {
    const { status, body, calls } = ask(verb, { ...least(verb), nonce: "n-1" });
    assert.equal(status, 200);
    assert.deepEqual([Object.keys(body), body.code, calls], [["valid", "code", "detail", "nonce"], "REVOKED", ["get"]], verb);
  }
  const request = { key: KEY, features: [], fingerprint: [MACHINE], allowance: "credits" };
  const verdict = validator.usage(request, undefined, undefined).verdict;
  const { licenseId, product, plan, expiresAt, activation, seats, allowance } = verdict;
  assert.deepEqual([verdict.code, verdict.features], ["revoked", []]);
  assert.deepEqual([licenseId, product, plan, expiresAt, activation, seats, allowance], Array(7).fill(undefined));
  assert.equal(validator.activations({ key: KEY, fingerprint: [] }), undefined);
  assert.equal(validator.deactivate({ key: KEY, fingerprint: [MACHINE] }), undefined);
});

test("a user neither lists nor releases another's seat, unless the licence says so", () => {
  for (const [manage, lists, fault] of [[undefined, 1, true], ["own", 1, true], ["all", 2, false]]) {
    store.delete(STATE);
    use({ activation: { per: "user", limit: 2, manage } });
    const seats = ["alice", "bob"].map((user) => ask("activate", { user }).body.activation.id);
    assert.deepEqual(ask("activations", { user: "bob" }).body.activations.map(({ id }) => id), seats.slice(2 - lists));
    assert.equal(ask("activations", {}).body.activations.length, fault ? 0 : 2);
    const { status, body } = ask("deactivate", { activation: seats[0] });
    assert.deepEqual([status, body.field, body.deactivated], fault ? [400, "activation", undefined] : [200, undefined, true]);
    assert.equal(ask("validate", { user: "alice" }).body.valid, fault);
    assert.equal(ask("deactivate", { user: "bob" }).body.deactivated, true);
  }
});

test("an idempotency key costs one more read, and one more write if the store deletes expired entries", () => {
  use({ allowances: [{ name: "credits", limit: 10 }] });
  const consume = (amount, key) => ask("usage", { allowance: "credits", consume: amount }, { "idempotency-key": key });
  assert.deepEqual(consume(4, "k-1").calls, ["get", "get", "get", "put"]);
  assert.deepEqual(consume(4, "k-1").calls, ["get", "get", "get"]);
  store.capabilities.ttl = true;
  assert.deepEqual(consume(5, "k-2").calls, ["get", "get", "get", "put", "put"]);
  // The operation's own entry outlives the licence's state.
  store.delete(STATE);
  const again = consume(5, "k-2");
  assert.deepEqual([again.body.applied, again.body.allowance.used], [true, 0]);
  assert.equal(consume(6, "k-2").status, 422);
});

test("a licence's duration starts once", () => {
  for (const [basis, verb] of [["first-validation", "validate"], ["first-activation", "activate"]]) {
    store.delete(STATE);
    use({ expiryBasis: basis, durationSeconds: 60, activation: { per: "machine", limit: 1 } });
    const refused = ask("validate", { fingerprint: MACHINE });
    assert.deepEqual([refused.body.code, refused.body.expiresAt, refused.calls], ["NOT_ACTIVATED", null, ["get", "get"]]);
    const first = ask("activate", { fingerprint: MACHINE });
    assert.deepEqual(first.calls, ["get", "get", "put"]);
    const later = ask(verb, { fingerprint: MACHINE });
    assert.deepEqual([later.body.code, later.body.expiresAt], ["VALID", first.body.expiresAt]);
    assert.deepEqual(later.calls, ["get", "get"]);
  }
});

test("two conflicts are retried, the second after a fresh read", () => {
  store.conflicts = 2;
  const { status, body, calls } = ask("activate", { fingerprint: MACHINE });
  assert.deepEqual([status, body.seats.used], [200, 1]);
  assert.deepEqual(calls, ["get", "get", "put", "put", "get", "put"]);
});

test("endless conflicts give no verdict, after a bounded number of writes", () => {
  for (const [verb, request] of [["activate", { fingerprint: MACHINE }], ["usage", { allowance: "credits", return: 1 }]]) {
    store.conflicts = Infinity;
    const { status, body, calls } = ask(verb, request);
    assert.deepEqual([status, body.code, body.reason], [503, "UNAVAILABLE", "contention"]);
    assert.ok(!("valid" in body));
    const writes = calls.filter((call) => call === "put").length;
    assert.ok(writes > 2 && writes <= 128, `${writes} writes`);
    assert.equal(store.get(STATE).entry, undefined);
  }
  assert.deepEqual(journal.map(({ event, code, reason }) => [event, code, reason]), [
    ["activation", "UNAVAILABLE", "contention"],
    ["usage", "UNAVAILABLE", "contention"],
  ]);
});

test("a store that fails, or a state that is corrupt, gives no verdict", () => {
  for (const verb of VERBS) {
    store.fault = { tag: "throttled" };
    const down = ask(verb, least(verb));
    assert.deepEqual([down.status, down.body.reason, "valid" in down.body], [503, "throttled", false], verb);
    store.fault = undefined;
    store.put(STATE, new Uint8Array([1, 2, 3]), { tag: "any" }, undefined);
    const corrupt = ask(verb, least(verb));
    assert.deepEqual([corrupt.status, corrupt.body.reason, "valid" in corrupt.body], [503, "corrupt-state", false], verb);
  }
});

test("limits are soft unless the store is atomic", () => {
  assert.deepEqual(ask("activate", { fingerprint: MACHINE }).body.warnings, ["LIMIT_IS_SOFT"]);
  assert.equal(ask("validate", { fingerprint: MACHINE }).body.warnings, undefined);
  for (const [compareAndSwap, limits] of [["atomic", "exact"], ["best-effort", "soft"], ["read-only", "none"]]) {
    store.capabilities.compareAndSwap = compareAndSwap;
    assert.equal(send("GET", "/readyz").body.store.limits, limits);
  }
  store.capabilities.compareAndSwap = "atomic";
  assert.equal(ask("activate", { fingerprint: MACHINE }).body.warnings, undefined);
});

test("the store and the journal have no key, machine or user in them", () => {
  for (const per of ["machine", "user"]) {
    store.delete(STATE);
    use({ activation: { per, limit: 1, leaseSeconds: 60 }, allowances: [{ name: "credits", limit: 10 }] });
    store.capabilities.ttl = true;
    const who = { fingerprint: [MACHINE, "a second part of it"], user: USER };
    for (const verb of ["activate", "heartbeat", "validate", "deactivate"]) assert.equal(ask(verb, who).status, 200);
    assert.equal(ask("activate", who).body.valid, true);
    const consumed = ask("usage", { ...who, allowance: "credits", consume: 1 }, { "idempotency-key": "a-key-of-the-caller" });
    assert.equal(consumed.body.applied, true);
    const { keys } = store.listKeys("", undefined, 1_000);
    assert.equal(keys.length, 3);
    const values = keys.map((key) => key + Buffer.from(store.get(key).entry.value).toString("latin1"));
    for (const text of [...values, JSON.stringify(journal)]) {
      for (const secret of [KEY, MACHINE, "a second part", USER, "a-key-of-the-caller"]) assert.ok(!text.includes(secret), secret);
    }
  }
});

test("each verb writes one line to the journal", () => {
  const seated = { fingerprint: MACHINE };
  const requests = [
    ["activate", seated], ["heartbeat", seated], ["validate", seated], ["activations", {}],
    ["usage", { ...seated, allowance: "credits", consume: 11 }], ["deactivate", seated], ["deactivate", seated],
  ];
  for (const [verb, request] of requests) ask(verb, request);
  assert.deepEqual(journal.map(({ event, code }) => [event, code]), [
    ["activation", "VALID"],
    ["heartbeat", "VALID"],
    ["validation", "VALID"],
    ["activations", "LISTED"],
    ["usage", "USAGE_EXHAUSTED"],
    ["deactivation", "DEACTIVATED"],
    ["deactivation", "NOT_ACTIVATED"],
  ]);
  assert.ok(journal.every((line) => line.product === "acme-editor" && line.hint === "sued" && line.durationMicros >= 0));
});

test("a clock that went back is noted, and frees no seat", () => {
  use({ activation: { per: "machine", limit: 1, leaseSeconds: 60 } });
  ask("activate", { fingerprint: MACHINE });
  // The time of the last write follows the format (1 byte) and the generation (8 bytes).
  const { value } = store.get(STATE).entry;
  const bytes = new DataView(value.buffer, value.byteOffset);
  bytes.setBigInt64(9, bytes.getBigInt64(9) + 100n);
  store.put(STATE, value, { tag: "any" }, undefined);
  journal.length = 0;
  assert.equal(ask("validate", { fingerprint: MACHINE }).body.code, "VALID");
  const [clock, validation] = journal;
  assert.equal(clock.event, "clock-went-back");
  assert.ok(clock.seconds > 90 && clock.seconds <= 100, `${clock.seconds} s`);
  assert.equal(validation.event, "validation");
});

test("the typed interface has the same verbs", () => {
  const request = { key: KEY, features: [], fingerprint: [MACHINE] };
  assert.equal(validator.heartbeat(request).code, "not-activated");
  const granted = validator.activate(request);
  assert.deepEqual([granted.code, granted.warnings, granted.seats], ["valid", ["limit-is-soft"], { limit: 1, used: 1 }]);
  assert.equal(validator.heartbeat(request).activation.id, granted.activation.id);
  assert.equal(validator.validate(request).valid, true);
  assert.equal(validator.activate({ ...request, fingerprint: ["another"] }).code, "too-many-activations");
  assert.deepEqual(validator.activations({ key: KEY, fingerprint: [] }), {
    per: "machine",
    seats: { limit: 1, used: 1 },
    activations: [{ id: granted.activation.id, activatedAt: granted.activation.activatedAt, leaseEndsAt: undefined }],
  });

  const credits = { ...request, allowance: "credits" };
  const used = validator.usage(credits, { tag: "consume", val: 4n }, "k-1");
  assert.deepEqual([used.applied, used.verdict.allowance.remaining], [true, 6n]);
  assert.equal(validator.usage(credits, { tag: "consume", val: 4n }, "k-1").verdict.allowance.remaining, 6n);
  assert.equal(validator.usage(credits, { tag: "give-back", val: 1n }, undefined).verdict.allowance.remaining, 7n);
  const read = validator.usage(credits, undefined, undefined);
  assert.deepEqual([read.applied, read.verdict.allowance.used], [false, 3n]);
  const fault = (call) => {
    try {
      return assert.fail(`no fault: ${call()}`);
    } catch (error) {
      return error.payload ?? error;
    }
  };
  assert.equal(fault(() => validator.usage(credits, { tag: "consume", val: 5n }, "k-1")).tag, "idempotency-key-reused");
  const malformed = fault(() => validator.usage(credits, undefined, "k 1"));
  assert.deepEqual([malformed.tag, malformed.val.tag, malformed.val.val.field], ["fault", "invalid-request", "idempotency-key"]);
  const nothing = fault(() => validator.usage(credits, { tag: "consume", val: 0n }, undefined));
  assert.equal(nothing.val.val.field, "consume");

  const seat = { key: KEY, fingerprint: [], activation: granted.activation.id };
  assert.deepEqual(validator.deactivate(seat), { deactivated: true, seats: { limit: 1, used: 0 } });
  assert.equal(validator.deactivate(seat).deactivated, false);
  assert.equal(validator.deactivate({ ...seat, key: "nobody's" }), undefined);
  assert.equal(validator.activations({ key: "nobody's", fingerprint: [] }), undefined);
});
