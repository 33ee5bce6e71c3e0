use proptest::prelude::*;

use super::*;
use crate::control::{
    Login, Roster,
    fixture::{
        BEIXIANG, FOUNDED, HUB, HUB_WIDE, LIUTANG, NANXIANG, QINGXI, SHIQIAO, authority, county,
        key, node, places, public,
    },
    signed::Signature,
};
use crate::id::PersonId;

fn roster() -> Body {
    Body::Roster(Roster {
        nodes: vec![node(HUB), node(SHIQIAO)],
    })
}

fn logins(site: SiteId) -> Body {
    Body::Credentials(Credentials {
        logins: vec![Login {
            person: PersonId([u8::try_from(site.0).unwrap(); 8]),
            login: format!("agent{}", site.0),
            phc: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into(),
            version: 1,
        }],
    })
}

fn key_of(kind: ControlKind) -> ControlKey {
    ControlKey {
        kind,
        site: HUB_WIDE,
    }
}

#[test]
fn a_newer_document_of_a_registrar_replaces_the_one_held() {
    let mut c = county();
    let bytes = c.signed(HUB_WIDE, &roster());
    assert_eq!(
        c.trust.take(&bytes),
        Ok(Taken::New(key_of(ControlKind::Roster), 2))
    );
    assert_eq!(c.trust.roster().nodes.len(), 2);
    assert_eq!(c.trust.take(&bytes), Ok(Taken::Same));
    assert_eq!(
        c.trust.bytes(key_of(ControlKind::Roster)),
        Some(bytes.as_slice())
    );
}

#[test]
fn an_older_document_is_refused_and_the_current_one_kept() {
    let mut c = county();
    let old = c.trust.bytes(key_of(ControlKind::Roster)).unwrap().to_vec();
    c.publish(HUB_WIDE, &roster());
    assert_eq!(
        c.trust.take(&old),
        Err(TrustError::Older { held: 2, got: 1 })
    );
    assert_eq!(c.trust.roster().nodes.len(), 2);
}

#[test]
fn a_document_of_another_county_is_refused() {
    let mut c = county();
    let mut content = c.trust.next(HUB_WIDE, &roster(), FOUNDED);
    content.county = County([7; 16]);
    let bytes = Signed::sign(content, &[&c.registrar]);
    assert_eq!(c.trust.take(&bytes), Err(TrustError::OtherCounty));

    let other = Content::founding(&authority(), FOUNDED.after(1));
    let first = Signed::sign(other, &[&c.roots[0], &c.roots[1]]);
    assert_eq!(c.trust.take(&first), Err(TrustError::OtherCounty));
    assert!(matches!(
        Trust::found(&first, c.trust.county()),
        Err(TrustError::OtherCounty)
    ));
}

#[test]
fn a_roster_signed_by_the_hub_is_refused() {
    let mut c = county();
    let content = c.trust.next(HUB_WIDE, &roster(), FOUNDED);
    let hub = crate::control::fixture::node_key(HUB);
    for keys in [
        vec![&hub],
        vec![&hub, &c.registrar],
        vec![&c.roots[0], &c.roots[1]],
    ] {
        let bytes = Signed::sign(content.clone(), &keys);
        assert_eq!(c.trust.take(&bytes), Err(TrustError::UnknownSigner));
    }
    let unsigned = Signed::sign(content, &[]);
    assert_eq!(
        c.trust.take(&unsigned),
        Err(TrustError::Threshold { have: 0, need: 1 })
    );
}

#[test]
fn a_signature_over_something_else_is_refused() {
    let mut c = county();
    let mut signed = Signed::open(&c.signed(HUB_WIDE, &roster())).unwrap();
    signed.content.issued_at = FOUNDED.after(1);
    assert_eq!(
        c.trust.take(&signed.to_bytes()),
        Err(TrustError::BadSignature)
    );
}

