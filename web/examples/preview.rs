//! Pages over sample data, to look at: `cargo run -p cuntong-web --example preview [PORT]`.
//! Three desks on three ports; the cookie printed signs in as a person with every role.

#[path = "../src/testing.rs"]
mod testing;

use std::{io::Write as _, sync::Arc};

use cuntong_protocol::role::Role;
use cuntong_web::{Settings, router};
use testing::{Browser, CaseKind, FakeDesk};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let base: u16 = match std::env::args().nth(1) {
        Some(port) => port.parse()?,
        None => 8180,
    };
    let desks = [
        FakeDesk::village().demo(),
        FakeDesk::township(),
        FakeDesk::county(),
    ];
    let mut servers = tokio::task::JoinSet::new();
    for (port, desk) in (base..).zip(desks) {
        desk.signed_in(*blake3::hash(&[0xAB; 32]).as_bytes(), &Role::ALL);
        for kind in [CaseKind::Received, CaseKind::Conflict, CaseKind::Decided] {
            writeln!(
                std::io::stderr(),
                "http://127.0.0.1:{port}/cases/{}",
                desk.find(kind)
            )?;
        }
        let app = router(Arc::new(desk), Settings::loopback(port, "9f2c"));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        servers.spawn(async move { axum::serve(listener, app).await });
    }
    writeln!(
        std::io::stderr(),
        "cookie: cuntong-9f2c={}",
        "ab".repeat(32)
    )?;
    while let Some(ended) = servers.join_next().await {
        ended??;
    }
    Ok(())
}

/// The in-process browser is for tests.
#[allow(dead_code, reason = "shared with the tests")]
type Unused = Browser;
