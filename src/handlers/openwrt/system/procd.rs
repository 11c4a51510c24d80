//! What procd tells of its services (`ubus call service list`).

use super::Sources;
use crate::handlers::linux::process::Process;
use crate::model::handler::Ctx;
use crate::sys::ubus::{Answer, Value};
use std::rc::Rc;

/// The services; `None` where procd does not answer.
pub fn services(sources: &mut Sources, ctx: &Ctx<'_>) -> Option<Rc<Answer>> {
    sources.answer(ctx, "service", "list", &[])
}

/// The instances of one of them, by name.
pub fn instances<'a>(
    answer: &'a Answer,
    service: &str,
) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
    let instances = answer.root().get(service).and_then(|s| s.get("instances"));
    instances.into_iter().flat_map(Value::fields)
}

/// Whether an instance runs.
pub fn runs(instance: Value<'_>) -> bool {
    instance.get("running").and_then(Value::flag) == Some(true)
}

/// The words an instance is started with.
pub fn words<'a>(instance: Value<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    let command = instance.get("command");
    command.into_iter().flat_map(|c| c.fields().filter_map(|(_, word)| word.text()))
}

/// The number of its process while it runs.
pub fn pid(instance: Value<'_>) -> Option<u32> {
    instance.get("pid")?.number()?.try_into().ok()
}

/// Its process.
pub fn process(ctx: &Ctx<'_>, instance: Value<'_>) -> Option<Process> {
    Process::of(ctx.root, pid(instance)?)
}

/// Whether any instance of a service runs.
pub fn is_up(sources: &mut Sources, ctx: &Ctx<'_>, service: &str) -> bool {
    services(sources, ctx).is_some_and(|a| instances(&a, service).any(|(_, i)| runs(i)))
}
