//! Whether the machine at the other end of a handshake may take part, and how far.
//!
//! TLS has proved that the peer holds the certificate's key. Everything else is decided here,
//! from the roster, by that key, at each session and again at each request.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, ring::ED25519};

use cuntong_protocol::{
    control::{NodeEntry, NodeStatus, signed::Trust},
    id::{NodeId, SiteId},
    role::Level,
    time::Millis,
};

use crate::certificate::{self, CERTIFICATE_BYTES_MAX, Identity};

/// Which end of the handshake is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The peer called us.
    Caller,
    /// We called the peer.
    Callee,
}

/// A peer the roster lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub node: NodeId,
    pub site: SiteId,
    pub level: Level,
    pub spki: [u8; 32],
    pub sign_key: [u8; 32],
    /// The certificate is not valid by this machine's clock but is by the newest time the county
    /// signed: the clock is wrong, and that never stops work.
    pub clock_doubt: bool,
}

/// What a peer may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Everything its place allows.
    Full(Known),
    /// Nothing but fetch control documents and a new certificate, then come again.
    RenewOnly(Known, Stale),
    /// Nothing; the connection is closed.
    Refused(Refused),
}

/// Why a listed node needs a new certificate first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// Past its last day. Expired is not revoked.
    Expired,
    /// The roster gives the node another place than its certificate.
    OtherPlace,
}

/// Why a peer is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("对方证书无法识别")]
    Unreadable,
    #[error("对方属于其他县")]
    OtherCounty,
    #[error("对方证书不是本县签发的")]
    NotIssued,
    #[error("对方证书不能用于这一端")]
    WrongUse,
    #[error("名册中没有这台机器")]
    NotListed,
    #[error("这台机器已被暂停")]
    Suspended,
    #[error("这台机器已被吊销")]
    Revoked,
    #[error("这台机器已被另一台替换")]
    Replaced,
}

impl Refused {
    /// The word for logs and `--json`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::OtherCounty => "other_county",
            Self::NotIssued => "not_issued",
            Self::WrongUse => "wrong_use",
            Self::NotListed => "not_listed",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
            Self::Replaced => "replaced",
        }
    }
}

/// Judges the peer that presented this certificate. `now` is this machine's clock; the newest
/// time the county signed serves as its floor.
pub fn judge_peer(der: &[u8], side: Side, now: Millis, trust: &Trust) -> Judgement {
    match judge(der, side, now, trust) {
        Ok(judgement) => judgement,
        Err(refused) => Judgement::Refused(refused),
    }
}

/// Judges the node of a roster entry anew, inside a session that has already been opened: what
/// was true at the handshake may have been revoked since.
pub fn still_listed(spki: &[u8; 32], trust: &Trust) -> Result<(), Refused> {
    listed(spki, trust).map(|_entry| ())
}

fn judge(der: &[u8], side: Side, now: Millis, trust: &Trust) -> Result<Judgement, Refused> {
    let identity = certificate::identity_of(der).map_err(|_any| Refused::Unreadable)?;
    if identity.county != county_tag(trust) {
        return Err(Refused::OtherCounty);
    }
    let validity = vouched(der, side, now, trust)?;
    let entry = listed(&identity.spki, trust)?;
    let level = trust
        .places()
        .site(entry.site)
        .map(|place| place.level)
        .ok_or(Refused::NotListed)?;
    if entry.node != identity.node {
        return Err(Refused::NotListed);
    }
    let known = Known {
        node: entry.node,
        site: entry.site,
        level,
        spki: entry.spki,
        sign_key: entry.sign_key,
        clock_doubt: validity == Validity::ByFloor,
    };
    Ok(match validity {
        Validity::Expired => Judgement::RenewOnly(known, Stale::Expired),
        Validity::Now | Validity::ByFloor if moved(&identity, &known) => {
            Judgement::RenewOnly(known, Stale::OtherPlace)
        }
        Validity::Now | Validity::ByFloor => Judgement::Full(known),
    })
}

