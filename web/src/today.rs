//! The day at a glance.

use askama::Template;
use axum::{extract::State, response::Response};

use crate::{
    App,
    desk::{Desk, Today},
    page::{Failure, Shell, render},
    row::RowView,
    visit::Visit,
    words,
};

struct Tile {
    href: &'static str,
    label: &'static str,
    count: u64,
    tone: &'static str,
    shape: &'static str,
    note: &'static str,
}

#[derive(Template)]
#[template(path = "today.html")]
struct TodayPage {
    page: Shell,
    date: String,
    weekday: &'static str,
    tiles: Vec<Tile>,
    rows: Vec<RowView>,
    received_today: u64,
    waiting: u64,
    oldest: String,
    county_at: Option<String>,
    rejected: u64,
}

/// `GET /`
pub(crate) async fn show<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let page = Shell::new(&app, &visit, "今日").await;
    let now = app.desk.now();
    let today = app.desk.today(visit.who()?).await;
    let custody = app.desk.header().await.custody;
    let tiles = if page.reads_cases {
        tiles(&today)
    } else {
        Vec::new()
    };
    let civil = words::civil(now);
    render(&TodayPage {
        date: words::paper_date(civil.date()),
        weekday: weekday(civil.weekday()),
        tiles,
        rows: RowView::all(&today.next, now),
        received_today: today.received_today,
        waiting: custody.waiting,
        oldest: words::span(custody.oldest_s),
        county_at: custody.county_at.map(|at| words::moment(at, now)),
        rejected: today.rejected,
        page,
    })
}

/// The six numbers of the day.
fn tiles(today: &Today) -> Vec<Tile> {
    let tile = |href, label, count, tone, shape, note| Tile {
        href,
        label,
        count,
        tone: if count == 0 { "neutral" } else { tone },
        shape,
        note,
    };
    vec![
        tile(
            "/queue?view=red",
            "超期",
            today.red,
            "bad",
            "●",
            "已过法定或承诺期限",
        ),
        tile(
            "/queue?view=yellow",
            "临期",
            today.yellow,
            "warn",
            "▲",
            "期限将到",
        ),
        tile(
            "/queue?view=mine",
            "待我办",
            today.to_do,
            "info",
            "■",
            "轮到本岗位的一步",
        ),
        tile(
            "/queue?view=correcting",
            "待补正",
            today.correcting,
            "info",
            "\u{2016}",
            "等申请人补材料",
        ),
        tile(
            "/queue?view=to_deliver",
            "待送达",
            today.to_deliver,
            "info",
            "→",
            "有结果，未交到手",
        ),
        tile(
            "/queue?view=conflicts",
            "待确认",
            today.conflicts,
            "conflict",
            "◆",
            "冲突、先后有疑、重复",
        ),
    ]
}

const fn weekday(day: jiff::civil::Weekday) -> &'static str {
    use jiff::civil::Weekday;
    match day {
        Weekday::Monday => "星期一",
        Weekday::Tuesday => "星期二",
        Weekday::Wednesday => "星期三",
        Weekday::Thursday => "星期四",
        Weekday::Friday => "星期五",
        Weekday::Saturday => "星期六",
        Weekday::Sunday => "星期日",
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Browser, FakeDesk};

    #[tokio::test]
    async fn the_day_shows_lights_and_what_is_due_next() {
        let page = Browser::agent(FakeDesk::village()).get("/").await;
        page.has("2026年11月21日")
            .has("星期六")
            .has("临期")
            .has("收件登记");
    }

    #[tokio::test]
    async fn an_administrator_sees_no_case() {
        let page = Browser::administrator(FakeDesk::village()).get("/").await;
        page.has_not("/queue").has_not("/cases/");
    }
}
