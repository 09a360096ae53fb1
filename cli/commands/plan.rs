//! `pool plan`

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use pool_engine::{
    Event,
    ops::{self, Environment, Observe, PlanRequest, SavedPlan},
};
use pool_inventory::object::Recorded;
use pool_planner::{self as planner, Action, PlanInput, Scope, Step, WhyNot, input::OnFailure};
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    args::{self, ScopeFlags},
    context::{Context, Outcome},
    error::{CliError, ExitCode},
    render::{
        changes::fold,
        plan::{View, footer, plan},
        run::settling,
        when::Clock,
        whynot::why_not,
    },
};

/// Plans, shows, saves.
pub fn run(cx: &Context, args: &args::Plan) -> Outcome {
    cx.ui.events_begin("plan");
    let (saved, records, answers) = cx.with_environment(async |env: Environment| {
        args.why_not.iter().try_for_each(|place| declared(&env, place))?;
        let mut request = request(&args.scope, args.destroy, on_failure(args.on_failure));
        request.scope.optimize = args.optimize;
        let (saved, input) = make(cx, &env, request).await?;
        let records = going(&env, &saved).await?;
        let answers = args.why_not.iter().map(|place| Ok((place, answer(&input, &saved, place)?)));
        let answers = answers.collect::<Result<Vec<_>, CliError>>()?;
        Ok((saved, records, answers))
    })?;
    if let Some(path) = &args.out {
        write(path, &saved)?;
    }
    let code = exit_code(&saved, args.detailed_exitcode);
    events(cx, &saved, &answers, code);
    let clock = Clock::system();
    cx.ui.data(&plan(&saved, &View { clock: &clock, verbose: cx.ui.verbose(), records: &records }));
    for (place, pools) in &answers {
        cx.ui.data(&why_not(place, pools, cx.ui.verbose()));
    }
    if let Some(path) = &args.out {
        cx.ui.talk(&format!("Written to {}.\n", path.display()));
    }
    let footer = footer(&saved, &clock, |rest| cx.command(rest));
    if !answers.is_empty() && !footer.is_empty() {
        cx.ui.data("\n");
    }
    cx.ui.data(&footer);
    Ok(code)
}

/// Refuses a place of a provider that there is not, before anything is planned.
fn declared(env: &Environment, place: &str) -> Result<(), CliError> {
    let provider = place.split('/').next().unwrap_or(place);
    let known: Vec<&str> = env.desired().providers.keys().map(|name| name.as_str()).collect();
    if known.contains(&provider) {
        return Ok(());
    }
    let error = CliError::new(ExitCode::Failed, format!("there is no provider {provider}"));
    Err(error.hint(format!("declared are: {}", known.join(", "))))
}

/// Why hosts are not at a place that the user names.
fn answer(input: &PlanInput, saved: &SavedPlan, place: &str) -> Result<Vec<WhyNot>, CliError> {
    let failed = |message: String| CliError::new(ExitCode::Failed, message);
    let (provider, zone) = place.split_once('/').map_or((place, None), |(provider, zone)| (provider, Some(zone)));
    let Some(market) = input.markets.get(provider) else {
        return Err(failed(format!("provider {provider} offers nothing, or was not reached")));
    };
    let zones: BTreeSet<&str> = market.offerings.iter().map(|offering| &*offering.zone).collect();
    if let Some(zone) = zone.filter(|zone| !zones.contains(zone)) {
        let zones: Vec<&str> = zones.into_iter().collect();
        return Err(failed(format!("{provider} offers nothing in zone {zone}"))
            .hint(format!("its zones: {}", zones.join(", "))));
    }
    planner::why_not(input, &saved.plan, place).map_err(|error| failed(error.to_string()))
}

