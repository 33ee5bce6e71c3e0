//! What is known of other nodes, and what the last exchanges with them did.

use cuntong_protocol::{id::NodeId, sync::Agreed, time::Millis, wire::Sighting};

use super::{
    db::Db,
    error::{Result, StoreError},
};

/// What is known of another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerNote {
    pub sighting: Sighting,
    /// Who passed it on; `None` when it was connected to this node itself.
    pub via: Option<NodeId>,
}

/// One exchange with another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub at: Millis,
    pub node: NodeId,
    pub sent: u64,
    pub received: u64,
    pub bytes_up: u64,
    pub bytes_down: u64,
    pub repaired: u64,
    /// `settled`, or the classified reason it ended early.
    pub result: String,
}

/// Exchanges kept.
const EXCHANGES_MAX: i64 = 500;

impl Db {
    /// Keeps what a node said of itself, if that is newer than what is known; whether it was.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn note_sighting(&mut self, seen: &Sighting, via: Option<NodeId>) -> Result<bool> {
        let changed = self.exec(
            "INSERT INTO peer (node, last_seen, clock_offset_ms, product, epoch, written,
               waiting_since, via) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (node) DO UPDATE SET last_seen = excluded.last_seen,
               clock_offset_ms = excluded.clock_offset_ms, product = excluded.product,
               epoch = excluded.epoch, written = excluded.written,
               waiting_since = excluded.waiting_since, via = excluded.via
             WHERE excluded.last_seen > last_seen",
            (
                &seen.node.0[..],
                seen.at.0,
                seen.clock_offset_ms,
                &seen.product,
                seen.epoch,
                seen.written.cast_signed(),
                seen.waiting_since.map(|m| m.0),
                via.map(|node| node.0.to_vec()),
            ),
        )?;
        Ok(changed > 0)
    }

    /// Notes that these nodes are connected still, and returns what is known of them.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn see_again(&mut self, nodes: &[NodeId], now: Millis) -> Result<Vec<Sighting>> {
        let mut seen = Vec::new();
        for mut note in self.peers()? {
            if nodes.contains(&note.sighting.node) {
                note.sighting.at = note.sighting.at.max(now);
                let _newer = self.note_sighting(&note.sighting, None)?;
                seen.push(note.sighting);
            }
        }
        Ok(seen)
    }

    /// Every node that was ever heard of, in the order of names.
    ///
    /// # Errors
    /// A failing disk.
    pub fn peers(&self) -> Result<Vec<PeerNote>> {
        self.all("SELECT * FROM peer ORDER BY node", [], |r| {
            let sighting = Sighting {
                node: NodeId(r.get("node")?),
                at: Millis(r.get("last_seen")?),
                clock_offset_ms: r.get("clock_offset_ms")?,
                product: r.get("product")?,
                epoch: r.get("epoch")?,
                written: r.get::<_, i64>("written")?.cast_unsigned(),
                waiting_since: r.get::<_, Option<i64>>("waiting_since")?.map(Millis),
            };
            let via = r.get::<_, Option<[u8; 8]>>("via")?.map(NodeId);
            Ok(PeerNote { sighting, via })
        })
    }

    /// Keeps what this node and another one hold together, instead of what was kept before.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn note_agreement(&mut self, node: NodeId, agreed: &Agreed, now: Millis) -> Result<()> {
        let state =
            minicbor::to_vec(agreed).map_err(|_infallible| StoreError::Damaged("agreement"))?;
        self.exec(
            "INSERT INTO agreed (node, at, state) VALUES (?1, ?2, ?3)
             ON CONFLICT (node) DO UPDATE SET at = excluded.at, state = excluded.state",
            (&node.0[..], now.0, state),
        )?;
        Ok(())
    }

    /// What was kept of the last agreement with a node; one that cannot be read is none.
    ///
    /// # Errors
    /// A failing disk.
    pub fn agreed_with(&self, node: NodeId) -> Result<Option<Agreed>> {
        let state = self.first(
            "SELECT state FROM agreed WHERE node = ?1",
            [&node.0[..]],
            |r| r.get::<_, Vec<u8>>(0),
        )?;
        Ok(state.and_then(|bytes| minicbor::decode(&bytes).ok()))
    }

    /// Keeps the account of one exchange; the oldest go.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn note_exchange(&mut self, exchange: &Exchange) -> Result<()> {
        self.transact(|db| {
            db.exec(
                "INSERT INTO exchange (at, node, sent, received, bytes_up, bytes_down, repaired,
                   result) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                (
                    exchange.at.0,
                    &exchange.node.0[..],
                    exchange.sent.cast_signed(),
                    exchange.received.cast_signed(),
                    exchange.bytes_up.cast_signed(),
                    exchange.bytes_down.cast_signed(),
                    exchange.repaired.cast_signed(),
                    &exchange.result,
                ),
            )?;
            db.exec(
                "DELETE FROM exchange WHERE id <= (SELECT max(id) FROM exchange) - ?1",
                [EXCHANGES_MAX],
            )?;
            Ok(())
        })
    }

    /// The last exchanges, newest first.
    ///
    /// # Errors
    /// A failing disk.
    pub fn exchanges(&self, limit: u32) -> Result<Vec<Exchange>> {
        self.all(
            "SELECT * FROM exchange ORDER BY id DESC LIMIT ?1",
            [limit],
            |r| {
                let count = |name| r.get::<_, i64>(name).map(i64::cast_unsigned);
                Ok(Exchange {
                    at: Millis(r.get("at")?),
                    node: NodeId(r.get("node")?),
                    sent: count("sent")?,
                    received: count("received")?,
                    bytes_up: count("bytes_up")?,
                    bytes_down: count("bytes_down")?,
                    repaired: count("repaired")?,
                    result: r.get("result")?,
                })
            },
        )
    }
}
