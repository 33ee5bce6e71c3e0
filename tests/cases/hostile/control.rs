//! Control documents from whoever has a line: replayed, rolled back, signed by the wrong key,
//! spelled another way, or simply a flood.

use cuntong_protocol::{
    control::{
        Body, ControlKind, NodeStatus, Roster,
        signed::{Content, Signed},
    },
    id::SiteId,
    log::LogHead,
    wire::Message,
};
use ed25519_dalek::SigningKey;
use harness::county;

use super::{HUB, Siege};

/// The next roster, in which the enemy's machine is the county's.
fn ambition() -> Content {
    let trust = county::county().trust();
    let mut roster = trust.roster().clone();
    for node in &mut roster.nodes {
        if node.site == county::SHIQIAO {
            node.site = county::HUB;
            node.slot = 2;
        }
    }
    trust.next(SiteId(0), &Body::Roster(roster), county::FOUNDED.after(5))
}

/// Sends documents; what the hub believes must not change.
fn tried(documents: Vec<Vec<u8>>) {
    let mut siege = Siege::begin();
    let before = siege
        .world
        .db(HUB)
        .trust()
        .expect("it is enrolled")
        .versions();
    let roster = siege
        .world
        .db(HUB)
        .trust()
        .expect("it is enrolled")
        .roster()
        .clone();
    let mut call = siege.greet();
    for bytes in documents {
        call.say(&mut siege.world, &Message::Ctrl(bytes));
    }
    let trust = siege.world.db(HUB).trust().expect("it is enrolled");
    assert_eq!(trust.versions(), before);
    assert_eq!(*trust.roster(), roster);
    siege.stands();
}

/// The registrar's document, as if it had come to the hub by any way.
fn hub_takes(siege: &mut Siege, document: &[u8]) {
    let now = siege.peer.at;
    let taken = siege.world.db(HUB).take_control(document, now);
    let _new = taken.expect("the registrar signed it");
}

#[test]
fn a_roster_signed_by_the_hub_is_no_roster() {
    tried(vec![Signed::sign(
        ambition(),
        &[&county::node_key(county::HUB)],
    )]);
}

#[test]
fn a_roster_signed_by_the_village_or_by_nobody_is_no_roster() {
    let own = Signed::sign(ambition(), &[&county::node_key(county::SHIQIAO)]);
    let nobody = Signed::sign(ambition(), &[]);
    tried(vec![own, nobody]);
}

#[test]
fn one_root_alone_makes_no_authority_not_even_twice() {
    let root = SigningKey::from_bytes(&[1; 32]);
    let trust = county::county().trust();
    let mut authority = trust.authority().clone();
    authority.registrars = vec![county::node_key(county::SHIQIAO).verifying_key().to_bytes()];
    let content = trust.next(
        SiteId(0),
        &Body::Authority(authority),
        county::FOUNDED.after(5),
    );
    let once = Signed::sign(content.clone(), &[&root]);
    let twice = Signed::sign(content, &[&root, &root]);
    tried(vec![once, twice]);
}

#[test]
fn versions_that_are_held_come_again_without_effect() {
    tried(county::county().controls.clone());
}

#[test]
fn an_older_roster_does_not_come_back() {
    let mut siege = Siege::begin();
    let newer =
        county::county().roster_with(county::SHIQIAO, NodeStatus::Revoked, Some(county::FOUNDED));
    hub_takes(&mut siege, &newer);
    let older = county::county().controls[2].clone();
    let mut call = siege.greet();
    call.say(&mut siege.world, &Message::Ctrl(older));
    let trust = siege.world.db(HUB).trust().unwrap();
    let entry = trust.roster().node(siege.peer.writer.node).expect("listed");
    assert_eq!(entry.status, NodeStatus::Revoked);
}

#[test]
fn what_a_revoked_machine_still_sends_is_quarantined() {
    let mut siege = Siege::begin();
    let (_, entry) = siege.peer.case();
    let batch = siege.peer.applications(LogHead::START, vec![entry]);
    let newer = county::county().roster_with(
        county::SHIQIAO,
        NodeStatus::Revoked,
        Some(siege.peer.at.after(1_000_000)),
    );
    hub_takes(&mut siege, &newer);
    let call = siege.push([batch]);
    assert_eq!(call.rules(), ["G106"]);
    assert!(siege.quarantined("G106"));
}

