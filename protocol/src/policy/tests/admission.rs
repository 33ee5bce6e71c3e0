use super::*;
use crate::{
    control::{Directory, NodeEntry, NodeStatus, Person},
    document::{ChangeFacts, Write, change_facts},
    id::{NodeId, PersonId, Scope},
    policy::admit,
};

/// The people of the fixture's desks.
fn directory() -> Directory {
    let person = |n: u8, site, roles: &[Role]| Person {
        id: PersonId([n; 8]),
        name: "某人".into(),
        site,
        roles: roles.to_vec(),
        until: None,
    };
    Directory {
        people: vec![
            person(1, VILLAGE, &[Role::Agent, Role::Publisher]),
            person(2, TOWNSHIP, &[Role::Clerk, Role::Decider, Role::Publisher]),
            person(3, COUNTY, &[Role::CountyClerk, Role::Decider]),
        ],
    }
}

fn node(n: u8, site: SiteId) -> NodeEntry {
    NodeEntry {
        node: NodeId::of_key(&[n; 32]),
        site,
        spki: [n; 32],
        sign_key: [n; 32],
        status: NodeStatus::Active,
        cutoff: None,
        slot: 1,
        recipient: String::new(),
    }
}

/// What another node's gate says of one change.
fn verdict(desk: &Desk, kind: Kind, facts: &ChangeFacts, directory: &Directory) -> &'static str {
    let n = desk.person.0[0];
    let level = PLACES.site(desk.site).unwrap().level;
    let scope = Scope {
        kind,
        site: VILLAGE,
    };
    match admit(&node(n, desk.site), level, scope, facts, directory, &PLACES) {
        Ok(()) => "ok",
        Err(denied) => denied.rule,
    }
}

/// The verdict on these writes, made by the desk's node.
fn written(desk: &Desk, kind: Kind, writes: &[Write]) -> &'static str {
    let mut doc = Doc::new(case_id().doc(kind));
    let change = doc.write(desk.actor, desk.now, writes).unwrap();
    verdict(
        desk,
        kind,
        &change_facts(&change.bytes).unwrap(),
        &directory(),
    )
}

fn act_of(desk: &Desk, body: ActBody) -> Act {
    Act {
        person: desk.person,
        role: desk.role,
        at: desk.now,
        clock: desk.clock_state,
        saw: None,
        body,
        site: desk.site,
    }
}

fn one(desk: &Desk, kind: Kind, act: Act) -> &'static str {
    let id = ActId::of(desk.now, 1, desk.actor);
    written(desk, kind, &[Write::Act(id, act)])
}

#[test]
fn what_decide_writes_every_node_admits() {
    let (mut village, mut township, _) = received(RELIEF);
    let amend = Command::Amend {
        case: case_id(),
        field: "phone".into(),
        value: Private::new("13911111111"),
        reason: "核实".into(),
    };
    perform(&mut village, &amend).unwrap();
    township.pull(&village);
    for body in [
        ActBody::Accept(Accept::default()),
        ActBody::Review(reason("")),
        crate::fold::fixture::decide(true),
        close(),
    ] {
        perform(&mut township, &act(body)).unwrap();
    }
    village.pull(&township);
    perform(&mut village, &act(deliver())).unwrap();
    for (desk, doc, kind) in [
        (&village, &village.application, Kind::Application),
        (&township, &village.handling, Kind::Handling),
    ] {
        for change in doc.changes() {
            let facts = change_facts(&change.bytes).unwrap();
            assert_eq!(verdict(desk, kind, &facts, &directory()), "ok");
        }
    }
}

#[test]
fn a_village_key_neither_decides_nor_writes_for_another_village() {
    let village = Desk::new(1, VILLAGE, Role::Decider);
    let body = crate::fold::fixture::decide(true);
    assert_eq!(
        one(&village, Kind::Handling, act_of(&village, body)),
        "G501"
    );
    let other = Desk::new(1, OTHER_VILLAGE, Role::Agent);
    let opened = act_of(&other, open(RELIEF));
    assert_eq!(one(&other, Kind::Application, opened), "G501");
    let township = Desk::new(2, TOWNSHIP, Role::Clerk);
    let opened = act_of(&township, open(RELIEF));
    assert_eq!(one(&township, Kind::Application, opened), "G501");
}

#[test]
fn an_act_in_the_wrong_document_or_by_the_wrong_role_is_refused() {
    let mut village = Desk::new(1, VILLAGE, Role::Agent);
    let decided = crate::fold::fixture::decide(true);
    assert_eq!(
        one(&village, Kind::Application, act_of(&village, decided)),
        "G505"
    );
    let published = ActBody::Retract(reason("x"));
    assert_eq!(
        one(&village, Kind::Application, act_of(&village, published)),
        "G505"
    );
    village.role = Role::Publisher;
    assert_eq!(
        one(&village, Kind::Application, act_of(&village, open(RELIEF))),
        "G506"
    );
    let mut township = Desk::new(2, TOWNSHIP, Role::Clerk);
    let decided = crate::fold::fixture::decide(true);
    assert_eq!(
        one(
            &township,
            Kind::Handling,
            act_of(&township, decided.clone())
        ),
        "G506"
    );
    township.role = Role::Decider;
    assert_eq!(
        one(&township, Kind::Handling, act_of(&township, decided)),
        "ok"
    );
}

