//! Case numbers: 12-digit division code ‖ yyyymmdd ‖ number of the machine ‖ serial of the day.

use cuntong_protocol::{calendar::civil_day, time::Millis};
use rusqlite::OptionalExtension as _;

use super::ground::query;
use crate::store::{Db, Result, StoreError};

/// Serials of one machine in one day.
const SERIAL_MAX: u32 = 9_999;
/// Numbers left free when the past may have been lost: papers with them may be out there.
const LEAP: u32 = 100;

/// The next number of this machine, for good once the transaction it is taken in is committed:
/// call it within that one. A number of a transaction that failed is given again, and none is
/// given twice: neither to two desks, nor after a restored backup forgot the last ones.
///
/// # Errors
/// A machine that has no place, or has given ten thousand numbers today.
pub(crate) fn next(db: &Db, now: Millis) -> Result<String> {
    let identity = db.identity()?;
    let trust = db.trust()?;
    let entry = trust.node(identity.node).ok_or(StoreError::NotEnrolled)?;
    let place = trust
        .places()
        .site(entry.site)
        .ok_or(StoreError::NotEnrolled)?;
    let day = civil_day(now);
    let prefix = format!(
        "{}{:04}{:02}{:02}{:02}",
        place.code,
        day.year(),
        day.month(),
        day.day(),
        entry.slot
    );
    let epoch = identity.writer.epoch;
    let conn = db.connection();
    let row: Option<(u32, u32)> = conn
        .prepare_cached(query!("serial_last"))?
        .query_row([&prefix], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let last = match row {
        Some((of, last)) if of == epoch => last,
        Some((_, last)) => last.max(highest(db, &prefix)?) + LEAP,
        None => {
            // The first number of an epoch: what was given since the backup is not known.
            let first = epoch > 1
                && !conn
                    .prepare_cached(query!("serial_epoch"))?
                    .exists([epoch])?;
            highest(db, &prefix)? + if first { LEAP } else { 0 }
        }
    };
    let serial = last + 1;
    if serial > SERIAL_MAX {
        return Err(StoreError::Refused("no case number is left for today"));
    }
    conn.prepare_cached(query!("serial_put"))?
        .execute((&prefix, epoch, serial))?;
    Ok(format!("{prefix}{serial:04}"))
}

/// The highest serial among the numbers under this prefix that are known here.
fn highest(db: &Db, prefix: &str) -> Result<u32> {
    let bounds = (format!("{prefix}0000"), format!("{prefix}:"));
    let found: Option<String> = db
        .connection()
        .prepare_cached(query!("number_last"))?
        .query_row(bounds, |row| row.get(0))?;
    Ok(found
        .and_then(|number| number.get(prefix.len()..)?.parse().ok())
        .unwrap_or(0))
}
