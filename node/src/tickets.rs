//! The hub's ticket book: which machine each ticket is bound to, one file per ticket under
//! `DIR/tickets`; and `DIR/requests`, where requests wait for the registrar to fetch them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use cuntong_provisioning::{
    enrol::REQUEST_FILE,
    folder::{Book, replace},
};

/// The book of one node directory. Clones are the same book.
#[derive(Debug, Clone)]
pub struct Tickets {
    pub book: Book,
    requests: PathBuf,
}

impl Tickets {
    /// The book in that state directory; its folders are made when first needed.
    pub fn new(dir: &Path) -> Self {
        Self {
            book: Book::new(dir.join("tickets")),
            requests: dir.join("requests"),
        }
    }

    /// Puts a machine's request where the registrar fetches it. The same request again is the
    /// same file.
    ///
    /// # Errors
    /// A failing disk; the machine asks again.
    pub fn hand_on(&self, request: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.requests)?;
        let name = blake3::hash(request).to_hex();
        let name = format!("{}.{REQUEST_FILE}", &name[..16]);
        replace(&self.requests.join(name), request)
    }

    /// Throws the book away, with the folder it lies in.
    #[cfg(test)]
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.requests.parent().map_or(Ok(()), fs::remove_dir_all)
    }
}

#[cfg(test)]
mod tests {
    use cuntong_protocol::{
        id::{NodeId, SiteId},
        time::Millis,
    };
    use cuntong_provisioning::{
        enrol::{Binding, TicketBook as _},
        ticket::TicketId,
    };

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
        Tickets::new(&dir).book.keep(binding.clone()).unwrap();
        let again = Tickets::new(&dir).book;
        assert_eq!(again.binding(&ticket), Ok(Some(binding)));
        assert_eq!(again.waiting(), Ok(1));
        assert_eq!(again.binding(&TicketId([8; 16])), Ok(None));
        fs::remove_dir_all(&dir).unwrap();
    }
}
