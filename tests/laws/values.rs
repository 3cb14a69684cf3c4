//! Laws of keys, of the values in records and requests, and of reading and writing all of them.

use crate::generators::*;
use countersign::{
    domain::{Domain, DomainRule},
    holder::Fingerprint,
    key::{self, Key, ReadError},
    license::License,
    limits::{MAX_ALLOWANCES, MAX_REMEMBERED, MAX_SEATS, MAX_VALUE_BYTES},
    period::{Beginning, Period},
    request::{Request, Verb},
    span::Span,
    state::{AppliedOperation, Counter, Memory, Operation, Seat, State},
    time::Timestamp,
    version::Version,
};
use proptest::{collection::vec, option, prelude::*, sample::select, test_runner::TestCaseError};

const VERBS: [Verb; 6] =
    [Verb::Validate, Verb::Activate, Verb::Heartbeat, Verb::Deactivate, Verb::Activations, Verb::Usage];

/// A key as a holder may type it: in any case and width, with any separator between the groups, and
/// anything around it but letters and digits.
fn retyped(key: &Key, lower: bool, wide: bool, separator: &str, around: &str) -> String {
    let text = key.to_string().replace('-', separator);
    let text = if lower { text.to_lowercase() } else { text };
    let widen = |c: char| if wide && c.is_ascii_graphic() { char::from_u32(c as u32 + 0xfee0).unwrap() } else { c };
    format!("{around}{}{around}", text.chars().map(widen).collect::<String>())
}

