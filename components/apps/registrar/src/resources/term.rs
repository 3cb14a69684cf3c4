//! How each term is read from a request's body. Terms that are objects are read member by member,
//! so that an error names the member that is wrong and what would be right.

use countersign::domain::UncountedName;
use countersign::field::FieldError;
use countersign::holder::{Matching, Per};
use countersign::license::{ExpiryBasis, ExpiryStrategy, Requirement};
use countersign::limits::{MAX_ALLOWED, MAX_SEATS};
use countersign::name::{Identifier, Label};
use countersign::period::{Beginning, BeginningError, Period};
use countersign::span::Span;
use countersign::terms::{Allowance, Overage, SeatPolicy};
use countersign::version::VersionRange;
use countersign_app_common::fields::Fields;

use crate::resources::terms::refuse;

/// The type of a term.
pub(crate) trait Term: Sized {
    /// Takes the term from fields; the default if it is absent or `null`.
    fn read(fields: &mut Fields, name: &str) -> Result<Self, FieldError>;
}

/// Terms whose value is wrong as a whole.
macro_rules! read_as_a_whole {
    ($($type:ty),+) => {
        $(impl Term for $type {
            fn read(fields: &mut Fields, name: &str) -> Result<Self, FieldError> {
                let value = fields.take_some(name).map(serde_json::from_value).transpose();
                value.map(Option::unwrap_or_default).map_err(|_| refuse(name))
            }
        })+
    };
}

read_as_a_whole!(Option<Label>, Option<Span>, ExpiryBasis, ExpiryStrategy, Option<u32>, u32);

impl Term for Vec<Label> {
    fn read(fields: &mut Fields, name: &str) -> Result<Self, FieldError> {
        Ok(fields.parse_all(name)?.unwrap_or_default())
    }
}

impl Term for Vec<Requirement> {
    fn read(fields: &mut Fields, name: &str) -> Result<Self, FieldError> {
        Ok(fields.parse_all(name)?.unwrap_or_default())
    }
}

impl Term for Vec<Identifier> {
    fn read(fields: &mut Fields, name: &str) -> Result<Self, FieldError> {
        let given: Vec<Identifier> = fields.parse_all(name)?.unwrap_or_default();
        let trimmed = |(at, user): (usize, &Identifier)| {
            let trimmed = Identifier::parse_trimmed(user.as_str());
            trimmed.map_err(|error| fields.error(&format!("{name}[{at}]"), format_args!("{error}.")))
        };
        given.iter().enumerate().map(trimmed).collect()
    }
}

impl Term for Vec<UncountedName> {
    fn read(fields: &mut Fields, name: &str) -> Result<Self, FieldError> {
        Ok(fields.parse_all(name)?.unwrap_or_default())
    }
}

const SECONDS: u64 = u32::MAX as u64;

impl Term for Option<SeatPolicy> {
    fn read(fields: &mut Fields, name: &str) -> Result<Self, FieldError> {
        let Some(mut seats) = fields.object(name)? else { return Ok(None) };
        let per: Option<Per> = seats.parse("per")?;
        let limit = seats.integer_within("limit", 1..=MAX_SEATS as u64)?;
        let policy = SeatPolicy {
            per: per.ok_or_else(|| seats.error("per", "is missing; it must be `machine`, `domain` or `user`."))?,
            limit: limit
                .ok_or_else(|| seats.error("limit", "is missing; it must be a whole number from 1 to 1,000."))?
                as u32,
            overage: seats.parse("overage")?.unwrap_or_default(),
            matching: seats.parse::<Matching>("match")?.unwrap_or_default(),
            lease_seconds: seats.integer_within("leaseSeconds", 1..=SECONDS)?.map(|seconds| seconds as u32),
            revive_seconds: seats.integer_within("reviveSeconds", 0..=SECONDS)?.unwrap_or_default() as u32,
            strict: seats.boolean("strict")?.unwrap_or(true),
            ignore_www: seats.boolean("ignoreWww")?.unwrap_or_default(),
            manage: seats.parse("manage")?,
        };
        if policy.revive_seconds > 0 && policy.lease_seconds.is_none() {
            return Err(seats.error("reviveSeconds", "needs `leaseSeconds`, as only a lease can be revived."));
        }
        seats.finish()?;
        Ok(Some(policy))
    }
}

