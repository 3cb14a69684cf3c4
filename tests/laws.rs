//! Laws: what holds of every key, value, record and verdict.

use countersign::{
    decide::{decide, reasons},
    domain::{Domain, DomainRule},
    key::{self, Key, Prefix, ReadError},
    name::{Label, Product},
    record::{ExpiryBasis, ExpiryStrategy, Format, License, LicenseId, Requirement, Status},
    request::{Request, Verb},
    state::State,
    time::Timestamp,
    verdict::Code,
    version::{Version, VersionRange},
};
use proptest::{collection::vec, option, prelude::*, sample::select, test_runner::TestCaseError};

/// Text that a type wrote itself, so that it is known to be of the type.
fn of<T: std::str::FromStr + std::fmt::Debug>(pattern: &'static str) -> impl Strategy<Value = T> {
    pattern.prop_filter_map("malformed", |text| text.parse().ok())
}

prop_compose! {
    fn keys()(prefix in of::<Prefix>("[A-Z][A-Z0-9]{1,7}"), random in any::<[u8; 16]>()) -> Key {
        Key::generate(&prefix, random)
    }
}

// Moments lie close to each other, so that their order varies.
fn moments() -> impl Strategy<Value = Timestamp> {
    prop_oneof![(0i64..20).prop_map(Timestamp::from_unix), any::<i64>().prop_map(Timestamp::from_unix)]
}

// Few names, so that they meet.
fn domains() -> impl Strategy<Value = Domain> {
    of("(a|b|notexample)?(\\.?)example\\.(com|net)|192\\.0\\.2\\.[12]|localhost|\\[::[12]\\]")
}

fn rules() -> impl Strategy<Value = DomainRule> {
    of("(\\*\\.|a\\.)?example\\.(com|net)|192\\.0\\.2\\.[12]|localhost|::[12]")
}

fn versions() -> impl Strategy<Value = Version> {
    of("[0-3](\\.[0-3]){0,2}(-(rc|alpha)(\\.[0-9])?)?(\\+build)?")
}

prop_compose! {
    fn licenses()(
        (generation, id, random_hint) in (any::<u64>(), any::<[u8; 16]>(), option::of(of("[0-9A-Z]{4}"))),
        (product, plan) in (of::<Product>("acme(-pro)?"), of::<Label>("\\PC{1,8}")),
        status in select(Status::ALL),
        (issued_at, not_before, expires_at) in (moments(), option::of(moments()), option::of(moments())),
        (expiry_strategy, grace_seconds) in (select(ExpiryStrategy::ALL), prop_oneof![0u32..10, any::<u32>()]),
        (features, domains) in (vec(of::<Label>("[abc]"), 0..4), vec(rules(), 0..3)),
        versions in option::of((option::of(versions()), option::of(versions()))),
        requires in vec(select(Requirement::ALL), 0..3),
    ) -> License {
        License {
            format: Format, generation, id: LicenseId::generate(id), product, status, hint: random_hint, plan, issued_at,
            not_before, expires_at, expiry_strategy, grace_seconds, features, domains,
            versions: versions.map(|(from, below)| VersionRange { from, below }), requires,
            expiry_basis: ExpiryBasis::Issue, duration_seconds: None, activation: None, allowances: Vec::new(),
        }
    }
}

prop_compose! {
    fn requests()(
        key in Just(key::read("a key from elsewhere").ok()),
        product in option::of(of("acme(-pro)?")),
        domain in option::of(domains()),
        version in option::of(versions()),
        released_at in option::of(moments()),
        features in vec(of("[abc]"), 0..3),
    ) -> Request {
        Request {
            key, product, domain, version, released_at, features, fingerprint: None, user: None, activation: None, allowance: None,
            change: None, wants: 0, nonce: None,
        }
    }
}

/// Each way to add a reason to refuse, or to make one of those that hold stronger.
fn tighten(license: &mut License, request: &mut Request, how: usize) -> Result<(), TestCaseError> {
    let fail = |error: &str| TestCaseError::fail(error.to_owned());
    match how {
        0 => license.status = Status::Revoked,
        1 => license.status = Status::Suspended,
        2 => license.not_before = Some(Timestamp::MAX),
        3 => {
            license.expires_at = Some(Timestamp::MIN);
            license.grace_seconds = 0;
        }
        4 => license.expiry_strategy = ExpiryStrategy::Restrict,
        5 => license.grace_seconds = 0,
        6 => request.product = Some(Product::parse("other").map_err(|_| fail("product"))?),
        7 => license.domains = vec![DomainRule::parse("other.example").map_err(|_| fail("rule"))?],
        8 => license.versions = Some(VersionRange { from: Version::parse("99").ok(), below: None }),
        9 => request.features.push(Label::parse("teleport").map_err(|_| fail("label"))?),
        10 => license.features.clear(),
        11 => license.requires = Requirement::ALL.to_vec(),
        _ => license.versions = Some(VersionRange { from: None, below: Version::parse("0.0.0-0").ok() }),
    }
    Ok(())
}

