//! The file of a bundle: sealed, signed at its end, copied before it is looked at.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Seek as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use cuntong_protocol::{
    limits::BUNDLE_BYTES_MAX,
    wire::{
        Message,
        bundle::{BundleError, CLOSING_BYTES, Header, Tally},
        codec::{self, DecodeError},
        frame::{self, Deflater, Inflater},
    },
};
use cuntong_provisioning::sealed::{self, SealKey};
use ed25519_dalek::SigningKey;

use crate::exit::{Exit, Failure};

/// What a file that is being written is called.
const PARTIAL: &str = "partial";

/// A bundle that is being written. Dropped unfinished, it leaves nothing behind.
pub(super) struct Written {
    path: PathBuf,
    partial: PathBuf,
    sealed: Option<sealed::Sealing<BufWriter<File>>>,
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
        let mut out = BufWriter::new(private(&partial)?);
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
        let frame = self
            .deflater
            .frame(&codec::encode(message))
            .map_err(Failure::fault)?;
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
            let out = sealed.finish().map_err(failed)?;
            let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
            file.sync_all().map_err(failed)?;
        }
        fs::rename(&self.partial, &self.path).map_err(failed)?;
        // The name itself must be on the stick too before it is pulled.
        if let Some(folder) = self.path.parent().filter(|p| !p.as_os_str().is_empty()) {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|e| of_file(folder, &e))?;
        }
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

/// A private copy of what somebody brought, without a name: nobody can put another in its place
/// between check and reading, and a power cut leaves nothing.
pub(super) struct Copy(File);

/// Opens a file somebody brought, without following a link.
///
/// # Errors
/// It is not a plain file, or larger than a bundle may be.
pub(super) fn brought(path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(|e| of_file(path, &e))?;
    let about = file.metadata().map_err(|e| of_file(path, &e))?;
    if !about.is_file() || about.len() > BUNDLE_BYTES_MAX {
        return Err(Failure::usage(format!(
            "{} 不是普通文件，或超过 {} GiB",
            path.display(),
            BUNDLE_BYTES_MAX >> 30
        )));
    }
    Ok(file)
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
    /// From the beginning; what was begun before is over.
    fn begin(&mut self) -> Result<(Header, BufReader<&File>), Failure> {
        self.0.rewind().map_err(Failure::fault)?;
        let mut file = BufReader::new(&self.0);
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
        while opened.next_message()?.is_some() {}
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
    pub(super) fn next_message(&mut self) -> Result<Option<Message>, Failure> {
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
            match codec::decode(&message) {
                Ok(message) => return Ok(Some(message)),
                Err(DecodeError::Unknown(_)) => {}
                Err(garbage) => return Err(garbled(garbage)),
            }
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Failure> {
        self.sealed.read_exact(bytes).map_err(|_cut| cut_short())
    }
}

fn private(path: &Path) -> Result<File, Failure> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| of_file(path, &e))
}

fn not_taken(why: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::NotPermitted, why)
}

/// What its sender sealed is no bundle: the words for the person, the rest for the log.
fn garbled(why: impl std::fmt::Display) -> Failure {
    tracing::warn!(%why, "a bundle that holds no messages");
    not_taken(BundleError::Altered)
}

fn cut_short() -> Failure {
    Failure::new(
        Exit::NotPermitted,
        "数据包不完整或已损坏（可能是 U 盘拔得太早）；没有收取任何内容，请重新拷贝",
    )
}

fn of_file(path: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::StorageFull {
        return Failure::new(Exit::TryLater, format!("{} 所在的盘已满", path.display()));
    }
    Failure::fault(format!("{}:{error}", path.display()))
}
