//! The terms of a licence. A policy is a template of terms; a licence issued from it has its own
//! copy.
//!
//! A term is declared once, below. A new one that the core's `License` has too needs a line there,
//! and the compiler then asks for it in [`Terms::of`] and [`Terms::apply`].

use countersign::domain::UncountedName;
use countersign::field::FieldError;
use countersign::holder::{Matching, Per};
use countersign::license::{ExpiryBasis, ExpiryStrategy, License, Requirement};
use countersign::limits::{
    MAX_ALLOWANCES, MAX_ALLOWED, MAX_DOMAINS, MAX_FEATURES, MAX_IDENTIFIER_BYTES, MAX_NAME_BYTES, MAX_SEATS,
    MAX_UNCOUNTED, MAX_USERS,
};
use countersign::name::{Identifier, Label};
use countersign::span::Span;
use countersign::terms::{Allowance, Manage, Overage, Returns, SeatPolicy};
use countersign::version::VersionRange;
use countersign_app_common::fields::Fields;
use serde_json::{Map, Value, json};

use crate::resources::term::Term;

/// What a cell of CSV contains (`licenses::bulk::table`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    /// A text, taken as it is.
    Text,
    /// A text, or `null`.
    Word,
    /// Texts, separated by semicolons.
    List,
    /// JSON. Each member has a column of its own too, and is a text.
    Texts,
    /// JSON. Each member has a column of its own too.
    Json,
}

