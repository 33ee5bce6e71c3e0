//! What a page offers a person now.

use super::table::{From, Guard, ROWS, Row};
use crate::{act::ActKind, case::Case, command::Actor, control::Item, id::Kind, role::Level};

/// The acts this person could do on the case as it stands, in the order of the page's buttons.
/// The conditions that depend on what the person types are asked by [`super::decide`].
pub fn offers(actor: &Actor, level: Level, case: &Case, item: &Item) -> Vec<ActKind> {
    let mut out = Vec::new();
    for row in ROWS.iter().filter(|row| row.from != From::New) {
        let may = !row.sides.contains(&Kind::Notice)
            && here(row, actor, level, case)
            && row.starts_from(Some(case.state))
            && !matches!(row.act, ActKind::Attach | ActKind::Detach)
            && row.roles.iter().any(|role| actor.roles.contains(role))
            && row.power.held_by(level, Some(item))
            && useful(row, case);
        if may && !out.contains(&row.act) {
            out.push(row.act);
        }
    }
    out
}

/// Whether this site writes one of the documents that may hold it.
fn here(row: &Row, actor: &Actor, level: Level, case: &Case) -> bool {
    let receiving = actor.site == case.site;
    (receiving && row.sides.contains(&Kind::Application))
        || (level >= Level::Township && row.sides.contains(&Kind::Handling))
}

/// Whether the case gives reason for it.
fn useful(row: &Row, case: &Case) -> bool {
    row.guards.iter().all(|guard| match guard {
        Guard::NoRuling => !case.flags.needs_ruling,
        Guard::Ruling => case.flags.needs_ruling,
        Guard::NotDuplicate | Guard::Earlier => case.flags.duplicate_of.is_none(),
        Guard::OnceComplete => case.asked().is_empty(),
        Guard::OpenGaps => case.flags.with_gaps,
        Guard::Conflict => case.in_conflict(),
        Guard::Form
        | Guard::Proxy
        | Guard::Duplicate
        | Guard::Asked
        | Guard::Materials
        | Guard::GapsClosed
        | Guard::MayWithdraw
        | Guard::MayCollect
        | Guard::Attached => true,
    })
}
