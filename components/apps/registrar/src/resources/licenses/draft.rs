//! A licence that is to be issued: what was asked for, and what its product and policy make of it.

use crate::limits::MAX_OWNER_BYTES;
use countersign::domain::DomainRule;
use countersign::field::FieldError;
use countersign::id::LicenseId;
use countersign::key::{self, Hint, Key, KeyHash, Prefix};
use countersign::license::{ExpiryBasis, Format, License, Status};
use countersign::limits::MAX_DOMAINS;
use countersign::name::Product;
use countersign::time::Timestamp;
use serde_json::{Map, Value};

use crate::ask::Ask;
use crate::host::random::random;
use crate::resources::licenses::issued::Issued;
use crate::resources::metadata;
use crate::resources::policies::Policy;
use crate::resources::products;
use crate::resources::terms::Terms;
use crate::sql::db::{self, text};
use crate::wire::fields::Fields;
use crate::wire::problem::Problem;

/// What was asked for, well formed.
pub(super) struct Draft {
    product: Option<Product>,
    policy: Option<String>,
    /// In place of the policy's.
    overrides: Map<String, Value>,
    domains: Vec<DomainRule>,
    not_before: Option<Timestamp>,
    /// Null for no end; counted from the duration where it is not there.
    expires_at: Option<Option<Timestamp>>,
    owner: Option<String>,
    metadata: Map<String, Value>,
    prefix: Option<Prefix>,
}

/// A key, and what is told of it.
#[derive(Clone)]
pub(super) struct NewKey {
    pub(super) hash: KeyHash,
    pub(super) hint: Option<Hint>,
    /// The key itself where it was drawn here: it is shown once.
    pub(super) shown: Option<String>,
}

impl Draft {
    /// Reads what every way to issue takes; the key is the caller's to read.
    pub(super) fn read(fields: &mut Fields) -> Result<Self, FieldError> {
        let expires_at = match fields.take("expiresAt") {
            None => None,
            Some(Value::Null) => Some(None),
            Some(given) => Fields::new(Map::from_iter([("expiresAt".to_owned(), given)])).parse("expiresAt")?.map(Some),
        };
        Ok(Self {
            product: fields.parse("product")?,
            policy: fields.text("policy")?,
            overrides: Terms::take(fields)?,
            domains: domains(fields, &[])?.unwrap_or_default(),
            not_before: fields.parse("notBefore")?,
            expires_at,
            owner: owner(fields)?,
            metadata: metadata::take(fields)?.unwrap_or_default(),
            prefix: fields.parse("keyPrefix")?,
        })
    }

    /// The licence that is issued for it at a moment, with a key that is brought or drawn.
    pub(super) fn issue(
        &self,
        ask: &Ask<'_>,
        brought: Option<NewKey>,
        issued_at: Timestamp,
    ) -> Result<(Issued, NewKey), Problem> {
        let policy = match &self.policy {
            Some(id) => Some(Policy::load(id)?.ok_or_else(|| refuse("policy", "names no policy."))?),
            None => None,
        };
        let product = self.product.as_ref().or(policy.as_ref().map(|policy| &policy.product));
        let product = product.ok_or_else(|| FieldError::new("product", "or `policy` is needed."))?.clone();
        if !ask.caller.has_product(product.as_str()) {
            return Err(Problem::Forbidden("This token is bound to other products."));
        }
        if policy.as_ref().is_some_and(|policy| policy.product != product) {
            return Err(refuse("policy", "is for another product."));
        }
        let product_prefix = prefix(&product)?;

        let base = policy.map(|policy| policy.terms).unwrap_or_default();
        let terms = Terms::merged(&base, &self.overrides).map_err(Problem::Unprocessable)?;
        let plan = terms.plan.clone().ok_or_else(|| match &self.policy {
            None => FieldError::new("plan", "is missing.").into(),
            Some(_) => refuse("plan", "is missing, and the policy has none."),
        })?;
        terms.check_expiry().map_err(Problem::Unprocessable)?;
        let counted = terms.duration_seconds.filter(|_| terms.expiry_basis == ExpiryBasis::Issue);
        let counted = counted.map(|duration| issued_at.plus_seconds(duration));

        let key = brought.unwrap_or_else(|| NewKey::draw(self.prefix.as_ref().unwrap_or(&product_prefix)));
        let mut issued = Issued {
            number: 0,
            key: key.hash,
            record: License {
                format: Format,
                generation: 1,
                id: LicenseId::generate(random()),
                product,
                status: Status::Active,
                hint: key.hint.clone(),
                plan,
                issued_at,
                not_before: self.not_before,
                expires_at: self.expires_at.unwrap_or(counted),
                expiry_basis: terms.expiry_basis,
                duration_seconds: None,
                expiry_strategy: terms.expiry_strategy,
                grace_seconds: terms.grace_seconds,
                features: Vec::new(),
                domains: self.domains.clone(),
                versions: None,
                requires: Vec::new(),
                seat_policy: None,
                allowances: Vec::new(),
            },
            policy: self.policy.clone(),
            max_domains: None,
            owner: self.owner.clone(),
            metadata: self.metadata.clone(),
            created_at: ask.now,
            updated_at: ask.now,
            revision: 1,
        };
        issued.set_terms(&terms);
        issued.check()?;
        Ok((issued, key))
    }
}

