//! TLS 1.3 with both sides proving a key; who the key belongs to is the roster's to say.
//!
//! The handshake lets in whom [`judge_peer`] does not refuse; what the peer may then do is judged
//! again at the start of the session and at each message, because sessions outlive revocations.
//! A stranger with a ticket speaks another protocol, `cuntong-enrol/1`: only there is a
//! certificate nobody vouches for let in, and only the enrolment exchange is spoken.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use cuntong_protocol::{
    control::signed::Trust,
    time::Millis,
    wire::window::{Dictionary, DictionaryId},
};
use cuntong_provisioning::{
    enrol::talk,
    judge::{Judgement, Refused, Side, judge_peer},
};
use data_encoding::HEXLOWER;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls13_signature},
    server::{
        ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};

/// What nodes of one county speak with each other.
pub const ALPN: &[u8] = b"cuntong/1";
/// The same with windows primed: followed by the name of a dictionary.
const ALPN_PRIMED: &[u8] = b"cuntong/1+";
/// What a node speaks to get a new certificate; the only thing an expired one may.
pub const ALPN_RENEW: &[u8] = b"cuntong-renew/1";
/// What a machine that is not a node yet speaks with the county.
pub const ALPN_ENROL: &[u8] = talk::ALPN;
/// Sent as the server's name. Identity is the certificate's key, so the name says nothing.
pub(super) const NAME: &str = "cuntong.node.internal";

/// A certificate larger than this is not one of ours.
const STRANGER_BYTES_MAX: usize = 4 * 1024;

/// Why a TLS configuration could not be made: the node's own key or certificate is unusable.
#[derive(Debug, thiserror::Error)]
#[error("this node's key or certificate cannot be used: {0}")]
pub struct TlsError(String);

impl TlsError {
    fn from(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// What this node shows of itself: certificates (its own first) and the key, PKCS#8.
///
/// # Errors
/// When the key is not one, or does not belong to the certificate.
pub(crate) fn present(chain: Vec<Vec<u8>>, pkcs8: &[u8]) -> Result<Arc<CertifiedKey>, TlsError> {
    let key = ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8.to_vec()))
        .map_err(TlsError::from)?;
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    let own = CertifiedKey::new(chain, key);
    own.keys_match().map_err(TlsError::from)?;
    Ok(Arc::new(own))
}

/// What a peer is judged by: the county's word, and the time.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) trust: Arc<Trust>,
    pub(super) now: Millis,
}

impl Ground {
    /// Judges the certificate a peer presented.
    pub(super) fn judge(&self, certificate: &[u8], side: Side) -> Judgement {
        judge_peer(certificate, side, self.now, &self.trust)
    }

    fn admit(&self, certificate: &[u8], side: Side) -> Result<(), rustls::Error> {
        match self.judge(certificate, side) {
            Judgement::Full(_) | Judgement::RenewOnly(..) => Ok(()),
            Judgement::Refused(refused) => Err(alert(refused)),
        }
    }
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ground({:?})", self.now)
    }
}

/// The TLS error that sends the peer a telling alert.
fn alert(refused: Refused) -> rustls::Error {
    match refused {
        Refused::Unreadable => CertificateError::BadEncoding,
        Refused::OtherCounty | Refused::NotIssued => CertificateError::UnknownIssuer,
        Refused::WrongUse => CertificateError::InvalidPurpose,
        Refused::NotListed | Refused::Suspended | Refused::Revoked | Refused::Replaced => {
            CertificateError::Revoked
        }
    }
    .into()
}

/// Whether a TLS alert from the peer says that it does not want this node (rather than that it
/// does not understand its certificate).
pub(super) fn unwanted(code: u8) -> bool {
    matches!(
        AlertDescription::from(code),
        AlertDescription::CertificateRevoked | AlertDescription::AccessDenied
    )
}

/// Whether a TLS alert is about a certificate at all.
pub(super) fn about_certificate(code: u8) -> bool {
    matches!(
        AlertDescription::from(code),
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::DecodeError
    )
}

/// One call to an upstream node, from nothing.
pub(super) fn calling(
    own: Arc<CertifiedKey>,
    ground: Ground,
    alpn: &[u8],
) -> Result<QuicClientConfig, TlsError> {
    let offered = offered(alpn, Some(&ground));
    client(own, Arc::new(Callee::of(Some(ground))), offered)
}