#[test]
fn what_was_sealed_after_the_cutoff_is_refused_and_what_came_before_it_stays() {
    let mut siege = Siege::begin();
    let (_, first) = siege.peer.case();
    let before = siege.peer.applications(LogHead::START, vec![first.clone()]);
    let _call = siege.push([before.clone()]);
    let newer =
        county::county().roster_with(county::SHIQIAO, NodeStatus::Replaced, Some(before.seal.at));
    hub_takes(&mut siege, &newer);
    let (_, second) = siege.peer.case();
    let after = siege.peer.applications(before.seal.head, vec![second]);
    let call = siege.push([after]);
    assert_eq!(call.rules(), ["G105"]);
    assert_eq!(siege.heads_of(first.doc), [first.hash]);
}

#[test]
fn another_spelling_of_a_good_document_is_not_that_document() {
    let good = county::county().roster_with(county::SHIQIAO, NodeStatus::Active, None);
    let mut longer = good.clone();
    longer.push(0);
    let mut flipped = good.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let cut = good[..good.len() - 1].to_vec();
    tried(vec![longer, flipped, cut, Vec::new(), vec![0x81; 10_000]]);
}

#[test]
fn a_version_far_ahead_is_refused_even_when_a_registrar_signs_it() {
    let registrar = SigningKey::from_bytes(&[9; 32]);
    let mut content = ambition();
    content.version = 1 << 63;
    tried(vec![Signed::sign(content, &[&registrar])]);
}

#[test]
fn a_document_of_another_county_is_refused() {
    let registrar = SigningKey::from_bytes(&[9; 32]);
    let mut content = ambition();
    content.county.0[0] ^= 1;
    tried(vec![Signed::sign(content, &[&registrar])]);
}

#[test]
fn a_roster_in_the_place_of_a_catalogue_is_refused() {
    let registrar = SigningKey::from_bytes(&[9; 32]);
    let mut content = ambition();
    content.kind = ControlKind::Catalogue;
    let trust = county::county().trust();
    let catalogue = Body::Catalogue(trust.catalogue().clone());
    let next = trust.next(SiteId(0), &catalogue, county::FOUNDED.after(5));
    (content.version, content.prev) = (next.version, next.prev);
    tried(vec![Signed::sign(content, &[&registrar])]);
}

#[test]
fn a_flood_of_worthless_documents_leaves_nothing_behind() {
    let key = county::node_key(county::SHIQIAO);
    let trust = county::county().trust();
    let documents = (0..500_u32).map(|n| {
        let body = Body::Roster(Roster::default());
        let mut content = trust.next(SiteId(0), &body, county::FOUNDED.after(i64::from(n)));
        content.version += 1;
        Signed::sign(content, &[&key])
    });
    let mut siege = Siege::begin();
    let size = |siege: &mut Siege| -> i64 {
        let conn = siege.world.db(HUB).connection();
        conn.query_row("SELECT page_count FROM pragma_page_count", [], |r| r.get(0))
            .expect("it reads")
    };
    let mut call = siege.greet();
    let mut before = 0;
    for (n, bytes) in documents.enumerate() {
        if n == 50 {
            before = size(&mut siege);
        }
        call.say(&mut siege.world, &Message::Ctrl(bytes));
    }
    let after = size(&mut siege);
    assert!(
        after <= before + 1,
        "refused documents take no room: {before} to {after} pages"
    );
    siege.stands();
}

#[test]
fn logins_of_another_site_are_not_given_away() {
    let registrar = SigningKey::from_bytes(&[9; 32]);
    let trust = county::county().trust();
    let body = Body::Credentials(cuntong_protocol::control::Credentials {
        logins: vec![cuntong_protocol::control::Login {
            person: county::person(county::QINGXI),
            login: "qingxi".into(),
            phc: "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA".into(),
            version: 1,
        }],
    });
    let content = trust.next(county::QINGXI, &body, county::FOUNDED.after(5));
    let bytes = Signed::sign(content, &[&registrar]);
    let mut siege = Siege::begin();
    hub_takes(&mut siege, &bytes);
    let call = siege.greet();
    let given = |m: &Message| matches!(m, Message::Ctrl(b) if *b == bytes);
    assert!(!call.heard.iter().any(given));
}
