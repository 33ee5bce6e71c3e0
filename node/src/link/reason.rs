//! Why a link is down, in one of nine classes a person can act on.

use quinn::{ConnectError, ConnectionError, VarInt};

use super::{tcp::Gone, tls};

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

    fn from_code(code: u64) -> Option<Self> {
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
        .find(|close| *close as u64 == code)
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
    /// Another machine with this node's key is connected.
    Clone,
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
            Self::Clone => "clone",
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
    /// Nobody answered at all: perhaps somebody does another way.
    pub silent: bool,
}

impl Failed {
    /// A failure of that class.
    pub(super) fn new(reason: Reason, detail: impl std::fmt::Display) -> Self {
        Self {
            reason,
            detail: detail.to_string(),
            wait_ms: None,
            renew: false,
            silent: false,
        }
    }

    /// Nobody answered.
    pub(super) fn silence(detail: impl std::fmt::Display) -> Self {
        Self {
            silent: true,
            ..Self::new(Reason::HubDown, detail)
        }
    }
}

/// The class of a connection's end. `doubt`: this node's clock is not to be believed.
pub(super) fn connection(error: &ConnectionError, doubt: bool) -> Failed {
    let reason = match error {
        ConnectionError::VersionMismatch => Reason::Version,
        ConnectionError::ConnectionClosed(close) => transport(close.error_code, doubt),
        ConnectionError::TransportError(error) => transport(error.code, doubt),
        ConnectionError::ApplicationClosed(close) => {
            return closed(close.error_code.into_inner(), error);
        }
        ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => return Failed::silence(error),
    };
    Failed::new(reason, error)
}

/// The class of the end of a connection over TCP.
pub(super) fn gone(gone: &Gone, doubt: bool) -> Failed {
    match gone {
        Gone::Closed(code, words) => {
            let word = Close::from_code(u64::from(*code)).map_or("unknown", Close::word);
            closed(
                u64::from(*code),
                format!("closed by peer: {word} {words}").trim_end(),
            )
        }
        Gone::Alert(alert) => Failed::new(
            alerted(*alert, doubt),
            format!("TLS alert {:?}", rustls::AlertDescription::from(*alert)),
        ),
        Gone::Garbage(what) => Failed::new(Reason::HubDown, format!("not spoken to so: {what}")),
        Gone::Here(close, _words) => Failed::silence(format!("closed here: {}", close.word())),
        Gone::TimedOut => Failed::silence("timed out"),
        Gone::Lost(how) => Failed::silence(how),
    }
}

/// The class of a TCP connection that did not come about.
pub(super) fn no_tcp(error: &std::io::Error) -> Failed {
    let mut failed = Failed::silence(format!("TCP: {error}"));
    if error.kind() == std::io::ErrorKind::NetworkUnreachable {
        failed.reason = Reason::NoRoute;
    }
    failed
}

/// The class of an end that the peer gave a code for.
fn closed(code: u64, detail: impl std::fmt::Display) -> Failed {
    let close = Close::from_code(code);
    let reason = match close {
        Some(Close::Unwanted | Close::Violation) => Reason::Rejected,
        Some(Close::Clone) => Reason::Clone,
        Some(Close::Version) => Reason::Version,
        Some(Close::Busy) => Reason::Busy,
        Some(Close::Renew) => Reason::Certificate,
        Some(Close::Stop | Close::Silent | Close::Superseded | Close::Fault) | None => {
            Reason::HubDown
        }
    };
    Failed {
        renew: close == Some(Close::Renew),
        ..Failed::new(reason, detail)
    }
}

/// The class of a QUIC transport error; TLS alerts are 0x100 and up.
fn transport(code: quinn::TransportErrorCode, doubt: bool) -> Reason {
    let code = u64::from(code);
    match u8::try_from(code.wrapping_sub(0x100)) {
        Ok(alert) => alerted(alert, doubt),
        // CONNECTION_REFUSED: the peer has all the connections it can bear.
        Err(_no_alert) if code == 0x02 => Reason::Busy,
        Err(_no_alert) => Reason::HubDown,
    }
}

/// The class of a TLS alert.
fn alerted(alert: u8, doubt: bool) -> Reason {
    if tls::unwanted(alert) {
        Reason::Rejected
    } else if tls::about_certificate(alert) && doubt {
        // A certificate that is wrong by a clock that is wrong: mend the clock first.
        Reason::Clock
    } else if tls::about_certificate(alert) {
        Reason::Certificate
    } else {
        Reason::Version
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
    Failed {
        silent: true,
        ..Failed::new(reason, error)
    }
}
