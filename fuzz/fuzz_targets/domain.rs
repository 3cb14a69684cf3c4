//! A domain or entry that is read reads the same from its printed form, which is as long as a name may be.
#![no_main]
use countersign::domain::{Domain, DomainRule};

libfuzzer_sys::fuzz_target!(|given: &str| {
    if let Ok(domain) = Domain::parse(given) {
        assert!(domain.as_str().is_ascii() && domain.as_str().len() <= countersign::limits::MAX_DOMAIN_BYTES);
        assert_eq!(Domain::parse(domain.as_str()), Ok(domain));
    }
    if let Ok(entry) = DomainRule::parse(given) {
        let _ = entry.check_registrable();
        assert_eq!(DomainRule::parse(&entry.to_string()), Ok(entry));
    }
});