#[test]
fn two_documents_of_one_version_are_a_fork_and_the_first_stays() {
    let mut c = county();
    let second = Signed::sign(
        c.trust.next(HUB_WIDE, &roster(), FOUNDED.after(5)),
        &[&c.registrar],
    );
    c.publish(HUB_WIDE, &roster());
    assert_eq!(
        c.trust.take(&second),
        Err(TrustError::Forked { version: 2 })
    );

    let mut content = c.trust.next(HUB_WIDE, &roster(), FOUNDED);
    content.prev = [9; 32];
    let bytes = Signed::sign(content, &[&c.registrar]);
    assert_eq!(c.trust.take(&bytes), Err(TrustError::Forked { version: 3 }));
}

#[test]
fn missed_versions_do_not_stop_a_node_but_absurd_numbers_do() {
    let mut c = county();
    let mut content = c.trust.next(HUB_WIDE, &roster(), FOUNDED);
    content.prev = [9; 32];
    for version in [1 << 63, CONTROL_VERSION_JUMP_MAX + 2, u64::MAX] {
        content.version = version;
        let bytes = Signed::sign(content.clone(), &[&c.registrar]);
        assert_eq!(
            c.trust.take(&bytes),
            Err(TrustError::Jump {
                held: 1,
                got: version
            })
        );
    }
    content.version = 40;
    let bytes = Signed::sign(content, &[&c.registrar]);
    assert_eq!(
        c.trust.take(&bytes),
        Ok(Taken::New(key_of(ControlKind::Roster), 40))
    );
}

/// The next authority, with some of the named keys' signatures.
fn next_authority(c: &crate::control::fixture::Founded, body: Authority, keys: &[u8]) -> Vec<u8> {
    let keys: Vec<_> = keys.iter().map(|n| key(*n)).collect();
    let content = c.trust.next(HUB_WIDE, &Body::Authority(body), FOUNDED);
    Signed::sign(content, &keys.iter().collect::<Vec<_>>())
}

#[test]
fn a_county_is_founded_by_two_of_its_three_roots() {
    let content = Content::founding(&authority(), FOUNDED);
    let name = content.founds();
    let one = Signed::sign(content.clone(), &[&key(1)]);
    assert!(matches!(
        Trust::found(&one, name),
        Err(TrustError::Threshold { have: 1, need: 2 })
    ));
    let twice = Signed::sign(content.clone(), &[&key(1), &key(1)]);
    assert!(
        Trust::found(&twice, name).is_err(),
        "one root that signs twice is one root"
    );
    for keys in [[1, 2], [1, 3], [2, 3]] {
        let bytes = Signed::sign(content.clone(), &[&key(keys[0]), &key(keys[1])]);
        assert_eq!(Trust::found(&bytes, name).unwrap().county(), name);
    }
}

#[test]
fn the_same_root_written_twice_into_a_document_is_not_two_roots() {
    let content = Content::founding(&authority(), FOUNDED);
    let name = content.founds();
    let mut signed = Signed::open(&Signed::sign(content, &[&key(1)])).unwrap();
    let copy: Signature = signed.signatures[0];
    signed.signatures.push(copy);
    assert!(matches!(
        Trust::found(&signed.to_bytes(), name),
        Err(TrustError::NotCanonical)
    ));
}

#[test]
fn roots_change_only_when_the_old_and_the_new_agree() {
    let mut c = county();
    let rotated = Authority {
        roots: vec![public(4), public(5), public(6)],
        ..authority()
    };
    let new_alone = next_authority(&c, rotated.clone(), &[4, 5, 6]);
    assert_eq!(
        c.trust.take(&new_alone),
        Err(TrustError::Threshold { have: 0, need: 2 })
    );
    let old_alone = next_authority(&c, rotated.clone(), &[1, 2]);
    assert_eq!(
        c.trust.take(&old_alone),
        Err(TrustError::Threshold { have: 0, need: 2 })
    );
    let one_old = next_authority(&c, rotated.clone(), &[1, 4, 5]);
    assert_eq!(
        c.trust.take(&one_old),
        Err(TrustError::Threshold { have: 1, need: 2 })
    );
    let registrar_too = next_authority(&c, rotated.clone(), &[1, 2, 4, 5, 9]);
    assert_eq!(c.trust.take(&registrar_too), Err(TrustError::UnknownSigner));
    let both = next_authority(&c, rotated.clone(), &[1, 3, 5, 6]);
    assert_eq!(
        c.trust.take(&both),
        Ok(Taken::New(key_of(ControlKind::Authority), 2))
    );
    assert_eq!(c.trust.authority(), &rotated);
    assert_eq!(c.trust.take(&both), Ok(Taken::Same));
    assert_eq!(
        c.trust.take(&c.first),
        Ok(Taken::Same),
        "the chain may be walked again"
    );
}

