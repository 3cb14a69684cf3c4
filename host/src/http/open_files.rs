//! The bound on a process's open files, each connection being one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::OTHER_FILES;

/// Raises the soft limit, as far as the hard one allows, until this number of connections fits.
/// Returns how many fit.
pub fn make_room_for(connections: usize) -> usize {
    let wanted = (connections as u64).saturating_add(OTHER_FILES);
    let limit = getrlimit(Resource::Nofile);
    let is_enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= wanted);
    if is_enough(limit.current) {
        return connections;
    }
    let possible = if is_enough(limit.maximum) { Some(wanted) } else { limit.maximum };
    let raised = setrlimit(Resource::Nofile, Rlimit { current: possible, maximum: limit.maximum }).is_ok();
    let files = if raised { possible } else { limit.current }.unwrap_or(wanted);
    usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).min(connections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one_at_most() {
        // The limits are the whole process's: all cases are here.
        let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX).min(2_000);
        setrlimit(Resource::Nofile, Rlimit { current: Some(500), maximum: Some(hard) }).unwrap();
        assert_eq!(make_room_for(100), 100);
        assert_eq!(getrlimit(Resource::Nofile).current, Some(500), "enough is left as it is");
        assert_eq!(make_room_for(300), 300);
        assert_eq!(getrlimit(Resource::Nofile).current, Some(300 + OTHER_FILES));
        assert_eq!(make_room_for(1_000_000), usize::try_from(hard - OTHER_FILES).unwrap());
        assert_eq!(getrlimit(Resource::Nofile).current, Some(hard));
    }
}
