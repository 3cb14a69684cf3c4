//! Options that commands share, and request bodies made of options.

pub(crate) mod body;
pub(crate) mod connection;
pub(crate) mod filters;
pub(crate) mod license_arg;
pub(crate) mod paging;
mod profile;
pub(crate) mod question;
pub(crate) mod terms;
pub(crate) mod values;
pub(crate) mod words;
