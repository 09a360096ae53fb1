//! Bodies of requests to Neutron. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use pool_inventory::object::NetworkSpec;
use serde_json::{Value, json};

use super::answers::Subnet;
use crate::{ProviderError, openstack::invalid};

/// The first address of a range that a host could have: it is kept for a router, whether there is one or not, so that
/// one can come later.
pub(super) fn gateway(range: &IpNet) -> Option<IpAddr> {
    step(range.network(), 1).filter(|address| range.contains(address))
}

/// The other addresses that hosts can have.
fn pool(range: &IpNet) -> Option<(IpAddr, IpAddr)> {
    let first = step(range.network(), 2)?;
    let last = match range {
        IpNet::V4(v4) => IpAddr::V4(Ipv4Addr::from(u32::from(v4.broadcast()).checked_sub(1)?)),
        IpNet::V6(v6) => IpAddr::V6(v6.broadcast()),
    };
    (range.contains(&first) && first <= last).then_some((first, last))
}

fn step(address: IpAddr, by: u8) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from(u32::from(v4).checked_add(u32::from(by))?)),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6).checked_add(u128::from(by))?)),
    })
}

/// A subnet that holds the whole range.
pub(super) fn subnet(
    network: &str,
    name: &str,
    description: &str,
    range: &IpNet,
    spec: &NetworkSpec,
) -> Result<Value, ProviderError> {
    let too_small = || invalid("cidr", format!("{range} has no room for hosts beside a router"));
    let (first, last) = pool(range).ok_or_else(too_small)?;
    let router = spec.router.as_ref().and_then(|_| gateway(range));
    let v4 = matches!(range, IpNet::V4(_));
    let mut subnet = json!({
        "network_id": network,
        "name": name,
        "description": description,
        "ip_version": if v4 { 4 } else { 6 },
        "cidr": range.to_string(),
        "gateway_ip": router,
        "allocation_pools": [{"start": first, "end": last}],
        "enable_dhcp": spec.dhcp,
        "dns_nameservers": spec.dns,
    });
    if !v4 && spec.dhcp {
        subnet["ipv6_address_mode"] = json!("dhcpv6-stateful");
        subnet["ipv6_ra_mode"] = json!("dhcpv6-stateful");
    }
    Ok(json!({ "subnet": subnet }))
}

/// What of a subnet must change; none: nothing. A gateway that goes, goes after its router.
pub(super) fn subnet_changes(there: &Subnet, spec: &NetworkSpec) -> Option<Value> {
    let mut changes = serde_json::Map::new();
    if there.enable_dhcp != spec.dhcp {
        changes.insert("enable_dhcp".into(), json!(spec.dhcp));
    }
    let dns: Vec<String> = spec.dns.iter().map(IpAddr::to_string).collect();
    if !there.dns_nameservers.iter().map(|server| &**server).eq(dns.iter().map(String::as_str)) {
        changes.insert("dns_nameservers".into(), json!(dns));
    }
    if spec.router.is_some() && there.gateway_ip.is_none() {
        changes.insert("gateway_ip".into(), json!(gateway(&there.cidr)));
    }
    (!changes.is_empty()).then(|| json!({ "subnet": changes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_is_kept_for_a_router_and_the_rest_is_handed_out() {
        let of = |range: &str| {
            let range: IpNet = range.parse().expect("a range");
            (gateway(&range).map(|a| a.to_string()), pool(&range).map(|(a, b)| format!("{a}-{b}")))
        };
        let said = |gateway: &str, pool: &str| (Some(gateway.to_owned()), Some(pool.to_owned()));
        assert_eq!(of("10.20.0.0/24"), said("10.20.0.1", "10.20.0.2-10.20.0.254"));
        assert_eq!(of("10.20.0.0/30"), said("10.20.0.1", "10.20.0.2-10.20.0.2"));
        assert_eq!(of("fd00::/64"), said("fd00::1", "fd00::2-fd00::ffff:ffff:ffff:ffff"));
        assert_eq!(of("10.20.0.0/31").1, None);
        assert_eq!(of("10.20.0.7/32"), (None, None));
        assert_eq!(of("0.0.0.0/0"), said("0.0.0.1", "0.0.0.2-255.255.255.254"));
    }
}
