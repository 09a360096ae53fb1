//! `pool apply`, `pool destroy`

use pool_engine::{
    RunSummary,
    ops::{ApplyRequest, Environment, Interrupts, Observe, PlanRequest, SavedPlan},
};
use pool_planner::{
    Scope,
    input::Errand,
    plan::{Declined, Why},
};
use serde_json::json;

use super::plan::{going, make, on_failure, plan_event, request};
use crate::{
    args::{Apply, ApplyFlags, Destroy, ScopeFlags},
    context::{Context, Outcome},
    error::{CliError, ExitCode},
    interrupt::Signals,
    progress::follow,
    render::{
        plan::{View, plan},
        run::{Tally, report},
        style::{BOLD, paint},
        table::count,
        when::Clock,
    },
};

/// Events that may wait for the terminal; a terminal that stalls longer holds up the run, not the memory.
const EVENTS: usize = 1024;

/// Carries out a saved plan, or plans, shows, asks, does.
pub fn run(cx: &Context, args: &Apply) -> Outcome {
    cx.ui.events_begin("apply");
    cx.with_environment(async |env: Environment| match &args.plan {
        Some(plan) => {
            let saved = env.saved_plan(plan).await?;
            refuse_incomplete(cx, &saved, &args.how)?;
            carry_out(cx, &env, saved, &args.how).await
        }
        None => {
            plan_and_apply(cx, &env, request(&args.scope, args.destroy, on_failure(args.how.on_failure)), &args.how)
                .await
        }
    })
}

/// The same with `--destroy`.
pub fn destroy(cx: &Context, args: &Destroy) -> Outcome {
    let scope = ScopeFlags { target: args.target.clone(), exclude: args.exclude.clone(), ..ScopeFlags::default() };
    cx.ui.events_begin("destroy");
    cx.with_environment(async |env: Environment| {
        plan_and_apply(cx, &env, request(&scope, true, on_failure(args.how.on_failure)), &args.how).await
    })
}

/// Does what is asked for by name, and nothing else: plans, shows, asks, does. Hosts are not probed: an errand is about
/// what providers have.
pub fn errands(
    cx: &Context,
    command: &str,
    how: &ApplyFlags,
    which: impl AsyncFnOnce(&Environment) -> Result<Vec<Errand>, CliError>,
) -> Outcome {
    cx.ui.events_begin(command);
    cx.with_environment(async |env: Environment| {
        let on_failure = on_failure(how.on_failure).unwrap_or_default();
        let scope = Scope { errands: which(&env).await?, on_failure, ..Scope::default() };
        plan_and_apply(cx, &env, PlanRequest { scope, observe: Observe::Providers }, how).await
    })
}

/// The usual apply, for a scope that depends on what is recorded.
pub fn targeted(
    cx: &Context,
    command: &str,
    how: &ApplyFlags,
    which: impl AsyncFnOnce(&Environment) -> Result<Scope, CliError>,
) -> Outcome {
    cx.ui.events_begin(command);
    cx.with_environment(async |env: Environment| {
        let on_failure = on_failure(how.on_failure).unwrap_or_default();
        let scope = Scope { on_failure, ..which(&env).await? };
        plan_and_apply(cx, &env, PlanRequest { scope, observe: Observe::Hosts }, how).await
    })
}

async fn plan_and_apply(cx: &Context, env: &Environment, request: PlanRequest, how: &ApplyFlags) -> Outcome {
    let destroy = request.scope.destroy;
    let (saved, _) = make(cx, env, request).await?;
    plan_event(cx, &saved);
    let clock = Clock::system();
    let records = going(env, &saved).await?;
    let shown = plan(&saved, &View { clock: &clock, verbose: cx.ui.verbose(), records: &records });
    // Nobody approves what was not shown.
    if cx.flags.yes {
        cx.ui.talk(&shown)
    } else {
        cx.ui.say(&shown)
    }
    refuse_incomplete(cx, &saved, how)?;
    if saved.plan.is_empty() {
        let code = idle_code(&saved, destroy);
        cx.ui.event(&json!({ "event": "summary", "exit_code": code.code(), "plan": saved.id, "steps": 0 }));
        return Ok(code);
    }
    approve(cx, &saved, destroy, how)?;
    carry_out(cx, env, saved, how).await
}

