//! Limits hold under concurrent requests, on every real store that reports itself atomic:
//! `native::eight-seats-have-eight-holders`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use countersign::key;
use countersign_host_tests::hosts::{Host, Running, Setup};
use countersign_host_tests::linearizable::{Call, is_linearizable};
use countersign_host_tests::{artifacts, client};
use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};

/// The hosts whose store reports an atomic compare-and-swap.
const HOSTS: [Host; 2] = [Host::Native, Host::SpinSqlite];

/// How long a client retries while it gets a 503.
const ANSWERED_WITHIN: Duration = Duration::from_secs(40);

/// Clients that use an allowance at once.
const USERS: usize = 16;
/// Uses by each client.
const USES: u64 = 4;
/// Credits that each use consumes.
const AMOUNT: u64 = 3;

type Race = fn(&Licence) -> Result<()>;

/// The races, each with its own licence: the claim, the licence's terms, and the test.
fn races() -> [(&'static str, Value, Race); 9] {
    let seats = |limit: u32| json!({ "activation": { "per": "machine", "limit": limit } });
    let credits = json!({ "allowances": [{ "name": "credits", "limit": 150 }] });
    let both = json!({
        "activation": { "per": "machine", "limit": 2 }, "allowances": [{ "name": "credits", "limit": 12 }],
    });
    let later = json!({ "expiryBasis": "first-validation", "durationSeconds": 1_000_000 });
    [
        ("eight-seats-have-eight-holders", seats(8), |licence| seats_have_holders(licence, 8)),
        ("fifty-seats-have-fifty-holders", seats(50), |licence| seats_have_holders(licence, 50)),
        ("one-machine-has-one-seat", seats(8), one_machine_has_one_seat),
        ("all-usage-is-counted", credits.clone(), all_usage_is_counted),
        ("a-repeated-use-counts-once", credits.clone(), a_repeated_use_counts_once),
        ("an-allowance-is-never-exceeded", credits, an_allowance_is_never_exceeded),
        ("a-term-begins-once", later, a_term_begins_once),
        ("a-history-is-linearizable", both.clone(), a_history_is_linearizable),
        ("a-longer-history-is-linearizable", both, a_longer_history_is_linearizable),
    ]
}

fn main() -> Result<ExitCode> {
    artifacts::check()?;
    let mut trials = vec![Trial::test("checker::an-impossible-history-is-refused", || {
        an_impossible_history_is_refused().map_err(|error| format!("{error:#}").into())
    })];
    for host in HOSTS {
        let running = Arc::new(OnceLock::new());
        for (place, (name, ..)) in races().into_iter().enumerate() {
            let running = Arc::clone(&running);
            let run = move || race(host, &running, place).map_err(|error| format!("{error:#}").into());
            trials.push(Trial::test(format!("{}::{name}", host.name()), run).with_ignored_flag(!host.is_there()));
        }
    }
    // One race at a time on each host: more would compete for the processors only.
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(2));
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}

fn race(host: Host, running: &OnceLock<Result<Running>>, place: usize) -> Result<()> {
    let running = running.get_or_init(|| {
        let entries = races().into_iter().enumerate().map(|(place, (_, fields, _))| entry(place, &fields));
        host.start(&Setup { entries: entries.collect::<Result<_>>()?, ..Setup::default() })
    });
    let running = running.as_ref().map_err(|error| anyhow!("{error:#}"))?;
    let (.., run) = races()[place];
    run(&Licence { address: running.address(), key: key_of(place) })
}

fn key_of(place: usize) -> String {
    format!("the key of race {place}")
}

fn entry(place: usize, fields: &Value) -> Result<(String, String)> {
    let mut record = json!({
        "format": 1, "generation": 1, "id": format!("lic_{place:026}"), "product": "acme", "status": "active", "plan": "pro",
        "issuedAt": "2026-01-01T00:00:00Z", "features": [], "domains": [], "requires": [],
    });
    let fields = fields.as_object().context("fields")?.clone();
    record.as_object_mut().context("a record is an object")?.extend(fields);
    Ok((key::read(&key_of(place))?.store_key(), record.to_string()))
}

/// A licence on a running host.
struct Licence {
    address: SocketAddr,
    key: String,
}

