//! Cells of a sketch over the documents of a scope, for a repair (`docs/formats/wire.md` §4.2).

use cuntong_protocol::{
    id::{DocId, NodeId},
    time::Millis,
    wire::sketch::{Ask, Drawn, Key, Sketcher},
};

use super::{db::Db, error::Result};

impl Db {
    /// Looks at every document of the scope once; holds the cells and nothing else.
    ///
    /// # Errors
    /// A failing disk.
    pub fn sketch(&self, peer: NodeId, ask: &Ask, now: Millis) -> Result<Drawn> {
        let key = ask.key.unwrap_or_else(|| self.sketch_key(peer, ask, now));
        let mut sketcher = Sketcher::new(ask, key);
        let mut statement = self
            .conn
            .prepare_cached("SELECT id, digest FROM document WHERE kind = ?1 AND site = ?2")?;
        let mut rows = statement.query((ask.scope.kind.code(), ask.scope.site.0))?;
        while let Some(row) = rows.next()? {
            sketcher.add(DocId(row.get(0)?), row.get::<_, i64>(1)?.cast_unsigned());
        }
        Ok(sketcher.finish())
    }

    /// Nobody else can foresee it: the nonce of a start leaves the machine only as a hash. Within a
    /// session cells begin anew only to ask for more, so that the number of cells tells keys apart.
    fn sketch_key(&self, peer: NodeId, ask: &Ask, now: Millis) -> Key {
        let mut hasher = blake3::Hasher::new_derive_key("cuntong 2026 sketch key");
        hasher.update(&self.nonce);
        hasher.update(&peer.0);
        hasher.update(&[ask.scope.kind.code()]);
        hasher.update(&ask.scope.site.0.to_be_bytes());
        hasher.update(&ask.upto.to_be_bytes());
        hasher.update(&now.0.to_be_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        key
    }
}
