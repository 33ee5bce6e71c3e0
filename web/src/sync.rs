//! 上报与存证: where the data is, what waits, what came back, and why a link fails.

use askama::Template;
use axum::{extract::State, response::Response};
use cuntong_protocol::time::Millis;

use crate::{
    App,
    desk::{self, Desk, FilesStanding, PeerRow, SessionRow},
    page::{Failure, Problem, Shell, done, render},
    routes,
    row::RowView,
    sticks::{self, SticksView},
    tray::RejectionView,
    visit::Visit,
    words::{self, Chip},
};

struct PeerView {
    name: String,
    level: &'static str,
    direction: &'static str,
    state: Chip,
    reason: Option<String>,
    /// What to do about it.
    advice: &'static str,
    next_try: Option<String>,
    custody: String,
    last: String,
    /// UDP is blocked: the link stands by TCP.
    spare: bool,
    /// How far a first meeting came.
    beginning: Option<String>,
}

struct SessionView {
    at: String,
    peer: String,
    sent: u64,
    received: u64,
    traffic: String,
    repaired: u64,
    result: String,
}

#[derive(Template)]
#[template(path = "sync.html")]
pub(crate) struct SyncPageView {
    page: Shell,
    problems: Vec<Problem>,
    waiting_count: u64,
    oldest: String,
    county_at: Option<String>,
    peers: Vec<PeerView>,
    habits: Option<String>,
    /// For people who carry sticks.
    sticks: Option<SticksView>,
    waiting: Vec<RowView>,
    rejections: Vec<RejectionView>,
    quarantine: u64,
    documents: u64,
    entries: u64,
    epoch: u32,
    history: Vec<SessionView>,
    /// Attached files, a sentence each.
    files: Vec<String>,
}

/// `GET /sync`
pub(crate) async fn show<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let page = page(&app, &visit, Vec::new()).await?;
    let again = |response| match &page.sticks {
        Some(sticks) => sticks::again(response, sticks),
        None => response,
    };
    render(&page).map(again)
}

/// The page, with what is wrong with a form on it.
pub(crate) async fn page<D: Desk>(
    app: &App<D>,
    visit: &Visit,
    problems: Vec<Problem>,
) -> Result<SyncPageView, Failure> {
    let now = app.desk.now();
    let mut page = Shell::new(app, visit, "上报与存证").await;
    page.failed = !problems.is_empty();
    let sync = app.desk.sync(visit.who()?).await;
    let sticks = if routes::CARRIES.admits(visit.who()?) {
        Some(SticksView::of(app.desk.sticks().await, now))
    } else {
        None
    };
    // Administrators keep nodes, not cases: they see counts.
    let waiting = if page.reads_cases {
        RowView::all(&sync.waiting, now)
    } else {
        Vec::new()
    };
    let rejections = sync.rejections.iter().map(|row| {
        let view = RejectionView::of(row, now);
        if page.reads_cases {
            view
        } else {
            view.nameless()
        }
    });
    Ok(SyncPageView {
        problems,
        waiting_count: sync.custody.waiting,
        oldest: words::span(sync.custody.oldest_s),
        county_at: sync.custody.county_at.map(|at| words::moment(at, now)),
        peers: sync.peers.iter().map(|row| peer(row, now)).collect(),
        habits: sync.habits.zh(),
        sticks,
        waiting,
        rejections: rejections.collect(),
        quarantine: sync.quarantine,
        documents: sync.documents,
        entries: sync.entries,
        epoch: sync.epoch,
        files: files(&sync.files),
        history: sync.history.iter().map(|row| session(row, now)).collect(),
        page,
    })
}

/// What is here, what waits and why.
fn files(standing: &FilesStanding) -> Vec<String> {
    let told = |(count, size): (u64, u64)| format!("{count} 个（{}）", words::bytes(size));
    let mut lines = vec![format!("本机已有 {}。", told(standing.held))];
    if standing.wanted.0 > 0 {
        lines.push(format!("还没有传到本机 {}。", told(standing.wanted)));
    }
    if standing.unsent.0 > 0 {
        lines.push(format!(
            "待传上级 {}；先传缩略图，再传小的。",
            told(standing.unsent)
        ));
    }
    lines.extend(standing.held_up.iter().cloned());
    lines
}

/// `POST /sync/now`
pub(crate) async fn now<D: Desk>(State(app): State<App<D>>) -> Response {
    app.desk.sync_now().await;
    done("/sync", "woken")
}

