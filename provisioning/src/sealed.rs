//! Sealing with age: to a passphrase (keys at rest) or to a node's key (what only it may read).

use std::{
    fmt,
    io::{self, Read, Write},
};

use age::{
    scrypt,
    secrecy::{ExposeSecret, SecretString},
    x25519,
};
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

/// Scrypt cost of a county's key files: about a second on a small PC.
pub const WORK_LOG2: u8 = 18;
/// Costlier files are refused, so that a planted one cannot hold the machine.
const WORK_LOG2_MAX: u8 = 22;

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("口令不对,或文件被改动过")]
    WrongPassphrase,
    #[error("不是封给这台机器的,或被改动过")]
    NotForUs,
    #[error("不是加封的文件")]
    NotSealed,
    #[error("加封失败:{0}")]
    Failed(String),
}

/// A passphrase; it wipes itself and never prints.
#[derive(Clone)]
pub struct Passphrase(SecretString);

impl Passphrase {
    /// Takes a passphrase as typed, without the line end.
    pub fn new(text: &str) -> Self {
        Self(SecretString::from(
            text.trim_end_matches(['\r', '\n']).to_owned(),
        ))
    }

    /// Whether nothing was typed.
    pub fn is_empty(&self) -> bool {
        self.0.expose_secret().is_empty()
    }
}

impl PartialEq for Passphrase {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// Seals to a passphrase; `work_log2` is scrypt's cost ([`WORK_LOG2`] but for tests and demo).
pub fn to_passphrase(
    plain: &[u8],
    passphrase: &Passphrase,
    work_log2: u8,
) -> Result<Vec<u8>, SealError> {
    let mut recipient = scrypt::Recipient::new(passphrase.0.clone());
    recipient.set_work_factor(work_log2.clamp(1, WORK_LOG2_MAX));
    age::encrypt(&recipient, plain).map_err(|e| SealError::Failed(e.to_string()))
}

/// Opens what [`to_passphrase`] sealed.
pub fn with_passphrase(
    sealed: &[u8],
    passphrase: &Passphrase,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let mut identity = scrypt::Identity::new(passphrase.0.clone());
    identity.set_max_work_factor(WORK_LOG2_MAX);
    age::decrypt(&identity, sealed)
        .map(Zeroizing::new)
        .map_err(|e| {
            use age::DecryptError::{InvalidHeader, UnknownFormat};
            if matches!(e, InvalidHeader | UnknownFormat) {
                SealError::NotSealed
            } else {
                SealError::WrongPassphrase
            }
        })
}

/// The secret half of the key that others seal to.
#[derive(Clone)]
pub struct SealKey(x25519::Identity);

impl SealKey {
    /// A new key, by the system's chance.
    pub fn generate() -> Self {
        Self(x25519::Identity::generate())
    }

    /// The public half, as age writes it: `age1…`.
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    /// Opens what was sealed to this key.
    pub fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        age::decrypt(&self.0, sealed)
            .map(Zeroizing::new)
            .map_err(|_any| SealError::NotForUs)
    }
}

/// Seals to the public half of a [`SealKey`].
pub fn to_recipient(plain: &[u8], recipient: &str) -> Result<Vec<u8>, SealError> {
    let recipient: x25519::Recipient = recipient
        .parse()
        .map_err(|e: &str| SealError::Failed(e.to_owned()))?;
    age::encrypt(&recipient, plain).map_err(|e| SealError::Failed(e.to_string()))
}

/// Writes a stream sealed to the public half of a [`SealKey`]; [`Sealing::finish`] ends it.
pub struct Sealing<W: Write>(age::stream::StreamWriter<W>);

/// Begins a sealed stream.
///
/// # Errors
/// `recipient` is no public key; `out` fails.
pub fn sealing<W: Write>(recipient: &str, out: W) -> Result<Sealing<W>, SealError> {
    let recipient: x25519::Recipient = recipient
        .parse()
        .map_err(|e: &str| SealError::Failed(e.to_owned()))?;
    let only = std::iter::once(&recipient as &dyn age::Recipient);
    age::Encryptor::with_recipients(only)
        .map_err(|e| SealError::Failed(e.to_string()))?
        .wrap_output(out)
        .map(Sealing)
        .map_err(|e| SealError::Failed(e.to_string()))
}

impl<W: Write> Sealing<W> {
    /// Writes the end, without which the stream counts as cut, and returns what lies below.
    ///
    /// # Errors
    /// What lies below fails.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl SealKey {
    /// Reads a stream that [`sealing`] wrote. A stream that was cut or changed is an error where
    /// it was.
    ///
    /// # Errors
    /// `NotForUs` when it is sealed to another key, or is no sealed stream.
    pub fn opening<R: Read>(&self, sealed: R) -> Result<impl Read + use<R>, SealError> {
        age::Decryptor::new(sealed)
            .and_then(|stream| stream.decrypt(std::iter::once(&self.0 as &dyn age::Identity)))
            .map_err(|_any| SealError::NotForUs)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

impl PartialEq for SealKey {
    fn eq(&self, other: &Self) -> bool {
        self.recipient() == other.recipient()
    }
}

impl Eq for SealKey {}

impl<C> Encode<C> for SealKey {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(self.0.to_string().expose_secret())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for SealKey {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.str()?
            .parse()
            .map(Self)
            .map_err(|_not_a_key: &str| minicbor::decode::Error::message("an age identity"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_opens_with_its_passphrase_and_no_other() {
        let sealed = to_passphrase(b"seed", &Passphrase::new("青山绿水\n"), 2).unwrap();
        assert!(!sealed.windows(4).any(|w| w == b"seed"));
        assert_eq!(
            *with_passphrase(&sealed, &Passphrase::new("青山绿水")).unwrap(),
            b"seed".to_vec()
        );
        assert_eq!(
            with_passphrase(&sealed, &Passphrase::new("青山")),
            Err(SealError::WrongPassphrase)
        );
    }

    #[test]
    fn a_flipped_byte_is_noticed() {
        let mut sealed = to_passphrase(b"seed", &Passphrase::new("x"), 2).unwrap();
        let last = sealed.len() - 1;
        sealed[last] ^= 1;
        assert!(with_passphrase(&sealed, &Passphrase::new("x")).is_err());
        assert!(with_passphrase(b"not age at all", &Passphrase::new("x")).is_err());
    }

    #[test]
    fn what_is_sealed_to_one_node_does_not_open_at_another() {
        let (ours, theirs) = (SealKey::generate(), SealKey::generate());
        let sealed = to_recipient(b"for us", &ours.recipient()).unwrap();
        assert_eq!(*ours.open(&sealed).unwrap(), b"for us".to_vec());
        assert_eq!(theirs.open(&sealed), Err(SealError::NotForUs));
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", Passphrase::new("青山")), "Passphrase(…)");
        assert_eq!(format!("{:?}", SealKey::generate()), "SealKey(…)");
    }
}
