use super::*;
use crate::{
    certificate,
    enrol::{
        Grant, Request,
        desk::{self, Outcome},
        talk::{Question, Reply},
    },
    entropy::Entropy,
};

/// Bytes as they come from a stranger: an honest message with a few places changed, cut or
/// stretched.
fn spoiled(honest: &[u8], entropy: &mut Seeded) -> Vec<u8> {
    let mut bytes = honest.to_vec();
    let [kind, changes, ..] = entropy.bytes::<4>();
    for _ in 0..=changes % 6 {
        let at = usize::from(u16::from_be_bytes(entropy.bytes())) % bytes.len();
        match kind % 4 {
            0 => bytes[at] = entropy.bytes::<1>()[0],
            1 => bytes[at] = [0, 0x7f, 0x80, 0xff, 0x9f, 0x5f, 0x1b, 0xbb][at % 8],
            2 => bytes.truncate(at.max(1)),
            _ => bytes.insert(at, entropy.bytes::<1>()[0]),
        }
    }
    bytes
}

#[test]
fn no_bytes_from_outside_stop_a_hub_a_registrar_or_a_machine() {
    let mut s = sample();
    let joining = s.machine(SHIQIAO);
    let grant = s.grant(&joining);
    let certificate = joining.finish(&grant).unwrap().certificate;
    let csr = certificate::request(&joining.keys().tls).unwrap();
    let question = Question::Join(joining.request().to_vec()).encode();
    let reply = Reply::Granted(grant.clone()).encode();
    let mut entropy = Seeded::new(2026);
    let (id, trust) = (s.county.id(), s.county.trust());
    for round in 0..3_000 {
        let mut book = Memory::default();
        let request = spoiled(joining.request(), &mut entropy);
        if request != joining.request() {
            assert!(
                Request::read(&request, id, trust.authority()).is_err(),
                "{round}"
            );
            let outcome = desk::receive(&request, trust, &mut book, NOW);
            assert!(matches!(outcome, Outcome::Refused(_)), "{round}");
        }
        let answer = spoiled(&grant, &mut entropy);
        if answer != grant {
            assert!(joining.finish(&answer).is_err(), "{round}");
            let believed = Grant::read(&answer).is_ok_and(|g| g.signed_by(trust.authority()));
            assert!(!believed, "{round}");
        }
        // What these come to is asked elsewhere; here only that they come to an end.
        let _read = certificate::requested_key(&spoiled(&csr, &mut entropy));
        let _read = certificate::identity_of(&spoiled(&certificate, &mut entropy));
        let _read = Question::decode(&spoiled(&question, &mut entropy));
        let _read = Reply::decode(&spoiled(&reply, &mut entropy));
        let _read = Joining::from_bytes(&spoiled(&joining.to_bytes(), &mut entropy));
    }
}

#[test]
fn deeply_nested_or_boundless_cbor_ends_in_an_error() {
    let s = sample();
    let mut nested = b"CTRQ".to_vec();
    nested.extend([0x81; 16_000]);
    let trust = s.trust();
    let read = |bytes: &[u8]| Request::read(bytes, s.county.id(), trust.authority());
    assert!(read(&nested).is_err());
    let mut boundless = b"CTRQ".to_vec();
    boundless.extend([0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert!(read(&boundless).is_err());
    let mut long = b"CTGR".to_vec();
    long.extend([0x82, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert!(Grant::read(&long).is_err());
}