// The sentence about `limit` says this number.
const _: () = assert!(MAX_SEATS == 1_000);

impl Term for Vec<Allowance> {
    fn read(fields: &mut Fields, name: &str) -> Result<Self, FieldError> {
        let mut allowances = Self::new();
        for mut each in fields.objects(name)?.unwrap_or_default() {
            let limit = each.integer_within("limit", 1..=MAX_ALLOWED)?;
            let allowance = Allowance {
                name: each.parse("name")?.ok_or_else(|| each.missing("name"))?,
                limit: limit.ok_or_else(|| each.missing("limit"))?,
                period: each.parse::<Period>("period")?.unwrap_or_default(),
                begins: beginning(&mut each)?,
                overage: each.parse::<Overage>("overage")?.unwrap_or_default(),
                returns: each.parse("returns")?,
            };
            if !allowance.period.can_begin(allowance.begins) {
                let detail = "needs a `period` that is not `total`, and a day of the month one of months or years.";
                return Err(each.error("begins", detail));
            }
            if allowances.iter().any(|other: &Allowance| other.name == allowance.name) {
                return Err(each.error("name", "is the name of two allowances; each must have its own."));
            }
            each.finish()?;
            allowances.push(allowance);
        }
        Ok(allowances)
    }
}

/// `begins`
fn beginning(allowance: &mut Fields) -> Result<Option<Beginning>, FieldError> {
    let beginning = allowance.take_some("begins").map(serde_json::from_value).transpose();
    beginning.map_err(|_| allowance.error("begins", format_args!("{BeginningError}.")))
}

