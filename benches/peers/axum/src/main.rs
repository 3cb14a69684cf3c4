//! A licence check as a team would write it by hand: one axum handler over the same rules, and
//! three ways to store licences.
//!
//! It does what the benchmark needs and no more: it does not bound time or connections, write a
//! journal, or check the health of its store.
#![forbid(unsafe_code)]

mod rows;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use clap::Parser;
use countersign::{
    decide::Case,
    license::License,
    request::{Request, Verb},
    time::Timestamp,
    verdict::Verdict,
};
use tokio::net::TcpListener;

use rows::{Kind, Rows};

/// A hand-written licence server to measure Countersign against
///
/// Prints `listening on http://ADDRESS` once it listens.
#[derive(Parser)]
struct Arguments {
    /// The native host's database
    #[arg(long, value_name = "FILE")]
    database: PathBuf,
    /// How licences are stored
    #[arg(long, value_enum)]
    rows: Kind,
    /// Address and port; 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let rows = Arc::new(Rows::open(arguments.rows, arguments.database)?);
    let app = Router::new().route("/api/v1/validate", post(validate)).route("/healthz", get(healthz)).with_state(rows);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(arguments.listen).await?;
        println!("listening on http://{}", listener.local_addr()?);
        axum::serve(listener, app).await?;
        Ok(())
    })
}

type Headers = [(HeaderName, &'static str); 3];

/// The headers of every answer of Countersign.
const HEADERS: Headers = [
    (header::CACHE_CONTROL, "no-store"),
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::CONTENT_TYPE, "application/json"),
];

async fn healthz() -> (Headers, &'static str) {
    (HEADERS, r#"{"status":"ok"}"#)
}

/// SQLite reads in microseconds, so the handler reads rather than a thread for blocking calls.
async fn validate(State(rows): State<Arc<Rows>>, body: Bytes) -> Response {
    let Ok(request) = Request::from_json(Verb::Validate, &body) else { return StatusCode::BAD_REQUEST.into_response() };
    match request.keys().next().map_or(Ok(None), |key| rows.get(key)) {
        Ok(Some(license)) => {
            let verdict = Case::new(&license, &request).decide(&Default::default(), now());
            answer(&verdict, Some(&license), &request)
        }
        Ok(None) => answer(&Verdict::without_license(&request), None, &request),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn answer(verdict: &Verdict, license: Option<&License>, request: &Request) -> Response {
    let status = if license.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    (status, HEADERS, verdict.to_json(license, request)).into_response()
}

fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(elapsed.as_secs().cast_signed())
}
