//! Limits hold when many ask at once, on every real store that says it is atomic:
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

/// Those whose store says that its compare-and-swap is atomic.
const HOSTS: [Host; 2] = [Host::Native, Host::SpinSqlite];

/// How long a client goes on asking while it is told to come again.
const ANSWERED_WITHIN: Duration = Duration::from_secs(40);

/// Clients that use an allowance at once, and how often each of them does.
const USERS: usize = 16;
const USES: u64 = 4;

/// What each of them consumes.
const AMOUNT: u64 = 3;

type Race = fn(&Licence) -> Result<()>;

/// A licence of its own for each race: its name, how it differs, and what is to hold.
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
        ("what-is-used-sums-up", credits.clone(), what_is_used_sums_up),
        ("what-is-sent-twice-counts-once", credits.clone(), what_is_sent_twice_counts_once),
        ("an-allowance-is-never-passed", credits, an_allowance_is_never_passed),
        ("time-begins-once", later, time_begins_once),
        ("a-history-is-linearizable", both.clone(), a_history_is_linearizable),
        ("a-history-of-more-clients-is-linearizable", both, a_longer_history_is_linearizable),
    ]
}

fn main() -> Result<ExitCode> {
    artifacts::check()?;
    let mut trials = vec![Trial::test("checker::refuses-what-no-order-explains", || {
        refuses_what_no_order_explains().map_err(|error| format!("{error:#}").into())
    })];
    for host in HOSTS {
        let running = Arc::new(OnceLock::new());
        for (place, (name, ..)) in races().into_iter().enumerate() {
            let running = Arc::clone(&running);
            let run = move || race(host, &running, place).map_err(|error| format!("{error:#}").into());
            trials.push(Trial::test(format!("{}::{name}", host.name()), run).with_ignored_flag(!host.is_there()));
        }
    }
    // One race at a time on two hosts: more would race for the processors only.
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
    /// Asks once; nothing where the answer is to come again.
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
                ensure!(answer.headers.contains_key("retry-after"), "a 503 that does not say when to come again");
                ensure!(answer.json()?.get("valid").is_none(), "a fault that is a verdict: {}", answer.text());
                Ok(None)
            }
            _ => bail!("{verb} {body}: {} {}", answer.status, answer.text()),
        }
    }

    /// Asks until there is an answer.
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
    ensure!(granted.len() == seats, "{} seats were granted", granted.len());
    for (_, answer) in refused {
        ensure!(answer["code"] == "TOO_MANY_ACTIVATIONS" && answer["seats"]["used"] == seats, "{answer}");
    }
    let told: BTreeSet<_> = granted.iter().filter_map(|(_, answer)| answer["activation"]["id"].as_str()).collect();
    let listed = licence.ask("activations", &json!({}), None)?;
    let listed = listed["activations"].as_array().context("a list of activations")?;
    let listed: BTreeSet<_> = listed.iter().filter_map(|activation| activation["id"].as_str()).collect();
    ensure!(told == listed && told.len() == seats, "granted were {told:?}, there are {listed:?}");
    for (number, _) in &granted {
        let answer = licence.ask("validate", &json!({ "fingerprint": format!("machine {number}") }), None)?;
        ensure!(answer["valid"] == true, "a seat that was granted is not valid: {answer}");
    }
    Ok(())
}

fn one_machine_has_one_seat(licence: &Licence) -> Result<()> {
    let answers = all_at_once(32, |number| {
        // In any order of its components.
        let fingerprint = if number % 2 == 0 { ["board", "disk"] } else { ["disk", "board"] };
        licence.ask("activate", &json!({ "fingerprint": fingerprint }), None)
    })?;
    let seats: BTreeSet<_> = answers.iter().map(|answer| answer["activation"].to_string()).collect();
    ensure!(seats.len() == 1, "one machine was told of {seats:?}");
    ensure!(answers.iter().all(|answer| answer["valid"] == true && answer["seats"]["used"] == 1), "{answers:?}");
    Ok(())
}

fn consume(amount: u64) -> Value {
    json!({ "allowance": "credits", "consume": amount })
}

/// Without idempotency keys what is answered counts, and what is answered by 503 may.
fn what_is_used_sums_up(licence: &Licence) -> Result<()> {
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
        "{used} is used, {acknowledged} was acknowledged, of {unknown} it is not known"
    );
    Ok(())
}

/// Every request is sent by two clients at once, until each of them has an answer.
fn what_is_sent_twice_counts_once(licence: &Licence) -> Result<()> {
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
    ensure!(used == AMOUNT * 2 * USERS as u64, "{used} is used");
    Ok(())
}

