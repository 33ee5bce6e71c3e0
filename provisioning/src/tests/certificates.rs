use cuntong_protocol::control::{
    NodeStatus, Roster,
    signed::{Body, Signed, TrustError},
};
use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, Issuer, KeyPair};

use super::*;
use crate::{
    certificate::{self, CERTIFICATE_BYTES_MAX, CertificateError, NODE_DAYS, Subject},
    county::Leave,
    judge::{Refused, Side, Stale, judge_peer, still_listed},
    renew::{RenewRefusal, accept, due, renew},
};

const YEAR: i64 = 365 * DAY;

#[test]
fn a_certificate_says_who_the_node_is_and_nothing_it_was_not_given() {
    let mut s = sample();
    let (joining, joined) = s.join(SHIQIAO);
    let identity = certificate::identity_of(&joined.certificate).unwrap();
    assert_eq!(identity.node, joining.node());
    assert_eq!((identity.site, identity.level), (SHIQIAO, Level::Village));
    assert_eq!(identity.spki, joining.keys().spki().unwrap());
    assert_eq!(identity.county, s.county.id().0[..4]);
    assert!(
        joined.certificate.len() < 700,
        "{}",
        joined.certificate.len()
    );
}

#[test]
fn a_listed_node_has_a_full_session_and_knows_its_place() {
    let mut s = sample();
    let (_, village) = s.join(SHIQIAO);
    let known = s.known(&village);
    assert_eq!((known.site, known.level), (SHIQIAO, Level::Village));
    assert!(!known.clock_doubt);
}

#[test]
fn an_expired_node_renews_first_and_then_works_as_before() {
    let mut s = sample();
    let (_, hub) = s.join(HUB);
    let (joining, village) = s.join(SHIQIAO);
    let now = NOW.after(2 * YEAR);
    let judged = judge_peer(&village.certificate, Side::Caller, now, s.trust());
    let Judgement::RenewOnly(peer, Stale::Expired) = judged else {
        panic!("{judged:?}")
    };
    let trust = s.trust().clone();
    let renewed = s
        .renewed(&hub, &joining.keys().tls, &peer, &trust, now)
        .unwrap();
    assert!(full(judge_peer(&renewed, Side::Caller, now, &trust)).is_some());
}

#[test]
fn a_certificate_is_good_to_its_last_day_and_not_after() {
    let mut s = sample();
    let (_, village) = s.join(SHIQIAO);
    let judged = |days| {
        let now = NOW.after(days * DAY);
        judge_peer(&village.certificate, Side::Caller, now, s.trust())
    };
    assert!(full(judged(NODE_DAYS - 1)).is_some());
    assert!(matches!(
        judged(NODE_DAYS + 1),
        Judgement::RenewOnly(_, Stale::Expired)
    ));
    assert!(due(NOW, Level::Village) < NOW.after(NODE_DAYS * DAY / 2));
}

#[test]
fn expired_and_revoked_is_refused() {
    let mut s = sample();
    let (_, village) = s.join(SHIQIAO);
    s.county.revoke(village.node, NOW.after(DAY)).unwrap();
    for later in [2 * DAY, 2 * YEAR] {
        let judged = judge_peer(
            &village.certificate,
            Side::Caller,
            NOW.after(later),
            s.trust(),
        );
        assert_eq!(judged, Judgement::Refused(Refused::Revoked));
    }
    assert_eq!(s.trust().roster().nodes[0].cutoff, Some(NOW.after(DAY)));
}

/// The session that is open asks again.
#[test]
fn a_node_revoked_in_the_middle_of_a_session_fails_at_the_next_request() {
    let mut s = sample();
    let (_, village) = s.join(SHIQIAO);
    let known = s.known(&village);
    assert_eq!(still_listed(&known.spki, s.trust()), Ok(()));
    s.county
        .leave(village.node, Leave::Replaced, None, NOW)
        .unwrap();
    assert_eq!(still_listed(&known.spki, s.trust()), Err(Refused::Replaced));
}

#[test]
fn renewing_with_another_key_is_refused() {
    let mut s = sample();
    let (_, hub) = s.join(HUB);
    let (_, village) = s.join(SHIQIAO);
    let peer = s.known(&village);
    let other = Seed::generate(&mut s.entropy);
    let trust = s.trust().clone();
    let refused = s.renewed(&hub, &other, &peer, &trust, NOW);
    assert_eq!(refused, Err(RenewRefusal::OtherKey));
}

