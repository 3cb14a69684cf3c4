//! A program that checks its own licence: the validator is composed into it, so there is no server
//! to ask.
//!
//! `embedded KEY [PRODUCT [DOMAIN]]` prints the verdict. It exits with 0 if the licence is valid,
//! and with 1 otherwise. If the licence could not be checked, standard error says why, and nothing
//! is printed on standard output: the program then decides by itself whether to run.

use bindings::countersign::license::validator::{Fault, Request, validate};
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
        match validate(&request) {
            Ok(verdict) => {
                print(&get_stdout(), &verdict.detail);
                if verdict.valid { Ok(()) } else { Err(()) }
            }
            Err(Fault::InvalidRequest(error)) => {
                print(&get_stderr(), &error.detail);
                Err(())
            }
            Err(Fault::Unavailable(reason)) => {
                print(&get_stderr(), &format!("The licence could not be checked: {reason}."));
                Err(())
            }
        }
    }
}

fn print(stream: &OutputStream, line: &str) {
    // The exit code is still right if nobody reads the output.
    let _ = stream.blocking_write_and_flush(format!("{line}\n").as_bytes());
}
