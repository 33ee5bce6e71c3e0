//! Whether the body of a control document makes sense. A registrar's slip is caught here, on the
//! registrar's own machine first and again on every node.

use std::collections::BTreeSet;

use ed25519_dalek::VerifyingKey;

use super::{
    CalendarDoc, Catalogue, Credentials, Directory, Item, Place, Places, Roster,
    signed::{Authority, Body, TrustError},
};
use crate::{
    calendar::Calendar,
    id::{NodeId, SiteId},
    limits::{ITEMS_MAX, NODES_MAX, PEOPLE_MAX, SITES_MAX},
    role::Level,
};

impl Body {
    /// Whether it makes sense by itself; what other documents say is not asked, because they
    /// may come later.
    ///
    /// # Errors
    /// [`TrustError::Body`], with the reason in words.
    pub fn check(&self) -> Result<(), TrustError> {
        let checked = match self {
            Self::Authority(body) => authority(body),
            Self::Roster(body) => roster(body),
            Self::Places(body) => places(body),
            Self::Directory(body) => directory(body),
            Self::Credentials(body) => credentials(body),
            Self::Catalogue(body) => catalogue(body),
            Self::Calendar(body) => calendar(body),
        };
        checked.map_err(|why| TrustError::Body {
            kind: self.kind(),
            why,
        })
    }
}

type Checked = Result<(), String>;

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(why()) }
}

fn once<T: Ord>(seen: &mut BTreeSet<T>, value: T, why: impl FnOnce() -> String) -> Checked {
    ensure(seen.insert(value), why)
}

/// A line of text: there is some, not too long, nothing that does not show.
fn line(text: &str, chars_max: usize, what: &str) -> Checked {
    ensure(!text.trim().is_empty(), || format!("{what}为空"))?;
    let chars = text.chars().count();
    ensure(chars <= chars_max, || {
        format!("{what}有 {chars} 个字，最多 {chars_max} 个")
    })?;
    ensure(!text.chars().any(crate::text::is_hidden), || {
        format!("{what}含有不可见字符")
    })
}

/// An Ed25519 key that means something.
fn key(bytes: &[u8; 32]) -> Checked {
    let good = VerifyingKey::from_bytes(bytes).is_ok_and(|key| !key.is_weak());
    ensure(good, || "有一个密钥不是可用的 Ed25519 公钥".into())
}

fn authority(body: &Authority) -> Checked {
    let roots = body.roots.len();
    ensure((3..=9).contains(&roots), || {
        format!("根密钥有 {roots} 把，应为 3 至 9 把")
    })?;
    let threshold = usize::from(body.threshold);
    ensure(threshold * 2 > roots && threshold <= roots, || {
        format!("签名门限 {threshold} 应过根密钥的半数")
    })?;
    ensure(body.registrars.len() <= 8, || "登记员密钥多于 8 把".into())?;
    let mut seen = BTreeSet::new();
    for k in body.roots.iter().chain(&body.registrars) {
        key(k)?;
        once(&mut seen, k, || "同一把密钥写了两次".into())?;
    }
    let ca_fits = |der: &Vec<u8>| (1..=4096).contains(&der.len());
    ensure(
        body.transport_ca.len() <= 4 && body.transport_ca.iter().all(ca_fits),
        || "传输证书多于 4 张，或有一张超过 4 KiB".into(),
    )
}

fn roster(body: &Roster) -> Checked {
    ensure(body.nodes.len() <= NODES_MAX, || "节点太多".into())?;
    let (mut ids, mut spkis, mut slots) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for n in &body.nodes {
        key(&n.sign_key)?;
        ensure(n.node == NodeId::of_key(&n.sign_key), || {
            format!("节点 {} 的编号与它的签名密钥不符", n.node)
        })?;
        ensure(n.site != SiteId(0), || format!("节点 {} 没有站点", n.node))?;
        once(&mut ids, n.node, || format!("节点 {} 列了两次", n.node))?;
        once(&mut spkis, n.spki, || {
            format!("节点 {} 的传输密钥别的节点也在用", n.node)
        })?;
        // The slot is part of printed case numbers, so not even a machine that is gone frees it.
        ensure((1..=99).contains(&n.slot), || {
            format!("节点 {} 的机号 {} 不在 1 至 99 之间", n.node, n.slot)
        })?;
        once(&mut slots, (n.site, n.slot), || {
            format!("站点 {} 的机号 {} 用了两次", n.site, n.slot)
        })?;
    }
    Ok(())
}

