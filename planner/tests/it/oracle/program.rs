//! A world as an integer program, made from the input alone.

use std::collections::BTreeMap;

use good_lp::{
    Constraint, Expression, ProblemVariables, ResolutionError, Solution, SolverModel, Variable, constraint, microlp,
    variable,
};
use pool_inventory::{Bytes, Money, Name, Text, desired::*, market::BackendOffer};
use pool_planner::PlanInput;

use super::UNIT;

/// One way to place a host: machine and backends.
struct Way {
    zone: (Name, Text),
    /// What it takes, by account.
    takes: BTreeMap<String, f64>,
    cost: f64,
}

fn gib(bytes: Bytes) -> f64 {
    f64::from(u32::try_from(bytes.0 >> 30).unwrap())
}

pub fn thousandths(money: Money) -> f64 {
    f64::from(i32::try_from(money.0 / UNIT).unwrap())
}

/// All ways for hosts of a pool.
fn ways(input: &PlanInput, pool: &PoolSpec) -> Vec<Way> {
    let mut out = Vec::new();
    let wanted = pool.size.unwrap();
    for (provider, market) in &input.markets {
        if !pool.place.on.is_empty() && pool.place.on.iter().all(|on| *on.0 != *provider.as_str()) {
            continue;
        }
        for offering in &market.offerings {
            let has = offering.size;
            if pool.place.max_price.is_some_and(|most| offering.price.0 * 730 > most.0) {
                continue;
            }
            if has.vcpus < wanted.vcpus || has.memory < wanted.memory || has.disk < wanted.disk {
                continue;
            }
            let backends: Vec<&BackendOffer> =
                market.backends.iter().filter(|backend| backend.zones.contains(&offering.zone)).collect();
            let mut choices: Vec<Vec<&BackendOffer>> = vec![Vec::new()];
            for _ in &pool.volumes {
                choices = choices
                    .iter()
                    .flat_map(|chosen| backends.iter().map(|backend| [chosen.clone(), vec![*backend]].concat()))
                    .collect();
            }
            for chosen in choices {
                let mut takes: BTreeMap<String, f64> = BTreeMap::new();
                let mut take = |account: String, amount: f64| *takes.entry(account).or_default() += amount;
                take(format!("stock/{provider}/{}/{}", offering.zone, offering.name), 1.0);
                let mut cost = thousandths(offering.price);
                for who in [format!("tenant/{}", pool.tenant), format!("provider/{provider}")] {
                    take(format!("{who}/hosts"), 1.0);
                    take(format!("{who}/vcpus"), f64::from(has.vcpus));
                    take(format!("{who}/memory"), gib(has.memory));
                }
                for (volume, backend) in pool.volumes.values().zip(chosen) {
                    take(format!("backend/{}", backend.name), gib(volume.size));
                    take(format!("tenant/{}/storage.{}", pool.tenant, volume.tier), gib(volume.size));
                    cost += thousandths(Money(backend.price.0 * i64::try_from(volume.size.0 >> 30).unwrap()));
                }
                take(format!("tenant/{}/cost", pool.tenant), cost);
                out.push(Way { zone: (provider.clone(), offering.zone.clone()), takes, cost });
            }
        }
    }
    out
}

/// What there is of each account that has a limit.
fn limits(input: &PlanInput) -> BTreeMap<String, f64> {
    let mut out = BTreeMap::new();
    for (tenant, spec) in &input.desired.tenants {
        let quota = &spec.quota;
        let count = |n: Option<u64>| n.map(|n| f64::from(u32::try_from(n).unwrap()));
        let hourly = quota.cost.map(|cost| thousandths(Money(cost.0 / 730)));
        let fixed = [
            ("hosts", count(quota.hosts)),
            ("vcpus", count(quota.vcpus)),
            ("memory", quota.memory.map(gib)),
            ("cost", hourly),
        ];
        out.extend(fixed.into_iter().filter_map(|(what, n)| Some((format!("tenant/{tenant}/{what}"), n?))));
        out.extend(quota.storage.iter().map(|(tier, n)| (format!("tenant/{tenant}/storage.{tier}"), gib(*n))));
    }
    for (provider, market) in &input.markets {
        for (what, limit) in &market.limits {
            let amount = if &**what == "memory" { limit.limit >> 30 } else { limit.limit };
            out.insert(format!("provider/{provider}/{what}"), f64::from(u32::try_from(amount).unwrap()));
        }
        for o in &market.offerings {
            out.extend(o.stock.map(|stock| (format!("stock/{provider}/{}/{}", o.zone, o.name), f64::from(stock))));
        }
        out.extend(market.backends.iter().map(|backend| (format!("backend/{}", backend.name), gib(backend.capacity))));
    }
    out
}

/// Two pools whose hosts share places of a level, or do not.
struct Pair<'a> {
    these: &'a Name,
    those: &'a Name,
    level: Spread,
    together: bool,
}

