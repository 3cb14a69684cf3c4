//! The claims about one caller at a time.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use countersign_host_tests::store::{Answered, Capabilities, Expect, Outcome, Store};

use crate::{Claim, PRESET, kind, ok, stored};

/// The largest value that every store must accept, in bytes.
const MAX_VALUE_BYTES: usize = 65_536;
/// How long a test waits for a store to remove an expired entry.
const EXPIRY_WITHIN: Duration = Duration::from_secs(10);

pub(crate) const CLAIMS: [Claim; 25] = [
    Claim { name: "a-missing-key-has-no-entry", of: all, holds: a_missing_key_has_no_entry },
    Claim { name: "an-invalid-key-is-refused", of: all, holds: an_invalid_key_is_refused },
    Claim { name: "a-key-of-200-bytes-is-accepted", of: all, holds: a_key_of_200_bytes_is_accepted },
    Claim { name: "a-list-has-the-prefix", of: lists, holds: a_list_has_the_prefix },
    Claim { name: "a-list-of-nothing-is-empty", of: lists, holds: a_list_of_nothing_is_empty },
    Claim { name: "pages-hold-each-key-once", of: lists, holds: pages_hold_each_key_once },
    Claim { name: "a-list-is-in-order", of: |it| it.lists && it.ordered_list, holds: a_list_is_in_order },
    Claim { name: "a-list-is-unsupported", of: |it| !it.lists, holds: a_list_is_unsupported },
    Claim { name: "a-write-is-unsupported", of: |it| !writes(it), holds: a_write_is_unsupported },
    Claim { name: "a-get-returns-the-last-put", of: writes, holds: a_get_returns_the_last_put },
    Claim { name: "a-put-replaces", of: writes, holds: a_put_replaces },
    Claim { name: "a-value-is-stored-byte-for-byte", of: writes, holds: a_value_is_stored_byte_for_byte },
    Claim { name: "an-empty-value-exists", of: writes, holds: an_empty_value_exists },
    Claim { name: "a-value-of-64-kib-is-accepted", of: writes, holds: a_value_of_64_kib_is_accepted },
    Claim { name: "a-larger-value-is-refused-whole", of: writes, holds: a_larger_value_is_refused_whole },
    Claim { name: "a-put-if-absent-is-applied-once", of: writes, holds: a_put_if_absent_is_applied_once },
    Claim { name: "a-put-if-unchanged-replaces", of: writes, holds: a_put_if_unchanged_replaces },
    Claim { name: "a-stale-version-conflicts", of: writes, holds: a_stale_version_conflicts },
    Claim { name: "a-version-of-a-missing-key-conflicts", of: writes, holds: a_version_of_a_missing_key_conflicts },
    Claim { name: "deleting-twice-is-not-an-error", of: writes, holds: deleting_twice_is_not_an_error },
    Claim { name: "a-recreated-key-has-another-version", of: writes, holds: a_recreated_key_has_another_version },
    Claim { name: "an-entry-does-not-expire-early", of: writes, holds: an_entry_does_not_expire_early },
    Claim { name: "an-expired-entry-is-not-listed", of: expires, holds: an_expired_entry_is_not_listed },
    Claim { name: "an-expired-entry-is-absent", of: expires, holds: an_expired_entry_is_absent },
    Claim { name: "the-same-value-recreated-has-another-version", of: counts_writes, holds: same_value_recreated },
];

fn all(_: &Capabilities) -> bool {
    true
}

fn lists(adapter: &Capabilities) -> bool {
    adapter.lists
}

pub(crate) fn writes(adapter: &Capabilities) -> bool {
    adapter.compare_and_swap != "read-only"
}

/// Whether an expired entry is gone at once. Fastly may take a day.
fn expires(adapter: &Capabilities) -> bool {
    adapter.ttl && adapter.staleness_seconds == 0
}

/// Whether each write has its own version. Elsewhere equal values may have equal versions.
fn counts_writes(adapter: &Capabilities) -> bool {
    adapter.compare_and_swap == "atomic"
}

fn a_missing_key_has_no_entry(store: Store) -> Result<()> {
    let found = ok(store.get("missing")?)?;
    ensure!(found.is_none(), "{found:?}");
    Ok(())
}

fn an_invalid_key_is_refused(store: Store) -> Result<()> {
    for key in ["", "a b", "a/b", "ä", "a\n", "a\0", "a.b", &"k".repeat(201)] {
        let found = kind(store.get(key)?);
        ensure!(found.as_deref() == Some("invalid-key"), "{key:?}: {found:?}");
    }
    Ok(())
}

fn a_key_of_200_bytes_is_accepted(store: Store) -> Result<()> {
    let found = ok(store.get(&"k".repeat(200))?)?;
    ensure!(found.is_none(), "{found:?}");
    Ok(())
}

