//! Sample notices in every status.

use cuntong_protocol::{
    id::{DocId, Kind, Scope},
    role::Level,
};
use cuntong_web::desk::{NoticeRow, NoticeStatus};

use super::{NOW, sample};

/// The id of one of them.
pub(crate) fn id(number: u8) -> DocId {
    let site = sample::site(Level::Village).id;
    DocId::new(
        Scope {
            kind: Kind::Notice,
            site,
        },
        [number; 11],
    )
}

/// All of them.
pub(crate) fn all() -> Vec<NoticeRow> {
    let one = |number, title: &str, body: &str, status| NoticeRow {
        id: id(number),
        title: title.to_owned(),
        body: body.to_owned(),
        category: "社会救助".to_owned(),
        publisher: sample::site(Level::Village).id,
        publisher_name: "石桥村".to_owned(),
        places: vec![sample::site(Level::Village)],
        from: "2026-11-18".to_owned(),
        until: Some("2026-11-24".to_owned()),
        published_at: NOW.after(-3 * 86_400_000),
        version: 1,
        correction: String::new(),
        status,
        withdrawn: None,
    };
    let gone = NoticeRow {
        withdrawn: Some((NOW.after(-7_200_000), "金额有误，更正后重新公示".to_owned())),
        ..one(
            3,
            "十月份村级财务收支",
            "撤回前的正文",
            NoticeStatus::Withdrawn,
        )
    };
    let corrected = NoticeRow {
        version: 2,
        correction: "开工日期由 11 月 25 日改为 12 月 1 日".to_owned(),
        category: "项目与招标".to_owned(),
        until: None,
        ..one(
            4,
            "三组饮水管道改造工程",
            "经村民代表会议讨论通过，三组饮水管道改造工程于 12 月 1 日开工，预算 8.6 万元，资金来源为一事一议奖补。",
            NoticeStatus::Running,
        )
    };
    vec![
        one(
            1,
            "2026 年第四季度拟新增低保对象初审公示",
            "经本人申请、入户调查和民主评议，拟将下列家庭纳入最低生活保障:\n一组 王某某，家庭人口 2 人，拟按 B 类保障。\n三组 李某某，家庭人口 1 人，拟按 A 类保障。\n公示期内有异议的，可以向村民委员会或者北乡镇便民服务中心反映。",
            NoticeStatus::Running,
        ),
        corrected,
        gone,
        one(2, "已期满的公示", "高龄津贴发放名单", NoticeStatus::Ended),
        one(
            5,
            "元旦放假安排",
            "元旦代办点值班。",
            NoticeStatus::Scheduled,
        ),
    ]
}
