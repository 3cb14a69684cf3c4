//! `journal` to the log endpoint `countersign`.

use crate::Adapter;
use crate::bindings::exports::countersign::license::journal::{Event, Guest};
use countersign::borrow_event;
use fastly_sys::service_0_1::fastly::compute::log::Endpoint;

impl Guest for Adapter {
    /// If the endpoint is not configured, Fastly accepts the events and drops them.
    fn append(event: Event) {
        if let (Some(line), Ok(endpoint)) = (borrow_event!(event).to_line(), Endpoint::open("countersign")) {
            endpoint.write(line.as_bytes());
        }
    }
}
