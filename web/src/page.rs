//! The frame of every page, and the pages of failures, each with a way on.

use std::sync::Arc;

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use cuntong_protocol::{
    fields,
    refusal::Refusal,
    role::{Level, Role},
};

use crate::{
    App, assets,
    desk::{Desk, Who},
    routes, tray,
    visit::{Display, Visit},
    words::Chip,
};

/// What the layout shows around a page.
pub(crate) struct Shell {
    pub(crate) title: String,
    /// The title then starts with 错误:, so that a screen reader says it first.
    pub(crate) failed: bool,
    pub(crate) place: String,
    pub(crate) level: &'static str,
    pub(crate) node: String,
    pub(crate) person: Option<PersonView>,
    pub(crate) nav: Vec<NavItem>,
    pub(crate) pill: Chip,
    pub(crate) clock_suspect: bool,
    /// The demo's link switch: up or unplugged.
    pub(crate) demo_link: Option<bool>,
    pub(crate) demo: bool,
    pub(crate) form_token: String,
    pub(crate) display: Display,
    pub(crate) back: String,
    /// What has just been done, in words.
    pub(crate) said: Option<&'static str>,
    /// Whether this person logs cases: F2 and its button.
    pub(crate) logs_cases: bool,
    pub(crate) reads_cases: bool,
    pub(crate) at_intake: bool,
}

/// The signed-in person, for the corner of the page.
pub(crate) struct PersonView {
    pub(crate) name: String,
    pub(crate) roles: String,
}

/// One entry of the main navigation.
pub(crate) struct NavItem {
    pub(crate) href: &'static str,
    pub(crate) label: &'static str,
    pub(crate) current: bool,
}

impl Shell {
    /// The frame for this visit.
    pub(crate) async fn new<D: Desk>(app: &App<D>, visit: &Visit, title: &str) -> Self {
        let header = app.desk.header().await;
        let demo_link = app.desk.demo_link().await;
        let (place, level) = header.site.as_ref().map_or_else(
            || ("尚未加入".to_owned(), ""),
            |site| (site.name.clone(), site.level.zh()),
        );
        Self {
            title: title.to_owned(),
            failed: false,
            place,
            level,
            node: header.node.text(),
            person: visit.who.as_ref().map(|who| PersonView {
                name: who.name.clone(),
                roles: roles(who),
            }),
            nav: visit
                .who
                .as_ref()
                .map_or_else(Vec::new, |who| nav(who, &visit.path)),
            pill: Chip {
                tone: header.pill.tone.word(),
                words: header.pill.words,
            },
            clock_suspect: header.clock_suspect,
            demo_link,
            demo: header.demo,
            form_token: visit.form_token.clone(),
            display: visit.display,
            back: back(visit),
            said: said(visit.query.get("done")),
            logs_cases: visit.who.as_ref().is_some_and(|w| routes::LOGS.admits(w)),
            at_intake: visit.path.starts_with("/intake"),
            reads_cases: visit.who.as_ref().is_some_and(|w| routes::READS.admits(w)),
        }
    }

    /// The same, for a page that shows errors.
    #[must_use]
    pub(crate) fn failed(mut self) -> Self {
        self.failed = true;
        self
    }

    /// Address of a style sheet or module.
    pub(crate) fn asset(&self, name: &str) -> String {
        format!("/assets/{}/{name}", assets::version())
    }

    /// Choices of the display menu: name, word, label, chosen.
    pub(crate) fn choices(&self) -> Vec<(&'static str, &'static str, &'static str, bool)> {
        let sizes = Display::SIZES
            .into_iter()
            .map(|(word, label)| ("size", word, label, word == self.display.size));
        let themes = Display::THEMES
            .into_iter()
            .map(|(word, label)| ("theme", word, label, word == self.display.theme));
        sizes.chain(themes).collect()
    }
}

/// Where the display menu returns to: the address shown; after a refused form that of its page.
fn back(visit: &Visit) -> String {
    let page = shown(visit);
    let fields = if visit.safe {
        &visit.query
    } else {
        &visit.form
    };
    match tray::id(fields) {
        Some(id) => format!("{page}?{}={id}", tray::REDO),
        None => page,
    }
}

