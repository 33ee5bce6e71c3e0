//! What people do in a simulated county: acts that every gate admits, each with a token.

use cuntong_node::store::Local;
use cuntong_protocol::{
    act::{Accept, Act, ActBody, Amend, Close, Decide, Open, Publish, Reason, Receive},
    document::Write,
    fields,
    id::{CaseId, DocId, Kind, PersonId, Scope, SiteId},
    role::{Level, Role},
    text::Private,
    time::ClockState,
};

use super::{Deed, World};
use crate::county;

impl World {
    /// A person at a machine does something; which, the dice say. Nothing when it is off.
    pub fn somebody_acts(&mut self, at: usize) {
        if self.machines[at].db.is_none() {
            return;
        }
        let site = self.machines[at].site;
        let level = county::places().site(site).expect("a known site").level;
        let cases = self.cases_at(at);
        let known = self.dice.pick(&cases).copied();
        match (level, self.dice.below(10), known) {
            (Level::Village, 0..=4, _) | (_, 0, _) | (Level::Village, _, None) => self.log_case(at),
            (Level::Village, _, Some(case)) if case.site() == site => self.amend(at, case),
            (Level::Village, _, Some(_)) => {}
            (Level::Township | Level::County, 1, _) | (_, _, None) => self.publish(at),
            (Level::Township | Level::County, _, Some(case)) => self.handle(at, case),
        }
    }

    /// Cases a machine knows.
    pub fn cases_at(&mut self, at: usize) -> Vec<CaseId> {
        let Some(db) = &self.machines[at].db else {
            return Vec::new();
        };
        let docs = super::check::documents(db);
        docs.iter()
            .filter(|d| d.scope().is_some_and(|s| s.kind == Kind::Application))
            .filter_map(DocId::case)
            .collect()
    }

    /// A case is logged at a village.
    pub fn log_case(&mut self, at: usize) {
        let _token = self.log_case_as(at, county::person(self.machines[at].site));
    }

    /// A case is logged by somebody the directory does not know, as a broken program might: no gate
    /// takes it. Its token is in no account.
    pub fn log_case_of_a_stranger(&mut self, at: usize) -> String {
        let token = self.log_case_as(at, PersonId([9; 8]));
        self.model.deeds.remove(&token);
        token
    }

    fn log_case_as(&mut self, at: usize, person: PersonId) -> String {
        let site = self.machines[at].site;
        let mut unique: [u8; 11] = self.dice.bytes();
        unique[..4].copy_from_slice(&(self.now.0 as u32).to_be_bytes());
        let case = CaseId::new(site, unique);
        let token = self.model.token();
        let open = Open {
            item: "990010012000".into(),
            item_version: 1,
        };
        let receive = Receive {
            number: format!("349901101203-{token}"),
            mandate: None,
            taken: None,
            duplicate_reason: None,
        };
        let field =
            |name: &str, value: &str| Write::Field(name.to_owned(), Some(Private::new(value)));
        let writes = vec![
            field(fields::NAME, "买买提·吐尔逊"),
            field(fields::PHONE, "13800000000"),
            field(fields::NOTE, &token),
        ];
        let bodies = vec![ActBody::Open(open), ActBody::Receive(receive)];
        let doc = case.doc(Kind::Application);
        self.write_as(at, person, doc, token.clone(), bodies, writes);
        token
    }

    /// One field of a case is amended where it was received.
    pub fn amend(&mut self, at: usize, case: CaseId) {
        let token = self.model.token();
        let field = [fields::PHONE, fields::ADDRESS, fields::NOTE][self.dice.below(3)];
        let amend = Amend {
            field: field.to_owned(),
            reason: token.clone(),
        };
        let write = Write::Field(field.to_owned(), Some(Private::new(token.clone())));
        let doc = case.doc(Kind::Application);
        self.write(at, doc, token, vec![ActBody::Amend(amend)], vec![write]);
    }

    /// An authority does one thing with a case.
    pub fn handle(&mut self, at: usize, case: CaseId) {
        let token = self.model.token();
        let body = match self.dice.below(4) {
            0 => ActBody::Accept(Accept {
                note: token.clone(),
                ..Accept::default()
            }),
            1 => ActBody::Review(Reason {
                text: token.clone(),
            }),
            2 => ActBody::Decide(Decide {
                granted: true,
                reason: token.clone(),
                remedies: String::new(),
            }),
            _ => ActBody::Close(Close {
                result: token.clone(),
                result_number: String::new(),
            }),
        };
        self.write(at, case.doc(Kind::Handling), token, vec![body], Vec::new());
    }

    fn publish(&mut self, at: usize) {
        let site = self.machines[at].site;
        let doc = DocId::new(
            Scope {
                kind: Kind::Notice,
                site,
            },
            self.dice.bytes(),
        );
        let token = self.model.token();
        let publish = Publish {
            title: token.clone(),
            body: "低保评议结果公示".into(),
            places: vec![site],
            category: "village".into(),
            from: "2026-03-02".into(),
            until: None,
            case: None,
            correction: String::new(),
        };
        self.write(at, doc, token, vec![ActBody::Publish(publish)], Vec::new());
    }

    /// Writes to one document and, if that was durable, puts it into the model.
    fn write(
        &mut self,
        at: usize,
        doc: DocId,
        token: String,
        bodies: Vec<ActBody>,
        writes: Vec<Write>,
    ) {
        let person = county::person(self.machines[at].site);
        self.write_as(at, person, doc, token, bodies, writes);
    }

    fn write_as(
        &mut self,
        at: usize,
        person: PersonId,
        doc: DocId,
        token: String,
        bodies: Vec<ActBody>,
        mut writes: Vec<Write>,
    ) {
        let site = self.machines[at].site;
        let done = self.with(at, |db, now| {
            let mut all = Vec::new();
            for body in bodies {
                let act = Act {
                    person,
                    role: role_for(site, &body),
                    at: now,
                    clock: ClockState::Ok,
                    saw: None,
                    site,
                    body,
                };
                all.push(Write::Act(db.act_id(now)?, act));
            }
            all.append(&mut writes);
            db.commit(Local {
                writes: vec![(doc, all)],
                at: now,
                ..Local::default()
            })
            .map(|_committed| ())
        });
        if done.is_some() {
            self.note(format_args!("{at} saves {token} in {doc}"));
            self.model.saved(token, Deed { doc, at });
            self.announce(at);
        }
    }
}

/// The role under which the person of a site does this.
fn role_for(site: SiteId, body: &ActBody) -> Role {
    let level = county::places().site(site).expect("a known site").level;
    match (level, body) {
        (_, ActBody::Publish(_)) => Role::Publisher,
        (Level::Village, _) => Role::Agent,
        (_, ActBody::Decide(_) | ActBody::Review(_)) => Role::Decider,
        (Level::Township, _) => Role::Clerk,
        (Level::County, _) => Role::CountyClerk,
    }
}
