//! One typed configuration: defaults < `DIR/node.toml` < environment < flags; read once at start.
//!
//! Each setting is a row of [`settings::SETTINGS`]. A key nobody knows is an error that names the
//! file and the line: a misspelt setting must not be a silent default.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use cuntong_protocol::time::Millis;

mod settings;
#[cfg(test)]
mod tests;
mod windows;

use settings::SETTINGS;
pub use windows::Windows;

/// The file in the state directory.
pub const FILE: &str = "node.toml";
/// Environment variables of settings begin so; `CUNTONG_LINK__LISTEN` is `link.listen`.
const ENVIRONMENT: &str = "CUNTONG_";

/// Bytes of the unit in which room is set.
const MIB: u64 = 1024 * 1024;

/// Every setting of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub web: Web,
    pub link: Link,
    pub attachments: Attachments,
    pub log: Log,
    pub inbox: Inbox,
    pub bundle: Bundle,
    pub demo: Demo,
}

/// Pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// Where pages are served.
    pub listen: SocketAddr,
    /// Host names a browser may use besides `localhost` and the address itself.
    pub hosts: Vec<String>,
}

/// Links to other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Address other nodes call, by UDP and by TCP; none: this node only calls.
    pub listen: Option<SocketAddr>,
    /// `host:port` of upstream nodes in the order they are tried: township, then hub.
    pub upstream: Vec<String>,
    /// The only carrier spoken; none: QUIC, and TCP where QUIC is not answered.
    pub carrier: Option<Carrier>,
    /// Longest wait after the first failure; it doubles from here.
    pub retry_first: Duration,
    /// Longest wait ever.
    pub retry_max: Duration,
    /// A connection that hears nothing for so long is gone.
    pub idle: Duration,
    /// A sign of life is sent after so much silence.
    pub keep_alive: Duration,
    /// The TLS handshake must be done by then.
    pub handshake: Duration,
    /// The first message must be there by then.
    pub hello: Duration,
    /// Live connections from other nodes.
    pub connections_max: usize,
    /// Every byte of this line is paid for: no connection is kept up between two exchanges, and no
    /// files move.
    pub metered: bool,
    /// When this node calls on its own.
    pub windows: Windows,
    /// When attached files may move.
    pub attachments: Transfers,
}

impl Link {
    /// Whether attached files may move at that moment.
    pub fn moves_files(&self, now: Millis) -> bool {
        !self.metered && self.attachments.allow(now)
    }
}

/// When attached files may move over links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transfers {
    Always,
    Off,
    /// In these alone.
    Within(Windows),
}

impl Transfers {
    /// Whether files may move at that moment.
    pub fn allow(&self, now: Millis) -> bool {
        match self {
            Self::Always => true,
            Self::Off => false,
            Self::Within(windows) => windows.is_open(now),
        }
    }
}

impl fmt::Display for Transfers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("always"),
            Self::Off => f.write_str("off"),
            Self::Within(windows) => windows.fmt(f),
        }
    }
}

/// Room for attached files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachments {
    /// Bytes of all of them.
    pub quota: u64,
    /// Bytes of the disk that stay free.
    pub free: u64,
}

/// What carries a connection to another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    Quic,
    /// TLS over TCP, for networks that let no UDP through.
    Tcp,
}

impl Carrier {
    /// The word for settings, rows, JSON and logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::Tcp => "tcp",
        }
    }
}

/// What is written about what happens. Never personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, or a filter such as `info,cuntong_node::link=debug`.
    pub level: String,
    /// True: `DIR/log/node.jsonl`; false: standard error.
    pub file: bool,
}

/// The watched folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    pub watch: bool,
}

/// Bundles on sticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Where sticks are looked for: a folder, or `FOLDER/*` for every disk that hangs below it.
    pub places: Vec<String>,
}

/// The sample county.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demo {
    /// Show the switch that unplugs this node's links.
    pub switch: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            web: Web {
                listen: SocketAddr::from(([127, 0, 0, 1], 7080)),
                hosts: Vec::new(),
            },
            link: Link {
                listen: None,
                upstream: Vec::new(),
                carrier: None,
                retry_first: Duration::from_secs(1),
                retry_max: Duration::from_secs(300),
                idle: Duration::from_secs(120),
                keep_alive: Duration::from_secs(20),
                handshake: Duration::from_secs(15),
                hello: Duration::from_secs(10),
                connections_max: 1_000,
                metered: false,
                windows: Windows::default(),
                attachments: Transfers::Always,
            },
            attachments: Attachments {
                quota: 20 * 1024 * MIB,
                free: 1024 * MIB,
            },
            log: Log {
                level: "info".to_owned(),
                file: false,
            },
            inbox: Inbox { watch: true },
            bundle: Bundle {
                places: ["/media/*", "/run/media/*", "/mnt/*"]
                    .map(String::from)
                    .into(),
            },
            demo: Demo { switch: false },
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Environment(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{0}: 没有“{1}”这项设置{2}")]
    Unknown(Origin, String, String),
    #[error("{0}: {1} = {2:?}: {3}")]
    Value(Origin, &'static str, String, String),
    #[error("{0}: {1}")]
    Syntax(Origin, String),
    #[error("{path}: {why}", path = .path.display())]
    Unreadable { path: PathBuf, why: String },
}

/// The settings and where each comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    pub config: Config,
    origins: BTreeMap<&'static str, Origin>,
}