#[test]
fn a_node_whose_place_changed_in_the_roster_renews_into_the_new_place() {
    let mut s = sample();
    let (_, hub) = s.join(HUB);
    let (joining, village) = s.join(SHIQIAO);
    let mut roster = s.trust().roster().clone();
    for entry in roster.nodes.iter_mut().filter(|n| n.node == village.node) {
        entry.site = QINGXI;
    }
    let mut trust = s.trust().clone();
    trust
        .take(&signed(&s, &Body::Roster(roster), &s.county.keys().sign))
        .unwrap();
    let judged = judge_peer(&village.certificate, Side::Caller, NOW, &trust);
    let Judgement::RenewOnly(peer, Stale::OtherPlace) = judged else {
        panic!("{judged:?}")
    };
    let renewed = s
        .renewed(&hub, &joining.keys().tls, &peer, &trust, NOW)
        .unwrap();
    let known = full(judge_peer(&renewed, Side::Caller, NOW, &trust)).unwrap();
    assert_eq!(known.site, QINGXI);
}

/// What a stolen hub can do with its renewer key.
#[test]
fn a_hub_cannot_mint_a_node() {
    let mut s = sample();
    let (_, hub) = s.join(HUB);
    let rogue = Joining::begin(s.ticket(SHIQIAO), &mut s.entropy, NOW).unwrap();
    let peer = Known {
        node: rogue.node(),
        site: SHIQIAO,
        level: Level::Village,
        spki: rogue.keys().spki().unwrap(),
        sign_key: rogue.keys().sign.public(),
        clock_doubt: false,
    };
    let trust = s.trust().clone();
    let refused = s.renewed(&hub, &rogue.keys().tls, &peer, &trust, NOW);
    assert_eq!(refused, Err(RenewRefusal::NotListed(Refused::NotListed)));
    // Even past its own rules, with the CA key in hand, nobody believes the certificate.
    let renewer = hub.renewer.unwrap();
    let ca = certificate::Ca::open(renewer.certificate, &renewer.key).unwrap();
    let minted = s.issued_by(&ca, &rogue, Level::Township);
    let judged = judge_peer(&minted, Side::Caller, NOW, s.county.trust());
    assert_eq!(judged, Judgement::Refused(Refused::NotListed));
}

#[test]
fn a_roster_signed_by_anyone_but_a_registrar_is_refused() {
    let mut s = sample();
    let (hub, joined) = s.join(HUB);
    let mut trust = joined.trust.clone();
    let empty = Body::Roster(Roster::default());
    for key in [&hub.keys().sign, &joined.renewer.unwrap().key, &s.roots[0]] {
        let forged = signed(&s, &empty, key);
        assert_eq!(trust.take(&forged), Err(TrustError::UnknownSigner));
    }
    assert_eq!(trust.roster().nodes.len(), 1);
}

/// An old roster that still lists a revoked node.
#[test]
fn an_older_roster_does_not_bring_a_revoked_node_back() {
    let mut s = sample();
    let (_, hub) = s.join(HUB);
    let (_, village) = s.join(SHIQIAO);
    let old = s.county.controls();
    s.county.revoke(village.node, NOW).unwrap();
    let mut trust = hub.trust;
    for document in s.county.controls() {
        trust.take(&document).unwrap();
    }
    let refused = old.iter().filter(|document| trust.take(document).is_err());
    assert_eq!(refused.count(), 1);
    let entry = trust.node(village.node).unwrap();
    assert_eq!(entry.status, NodeStatus::Revoked);
}

#[test]
fn an_authority_one_root_signed_or_one_from_the_far_future_is_refused() {
    let s = sample();
    let mut trust = s.trust().clone();
    let body = Body::Authority(trust.authority().clone());
    let content = trust.next(SiteId(0), &body, NOW);
    let one = Signed::sign(content.clone(), &[&s.roots[0].signing()]);
    assert!(matches!(
        trust.take(&one),
        Err(TrustError::Threshold { have: 1, need: 2 })
    ));
    let twice = Signed::sign(
        content.clone(),
        &[&s.roots[1].signing(), &s.roots[1].signing()],
    );
    assert!(trust.take(&twice).is_err());
    let mut far = content.clone();
    far.version = 1 << 62;
    let far = Signed::sign(far, &[&s.roots[0].signing(), &s.roots[2].signing()]);
    assert!(trust.take(&far).is_err());
    let good = Signed::sign(content, &[&s.roots[0].signing(), &s.roots[2].signing()]);
    assert!(trust.take(&good).is_ok());
}

