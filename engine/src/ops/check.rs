//! Pre-flight: what would keep a plan from being carried out, before anything is spent.
//!
//! Everything comes from lists, and from two plans: the one that would be made now, and one that knows no limits, which
//! tells what the declaration asks for.
//!
//! | module | what it looks at |
//! |---|---|
//! | `look` | what was seen, and what both plans ask for |
//! | `offers` | images, machine sizes, zones, tiers |
//! | `quota` | accounts of providers and of tenants |
//! | `networks` | external networks, networks that exist, addresses left |
//! | `own` | folders of our own that serve tiers |
//! | `logins` | hosts that exist |
//! | `artifacts` | files and archives for hosts |

mod artifacts;
mod logins;
mod look;
mod networks;
mod offers;
mod own;
mod quota;
#[cfg(test)]
mod tests;

use pool_inventory::{
    Lineage, Name, Text, TimeSpan,
    desired::{ProviderKind, ProviderSpec},
};
use pool_planner::plan::Why;
use pool_providers::ProviderError;

use self::look::Look;
use super::{CheckAnswer, CheckLine, Environment, Observe, OpsError, plan::Known};

impl Environment {
    /// Credentials, images, sizes, quotas, networks, tiers, hosts: pass, fail or unknown. Changes nothing.
    pub async fn check(&self) -> Result<Vec<CheckLine>, OpsError> {
        let (recorded, _, _) = self.recorded().await?;
        let view = self.view(Some(Observe::Hosts), &recorded).await?;
        let known = match self.existing_store().await? {
            Some(store) => Known {
                stock_outs: store.stock_outs().await?,
                lineage: store.lineage().clone(),
                public_keys: self.public_keys()?,
            },
            // Where nothing is recorded, keys decide nothing; none is made for a question.
            None => Known { stock_outs: [].into(), lineage: Lineage::from_bits([0; 16]), public_keys: [].into() },
        };
        let errors = view.errors.clone();
        let look = Look::new(self.plan_input(recorded, view, known), errors);
        let logins = self.check_logins(&look).await;
        let mut out = Vec::new();
        for (name, spec) in &self.desired.providers {
            out.extend(provider(&look, name, spec));
            out.extend(logins.iter().filter(|line| line.provider.as_ref() == Some(name)).cloned());
        }
        let mut rest = Lines::new(None, None);
        own::backends(&look, &self.places.root, &mut rest);
        quota::tenants(&look, &mut rest);
        artifacts::artifacts(&self.desired, &self.places, &mut rest).await;
        plan(&look, &mut rest);
        out.extend(rest.0);
        Ok(out)
    }
}

/// Everything about one provider.
fn provider(look: &Look, name: &Name, spec: &ProviderSpec) -> Vec<CheckLine> {
    let market = look.input.markets.get(name);
    let mut lines = Lines::new(Some(name), market.map(|market| market.age));
    if !credentials(look, name, spec, &mut lines) {
        return lines.0;
    }
    let creates = look.input.capabilities.get(name).is_some_and(|can| can.creates);
    if let Some(market) = market.filter(|_| creates) {
        offers::region(name, spec, market, &mut lines);
        offers::images(look, name, market, &mut lines);
        offers::zones(look, name, market, &mut lines);
        offers::sizes(look, name, &mut lines);
        offers::tiers(look, name, market, &mut lines);
        quota::provider(look, name, market, &mut lines);
        networks::provider(look, name, market, &mut lines);
    }
    lines.0
}

