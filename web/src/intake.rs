//! 收件登记 on one dense screen: person, item, materials. Everything typed is kept as a draft,
//! comes back with every answer, and works without JavaScript.

mod form;
pub(crate) mod id_number;

use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cuntong_protocol::{act::Attach, command::Command, control::Item, time::Millis};
use data_encoding::HEXLOWER;

use crate::{
    App,
    desk::{Brought, Desk, Resident, Who},
    files,
    page::{Failure, Problem, Shell, done, render, render_failed},
    row::RowView,
    sign_in,
    tray::{self, RejectionView},
    visit::{Fields, Visit},
    words,
};
pub(crate) use form::input_of;
use form::{ItemChoice, Line, ResidentChoice};

/// The form's name among drafts; doing a refused intake again has a draft of its own, so that
/// it leaves the other alone.
fn draft_of(redo: Option<i64>) -> String {
    match redo {
        Some(id) => format!("intake.redo.{id}"),
        None => "intake".to_owned(),
    }
}
/// Suggestions shown at once.
const SUGGESTIONS: usize = 8;

#[derive(Template)]
#[template(path = "intake.html")]
struct IntakePage {
    page: Shell,
    problems: Vec<Problem>,
    form: Fields,
    /// The refused intake that is done again here.
    again: Option<RejectionView>,
    once: String,
    restored: bool,
    /// What the ID number says: sex, date of birth, age.
    id_says: String,
    residents: Vec<ResidentChoice>,
    residents_asked: bool,
    item: Option<crate::items::ItemView>,
    items: Vec<ItemChoice>,
    lines: Vec<Line>,
    /// Files that came with the form.
    brought: Vec<Brought>,
    duplicates: Vec<RowView>,
    /// Input to stand in when the page opens.
    focus: &'static str,
}

impl IntakePage {
    fn value(&self, name: &str) -> &str {
        self.form.get(name)
    }

    fn wrong(&self, field: &str) -> &str {
        self.problems
            .iter()
            .find(|problem| problem.field == field)
            .map_or("", |problem| problem.words.as_str())
    }

    /// Everything that is missing or wrong.
    fn check(&self, draft: bool, now: Millis) -> Vec<Problem> {
        form::problems(&self.form, self.item.is_some(), &self.lines, draft, now)
    }

    /// Fields without a place on the page.
    fn extra(&self) -> Vec<(&str, &str, &str)> {
        form::extra(&self.form)
    }

    fn focused(&self, field: &str) -> bool {
        self.problems.is_empty() && self.focus == field
    }
}

/// `GET /intake`
pub(crate) async fn show<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let who = visit.who()?;
    let again = tray::again(&app, &visit).await?;
    let refused = match again.map(|again| again.command) {
        Some(Command::Log(log)) => tray::intake_typed(&log),
        Some(_) => return Err(Failure::NotFound),
        None => Fields::default(),
    };
    let redo = tray::id(&visit.query);
    let draft = app.desk.draft(who, draft_of(redo)).await;
    let restored = draft.map(|draft| form::of_draft(&draft));
    let restored = restored.filter(form::anything_typed);
    let mut typed = restored.clone().unwrap_or(refused);
    if let Some(id) = redo {
        typed.set(tray::REDO, id.to_string());
    }
    let restored = restored.is_some();
    let item = visit.query.get("item");
    if !item.is_empty() && !restored {
        typed.set("item", item);
    }
    let mut page = build(&app, &visit, typed, Asked::default()).await?;
    page.restored = restored;
    render(&page)
}

