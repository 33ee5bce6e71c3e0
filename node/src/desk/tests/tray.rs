//! 退回箱: what comes back is shown with its reason, can be done again, and stays until it is.

use cuntong_protocol::{
    act::{Mandate, Publish, Receive, TakenEarlier},
    command::{Command, LogCase},
    fields,
    id::{CaseId, DocId, Kind},
    log::Rejection,
    refusal::Refusal,
    role::Role,
    text::Private,
};
use cuntong_web::desk::{CaseCustody, Outcome, RejectionRow};

use super::fixture::{Counter, County, HUB, LI, SHIQIAO, TOWN, accept, form, public_of as public};
use crate::desk::{custody, tray};

impl Counter {
    /// The hub's word on the entries of one document from its `first` on: they come back.
    fn refuse(&self, doc: DocId, first: usize) {
        let by = cuntong_protocol::id::NodeId::of_key(&public(HUB));
        let now = self.clock.now();
        self.store
            .write(move |db| {
                let mut all = Vec::new();
                for (log, _) in db.whole_vector()? {
                    let Some(batch) = db.batch(&log, 0)? else {
                        continue;
                    };
                    for (seq, entry) in (batch.first..).zip(&batch.entries) {
                        if entry.doc == doc && entry.body.is_some() {
                            all.push(Rejection {
                                log,
                                seq,
                                doc,
                                hash: entry.hash,
                                rule: "G508".to_owned(),
                                reason: "名录中没有这个人".to_owned(),
                                by,
                            });
                        }
                    }
                }
                db.reject(&all[first..=first], true, now)
            })
            .unwrap();
    }

    fn tray(&self) -> Vec<RejectionRow> {
        let actor = self.actor.clone();
        self.look(move |g| tray::rows(g, &actor, None, 100))
    }

    /// The tray's only open row.
    #[track_caller]
    fn came_back(&self) -> RejectionRow {
        let mut open = self.tray();
        open.retain(RejectionRow::open);
        assert_eq!(open.len(), 1);
        open.remove(0)
    }

    fn open(&self) -> u64 {
        self.desk.status().unwrap().rejected
    }

    fn custody(&self, case: CaseId) -> CaseCustody {
        self.look(move |g| custody::of_case(g, case))
    }
}

fn redone(row: &RejectionRow) -> Option<(Option<CaseId>, Option<DocId>)> {
    match &row.settled.as_ref()?.outcome {
        Outcome::Redone { case, notice } => Some((*case, *notice)),
        Outcome::Dropped { .. } => None,
    }
}

fn amend(case: CaseId, phone: &str) -> Command {
    Command::Amend {
        case,
        field: fields::PHONE.to_owned(),
        value: Private::new(phone),
        reason: "换号".to_owned(),
    }
}

#[test]
fn a_refused_intake_is_done_again_and_leaves_the_count() {
    let place = County::new().desk(SHIQIAO);
    let whole = LogCase {
        materials: [(0, "original".to_owned())].into(),
        mandate: Some(Mandate {
            may_collect: true,
            witness: Some("赵会计".to_owned()),
            ..Mandate::default()
        }),
        taken: Some(TakenEarlier {
            at: place.clock.now().after(-3_600_000),
            reason: "停电".to_owned(),
        }),
        duplicate_reason: Some("另一户".to_owned()),
        ..form("李四", LI)
    };
    let old = place.desk.case_log(&place.actor, whole.clone()).unwrap();
    place.refuse(old.case.doc(Kind::Application), 0);
    let row = place.came_back();
    assert!(row.own && row.may);
    assert_eq!(row.reason, "名录中没有这个人");
    assert_eq!(
        (place.open(), place.custody(old.case)),
        (1, CaseCustody::Rejected)
    );

    let again = place.desk.redo(&place.actor, row.id).unwrap();
    let Command::Log(typed) = again.command else {
        panic!("not an intake");
    };
    assert!(typed.receive && typed.fields == whole.fields);
    assert_eq!(typed.materials[&0], "original");
    assert_eq!((typed.mandate, typed.taken), (whole.mandate, whole.taken));
    assert_eq!(typed.duplicate_reason, whole.duplicate_reason);

    place.pass(60_000);
    let done = place
        .desk
        .redo_blocking(&place.actor, row.id, None)
        .unwrap();
    let new = done.case.unwrap();
    assert_ne!(new, old.case);
    assert!(
        done.number > old.number,
        "the old number is on a paper out there"
    );
    assert_eq!(place.row(new).name.reveal(), "李四");
    assert_eq!(place.open(), 0);
    let tray = place.tray();
    assert_eq!(redone(&tray[0]), Some((Some(new), None)));
    assert_eq!(tray[0].settled.as_ref().unwrap().person, "s3经办人");
    assert_ne!(place.custody(old.case), CaseCustody::Rejected);
    let audit = place.store.read(|db| db.audit(1)).unwrap();
    assert_eq!(audit[0].action, "rejection.redo");

    let twice = place.desk.redo_blocking(&place.actor, row.id, None);
    assert_eq!(twice.unwrap_err(), Refusal::SettledAlready);
}

