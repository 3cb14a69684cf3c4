//! A program that checks its own licence, with the validator composed into it instead of asked over the network.
//!
//! `embedded KEY [PRODUCT [DOMAIN]]` exits with 0 if the licence is valid, and with 1 otherwise, as WASI 0.2 has no third way to exit.
//! A verdict's code is the last line of standard output. Where the licence could not be checked, which says nothing about it,
//! there is none, and standard error says why.

use std::env;
use std::process::ExitCode;

use bindings::countersign::license::validator::{Code, Fault, Request, validate};

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package countersign:embedded;

            world program {
                import countersign:license/validator@0.1.0;
            }
        ",
        world: "countersign:embedded/program",
        generate_all,
    });
}

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let request = Request {
        key: arguments.next().unwrap_or_default(),
        product: arguments.next(),
        domain: arguments.next(),
        version: None,
        released_at: None,
        features: Vec::new(),
        fingerprint: Vec::new(),
        user: None,
        allowance: None,
    };
    match validate(&request) {
        Ok(verdict) => {
            println!("{}", name(verdict.code));
            if verdict.valid { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(Fault::InvalidRequest(error)) => {
            eprintln!("{}: {}", error.field, error.detail);
            ExitCode::FAILURE
        }
        Err(Fault::Unavailable(reason)) => {
            eprintln!("could not check the licence: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn name(code: Code) -> &'static str {
    match code {
        Code::MalformedKey => "MALFORMED_KEY",
        Code::NotFound => "NOT_FOUND",
        Code::Revoked => "REVOKED",
        Code::Suspended => "SUSPENDED",
        Code::NotYetValid => "NOT_YET_VALID",
        Code::Expired => "EXPIRED",
        Code::ProductMismatch => "PRODUCT_MISMATCH",
        Code::DomainRequired => "DOMAIN_REQUIRED",
        Code::DomainMismatch => "DOMAIN_MISMATCH",
        Code::FingerprintRequired => "FINGERPRINT_REQUIRED",
        Code::UserRequired => "USER_REQUIRED",
        Code::NotActivated => "NOT_ACTIVATED",
        Code::LeaseExpired => "LEASE_EXPIRED",
        Code::VersionNotCovered => "VERSION_NOT_COVERED",
        Code::FeatureMissing => "FEATURE_MISSING",
        Code::TooManyActivations => "TOO_MANY_ACTIVATIONS",
        Code::UsageExhausted => "USAGE_EXHAUSTED",
        Code::Valid => "VALID",
    }
}
