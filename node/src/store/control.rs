//! Control documents: verified, kept verbatim, believed from the moment they are durable.

use std::sync::Arc;

use cuntong_protocol::{
    control::{
        ControlKey, ControlKind,
        signed::{County, Taken, Trust},
    },
    time::Millis,
};

use super::{
    db::Db,
    error::{Result, StoreError},
};

impl Db {
    /// Begins to believe in a county: its first authority, and its name from a ticket or from
    /// the ceremony that made it. The same county again changes nothing.
    ///
    /// # Errors
    /// Another county than the one held; an authority that does not found this county.
    pub fn found(&mut self, first: &[u8], county: County, now: Millis) -> Result<()> {
        if let Ok(trust) = self.trust() {
            return if trust.county() == county {
                Ok(())
            } else {
                Err(StoreError::Refused("this node belongs to another county"))
            };
        }
        let trust = Trust::found(first, county)?;
        self.transact(|db| {
            db.set_meta("county", &county.0)?;
            let key = ControlKey {
                kind: ControlKind::Authority,
                site: cuntong_protocol::id::SiteId(0),
            };
            db.put_control(key, 1, first, now)?;
            db.state.trust = Some(Arc::new(trust));
            db.mark_stale()
        })
    }

    /// Takes in a control document, whoever brought it. Rows that depend on it are made again:
    /// some at once, the rest by [`Db::tend`].
    ///
    /// # Errors
    /// Not newer, not well signed, not of this county: what is held stays in force.
    pub fn take_control(&mut self, bytes: &[u8], now: Millis) -> Result<Taken> {
        let mut trust = self.trust()?.clone();
        let taken = trust.take(bytes)?;
        let Taken::New(key, version) = taken else {
            return Ok(taken);
        };
        self.transact(|db| {
            db.put_control(key, version, bytes, now)?;
            db.note(
                now,
                None,
                "control",
                &format!("{} {version}", key.kind.word()),
            )?;
            db.state.trust = Some(Arc::new(trust));
            if Self::rows_depend_on(key.kind) {
                db.mark_stale()?;
            }
            Ok(())
        })?;
        self.tend()?;
        Ok(taken)
    }

    fn put_control(&self, key: ControlKey, version: u64, bytes: &[u8], now: Millis) -> Result<()> {
        if key.kind != ControlKind::Authority {
            self.exec(
                "DELETE FROM control WHERE kind = ?1 AND site = ?2",
                (kind_code(key.kind), key.site.0),
            )?;
        }
        self.exec(
            "INSERT INTO control (kind, site, version, at, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            (
                kind_code(key.kind),
                key.site.0,
                version.cast_signed(),
                now.0,
                bytes,
            ),
        )?;
        Ok(())
    }
}

/// The number of a kind in the database: its number on the wire.
const fn kind_code(kind: ControlKind) -> u8 {
    match kind {
        ControlKind::Authority => 1,
        ControlKind::Roster => 2,
        ControlKind::Places => 3,
        ControlKind::Directory => 4,
        ControlKind::Credentials => 5,
        ControlKind::Catalogue => 6,
        ControlKind::Calendar => 7,
    }
}