impl NewKey {
    /// A new key of 128 random bits.
    pub(super) fn draw(prefix: &Prefix) -> Self {
        let key = Key::generate(prefix, random());
        Self { hash: key.hash(), hint: Some(key.hint()), shown: Some(key.to_string()) }
    }

    /// Refuses a key that is, or was, a licence's.
    pub(super) fn check_is_new(&self) -> Result<(), Problem> {
        let known = "SELECT 1 FROM keys WHERE hash = ?1";
        match db::query_one(known, vec![text(self.hash.to_hex())])? {
            Some(_) => Err(Problem::KeyTaken),
            None => Ok(()),
        }
    }
}

/// `key`: one that was issued elsewhere.
pub(super) fn brought_key(fields: &mut Fields) -> Result<Option<NewKey>, FieldError> {
    let Some(given) = fields.text("key")? else { return Ok(None) };
    let hash = key::read(&given).map_err(|error| FieldError::new("key", format_args!("{error}.")))?;
    Ok(Some(NewKey { hash, hint: key::hint(&given), shown: None }))
}

/// `owner`: 1 to 256 bytes without control characters.
pub(super) fn owner(fields: &mut Fields) -> Result<Option<String>, FieldError> {
    let owner = fields.text("owner")?;
    let is_owner = |owner: &String| {
        (1..=MAX_OWNER_BYTES).contains(&owner.len()) && !owner.contains(|character: char| character.is_control())
    };
    if owner.as_ref().is_none_or(is_owner) {
        Ok(owner)
    } else {
        Err(FieldError::new("owner", "must be 1 to 256 bytes without control characters."))
    }
}

/// `domains`: each once, and none a public suffix but those that were there `before`.
pub(super) fn domains(fields: &mut Fields, before: &[DomainRule]) -> Result<Option<Vec<DomainRule>>, FieldError> {
    let Some(given) = fields.texts("domains")? else { return Ok(None) };
    if given.len() > MAX_DOMAINS {
        return Err(FieldError::new("domains", "has more than 1,000 entries."));
    }
    let mut domains = Vec::with_capacity(given.len());
    for (number, text) in (1..).zip(&given) {
        let refuse = |error| FieldError::new("domains", format_args!("has an entry, number {number}, that {error}."));
        let domain = DomainRule::parse(text).map_err(refuse)?;
        if !before.contains(&domain) {
            domain.check_registrable().map_err(refuse)?;
        }
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    Ok(Some(domains))
}

/// What the keys of a product begin with.
pub(super) fn prefix(product: &Product) -> Result<Prefix, Problem> {
    products::key_prefix(product)?.ok_or_else(|| refuse("product", "names no product."))
}

fn refuse(field: &str, detail: &str) -> Problem {
    Problem::Unprocessable(FieldError::new(field, detail))
}
