//! What every request must prove before a handler sees it: a Host we serve, a session, a role,
//! and for anything that changes something, that it came from one of our own pages.

use std::sync::Arc;

use axum::{
    Form,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use cuntong_protocol::role::{Level, Role};
use data_encoding::HEXLOWER;
use subtle::ConstantTimeEq;

use crate::{
    App, Settings,
    desk::{Desk, Who},
    files,
    page::{self, Failure},
    sign_in,
    visit::{DISPLAY_COOKIE, Display, Fields, Inner, Visit, cookie},
};

/// Bytes a form may have: the largest is a notice of 24 KiB, tripled by percent-encoding.
const FORM_BYTES_MAX: usize = 160 * 1024;

/// Who may open a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nobody has to sign in.
    Anyone,
    /// Any signed-in person.
    Person,
    /// People with one of these roles; the rules judge each act again.
    Roles(&'static [Role]),
    /// People at the county hub.
    County,
}

impl Access {
    /// Whether this person may open the page.
    pub(crate) fn admits(self, who: &Who) -> bool {
        match self {
            Self::Anyone | Self::Person => true,
            Self::Roles(roles) => who.actor.roles.iter().any(|role| roles.contains(role)),
            Self::County => who.level == Level::County,
        }
    }
}

/// Outermost: the Host, and the headers of every answer.
pub(crate) async fn host<D: Desk>(
    State(app): State<App<D>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = if host_known(&app.settings, &request) {
        next.run(request).await
    } else {
        let words = "421：这个地址不是本节点的地址。请用节点自己的地址打开。";
        (StatusCode::MISDIRECTED_REQUEST, words).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        "cross-origin-opener-policy",
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(
        "permissions-policy",
        HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
    );
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

const CSP: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// Exactly one Host, and one we serve; an absolute request target must agree.
fn host_known(settings: &Settings, request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let one = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().is_ok_and(|host| settings.knows(host)),
        (None | Some(_), _) => false,
    };
    one && request
        .uri()
        .authority()
        .is_none_or(|authority| settings.knows(authority.as_str()))
}

/// Around each route: reads the form once, finds the person, judges, and dresses failures.
pub(crate) async fn gate<D: Desk>(
    State((app, access)): State<(App<D>, Access)>,
    request: Request,
    next: Next,
) -> Response {
    let jar = Jar::of(request.headers(), &app.settings);
    let (visit, request) = match enter(&app, &jar, request).await {
        Ok(entered) => entered,
        Err((visit, failure)) => return page::failure(&app, &visit, &failure).await,
    };
    let judged = match (access, &visit.who) {
        (Access::Anyone, _) => Ok(()),
        (Access::Person | Access::Roles(_) | Access::County, None) => Err(Failure::SignedOut),
        (Access::Person | Access::Roles(_) | Access::County, Some(who)) => {
            if access.admits(who) {
                Ok(())
            } else {
                Err(Failure::Forbidden)
            }
        }
    };
    let mut response = match judged {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    };
    if let Some(failure) = response.extensions_mut().remove::<Arc<Failure>>() {
        response = page::failure(&app, &visit, &failure).await;
    }
    if let Some(line) = jar.fresh
        && access == Access::Anyone
        && visit.who.is_none()
        && visit.path.starts_with("/login")
        && let Ok(value) = HeaderValue::from_str(&line)
    {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// The secrets a browser sent, and the line that gives it one for forms before sign-in.
struct Jar {
    session: Option<[u8; 32]>,
    form_token: String,
    fresh: Option<String>,
}

impl Jar {
    fn of(headers: &HeaderMap, settings: &Settings) -> Self {
        let secret = |name: &str| {
            let bytes = HEXLOWER.decode(cookie(headers, name)?.as_bytes()).ok()?;
            <[u8; 32]>::try_from(bytes).ok()
        };
        let session = secret(&sign_in::cookie_name(settings));
        let form_name = sign_in::form_cookie_name(settings);
        let (seed, fresh) = match session.or_else(|| secret(&form_name)) {
            Some(seed) => (seed, None),
            None => {
                let seed = sign_in::secret();
                (
                    seed,
                    Some(sign_in::set_cookie(
                        settings,
                        &form_name,
                        &HEXLOWER.encode(&seed),
                    )),
                )
            }
        };
        Self {
            session: session.map(|secret| *blake3::hash(&secret).as_bytes()),
            form_token: HEXLOWER
                .encode(&blake3::derive_key("cuntong 2026 form token", &seed)[..16]),
            fresh,
        }
    }
}

/// The visit of a request; for anything but GET and HEAD the form is read and its origin proved.
async fn enter<D: Desk>(
    app: &App<D>,
    jar: &Jar,
    request: Request,
) -> Result<(Visit, Request), (Visit, Failure)> {
    let who = match jar.session {
        Some(token) => app.desk.session(token).await,
        None => None,
    };
    let uri = request.uri().clone();
    let mut inner = Inner {
        session: jar.session.filter(|_token| who.is_some()),
        who,
        form_token: jar.form_token.clone(),
        display: cookie(request.headers(), DISPLAY_COOKIE)
            .map(Display::of_cookie)
            .unwrap_or_default(),
        path: uri.path().to_owned(),
        safe: matches!(*request.method(), Method::GET | Method::HEAD),
        query: Fields::of_query(&uri),
        form: Fields::default(),
        files: Vec::new(),
    };
    if inner.safe {
        let visit = Visit::new(inner);
        let mut request = request;
        request.extensions_mut().insert(visit.clone());
        return Ok((visit, request));
    }
    let proof = origin(request.headers());
    // Whoever has not signed in sends no files, and a foreign page's are not even read.
    let files = inner.who.is_some() && files::is_form(&request);
    let (parts, body) = request.into_parts();
    let read = match (files, &proof) {
        (true, Origin::Own | Origin::Unsaid) => {
            let whole = Request::from_parts(parts.clone(), body);
            match files::read(whole).await {
                Ok((form, files)) => {
                    inner.files = files;
                    Ok(form)
                }
                Err(failure) => Err(failure),
            }
        }
        (true, Origin::Foreign) => Ok(Fields::default()),
        (false, _) => read_form(&parts.headers, body).await,
    };
    let failure = match (read, proof) {
        (Err(failure), _) => Some(failure),
        (Ok(_), Origin::Foreign) => Some(Failure::Origin),
        (Ok(form), Origin::Unsaid) => {
            let given = form
                .get("form_token")
                .as_bytes()
                .ct_eq(jar.form_token.as_bytes());
            inner.form = form;
            (!bool::from(given)).then_some(Failure::Origin)
        }
        (Ok(form), Origin::Own) => {
            inner.form = form;
            None
        }
    };
    let visit = Visit::new(inner);
    if let Some(failure) = failure {
        return Err((visit, failure));
    }
    let mut request = Request::from_parts(parts, axum::body::Body::empty());
    request.extensions_mut().insert(visit.clone());
    Ok((visit, request))
}

async fn read_form(headers: &HeaderMap, body: axum::body::Body) -> Result<Fields, Failure> {
    let bytes = axum::body::to_bytes(body, FORM_BYTES_MAX)
        .await
        .map_err(|_too_long| Failure::TooLarge)?;
    if bytes.is_empty() {
        return Ok(Fields::default());
    }
    let mut again = Request::new(axum::body::Body::from(bytes));
    *again.method_mut() = Method::POST;
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        again
            .headers_mut()
            .insert(header::CONTENT_TYPE, kind.clone());
    }
    let Form(pairs) = Form::<Vec<(String, String)>>::from_request(again, &())
        .await
        .map_err(|_not_a_form| Failure::NotAForm)?;
    Ok(Fields(pairs))
}

/// What a browser says about where a request came from.
enum Origin {
    Own,
    Foreign,
    /// Old browsers on plain HTTP say nothing: the form's token must speak.
    Unsaid,
}

fn origin(headers: &HeaderMap) -> Origin {
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some("same-origin" | "none"), _) => Origin::Own,
        (Some(_), _) => Origin::Foreign,
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, rest)| rest);
            match (authority, text("host")) {
                (Some(from), Some(host)) if from.eq_ignore_ascii_case(host) => Origin::Own,
                (Some(_) | None, _) => Origin::Foreign,
            }
        }
        (None, None) => Origin::Unsaid,
    }
}

#[cfg(test)]
mod tests;
