//! How licences are listed: two statements for each index that a list may follow, in the order of
//! the index, after a cursor. They look at a window, which is the next few entries of the index:
//! one finds the licences in it that pass the other filters, the other finds its last entry. So a
//! list that finds little looks at no more than one that finds much.
//!
//! All statements have the same parameters. `NULL` is a filter that was not asked for.
//!
//! | parameter | value |
//! |---|---|
//! | `?1` | the products, as a JSON array |
//! | `?2` | the policy |
//! | `?3` | the status |
//! | `?4` | the owner, as [`fold`](super::fold) has it |
//! | `?5` | the domain |
//! | `?6` | the moment before which the licence ends |
//! | `?7`, `?8` | the first and last text that a search may find |
//! | `?9` | the number of the licence after which the window begins |
//! | `?10` | that licence's entry in the index, if the order is not that of numbers |
//! | `?11` | the limit |
//! | `?12` | the entries of the window |

/// The columns of a licence, as `IssuedLicense::from_row` reads them.
macro_rules! columns {
    () => {
        "l.number, l.key_hash, l.record, l.policy, l.max_domains, l.owner, l.metadata, l.created_at, l.updated_at, l.revision, l.weak_key, \
        l.begun_at"
    };
}

/// The owner of the licence `l` without case. A row that was written before that column has ASCII
/// without case.
macro_rules! owner {
    () => {
        "COALESCE(l.owner_folded, lower(l.owner))"
    };
}

/// The statements of one list.
pub(crate) struct List {
    /// The licences of the window that pass all filters, at most `?11`, each with its entry.
    pub(crate) page: &'static str,
    /// The number and the entry of the window's last licence, if the window is full.
    pub(crate) end: &'static str,
}

/// Takes the window: a statement for numbers `n` and entries `e` in the order of the index.
macro_rules! list {
    ($window:expr) => {
        list!($window, "")
    };
    ($window:expr, $more:literal) => {
        List {
            page: concat!(
                "SELECT ",
                columns!(),
                ", w.e FROM (",
                $window,
                ") AS w CROSS JOIN licenses AS l ON l.number = w.n WHERE",
                " (?1 IS NULL OR l.product IN (SELECT value FROM json_each(?1)))",
                " AND (?2 IS NULL OR l.policy = ?2)",
                " AND (?3 IS NULL OR l.status = ?3)",
                " AND (?4 IS NULL OR ",
                owner!(),
                " = ?4)",
                " AND (?5 IS NULL OR EXISTS (SELECT 1 FROM license_terms AS o",
                " WHERE o.license = l.number AND o.kind = 'domain' AND o.term = ?5))",
                " AND (?6 IS NULL OR l.expires_at < ?6)",
                " AND (?7 IS NULL OR EXISTS (SELECT 1 FROM license_terms AS o",
                " WHERE o.license = l.number AND o.kind = 'search' AND o.term BETWEEN ?7 AND ?8))",
                $more,
                " ORDER BY w.e, w.n LIMIT ?11"
            ),
            end: concat!("SELECT n, e FROM (", $window, ") ORDER BY e, n LIMIT 1 OFFSET ?12 - 1"),
        }
    };
}

/// A window in the order of numbers.
macro_rules! window {
    ($driver:expr) => {
        concat!(
            "SELECT l.number AS n, NULL AS e FROM licenses AS l WHERE ",
            $driver,
            " AND l.number > ?9 ORDER BY l.number LIMIT ?12"
        )
    };
}

/// The licence of an id, `?1`.
pub(crate) const BY_ID: &str = concat!("SELECT ", columns!(), " FROM licenses AS l WHERE l.id = ?1");
/// The licence with a key of the hash `?1`.
pub(crate) const BY_KEY: &str = concat!("SELECT ", columns!(), " FROM licenses AS l WHERE l.key_hash = ?1");