/// What is pasted along with keys.
const PASTED: &str = "[ \t\r\n\u{a0}\u{ad}\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2060}\u{feff}\u{2010}-\u{2015}\u{2212}\u{ff0d}\"'<>.,;_-]{0,3}";

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn a_generated_key_is_read_however_it_is_typed(
        key in keys(), lower: bool, wide: bool, separator in PASTED, around in PASTED,
    ) {
        prop_assert_eq!(key::read(&retyped(&key, lower, wide, &separator, &around)), Ok(key.hash()));
    }

    #[test]
    fn what_cannot_be_seen_around_an_existing_key_does_not_matter(
        key in "[a-z]([a-z \u{200b}-]{0,6}[a-z])?", around in "[ \t\r\n\u{a0}\u{ad}\u{200b}-\u{200f}\u{2060}\u{feff}]{0,3}",
    ) {
        prop_assert_eq!(key::read(&format!("{around}{key}{around}")), key::read(&key));
        prop_assert!(key::read(&key).is_ok());
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
            // It no longer has the printed shape: it reads as an existing key, and another.
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
    fn no_text_makes_the_reader_of_keys_panic(given in "\\PC{0,60}") {
        let _ = key::read(&given);
        let _ = key::hint(&given);
    }

    #[test]
    fn moments_parse_as_they_print(unix: i64) {
        let time = Timestamp::from_unix(unix);
        prop_assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
        prop_assert_eq!(Timestamp::parse_start(&time.to_string()), Ok(time));
        prop_assert_eq!(Timestamp::parse_end(&time.to_string()), Ok(time));
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
    fn durations_parse_as_they_print(span in spans()) {
        prop_assert_eq!(Span::parse(&span.to_string()), Ok(span));
    }

    #[test]
    fn no_text_makes_the_reader_of_durations_panic(text in "P?[0-9YMWDTHSymwdhos]{0,20}|\\PC{0,10}") {
        if let Ok(span) = Span::parse(&text) {
            prop_assert_eq!(Span::parse(&span.to_string()), Ok(span));
        }
    }

    #[test]
    fn a_month_later_is_in_the_next_month_on_the_same_day_or_the_last(
        unix in Timestamp::MIN.unix()..Timestamp::MAX.unix() - 40 * 366 * 86_400, months in 1u32..400,
    ) {
        use time::OffsetDateTime;
        let start = Timestamp::from_unix(unix);
        let end = Span::new(months, 0).ok_or_else(|| TestCaseError::fail("no span"))?.after(start);
        let civil = |moment: Timestamp| OffsetDateTime::from_unix_timestamp(moment.unix());
        let (from, to) = (civil(start), civil(end));
        let (from, to) = (from.map_err(|_| TestCaseError::fail("range"))?, to.map_err(|_| TestCaseError::fail("range"))?);
        let month = |date: OffsetDateTime| date.year() * 12 + i32::from(u8::from(date.month()));
        prop_assert_eq!(month(to) - month(from), months as i32);
        prop_assert_eq!(to.time(), from.time());
        let is_last = (to.date() + time::Duration::days(1)).day() == 1;
        prop_assert!(to.day() == from.day() || (is_last && to.day() < from.day()));
    }

    /// Renewed month by month, a licence ends where it would if it had been issued for all of them.
    #[test]
    fn renewals_in_a_row_do_not_drift(
        unix in 0..Timestamp::MAX.unix() / 2, steps in vec(1u32..14, 1..30),
    ) {
        let start = Timestamp::from_unix(unix);
        let product = "acme".parse().map_err(|_| TestCaseError::fail("product"))?;
        let plan = "pro".parse().map_err(|_| TestCaseError::fail("plan"))?;
        let mut license = License::new(license_id(), product, plan, start);
        license.set_end(Some(start));
        for months in &steps {
            let end = license.expires_at.unwrap_or(start);
            license.extend(end, Span::new(*months, 0).ok_or_else(|| TestCaseError::fail("no span"))?);
            prop_assert_eq!(license.check(), Ok(()));
        }
        let all = Span::new(steps.iter().sum(), 0).ok_or_else(|| TestCaseError::fail("no span"))?;
        prop_assert_eq!(license.expires_at, Some(all.after(start)));
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
    fn periods_are_those_of_the_time_crate(
        // Without the first two days and the last year, whose periods the calendar cuts off.
        unix in Timestamp::MIN.unix() + 2 * 86_400..Timestamp::MAX.unix() - 366 * 86_400,
        days in 0i64..400,
    ) {
        use time::{Date, Month, OffsetDateTime, Time};
        let moment = OffsetDateTime::from_unix_timestamp(unix).map_err(|_| TestCaseError::fail("range"))?;
        let (date, begins) = (moment.date(), |date: Date| date.with_time(Time::MIDNIGHT).assume_utc().unix_timestamp());
        let monday = date - time::Duration::days(date.weekday().number_days_from_monday().into());
        let (month, year) = (date.replace_day(1), Date::from_calendar_date(date.year(), Month::January, 1));
        let starts = [
            (Period::Day, begins(date)),
            (Period::Week, begins(monday)),
            (Period::Month, month.map_or(0, begins)),
            (Period::Year, year.map_or(0, begins)),
        ];
        let (now, later) = (Timestamp::from_unix(unix), Timestamp::from_unix(unix + days * 86_400));
        for (period, start) in starts {
            // When the licence started does not matter.
            let period = period.from(None, Some(later));
            prop_assert_eq!(period.start(now).unix(), start);
            // A period ends when the next begins, and not before.
            let end = period.end(now);
            prop_assert!(end.is_some_and(|end| period.start(end) == end && now < end));
            prop_assert_eq!(period.start(later) == period.start(now), end.is_some_and(|end| later < end));
        }
        let total = Period::Total.from(None, Some(now));
        prop_assert_eq!((total.start(later), total.end(later)), (Timestamp::MIN, None));
    }

    /// The ends of periods that are counted from a licence's start, measured each from the start by
    /// another calendar.
    #[test]
    fn counted_periods_are_those_of_the_time_crate(
        start in 0i64..4_000_000_000,
        months in 1u32..30,
        day in option::of(1u8..=31),
        number in 1u32..200,
    ) {
        use time::{Date, Month, OffsetDateTime, Time};
        let fail = |_| TestCaseError::fail("range");
        let moment = OffsetDateTime::from_unix_timestamp(start).map_err(fail)?;
        let wanted = day.unwrap_or(moment.day());
        // On the wanted day, or the last day, of the month that is `later` months after.
        let on_day = |later: u32| {
            let month = moment.year() * 12 + i32::from(u8::from(moment.month())) - 1 + later as i32;
            let name = Month::try_from((month.rem_euclid(12) + 1) as u8).unwrap();
            let year = month.div_euclid(12);
            Date::from_calendar_date(year, name, wanted.min(name.length(year))).unwrap()
        };
        let time = if day.is_some() { Time::MIDNIGHT } else { moment.time() };
        let unix = |date: Date| Timestamp::from_unix(date.with_time(time).assume_utc().unix_timestamp());
        // The first is measured from the month before if its day is later in the month.
        let shift = u32::from(unix(on_day(0)).unix() > start);
        let end_of = |number: u32| unix(on_day(number * months - shift));

        let begins = day.map_or(Beginning::License, Beginning::Day);
        let span = Span::new(months, 0).unwrap();
        let periods = Period::Lasting(span).from(Some(begins), Some(Timestamp::from_unix(start)));
        let (end, next) = (end_of(number), end_of(number + 1));
        prop_assert_eq!((periods.start(end), periods.end(end)), (end, Some(next)));
        prop_assert_eq!(periods.end(end.minus_seconds(1)), Some(end));
        prop_assert_eq!(periods.start(next.minus_seconds(1)), end);
        let first = (Timestamp::MIN, Some(end_of(1)));
        for moment in [Timestamp::MIN, Timestamp::from_unix(start), end_of(1).minus_seconds(1)] {
            prop_assert_eq!((periods.start(moment), periods.end(moment)), first);
        }
    }

    #[test]
    fn any_period_contains_its_moment_and_is_followed_by_the_next(
        (period, begins) in periods(), started_at in option::of(moments()), now in moments(),
    ) {
        let periods = period.from(begins, started_at);
        prop_assert!(periods.start(now) <= now);
        match periods.end(now) {
            None => prop_assert_eq!(periods.start(now), Timestamp::MIN),
            Some(Timestamp::MAX) => {}
            Some(end) => {
                prop_assert!(now < end);
                prop_assert_eq!((periods.start(end), periods.end(periods.start(now))), (end, Some(end)));
            }
        }
        prop_assert_eq!(Period::parse(&period.to_string()), Ok(period));
    }

    #[test]
    fn states_are_read_as_they_were_written(state in states(), cut in any::<prop::sample::Index>()) {
        let bytes = state.to_bytes();
        prop_assert_eq!(State::from_bytes(&bytes), Ok(state));
        prop_assert!(State::from_bytes(&bytes[..cut.index(bytes.len())]).is_err());
        prop_assert!(State::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn a_state_that_is_read_is_written_as_it_was(
        state in states(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let mut bytes = state.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(state) = State::from_bytes(&bytes) {
            prop_assert_eq!(state.to_bytes(), bytes);
        }
    }

    #[test]
    fn memories_are_read_as_they_were_written(operations in vec((operations(), moments()), 1..6)) {
        let mut memory = Memory::default();
        for (operation, at) in &operations {
            memory.add(AppliedOperation { operation: *operation, at: *at });
        }
        let bytes = memory.to_bytes();
        prop_assert_eq!(Memory::from_bytes(&bytes), Ok(memory));
        prop_assert!(Memory::from_bytes(&bytes[1..]).is_err());
    }

    #[test]
    fn records_parse_as_they_print(license in licenses()) {
        prop_assert_eq!(License::from_json(license.to_json().as_bytes()), Ok(license));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..200), text in "[\\PC\"{}\\[\\]:,]{0,80}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            for verb in VERBS {
                let _ = Request::from_json(verb, bytes);
            }
            let _ = License::from_json(bytes);
            let _ = State::from_bytes(bytes);
        }
    }

    #[test]
    fn errors_repeat_no_value(
        field in select(&["key", "product", "domain", "version", "releasedAt", "features", "nonce", "other"][..]),
        other_field in select(&["fingerprint", "user", "activation", "allowance", "consume", "return"][..]),
        value in select(&["\"SECRET €\"", "[\"SECRET €\"]", "{\"SECRET\":1}", "[[\"SECRET\"]]", "\"SECRET\n"][..]),
        verb in select(&VERBS[..]),
        is_other: bool,
    ) {
        let field = if is_other { other_field } else { field };
        if let Err(error) = Request::from_json(verb, format!(r#"{{"{field}":{value}}}"#).as_bytes()) {
            let text = format!("{error:?} {error}");
            prop_assert!(!text.contains("SECRET"));
        }
    }
}

/// Every substitution and every swap of neighbours, in keys with prefixes of every length and of
/// special letters.
#[test]
fn every_single_slip_is_detected() {
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
            let has_printed_shape =
                !slip.starts_with(|c| matches!(c, '2'..='9')) && !slip[prefix.len()..].contains('U');
            match key::read(slip) {
                Err(ReadError::Malformed) => assert!(has_printed_shape, "{slip}"),
                Ok(hash) => assert!(!has_printed_shape && hash != key.hash(), "{slip}"),
                error => panic!("{slip}: {error:?}"),
            }
            assert_ne!(key::read(&slip.replace('-', "")), Ok(key.hash()), "{slip}");
        }
    }
}

#[test]
fn the_largest_state_fits_into_a_value() {
    let moment = Some(Timestamp::MAX);
    let seat = |number: usize| {
        let components: Vec<_> = (0..5).map(|component| format!("{number}-{component}")).collect();
        let holder = Fingerprint::parse(&components).unwrap().holder(&license_id());
        Seat { holder, since: Timestamp::MAX, until: moment }
    };
    let counter = |number: usize| Counter {
        name: format!("{number}{}", "n".repeat(63)).parse().unwrap(),
        used: (1 << 53) - 1,
        period: Timestamp::MAX,
    };
    let applied = |number: usize| AppliedOperation {
        operation: Operation { id: [number as u8; 16], asked: u64::MAX },
        at: Timestamp::MAX,
    };
    let state = State {
        generation: u64::MAX,
        written_at: moment,
        begun_at: moment,
        seats: (0..MAX_SEATS).map(seat).collect(),
        counters: (0..MAX_ALLOWANCES).map(counter).collect(),
        applied: (0..MAX_REMEMBERED).map(applied).collect(),
    };
    let bytes = state.to_bytes();
    assert_eq!(bytes.len(), 59_725);
    assert!(bytes.len() <= MAX_VALUE_BYTES);
    assert_eq!(State::from_bytes(&bytes), Ok(state));
}
