//! A program that checks its own licence, with the validator composed into it instead of asked over the network.
//!
//! `embedded KEY [PRODUCT [DOMAIN]]` prints the verdict's code and exits with 0 for valid, 1 for invalid and 2 where the licence
//! could not be checked, which says nothing about the licence.

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
    };
    match validate(&request) {
        Ok(verdict) => {
            println!("{}", name(verdict.code));
            ExitCode::from(if verdict.valid { 0 } else { 1 })
        }
        Err(Fault::InvalidRequest(error)) => {
            eprintln!("{}: {}", error.field, error.detail);
            ExitCode::from(2)
        }
        Err(Fault::Unavailable(reason)) => {
            eprintln!("could not check the licence: {reason}");
            ExitCode::from(2)
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
        Code::VersionNotCovered => "VERSION_NOT_COVERED",
        Code::FeatureMissing => "FEATURE_MISSING",
        Code::Valid => "VALID",
    }
}
