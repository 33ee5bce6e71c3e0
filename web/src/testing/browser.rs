//! A browser that talks to the router in process.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use cuntong_protocol::role::Role;
use cuntong_web::{Settings, router};
use tower::ServiceExt;

use super::FakeDesk;

/// The value of every test session's cookie.
const SECRET: [u8; 32] = [0xAB; 32];

/// One person's browser, or nobody's.
pub(crate) struct Browser {
    pub(crate) desk: Arc<FakeDesk>,
    router: Router,
    signed_in: bool,
}

/// What came back.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Browser {
    /// Nobody has signed in.
    pub(crate) fn nobody(desk: FakeDesk) -> Self {
        let desk = Arc::new(desk);
        let router = router(Arc::clone(&desk), Settings::loopback(8180, "9f2c"));
        Self {
            desk,
            router,
            signed_in: false,
        }
    }

    /// Somebody with these roles.
    pub(crate) fn with(desk: FakeDesk, roles: &[Role]) -> Self {
        desk.signed_in(*blake3::hash(&SECRET).as_bytes(), roles);
        let mut browser = Self::nobody(desk);
        browser.signed_in = true;
        browser
    }

    pub(crate) fn agent(desk: FakeDesk) -> Self {
        Self::with(desk, &[Role::Agent])
    }

    pub(crate) fn clerk(desk: FakeDesk) -> Self {
        Self::with(desk, &[Role::Clerk, Role::Decider])
    }

    pub(crate) fn publisher(desk: FakeDesk) -> Self {
        Self::with(desk, &[Role::Publisher])
    }

    pub(crate) fn administrator(desk: FakeDesk) -> Self {
        Self::with(desk, &[Role::Administrator])
    }

    /// A request as a browser on this machine makes it; headers may be changed before sending.
    pub(crate) fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "127.0.0.1:8180");
        if self.signed_in {
            let secret = data_encoding::HEXLOWER.encode(&SECRET);
            request.header(header::COOKIE, format!("other=1; cuntong-9f2c={secret}"))
        } else {
            request
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Page {
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX)
            .await
            .unwrap_or_default();
        Page {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Page {
        let request = self.request(Method::GET, path).body(Body::empty());
        self.send(request.expect("a well-formed request")).await
    }

    /// A form of our own page.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let request = self
            .request(Method::POST, path)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(encode(fields)));
        self.send(request.expect("a well-formed request")).await
    }
}

/// A form's body.
pub(crate) fn encode(fields: &[(&str, &str)]) -> String {
    let percent = |text: &str| -> String { text.bytes().map(|b| format!("%{b:02X}")).collect() };
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", percent(name), percent(value)))
        .collect();
    pairs.join("&")
}

impl Page {
    #[track_caller]
    pub(crate) fn has(&self, text: &str) -> &Self {
        assert!(
            self.body.contains(text),
            "{text:?} is missing in ({})\n{}",
            self.status,
            self.body
        );
        self
    }

    #[track_caller]
    pub(crate) fn has_not(&self, text: &str) -> &Self {
        assert!(
            !self.body.contains(text),
            "{text:?} should not be in\n{}",
            self.body
        );
        self
    }

    /// Where a redirect goes.
    #[track_caller]
    pub(crate) fn location(&self) -> &str {
        self.header("location")
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|v| v.to_str().ok());
        value.unwrap_or_else(|| panic!("no {name} in ({})\n{}", self.status, self.body))
    }

    /// The value of the hidden form token.
    #[track_caller]
    pub(crate) fn form_token(&self) -> &str {
        let (_, rest) = self
            .body
            .split_once("name=\"form_token\" value=\"")
            .expect("the page has a form");
        rest.split_once('"').map_or("", |(token, _)| token)
    }

    /// What a person reads in the main part, one line for each run of text.
    pub(crate) fn words(&self) -> String {
        let main = self.body.split_once("<main").map_or("", |(_, rest)| rest);
        let main = main.split_once("</main>").map_or(main, |(main, _)| main);
        let mut lines = Vec::new();
        for piece in main.split('<').skip(1) {
            let text = piece.split_once('>').map_or("", |(_, text)| text);
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if !text.is_empty() {
                lines.push(text);
            }
        }
        lines.join("\n")
    }

    /// Digits in a row that a reader sees; addresses of assets and ids of documents do not count.
    pub(crate) fn longest_run_of_digits(&self) -> usize {
        let (mut longest, mut run, mut inside) = (0, 0, false);
        for sign in self.body.chars() {
            match sign {
                '<' => inside = true,
                '>' => inside = false,
                _ => {}
            }
            run = if sign.is_ascii_digit() && !inside {
                run + 1
            } else {
                0
            };
            longest = longest.max(run);
        }
        longest
    }
}