/// `POST /intake`: the button says what is wanted; the answer always keeps what was typed.
pub(crate) async fn submit<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let who = visit.who()?;
    let mut typed = visit.form.clone();
    let step = typed.get("step").to_owned();
    let refused = files::bring(&app, &visit, &mut typed).await?;
    if step == "clear" {
        let redo = tray::id(&typed);
        app.desk.save_draft(who, draft_of(redo), None).await?;
        let to = redo.map_or_else(
            || "/intake".to_owned(),
            |id| format!("/intake?{}={id}", tray::REDO),
        );
        return Ok(axum::response::Redirect::to(&to).into_response());
    }
    let mut asked = Asked::default();
    if let Some(id) = typed.some("pick_resident") {
        let found = app.desk.residents(who, id.clone()).await;
        if let Some(resident) = found.iter().find(|r| r.id.reveal() == id) {
            fill(&mut typed, resident);
        }
        asked.focus = "item_query";
    } else if let Some(code) = typed.some("pick_item") {
        // The lines of another item would be read as lines of this one.
        typed
            .0
            .retain(|(name, _)| !name.starts_with(cuntong_protocol::fields::MATERIAL));
        typed.set("item", code);
        typed.set("item_query", "");
        asked.focus = "material-0";
    } else {
        match step.as_str() {
            "person" => asked.residents = true,
            "item" => asked.items = true,
            "other_item" => {
                typed.set("item", "");
                asked.focus = "item_query";
            }
            "originals" => originals(&app, &mut typed).await,
            "receive" | "complete" | "draft" => {
                return log(&app, &visit, typed, &step, refused).await;
            }
            _ => asked.check = true,
        }
    }
    keep(&app, &visit, &typed).await;
    let mut page = build(&app, &visit, typed, asked).await?;
    if asked.check {
        page.problems = page.check(false, app.desk.now());
        page.problems
            .retain(|problem| !page.form.get(&problem.field).is_empty());
    }
    page.problems.extend(refused);
    if page.problems.is_empty() {
        render(&page)
    } else {
        page.page = page.page.failed();
        render_failed(&page)
    }
}

/// What a re-rendered form was asked to show.
#[derive(Default, Clone, Copy)]
struct Asked {
    residents: bool,
    items: bool,
    check: bool,
    focus: &'static str,
}

/// Logs the case, or says everything that stands in the way.
async fn log<D: Desk>(
    app: &App<D>,
    visit: &Visit,
    typed: Fields,
    step: &str,
    refused: Vec<Problem>,
) -> Result<Response, Failure> {
    let who = visit.who()?;
    let mut page = build(app, visit, typed, Asked::default()).await?;
    page.problems = page.check(step == "draft", app.desk.now());
    page.problems.extend(refused);
    if step == "complete" && page.value("complete").is_empty() {
        page.problems
            .push(Problem::new("complete", "即办须写明结果"));
    }
    if step != "draft" && !page.duplicates.is_empty() && page.value("duplicate_reason").is_empty() {
        let words = "同一人同一事项已有未办结的办件；仍要登记，请写明原因";
        page.problems.push(Problem::new("duplicate_reason", words));
    }
    if page.problems.is_empty() {
        let mut command = form::command(&page.form, step);
        command.attachments = attachments(app, visit, &page).await?;
        match tray::perform(app, visit, Command::Log(command)).await? {
            Ok(made) => {
                // The case is safe; a draft that stays behind is only seen again.
                clear(app, who, tray::id(&page.form)).await;
                let word = match step {
                    "receive" => "received",
                    "complete" => "completed",
                    _ => "draft",
                };
                let to = made
                    .case
                    .map_or_else(|| "/queue".to_owned(), |case| format!("/cases/{case}"));
                return Ok(done(&to, word));
            }
            Err(refusal) => page.problems.extend(form::problems_of(&refusal)),
        }
    }
    keep(app, visit, &page.form).await;
    page.page = page.page.failed();
    render_failed(&page)
}

/// The files of the form, and those of a refused intake that is done again.
async fn attachments<D: Desk>(
    app: &App<D>,
    visit: &Visit,
    page: &IntakePage,
) -> Result<Vec<Attach>, Failure> {
    let again = tray::again(app, visit).await?.map(|again| again.command);
    let mut all = match again {
        Some(Command::Log(log)) => log.attachments,
        Some(_) | None => Vec::new(),
    };
    all.extend(page.brought.iter().map(|file| file.attach.clone()));
    Ok(all)
}

