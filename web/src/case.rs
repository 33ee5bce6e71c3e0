//! The case page: who asks what, where it stands, what was done by whom, and what may be done.

pub(crate) mod act;
pub(crate) mod timeline;
mod view;

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use cuntong_protocol::{case::Field, id::CaseId};

use crate::{
    App,
    desk::{CasePage, Desk},
    files::{self, FileView},
    page::{Failure, Problem, Shell, done, render, render_failed},
    row::RowView,
    tray::{self, RejectionView},
    visit::{Fields, Visit},
};
use act::{Form, FormView};
use timeline::EventView;
use view::{ClockView, ConflictView, FieldView, MaterialView, Paper, ReceiptView, Step};

#[derive(Template)]
#[template(path = "case.html")]
struct CaseView {
    page: Shell,
    problems: Vec<Problem>,
    /// Where the forms post to.
    href: String,
    row: RowView,
    phone: String,
    proxy: bool,
    late_entry: bool,
    with_gaps: bool,
    on_the_spot: bool,
    needs_ruling: bool,
    double_correction: bool,
    duplicate_of: Option<String>,
    parallel: Vec<String>,
    steps: Vec<Step>,
    clocks: Vec<ClockView>,
    used: Option<u32>,
    promised_days: u16,
    fields: Vec<FieldView>,
    materials: Vec<MaterialView>,
    conflicts: Vec<ConflictView>,
    events: Vec<EventView>,
    forms: Vec<FormView>,
    rule: Option<FormView>,
    resolve: Option<FormView>,
    duplicate: Option<FormView>,
    amend: Option<FormView>,
    twins: Vec<(RowView, String)>,
    receipts: Vec<ReceiptView>,
    again: Option<RejectionView>,
    rejections: Vec<RejectionView>,
    papers: Vec<Paper>,
    files: Vec<FileView>,
    /// Whether this person may add files here.
    attaches: bool,
    /// The item's materials, for saying what a file is.
    item_materials: Vec<String>,
    catalogue: view::ItemFacts,
}

/// `GET /cases/{id}`
pub(crate) async fn show<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let found = find(&app, &visit, &id).await?;
    let again = tray::again(&app, &visit).await?;
    let tried = match &again {
        Some(again) => match tray::on_case(&again.command) {
            Some((case, form, mut typed)) if case == found.row.id => {
                typed.set(tray::REDO, again.row.id.to_string());
                Some((form, typed))
            }
            Some(_) | None => return Err(Failure::NotFound),
        },
        None => None,
    };
    let tried = tried.as_ref().map(|(form, typed)| (*form, typed));
    render(&build(&app, &visit, &found, tried, Vec::new()).await)
}

/// The case of that id in an address, when this person may see it.
pub(crate) async fn find<D: Desk>(
    app: &App<D>,
    visit: &Visit,
    id: &str,
) -> Result<CasePage, Failure> {
    let id: CaseId = id.parse().map_err(|_not_an_id| Failure::NotFound)?;
    app.desk
        .case(visit.who()?, id)
        .await
        .ok_or(Failure::NotFound)
}

/// `POST /cases/{id}/…`: one act. What was typed stays when the rules refuse.
pub(crate) async fn perform<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    let found = find(&app, &visit, &id).await?;
    let problems = match form.command(&found, &visit.form) {
        Ok(command) => match tray::perform(&app, &visit, command).await? {
            Ok(_done) => return Ok(done(&format!("/cases/{}", found.row.id), form.word())),
            Err(refusal) => form.problems(&refusal),
        },
        Err(problems) => problems,
    };
    let view = build(&app, &visit, &found, Some((form, &visit.form)), problems).await;
    render_failed(&view)
}

/// The page of a case with what was wrong with a form that is not one of [`Form`].
pub(crate) async fn failed<D: Desk>(
    app: &App<D>,
    visit: &Visit,
    id: &str,
    problems: Vec<Problem>,
) -> Result<Response, Failure> {
    let found = find(app, visit, id).await?;
    render_failed(&build(app, visit, &found, None, problems).await)
}

