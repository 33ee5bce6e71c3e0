//! How far a bundle is, told to whoever waits for it.

use std::{
    io::Read,
    sync::atomic::{AtomicU64, Ordering},
};

use super::Account;

/// Read by one thread while another works. What is told is for the eye: nothing rests on it.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    of_bytes: AtomicU64,
    entries: AtomicU64,
    of_entries: AtomicU64,
}

impl Progress {
    pub(super) fn begins(&self, bytes: u64) {
        self.of_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Counts what is read.
    pub(super) fn reading<'a>(&'a self, from: &'a mut dyn Read) -> impl Read + 'a {
        Counted { from, far: self }
    }

    pub(super) fn taken(&self, account: &Account, of: u64) {
        let seen = account.taken + account.known + account.refused + account.early;
        self.entries.store(seen, Ordering::Relaxed);
        self.of_entries.store(of, Ordering::Relaxed);
    }

    /// In words; bytes while the file is read, entries while they are taken.
    pub fn zh(&self) -> String {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let (entries, of) = (read(&self.entries), read(&self.of_entries));
        if of > 0 {
            return format!("已收取 {} 条，共 {of} 条", entries.min(of));
        }
        let (bytes, of) = (read(&self.bytes), read(&self.of_bytes));
        if of > 0 && bytes < of {
            return format!("已读出 {} KB，共 {} KB", bytes / 1024, of / 1024);
        }
        "正在核对".to_owned()
    }
}

struct Counted<'a> {
    from: &'a mut dyn Read,
    far: &'a Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(bytes)?;
        self.far.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