/// What a plan without steps ends with: "nothing to do" is said only of what was seen and may be done.
fn idle_code(saved: &SavedPlan, destroy: bool) -> ExitCode {
    let held = |declined: &Declined| matches!(declined.why, Why::Protected { .. } | Why::HasSnapshots { .. });
    match () {
        () if destroy && saved.plan.declined.iter().any(held) => ExitCode::Refused,
        // What was not looked at may need anything.
        () if !saved.basis.unseen.is_empty() => ExitCode::Failed,
        () if !saved.basis.unreachable.is_empty() => ExitCode::Unreachable,
        () => ExitCode::Done,
    }
}

/// A plan that leaves out what was asked for needs a word more.
fn refuse_incomplete(cx: &Context, saved: &SavedPlan, how: &ApplyFlags) -> Result<(), CliError> {
    if how.partial || !saved.plan.is_incomplete() {
        return Ok(());
    }
    let blocked = saved.plan.declined.iter().filter(|declined| saved.plan.blocks(declined)).count();
    let error = CliError::new(ExitCode::Refused, format!("{} of this plan cannot be done", count(blocked, "item")));
    Err(match saved.plan.is_empty() {
        true => error.hint(format!("see why with: {}", cx.command(&format!("show {}", saved.id)))),
        false => error.hint(format!("apply the rest with: {}", cx.command(&format!("apply {} --partial", saved.id)))),
    })
}

/// Asks for `yes` where someone can answer.
fn approve(cx: &Context, saved: &SavedPlan, destroy: bool, how: &ApplyFlags) -> Result<(), CliError> {
    if cx.flags.yes {
        return Ok(());
    }
    let what = if destroy { "Destroy this" } else { "Do this" };
    let question = format!("\n{} Only `yes` is taken for yes: ", paint(BOLD, &format!("{what}?")));
    let partial = if how.partial { " --partial" } else { "" };
    let later = cx.command(&format!("apply {}{partial}", saved.id));
    match cx.ui.ask(&question) {
        Some(answer) if answer == "yes" => Ok(()),
        Some(_) => Err(CliError::new(ExitCode::Approval, "not approved; nothing was changed")
            .hint(format!("the plan is saved and can be applied with: {later}"))),
        None => Err(CliError::new(ExitCode::Approval, "this needs a `yes`, and there is no terminal to ask at")
            .hint(format!("the plan is saved; apply it with: {later}"))),
    }
}

async fn carry_out(cx: &Context, env: &Environment, plan: SavedPlan, how: &ApplyFlags) -> Outcome {
    let interrupts = Interrupts::default();
    let mut signals = Signals::listen()?;
    let (sender, receiver) = tokio::sync::mpsc::channel(EVENTS);
    let tally = Tally::new(plan.plan.steps.iter().map(|step| &step.address));
    let by_name = !plan.plan.scope.errands.is_empty();
    let on_failure = on_failure(how.on_failure);
    let request = ApplyRequest { plan, partial: how.partial, on_failure, command: command_line() };
    let work = async {
        let run = env.apply(request, sender, interrupts.clone());
        tokio::join!(run, follow(&cx.ui, receiver, tally))
    };
    tokio::select! {
        (summary, tally) = work => finish(cx, &summary?, &tally, by_name),
        () = signals.drive(&interrupts) => Err(CliError::new(ExitCode::Interrupted, "ended at the third signal")
            .hint(format!("what was begun is journalled; go on with: {}", cx.command("apply")))),
    }
}

/// The command line, for the history.
fn command_line() -> pool_inventory::Text {
    let words: Vec<String> = std::env::args().skip(1).map(|word| super::quote(&word)).collect();
    format!("pool {}", words.join(" ")).into()
}

fn finish(cx: &Context, summary: &RunSummary, tally: &Tally, by_name: bool) -> Outcome {
    let code = ExitCode::from_number(summary.exit_code());
    cx.ui.event(&json!({ "event": "summary", "exit_code": code.code(), "run": summary }));
    // An apply brings back what is declared; what was asked for by name has to be asked for again.
    let command = |rest: &str| match rest {
        "apply" if by_name => format!("{}, and ask for the rest again", cx.command(rest)),
        rest => cx.command(rest),
    };
    cx.ui.data(&report(tally, summary, command));
    Ok(code)
}
