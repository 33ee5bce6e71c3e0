//! The logs as packs ask for them: by position, by document, by hash.

use cuntong_protocol::{
    id::{ChangeHash, DocId, Writer},
    log::LogId,
    time::Millis,
    wire::{
        elide::Known,
        pack::{Shelf, Shelved},
    },
};

use super::{
    db::Db,
    error::{Result, StoreError},
    log::log_from,
};

impl Shelf for Db {
    type Error = StoreError;

    fn entry(&self, log: LogId, seq: u64) -> Result<Option<Shelved>> {
        let Some(row) = self.find_log(&log)? else {
            return Ok(None);
        };
        let entry = self.entry_at(row, seq)?;
        Ok(entry.map(|entry| Shelved {
            doc: entry.doc,
            hash: entry.hash,
            known: entry.body.as_deref().and_then(Known::of_chunk),
        }))
    }

    fn last(&self, log: LogId, doc: DocId, before: u64) -> Result<Option<u64>> {
        let Some(row) = self.find_log(&log)? else {
            return Ok(None);
        };
        self.first(
            "SELECT seq FROM entry WHERE doc = ?1 AND log = ?2 AND seq < ?3
             ORDER BY seq DESC LIMIT 1",
            (&doc.0[..], row, before.cast_signed()),
            |r| r.get::<_, i64>(0).map(i64::cast_unsigned),
        )
    }

    fn find(&self, doc: DocId, hash: ChangeHash) -> Result<Option<(LogId, u64)>> {
        self.first(
            "SELECT log.kind, log.site, log.node, log.epoch, e.seq AS position
             FROM entry AS e JOIN log ON log.id = e.log WHERE e.hash = ?1 AND e.doc = ?2 LIMIT 1",
            (&hash.0[..], &doc.0[..]),
            |r| Ok((log_from(r)?, r.get::<_, i64>("position")?.cast_unsigned())),
        )
    }

    fn any(&self, doc: DocId) -> Result<Option<(LogId, u64)>> {
        self.first(
            "SELECT log.kind, log.site, log.node, log.epoch, e.seq AS position
             FROM entry AS e JOIN log ON log.id = e.log WHERE e.doc = ?1
             ORDER BY e.log, e.seq LIMIT 1",
            [&doc.0[..]],
            |r| Ok((log_from(r)?, r.get::<_, i64>("position")?.cast_unsigned())),
        )
    }

    fn received(&self, log: LogId, seq: u64) -> Result<Option<Millis>> {
        let Some(row) = self.find_log(&log)? else {
            return Ok(None);
        };
        self.first(
            "SELECT received_at FROM entry WHERE log = ?1 AND seq = ?2",
            (row, seq.cast_signed()),
            |r| r.get(0).map(Millis),
        )
    }

    fn given(&self, doc: DocId, writer: Writer, seq: u64) -> Result<Option<(ChangeHash, Vec<u8>)>> {
        self.first(
            "SELECT hash, body FROM given
             WHERE doc = ?1 AND node = ?2 AND epoch = ?3 AND seq = ?4",
            (
                &doc.0[..],
                &writer.node.0[..],
                writer.epoch,
                seq.cast_signed(),
            ),
            |r| Ok((ChangeHash(r.get(0)?), r.get(1)?)),
        )
    }

    fn steps(&self, from: DocId, to: DocId, most: u32) -> Result<Option<i64>> {
        self.steps_between(from, to, most)
    }

    fn beside(&self, doc: DocId, steps: i64) -> Result<Option<DocId>> {
        self.document_beside(doc, steps)
    }
}
