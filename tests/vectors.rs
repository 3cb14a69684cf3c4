//! Vectors: the tables of `tests/vectors`, one named trial for each row. Read the names as a list of threats.

use countersign::{
    decide::decide,
    domain::{Domain, DomainError, DomainRule},
    key::{self, Key, Prefix, ReadError},
    record::{License, RecordError},
    request::{FieldError, Request, Verb},
    state::State,
    time::Timestamp,
    verdict::{Code, Verdict},
    version::{Version, VersionRange},
};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Map, Value, json};
use std::{error::Error, process::ExitCode};

type Check = fn(&Value, &Value) -> Result<(), Box<dyn Error>>;

/// Each table's file, its place in it, and what checks a row of it (given the row and the whole file).
const TABLES: &[(&str, &str, Check)] = &[
    ("keys", "/made", key_made),
    ("keys", "/prefixes", key_prefix),
    ("keys", "/read", key_read),
    ("keys", "/hints", key_hint),
    ("domains", "/covers", domain_covers),
    ("domains", "/forms", domain_form),
    ("domains", "/malformed", domain_malformed),
    ("domains", "/entries", domain_entry),
    ("values", "/version_order", version_order),
    ("values", "/version_malformed", version_malformed),
    ("values", "/version_ranges", version_range),
    ("values", "/times", time),
    ("records", "/records", record),
    ("records", "/broken", record_broken),
    ("requests", "/bodies", request_body),
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
    ("decisions", "/answers/known", answer_known),
    ("decisions", "/answers/unknown", answer_unknown),
];

