//! What is known of other nodes, and what the last exchanges with them did.

use cuntong_protocol::{id::NodeId, time::Millis};

use super::{db::Db, error::Result};

/// A node as it introduced itself last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerNote {
    pub last_seen: Millis,
    /// Its clock minus ours.
    pub clock_offset_ms: Option<i64>,
    pub product: String,
    pub epoch: Option<u32>,
    /// Its entries no receipt of the county covers, and since when by our clock.
    pub waiting: u64,
    pub waiting_since: Option<Millis>,
    /// Nonce of its start.
    pub boot: Option<[u8; 8]>,
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
    /// Keeps what a node said of itself.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn note_peer(&mut self, node: NodeId, note: &PeerNote) -> Result<()> {
        self.exec(
            "INSERT INTO peer (node, last_seen, clock_offset_ms, product, epoch, waiting,
               waiting_since, boot) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (node) DO UPDATE SET last_seen = excluded.last_seen,
               clock_offset_ms = excluded.clock_offset_ms, product = excluded.product,
               epoch = excluded.epoch, waiting = excluded.waiting,
               waiting_since = excluded.waiting_since, boot = excluded.boot",
            (
                &node.0[..],
                note.last_seen.0,
                note.clock_offset_ms,
                &note.product,
                note.epoch,
                note.waiting.cast_signed(),
                note.waiting_since.map(|m| m.0),
                note.boot.map(|b| b.to_vec()),
            ),
        )?;
        Ok(())
    }

    /// Every node that was ever heard of in an exchange.
    ///
    /// # Errors
    /// A failing disk.
    pub fn peers(&self) -> Result<Vec<(NodeId, PeerNote)>> {
        self.all("SELECT * FROM peer ORDER BY node", [], |r| {
            let note = PeerNote {
                last_seen: Millis(r.get("last_seen")?),
                clock_offset_ms: r.get("clock_offset_ms")?,
                product: r.get("product")?,
                epoch: r.get("epoch")?,
                waiting: r.get::<_, i64>("waiting")?.cast_unsigned(),
                waiting_since: r.get::<_, Option<i64>>("waiting_since")?.map(Millis),
                boot: r.get("boot")?,
            };
            Ok((NodeId(r.get("node")?), note))
        })
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
