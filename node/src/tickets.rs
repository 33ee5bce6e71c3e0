//! The hub's ticket book: which machine each ticket is bound to, one file per ticket under
//! `DIR/tickets`; and `DIR/requests`, where requests wait for the registrar to fetch them.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use cuntong_protocol::id::NodeId;
use cuntong_provisioning::{
    enrol::{Binding, BookError, REQUEST_FILE, TicketBook},
    ticket::TicketId,
};

/// The book of one node directory. Clones are the same book.
#[derive(Debug, Clone)]
pub struct Tickets {
    bindings: PathBuf,
    requests: PathBuf,
}

impl Tickets {
    /// The book in that state directory; its folders are made when first needed.
    pub fn new(dir: &Path) -> Self {
        Self {
            bindings: dir.join("tickets"),
            requests: dir.join("requests"),
        }
    }

    fn file(&self, ticket: &TicketId) -> PathBuf {
        self.bindings.join(format!("{ticket}.cbor"))
    }

    /// Puts a machine's request where the registrar fetches it. The same request again is the
    /// same file.
    ///
    /// # Errors
    /// A failing disk; the machine asks again.
    pub fn hand_on(&self, request: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.requests)?;
        let name = blake3::hash(request).to_hex();
        replace(
            &self
                .requests
                .join(format!("{}.{REQUEST_FILE}", &name[..16])),
            request,
        )
    }

    /// Who waits for the registrar: node and time of its first request.
    ///
    /// # Errors
    /// A failing disk or a damaged file.
    pub fn open_requests(&self) -> Result<Vec<(NodeId, Binding)>, BookError> {
        Ok(self
            .all()?
            .into_iter()
            .filter(|b| b.grant.is_none())
            .map(|b| (b.node, b))
            .collect())
    }

    fn all(&self) -> Result<Vec<Binding>, BookError> {
        let entries = match fs::read_dir(&self.bindings) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(book(error)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.map_err(book)?.path();
            if path.extension().is_some_and(|end| end == "cbor") {
                all.push(read(&path)?);
            }
        }
        Ok(all)
    }

    /// Throws the book away, with the folder it lies in.
    #[cfg(test)]
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.bindings.parent().map_or(Ok(()), fs::remove_dir_all)
    }
}

impl TicketBook for Tickets {
    fn binding(&self, ticket: &TicketId) -> Result<Option<Binding>, BookError> {
        let path = self.file(ticket);
        if path.exists() {
            read(&path).map(Some)
        } else {
            Ok(None)
        }
    }

    fn keep(&mut self, binding: Binding) -> Result<(), BookError> {
        fs::create_dir_all(&self.bindings).map_err(book)?;
        let bytes = minicbor::to_vec(&binding).map_err(book)?;
        replace(&self.file(&binding.ticket), &bytes).map_err(book)
    }

    fn waiting(&self) -> Result<usize, BookError> {
        Ok(self.open_requests()?.len())
    }
}

fn read(path: &Path) -> Result<Binding, BookError> {
    let bytes = fs::read(path).map_err(book)?;
    minicbor::decode(&bytes).map_err(book)
}

fn book(error: impl std::fmt::Display) -> BookError {
    BookError(error.to_string())
}

/// Writes a file so that it is there whole or not at all, readable by its owner alone.
///
/// # Errors
/// A failing disk; what was there before is untouched then.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let _left_behind = fs::remove_file(&new);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent() {
        Some(dir) => fs::File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use cuntong_protocol::{id::SiteId, time::Millis};

    use super::*;

    #[test]
    fn a_binding_survives_a_restart_of_the_hub() {
        let dir = std::env::temp_dir().join(format!("cuntong-tickets-{}", std::process::id()));
        let ticket = TicketId([7; 16]);
        let binding = Binding {
            ticket,
            site: SiteId(3),
            node: NodeId([1; 8]),
            machine: [2; 32],
            first_at: Millis(5),
            request: vec![1, 2, 3],
            grant: None,
            frozen: None,
        };
        Tickets::new(&dir).keep(binding.clone()).unwrap();
        let again = Tickets::new(&dir);
        assert_eq!(again.binding(&ticket), Ok(Some(binding)));
        assert_eq!(again.waiting(), Ok(1));
        assert_eq!(again.binding(&TicketId([8; 16])), Ok(None));
        fs::remove_dir_all(&dir).unwrap();
    }
}
