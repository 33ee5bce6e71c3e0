//! U 盘 on /sync: what lies on the sticks that are plugged in, taking it in, writing for others.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use cuntong_protocol::time::Millis;

use crate::{
    App,
    desk::{BundleOffer, Desk, JobState, OfferState, StickPeer, StickPlace, Sticks},
    page::{Failure, Problem, render_failed},
    sync,
    visit::Visit,
    words,
};

/// While something is under way the page is shown anew so often, seconds.
const AGAIN_S: &str = "2";

/// The part of /sync.
pub(crate) struct SticksView {
    pub(crate) places: Vec<StickPlace>,
    pub(crate) peers: Vec<StickPeer>,
    pub(crate) offers: Vec<OfferView>,
    pub(crate) job: Option<JobView>,
    pub(crate) carried: u64,
}

/// A bundle on a stick.
pub(crate) struct OfferView {
    pub(crate) id: String,
    pub(crate) what: String,
    pub(crate) file: String,
    pub(crate) place: String,
    pub(crate) at: String,
    pub(crate) much: String,
    /// What the button says, when there is something to do.
    pub(crate) button: Option<&'static str>,
    pub(crate) words: String,
}

/// What is being done, or was done last.
pub(crate) struct JobView {
    pub(crate) what: String,
    pub(crate) words: String,
    pub(crate) running: bool,
    pub(crate) failed: bool,
}

impl SticksView {
    pub(crate) fn of(sticks: Sticks, now: Millis) -> Self {
        Self {
            offers: sticks.offers.iter().map(|o| offer(o, now)).collect(),
            places: sticks.places,
            peers: sticks.peers,
            job: sticks.job.map(|job| JobView {
                what: job.what,
                words: job.words,
                running: job.state == JobState::Running,
                failed: job.state == JobState::Failed,
            }),
            carried: sticks.carried,
        }
    }
}

fn offer(row: &BundleOffer, now: Millis) -> OfferView {
    let (button, words) = match &row.state {
        OfferState::Take => (Some("收取"), String::new()),
        OfferState::Carry => (
            Some("代为收下"),
            "给别处的，本机打不开；收下后随下一个 U 盘带去".to_owned(),
        ),
        OfferState::Taken(words) => (None, format!("已收：{words}")),
        OfferState::Nothing(why) => (None, why.clone()),
    };
    OfferView {
        id: row.id.clone(),
        what: match (row.from.as_str(), row.to.as_str()) {
            ("", "") => "看不出是谁的".to_owned(),
            (from, to) => format!("{from} 给 {to}"),
        },
        file: row.file.clone(),
        place: row.place.clone(),
        at: row
            .at
            .map_or_else(|| "—".to_owned(), |at| words::moment(at, now)),
        much: match row.at {
            Some(_) => format!("{} 条 · {}", row.entries, words::bytes(row.bytes)),
            None => "—".to_owned(),
        },
        button,
        words,
    }
}

/// `POST /sync/sticks/take`
pub(crate) async fn take<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let begun = app
        .desk
        .take_bundle(visit.form.get("offer").to_owned())
        .await;
    back(&app, &visit, begun, "sticks").await
}

/// `POST /sync/sticks/write`
pub(crate) async fn write<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let (place, peer) = (visit.form.get("place"), visit.form.get("peer"));
    let begun = app.desk.write_bundle(place.to_owned(), peer.to_owned());
    back(&app, &visit, begun.await, "place").await
}

async fn back<D: Desk>(
    app: &App<D>,
    visit: &Visit,
    begun: Result<(), String>,
    field: &str,
) -> Result<Response, Failure> {
    match begun {
        Ok(()) => Ok(Redirect::to("/sync#sticks").into_response()),
        Err(why) => render_failed(&sync::page(app, visit, vec![Problem::new(field, why)]).await?),
    }
}

/// The page that is shown anew by itself while something is under way, with and without scripts.
pub(crate) fn again(mut response: Response, sticks: &SticksView) -> Response {
    if sticks.job.as_ref().is_some_and(|job| job.running) {
        let headers = response.headers_mut();
        headers.insert(header::REFRESH, HeaderValue::from_static(AGAIN_S));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::testing::{Browser, FakeDesk};

    #[tokio::test]
    async fn a_stick_says_who_wrote_what_for_whom_and_what_can_be_done() {
        let page = Browser::clerk(FakeDesk::township()).get("/sync").await;
        page.has("石桥村 给 北乡镇").has("12 条 · ").has("收取");
        page.has("石桥村 给 云麓县")
            .has("代为收下")
            .has("本机打不开");
        page.has("没有写完").has("U 盘拔得太早");
        page.has("替别人保管着 1 份");
    }

    #[tokio::test]
    async fn a_bundle_is_taken_and_written_without_any_script() {
        let browser = Browser::clerk(FakeDesk::township());
        let page = browser.post("/sync/sticks/take", &[("offer", "0a")]).await;
        assert_eq!(page.location(), "/sync#sticks");
        assert!(browser.desk.heard("take 0a"));
        let form = [("place", "p1"), ("peer", "n-1")];
        let page = browser.post("/sync/sticks/write", &form).await;
        assert_eq!(page.location(), "/sync#sticks");
        assert!(browser.desk.heard("write p1 n-1"));
        let page = browser.get("/sync").await;
        page.has("已收取 3 条，共 12 条");
        assert_eq!(page.headers["refresh"], "2");
    }

    #[tokio::test]
    async fn a_stick_that_was_pulled_meanwhile_is_said_on_the_same_page() {
        let browser = Browser::agent(FakeDesk::village());
        let page = browser
            .post("/sync/sticks/take", &[("offer", "gone")])
            .await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        page.has("已经不在了").has("上报与存证");
    }

    #[tokio::test]
    async fn who_only_watches_carries_nothing_and_is_shown_no_button() {
        let browser = Browser::publisher(FakeDesk::township());
        let page = browser.get("/sync").await;
        page.has_not("/sync/sticks/");
        let page = browser.post("/sync/sticks/take", &[("offer", "0a")]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
    }
}
