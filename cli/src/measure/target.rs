//! One server, over one connection that stays open.

use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::api::{Answer, Api, ApiError, Remote, Request, path};
use crate::error::CommandError;
use crate::limits::{MAX_MEASURED_CODE_BYTES, MEASURE_DEFAULT_PAUSE};
use crate::options::body::body;
use crate::options::question::Question;
use crate::output::print;

/// What each server is asked.
#[derive(Clone)]
pub(super) struct Asked {
    /// The body of the measured request.
    body: Value,
    /// Of activations, the body that releases the seat.
    release: Option<Value>,
}

/// One server, over one connection that stays open.
pub(super) struct Target {
    remote: Remote,
    asked: Asked,
    measured: Request,
    release: Option<Request>,
}

/// One measured request.
pub(super) struct Sample {
    /// The code of the verdict, or what the server gave in its place.
    pub(super) outcome: Result<String, String>,
    pub(super) ended: Instant,
    /// How long the server wants no request.
    pub(super) pause: Option<Duration>,
}

impl Asked {
    pub(super) fn new(key: &str, question: &Question, activations: bool) -> Result<Self, CommandError> {
        let mut asked = body(question)?;
        asked["key"] = key.into();
        if !activations {
            return Ok(Self { body: asked, release: None });
        }
        if ["fingerprint", "domain", "user"].into_iter().all(|name| asked.get(name).is_none()) {
            let mut random = [0_u8; 16];
            getrandom::fill(&mut random).map_err(|_| ApiError::NoRandomness)?;
            asked["fingerprint"] = format!("measure-{:032x}", u128::from_be_bytes(random)).into();
        }
        let mut release = json!({});
        for name in ["key", "fingerprint", "domain", "user"] {
            if let Some(value) = asked.get(name) {
                release[name] = value.clone();
            }
        }
        Ok(Self { body: asked, release: Some(release) })
    }
}

impl Target {
    pub(super) fn new(remote: Remote, asked: Asked) -> Self {
        let verb = if asked.release.is_some() { "activate" } else { "validate" };
        let measured = Request::of_holder(path(&[verb]), &asked.body);
        let release = asked.release.as_ref().map(|body| Request::of_holder(path(&["deactivate"]), body));
        Self { remote, asked, measured, release }
    }

    pub(super) fn url(&self) -> &str {
        self.remote.base()
    }

    /// Whether it makes sense to measure this server: it answers, understands the request, and of
    /// activations the holder has no seat that a release would take away.
    pub(super) fn check(&self, key: &str) -> Result<(), CommandError> {
        let of_server = |error: ApiError| CommandError::Api(error.of_server(self.url(), key));
        let request = if self.release.is_some() {
            &Request::of_holder(path(&["heartbeat"]), &self.asked.body)
        } else {
            &self.measured
        };
        let answer = self.remote.call(request).map_err(of_server)?;
        let Some(code) = code(&answer) else {
            // A server that cannot answer now is measured as such.
            let is_of_now = answer.status() == 429 || answer.status() >= 500;
            return if is_of_now { Ok(()) } else { Err(of_server(ApiError::of(&answer))) };
        };
        if self.release.is_some() && code != "NOT_ACTIVATED" {
            return Err(CommandError::Input(format!(
                "{}: a seat for this holder is not free to measure: a heartbeat gets {code} and must get \
                 NOT_ACTIVATED; the licence must count seats, and the holder have none",
                self.url()
            )));
        }
        if code == "NOT_FOUND" {
            print::note(format_args!(
                "note: {} does not know the key; some servers slow down callers who send unknown keys",
                self.url()
            ));
        }
        Ok(())
    }

    /// Sends the measured request. A seat that it took is released, after the time that counts.
    pub(super) fn measure(&self) -> Sample {
        let answer = self.remote.call(&self.measured);
        let ended = Instant::now();
        let (outcome, pause) = match &answer {
            Ok(answer) => {
                let outcome = code(answer).ok_or_else(|| fault(answer));
                let pause = outcome.is_err().then(|| pause(answer)).flatten();
                (outcome, pause)
            }
            Err(ApiError::Foreign(_)) => (Err("not a verdict".into()), None),
            Err(_) => (Err("no answer".into()), None),
        };
        if let Some(release) = &self.release {
            // A seat that was not released is the next activation's, and is released at the end.
            let _: Result<Answer, ApiError> = self.remote.call(release);
        }
        Sample { outcome, ended, pause }
    }

    /// Releases the seat that was measured.
    pub(super) fn release(self) -> Result<(), ApiError> {
        let Some(release) = self.release else { return Ok(()) };
        Api::Remote(self.remote).send(&release).map(drop)
    }
}

/// The code of a verdict. A server without codes says whether the licence is valid.
fn code(answer: &Answer) -> Option<String> {
    let verdict = answer.verdict()?;
    let is_code = |code: &&str| {
        code.len() <= MAX_MEASURED_CODE_BYTES && code.bytes().all(|byte| byte == b'_' || byte.is_ascii_uppercase())
    };
    match verdict.get("code") {
        Some(code) => code.as_str().filter(is_code).map(str::to_owned),
        None => Some(if verdict["valid"] == true { "VALID" } else { "INVALID" }.into()),
    }
}

/// What a server gave in place of a verdict.
fn fault(answer: &Answer) -> String {
    let status = answer.status();
    // Keys have digits: a server that repeats what it was sent cannot make us print one.
    let is_code = |code: &String| {
        code.len() <= MAX_MEASURED_CODE_BYTES
            && !code.contains(|c: char| !(c.is_ascii_alphabetic() || "_-() ".contains(c)))
    };
    let code = ApiError::of(answer).code().filter(is_code);
    code.map_or_else(|| format!("{status}, not a verdict"), |code| format!("{status} {code}"))
}

/// How long the server wants no request (RFC 9110, section 10.2.3).
fn pause(answer: &Answer) -> Option<Duration> {
    let default = (answer.status() == 429).then_some(MEASURE_DEFAULT_PAUSE);
    let Some(text) = answer.header("retry-after") else { return default };
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text)
            .map_or(default, |at| Some(at.duration_since(SystemTime::now()).unwrap_or_default())),
    }
}