fn main() -> ExitCode {
    let tables = TABLES.iter().flat_map(|&(file, place, check)| {
        let rows = read_file(file).pointer(place).and_then(Value::as_array).cloned();
        let rows = rows.unwrap_or_else(|| panic!("{file}.toml has no table {place}"));
        rows.into_iter().map(move |row| {
            trial(format!("{file}{place}: {}", text(&row, "name")), move || check(&row, &read_file(file)))
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

fn from_hex(text: &str) -> Result<Vec<u8>, std::num::ParseIntError> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16)).collect()
}

fn key_made(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let random = from_hex(text(row, "random"))?.try_into().map_err(|_| "16 bytes are needed")?;
    let key = Key::generate(&Prefix::parse(text(row, "prefix"))?, random);
    equal(key.to_string().as_str(), text(row, "key"))?;
    equal(key.hint().as_str(), text(row, "hint"))?;
    equal(key.hash().to_hex().as_str(), text(row, "hash"))?;
    equal(key::read(&key.to_string())?.store_key(), format!("license:{}", text(row, "hash")))
}

fn key_prefix(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    equal(Some(Prefix::parse(text(row, "given")).is_ok()), row["accepted"].as_bool())
}

fn key_read(row: &Value, file: &Value) -> Result<(), Box<dyn Error>> {
    use sha2::{Digest, Sha256};
    let given = text(row, "given");
    let got = key::read(given).map(|hash| *hash.as_bytes());
    let expected = match text(row, "as") {
        "malformed" => Err(ReadError::Malformed),
        "empty" => Err(ReadError::Empty),
        "too long" => Err(ReadError::TooLong),
        "foreign" => Ok(Sha256::digest(given).into()),
        printed => {
            let made = file["made"].as_array().and_then(|made| made.iter().find(|made| made["key"] == printed));
            let hash = from_hex(text(made.ok_or("no such key was made")?, "hash"))?;
            Ok(hash.try_into().map_err(|_| "32 bytes are needed")?)
        }
    };
    equal(got, expected)
}

fn key_hint(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    equal(key::hint(text(row, "given")).as_ref().map(key::Hint::as_str), row["hint"].as_str())
}

fn domain_covers(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let (entry, domain) = (DomainRule::parse(text(row, "entry"))?, Domain::parse(text(row, "domain"))?);
    equal(Some(entry.covers(&domain)), row["covered"].as_bool())
}

fn domain_form(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    equal(Domain::parse(text(row, "given"))?.as_str(), text(row, "form"))
}

fn domain_malformed(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let error = Domain::parse(text(row, "given")).err().map(|error| format!("{error:?}"));
    equal(error.as_deref(), row["error"].as_str())
}

fn domain_entry(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let entry = DomainRule::parse(text(row, "entry"));
    let error = entry.as_ref().err().map(|error| format!("{error:?}"));
    equal(error.as_deref(), row["error"].as_str())?;
    let refusal = entry.map_or(Ok(()), |entry| entry.check_registrable());
    let expected = if row["refused"] == true { Err(DomainError::PublicSuffix) } else { Ok(()) };
    equal(refusal, expected)
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

fn version_malformed(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let error = Version::parse(text(row, "given")).err().map(|error| format!("{error:?}"));
    equal(error.as_deref(), row["error"].as_str())
}

fn version_range(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let end = |column: &str| row[column].as_str().map(Version::parse).transpose();
    let range = VersionRange { from: end("from")?, below: end("below")? };
    equal(Some(range.covers(&Version::parse(text(row, "version"))?)), row["covered"].as_bool())
}

fn time(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let given = text(row, "given");
    let time = Timestamp::parse(given);
    equal(time.ok().map(Timestamp::unix), row["unix"].as_i64())?;
    equal(time.err().map(|error| format!("{error:?}")).as_deref(), row["error"].as_str())?;
    let date = row["date"].as_i64().or(row["unix"].as_i64());
    equal(Timestamp::parse_date_or_time(given).ok().map(Timestamp::unix), date)
}

fn record(row: &Value, file: &Value) -> Result<(), Box<dyn Error>> {
    let mut fields: Map<String, Value> = serde_json::from_str(text(file, "base"))?;
    for name in row["without"].as_array().into_iter().flatten() {
        fields.remove(name.as_str().unwrap_or_default()).ok_or("no such field")?;
    }
    if let Some(set) = row["set"].as_str() {
        fields.extend(serde_json::from_str::<Map<_, _>>(set)?);
    }
    let bytes =
        row["text"].as_str().map_or_else(|| serde_json::to_vec(&fields), |text| Ok(text.as_bytes().to_vec()))?;
    let read = License::from_json(&bytes);
    if let Ok(license) = &read {
        equal(License::from_json(&license.to_json())?, license.clone())?;
    }
    let error = read.err().map(|error| match error {
        RecordError::Corrupt { .. } => "corrupt",
        RecordError::UnknownFormat => "unknown format",
        RecordError::TooMany => "too many",
        RecordError::Expiry => "expiry",
        RecordError::Bounds => "bounds",
    });
    equal(error, row["error"].as_str())
}

fn record_broken(row: &Value, file: &Value) -> Result<(), Box<dyn Error>> {
    let base = text(file, "base").strip_suffix('}').ok_or("no object")?;
    let broken = format!("{base}{}}}{}", row["append"].as_str().unwrap_or(""), row["after"].as_str().unwrap_or(""));
    equal(matches!(License::from_json(broken.as_bytes()), Err(RecordError::Corrupt { .. })), true)
}

fn request_body(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let error = Request::from_json(Verb::Validate, text(row, "body").as_bytes()).err();
    equal(error.as_ref().map(|error| error.field.as_str()), row["field"].as_str())?;
    match (error, row["detail"].as_str()) {
        (Some(error), Some(detail)) => equal(error.detail.as_str(), detail),
        _ => Ok(()),
    }
}

fn request_not_utf8(row: &Value, _: &Value) -> Result<(), Box<dyn Error>> {
    let error = Request::from_json(Verb::Validate, &from_hex(text(row, "bytes"))?).err().ok_or("it was read")?;
    equal((error.field.as_str(), error.detail.as_str()), ("", "The body is not UTF-8."))
}

/// The file's base with the fields of each row changed or added.
fn changed<T>(file: &Value, part: &str, rows: &[&Value], read: fn(&[u8]) -> T) -> T {
    let mut fields = file[part].as_object().cloned().unwrap_or_default();
    fields.extend(rows.iter().filter_map(|row| row[part].as_object().cloned()).flatten());
    read(json!(fields).to_string().as_bytes())
}

fn validation(body: &[u8]) -> Result<Request, FieldError> {
    Request::from_json(Verb::Validate, body)
}

fn decision(row: &Value, file: &Value) -> Result<(), Box<dyn Error>> {
    let license = changed(file, "license", &[row], License::from_json)?;
    let request = changed(file, "request", &[row], validation)?;
    let now = row["now"].as_str().unwrap_or_else(|| text(file, "now"));
    let verdict = decide(&license, &State::default(), &request, Timestamp::parse(now)?);
    let warnings: Vec<_> = verdict.warnings.iter().map(|warning| warning.as_str()).collect();
    equal(
        json!([verdict.code.as_str(), verdict.is_valid(), verdict.grace, warnings]),
        json!([row["code"], row["code"] == "VALID", row["grace"] == true, row.get("warnings").unwrap_or(&json!([]))]),
    )
}

/// A trial for each two reasons that can hold at once: the first in the table's order is reported.
fn pairs_of_reasons() -> Vec<Trial> {
    let file = read_file("decisions");
    let order = file["order"].clone();
    let reasons = order["reasons"].as_array().cloned().unwrap_or_default();
    let mut trials = Vec::new();
    for (at, first) in reasons.iter().enumerate() {
        for second in &reasons[at + 1..] {
            let (code, later) = (text(first, "code").to_owned(), text(second, "code").to_owned());
            if order["exclusive"].as_array().is_some_and(|exclusive| exclusive.contains(&json!([code, later]))) {
                continue;
            }
            let (file, first, second) = (file.clone(), first.clone(), second.clone());
            trials.push(trial(format!("decisions/order: {code} before {later}"), move || {
                let license = changed(&file, "license", &[&first, &second], License::from_json)?;
                let request = changed(&file, "request", &[&first, &second], validation)?;
                let now = Timestamp::parse(text(&file, "now"))?;
                let holding: Vec<_> = countersign::decide::reasons(&license, &State::default(), &request, now)
                    .map(Code::as_str)
                    .collect();
                equal(holding, vec![code.as_str(), later.as_str()])?;
                equal(decide(&license, &State::default(), &request, now).code.as_str(), code.as_str())
            }));
        }
    }
    trials
}

/// Of every code there is a verdict in the tables, and the order of the reasons is that of the codes.
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
    let verdict = decide(&license, &State::default(), &request, Timestamp::parse(text(file, "now"))?);
    equal(String::from_utf8(verdict.to_json(&request))?.as_str(), text(row, "json"))
}

fn answer_unknown(row: &Value, file: &Value) -> Result<(), Box<dyn Error>> {
    let request = changed(file, "request", &[row], validation)?;
    let verdict = if row["code"] == "NOT_FOUND" { Verdict::NOT_FOUND } else { Verdict::MALFORMED_KEY };
    equal(String::from_utf8(verdict.to_json(&request))?.as_str(), text(row, "json"))
}
