//! The proxies in front of this server whose word on their callers' addresses is believed.

use std::net::IpAddr;
use std::str::FromStr;

use countersign::forwarded;
use hyper::HeaderMap;
use hyper::header::FORWARDED;
use ipnet::IpNet;

/// The proxies that the operator trusts. Nobody else is believed.
#[derive(Debug, Default)]
pub struct Proxies(Vec<Proxy>);

/// The address of a proxy, or a network with nothing but proxies: `192.0.2.1`, `10.0.0.0/8`.
#[derive(Debug, Clone, Copy)]
pub struct Proxy(IpNet);

impl Proxies {
    /// Trusts these proxies.
    pub const fn new(proxies: Vec<Proxy>) -> Self {
        Self(proxies)
    }

    pub(super) fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|Proxy(network)| network.contains(&address))
    }

    /// The address of the caller whose request came from this trusted proxy.
    pub(super) fn caller(&self, proxy: IpAddr, headers: &HeaderMap) -> IpAddr {
        let [forwarded, forwarded_for] = [FORWARDED.as_str(), "x-forwarded-for"]
            .map(|name| headers.get_all(name).iter().map(|value| value.as_bytes()));
        forwarded::caller(proxy, forwarded, forwarded_for, |address| self.trust(address))
    }
}

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address.to_canonical()),
            Err(_) => text.parse().map_err(|_| "must be an address or a network, such as 192.0.2.1 or 10.0.0.0/8")?,
        };
        if network.trunc() != network {
            return Err(format!("has an address within the network; write {}", network.trunc()));
        }
        if matches!(network, IpNet::V6(network) if network.addr().to_ipv4_mapped().is_some()) {
            return Err("must be written as a network of IPv4, such as 10.0.0.0/8".into());
        }
        Ok(Self(network))
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn a_proxy_is_an_address_or_a_network() {
        let proxies =
            Proxies::new(["192.0.2.1", "10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().unwrap()).into());
        for trusted in ["192.0.2.1", "::ffff:192.0.2.1", "10.255.0.1", "2001:db8:1::1"] {
            assert!(proxies.trust(trusted.parse().unwrap()), "{trusted}");
        }
        for other in ["192.0.2.2", "11.0.0.1", "2001:db9::1", "127.0.0.1", "::1"] {
            assert!(!proxies.trust(other.parse().unwrap()), "{other}");
            assert!(!Proxies::default().trust(other.parse().unwrap()), "{other}");
        }
        for wrong in ["", "proxy", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "::ffff:10.0.0.0/104", "10.0.0.0/8,::1"] {
            assert!(wrong.parse::<Proxy>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn both_headers_are_read_in_all_their_lines() {
        let proxies = Proxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        for (name, prefix) in [("forwarded", "for="), ("x-forwarded-for", "")] {
            let mut headers = HeaderMap::new();
            for address in ["203.0.113.9", "192.0.2.1", "10.0.0.2"] {
                headers.append(name, HeaderValue::from_str(&format!("{prefix}{address}")).unwrap());
            }
            assert_eq!(proxies.caller("10.0.0.1".parse().unwrap(), &headers), "192.0.2.1".parse::<IpAddr>().unwrap());
        }
    }
}
