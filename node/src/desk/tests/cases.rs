use std::collections::BTreeSet;

use cuntong_protocol::{
    act::ActKind, command::Command, id::NodeId, log::Rejection, refusal::Refusal, role::Role,
    state::State,
};
use cuntong_web::desk::{CaseCustody, View};

use super::fixture::{
    County, HUB, LI, QINGXI, SHIQIAO, TOWN, accept, close, deliver, form, grant,
    public_of as public, review,
};
use crate::desk::{Ground, custody, list, page, tray};

#[test]
fn a_case_goes_from_the_village_to_the_township_and_back() {
    let county = County::new();
    let (village, town) = (county.desk(SHIQIAO), county.desk(TOWN));
    let (case, number) = village.log("李四", LI);
    village.send(&town);
    assert_eq!(town.found(&number), ["李四"]);
    assert_eq!(town.view(View::Mine).len(), 1);
    for body in [accept(), review(), grant(), close()] {
        town.act(case, body).unwrap();
    }
    town.send(&village);
    assert_eq!(village.row(case).state, State::Closed);
    assert_eq!(village.view(View::ToDeliver).len(), 1);
    village.act(case, deliver()).unwrap();
    assert_eq!(village.row(case).state, State::Delivered);
    assert_eq!(village.view(View::Mine).len(), 0);
}

#[test]
fn a_case_page_tells_who_did_what_when_it_arrived_and_what_may_be_done() {
    let county = County::new();
    let (village, town) = (county.desk(SHIQIAO), county.desk(TOWN));
    let (case, _) = village.log("李四", LI);
    village.send(&town);
    let actor = town.actor.clone();
    let page = town
        .look(move |g| page::page(g, &actor, case))
        .expect("the case is in the township's area");
    assert!(page.offers.contains(&ActKind::Accept));
    assert!(!page.offers.contains(&ActKind::Deliver));
    assert_eq!(page.arrivals.len(), 1);
    assert!(!page.arrivals[0].own && page.arrivals[0].site == SHIQIAO);
    assert_eq!(page.people[0].1, "s3经办人");
    assert!(page.row.due.is_some() && page.row.light.is_some());
}

#[test]
fn each_sees_the_cases_of_the_own_area_only() {
    let county = County::new();
    let (stone, stream) = (county.desk(SHIQIAO), county.desk(QINGXI));
    let (town, hub) = (county.desk(TOWN), county.desk(HUB));
    let (one, _) = stone.log("李四", LI);
    let (two, _) = stream.log("张三", "34990119410305001X");
    stone.send(&town);
    stream.send(&town);
    town.send(&hub);
    assert_eq!(town.view(View::All).len(), 2);
    assert_eq!(hub.view(View::All).len(), 2);
    let agent = stone.actor.clone();
    let seen = town.look(move |g: &Ground<'_>| {
        let area = g.area(&agent);
        Ok((
            list::one(g, &area, one)?.is_some(),
            list::one(g, &area, two)?.is_some(),
        ))
    });
    assert_eq!(seen, (true, false));
    let mut admin = hub.actor.clone();
    admin.roles = vec![Role::Administrator];
    let nothing = hub.look(move |g| {
        let all = list::cases(g, &admin, &Default::default())?;
        Ok(all.rows.is_empty() && page::page(g, &admin, one)?.is_none())
    });
    assert!(nothing);
}

#[test]
fn a_second_case_of_one_person_and_item_needs_a_reason() {
    let place = County::new().desk(SHIQIAO);
    let (first, number) = place.log("李四", LI);
    let refused = place
        .desk
        .case_log(&place.actor, form("李四", "349901197608221121"));
    assert_eq!(refused.unwrap_err(), Refusal::Duplicate { number });
    let actor = place.actor.clone();
    let warned = place.look(move |g| list::duplicates(g, &actor, super::fixture::RELIEF, LI));
    assert_eq!(warned.iter().map(|row| row.id).collect::<Vec<_>>(), [first]);
    let mut again = form("李四", LI);
    again.duplicate_reason = Some("家中另一成员患病".to_owned());
    place.pass(60_000);
    let second = place.desk.case_log(&place.actor, again).unwrap();
    assert!(!place.row(second.case).duplicate, "somebody said why");
}

#[test]
fn the_same_paper_typed_at_two_villages_shows_at_the_township() {
    let county = County::new();
    let (stone, stream) = (county.desk(SHIQIAO), county.desk(QINGXI));
    let town = county.desk(TOWN);
    let (first, _) = stone.log("李四", LI);
    stream.pass(3_600_000);
    let (second, _) = stream.log("李四", LI);
    stone.send(&town);
    stream.send(&town);
    assert_eq!(town.view(View::Conflicts).len(), 2);
    let actor = town.actor.clone();
    let page = town.look(move |g| page::page(g, &actor, second)).unwrap();
    assert_eq!(page.twins.iter().map(|t| t.id).collect::<Vec<_>>(), [first]);
}

