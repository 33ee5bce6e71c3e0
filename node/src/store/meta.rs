//! Small values, keys, and the epoch.

use std::sync::Arc;

use cuntong_protocol::{
    control::signed::{County, Trust},
    id::{NodeId, SiteId, Writer},
    time::{HybridClock, Millis},
};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use super::{
    db::{Db, Identity},
    epoch::{self, MarkerState, Why},
    error::{Result, StoreError},
};

/// Name of the signing key among the secrets.
const SIGN: &str = "sign";

impl Db {
    /// A small value by name.
    ///
    /// # Errors
    /// A failing disk.
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.first("SELECT value FROM meta WHERE name = ?1", [name], |r| {
            r.get(0)
        })
    }

    /// Sets a small value.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn set_meta(&mut self, name: &str, value: &[u8]) -> Result<()> {
        self.exec(
            "INSERT INTO meta (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )?;
        Ok(())
    }

    /// A secret of this node (a private key) by name; wiped from memory when dropped.
    ///
    /// # Errors
    /// A failing disk.
    pub fn secret(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let found = self.first("SELECT value FROM secret WHERE name = ?1", [name], |r| {
            r.get(0)
        })?;
        Ok(found.map(Zeroizing::new))
    }

    /// Keeps a secret, replacing the one of that name.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn set_secret(&mut self, name: &str, value: &[u8]) -> Result<()> {
        self.exec(
            "INSERT INTO secret (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )?;
        Ok(())
    }

    /// Gives the node its signing key and so its name; its first epoch begins. The same key
    /// again changes nothing.
    ///
    /// # Errors
    /// Another key than the one held: a node never changes its name.
    pub fn set_identity(&mut self, sign: &[u8; 32], now: Millis) -> Result<()> {
        if let Ok(identity) = self.identity() {
            return if identity.sign.to_bytes() == *sign {
                Ok(())
            } else {
                Err(StoreError::Refused("this node has another key already"))
            };
        }
        self.transact(|db| {
            db.set_secret(SIGN, sign)?;
            db.load_state()?;
            db.start_epoch(now)
        })
    }

    /// The site of this node: by the roster, else what enrolment promised.
    ///
    /// # Errors
    /// [`StoreError::NotEnrolled`] when neither says.
    pub fn site(&self) -> Result<SiteId> {
        let node = self.identity()?.node;
        if let Some(entry) = self.trust().ok().and_then(|t| t.node(node)) {
            return Ok(entry.site);
        }
        let promised = self.meta("site")?.and_then(|b| b.try_into().ok());
        promised
            .map(|b| SiteId(u32::from_be_bytes(b)))
            .ok_or(StoreError::NotEnrolled)
    }

    /// What enrolment says the site is, until a roster lists the node.
    ///
    /// # Errors
    /// A failing or full disk.
    pub fn set_site(&mut self, site: SiteId) -> Result<()> {
        self.set_meta("site", &site.0.to_be_bytes())
    }

    /// Eight bytes of this start: two live sessions of one node with different ones are a clone.
    pub fn boot(&self) -> [u8; 8] {
        let hash = blake3::derive_key("cuntong 2026 boot", &self.nonce);
        let mut boot = [0; 8];
        boot.copy_from_slice(&hash[..8]);
        boot
    }

    /// Begins a new epoch now; what is written from here on is in new logs, by a new actor.
    ///
    /// # Errors
    /// No identity; a failing disk.
    pub fn begin_epoch(&mut self, why: Why, now: Millis) -> Result<Writer> {
        let node = self.identity()?.node;
        self.transact(|db| {
            let in_logs: Option<u32> = db
                .first(
                    "SELECT max(epoch) FROM log WHERE node = ?1",
                    [&node.0[..]],
                    |r| r.get(0),
                )?
                .flatten();
            let known = in_logs.unwrap_or(0).max(db.stored_epoch()?);
            let marker = db.read_marker()?;
            // Chance from the start's nonce, another for each epoch it begins.
            let chance = blake3::derive_key(
                "cuntong 2026 epoch leap",
                &[&db.nonce[..], &known.to_be_bytes()].concat(),
            );
            let chance = u16::from_be_bytes([chance[0], chance[1]]);
            let epoch = epoch::next(known, marker, why, chance);
            db.set_meta("epoch", &epoch.to_be_bytes())?;
            db.note(now, None, "epoch", &format!("{epoch} {}", why.word()))?;
            let mut identity = db.identity()?.clone();
            identity.writer.epoch = epoch;
            db.state.identity = Some(Arc::new(identity));
            // Written before the commit: a marker that is ahead does no harm.
            db.write_marker(false)?;
            tracing::info!(epoch, why = why.word(), "a new epoch begins");
            Ok(Writer { node, epoch })
        })
    }

    fn stored_epoch(&self) -> Result<u32> {
        let bytes = self.meta("epoch")?.and_then(|b| b.try_into().ok());
        Ok(bytes.map_or(0, u32::from_be_bytes))
    }

    /// At each start with a key: judges the marker, then binds it to this start.
    pub(super) fn start_epoch(&mut self, now: Millis) -> Result<()> {
        if self.state.identity.is_none() {
            return Ok(());
        }
        let database = self.meta("nonce")?.and_then(|b| b.try_into().ok());
        let marker = self.read_marker()?;
        let why = epoch::judge(database, marker, self.marker.machine());
        self.transact(|db| {
            if let Some(why) = why {
                db.begin_epoch(why, now)?;
            }
            let nonce = db.nonce;
            db.set_meta("nonce", &nonce)
        })?;
        self.write_marker(false)
    }

    /// Notes an orderly stop. The nonce becomes another one with it: a copy made while the node ran is
    /// not what it stopped with, and is a restored backup even before the next start.
    pub(super) fn sign_off(&mut self) -> Result<()> {
        if self.state.identity.is_some() {
            let stop = blake3::derive_key("cuntong 2026 stop", &self.nonce);
            self.nonce.copy_from_slice(&stop[..16]);
            let nonce = self.nonce;
            self.transact(|db| db.set_meta("nonce", &nonce))?;
        }
        self.write_marker(true)
    }

    fn read_marker(&self) -> Result<Option<MarkerState>> {
        self.marker.read().map_err(|e| StoreError::File {
            path: "marker".into(),
            source: e,
        })
    }

    pub(super) fn write_marker(&mut self, clean: bool) -> Result<()> {
        let Some(identity) = &self.state.identity else {
            return Ok(());
        };
        let state = MarkerState {
            nonce: self.nonce,
            machine: self.marker.machine(),
            clean,
            epoch: identity.writer.epoch,
        };
        self.marker.write(state).map_err(|e| StoreError::File {
            path: "marker".into(),
            source: e,
        })
    }

    /// Reads identity, county and clock from the database.
    pub(super) fn load_state(&mut self) -> Result<()> {
        self.state.identity = self.load_identity()?;
        self.state.trust = self.load_trust()?;
        self.state.clock = self.load_clock()?;
        Ok(())
    }

    fn load_identity(&self) -> Result<Option<Arc<Identity>>> {
        let Some(secret) = self.secret(SIGN)? else {
            return Ok(None);
        };
        let bytes: &[u8; 32] = secret
            .as_slice()
            .try_into()
            .map_err(|_length| StoreError::Damaged("signing key"))?;
        let sign = SigningKey::from_bytes(bytes);
        let node = NodeId::of_key(&sign.verifying_key().to_bytes());
        let epoch = self.stored_epoch()?;
        Ok(Some(Arc::new(Identity {
            node,
            writer: Writer { node, epoch },
            sign,
        })))
    }

    fn load_trust(&self) -> Result<Option<Arc<Trust>>> {
        let Some(county) = self.meta("county")? else {
            return Ok(None);
        };
        let county = county
            .try_into()
            .map_err(|_length| StoreError::Damaged("county"))?;
        let documents: Vec<Vec<u8>> = self.all("SELECT body FROM control", [], |r| r.get(0))?;
        let all = documents.iter().map(Vec::as_slice);
        Ok(Some(Arc::new(Trust::load(County(county), all)?)))
    }

    fn load_clock(&self) -> Result<HybridClock> {
        let mut clock = HybridClock::default();
        if let Some(bytes) = self.meta("clock")? {
            let id = bytes
                .try_into()
                .map_err(|_length| StoreError::Damaged("clock"))?;
            let id = cuntong_protocol::id::ActId(id);
            clock.observe(id, id.wall(), 0);
        }
        Ok(clock)
    }

    /// Keeps the clock with what it ordered. Call it in every transaction that moved it.
    pub(super) fn save_clock(&mut self) -> Result<()> {
        let mut ahead = self.state.clock;
        let id = ahead.tick(Millis(0), cuntong_protocol::id::ActorId([0; 8]));
        self.set_meta("clock", &id.0)
    }
}