#[test]
fn what_followed_a_refused_intake_goes_into_the_case_that_took_its_place() {
    let place = County::new().desk(SHIQIAO);
    let (case, _) = place.log("李四", LI);
    let amend = amend(case, "13911112222");
    let _done = place.desk.perform_blocking(&place.actor, amend).unwrap();
    place.refuse(case.doc(Kind::Application), 0);
    assert_eq!(place.open(), 2);
    let tray = place.tray();
    let find = |act: &str| tray.iter().find(|r| r.what.starts_with(act)).unwrap().id;
    let (intake, change) = (find("登记"), find("更正"));

    let early = place.desk.redo_blocking(&place.actor, change, None);
    assert_eq!(early.unwrap_err(), Refusal::RedoFirst);
    let done = place
        .desk
        .redo_blocking(&place.actor, intake, None)
        .unwrap();
    let new = done.case.unwrap();
    let done = place
        .desk
        .redo_blocking(&place.actor, change, None)
        .unwrap();
    assert_eq!(done.case, Some(new));
    let actor = place.actor.clone();
    let page = place.look(move |g| crate::desk::page::page(g, &actor, new));
    assert_eq!(page.unwrap().case.text(fields::PHONE), "13911112222");
    assert_eq!(place.open(), 0);
}

#[test]
fn a_redo_that_is_refused_again_settles_nothing_and_another_value_may_be_given() {
    let place = County::new().desk(SHIQIAO);
    let (case, _) = place.log("李四", LI);
    let first = amend(case, "13911112222");
    let _done = place.desk.perform_blocking(&place.actor, first).unwrap();
    place.refuse(case.doc(Kind::Application), 1);
    let row = place.came_back();
    assert_eq!(row.what, "更正 联系电话 李四");
    assert_eq!(place.custody(case), CaseCustody::Rejected);
    let bad = Some(amend(case, "12"));
    let again = place.desk.redo_blocking(&place.actor, row.id, bad);
    assert!(matches!(again.unwrap_err(), Refusal::Field { .. }));
    assert_eq!(place.open(), 1);
    let good = Some(amend(case, "13911113333"));
    let done = place.desk.redo_blocking(&place.actor, row.id, good);
    assert_eq!(done.unwrap().case, Some(case));
    assert_eq!(place.open(), 0);
}

#[test]
fn what_is_not_to_be_done_is_dropped_with_a_reason() {
    let place = County::new().desk(SHIQIAO);
    let (case, _) = place.log("李四", LI);
    place.refuse(case.doc(Kind::Application), 0);
    let id = place.came_back().id;
    let silent = place.desk.drop_blocking(&place.actor, id, " ");
    assert_eq!(silent.unwrap_err().code(), "R309");
    let long = place
        .desk
        .drop_blocking(&place.actor, id, &"话".repeat(400));
    assert_eq!(long.unwrap_err().code(), "R402");
    place
        .desk
        .drop_blocking(&place.actor, id, "居民不办了")
        .unwrap();
    assert_eq!(place.open(), 0);
    let tray = place.tray();
    let settled = tray[0].settled.as_ref().unwrap();
    assert!(matches!(&settled.outcome, Outcome::Dropped { reason } if reason == "居民不办了"));
    let again = place.desk.drop_blocking(&place.actor, id, "再一次");
    assert_eq!(again.unwrap_err(), Refusal::SettledAlready);
}

