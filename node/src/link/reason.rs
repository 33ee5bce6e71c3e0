//! Why a link is down, in one of eight classes a person can act on.

use quinn::{ConnectError, ConnectionError, VarInt};

use super::tls;

/// What this node says when it closes a connection; numbers are for ever (`docs/formats/transport.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// Done, or going down.
    Stop = 1,
    /// The roster does not (any longer) let this peer in.
    Unwanted = 2,
    /// Another machine with the same keys is connected.
    Clone = 3,
    /// Another protocol version is needed.
    Version = 4,
    /// The peer broke the rules.
    Violation = 5,
    /// Not now.
    Busy = 6,
    /// The peer did not speak in time.
    Silent = 7,
    /// The caller's certificate ran out or names another place: renew it, then come again.
    Renew = 8,
    /// A newer connection of the same node took over.
    Superseded = 9,
    /// Something of ours failed; the disk, mostly.
    Fault = 10,
}

impl Close {
    pub(super) const fn code(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Unwanted => "unwanted",
            Self::Clone => "clone",
            Self::Version => "version",
            Self::Violation => "violation",
            Self::Busy => "busy",
            Self::Silent => "silent",
            Self::Renew => "renew",
            Self::Superseded => "superseded",
            Self::Fault => "fault",
        }
    }

    fn from_code(code: VarInt) -> Option<Self> {
        [
            Self::Stop,
            Self::Unwanted,
            Self::Clone,
            Self::Version,
            Self::Violation,
            Self::Busy,
            Self::Silent,
            Self::Renew,
            Self::Superseded,
            Self::Fault,
        ]
        .into_iter()
        .find(|close| close.code() == code)
    }
}

/// A class of failure: the words stand in the desk's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    NoRoute,
    HubDown,
    Clock,
    DiskFull,
    Version,
    Certificate,
    Rejected,
    Busy,
}

impl Reason {
    /// The word for rows, JSON and logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::HubDown => "hub_down",
            Self::Clock => "clock",
            Self::DiskFull => "disk_full",
            Self::Version => "version",
            Self::Certificate => "certificate",
            Self::Rejected => "rejected",
            Self::Busy => "busy",
        }
    }
}

/// Why a call or a session ended, with the detail for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub reason: Reason,
    pub detail: String,
    /// The peer asked to be left alone for so long.
    pub wait_ms: Option<u32>,
    /// The peer wants this node to renew its certificate first.
    pub renew: bool,
}

impl Failed {
    /// A failure of that class.
    pub(super) fn new(reason: Reason, detail: impl std::fmt::Display) -> Self {
        Self {
            reason,
            detail: detail.to_string(),
            wait_ms: None,
            renew: false,
        }
    }
}

/// The class of a connection's end. `doubt`: this node's clock is not to be believed.
pub(super) fn connection(error: &ConnectionError, doubt: bool) -> Failed {
    let reason = match error {
        ConnectionError::VersionMismatch => Reason::Version,
        ConnectionError::ConnectionClosed(close) => transport(close.error_code, doubt),
        ConnectionError::TransportError(error) => transport(error.code, doubt),
        ConnectionError::ApplicationClosed(close) => match Close::from_code(close.error_code) {
            Some(Close::Unwanted | Close::Clone | Close::Violation) => Reason::Rejected,
            Some(Close::Version) => Reason::Version,
            Some(Close::Busy) => Reason::Busy,
            Some(Close::Renew) => Reason::Certificate,
            Some(Close::Stop | Close::Silent | Close::Superseded | Close::Fault) | None => {
                Reason::HubDown
            }
        },
        ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => Reason::HubDown,
    };
    let renew = matches!(error, ConnectionError::ApplicationClosed(close)
        if close.error_code == Close::Renew.code());
    Failed {
        renew,
        ..Failed::new(reason, error)
    }
}

/// The class of a QUIC transport error; TLS alerts are 0x100 and up.
fn transport(code: quinn::TransportErrorCode, doubt: bool) -> Reason {
    let code = u64::from(code);
    match u8::try_from(code.wrapping_sub(0x100)) {
        Ok(alert) if tls::unwanted(alert) => Reason::Rejected,
        // A certificate that is wrong by a clock that is wrong: mend the clock first.
        Ok(alert) if tls::about_certificate(alert) && doubt => Reason::Clock,
        Ok(alert) if tls::about_certificate(alert) => Reason::Certificate,
        Ok(_other_alert) => Reason::Version,
        // CONNECTION_REFUSED: the peer has all the connections it can bear.
        Err(_no_alert) if code == 0x02 => Reason::Busy,
        Err(_no_alert) => Reason::HubDown,
    }
}

/// The class of a call that could not even begin.
pub(super) fn connect(error: &ConnectError) -> Failed {
    let reason = match error {
        ConnectError::UnsupportedVersion => Reason::Version,
        ConnectError::EndpointStopping
        | ConnectError::CidsExhausted
        | ConnectError::InvalidServerName(_)
        | ConnectError::InvalidRemoteAddress(_)
        | ConnectError::NoDefaultClientConfig => Reason::NoRoute,
    };
    Failed::new(reason, error)
}