/// The page for what was typed: suggestions, material lines, duplicate warning.
async fn build<D: Desk>(
    app: &App<D>,
    visit: &Visit,
    typed: Fields,
    asked: Asked,
) -> Result<IntakePage, Failure> {
    let who = visit.who()?;
    let item = match typed.some("item") {
        Some(code) => app.desk.item(code, None).await,
        None => None,
    };
    let residents = if asked.residents {
        let query = [typed.get("id"), typed.get("name"), typed.get("phone")]
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or_default();
        app.desk.residents(who, query.to_owned()).await
    } else {
        Vec::new()
    };
    let items = if asked.items || item.is_none() {
        app.desk.items(typed.get("item_query").to_owned()).await
    } else {
        Vec::new()
    };
    let now = app.desk.now();
    let id = id_number::parse(typed.get("id"), now);
    let duplicates = match (&item, &id) {
        (Some(item), Ok(id)) => {
            app.desk
                .duplicates(who, item.code.clone(), id.private())
                .await
        }
        (_, _) => Vec::new(),
    };
    let once = typed
        .some("once")
        .filter(|once| form::once_bytes(once).is_some())
        .unwrap_or_else(|| HEXLOWER.encode(&sign_in::secret()[..16]));
    let focus = match asked.focus {
        "" if typed.get("name").is_empty() && typed.get("id").is_empty() => "id",
        "" if item.is_none() => "item_query",
        "material-0" if item.as_ref().is_none_or(|item| item.materials.is_empty()) => "receive",
        other => other,
    };
    Ok(IntakePage {
        brought: files::brought(app, who, &typed).await,
        page: Shell::new(app, visit, "收件登记").await,
        problems: Vec::new(),
        again: tray::head(app, visit).await,
        once,
        restored: false,
        id_says: id.map_or_else(|_| String::new(), |id| id_number::says(&id, now)),
        residents: residents
            .iter()
            .take(SUGGESTIONS)
            .map(ResidentChoice::of)
            .collect(),
        residents_asked: asked.residents,
        items: items.iter().take(SUGGESTIONS).map(ItemChoice::of).collect(),
        lines: item
            .as_ref()
            .map_or_else(Vec::new, |item| form::lines(item, &typed)),
        item: item.as_ref().map(crate::items::ItemView::of),
        duplicates: RowView::all(&duplicates, now),
        form: typed,
        focus,
    })
}

/// Copies what is known of a resident into the form; what was typed into other fields stays.
fn fill(typed: &mut Fields, resident: &Resident) {
    for (name, value) in [
        ("name", &resident.name),
        ("id", &resident.id),
        ("phone", &resident.phone),
        ("address", &resident.address),
        ("group", &resident.group),
    ] {
        typed.set(name, value.reveal());
    }
    typed.set("filled_from", resident.last.as_str());
}

/// Sets every line not yet set to "original received" (or what the item does not ask for).
async fn originals<D: Desk>(app: &App<D>, typed: &mut Fields) {
    let item: Option<Item> = match typed.some("item") {
        Some(code) => app.desk.item(code, None).await,
        None => None,
    };
    for line in item.map_or_else(Vec::new, |item| form::lines(&item, typed)) {
        if !line.chosen {
            typed.set(&line.name, "original");
        }
    }
}

/// Keeps what was typed; failing to do so must not lose the page it is on.
async fn keep<D: Desk>(app: &App<D>, visit: &Visit, typed: &Fields) {
    let Ok(who) = visit.who() else { return };
    let draft = form::anything_typed(typed).then(|| form::to_draft(typed));
    let name = draft_of(tray::id(typed));
    if let Err(refusal) = app.desk.save_draft(who, name, draft).await {
        tracing::warn!(code = refusal.code(), "the draft was not kept");
    }
}

async fn clear<D: Desk>(app: &App<D>, who: &Who, redo: Option<i64>) {
    if let Err(refusal) = app.desk.save_draft(who, draft_of(redo), None).await {
        tracing::warn!(code = refusal.code(), "the draft was not cleared");
    }
}

/// A refused intake is not done again: what was typed for that goes.
pub(crate) async fn forget<D: Desk>(app: &App<D>, who: &Who, redo: i64) {
    clear(app, who, Some(redo)).await;
}

/// `POST /intake/draft`: what the page's script sends while a person types.
pub(crate) async fn save_draft<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let draft = form::anything_typed(&visit.form).then(|| form::to_draft(&visit.form));
    app.desk
        .save_draft(visit.who()?, draft_of(tray::id(&visit.form)), draft)
        .await?;
    let at = words::date_time(app.desk.now());
    Ok((StatusCode::OK, at[11..].to_owned()).into_response())
}

#[derive(Template)]
#[template(path = "intake_part.html")]
struct Part {
    residents: Vec<ResidentChoice>,
    items: Vec<ItemChoice>,
    asked: &'static str,
}

/// `POST /intake/part`: suggestions while typing; a POST so that no name stands in an address.
pub(crate) async fn part<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let query = visit.form.get("q").to_owned();
    let mut part = Part {
        residents: Vec::new(),
        items: Vec::new(),
        asked: "items",
    };
    if visit.form.get("of") == "residents" {
        let found = app.desk.residents(visit.who()?, query).await;
        part.residents = found
            .iter()
            .take(SUGGESTIONS)
            .map(ResidentChoice::of)
            .collect();
        part.asked = "residents";
    } else {
        let found = app.desk.items(query).await;
        part.items = found.iter().take(SUGGESTIONS).map(ItemChoice::of).collect();
    }
    render(&part)
}

#[cfg(test)]
mod tests;
