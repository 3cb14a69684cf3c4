//! Vectors: the tables of `tests/vectors`, with one named trial for each row. The names list what
//! the core must withstand.

use countersign::{
    decide::Case,
    domain::{Domain, DomainError, DomainRule, UncountedName},
    field::FieldError,
    hex,
    holder::{Holder, Per},
    id::LicenseId,
    key::{self, Key, KeyHash, Prefix, ReadError, Reading},
    license::{License, RecordError},
    name::{IdempotencyKey, Label},
    period::{Beginning, Period},
    request::{Request, Verb},
    span::Span,
    state::{AppliedOperation, Counter, Seat, State},
    time::Timestamp,
    transitions::{self, UsageOutcome},
    verdict::{Code, Verdict},
    version::{Version, VersionError, VersionRange},
};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Map, Value, json};
use std::{error::Error, process::ExitCode, sync::Arc};

type Check = fn(&Value, &Value) -> Result<(), Box<dyn Error>>;

/// Each table's file, its path in that file, and the check of a row, given the row and the whole
/// file.
const TABLES: &[(&str, &str, Check)] = &[
    ("keys", "/generated", key_generated),
    ("keys", "/prefixes", |row, _| equal(Prefix::parse(text(row, "given")).is_ok(), true)),
    ("keys", "/prefixes_refused", |row, _| equal(Prefix::parse(text(row, "given")).is_ok(), false)),
    ("keys", "/read_as_generated", key_read_as_generated),
    ("keys", "/malformed", |row, _| equal(key::read(text(row, "given")), Err(ReadError::Malformed))),
    ("keys", "/existing", key_existing),
    ("keys", "/trimmed", key_trimmed),
    ("keys", "/suspect", |row, _| equal(Reading::of(text(row, "given"))?.looks_mistyped(), true)),
    ("keys", "/unsuspicious", |row, _| equal(Reading::of(text(row, "given"))?.looks_mistyped(), false)),
    ("keys", "/refused", |row, _| refused(key::read(text(row, "given")), row)),
    ("keys", "/hints", key_hint),
    ("domains", "/covered", |row, _| equal(covers(row)?, true)),
    ("domains", "/not_covered", |row, _| equal(covers(row)?, false)),
    ("domains", "/forms", domain_form),
    ("domains", "/uncounted", |row, _| equal(is_uncounted(row)?, true)),
    ("domains", "/counted", |row, _| equal(is_uncounted(row)?, false)),
    ("domains", "/uncounted_malformed", |row, _| refused(UncountedName::parse(text(row, "given")), row)),
    ("domains", "/malformed", |row, _| refused(Domain::parse(text(row, "given")), row)),
    ("domains", "/rules", |row, _| Ok(rule(row)?.check_registrable()?)),
    ("domains", "/public_suffixes", |row, _| equal(rule(row)?.check_registrable(), Err(DomainError::PublicSuffix))),
    ("domains", "/rules_malformed", |row, _| refused(rule(row), row)),
    ("values", "/version_order", version_order),
    ("values", "/version_malformed", |row, _| refused(Version::parse(text(row, "given")), row)),
    ("values", "/version_covered", |row, _| equal(covers_version(row)?, true)),
    ("values", "/version_not_covered", |row, _| equal(covers_version(row)?, false)),
    ("values", "/times", time),
    ("values", "/times_malformed", time_malformed),
    ("values", "/spans", span),
    ("values", "/spans_malformed", |row, _| equal(Span::parse(text(row, "given")).is_ok(), false)),
    ("values", "/spans_after", span_after),
    ("values", "/renewals", renewals),
    ("values", "/periods", period),
    ("values", "/resets", resets),
    ("records", "/read", record_read),
    ("records", "/refused", record_refused),
    ("records", "/broken", record_broken),
    ("requests", "/read", request_read),
    ("requests", "/refused", request_refused),
    ("requests", "/forms", form_read),
    ("requests", "/forms_refused", form_refused),
    ("requests", "/not_utf8", request_not_utf8),
    ("decisions", "/trials/status", decision),
    ("decisions", "/trials/beginning", decision),
    ("decisions", "/trials/expiry-restrict", decision),
    ("decisions", "/trials/expiry-allow", decision),
    ("decisions", "/trials/expiry-maintain", decision),
    ("decisions", "/trials/product", decision),
    ("decisions", "/trials/domain", decision),
    ("decisions", "/trials/version", decision),
    ("decisions", "/trials/features", decision),
    ("decisions", "/trials/users", decision),
    ("decisions", "/trials/seats", decision),
    ("decisions", "/trials/usage", decision),
    ("decisions", "/answers/known", answer_known),
    ("decisions", "/answers/unknown", answer_unknown),
    ("seats", "/activate", |row, file| change(Verb::Activate, row, file)),
    ("seats", "/validate", |row, file| change(Verb::Validate, row, file)),
    ("seats", "/heartbeat", |row, file| change(Verb::Heartbeat, row, file)),
    ("seats", "/deactivate", |row, file| change(Verb::Deactivate, row, file)),
    ("leases", "/activate", |row, file| change(Verb::Activate, row, file)),
    ("leases", "/validate", |row, file| change(Verb::Validate, row, file)),
    ("leases", "/heartbeat", |row, file| change(Verb::Heartbeat, row, file)),
    ("leases", "/deactivate", |row, file| change(Verb::Deactivate, row, file)),
    ("usage", "/usage", |row, file| change(Verb::Usage, row, file)),
    ("usage", "/validate", |row, file| change(Verb::Validate, row, file)),
    ("beginnings", "/validate", |row, file| change(Verb::Validate, row, file)),
    ("beginnings", "/activate", |row, file| change(Verb::Activate, row, file)),
    ("beginnings", "/usage", |row, file| change(Verb::Usage, row, file)),
];

