//! Pages over sample data, to look at: `cargo run -p cuntong-web --example preview [PORT]`.
//! Seven ports from PORT on (village, township, county, large, dark, contrast, nobody); whoever
//! opens the first six is signed in with every role.

#[path = "../src/testing/fake.rs"]
mod fake;

use std::{io::Write as _, sync::Arc};

use axum::{
    extract::Request,
    http::{HeaderValue, header},
    middleware::{self, Next},
};
use cuntong_protocol::role::Role;
use cuntong_web::{Settings, router};
use fake::{CaseKind, FakeDesk};

/// What each port shows: the desk, and the cookies every request is given.
fn faces() -> Vec<(FakeDesk, String)> {
    let person = format!("cuntong-9f2c={}", "ab".repeat(32));
    vec![
        (FakeDesk::village().demo(), person.clone()),
        (FakeDesk::township(), person.clone()),
        (FakeDesk::county(), person.clone()),
        (
            FakeDesk::village(),
            format!("{person}; cuntong-display=large.light"),
        ),
        (
            FakeDesk::township(),
            format!("{person}; cuntong-display=normal.dark"),
        ),
        (
            FakeDesk::township(),
            format!("{person}; cuntong-display=xlarge.contrast"),
        ),
        (FakeDesk::village(), "nobody=1".to_owned()),
    ]
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let base: u16 = match std::env::args().nth(1) {
        Some(port) => port.parse()?,
        None => 8180,
    };
    let mut servers = tokio::task::JoinSet::new();
    for (port, (desk, cookies)) in (base..).zip(faces()) {
        desk.signed_in(*blake3::hash(&[0xAB; 32]).as_bytes(), &Role::ALL);
        for kind in CaseKind::ALL {
            writeln!(
                std::io::stderr(),
                "{kind:?} http://127.0.0.1:{port}/cases/{}",
                desk.find(kind)
            )?;
        }
        let cookies = HeaderValue::from_str(&cookies)?;
        let signed_in = middleware::from_fn(move |mut request: Request, next: Next| {
            request
                .headers_mut()
                .append(header::COOKIE, cookies.clone());
            next.run(request)
        });
        let app = router(Arc::new(desk), Settings::loopback(port, "9f2c")).layer(signed_in);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        servers.spawn(async move { axum::serve(listener, app).await });
    }
    while let Some(ended) = servers.join_next().await {
        ended??;
    }
    Ok(())
}
