//! Names and units for any text and any number.

use std::cmp::Ordering;

use pool_inventory::{
    Address, Bytes, FileMode, Money, Name, Percent, TimeSpan,
    names::{natural, wildcard},
};
use proptest::prelude::*;

/// The grammar of names, said another way.
fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let tail = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=31).contains(&bytes.len()) && bytes[0].is_ascii_lowercase() && bytes[1..].iter().all(tail)
}

/// Matching by trying everything.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|n| matches(rest, &text[n..])),
        [first, rest @ ..] => text.first() == Some(first) && matches(rest, &text[1..]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_name_is_what_the_grammar_says(text in "\\PC{0,4}|[a-z0-9-]{0,40}|[a-zA-Z_.]{1,5}") {
        prop_assert_eq!(Name::new(&text).is_ok(), is_name(&text));
        if let Ok(name) = Name::new(&text) {
            let json = serde_json::to_string(&name).expect("written");
            prop_assert_eq!(serde_json::from_str::<Name>(&json).ok(), Some(name));
        }
    }

    #[test]
    fn an_address_is_read_as_it_is_shown(host in "[a-z][a-z0-9-]{0,20}", volume in "[a-z][a-z0-9-]{0,8}") {
        for address in [Address::host(&host), Address::network(&host), Address::pool(&host), Address::volume(&host, &volume)] {
            prop_assert_eq!(address.to_string().parse::<Address>().ok(), Some(address.clone()));
        }
        prop_assert_eq!(Address::volume(&host, &volume).host_of_volume(), Some(Address::host(&host)));
    }

    #[test]
    fn any_text_is_an_address_or_none(text in "\\PC{0,20}|(host|volume|disk)/[a-z.0-9/]{0,12}") {
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn natural_order_is_an_order(a in "[a-b0-2-]{0,6}", b in "[a-b0-2-]{0,6}", c in "[a-b0-2-]{0,6}") {
        prop_assert_eq!(natural(&a, &b), natural(&b, &a).reverse());
        prop_assert_eq!(natural(&a, &b) == Ordering::Equal, a == b);
        if natural(&a, &b).is_le() && natural(&b, &c).is_le() {
            prop_assert!(natural(&a, &c).is_le(), "{} {} {}", a, b, c);
        }
    }

    #[test]
    fn ordinals_sort_by_number(pool in "[a-z]{1,5}", a in 0u32..20_000, b in 0u32..20_000) {
        prop_assert_eq!(natural(&format!("{pool}-{a}"), &format!("{pool}-{b}")), a.cmp(&b));
    }

    #[test]
    fn stars_match_as_if_everything_was_tried(pattern in "[ab*/]{0,8}", text in "[ab/]{0,8}") {
        prop_assert_eq!(wildcard(&pattern, &text), matches(pattern.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn no_text_upsets_a_unit(text in "\\PC{0,12}|[0-9.]{1,25}(GiB|PiB|s|d|%|/month|/hour)") {
        let _ = text.parse::<Bytes>();
        let _ = text.parse::<TimeSpan>();
        let _ = text.parse::<Percent>();
        let _ = text.parse::<FileMode>();
        let _ = (Money::parse_monthly(&text), Money::parse_hourly(&text));
    }

    #[test]
    fn quantities_are_read_as_they_are_written(kib in 1u64..1 << 40, ms in any::<u64>(), share in 0u32..=10_000, mode in 0u32..=0o7777) {
        prop_assert_eq!(Bytes(kib << 10).to_file().parse(), Ok(Bytes(kib << 10)));
        let span = TimeSpan(ms / 1000);
        prop_assert_eq!(span.to_string().parse(), Ok(span));
        prop_assert_eq!(Percent(share).to_string().parse(), Ok(Percent(share)));
        prop_assert_eq!(FileMode(mode).to_string().parse(), Ok(FileMode(mode)));
    }

    #[test]
    fn larger_numbers_are_larger_amounts(a in 0u64..1_000_000, b in 0u64..1_000_000) {
        let gib = |n: u64| format!("{n}GiB").parse::<Bytes>().expect("a size");
        prop_assert_eq!(gib(a).cmp(&gib(b)), a.cmp(&b));
        let budget = |n: u64| Money::parse_monthly(&format!("{n}.50/month")).expect("a budget");
        prop_assert_eq!(budget(a).cmp(&budget(b)), a.cmp(&b));
    }

    #[test]
    fn a_brake_lets_at_least_one_and_never_more_than_all(share in 0u32..=10_000, count in 0usize..100_000) {
        let allowed = Percent(share).at_least_one_of(count);
        prop_assert!(allowed <= count && (allowed > 0 || count == 0));
    }
}
