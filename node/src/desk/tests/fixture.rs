use std::{collections::BTreeMap, sync::Arc};

use cuntong_protocol::{
    act::{Accept, ActBody, Close, Decide, Deliver, DeliveryWay, Reason},
    command::{Actor, LogCase},
    control::{Body, Catalogue, Credentials, Login, calendar_csv, catalogue, sample},
    fields,
    id::{CaseId, SiteId},
    refusal::Refusal,
    text::Private,
    time::Millis,
};
use cuntong_web::desk::{CaseQuery, CaseRow, View, Who};
use rusqlite::Connection;

pub(super) use crate::store::fixture::{HUB, QINGXI, SHIQIAO, TOWN, public_of};
use crate::{
    clock::Clock,
    desk::{NoLinks, NodeDesk, ground::Ground, list},
    store::{
        MemoryMarker, Opening, Store,
        fixture::{self, SITES, person, roles, seed},
    },
    view,
};

/// 2026-11-23, a Monday, 09:00 in China.
pub(super) const NOW: Millis = Millis(1_795_395_600_000);
/// 临时救助(一般程序): decided by township or county.
pub(super) const RELIEF: &str = "990010003000";
pub(super) const LI: &str = "349901197608221121";
pub(super) const PASSWORD: &str = "石桥-2026";

/// The store's county, with a catalogue, a calendar and people who can sign in.
pub(super) struct County(fixture::County);

impl County {
    pub(super) fn new() -> Self {
        let mut county = Self(fixture::County::new());
        county.publish(
            SiteId(0),
            &Body::Catalogue(Catalogue {
                items: catalogue::from_csv(sample::ITEMS_CSV).unwrap(),
            }),
        );
        let days = calendar_csv::from_csv(sample::CALENDAR_CSV).unwrap();
        county.publish(SiteId(0), &Body::Calendar(days));
        for site in SITES {
            county.publish(site, &logins(site, 1));
        }
        county
    }

    /// Signs the next version of a document; nodes made from now on have it.
    pub(super) fn publish(&mut self, site: SiteId, body: &Body) -> Vec<u8> {
        self.0.publish_for(site, body)
    }

    /// The desk of a site, enrolled, over a database in memory.
    pub(super) fn desk(&self, site: SiteId) -> Counter {
        let conn = Connection::open_in_memory().unwrap();
        let opening = Opening {
            now: NOW,
            nonce: [seed(site); 16],
            marker: Arc::new(MemoryMarker::default()),
            derived: &view::ROWS,
        };
        let store = Store::over(conn, opening).unwrap();
        let county = self.0.clone();
        store
            .write(move |db| {
                county.enrol_in(db, site);
                Ok(())
            })
            .unwrap();
        let clock = Clock::by_hand(NOW);
        Counter {
            desk: NodeDesk::new(store.clone(), clock.clone(), Arc::new(NoLinks)),
            store,
            clock,
            actor: actor(site),
        }
    }
}

/// A desk with a person at it.
pub(super) struct Counter {
    pub(super) desk: NodeDesk,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) actor: Actor,
}

impl Counter {
    pub(super) fn log(&self, name: &str, id: &str) -> (CaseId, String) {
        self.pass(60_000);
        let logged = self.desk.case_log(&self.actor, form(name, id)).unwrap();
        (logged.case, logged.number.unwrap())
    }

    pub(super) fn act(&self, case: CaseId, body: ActBody) -> Result<(), Refusal> {
        self.pass(60_000);
        self.desk.case_act(&self.actor, case, body).map(|_| ())
    }

    pub(super) fn pass(&self, ms: i64) {
        self.clock.set(self.clock.now().after(ms));
    }

    /// Reads what the desk reads.
    pub(super) fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Ground<'_>) -> crate::store::Result<T> + Send + 'static,
    ) -> T {
        self.desk.look(work).unwrap()
    }

    pub(super) fn list(&self, query: CaseQuery) -> Vec<CaseRow> {
        let actor = self.actor.clone();
        self.look(move |g| list::cases(g, &actor, &query)).rows
    }

    pub(super) fn view(&self, view: View) -> Vec<CaseRow> {
        self.list(CaseQuery {
            view,
            limit: 50,
            ..CaseQuery::default()
        })
    }

    pub(super) fn row(&self, case: CaseId) -> CaseRow {
        let mut found = self.view(View::All);
        found.retain(|row| row.id == case);
        found.pop().unwrap()
    }

    pub(super) fn found(&self, text: &str) -> Vec<String> {
        self.list(CaseQuery {
            text: text.to_owned(),
            limit: 50,
            ..CaseQuery::default()
        })
        .into_iter()
        .map(|row| row.name.reveal().to_owned())
        .collect()
    }

    /// Everything this place holds goes to another; receipts come back.
    pub(super) fn send(&self, to: &Self) {
        let logs = self.store.read(|db| db.whole_vector()).unwrap();
        let now = to.clock.now();
        let upward = to.actor.site < self.actor.site;
        for (log, _) in logs.clone() {
            let held = to.store.read(move |db| db.log_head(&log)).unwrap();
            let batch = self.store.read(move |db| db.batch(&log, held.seq)).unwrap();
            if let Some(batch) = batch {
                let _admission = to
                    .store
                    .write(move |db| db.admit(&batch, !upward, now))
                    .unwrap();
            }
        }
        let heads: Vec<_> = logs.into_iter().collect();
        let receipt = to
            .store
            .read(move |db| db.sign_receipt(&heads, now))
            .unwrap();
        let _kept = self
            .store
            .write(move |db| db.keep_receipts(&[receipt]))
            .unwrap();
    }

    pub(super) fn who(&self) -> Who {
        self.desk.who_blocking(&login(self.actor.site)).unwrap()
    }
}

pub(super) fn form(name: &str, id: &str) -> LogCase {
    LogCase {
        item: RELIEF.to_owned(),
        fields: BTreeMap::from([
            (fields::NAME.to_owned(), Private::new(name)),
            (fields::ID.to_owned(), Private::new(id)),
            (fields::PHONE.to_owned(), Private::new("13800001234")),
        ]),
        receive: true,
        ..LogCase::default()
    }
}

pub(super) fn accept() -> ActBody {
    ActBody::Accept(Accept::default())
}

pub(super) fn review() -> ActBody {
    ActBody::Review(Reason {
        text: "情况属实".to_owned(),
    })
}

pub(super) fn grant() -> ActBody {
    ActBody::Decide(Decide {
        granted: true,
        reason: "符合条件".to_owned(),
        remedies: String::new(),
    })
}

pub(super) fn close() -> ActBody {
    ActBody::Close(Close {
        result: "救助金 2000 元".to_owned(),
        result_number: "2026-17".to_owned(),
    })
}

pub(super) fn deliver() -> ActBody {
    ActBody::Deliver(Deliver {
        way: DeliveryWay::Collected,
        receiver: None,
        note: String::new(),
    })
}

pub(super) fn login(site: SiteId) -> String {
    format!("agent{}", site.0)
}

pub(super) fn logins(site: SiteId, version: u32) -> Body {
    use argon2::PasswordHasher as _;
    let params = argon2::Params::new(64, 1, 1, None).unwrap();
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    Body::Credentials(Credentials {
        logins: vec![Login {
            person: person(site),
            login: login(site),
            phc: hasher
                .hash_password_with_salt(PASSWORD.as_bytes(), b"a salt for tests")
                .unwrap()
                .to_string(),
            version,
        }],
    })
}

pub(super) fn actor(site: SiteId) -> Actor {
    Actor {
        person: person(site),
        roles: roles(site),
        site,
    }
}
