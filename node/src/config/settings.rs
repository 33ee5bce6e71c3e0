//! The table of settings: key, meaning, how to set it from text, how to show it.

use std::{net::SocketAddr, time::Duration};

use super::{Carrier, Config, MIB, Transfers, Windows};

/// Whichever carrier works.
const AUTO: &str = "auto";

/// One setting.
pub(super) struct Setting {
    pub(super) key: &'static str,
    /// For the manual and `config show`.
    pub(super) about: &'static str,
    pub(super) set: fn(&mut Config, &str) -> Result<(), String>,
    pub(super) get: fn(&Config) -> String,
}

macro_rules! setting {
    ($key:literal, $about:literal, $($field:ident).+, $parse:expr, $show:expr) => {
        Setting {
            key: $key,
            about: $about,
            set: |config, text| {
                config.$($field).+ = $parse(text)?;
                Ok(())
            },
            get: |config| $show(&config.$($field).+),
        }
    };
}

/// All of them.
pub(super) const SETTINGS: &[Setting] = &[
    setting!(
        "web.listen",
        "网页地址",
        web.listen,
        address,
        ToString::to_string
    ),
    setting!(
        "web.hosts",
        "浏览器可用的其他主机名,逗号分隔",
        web.hosts,
        list,
        |all: &Vec<String>| show_list(all)
    ),
    setting!(
        "link.listen",
        "供其他节点连接的地址（UDP 和 TCP 同一端口）;空则只向外连接",
        link.listen,
        optional_address,
        show_optional_address
    ),
    setting!(
        "link.upstream",
        "上级节点 host:port,按先后尝试:先乡镇,后县",
        link.upstream,
        list,
        |all: &Vec<String>| show_list(all)
    ),
    setting!(
        "link.carrier",
        "auto:先 QUIC,不通时经 TCP;quic、tcp:只用一种,连出与连入都是",
        link.carrier,
        carrier,
        show_carrier
    ),
    setting!(
        "link.retry_first_ms",
        "首次失败后最长等待,毫秒",
        link.retry_first,
        |text| millis(text, 10, 60_000),
        show_millis
    ),
    setting!(
        "link.retry_max_ms",
        "最长等待,毫秒",
        link.retry_max,
        |text| millis(text, 10, 3_600_000),
        show_millis
    ),
    setting!(
        "link.idle_ms",
        "多久无消息视为断开,毫秒",
        link.idle,
        |text| millis(text, 1_000, 600_000),
        show_millis
    ),
    setting!(
        "link.keep_alive_ms",
        "静默多久发送保活,毫秒",
        link.keep_alive,
        |text| millis(text, 500, 300_000),
        show_millis
    ),
    setting!(
        "link.handshake_ms",
        "握手时限,毫秒",
        link.handshake,
        |text| millis(text, 100, 120_000),
        show_millis
    ),
    setting!(
        "link.hello_ms",
        "首条消息时限,毫秒",
        link.hello,
        |text| millis(text, 100, 120_000),
        show_millis
    ),
    setting!(
        "link.connections_max",
        "同时在线的下级节点数",
        link.connections_max,
        |text| number(text, 1, 10_000),
        ToString::to_string
    ),
    setting!(
        "link.attachments",
        "附件何时传输:always 随时;off 不传;如 20:00-06:00 只在这段时间",
        link.attachments,
        transfers,
        ToString::to_string
    ),
    setting!(
        "link.metered",
        "线路按流量计费:交换完即断开,不保持连接,附件暂停",
        link.metered,
        yes_no,
        ToString::to_string
    ),
    setting!(
        "link.windows",
        "只在这些时段自动联系上级,如 06:30-08:00,20:00-23:00;空则任何时候",
        link.windows,
        Windows::parse,
        ToString::to_string
    ),
    setting!(
        "attachments.quota_mb",
        "附件总共可占的空间,MB",
        attachments.quota,
        |text| mib(text, 16, 64 * 1024 * 1024),
        show_mib
    ),
    setting!(
        "attachments.free_mb",
        "磁盘至少留空,MB;不足时不再收附件",
        attachments.free,
        |text| mib(text, 0, 64 * 1024 * 1024),
        show_mib
    ),
    setting!("log.level", "日志级别", log.level, level, Clone::clone),
    setting!(
        "log.file",
        "true:写入 DIR/log/node.jsonl;false:标准错误输出",
        log.file,
        yes_no,
        ToString::to_string
    ),
    setting!(
        "inbox.watch",
        "监视 DIR/inbox",
        inbox.watch,
        yes_no,
        ToString::to_string
    ),
    setting!(
        "bundle.places",
        "在哪里找 U 盘:文件夹,或 文件夹/* 表示其下挂的每个盘,逗号分隔;空则不找",
        bundle.places,
        places,
        |all: &Vec<String>| show_list(all)
    ),
    setting!(
        "demo.switch",
        "显示断网开关(演示用)",
        demo.switch,
        yes_no,
        ToString::to_string
    ),
];

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_not_address| "应为 IP:端口".to_owned())
}