impl Licence {
    /// Sends one request. `None` if the answer is a 503.
    fn ask_once(&self, verb: &str, fields: &Value, idempotency_key: Option<&str>) -> Result<Option<Value>> {
        let mut body = fields.clone();
        body["key"] = self.key.as_str().into();
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(idempotency_key.map(|key| ("idempotency-key", key)));
        let path = format!("/api/v1/{verb}");
        let answer = client::send(self.address, "POST", &path, &headers, body.to_string().as_bytes())?;
        match answer.status {
            200 => Ok(Some(answer.json()?)),
            503 => {
                ensure!(answer.headers.contains_key("retry-after"), "a 503 must have `Retry-After`");
                ensure!(answer.json()?.get("valid").is_none(), "a 503 must not be a verdict: {}", answer.text());
                Ok(None)
            }
            _ => bail!("{verb} {body}: {} {}", answer.status, answer.text()),
        }
    }

    /// Retries until there is an answer.
    fn ask(&self, verb: &str, fields: &Value, idempotency_key: Option<&str>) -> Result<Value> {
        let deadline = Instant::now() + ANSWERED_WITHIN;
        loop {
            if let Some(answer) = self.ask_once(verb, fields, idempotency_key)? {
                return Ok(answer);
            }
            ensure!(Instant::now() < deadline, "no answer to {verb} {fields} within {ANSWERED_WITHIN:?}");
        }
    }

    fn used(&self) -> Result<Value> {
        Ok(self.ask("usage", &json!({ "allowance": "credits" }), None)?["allowance"]["used"].clone())
    }
}

/// Runs all clients at once.
fn all_at_once<T: Send>(clients: usize, client: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let (client, start) = (&client, &Barrier::new(clients));
    thread::scope(|scope| {
        let run = move |number| {
            start.wait();
            client(number)
        };
        let clients: Vec<_> = (0..clients).map(|number| scope.spawn(move || run(number))).collect();
        clients.into_iter().map(|client| client.join().map_err(|_| anyhow!("a client panicked"))?).collect()
    })
}

fn seats_have_holders(licence: &Licence, seats: usize) -> Result<()> {
    let answers = all_at_once(4 * seats, |number| {
        let answer = licence.ask("activate", &json!({ "fingerprint": format!("machine {number}") }), None)?;
        Ok((number, answer))
    })?;
    let (granted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|(_, answer)| answer["valid"] == true);
    ensure!(granted.len() == seats, "{} seats were granted, and {seats} must be", granted.len());
    for (_, answer) in refused {
        ensure!(answer["code"] == "TOO_MANY_ACTIVATIONS" && answer["seats"]["used"] == seats, "{answer}");
    }
    let ids: BTreeSet<_> = granted.iter().filter_map(|(_, answer)| answer["activation"]["id"].as_str()).collect();
    let listed = licence.ask("activations", &json!({}), None)?;
    let listed = listed["activations"].as_array().context("a list of activations")?;
    let listed: BTreeSet<_> = listed.iter().filter_map(|activation| activation["id"].as_str()).collect();
    ensure!(ids == listed && ids.len() == seats, "granted are {ids:?}, listed are {listed:?}");
    for (number, _) in &granted {
        let answer = licence.ask("validate", &json!({ "fingerprint": format!("machine {number}") }), None)?;
        ensure!(answer["valid"] == true, "a granted seat is not valid: {answer}");
    }
    Ok(())
}

fn one_machine_has_one_seat(licence: &Licence) -> Result<()> {
    let answers = all_at_once(32, |number| {
        // The order of the components must not matter.
        let fingerprint = if number % 2 == 0 { ["board", "disk"] } else { ["disk", "board"] };
        licence.ask("activate", &json!({ "fingerprint": fingerprint }), None)
    })?;
    let seats: BTreeSet<_> = answers.iter().map(|answer| answer["activation"].to_string()).collect();
    ensure!(seats.len() == 1, "one machine has the seats {seats:?}");
    ensure!(answers.iter().all(|answer| answer["valid"] == true && answer["seats"]["used"] == 1), "{answers:?}");
    Ok(())
}

fn consume(amount: u64) -> Value {
    json!({ "allowance": "credits", "consume": amount })
}

