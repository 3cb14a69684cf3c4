use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use countersign::audit::{BEGINNING, ERASED, content, link, rest};
use countersign::hex;
use serde_json::{Value, json};

use crate::api::{Api, path, query};
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::output::pages::Pages;
use crate::output::print;
use crate::output::progress;
use crate::output::text::{member, plain};

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    Verify(Verify),
    Accept(Accept),
}

/// Check that the events are as written, and the data as they say
///
/// Each event contains a hash of its content and of the event before it, and the last event on a
/// licence, product, policy or token has it as it must be now. The server remembers the end of the
/// events in its store, beside the database. Someone who can write both could still rewrite
/// everything, or remove the last events. Keep the last line that this prints in another place, and
/// pass it to a later run with `--known`.
///
/// Personal data may have been erased from events (see `forget`). Each erasure must itself be an
/// event.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The last line that an earlier run printed: that event must still exist with that hash
    #[arg(long, value_name = "NUMBER:HASH", value_parser = known)]
    known: Option<(u64, String)>,
    #[command(flatten)]
    connection: Connection,
}

/// Accept the events as they are now, after a restore from a copy
///
/// `audit verify` compares the events with the end that the store remembers. A database that was
/// restored from a copy has lost events on purpose. This has the store remember its present end,
/// and adds an event that says what was remembered before.
#[derive(Debug, Args)]
pub(crate) struct Accept {
    #[command(flatten)]
    connection: Connection,
}

/// The chain up to an event: its number and hash.
struct Chain {
    number: u64,
    hash: [u8; 32],
    known: Option<(u64, String)>,
    /// Events whose personal data was erased, until the event is found that records it: by number,
    /// the number of that event, and what it must say.
    erased: BTreeMap<u64, (u64, Value)>,
    erasures: u64,
}

impl Audit {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        match self {
            Self::Verify(verify) => verify.run(),
            Self::Accept(Accept { connection }) => {
                let answer = connection.open()?.post(path(&["audit", "accept"]), &json!({}))?;
                let accepted = answer.json()?["accepted"].take();
                let sentence = format!("accepted up to event {}", accepted["number"]);
                print::done(&answer, &sentence, connection.json)?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl Verify {
    fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let bar = progress::items("events");
        let mut chain = Chain { number: 0, hash: BEGINNING, known: self.known, erased: BTreeMap::new(), erasures: 0 };
        let verdict = chain.walk(&mut Pages::new(&api, &path(&["events"]), vec![], None), || bar.inc(1))?;
        let faults = faults(&api, || bar.inc(1))?;
        bar.finish_and_clear();
        let (number, hash) = (chain.number, hex::encode(&chain.hash));
        let is_verified = verdict.is_ok() && faults.is_empty();
        if self.connection.json {
            let wrong = verdict.as_ref().err().map(|(number, why)| json!({ "number": number, "detail": why }));
            let head = json!({ "number": number, "hash": hash });
            let verdict = json!({ "verified": is_verified, "head": head, "wrong": wrong, "faults": faults, "erased": chain.erasures });
            print::json(verdict.to_string().as_bytes())?;
        } else {
            let mut out = print::out();
            if let Err((number, why)) = &verdict {
                writeln!(out, "event {number} {why}")?;
            }
            for fault in &faults {
                writeln!(out, "{}", plain(&member(fault, "detail")))?;
            }
            if is_verified {
                if chain.erasures > 0 {
                    let events = if chain.erasures == 1 { "event" } else { "events" };
                    writeln!(out, "{} {events} without personal data, as recorded", chain.erasures)?;
                }
                writeln!(out, "up to event {number}, none was changed, removed or reordered")?;
                writeln!(out, "every licence, product, policy and token is as its last event says")?;
                writeln!(out, "keep the next line elsewhere: with --known it shows whether later events are gone")?;
                writeln!(out, "{number}:{hash}")?;
            }
        }
        Ok(if is_verified { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

/// What the registrar finds that is not as the events say. It leaves out the chain, which is
/// followed here.
fn faults(api: &Api, visited: impl Fn()) -> Result<Vec<Value>, CommandError> {
    let (mut faults, mut cursor) = (Vec::new(), None);
    loop {
        let parameters = [("chain", Some("false".to_owned())), ("cursor", cursor)];
        let mut step = api.get(query(path(&["audit"]), &parameters))?.json()?;
        if let Value::Array(found) = step["faults"].take() {
            faults.extend(found);
        }
        visited();
        cursor = step["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(faults);
        }
    }
}

impl Chain {
    /// Follows the events from the first to the last, also those written meanwhile. The inner error
    /// is the first broken event and what is wrong with it.
    fn walk(
        &mut self,
        pages: &mut Pages<'_>,
        visited: impl Fn(),
    ) -> Result<Result<(), (u64, &'static str)>, CommandError> {
        let mut head = None;
        while let Some(page) = pages.next(u64::MAX)? {
            let head = head.get_or_insert_with(|| {
                (page.rest["head"]["number"].as_u64().unwrap_or(0), member(&page.rest["head"], "hash"))
            });
            for event in &page.items {
                if let Err(why) = self.follow(event, head) {
                    return Ok(Err((self.number + 1, why)));
                }
                visited();
            }
        }
        let least = head.map_or(0, |(number, _)| number).max(self.known.as_ref().map_or(0, |(number, _)| *number));
        Ok(match self.erased.first_key_value() {
            _ if self.number < least => Err((self.number + 1, "is missing")),
            Some((number, _)) => Err((*number, "was changed")),
            None => Ok(()),
        })
    }

    fn follow(&mut self, event: &Value, head: &(u64, String)) -> Result<(), &'static str> {
        let number = self.number + 1;
        if event["number"].as_u64() != Some(number) {
            return Err("is missing or out of place");
        }
        if event["previous"] != hex::encode(&self.hash) {
            return Err("does not follow the event before it");
        }
        let content = content(event).ok_or("was changed")?;
        let mut hash = link(&self.hash, &content);
        let recorder = event["erased"].as_u64();
        let mut erasure = json!({ "number": number });
        if recorder.is_some() && event.get("personal").is_none() {
            // Of an earlier version: its hash was made with the data that is gone.
            erasure["rest"] = hex::encode(&rest(&content)).into();
            hash = event["hash"].as_str().and_then(hex::decode).ok_or("was changed")?;
        }
        let written = hex::encode(&hash);
        if event["hash"] != written {
            return Err("was changed");
        }
        if let Some(recorder) = recorder {
            self.erasures += 1;
            self.erased.insert(number, (recorder, erasure));
        }
        if event["action"] == ERASED {
            for recorded in event["after"]["events"].as_array().into_iter().flatten() {
                let of = recorded["number"].as_u64().unwrap_or(0);
                if self.erased.get(&of).is_some_and(|(by, erasure)| (*by, erasure) == (number, recorded)) {
                    self.erased.remove(&of);
                }
            }
        }
        let is_other = |(at, hash): &(u64, String)| *at == number && *hash != written;
        if is_other(head) || self.known.as_ref().is_some_and(is_other) {
            return Err("is not the event that it was");
        }
        (self.number, self.hash) = (number, hash);
        Ok(())
    }
}

fn known(text: &str) -> Result<(u64, String), &'static str> {
    let (number, hash) = text.split_once(':').ok_or("must be NUMBER:HASH, as an earlier run printed it")?;
    let number = number.parse().map_err(|_| "the number must be a whole number")?;
    hex::decode::<32>(hash).map(|_| (number, hash.to_owned())).ok_or("the hash must be 64 hexadecimal digits")
}
