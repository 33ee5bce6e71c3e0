//! The file of a bundle: sealed, signed at its end, copied before it is looked at.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Seek as _, Write},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use cuntong_protocol::{
    blob::message::{self, BlobMessage},
    limits::BUNDLE_BYTES_MAX,
    time::Millis,
    wire::{
        Message,
        bundle::{BundleError, CLOSING_BYTES, Envelope, Header, Tally},
        codec::{self, DecodeError},
        frame::{self, Deflater, Inflater},
    },
};
use cuntong_provisioning::sealed::{self, SealKey};
use ed25519_dalek::SigningKey;

use crate::exit::{Exit, Failure};

/// What names of files end with that are being written, or were when a stick was pulled.
pub(super) const PARTIAL: &str = "partial";

/// A file whose bytes are hashed for its envelope on their way.
struct Enveloped {
    out: BufWriter<File>,
    envelope: Envelope,
}

impl Write for Enveloped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.envelope.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A bundle that is being written. Dropped unfinished, it leaves nothing behind.
pub(super) struct Written {
    path: PathBuf,
    partial: PathBuf,
    sealed: Option<sealed::Sealing<Enveloped>>,
    deflater: Deflater,
    tally: Tally,
}

impl Written {
    /// Begins a file.
    ///
    /// # Errors
    /// It exists already; the folder cannot be written.
    pub(super) fn create(path: &Path, header: &Header, recipient: &str) -> Result<Self, Failure> {
        if path.exists() {
            return Err(Failure::usage(format!("{} 已经存在", path.display())));
        }
        let partial = path.with_extension(PARTIAL);
        // Of an attempt that a pulled stick cut short.
        fs::remove_file(&partial).ok();
        let mut out = Enveloped {
            out: BufWriter::new(private(&partial)?),
            envelope: Envelope::default(),
        };
        let begun = out.write_all(&header.to_bytes());
        let sealed = begun
            .map_err(|e| of_file(&partial, &e))
            .and_then(|()| sealed::sealing(recipient, out).map_err(Failure::fault));
        match sealed {
            Ok(sealed) => Ok(Self {
                path: path.to_owned(),
                partial,
                sealed: Some(sealed),
                deflater: Deflater::default(),
                tally: Tally::new(header),
            }),
            Err(failure) => {
                fs::remove_file(&partial).ok();
                Err(failure)
            }
        }
    }

    /// Adds a message.
    ///
    /// # Errors
    /// A failing or full disk or stick; more messages than a bundle may hold.
    pub(super) fn say(&mut self, message: &Message) -> Result<(), Failure> {
        self.frame(&codec::encode(message))
    }

    /// The same of a file.
    ///
    /// # Errors
    /// As [`Self::say`].
    pub(super) fn give(&mut self, message: &BlobMessage) -> Result<(), Failure> {
        self.frame(&message::encode(message))
    }

    fn frame(&mut self, message: &[u8]) -> Result<(), Failure> {
        let frame = self.deflater.frame(message).map_err(Failure::fault)?;
        self.tally.frame(&frame).map_err(Failure::fault)?;
        self.write(&frame)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let sealed = self.sealed.as_mut();
        let sealed = sealed.ok_or_else(|| Failure::fault("the bundle is closed"))?;
        sealed
            .write_all(bytes)
            .map_err(|e| of_file(&self.partial, &e))
    }

    /// Closes, flushes to the stick and gives the file its name; messages and bytes of it.
    ///
    /// # Errors
    /// A failing or full disk or stick.
    pub(super) fn finish(mut self, key: &SigningKey) -> Result<(u64, u64), Failure> {
        let closing = self.tally.close(key);
        self.write(&[0; 4])?;
        self.write(&closing)?;
        let failed = |e: io::Error| of_file(&self.partial, &e);
        if let Some(sealed) = self.sealed.take() {
            let Enveloped { mut out, envelope } = sealed.finish().map_err(failed)?;
            out.write_all(&envelope.close(key)).map_err(failed)?;
            let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
            file.sync_all().map_err(failed)?;
        }
        name(&self.partial, &self.path)?;
        let bytes = fs::metadata(&self.path).map_err(failed)?.len();
        Ok((self.tally.messages(), bytes))
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // Renamed away when it was finished.
        fs::remove_file(&self.partial).ok();
    }
}

/// Gives a file that was written its name, for good: the name itself must be on the stick before
/// it is pulled.
fn name(partial: &Path, path: &Path) -> Result<(), Failure> {
    fs::rename(partial, path).map_err(|e| of_file(partial, &e))?;
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|e| of_file(folder, &e))?;
    }
    Ok(())
}

/// A private copy of what somebody brought, without a name: nobody can put another in its place
/// between check and reading, and a power cut leaves nothing.
pub(super) struct Copy(File);