fn a_list_has_the_prefix(store: Store) -> Result<()> {
    fill(store)?;
    let page = ok(store.list("listed:", None, 100)?)?;
    ensure!(sorted(&page.keys) == PRESET && page.next.is_none(), "{page:?}");
    let page = ok(store.list("listed:c", None, 100)?)?;
    ensure!(page.keys == ["listed:c"] && page.next.is_none(), "{page:?}");
    let page = ok(store.list("", None, 1000)?)?;
    ensure!(PRESET.iter().all(|key| page.keys.iter().any(|listed| listed == key)), "{page:?}");
    Ok(())
}

fn a_list_of_nothing_is_empty(store: Store) -> Result<()> {
    let page = ok(store.list("nothing:", None, 10)?)?;
    ensure!(page.keys.is_empty() && page.next.is_none(), "{page:?}");
    Ok(())
}

fn pages_hold_each_key_once(store: Store) -> Result<()> {
    fill(store)?;
    let (mut keys, mut cursor) = (Vec::new(), None);
    for _ in PRESET {
        let page = ok(store.list("listed:", cursor.as_deref(), 2)?)?;
        ensure!(page.keys.len() <= 2, "{page:?}");
        keys.extend(page.keys);
        cursor = page.next;
        if cursor.is_none() {
            ensure!(sorted(&keys) == PRESET, "{keys:?}");
            return Ok(());
        }
    }
    bail!("another page after {keys:?}")
}

fn a_list_is_in_order(store: Store) -> Result<()> {
    fill(store)?;
    let page = ok(store.list("listed:", None, 100)?)?;
    ensure!(page.keys.is_sorted(), "{page:?}");
    Ok(())
}

fn a_list_is_unsupported(store: Store) -> Result<()> {
    unsupported(store.list("", None, 10)?)
}

fn a_write_is_unsupported(store: Store) -> Result<()> {
    for expect in [Expect::Any, Expect::Absent, Expect::Matches("1")] {
        unsupported(store.put("written", "1", expect)?)?;
    }
    unsupported(store.delete(PRESET[0])?)?;
    ensure!(ok(store.get(PRESET[0])?)?.is_some(), "a refused deletion was applied");
    Ok(())
}

fn a_get_returns_the_last_put(store: Store) -> Result<()> {
    let returned = stored(store.put("put", "1", Expect::Any)?)?;
    let entry = ok(store.get("put")?)?.context("the key is missing")?;
    ensure!(entry.value == "1", "{entry:?}");
    ensure!(returned.is_none_or(|version| version == entry.version), "`put` returned another version than `get`");
    let again = ok(store.get("put")?)?.context("the key is missing")?;
    ensure!(entry == again, "reading changed {entry:?} to {again:?}");
    Ok(())
}

fn a_put_replaces(store: Store) -> Result<()> {
    stored(store.put("replaced", "1", Expect::Any)?)?;
    let first = ok(store.get("replaced")?)?.context("the key is missing")?;
    stored(store.put("replaced", "2", Expect::Any)?)?;
    let second = ok(store.get("replaced")?)?.context("the key is missing")?;
    ensure!(second.value == "2" && second.version != first.version, "{first:?}, then {second:?}");
    Ok(())
}

fn a_value_is_stored_byte_for_byte(store: Store) -> Result<()> {
    let value = "\u{0}\r\n\t \"\\ %2C,=é\u{10FFFF}\u{FEFF}";
    stored(store.put("bytes", value, Expect::Any)?)?;
    let entry = ok(store.get("bytes")?)?.context("the key is missing")?;
    ensure!(entry.value == value, "{entry:?}");
    Ok(())
}

fn an_empty_value_exists(store: Store) -> Result<()> {
    stored(store.put("empty", "", Expect::Any)?)?;
    let entry = ok(store.get("empty")?)?.context("a key with an empty value is missing")?;
    ensure!(entry.value.is_empty(), "{entry:?}");
    let outcome = ok(store.put("empty", "1", Expect::Absent)?)?;
    ensure!(outcome == Outcome::Conflict(Some(entry)), "{outcome:?}");
    Ok(())
}

fn a_value_of_64_kib_is_accepted(store: Store) -> Result<()> {
    stored(store.put_sized("large", MAX_VALUE_BYTES)?)?;
    let entry = ok(store.get("large")?)?.context("the key is missing")?;
    ensure!(entry.value == "x".repeat(MAX_VALUE_BYTES), "{} bytes were returned", entry.value.len());
    Ok(())
}

fn a_larger_value_is_refused_whole(store: Store) -> Result<()> {
    let refused = kind(store.put_sized("larger", MAX_VALUE_BYTES + 1)?);
    ensure!(refused.as_deref() == Some("too-large"), "{refused:?}");
    ensure!(ok(store.get("larger")?)?.is_none(), "a refused value was written");
    Ok(())
}

fn a_put_if_absent_is_applied_once(store: Store) -> Result<()> {
    stored(store.put("absent", "1", Expect::Absent)?)?;
    let there = ok(store.get("absent")?)?;
    let outcome = ok(store.put("absent", "2", Expect::Absent)?)?;
    ensure!(outcome == Outcome::Conflict(there), "{outcome:?}");
    Ok(())
}