fn main() -> ExitCode {
    let tables = TABLES.iter().flat_map(|&(name, place, check)| {
        let file = Arc::new(read_file(name));
        let rows = file.pointer(place).and_then(Value::as_array).cloned();
        let rows = rows.unwrap_or_else(|| panic!("{name}.toml has no table {place}"));
        rows.into_iter().map(move |row| {
            let file = Arc::clone(&file);
            trial(format!("{name}{place}: {}", text(&row, "name")), move || check(&row, &file))
        })
    });
    let trials = tables.chain(pairs_of_reasons()).chain([every_code_has_a_row()]).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(name: String, run: impl FnOnce() -> Result<(), Box<dyn Error>> + Send + 'static) -> Trial {
    Trial::test(name, || run().map_err(|error| Failed::from(error.to_string())))
}

fn read_file(name: &str) -> Value {
    let path = format!("{}/tests/vectors/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    toml::from_str(&file).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn text<'a>(row: &'a Value, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_else(|| panic!("no {column} in {row}"))
}

fn equal<T: PartialEq + std::fmt::Debug>(got: T, expected: T) -> Result<(), Box<dyn Error>> {
    if got == expected { Ok(()) } else { Err(format!("got {got:?}, expected {expected:?}").into()) }
}

/// Compares an error with the row's column `error`: the name of the enum's variant.
fn refused<T, E: std::fmt::Debug>(result: Result<T, E>, row: &Value) -> Result<(), Box<dyn Error>> {
    let error = result.err().map(|error| format!("{error:?}")).ok_or("it was accepted")?;
    let variant = error.split([' ', '(']).next();
    equal(variant, Some(text(row, "error")))
}

fn key_generated(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let random = hex::decode(text(row, "random")).ok_or("not 16 bytes")?;
    let key = Key::generate(&Prefix::parse(text(row, "prefix"))?, random);
    equal(key.to_string().as_str(), text(row, "key"))?;
    equal(key.hint().as_str(), text(row, "hint"))?;
    equal(key.hash().to_hex().as_str(), text(row, "hash"))?;
    equal(key::read(&key.to_string())?.store_key(), format!("license:{}", text(row, "hash")))
}

fn key_read_as_generated(row: &Value, file: &Value) -> Result<(), Box<dyn Error>> {
    let printed = text(row, "as");
    let generated = file["generated"].as_array().and_then(|keys| keys.iter().find(|key| key["key"] == printed));
    let hash = text(generated.ok_or("there is no such key")?, "hash");
    equal(key::read(text(row, "given"))?.to_hex().as_str(), hash)
}

fn key_existing(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    use sha2::{Digest, Sha256};
    let given = text(row, "given");
    equal(key::read(given)?.as_bytes(), &Sha256::digest(given).into())
}

/// The key is looked up without what is around it, and then with it, as it was once stored.
fn key_trimmed(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    use sha2::{Digest, Sha256};
    let [given, key] = ["given", "as"].map(|column| text(row, column));
    equal(key::read(given)?, key::read(key)?)?;
    let hashes = [key, given].map(|text| <[u8; 32]>::from(Sha256::digest(text)));
    equal(Reading::of(given)?.hashes().map(KeyHash::as_bytes).eq(&hashes), true)
}

fn key_hint(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    equal(key::hint(text(row, "given")).as_ref().map(key::Hint::as_str), row["hint"].as_str())
}

fn rule(row: &Value) -> Result<DomainRule, DomainError> {
    DomainRule::parse(text(row, "rule"))
}

fn covers(row: &Value) -> Result<bool, DomainError> {
    Ok(rule(row)?.covers(&Domain::parse(text(row, "domain"))?))
}

fn is_uncounted(row: &Value) -> Result<bool, DomainError> {
    Ok(UncountedName::parse(text(row, "rule"))?.covers(&Domain::parse(text(row, "domain"))?))
}

fn domain_form(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    equal(Domain::parse(text(row, "given"))?.as_str(), text(row, "form"))
}

fn version_order(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let steps = row["ascending"].as_array().ok_or("no list")?.iter().enumerate();
    let versions =
        steps.flat_map(|(step, equals)| equals.as_str().unwrap_or_default().split(' ').map(move |text| (step, text)));
    let versions: Vec<_> =
        versions.map(|(step, text)| Version::parse(text).map(|version| (step, version))).collect::<Result<_, _>>()?;
    for (step, version) in &versions {
        for (other_step, other) in &versions {
            equal((version, other, version.cmp(other)), (version, other, step.cmp(other_step)))?;
        }
    }
    Ok(())
}

fn covers_version(row: &Value) -> Result<bool, VersionError> {
    let end = |column: &str| row[column].as_str().map(Version::parse).transpose();
    let range = VersionRange { from: end("from")?, below: end("below")? };
    Ok(range.covers(&Version::parse(text(row, "version"))?))
}

fn time(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let given = text(row, "given");
    equal(Some(Timestamp::parse(given)?.unix()), row["unix"].as_i64())?;
    equal(Some(Timestamp::parse_start(given)?.unix()), row["unix"].as_i64())?;
    equal(Some(Timestamp::parse_end(given)?.unix()), row["unix"].as_i64())
}

fn time_malformed(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let given = text(row, "given");
    refused(Timestamp::parse(given), row)?;
    equal(Timestamp::parse_start(given).ok().map(Timestamp::unix), row["start"].as_i64())?;
    equal(Timestamp::parse_end(given).ok().map(Timestamp::unix), row["end"].as_i64())
}

fn span(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    equal(Span::parse(text(row, "given"))?.to_string().as_str(), text(row, "form"))
}

fn span_after(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let end = Span::parse(text(row, "span"))?.after(Timestamp::parse(text(row, "start"))?);
    equal(end.to_string().as_str(), text(row, "end"))
}

/// The ends of a licence that is issued, and then renewed again and again, each time from its end.
fn renewals(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let (start, span) = (Timestamp::parse(text(row, "start"))?, Span::parse(text(row, "span"))?);
    let mut license = License::new(LicenseId::generate([0; 16]), "acme".parse()?, "pro".parse()?, start);
    let mut from = start;
    for end in row["ends"].as_array().ok_or("no ends")? {
        license.extend(from, span);
        from = license.expires_at.ok_or("no end")?;
        equal(Some(from.to_string().as_str()), end.as_str())?;
    }
    Ok(())
}

fn period(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let (period, moment) = (Period::parse(text(row, "period"))?, Timestamp::parse(text(row, "moment"))?);
    let begins = Some(&row["begins"]).filter(|begins| !begins.is_null()).cloned();
    let begins: Option<Beginning> = begins.map(serde_json::from_value).transpose()?;
    let started_at = row["started"].as_str().map(Timestamp::parse).transpose()?;
    let periods = period.from(begins, started_at);
    equal(periods.start(moment).to_string().as_str(), text(row, "start"))?;
    equal(periods.end(moment).map(|end| end.to_string()).as_deref(), row["end"].as_str())
}

/// The ends of periods in a row.
fn resets(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let started_at = Timestamp::parse(text(row, "started"))?;
    let begins: Beginning = serde_json::from_value(row["begins"].clone())?;
    let periods = Period::parse(text(row, "period"))?.from(Some(begins), Some(started_at));
    let mut moment = started_at;
    for end in row["ends"].as_array().ok_or("no ends")? {
        moment = periods.end(moment).ok_or("no end")?;
        equal(Some(moment.to_string().as_str()), end.as_str())?;
    }
    Ok(())
}

/// The bytes of a row's record.
fn record(row: &Value, file: &Value) -> Result<Vec<u8>, Box<dyn Error>> {
    if let Some(text) = row["text"].as_str() {
        return Ok(text.as_bytes().to_vec());
    }
    let mut fields: Map<String, Value> = serde_json::from_str(text(file, "base"))?;
    for name in row["without"].as_array().into_iter().flatten() {
        fields.remove(name.as_str().unwrap_or_default()).ok_or("no such field")?;
    }
    if let Some(set) = row["set"].as_str() {
        fields.extend(serde_json::from_str::<Map<_, _>>(set)?);
    }
    Ok(serde_json::to_vec(&fields)?)
}

fn record_read(row: &Value, file: &Value) -> Result<(), Box<dyn Error>> {
    let license = License::from_json(&record(row, file)?)?;
    equal(&License::from_json(license.to_json().as_bytes())?, &license)?;
    let written: Value = serde_json::from_str(&license.to_json())?;
    for (name, value) in row["reads"].as_str().map_or(Ok(Map::new()), serde_json::from_str)? {
        equal(&written[&name], &value)?;
    }
    Ok(())
}

fn record_refused(row: &Value, file: &Value) -> Result<(), Box<dyn Error>> {
    refused(License::from_json(&record(row, file)?), row)
}

fn record_broken(row: &Value, file: &Value) -> Result<(), Box<dyn Error>> {
    let base = text(file, "base").strip_suffix('}').ok_or("not an object")?;
    let broken = format!("{base}{}}}{}", row["append"].as_str().unwrap_or(""), row["after"].as_str().unwrap_or(""));
    equal(matches!(License::from_json(broken.as_bytes()), Err(RecordError::Corrupt { .. })), true)
}

fn request_read(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    for verb in verbs(row)? {
        Request::from_json(verb, text(row, "body").as_bytes()).map_err(|error| format!("{verb:?}: {error}"))?;
    }
    Ok(())
}

fn request_refused(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    for verb in verbs(row)? {
        let error = Request::from_json(verb, text(row, "body").as_bytes()).err();
        let error = error.ok_or_else(|| format!("{verb:?}: it was accepted"))?;
        equal((verb, error.field.as_str()), (verb, text(row, "field")))?;
        if let Some(detail) = row["detail"].as_str() {
            equal(error.detail.as_str(), detail)?;
        }
    }
    Ok(())
}

fn form_read(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    for verb in verbs(row)? {
        let form = Request::from_form(verb, text(row, "form").as_bytes())?;
        equal(form, Request::from_json(verb, text(row, "json").as_bytes())?)?;
    }
    Ok(())
}

fn form_refused(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    for verb in verbs(row)? {
        let error = Request::from_form(verb, text(row, "form").as_bytes()).err();
        equal(error.ok_or("it was accepted")?.field.as_str(), text(row, "field"))?;
    }
    Ok(())
}

fn verbs(row: &Value) -> Result<Vec<Verb>, Box<dyn Error>> {
    row["verbs"].as_str().unwrap_or("validate").split(' ').map(verb).collect()
}

fn verb(word: &str) -> Result<Verb, Box<dyn Error>> {
    let verbs = [Verb::Validate, Verb::Activate, Verb::Heartbeat, Verb::Deactivate, Verb::Activations, Verb::Usage];
    let names = ["validate", "activate", "heartbeat", "deactivate", "activations", "usage"];
    Ok(names.iter().position(|name| *name == word).map(|at| verbs[at]).ok_or("no such verb")?)
}

fn request_not_utf8(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let bytes: Vec<u8> = serde_json::from_value(row["bytes"].clone())?;
    let error = Request::from_json(Verb::Validate, &bytes).err().ok_or("it was accepted")?;
    let detail = row["detail"].as_str().unwrap_or("The body is not UTF-8.");
    equal((error.field.as_str(), error.detail.as_str()), ("", detail))
}

/// A part of the file, with the fields of each row changed or added, or removed by `false`.
fn changed<T>(file: &Value, part: &str, rows: &[&Value], read: impl Fn(&[u8]) -> T) -> T {
    let mut fields = file[part].as_object().cloned().unwrap_or_default();
    fields.extend(rows.iter().filter_map(|row| row[part].as_object().cloned()).flatten());
    fields.retain(|_, value| *value != json!(false));
    read(json!(fields).to_string().as_bytes())
}

fn validation(body: &[u8]) -> Result<Request, FieldError> {
    Request::from_json(Verb::Validate, body)
}

/// A moment in RFC 3339, or a time of the day on which most rows are.
fn moment(text: &str) -> Result<Timestamp, Box<dyn Error>> {
    let is_time = text.len() == "00:00:00".len();
    Ok(Timestamp::parse(&if is_time { format!("2026-06-01T{text}Z") } else { text.to_owned() })?)
}

fn moment_or(value: &Value, default: Timestamp) -> Result<Timestamp, Box<dyn Error>> {
    value.as_str().map_or(Ok(default), moment)
}

fn license_id(file: &Value) -> Result<LicenseId, Box<dyn Error>> {
    Ok(LicenseId::parse(text(&file["license"], "id"))?)
}

/// The usage state of the file's licence. A seat whose name has a line end was stored with it, as
/// earlier versions did.
fn state(file: &Value, value: &Value) -> Result<State, Box<dyn Error>> {
    let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
    let request = |verb, fields: Value| {
        let base = json!({ "request": { "key": file["request"]["key"] } });
        changed(&base, "request", &[&json!({ "request": fields })], |body| Request::from_json(verb, body))
    };
    let holder = |mut seat: Value| -> Result<Holder, Box<dyn Error>> {
        seat.as_object_mut().into_iter().for_each(|seat| seat.retain(|name, _| !["since", "until"].contains(&&**name)));
        let (request, license) = (request(Verb::Activate, seat)?, license_id(file)?);
        Ok([Per::Machine, Per::Domain, Per::User]
            .iter()
            .find_map(|per| request.untrimmed_holder(*per, &license).or_else(|| request.holder(*per, &license)))
            .ok_or("there is no holder")?)
    };
    let mut state = State { begun_at: value["begunAt"].as_str().map(moment).transpose()?, ..State::default() };
    for seat in list("seats") {
        let since = moment_or(&seat["since"], moment("00:00:00")?)?;
        let until = seat["until"].as_str().map(moment).transpose()?;
        state.seats.push(Seat { holder: holder(seat)?, since, until });
    }
    for counter in list("counters") {
        let (name, used) = (Label::parse(text(&counter, "name"))?, counter["used"].as_u64().ok_or("not a number")?);
        state.counters.push(Counter { name, used, period: moment_or(&counter["from"], Timestamp::MIN)? });
    }
    for operation in list("applied") {
        let others = (0..operation["others"].as_u64().unwrap_or(0))
            .map(|other| json!({ "key": format!("other-{other}"), "consume": 1, "at": operation["at"] }));
        let operations = if operation["others"].is_null() { vec![operation.clone()] } else { others.collect() };
        for operation in operations {
            state.applied.push(applied(file, &operation)?);
        }
    }
    Ok(state)
}

fn applied(file: &Value, value: &Value) -> Result<AppliedOperation, Box<dyn Error>> {
    let mut fields = json!({ "key": file["request"]["key"], "allowance": "credits" });
    for name in ["allowance", "consume", "return", "fingerprint", "domain", "user"] {
        if !value[name].is_null() {
            fields[name] = value[name].clone();
        }
    }
    let request = Request::from_json(Verb::Usage, fields.to_string().as_bytes())?;
    let operation = request
        .operation(&IdempotencyKey::parse(text(value, "key"))?, &license_id(file)?)
        .ok_or("it changes nothing")?;
    Ok(AppliedOperation { operation, at: moment(text(value, "at"))? })
}

/// Checks the outcome of a verb.
fn change(verb: Verb, row: &Value, file: &Value) -> Result<(), Box<dyn Error>> {
    let license = changed(file, "license", &[row], License::from_json)?;
    let request = changed(file, "request", &[row], |body| Request::from_json(verb, body))?;
    let now = moment(row["now"].as_str().unwrap_or_else(|| text(file, "now")))?;
    let before = state(file, &row["before"])?;
    let expected = if row["after"].is_null() { before.clone() } else { state(file, &row["after"])? };

    let case = Case::new(&license, &request);
    let mut after = before;
    let mut effect = None;
    let verdict = match verb {
        Verb::Validate => transitions::validate(&case, &mut after, now),
        Verb::Activate => transitions::activate(&case, &mut after, now),
        Verb::Heartbeat => transitions::heartbeat(&case, &mut after, now),
        Verb::Deactivate => {
            equal(Some(transitions::deactivate(&case, &mut after, now)), row["held"].as_bool())?;
            return equal(after, expected);
        }
        Verb::Activations => return Err("it changes nothing".into()),
        Verb::Usage => {
            let key = row["key"].as_str().map(IdempotencyKey::parse).transpose()?;
            let operation = key.and_then(|key| request.operation(&key, &license.id));
            let earlier = row.get("earlier").map(|earlier| applied(file, earlier)).transpose()?;
            let used = transitions::usage(&case, &mut after, operation, earlier, now);
            let error = row["error"].as_str();
            equal(used.as_ref().err().map(|error| format!("{error:?}")).as_deref(), error)?;
            let Ok(UsageOutcome { verdict, effect: of_change }) = used else { return equal(after, expected) };
            equal(of_change.is_repeat, row["replayed"] == true)?;
            effect = request.change().map(|_| of_change);
            verdict
        }
    };
    equal(after, expected)?;
    equal(effect.map(|effect| effect.is_applied), row["applied"].as_bool())?;
    equal_verdict(&verdict, row)?;
    row["json"]
        .as_str()
        .map_or(Ok(()), |json| equal(verdict.to_json_with(Some(&license), &request, effect).as_str(), json))
}

fn equal_verdict(verdict: &Verdict, row: &Value) -> Result<(), Box<dyn Error>> {
    let warnings: Vec<_> = verdict.warnings().iter().map(|warning| warning.as_str()).collect();
    equal(
        json!([verdict.code().as_str(), verdict.is_valid(), verdict.grace(), warnings]),
        json!([row["code"], row["code"] == "VALID", row["grace"] == true, row.get("warnings").unwrap_or(&json!([]))]),
    )
}

fn decision(row: &Value, file: &Value) -> Result<(), Box<dyn Error>> {
    let license = changed(file, "license", &[row], License::from_json)?;
    let request = changed(file, "request", &[row], validation)?;
    let now = row["now"].as_str().unwrap_or_else(|| text(file, "now"));
    equal_verdict(&Case::new(&license, &request).decide(&state(file, &row["state"])?, Timestamp::parse(now)?), row)
}

/// A trial for every two reasons that can apply at once: the first in the table's order is
/// reported.
fn pairs_of_reasons() -> Vec<Trial> {
    let file = read_file("decisions");
    let order = file["order"].clone();
    let reasons = order["reasons"].as_array().cloned().unwrap_or_default();
    let excludes = |pair: [&str; 2]| {
        let sets = order["exclusive"].as_array().into_iter().flatten();
        sets.filter_map(Value::as_array).any(|set| pair.iter().all(|code| set.contains(&json!(code))))
    };
    let mut trials = Vec::new();
    for (at, first) in reasons.iter().enumerate() {
        for second in &reasons[at + 1..] {
            let (code, later) = (text(first, "code").to_owned(), text(second, "code").to_owned());
            if excludes([&code, &later]) {
                continue;
            }
            let (file, first, second) = (file.clone(), first.clone(), second.clone());
            trials.push(trial(format!("decisions/order: {code} before {later}"), move || {
                let license = changed(&file, "license", &[&first, &second], License::from_json)?;
                let request = changed(&file, "request", &[&first, &second], validation)?;
                let mut found = first["state"].as_object().cloned().unwrap_or_default();
                found.extend(second["state"].as_object().cloned().unwrap_or_default());
                let state = state(&file, &json!(found))?;
                let now = Timestamp::parse(text(&file, "now"))?;
                let case = Case::new(&license, &request);
                let holding: Vec<_> = case.reasons(&state, now).map(Code::as_str).collect();
                equal(holding, vec![code.as_str(), later.as_str()])?;
                equal(case.decide(&state, now).code().as_str(), code.as_str())
            }));
        }
    }
    trials
}

/// The table of reasons has every code, in the order of [`Code::ALL`].
fn every_code_has_a_row() -> Trial {
    trial("decisions: every code has a row, in the order of the codes".to_owned(), || {
        let file = read_file("decisions");
        let reasons = file["order"]["reasons"].as_array().ok_or("no reasons")?;
        let mut codes: Vec<_> = reasons.iter().map(|reason| text(reason, "code")).collect();
        codes.splice(0..0, ["MALFORMED_KEY", "NOT_FOUND"]);
        codes.push("VALID");
        equal(codes, Code::ALL.iter().map(|code| code.as_str()).collect())
    })
}

fn answer_known(row: &Value, file: &Value) -> Result<(), Box<dyn Error>> {
    let license = changed(file, "license", &[row], License::from_json)?;
    let request = changed(file, "request", &[row], validation)?;
    let verdict =
        Case::new(&license, &request).decide(&state(file, &row["state"])?, Timestamp::parse(text(file, "now"))?);
    equal(verdict.to_json(Some(&license), &request).as_str(), text(row, "json"))
}

fn answer_unknown(row: &Value, file: &Value) -> Result<(), Box<dyn Error>> {
    let request = changed(file, "request", &[row], validation)?;
    let verdict = Verdict::without_license(&request);
    equal(verdict.to_json(None, &request).as_str(), text(row, "json"))
}
