//! systemd services.

use std::time::Duration;

use pool_inventory::{Text, desired::ServiceSpec};

use super::item;
use crate::{
    command::{Act, Command},
    error::Refusal,
    facts::Facts,
    rendered::Rendered,
    script::quote,
};

/// Longest time for one service; systemd itself gives up after 90 s.
const LIMIT: Duration = Duration::from_secs(150);

pub(super) fn commands(facts: &Facts, want: &Rendered) -> Result<Vec<Command>, Refusal> {
    if !want.services.is_empty() && &*facts.init != "systemd" {
        return Err(Refusal::NoSystemd { init: facts.init.clone() });
    }
    Ok(want.services.iter().map(|(name, service)| command(name, *service)).collect())
}

fn command(name: &Text, service: ServiceSpec) -> Command {
    let unit = name.strip_suffix(".service").unwrap_or(name);
    let arguments = format!("{} {} {}", quote(unit), u8::from(service.enabled), u8::from(service.running));
    Command {
        unit: Some(unit.into()),
        ..Command::new(
            item("service", unit),
            format!("probe_service {arguments}"),
            Act::Call(format!("act_service {arguments}")),
            LIMIT,
        )
    }
}
