// The validator in Node, with the same bytes as on every other host. COUNTERSIGN_COMPONENT is its
// path.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { KEY, MISTYPED, journal, send, settings, setUp, store, storeKey, validator, write } from "./app.js";

beforeEach(setUp);

function validate(request) {
  return send("POST", "/api/v1/validate", JSON.stringify(request));
}

test("a licence is valid for its domain", () => {
  const { status, headers, body } = validate({ key: KEY, domain: "Example.com", nonce: "n-1" });
  const { detail, ...rest } = body;
  assert.equal(status, 200);
  assert.equal(headers["content-type"], "application/json");
  assert.equal(headers["cache-control"], "no-store");
  assert.equal(headers["access-control-allow-origin"], "*");
  assert.match(detail, /\.$/);
  assert.deepEqual(rest, {
    valid: true,
    code: "VALID",
    plan: "pro",
    features: ["export"],
    expiresAt: null,
    licenseId: "lic_00000000000000000000000000",
    product: "acme-editor",
    domain: "example.com",
    nonce: "n-1",
  });
  assert.deepEqual(store.calls, ["get"]);
});

test("a licence is valid for a subdomain", () => {
  assert.equal(validate({ key: KEY, domain: "app.example.com" }).body.code, "VALID");
});

test("a licence is not valid for a domain that looks alike", () => {
  for (const domain of ["notexample.com", "example.com.evil.net"]) {
    const { status, body } = validate({ key: KEY, domain });
    assert.equal(status, 200);
    assert.equal(body.valid, false);
    assert.equal(body.code, "DOMAIN_MISMATCH");
  }
});

test("a revocation shows in the next answer", () => {
  const { version } = store.get(storeKey(KEY)).entry;
  const revoked = { generation: 2, status: "revoked" };
  assert.equal(write({ tag: "matches", val: version }, revoked).tag, "stored");
  assert.equal(write({ tag: "matches", val: version }, {}).tag, "conflict");
  const { status, body } = validate({ key: KEY, domain: "example.com" });
  assert.equal(status, 200);
  assert.equal(body.valid, false);
  assert.equal(body.code, "REVOKED");
});

test("an unknown key is not found", () => {
  const { status, body } = validate({ key: "a key that nobody issued" });
  assert.equal(status, 404);
  assert.equal(body.valid, false);
  assert.equal(body.code, "NOT_FOUND");
});

test("a mistyped key costs no read", () => {
  const { status, body } = validate({ key: MISTYPED });
  assert.equal(status, 404);
  assert.equal(body.valid, false);
  assert.equal(body.code, "MALFORMED_KEY");
  assert.deepEqual(store.calls, []);
});

test("a malformed request names its field and costs no read", () => {
  const { status, headers, body } = validate({ key: KEY, domian: "example.com" });
  assert.equal(status, 400);
  assert.equal(headers["content-type"], "application/problem+json");
  assert.equal(body.code, "INVALID_REQUEST");
  assert.equal(body.field, "domian");
  assert.deepEqual(store.calls, []);
});

test("a store that fails gives no verdict", () => {
  for (const fault of [{ tag: "unavailable", val: "down" }, { tag: "access-denied" }, { tag: "other", val: "?" }]) {
    store.fault = fault;
    const { status, headers, body } = validate({ key: KEY, domain: "example.com" });
    assert.equal(status, 503);
    assert.equal(headers["retry-after"], "1");
    assert.equal(body.code, "UNAVAILABLE");
    assert.equal(body.reason, fault.tag);
    assert.ok(!("valid" in body));
    assert.equal(send("GET", "/readyz").status, 503);
    assert.equal(send("GET", "/healthz").status, 200);
  }
});

test("a corrupt record gives no verdict", () => {
  write({ tag: "any" }, { format: 99 });
  const { status, body } = validate({ key: KEY, domain: "example.com" });
  assert.equal(status, 503);
  assert.ok(!("valid" in body));
});

test("a page of any site may send requests", () => {
  const { status, headers, body } = send("OPTIONS", "/api/v1/validate");
  assert.equal(status, 204);
  assert.equal(body, "");
  assert.equal(headers["access-control-allow-origin"], "*");
  assert.equal(headers["access-control-allow-methods"], "POST, OPTIONS");
  assert.equal(headers["access-control-allow-headers"], "content-type, idempotency-key");
  assert.equal(headers["access-control-max-age"], "86400");
});

test("a wrong method gets the list of those allowed", () => {
  const { status, headers } = send("GET", "/api/v1/validate");
  assert.equal(status, 405);
  assert.equal(headers.allow, "POST, OPTIONS");
});

test("readyz describes the store after one read", () => {
  const { status, body } = send("GET", "/readyz");
  assert.equal(status, 200);
  assert.equal(body.store.name, "javascript-map");
  assert.equal(body.store.compareAndSwap, "single-process");
  assert.equal(body.store.limits, "soft");
  assert.deepEqual(store.calls, ["get"]);
});

test("times are sent only if the setting says so", () => {
  assert.equal(validate({ key: KEY }).headers["server-timing"], undefined);
  settings.server_timing = "true";
  assert.match(validate({ key: KEY }).headers["server-timing"], /^store;dur=\d+\.\d{3}, total;dur=\d+\.\d{3}$/);
});

test("each validation writes one line to the journal, without the key", () => {
  validate({ key: KEY, domain: "example.com" });
  validate({ key: MISTYPED });
  store.fault = { tag: "throttled" };
  validate({ key: KEY });
  assert.deepEqual(
    journal.map(({ time, durationMicros, ...rest }) => rest),
    [
      { event: "validation", code: "VALID", license: "lic_00000000000000000000000000", product: "acme-editor", hint: "sued" },
      { event: "validation", code: "MALFORMED_KEY" },
      { event: "validation", code: "UNAVAILABLE", reason: "throttled" },
    ],
  );
});

test("the typed interface gives the same verdicts", () => {
  const request = { key: KEY, domain: "app.example.com", features: [], fingerprint: [] };
  const verdict = validator.validate(request);
  assert.equal(verdict.valid, true);
  assert.equal(verdict.code, "valid");
  assert.equal(verdict.plan, "pro");
  assert.equal(validator.validate({ ...request, domain: "notexample.com" }).code, "domain-mismatch");

  const fault = (given) => {
    try {
      assert.fail(`a verdict: ${validator.validate(given).code}`);
    } catch (error) {
      return error;
    }
  };
  const { tag, val } = fault({ ...request, domain: "https://example.com" });
  assert.equal(tag, "invalid-request");
  assert.equal(val.field, "domain");
  store.fault = { tag: "throttled" };
  assert.deepEqual(fault(request), { tag: "unavailable", val: "throttled" });
});
