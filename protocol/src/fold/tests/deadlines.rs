use jiff::civil::{Date, date};

use crate::{
    act::*,
    case::{Due, Light},
    fold::{fixture::*, light},
    role::Role,
};

fn day(due: Option<Due>) -> Option<Date> {
    due.map(|d| d.date)
}

#[test]
fn handing_over_and_accepting_run_from_receipt_until_the_authority_acts() {
    // Monday 2 March 2026.
    let (mut village, mut township, _) = logged(RELIEF);
    let clocks = village.case().clocks;
    assert_eq!(day(clocks.handover), Some(date(2026, 3, 5)));
    assert_eq!(day(clocks.acceptance), Some(date(2026, 3, 9)));
    assert_eq!(clocks.promised, None);
    assert_eq!(clocks.acceptance.unwrap().calendar_version, 7);

    township.now = MONDAY.after(2 * DAY);
    township.handle(correct(&[0]));
    let clocks = township.case().clocks;
    assert_eq!(
        (clocks.handover, clocks.acceptance),
        (None, None),
        "stands still"
    );
    assert_eq!(
        day(clocks.correction),
        Some(date(2026, 3, 19)),
        "15 calendar days"
    );

    village.pull(&township);
    village.now = MONDAY.after(7 * DAY);
    village.apply(ActBody::Supplement(Supplement {
        materials: vec![0],
        note: String::new(),
    }));
    let clocks = village.case().clocks;
    assert_eq!(
        day(clocks.acceptance),
        Some(date(2026, 3, 16)),
        "five days anew"
    );
    assert_eq!((clocks.handover, clocks.correction), (None, None));
}

#[test]
fn promise_and_law_run_from_acceptance_and_the_used_days_are_counted_at_closing() {
    let (mut village, mut township, _) = logged(RELIEF);
    township.handle(ActBody::Accept(Accept::default()));
    let clocks = township.case().clocks;
    assert_eq!(day(clocks.promised), Some(date(2026, 3, 16)));
    assert_eq!(day(clocks.legal), Some(date(2026, 3, 23)));
    assert_eq!((clocks.acceptance, clocks.handover), (None, None));
    township.handle(ActBody::Review(reason("初审")));
    township.now = MONDAY.after(7 * DAY);
    township.handle(decide(true));
    let clocks = township.case().clocks;
    assert_eq!(
        (day(clocks.promised), clocks.legal),
        (Some(date(2026, 3, 16)), None)
    );
    township.now = MONDAY.after(8 * DAY);
    township.handle(close());
    let clocks = township.case().clocks;
    assert_eq!(clocks.used, Some(6));
    assert_eq!(day(clocks.delivery), Some(date(2026, 3, 24)));
    assert_eq!(clocks.promised, None);
    village.pull(&township);
    village.apply(deliver());
    assert_eq!(village.case().clocks.delivery, None);
}

#[test]
fn a_deadline_past_the_calendars_end_is_provisional() {
    let mut village = Desk::new(1, VILLAGE, Role::Agent).at(MONDAY.after(298 * DAY));
    village.log(RELIEF);
    let due = village.case().clocks.acceptance.unwrap();
    assert!(due.provisional, "2026-12-25 and five working days");
}

#[test]
fn a_late_entry_counts_from_when_the_papers_were_taken() {
    let mut village = Desk::new(1, VILLAGE, Role::Agent);
    village.apply(open(RELIEF));
    village.apply(ActBody::Receive(Receive {
        number: "1".into(),
        mandate: None,
        taken: Some(TakenEarlier {
            at: MONDAY.after(-4 * DAY),
            reason: "停电三天".into(),
        }),
        duplicate_reason: None,
    }));
    // Thursday 26 February; Saturday 28 is a make-up working day.
    assert_eq!(day(village.case().clocks.handover), Some(date(2026, 3, 2)));
}

#[test]
fn a_township_hands_nothing_over() {
    let township = crate::id::CaseId::new(TOWNSHIP, [1; 11]);
    let mut desk = Desk::new(2, TOWNSHIP, Role::Clerk);
    desk.application = crate::document::Doc::new(township.doc(crate::id::Kind::Application));
    desk.handling = crate::document::Doc::new(township.doc(crate::id::Kind::Handling));
    desk.log(RELIEF);
    let clocks = desk.case().clocks;
    assert_eq!(clocks.handover, None);
    assert!(clocks.acceptance.is_some());
}

#[test]
fn the_light_turns_yellow_one_working_day_before_and_red_after() {
    let due = CALENDAR.add_workdays(date(2026, 3, 2), 5);
    assert_eq!(due.date, date(2026, 3, 9));
    for (today, colour) in [
        (date(2026, 3, 2), Light::Green),
        (date(2026, 3, 5), Light::Green),
        (date(2026, 3, 6), Light::Yellow),
        (date(2026, 3, 8), Light::Yellow),
        (date(2026, 3, 9), Light::Yellow),
        (date(2026, 3, 10), Light::Red),
        (Date::MIN, Light::Green),
        (Date::MAX, Light::Red),
    ] {
        assert_eq!(light(&due, today, &CALENDAR), colour, "{today}");
    }
}
