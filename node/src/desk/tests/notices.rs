use cuntong_protocol::{act::Publish, command::Command, id::SiteId, refusal::Refusal};
use cuntong_web::desk::NoticeStatus;

use super::fixture::{County, QINGXI, SHIQIAO, TOWN};
use crate::desk::notices;

fn notice(places: Vec<SiteId>) -> Publish {
    Publish {
        title: "临时救助审批公示".to_owned(),
        body: "经审核,拟对以下家庭给予救助。".to_owned(),
        places,
        category: "社会救助".to_owned(),
        from: "2026-11-23".to_owned(),
        until: Some("2026-11-29".to_owned()),
        case: None,
        correction: String::new(),
    }
}

#[test]
fn a_notice_of_the_township_hangs_in_the_chosen_village_until_it_ends() {
    let county = County::new();
    let (town, village) = (county.desk(TOWN), county.desk(SHIQIAO));
    let command = Command::PublishNotice(notice(vec![TOWN, SHIQIAO]));
    let published = town.desk.notice_change(&town.actor, command).unwrap();
    town.send(&village);
    let board = village.look(notices::board);
    assert_eq!(board.notices.len(), 1);
    assert_eq!(board.notices[0].publisher_name, "北乡镇");
    assert_eq!(board.notices[0].status, NoticeStatus::Running);
    assert_eq!(village.desk.notice_list().unwrap().len(), 1);
    village.pass(7 * 24 * 3_600_000);
    assert_eq!(village.look(notices::board).notices.len(), 0);
    let id = published.notice;
    let ended = village.look(move |g| notices::one(g, id)).unwrap();
    assert_eq!(ended.status, NoticeStatus::Ended);
}

#[test]
fn a_withdrawn_notice_leaves_a_tombstone_without_content() {
    let county = County::new();
    let town = county.desk(TOWN);
    let command = Command::PublishNotice(notice(vec![TOWN]));
    let id = town
        .desk
        .notice_change(&town.actor, command)
        .unwrap()
        .notice;
    let reason = "名单有误".to_owned();
    let retract = Command::RetractNotice { notice: id, reason };
    let _gone = town.desk.notice_change(&town.actor, retract).unwrap();
    let row = town.look(move |g| notices::one(g, id)).unwrap();
    assert_eq!(row.status, NoticeStatus::Withdrawn);
    assert_eq!(
        (row.body.as_str(), row.withdrawn.unwrap().1.as_str()),
        ("", "名单有误")
    );
    assert_eq!(town.look(notices::board).notices.len(), 0);
}

#[test]
fn a_notice_with_an_id_number_is_refused() {
    let town = County::new().desk(TOWN);
    let mut with_id = notice(vec![TOWN, QINGXI]);
    with_id.body = "李四 349901197608221121 获批".to_owned();
    let refused = town
        .desk
        .notice_change(&town.actor, Command::PublishNotice(with_id));
    assert!(matches!(refused, Err(Refusal::PersonalData(_))));
}
