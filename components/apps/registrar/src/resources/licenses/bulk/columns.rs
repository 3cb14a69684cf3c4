//! The columns of CSV: their names, what other systems call them, and what their cells contain.

use std::borrow::Cow;

use countersign::field::FieldError;
use countersign::limits::MAX_FIELD_NAME_BYTES;

use crate::resources::terms::{Cell, Terms};

/// The columns of an export, in their order. Terms that are not among them follow.
const EXPORTED: [&str; 32] = [
    "id",
    "keyHash",
    "hint",
    "weakKey",
    "product",
    "policy",
    "status",
    "plan",
    "issuedAt",
    "notBefore",
    "expiresAt",
    "expiryBasis",
    "durationSeconds",
    "duration",
    "renewalDay",
    "expiryStrategy",
    "graceSeconds",
    "features",
    "domains",
    "maxDomains",
    "uncountedDomains",
    "users",
    "versions",
    "requires",
    "activation",
    "allowances",
    "owner",
    "metadata",
    "generation",
    "createdAt",
    "updatedAt",
    "revision",
];

/// The column with the usage state, which an export has if asked for.
pub(super) const STATE: &str = "state";

/// Columns that only an import has.
const IMPORTED: [&str; 3] = ["key", "keyPrefix", "addFeatures"];

/// The columns, or fields, of a licence, and what other systems call them: in lower case, and
/// without spaces, underscores and hyphens.
const SYNONYMS: [(&str, &[&str]); 14] = [
    ("key", &["licensekey", "licencekey", "activationkey", "productkey", "serial", "serialkey", "serialnumber"]),
    ("keyHash", &["keysha256", "licensekeyhash"]),
    ("id", &["licenseid", "licenceid"]),
    ("product", &["productcode", "productname"]),
    ("policy", &["policyid"]),
    ("plan", &["planname", "edition", "tier", "licensetype", "licencetype"]),
    ("owner", &["email", "emailaddress", "mail", "customer", "customeremail", "user", "useremail", "licensee"]),
    ("expiresAt", &["expires", "expireson", "expiry", "expirydate", "expiration", "expirationdate", "validuntil"]),
    ("notBefore", &["validfrom", "startsat", "startdate"]),
    ("issuedAt", &["issued", "issuedon", "issuedate", "purchasedate", "purchasedat"]),
    ("createdAt", &["created", "createdon", "datecreated"]),
    ("domains", &["domain", "site", "sites", "website", "siteurl"]),
    ("features", &["feature", "entitlements"]),
    ("activation.limit", &["seats", "activationlimit", "maxactivations", "activationslimit"]),
];

/// Members that have a column of their own. Those of metadata have any name.
const MEMBERS: [(&str, &[&str]); 2] = [
    (
        "activation",
        &["per", "limit", "overage", "match", "leaseSeconds", "reviveSeconds", "strict", "ignoreWww", "manage"],
    ),
    ("versions", &["from", "below"]),
];

/// The columns of an export.
pub(super) fn exported(with_state: bool) -> impl Iterator<Item = &'static str> {
    let terms = Terms::COLUMNS.iter().map(|(name, _)| *name);
    let state = with_state.then_some(STATE);
    EXPORTED.into_iter().chain(terms.filter(|name| !EXPORTED.contains(name))).chain(state)
}

/// The column of this name, as a licence's field is called: with a dot before the member, if it is
/// one. Case, spaces, underscores and hyphens do not matter, but in the names of metadata.
pub(super) fn find(name: &str) -> Option<Cow<'static, str>> {
    let plain = || exported(true).chain(IMPORTED);
    if let Some((object, member)) = name.split_once('.') {
        let object = plain().find(|column| is_same(column, object) && has_members(column))?;
        let members = MEMBERS.iter().find(|(of, _)| *of == object).map_or(&[][..], |(_, members)| *members);
        let known = members.iter().find(|known| is_same(known, member));
        // Names of metadata have no spaces.
        let member = known.map_or_else(|| member.trim().replace(' ', "_"), |known| (*known).to_owned());
        return Some(format!("{object}.{member}").into()).filter(|_| !member.is_empty());
    }
    // As it is in most cases.
    if let Some(column) = plain().find(|column| *column == name) {
        return Some(column.into());
    }
    let folded = fold(name);
    let synonym = || SYNONYMS.iter().find(|(_, names)| names.contains(&&*folded)).map(|(column, _)| *column);
    plain().find(|column| fold(column) == folded).or_else(synonym).map(Cow::from)
}