/// How a holder may type it: any case, and spaces, hyphens or nothing between the groups.
fn retyped(key: &Key, lower: bool, separator: &str) -> String {
    let text = key.to_string().replace('-', separator);
    if lower { text.to_lowercase() } else { text }
}

proptest! {
    // What fails is printed, and belongs into a vector: nothing is written beside the sources.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_key_reads_as_it_was_made_however_it_is_typed(key in keys(), lower: bool, separator in "[ \t-]{0,3}") {
        prop_assert_eq!(key::read(&retyped(&key, lower, &separator)), Ok(key.hash()));
    }

    #[test]
    fn a_flipped_character_of_a_key_never_validates(key in keys(), at in 0usize..44, other in "[0-9A-Za-z]") {
        let printed = key.to_string();
        let places: Vec<_> = printed.match_indices(|c| c != '-').map(|(place, _)| place).collect();
        let at = places[at % places.len()];
        let mut flipped = printed.clone();
        flipped.replace_range(at..=at, &other);
        let fold = |text: &str| text.to_uppercase().replace('O', "0").replace(['I', 'L'], "1");
        let body_has_u = flipped.split('-').skip(1).any(|group| group.contains(['U', 'u']));
        if fold(&flipped) == fold(&printed) {
            prop_assert_eq!(key::read(&flipped), Ok(key.hash()));
        } else if body_has_u || flipped.starts_with(|c| matches!(c, '2'..='9')) {
            // It has not our shape any more: it is a key from elsewhere, which nobody has.
            prop_assert!(key::read(&flipped).is_ok_and(|hash| hash != key.hash()));
        } else {
            prop_assert_eq!(key::read(&flipped), Err(ReadError::Malformed));
        }
        prop_assert!(fold(&flipped) == fold(&printed) || key::read(&flipped.replace('-', "")) != Ok(key.hash()));
    }

    #[test]
    fn a_key_is_not_shown_for_debugging(key in keys()) {
        prop_assert_eq!(format!("{key:?}"), "Key(hidden)");
    }

    #[test]
    fn any_text_reads_as_a_key_or_tells_why_not(given in "\\PC{0,60}") {
        let _ = key::read(&given);
        let _ = key::hint(&given);
    }

    #[test]
    fn moments_parse_as_they_print(unix: i64) {
        let time = Timestamp::from_unix(unix);
        prop_assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
        prop_assert_eq!(Timestamp::parse_date_or_time(&time.to_string()), Ok(time));
    }

    #[test]
    fn moments_print_as_the_time_crate_prints_them(unix in Timestamp::MIN.unix()..=Timestamp::MAX.unix()) {
        use time::{OffsetDateTime, format_description::well_known::Rfc3339};
        let expected = OffsetDateTime::from_unix_timestamp(unix).ok().and_then(|time| time.format(&Rfc3339).ok());
        prop_assert_eq!(Some(Timestamp::from_unix(unix).to_string()), expected);
    }

    #[test]
    fn moments_parse_as_the_time_crate_parses_them(
        text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9](:[0-5][0-9]){2}(\\.[0-9]{1,9})?(Z|[+-][0-2][0-9]:[0-5][0-9])",
    ) {
        use time::{OffsetDateTime, format_description::well_known::Rfc3339};
        let expected = OffsetDateTime::parse(&text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp);
        let expected = expected.filter(|unix| (Timestamp::MIN.unix()..=Timestamp::MAX.unix()).contains(unix));
        prop_assert_eq!(Timestamp::parse(&text).ok().map(Timestamp::unix), expected);
    }

    #[test]
    fn domains_parse_as_they_print(
        given in "(\\*\\.)?\\PC{1,20}|([a-zA-Zü0-9-]{1,8}\\.){1,3}[a-z]{2,4}\\.?(:[0-9]{1,5})?",
    ) {
        if let Ok(domain) = Domain::parse(&given) {
            prop_assert_eq!(Domain::parse(domain.as_str()), Ok(domain));
        }
        if let Ok(rule) = DomainRule::parse(&given) {
            prop_assert_eq!(DomainRule::parse(&rule.to_string()), Ok(rule));
        }
    }

    #[test]
    fn a_rule_covers_at_label_boundaries_alone(
        entry in "[a-z]{1,5}\\.[a-z]{2,3}",
        below in "([a-z]{1,4}\\.){1,2}",
        stuck in "[a-z0-9]{1,4}",
        after in "[.-]?[a-z]{1,5}",
    ) {
        let domain = |text: String| Domain::parse(&text).map_err(|error| TestCaseError::fail(error.to_string()));
        let rule: DomainRule = entry.parse().map_err(|_| TestCaseError::fail("entry"))?;
        let (below, stuck) = (domain(format!("{below}{entry}"))?, domain(format!("{stuck}{entry}"))?);
        let (after, own) = (domain(format!("{entry}{after}"))?, format!(".{entry}"));
        prop_assert!(rule.covers(&domain(entry)?) && rule.covers(&below) && !rule.covers(&stuck));
        prop_assert!(!rule.covers(&after) || after.as_str().ends_with(&own));
    }

    #[test]
    fn versions_parse_as_they_print_and_are_ordered(a in versions(), b in versions(), c in versions()) {
        prop_assert_eq!(a.to_string().parse::<Version>().map(|parsed| parsed.to_string()), Ok(a.to_string()));
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert!(!(a <= b && b <= c) || a <= c);
    }

    #[test]
    fn records_parse_as_they_print(license in licenses()) {
        prop_assert_eq!(License::from_json(&license.to_json()), Ok(license));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..200), text in "[\\PC\"{}\\[\\]:,]{0,80}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let _ = Request::from_json(Verb::Validate, bytes);
            let _ = License::from_json(bytes);
        }
    }

    #[test]
    fn errors_repeat_no_value(
        field in select(&["key", "product", "domain", "version", "releasedAt", "features", "nonce", "other"][..]),
        value in select(&["\"SECRET €\"", "[\"SECRET €\"]", "{\"SECRET\":1}", "[[\"SECRET\"]]", "\"SECRET\n"][..]),
    ) {
        if let Err(error) = Request::from_json(Verb::Validate, format!(r#"{{"{field}":{value}}}"#).as_bytes()) {
            let told = format!("{error:?} {error}");
            prop_assert!(!told.contains("SECRET"));
        }
    }

    #[test]
    fn the_verdict_is_the_first_reason(license in licenses(), request in requests(), now in moments()) {
        let verdict = decide(&license, &State::default(), &request, now);
        let all: Vec<_> = reasons(&license, &State::default(), &request, now).collect();
        prop_assert!(all.is_sorted());
        prop_assert_eq!(verdict.code, all.first().copied().unwrap_or(Code::Valid));
        prop_assert!(verdict.is_valid() || (!verdict.grace && verdict.warnings.is_empty()));
        prop_assert!(!verdict.grace || verdict.warnings.is_empty());
    }

    #[test]
    fn a_reason_to_refuse_never_makes_a_verdict_valid(
        mut license in licenses(), mut request in requests(), now in moments(), how in 0usize..13,
    ) {
        let before = decide(&license, &State::default(), &request, now).is_valid();
        tighten(&mut license, &mut request, how)?;
        prop_assert!(before || !decide(&license, &State::default(), &request, now).is_valid());
    }

    #[test]
    fn a_later_now_never_un_expires(license in licenses(), request in requests(), now in moments(), later in moments()) {
        let (now, later) = (now.min(later), now.max(later));
        if decide(&license, &State::default(), &request, now).code == Code::Expired {
            prop_assert_eq!(decide(&license, &State::default(), &request, later).code, Code::Expired);
        }
        let begun = license.not_before.is_none_or(|not_before| not_before <= now);
        if begun && !decide(&license, &State::default(), &request, now).is_valid() {
            prop_assert!(!decide(&license, &State::default(), &request, later).is_valid());
        }
    }
}