/// A new transport CA beside the old one, while a village is away.
#[test]
fn a_node_of_the_old_transport_ca_still_connects_while_both_are_listed() {
    let mut s = sample();
    let (_, village) = s.join(SHIQIAO);
    let key = Seed::generate(&mut s.entropy);
    let new = certificate::Ca::create("registrar", &key, &mut s.entropy, NOW).unwrap();
    let mut trust = s.trust().clone();
    let mut authority = trust.authority().clone();
    authority.transport_ca.push(new.certificate().to_vec());
    let content = trust.next(SiteId(0), &Body::Authority(authority.clone()), NOW);
    let both = Signed::sign(content, &[&s.roots[0].signing(), &s.roots[1].signing()]);
    trust.take(&both).unwrap();
    assert!(full(judge_peer(&village.certificate, Side::Caller, NOW, &trust)).is_some());
    authority.transport_ca = vec![new.certificate().to_vec()];
    let content = trust.next(SiteId(0), &Body::Authority(authority), NOW);
    let only = Signed::sign(content, &[&s.roots[0].signing(), &s.roots[1].signing()]);
    trust.take(&only).unwrap();
    let judged = judge_peer(&village.certificate, Side::Caller, NOW, &trust);
    assert_eq!(judged, Judgement::Refused(Refused::NotIssued));
}

#[test]
fn a_node_whose_clock_is_in_1970_or_2099_still_believes_its_hub() {
    let mut s = sample();
    let (_, hub) = s.join(HUB);
    for clock in [Millis(0), Millis(4_070_908_800_000)] {
        let judged = judge_peer(&hub.certificate, Side::Callee, clock, s.trust());
        let known = full(judged).expect("a full session");
        assert!(
            known.clock_doubt,
            "and the node is told that its clock is wrong"
        );
    }
    let right = judge_peer(&hub.certificate, Side::Callee, NOW, s.trust());
    assert!(!full(right).unwrap().clock_doubt);
}

#[test]
fn a_villages_certificate_serves_nobody() {
    let mut s = sample();
    let (_, village) = s.join(SHIQIAO);
    let (_, town) = s.join(NORTH);
    let judged = judge_peer(&village.certificate, Side::Callee, NOW, s.trust());
    assert_eq!(judged, Judgement::Refused(Refused::WrongUse));
    for side in [Side::Caller, Side::Callee] {
        assert!(full(judge_peer(&town.certificate, side, NOW, s.trust())).is_some());
    }
}

/// A certificate of the right name from a CA that is not the county's.
#[test]
fn a_certificate_of_any_other_issuer_is_refused() {
    let mut s = sample();
    let (joining, _) = s.join(SHIQIAO);
    let key = Seed::generate(&mut s.entropy);
    let other = certificate::Ca::create("registrar", &key, &mut s.entropy, NOW).unwrap();
    let issued = s.issued_by(&other, &joining, Level::Village);
    let judged = judge_peer(&issued, Side::Caller, NOW, s.county.trust());
    assert_eq!(judged, Judgement::Refused(Refused::NotIssued));
    // The CA itself is no node either.
    let ca = &s.trust().authority().transport_ca[0];
    let judged = judge_peer(ca, Side::Caller, NOW, s.trust());
    assert_eq!(judged, Judgement::Refused(Refused::Unreadable));
}

#[test]
fn certificates_that_are_not_what_ours_look_like_are_refused_within_limits() {
    let mut s = sample();
    let (joining, village) = s.join(SHIQIAO);
    let huge = vec![0x30; 1_000_000];
    assert_eq!(
        certificate::identity_of(&huge),
        Err(CertificateError::TooLarge(1_000_000))
    );
    let padded = [village.certificate.clone(), vec![0; CERTIFICATE_BYTES_MAX]].concat();
    for bad in [
        &huge,
        &padded,
        &Vec::new(),
        &village.certificate[1..].to_vec(),
    ] {
        let judged = judge_peer(bad, Side::Caller, NOW, s.trust());
        assert_eq!(judged, Judgement::Refused(Refused::Unreadable));
    }
    for at in 0..village.certificate.len() {
        let mut flipped = village.certificate.clone();
        flipped[at] ^= 1;
        let judged = judge_peer(&flipped, Side::Caller, NOW, s.trust());
        assert!(matches!(judged, Judgement::Refused(_)), "{at}");
    }
    let odd = with_unknown_critical_extension(&s, &joining);
    let judged = judge_peer(&odd, Side::Caller, NOW, s.trust());
    assert_eq!(judged, Judgement::Refused(Refused::Unreadable));
}