fn shown(visit: &Visit) -> String {
    if !visit.safe {
        let parts: Vec<&str> = visit.path.split('/').collect();
        return match parts.as_slice() {
            ["", page @ ("cases" | "notices"), id, _act] => format!("/{page}/{id}"),
            ["", page @ ("intake" | "sync"), ..] => format!("/{page}"),
            _ => visit.path.clone(),
        };
    }
    let view = visit.query.get("view");
    let plain = !view.is_empty() && view.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if plain {
        format!("{}?view={view}", visit.path)
    } else {
        visit.path.clone()
    }
}

fn roles(who: &Who) -> String {
    let words: Vec<&str> = who.actor.roles.iter().map(|role| role.zh()).collect();
    words.join("、")
}

fn nav(who: &Who, path: &str) -> Vec<NavItem> {
    let reads = routes::READS.admits(who);
    let mut all = vec![("/", "今日", true)];
    all.push(("/queue", "办件", reads));
    all.push(("/items", "事项", true));
    all.push(("/notices", "公示公开", true));
    all.push(("/sync", "上报与存证", true));
    all.push(("/nodes", "节点", who.level == Level::County));
    all.into_iter()
        .filter(|(_, _, shown)| *shown)
        .map(|(href, label, _)| NavItem {
            href,
            label,
            current: match href {
                "/" => path == "/",
                "/queue" => ["/queue", "/cases", "/search"]
                    .iter()
                    .any(|p| path.starts_with(p)),
                other => path.starts_with(other),
            },
        })
        .collect()
}

/// The sentence for a word in `?done=`; only words we know say anything.
fn said(word: &str) -> Option<&'static str> {
    Some(match word {
        "received" => "已收件，并已存入本机。可以打印收件凭证。",
        "draft" => "草稿已存。材料齐后再收件。",
        "completed" => "已即办办结，并已存入本机。",
        "accept" => "已受理。",
        "correct" => "一次性补正告知书已生成，可以打印。",
        "refuse" => "已作出不予受理。",
        "review" => "审查意见已记录。",
        "decide" => "决定已作出。",
        "close" => "已办结。",
        "complete" => "已即办办结。",
        "deliver" => "送达已记录。",
        "withdraw" => "撤回已记录。",
        "terminate" => "办件已终止。",
        "supplement" => "补正材料已收。",
        "receive" => "已收件。可以打印收件凭证。",
        "amend" => "更正已保存。",
        "resolve" => "已选定，冲突解除。",
        "rule" => "裁定已记录。",
        "duplicate" => "两件已关联为重复件。",
        "published" => "公示已发布；上报后各处可见。",
        "revised" => "新版本已发布。",
        "withdrawn" => "公示已撤回；各处只留撤回说明。",
        "attached" => "附件已添加；有网自动上传。",
        "detached" => "附件已作废；各处不再传它。",
        "woken" => "已重新尝试连接。",
        "seen" => "已标为看过。",
        "dropped" => "已作罢；退回箱里留着是谁、什么时候、为什么。",
        _ => return None,
    })
}

/// Why a request got no page of its own.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    SignedOut,
    Forbidden,
    /// An unsafe request that does not prove it came from one of our pages.
    Origin,
    NotFound,
    TooLarge,
    /// The files of a form.
    FileTooLarge,
    NotAForm,
    Refused(Refusal),
    Broken,
}

