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

/// The columns, or fields, of a licence, and what other systems call them, without case: letters
/// and digits alone.
const SYNONYMS: [(&str, &str); 21] = [
    ("key", "license licence licensekey licencekey licensecode licencecode licensenumber licencenumber licenseno"),
    ("key", "licenceno activationkey activationcode productkey registrationkey registrationcode unlockkey unlockcode"),
    ("key", "cdkey serial serialkey serialnumber serialno serialcode"),
    ("keyHash", "keysha256 licensekeyhash"),
    ("id", "licenseid licenceid"),
    ("product", "productcode productname productid sku"),
    ("policy", "policyid"),
    ("status", "licensestatus licencestatus"),
    ("plan", "planname edition tier licensetype licencetype package variant"),
    ("owner", "email emailaddress mail customer customeremail user useremail licensee licenseholder licenceholder"),
    ("owner", "holder buyer buyeremail purchaser purchaseemail billingemail contactemail licensedto registeredto"),
    ("expiresAt", "expire expires expireson expiredate expiry expirydate expirytime expiration expirationdate"),
    ("expiresAt", "expiresutc expiresatutc endsat endson enddate validto validtill validuntil"),
    ("notBefore", "validfrom activefrom startsat startson startdate"),
    ("issuedAt", "issued issuedon issuedate dateissued purchased purchasedate purchasedat purchasedon orderdate"),
    ("createdAt", "created createdon datecreated creationdate"),
    ("domains", "domain site sites website siteurl"),
    ("features", "feature entitlements"),
    ("activation.limit", "seats seatcount seatlimit maxseats numberofseats activationlimit activationslimit"),
    ("activation.limit", "maxactivations allowedactivations activationsallowed timesactivatedmax"),
    ("activation.limit", "maxmachines machinelimit allowedmachines maxdevices devicelimit alloweddevices"),
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
/// one. Only letters and digits count, without case, but in the names of metadata.
pub(super) fn find(name: &str) -> Option<Cow<'static, str>> {
    let plain = || exported(true).chain(IMPORTED);
    let object = |object| plain().find(|column| is_same(column, object) && has_members(column));
    if let Some((object, member)) = name.split_once('.').and_then(|(name, member)| Some((object(name)?, member))) {
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
    let is_synonym = |names: &str| names.split(' ').any(|name| name == folded);
    let synonym = || SYNONYMS.iter().find(|(_, names)| is_synonym(names)).map(|(column, _)| *column);
    plain().find(|column| fold(column) == folded).or_else(synonym).map(Cow::from)
}

/// The columns of these names, each once; `None` for a column without a name.
pub(super) fn read(names: &[String], line: u64) -> Result<Vec<Option<Cow<'static, str>>>, FieldError> {
    let refuse = |detail: String| Err(FieldError::new("", format!("Line {line} has the column names. {detail}")));
    let named = || (1..).zip(names).filter(|(_, name)| !name.is_empty());
    let columns: Vec<_> = names.iter().map(|name| find(name)).collect();
    if columns.iter().all(Option::is_none) && named().next().is_some() {
        if names[0].starts_with(['{', '[']) {
            return refuse("It is JSON and not CSV; import NDJSON, which has one JSON object a line.".into());
        }
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
        (None, "status" | "issuedAt" | "notBefore" | "expiresAt" | "createdAt") => Cell::Word,
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
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
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
            for synonym in synonyms.split(' ') {
                assert_eq!(fold(synonym), synonym);
                assert_eq!(find(synonym).as_deref(), Some(column));
                names.push(synonym.to_owned());
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
    fn only_letters_and_digits_count_without_case() {
        for (name, column) in [
            ("License Key", "key"),
            ("license_key", "key"),
            ("licenseKey", "key"),
            ("KEY", "key"),
            ("License Key:", "key"),
            ("Licence No.", "key"),
            ("Serial #", "key"),
            ("CD-Key", "key"),
            ("Licence/Key", "key"),
            ("\u{200b}key\u{a0}", "key"),
            ("License Status", "status"),
            ("Expires At (UTC)", "expiresAt"),
            ("valid_till", "expiresAt"),
            ("maxMachines", "activation.limit"),
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
        let json = detail(&["{\"key\":\"AAAA-BBBB-1\"", "\"plan\":\"pro\"}"]);
        assert!(json.contains("It is JSON and not CSV") && !json.contains("AAAA"), "{json}");
    }
}
