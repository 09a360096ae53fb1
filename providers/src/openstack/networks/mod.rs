//! Networks with what belongs to them.
//!
//! A network of ours is a Neutron network, one subnet, one security group with the rules, and, where it has a way out,
//! one router: one object for the planner. All parts carry the same description, which says whose they are.
//!
//! | module | what it does |
//! |---|---|
//! | `answers` | what Neutron says |
//! | `bodies`, `rules` | what Neutron is told; pure |
//! | `parts` | which parts belong to which network, and what they come to; pure |
//! | `converge` | makes what is missing and changes what differs: the one way to make and to change |
//! | `gone` | deletes a network with its parts |
//! | `memory` | what this process knows already |
//!
//! A creation that is cut off leaves a network without some of its parts. Lists report these as differences that an
//! update, or a replacement where even the subnet is missing, puts right.

pub(super) mod answers;
mod bodies;
mod converge;
mod gone;
mod memory;
mod parts;
mod rules;

use pool_inventory::{
    Kind, Lineage, Name, Text, Token,
    object::{NetworkSpec, Observed, Spec, Status},
};
use serde::de::DeserializeOwned;

pub(super) use self::memory::{Memory, Standing};
use self::{
    answers::Network,
    memory::Far,
    parts::{Lists, Parts},
};
use super::{
    Cloud,
    client::Service,
    invalid, marks,
    pages::Made,
    poll::{Handle, unknown},
};
use crate::{Page, Progress, ProviderError, Request};

/// Who holds the end of a router in a subnet, in the words of the kinds of routers that there are.
const ROUTER_ENDS: [&str; 3] =
    ["network:router_interface", "network:router_interface_distributed", "network:ha_router_replicated_interface"];

impl Cloud {
    pub(super) async fn create_network(
        &self,
        request: &Request,
        spec: &NetworkSpec,
    ) -> Result<Progress, ProviderError> {
        if let Some(existing) = &spec.existing {
            return self.use_network(request, existing).await;
        }
        let begun = self.networks.begin(request, spec);
        let mut far = begun.progress.lock().await;
        let before = match *far {
            Far::New => None,
            // An answer was lost, or is asked for again: what is there already is not made twice.
            Far::Sent | Far::Whole => self.parts_by_mark(&marks::description(&request.owner)).await?,
        };
        let mut parts = before;
        match self.make_network(request, spec, &mut parts, &mut far).await {
            Ok(parts) => {
                *far = Far::Whole;
                self.stands(request, &parts);
                Ok(done(observed_as(&parts.network, request, spec)))
            }
            Err(error) => {
                if *far == Far::Sent && is_final(&error) {
                    self.give_up(parts, &mut far).await;
                }
                Err(error)
            }
        }
    }

    /// Makes what is missing of a network; `parts` holds what there is, also when it fails.
    async fn make_network(
        &self,
        request: &Request,
        spec: &NetworkSpec,
        parts: &mut Option<Parts>,
        far: &mut Far,
    ) -> Result<Parts, ProviderError> {
        marks::check(&spec.tags)?;
        let way_out = self.way_out(spec).await?;
        if parts.is_none() {
            spec.cidr.ok_or_else(|| invalid("cidr", "a network needs an address range"))?;
            let body = serde_json::json!({"network": {
                "name": &*request.name,
                "description": marks::description(&request.owner),
            }});
            *far = Far::Sent;
            let made: Made<Network> = self.client.post(Service::Network, &["networks"], &body).await?;
            *parts = Some(Parts { network: made.0, subnet: None, group: None, router: None, connected: false });
        }
        match parts {
            Some(parts) => self.converge(&request.name, spec, way_out, parts).await.map(|()| parts.clone()),
            None => Err(ProviderError::Other("a network was made and is not there".into())),
        }
    }

    /// A creation failed for good: what was made of it goes. What cannot be deleted is seen by the next list.
    async fn give_up(&self, parts: Option<Parts>, far: &mut Far) {
        let gone = match parts {
            Some(parts) => self.delete_parts(&parts).await.is_ok(),
            None => true,
        };
        if gone {
            *far = Far::New;
        }
    }

    /// A network that exists and is used as it is.
    async fn use_network(&self, request: &Request, wanted: &str) -> Result<Progress, ProviderError> {
        let (network, standing) = self.foreign(wanted).await?;
        if let Ok(name) = Name::new(&request.owner.address.name) {
            self.networks.remember(&request.owner.lineage, &name, standing);
        }
        let mut observed = parts::foreign(&network, &[]);
        if let Spec::Network(spec) = &mut observed.spec {
            spec.existing = Some(wanted.into());
        }
        Ok(done(observed))
    }