impl Failure {
    const fn status(&self) -> StatusCode {
        match self {
            Self::SignedOut => StatusCode::SEE_OTHER,
            Self::Forbidden | Self::Origin => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::TooLarge | Self::FileTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotAForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Heading and way on.
    fn words(&self) -> (&'static str, String) {
        match self {
            Self::SignedOut => ("请先登录", String::new()),
            Self::Forbidden => (
                "您的岗位不能打开这一页",
                "如果工作需要，请联系县级管理员调整岗位。".to_owned(),
            ),
            Self::Origin => (
                "这次提交没有被接受",
                "提交不是从本系统的页面发出，或者页面放得太久。请返回，重新打开页面再提交。"
                    .to_owned(),
            ),
            Self::NotFound => (
                "没有这一页",
                "地址可能抄错了，或者这件事不在本站点的范围内。".to_owned(),
            ),
            Self::TooLarge => ("内容太长", "请缩短后再提交。".to_owned()),
            Self::FileTooLarge => (
                "文件太大",
                "一次最多 12 个文件，合计不超过 32 MB。请返回，分几次添加，或降低扫描的清晰度。"
                    .to_owned(),
            ),
            Self::NotAForm => ("看不懂这次提交", "请从页面上的表单提交。".to_owned()),
            Self::Refused(refusal) => ("没有办成", format!("{refusal} [{}]", refusal.code())),
            Self::Broken => (
                "这一页没能显示",
                "已保存的内容没有丢。请返回再试；仍不行，请联系管理员。".to_owned(),
            ),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        if matches!(
            refusal,
            Refusal::NoSuchCase
                | Refusal::NoSuchNotice
                | Refusal::NoSuchItem(_)
                | Refusal::NoSuchRejection
        ) {
            Self::NotFound
        } else {
            Self::Refused(refusal)
        }
    }
}

/// Only the status and the failure itself: the gate, which knows the visit, makes the page.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    page: Shell,
    words: String,
    /// Signed-out people are shown the way in.
    signed_in: bool,
}

/// The page of a failure.
pub(crate) async fn failure<D: Desk>(app: &App<D>, visit: &Visit, failure: &Failure) -> Response {
    if matches!(failure, Failure::SignedOut) {
        let to = if visit.path == "/" || !visit.safe {
            "/login".to_owned()
        } else {
            format!("/login?next={}", visit.path)
        };
        return Redirect::to(&to).into_response();
    }
    let (title, words) = failure.words();
    let view = FailurePage {
        page: Shell::new(app, visit, title).await.failed(),
        words,
        signed_in: visit.who.is_some(),
    };
    match render(&view) {
        Ok(body) => (failure.status(), body).into_response(),
        Err(_twice) => (failure.status(), title).into_response(),
    }
}

/// A template as an answer.
pub(crate) fn render(view: &impl Template) -> Result<Response, Failure> {
    match view.render() {
        Ok(html) => Ok(Html(html).into_response()),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            Err(Failure::Broken)
        }
    }
}

/// A page that shows errors: 422, so that scripts and caches can tell.
pub(crate) fn render_failed(view: &impl Template) -> Result<Response, Failure> {
    Ok((StatusCode::UNPROCESSABLE_ENTITY, render(view)?).into_response())
}

/// Goes on to a page and says what was done.
pub(crate) fn done(path: &str, word: &str) -> Response {
    Redirect::to(&format!("{path}?done={word}")).into_response()
}

/// A short plain answer for scripts.
pub(crate) fn plain(status: StatusCode, words: &'static str) -> Response {
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    (status, [(header::CONTENT_TYPE, kind)], words).into_response()
}

/// One line of the error summary: where, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Id of the input it is about; empty when it is about none.
    pub(crate) field: String,
    pub(crate) words: String,
}

impl Problem {
    pub(crate) fn new(field: impl Into<String>, words: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            words: words.into(),
        }
    }

    /// A refusal of the rules, at the inputs it names by their words in the rules.
    pub(crate) fn of(refusal: &Refusal) -> Vec<Self> {
        let coded = |words: String| format!("{words} [{}]", refusal.code());
        if let Refusal::Fields(all) = refusal {
            return all
                .iter()
                .map(|(field, why)| {
                    let words = format!("{}\u{ff1a}{why}", fields::label(field));
                    Self::new(field.clone(), coded(words))
                })
                .collect();
        }
        let field = if let Refusal::Field { field, .. } = refusal {
            field.as_str()
        } else if matches!(refusal, Refusal::Duplicate { .. }) {
            "duplicate_reason"
        } else if matches!(refusal, Refusal::MandateMissing | Refusal::NoProxy) {
            "proxy"
        } else {
            ""
        };
        vec![Self::new(field, coded(refusal.to_string()))]
    }
}

/// Roles whose holder works on cases.
pub(crate) const WORKERS: &[Role] = &[Role::Agent, Role::Clerk, Role::Decider, Role::CountyClerk];