/// The same over TCP. Without ground, whoever answers is let talk, as for [`enrolling`].
pub(super) fn calling_by_tcp(
    own: Arc<CertifiedKey>,
    ground: Option<Ground>,
    alpn: &[u8],
) -> Result<rustls::ClientConfig, TlsError> {
    let offered = offered(alpn, ground.as_ref());
    plain_client(own, Arc::new(Callee::of(ground)), offered)
}

/// The verifier and the key of the calls to one upstream: the same for all of them.
#[derive(Debug)]
pub(super) struct Sides {
    verifier: Arc<Callee>,
    own: Arc<Own>,
}

impl Sides {
    pub(super) fn new(own: Arc<CertifiedKey>, ground: Ground) -> Self {
        Self {
            verifier: Arc::new(Callee::of(Some(ground))),
            own: Arc::new(Own(own)),
        }
    }
}

/// A call that may go on with what an earlier one to the same upstream left. The handshake then
/// shows no certificates; whose session it was is known, and the roster is asked again.
pub(super) fn resuming(
    sides: &Sides,
    ground: Ground,
    resumption: Resumption,
) -> Result<QuicClientConfig, TlsError> {
    let offered = sessions(&ground.trust);
    sides.verifier.judge_by(ground);
    let mut config = with_sides(sides.own.clone(), sides.verifier.clone(), offered)?;
    config.resumption = resumption;
    config.enable_early_data = true;
    QuicClientConfig::try_from(config).map_err(TlsError::from)
}

/// One call to the county by a machine that has only a ticket: whoever answers is let talk, and
/// the exchange itself proves that it is the county of the ticket.
pub(super) fn enrolling(own: Arc<CertifiedKey>) -> Result<QuicClientConfig, TlsError> {
    client(own, Arc::new(Callee::of(None)), vec![ALPN_ENROL.to_vec()])
}

/// A caller that believes whoever answers, for tests of the other side.
#[cfg(test)]
pub(super) fn credulous(own: Arc<CertifiedKey>) -> Result<QuicClientConfig, TlsError> {
    client(own, Arc::new(Callee::of(None)), vec![ALPN.to_vec()])
}

/// The same by TCP.
#[cfg(test)]
pub(super) fn credulous_by_tcp(own: Arc<CertifiedKey>) -> Result<rustls::ClientConfig, TlsError> {
    plain_client(own, Arc::new(Callee::of(None)), vec![ALPN.to_vec()])
}

/// The protocols to offer for one: a session may be spoken in several ways.
fn offered(alpn: &[u8], ground: Option<&Ground>) -> Vec<Vec<u8>> {
    match ground {
        Some(ground) if alpn == ALPN => sessions(&ground.trust),
        Some(_) | None => vec![alpn.to_vec()],
    }
}

/// How a session may be spoken, the preferred way first.
fn sessions(trust: &Trust) -> Vec<Vec<u8>> {
    let primed = trust.dictionaries().map(|dictionary| {
        let name = HEXLOWER.encode(&dictionary.id().0);
        [ALPN_PRIMED, name.as_bytes()].concat()
    });
    primed.chain([ALPN.to_vec()]).collect()
}

/// What was agreed on in the handshake.
pub(super) fn agreed(connection: &quinn::Connection) -> Option<Vec<u8>> {
    let data = connection.handshake_data()?;
    let data = data
        .downcast::<quinn::crypto::rustls::HandshakeData>()
        .ok()?;
    data.protocol
}

/// The dictionary that stands before the windows of a session spoken so.
pub(super) fn dictionary(alpn: &[u8], trust: &Trust) -> Option<Dictionary> {
    let name = HEXLOWER.decode(alpn.strip_prefix(ALPN_PRIMED)?).ok()?;
    let name = DictionaryId(name.try_into().ok()?);
    trust
        .dictionaries()
        .find(|known| known.id() == name)
        .cloned()
}

fn client(
    own: Arc<CertifiedKey>,
    verifier: Arc<Callee>,
    offered: Vec<Vec<u8>>,
) -> Result<QuicClientConfig, TlsError> {
    let config = plain_client(own, verifier, offered)?;
    QuicClientConfig::try_from(config).map_err(TlsError::from)
}