/// One line of `config show --origin`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Line {
    pub key: &'static str,
    pub value: String,
    pub origin: String,
    pub about: &'static str,
}

impl Loaded {
    /// Reads the settings of a state directory.
    ///
    /// `environment` is all of it (the caller's `std::env::vars()`); `flags` are `key=value`.
    ///
    /// # Errors
    /// The first setting that is unknown or has a value it cannot have, with its place.
    pub fn read(
        dir: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[String],
    ) -> Result<Self, ConfigError> {
        let path = dir.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(ConfigError::Unreadable {
                    path,
                    why: error.to_string(),
                });
            }
        };
        Self::layer(&path, &text, environment, flags)
    }

    fn layer(
        path: &Path,
        file: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[String],
    ) -> Result<Self, ConfigError> {
        let mut loaded = Self {
            config: Config::default(),
            origins: BTreeMap::new(),
        };
        loaded.take_file(path, file)?;
        // Sorted, so that the error is the same one each time.
        let environment: BTreeMap<_, _> = environment.into_iter().collect();
        for (name, value) in environment {
            // Without the double underline it is not a setting: CUNTONG_DIR is a flag's.
            let Some(key) = name.strip_prefix(ENVIRONMENT).filter(|k| k.contains("__")) else {
                continue;
            };
            let key = key.replace("__", ".").to_ascii_lowercase();
            loaded.set(&key, &value, Origin::Environment(name))?;
        }
        for flag in flags {
            let origin = Origin::Flag(format!("--set {flag}"));
            let Some((key, value)) = flag.split_once('=') else {
                return Err(ConfigError::Syntax(origin, "应写作 key=value".to_owned()));
            };
            loaded.set(key.trim(), value.trim(), origin)?;
        }
        Ok(loaded)
    }

    fn take_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let at = |offset: usize| Origin::File {
            path: path.to_owned(),
            line: 1 + text[..offset.min(text.len())].matches('\n').count(),
        };
        let table = toml::de::DeTable::parse(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            ConfigError::Syntax(at(offset), error.message().to_owned())
        })?;
        for (section, value) in table.get_ref() {
            let Some(keys) = value.get_ref().as_table() else {
                return Err(unknown(at(section.span().start), section.get_ref()));
            };
            for (key, value) in keys {
                let name = format!("{}.{}", section.get_ref(), key.get_ref());
                let origin = at(key.span().start);
                let Some(value) = plain(value.get_ref()) else {
                    return Err(ConfigError::Syntax(origin, format!("{name}: 不是简单的值")));
                };
                self.set(&name, &value, origin)?;
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str, origin: Origin) -> Result<(), ConfigError> {
        let Some(setting) = SETTINGS.iter().find(|s| s.key == key) else {
            return Err(unknown(origin, key));
        };
        (setting.set)(&mut self.config, value).map_err(|why| {
            ConfigError::Value(origin.clone(), setting.key, value.to_owned(), why)
        })?;
        let _before = self.origins.insert(setting.key, origin);
        Ok(())
    }

    /// Every setting with its value and origin, in the order of the manual.
    pub fn lines(&self) -> Vec<Line> {
        SETTINGS
            .iter()
            .map(|setting| Line {
                key: setting.key,
                value: (setting.get)(&self.config),
                origin: self
                    .origins
                    .get(setting.key)
                    .unwrap_or(&Origin::Default)
                    .to_string(),
                about: setting.about,
            })
            .collect()
    }
}

/// The error for a key nobody knows, with the one that was probably meant.
fn unknown(origin: Origin, key: &str) -> ConfigError {
    let last = key.rsplit('.').next().unwrap_or(key);
    let near = SETTINGS
        .iter()
        .map(|s| s.key)
        .find(|known| known.ends_with(last) || known.starts_with(key))
        .map_or_else(String::new, |known| format!(",是否指 {known}?"));
    ConfigError::Unknown(origin, key.to_owned(), near)
}

/// A value of the file as the text that environment and flags would give.
fn plain(value: &toml::de::DeValue<'_>) -> Option<String> {
    use toml::de::DeValue;
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().replace('_', "")),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        DeValue::Array(items) => items
            .iter()
            .map(|item| plain(item.get_ref()))
            .collect::<Option<Vec<_>>>()
            .map(|all| all.join(",")),
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}