/// Whether the provider answers.
fn credentials(look: &Look, name: &Name, spec: &ProviderSpec, lines: &mut Lines) -> bool {
    let market = look.input.markets.get(name);
    match (look.errors.get(name), market) {
        (Some(ProviderError::Unauthorized(why)), _) => {
            lines.fail("credentials", format!("refused: {why}"), "see that they are those of this account");
        }
        (Some(ProviderError::Invalid { field, detail }), _) => {
            let todo = format!("correct providers.{name}.{field}");
            lines.pass("credentials", "were not asked for");
            lines.fail("settings", format!("{field} is not valid: {detail}"), todo);
        }
        (Some(error), _) => {
            lines.unknown("credentials", format!("no answer: {error}"), "see that it can be reached, and check again");
        }
        (None, None) => lines.unknown("credentials", "it was not asked", "check again"),
        (None, Some(_)) if matches!(spec.kind, ProviderKind::Ssh) => {
            lines.pass("credentials", "those of its hosts; each is asked below");
        }
        (None, Some(market)) => {
            let (offerings, backends) = (market.offerings.len(), market.backends.len());
            lines.pass("credentials", format!("accepted; {offerings} offerings, {backends} backends"));
        }
    }
    !look.errors.contains_key(name) && market.is_some()
}

/// Whether all that is declared can be planned.
fn plan(look: &Look, lines: &mut Lines) {
    let plan = match &look.plan {
        Ok(plan) => plan,
        Err(why) => return lines.fail("plan", why.to_string(), "correct the inventory"),
    };
    let stuck: Vec<&pool_planner::plan::Declined> = plan.declined.iter().filter(|d| d.why.blocks()).collect();
    let unseen = plan.declined.iter().filter(|d| matches!(d.why, Why::ProviderUnseen)).count();
    let some = |first: &pool_inventory::Address| match stuck.len() {
        1 => first.to_string(),
        more => format!("{first} and {} more", more - 1),
    };
    match stuck.as_slice() {
        [first, ..] if !look.errors.is_empty() => {
            let detail = format!("{} cannot be planned while a provider does not answer", some(&first.address));
            lines.unknown("plan", detail, "see that its provider can be reached");
        }
        [first, ..] => {
            let detail = format!("{} cannot be planned", some(&first.address));
            lines.fail("plan", detail, "pool plan says why of each");
        }
        [] if unseen > 0 => {
            let detail = format!("{unseen} objects were not seen, and nothing is planned for them");
            lines.unknown("plan", detail, "see that their providers can be reached");
        }
        [] if plan.is_empty() => lines.pass("plan", "nothing is to be done"),
        [] => lines.pass("plan", format!("{} steps, and all can be carried out", plan.steps.len())),
    }
}

/// Lines about one provider, or about none.
struct Lines(Vec<CheckLine>, Option<Name>, Option<TimeSpan>);

impl Lines {
    fn new(provider: Option<&Name>, age: Option<TimeSpan>) -> Self {
        Self(Vec::new(), provider.cloned(), age)
    }

    fn add(&mut self, answer: CheckAnswer, subject: impl Into<String>, detail: impl Into<String>, todo: Option<Text>) {
        let (subject, detail) = (subject.into().into(), detail.into().into());
        let (provider, age) = (self.1.clone(), self.2);
        self.0.push(CheckLine { provider, subject, answer, detail, todo, age });
    }

    fn pass(&mut self, subject: impl Into<String>, detail: impl Into<String>) {
        self.add(CheckAnswer::Pass, subject, detail, None);
    }

    fn fail(&mut self, subject: impl Into<String>, detail: impl Into<String>, todo: impl Into<String>) {
        self.add(CheckAnswer::Fail, subject, detail, Some(todo.into().into()));
    }

    fn unknown(&mut self, subject: impl Into<String>, detail: impl Into<String>, todo: impl Into<String>) {
        self.add(CheckAnswer::Unknown, subject, detail, Some(todo.into().into()));
    }
}

/// `did you mean …?` or what there is, at most ten of it.
pub(super) fn hint<'k>(word: &str, known: impl Iterator<Item = &'k Text>) -> String {
    let mut known: Vec<&str> = known.map(|text| &**text).collect();
    known.sort_unstable();
    known.dedup();
    if let Some(close) = pool_inventory::load::suggest::did_you_mean(word, known.iter().copied()) {
        return format!("did you mean `{close}`?");
    }
    match known.len() {
        0 => "there is none at all".to_owned(),
        1..=10 => format!("there are: {}", known.join(", ")),
        more => format!("there are {more} others, as {}", known[..3].join(", ")),
    }
}