fn peer(row: &PeerRow, now: Millis) -> PeerView {
    let state = match row.state.as_str() {
        "connected" => Chip::new("ok", "已连接"),
        "connecting" => Chip::new("info", "正在连接"),
        "waiting" if row.rests() => Chip::new("neutral", "按约定时间联系"),
        "waiting" => Chip::new("warn", "未连接"),
        "off" => Chip::new("neutral", "已拔线"),
        other => Chip::new("neutral", other),
    };
    let moment =
        |at: Option<Millis>| at.map_or_else(|| "—".to_owned(), |at| words::moment(at, now));
    PeerView {
        name: row.name.clone(),
        level: row.level.zh(),
        direction: if row.upstream { "上级" } else { "下级" },
        state,
        advice: row.reason.as_ref().map_or("", |(class, _)| advice(class)),
        reason: row.reason.as_ref().map(|(_, words)| words.clone()),
        next_try: row.next_try_s.map(|s| desk::next_call(&row.why, s)),
        custody: moment(row.custody_at),
        last: moment(row.last_session_at),
        spare: row.carrier.as_deref() == Some("tcp"),
        beginning: row.beginning.map(|so_far| so_far.zh()),
    }
}

/// What a person can do about a classified failure.
fn advice(class: &str) -> &'static str {
    match class {
        "no_route" => "本机没有网络。检查网线、路由器或上网卡；不影响继续登记。",
        "hub_down" => "网络通，但对方没有应答。多半是对方在重启，稍后会自动连上。",
        "clock" => "本机时间与上级相差太大。请校准电脑时间。",
        "disk_full" => "磁盘空间不足。请清理磁盘。",
        "version" => "两边版本差得太远。请联系县级管理员升级。",
        "certificate" => "证书没有通过。请联系县级管理员核对入网登记。",
        "rejected" => "对方不接受本机。请联系县级管理员。",
        "clone" => {
            "有一台和本机密钥相同的电脑正连着，多半是整盘复制出来的。两台只能留一台：请联系县级管理员，另一台重新入网。"
        }
        "busy" => "对方正忙，会按它给的时间再连。",
        _ => "",
    }
}

fn session(row: &SessionRow, now: Millis) -> SessionView {
    SessionView {
        at: words::moment(row.at, now),
        peer: row.peer.clone(),
        sent: row.sent,
        received: row.received,
        traffic: format!(
            "↑ {} · ↓ {}",
            words::bytes(row.bytes_up),
            words::bytes(row.bytes_down)
        ),
        repaired: row.repaired,
        result: match row.result.as_str() {
            "ok" | "settled" if row.repaired > 0 => {
                format!("一致，核对修复 {} 件", row.repaired)
            }
            "ok" | "settled" => "一致".to_owned(),
            "differs" if row.repaired > 0 => {
                format!("核对修复 {} 件，仍有不一致，已记下", row.repaired)
            }
            "differs" => "有不一致，已记下".to_owned(),
            other => other.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Browser, FakeDesk};

    #[tokio::test]
    async fn the_page_says_where_the_data_is_and_why_it_does_not_move() {
        let page = Browser::agent(FakeDesk::village()).get("/sync").await;
        page.has("待上报")
            .has("最早")
            .has("没有网络")
            .has("自动重试")
            .has("现在试");
        page.has("一致，核对修复 ");
        page.has("退回箱").has("G508").has("重做").has("标为看过");
    }

    #[tokio::test]
    async fn a_link_by_tcp_says_so() {
        let page = Browser::agent(FakeDesk::township()).get("/sync").await;
        page.has("已连接").has("经 TCP 备用线路");
        page.has("首次同步：已到 1200 份，还差 8800 份 · 1.0 MB · 每秒 12.0 KB");
        let page = Browser::agent(FakeDesk::village()).get("/sync").await;
        page.has_not("TCP");
    }

    #[tokio::test]
    async fn trying_now_wakes_the_links_and_comes_back() {
        let browser = Browser::agent(FakeDesk::village());
        let page = browser.post("/sync/now", &[]).await;
        assert_eq!(page.location(), "/sync?done=woken");
        assert!(browser.desk.heard("sync_now"));
        browser.post("/sync/rejections/7/seen", &[]).await;
        assert!(browser.desk.heard("seen 7"));
    }

    #[tokio::test]
    async fn an_administrator_sees_counts_and_no_names() {
        let page = Browser::administrator(FakeDesk::village())
            .get("/sync")
            .await;
        page.has("待上报").has_not("/cases/").has_not("王秀兰");
    }
}
