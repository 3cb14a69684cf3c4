//! A licence to be issued: what the request says, and what its product and policy add.

use countersign::domain::DomainRule;
use countersign::field::FieldError;
use countersign::id::LicenseId;
use countersign::key::{self, Hint, Key, KeyHash, Prefix};
use countersign::license::{ExpiryBasis, License};
use countersign::limits::MAX_DOMAINS;
use countersign::name::{Label, Product};
use countersign::time::{End, Start, Timestamp};
use countersign_app_common::fields::Fields;
use serde_json::{Map, Value};

use super::issued::IssuedLicense;
use super::strength;
use crate::ask::Ask;
use crate::auth::guesses;
use crate::host::random::random;
use crate::limits::MAX_OWNER_BYTES;
use crate::resources::policies::Policy;
use crate::resources::terms::{Terms, TermsPatch};
use crate::resources::{metadata, products};
use crate::sql::db::{self, text};
use crate::wire::problem::{self, KEY_TAKEN, Problem, missing, unprocessable};

/// A well-formed request for a licence.
pub(crate) struct Draft {
    product: Option<Product>,
    policy: Option<String>,
    /// Merged into the policy's terms.
    terms: TermsPatch,
    /// Added to the policy's features, where `features` would replace them.
    added_features: Vec<Label>,
    domains: Vec<DomainRule>,
    not_before: Option<Timestamp>,
    /// `Some(None)` for no end; `None` to count from the duration.
    expires_at: Option<Option<Timestamp>>,
    owner: Option<String>,
    metadata: Map<String, Value>,
    key_prefix: Option<Prefix>,
}

/// Where a licence comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It is issued now: settings that it does not say are strict.
    New,
    /// It was exported from a Countersign: its terms mean what they meant there.
    Export,
}

/// The key of a new licence, or the next key of an existing one.
#[derive(Clone)]
pub(crate) struct NewKey {
    pub(crate) hash: KeyHash,
    pub(crate) hint: Option<Hint>,
    /// The key itself if it was generated here: the caller is shown it once.
    pub(crate) generated: Option<String>,
    /// Whether it may be guessed over the network.
    pub(crate) is_weak: bool,
}

impl Draft {
    /// Takes the fields that every way to issue has. The key is not among them.
    pub(crate) fn read(fields: &mut Fields) -> Result<Self, FieldError> {
        let expires_at = match fields.take("expiresAt") {
            None => None,
            Some(Value::Null) => Some(None),
            Some(value) => Fields::new(Map::from_iter([("expiresAt".to_owned(), value)]))
                .parse("expiresAt")?
                .map(|End(end)| Some(end)),
        };
        let added_features = added_features(fields)?;
        Ok(Self {
            added_features,
            product: fields.parse("product")?,
            policy: fields.text("policy")?,
            terms: Terms::take_patch(fields)?,
            domains: domains(fields, &[])?.unwrap_or_default(),
            not_before: fields.parse("notBefore")?.map(|Start(start)| start),
            expires_at,
            owner: owner(fields)?,
            metadata: metadata::take(fields)?.unwrap_or_default(),
            key_prefix: fields.parse("keyPrefix")?,
        })
    }

    /// The licence as issued at this moment, with the existing key or a generated one.
    pub(crate) fn issue(
        &self,
        ask: &Ask<'_>,
        existing_key: Option<NewKey>,
        issued_at: Timestamp,
        origin: Origin,
    ) -> Result<(IssuedLicense, NewKey), Problem> {
        let policy = match &self.policy {
            Some(id) => Some(Policy::named(ask, id)?),
            None => None,
        };
        let product = self.product.as_ref().or(policy.as_ref().map(|policy| &policy.product));
        let product = product.ok_or_else(|| FieldError::new("product", "or `policy` is required."))?.clone();
        if !ask.caller.has_product(product.as_str()) {
            return Err(problem::other_product());
        }
        if policy.as_ref().is_some_and(|policy| policy.product != product) {
            return Err(unprocessable("policy", "must be a policy of `product`."));
        }
        let product_prefix = key_prefix(&product)?;

        let of_policy = policy.map(|policy| policy.terms).unwrap_or_default();
        let mut terms = of_policy.patched(&self.terms).map_err(problem::refused)?;
        terms.add_features(&self.added_features).map_err(problem::refused)?;
        if origin == Origin::New {
            terms = terms.strict_beside(&of_policy);
        }
        let plan = terms.plan.clone().ok_or_else(|| match &self.policy {
            None => missing("plan").into(),
            Some(_) => unprocessable("plan", "is required, as the policy has none."),
        })?;
        terms.check_expiry().map_err(problem::refused)?;

        let key = existing_key.unwrap_or_else(|| NewKey::generate(self.key_prefix.as_ref().unwrap_or(&product_prefix)));
        let mut record = License::new(LicenseId::generate(random()), product, plan, issued_at);
        record.hint = key.hint.clone();
        record.domains = self.domains.clone();
        record.not_before = self.not_before;
        match self.expires_at {
            Some(end) => record.set_end(end),
            None if terms.expiry_basis == ExpiryBasis::Issue => {
                terms.lasts().into_iter().for_each(|span| record.extend(issued_at, span));
            }
            None => {}
        }

        let mut issued = IssuedLicense {
            policy: self.policy.clone(),
            owner: self.owner.clone(),
            metadata: self.metadata.clone(),
            weak_key: key.is_weak,
            is_key_generated: key.generated.is_some(),
            ..IssuedLicense::of_record(key.hash, record, ask.now)
        };
        issued.set_terms(&terms);
        issued.check()?;
        Ok((issued, key))
    }
}