/// Without idempotency keys, a use answered by 503 may count or not.
fn all_usage_is_counted(licence: &Licence) -> Result<()> {
    let totals = all_at_once(USERS, |_| {
        let (mut acknowledged, mut unknown) = (0, 0);
        for _ in 0..USES {
            match licence.ask_once("usage", &consume(1), None)? {
                Some(answer) => {
                    ensure!(answer["applied"] == true, "{answer}");
                    acknowledged += 1;
                }
                None => unknown += 1,
            }
        }
        Ok((acknowledged, unknown))
    })?;
    let acknowledged: u64 = totals.iter().map(|(acknowledged, _)| acknowledged).sum();
    let unknown: u64 = totals.iter().map(|(_, unknown)| unknown).sum();
    let used = licence.used()?.as_u64().context("a number")?;
    ensure!(
        (acknowledged..=acknowledged + unknown).contains(&used) && acknowledged > 0,
        "{used} are used, {acknowledged} were acknowledged, and {unknown} had no answer"
    );
    Ok(())
}

/// Two clients send each request at once, until each of them has an answer.
fn a_repeated_use_counts_once(licence: &Licence) -> Result<()> {
    all_at_once(2 * USERS, |number| {
        for round in 0..2 {
            let answer = licence.ask(
                "usage",
                &consume(AMOUNT),
                Some(&format!("use {} {round}", number / 2).replace(' ', "-")),
            )?;
            ensure!(answer["applied"] == true, "{answer}");
        }
        Ok(())
    })?;
    let used = licence.used()?;
    ensure!(used == AMOUNT * 2 * USERS as u64, "{used} are used");
    Ok(())
}

fn an_allowance_is_never_exceeded(licence: &Licence) -> Result<()> {
    let applied = all_at_once(USERS, |number| {
        let mut applied = 0;
        for round in 0..USES {
            let answer = licence.ask("usage", &consume(AMOUNT), Some(&format!("use-{number}-{round}")))?;
            ensure!(answer["applied"] == true || answer["code"] == "USAGE_EXHAUSTED", "{answer}");
            applied += u64::from(answer["applied"] == true);
        }
        Ok(applied)
    })?;
    // Of 64 requests for 3 credits, 50 use up all 150.
    ensure!(applied.iter().sum::<u64>() == 50, "{applied:?} were applied");
    ensure!(licence.used()? == 150, "{} are used", licence.used()?);
    Ok(())
}

fn a_term_begins_once(licence: &Licence) -> Result<()> {
    let ends = all_at_once(32, |_| {
        let answer = licence.ask("validate", &json!({}), None)?;
        ensure!(answer["valid"] == true, "{answer}");
        Ok(answer["expiresAt"].as_str().context("an end")?.to_owned())
    })?;
    let ends: BTreeSet<_> = ends.into_iter().collect();
    ensure!(ends.len() == 1, "the term ends at {ends:?}, and must have one end");
    Ok(())
}

/// An operation of a recorded history.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Activate(usize),
    Deactivate(usize),
    Consume(u64),
}

/// The state of a licence with two seats and twelve credits: the holders of seats, the credits
/// used.
type Model = (BTreeSet<usize>, u64);

/// Whether the operation was applied, and the seats taken or credits used after it.
type Effect = (bool, u64);

fn apply((seats, used): &mut Model, operation: &Operation) -> Effect {
    match *operation {
        Operation::Activate(machine) => {
            let granted = seats.contains(&machine) || seats.len() < 2;
            if granted {
                seats.insert(machine);
            }
            (granted, seats.len() as u64)
        }
        Operation::Deactivate(machine) => (seats.remove(&machine), seats.len() as u64),
        Operation::Consume(amount) => {
            let granted = *used + amount <= 12;
            if granted {
                *used += amount;
            }
            (granted, *used)
        }
    }
}

