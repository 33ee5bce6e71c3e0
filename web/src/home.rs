//! Small pages and switches: health, help, display settings, the demo's link.

use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{Redirect, Response},
};

use crate::{
    App,
    desk::Desk,
    page::{Failure, Shell, plain, render},
    sign_in::{local, with_cookie},
    visit::{DISPLAY_COOKIE, Visit},
};

/// `GET /livez`: the process answers.
pub(crate) async fn live() -> Response {
    std::future::ready(plain(StatusCode::OK, "ok\n")).await
}

/// `GET /readyz`: the store answers too.
pub(crate) async fn ready<D: Desk>(State(app): State<App<D>>) -> Response {
    let header = app.desk.header().await;
    if header.site.is_some() {
        plain(StatusCode::OK, "ready\n")
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, "not enrolled\n")
    }
}

#[derive(Template)]
#[template(path = "help.html")]
struct HelpPage {
    page: Shell,
}

/// `GET /help`
pub(crate) async fn help<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    render(&HelpPage {
        page: Shell::new(&app, &visit, "帮助与快捷键").await,
    })
}

/// `POST /display`: size and colours, kept by this browser for a year.
pub(crate) async fn display<D: Desk>(State(app): State<App<D>>, visit: Visit) -> Response {
    let chosen = visit
        .display
        .with(visit.form.get("size"), visit.form.get("theme"));
    let secure = if app.settings.secure { "; Secure" } else { "" };
    let line = format!(
        "{DISPLAY_COOKIE}={}.{}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict{secure}",
        chosen.size, chosen.theme
    );
    let back = visit.form.get("back");
    let to = if back == "/login" {
        back.to_owned()
    } else {
        local(back)
    };
    with_cookie(Redirect::to(&to), &line)
}

/// `POST /demo/link`: unplug or plug this node's links; exists in the demo only.
pub(crate) async fn demo_link<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    if app.desk.demo_link().await.is_none() {
        return Err(Failure::NotFound);
    }
    app.desk.set_demo_link(visit.form.get("up") == "yes").await;
    Ok(axum::response::IntoResponse::into_response(Redirect::to(
        &local(visit.form.get("back")),
    )))
}
