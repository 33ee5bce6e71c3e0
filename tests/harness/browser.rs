//! Headless Chromium, driven over WebDriver.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

use crate::process::{Node, wait_for};

/// A driver and the browser it started; both end with it.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    profile: tempfile::TempDir,
    pub page: Client,
}

/// Switches for a browser without a screen and without a network of its own.
const SWITCHES: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1366,900",
];

/// How long a page may take, as a person's patience: on a machine that runs every other test beside
/// this one, a node with slow disks answers late and is right all the same.
const A_MINUTE: Duration = Duration::from_secs(60);

/// Between two looks: the browser needs the time.
const A_MOMENT: Duration = Duration::from_millis(100);

/// When to give up what begins now.
fn patience() -> Instant {
    Instant::now() + A_MINUTE
}

/// What a driver says of a part that the page replaced, or moved, while somebody reached for it. The
/// third has no kind of its own: it comes between finding the part and pressing it.
const GONE: [&str; 4] = [
    "StaleElementReference",
    "ElementNotInteractable",
    "does not belong to the document",
    "ElementClickIntercepted",
];

/// Whether it was done; false when the page replaced the part just then.
fn settled(done: Result<(), fantoccini::error::CmdError>) -> bool {
    match done {
        Ok(()) => true,
        Err(why) if GONE.iter().any(|kind| format!("{why:?}").contains(kind)) => false,
        Err(why) => panic!("the page does not take it: {why}"),
    }
}

impl Browser {
    /// Starts Chromium's driver and a browser with a new profile. Without `scripts`, pages run
    /// none.
    ///
    /// # Panics
    /// When Chromium or its driver is not installed (`tests/all` installs them).
    pub async fn start(scripts: bool) -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|l| l.local_addr())
            .expect("a free port")
            .port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed (tests/all installs it)");
        wait_for("chromedriver", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut switches: Vec<String> = SWITCHES.iter().map(ToString::to_string).collect();
        switches.push(format!("--user-data-dir={}", profile.path().display()));
        let mut options = json!({ "args": switches });
        if !scripts {
            options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
        }
        let mut capabilities = serde_json::Map::new();
        let _none = capabilities.insert("goog:chromeOptions".into(), options);
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let page = builder
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts");
        Self {
            driver,
            profile,
            page,
        }
    }

    /// Opens a page of a node.
    pub async fn open(&self, node: &Node, path: &str) {
        self.page
            .goto(&format!("{}{path}", node.url))
            .await
            .expect("the page opens");
    }

    /// Signs in as the person whose login the demo printed.
    pub async fn sign_in(&self, node: &Node) {
        self.open(node, "/login").await;
        self.fill("input[name=login]", &node.login).await;
        self.fill("input[name=password]", &node.password).await;
        self.click("form[action='/login'] button.go").await;
        // The answer leads on; a page opened before it would be overtaken by it.
        let _signed_in = self.find("form[action='/logout']").await;
    }

    /// Types into the field a selector names, replacing what is there.
    pub async fn fill(&self, selector: &str, text: &str) {
        let until = patience();
        loop {
            let field = self.find(selector).await;
            let typed = match field.clear().await {
                Ok(()) => field.send_keys(text).await,
                Err(why) => Err(why),
            };
            if settled(typed) {
                return;
            }
            assert!(Instant::now() < until, "{selector} does not hold still");
            tokio::time::sleep(A_MOMENT).await;
        }
    }

    /// Presses what a selector names.
    pub async fn click(&self, selector: &str) {
        let until = patience();
        while !settled(self.find(selector).await.click().await) {
            assert!(Instant::now() < until, "{selector} does not hold still");
            tokio::time::sleep(A_MOMENT).await;
        }
    }

    /// Waits until the page has what a selector names.
    pub async fn wait(&self, selector: &str) {
        let _there = self.find(selector).await;
    }

    /// Waits until the page says this.
    ///
    /// # Panics
    /// With what it says instead.
    pub async fn shows(&self, words: &str) {
        let until = patience();
        while !self.page.source().await.is_ok_and(|s| s.contains(words)) {
            if Instant::now() >= until {
                panic!("no {words} in:\n{}", self.text().await);
            }
            tokio::time::sleep(A_MOMENT).await;
        }
    }

    /// Waits until the page shown is one whose path begins so; returns the path.
    ///
    /// # Panics
    /// With what the page says instead.
    pub async fn leads_to(&self, beginning: &str) -> String {
        let until = patience();
        loop {
            let path = self.path().await;
            if path.starts_with(beginning) {
                return path;
            }
            if Instant::now() >= until {
                panic!("{path} is not {beginning}:\n{}", self.text().await);
            }
            tokio::time::sleep(A_MOMENT).await;
        }
    }

    /// The text of the page a person sees.
    pub async fn text(&self) -> String {
        self.find("body")
            .await
            .text()
            .await
            .expect("the page has text")
    }

    /// The path of the page shown.
    async fn path(&self) -> String {
        self.page
            .current_url()
            .await
            .expect("a page is open")
            .path()
            .to_owned()
    }

    /// Whether the page has what a selector names.
    pub async fn has(&self, selector: &str) -> bool {
        self.page.find(Locator::Css(selector)).await.is_ok()
    }

    async fn find(&self, selector: &str) -> fantoccini::elements::Element {
        let wait = self.page.wait().at_most(A_MINUTE);
        match wait.for_element(Locator::Css(selector)).await {
            Ok(element) => element,
            Err(why) => panic!(
                "{selector}: {why}\n{}",
                self.page.source().await.unwrap_or_default()
            ),
        }
    }

    /// Ends the browser in order.
    pub async fn close(self) {
        let _closed = self.page.clone().close().await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _killed = self.driver.kill();
        let _ended = self.driver.wait();
        // Chromium may still write to its profile; the folder goes with the last handle.
        let _folder = self.profile.path();
    }
}