fn pairs(input: &PlanInput) -> Vec<Pair<'_>> {
    let mut out = Vec::new();
    for (these, pool) in &input.desired.pools {
        for (rules, together) in [(&pool.place.affinity, true), (&pool.place.anti_affinity, false)] {
            out.extend(rules.iter().map(|(those, level)| Pair { these, those, level: *level, together }));
        }
    }
    out
}

/// The least cost with which all hosts can be placed; none: they cannot. Not `whole`: with parts of hosts, which is never
/// more, and quickly found where there are many.
pub fn optimum(input: &PlanInput, whole: bool) -> Option<f64> {
    let pairs = pairs(input);
    // Of two pools that are near each other, one is only where the other is; either may be the one.
    let together = pairs.iter().filter(|pair| pair.together).count();
    let answers = (0..1u32 << together).filter_map(|turned| Program::new(input, whole).solve(&pairs, turned));
    answers.min_by(f64::total_cmp)
}

type Zones = BTreeMap<(Name, Text), Expression>;

struct Program<'a> {
    variables: ProblemVariables,
    rules: Vec<Constraint>,
    cost: Expression,
    /// Hosts of each pool, by provider and zone.
    zones: BTreeMap<&'a Name, (u32, Zones)>,
}

impl<'a> Program<'a> {
    fn new(input: &'a PlanInput, whole: bool) -> Self {
        let (variables, rules, cost) = (ProblemVariables::new(), Vec::new(), Expression::from(0.0));
        let mut program = Self { variables, rules, cost, zones: BTreeMap::new() };
        let limits = limits(input);
        let mut used: BTreeMap<String, Expression> = BTreeMap::new();
        for (name, pool) in &input.desired.pools {
            let Hosts::Count(hosts) = pool.hosts else { unreachable!() };
            let mut all = Expression::from(0.0);
            let mut zones = Zones::new();
            for way in ways(input, pool) {
                let x = variable().min(0).max(hosts);
                let x: Variable = program.variables.add(if whole { x.integer() } else { x });
                all += x;
                program.cost += way.cost * x;
                *zones.entry(way.zone).or_insert(Expression::from(0.0)) += x;
                for (account, amount) in way.takes.into_iter().filter(|(account, _)| limits.contains_key(account)) {
                    *used.entry(account).or_insert(Expression::from(0.0)) += amount * x;
                }
            }
            program.rules.push(constraint!(all == hosts));
            if let Some(most) = pool.place.max_skew {
                for (at, high) in &zones {
                    for low in zones.iter().filter(|(other, _)| *other != at).map(|(_, low)| low) {
                        program.rules.push(constraint!(high.clone() - low.clone() <= most));
                    }
                }
            }
            program.zones.insert(name, (hosts, zones));
        }
        program.rules.extend(used.into_iter().map(|(account, used)| constraint!(used <= limits[&account])));
        program
    }

    /// How many hosts a pool has, and where, at one level.
    fn at(&self, pool: &Name, level: Spread) -> (u32, Zones) {
        let (hosts, zones) = &self.zones[pool];
        let mut out = Zones::new();
        for ((provider, zone), there) in zones {
            let zone = if level == Spread::Zone { zone.clone() } else { "".into() };
            *out.entry((provider.clone(), zone)).or_insert(Expression::from(0.0)) += there.clone();
        }
        (*hosts, out)
    }

    /// `turned`: a bit for each pair that is together, whether it is the second that is only where the first is.
    fn pair(&mut self, pair: &Pair<'_>, turned: bool) {
        let ((hosts, these), (others, those)) = (self.at(pair.these, pair.level), self.at(pair.those, pair.level));
        if pair.together {
            let (hosts, inner, outer) = if turned { (others, those, these) } else { (hosts, these, those) };
            for (key, inner) in inner {
                let outer = outer.get(&key).cloned().unwrap_or(Expression::from(0.0));
                self.rules.push(constraint!(inner <= f64::from(hosts) * outer));
            }
            return;
        }
        for (key, here) in these {
            let Some(there) = those.get(&key) else { continue };
            let open = self.variables.add(variable().binary());
            self.rules.push(constraint!(here <= f64::from(hosts) * open));
            self.rules.push(constraint!(there.clone() + f64::from(others) * open <= others));
        }
    }

    fn solve(mut self, pairs: &[Pair<'_>], turned: u32) -> Option<f64> {
        let mut together = 0;
        for pair in pairs {
            self.pair(pair, turned >> together & 1 == 1);
            together += u32::from(pair.together);
        }
        let mut model = self.variables.minimise(self.cost.clone()).using(microlp);
        for rule in self.rules {
            model = model.with(rule);
        }
        match model.solve() {
            Ok(solution) => Some(solution.eval(&self.cost)),
            Err(ResolutionError::Infeasible) => None,
            Err(error) => panic!("the program was not solved: {error}"),
        }
    }
}
