use cuntong_protocol::control::NodeStatus;

use super::*;
use crate::{
    certificate,
    county::CountyError,
    enrol::{
        JoinError, Refusal, RequestError, TicketBook,
        desk::{self, Outcome, deliver},
        talk::{Question, Reply, Step, Talk, reply},
    },
    judge::{Side, judge_peer},
};

/// A hub that has joined, with its book.
struct Hub {
    joined: Joined,
    book: Memory,
}

impl Hub {
    fn of(s: &mut Sample) -> Self {
        Self {
            joined: s.join(HUB).1,
            book: Memory::default(),
        }
    }

    fn receive(&mut self, joining: &Joining, now: Millis) -> Outcome {
        desk::receive(joining.request(), &self.joined.trust, &mut self.book, now)
    }

    /// One online conversation, to its end.
    fn talk(&mut self, joining: &Joining, now: Millis) -> Result<Step, JoinError> {
        let (mut talk, mut step) = Talk::begin(joining);
        loop {
            let Step::Say(question) = step else {
                return Ok(step);
            };
            let question = Question::decode(&question.encode()).unwrap();
            let said = reply(&question, &self.joined.trust, &mut self.book, now, |_| {});
            let said = Reply::decode(&said.encode()).unwrap();
            step = talk.handle(said, &self.joined.certificate, now)?;
        }
    }

    fn take(&mut self, grant: &[u8]) -> bool {
        let delivered = deliver(grant, &self.joined.trust, &mut self.book).unwrap();
        for document in &delivered.controls {
            self.joined.trust.take(document).unwrap();
        }
        delivered.waited
    }
}

#[test]
fn a_machine_joins_online_through_a_hub_that_cannot_list_it() {
    let mut s = sample();
    let mut hub = Hub::of(&mut s);
    let joining = s.machine(SHIQIAO);
    assert!(matches!(hub.talk(&joining, NOW).unwrap(), Step::Wait));
    assert!(hub.joined.trust.node(joining.node()).is_none());

    let waiting = hub.book.binding(&joining.ticket().id()).unwrap().unwrap();
    let issued = s
        .county
        .grant(&waiting.request, true, &mut s.entropy, NOW)
        .unwrap();
    assert!(hub.take(&issued.grant));

    let Step::Done(joined) = hub.talk(&joining, NOW).unwrap() else {
        panic!("no answer")
    };
    assert_eq!(
        (joined.site, level(&joined), joined.slot),
        (SHIQIAO, Level::Village, 1)
    );
    let entry = hub.joined.trust.node(joining.node()).unwrap();
    assert_eq!(entry.status, NodeStatus::Active);
    let judged = judge_peer(&joined.certificate, Side::Caller, NOW, &hub.joined.trust);
    assert_eq!(full(judged).unwrap().site, SHIQIAO);
}

#[test]
fn a_machine_joins_by_stick_in_two_trips_with_its_clock_at_1970_or_2099() {
    for clock in [Millis(0), Millis(4_070_908_800_000)] {
        let mut s = sample();
        let ticket = s.ticket(SHIQIAO);
        let joining = Joining::begin(ticket, &mut s.entropy, clock).unwrap();
        let grant = s.grant(&joining);
        let joined = joining.finish(&grant).unwrap();
        assert_eq!(joined.node, joining.node());
        assert_eq!(joined.at, NOW, "the county's time, not the machine's");
    }
}

#[test]
fn a_machine_gets_the_documents_of_its_place_and_no_logins_of_others() {
    let mut s = sample();
    for (n, site) in (0..).zip([HUB, NORTH, SHIQIAO, QINGXI]) {
        let role = [
            cuntong_protocol::role::Role::CountyClerk,
            cuntong_protocol::role::Role::Clerk,
            cuntong_protocol::role::Role::Agent,
            cuntong_protocol::role::Role::Agent,
        ][n];
        let person = crate::county::NewPerson {
            site,
            name: "李明".into(),
            login: format!("li{n}"),
            roles: vec![role],
            password: "青山绿水八个字呀".into(),
            until: None,
        };
        s.county.add_person(person, &mut s.entropy, NOW).unwrap();
    }
    let sees = |joined: &Joined| {
        [HUB, NORTH, SHIQIAO, QINGXI].map(|site| joined.trust.credentials(site).is_some())
    };
    assert_eq!(sees(&s.join(SHIQIAO).1), [false, false, true, false]);
    assert_eq!(sees(&s.join(NORTH).1), [false, true, true, true]);
    assert_eq!(sees(&s.join(HUB).1), [true; 4]);
}

