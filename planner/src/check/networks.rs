//! Networks are made as they are declared, where that can be done; those of others are only used.

use pool_inventory::{
    desired::NetworkDecl,
    market::Feature,
    object::{NetworkSpec, Spec},
};

use super::{Notes, Rule, facts::Facts};
use crate::plan::{Action, Step};

pub(super) fn check(facts: &Facts<'_>, notes: &mut Notes) {
    for step in &facts.plan.steps {
        let (spec, adopted) = match &step.action {
            Action::Create { spec: Spec::Network(spec), .. } => (spec, false),
            Action::Adopt { spec: Spec::Network(spec), .. } => (spec, true),
            _ => continue,
        };
        if let Some(detail) = wrong(facts, step, spec, adopted) {
            notes.add(Rule::Place, Some(step.id), Some(&step.address), detail);
        }
    }
}

fn wrong(facts: &Facts<'_>, step: &Step, spec: &NetworkSpec, adopted: bool) -> Option<String> {
    let declared = facts.input.desired.networks.get(&*step.address.name);
    let Some(declared) = declared.filter(|network| network.on.contains(&step.provider)) else {
        return Some("it is not declared there".into());
    };
    if adopted != declared.existing.is_some() {
        return Some("what exists is used, and what does not is made".into());
    }
    if !same(spec, declared) {
        return Some("it is not what is declared".into());
    }
    let there = facts.input.capabilities.get(&step.provider).map(|c| &c.features);
    let missing = needs(declared).into_iter().find(|feature| !there.is_some_and(|t| t.contains(feature)));
    missing.map(|feature| format!("its provider cannot do {}", feature.describe()))
}

fn same(spec: &NetworkSpec, declared: &NetworkDecl) -> bool {
    spec.cidr == declared.cidr
        && spec.existing == declared.existing
        && spec.router == declared.router
        && spec.dhcp == declared.dhcp
        && spec.dns == declared.dns
        && spec.ingress == declared.ingress
        && spec.egress == declared.egress
}

fn needs(network: &NetworkDecl) -> Vec<Feature> {
    let mut out = vec![if network.existing.is_some() { Feature::ExistingNetworks } else { Feature::Networks }];
    let plain = network.dhcp && network.dns.is_empty() && network.ingress.is_empty() && network.egress.is_empty();
    out.extend((!plain).then_some(Feature::Rules));
    out.extend(network.router.is_some().then_some(Feature::Routers));
    out
}
