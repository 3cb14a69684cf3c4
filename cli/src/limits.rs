//! Every bound of the command line, in one place. Bounds of the protocol and of stored data are the
//! core's, in [`countersign::limits`].

use std::time::Duration;

use countersign::limits::MAX_VALUE_BYTES;

/// Items on a page of a list: the API's maximum.
pub(crate) const API_PAGE: u32 = 100;

/// Licences in one request to export or reconcile: the API's maximum.
pub(crate) const API_BULK_PAGE: u32 = 500;

/// Lines in one request to import: the API's maximum.
pub(crate) const IMPORT_LINES: usize = API_BULK_PAGE as usize;

/// How often a request without an answer is sent, the first time included.
pub(crate) const API_ATTEMPTS: u32 = 4;

/// The pause before the first retry. It doubles with each further one.
pub(crate) const API_FIRST_PAUSE: Duration = Duration::from_millis(250);

/// How long to wait for a connection to a server.
pub(crate) const API_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait for a whole answer. Longer than a server takes, so that a timeout is reported
/// by the server.
pub(crate) const API_ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of an answer: a page of exported licences of the largest size.
pub(crate) const MAX_API_ANSWER_BYTES: u64 = API_BULK_PAGE as u64 * 2 * MAX_VALUE_BYTES as u64;

/// Bytes of a file with a token.
pub(crate) const MAX_TOKEN_FILE_BYTES: u64 = 4 * 1024;

/// Bytes of the file of profiles.
pub(crate) const MAX_PROFILES_BYTES: u64 = 256 * 1024;

/// Requests a second to a server that is measured, if no rate is given.
pub(crate) const MEASURE_POLITE_RATE: u32 = 200;

/// How long no request goes to a measured server that answers 429 and does not say how long.
pub(crate) const MEASURE_DEFAULT_PAUSE: Duration = Duration::from_secs(1);

/// The time in failed requests and in pauses that it asked for after which a server is not asked
/// again.
pub(crate) const MAX_MEASURE_LOSS: Duration = Duration::from_secs(30);

/// How long an interrupted measurement waits for the last answers.
pub(crate) const MEASURE_STOP_GRACE: Duration = Duration::from_secs(1);

/// Bytes of a measured answer: a few times those of a verdict.
pub(crate) const MAX_MEASURED_ANSWER_BYTES: u64 = 1024 * 1024;

/// Bytes of a code in a measured answer.
pub(crate) const MAX_MEASURED_CODE_BYTES: usize = 60;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn pages_are_as_large_as_the_api_allows() {
        let api: Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
        let schemas = &api["components"]["schemas"];
        assert_eq!(api["components"]["parameters"]["Limit"]["schema"]["maximum"], API_PAGE);
        assert_eq!(schemas["ReconcileRequest"]["properties"]["limit"]["maximum"], API_BULK_PAGE);
        assert_eq!(schemas["ImportReport"]["properties"]["results"]["maxItems"], IMPORT_LINES);
        let export = api["paths"]["/api/v1/licenses/export"]["get"]["parameters"].as_array().unwrap();
        let limit = export.iter().find(|parameter| parameter["name"] == "limit").unwrap();
        assert_eq!(limit["schema"]["maximum"], API_BULK_PAGE);
    }
}
