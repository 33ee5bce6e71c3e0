//! 公示公开 for staff: the list, writing, correcting, taking down.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use cuntong_protocol::{
    act::Publish,
    command::Command,
    id::{DocId, SiteId},
    notice::CATEGORIES,
    time::Millis,
};

use crate::{
    App,
    desk::{Desk, NoticeRow, NoticeStatus, Site},
    page::{Failure, Problem, Shell, done, render, render_failed},
    routes,
    tray::{self, RejectionView},
    visit::{Fields, Visit},
    words::{self, Chip},
};

/// A notice in words; a withdrawn one has no content.
pub(crate) struct NoticeView {
    pub(crate) href: String,
    pub(crate) anchor: String,
    pub(crate) title: String,
    pub(crate) paragraphs: Vec<String>,
    pub(crate) category: String,
    pub(crate) publisher: String,
    pub(crate) places: String,
    pub(crate) from: String,
    pub(crate) until: String,
    pub(crate) published: String,
    pub(crate) version: u32,
    pub(crate) correction: String,
    pub(crate) status: Chip,
    /// When, and why.
    pub(crate) withdrawn: Option<(String, String)>,
}

impl NoticeView {
    pub(crate) fn of(row: &NoticeRow, now: Millis) -> Self {
        let gone = row.status == NoticeStatus::Withdrawn;
        let places: Vec<&str> = row.places.iter().map(|place| place.name.as_str()).collect();
        Self {
            href: format!("/notices/{}", row.id),
            anchor: row.id.text(),
            title: row.title.clone(),
            paragraphs: if gone {
                Vec::new()
            } else {
                paragraphs(&row.body)
            },
            category: row.category.clone(),
            publisher: row.publisher_name.clone(),
            places: places.join("、"),
            from: row.from.clone(),
            until: row.until.clone().unwrap_or_else(|| "长期".to_owned()),
            published: words::moment(row.published_at, now),
            version: row.version,
            correction: row.correction.clone(),
            status: match row.status {
                NoticeStatus::Scheduled => Chip::new("info", "未到期"),
                NoticeStatus::Running => Chip::new("ok", "公示中"),
                NoticeStatus::Ended => Chip::new("neutral", "已期满"),
                NoticeStatus::Withdrawn => Chip::new("neutral", "已撤回"),
            },
            withdrawn: row
                .withdrawn
                .as_ref()
                .map(|(at, why)| (words::date_time(*at), why.clone())),
        }
    }
}

fn paragraphs(body: &str) -> Vec<String> {
    body.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(String::from)
        .collect()
}

#[derive(Template)]
#[template(path = "notices.html")]
struct ListPage {
    page: Shell,
    notices: Vec<NoticeView>,
    publishes: bool,
}

/// `GET /notices`
pub(crate) async fn list<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let now = app.desk.now();
    let who = visit.who()?;
    let rows = app.desk.notices(who).await;
    render(&ListPage {
        page: Shell::new(&app, &visit, "公示公开").await,
        notices: rows.iter().map(|row| NoticeView::of(row, now)).collect(),
        publishes: routes::PUBLISHES.admits(who),
    })
}

/// A place on the form.
struct PlaceBox {
    id: String,
    name: String,
    level: &'static str,
    ticked: bool,
}