impl Term for Option<VersionRange> {
    fn read(fields: &mut Fields, name: &str) -> Result<Self, FieldError> {
        let Some(mut versions) = fields.object(name)? else { return Ok(None) };
        let range = VersionRange { from: versions.parse("from")?, below: versions.parse("below")? };
        versions.finish()?;
        Ok(Some(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: Term>(value: &str) -> (String, String) {
        let mut fields = Fields::from_json(format!(r#"{{"t":{value}}}"#).as_bytes()).unwrap();
        let error = T::read(&mut fields, "t").err().unwrap();
        assert!(!error.detail.contains("SECRET"), "{}", error.detail);
        (error.field, error.detail)
    }

    #[test]
    fn an_error_names_the_member_of_a_rule_on_seats_and_what_would_be_right() {
        for (value, field, right) in [
            (r#"{"limit":2}"#, "t.per", "`machine`, `domain` or `user`"),
            (r#"{"per":"SECRET","limit":2}"#, "t.per", "`machine`, `domain` or `user`"),
            (r#"{"per":1,"limit":2}"#, "t.per", "string"),
            (r#"{"per":"machine"}"#, "t.limit", "from 1 to 1,000"),
            (r#"{"per":"machine","limit":0}"#, "t.limit", "from 1 to 1,000"),
            (r#"{"per":"machine","limit":1001}"#, "t.limit", "from 1 to 1,000"),
            (r#"{"per":"machine","limit":"SECRET"}"#, "t.limit", "from 1 to 1,000"),
            (r#"{"per":"machine","limit":1,"overage":"SECRET"}"#, "t.overage", "percentage"),
            (r#"{"per":"machine","limit":1,"match":"SECRET"}"#, "t.match", "`all`, `most`, `two` or `any`"),
            (r#"{"per":"machine","limit":1,"leaseSeconds":0}"#, "t.leaseSeconds", "from 1 to"),
            (r#"{"per":"machine","limit":1,"leaseSeconds":1.5}"#, "t.leaseSeconds", "whole number"),
            (r#"{"per":"machine","limit":1,"reviveSeconds":1}"#, "t.reviveSeconds", "`leaseSeconds`"),
            (r#"{"per":"machine","limit":1,"strict":"SECRET"}"#, "t.strict", "true or false"),
            (r#"{"per":"machine","limit":1,"manage":"SECRET"}"#, "t.manage", "`own` or `all`"),
            (r#"{"per":"machine","limit":1,"lease":1}"#, "t.lease", "is not a field"),
            (r#""machine""#, "t", "object"),
        ] {
            let (named, detail) = refused::<Option<SeatPolicy>>(value);
            assert_eq!(named, field, "{value}");
            assert!(detail.contains(right), "{value}: {detail}");
        }
    }

    #[test]
    fn an_error_names_the_member_of_an_allowance_or_a_range() {
        for (value, field) in [
            (r#"[{"name":"a","limit":1},{"limit":1}]"#, "t[1].name"),
            (r#"[{"name":"a"}]"#, "t[0].limit"),
            (r#"[{"name":"a","limit":1000000000001}]"#, "t[0].limit"),
            (r#"[{"name":"a","limit":1,"period":"SECRET"}]"#, "t[0].period"),
            (r#"[{"name":"a","limit":1,"period":"P1M15D"}]"#, "t[0].period"),
            (r#"[{"name":"a","limit":1,"period":"month","begins":0}]"#, "t[0].begins"),
            (r#"[{"name":"a","limit":1,"period":"month","begins":32}]"#, "t[0].begins"),
            (r#"[{"name":"a","limit":1,"period":"month","begins":"SECRET"}]"#, "t[0].begins"),
            (r#"[{"name":"a","limit":1,"period":"week","begins":15}]"#, "t[0].begins"),
            (r#"[{"name":"a","limit":1,"period":"30d","begins":15}]"#, "t[0].begins"),
            (r#"[{"name":"a","limit":1,"begins":"license"}]"#, "t[0].begins"),
            (r#"[{"name":"a","limit":1,"overage":2}]"#, "t[0].overage"),
            (r#"[{"name":"a","limit":1},{"name":"a","limit":1}]"#, "t[1].name"),
            (r#"[{"name":"a","limit":1,"returns":"SECRET"}]"#, "t[0].returns"),
            (r#"[{"name":"a","limit":1,"every":"day"}]"#, "t[0].every"),
            (r#"["SECRET"]"#, "t[0]"),
            (r#"{"name":"a","limit":1}"#, "t"),
        ] {
            assert_eq!(refused::<Vec<Allowance>>(value).0, field, "{value}");
        }
        for (value, field) in
            [(r#"{"from":"SECRET"}"#, "t.from"), (r#"{"below":3}"#, "t.below"), (r#"{"to":"3"}"#, "t.to")]
        {
            assert_eq!(refused::<Option<VersionRange>>(value).0, field, "{value}");
        }
    }

    #[test]
    fn an_error_names_the_item_of_a_list() {
        assert_eq!(refused::<Vec<Label>>(r#"["a",7]"#).0, "t[1]");
        assert_eq!(refused::<Vec<Label>>(r#"["a",""]"#).0, "t[1]");
        let (field, detail) = refused::<Vec<Requirement>>(r#"["SECRET"]"#);
        assert_eq!((&*field, &*detail), ("t[0]", "`t[0]` must be `product`, `domain` or `version`."));
    }

    #[test]
    fn null_is_the_same_as_a_member_that_is_not_sent() {
        let text = br#"{"t":{"per":"user","limit":1,"leaseSeconds":null,"match":null},"u":null}"#;
        let mut fields = Fields::from_json(text).unwrap();
        let policy = Option::<SeatPolicy>::read(&mut fields, "t").unwrap().unwrap();
        assert_eq!((policy.lease_seconds, policy.matching), (None, Matching::All));
        assert_eq!(u32::read(&mut fields, "u"), Ok(0));
    }
}