#[test]
fn one_root_of_three_changes_nothing() {
    let mut c = county();
    let body = Authority {
        registrars: vec![public(8)],
        ..authority()
    };
    let one = next_authority(&c, body, &[1]);
    assert_eq!(
        c.trust.take(&one),
        Err(TrustError::Threshold { have: 1, need: 2 })
    );
    assert_eq!(c.trust.authority(), &authority());
}

#[test]
fn a_node_three_rotations_behind_walks_the_chain_and_cannot_skip_it() {
    let mut c = county();
    let mut behind = c.trust.clone();
    for n in [10, 20, 30] {
        let before = if n == 10 { 1 } else { n - 10 };
        let body = Authority {
            roots: vec![public(n), public(n + 1), public(n + 2)],
            ..authority()
        };
        let bytes = next_authority(&c, body, &[before, before + 1, n, n + 1]);
        c.trust.take(&bytes).unwrap();
    }
    let last = c.trust.bytes(key_of(ControlKind::Authority)).unwrap();
    assert_eq!(behind.take(last), Err(TrustError::Gap { held: 1, got: 4 }));
    for bytes in c.trust.needed_by(SHIQIAO, &behind.versions()) {
        behind.take(&bytes).unwrap();
    }
    assert_eq!(behind.authority(), c.trust.authority());
}

#[test]
fn a_removed_registrar_says_nothing_new_but_what_was_said_survives_a_restart() {
    let mut c = county();
    let body = Authority {
        registrars: vec![public(8)],
        ..authority()
    };
    let rotated = next_authority(&c, body, &[1, 2]);
    c.trust.take(&rotated).unwrap();
    let late = c.signed(HUB_WIDE, &roster());
    assert_eq!(c.trust.take(&late), Err(TrustError::UnknownSigner));

    let mut kept: Vec<Vec<u8>> = c.trust.authorities().map(<[u8]>::to_vec).collect();
    for (key, _) in c.trust.versions() {
        kept.push(c.trust.bytes(key).unwrap().to_vec());
    }
    kept.reverse();
    let again = Trust::load(c.trust.county(), kept.iter().map(Vec::as_slice)).unwrap();
    assert_eq!(again.roster(), c.trust.roster());
    assert_eq!(again.versions(), c.trust.versions());
}

#[test]
fn what_is_kept_is_believed_again_whatever_its_number() {
    let mut c = county();
    for version in [1_000_000, 2_000_000] {
        let mut content = c.trust.next(HUB_WIDE, &roster(), FOUNDED);
        content.version = version;
        c.trust
            .take(&Signed::sign(content, &[&c.registrar]))
            .unwrap();
    }
    let last = c.trust.bytes(key_of(ControlKind::Roster)).unwrap();
    let again = Trust::load(c.trust.county(), [last, c.first.as_slice()]).unwrap();
    assert_eq!(again.roster(), c.trust.roster());
    assert!(
        Trust::load(c.trust.county(), [last]).is_err(),
        "no authority, no trust"
    );
}

#[test]
fn a_new_village_is_given_everything_in_order_but_only_its_own_logins() {
    let mut c = county();
    for site in [HUB, BEIXIANG, SHIQIAO, QINGXI, LIUTANG] {
        c.publish(site, &logins(site));
    }
    let logins_for = |site, theirs: &[(ControlKey, u64)]| -> Vec<SiteId> {
        let mut fresh = Trust::found(&c.first, c.trust.county()).unwrap();
        for bytes in c.trust.needed_by(site, theirs) {
            fresh.take(&bytes).unwrap();
        }
        [HUB, BEIXIANG, SHIQIAO, QINGXI, LIUTANG]
            .into_iter()
            .filter(|s| fresh.credentials(*s).is_some())
            .collect()
    };
    assert_eq!(logins_for(SHIQIAO, &[]), [SHIQIAO]);
    assert_eq!(logins_for(BEIXIANG, &[]), [BEIXIANG, SHIQIAO, QINGXI]);
    assert_eq!(logins_for(NANXIANG, &[]), [LIUTANG]);
    assert!(c.trust.needed_by(HUB, &c.trust.versions()).is_empty());
}

