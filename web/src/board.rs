//! 公开栏: what hangs on this site's board today. No login; shows only what it is given.

use askama::Template;
use axum::{extract::State, response::Response};

use crate::{
    App,
    desk::{Desk, NoticeStatus},
    notices::NoticeView,
    page::{Failure, Shell, render},
    visit::Visit,
    words,
};

/// Nothing heard from upstream for this long: the board says so.
const STALE_MS: i64 = 24 * 3_600_000;

#[derive(Template)]
#[template(path = "board.html")]
struct BoardPage {
    page: Shell,
    site: String,
    notices: Vec<NoticeView>,
    as_of: Option<String>,
    stale: bool,
}

/// `GET /board`
pub(crate) async fn show<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let now = app.desk.now();
    let board = app.desk.board().await;
    let hangs = |status| match status {
        NoticeStatus::Running | NoticeStatus::Withdrawn => true,
        NoticeStatus::Scheduled | NoticeStatus::Ended => false,
    };
    render(&BoardPage {
        page: Shell::new(&app, &visit, "公开栏").await,
        notices: board
            .notices
            .iter()
            .filter(|row| hangs(row.status))
            .map(|row| NoticeView::of(row, now))
            .collect(),
        site: board.site_name,
        stale: board.as_of.is_none_or(|at| now.since(at) > STALE_MS),
        as_of: board.as_of.map(words::date_time),
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Browser, FakeDesk};

    #[tokio::test]
    async fn anybody_reads_the_board_and_finds_no_persons_number_on_it() {
        let page = Browser::nobody(FakeDesk::village()).get("/board").await;
        assert_eq!(page.status, 200);
        page.has("公开栏").has("低保").has_not("已期满的公示");
        let digits = page.longest_run_of_digits();
        assert!(digits < 11, "a run of {digits} digits stands on the board");
    }

    #[tokio::test]
    async fn a_withdrawn_notice_leaves_when_who_and_why_but_no_content() {
        let page = Browser::nobody(FakeDesk::village()).get("/board").await;
        page.has("已撤回").has("金额有误").has_not("撤回前的正文");
    }

    #[tokio::test]
    async fn a_board_that_has_not_heard_from_upstream_says_so() {
        let page = Browser::nobody(FakeDesk::village()).get("/board").await;
        page.has("可能不是最新");
    }

    #[tokio::test]
    async fn the_words_of_the_board_are_these() {
        let page = Browser::nobody(FakeDesk::village()).get("/board").await;
        insta::assert_snapshot!("board", page.words());
    }
}
