//! Papers for the resident, by print style sheet: receipt, correction notice, acceptance, decision.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use cuntong_protocol::{
    act::{Accept, ActBody, Correct, Decide, Refuse},
    case::{Due, Event},
    fields,
};
use fast_qr::{
    QRBuilder,
    convert::{Builder, Shape, svg::SvgBuilder},
};

use crate::{
    App,
    case::{self, find, timeline},
    desk::{CasePage, Desk},
    page::{Failure, render},
    visit::{Display, Visit},
    words,
};

/// What stands on every paper.
struct Sheet {
    title: String,
    back: String,
    display: Display,
    version: &'static str,
    number: String,
    qr: String,
    applicant: String,
    id_masked: String,
    phone: String,
    item: String,
    department: String,
    /// The body that issues it, over the date and the seal's place.
    issuer: String,
    officer: String,
    date: String,
    site: String,
    practice: bool,
}

impl Sheet {
    async fn new<D: Desk>(
        app: &App<D>,
        visit: &Visit,
        found: &CasePage,
        event: &Event,
        title: &str,
    ) -> Self {
        let header = app.desk.header().await;
        let here = header.site.as_ref().filter(|site| site.id == event.site);
        let issuer = match here {
            Some(site) => site.name.clone(),
            None if event.site == found.row.site => found.row.site_name.clone(),
            None => app
                .desk
                .places()
                .await
                .into_iter()
                .find(|place| place.id == event.site)
                .map_or_else(|| found.item.department.clone(), |place| place.name),
        };
        let number = found.row.number.clone().unwrap_or_default();
        Self {
            title: title.to_owned(),
            back: format!("/cases/{}", found.row.id),
            display: visit.display,
            version: crate::assets::version(),
            qr: qr(&number),
            number,
            applicant: case::value_shown(found, fields::NAME),
            id_masked: found.row.id_masked.clone(),
            phone: case::value_shown(found, fields::PHONE),
            item: found.row.item_name.clone(),
            department: found.item.department.clone(),
            issuer,
            officer: timeline::person(found, event.person),
            date: words::paper_date(words::civil(event.at).date()),
            site: found.row.site_name.clone(),
            practice: header.demo,
        }
    }
}

/// The case number as a QR code, so that a scanner can type it into the search box.
fn qr(number: &str) -> String {
    if number.is_empty() {
        return String::new();
    }
    match QRBuilder::new(number).build() {
        Ok(code) => SvgBuilder::default()
            .shape(Shape::Square)
            .margin(1)
            .to_str(&code),
        Err(_too_long) => String::new(),
    }
}

/// The newest act with effect that `pick` knows.
fn newest<'a, T>(
    found: &'a CasePage,
    pick: impl Fn(&'a ActBody) -> Option<T>,
) -> Result<(&'a Event, T), Failure> {
    found
        .case
        .timeline
        .iter()
        .rev()
        .filter(|event| event.void.is_none())
        .find_map(|event| pick(&event.body).map(|content| (event, content)))
        .ok_or(Failure::NotFound)
}

fn date_of(due: Option<&Due>) -> Option<String> {
    due.map(|due| {
        let date = words::paper_date(due.date);
        if due.provisional {
            format!("{date}（暂定）")
        } else {
            date
        }
    })
}

#[derive(Template)]
#[template(path = "paper/receipt.html")]
struct Receipt {
    sheet: Sheet,
    taken: String,
    proxy: bool,
    agent: String,
    contact: String,
    materials: Vec<(String, String)>,
    on_the_spot: bool,
    result: String,
}

/// `GET /cases/{id}/receipt`: 收件凭证.
pub(crate) async fn receipt<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let found = find(&app, &visit, &id).await?;
    let (event, taken) = newest(&found, |body| {
        if let ActBody::Receive(receive) = body {
            Some((receive.taken.as_ref().map(|t| t.at), String::new()))
        } else if let ActBody::Complete(close) = body {
            Some((None, close.result.clone()))
        } else {
            None
        }
    })?;
    let (at, result) = taken;
    let materials = case::material_lines(&found);
    let sheet = Sheet::new(&app, &visit, &found, event, "收件凭证").await;
    render(&Receipt {
        taken: words::date_time(at.unwrap_or(event.at)),
        proxy: found.case.flags.proxy,
        agent: sheet.officer.clone(),
        contact: case::value_shown(&found, fields::CONTACT),
        materials,
        on_the_spot: found.case.flags.on_the_spot,
        result,
        sheet,
    })
}

#[derive(Template)]
#[template(path = "paper/correction.html")]
struct Correction {
    sheet: Sheet,
    missing: Vec<(String, String)>,
    days: u16,
    due: Option<String>,
}

/// `GET /cases/{id}/correction`: 一次性补正告知书.
pub(crate) async fn correction<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let found = find(&app, &visit, &id).await?;
    let (event, correct): (&Event, &Correct) = newest(&found, |body| {
        if let ActBody::Correct(correct) = body {
            Some(correct)
        } else {
            None
        }
    })?;
    render(&Correction {
        missing: correct
            .missing
            .iter()
            .map(|m| {
                let name = m
                    .material
                    .and_then(|i| found.item.materials.get(usize::try_from(i).ok()?))
                    .map_or_else(|| "其他".to_owned(), |material| material.name.clone());
                (name, m.how.clone())
            })
            .collect(),
        days: correct.days,
        due: date_of(found.case.clocks.correction.as_ref()),
        sheet: Sheet::new(&app, &visit, &found, event, "一次性补正告知书").await,
    })
}