fn plain_client(
    own: Arc<CertifiedKey>,
    verifier: Arc<Callee>,
    offered: Vec<Vec<u8>>,
) -> Result<rustls::ClientConfig, TlsError> {
    with_sides(Arc::new(Own(own)), verifier, offered)
}

fn with_sides(
    own: Arc<Own>,
    verifier: Arc<Callee>,
    offered: Vec<Vec<u8>>,
) -> Result<rustls::ClientConfig, TlsError> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::from)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(own);
    config.alpn_protocols = offered;
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}

/// One connection from elsewhere. Each has a configuration of its own, because whether a stranger
/// may come in depends on the protocol that very connection asks for.
///
/// Callers are given a ticket each, good once, so that words sent with the first packet cannot be
/// played again; `sessions` remembers whose it is.
pub(super) fn called(
    own: Arc<CertifiedKey>,
    ground: Ground,
    sessions: Arc<ServerSessionMemoryCache>,
) -> Result<QuicServerConfig, TlsError> {
    let mut config = called_by_tcp(own, ground)?;
    config.session_storage = sessions;
    config.send_tls13_tickets = 1;
    // The only value besides 0 that QUIC knows.
    config.max_early_data_size = u32::MAX;
    QuicServerConfig::try_from(config).map_err(TlsError::from)
}

/// The same over TCP, where nothing is resumed.
pub(super) fn called_by_tcp(
    own: Arc<CertifiedKey>,
    ground: Ground,
) -> Result<rustls::ServerConfig, TlsError> {
    let offered = sessions(&ground.trust);
    let stranger = Arc::new(AtomicBool::new(false));
    let verifier = Caller {
        ground,
        stranger: stranger.clone(),
    };
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::from)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(Door { own, stranger }));
    config.alpn_protocols = offered;
    config
        .alpn_protocols
        .extend([ALPN_RENEW.to_vec(), ALPN_ENROL.to_vec()]);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The part of a verifier that is the same on both sides: TLS 1.3 only, and the peer holds the
/// Ed25519 key of the certificate it showed.
macro_rules! proves_its_key {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _cert: &CertificateDer<'_>,
            _dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Err(rustls::Error::PeerIncompatible(
                rustls::PeerIncompatible::Tls13RequiredForQuic,
            ))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let supported = ring::default_provider().signature_verification_algorithms;
            verify_tls13_signature(message, cert, dss, &supported)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }
    };
}

/// Verifies the node that was called; without ground, it only proves that it holds its key.
#[derive(Debug)]
struct Callee(Mutex<Option<Ground>>);

impl Callee {
    const fn of(ground: Option<Ground>) -> Self {
        Self(Mutex::new(ground))
    }

    fn judge_by(&self, ground: Ground) {
        *super::lock(&self.0) = Some(ground);
    }
}

impl ServerCertVerifier for Callee {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &*super::lock(&self.0) {
            Some(ground) => ground.admit(end_entity, Side::Callee)?,
            None => sane(end_entity)?,
        }
        Ok(ServerCertVerified::assertion())
    }

    proves_its_key!();
}

/// Verifies the node that calls.
#[derive(Debug)]
struct Caller {
    ground: Ground,
    /// The caller asked for nothing but the enrolment protocol.
    stranger: Arc<AtomicBool>,
}

impl ClientCertVerifier for Caller {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if self.stranger.load(Ordering::Relaxed) {
            sane(end_entity)?;
        } else {
            self.ground.admit(end_entity, Side::Caller)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    proves_its_key!();
}

fn sane(certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
    if certificate.len() > STRANGER_BYTES_MAX {
        return Err(CertificateError::BadEncoding.into());
    }
    Ok(())
}

/// Shows this node's certificate, whatever it is asked for.
#[derive(Debug)]
struct Own(Arc<CertifiedKey>);

impl rustls::client::ResolvesClientCert for Own {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Shows this node's certificate, and notes which protocol was asked for.
#[derive(Debug)]
struct Door {
    own: Arc<CertifiedKey>,
    stranger: Arc<AtomicBool>,
}

impl ResolvesServerCert for Door {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Whoever offers both is no stranger: the certificate is then verified.
        let only_enrol = hello
            .alpn()
            .is_some_and(|mut offered| offered.all(|protocol| protocol == ALPN_ENROL));
        self.stranger.store(only_enrol, Ordering::Relaxed);
        Some(self.own.clone())
    }
}
