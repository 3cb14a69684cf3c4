//! The typed interface for components that embed this one: the same verbs, with the types of WIT in
//! place of JSON.

use countersign::field::FieldError;
use countersign::holder::Per;
use countersign::name::IdempotencyKey;
use countersign::request::{Fields, Verb};
use countersign::state::Seat;
use countersign::verdict::{self, Effect, Occupancy, Remaining};

use crate::App;
use crate::activate::activate;
use crate::activations::{Seating, activations};
use crate::bindings::exports::countersign::license::validator as wit;
use crate::context::Context;
use crate::deactivate::{Deactivation, deactivate};
use crate::failure::Failure;
use crate::flow::Judged;
use crate::heartbeat::heartbeat;
use crate::unavailable::Unavailable;
use crate::usage::{UsageError, usage};
use crate::validate::validate;

impl wit::Guest for App {
    fn validate(request: wit::Request) -> Result<wit::Verdict, wit::Fault> {
        let mut context = Context::start();
        let request = Fields::from(request).verify(Verb::Validate)?;
        Ok(validate(&request, &mut context)?.into())
    }

    fn activate(request: wit::Request) -> Result<wit::Verdict, wit::Fault> {
        let mut context = Context::start();
        let request = Fields::from(request).verify(Verb::Activate)?;
        Ok(activate(&request, &mut context)?.into())
    }

    fn heartbeat(request: wit::Request) -> Result<wit::Verdict, wit::Fault> {
        let mut context = Context::start();
        let request = Fields::from(request).verify(Verb::Heartbeat)?;
        Ok(heartbeat(&request, &mut context)?.into())
    }

    fn deactivate(seat: wit::Seat) -> Result<Option<wit::Deactivation>, wit::Fault> {
        let mut context = Context::start();
        let request = Fields::from(seat).verify(Verb::Deactivate)?;
        Ok(deactivate(&request, &mut context)?.ok().map(wit::Deactivation::from))
    }

    fn activations(holder: wit::Holder) -> Result<Option<wit::Seating>, wit::Fault> {
        let mut context = Context::start();
        let request = Fields::from(holder).verify(Verb::Activations)?;
        Ok(activations(&request, &mut context)?.ok().and_then(seating))
    }

    fn usage(
        request: wit::Request,
        change: Option<wit::Change>,
        idempotency_key: Option<String>,
    ) -> Result<wit::Used, wit::UsageFault> {
        let mut context = Context::start();
        let mut fields = Fields::from(request);
        match change {
            Some(wit::Change::Consume(amount)) => fields.consume = Some(amount),
            Some(wit::Change::GiveBack(amount)) => fields.give_back = Some(amount),
            None => {}
        }
        let request = fields.verify(Verb::Usage)?;
        let key = idempotency_key.map(|key| IdempotencyKey::parse(&key)).transpose();
        let key = key.map_err(|error| FieldError::new("idempotency-key", format_args!("{error}.")))?;
        let usage = usage(&request, key.as_ref(), &mut context)?;
        let Effect { is_applied, is_repeat } = usage.effect.unwrap_or_default();
        Ok(wit::Used { verdict: usage.judged.into(), applied: is_applied, replayed: is_repeat })
    }
}

/// An empty list is the same as a field that is not sent.
fn some(texts: Vec<String>) -> Option<Vec<String>> {
    Some(texts).filter(|texts| !texts.is_empty())
}

impl From<wit::Request> for Fields {
    fn from(request: wit::Request) -> Self {
        Self {
            key: Some(request.key),
            product: request.product,
            domain: request.domain,
            version: request.version,
            released_at: request.released_at,
            features: some(request.features),
            fingerprint: some(request.fingerprint),
            user: request.user,
            allowance: request.allowance,
            ..Self::default()
        }
    }
}

impl From<wit::Holder> for Fields {
    fn from(holder: wit::Holder) -> Self {
        Self {
            key: Some(holder.key),
            domain: holder.domain,
            fingerprint: some(holder.fingerprint),
            user: holder.user,
            ..Self::default()
        }
    }
}

impl From<wit::Seat> for Fields {
    fn from(seat: wit::Seat) -> Self {
        Self {
            key: Some(seat.key),
            domain: seat.domain,
            fingerprint: some(seat.fingerprint),
            user: seat.user,
            activation: seat.activation,
            ..Self::default()
        }
    }
}