#[derive(Template)]
#[template(path = "paper/acceptance.html")]
struct Acceptance {
    sheet: Sheet,
    legal_days: u16,
    promised_days: u16,
    due: Option<String>,
    gaps: Vec<String>,
    gaps_due: Option<String>,
    gap_days: u16,
    note: String,
}

/// `GET /cases/{id}/acceptance`: 受理通知书.
pub(crate) async fn acceptance<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let found = find(&app, &visit, &id).await?;
    let (event, accept): (&Event, &Accept) = newest(&found, |body| {
        if let ActBody::Accept(accept) = body {
            Some(accept)
        } else {
            None
        }
    })?;
    let title = if accept.gaps.is_empty() {
        "受理通知书"
    } else {
        "容缺受理通知书"
    };
    render(&Acceptance {
        legal_days: found.item.legal_days,
        promised_days: found.item.promised_days,
        due: date_of(found.case.clocks.promised.as_ref()),
        gaps: accept
            .gaps
            .iter()
            .filter_map(|i| found.item.materials.get(usize::try_from(*i).ok()?))
            .map(|material| material.name.clone())
            .collect(),
        gaps_due: date_of(found.case.clocks.gaps.as_ref()),
        gap_days: accept.gap_days,
        note: accept.note.clone(),
        sheet: Sheet::new(&app, &visit, &found, event, title).await,
    })
}

/// What a decision paper says.
enum Outcome<'a> {
    Decided(&'a Decide),
    NotAccepted(&'a Refuse),
}

#[derive(Template)]
#[template(path = "paper/decision.html")]
struct DecisionPaper {
    sheet: Sheet,
    verdict: &'static str,
    reason: String,
    basis: String,
    competent: String,
    remedies: String,
}

/// `GET /cases/{id}/decision`: 准予、不予决定书, 不予受理通知书.
pub(crate) async fn decision<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let found = find(&app, &visit, &id).await?;
    let (event, outcome) = newest(&found, |body| {
        if let ActBody::Decide(decide) = body {
            Some(Outcome::Decided(decide))
        } else if let ActBody::Refuse(refuse) = body {
            Some(Outcome::NotAccepted(refuse))
        } else {
            None
        }
    })?;
    let (title, view) = match outcome {
        Outcome::Decided(d) => (
            if d.granted {
                "准予决定书"
            } else {
                "不予决定书"
            },
            (
                if d.granted {
                    "经审查，决定准予。"
                } else {
                    "经审查，决定不予。"
                },
                d.reason.clone(),
                String::new(),
                String::new(),
                d.remedies.clone(),
            ),
        ),
        Outcome::NotAccepted(r) => (
            "不予受理通知书",
            (
                "经审查，决定不予受理。",
                r.reason.clone(),
                r.basis.clone(),
                r.competent.clone(),
                String::new(),
            ),
        ),
    };
    let (verdict, reason, basis, competent, remedies) = view;
    render(&DecisionPaper {
        sheet: Sheet::new(&app, &visit, &found, event, title).await,
        verdict,
        reason,
        basis,
        competent,
        remedies,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Browser, CaseKind, FakeDesk};

    #[tokio::test]
    async fn a_receipt_says_that_receipt_is_not_acceptance_and_hides_the_id() {
        let browser = Browser::agent(FakeDesk::village());
        let id = browser.desk.find(CaseKind::Received);
        let page = browser.get(&format!("/cases/{id}/receipt")).await;
        page.has("收件不等于受理").has("349***********").has("<svg");
        page.has_not("34990119610305241X");
    }

    #[tokio::test]
    async fn a_correction_notice_lists_everything_once() {
        let browser = Browser::clerk(FakeDesk::township());
        let id = browser.desk.find(CaseKind::Correcting);
        let page = browser.get(&format!("/cases/{id}/correction")).await;
        page.has("一次性补正告知书").has("照片不清").has("30 日内");
    }

    #[tokio::test]
    async fn acceptance_and_decision_are_printed_when_they_exist() {
        let browser = Browser::clerk(FakeDesk::township());
        let id = browser.desk.find(CaseKind::Decided);
        browser
            .get(&format!("/cases/{id}/acceptance"))
            .await
            .has("22 个工作日");
        browser
            .get(&format!("/cases/{id}/decision"))
            .await
            .has("准予决定书")
            .has("（盖章）");
        let id = browser.desk.find(CaseKind::Received);
        assert_eq!(
            browser.get(&format!("/cases/{id}/decision")).await.status,
            404
        );
    }

    #[tokio::test]
    async fn the_words_of_each_paper_are_these() {
        let browser = Browser::clerk(FakeDesk::township());
        for (kind, paper) in [
            (CaseKind::Received, "receipt"),
            (CaseKind::Correcting, "correction"),
            (CaseKind::Accepted, "acceptance"),
            (CaseKind::Decided, "decision"),
        ] {
            let path = format!("/cases/{}/{paper}", browser.desk.find(kind));
            insta::assert_snapshot!(paper, browser.get(&path).await.words());
        }
    }
}