/// Those after the number `?1`, at most `?2`, with copies of members of the record, the id, whether
/// there is an event, whether the key is known as the licence's, and the check of the key, if it
/// was generated.
pub(crate) const FOR_AUDIT: &str = concat!(
    "SELECT ",
    columns!(),
    ", l.product, l.status, l.expires_at, l.id, EXISTS (SELECT 1 FROM events WHERE subject = l.id),",
    " EXISTS (SELECT 1 FROM keys WHERE hash = l.key_hash AND license = l.id AND retired IS NULL),",
    " (SELECT json_extract(after, '$.check') FROM events WHERE subject = l.id",
    " AND json_type(after, '$.check') IS NOT NULL ORDER BY number DESC LIMIT 1)",
    " FROM licenses AS l WHERE l.number > ?1 ORDER BY l.number LIMIT ?2"
);

/// Those whose terms an older version made, at most `?1`.
pub(crate) const TO_INDEX: &str =
    concat!("SELECT ", columns!(), " FROM licenses AS l WHERE l.index_version IS NULL ORDER BY l.number LIMIT ?1");

/// A condition on the licence `l`: its time begins with its first use, and has not begun as far as
/// is known.
macro_rules! to_begin {
    () => {
        "l.begun_at IS NULL AND l.status <> 'revoked' AND json_extract(l.record, '$.expiryBasis') IS NOT NULL"
    };
}
/// Those after the id `?1`, at most `?2`.
pub(crate) const TO_BEGIN: &str =
    concat!("SELECT ", columns!(), " FROM licenses AS l WHERE l.id > ?1 AND ", to_begin!(), " ORDER BY l.id LIMIT ?2");
pub(crate) const COUNT_TO_BEGIN: &str = concat!("SELECT COUNT(*) FROM licenses AS l WHERE ", to_begin!());
/// Those after the id `?1`, at most `?2`, whose ids are in the JSON array `?3`.
pub(crate) const OF_IDS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM licenses AS l WHERE l.id IN (SELECT value FROM json_each(?3)) AND l.id > ?1 ORDER BY l.id LIMIT ?2"
);

/// All, in the order of creation.
pub(crate) const ALL: List = list!(window!("TRUE"));
/// Those of the first product in the array.
pub(crate) const OF_PRODUCT: List = list!(window!("l.product = json_extract(?1, '$[0]')"));
/// Those of one policy.
pub(crate) const OF_POLICY: List = list!(window!("l.policy = ?2"));
/// Those of one status.
pub(crate) const OF_STATUS: List = list!(window!("l.status = ?3"));
/// Those of one owner.
pub(crate) const OF_OWNER: List = list!(window!(concat!("l.owner IS NOT NULL AND ", owner!(), " = ?4")));
/// Those with this entry among their domains.
pub(crate) const OF_DOMAIN: List = list!(
    "SELECT t.license AS n, NULL AS e FROM license_terms AS t WHERE t.kind = 'domain' AND t.term = ?5 \
    AND t.license > ?9 ORDER BY t.license LIMIT ?12"
);
/// The next to end first. First those that end at the same moment as the one of the cursor.
pub(crate) const BY_END: List = list!(
    "SELECT n, e FROM (\
    SELECT * FROM (SELECT l.number AS n, l.expires_at AS e FROM licenses AS l \
    WHERE l.expires_at = ?10 AND l.expires_at < ?6 AND l.number > ?9 ORDER BY l.number LIMIT ?12) \
    UNION ALL SELECT * FROM (SELECT l.number AS n, l.expires_at AS e FROM licenses AS l \
    WHERE l.expires_at > ?10 AND l.expires_at < ?6 ORDER BY l.expires_at, l.number LIMIT ?12)) \
    ORDER BY e, n LIMIT ?12"
);
/// In the order of the text found. If a licence has several, the alphabetically first counts.
pub(crate) const BY_TERM: List = list!(
    "SELECT t.license AS n, t.term AS e FROM license_terms AS t WHERE t.kind = 'search' \
    AND +t.term >= ?7 AND (t.term, t.license) > (?10, ?9) AND t.term <= ?8 ORDER BY t.term, t.license LIMIT ?12",
    " AND NOT EXISTS (SELECT 1 FROM license_terms AS o \
    WHERE o.license = l.number AND o.kind = 'search' AND o.term >= ?7 AND o.term < w.e)"
);
