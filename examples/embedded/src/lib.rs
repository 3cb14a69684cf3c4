//! A program that checks its own licence, with the validator composed into it instead of asked over the network.
//!
//! `embedded KEY [PRODUCT [DOMAIN]]` exits with 0 if the licence is valid, and with 1 otherwise, as WASI 0.2 has no third way to exit.
//! A verdict's code is the last line of standard output. Where the licence could not be checked, which says nothing about it,
//! there is none, and standard error says why.

use bindings::countersign::license::validator::{Code, Fault, Request, validate};
use wasi::cli::{environment::get_arguments, stderr::get_stderr, stdout::get_stdout};
use wasi::exports::cli::run::Guest;
use wasi::io::streams::OutputStream;

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::Program;

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
    wasi::cli::command::export!(Program);
}

struct Program;

impl Guest for Program {
    fn run() -> Result<(), ()> {
        match check() {
            Ok((code, valid)) => {
                print(&get_stdout(), name(code));
                if valid { Ok(()) } else { Err(()) }
            }
            Err(Fault::InvalidRequest(error)) => {
                print(&get_stderr(), &format!("{}: {}", error.field, error.detail));
                Err(())
            }
            Err(Fault::Unavailable(reason)) => {
                print(&get_stderr(), &format!("could not check the licence: {reason}"));
                Err(())
            }
        }
    }
}

fn check() -> Result<(Code, bool), Fault> {
    let mut arguments = get_arguments().into_iter().skip(1);
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
    let verdict = validate(&request)?;
    Ok((verdict.code, verdict.valid))
}

/// Writes a line. A program that nobody listens to any more has its exit code left.
fn print(stream: &OutputStream, line: &str) {
    let _ = stream.blocking_write_and_flush(format!("{line}\n").as_bytes());
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
