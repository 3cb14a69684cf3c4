//! Whatever a caller sends in `Forwarded` and `X-Forwarded-For`, the proxy's own word decides: the
//! caller has the address that the proxy appended, or that of the proxy.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use countersign::forwarded::caller;

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const CALLER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

libfuzzer_sys::fuzz_target!(|given: (&[u8], &[u8])| {
    let (forwarded, forwarded_for) = given;
    let is_trusted = |address| matches!(address, IpAddr::V4(address) if address.octets()[0] == 10);
    let told = |forwarded: &[&[u8]], forwarded_for: &[&[u8]]| {
        caller(PROXY, forwarded.iter().copied(), forwarded_for.iter().copied(), is_trusted)
    };
    told(&[forwarded], &[forwarded_for]);
    // By proxies that append to one of the headers, in the same line or in one of their own, and
    // remove the other one, or pass it on.
    let appended = [forwarded_for, b", 192.0.2.1"].concat();
    assert_eq!(told(&[], &[&appended]), CALLER);
    assert_eq!(told(&[], &[forwarded_for, b"192.0.2.1"]), CALLER);
    assert_eq!(told(&[forwarded, b"for=192.0.2.1"], &[]), CALLER);
    assert!([CALLER, PROXY].contains(&told(&[forwarded], &[&appended])));
    assert!([CALLER, PROXY].contains(&told(&[forwarded, b"for=192.0.2.1"], &[forwarded_for])));
    let appended = [forwarded, b", for=192.0.2.1"].concat();
    assert!([CALLER, PROXY].contains(&told(&[&appended], &[])));
});
