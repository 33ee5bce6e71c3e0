//! Private keys: 32-byte seeds that wipe themselves and never print.

use std::fmt;

use ed25519_dalek::SigningKey;
use minicbor::{Decode, Encode};
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData};
use rustls_pki_types::PrivatePkcs8KeyDer;
use zeroize::{Zeroize, Zeroizing};

use cuntong_protocol::id::NodeId;

use crate::{certificate::CertificateError, entropy::Entropy, sealed::SealKey};

/// The secret half of one Ed25519 key.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A new key.
    pub fn generate(entropy: &mut impl Entropy) -> Self {
        Self(entropy.bytes())
    }

    /// A key that was kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret itself, to be sealed or kept in the node's own state directory.
    pub const fn reveal(&self) -> &[u8; 32] {
        &self.0
    }

    /// As a signing key; it wipes itself too.
    pub fn signing(&self) -> SigningKey {
        SigningKey::from_bytes(&self.0)
    }

    /// The public half.
    pub fn public(&self) -> [u8; 32] {
        self.signing().verifying_key().to_bytes()
    }

    /// As PKCS#8, for TLS.
    pub fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        // RFC 8410 §7: a one-asymmetric-key of version 1 holds nothing but the seed.
        const PREFIX: [u8; 16] = [
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22,
            0x04, 0x20,
        ];
        let mut der = Zeroizing::new(Vec::with_capacity(PREFIX.len() + self.0.len()));
        der.extend(PREFIX);
        der.extend(self.0);
        der
    }

    /// As the key pair that signs certificates and requests.
    pub(crate) fn key_pair(&self) -> Result<KeyPair, rcgen::Error> {
        let der = self.pkcs8();
        KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(der.as_slice()),
            &PKCS_ED25519,
        )
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

impl<C> Encode<C> for Seed {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Seed {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.bytes()?
            .try_into()
            .map(Self)
            .map_err(|_wrong_length| minicbor::decode::Error::message("a key of 32 bytes"))
    }
}

/// The three keys a node makes for itself; none of them ever leaves the machine.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NodeKeys {
    /// Presents the node in TLS.
    #[n(0)]
    pub tls: Seed,
    /// Signs seals and receipts; the node's name is a hash of it.
    #[n(1)]
    pub sign: Seed,
    /// Opens what the county seals to this node.
    #[n(2)]
    pub open: SealKey,
}

impl NodeKeys {
    /// New keys. The sealing key takes its chance from the system, because age offers no other way.
    pub fn generate(entropy: &mut impl Entropy) -> Self {
        Self {
            tls: Seed::generate(entropy),
            sign: Seed::generate(entropy),
            open: SealKey::generate(),
        }
    }

    /// The name these keys give the node.
    pub fn node(&self) -> NodeId {
        NodeId::of_key(&self.sign.public())
    }

    /// BLAKE3 of the DER SubjectPublicKeyInfo the node presents in TLS.
    pub fn spki(&self) -> Result<[u8; 32], CertificateError> {
        Ok(*blake3::hash(&self.tls.key_pair()?.subject_public_key_info()).as_bytes())
    }
}