    /// A network that is used as it is, and where hosts stand in it.
    async fn foreign(&self, wanted: &str) -> Result<(Network, Standing), ProviderError> {
        let all: Vec<Network> = self.client.all(Service::Network, &["networks"], "networks", &[]).await?;
        let network = chosen("existing", "network", wanted, all)?;
        let subnet = if let [subnet] = network.subnets.as_slice() { Some(subnet.clone()) } else { None };
        let standing = Standing { id: network.id.clone(), security_group: None, subnet, own: false };
        Ok((network, standing))
    }

    pub(super) async fn update_network(
        &self,
        request: &Request,
        id: &Text,
        to: &NetworkSpec,
    ) -> Result<Progress, ProviderError> {
        let (network, lists) = self.lists_of(id).await?;
        if to.existing.is_some() {
            let mut observed = parts::foreign(&network, &[]);
            observed.spec = Spec::Network(to.clone());
            return Ok(done(observed));
        }
        if !ours(&network, &request.owner.lineage) {
            return Err(invalid("existing", format!("network {id} is not ours to change")));
        }
        let mut parts = lists.parts(&network);
        marks::check(&to.tags)?;
        let way_out = self.way_out(to).await?;
        self.converge(&network.name, to, way_out, &mut parts).await?;
        self.stands(request, &parts);
        Ok(done(observed_as(&parts.network, request, to)))
    }

    /// All networks that the project can use, with what belongs to ours; at most five calls.
    pub(super) async fn list_networks(&self, _from: Option<Text>) -> Result<Page, ProviderError> {
        let lists = self.lists(self.networks.take_listed()).await?;
        self.learn(&lists);
        Ok(Page { objects: lists.observed(&self.used()), next: None })
    }

    /// Neutron is done when it answers.
    pub(super) async fn poll_networks(&self, handles: &[Handle]) -> Vec<Result<Progress, ProviderError>> {
        unknown(handles)
    }

    pub(super) async fn find_network(&self, token: &Token) -> Result<Option<Observed>, ProviderError> {
        let lists = self.lists(None).await?;
        self.learn(&lists);
        let of_token = |observed: &Observed| observed.owner.as_ref().is_some_and(|owner| owner.token == *token);
        let Some(found) = lists.observed(&self.used()).into_iter().find(of_token) else { return Ok(None) };
        // A request of this process may still be on its way: what is missing is made when it is asked for again.
        let Some(begun) = self.networks.begun(token) else { return Ok(Some(found)) };
        let far = *begun.progress.lock().await;
        let whole = far != Far::Sent || found.spec.changes(&Spec::Network(begun.spec.clone())).is_empty();
        Ok(Some(found).filter(|_| whole))
    }

    /// Names and ids of the networks that are used as they are.
    fn used(&self) -> Vec<&Text> {
        self.spec.networks.values().collect()
    }

    /// Where hosts of a network stand.
    pub(super) async fn network_of(&self, lineage: &Lineage, name: &Name) -> Result<Standing, ProviderError> {
        if let Some(known) = self.networks.standing(lineage, name) {
            return Ok(known);
        }
        let _looking = self.networks.looking.lock().await;
        if self.networks.standing(lineage, name).is_none() {
            match self.spec.networks.get(name) {
                Some(existing) => {
                    let (_, standing) = self.foreign(existing).await?;
                    self.networks.remember(lineage, name, standing);
                }
                None => self.learn(&self.lists(None).await?),
            }
        }
        let known = self.networks.standing(lineage, name);
        known.ok_or_else(|| invalid("network", format!("network `{name}` is not there, or not whole")))
    }

    /// Remembers where hosts of our networks stand; of two generations, the newer one.
    fn learn(&self, lists: &Lists) {
        let mut own: Vec<_> = lists.networks.iter().filter_map(|n| Some((parts::mark(&n.description)?, n))).collect();
        own.sort_by_key(|(owner, _)| owner.generation);
        for (owner, network) in own {
            let standing = standing(&lists.parts(network));
            if let (Some(standing), Ok(name)) = (standing, Name::new(&owner.address.name)) {
                self.networks.remember(&owner.lineage, &name, standing);
            }
        }
    }

    fn stands(&self, request: &Request, parts: &Parts) {
        if let (Some(standing), Ok(name)) = (standing(parts), Name::new(&request.owner.address.name)) {
            self.networks.remember(&request.owner.lineage, &name, standing);
        }
    }