/// Opens a file somebody brought, without following a link.
///
/// # Errors
/// It is not a plain file, or larger than a bundle may be.
pub(super) fn brought(path: &Path) -> Result<File, Failure> {
    // Without waiting for the other end of a pipe.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|e| of_file(path, &e))?;
    let about = file.metadata().map_err(|e| of_file(path, &e))?;
    if !about.is_file() || about.nlink() != 1 || about.len() > BUNDLE_BYTES_MAX {
        return Err(Failure::usage(format!(
            "{} 不是普通文件（链接也不收），或超过 {} GiB",
            path.display(),
            BUNDLE_BYTES_MAX >> 30
        )));
    }
    Ok(file)
}

/// Who made the bundle of that name for whom, without reading it whole; and its bytes.
///
/// # Errors
/// It is none.
pub(super) fn peek(path: &Path) -> Result<(Header, u64), Failure> {
    let file = brought(path)?;
    let bytes = file.metadata().map_err(|e| of_file(path, &e))?.len();
    Ok((Copy(file).header()?, bytes))
}

/// For how long a file has been there, milliseconds; nothing when the disk does not say.
pub(super) fn age(path: &Path, now: Millis) -> Option<i64> {
    let changed = fs::metadata(path).ok()?.modified().ok()?;
    let since = changed.duration_since(UNIX_EPOCH).ok()?;
    Some(now.since(Millis(i64::try_from(since.as_millis()).ok()?)))
}

/// Removes what a pulled stick left half-written in a folder under names that begin so.
pub(super) fn clear(folder: &Path, prefix: &str) {
    let Ok(names) = fs::read_dir(folder) else {
        return;
    };
    for path in names.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().and_then(|name| name.to_str());
        let half = path.extension().is_some_and(|end| end == PARTIAL);
        if half && name.is_some_and(|name| name.starts_with(prefix)) {
            fs::remove_file(&path).ok();
        }
    }
}

/// Copies what was brought into `folder`, so that nobody can change it while it is read.
///
/// # Errors
/// A failing or full disk.
pub(super) fn stage(from: &mut dyn Read, folder: &Path) -> Result<Copy, Failure> {
    fs::create_dir_all(folder).map_err(|e| of_file(folder, &e))?;
    let failed = |e: io::Error| of_file(folder, &e);
    let mut copy = tempfile::tempfile_in(folder).map_err(failed)?;
    io::copy(&mut from.take(BUNDLE_BYTES_MAX), &mut copy).map_err(failed)?;
    Ok(Copy(copy))
}

impl Copy {
    /// From the beginning to the envelope; what was begun before is over.
    fn begin(&mut self) -> Result<(Header, BufReader<io::Take<&File>>), Failure> {
        self.0.rewind().map_err(Failure::fault)?;
        let length = self.length()?.saturating_sub(Envelope::BYTES as u64);
        let mut file = BufReader::new((&self.0).take(length));
        let mut prefix = [0; Header::PREFIX];
        let broken = |_short: io::Error| Failure::new(Exit::NotPermitted, "不是数据包文件");
        file.read_exact(&mut prefix).map_err(broken)?;
        let mut body = vec![0; Header::length(prefix).map_err(not_taken)?];
        file.read_exact(&mut body).map_err(broken)?;
        Ok((Header::read(&body).map_err(not_taken)?, file))
    }

    /// Who made it for whom.
    ///
    /// # Errors
    /// It is not a bundle.
    pub(super) fn header(&mut self) -> Result<Header, Failure> {
        Ok(self.begin()?.0)
    }

    /// Bytes of it.
    pub(super) fn length(&self) -> Result<u64, Failure> {
        Ok(self.0.metadata().map_err(Failure::fault)?.len())
    }