#[test]
fn whoever_carries_a_grant_reads_no_name_and_no_login_in_it() {
    let mut s = sample();
    let person = crate::county::NewPerson {
        site: SHIQIAO,
        name: "欧阳若云".into(),
        login: "ouyang".into(),
        roles: vec![cuntong_protocol::role::Role::Agent],
        password: "青山绿水八个字呀".into(),
        until: None,
    };
    s.county.add_person(person, &mut s.entropy, NOW).unwrap();
    let joining = s.machine(SHIQIAO);
    let grant = s.grant(&joining);
    for planted in ["欧阳若云".as_bytes(), b"ouyang", b"$argon2id$"] {
        assert!(!grant.windows(planted.len()).any(|w| w == planted));
    }
    let joined = joining.finish(&grant).unwrap();
    assert_eq!(joined.trust.directory().people[0].name, "欧阳若云");
}

#[test]
fn a_ticket_two_machines_present_is_frozen_and_raises_an_alarm() {
    let mut s = sample();
    let mut hub = Hub::of(&mut s);
    let ticket = s.ticket(SHIQIAO);
    let first = Joining::begin(ticket.clone(), &mut s.entropy, NOW).unwrap();
    let second = Joining::begin(ticket.clone(), &mut s.entropy, NOW).unwrap();
    assert_eq!(hub.receive(&first, NOW), Outcome::Waiting { new: true });
    let frozen = Outcome::Refused(Refusal::Frozen);
    assert_eq!(hub.receive(&second, NOW.after(5)), frozen);
    assert_eq!(hub.receive(&first, NOW.after(6)), frozen);
    let alarm = hub.book.binding(&ticket.id()).unwrap().unwrap();
    let alarm = (alarm.node, alarm.frozen.unwrap());
    assert_eq!((alarm.0, alarm.1.node), (first.node(), second.node()));
    assert_eq!(alarm.1.at, NOW.after(5));

    // The registrar's own book holds to the same rule.
    s.grant(&first);
    let refused = s
        .county
        .grant(second.request(), true, &mut s.entropy, NOW)
        .unwrap_err();
    assert!(matches!(refused, CountyError::Refused(Refusal::Frozen)));
    assert!(s.trust().node(second.node()).is_none());
}

#[test]
fn a_lost_answer_is_given_again_and_makes_no_second_node() {
    let mut s = sample();
    let joining = s.machine(SHIQIAO);
    let lost = s.grant(&joining);
    let version = s.trust().versions();
    let again = s
        .county
        .grant(
            joining.request(),
            false,
            &mut s.entropy,
            NOW.after(400 * DAY),
        )
        .unwrap();
    assert!(again.again);
    assert_eq!(
        again.grant, lost,
        "the same answer, even after the ticket ran out"
    );
    assert_eq!(s.trust().versions(), version);
    assert_eq!(s.trust().roster().nodes.len(), 1);
}

/// The machine lost its request but not its keys.
#[test]
fn the_same_machine_may_ask_anew_and_stays_one_node() {
    let mut s = sample();
    let first = s.machine(SHIQIAO);
    let old = s.grant(&first);
    let keys = first.keys().clone();
    let again = Joining::with_keys(first.ticket().clone(), keys, &mut s.entropy, NOW).unwrap();
    // The old answer is not an answer to the new request.
    assert_eq!(again.finish(&old).unwrap_err(), JoinError::OtherRequest);
    let joined = again.finish(&s.grant(&again)).unwrap();
    assert_eq!((joined.node, joined.slot), (first.node(), 1));
    assert_eq!(s.trust().roster().nodes.len(), 1);
}

