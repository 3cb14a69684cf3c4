//! The licences that every host gets before the first request: `scenarios/licenses.toml`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use countersign::holder::Fingerprint;
use countersign::id::LicenseId;
use countersign::key::{self, Key, Prefix};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const LICENSES: &str = include_str!("../scenarios/licenses.toml");

/// The holders of seats in scenarios. `${name.seat-of.machine-one}` is the id of that holder's seat
/// of the licence `name`.
const HOLDERS: [&str; 6] =
    ["machine-one", "machine-two", "machine-three", "shop.example", "ada@users.example", "board-one+disk-one+net-one"];

/// A licence and its key.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// Its name in scenarios: `${name}` is its key, `${name.id}` its id.
    pub name: String,
    /// The key as printed.
    pub key: String,
    /// `lic_…`.
    pub id: String,
    /// The store key of its record: `license:<hash>`.
    pub store_key: String,
    /// The record; `None` for a key that was never issued.
    pub record: Option<String>,
    /// The store key of its state: `state:<id>`.
    pub state_key: String,
    /// The state; for most licences there is none yet.
    pub state: Option<String>,
}

impl Fixture {
    /// Its entries of the store: keys and values.
    pub fn entries(&self) -> impl Iterator<Item = (String, String)> {
        let entry = |key: &String, value: &Option<String>| Some((key.clone(), value.clone()?));
        [entry(&self.store_key, &self.record), entry(&self.state_key, &self.state)].into_iter().flatten()
    }

    /// The id of the seat of this holder: components of a fingerprint, or one name.
    fn activation_id(&self, names: &str) -> Result<String> {
        let names: Vec<String> = names.split('+').map(str::to_owned).collect();
        Ok(Fingerprint::parse(&names)?.holder(&LicenseId::parse(&self.id)?).activation_id().to_string())
    }
}

#[derive(Deserialize)]
struct File {
    license: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    /// A key in another vendor's format, in place of a generated one.
    key: Option<String>,
    /// The bytes of the record, in place of a valid one.
    stored: Option<String>,
    /// The bytes of the state.
    state: Option<String>,
    /// Whether no record is stored.
    #[serde(default)]
    unissued: bool,
    /// Fields of the record that differ from the common ones.
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// All licences, in the order of the file. A key's random part is the licence's place in it, so
/// every host has the same keys.
pub fn all() -> Result<Vec<Fixture>> {
    let file: File = toml::from_str(LICENSES).context("scenarios/licenses.toml")?;
    (0_u8..).zip(file.license).map(|(place, entry)| fixture(place, entry)).collect()
}

fn fixture(place: u8, entry: Entry) -> Result<Fixture> {
    let prefix = Prefix::parse("ACME")?;
    let key = entry.key.unwrap_or_else(|| Key::generate(&prefix, [place; 16]).to_string());
    let read = key::Reading::of(&key).with_context(|| format!("the key of {}", entry.name))?;
    // A key with white space around it is one that an earlier version stored as it was.
    let hash = read.hashes().last().context("a key has a hash")?;
    let id = format!("lic_{place:026}");
    let mut record = json!({
        "format": 1, "generation": 1, "id": id, "product": "acme", "status": "active", "plan": "pro",
        "issuedAt": "2026-01-01T00:00:00Z", "expiryStrategy": "restrict", "graceSeconds": 0,
        "features": [], "domains": [], "requires": [],
    });
    let fields = record.as_object_mut().ok_or_else(|| anyhow!("a record is an object"))?;
    if let Some(hint) = key::hint(&key) {
        fields.insert("hint".into(), json!(hint));
    }
    fields.extend(entry.fields);
    let record = if entry.unissued { None } else { Some(entry.stored.unwrap_or_else(|| record.to_string())) };
    let state_key = LicenseId::parse(&id)?.state_key();
    Ok(Fixture { name: entry.name, key, id, store_key: hash.store_key(), record, state_key, state: entry.state })
}

/// The placeholders that scenarios may use, with their text.
pub fn placeholders(fixtures: &[Fixture]) -> Result<BTreeMap<String, String>> {
    let mut known = BTreeMap::new();
    for fixture in fixtures {
        let Fixture { name, key, id, .. } = fixture;
        let last = key.chars().last().context("a key is not empty")?;
        let mistyped = format!("{}{}", &key[..key.len() - last.len_utf8()], if last == '7' { '8' } else { '7' });
        known.insert(format!("${{{name}}}"), key.clone());
        known.insert(format!("${{{name}.id}}"), id.clone());
        known.insert(format!("${{{name}.lower-case}}"), key.to_lowercase());
        known.insert(format!("${{{name}.spaces}}"), format!(" {} ", key.replace('-', " ")));
        known.insert(format!("${{{name}.run-together}}"), key.replace('-', ""));
        known.insert(format!("${{{name}.look-alikes}}"), key.replace('0', "O").replace('1', "l"));
        known.insert(format!("${{{name}.mistyped}}"), mistyped);
        known.insert(format!("${{{name}.invisible}}"), key.replace('-', "-\u{200b}\u{ad}"));
        let widen = |c: char| char::from_u32(c as u32 + 0xfee0).filter(|_| c.is_ascii_graphic()).unwrap_or(c);
        known.insert(format!("${{{name}.full-width}}"), key.chars().map(widen).collect());
        known.insert(format!("${{{name}.headless}}"), key.chars().skip(1).collect());
        known.insert(format!("${{{name}.cut}}"), key[..key.len() - last.len_utf8()].to_owned());
        for holder in HOLDERS {
            known.insert(format!("${{{name}.seat-of.{holder}}}"), fixture.activation_id(holder)?);
        }
    }
    Ok(known)
}