fn places(body: &Places) -> Checked {
    ensure(body.sites.len() <= SITES_MAX, || "站点太多".into())?;
    let counties = body
        .sites
        .iter()
        .filter(|p| p.level == Level::County)
        .count();
    ensure(counties == 1, || {
        format!("应恰有一个县级站点，现有 {counties} 个")
    })?;
    let levels: std::collections::BTreeMap<_, _> =
        body.sites.iter().map(|p| (p.site, p.level)).collect();
    let (mut sites, mut codes) = (BTreeSet::new(), BTreeSet::new());
    for p in &body.sites {
        ensure(p.site != SiteId(0), || {
            format!("“{}”的站点编号为 0", p.name)
        })?;
        once(&mut sites, p.site, || format!("站点 {} 列了两次", p.site))?;
        once(&mut codes, &p.code, || {
            format!("区划代码 {} 用了两次", p.code)
        })?;
        place(p)?;
        let parent = p.parent.and_then(|parent| levels.get(&parent));
        // Each parent is of a higher level, so there is no way round in a circle.
        match (p.level, p.parent) {
            (Level::County, None) => {}
            (Level::County, Some(_)) => return Err(format!("县级站点 {} 不能有上级", p.site)),
            (Level::Township | Level::Village, _) => {
                ensure(parent.is_some_and(|l| *l > p.level), || {
                    format!("站点 {}（“{}”）的上级不存在或级别不高于它", p.site, p.name)
                })?;
            }
        }
    }
    Ok(())
}

fn place(p: &Place) -> Checked {
    line(&p.name, 60, "站点名称")?;
    let is_code = |code: &str| code.len() == 12 && code.bytes().all(|b| b.is_ascii_digit());
    ensure(is_code(&p.code), || {
        format!("“{}”的区划代码“{}”不是 12 位数字", p.name, p.code)
    })?;
    ensure(p.before.len() <= 32, || {
        format!("“{}”的曾用代码太多", p.name)
    })?;
    for former in &p.before {
        line(&former.name, 60, "曾用名称")?;
        ensure(
            is_code(&former.code) && super::date(&former.until).is_some(),
            || format!("“{}”的曾用代码或截止日期有误", p.name),
        )?;
    }
    Ok(())
}

fn directory(body: &Directory) -> Checked {
    ensure(body.people.len() <= PEOPLE_MAX, || "人员太多".into())?;
    let mut ids = BTreeSet::new();
    for p in &body.people {
        once(&mut ids, p.id, || format!("人员 {} 列了两次", p.id))?;
        line(&p.name, crate::text::NAME_CHARS_MAX, "人员姓名")?;
        ensure(p.site != SiteId(0), || format!("人员 {} 没有站点", p.id))?;
        let roles: BTreeSet<_> = p.roles.iter().collect();
        ensure(roles.len() == p.roles.len(), || {
            format!("人员 {} 的同一岗位写了两次", p.id)
        })?;
    }
    Ok(())
}

fn credentials(body: &Credentials) -> Checked {
    ensure(body.logins.len() <= PEOPLE_MAX, || "登录名太多".into())?;
    let (mut people, mut logins) = (BTreeSet::new(), BTreeSet::new());
    for l in &body.logins {
        once(&mut people, l.person, || {
            format!("人员 {} 有两个登录名", l.person)
        })?;
        line(&l.login, 64, "登录名")?;
        ensure(!l.login.contains(char::is_whitespace), || {
            format!("登录名“{}”含有空格", l.login)
        })?;
        once(&mut logins, l.login.to_ascii_lowercase(), || {
            format!("登录名“{}”用了两次", l.login)
        })?;
        ensure(
            l.phc.starts_with("$argon2id$") && l.phc.len() <= 512,
            || format!("登录名“{}”的口令摘要不是 argon2id", l.login),
        )?;
    }
    Ok(())
}