#[test]
fn an_act_names_its_own_site_and_a_person_who_works_there() {
    let village = Desk::new(1, VILLAGE, Role::Agent);
    let good = act_of(&village, open(RELIEF));
    assert_eq!(one(&village, Kind::Application, good.clone()), "ok");
    let site = Act {
        site: TOWNSHIP,
        ..good.clone()
    };
    assert_eq!(one(&village, Kind::Application, site), "G507");
    for person in [PersonId([2; 8]), PersonId([77; 8])] {
        let stranger = Act {
            person,
            ..good.clone()
        };
        assert_eq!(one(&village, Kind::Application, stranger), "G508");
    }
    let clerk = Act {
        role: Role::Clerk,
        ..good.clone()
    };
    assert_eq!(
        one(&village, Kind::Application, clerk),
        "G508",
        "a role the person has not"
    );

    let mut gone = directory();
    gone.people[0].until = Some(village.now.after(-1));
    let mut doc = Doc::new(case_id().doc(Kind::Application));
    let id = ActId::of(village.now, 1, village.actor);
    let change = doc
        .write(village.actor, village.now, &[Write::Act(id, good)])
        .unwrap();
    let facts = change_facts(&change.bytes).unwrap();
    assert_eq!(verdict(&village, Kind::Application, &facts, &gone), "G509");
    gone.people[0].until = Some(village.now);
    assert_eq!(verdict(&village, Kind::Application, &facts, &gone), "ok");
}

#[test]
fn an_act_of_another_writer_or_of_no_known_kind_is_refused() {
    let village = Desk::new(1, VILLAGE, Role::Agent);
    let mut doc = Doc::new(case_id().doc(Kind::Application));
    let id = ActId::of(village.now, 1, village.actor);
    let act = act_of(&village, open(RELIEF));
    let change = doc
        .write(village.actor, village.now, &[Write::Act(id, act)])
        .unwrap();
    let mut facts = change_facts(&change.bytes).unwrap();
    facts.acts[0].0 = ActId::of(village.now, 1, Desk::new(9, VILLAGE, Role::Agent).actor);
    assert_eq!(
        verdict(&village, Kind::Application, &facts, &directory()),
        "G504"
    );
    let mut facts = change_facts(&change.bytes).unwrap();
    facts.acts[0].1 = vec![0xff; 9];
    assert_eq!(
        verdict(&village, Kind::Application, &facts, &directory()),
        "G503"
    );
    let mut facts = change_facts(&change.bytes).unwrap();
    facts.other = true;
    assert_eq!(
        verdict(&village, Kind::Application, &facts, &directory()),
        "G502"
    );
}

#[test]
fn a_field_needs_a_name_and_an_act_that_answers_for_it() {
    let village = Desk::new(1, VILLAGE, Role::Agent);
    let id = ActId::of(village.now, 1, village.actor);
    let field = |name: &str| Write::Field(name.into(), Some(Private::new("x")));
    let amend = |name: &str| {
        let body = ActBody::Amend(Amend {
            field: name.into(),
            reason: "更正".into(),
        });
        Write::Act(id, act_of(&village, body))
    };
    let of = |writes: &[Write]| written(&village, Kind::Application, writes);
    assert_eq!(of(&[amend("phone"), field("phone")]), "ok");
    assert_eq!(of(&[field("phone")]), "G511");
    assert_eq!(of(&[amend("phone"), field("bank")]), "G511");
    for name in ["", "Phone", "material.x", "material.01", "a b", "姓名"] {
        assert_eq!(of(&[amend("phone"), field(name)]), "G510", "{name}");
    }
    let township = Desk::new(2, TOWNSHIP, Role::Clerk);
    let accepted = act_of(&township, ActBody::Accept(Accept::default()));
    let id = ActId::of(township.now, 1, township.actor);
    let writes = [Write::Act(id, accepted), field("phone")];
    assert_eq!(
        written(&township, Kind::Handling, &writes),
        "G511",
        "no fields there"
    );
}

#[test]
fn an_act_that_no_form_would_let_pass_is_refused() {
    let township = Desk::new(2, TOWNSHIP, Role::Decider);
    let bare = ActBody::Decide(Decide {
        granted: false,
        reason: String::new(),
        remedies: String::new(),
    });
    assert_eq!(
        one(&township, Kind::Handling, act_of(&township, bare)),
        "G512"
    );
    let long = ActBody::Review(reason(&"长".repeat(2_000)));
    assert_eq!(
        one(&township, Kind::Handling, act_of(&township, long)),
        "G512"
    );
    assert_eq!(
        one(&township, Kind::Handling, act_of(&township, correct(&[]))),
        "G512"
    );
}
