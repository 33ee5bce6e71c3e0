//! What the rules allow and refuse, said as sentences about the service.

mod admission;
mod agreement;
mod intake;
mod notices;
mod steps;

use std::collections::BTreeMap;

use crate::{
    act::*,
    case::Case,
    command::{Actor, Command, LogCase},
    document::Doc,
    fields,
    fold::fixture::{
        AGE, CALENDAR, CATALOGUE, COUNTY, DAY, Desk, HOUR, INSURANCE, MONDAY, ORPHAN,
        OTHER_TOWNSHIP, OTHER_VILLAGE, PENSION, PLACES, RELIEF, TOWNSHIP, VILLAGE, case_id, close,
        correct, deliver, open, reason, receive,
    },
    id::{ActId, CaseId, DocId, Kind, SiteId},
    notice::NoticeState,
    policy::{Facts, Now, Source, Writes, decide},
    refusal::Refusal,
    role::Role,
    text::Private,
    time::Millis,
};

/// Names in a row.
pub(super) struct Names<'a> {
    desk: &'a mut Desk,
    numbers: u32,
}

impl Source for Names<'_> {
    fn act(&mut self) -> ActId {
        self.desk.clock.tick(self.desk.now, self.desk.actor)
    }
    fn unique(&mut self) -> [u8; 11] {
        [1; 11]
    }
    fn number(&mut self) -> Result<String, Refusal> {
        self.numbers += 1;
        Ok(format!("3499011002012026030201{:04}", self.numbers))
    }
}

/// What the node knows besides the case.
#[derive(Default)]
pub(super) struct Known<'a> {
    pub(super) other: Option<&'a Case>,
    pub(super) duplicates: Vec<String>,
    pub(super) notice: Option<&'a NoticeState>,
}

/// A valid number of nobody: region 349901 does not exist.
pub(super) const ID: &str = "34990119410305001X";

/// Judges a command of this desk's person, without writing.
pub(super) fn judge(
    desk: &mut Desk,
    roles: &[Role],
    command: &Command,
    known: &Known<'_>,
) -> Result<Writes, Refusal> {
    let case = desk.case();
    let facts = Facts {
        catalogue: &CATALOGUE,
        calendar: &CALENDAR,
        places: &PLACES,
        case: Some(&case),
        other: known.other,
        duplicates: &known.duplicates,
        notice: known.notice,
    };
    let actor = Actor {
        person: desk.person,
        roles: roles.to_vec(),
        site: desk.site,
    };
    let (at, clock) = (desk.now, desk.clock_state);
    let mut source = Names { desk, numbers: 0 };
    let mut now = Now {
        at,
        clock,
        source: &mut source,
    };
    decide(&actor, command, &facts, &mut now)
}

/// Judges and writes.
pub(super) fn perform(desk: &mut Desk, command: &Command) -> Result<Case, Refusal> {
    desk.now = desk.now.after(1_000);
    let roles = [desk.role];
    let writes = judge(desk, &roles, command, &Known::default())?;
    for (doc, writes) in writes {
        let target = match doc.scope().unwrap().kind {
            Kind::Application => &mut desk.application,
            Kind::Handling => &mut desk.handling,
            Kind::Notice => panic!("no case"),
        };
        assert_eq!(target.id(), doc);
        target.write(desk.actor, desk.now, &writes).unwrap();
    }
    Ok(desk.case())
}

/// One act on the case of the fixture.
pub(super) fn act(body: ActBody) -> Command {
    Command::Act {
        case: case_id(),
        body,
    }
}

pub(super) fn private(pairs: &[(&str, &str)]) -> BTreeMap<String, Private> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), Private::new(*value)))
        .collect()
}

/// A whole intake form.
pub(super) fn form(item: &str) -> LogCase {
    LogCase {
        item: item.to_owned(),
        fields: private(&[
            (fields::NAME, "林小满"),
            (fields::ID, ID),
            (fields::PHONE, "138 0000 0000"),
        ]),
        receive: true,
        ..LogCase::default()
    }
}

/// A village that logged a case by the rules, and the township and county that have it.
pub(super) fn received(item: &str) -> (Desk, Desk, Desk) {
    let mut village = Desk::new(1, VILLAGE, Role::Agent);
    perform(&mut village, &Command::Log(form(item))).unwrap();
    let mut township = Desk::new(2, TOWNSHIP, Role::Decider).at(MONDAY.after(HOUR));
    township.pull(&village);
    let mut county = Desk::new(3, COUNTY, Role::Decider).at(MONDAY.after(HOUR));
    county.pull(&village);
    (village, township, county)
}

pub(super) fn in_state(refused: Result<Case, Refusal>) -> (&'static str, &'static str) {
    match refused {
        Err(Refusal::WrongState { state, act }) => (state, act),
        other => panic!("{other:?}"),
    }
}