impl NewKey {
    /// Generates a key of 128 random bits.
    pub(crate) fn generate(prefix: &Prefix) -> Self {
        let key = Key::generate(prefix, random());
        Self { hash: key.hash(), hint: Some(key.hint()), generated: Some(key.to_string()), is_weak: false }
    }

    /// Refuses a key that may be guessed, unless that is allowed.
    pub(crate) fn check_strength(&self, ask: &Ask<'_>, allows_weak: bool) -> Result<(), Problem> {
        if !self.is_weak || allows_weak {
            return Ok(());
        }
        Err(guesses::refuse(ask, Problem::with_field(422, "WEAK_KEY", FieldError::new("key", strength::WEAK))))
    }

    /// Refuses a key that another licence has or had.
    pub(crate) fn check_is_unused(&self, ask: &Ask<'_>) -> Result<(), Problem> {
        let known = "SELECT 1 FROM keys WHERE hash = ?1";
        match db::query_one(known, vec![text(self.hash.to_hex())])? {
            Some(_) => Err(guesses::refuse(ask, KEY_TAKEN)),
            None => Ok(()),
        }
    }
}

/// `key`: an existing key, issued elsewhere. A weak one is refused unless allowed.
pub(crate) fn existing_key(ask: &Ask<'_>, fields: &mut Fields, allows_weak: bool) -> Result<Option<NewKey>, Problem> {
    let Some(text) = fields.text("key")? else { return Ok(None) };
    let refuse = |error| guesses::refuse(ask, FieldError::new("key", format_args!("{error}.")));
    let hash = key::read(&text).map_err(refuse)?;
    strength::check(&text).map_err(|error| guesses::refuse(ask, FieldError::new("key", error)))?;
    let key = NewKey { hash, hint: key::hint(&text), generated: None, is_weak: strength::is_weak(&text) };
    key.check_strength(ask, allows_weak)?;
    Ok(Some(key))
}

/// `allowWeakKeys`
pub(crate) fn allows_weak_keys(fields: &mut Fields) -> Result<bool, FieldError> {
    Ok(fields.boolean("allowWeakKeys")?.unwrap_or_default())
}

/// `addFeatures`
fn added_features(fields: &mut Fields) -> Result<Vec<Label>, FieldError> {
    if fields.has("addFeatures") && fields.has("features") {
        return Err(fields.error("addFeatures", "and `features` exclude each other; send one of them."));
    }
    Ok(fields.parse_all("addFeatures")?.unwrap_or_default())
}

/// `owner`
pub(crate) fn owner(fields: &mut Fields) -> Result<Option<String>, FieldError> {
    let owner = fields.text("owner")?;
    let is_owner = |owner: &String| {
        (1..=MAX_OWNER_BYTES).contains(&owner.len()) && !owner.contains(|character: char| character.is_control())
    };
    if owner.as_ref().is_none_or(is_owner) {
        return Ok(owner);
    }
    let detail = format_args!("must be 1 to {MAX_OWNER_BYTES} bytes without control characters.");
    Err(FieldError::new("owner", detail))
}

/// `domains`, without repetitions. A new entry must not be a public suffix.
pub(crate) fn domains(fields: &mut Fields, before: &[DomainRule]) -> Result<Option<Vec<DomainRule>>, FieldError> {
    let Some(texts) = fields.texts("domains")? else { return Ok(None) };
    if texts.len() > MAX_DOMAINS {
        return Err(FieldError::new("domains", format_args!("must have at most {MAX_DOMAINS} entries.")));
    }
    let mut domains = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        let refuse = |error| FieldError::in_list("domains", at, format_args!("{error}."));
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

/// The prefix of a product's keys.
pub(crate) fn key_prefix(product: &Product) -> Result<Prefix, Problem> {
    products::key_prefix(product)?
        .ok_or_else(|| unprocessable("product", "names a product that does not exist; create it first."))
}
