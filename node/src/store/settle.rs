//! What became of own work that came back (退回): done again, or dropped with a reason.

use cuntong_protocol::{
    id::{ChangeHash, DocId, PersonId},
    time::Millis,
};

use super::{
    db::Db,
    error::Result,
    refuse::{REFUSED, Refused, refused_from},
};

/// Own entries that left their documents and are not settled; of `?1`, this node. One entry that
/// several nodes refused counts once.
pub(super) const OPEN: &str = include_str!("sql/queries/rejections_open.sql");

/// How one refused entry was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    pub at: Millis,
    pub person: PersonId,
    pub outcome: Outcome,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// 重做: written again, into this document.
    Redone(DocId),
    /// 作罢: not to be written; why.
    Dropped(String),
}

impl Db {
    /// One refusal of the tray.
    ///
    /// # Errors
    /// A failing disk.
    pub fn refusal(&self, id: i64) -> Result<Option<Refused>> {
        self.first(&format!("{REFUSED} WHERE r.id = ?1"), [id], refused_from)
    }

    /// Whether a refusal is of this node's own work and took it out of its document.
    ///
    /// # Errors
    /// A failing disk.
    pub fn came_back(&self, refused: &Refused) -> Result<bool> {
        let of = &refused.rejection;
        Ok(of.log.writer.node == self.identity()?.node && self.is_refused(of.doc, of.hash)?)
    }

    /// How many own entries came back and are not settled.
    ///
    /// # Errors
    /// A failing disk.
    pub fn open_refusals(&self) -> Result<u64> {
        let node = self.identity()?.node;
        let count = self.first(OPEN, [&node.0[..]], |r| r.get::<_, i64>(0))?;
        Ok(count.unwrap_or(0).cast_unsigned())
    }

    /// Settles one refused change of that document; false when it is settled already.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn settle(&mut self, hash: ChangeHash, doc: DocId, settled: &Settled) -> Result<bool> {
        let (redone, reason) = match &settled.outcome {
            Outcome::Redone(doc) => (Some(doc.0.to_vec()), None),
            Outcome::Dropped(reason) => (None, Some(reason)),
        };
        let put = self.exec(
            "INSERT INTO settled (hash, doc, at, person, redone, reason)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (hash) DO NOTHING",
            (
                &hash.0[..],
                &doc.0[..],
                settled.at.0,
                &settled.person.0[..],
                redone,
                reason,
            ),
        )?;
        Ok(put > 0)
    }

    /// How a change was settled; `None` while it is open.
    ///
    /// # Errors
    /// A failing disk.
    pub fn settled(&self, hash: ChangeHash) -> Result<Option<Settled>> {
        self.first(
            "SELECT at, person, redone, reason FROM settled WHERE hash = ?1",
            [&hash.0[..]],
            |r| {
                let outcome = match r.get::<_, Option<[u8; 16]>>("redone")? {
                    Some(doc) => Outcome::Redone(DocId(doc)),
                    None => Outcome::Dropped(r.get("reason")?),
                };
                Ok(Settled {
                    at: Millis(r.get("at")?),
                    person: PersonId(r.get("person")?),
                    outcome,
                })
            },
        )
    }

    /// The document that took the place of one whose beginning was refused and done again.
    ///
    /// # Errors
    /// A failing disk.
    pub fn redone_as(&self, doc: DocId) -> Result<Option<DocId>> {
        self.first(
            "SELECT redone FROM settled WHERE doc = ?1 AND redone IS NOT NULL AND redone <> doc
             ORDER BY at DESC LIMIT 1",
            [&doc.0[..]],
            |r| r.get(0).map(DocId),
        )
    }
}