fn catalogue(body: &Catalogue) -> Checked {
    ensure(body.items.len() <= ITEMS_MAX, || "事项太多".into())?;
    let mut seen = BTreeSet::new();
    for i in &body.items {
        item(i).map_err(|why| {
            format!(
                "事项 {}：{why}",
                i.code.chars().take(40).collect::<String>()
            )
        })?;
        once(&mut seen, (&i.code, i.version), || {
            format!("事项 {} 的第 {} 版列了两次", i.code, i.version)
        })?;
    }
    Ok(())
}

/// Words of places where an item's notices hang.
pub(super) const STAGE_PLACES: [&str; 5] =
    ["village", "township", "county", "group", "county_site"];
/// Words of how far an item's cases may be made public; empty: as other cases.
pub(super) const PRIVACY_CLASSES: [&str; 6] = [
    "",
    "publish_minimal",
    "minor_no_publish",
    "health",
    "sensitive",
    "biometric",
];

/// Whether one item makes sense.
pub(super) fn item(i: &Item) -> Checked {
    // 36: the width of 实施编码 in the national table.
    let code =
        (1..=36).contains(&i.code.len()) && i.code.bytes().all(|b| b.is_ascii_alphanumeric());
    ensure(code, || "编码须为 1 至 36 位字母或数字".into())?;
    ensure(i.version > 0, || "版本号须从 1 开始".into())?;
    line(&i.name, 100, "名称")?;
    line(&i.class, 20, "类型")?;
    line(&i.department, 60, "部门")?;
    ensure(!i.decide.is_empty(), || "没有决定层级".into())?;
    ensure(i.decide.iter().all(|l| *l >= i.receive), || {
        "决定层级低于受理层级".into()
    })?;
    ensure(i.decide.is_sorted_by(|a, b| a < b), || {
        "决定层级重复或次序不对".into()
    })?;
    ensure((1..=3_660).contains(&i.legal_days), || {
        "法定时限须为 1 至 3660 个工作日".into()
    })?;
    ensure(i.promised_days <= i.legal_days, || {
        "承诺时限长于法定时限".into()
    })?;
    ensure(i.materials.len() <= 60, || "材料多于 60 种".into())?;
    let mut names = BTreeSet::new();
    for m in &i.materials {
        line(&m.name, 100, "材料名称")?;
        once(&mut names, &m.name, || format!("材料“{}”写了两次", m.name))?;
    }
    ensure(i.stages.len() <= 10, || "公示环节多于 10 个".into())?;
    for s in &i.stages {
        line(&s.name, 40, "公示环节")?;
        ensure(STAGE_PLACES.contains(&s.place.as_str()), || {
            format!("公示地点“{}”不认识", s.place)
        })?;
        ensure(s.days.is_none_or(|d| (1..=366).contains(&d)), || {
            "公示天数须为 1 至 366".into()
        })?;
    }
    ensure(PRIVACY_CLASSES.contains(&i.privacy.as_str()), || {
        format!("公开口径“{}”不认识", i.privacy)
    })?;
    ensure(i.keywords.len() <= 40, || "关键词多于 40 个".into())?;
    i.keywords.iter().try_for_each(|k| line(k, 20, "关键词"))
}