/// Plans, after telling what in the inventory is probably not meant.
pub async fn make(cx: &Context, env: &Environment, request: PlanRequest) -> Result<(SavedPlan, PlanInput), CliError> {
    cx.ui.warnings(env.warnings());
    let (tell, mut told) = mpsc::channel(16);
    let planning = env.plan_telling(request, tell);
    tokio::pin!(planning);
    loop {
        tokio::select! {
            saved = &mut planning => return Ok(saved?),
            Some(event) = told.recv() => {
                if let Event::Settling { address, objects, provider, wait_ms } = event {
                    cx.ui.talk(&format!("{}\n", settling(&address, objects, &provider, wait_ms)));
                }
            }
        }
    }
}

/// The records of what a plan deletes; a plan that deletes nothing costs nothing here.
pub async fn going(env: &Environment, saved: &SavedPlan) -> Result<Vec<Recorded>, CliError> {
    let gone = |step: &Step| matches!(step.action, Action::Delete);
    let gone: BTreeSet<_> = saved.plan.steps.iter().filter(|step| gone(step)).map(|step| &step.address).collect();
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    Ok(env.records().await?.into_iter().filter(|record| gone.contains(&record.address)).collect())
}

/// The flags, as the engine takes them.
pub fn request(flags: &ScopeFlags, destroy: bool, on_failure: Option<OnFailure>) -> PlanRequest {
    let reason = flags.reason.as_deref().unwrap_or_default();
    let overrides: BTreeMap<_, _> = flags.overrides.iter().map(|brake| (*brake, reason.into())).collect();
    PlanRequest {
        scope: Scope {
            destroy,
            refresh_only: flags.refresh_only,
            targets: flags.target.iter().cloned().collect(),
            excludes: flags.exclude.iter().cloned().collect(),
            replace: flags.replace.iter().cloned().collect(),
            overrides,
            optimize: false,
            on_failure: on_failure.unwrap_or_default(),
            errands: Vec::new(),
        },
        observe: observe(flags.observe.unwrap_or(args::Observe::Hosts)),
    }
}

/// The flag, as the engine takes it.
pub fn on_failure(flag: Option<args::OnFailure>) -> Option<OnFailure> {
    flag.map(|flag| match flag {
        args::OnFailure::Stop => OnFailure::Stop,
        args::OnFailure::Continue => OnFailure::Continue,
        args::OnFailure::Undo => OnFailure::Undo,
    })
}

/// The flag, as the engine takes it.
pub fn observe(flag: args::Observe) -> Observe {
    match flag {
        args::Observe::Hosts => Observe::Hosts,
        args::Observe::Providers => Observe::Providers,
    }
}

/// 5 for a plan with items that cannot be done; with `--detailed-exitcode` 2 for one that does something.
fn exit_code(saved: &SavedPlan, detailed: bool) -> ExitCode {
    match () {
        () if saved.plan.is_incomplete() => ExitCode::Refused,
        () if detailed && !saved.plan.is_empty() => ExitCode::Pending,
        () => ExitCode::Done,
    }
}

/// The plan as one event; it is large, so it is made only where somebody reads it.
pub fn plan_event(cx: &Context, saved: &SavedPlan) {
    if !cx.ui.wants_json() {
        return;
    }
    let (_, counts) = fold(&saved.plan);
    cx.ui.event(&json!({ "event": "plan", "counts": counts, "saved": saved }));
}

fn events(cx: &Context, saved: &SavedPlan, answers: &[(&String, Vec<WhyNot>)], code: ExitCode) {
    if !cx.ui.wants_json() {
        return;
    }
    plan_event(cx, saved);
    for (place, pools) in answers {
        cx.ui.event(&json!({ "event": "why_not", "place": place, "pools": pools }));
    }
    let (_, counts) = fold(&saved.plan);
    cx.ui.event(&json!({
        "event": "summary", "command": "plan", "exit_code": code.code(), "plan": saved.id, "counts": counts,
        "steps": saved.plan.steps.len(), "incomplete": saved.plan.is_incomplete(),
    }));
}

/// Writes a plan file. It holds what files on hosts will contain, so that it is private.
fn write(path: &Path, saved: &SavedPlan) -> Result<(), CliError> {
    let bytes = ops::to_bytes(saved)?;
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(&bytes))
        .map_err(|error| CliError::new(ExitCode::Failed, format!("cannot write {}", path.display())).cause(error))
}