fn a_put_if_unchanged_replaces(store: Store) -> Result<()> {
    stored(store.put("unchanged", "1", Expect::Any)?)?;
    let first = ok(store.get("unchanged")?)?.context("the key is missing")?;
    let returned = stored(store.put("unchanged", "2", Expect::Matches(&first.version))?)?;
    let second = ok(store.get("unchanged")?)?.context("the key is missing")?;
    ensure!(second.value == "2", "{second:?}");
    ensure!(returned.is_none_or(|version| version == second.version), "`put` returned another version than `get`");
    Ok(())
}

fn a_stale_version_conflicts(store: Store) -> Result<()> {
    stored(store.put("stale", "1", Expect::Any)?)?;
    let stale = ok(store.get("stale")?)?.context("the key is missing")?;
    stored(store.put("stale", "2", Expect::Any)?)?;
    let there = ok(store.get("stale")?)?;
    let outcome = ok(store.put("stale", "3", Expect::Matches(&stale.version))?)?;
    ensure!(outcome == Outcome::Conflict(there.clone()), "{outcome:?}");
    ensure!(ok(store.get("stale")?)? == there, "a conflicting put was applied");
    Ok(())
}

fn a_version_of_a_missing_key_conflicts(store: Store) -> Result<()> {
    let outcome = ok(store.put("never-there", "1", Expect::Matches("1"))?)?;
    ensure!(outcome == Outcome::Conflict(None), "{outcome:?}");
    ensure!(ok(store.get("never-there")?)?.is_none(), "a conflicting put was applied");
    Ok(())
}

fn deleting_twice_is_not_an_error(store: Store) -> Result<()> {
    stored(store.put("deleted", "1", Expect::Any)?)?;
    ok(store.delete("deleted")?)?;
    ensure!(ok(store.get("deleted")?)?.is_none(), "it is still there");
    ok(store.delete("deleted")?)?;
    ok(store.delete("never-there")?)?;
    Ok(())
}

fn a_recreated_key_has_another_version(store: Store) -> Result<()> {
    recreated(store, "anew", "2")
}

fn same_value_recreated(store: Store) -> Result<()> {
    recreated(store, "same-anew", "1")
}

/// A version of a key that was deleted is never current again.
fn recreated(store: Store, key: &str, second: &str) -> Result<()> {
    stored(store.put(key, "1", Expect::Absent)?)?;
    let before = ok(store.get(key)?)?.context("the key is missing")?;
    ok(store.delete(key)?)?;
    stored(store.put(key, second, Expect::Absent)?)?;
    let there = ok(store.get(key)?)?;
    let outcome = ok(store.put(key, "3", Expect::Matches(&before.version))?)?;
    ensure!(outcome == Outcome::Conflict(there), "{outcome:?}");
    Ok(())
}

fn an_entry_does_not_expire_early(store: Store) -> Result<()> {
    stored(store.put_for("long-lived", "1", 86_400)?)?;
    let entry = ok(store.get("long-lived")?)?.context("the key is missing")?;
    ensure!(entry.value == "1", "{entry:?}");
    Ok(())
}

fn an_expired_entry_is_not_listed(store: Store) -> Result<()> {
    stored(store.put_for("short-lived", "1", 1)?)?;
    await_expiry(store, "short-lived")?;
    let page = ok(store.list("short-lived", None, 10)?)?;
    ensure!(page.keys.is_empty(), "{page:?}");
    Ok(())
}

fn an_expired_entry_is_absent(store: Store) -> Result<()> {
    stored(store.put_for("expired", "1", 1)?)?;
    let version = ok(store.get("expired")?)?.context("the key is missing")?.version;
    await_expiry(store, "expired")?;
    let outcome = ok(store.put("expired", "2", Expect::Matches(&version))?)?;
    ensure!(outcome == Outcome::Conflict(None), "{outcome:?}");
    stored(store.put("expired", "3", Expect::Absent)?)?;
    let entry = ok(store.get("expired")?)?.context("the key is missing")?;
    ensure!(entry.value == "3", "{entry:?}");
    Ok(())
}

fn await_expiry(store: Store, key: &str) -> Result<()> {
    let deadline = Instant::now() + EXPIRY_WITHIN;
    while ok(store.get(key)?)?.is_some() {
        ensure!(Instant::now() < deadline, "still there after {EXPIRY_WITHIN:?}");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Writes the keys of a read-only store to any other.
fn fill(store: Store) -> Result<()> {
    if writes(&ok(store.capabilities()?)?) {
        for key in PRESET {
            stored(store.put(key, "preset", Expect::Any)?)?;
        }
    }
    Ok(())
}

fn unsupported<T>(answered: Answered<T>) -> Result<()> {
    let found = kind(answered);
    ensure!(found.as_deref() == Some("unsupported"), "the error is {found:?} and must be unsupported");
    Ok(())
}

fn sorted(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect()
}