fn an_allowance_is_never_passed(licence: &Licence) -> Result<()> {
    let applied = all_at_once(USERS, |number| {
        let mut applied = 0;
        for round in 0..USES {
            let answer = licence.ask("usage", &consume(AMOUNT), Some(&format!("use-{number}-{round}")))?;
            ensure!(answer["applied"] == true || answer["code"] == "USAGE_EXHAUSTED", "{answer}");
            applied += u64::from(answer["applied"] == true);
        }
        Ok(applied)
    })?;
    // 50 times 3 of 150, though 64 times was asked.
    ensure!(applied.iter().sum::<u64>() == 50, "{applied:?} were applied");
    ensure!(licence.used()? == 150, "{} is used", licence.used()?);
    Ok(())
}

fn time_begins_once(licence: &Licence) -> Result<()> {
    let ends = all_at_once(32, |_| {
        let answer = licence.ask("validate", &json!({}), None)?;
        ensure!(answer["valid"] == true, "{answer}");
        Ok(answer["expiresAt"].as_str().context("an end")?.to_owned())
    })?;
    let ends: BTreeSet<_> = ends.into_iter().collect();
    ensure!(ends.len() == 1, "its time ends at {ends:?}");
    Ok(())
}

/// What a client of a recorded history asks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Activate(usize),
    Deactivate(usize),
    Consume(u64),
}

/// What has become of a licence with two seats and twelve credits: who holds the seats, what is
/// used.
type Model = (BTreeSet<usize>, u64);

/// Whether it was done, and how much is taken or used afterwards.
type Told = (bool, u64);

fn apply((seats, used): &mut Model, operation: &Operation) -> Told {
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

fn call(licence: &Licence, operation: Operation) -> Result<Call<Operation, Told>> {
    let fingerprint = |machine: usize| json!({ "fingerprint": format!("machine {machine}") });
    let (verb, body, done, count) = match operation {
        Operation::Activate(machine) => ("activate", fingerprint(machine), "valid", "/seats/used"),
        Operation::Deactivate(machine) => ("deactivate", fingerprint(machine), "deactivated", "/seats/used"),
        Operation::Consume(amount) => {
            // Held by its first machine for good, as only a licence that is valid somewhere is
            // used.
            let mut body = consume(amount);
            body["fingerprint"] = "machine 0".into();
            ("usage", body, "applied", "/allowance/used")
        }
    };
    let invoked = Instant::now();
    let answer = licence.ask_once(verb, &body, None)?;
    let told = |answer: Value| {
        let done = answer[done].as_bool().with_context(|| format!("{verb} {body}: {answer}"))?;
        Ok::<_, anyhow::Error>((done, answer.pointer(count).and_then(Value::as_u64).context("a count")?))
    };
    let told = answer.map(told).transpose()?;
    Ok(Call { operation, invoked, returned: told.map(|told| (Instant::now(), told)) })
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
    ensure!(history.iter().filter(|call| call.returned.is_some()).count() > clients, "hardly an answer: {history:#?}");
    ensure!(is_linearizable(&start, &history, apply), "no order explains {history:#?}");
    // It would have noticed: one more grant than there is room for is refused.
    let mut broken = history.clone();
    let granted = broken.iter_mut().filter_map(|call| call.returned.as_mut()).find(|(_, (_, count))| *count > 0);
    let (_, (_, count)) = granted.context("something is taken or used")?;
    *count += 13;
    ensure!(!is_linearizable(&start, &broken, apply), "an impossible history passes");
    Ok(())
}

/// Three activations of two seats cannot all be granted; nor can one that ended before another
/// began be the later one.
fn refuses_what_no_order_explains() -> Result<()> {
    let begin = Instant::now();
    let at = |milliseconds| begin + Duration::from_millis(milliseconds);
    let call = |operation, invoked, returned, told| Call {
        operation,
        invoked: at(invoked),
        returned: Some((at(returned), told)),
    };
    let check = |history: &[_]| is_linearizable(&Model::default(), history, apply);
    use Operation::{Activate, Consume};
    let overlapping = [call(Activate(1), 0, 9, (true, 2)), call(Activate(2), 0, 9, (true, 1))];
    ensure!(check(&overlapping), "two at once may be in either order");
    let one_after_the_other = [call(Activate(1), 0, 1, (true, 2)), call(Activate(2), 2, 3, (true, 1))];
    ensure!(!check(&one_after_the_other), "the first saw what came after it");
    let lost = [call(Consume(5), 0, 5, (true, 5)), call(Consume(4), 0, 5, (true, 4))];
    ensure!(!check(&lost), "a lost update passes");
    let three = [0, 1, 2].map(|machine| call(Activate(machine), 0, 9, (true, 2)));
    ensure!(!check(&three), "a seat too many passes");
    let unknown = Call { operation: Consume(12), invoked: at(0), returned: None };
    let refused = call(Consume(1), 1, 2, (false, 12));
    ensure!(check(&[unknown.clone(), refused.clone()]), "what was not answered may have been done");
    ensure!(!check(&[refused]), "a refusal without a cause passes");
    ensure!(check(&[unknown, call(Consume(1), 1, 2, (true, 1))]), "what was not answered may not have been done");
    Ok(())
}