fn call(licence: &Licence, operation: Operation) -> Result<Call<Operation, Effect>> {
    let fingerprint = |machine: usize| json!({ "fingerprint": format!("machine {machine}") });
    let (verb, body, done, count) = match operation {
        Operation::Activate(machine) => ("activate", fingerprint(machine), "valid", "/seats/used"),
        Operation::Deactivate(machine) => ("deactivate", fingerprint(machine), "deactivated", "/seats/used"),
        Operation::Consume(amount) => {
            // Usage needs a valid holder: machine 0, which keeps its seat throughout.
            let mut body = consume(amount);
            body["fingerprint"] = "machine 0".into();
            ("usage", body, "applied", "/allowance/used")
        }
    };
    let invoked = Instant::now();
    let answer = licence.ask_once(verb, &body, None)?;
    let effect = |answer: Value| {
        let done = answer[done].as_bool().with_context(|| format!("{verb} {body}: {answer}"))?;
        Ok::<_, anyhow::Error>((done, answer.pointer(count).and_then(Value::as_u64).context("a count")?))
    };
    let effect = answer.map(effect).transpose()?;
    Ok(Call { operation, invoked, returned: effect.map(|effect| (Instant::now(), effect)) })
}

fn a_history_is_linearizable(licence: &Licence) -> Result<()> {
    history_is_linearizable(licence, 6, 5)
}

fn a_longer_history_is_linearizable(licence: &Licence) -> Result<()> {
    history_is_linearizable(licence, 8, 8)
}

/// Machine 0 holds one of the two seats throughout; the others contend for the second one and for
/// the credits.
fn history_is_linearizable(licence: &Licence, clients: usize, rounds: usize) -> Result<()> {
    let first = licence.ask("activate", &json!({ "fingerprint": "machine 0" }), None)?;
    ensure!(first["valid"] == true, "{first}");
    let histories = all_at_once(clients, |client| {
        let operation = |round| match (client + round) % 3 {
            0 => Operation::Activate(1 + client % 3),
            1 => Operation::Deactivate(1 + (client + round) % 3),
            _ => Operation::Consume(1 + (client % 2) as u64),
        };
        (0..rounds).map(|round| call(licence, operation(round))).collect::<Result<Vec<_>>>()
    })?;
    let history = histories.concat();
    let start = (BTreeSet::from([0]), 0);
    ensure!(history.iter().filter(|call| call.returned.is_some()).count() > clients, "too few answers: {history:#?}");
    ensure!(is_linearizable(&start, &history, apply), "not linearizable: {history:#?}");
    // The same history with an impossible count must be refused.
    let mut broken = history.clone();
    let granted = broken.iter_mut().filter_map(|call| call.returned.as_mut()).find(|(_, (_, count))| *count > 0);
    let (_, (_, count)) = granted.context("no operation has taken or used anything")?;
    *count += 13;
    ensure!(!is_linearizable(&start, &broken, apply), "the checker accepts an impossible history");
    Ok(())
}

fn an_impossible_history_is_refused() -> Result<()> {
    let begin = Instant::now();
    let at = |milliseconds| begin + Duration::from_millis(milliseconds);
    let call = |operation, invoked, returned, effect| Call {
        operation,
        invoked: at(invoked),
        returned: Some((at(returned), effect)),
    };
    let check = |history: &[_]| is_linearizable(&Model::default(), history, apply);
    use Operation::{Activate, Consume};
    let overlapping = [call(Activate(1), 0, 9, (true, 2)), call(Activate(2), 0, 9, (true, 1))];
    ensure!(check(&overlapping), "two overlapping calls may have either order");
    let one_after_the_other = [call(Activate(1), 0, 1, (true, 2)), call(Activate(2), 2, 3, (true, 1))];
    ensure!(!check(&one_after_the_other), "the first call cannot see a later one");
    let lost = [call(Consume(5), 0, 5, (true, 5)), call(Consume(4), 0, 5, (true, 4))];
    ensure!(!check(&lost), "the checker accepts a lost update");
    let three = [0, 1, 2].map(|machine| call(Activate(machine), 0, 9, (true, 2)));
    ensure!(!check(&three), "the checker accepts three holders of two seats");
    let unknown = Call { operation: Consume(12), invoked: at(0), returned: None };
    let refused = call(Consume(1), 1, 2, (false, 12));
    ensure!(check(&[unknown.clone(), refused.clone()]), "what was not answered may have been done");
    ensure!(!check(&[refused]), "a refusal without a cause passes");
    ensure!(check(&[unknown, call(Consume(1), 1, 2, (true, 1))]), "what was not answered may not have been done");
    Ok(())
}