fn calendar(body: &CalendarDoc) -> Checked {
    ensure(body.years.len() <= 100, || "年份太多".into())?;
    ensure(body.off.len() + body.work.len() <= 10_000, || {
        "日期太多".into()
    })?;
    Calendar::new(body, 1).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        control::{Login, Person, catalogue, fixture, sample},
        id::PersonId,
        role::Role,
    };

    fn why(body: Body) -> String {
        body.check().unwrap_err().to_string()
    }

    #[test]
    fn an_authority_needs_three_good_keys_and_more_than_half_of_them() {
        let good = fixture::authority();
        assert_eq!(Body::Authority(good.clone()).check(), Ok(()));
        let wrong = |change: fn(&mut Authority)| {
            let mut body = good.clone();
            change(&mut body);
            why(Body::Authority(body))
        };
        assert!(wrong(|a| a.threshold = 1).contains("门限"));
        assert!(wrong(|a| a.threshold = 4).contains("门限"));
        assert!(wrong(|a| a.roots.truncate(2)).contains("3 至 9"));
        assert!(wrong(|a| a.roots[2] = a.roots[0]).contains("两次"));
        assert!(wrong(|a| a.registrars = vec![a.roots[0]]).contains("两次"));
        // The neutral point: every signature of some form verifies under it.
        assert!(
            wrong(|a| a.roots[0] = std::array::from_fn(|i| u8::from(i == 0))).contains("Ed25519")
        );
        assert!(wrong(|a| a.transport_ca = vec![vec![0; 5_000]]).contains("4 KiB"));
        assert!(wrong(|a| a.transport_ca = vec![Vec::new()]).contains("4 KiB"));
    }

    #[test]
    fn a_machine_number_is_never_used_twice_at_a_site() {
        let mut gone = fixture::node(fixture::SHIQIAO);
        gone.status = crate::control::NodeStatus::Replaced;
        let mut next = fixture::node(fixture::QINGXI);
        next.site = fixture::SHIQIAO;
        let nodes = vec![gone.clone(), next.clone()];
        assert!(why(Body::Roster(Roster { nodes })).contains("机号 1 用了两次"));
        next.slot = 2;
        let nodes = vec![gone, next];
        assert_eq!(Body::Roster(Roster { nodes }).check(), Ok(()));
    }

    #[test]
    fn people_and_logins_are_there_once_and_readable() {
        let mut people = fixture::directory();
        assert_eq!(Body::Directory(people.clone()).check(), Ok(()));
        people.people.push(people.people[0].clone());
        assert!(why(Body::Directory(people)).contains("两次"));
        let person = |name: &str, roles: Vec<Role>| {
            Body::Directory(Directory {
                people: vec![Person {
                    id: PersonId([1; 8]),
                    name: name.into(),
                    site: fixture::HUB,
                    roles,
                    until: None,
                }],
            })
        };
        assert!(why(person(" ", vec![])).contains("为空"));
        assert!(why(person("张\u{202e}三", vec![])).contains("不可见"));
        assert!(why(person("张三", vec![Role::Clerk, Role::Clerk])).contains("岗位"));
        let login = |n: u8, login: &str, phc: &str| Login {
            person: PersonId([n; 8]),
            login: login.into(),
            phc: phc.into(),
            version: 1,
        };
        let phc = "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA";
        let logins = |logins| Body::Credentials(Credentials { logins });
        assert_eq!(
            logins(vec![login(1, "li", phc), login(2, "wang", phc)]).check(),
            Ok(())
        );
        assert!(why(logins(vec![login(1, "li", phc), login(2, "LI", phc)])).contains("两次"));
        assert!(why(logins(vec![login(1, "li", phc), login(1, "wang", phc)])).contains("两个"));
        assert!(why(logins(vec![login(1, "l i", phc)])).contains("空格"));
        assert!(why(logins(vec![login(1, "li", "secret")])).contains("argon2id"));
    }

    #[test]
    fn a_catalogue_names_each_version_of_an_item_once() {
        let mut items = catalogue::from_csv(sample::ITEMS_CSV).unwrap();
        items.push(items[0].clone());
        let twice = why(Body::Catalogue(Catalogue {
            items: items.clone(),
        }));
        assert!(twice.contains("第 1 版列了两次"));
        items[47].version = 2;
        assert_eq!(
            Body::Catalogue(Catalogue {
                items: items.clone()
            })
            .check(),
            Ok(())
        );
        items[47].code = "不是编码".into();
        assert!(why(Body::Catalogue(Catalogue { items })).contains("编码须为"));
    }

    #[test]
    fn a_calendar_has_real_dates_of_its_years() {
        let calendar = |off: &str, work: &str| {
            Body::Calendar(CalendarDoc {
                years: vec![2026],
                off: vec![off.into()],
                work: vec![work.into()],
            })
        };
        assert_eq!(calendar("2026-10-01", "2026-10-10").check(), Ok(()));
        for (off, work) in [
            ("2026-02-30", "2026-10-10"),
            ("20261001", "2026-10-10"),
            ("2027-01-01", "2026-10-10"),
            ("2026-10-01", "2026-10-12"),
            ("2026-10-10", "2026-10-10"),
        ] {
            assert!(calendar(off, work).check().is_err(), "{off} {work}");
        }
    }
}
