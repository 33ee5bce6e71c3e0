//! X.509, which is only how TLS sees a node: issuing, and reading back what was issued.
//!
//! The roster decides what a node may do; a certificate carries its key into a handshake.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
    SanType, SerialNumber, SubjectPublicKeyInfo, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};

use cuntong_protocol::{
    id::{NodeId, SiteId},
    role::Level,
    time::Millis,
};

use crate::{entropy::Entropy, keys::Seed};

/// Larger certificates are refused before they are parsed; ours have some 450 bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 4 * 1024;
/// Larger certificate requests are refused before they are parsed; ours have some 200 bytes.
pub const REQUEST_BYTES_MAX: usize = 4 * 1024;

const DAY_MS: i64 = 24 * 3_600 * 1000;
/// Validity of a village's or township's certificate.
pub const NODE_DAYS: i64 = 400;
/// Validity of the hub's certificate: it is met by nodes that were away for years.
pub const HUB_DAYS: i64 = 5 * 365;
/// Validity of a transport CA.
pub const CA_DAYS: i64 = 10 * 365;
/// Certificates begin this long before they are issued, for clocks that are behind.
pub const BACKDATE_DAYS: i64 = 30;

/// First eight hexadecimal digits of a county's fingerprint, as certificates write it.
pub type CountyTag = [u8; 4];

/// Why a certificate was not issued or not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error("证书有 {0} 字节,太大")]
    TooLarge(usize),
    #[error("证书无法识别:{0}")]
    Unreadable(String),
    #[error("证书上没有节点身份")]
    NoIdentity,
    #[error("证书申请没有证明持有密钥")]
    NoProof,
    #[error("签发证书失败:{0}")]
    Failed(String),
}

impl From<rcgen::Error> for CertificateError {
    fn from(e: rcgen::Error) -> Self {
        Self::Failed(e.to_string())
    }
}

/// What a node certificate says about its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub county: CountyTag,
    pub node: NodeId,
    pub site: SiteId,
    pub level: Level,
    /// BLAKE3 of the DER SubjectPublicKeyInfo; the key the roster is asked by.
    pub spki: [u8; 32],
}

/// A transport CA: a certificate in the county's authority, and its key.
pub struct Ca {
    certificate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    /// A new CA; `name` tells people which of the two it is.
    pub fn create(
        name: &str,
        key: &Seed,
        entropy: &mut impl Entropy,
        now: Millis,
    ) -> Result<Self, CertificateError> {
        let mut params = CertificateParams::default();
        // Two CAs must not share a subject: the key's first bytes tell them apart.
        let tag = data_encoding::HEXLOWER.encode(&key.public()[..4]);
        params.distinguished_name = common_name(&format!("cuntong {name} {tag}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        dated(&mut params, entropy, now, CA_DAYS);
        let pair = key.key_pair()?;
        let certificate = params.self_signed(&pair)?.der().to_vec();
        Ok(Self {
            certificate,
            issuer: Issuer::new(params, pair),
        })
    }

    /// A CA that was kept.
    pub fn open(certificate: Vec<u8>, key: &Seed) -> Result<Self, CertificateError> {
        let issuer = Issuer::from_ca_cert_der(
            &CertificateDer::from(certificate.as_slice()),
            key.key_pair()?,
        )?;
        Ok(Self {
            certificate,
            issuer,
        })
    }

    /// Whether this CA certificate (DER) is for that key.
    pub fn is_of(der: &[u8], key: &Seed) -> bool {
        let der = CertificateDer::from(der);
        let held = webpki::EndEntityCert::try_from(&der)
            .map(|certificate| certificate.subject_public_key_info());
        match (held, key.key_pair()) {
            (Ok(held), Ok(pair)) => held.as_ref() == pair.subject_public_key_info(),
            (Ok(_), Err(_)) | (Err(_), _) => false,
        }
    }

    /// The certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// A certificate for that node. Everything in it comes from the arguments: what a request
    /// asks for is never read.
    pub fn issue(
        &self,
        county: CountyTag,
        subject: &Subject,
        entropy: &mut impl Entropy,
        now: Millis,
    ) -> Result<Vec<u8>, CertificateError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&subject.node.text());
        params.subject_alt_names = vec![
            SanType::URI(uri(county, subject).try_into()?),
            SanType::DnsName(server_name(subject.node).try_into()?),
        ];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match subject.level {
            Level::Village => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Level::Township | Level::County => vec![
                ExtendedKeyUsagePurpose::ClientAuth,
                ExtendedKeyUsagePurpose::ServerAuth,
            ],
        };
        params.use_authority_key_identifier_extension = true;
        dated(&mut params, entropy, now, days(subject.level));
        let key = SubjectPublicKeyInfo::from_der(&subject.spki_der)?;
        Ok(params.signed_by(&key, &self.issuer)?.der().to_vec())
    }
}

