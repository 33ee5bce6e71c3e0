//! The walk over every route, and what an unsafe request must prove.

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use cuntong_protocol::role::Role;

use super::Access;
use crate::{
    routes::{self, Route},
    testing::{Browser, CaseKind, FakeDesk, encode},
};

fn table() -> Vec<Route<FakeDesk>> {
    routes::table::<FakeDesk>()
}

/// An address of that route which exists.
fn address(desk: &FakeDesk, path: &str) -> String {
    let id = if path.starts_with("/cases") {
        desk.find(CaseKind::Decided).text()
    } else if path.starts_with("/sync") {
        "7".to_owned()
    } else {
        crate::testing::notice_id(1).text()
    };
    path.replace("{id}", &id)
        .replace("{act}", &cuntong_protocol::id::ActId([0xf1; 16]).text())
        .replace("{version}", "0")
        .replace("{name}", "style.css")
        .replace("{code}", "990010001000")
}

#[tokio::test]
async fn every_route_refuses_a_host_that_is_not_ours() {
    let browser = Browser::with(FakeDesk::village().demo(), &Role::ALL);
    for route in table() {
        let path = address(&browser.desk, &route.path);
        for host in [
            "evil.example",
            "127.0.0.1",
            "127.0.0.1:8181",
            "127.0.0.1.evil.example:8180",
        ] {
            let mut request = browser
                .request(route.method.clone(), &path)
                .body(Body::empty())
                .unwrap();
            request
                .headers_mut()
                .insert(header::HOST, host.parse().unwrap());
            let page = browser.send(request).await;
            assert_eq!(
                page.status,
                StatusCode::MISDIRECTED_REQUEST,
                "{path} as {host}"
            );
        }
    }
    let mut twice = browser
        .request(Method::GET, "/")
        .body(Body::empty())
        .unwrap();
    twice
        .headers_mut()
        .append(header::HOST, "evil.example".parse().unwrap());
    assert_eq!(browser.send(twice).await.status, 421);
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_protect_it() {
    let browser = Browser::with(FakeDesk::village(), &Role::ALL);
    for path in [
        "/",
        "/livez",
        "/assets/0/app.js",
        "/nowhere",
        "/cases/zz",
        "/board",
    ] {
        let page = browser.get(path).await;
        let csp = page.header("content-security-policy");
        for part in [
            "default-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(csp.contains(part), "{path}: {csp}");
        }
        assert!(!csp.contains("unsafe"), "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        let kept = page.header("cache-control") != "no-store";
        assert_eq!(kept, path.starts_with("/assets/"), "{path}");
    }
}

#[tokio::test]
async fn whoever_has_not_signed_in_is_led_to_the_sign_in() {
    let browser = Browser::nobody(FakeDesk::village().demo());
    for route in table()
        .iter()
        .filter(|route| route.access != Access::Anyone)
    {
        let path = address(&browser.desk, &route.path);
        let page = if route.method == Method::GET {
            browser.get(&path).await
        } else {
            browser.post(&path, &[]).await
        };
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{path}");
        assert!(
            page.location().starts_with("/login"),
            "{path} goes to {}",
            page.location()
        );
        assert!(browser.desk.command().is_none(), "{path}");
    }
}

#[tokio::test]
async fn each_role_opens_what_the_table_gives_it_and_nothing_else() {
    for role in Role::ALL {
        for route in table() {
            let browser = Browser::with(FakeDesk::village().demo(), &[role]);
            let path = address(&browser.desk, &route.path);
            let page = if route.method == Method::GET {
                browser.get(&path).await
            } else {
                browser.post(&path, &[]).await
            };
            let may = match route.access {
                Access::Anyone | Access::Person => true,
                Access::Roles(roles) => roles.contains(&role),
                Access::County => false,
            };
            assert_eq!(
                page.status == 403,
                !may,
                "{} {path} as {}",
                route.method,
                role.word()
            );
            assert!(
                !page.status.is_server_error(),
                "{path} as {}: {}",
                role.word(),
                page.status
            );
            // What came back may be another role's to do again: the rules say so, in words.
            let judged = route.path.ends_with("/redo") && page.status == 422;
            let elsewhere = judged || matches!(page.status.as_u16(), 303 | 404);
            if may && route.method == Method::GET && !elsewhere {
                assert_eq!(page.status, 200, "{path} as {}", role.word());
            }
        }
    }
}

#[tokio::test]
async fn no_page_has_a_script_or_style_of_its_own() {
    let browser = Browser::with(FakeDesk::county().demo(), &Role::ALL);
    for route in table().iter().filter(|route| route.method == Method::GET) {
        let path = address(&browser.desk, &route.path);
        let page = browser.get(&path).await;
        if !page.body.contains("<!doctype html>") {
            continue;
        }
        for bad in [
            "<style",
            " style=\"",
            " onclick=",
            " onload=",
            "javascript:",
            "<script>",
        ] {
            page.has_not(bad);
        }
    }
}

#[tokio::test]
async fn every_form_of_every_page_carries_the_token() {
    let browser = Browser::with(FakeDesk::village().demo(), &Role::ALL);
    let mut paths: Vec<String> = table()
        .iter()
        .filter(|route| route.method == Method::GET)
        .map(|route| address(&browser.desk, &route.path))
        .collect();
    paths.extend(CaseKind::ALL.map(|kind| format!("/cases/{}", browser.desk.find(kind))));
    for path in paths {
        let page = browser.get(&path).await;
        let forms = page.body.matches("method=\"post\"").count();
        let tokens = page.body.matches("name=\"form_token\"").count();
        assert_eq!(forms, tokens, "{path}");
    }
}

#[tokio::test]
async fn an_unsafe_request_proves_that_it_came_from_our_own_page() {
    let browser = Browser::with(FakeDesk::village(), &Role::ALL);
    let token = browser.get("/sync").await.form_token().to_owned();
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, StatusCode);
    let cases: [Case<'_>; 9] = [
        (
            &[("sec-fetch-site", "same-origin")],
            "",
            StatusCode::SEE_OTHER,
        ),
        (
            &[("sec-fetch-site", "cross-site")],
            &token,
            StatusCode::FORBIDDEN,
        ),
        (
            &[("sec-fetch-site", "same-site")],
            &token,
            StatusCode::FORBIDDEN,
        ),
        (
            &[("origin", "http://127.0.0.1:8180")],
            "",
            StatusCode::SEE_OTHER,
        ),
        (
            &[("origin", "http://127.0.0.1:8181")],
            &token,
            StatusCode::FORBIDDEN,
        ),
        (&[("origin", "null")], &token, StatusCode::FORBIDDEN),
        (&[], "", StatusCode::FORBIDDEN),
        (
            &[],
            "0123456789abcdef0123456789abcdef",
            StatusCode::FORBIDDEN,
        ),
        (&[], &token, StatusCode::SEE_OTHER),
    ];
    for (headers, token, expected) in cases {
        let mut request = browser
            .request(Method::POST, "/sync/now")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Body::from(encode(&[("form_token", token)]));
        let page = browser.send(request.body(body).unwrap()).await;
        assert_eq!(page.status, expected, "{headers:?} {token}");
    }
}

#[tokio::test]
async fn a_form_that_is_too_long_or_no_form_is_refused_with_a_page() {
    let browser = Browser::with(FakeDesk::village(), &Role::ALL);
    let long = "字".repeat(40_000);
    let page = browser.post("/notices/new", &[("body", &long)]).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
    page.has("内容太长");
    let request = browser
        .request(Method::POST, "/notices/new")
        .header("sec-fetch-site", "same-origin")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(
        browser.send(request).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
}

#[tokio::test]
async fn signing_in_gives_a_strict_cookie_named_after_the_node() {
    let browser = Browser::nobody(FakeDesk::village());
    let fields = [("login", "chen"), ("password", "right"), ("next", "/queue")];
    let page = browser.post("/login", &fields).await;
    assert_eq!(page.location(), "/queue");
    let cookie = page.header("set-cookie").to_owned();
    assert!(cookie.starts_with("cuntong-9f2c="), "{cookie}");
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let (_, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
    assert_eq!(value.len(), 64);
    let request = browser
        .request(Method::GET, "/")
        .header(header::COOKIE, format!("cuntong-9f2c={value}"))
        .body(Body::empty())
        .unwrap();
    assert_eq!(browser.send(request).await.status, 200);
}

#[tokio::test]
async fn a_wrong_password_and_a_lock_are_told_in_words_and_the_login_stays() {
    let browser = Browser::nobody(FakeDesk::village());
    let page = browser
        .post("/login", &[("login", "chen"), ("password", "wrong")])
        .await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    page.has("用户名或密码不对")
        .has("value=\"chen\"")
        .has("<title>错误")
        .has_not("wrong");
    let page = browser
        .post("/login", &[("login", "locked"), ("password", "x")])
        .await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    page.has("请 60 秒后再试");
}

#[tokio::test]
async fn before_sign_in_an_old_browser_proves_its_form_by_the_form_cookie() {
    let browser = Browser::nobody(FakeDesk::village());
    let shown = browser.get("/login").await;
    let cookie = shown
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    assert!(cookie.starts_with("cuntong-9f2c-form="), "{cookie}");
    let fields = [
        ("form_token", shown.form_token()),
        ("login", "chen"),
        ("password", "right"),
    ];
    let send = |cookie: Option<String>| {
        let mut request = browser
            .request(Method::POST, "/login")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        request.body(Body::from(encode(&fields))).unwrap()
    };
    assert_eq!(browser.send(send(None)).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        browser.send(send(Some(cookie))).await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn signing_out_ends_the_session_and_removes_the_cookie() {
    let browser = Browser::agent(FakeDesk::village());
    let page = browser.post("/logout", &[]).await;
    assert!(page.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(browser.get("/").await.location(), "/login");
}

#[tokio::test]
async fn display_settings_are_kept_by_cookie_and_used_by_every_page() {
    let browser = Browser::agent(FakeDesk::village());
    let page = browser
        .post("/display", &[("size", "xlarge"), ("back", "//evil")])
        .await;
    assert_eq!(page.location(), "/");
    assert!(
        page.header("set-cookie")
            .starts_with("cuntong-display=xlarge.light")
    );
    let request = browser
        .request(Method::GET, "/")
        .header(header::COOKIE, "cuntong-display=xlarge.contrast")
        .body(Body::empty())
        .unwrap();
    browser
        .send(request)
        .await
        .has("data-theme=\"contrast\" data-size=\"xlarge\"");
}

#[tokio::test]
async fn the_demo_switch_exists_in_the_demo_only() {
    let browser = Browser::agent(FakeDesk::village().demo());
    browser.get("/").await.has("拔掉网线");
    let page = browser
        .post("/demo/link", &[("up", "no"), ("back", "/queue?view=all")])
        .await;
    assert_eq!(page.location(), "/queue?view=all");
    browser.get("/").await.has("插上网线");
    let plain = Browser::agent(FakeDesk::village());
    plain.get("/").await.has_not("网线");
    assert_eq!(plain.post("/demo/link", &[("up", "no")]).await.status, 404);
}