/// First bytes of the county's fingerprint, as certificates carry them.
pub fn county_tag(trust: &Trust) -> certificate::CountyTag {
    let mut tag = [0; 4];
    tag.copy_from_slice(&trust.county().0[..4]);
    tag
}

fn moved(identity: &Identity, known: &Known) -> bool {
    identity.site != known.site || identity.level != known.level
}

fn listed<'t>(spki: &[u8; 32], trust: &'t Trust) -> Result<&'t NodeEntry, Refused> {
    let entry = trust.by_spki(spki).ok_or(Refused::NotListed)?;
    match entry.status {
        NodeStatus::Active => Ok(entry),
        NodeStatus::Suspended => Err(Refused::Suspended),
        NodeStatus::Revoked => Err(Refused::Revoked),
        NodeStatus::Replaced => Err(Refused::Replaced),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Validity {
    Now,
    ByFloor,
    Expired,
}

/// Whether one of the county's transport CAs issued the certificate for this side, and whether it
/// is valid now.
fn vouched(der: &[u8], side: Side, now: Millis, trust: &Trust) -> Result<Validity, Refused> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(Refused::Unreadable);
    }
    let floor = trust.newest_signed_time();
    let at = |moment| verify_at(der, side, moment, trust);
    // A clock behind the newest signed time is certainly wrong: judge by the floor at once.
    let clock = if now.since(floor) < 0 { floor } else { now };
    match at(unix(clock)) {
        Ok(()) if now.since(floor) < 0 => Ok(Validity::ByFloor),
        Ok(()) => Ok(Validity::Now),
        Err(webpki::Error::CertNotValidYet { not_before, .. }) => {
            // The floor too is older than the certificate: nothing signed since reached us yet.
            at(not_before).map_err(refusal)?;
            Ok(Validity::ByFloor)
        }
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            // One whose key and issuer would still have been right on its last day is expired;
            // anything else is not ours.
            let last = UnixTime::since_unix_epoch(Duration::from_secs(
                not_after.as_secs().saturating_sub(1),
            ));
            at(last).map_err(refusal)?;
            // Who calls must keep the hub's hours. Who is called is believed by the floor, so
            // that a clock in 2099 does not cut a node off from the hub that could set it right.
            match side {
                Side::Callee if at(unix(floor)).is_ok() => Ok(Validity::ByFloor),
                Side::Callee | Side::Caller => Ok(Validity::Expired),
            }
        }
        Err(other) => Err(refusal(other)),
    }
}

fn verify_at(der: &[u8], side: Side, at: UnixTime, trust: &Trust) -> Result<(), webpki::Error> {
    let der = CertificateDer::from(der);
    let certificate = EndEntityCert::try_from(&der)?;
    let authorities: Vec<CertificateDer<'_>> = trust
        .authority()
        .transport_ca
        .iter()
        .map(|ca| CertificateDer::from(ca.as_slice()))
        .collect();
    let anchors: Vec<TrustAnchor<'_>> = authorities
        .iter()
        .filter_map(|ca| webpki::anchor_from_trusted_cert(ca).ok())
        .collect();
    let usage = match side {
        Side::Caller => KeyUsage::client_auth(),
        Side::Callee => KeyUsage::server_auth(),
    };
    certificate
        .verify_for_usage(&[ED25519], &anchors, &[], at, usage, None, None)
        .map(|_path| ())
}

fn refusal(error: webpki::Error) -> Refused {
    use webpki::Error::{
        CaUsedAsEndEntity, InvalidSignatureForPublicKey, RequiredEkuNotFoundContext, UnknownIssuer,
    };
    if matches!(
        error,
        UnknownIssuer | InvalidSignatureForPublicKey | CaUsedAsEndEntity
    ) {
        Refused::NotIssued
    } else if matches!(error, RequiredEkuNotFoundContext(_)) {
        Refused::WrongUse
    } else {
        Refused::Unreadable
    }
}

fn unix(at: Millis) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(at.0.max(0).unsigned_abs()))
}
