//! What the last session with an upstream left for the next: a TLS ticket, with which the first
//! words travel with the first packet, and whom it was given by.
//!
//! A ticket is good once. Calls made on the chance that a dead line has come back would burn them
//! all, so only hopeful calls may take one.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use quinn::crypto::rustls::QuicClientConfig;
use rustls::{
    NamedGroup,
    client::{
        ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
        Tls13ClientSessionValue,
    },
    sign::CertifiedKey,
};
use rustls_pki_types::ServerName;

use super::{
    lock,
    tls::{self, Ground, TlsError},
};

/// Servers remembered by one [`Tickets`]: there is one.
const SERVERS: usize = 1;

/// Of one upstream.
#[derive(Debug)]
pub(super) struct Resume {
    own: Arc<CertifiedKey>,
    /// rustls resumes only with the very verifier and key that the ticket was got with.
    sides: tls::Sides,
    tickets: Arc<Tickets>,
    last: Mutex<Option<Last>>,
    rtt: Mutex<Option<Duration>>,
}

/// Who gave the ticket, and what was spoken then.
#[derive(Debug, Clone)]
pub(super) struct Last {
    /// DER.
    pub(super) certificate: Vec<u8>,
    pub(super) alpn: Vec<u8>,
}

impl Resume {
    pub(super) fn new(own: Arc<CertifiedKey>, ground: Ground) -> Self {
        Self {
            sides: tls::Sides::new(own.clone(), ground),
            own,
            tickets: Arc::new(Tickets {
                kept: ClientSessionMemoryCache::new(SERVERS),
                offer: AtomicBool::new(false),
            }),
            last: Mutex::new(None),
            rtt: Mutex::new(None),
        }
    }

    /// Whether it belongs to this certificate.
    pub(super) fn is_of(&self, own: &Arc<CertifiedKey>) -> bool {
        Arc::ptr_eq(&self.own, own)
    }

    /// For one call; with a ticket, if there is one and the call is a hopeful one.
    pub(super) fn crypto(
        &self,
        ground: Ground,
        hopeful: bool,
    ) -> Result<QuicClientConfig, TlsError> {
        self.tickets.offer.store(hopeful, Ordering::Relaxed);
        tls::resuming(&self.sides, ground, Resumption::store(self.tickets.clone()))
    }

    pub(super) fn remember(&self, last: Last) {
        *lock(&self.last) = Some(last);
    }

    /// How long the line took there and back in the last session.
    pub(super) fn rtt(&self) -> Option<Duration> {
        *lock(&self.rtt)
    }

    pub(super) fn measured(&self, rtt: Duration) {
        *lock(&self.rtt) = Some(rtt);
    }

    pub(super) fn last(&self) -> Option<Last> {
        lock(&self.last).clone()
    }
}

/// Tickets that are given out only on demand.
#[derive(Debug)]
struct Tickets {
    kept: ClientSessionMemoryCache,
    offer: AtomicBool,
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.kept.set_kx_hint(server, group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept.kx_hint(server)
    }

    // Only TLS 1.3 is spoken.
    fn set_tls12_session(&self, _server: ServerName<'static>, _value: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _server: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, server: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.kept.insert_tls13_ticket(server, value);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let offered = self.offer.load(Ordering::Relaxed);
        offered.then(|| self.kept.take_tls13_ticket(server))?
    }
}