#[test]
fn a_ticket_runs_out_by_the_hubs_clock_and_never_by_the_machines() {
    let mut s = sample();
    let mut hub = Hub::of(&mut s);
    let joining = s.machine(SHIQIAO);
    let late = NOW.after(31 * DAY);
    assert_eq!(
        hub.receive(&joining, late),
        Outcome::Refused(Refusal::Expired)
    );
    let ahead = Joining::begin(s.ticket(SHIQIAO), &mut s.entropy, late).unwrap();
    assert_eq!(hub.receive(&ahead, NOW), Outcome::Waiting { new: true });
    // Bound in time, it may come back when the ticket has run out.
    assert_eq!(hub.receive(&ahead, late), Outcome::Waiting { new: false });
    let by_hand = s
        .county
        .grant(joining.request(), false, &mut s.entropy, late)
        .unwrap_err();
    assert!(matches!(by_hand, CountyError::Refused(Refusal::Expired)));
    assert!(
        s.county
            .grant(joining.request(), true, &mut s.entropy, late)
            .is_ok()
    );
}

#[test]
fn a_ticket_of_another_county_is_refused_and_its_answer_too() {
    let mut ours = sample();
    let mut theirs = sample_with(8, Box::new(Memory::default()));
    let mut hub = Hub::of(&mut ours);
    let stranger = theirs.machine(SHIQIAO);
    let other = Outcome::Refused(Refusal::Request(RequestError::OtherCounty));
    assert_eq!(hub.receive(&stranger, NOW), other);
    assert!(matches!(
        hub.talk(&stranger, NOW).unwrap(),
        Step::Refused { word, .. } if word == "other_county"
    ));
    let grant = theirs.grant(&stranger);
    let ours = ours.machine(SHIQIAO);
    assert_eq!(ours.finish(&grant).unwrap_err(), JoinError::OtherCounty);
}

#[test]
fn a_machine_sends_its_request_to_no_one_but_a_node_of_the_pinned_county() {
    let mut s = sample();
    let mut other = sample_with(8, Box::new(Memory::default()));
    let hub = Hub::of(&mut s);
    let village = s.join(QINGXI).1;
    let impostor = Hub::of(&mut other);
    let joining = s.machine(SHIQIAO);
    let proof = |trust: &Trust| {
        let county = Question::Who(trust.county().0);
        reply(&county, trust, &mut Memory::default(), NOW, |_| {})
    };
    let answered = |said: Reply, certificate: &[u8]| {
        let (mut talk, _hello) = Talk::begin(&joining);
        talk.handle(said, certificate, NOW)
    };
    let honest = || proof(s.trust());
    // Its own county's papers; our papers with its own certificate, a village's, or none.
    let strange = answered(proof(&impostor.joined.trust), &impostor.joined.certificate);
    assert_eq!(strange.unwrap_err(), JoinError::OtherCounty);
    for certificate in [
        &impostor.joined.certificate,
        &village.certificate,
        &Vec::new(),
    ] {
        let refused = answered(honest(), certificate);
        assert!(matches!(refused, Err(JoinError::Impostor(_))));
    }
    // An answer before any proof.
    let early = answered(Reply::Waiting, &hub.joined.certificate);
    assert!(matches!(early, Err(JoinError::Impostor(_))));
    let good = answered(honest(), &hub.joined.certificate);
    assert!(matches!(good, Ok(Step::Say(Question::Join(_)))));
}

/// What a request proves, and that nothing in it but keys is read.
#[test]
fn a_request_whose_proofs_do_not_hold_is_refused_wherever_a_byte_was_changed() {
    let mut s = sample();
    let hub = Hub::of(&mut s);
    let joining = s.machine(SHIQIAO);
    let honest = joining.request();
    let mut book = Memory::default();
    for at in 0..honest.len() {
        let mut bytes = honest.to_vec();
        bytes[at] ^= 1;
        let outcome = desk::receive(&bytes, &hub.joined.trust, &mut book, NOW);
        assert!(
            matches!(outcome, Outcome::Refused(Refusal::Request(_))),
            "{at}"
        );
    }
    assert_eq!(book.waiting(), Ok(0), "nothing of it was kept");
    for end in 0..honest.len() {
        let outcome = desk::receive(&honest[..end], &hub.joined.trust, &mut book, NOW);
        assert!(
            matches!(outcome, Outcome::Refused(Refusal::Request(_))),
            "{end}"
        );
    }
    let large = vec![b'C'; 1_000_000];
    let outcome = desk::receive(&large, &hub.joined.trust, &mut book, NOW);
    assert!(matches!(outcome, Outcome::Refused(Refusal::Request(_))));
}