/// The form, for a new notice or a new version.
struct NoticeForm {
    action: String,
    title: String,
    body: String,
    categories: Vec<(&'static str, bool)>,
    from: String,
    until: String,
    places: Vec<PlaceBox>,
    correction: String,
    revising: bool,
    redo: String,
}

impl NoticeForm {
    fn new(action: String, typed: &Fields, places: &[Site], revising: bool) -> Self {
        let category = typed.get("category");
        Self {
            action,
            title: typed.get("title").to_owned(),
            body: typed.get("body").to_owned(),
            categories: CATEGORIES
                .into_iter()
                .map(|word| (word, word == category))
                .collect(),
            from: typed.get("from").to_owned(),
            until: typed.get("until").to_owned(),
            places: places
                .iter()
                .map(|place| PlaceBox {
                    id: place.id.to_string(),
                    name: place.name.clone(),
                    level: place.level.zh(),
                    ticked: typed.all("place").any(|id| id == place.id.to_string()),
                })
                .collect(),
            correction: typed.get("correction").to_owned(),
            revising,
            redo: typed.get(tray::REDO).to_owned(),
        }
    }
}

#[derive(Template)]
#[template(path = "notice_new.html")]
struct NewPage {
    page: Shell,
    problems: Vec<Problem>,
    again: Option<RejectionView>,
    form: NoticeForm,
}

/// `GET /notices/new`
pub(crate) async fn blank<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let places = app.desk.places().await;
    let again = tray::again(&app, &visit).await?;
    let typed = match &again {
        Some(again) => match &again.command {
            Command::PublishNotice(publish) => {
                let mut typed = tray::notice_typed(publish);
                typed.set(tray::REDO, again.row.id.to_string());
                typed
            }
            Command::Log(_)
            | Command::Act { .. }
            | Command::Amend { .. }
            | Command::Resolve { .. }
            | Command::ReviseNotice { .. }
            | Command::RetractNotice { .. } => return Err(Failure::NotFound),
        },
        None => {
            let mut typed = Fields::default();
            typed.set("from", words::date(app.desk.now()));
            if let Some(here) = app.desk.header().await.site {
                typed.set("place", here.id.to_string());
            }
            typed
        }
    };
    render(&NewPage {
        page: Shell::new(&app, &visit, "发布公示").await,
        problems: Vec::new(),
        again: tray::head(&app, &visit).await,
        form: NoticeForm::new("/notices/new".to_owned(), &typed, &places, false),
    })
}

/// `POST /notices/new`
pub(crate) async fn publish<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let problems = match version(&visit.form, false) {
        Ok(publish) => {
            let command = Command::PublishNotice(publish);
            match tray::perform(&app, &visit, command).await? {
                Ok(made) => {
                    let to = made
                        .notice
                        .map_or_else(|| "/notices".to_owned(), |id| format!("/notices/{id}"));
                    return Ok(done(&to, "published"));
                }
                Err(refusal) => Problem::of(&refusal),
            }
        }
        Err(problems) => problems,
    };
    let places = app.desk.places().await;
    render_failed(&NewPage {
        page: Shell::new(&app, &visit, "发布公示").await.failed(),
        problems,
        again: tray::head(&app, &visit).await,
        form: NoticeForm::new("/notices/new".to_owned(), &visit.form, &places, false),
    })
}

#[derive(Template)]
#[template(path = "notice.html")]
struct OnePage {
    page: Shell,
    problems: Vec<Problem>,
    notice: NoticeView,
    /// The forms, for publishers of the site that published it.
    form: Option<NoticeForm>,
    revise_open: bool,
    withdraw_open: bool,
    reason: String,
    again: Option<RejectionView>,
    /// The withdrawal form does a refused withdrawal again.
    redo: String,
}

/// `GET /notices/{id}`
pub(crate) async fn one<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let row = find(&app, &id).await?;
    let again = tray::again(&app, &visit).await?;
    let mut typed = Fields::default();
    let form = match again.as_ref().map(|again| &again.command) {
        Some(Command::ReviseNotice { notice, version }) if *notice == row.id => {
            typed = tray::notice_typed(version);
            "revise"
        }
        Some(Command::RetractNotice { notice, reason }) if *notice == row.id => {
            typed.set("reason", reason);
            "withdraw"
        }
        Some(_) => return Err(Failure::NotFound),
        None => "",
    };
    typed.set(tray::REDO, visit.query.get(tray::REDO));
    render(&page(&app, &visit, &row, (form, &typed), Vec::new()).await?)
}

/// `POST /notices/{id}/revise`
pub(crate) async fn revise<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let row = find(&app, &id).await?;
    let problems = match version(&visit.form, true) {
        Ok(version) => {
            let command = Command::ReviseNotice {
                notice: row.id,
                version,
            };
            match tray::perform(&app, &visit, command).await? {
                Ok(_done) => return Ok(done(&format!("/notices/{}", row.id), "revised")),
                Err(refusal) => Problem::of(&refusal),
            }
        }
        Err(problems) => problems,
    };
    render_failed(&page(&app, &visit, &row, ("revise", &visit.form), problems).await?)
}