impl From<Judged> for wit::Verdict {
    fn from(Judged { verdict, license }: Judged) -> Self {
        let license = license.as_ref();
        Self {
            valid: verdict.is_valid(),
            code: verdict.code().into(),
            detail: verdict.code().detail().into(),
            license_id: license.map(|license| license.id.as_str().into()),
            product: license.map(|license| license.product.as_str().into()),
            plan: license.map(|license| license.plan.as_str().into()),
            features: license
                .map_or(Vec::new(), |license| license.features.iter().map(|feature| feature.as_str().into()).collect()),
            expires_at: verdict.expires_at().map(|moment| moment.unix()),
            grace: verdict.grace(),
            stale_seconds: verdict.stale_seconds(),
            warnings: verdict.warnings().iter().map(|warning| (*warning).into()).collect(),
            activation: verdict.seat().map(wit::Activation::from),
            seats: verdict.seats().map(wit::Seats::from),
            allowance: verdict.remaining().map(wit::Allowance::from),
        }
    }
}

impl From<Deactivation> for wit::Deactivation {
    fn from(Deactivation { deactivated, seats, .. }: Deactivation) -> Self {
        Self { deactivated, seats: seats.map(wit::Seats::from) }
    }
}

/// `None` if the licence does not count seats.
fn seating(Seating { counted, seats, .. }: Seating) -> Option<wit::Seating> {
    let (per, counts) = counted?;
    let activations = seats.iter().map(wit::Activation::from).collect();
    Some(wit::Seating { per: per.into(), seats: counts.into(), activations })
}

impl From<&Seat> for wit::Activation {
    fn from(seat: &Seat) -> Self {
        Self {
            id: seat.holder.activation_id().to_string(),
            activated_at: seat.since.unix(),
            lease_ends_at: seat.until.map(|until| until.unix()),
        }
    }
}

impl From<Occupancy> for wit::Seats {
    fn from(Occupancy { limit, used }: Occupancy) -> Self {
        Self { limit, used }
    }
}

impl From<&Remaining> for wit::Allowance {
    fn from(left: &Remaining) -> Self {
        Self {
            name: left.name.as_str().into(),
            limit: left.limit,
            used: left.used,
            remaining: left.amount(),
            resets_at: left.resets_at.map(|moment| moment.unix()),
        }
    }
}

impl From<Per> for wit::Per {
    fn from(per: Per) -> Self {
        match per {
            Per::Machine => Self::Machine,
            Per::Domain => Self::Domain,
            Per::User => Self::User,
        }
    }
}

impl From<verdict::Code> for wit::Code {
    fn from(code: verdict::Code) -> Self {
        use verdict::Code;
        match code {
            Code::MalformedKey => Self::MalformedKey,
            Code::NotFound => Self::NotFound,
            Code::Revoked => Self::Revoked,
            Code::Suspended => Self::Suspended,
            Code::NotYetValid => Self::NotYetValid,
            Code::Expired => Self::Expired,
            Code::ProductMismatch => Self::ProductMismatch,
            Code::DomainRequired => Self::DomainRequired,
            Code::DomainMismatch => Self::DomainMismatch,
            Code::FingerprintRequired => Self::FingerprintRequired,
            Code::UserRequired => Self::UserRequired,
            Code::UserMismatch => Self::UserMismatch,
            Code::NotActivated => Self::NotActivated,
            Code::LeaseExpired => Self::LeaseExpired,
            Code::VersionNotCovered => Self::VersionNotCovered,
            Code::FeatureMissing => Self::FeatureMissing,
            Code::AllowanceMissing => Self::AllowanceMissing,
            Code::TooManyActivations => Self::TooManyActivations,
            Code::UsageExhausted => Self::UsageExhausted,
            Code::Valid => Self::Valid,
        }
    }
}

impl From<verdict::Warning> for wit::Warning {
    fn from(warning: verdict::Warning) -> Self {
        use verdict::Warning;
        match warning {
            Warning::ExpiredAllowed => Self::ExpiredAllowed,
            Warning::ExpiredMaintained => Self::ExpiredMaintained,
            Warning::ActivationsOverLimit => Self::ActivationsOverLimit,
            Warning::UsageOverLimit => Self::UsageOverLimit,
            Warning::UserNotChecked => Self::UserNotChecked,
            Warning::LimitIsSoft => Self::LimitIsSoft,
        }
    }
}

impl From<FieldError> for wit::Fault {
    fn from(FieldError { field, detail }: FieldError) -> Self {
        Self::InvalidRequest(wit::FieldError { field, detail })
    }
}

impl From<Unavailable> for wit::Fault {
    fn from(Unavailable(reason): Unavailable) -> Self {
        Self::Unavailable(reason.into())
    }
}

impl From<Failure> for wit::Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Field(error) => error.into(),
            Failure::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<FieldError> for wit::UsageFault {
    fn from(error: FieldError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<UsageError> for wit::UsageFault {
    fn from(error: UsageError) -> Self {
        match error {
            UsageError::KeyReused => Self::IdempotencyKeyReused,
            UsageError::Failure(failure) => Self::Fault(failure.into()),
        }
    }
}