#[test]
fn site_and_level_come_from_the_ticket_whatever_the_request_asks_for() {
    let mut s = sample();
    let joining = s.machine(SHIQIAO);
    let joined = joining.finish(&s.grant(&joining)).unwrap();
    let identity = certificate::identity_of(&joined.certificate).unwrap();
    assert_eq!((identity.site, identity.level), (SHIQIAO, Level::Village));
    assert!(joined.renewer.is_none(), "only a hub renews");
}

#[test]
fn a_grant_for_another_machine_or_altered_on_the_way_is_refused() {
    let mut s = sample();
    let (one, two) = (s.machine(SHIQIAO), s.machine(SHIQIAO));
    let grant = s.grant(&one);
    assert_eq!(two.finish(&grant).unwrap_err(), JoinError::OtherMachine);
    for at in (0..grant.len()).step_by(7) {
        let mut bytes = grant.clone();
        bytes[at] ^= 0x10;
        assert!(one.finish(&bytes).is_err(), "{at}");
    }
    assert!(one.finish(&grant).is_ok());
}

#[test]
fn a_planted_grant_does_not_stand_in_the_way_of_the_real_one() {
    let mut s = sample();
    let mut hub = Hub::of(&mut s);
    let joining = s.machine(SHIQIAO);
    assert_eq!(hub.receive(&joining, NOW), Outcome::Waiting { new: true });
    let grant = s.grant(&joining);
    let mut planted = grant.clone();
    let last = planted.len() - 1;
    planted[last] ^= 1;
    assert!(deliver(&planted, &hub.joined.trust, &mut hub.book).is_err());
    assert_eq!(hub.receive(&joining, NOW), Outcome::Waiting { new: false });
    assert!(hub.take(&grant));
    assert_eq!(hub.receive(&joining, NOW), Outcome::Granted(grant));
}

#[test]
fn a_flood_of_requests_is_bounded_and_those_that_wait_are_kept() {
    let mut s = sample();
    let mut hub = Hub::of(&mut s);
    let first = s.machine(SHIQIAO);
    assert_eq!(hub.receive(&first, NOW), Outcome::Waiting { new: true });
    let mut kept = 1;
    for _ in 0..desk::WAITING_MAX + 5 {
        let joining = s.machine(QINGXI);
        match hub.receive(&joining, NOW) {
            Outcome::Waiting { .. } => kept += 1,
            Outcome::Refused(refusal) => {
                assert_eq!(refusal, Refusal::Busy);
                assert!(refusal.passing());
            }
            Outcome::Granted(_) => panic!("nobody granted"),
        }
    }
    assert_eq!(kept, desk::WAITING_MAX);
    assert_eq!(hub.receive(&first, NOW), Outcome::Waiting { new: false });
}

/// The hub kept the binding and lost power before it handed the request on.
#[test]
fn a_request_that_was_never_handed_on_is_handed_on_when_the_machine_asks_again() {
    let mut s = sample();
    let mut hub = Hub::of(&mut s);
    let joining = s.machine(SHIQIAO);
    assert_eq!(hub.receive(&joining, NOW), Outcome::Waiting { new: true });
    let mut handed = None;
    let question = Question::Join(joining.request().to_vec());
    let said = reply(
        &question,
        &hub.joined.trust,
        &mut hub.book,
        NOW,
        |request| {
            handed = Some(request.to_vec());
        },
    );
    assert_eq!(said, Reply::Waiting);
    assert_eq!(handed.as_deref(), Some(joining.request()));
}