/// `POST /notices/{id}/withdraw`
pub(crate) async fn withdraw<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let row = find(&app, &id).await?;
    let problems = match visit.form.some("reason") {
        None => vec![Problem::new("withdraw-reason", "请写明撤回的理由")],
        Some(reason) => {
            let command = Command::RetractNotice {
                notice: row.id,
                reason,
            };
            match tray::perform(&app, &visit, command).await? {
                Ok(_done) => return Ok(done(&format!("/notices/{}", row.id), "withdrawn")),
                Err(refusal) => Problem::of(&refusal),
            }
        }
    };
    render_failed(&page(&app, &visit, &row, ("withdraw", &visit.form), problems).await?)
}

async fn find<D: Desk>(app: &App<D>, id: &str) -> Result<NoticeRow, Failure> {
    let id: DocId = id.parse().map_err(|_not_an_id| Failure::NotFound)?;
    app.desk.notice(id).await.ok_or(Failure::NotFound)
}

async fn page<D: Desk>(
    app: &App<D>,
    visit: &Visit,
    row: &NoticeRow,
    (tried, typed): (&str, &Fields),
    problems: Vec<Problem>,
) -> Result<OnePage, Failure> {
    let who = visit.who()?;
    let notice = NoticeView::of(row, app.desk.now());
    let mine = routes::PUBLISHES.admits(who)
        && who.actor.site == row.publisher
        && row.status != NoticeStatus::Withdrawn;
    let form = if mine {
        let typed = if tried == "revise" {
            typed
        } else {
            &as_typed(row)
        };
        let places = app.desk.places().await;
        let action = format!("{}/revise", notice.href);
        Some(NoticeForm::new(action, typed, &places, true))
    } else {
        None
    };
    let shell = Shell::new(app, visit, &notice.title).await;
    let none = Fields::default();
    let withdrawal = if tried == "withdraw" { typed } else { &none };
    Ok(OnePage {
        page: if problems.is_empty() {
            shell
        } else {
            shell.failed()
        },
        problems,
        notice,
        form,
        revise_open: tried == "revise",
        withdraw_open: tried == "withdraw",
        reason: withdrawal.get("reason").to_owned(),
        redo: withdrawal.get(tray::REDO).to_owned(),
        again: tray::head(app, visit).await,
    })
}

/// A notice as its own form would have sent it.
fn as_typed(row: &NoticeRow) -> Fields {
    tray::notice_typed(&Publish {
        title: row.title.clone(),
        body: row.body.clone(),
        places: row.places.iter().map(|place| place.id).collect(),
        category: row.category.clone(),
        from: row.from.clone(),
        until: row.until.clone(),
        case: None,
        correction: String::new(),
    })
}

/// The version a form describes, or everything that is missing.
fn version(typed: &Fields, revising: bool) -> Result<Publish, Vec<Problem>> {
    let mut problems = Vec::new();
    for (name, words) in [
        ("title", "请写标题"),
        ("body", "请写正文"),
        ("category", "请选择事务类别"),
        ("from", "请填公示开始日期"),
    ] {
        if typed.get(name).is_empty() {
            problems.push(Problem::new(name, words));
        }
    }
    let until = typed.some("until");
    if until
        .as_deref()
        .is_some_and(|until| until < typed.get("from"))
    {
        problems.push(Problem::new("until", "结束日期早于开始日期"));
    }
    let places: Vec<SiteId> = typed
        .all("place")
        .filter_map(|id| id.parse().ok())
        .collect();
    if places.is_empty() {
        problems.push(Problem::new("places", "请至少选择一个公示地点"));
    }
    if revising && typed.get("correction").is_empty() {
        problems.push(Problem::new("correction", "请写明为什么更正"));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Publish {
        title: typed.get("title").to_owned(),
        body: typed.get("body").replace("\r\n", "\n"),
        places,
        category: typed.get("category").to_owned(),
        from: typed.get("from").to_owned(),
        until,
        case: None,
        correction: if revising {
            typed.get("correction").to_owned()
        } else {
            String::new()
        },
    })
}

#[cfg(test)]
mod tests;