#[test]
fn only_people_of_the_site_with_the_right_for_the_act_settle_it() {
    let place = County::new().desk(SHIQIAO);
    let (case, _) = place.log("李四", LI);
    place.refuse(case.doc(Kind::Application), 0);
    let id = place.came_back().id;
    let mut other = place.actor.clone();
    other.roles = vec![Role::Publisher, Role::Administrator];
    let refused = place.desk.redo(&other, id).unwrap_err();
    assert_eq!(refused.code(), "R101");
    let refused = place.desk.drop_blocking(&other, id, "不办").unwrap_err();
    assert_eq!(refused.code(), "R101");
    let mut far = place.actor.clone();
    far.site = TOWN;
    let refused = place.desk.redo_blocking(&far, id, None).unwrap_err();
    assert_eq!(refused.code(), "R102");
    let none = place.desk.redo(&place.actor, 99).unwrap_err();
    assert_eq!(none, Refusal::NoSuchRejection);
    let seen = place.look(move |g| tray::rows(g, &other, None, 10));
    assert!(seen[0].own && !seen[0].may);
}

#[test]
fn a_townships_refused_acceptance_is_the_townships_to_do_again() {
    let county = County::new();
    let (village, town) = (county.desk(SHIQIAO), county.desk(TOWN));
    let (case, _) = village.log("李四", LI);
    village.send(&town);
    town.act(case, accept()).unwrap();
    town.refuse(case.doc(Kind::Handling), 0);
    let row = town.came_back();
    let again = town.desk.redo(&town.actor, row.id).unwrap();
    assert_eq!(
        again.command,
        Command::Act {
            case,
            body: accept()
        }
    );
    // Somebody did it meanwhile: the refusal is shown, and the row can only be dropped.
    town.act(case, accept()).unwrap();
    let late = town.desk.redo_blocking(&town.actor, row.id, None);
    assert_eq!(late.unwrap_err().code(), "R201");
    town.desk
        .drop_blocking(&town.actor, row.id, "已受理")
        .unwrap();
    assert_eq!(town.open(), 0);
}

#[test]
fn taking_in_a_draft_reads_back_without_the_number_it_was_given() {
    let county = County::new();
    let place = county.desk(SHIQIAO);
    let draft = LogCase {
        receive: false,
        ..form("李四", LI)
    };
    let case = place.desk.case_log(&place.actor, draft).unwrap().case;
    let receive = cuntong_protocol::act::ActBody::Receive(Receive {
        number: String::new(),
        mandate: None,
        taken: None,
        duplicate_reason: None,
    });
    place.act(case, receive.clone()).unwrap();
    place.refuse(case.doc(Kind::Application), 1);
    let again = place.desk.redo(&place.actor, place.came_back().id).unwrap();
    assert_eq!(
        again.command,
        Command::Act {
            case,
            body: receive
        }
    );
}

#[test]
fn a_notice_and_its_correction_come_back_as_such() {
    let place = County::new().desk(SHIQIAO);
    let version = Publish {
        title: "水管改造".to_owned(),
        body: "下月开工".to_owned(),
        places: vec![SHIQIAO],
        category: cuntong_protocol::notice::CATEGORIES[0].to_owned(),
        from: "2026-11-23".to_owned(),
        until: None,
        case: None,
        correction: String::new(),
    };
    let publish = Command::PublishNotice(version.clone());
    let done = place.desk.perform_blocking(&place.actor, publish.clone());
    let notice = done.unwrap().notice.unwrap();
    let version = Publish {
        correction: "日期有误".to_owned(),
        ..version
    };
    let revise = Command::ReviseNotice {
        notice,
        version: version.clone(),
    };
    let _done = place.desk.perform_blocking(&place.actor, revise).unwrap();
    place.refuse(notice, 0);
    let tray = place.tray();
    let (second, first) = (tray[0].id, tray[1].id);
    let (first, second) = match place.desk.redo(&place.actor, first) {
        Ok(_) => (first, second),
        Err(_) => (second, first),
    };
    assert_eq!(
        place.desk.redo(&place.actor, first).unwrap().command,
        publish
    );
    let early = place.desk.redo(&place.actor, second).unwrap_err();
    assert_eq!(early, Refusal::RedoFirst);
    let done = place.desk.redo_blocking(&place.actor, first, None).unwrap();
    let notice = done.notice.unwrap();
    let again = place.desk.redo(&place.actor, second).unwrap().command;
    assert_eq!(again, Command::ReviseNotice { notice, version });
    assert_eq!(redone(&place.tray()[1]), Some((None, Some(notice))));
}
