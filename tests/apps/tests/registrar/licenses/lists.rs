//! Lists, filters and searches: what they find, in which order, by which index.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{issue, path, policy, start};
use countersign_app_tests::Registrar;

#[path = "../../../../../components/apps/registrar/src/resources/licenses/search/queries.rs"]
#[allow(dead_code, reason = "the component uses all of it")]
mod queries;

/// The owners of the licences that a list has, over all of its pages.
fn owners(registrar: &Registrar, query: &str) -> Vec<String> {
    let (mut owners, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = registrar.get(&format!("/api/v1/licenses?limit=2&{query}{cursor}")).expect(200);
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        owners.extend(items.iter().map(|item| item["owner"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return owners,
        }
    }
}

#[test]
fn every_filter_finds_what_it_names() {
    let registrar = start();
    registrar.post("/api/v1/products", &json!({ "code": "other" })).expect(201);
    let gold = policy(&registrar, json!({ "plan": "gold" }));
    let gold = gold["id"].as_str().unwrap();
    let a = issue(&registrar, json!({ "owner": "a", "domains": ["example.com"], "expiresAt": "2027-03-01T00:00:00Z" }));
    issue(&registrar, json!({ "owner": "b", "policy": gold, "expiresAt": "2027-01-01T00:00:00Z" }));
    let c = issue(&registrar, json!({ "owner": "c", "product": "other", "domains": ["example.com", "*.example.org"] }));
    issue(
        &registrar,
        json!({ "owner": "d", "policy": gold, "expiresAt": "2027-02-01T00:00:00Z", "domains": ["*.example.com"] }),
    );
    issue(&registrar, json!({ "owner": "e", "product": "other", "expiresAt": "2027-01-01T00:00:00Z" }));
    registrar.post(&format!("{}/suspend", path(&a)), &json!({})).expect(200);
    registrar.post(&format!("{}/revoke", path(&c)), &json!({})).expect(200);
    let gold = format!("policy={gold}");
    let cases = [
        ("", "abcde"),
        ("product=acme", "abd"),
        ("product=other", "ce"),
        ("product=none", ""),
        (&gold, "bd"),
        ("policy=pol_none", ""),
        ("status=active", "bde"),
        ("status=suspended", "a"),
        ("status=revoked", "c"),
        ("owner=d", "d"),
        ("owner=nobody", ""),
        ("owner=D", "d"),
        ("domain=EXAMPLE.com", "ac"),
        ("domain=*.example.com", "d"),
        ("domain=www.example.com", ""),
        // Ordered by expiry, then by creation.
        ("expiringBefore=2027-02-15T00:00:00Z", "bed"),
        ("expiringBefore=2027-01-01T00:00:00Z", ""),
        ("expiringBefore=2027-01-01T01:00:01%2B01:00", "be"),
        ("expiringBefore=2028-01-01T00:00:00Z&product=acme", "bda"),
        ("expiringBefore=2028-01-01T00:00:00Z&status=suspended", "a"),
        ("product=other&status=revoked", "c"),
        ("product=acme&status=active", "bd"),
        ("domain=example.com&status=revoked", "c"),
        ("domain=example.com&owner=a&product=acme&expiringBefore=2028-01-01T00:00:00Z", "a"),
        ("owner=b&status=suspended", ""),
    ];
    for (query, expected) in cases {
        assert_eq!(owners(&registrar, query).concat(), expected, "{query}");
    }
    for (query, field) in [
        ("status=gone", "status"),
        ("owner=", "owner"),
        ("policy=", "policy"),
        ("product=A", "product"),
        ("domain=https://a", "domain"),
        ("expiringBefore=soon", "expiringBefore"),
        ("search=x", "search"),
        ("search=--", "search"),
        ("limit=101", "limit"),
        ("cursor=zz", "cursor"),
        ("unknown=1", "unknown"),
    ] {
        let problem = registrar.get(&format!("/api/v1/licenses?{query}")).problem(400, "INVALID_REQUEST");
        assert_eq!(problem["field"], field);
    }
    let next = registrar.get("/api/v1/licenses?limit=1").expect(200)["next"].as_str().unwrap().to_owned();
    let other = format!("/api/v1/licenses?expiringBefore=2028-01-01T00:00:00Z&cursor={next}");
    assert_eq!(registrar.get(&other).problem(400, "INVALID_REQUEST")["field"], "cursor");

    // A changed licence is found by its new values, and a deleted one by none.
    registrar.patch(&path(&a), &json!({ "domains": ["example.net"], "owner": "z" })).expect(200);
    assert_eq!(owners(&registrar, "domain=example.com"), ["c"]);
    assert_eq!(owners(&registrar, "domain=example.net"), ["z"]);
    assert_eq!(owners(&registrar, "owner=a").len(), 0);
    registrar.delete(&path(&c)).expect(204);
    assert_eq!(owners(&registrar, "domain=example.com").len(), 0);
    let left: i64 = registrar
        .database()
        .query_row("SELECT COUNT(*) FROM license_terms WHERE license = 3", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn a_search_finds_hints_owners_and_metadata_by_the_beginning_of_their_words() {
    let registrar = start();
    issue(
        &registrar,
        json!({ "owner": "Jane Doe", "key": "a key that ends in XYZ7", "metadata": { "order": "J-17" } }),
    );
    // The end of a generated key could be what is searched for.
    let key = |number: usize| format!("another key that ends in zz{number}0");
    issue(
        &registrar,
        json!({ "owner": "jason", "key": key(1), "metadata": { "mail": "jane@example.com", "company": "Äther GmbH" } }),
    );
    let metadata = json!({ "boss": "Jane Doe", "note": "x".repeat(512) });
    issue(&registrar, json!({ "owner": "Bob", "key": key(2), "metadata": metadata }));
    issue(&registrar, json!({ "owner": "100%_sure", "key": key(3) }));
    for (search, expected) in [
        ("jane", &["Jane Doe", "Bob", "jason"][..]),
        ("JA", &["Jane Doe", "Bob", "jason"]),
        ("jane d", &["Jane Doe", "Bob"]),
        ("j-1", &["Jane Doe"]),
        ("xyz7", &["Jane Doe"]),
        // From the beginning of every word, without case.
        ("doe", &["Jane Doe", "Bob"]),
        ("gmbh", &["jason"]),
        ("example.com", &["jason"]),
        ("@EXAMPLE.com", &["jason"]),
        ("oe", &[]),
        ("%C3%A4TH", &["jason"]),
        ("100%25_", &["100%_sure"]),
        ("1%25", &[]),
        (&"X".repeat(64), &["Bob"]),
    ] {
        assert_eq!(owners(&registrar, &format!("search={search}")), expected, "{search}");
    }
    assert_eq!(owners(&registrar, "search=jane&owner=Bob"), ["Bob"]);
    assert_eq!(owners(&registrar, "search=jane&status=suspended").len(), 0);
    registrar.get(&format!("/api/v1/licenses?search={}", "x".repeat(65))).problem(400, "INVALID_REQUEST");
}

#[test]
fn writes_do_not_shift_a_page() {
    let registrar = start();
    let end = |number: i32| format!("2027-01-{:02}T00:00:00Z", number + 1);
    let licence = |number: i32| {
        issue(
            &registrar,
            json!({ "owner": format!("o{number:02}"), "expiresAt": end(number), "domains": ["example.com"] }),
        )
    };
    let made: Vec<Value> = (0..10).map(licence).collect();
    for query in
        ["", "product=acme", "status=active", "domain=example.com", "expiringBefore=2028-01-01T00:00:00Z", "search=o0"]
    {
        let read =
            |cursor: &str| registrar.get(&format!("/api/v1/licenses?limit=4&{query}&cursor={cursor}")).expect(200);
        let first = registrar.get(&format!("/api/v1/licenses?limit=4&{query}")).expect(200);
        let next = first["next"].as_str().unwrap();
        let second = read(next);
        // Add one at the end, change one of the first page and delete its last.
        let more = issue(&registrar, json!({ "owner": "zz", "expiresAt": "2027-12-01T00:00:00Z" }));
        let last = registrar.get(&path(&first["items"][3])).expect(200);
        registrar.delete(&path(&last)).expect(204);
        assert_eq!(read(next)["items"], second["items"], "{query}");
        registrar.delete(&path(&more)).expect(204);
        // Replace the deleted one for the next query.
        let fields = json!({ "owner": last["owner"], "expiresAt": last["expiresAt"], "domains": last["domains"] });
        issue(&registrar, fields);
    }
    assert_eq!(made.len(), 10);
}

/// No list scans all licences: each looks at the next entries of an index, and sorts only these.
#[test]
fn every_list_follows_an_index() {
    let registrar = start();
    registrar.get("/api/v1/licenses").expect(200);
    let database = registrar.database();
    let lists = [
        (queries::ALL, "l USING INTEGER PRIMARY KEY (rowid>?)"),
        (queries::OF_PRODUCT, "l USING COVERING INDEX licenses_by_product (product=? AND rowid>?)"),
        (queries::OF_POLICY, "l USING COVERING INDEX licenses_by_policy (policy=? AND rowid>?)"),
        (queries::OF_STATUS, "l USING COVERING INDEX licenses_by_status (status=? AND rowid>?)"),
        (queries::OF_OWNER, "l USING INDEX licenses_by_folded_owner (<expr>=? AND rowid>?)"),
        (queries::OF_DOMAIN, "t USING PRIMARY KEY (kind=? AND term=? AND license>?)"),
        (queries::BY_END, "l USING COVERING INDEX licenses_by_end (expires_at=? AND rowid>?)"),
        (queries::BY_END, "l USING COVERING INDEX licenses_by_end (expires_at>? AND expires_at<?)"),
        (queries::BY_TERM, "t USING PRIMARY KEY (kind=? AND (term,license)>(?,?) AND term<?)"),
    ];
    for (list, driver) in lists {
        for query in [list.page, list.end] {
            let plan = plan(&database, query);
            assert!(plan.iter().any(|step| *step == format!("SEARCH {driver}")), "{plan:#?}\n{query}");
            let scans = plan.iter().filter(|step| step.starts_with("SCAN") && !step.contains("json_each"));
            // What is scanned is the window.
            assert!(scans.clone().all(|step| !step.contains("licenses") && !step.contains(" l")), "{plan:#?}\n{query}");
        }
    }
    for (query, driver) in [
        (queries::BY_ID, "l USING INDEX sqlite_autoindex_licenses_1 (id=?)"),
        (queries::BY_KEY, "l USING INDEX sqlite_autoindex_licenses_2 (key_hash=?)"),
        (queries::TO_INDEX, "l USING INDEX licenses_to_index"),
    ] {
        let plan = plan(&database, query);
        assert!(plan[0].ends_with(driver), "{plan:#?}\n{query}");
    }
}

/// A list with a filter that nothing passes ends early, again and again, and finds what is last.
#[test]
fn a_page_looks_at_a_bounded_number_of_licences() {
    let registrar = start();
    fill(&registrar, 25_000);
    let last = issue(
        &registrar,
        json!({ "owner": "needle in", "domains": ["d.example"], "expiresAt": "2027-01-01T00:00:00Z" }),
    );
    let suspend = format!("{}/suspend", path(&last));
    registrar.post(&suspend, &json!({})).expect(200);
    registrar.post("/api/v1/products", &json!({ "code": "other" })).expect(201);
    let token = json!({ "name": "shop", "role": "admin", "products": ["acme", "other"] });
    let token = registrar.post("/api/v1/tokens", &token).expect(201)["token"].as_str().unwrap().to_owned();
    for (query, pages) in [
        // The index has all of the answer.
        ("owner=NEEDLE%20in", 1),
        ("search=needle", 1),
        ("status=suspended&domain=d.example", 1),
        // One that all licences have must be looked through.
        ("expiringBefore=2090-01-01T00:00:00Z&policy=pol_none", 3),
        ("search=owner&policy=pol_none", 3),
        ("status=active&none=1", 3),
        ("product=acme&status=active&none=1", 3),
        ("product=acme&status=active&expiringBefore=2026-12-01T00:00:00Z", 1),
    ] {
        // No licence is active.
        let (query, is_none) = query.strip_suffix("&none=1").map_or((query, false), |query| (query, true));
        if is_none {
            registrar.database().execute("UPDATE licenses SET product = 'acme', status = 'suspended'", []).unwrap();
            registrar
                .database()
                .execute("UPDATE licenses SET record = replace(record, '\"active\"', '\"suspended\"')", [])
                .unwrap();
        }
        let (mut found, mut count, mut cursor) = (0, 0, String::new());
        loop {
            let page = registrar.anonymous("GET", &format!("/api/v1/licenses?{query}{cursor}")).token(&token);
            let page = page.send().expect(200);
            found += page["items"].as_array().unwrap().len();
            count += 1;
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let is_found = ["owner=", "search=needle", "status=suspended"].iter().any(|begin| query.starts_with(begin));
        assert_eq!(found, usize::from(is_found), "{query}");
        assert!(count >= pages && count <= 2 * pages + 1, "{query}: {count} pages");
    }
}

fn plan(database: &rusqlite::Connection, query: &str) -> Vec<String> {
    let mut statement = database.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
    let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
    let steps = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get::<_, String>(3)).unwrap();
    steps.map(Result::unwrap).collect()
}

/// Prints how much longer lists take with a hundred times as many licences; checks nothing.
#[test]
#[ignore = "takes minutes"]
fn measure_lists_of_many_licences() {
    let times = [1_000, 100_000].map(|count| {
        let registrar = start();
        fill(&registrar, count);
        let queries = [
            "",
            "product=acme",
            "status=active",
            "status=suspended",
            "owner=owner-00017",
            "domain=d17.example",
            "expiringBefore=2027-01-01T00:00:00Z",
            "expiringBefore=2040-01-01T00:00:00Z",
            "search=owner",
            "search=owner-0001",
            "search=owner&status=suspended",
            "product=acme&status=suspended&expiringBefore=2040-01-01T00:00:00Z",
        ];
        queries.map(|query| {
            let target = format!("/api/v1/licenses?{query}");
            let page = registrar.get(&target).expect(200);
            let next = page["next"].as_str().map(|next| format!("{target}&cursor={next}"));
            (
                query,
                median(|| drop(registrar.get(&target))),
                median(|| drop(registrar.get(next.as_ref().unwrap_or(&target)))),
            )
        })
    });
    let [few, many] = times;
    for ((query, first, second), (_, first_of_many, second_of_many)) in few.into_iter().zip(many) {
        let ratio = |few: Duration, many: Duration| many.as_secs_f64() / few.as_secs_f64();
        println!(
            "{:70} {first:?} {:.2}  {second:?} {:.2}",
            format!("?{query}"),
            ratio(first, first_of_many),
            ratio(second, second_of_many)
        );
    }
}

fn median(mut call: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..51)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[25]
}

/// Copies one licence `count - 1` times in SQL, which is faster than issuing them.
fn fill(registrar: &Registrar, count: i64) {
    let fields = json!({ "owner": "owner-00000", "domains": ["d0.example"], "expiresAt": "2027-01-01T00:00:00Z" });
    issue(registrar, fields);
    let mut database = registrar.database();
    let copy = database.transaction().unwrap();
    for number in 1..count {
        let id = format!("lic_{number:026}");
        let (owner, domain) = (format!("owner-{number:05}"), format!("d{number}.example"));
        let status = if number % 100 == 7 { "suspended" } else { "active" };
        let end = 1_798_761_600 + number * 60;
        copy.prepare_cached(
            "INSERT INTO licenses (id, key_hash, record, policy, max_domains, owner, metadata, created_at, updated_at, revision,
                product, status, expires_at)
             SELECT ?1, ?2, replace(replace(record, id, ?1), 'd0.example', ?5), policy, max_domains, ?3, metadata, created_at,
                updated_at, revision, product, ?4, ?6 FROM licenses WHERE number = 1",
        )
        .unwrap()
        .execute((&id, format!("{number:064x}"), &owner, status, &domain, end))
        .unwrap();
        let mut term =
            copy.prepare_cached("INSERT INTO license_terms (kind, term, license) VALUES (?1, ?2, ?3)").unwrap();
        term.execute(("domain", &domain, number + 1)).unwrap();
        term.execute(("search", &owner, number + 1)).unwrap();
    }
    copy.commit().unwrap();
}

#[test]
fn licences_of_an_older_version_are_found_by_what_it_wrote_and_soon_by_more() {
    let registrar = start();
    for (owner, domain) in [("Jane Doe", "a.example"), ("\u{c4}nne", "b.example")] {
        issue(&registrar, json!({ "owner": owner, "domains": [domain] }));
    }
    // As migration 0002 left them.
    registrar
        .database()
        .execute_batch(
            "UPDATE licenses SET owner_folded = NULL, index_version = NULL;
             DELETE FROM license_terms WHERE kind = 'search';
             INSERT INTO license_terms SELECT 'search', lower(owner), number FROM licenses;",
        )
        .unwrap();
    assert_eq!(owners(&registrar, "owner=jane+doe"), ["Jane Doe"]);
    assert_eq!(owners(&registrar, "search=jane"), ["Jane Doe"]);
    assert_eq!(owners(&registrar, "search=doe").len(), 0);
    registrar.post("/api/v1/outbox/deliveries", &json!({})).expect(200);
    assert_eq!(owners(&registrar, "search=doe"), ["Jane Doe"]);
    assert_eq!(owners(&registrar, "owner=%C3%A4NNE"), ["\u{c4}nne"]);
    // That does not change the licence.
    assert_eq!(registrar.get("/api/v1/events").expect(200)["head"]["number"], 3);
}