#[test]
fn custody_goes_from_here_to_the_township_to_the_county() {
    let county = County::new();
    let (village, town, hub) = (county.desk(SHIQIAO), county.desk(TOWN), county.desk(HUB));
    let (case, _) = village.log("李四", LI);
    assert_eq!(village.row(case).custody, CaseCustody::Local);
    assert_eq!(village.view(View::LocalOnly).len(), 1);
    village.send(&town);
    assert!(matches!(
        village.row(case).custody,
        CaseCustody::Township(_)
    ));
    assert_eq!(
        village.view(View::LocalOnly).len(),
        1,
        "the county does not have it yet"
    );
    assert!(matches!(town.row(case).custody, CaseCustody::Township(_)));
    village.send(&hub);
    assert!(matches!(village.row(case).custody, CaseCustody::County(_)));
    assert!(matches!(hub.row(case).custody, CaseCustody::County(_)));
    assert_eq!(village.view(View::LocalOnly).len(), 0);
    village.send(&hub);
    let status = village.desk.status().unwrap();
    assert_eq!((status.waiting.count, status.documents), (0, 1));
    // A change after the receipt is here only again.
    let amend = Command::Amend {
        case,
        field: "phone".to_owned(),
        value: cuntong_protocol::text::Private::new("13911112222"),
        reason: "换号".to_owned(),
    };
    let _done = village
        .desk
        .perform_blocking(&village.actor, amend)
        .unwrap();
    assert!(matches!(village.row(case).custody, CaseCustody::Local));
}

#[test]
fn what_the_county_refuses_comes_back_with_whose_paper_it_was() {
    let place = County::new().desk(SHIQIAO);
    let (case, number) = place.log("李四", LI);
    let before = place.desk.status().unwrap();
    let hub = NodeId::of_key(&public(HUB));
    let now = place.clock.now();
    place
        .store
        .write(move |db| {
            let (log, head) = db.whole_vector()?.into_iter().next().unwrap();
            let batch = db.batch(&log, 0)?.unwrap();
            let rejection = Rejection {
                log,
                seq: head.seq,
                doc: batch.entries[0].doc,
                hash: batch.entries[0].hash,
                rule: "G401".to_owned(),
                reason: "样例".to_owned(),
                by: hub,
            };
            db.reject(&[rejection], true, now)
        })
        .unwrap();
    let actor = place.actor.clone();
    let tray = place.look(move |g| tray::rows(g, &actor, None, 10));
    assert_eq!(tray.len(), 1);
    assert_eq!(tray[0].what, format!("登记 收件 {number} 李四"));
    assert_eq!((tray[0].case, tray[0].seen), (Some(case), false));
    assert_eq!(tray[0].by, "云麓县(样例)");
    let after = place.desk.status().unwrap();
    assert_eq!((after.rejected, after.epoch), (1, before.epoch + 1));
    assert_eq!(place.view(View::All).len(), 0);
    // The same paper typed again gets another number: the refused one is on a receipt out there.
    let (_, again) = place.log("李四", LI);
    assert!(again > number);
    let held = place.look(move |g| custody::of_case(g, case));
    assert_eq!(held, CaseCustody::Rejected);
}

#[test]
fn two_desks_never_get_one_number_and_a_refused_form_uses_none_up() {
    let place = County::new().desk(SHIQIAO);
    let mut numbers = BTreeSet::new();
    std::thread::scope(|scope| {
        let desks: Vec<_> = (0..2_u32)
            .map(|desk| {
                let (place, actor) = (place.desk.clone(), place.actor.clone());
                scope.spawn(move || {
                    (0..10)
                        .map(|n| {
                            let mut log = form("张三", LI);
                            log.duplicate_reason = Some(format!("第 {desk}-{n} 件"));
                            place.case_log(&actor, log).unwrap().number.unwrap()
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        for desk in desks {
            numbers.extend(desk.join().unwrap());
        }
    });
    assert_eq!(numbers.len(), 20);
    let _refused = place
        .desk
        .case_log(&place.actor, form("张三", LI))
        .unwrap_err();
    let (_, next) = place.log("李四", "34990119410305001X");
    assert_eq!(next, "34990110120320261123010021");
}

#[test]
fn a_form_sent_twice_logs_one_case() {
    let place = County::new().desk(SHIQIAO);
    let mut log = form("张三", LI);
    log.once = Some([7; 16]);
    let first = place.desk.case_log(&place.actor, log.clone()).unwrap();
    let again = place.desk.case_log(&place.actor, log).unwrap();
    assert_eq!((first.case, &first.number), (again.case, &again.number));
    assert_eq!(place.view(View::All).len(), 1);
}

#[test]
fn rows_made_again_from_the_documents_are_the_same() {
    let county = County::new();
    let (village, town) = (county.desk(SHIQIAO), county.desk(TOWN));
    let (case, _) = village.log("买买提·吐尔逊", LI);
    village.log("张三", "34990119410305001X");
    village.send(&town);
    town.act(case, accept()).unwrap();
    for place in [village, town] {
        let report = place.store.write(|db| db.verify()).unwrap();
        assert_eq!(report.problems, [""; 0]);
    }
}

#[test]
fn the_day_counts_what_is_to_do() {
    let county = County::new();
    let (village, town) = (county.desk(SHIQIAO), county.desk(TOWN));
    let (case, _) = village.log("李四", LI);
    village.log("张三", "34990119410305001X");
    let mut draft = form("王五", "");
    draft.receive = false;
    let _draft = village.desk.case_log(&village.actor, draft).unwrap();
    let today = |place: &super::fixture::Counter| {
        let actor = place.actor.clone();
        place.look(move |g| list::today(g, &actor))
    };
    let day = today(&village);
    assert_eq!(
        (day.received_today, day.drafts, day.local_only, day.red),
        (2, 1, 3, 0)
    );
    village.send(&town);
    for body in [accept(), review(), grant(), close()] {
        town.act(case, body).unwrap();
    }
    town.send(&village);
    let day = today(&village);
    assert_eq!((day.to_deliver, day.to_do), (1, 2));
    assert_eq!(today(&town).to_do, 1);
    // Six weeks later nothing was done, and the light is red.
    town.pass(42 * 24 * 3_600_000);
    assert_eq!(today(&town).red, town.view(View::Red).len() as u64);
    assert!(!town.view(View::Red).is_empty());
}