/// Who a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub node: NodeId,
    pub site: SiteId,
    pub level: Level,
    /// DER SubjectPublicKeyInfo of the node's TLS key.
    pub spki_der: Vec<u8>,
}

/// The name a node answers to in TLS.
pub fn server_name(node: NodeId) -> String {
    format!("{}.node.internal", node.text())
}

/// How long a certificate of that level is valid, in days.
pub const fn days(level: Level) -> i64 {
    match level {
        Level::Village | Level::Township => NODE_DAYS,
        Level::County => HUB_DAYS,
    }
}

/// A PKCS#10 request, signed by the key it is about. It asks for nothing but a certificate.
pub fn request(key: &Seed) -> Result<Vec<u8>, CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(&key.key_pair()?)?.der().to_vec())
}

/// The DER SubjectPublicKeyInfo of a PKCS#10 request whose signature proves its sender holds the
/// key. Only Ed25519 is taken.
pub fn requested_key(csr: &[u8]) -> Result<Vec<u8>, CertificateError> {
    if csr.len() > REQUEST_BYTES_MAX {
        return Err(CertificateError::TooLarge(csr.len()));
    }
    let der = CertificateSigningRequestDer::from(csr);
    let parsed = CertificateSigningRequestParams::from_der(&der).map_err(|e| {
        if e == rcgen::Error::InvalidCertificationRequestSignature {
            CertificateError::NoProof
        } else {
            CertificateError::Unreadable(e.to_string())
        }
    })?;
    if parsed.public_key.algorithm() != &rcgen::PKCS_ED25519 {
        return Err(CertificateError::Unreadable("not an Ed25519 key".into()));
    }
    Ok(parsed.public_key.subject_public_key_info())
}

/// Reads what a node certificate says, without asking whether anyone vouches for it.
pub fn identity_of(der: &[u8]) -> Result<Identity, CertificateError> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(CertificateError::TooLarge(der.len()));
    }
    let der = CertificateDer::from(der);
    let certificate = webpki::EndEntityCert::try_from(&der)
        .map_err(|e| CertificateError::Unreadable(e.to_string()))?;
    let mut uris = certificate.valid_uri_names();
    let (Some(only), None) = (uris.next(), uris.next()) else {
        return Err(CertificateError::NoIdentity);
    };
    let (county, level, site, node) = parse_uri(only).ok_or(CertificateError::NoIdentity)?;
    Ok(Identity {
        county,
        node,
        site,
        level,
        spki: *blake3::hash(certificate.subject_public_key_info().as_ref()).as_bytes(),
    })
}

fn uri(county: CountyTag, subject: &Subject) -> String {
    format!(
        "spiffe://c{}.cuntong/{}/{}/n/{}",
        data_encoding::HEXLOWER.encode(&county),
        subject.level.word(),
        subject.site,
        subject.node
    )
}

fn parse_uri(uri: &str) -> Option<(CountyTag, Level, SiteId, NodeId)> {
    let rest = uri.strip_prefix("spiffe://c")?;
    let (county, rest) = rest.split_once(".cuntong/")?;
    let county = data_encoding::HEXLOWER.decode(county.as_bytes()).ok()?;
    let mut parts = rest.split('/');
    let (level, site, n, node) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if n != "n" || parts.next().is_some() {
        return None;
    }
    let level = [Level::Village, Level::Township, Level::County]
        .into_iter()
        .find(|l| l.word() == level)?;
    Some((
        county.try_into().ok()?,
        level,
        site.parse().ok()?,
        node.parse().ok()?,
    ))
}

fn common_name(name: &str) -> DistinguishedName {
    let mut dn = DistinguishedName::new();
    dn.push(DnType::CommonName, name);
    dn
}

fn dated(params: &mut CertificateParams, entropy: &mut impl Entropy, now: Millis, days: i64) {
    // A positive serial of 127 unpredictable bits.
    let mut serial: [u8; 16] = entropy.bytes();
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(now.after(-BACKDATE_DAYS * DAY_MS));
    params.not_after = epoch + since_epoch(now.after(days * DAY_MS));
}

/// Whole seconds from 1970, cut to what X.509 can write (up to the year 9999).
fn since_epoch(at: Millis) -> std::time::Duration {
    let seconds = at.0.div_euclid(1000).clamp(0, 253_370_764_800);
    std::time::Duration::from_secs(seconds.unsigned_abs())
}
