//! Which addresses may be told. Who adds a webhook makes the registry send requests from where it stands: without a guard
//! they could reach its neighbours, or the address that gives out a cloud machine's credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

use crate::error::{Error, Result, Violation};

/// Longest address, in bytes.
const LONGEST_URL: usize = 2_048;

/// What addresses are checked against: before they are stored, and before each connection against what they resolve to.
#[derive(Clone, Debug, Default)]
pub struct AddressRules {
    /// Whether `http://` is allowed beyond loopback.
    pub insecure_http: bool,
    /// Addresses that are not public and allowed nevertheless.
    pub networks: Vec<IpNet>,
}

/// Where a URL points, as far as its text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The host is a loopback address, or "localhost".
    Loopback,
    /// Any other host.
    Beyond,
}

impl AddressRules {
    /// Reads a URL that may be told.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the rule it breaks.
    pub fn parse(&self, text: &str) -> Result<Url> {
        let broken = |rule, why: &str| Error::from(Violation::new("url", rule, why));
        if text.len() > LONGEST_URL {
            return Err(broken("length", "must have at most 2,048 bytes"));
        }
        let url = Url::parse(text).map_err(|_| broken("url", "must be a URL such as https://example.com/hook"))?;
        if !url.username().is_empty() || url.password().is_some() {
            // They would be shown to everybody who may list webhooks.
            return Err(broken("credentials", "must not carry a user name or password"));
        }
        if url.fragment().is_some() {
            return Err(broken("fragment", "must not have a fragment (#…): it is never sent"));
        }
        match (url.scheme(), reach(&url)) {
            ("https", _) | ("http", Reach::Loopback) => {}
            ("http", Reach::Beyond) if self.insecure_http => {}
            ("http", Reach::Beyond) => {
                let why = "must be https beyond loopback, unless registry.webhooks.allow_insecure_http is set";
                return Err(broken("insecure", why));
            }
            _ => return Err(broken("scheme", "must begin with https:// or http://")),
        }
        if let Some(address) = literal(&url)
            && !self.allows(address, reach(&url))
        {
            return Err(broken("address", &refusal(address)));
        }
        Ok(url)
    }

    /// Whether a connection to this address may be made for a URL of this reach.
    pub(super) fn allows(&self, address: IpAddr, reach: Reach) -> bool {
        let address = address.to_canonical();
        match reach {
            // What says loopback means it; a name that merely resolves to it does not.
            Reach::Loopback if address.is_loopback() => true,
            _ => is_public(address) || self.networks.iter().any(|network| network.contains(&address)),
        }
    }
}

/// Why an address is not told, for its owner.
pub(super) fn refusal(address: IpAddr) -> String {
    format!("{address} is not a public address: registry.webhooks.allowed_networks must name its network")
}

/// The address a URL names without a name to resolve.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// Where the text of a URL points.
pub(super) fn reach(url: &Url) -> Reach {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if loopback { Reach::Loopback } else { Reach::Beyond }
}

/// Whether an address is of the public internet, by the special-purpose registries of IANA.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        // Among them 169.254.169.254, where clouds tell a machine its credentials.
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || first == 0
        // Shared by carriers (100.64.0.0/10).
        || (first == 100 && (64..128).contains(&second))
        || (first, second, third) == (192, 0, 0)
        // The old relays to IPv6.
        || (first, second, third) == (192, 88, 99)
        // Benchmarks (198.18.0.0/15).
        || (first == 198 && (second == 18 || second == 19))
        // Reserved, and broadcast.
        || first >= 240;
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let [first, second] = high.to_be_bytes();
        let [third, fourth] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(first, second, third, fourth))
    };
    match segments {
        // Translated to IPv4 (64:ff9b::/96).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // Tunnelled to IPv4 (6to4).
        [0x2002, high, low, ..] => embedded(high, low),
        // Protocol assignments, Teredo among them (2001::/23), and documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // All that was ever given out as global unicast.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_internet_alone_are_public() {
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "2606:4700::1111",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "::10.0.0.1",
        ] {
            let address: IpAddr = special.parse().unwrap();
            assert!(!is_public(address.to_canonical()), "{special}");
        }
    }

    #[test]
    fn loopback_is_told_only_where_the_url_says_so() {
        let rules = AddressRules::default();
        let [v4, v6]: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        assert!(rules.allows(v4, Reach::Loopback) && rules.allows(v6, Reach::Loopback));
        assert!(!rules.allows(v4, Reach::Beyond) && !rules.allows(v6, Reach::Beyond));
        assert!(
            !rules.allows("10.0.0.1".parse().unwrap(), Reach::Loopback),
            "localhost may resolve to anything"
        );
        assert!(!rules.allows("::ffff:127.0.0.1".parse().unwrap(), Reach::Beyond));
    }

    #[test]
    fn networks_in_the_settings_are_allowed() {
        let rules = AddressRules {
            networks: vec!["10.20.0.0/16".parse().unwrap()],
            ..AddressRules::default()
        };
        assert!(rules.allows("10.20.3.4".parse().unwrap(), Reach::Beyond));
        assert!(rules.allows("::ffff:10.20.3.4".parse().unwrap(), Reach::Beyond));
        assert!(!rules.allows("10.21.0.1".parse().unwrap(), Reach::Beyond));
    }

    #[test]
    fn urls_that_may_not_be_told_are_refused_with_the_rule() {
        let rules = AddressRules::default();
        for fine in [
            "https://example.com/a?b=c",
            "http://127.0.0.1:8080/x",
            "http://[::1]/",
            "http://localhost:1",
            "https://1.1.1.1",
        ] {
            assert!(rules.parse(fine).is_ok(), "{fine}");
        }
        for (text, rule) in [
            ("example.com", "url"),
            ("ftp://example.com", "scheme"),
            ("http://example.com", "insecure"),
            ("https://ada:secret@example.com", "credentials"),
            ("https://example.com/#a", "fragment"),
            ("https://10.0.0.1/", "address"),
            ("https://[fd00::1]/", "address"),
            ("https://169.254.169.254/latest", "address"),
            // Other spellings of 127.0.0.1 and 10.0.0.1 are read as what they are.
            ("https://167772161/", "address"),
            ("https://0xa.0.0.1/", "address"),
        ] {
            let Err(Error::Invalid(found)) = rules.parse(text) else {
                panic!("{text} was taken");
            };
            assert_eq!(found[0].rule, rule, "{text}");
        }
        let long = format!("https://example.com/{}", "a".repeat(LONGEST_URL));
        assert!(rules.parse(&long).is_err());
        let open = AddressRules {
            insecure_http: true,
            ..rules
        };
        assert!(open.parse("http://example.com").is_ok());
        assert!(open.parse("http://10.0.0.1").is_err());
    }
}
