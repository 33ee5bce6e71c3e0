//! What the entries of each machine cost this node in the last day, for the gate's quota. The log
//! says it; memory only spares reading the same positions for every batch.

use std::collections::BTreeMap;

use cuntong_protocol::{gate::Cost, id::NodeId, time::Millis};

use super::{db::Db, error::Result};

const HOUR_MS: i64 = 3_600 * 1000;
const HOURS: i64 = 24;

/// Costs of one machine by the hour in which this node took the entries, by its own clock.
#[derive(Debug, Default)]
pub(super) struct Day(BTreeMap<i64, Cost>);

/// Machines that brought something since this node started.
pub(super) type Spent = BTreeMap<NodeId, Day>;

impl Db {
    /// What entries of `node` cost this node in the day up to `now`, to the hour. An hour that
    /// the clock has not reached (it was set back) does not count.
    ///
    /// # Errors
    /// A failing disk.
    pub(super) fn spent(&self, node: NodeId, now: Millis) -> Result<Cost> {
        let hour = now.0.div_euclid(HOUR_MS);
        if !self.spent.borrow().contains_key(&node) {
            let mut day = Day::default();
            let logs = self.all("SELECT id FROM log WHERE node = ?1", [&node.0[..]], |r| {
                r.get(0)
            })?;
            for log in logs {
                self.tally(&mut day, log, 0, hour)?;
            }
            self.spent.borrow_mut().insert(node, day);
        }
        let mut spent = self.spent.borrow_mut();
        let day = spent.entry(node).or_default();
        day.0.retain(|taken, _| *taken > hour - HOURS);
        let counted = day.0.range(..=hour).map(|(_, cost)| *cost);
        Ok(counted.fold(Cost::default(), Cost::plus))
    }

    /// Adds the entries of a log past `after` to what its machine has spent.
    pub(super) fn spend(&self, node: NodeId, log: i64, after: u64, now: Millis) -> Result<()> {
        let mut spent = self.spent.borrow_mut();
        // Of a machine not read off the log yet they are read with all others.
        let Some(day) = spent.get_mut(&node) else {
            return Ok(());
        };
        self.tally(day, log, after, now.0.div_euclid(HOUR_MS))
    }

    /// Forgets what was counted: entries were taken back.
    pub(super) fn recount(&self) {
        self.spent.borrow_mut().clear();
    }

    /// Counts a log from its end down to `after`, or to the first entry older than a day: what
    /// years left behind is not read. Where the clock was set back for a while, older entries
    /// may so be passed over.
    fn tally(&self, day: &mut Day, log: i64, after: u64, hour: i64) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "SELECT e.received_at, coalesce(length(e.body), 0),
               e.rowid = (SELECT min(rowid) FROM entry WHERE doc = e.doc)
             FROM entry AS e WHERE e.log = ?1 AND e.seq > ?2 ORDER BY e.seq DESC",
        )?;
        let mut rows = statement.query((log, after.cast_signed()))?;
        while let Some(row) = rows.next()? {
            let taken = row.get::<_, i64>(0)?.div_euclid(HOUR_MS);
            if taken <= hour - HOURS {
                break;
            }
            let cost = Cost {
                documents: row.get::<_, bool>(2)?.into(),
                entries: 1,
                bytes: row.get::<_, i64>(1)?.unsigned_abs(),
            };
            let sum = day.0.entry(taken).or_default();
            *sum = sum.plus(cost);
        }
        Ok(())
    }
}
