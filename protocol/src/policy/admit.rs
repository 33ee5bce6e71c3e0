//! Foreign changes: the same tables, asked of what another node wrote.

use super::{content, parse, rights::writes, table::ROWS};
use crate::{
    act::{Act, ActBody},
    control::{Directory, NodeEntry, Places},
    document::{ChangeFacts, act_of_bytes},
    id::{Scope, SiteId},
    limits,
    role::Level,
    text::Private,
};

/// Why a change is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {reason}")]
pub struct Denied {
    /// Stable code; the manual has an entry for each.
    pub rule: &'static str,
    /// For the person whose work comes back.
    pub reason: &'static str,
}

macro_rules! denials {
    ($($name:ident $rule:literal $reason:literal;)*) => {
        $(const $name: Denied = Denied { rule: $rule, reason: $reason };)*
    };
}

denials! {
    SCOPE "G501" "这个站点无权写入这类文件";
    CONTENT "G502" "改动含有办理行为和栏目以外的内容";
    UNREADABLE "G503" "办理行为无法识别";
    WRITER "G504" "办理行为署的不是本机";
    KIND "G505" "这类文件不容纳这种办理行为";
    ROLE "G506" "所用岗位不能做这一步";
    SITE "G507" "办理行为署的不是本站点";
    PERSON "G508" "名录中没有这个人，或其不在该站点、没有该岗位";
    TERM "G509" "此人的任期在办理之前已结束";
    FIELD "G510" "栏目名称或内容不合规定";
    UNSIGNED "G511" "改动栏目而没有相应的办理行为";
    FLAWED "G512" "办理行为的内容不完整或过长";
}

impl Denied {
    /// Whether the answer depends on when it is asked: who serves where changes with the years.
    pub fn is_of_its_time(&self) -> bool {
        [PERSON, TERM].contains(self)
    }
}

/// Whether a change of this writer's node may enter a document of this scope. `level` is that of
/// the node's site. Powers that depend on the item are not asked here: an act without them enters
/// and is shown as void.
///
/// # Errors
/// The rule it breaks.
pub fn admit(
    writer: &NodeEntry,
    level: Level,
    scope: Scope,
    facts: &ChangeFacts,
    directory: &Directory,
    places: &Places,
) -> Result<(), Denied> {
    if !writes(places, writer.site, level, scope) {
        return Err(SCOPE);
    }
    if facts.other {
        return Err(CONTENT);
    }
    let mut acts = Vec::new();
    for (id, bytes) in &facts.acts {
        if id.actor() != facts.actor {
            return Err(WRITER);
        }
        let act = act_of_bytes(bytes).ok_or(UNREADABLE)?;
        one_act(&act, writer.site, scope, directory)?;
        acts.push(act);
    }
    for (name, value) in &facts.fields {
        one_field(name, value.as_ref(), &acts)?;
    }
    Ok(())
}

fn one_act(act: &Act, site: SiteId, scope: Scope, directory: &Directory) -> Result<(), Denied> {
    let mut rules = ROWS
        .iter()
        .filter(|row| row.is_for(&act.body) && row.sides.contains(&scope.kind))
        .peekable();
    if rules.peek().is_none() {
        return Err(KIND);
    }
    if !rules.any(|row| row.roles.contains(&act.role)) {
        return Err(ROLE);
    }
    if act.site != site {
        return Err(SITE);
    }
    let person = directory.person(act.person);
    let person = person.filter(|p| p.site == site && p.roles.contains(&act.role));
    let person = person.ok_or(PERSON)?;
    if person.until.is_some_and(|until| act.at > until) {
        return Err(TERM);
    }
    if content::flaws(&act.body).is_empty() {
        Ok(())
    } else {
        Err(FLAWED)
    }
}

/// A field is written together with an act that answers for it.
fn one_field(name: &str, value: Option<&Private>, acts: &[Act]) -> Result<(), Denied> {
    let long = value.is_some_and(|v| v.reveal().len() > limits::FIELD_BYTES_MAX);
    if long || !parse::is_field_name(name) {
        return Err(FIELD);
    }
    let line = parse::material_index(name).is_some();
    let answers = |act: &Act| {
        let body = &act.body;
        matches!(body, ActBody::Open(_) | ActBody::Receive(_))
            || (line && matches!(body, ActBody::Supplement(_)))
            || body.edits() == Some(name)
    };
    if acts.iter().any(answers) {
        Ok(())
    } else {
        Err(UNSIGNED)
    }
}