#[test]
fn a_certificate_of_another_county_is_told_apart() {
    let mut ours = sample();
    let theirs = sample_with(8, Box::new(Memory::default()));
    let (_, village) = ours.join(SHIQIAO);
    let judged = judge_peer(&village.certificate, Side::Caller, NOW, theirs.trust());
    assert_eq!(judged, Judgement::Refused(Refused::OtherCounty));
}

#[test]
fn a_request_that_does_not_prove_its_key_gets_no_certificate() {
    let mut entropy = Seeded::new(1);
    let key = Seed::generate(&mut entropy);
    let csr = certificate::request(&key).unwrap();
    assert!(certificate::requested_key(&csr).is_ok());
    let mut forged = csr.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(
        certificate::requested_key(&forged),
        Err(CertificateError::NoProof)
    );
    for end in 0..csr.len() {
        assert!(certificate::requested_key(&csr[..end]).is_err());
    }
    let p256 = KeyPair::generate().unwrap();
    let other = CertificateParams::default()
        .serialize_request(&p256)
        .unwrap();
    assert!(certificate::requested_key(other.der()).is_err());
    assert!(certificate::requested_key(&[0; 5000]).is_err());
}

impl Sample {
    /// What every node knows of a machine that is listed and in order.
    fn known(&self, machine: &Joined) -> Known {
        let judged = judge_peer(&machine.certificate, Side::Caller, NOW, self.trust());
        full(judged).expect("a full session")
    }

    /// A hub's answer to whoever asks for a new certificate for that key.
    fn renewed(
        &mut self,
        hub: &Joined,
        key: &Seed,
        peer: &Known,
        trust: &Trust,
        now: Millis,
    ) -> Result<Vec<u8>, RenewRefusal> {
        let csr = certificate::request(key).unwrap();
        let renewer = hub.renewer.as_ref().unwrap();
        renew(&csr, peer, renewer, trust, &mut self.entropy, now)
    }

    /// What a CA's key can sign for a machine, past every rule.
    fn issued_by(&mut self, ca: &certificate::Ca, machine: &Joining, level: Level) -> Vec<u8> {
        let csr = certificate::request(&machine.keys().tls).unwrap();
        let subject = Subject {
            node: machine.node(),
            site: SHIQIAO,
            level,
            spki_der: certificate::requested_key(&csr).unwrap(),
        };
        let tag = crate::judge::county_tag(self.trust());
        ca.issue(tag, &subject, &mut self.entropy, NOW).unwrap()
    }
}

/// The next version of a county-wide document, signed by that key alone.
fn signed(s: &Sample, body: &Body, key: &Seed) -> Vec<u8> {
    let content = s.trust().next(SiteId(0), body, NOW);
    Signed::sign(content, &[&key.signing()])
}

/// What the registrar's CA would issue if someone added a critical extension nobody knows.
fn with_unknown_critical_extension(s: &Sample, joining: &Joining) -> Vec<u8> {
    let mut params = CertificateParams::default();
    let node = joining.node();
    let county = data_encoding::HEXLOWER.encode(&s.county.id().0[..4]);
    let uri = format!("spiffe://c{county}.cuntong/village/s3/n/{node}");
    params.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut extension =
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
    extension.set_criticality(true);
    params.custom_extensions = vec![extension];
    let transport = s.county.keys().transport.key_pair().unwrap();
    let ca =
        rustls_pki_types::CertificateDer::from(s.trust().authority().transport_ca[0].as_slice());
    let issuer = Issuer::from_ca_cert_der(&ca, transport).unwrap();
    let key = joining.keys().tls.key_pair().unwrap();
    params.signed_by(&key, &issuer).unwrap().der().to_vec()
}

#[test]
fn each_certificate_has_a_serial_number_of_its_own_that_nobody_can_guess() {
    let mut s = sample();
    let serials = [s.join(SHIQIAO).1, s.join(SHIQIAO).1].map(|joined| {
        let der = rustls_pki_types::CertificateDer::from(joined.certificate);
        let certificate = webpki::EndEntityCert::try_from(&der).unwrap();
        certificate.serial().to_vec()
    });
    assert_ne!(serials[0], serials[1]);
    for serial in serials {
        assert_eq!(serial.len(), 16);
        assert_eq!(serial[0] & 0x80, 0, "positive");
    }
}

#[test]
fn a_node_takes_a_renewed_certificate_only_for_its_own_key() {
    let mut s = sample();
    let (one, first) = s.join(SHIQIAO);
    let (two, _) = s.join(SHIQIAO);
    assert_eq!(accept(&first.certificate, one.keys(), s.trust()), Ok(()));
    let refused = accept(&first.certificate, two.keys(), s.trust());
    assert_eq!(refused, Err(RenewRefusal::OtherKey));
}
