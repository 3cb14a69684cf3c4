//! The typed interface, for components that embed this one.

use countersign::request::{FieldError, Fields};
use countersign::verdict::{self, Verdict};

use crate::App;
use crate::bindings::exports::countersign::license::validator as wit;
use crate::validate::{Stopwatch, Unavailable, validate};

impl wit::Guest for App {
    fn validate(request: wit::Request) -> Result<wit::Verdict, wit::Fault> {
        let mut stopwatch = Stopwatch::start();
        let request = Fields::from(request).verify()?;
        Ok(validate(&request, &mut stopwatch, |verdict| verdict.into())?)
    }
}

impl From<wit::Request> for Fields {
    fn from(request: wit::Request) -> Self {
        Self {
            key: Some(request.key),
            product: request.product,
            domain: request.domain,
            version: request.version,
            released_at: request.released_at,
            features: Some(request.features),
            nonce: None,
        }
    }
}

impl From<&Verdict<'_>> for wit::Verdict {
    fn from(verdict: &Verdict<'_>) -> Self {
        let license = verdict.license;
        Self {
            valid: verdict.is_valid(),
            code: verdict.code.into(),
            detail: verdict.code.detail().into(),
            license_id: license.map(|license| license.id.as_str().into()),
            product: license.map(|license| license.product.as_str().into()),
            plan: license.map(|license| license.plan.as_str().into()),
            features: license
                .map_or(Vec::new(), |license| license.features.iter().map(|feature| feature.as_str().into()).collect()),
            expires_at: license.and_then(|license| license.expires_at).map(|moment| moment.unix()),
            grace: verdict.grace,
            warnings: verdict.warnings.iter().map(|warning| (*warning).into()).collect(),
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
            Code::VersionNotCovered => Self::VersionNotCovered,
            Code::FeatureMissing => Self::FeatureMissing,
            Code::Valid => Self::Valid,
        }
    }
}

impl From<verdict::Warning> for wit::Warning {
    fn from(warning: verdict::Warning) -> Self {
        match warning {
            verdict::Warning::ExpiredAllowed => Self::ExpiredAllowed,
            verdict::Warning::ExpiredMaintained => Self::ExpiredMaintained,
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
