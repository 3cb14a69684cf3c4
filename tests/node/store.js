// `countersign:license/store` over a Map. jco expects errors such as `{ tag: "invalid-key" }` to be
// thrown.

const KEY = /^[A-Za-z0-9:_-]{1,200}$/;
const MAX_VALUE_BYTES = 65_536;
const MAX_LIST_KEYS = 1_000;

/**
 * A new store in memory.
 *
 * `store.calls` lists the calls made, by name. While `store.fault` is set, every call fails with it.
 * The next `store.conflicts` conditional writes are refused, as if another writer had won.
 * `store.capabilities` is what `describe` returns.
 */
export function memoryStore() {
  const entries = new Map();
  let lastVersion = 0n;

  const begin = (name, key) => {
    store.calls.push(name);
    if (store.fault) throw store.fault;
    if (key !== undefined && !KEY.test(key)) throw { tag: "invalid-key" };
  };

  const holds = (expect, current) =>
    expect.tag === "any" || (expect.tag === "absent" ? !current : current?.version === expect.val);

  const store = {
    calls: [],
    fault: undefined,
    conflicts: 0,
    capabilities: {
      name: "javascript-map",
      compareAndSwap: "single-process",
      ttl: false,
      lists: true,
      orderedList: true,
      stalenessSeconds: 0,
    },

    // The truth is here, whatever freshness is asked for.
    get(key, _freshness) {
      begin("get", key);
      return { entry: entries.get(key), ageSeconds: 0, stale: false };
    },

    // Nothing else runs between the comparison and the write: JavaScript has one thread.
    put(key, value, expect, _ttl) {
      begin("put", key);
      if (value.length > MAX_VALUE_BYTES) throw { tag: "too-large" };
      const current = entries.get(key);
      const isLate = expect.tag !== "any" && store.conflicts > 0;
      if (isLate) store.conflicts -= 1;
      if (isLate || !holds(expect, current)) return { tag: "conflict", val: current };
      lastVersion += 1n;
      entries.set(key, { value, version: lastVersion });
      return { tag: "stored", val: lastVersion };
    },

    delete(key) {
      begin("delete", key);
      entries.delete(key);
    },

    // A cursor is the last key of the page before.
    listKeys(prefix, cursor, limit) {
      begin("list-keys");
      const after = cursor ?? "";
      const keys = [...entries.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
      const page = keys.slice(0, Math.min(Math.max(limit, 1), MAX_LIST_KEYS));
      return { keys: page, next: page.length < keys.length ? page.at(-1) : undefined };
    },

    describe: () => store.capabilities,
  };
  return store;
}
