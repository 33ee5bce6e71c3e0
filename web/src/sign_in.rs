//! Sign-in and sign-out; the cookie that holds a session.

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use cuntong_protocol::refusal::Refusal;
use data_encoding::HEXLOWER;

use crate::{
    App, Settings,
    desk::Desk,
    page::{Failure, Shell, render},
    visit::Visit,
};

/// The session cookie's name; it carries the node's short id, because cookies ignore ports.
pub(crate) fn cookie_name(settings: &Settings) -> String {
    let host = if settings.secure { "__Host-" } else { "" };
    format!("{host}cuntong-{}", settings.node)
}

/// The cookie that seeds form tokens before anybody has signed in.
pub(crate) fn form_cookie_name(settings: &Settings) -> String {
    format!("{}-form", cookie_name(settings))
}

/// A `Set-Cookie` line; an empty value removes the cookie.
pub(crate) fn set_cookie(settings: &Settings, name: &str, value: &str) -> String {
    let secure = if settings.secure { "; Secure" } else { "" };
    let age = if value.is_empty() { "; Max-Age=0" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}")
}

/// 32 unguessable bytes.
pub(crate) fn secret() -> [u8; 32] {
    let mut bytes = [0; 32];
    // Without chance there are no sessions; every supported system has a source.
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    page: Shell,
    login: String,
    next: String,
    error: String,
}

/// `GET /login`
pub(crate) async fn show<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let next = local(visit.query.get("next"));
    if visit.who.is_some() {
        return Ok(Redirect::to(&next).into_response());
    }
    render(&LoginPage {
        page: Shell::new(&app, &visit, "登录").await,
        login: String::new(),
        next,
        error: String::new(),
    })
}

/// `POST /login`
pub(crate) async fn sign_in<D: Desk>(
    State(app): State<App<D>>,
    visit: Visit,
) -> Result<Response, Failure> {
    let next = local(visit.form.get("next"));
    let login = visit.form.get("login").to_owned();
    let password = visit
        .form
        .0
        .iter()
        .find(|(name, _)| name == "password")
        .map_or_else(Default::default, |(_, typed)| {
            cuntong_protocol::text::Private::new(typed.as_str())
        });
    let secret = secret();
    let outcome = if login.is_empty() || password.reveal().is_empty() {
        Err(Refusal::SignIn)
    } else {
        let token = *blake3::hash(&secret).as_bytes();
        app.desk.sign_in(login.clone(), password, token).await
    };
    let refusal = match outcome {
        Ok(_who) => {
            // A new token for every sign-in; whoever used this browser before is signed out.
            if let Some(old) = visit.session {
                app.desk.sign_out(old).await;
            }
            let name = cookie_name(&app.settings);
            let line = set_cookie(&app.settings, &name, &HEXLOWER.encode(&secret));
            return Ok(with_cookie(Redirect::to(&next), &line));
        }
        Err(refusal) => refusal,
    };
    let status = if matches!(refusal, Refusal::LockedOut(_)) {
        StatusCode::TOO_MANY_REQUESTS
    } else {
        StatusCode::UNAUTHORIZED
    };
    let shell = Shell::new(&app, &visit, "登录").await.failed();
    let body = render(&LoginPage {
        page: shell,
        login,
        next,
        error: refusal.to_string(),
    })?;
    Ok((status, body).into_response())
}

/// `POST /logout`
pub(crate) async fn sign_out<D: Desk>(State(app): State<App<D>>, visit: Visit) -> Response {
    if let Some(token) = visit.session {
        app.desk.sign_out(token).await;
    }
    let line = set_cookie(&app.settings, &cookie_name(&app.settings), "");
    with_cookie(Redirect::to("/login"), &line)
}

/// An answer that also sets a cookie.
pub(crate) fn with_cookie(response: impl IntoResponse, line: &str) -> Response {
    let mut response = response.into_response();
    if let Ok(value) = HeaderValue::from_str(line) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// A path on this node to go on to, or the first page: never another site.
pub(crate) fn local(path: &str) -> String {
    let safe = path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|b| b > b' ' && b < 0x7f && b != b'\\')
        && !path.starts_with("/login");
    if safe {
        path.to_owned()
    } else {
        "/".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_on_after_sign_in_never_leaves_the_node() {
        for bad in [
            "//evil.example",
            "https://evil.example",
            "/\\evil",
            "",
            "x",
            "/a\nb",
            "/login",
        ] {
            assert_eq!(local(bad), "/", "{bad:?}");
        }
        assert_eq!(local("/queue?view=red"), "/queue?view=red");
    }
}
