//! The face of a node: server-rendered pages over the trait [`desk::Desk`].
//!
//! Read in this order: [`desk`] (what pages ask), `routes` (every URL), `guard` (what each
//! request must prove), `page` (the frame of every page), then one file per page family.
//! Everything works without JavaScript: plain forms, POST-redirect-GET.

#[cfg(test)]
extern crate self as cuntong_web;

mod assets;
mod board;
mod case;
pub mod desk;
mod files;
mod guard;
mod home;
mod intake;
mod items;
mod nodes;
mod notices;
mod page;
mod paper;
mod queue;
mod routes;
mod row;
mod sign_in;
mod sticks;
mod sync;
#[cfg(test)]
mod testing;
mod today;
mod tray;
mod visit;
mod words;

use std::sync::Arc;

use desk::Desk;

/// How a node's pages are served.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Host names and addresses a browser may use, without port: `127.0.0.1`, `localhost` …
    /// Any other `Host` is answered 421 (DNS rebinding).
    pub hosts: Vec<String>,
    /// The port browsers see.
    pub port: u16,
    /// Short id of the node; names the cookie, because cookies ignore ports and several nodes
    /// may run on one machine.
    pub node: String,
    /// Served over HTTPS: cookies are `Secure` and carry the `__Host-` prefix.
    pub secure: bool,
}

impl Settings {
    /// Pages for browsers on this very machine.
    pub fn loopback(port: u16, node: impl Into<String>) -> Self {
        Self {
            hosts: ["127.0.0.1", "localhost", "[::1]"]
                .map(String::from)
                .to_vec(),
            port,
            node: node.into(),
            secure: false,
        }
    }

    /// Whether a `Host` header (or an origin's authority) names this node.
    fn knows(&self, authority: &str) -> bool {
        let default = if self.secure { 443 } else { 80 };
        self.hosts.iter().any(|host| {
            let rest = authority
                .get(..host.len())
                .filter(|head| head.eq_ignore_ascii_case(host))
                .map(|_head| &authority[host.len()..]);
            match rest {
                Some("") => self.port == default,
                Some(port) => port.strip_prefix(':') == Some(self.port.to_string().as_str()),
                None => false,
            }
        })
    }
}

/// What handlers share.
pub(crate) struct App<D> {
    pub(crate) desk: Arc<D>,
    pub(crate) settings: Arc<Settings>,
}

impl<D> Clone for App<D> {
    fn clone(&self) -> Self {
        Self {
            desk: Arc::clone(&self.desk),
            settings: Arc::clone(&self.settings),
        }
    }
}

/// All pages of a node, ready to be served.
pub fn router<D: Desk>(desk: Arc<D>, settings: Settings) -> axum::Router {
    routes::router(App {
        desk,
        settings: Arc::new(settings),
    })
}
