//! What people do in the county: everything a person was told is saved goes into the account.

use cuntong_node::{
    exit::Exit,
    request::{ActArgs, CaseLog, NoticePublish, Request},
};
use serde_json::Value;

use super::{HUB, LOGINS, Rig, TOWN, VILLAGE};

/// A case that was logged, and how far the township got with it.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) id: String,
    stage: usize,
}

impl Rig {
    /// A token no other act carries.
    fn token(&mut self) -> String {
        self.next += 1;
        format!("事{:06}", self.next)
    }

    /// Some of everything, as the dice fall.
    pub(super) fn work(&mut self) {
        for _case in 0..=self.dice.below(3) {
            self.log();
        }
        for _step in 0..=self.dice.below(3) {
            self.handle();
        }
        for at in [HUB, TOWN] {
            self.publish(at);
        }
    }

    /// The agent of the village logs a case.
    pub(super) fn log(&mut self) {
        if let Some((id, number)) = self.log_as(LOGINS[VILLAGE]) {
            self.deeds.insert(received(&id, &number));
            self.cases.push(Case { id, stage: 0 });
        }
    }

    /// Somebody whose time is over logs one; the village does not know it yet.
    pub(super) fn log_in_vain(&mut self, login: &str) {
        let (id, number) = self.log_as(login).expect("the village is on");
        self.refused.insert(received(&id, &number));
        self.tray += 1;
    }

    /// Id and number of a new case; `None` when the village was off or ended before it answered.
    fn log_as(&mut self, login: &str) -> Option<(String, String)> {
        let note = self.note();
        let request = Request::CaseLog(CaseLog {
            login: login.to_owned(),
            item: "990050004000".to_owned(),
            name: "买买提·吐尔逊".to_owned(),
            id: citizen(self.next),
            phone: Some("13800000000".to_owned()),
            fields: [("note".to_owned(), note)].into(),
            mandate: true,
            ..CaseLog::default()
        });
        let logged = self.save(VILLAGE, &request)?;
        let logged = logged.unwrap_or_else(|why| panic!("a case is not taken: {why}"));
        let text = |key: &str| logged[key].as_str().expect("it is text").to_owned();
        Some((text("case"), text("number")))
    }

    /// What somebody may have typed: no two are alike, and it hardly compresses.
    fn note(&mut self) -> String {
        self.next += 1;
        let signs = 40 + self.dice.below(160);
        let sign = |_n| char::from_u32(0x4e00 + self.dice.below(0x5000) as u32);
        (0..signs).filter_map(sign).collect()
    }

    /// The township takes the next step of some case it knows.
    pub(super) fn handle(&mut self) {
        let open: Vec<usize> = (0..self.cases.len())
            .filter(|n| self.cases[*n].stage < 4)
            .collect();
        let Some(which) = self.dice.pick(&open).copied() else {
            return;
        };
        let token = self.token();
        let act = match self.cases[which].stage {
            0 => ActArgs::Accept {
                note: token.clone(),
                gaps: Vec::new(),
                gap_days: 0,
            },
            1 => ActArgs::Review {
                note: token.clone(),
            },
            2 => ActArgs::Decide {
                granted: true,
                reason: token.clone(),
                remedies: String::new(),
            },
            _ => ActArgs::Close {
                result: token.clone(),
                result_number: String::new(),
            },
        };
        let case = self.cases[which].id.clone();
        if self.act(TOWN, &case, act, token) {
            self.cases[which].stage += 1;
        }
    }

    /// The township notes something about a case that it has accepted; whether it did.
    pub(super) fn review(&mut self, case: &str) -> bool {
        let token = self.token();
        let note = token.clone();
        self.act(TOWN, case, ActArgs::Review { note }, token)
    }

    /// A case the township has accepted and not closed; it accepts one when there is none.
    pub(super) fn accepted(&mut self) -> String {
        let found = |rig: &Self| {
            let case = rig.cases.iter().find(|c| (1..3).contains(&c.stage));
            case.map(|c| c.id.clone())
        };
        for _try in 0..50 {
            if let Some(case) = found(self) {
                return case;
            }
            self.log();
            self.settle("a case for the township");
            self.handle();
        }
        panic!("the township accepts nothing");
    }

    fn act(&mut self, at: usize, case: &str, act: ActArgs, token: String) -> bool {
        let request = Request::CaseAct {
            case: case.to_owned(),
            login: LOGINS[at].to_owned(),
            act,
        };
        // A case that has not arrived, or a step that is not due: nothing is written.
        let done = matches!(self.save(at, &request), Some(Ok(_)));
        if done {
            self.deeds.insert(token);
        }
        done
    }

    /// Somebody publishes a notice to everybody below.
    pub(super) fn publish(&mut self, at: usize) {
        let token = self.token();
        let request = Request::NoticePublish(NoticePublish {
            login: LOGINS[at].to_owned(),
            title: token.clone(),
            body: "低保评议结果公示。".to_owned(),
            to: vec!["石桥村".to_owned()],
            category: None,
            until: None,
        });
        match self.save(at, &request) {
            Some(Ok(_)) => {
                self.deeds.insert(token);
            }
            Some(Err(why)) => panic!("a notice is not taken: {why}"),
            None => {}
        }
    }

    /// Saves something; `None` when it is not known whether that was done.
    fn save(&mut self, at: usize, request: &Request) -> Option<Result<Value, String>> {
        match self.ask(at, request)? {
            Ok(value) => Some(Ok(value)),
            Err(failure) if failure.exit == Exit::TryLater => None,
            Err(failure) => Some(Err(failure.to_string())),
        }
    }
}

/// A case as the account names it. Its number alone is not enough: a machine set back to a picture of it
/// properly off gives the numbers again that it gave since.
pub(super) fn received(case: &str, number: &str) -> String {
    format!("{case} {number}")
}

/// The n-th citizen's number, of the sample county and with its check digit.
fn citizen(n: u64) -> String {
    const WEIGHTS: [u64; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let (day, rest) = (n % 28 + 1, n / 28);
    let (month, rest) = (rest % 12 + 1, rest / 12);
    let (year, serial) = (1950 + rest % 50, rest / 50 + 1);
    let digits = format!("349901{year}{month:02}{day:02}{serial:03}");
    let sum: u64 = digits
        .bytes()
        .zip(WEIGHTS)
        .map(|(digit, weight)| u64::from(digit - b'0') * weight)
        .sum();
    let check = b"10X98765432"[(sum % 11) as usize];
    format!("{digits}{}", char::from(check))
}