/// The columns of these names, each once; `None` for a column without a name.
pub(super) fn read(names: &[String], line: u64) -> Result<Vec<Option<Cow<'static, str>>>, FieldError> {
    let refuse = |detail: String| Err(FieldError::new("", format!("Line {line} has the column names. {detail}")));
    let named = || (1..).zip(names).filter(|(_, name)| !name.is_empty());
    let columns: Vec<_> = names.iter().map(|name| find(name)).collect();
    if columns.iter().all(Option::is_none) && named().next().is_some() {
        // They are not repeated: they may be keys, in a file without column names.
        return refuse(
            "None of them is known; they must be those of an export, such as `key`, `product` and `plan`.".into(),
        );
    }
    if let Some((at, name)) = named().find(|(at, _)| columns[at - 1].is_none()) {
        let name = if name.len() <= MAX_FIELD_NAME_BYTES { format!(", `{name}`,") } else { String::new() };
        return refuse(format!(
            "Column {at}{name} is not known; leave it out, or name it `metadata.` and a name to store it."
        ));
    }
    for (at, column) in (1..).zip(&columns).filter(|(_, column)| column.is_some()) {
        if let Some(before) = columns[..at - 1].iter().position(|other| other == column) {
            let column = column.as_deref().unwrap_or_default();
            return refuse(format!("Columns {} and {at} are both `{column}`; leave one of them out.", before + 1));
        }
    }
    Ok(columns)
}

/// What the cells of a column contain.
pub(super) fn kind(column: &str) -> Cell {
    if let Some((object, _)) = column.split_once('.') {
        return if kind(object) == Cell::Texts { Cell::Text } else { Cell::Json };
    }
    let term = Terms::COLUMNS.iter().find(|(name, _)| *name == column);
    match (term, column) {
        (Some((_, kind)), _) => *kind,
        (None, "id" | "key" | "keyHash" | "keyPrefix" | "hint" | "product" | "policy" | "owner") => Cell::Text,
        (None, "domains" | "addFeatures") => Cell::List,
        (None, "metadata") => Cell::Texts,
        (None, _) => Cell::Json,
    }
}

fn has_members(column: &str) -> bool {
    column == "metadata" || MEMBERS.iter().any(|(of, _)| *of == column)
}

fn is_same(known: &str, given: &str) -> bool {
    fold(known) == fold(given)
}

fn fold(name: &str) -> String {
    let kept = name.chars().filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-'));
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_term_has_a_column() {
        for (name, _) in Terms::COLUMNS {
            assert_eq!(exported(false).filter(|column| column == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn every_name_means_one_column() {
        let columns: Vec<_> = exported(true).chain(IMPORTED).collect();
        let mut names: Vec<_> = columns.iter().map(|column| fold(column)).collect();
        for (column, synonyms) in SYNONYMS {
            assert!(find(column).is_some_and(|found| found == column), "{column}");
            for synonym in synonyms {
                assert_eq!(fold(synonym), *synonym);
                assert_eq!(find(synonym).as_deref(), Some(column));
                names.push((*synonym).to_owned());
            }
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for column in columns {
            assert_eq!(find(column).as_deref(), Some(column));
        }
    }

    #[test]
    fn case_spaces_underscores_and_hyphens_do_not_matter() {
        for (name, column) in [
            ("License Key", "key"),
            ("license_key", "key"),
            ("licenseKey", "key"),
            ("KEY", "key"),
            ("expires_at", "expiresAt"),
            ("Expiry-Date", "expiresAt"),
            ("E-Mail", "owner"),
            ("Activation.Lease_Seconds", "activation.leaseSeconds"),
            ("Meta Data.Order No", "metadata.Order_No"),
            ("seats", "activation.limit"),
        ] {
            assert_eq!(find(name).as_deref(), Some(column), "{name}");
        }
        for name in ["colour", "", "key.x", "metadata.", "key;product"] {
            assert_eq!(find(name), None, "{name}");
        }
    }

    #[test]
    fn an_error_names_the_column_unless_it_may_be_a_key() {
        let detail = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
            read(&names, 3).err().map_or_else(String::new, |error| error.detail)
        };
        assert_eq!(detail(&["key", "", "plan", ""]), "");
        assert!(
            detail(&["key", "colour"]).starts_with("Line 3 has the column names. Column 2, `colour`, is not known")
        );
        assert!(detail(&["Key", "plan", "license_key"]).contains("Columns 1 and 3 are both `key`"));
        let data = detail(&["AAAA-BBBB-1", "acme"]);
        assert!(data.contains("None of them is known") && !data.contains("AAAA"), "{data}");
        assert!(!detail(&["key", &"k".repeat(100)]).contains("kk"));
    }
}
