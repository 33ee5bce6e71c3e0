//! Work queues and search.

use askama::Template;
use axum::{extract::State, response::Response};
use cuntong_protocol::state::State as CaseState;

use crate::{
    App,
    desk::{CaseQuery, Desk, Today, View},
    page::{Failure, Shell, render},
    row::RowView,
    visit::Visit,
};

/// Rows on one page.
const PAGE_ROWS: u64 = 50;

/// The tabs: view, word in the address, label.
const TABS: [(View, &str, &str); 9] = [
    (View::Mine, "mine", "待我办"),
    (View::Red, "red", "超期"),
    (View::Yellow, "yellow", "临期"),
    (View::Correcting, "correcting", "待补正"),
    (View::ToDeliver, "to_deliver", "待送达"),
    (View::Conflicts, "conflicts", "待确认"),
    (View::LocalOnly, "local_only", "仅存本机"),
    (View::Drafts, "drafts", "草稿"),
    (View::All, "all", "全部"),
];

struct Tab {
    href: String,
    label: &'static str,
    /// Only what is not nought.
    count: Option<u64>,
    /// Red for what is wrong, amber for what soon will be.
    tone: &'static str,
    current: bool,
}

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage {
    page: Shell,
    heading: &'static str,
    tabs: Vec<Tab>,
    action: &'static str,
    view: &'static str,
    text: String,
    states: Vec<(&'static str, &'static str, bool)>,
    rows: Vec<RowView>,
    total: u64,
    first: u64,
    last: u64,
    before: Option<String>,
    after: Option<String>,
    /// Why the list is empty and what next.
    empty: &'static str,
}

/// `GET /queue?view=&state=&q=&page=`
pub(crate) async fn queue<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let word = visit.query.get("view");
    let (view, word, label) = TABS
        .into_iter()
        .find(|(_, w, _)| *w == word)
        .unwrap_or(TABS[0]);
    let today = app.desk.today(visit.who()?).await;
    let tabs = TABS
        .into_iter()
        .map(|(tab, w, label)| {
            let (count, tone) = count(tab, &today);
            Tab {
                href: format!("/queue?view={w}"),
                label,
                count: count.filter(|n| *n > 0),
                tone,
                current: tab == view,
            }
        })
        .collect();
    list(
        &app,
        &visit,
        Listing {
            view,
            word,
            label,
            tabs,
            action: "/queue",
        },
    )
    .await
}

/// `GET /search?q=`
pub(crate) async fn search<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let listing = Listing {
        view: View::All,
        word: "",
        label: "查询办件",
        tabs: Vec::new(),
        action: "/search",
    };
    list(&app, &visit, listing).await
}

struct Listing {
    view: View,
    word: &'static str,
    label: &'static str,
    tabs: Vec<Tab>,
    action: &'static str,
}

async fn list<D: Desk>(app: &App<D>, visit: &Visit, about: Listing) -> Result<Response, Failure> {
    let text = visit.query.get("q").to_owned();
    let state = CaseState::from_word(visit.query.get("state"));
    let number: u64 = visit
        .query
        .get("page")
        .parse()
        .unwrap_or(1)
        .clamp(1, 100_000);
    let offset = (number - 1) * PAGE_ROWS;
    let found = app
        .desk
        .cases(
            visit.who()?,
            CaseQuery {
                view: about.view,
                state,
                text: text.clone(),
                offset,
                limit: PAGE_ROWS,
            },
        )
        .await;
    let shown = found.rows.len() as u64;
    let to = |page: u64| address(&about, state, &text, page);
    render(&QueuePage {
        page: Shell::new(app, visit, about.label).await,
        heading: about.label,
        action: about.action,
        view: about.word,
        states: CaseState::ALL
            .into_iter()
            .map(|s| (s.word(), s.zh(), Some(s) == state))
            .collect(),
        rows: RowView::all(&found.rows, app.desk.now()),
        total: found.total,
        first: if shown == 0 { 0 } else { offset + 1 },
        last: offset + shown,
        before: (number > 1).then(|| to(number - 1)),
        after: (offset + shown < found.total).then(|| to(number + 1)),
        empty: if text.is_empty() && state.is_none() {
            empty(about.view)
        } else {
            "没有符合条件的办件。可以只写姓名中的一个字、拼音首字母、证件号后四位或编号。"
        },
        text,
        tabs: about.tabs,
    })
}

/// The address of another page of the same list.
fn address(about: &Listing, state: Option<CaseState>, text: &str, page: u64) -> String {
    let mut to = format!("{}?page={page}", about.action);
    if !about.word.is_empty() {
        to.push_str(&format!("&view={}", about.word));
    }
    if let Some(state) = state {
        to.push_str(&format!("&state={}", state.word()));
    }
    if !text.is_empty() {
        to.push_str("&q=");
        for byte in text.bytes() {
            to.push_str(&format!("%{byte:02X}"));
        }
    }
    to
}

fn count(view: View, today: &Today) -> (Option<u64>, &'static str) {
    match view {
        View::All => (None, ""),
        View::Mine => (Some(today.to_do), "info"),
        View::Yellow => (Some(today.yellow), "warn"),
        View::Red => (Some(today.red), "bad"),
        View::Correcting => (Some(today.correcting), "info"),
        View::ToDeliver => (Some(today.to_deliver), "info"),
        View::Conflicts => (Some(today.conflicts), "conflict"),
        View::LocalOnly => (Some(today.local_only), "info"),
        View::Drafts => (Some(today.drafts), "info"),
    }
}

const fn empty(view: View) -> &'static str {
    match view {
        View::All => "还没有办件。按 F2 登记第一件。",
        View::Mine => "眼下没有要您办的。新的办件到了会出现在这里。",
        View::Yellow => "没有临期的办件。",
        View::Red => "没有超期的办件。",
        View::Correcting => "没有等待补正的办件。",
        View::ToDeliver => "没有等待送达的结果。",
        View::Conflicts => "没有待确认的内容：两处改同一项、先后有疑、疑似重复时会出现在这里。",
        View::LocalOnly => "本机的办件都已有县里的存证回单。",
        View::Drafts => "没有草稿。",
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Browser, FakeDesk};

    #[tokio::test]
    async fn a_queue_shows_lights_as_shape_word_and_colour() {
        let page = Browser::agent(FakeDesk::village())
            .get("/queue?view=all")
            .await;
        assert_eq!(page.status, 200);
        page.has("▲").has("临期").has("chip-warn").has("县里已收");
    }

    #[tokio::test]
    async fn a_search_keeps_what_was_typed_and_says_why_it_is_empty() {
        let page = Browser::agent(FakeDesk::village())
            .get("/search?q=%3Cscript%3Ealert(1)")
            .await;
        page.has("没有符合条件的办件").has_not("<script>alert");
        page.has("&#60;script&#62;alert(1)");
    }

    #[tokio::test]
    async fn pages_follow_each_other_and_keep_the_question() {
        let page = Browser::agent(FakeDesk::village().many(800))
            .get("/queue?view=all&q=%E7%8E%8B&page=2")
            .await;
        page.has("/queue?page=1&#38;view=all&#38;q=%E7%8E%8B")
            .has("/queue?page=3&#38;view=all&#38;q=%E7%8E%8B")
            .has("第 51–100 件");
    }
}
