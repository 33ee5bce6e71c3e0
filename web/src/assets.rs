//! Style sheet and modules, inside the executable; addressed with the hash of their content so
//! that browsers may keep them for ever.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};

use crate::page::Failure;

struct Asset {
    name: &'static str,
    mime: &'static str,
    body: &'static str,
}

const JS: &str = "text/javascript; charset=utf-8";

const ASSETS: [Asset; 6] = [
    Asset {
        name: "style.css",
        mime: "text/css; charset=utf-8",
        body: include_str!("../assets/style.css"),
    },
    Asset {
        name: "pages.css",
        mime: "text/css; charset=utf-8",
        body: include_str!("../assets/pages.css"),
    },
    Asset {
        name: "paper.css",
        mime: "text/css; charset=utf-8",
        body: include_str!("../assets/paper.css"),
    },
    Asset {
        name: "app.js",
        mime: JS,
        body: include_str!("../assets/app.js"),
    },
    Asset {
        name: "intake.js",
        mime: JS,
        body: include_str!("../assets/intake.js"),
    },
    Asset {
        name: "icon.svg",
        mime: "image/svg+xml",
        body: include_str!("../assets/icon.svg"),
    },
];

/// One hash over all of them: they are released together.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = blake3::Hasher::new();
    for asset in &ASSETS {
        hasher.update(asset.body.as_bytes());
    }
    hasher.finalize().to_hex()[..12].to_owned()
});

/// The version part of asset addresses.
pub(crate) fn version() -> &'static str {
    &VERSION
}

/// `GET /assets/{version}/{name}`: the version is in the path, so that a module finds the one it
/// imports under the same address as the page does, and runs it once.
pub(crate) async fn serve(
    Path((_version, name)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let asset = ASSETS
        .iter()
        .find(|asset| asset.name == name)
        .ok_or(Failure::NotFound)?;
    Ok((
        [
            (header::CONTENT_TYPE, asset.mime),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ],
        asset.body,
    )
        .into_response())
}