/// Every substitution and every transposition of neighbours, in keys with prefixes of every length and of special
/// letters.
#[test]
fn every_single_slip_is_told() {
    for prefix in ["AB", "U2U", "OIL8", "UUUUU", "ACMEPR", "Z999999", "ABCDEFGH"] {
        let key = Key::generate(&prefix.parse().unwrap(), *b"sixteen bytes ok");
        let printed = key.to_string();
        let fold = |text: &str| text.replace('O', "0").replace(['I', 'L'], "1");
        let places: Vec<usize> = (0..printed.len()).filter(|&at| printed.as_bytes()[at] != b'-').collect();
        let mut slips = Vec::new();
        for &at in &places {
            for other in ('0'..='9').chain('A'..='Z') {
                let mut slip = printed.clone();
                slip.replace_range(at..=at, other.encode_utf8(&mut [0; 4]));
                slips.push(slip);
            }
        }
        for neighbours in places.windows(2) {
            let mut slip = printed.clone().into_bytes();
            slip.swap(neighbours[0], neighbours[1]);
            slips.push(String::from_utf8(slip).unwrap());
        }
        for slip in slips.iter().filter(|slip| fold(slip) != fold(&printed)) {
            let has_our_shape = !slip.starts_with(|c| matches!(c, '2'..='9')) && !slip[prefix.len()..].contains('U');
            match key::read(slip) {
                Err(ReadError::Malformed) => assert!(has_our_shape, "{slip}"),
                Ok(hash) => assert!(!has_our_shape && hash != key.hash(), "{slip}"),
                error => panic!("{slip}: {error:?}"),
            }
            assert_ne!(key::read(&slip.replace('-', "")), Ok(key.hash()), "{slip}");
        }
    }
}