    /// Whether the file is whole, as its sender made it; anybody can tell.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn is_whole(&mut self, sign_key: &[u8; 32]) -> Result<(), Failure> {
        self.0.rewind().map_err(Failure::fault)?;
        let mut left = self.length()?.saturating_sub(Envelope::BYTES as u64);
        let mut file = BufReader::new(&self.0);
        let mut envelope = Envelope::default();
        let mut buffer = vec![0; 64 * 1024];
        while left > 0 {
            let most = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            file.read_exact(&mut buffer[..most])
                .map_err(Failure::fault)?;
            envelope.update(&buffer[..most]);
            left -= most as u64;
        }
        let mut closing = [0; Envelope::BYTES];
        let short = |_short: io::Error| not_taken(BundleError::Envelope);
        file.read_exact(&mut closing).map_err(short)?;
        envelope.verify(&closing, sign_key).map_err(not_taken)
    }

    /// Puts a copy of it where it is to stay, for good.
    ///
    /// # Errors
    /// A failing or full disk or stick.
    pub(super) fn put(&mut self, path: &Path) -> Result<(), Failure> {
        self.0.rewind().map_err(Failure::fault)?;
        put(&mut &self.0, path)
    }

    /// Reads it to its end: whole, sealed to `open`, signed under `sign_key`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(super) fn check(
        &mut self,
        header: &Header,
        open: &SealKey,
        sign_key: &[u8; 32],
    ) -> Result<(), Failure> {
        let mut opened = self.open(header, open)?;
        while opened.next()?.is_some() {}
        let closing = opened.closing.ok_or_else(cut_short)?;
        opened.tally.verify(&closing, sign_key).map_err(not_taken)
    }

    /// Begins to read its messages.
    ///
    /// # Errors
    /// It is not sealed to `open`.
    pub(super) fn open<'a>(
        &'a mut self,
        header: &Header,
        open: &'a SealKey,
    ) -> Result<Opened<'a>, Failure> {
        let (_header, file) = self.begin()?;
        let sealed = open
            .opening(file)
            .map_err(|_other_key| Failure::new(Exit::NotPermitted, "本机的密钥打不开这个数据包"))?;
        Ok(Opened {
            sealed: Box::new(sealed),
            inflater: Inflater::default(),
            tally: Tally::new(header),
            closing: None,
        })
    }
}

/// One thing a bundle says.
pub(super) enum Said {
    Message(Box<Message>),
    File(BlobMessage),
}

/// The messages of a bundle, one by one.
pub(super) struct Opened<'a> {
    sealed: Box<dyn Read + 'a>,
    inflater: Inflater,
    tally: Tally,
    closing: Option<[u8; CLOSING_BYTES]>,
}

impl Opened<'_> {
    /// The next message; `None` at the closing. What a newer version says besides is skipped.
    ///
    /// # Errors
    /// The file ends early, or holds something else than messages.
    pub(super) fn next(&mut self) -> Result<Option<Said>, Failure> {
        loop {
            if self.closing.is_some() {
                return Ok(None);
            }
            let mut prefix = [0; 4];
            self.fill(&mut prefix)?;
            if prefix == [0; 4] {
                let mut closing = [0; CLOSING_BYTES];
                self.fill(&mut closing)?;
                // age marks the end of what it sealed: a file cut here is an error, too.
                let mut more = [0; 1];
                if self.sealed.read(&mut more).map_err(|_cut| cut_short())? > 0 {
                    return Err(Failure::new(Exit::NotPermitted, "数据包末尾有多余的内容"));
                }
                self.closing = Some(closing);
                return Ok(None);
            }
            let length = frame::length(prefix).map_err(garbled)?;
            let mut bytes = prefix.to_vec();
            bytes.resize(4 + length, 0);
            self.fill(&mut bytes[4..])?;
            self.tally.frame(&bytes).map_err(not_taken)?;
            let message = self.inflater.message(&bytes[4..]).map_err(garbled)?;
            match said(&message) {
                Ok(said) => return Ok(Some(said)),
                Err(DecodeError::Unknown(_)) => {}
                Err(garbage) => return Err(garbled(garbage)),
            }
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Failure> {
        self.sealed.read_exact(bytes).map_err(|_cut| cut_short())
    }
}

/// The message these bytes are, of either kind.
fn said(bytes: &[u8]) -> Result<Said, DecodeError> {
    match codec::decode(bytes) {
        Ok(message) => Ok(Said::Message(Box::new(message))),
        Err(DecodeError::Unknown(_)) => message::decode(bytes).map(Said::File),
        Err(garbage) => Err(garbage),
    }
}

/// Copies to a file of that name, which appears when it is whole.
///
/// # Errors
/// A failing or full disk or stick.
pub(super) fn put(from: &mut dyn Read, path: &Path) -> Result<(), Failure> {
    let partial = path.with_extension(PARTIAL);
    fs::remove_file(&partial).ok();
    let written = private(&partial).and_then(|mut file| {
        io::copy(from, &mut file)
            .and_then(|_bytes| file.sync_all())
            .map_err(|e| of_file(&partial, &e))
    });
    if written.is_err() {
        fs::remove_file(&partial).ok();
    }
    written?;
    name(&partial, path)
}

fn private(path: &Path) -> Result<File, Failure> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| of_file(path, &e))
}

pub(super) fn not_taken(why: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::NotPermitted, why)
}

/// What its sender sealed is no bundle: the words for the person, the rest for the log.
fn garbled(why: impl std::fmt::Display) -> Failure {
    tracing::warn!(%why, "a bundle that holds no messages");
    not_taken(BundleError::Altered)
}

fn cut_short() -> Failure {
    not_taken(BundleError::Envelope)
}

pub(super) fn of_file(path: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::StorageFull {
        return Failure::new(Exit::TryLater, format!("{} 所在的盘已满", path.display()));
    }
    Failure::fault(format!("{}:{error}", path.display()))
}
