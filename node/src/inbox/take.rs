//! Opening a name in a hostile folder.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::Path,
};

use cuntong_protocol::limits::INBOX_FILE_BYTES_MAX;
use rustix::fs::{CWD, Mode, OFlags, RenameFlags};

/// Names looked at in one scan; a folder with more is worked off scan by scan.
const NAMES_MAX: usize = 500;

/// Why a name is not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("不是普通文件(符号链接、管道、设备或文件夹都不接收)")]
    NotPlain,
    #[error("此文件另有别名(硬链接),不接收;请复制一份再放入")]
    Linked,
    #[error("文件过大,最多 {} KiB", INBOX_FILE_BYTES_MAX / 1024)]
    TooBig,
    #[error("文件已不在")]
    Gone,
    #[error("无法读取:{0}")]
    Unreadable(String),
}

/// What a file looks like from outside: equal twice means nobody is writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

/// A file's content, or word that it is still being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    Still(Vec<u8>),
    Moving,
}

/// The folder and the two where files end up, each held open: nobody can swap them under us.
#[derive(Debug)]
pub(super) struct Folder {
    inbox: OwnedFd,
    done: OwnedFd,
    refused: OwnedFd,
}

impl Folder {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        make(path)?;
        let inbox = directory(CWD, path)?;
        make(&path.join("done"))?;
        make(&path.join("refused"))?;
        Ok(Self {
            done: directory(&inbox, Path::new("done"))?,
            refused: directory(&inbox, Path::new("refused"))?,
            inbox,
        })
    }

    /// Names that want to be looked at, sorted. Hidden names and the usual names of unfinished
    /// copies are left alone.
    pub(super) fn names(&self) -> std::io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.inbox)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            let unfinished = [".tmp", ".part", ".crdownload"];
            if name.starts_with('.')
                || name == "done"
                || name == "refused"
                || unfinished.iter().any(|end| name.ends_with(end))
            {
                continue;
            }
            names.push(name.to_owned());
            if names.len() == NAMES_MAX {
                break;
            }
        }
        names.sort();
        Ok(names)
    }

    /// What the file looks like, without reading it.
    pub(super) fn look(&self, name: &str) -> Result<Look, Unfit> {
        look(&self.file(name)?)
    }

    /// Copies the file into memory, at most the limit and one byte.
    pub(super) fn copy(&self, name: &str) -> Result<Rest, Unfit> {
        let mut file = self.file(name)?;
        let before = look(&file)?;
        let mut content = Vec::new();
        let read = (&mut file)
            .take(INBOX_FILE_BYTES_MAX + 1)
            .read_to_end(&mut content);
        let bytes = read.map_err(|error| Unfit::Unreadable(error.to_string()))? as u64;
        if bytes > INBOX_FILE_BYTES_MAX {
            return Err(Unfit::TooBig);
        }
        if look(&file)? != before || bytes != before.bytes {
            return Ok(Rest::Moving);
        }
        Ok(Rest::Still(content))
    }

    /// Opens a name: no link is followed, and a pipe does not make us wait for its other end.
    fn file(&self, name: &str) -> Result<File, Unfit> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.inbox, name, flags, Mode::empty()) {
            Ok(fd) => Ok(File::from(fd)),
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => Err(Unfit::NotPlain),
            Err(rustix::io::Errno::NOENT) => Err(Unfit::Gone),
            Err(error) => Err(Unfit::Unreadable(error.to_string())),
        }
    }

    /// Moves the name itself (never what a link points to) to `done`.
    pub(super) fn done(&self, name: &str, stamp: &str) -> std::io::Result<()> {
        self.away(name, &self.done, stamp).map(drop)
    }

    /// Moves the name to `refused` and writes the reason beside it.
    pub(super) fn refused(&self, name: &str, stamp: &str, reason: &str) -> std::io::Result<()> {
        let Some(kept) = self.away(name, &self.refused, stamp)? else {
            return Ok(());
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let note = format!("{kept}.reason.txt");
        let fd = rustix::fs::openat(&self.refused, note.as_str(), flags, Mode::from(0o600))?;
        writeln!(File::from(fd), "{reason}")
    }

    fn away(&self, name: &str, to: &OwnedFd, stamp: &str) -> std::io::Result<Option<String>> {
        for attempt in 0_u32.. {
            let kept = match attempt {
                0 => format!("{stamp}-{name}"),
                n => format!("{stamp}-{n}-{name}"),
            };
            let flags = RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(&self.inbox, name, to, kept.as_str(), flags) {
                Ok(()) => return Ok(Some(kept)),
                Err(rustix::io::Errno::EXIST) => {}
                Err(rustix::io::Errno::NOENT) => return Ok(None),
                // Some stick file systems know no NOREPLACE; the stamp makes the name new.
                Err(rustix::io::Errno::INVAL) => {
                    rustix::fs::renameat(&self.inbox, name, to, kept.as_str())?;
                    return Ok(Some(kept));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

fn look(file: &File) -> Result<Look, Unfit> {
    let meta = file
        .metadata()
        .map_err(|error| Unfit::Unreadable(error.to_string()))?;
    if !meta.is_file() {
        return Err(Unfit::NotPlain);
    }
    if meta.nlink() != 1 {
        return Err(Unfit::Linked);
    }
    if meta.len() > INBOX_FILE_BYTES_MAX {
        return Err(Unfit::TooBig);
    }
    Ok(Look {
        inode: meta.ino(),
        bytes: meta.len(),
        changed: (meta.mtime(), meta.mtime_nsec()),
    })
}

fn make(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().mode(0o700).create(path);
    match made {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn directory(at: impl std::os::fd::AsFd, path: &Path) -> std::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, path, flags, Mode::empty())?)
}