/// Declares the terms. Each has a name in JSON and CSV, the kind of its cell in CSV, a sample
/// value, and the sentence that says what a value must be.
macro_rules! terms {
    ($(
        $(#[$doc:meta])*
        $field:ident: $type:ty = $name:literal { cell: $cell:ident, sample: $sample:expr, form: $form:literal }
    )+) => {
        /// Terms, each within its bounds.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Terms {
            $($(#[$doc])* pub(crate) $field: $type,)+
        }

        impl Terms {
            /// The name of each term, and the kind of its cell.
            pub(crate) const COLUMNS: &[(&str, Cell)] = &[$(($name, Cell::$cell)),+];

            /// Terms with a value for each.
            fn sample() -> Self {
                Self { $($field: $sample,)+ }
            }

            fn read_unchecked(fields: &mut Fields) -> Result<Self, FieldError> {
                Ok(Self { $($field: Term::read(fields, $name)?,)+ })
            }

            /// As JSON, in the form in which they are read.
            pub(crate) fn to_json(&self) -> Map<String, Value> {
                let members = [$(($name, json!(self.$field))),+].into_iter();
                members.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect()
            }
        }

        /// The error that says what the value of a term must be.
        pub(crate) fn refuse(name: &str) -> FieldError {
            match name {
                $($name => FieldError::new($name, format_args!($form)),)+
                _ => unreachable!("only terms are read"),
            }
        }
    };
}

terms! {
    /// Every licence has a plan; a policy may leave it open.
    plan: Option<Label> = "plan" {
        cell: Text,
        sample: Label::parse("pro").ok(),
        form: "must be 1 to {MAX_NAME_BYTES} bytes without control characters."
    }
    features: Vec<Label> = "features" {
        cell: List,
        sample: Vec::new(),
        form: "must be a list of at most {MAX_FEATURES} names such as \"export\", each 1 to {MAX_NAME_BYTES} bytes."
    }
    versions: Option<VersionRange> = "versions" {
        cell: Texts,
        sample: Some(VersionRange { from: None, below: None }),
        form: "must be an object such as {{\"from\":\"1.0.0\",\"below\":\"3.0.0\"}}, with one of its members or both."
    }
    users: Vec<Identifier> = "users" {
        cell: List,
        sample: Vec::from_iter(Identifier::parse("ada")),
        form: "must be a list of at most {MAX_USERS} ids, each once, and each 1 to {MAX_IDENTIFIER_BYTES} bytes."
    }
    uncounted_domains: Vec<UncountedName> = "uncountedDomains" {
        cell: List,
        sample: Vec::from_iter(UncountedName::parse("localhost")),
        form: "must be a list of at most {MAX_UNCOUNTED} names such as `localhost`, `*.test` or `staging.*`."
    }
    requires: Vec<Requirement> = "requires" {
        cell: List,
        sample: Vec::new(),
        form: "must be a list of `product`, `domain` and `version`, each at most once."
    }
    expiry_basis: ExpiryBasis = "expiryBasis" {
        cell: Json,
        sample: ExpiryBasis::Issue,
        form: "must be `issue`, `first-validation` or `first-activation`."
    }
    /// From the beginning of the licence's time to its end.
    duration_seconds: Option<u32> = "durationSeconds" {
        cell: Json,
        sample: Some(1),
        form: "must be a whole number of seconds, from 1 to 4294967295."
    }
    /// The same on the calendar. Without months it is read as `durationSeconds`.
    duration: Option<Span> = "duration" {
        cell: Json,
        sample: Span::new(1, 0),
        form: "must be a duration such as `12h`, `30d`, `1mo` or `1y`, or by ISO 8601, such as `P1M` or `P1Y6M`."
    }
    expiry_strategy: ExpiryStrategy = "expiryStrategy" {
        cell: Json,
        sample: ExpiryStrategy::Restrict,
        form: "must be `restrict`, `maintain`, `maintain-undated` or `allow`."
    }
    grace_seconds: u32 = "graceSeconds" {
        cell: Json,
        sample: 0,
        form: "must be a whole number of seconds, from 0 to 4294967295."
    }
    /// How many domains the licence may have. The registrar alone knows this term.
    max_domains: Option<u32> = "maxDomains" {
        cell: Json,
        sample: Some(1),
        form: "must be a whole number from 1 to {MAX_DOMAINS}."
    }
    seat_policy: Option<SeatPolicy> = "activation" {
        cell: Json,
        sample: Some(SeatPolicy {
            per: Per::Machine,
            limit: 1,
            overage: Overage::None,
            matching: Matching::All,
            lease_seconds: Some(1),
            revive_seconds: 0,
            strict: true,
            ignore_www: false,
            manage: Some(Manage::Own),
        }),
        form: "must be an object such as {{\"per\":\"machine\",\"limit\":5}}, with a `limit` from 1 to {MAX_SEATS}, a \
               `leaseSeconds` of 1 or more, and `reviveSeconds` only with a lease."
    }
    allowances: Vec<Allowance> = "allowances" {
        cell: Json,
        sample: Vec::new(),
        form: "must be a list of at most {MAX_ALLOWANCES} objects such as {{\"name\":\"exports\",\"limit\":100,\
               \"period\":\"month\"}}, each with its own `name` and a `limit` from 1 to 1,000,000,000,000."
    }
}

// The sentence about `allowances` says this number, which would be hard to read without commas.
const _: () = assert!(MAX_ALLOWED == 1_000_000_000_000);

/// A JSON Merge Patch (RFC 7396) of terms, whose values are valid.
pub(crate) struct TermsPatch(Map<String, Value>);

impl Terms {
    /// Takes the terms from fields. Absent ones have the defaults of a licence.
    pub(crate) fn read(fields: &mut Fields) -> Result<Self, FieldError> {
        let mut terms = Self::read_unchecked(fields)?;
        if let (Some(span), None) = (terms.duration, terms.duration_seconds)
            && span.months() == 0
        {
            (terms.duration, terms.duration_seconds) = (None, Some(span.seconds()));
        }
        terms.check_bounds()?;
        Ok(terms)
    }

    /// Takes a patch from fields, where `null` removes a term.
    pub(crate) fn take_patch(fields: &mut Fields) -> Result<TermsPatch, FieldError> {
        let names = Self::COLUMNS.iter().map(|(name, _)| *name);
        let mut patch = TermsPatch(names.filter_map(|name| Some((name.to_owned(), fields.take(name)?))).collect());
        // Each takes the other's place.
        for (name, other) in [("duration", "durationSeconds"), ("durationSeconds", "duration")] {
            if patch.0.get(name).is_some_and(|value| !value.is_null()) {
                patch.0.entry(other).or_insert(Value::Null);
            }
        }
        // Checked against a full set of terms, so that an invalid value is refused whatever it is
        // merged into.
        Self::sample().patched(&patch)?;
        Ok(patch)
    }

    /// These terms with a patch applied.
    pub(crate) fn patched(&self, patch: &TermsPatch) -> Result<Self, FieldError> {
        Self::read(&mut Fields::new(patch.0.clone()).merged_into(self.to_json()))
    }

    /// These terms, where what `before` does not have is strict unless it says otherwise. Terms
    /// that are older than a setting keep the meaning that they had.
    pub(crate) fn strict_beside(mut self, before: &Self) -> Self {
        if before.seat_policy.is_none() {
            self.seat_policy.iter_mut().for_each(|seats| _ = seats.manage.get_or_insert(Manage::Own));
        }
        let is_new = |allowance: &&mut Allowance| before.allowances.iter().all(|other| other.name != allowance.name);
        for allowance in self.allowances.iter_mut().filter(is_new) {
            allowance.returns.get_or_insert(Returns::Vendor);
        }
        self
    }

    /// The terms of a licence.
    pub(crate) fn of(record: &License, max_domains: Option<u32>) -> Self {
        // Without `..`, so that the compiler asks whether a new member is a term.
        let License {
            plan,
            features,
            versions,
            users,
            uncounted_domains,
            requires,
            expiry_basis,
            duration_seconds,
            duration,
            expiry_strategy,
            grace_seconds,
            seat_policy,
            allowances,
            renewal_day: _,
            format: _,
            generation: _,
            id: _,
            product: _,
            status: _,
            hint: _,
            issued_at: _,
            not_before: _,
            expires_at: _,
            domains: _,
        } = record.clone();
        Self {
            plan: Some(plan),
            features,
            versions,
            users,
            uncounted_domains,
            requires,
            expiry_basis,
            duration_seconds,
            duration,
            expiry_strategy,
            grace_seconds,
            max_domains,
            seat_policy,
            allowances,
        }
    }

    /// How long licences with these terms last.
    pub(crate) fn lasts(&self) -> Option<Span> {
        self.duration.or_else(|| self.duration_seconds.and_then(Span::of_seconds))
    }

    /// Gives a licence these terms. It keeps its plan if these have none, and its dates.
    pub(crate) fn apply(&self, record: &mut License) {
        let Self {
            plan,
            features,
            versions,
            users,
            uncounted_domains,
            requires,
            expiry_basis,
            duration_seconds,
            duration,
            expiry_strategy,
            grace_seconds,
            max_domains: _,
            seat_policy,
            allowances,
        } = self.clone();
        record.plan = plan.unwrap_or_else(|| record.plan.clone());
        record.features = features;
        record.versions = versions;
        record.users = users;
        record.uncounted_domains = uncounted_domains;
        record.requires = requires;
        record.expiry_basis = expiry_basis;
        // With a fixed end, the duration was counted when that was fixed.
        record.duration_seconds = duration_seconds.filter(|_| expiry_basis != ExpiryBasis::Issue);
        record.duration = duration.filter(|_| expiry_basis != ExpiryBasis::Issue);
        record.expiry_strategy = expiry_strategy;
        record.grace_seconds = grace_seconds;
        record.seat_policy = seat_policy;
        record.allowances = allowances;
    }

    /// Checks that a licence whose time begins with its use has an end, and that it can be used
    /// that way.
    pub(crate) fn check_expiry(&self) -> Result<(), FieldError> {
        let basis = self.expiry_basis;
        if self.duration.is_some() && self.duration_seconds.is_some() {
            return Err(FieldError::new("duration", "and `durationSeconds` exclude each other; send one of them."));
        }
        if basis != ExpiryBasis::Issue && self.lasts().is_none() {
            let detail = format_args!("or `duration` is required if `expiryBasis` is `{basis}`.");
            return Err(FieldError::new("durationSeconds", detail));
        }
        if basis == ExpiryBasis::FirstActivation && self.seat_policy.is_none() {
            let detail = format_args!("is required if `expiryBasis` is `{basis}`.");
            return Err(FieldError::new("activation", detail));
        }
        Ok(())
    }

    /// Adds features to those that these terms have.
    pub(crate) fn add_features(&mut self, features: &[Label]) -> Result<(), FieldError> {
        for feature in features {
            if !self.features.contains(feature) {
                self.features.push(feature.clone());
            }
        }
        self.check_bounds()
    }

    fn check_bounds(&self) -> Result<(), FieldError> {
        let is_repeated = |(at, each): (usize, &Requirement)| self.requires[..at].contains(each);
        let is_named_twice = |(at, each): (usize, &Identifier)| self.users[..at].contains(each);
        let bounds = [
            ("features", self.features.len() <= MAX_FEATURES),
            ("users", self.users.len() <= MAX_USERS && !self.users.iter().enumerate().any(is_named_twice)),
            ("uncountedDomains", self.uncounted_domains.len() <= MAX_UNCOUNTED),
            ("requires", !self.requires.iter().enumerate().any(is_repeated)),
            ("durationSeconds", self.duration_seconds != Some(0)),
            ("maxDomains", self.max_domains.is_none_or(|most| (1..=MAX_DOMAINS).contains(&(most as usize)))),
            ("allowances", self.allowances.len() <= MAX_ALLOWANCES),
        ];
        bounds.iter().find(|(_, is_kept)| !is_kept).map_or(Ok(()), |(name, _)| Err(refuse(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign::id::LicenseId;
    use countersign::name::Product;
    use countersign::time::Timestamp;
    use std::collections::BTreeSet;

    #[test]
    fn what_is_new_is_strict_and_what_was_there_keeps_its_meaning() {
        let terms = |text: &str| Terms::read(&mut Fields::from_json(text.as_bytes()).unwrap()).unwrap();
        let seats = terms(r#"{"activation":{"per":"machine","limit":1}}"#);
        let manage = |terms: Terms| terms.seat_policy.unwrap().manage;
        assert_eq!(manage(seats.clone().strict_beside(&Terms::default())), Some(Manage::Own));
        assert_eq!(manage(seats.clone().strict_beside(&seats)), None);
        let open = terms(r#"{"activation":{"per":"user","limit":1,"manage":"all"}}"#);
        assert_eq!(manage(open.strict_beside(&Terms::default())), Some(Manage::All));

        let old = terms(r#"{"allowances":[{"name":"old","limit":1}]}"#);
        let new = terms(
            r#"{"allowances":[{"name":"new","limit":1},{"name":"old","limit":2},{"name":"ours","limit":1,"returns":"holder"}]}"#,
        );
        let returns: Vec<_> = new.strict_beside(&old).allowances.iter().map(|allowance| allowance.returns).collect();
        assert_eq!(returns, [Some(Returns::Vendor), None, Some(Returns::Holder)]);
    }

    #[test]
    fn a_duration_takes_the_place_of_the_one_before() {
        let terms = |text: &str| Terms::read(&mut Fields::from_json(text.as_bytes()).unwrap()).unwrap();
        let after = |before: &str, patch: &str| {
            let patch = Terms::take_patch(&mut Fields::from_json(patch.as_bytes()).unwrap()).ok().unwrap();
            let after = terms(before).patched(&patch).unwrap();
            (after.duration.map(|span| span.to_string()), after.duration_seconds)
        };
        let (calendar, seconds) = (r#"{"duration":"1y"}"#, r#"{"durationSeconds":60}"#);
        assert_eq!(after(seconds, calendar), (Some("P1Y".to_owned()), None));
        assert_eq!(after(calendar, seconds), (None, Some(60)));
        assert_eq!(after(calendar, r#"{"duration":"P7D"}"#), (None, Some(604_800)));
        assert_eq!(after(calendar, "{}"), (Some("P1Y".to_owned()), None));
        assert_eq!(after(calendar, r#"{"duration":null}"#), (None, None));
        let both = terms(r#"{"duration":"1y","durationSeconds":60}"#);
        assert_eq!(both.check_expiry().unwrap_err().field, "duration");
    }

    fn names() -> BTreeSet<String> {
        Terms::COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    #[test]
    fn a_sample_has_every_term_and_reads_as_written() {
        let sample = Terms::sample().to_json();
        assert_eq!(sample.keys().cloned().collect::<BTreeSet<_>>(), names());
        assert_eq!(Terms::read(&mut Fields::new(sample)), Ok(Terms::sample()));
    }

    #[test]
    fn openapi_json_describes_these_terms_and_no_others() {
        let document: Value = serde_json::from_str(include_str!("../../../../../openapi.json")).unwrap();
        let members = |schema: &str| -> BTreeSet<String> {
            document["components"]["schemas"][schema]["properties"].as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(members("Terms"), names());
        for schema in ["NewPolicy", "PolicyPatch", "NewLicense", "NewLicenses"] {
            assert!(members(schema).is_superset(&names()), "{schema}");
        }
        // A licence's basis changes only with its policy.
        let fixed = BTreeSet::from(["expiryBasis".to_owned()]);
        assert_eq!(&names() - &members("LicensePatch"), fixed);
    }

    #[test]
    fn a_licence_with_these_terms_has_them_in_its_record() {
        let (id, product) = (LicenseId::generate([0; 16]), Product::parse("acme").unwrap());
        let mut record = License::new(id, product, Label::parse("free").unwrap(), Timestamp::from_unix(0));
        let allowance = r#"{"name":"exports","limit":1}"#;
        let terms = Terms {
            expiry_basis: ExpiryBasis::FirstValidation,
            allowances: vec![serde_json::from_str(allowance).unwrap()],
            ..Terms::sample()
        };
        terms.apply(&mut record);
        let record: Value = serde_json::from_str(&record.to_json()).unwrap();
        let of_registrar = BTreeSet::from(["maxDomains".to_owned()]);
        let members: BTreeSet<_> = record.as_object().unwrap().keys().cloned().collect();
        assert_eq!(&names() - &members, of_registrar);
        let others = ["format", "generation", "id", "product", "status", "issuedAt", "domains"];
        assert_eq!(&members - &names(), others.map(str::to_owned).into());
    }

    #[test]
    fn an_error_names_every_word_that_a_term_may_be() {
        let words = ExpiryBasis::ALL.iter().map(|word| ("expiryBasis", word.as_str()));
        let words = words.chain(ExpiryStrategy::ALL.iter().map(|word| ("expiryStrategy", word.as_str())));
        let words = words.chain(Requirement::ALL.iter().map(|word| ("requires", word.as_str())));
        for (name, word) in words {
            assert!(refuse(name).detail.contains(&format!("`{word}`")), "{name}: {word}");
        }
    }

    #[test]
    fn a_patch_with_an_invalid_value_is_refused_whatever_it_is_merged_into() {
        for (patch, name) in [
            (json!({ "activation": { "limit": 0 } }), "activation.limit"),
            (json!({ "versions": { "from": "one" } }), "versions.from"),
            (json!({ "durationSeconds": 0 }), "durationSeconds"),
            (json!({ "duration": "1 month" }), "duration"),
            (json!({ "features": "export" }), "features"),
            (json!({ "maxDomains": MAX_DOMAINS + 1 }), "maxDomains"),
        ] {
            let Value::Object(patch) = patch else { unreachable!() };
            assert_eq!(Terms::take_patch(&mut Fields::new(patch)).err().unwrap().field, name);
        }
    }
}
