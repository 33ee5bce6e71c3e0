//! What makes this machine a node: its keys, its certificate, its county. All of it lies in the
//! store; before a county has answered, a [`Joining`] lies there instead.

use std::sync::Arc;

use cuntong_protocol::{id::NodeId, time::Millis};
use cuntong_provisioning::{
    certificate::{self, Ca},
    enrol::{Joined, Joining, Renewer},
    keys::{NodeKeys, Seed},
};
use rustls::sign::CertifiedKey;

use crate::{
    clock::{Chance, Clock},
    exit::Failure,
    link::tls,
    store::{Db, Result, Store, StoreError},
};

const KEYS: &str = "node keys";
const JOINING: &str = "joining";
const RENEWER_KEY: &str = "renewer key";
const RENEWER: &str = "renewer certificate";
const CERTIFICATE: &str = "certificate";
const ISSUED: &str = "certificate issued";
const HUBS: &str = "hubs";

/// What a node shows and signs with.
#[derive(Debug, Clone)]
pub struct Papers {
    pub keys: NodeKeys,
    /// DER
    pub certificate: Vec<u8>,
    pub issued: Option<Millis>,
    /// For the hub only.
    pub renewer: Option<Renewer>,
    /// Hub addresses of the ticket, for a node whose settings name no upstream.
    pub hubs: Vec<String>,
}

impl Papers {
    /// What the store holds; none before this machine is a node.
    ///
    /// # Errors
    /// A failing disk; papers that do not read back.
    pub fn load(db: &Db) -> Result<Option<Self>> {
        let (Some(keys), Some(certificate)) = (db.secret(KEYS)?, db.meta(CERTIFICATE)?) else {
            return Ok(None);
        };
        let renewer = match (db.meta(RENEWER)?, db.secret(RENEWER_KEY)?) {
            (Some(certificate), Some(key)) => {
                let key: [u8; 32] = key[..]
                    .try_into()
                    .map_err(|_length| StoreError::Damaged(RENEWER_KEY))?;
                Some(Renewer {
                    certificate,
                    key: Seed::from_bytes(key),
                })
            }
            (Some(_) | None, _) => None,
        };
        let issued = db.meta(ISSUED)?.and_then(|bytes| bytes.try_into().ok());
        let hubs = db.meta(HUBS)?.unwrap_or_default();
        Ok(Some(Self {
            keys: minicbor::decode(&keys).map_err(|_damage| StoreError::Damaged(KEYS))?,
            certificate,
            issued: issued.map(|bytes| Millis(i64::from_be_bytes(bytes))),
            renewer,
            hubs: minicbor::decode(&hubs).unwrap_or_default(),
        }))
    }

    /// What TLS shows.
    ///
    /// # Errors
    /// When key and certificate do not belong together.
    pub fn shown(&self) -> std::result::Result<Arc<CertifiedKey>, Failure> {
        shown(&self.keys, &self.certificate)
    }
}

fn shown(keys: &NodeKeys, certificate: &[u8]) -> std::result::Result<Arc<CertifiedKey>, Failure> {
    tls::present(vec![certificate.to_vec()], &keys.tls.pkcs8()).map_err(Failure::fault)
}

/// A renewed certificate takes the place of the old one.
///
/// # Errors
/// A failing or full disk, or a certificate that is not for this key.
pub fn renewed(
    store: &Store,
    keys: &NodeKeys,
    der: &[u8],
    now: Millis,
) -> std::result::Result<Arc<CertifiedKey>, Failure> {
    let shown = shown(keys, der)?;
    let der = der.to_vec();
    store.write(move |db| {
        db.set_meta(CERTIFICATE, &der)?;
        db.set_meta(ISSUED, &now.0.to_be_bytes())
    })?;
    Ok(shown)
}

/// A machine on its way to be a node.
///
/// # Errors
/// A failing disk.
pub fn joining(db: &Db) -> Result<Option<Joining>> {
    match db.secret(JOINING)? {
        Some(bytes) if !bytes.is_empty() => Joining::from_bytes(&bytes)
            .map(Some)
            .map_err(|_damage| StoreError::Damaged(JOINING)),
        Some(_) | None => Ok(None),
    }
}

/// Remembers, before any request leaves, with which keys and words this machine asks.
///
/// # Errors
/// A failing or full disk.
pub fn keep_joining(db: &mut Db, joining: &Joining) -> Result<()> {
    db.set_secret(JOINING, &joining.to_bytes())
}

/// Becomes a node: keys, county, certificate and the first control documents, in one
/// transaction. The same answer again changes nothing.
///
/// # Errors
/// A failing or full disk; another key or county than the one this directory has.
pub fn become_node(db: &mut Db, joining: &Joining, joined: &Joined, now: Millis) -> Result<NodeId> {
    let keys = joining.keys();
    db.transact(|db| {
        let documents: Vec<_> = joined.trust.needed_by(joined.site, &[]);
        let (first, rest) = documents.split_first().ok_or(StoreError::Refused(
            "the county's answer holds no documents",
        ))?;
        db.found(first, joined.trust.county(), now)?;
        for document in rest {
            let _new_or_same = db.take_control(document, now)?;
        }
        db.set_site(joined.site)?;
        db.set_identity(keys.sign.reveal(), now)?;
        let encoded = minicbor::to_vec(keys).map_err(|_memory| StoreError::Damaged(KEYS))?;
        db.set_secret(KEYS, &encoded)?;
        db.set_meta(CERTIFICATE, &joined.certificate)?;
        db.set_meta(ISSUED, &joined.at.0.to_be_bytes())?;
        if let Some(renewer) = &joined.renewer {
            db.set_meta(RENEWER, &renewer.certificate)?;
            db.set_secret(RENEWER_KEY, renewer.key.reveal())?;
        }
        let hubs = minicbor::to_vec(&joining.ticket().claims().hubs)
            .map_err(|_memory| StoreError::Damaged(HUBS))?;
        db.set_meta(HUBS, &hubs)?;
        db.set_secret(JOINING, &[])
    })?;
    Ok(joined.node)
}

/// A certificate the machine signs for itself, to have something to show before a county gives it
/// one. Nobody vouches for it; only the enrolment protocol takes it.
///
/// # Errors
/// When the key cannot sign.
pub fn stranger(keys: &NodeKeys, clock: &Clock) -> std::result::Result<Arc<CertifiedKey>, Failure> {
    let own =
        Ca::create("stranger", &keys.tls, &mut Chance, clock.now()).map_err(Failure::fault)?;
    debug_assert!(own.certificate().len() <= certificate::CERTIFICATE_BYTES_MAX);
    shown(keys, own.certificate())
}