#[test]
fn logins_name_a_site_and_nothing_else_does() {
    let mut c = county();
    let nowhere = c.signed(HUB_WIDE, &logins(SHIQIAO));
    assert!(matches!(
        c.trust.take(&nowhere),
        Err(TrustError::Malformed(_))
    ));
    let somewhere = c.signed(SHIQIAO, &roster());
    assert!(matches!(
        c.trust.take(&somewhere),
        Err(TrustError::Malformed(_))
    ));
}

#[test]
fn the_newest_signed_time_is_the_latest_of_all_documents() {
    let mut c = county();
    let later = FOUNDED.after(1_000);
    let bytes = Signed::sign(c.trust.next(HUB_WIDE, &roster(), later), &[&c.registrar]);
    c.trust.take(&bytes).unwrap();
    c.publish(HUB_WIDE, &Body::Places(places()));
    assert_eq!(c.trust.newest_signed_time(), later);
}

#[test]
fn senseless_bodies_are_refused_though_well_signed() {
    let mut c = county();
    let mut two_counties = places();
    two_counties.sites[4].level = crate::role::Level::County;
    let mut orphan = places();
    orphan.sites[2].parent = Some(SiteId(99));
    let mut circle = places();
    circle.sites[2].parent = Some(QINGXI);
    let mut same_code = places();
    same_code.sites[3].code = same_code.sites[2].code.clone();
    for body in [two_counties, orphan, circle, same_code] {
        let bytes = c.signed(HUB_WIDE, &Body::Places(body));
        assert!(matches!(c.trust.take(&bytes), Err(TrustError::Body { .. })));
    }
    let mut twice = node(SHIQIAO);
    twice.slot = 2;
    let mut same_tls_key = node(QINGXI);
    same_tls_key.spki = twice.spki;
    let mut false_name = node(QINGXI);
    false_name.node = node(HUB).node;
    for other in [twice, same_tls_key, false_name] {
        let nodes = vec![node(SHIQIAO), other];
        let bytes = c.signed(HUB_WIDE, &Body::Roster(Roster { nodes }));
        assert!(matches!(c.trust.take(&bytes), Err(TrustError::Body { .. })));
    }
    assert_eq!(c.trust.places(), &places());
}

#[test]
fn too_large_a_document_is_not_even_read() {
    let bytes = vec![0; crate::limits::CONTROL_BYTES_MAX + 1];
    assert!(matches!(
        county().trust.take(&bytes),
        Err(TrustError::TooLarge(_))
    ));
}

#[test]
fn a_body_in_a_second_spelling_is_refused() {
    let mut c = county();
    let mut content = c
        .trust
        .next(HUB_WIDE, &Body::Roster(Roster::default()), FOUNDED);
    assert_eq!(content.body, [0x81, 0x80]);
    content.body = vec![0x81, 0x98, 0x00];
    let bytes = Signed::sign(content, &[&c.registrar]);
    assert_eq!(c.trust.take(&bytes), Err(TrustError::NotCanonical));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_single_flipped_bit_of_a_document_is_believed(at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut c = county();
        let good = c.signed(HUB_WIDE, &roster());
        let mut bad = good.clone();
        let at = at.index(bad.len());
        bad[at] ^= 1_u8 << bit;
        prop_assert!(c.trust.take(&bad).is_err());
        prop_assert_eq!(c.trust.take(&good), Ok(Taken::New(key_of(ControlKind::Roster), 2)));
    }

    #[test]
    fn a_document_cut_short_is_refused(at in any::<prop::sample::Index>()) {
        let mut c = county();
        let good = c.signed(HUB_WIDE, &roster());
        prop_assert!(c.trust.take(&good[..at.index(good.len())]).is_err());
    }
}
