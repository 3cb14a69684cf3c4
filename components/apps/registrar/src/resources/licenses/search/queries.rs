//! How licences are listed: one statement for each index that a list may follow, in the order of
//! the index, after a cursor. The other filters are checked row by row.
//!
//! All statements have the same parameters. `NULL` is a filter that was not asked for.
//!
//! | parameter | value |
//! |---|---|
//! | `?1` | the products, as a JSON array |
//! | `?2` | the policy |
//! | `?3` | the status |
//! | `?4` | the owner |
//! | `?5` | the domain |
//! | `?6` | the moment before which the licence ends |
//! | `?7`, `?8` | the first and last text that a search may find |
//! | `?9` | the number of the licence after which the page begins |
//! | `?10` | that licence's entry in the index, if the order is not that of numbers |
//! | `?11` | the limit |

/// The columns of a licence, as `IssuedLicense::from_row` reads them.
macro_rules! columns {
    () => {
        "l.number, l.key_hash, l.record, l.policy, l.max_domains, l.owner, l.metadata, l.created_at, l.updated_at, l.revision"
    };
}

macro_rules! page {
    ($more:literal $from:literal where $driver:literal order by $order:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            $more,
            " FROM ",
            $from,
            " WHERE ",
            $driver,
            " AND (?1 IS NULL OR l.product IN (SELECT value FROM json_each(?1)))",
            " AND (?2 IS NULL OR l.policy = ?2)",
            " AND (?3 IS NULL OR l.status = ?3)",
            " AND (?4 IS NULL OR l.owner = ?4)",
            " AND (?5 IS NULL OR EXISTS (SELECT 1 FROM license_terms AS o",
            " WHERE o.license = l.number AND o.kind = 'domain' AND o.term = ?5))",
            " AND (?6 IS NULL OR l.expires_at < ?6)",
            " AND (?7 IS NULL OR EXISTS (SELECT 1 FROM license_terms AS o",
            " WHERE o.license = l.number AND o.kind = 'search' AND o.term BETWEEN ?7 AND ?8))",
            " ORDER BY ",
            $order,
            " LIMIT ?11"
        )
    };
}

/// The licence of an id, `?1`.
pub(crate) const BY_ID: &str = concat!("SELECT ", columns!(), " FROM licenses AS l WHERE l.id = ?1");
/// The licence with a key of the hash `?1`.
pub(crate) const BY_KEY: &str = concat!("SELECT ", columns!(), " FROM licenses AS l WHERE l.key_hash = ?1");

/// Those after the number `?1`, at most `?2`, with copies of members of the record, the id, whether
/// there is an event, and whether the key is known as the licence's.
pub(crate) const FOR_AUDIT: &str = concat!(
    "SELECT ",
    columns!(),
    ", l.product, l.status, l.expires_at, l.id, EXISTS (SELECT 1 FROM events WHERE subject = l.id),",
    " EXISTS (SELECT 1 FROM keys WHERE hash = l.key_hash AND license = l.id AND retired IS NULL)",
    " FROM licenses AS l WHERE l.number > ?1 ORDER BY l.number LIMIT ?2"
);

/// All, in the order of creation.
pub(crate) const ALL: &str = page!("" "licenses AS l" where "l.number > ?9" order by "l.number");
/// Those of the only product in the array.
pub(crate) const OF_PRODUCT: &str =
    page!("" "licenses AS l" where "l.product = json_extract(?1, '$[0]') AND l.number > ?9" order by "l.number");
/// Those of one policy.
pub(crate) const OF_POLICY: &str =
    page!("" "licenses AS l" where "l.policy = ?2 AND l.number > ?9" order by "l.number");
/// Those of one status.
pub(crate) const OF_STATUS: &str =
    page!("" "licenses AS l" where "l.status = ?3 AND l.number > ?9" order by "l.number");
/// Those of one owner.
pub(crate) const OF_OWNER: &str = page!("" "licenses AS l" where "l.owner = ?4 AND l.number > ?9" order by "l.number");
/// Those with this entry among their domains.
pub(crate) const OF_DOMAIN: &str = page!(
    "" "license_terms AS t CROSS JOIN licenses AS l"
    where "t.kind = 'domain' AND t.term = ?5 AND t.license > ?9 AND l.number = t.license" order by "t.license"
);
/// The next to end first.
pub(crate) const BY_END: &str = page!(
    "" "licenses AS l" where "l.expires_at < ?6 AND (l.expires_at, l.number) > (?10, ?9)"
    order by "l.expires_at, l.number"
);
/// In the order of the text found, which is returned too. If a licence has several, the
/// alphabetically first counts.
pub(crate) const BY_TERM: &str = page!(
    ", t.term" "license_terms AS t CROSS JOIN licenses AS l"
    where "t.kind = 'search' AND t.term BETWEEN ?7 AND ?8 AND (t.term, t.license) > (?10, ?9) AND l.number = t.license \
        AND NOT EXISTS (SELECT 1 FROM license_terms AS o \
        WHERE o.license = t.license AND o.kind = 'search' AND o.term >= ?7 AND o.term < t.term)"
    order by "t.term, t.license"
);
