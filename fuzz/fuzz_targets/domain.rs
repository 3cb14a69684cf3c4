//! A domain or rule that is read is read again from its printed form, which is within its bounds.
#![no_main]
use countersign::domain::{Domain, DomainRule};

libfuzzer_sys::fuzz_target!(|given: &str| {
    if let Ok(domain) = Domain::parse(given) {
        assert!(domain.as_str().is_ascii() && domain.as_str().len() <= countersign::limits::MAX_DOMAIN_BYTES);
        assert_eq!(Domain::parse(domain.as_str()), Ok(domain));
    }
    if let Ok(rule) = DomainRule::parse(given) {
        let _ = rule.check_registrable();
        assert_eq!(DomainRule::parse(&rule.to_string()), Ok(rule));
    }
});
