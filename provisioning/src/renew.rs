//! Renewal: a hub gives a listed node a new certificate for the key it has. A new key is an
//! enrolment, never a renewal.

use cuntong_protocol::{control::signed::Trust, time::Millis};

use crate::{
    certificate::{self, Ca, CertificateError, Subject, days},
    enrol::Renewer,
    entropy::Entropy,
    judge::{Judgement, Known, Refused, Side, county_tag, judge_peer, still_listed},
    keys::NodeKeys,
};

const DAY_MS: i64 = 24 * 3_600 * 1000;

/// Why a hub does not renew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenewRefusal {
    #[error("申请的是另一把密钥:那是入网,不是续期")]
    OtherKey,
    #[error(transparent)]
    NotListed(#[from] Refused),
    #[error("本机不是本县的续期枢纽")]
    NoRenewer,
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A new certificate (DER) for the node of a session, by its PKCS#10 request. `peer` is what
/// [`crate::judge::judge_peer`] found, renew-only or full. Site and level are the roster's of
/// this moment, so a node that moved gets a certificate that says so.
pub fn renew(
    csr: &[u8],
    peer: &Known,
    renewer: &Renewer,
    trust: &Trust,
    entropy: &mut impl Entropy,
    now: Millis,
) -> Result<Vec<u8>, RenewRefusal> {
    let spki_der = certificate::requested_key(csr)?;
    if *blake3::hash(&spki_der).as_bytes() != peer.spki {
        return Err(RenewRefusal::OtherKey);
    }
    still_listed(&peer.spki, trust)?;
    let entry = trust
        .by_spki(&peer.spki)
        .filter(|n| n.node == peer.node)
        .ok_or(Refused::NotListed)?;
    let level = trust
        .places()
        .site(entry.site)
        .map(|place| place.level)
        .ok_or(Refused::NotListed)?;
    if !trust
        .authority()
        .transport_ca
        .contains(&renewer.certificate)
    {
        return Err(RenewRefusal::NoRenewer);
    }
    let subject = Subject {
        node: entry.node,
        site: entry.site,
        level,
        spki_der,
    };
    let ca = Ca::open(renewer.certificate.clone(), &renewer.key)?;
    Ok(ca.issue(county_tag(trust), &subject, entropy, now)?)
}

/// Whether a certificate that came back is this node's, issued by its county: asked before it
/// takes the place of the old one.
pub fn accept(certificate: &[u8], keys: &NodeKeys, trust: &Trust) -> Result<(), RenewRefusal> {
    let identity = certificate::identity_of(certificate)?;
    if identity.spki != keys.spki()? || identity.node != keys.node() {
        return Err(RenewRefusal::OtherKey);
    }
    // By the county's newest time, whatever this machine's clock says.
    match judge_peer(certificate, Side::Caller, trust.newest_signed_time(), trust) {
        Judgement::Full(_) | Judgement::RenewOnly(..) => Ok(()),
        Judgement::Refused(refused) => Err(refused.into()),
    }
}

/// When a node should begin to ask for a new certificate: after a third of its life, so that two
/// thirds are left for being away. `issued` is when it was issued.
pub const fn due(issued: Millis, level: cuntong_protocol::role::Level) -> Millis {
    issued.after(days(level) * DAY_MS / 3)
}