    /// Networks and what belongs to them. Subnets do not outlive their network and the ends of routers not their
    /// router, so they are asked for only where there is one of ours.
    async fn lists(&self, listed: Option<Vec<Network>>) -> Result<Lists, ProviderError> {
        // An administrator sees all projects; networks of others may be ones to use, their parts are not.
        let project = self.client.project().await?;
        let own = &[("project_id", &*project)][..];
        let ends = ROUTER_ENDS.iter().map(|owner| ("device_owner", *owner));
        let ends: Vec<_> = ends.chain(own.iter().copied()).collect();
        let networks = async {
            match listed {
                Some(networks) => Ok(networks),
                None => self.client.all(Service::Network, &["networks"], "networks", &[]).await,
            }
        };
        let (networks, routers, groups) = tokio::try_join!(
            networks,
            self.client.all::<answers::Router>(Service::Network, &["routers"], "routers", own),
            self.client.all(Service::Network, &["security-groups"], "security_groups", own),
        )?;
        let a_network = networks.iter().any(|network| parts::mark(&network.description).is_some());
        let a_router = routers.iter().any(|router| parts::mark(&router.description).is_some());
        let (subnets, interfaces) = tokio::try_join!(
            self.all_if(a_network, "subnets", own), //
            self.all_if(a_router, "ports", &ends),
        )?;
        Ok(Lists { networks, subnets, routers, groups, interfaces })
    }

    async fn all_if<T: DeserializeOwned>(
        &self,
        wanted: bool,
        what: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, ProviderError> {
        match wanted {
            true => self.client.all(Service::Network, &[what], what, query).await,
            false => Ok(Vec::new()),
        }
    }

    /// One network, and what has its mark.
    async fn lists_of(&self, id: &str) -> Result<(Network, Lists), ProviderError> {
        let made: Made<Network> = self.client.get(Service::Network, &["networks", id], &[]).await?;
        let network = made.0;
        let lists = match network.description.as_deref().filter(|_| parts::mark(&network.description).is_some()) {
            Some(description) => self.lists_by_mark(description).await?,
            None => Lists::default(),
        };
        Ok((network, lists))
    }

    async fn lists_by_mark(&self, description: &str) -> Result<Lists, ProviderError> {
        let marked = &[("description", description)][..];
        let (networks, subnets, routers, groups) = tokio::try_join!(
            self.client.all(Service::Network, &["networks"], "networks", marked),
            self.client.all(Service::Network, &["subnets"], "subnets", marked),
            self.client.all::<answers::Router>(Service::Network, &["routers"], "routers", marked),
            self.client.all(Service::Network, &["security-groups"], "security_groups", marked),
        )?;
        let mut interfaces = Vec::new();
        for router in &routers {
            let of = &[("device_id", &*router.id)][..];
            interfaces.extend(self.client.all(Service::Network, &["ports"], "ports", of).await?);
        }
        Ok(Lists { networks, subnets, routers, groups, interfaces })
    }

    async fn parts_by_mark(&self, description: &str) -> Result<Option<Parts>, ProviderError> {
        let lists = self.lists_by_mark(description).await?;
        Ok(lists.networks.first().map(|network| lists.parts(network)))
    }
}

/// The one network of a name or id.
fn chosen(field: &str, what: &str, wanted: &str, all: Vec<Network>) -> Result<Network, ProviderError> {
    let mut fits: Vec<Network> = all.into_iter().filter(|n| &*n.id == wanted || &*n.name == wanted).collect();
    if let Some(at) = fits.iter().position(|network| &*network.id == wanted) {
        return Ok(fits.swap_remove(at));
    }
    match fits.len() {
        0 => Err(invalid(field, format!("there is no {what} `{wanted}`"))),
        1 => Ok(fits.swap_remove(0)),
        _ => {
            let ids: Vec<&str> = fits.iter().map(|network| &*network.id).collect();
            Err(invalid(
                field,
                format!("several {what}s are called `{wanted}`: {}; name one by its id", ids.join(", ")),
            ))
        }
    }
}

fn ours(network: &Network, lineage: &Lineage) -> bool {
    parts::mark(&network.description).is_some_and(|owner| owner.lineage == *lineage)
}

fn standing(parts: &Parts) -> Option<Standing> {
    let (subnet, group) = (parts.subnet.as_ref()?, parts.group.as_ref()?);
    Some(Standing {
        id: parts.network.id.clone(),
        security_group: Some(group.id.clone()),
        subnet: Some(subnet.id.clone()),
        own: true,
    })
}

/// Whether an error says that trying again is of no use.
fn is_final(error: &ProviderError) -> bool {
    !matches!(
        error,
        ProviderError::Transient(_)
            | ProviderError::Indeterminate(_)
            | ProviderError::RateLimited { .. }
            | ProviderError::Conflict(_)
    )
}

fn observed_as(network: &Network, request: &Request, spec: &NetworkSpec) -> Observed {
    let owner = parts::mark(&network.description).filter(|owner| owner.address.kind == Kind::Network);
    Observed {
        id: network.id.clone(),
        name: network.name.clone(),
        owner: Some(owner.unwrap_or_else(|| request.owner.clone())),
        status: Status::Ready,
        spec: Spec::Network(spec.clone()),
        endpoint: None,
    }
}

fn done(observed: Observed) -> Progress {
    Progress::Done(Box::new(observed))
}
