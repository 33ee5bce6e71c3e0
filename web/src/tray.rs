//! 退回箱: what came back and why, doing it again (重做) and dropping it (作罢).

mod typed;

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use cuntong_protocol::{command::Command, refusal::Refusal, time::Millis};

use crate::{
    App,
    desk::{Desk, Done, Outcome, Redo, RejectionRow},
    intake,
    page::{Failure, Problem, done, render_failed},
    sync,
    visit::{Fields, Visit},
    words,
};
pub(crate) use typed::{intake as intake_typed, notice as notice_typed, on_case};

/// Name of the input that says which refused record a form does again.
pub(crate) const REDO: &str = "redo";

/// A refused record, for /sync, the case page and the head of a form that does it again.
pub(crate) struct RejectionView {
    pub(crate) id: i64,
    pub(crate) at: String,
    pub(crate) href: Option<String>,
    pub(crate) what: String,
    pub(crate) rule: String,
    pub(crate) reason: String,
    pub(crate) by: String,
    pub(crate) open: bool,
    pub(crate) own: bool,
    pub(crate) may: bool,
    pub(crate) settled: Option<SettledView>,
}

/// What became of it.
pub(crate) struct SettledView {
    pub(crate) word: &'static str,
    /// The record made in its place.
    pub(crate) href: Option<String>,
    pub(crate) reason: String,
    pub(crate) person: String,
    pub(crate) at: String,
}

impl RejectionView {
    pub(crate) fn of(row: &RejectionRow, now: Millis) -> Self {
        Self {
            id: row.id,
            at: words::moment(row.at, now),
            // Own work is opened by doing it again: a refused intake has no page of its own.
            href: row
                .case
                .filter(|_case| !row.own)
                .map(|case| format!("/cases/{case}")),
            what: row.what.clone(),
            rule: row.rule.clone(),
            reason: row.reason.clone(),
            by: row.by.clone(),
            open: row.open(),
            own: row.own,
            may: row.may,
            settled: row.settled.as_ref().map(|settled| {
                let (word, href, reason) = match &settled.outcome {
                    Outcome::Redone { case, notice } => {
                        let case = case.map(|id| format!("/cases/{id}"));
                        let notice = notice.map(|id| format!("/notices/{id}"));
                        ("已重做", case.or(notice), String::new())
                    }
                    Outcome::Dropped { reason } => ("已作罢", None, reason.clone()),
                };
                SettledView {
                    word,
                    href,
                    reason,
                    person: settled.person.clone(),
                    at: words::moment(settled.at, now),
                }
            }),
        }
    }

    /// Without whose paper it is, for people who keep nodes, not cases.
    #[must_use]
    pub(crate) fn nameless(mut self) -> Self {
        if !self.may {
            self.href = None;
            self.what = "一条记录".to_owned();
            if let Some(settled) = &mut self.settled {
                settled.href = None;
                settled.reason.clear();
            }
        }
        self
    }
}

/// Which refused record a form or an address speaks of.
pub(crate) fn id(fields: &Fields) -> Option<i64> {
    fields.get(REDO).parse().ok()
}

/// What is to be done again on this page, when its address or its form says so.
pub(crate) async fn again<D: Desk>(app: &App<D>, visit: &Visit) -> Result<Option<Redo>, Failure> {
    let fields = if visit.safe {
        &visit.query
    } else {
        &visit.form
    };
    match id(fields) {
        Some(id) => Ok(Some(app.desk.redo(visit.who()?, id).await?)),
        None => Ok(None),
    }
}

/// The same as the head of a form; nothing when it cannot be done again any more.
pub(crate) async fn head<D: Desk>(app: &App<D>, visit: &Visit) -> Option<RejectionView> {
    let again = again(app, visit).await.ok()??;
    Some(RejectionView::of(&again.row, app.desk.now()))
}

/// Carries out what a form asks; a form that does a refused record again settles that.
pub(crate) async fn perform<D: Desk>(
    app: &App<D>,
    visit: &Visit,
    command: Command,
) -> Result<Result<Done, Refusal>, Failure> {
    let who = visit.who()?;
    Ok(match id(&visit.form) {
        Some(id) => app.desk.perform_again(who, id, command).await,
        None => app.desk.perform(who, command).await,
    })
}

/// `GET /sync/rejections/{id}/redo`: on to the form, with what was typed.
pub(crate) async fn redo<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path(id): Path<i64>,
) -> Result<Response, Failure> {
    let again = app.desk.redo(visit.who()?, id).await?;
    let page = typed::page(&again.command);
    Ok(Redirect::to(&format!("{page}?{REDO}={id}")).into_response())
}

/// `POST /sync/rejections/{id}/drop`
pub(crate) async fn give_up<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path(id): Path<i64>,
) -> Result<Response, Failure> {
    let who = visit.who()?;
    let reason = visit.form.get("reason").to_owned();
    let problem = match app.desk.drop_rejection(who, id, reason).await {
        Ok(()) => {
            intake::forget(&app, who, id).await;
            return Ok(done("/sync", "dropped"));
        }
        Err(refusal @ (Refusal::ReasonMissing(_) | Refusal::TooLong { .. })) => Problem::new(
            format!("drop-{id}"),
            format!("{refusal} [{}]", refusal.code()),
        ),
        Err(refusal) => return Err(refusal.into()),
    };
    render_failed(&sync::page(&app, &visit, vec![problem]).await?)
}

/// `POST /sync/rejections/{id}/seen`
pub(crate) async fn seen<D: Desk>(State(app): State<App<D>>, Path(id): Path<i64>) -> Response {
    app.desk.rejection_seen(id).await;
    done("/sync", "seen")
}

#[cfg(test)]
mod tests;