fn carrier(text: &str) -> Result<Option<Carrier>, String> {
    match text {
        AUTO => Ok(None),
        "quic" => Ok(Some(Carrier::Quic)),
        "tcp" => Ok(Some(Carrier::Tcp)),
        _ => Err("应为 auto、quic 或 tcp".to_owned()),
    }
}

#[expect(
    clippy::ref_option,
    reason = "the table hands every field by reference"
)]
fn show_carrier(carrier: &Option<Carrier>) -> String {
    carrier.map_or(AUTO, Carrier::word).to_owned()
}

fn optional_address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text.is_empty() {
        Ok(None)
    } else {
        address(text).map(Some)
    }
}

#[expect(
    clippy::ref_option,
    reason = "the table hands every field by reference"
)]
fn show_optional_address(address: &Option<SocketAddr>) -> String {
    address.map_or_else(String::new, |address| address.to_string())
}

#[expect(clippy::unnecessary_wraps, reason = "one signature for every setting")]
fn list(text: &str) -> Result<Vec<String>, String> {
    Ok(text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(ToOwned::to_owned)
        .collect())
}

fn places(text: &str) -> Result<Vec<String>, String> {
    let all = list(text)?;
    match all.iter().find(|place| !place.starts_with('/')) {
        Some(relative) => Err(format!("“{relative}”应为完整路径，以 / 开头")),
        None => Ok(all),
    }
}

fn show_list(all: &[String]) -> String {
    all.join(",")
}

fn number(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = text.parse().map_err(|_not_number| "应为整数".to_owned())?;
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(format!("应在 {least} 与 {most} 之间"))
    }
}

fn millis(text: &str, least: usize, most: usize) -> Result<Duration, String> {
    Ok(Duration::from_millis(number(text, least, most)? as u64))
}

fn show_millis(time: &Duration) -> String {
    time.as_millis().to_string()
}

fn mib(text: &str, least: usize, most: usize) -> Result<u64, String> {
    Ok(number(text, least, most)? as u64 * MIB)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the table hands every field by reference"
)]
fn show_mib(bytes: &u64) -> String {
    (bytes / MIB).to_string()
}

fn transfers(text: &str) -> Result<Transfers, String> {
    match text {
        "always" => Ok(Transfers::Always),
        "off" => Ok(Transfers::Off),
        windows => match Windows::parse(windows) {
            Ok(windows) if windows.any() => Ok(Transfers::Within(windows)),
            Ok(_) | Err(_) => Err("应为 always、off 或如 20:00-06:00".to_owned()),
        },
    }
}

fn yes_no(text: &str) -> Result<bool, String> {
    text.parse()
        .map_err(|_not_bool| "应为 true 或 false".to_owned())
}

fn level(text: &str) -> Result<String, String> {
    text.parse::<tracing_subscriber::EnvFilter>()
        .map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}