async fn build<D: Desk>(
    app: &App<D>,
    visit: &Visit,
    found: &CasePage,
    tried: Option<(Form, &Fields)>,
    problems: Vec<Problem>,
) -> CaseView {
    let now = app.desk.now();
    let row = RowView::of(&found.row, now);
    let page = Shell::new(app, visit, &format!("{} · {}", row.name, row.item)).await;
    let page = if problems.is_empty() {
        page
    } else {
        page.failed()
    };
    let case = &found.case;
    let offered = |form: Form| FormView::offered(form, found, tried);
    let again = tray::head(app, visit).await;
    let rejections = found.rejections.iter();
    let others = rejections.filter(|row| again.as_ref().is_none_or(|again| again.id != row.id));
    CaseView {
        problems,
        href: format!("/cases/{}", found.row.id),
        phone: value_shown(found, cuntong_protocol::fields::PHONE),
        proxy: case.flags.proxy,
        late_entry: case.flags.late_entry,
        with_gaps: case.flags.with_gaps,
        on_the_spot: case.flags.on_the_spot,
        needs_ruling: case.flags.needs_ruling,
        double_correction: case.flags.double_correction,
        duplicate_of: case.flags.duplicate_of.map(|id| format!("/cases/{id}")),
        parallel: view::parallel(found),
        steps: view::steps(case),
        clocks: view::clocks(case),
        used: case.clocks.used,
        promised_days: found.item.promised_days,
        fields: view::fields(found),
        materials: view::materials(found),
        conflicts: view::conflicts(found, now),
        events: timeline::events(found, now),
        forms: forms(found, tried),
        rule: offered(Form::Rule),
        resolve: offered(Form::Resolve),
        duplicate: offered(Form::Duplicate),
        amend: offered(Form::Amend),
        twins: found
            .twins
            .iter()
            .map(|twin| (RowView::of(twin, now), twin.id.text()))
            .collect(),
        receipts: view::receipts(found),
        rejections: others.map(|row| RejectionView::of(row, now)).collect(),
        again,
        papers: view::papers(case),
        files: visit
            .who()
            .map(|who| files::views(found, who, now))
            .unwrap_or_default(),
        attaches: visit
            .who()
            .is_ok_and(|who| crate::routes::WORKS.admits(who)),
        item_materials: found
            .item
            .materials
            .iter()
            .map(|m| m.name.clone())
            .collect(),
        catalogue: view::ItemFacts::of(&found.item),
        row,
        page,
    }
}

/// The forms among the actions. What was typed is shown even where the case has moved on and
/// the step is offered no more.
fn forms(found: &CasePage, tried: Option<(Form, &Fields)>) -> Vec<FormView> {
    let kinds = found.offers.iter().filter_map(|kind| Form::of(*kind));
    let mut forms: Vec<Form> = kinds.collect();
    let tried_form = tried.map(|(form, _)| form);
    forms.extend(tried_form.filter(|form| !forms.contains(form)));
    let listed = forms.into_iter().filter(|form| form.in_list());
    listed
        .filter_map(|form| FormView::offered(form, found, tried))
        .collect()
}

/// The materials of a case and their states, for papers.
pub(crate) fn material_lines(found: &CasePage) -> Vec<(String, String)> {
    view::materials(found)
        .into_iter()
        .map(|line| (line.name, line.state))
        .collect()
}

/// A value as a page or paper shows it: all candidates while nobody has chosen, and that so it is.
pub(crate) fn value_shown(found: &CasePage, field: &str) -> String {
    match found.case.fields.get(field) {
        None => String::new(),
        Some(Field::Value(value)) => value.reveal().to_owned(),
        Some(Field::Conflict(all)) => {
            let values: Vec<&str> = all.iter().map(|c| c.value.reveal()).collect();
            format!("{}（待确认）", values.join(" / "))
        }
    }
}

#[cfg(test)]
mod tests;
