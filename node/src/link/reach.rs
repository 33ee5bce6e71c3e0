//! One call by whichever carrier answers: QUIC, unless nobody answers there.
//!
//! As hosts with two address families are called (RFC 8305): the preferred way gets a head start,
//! then both are tried and the first that is through its handshake is taken. The other is dropped
//! before a word of a session was said on it, so that there are never two.

use std::{pin::pin, time::Duration};

use tokio::{sync::Notify, time::sleep};

use super::{carrier::Carrier, reason::Failed};

/// What share of the handshake's time the leading carrier is alone. 2.5 s of 15: at 600 ms and 2 %
/// loss QUIC has answered by then even when its first packet was lost (1.6 s).
const HEAD_START: u32 = 6;

/// Which carrier is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lead {
    /// As at the beginning, and where QUIC worked last.
    #[default]
    Quic,
    /// TCP worked last, or QUIC is worth another try: both at once.
    Both,
    /// QUIC answered and then fell silent: only where TCP does not work.
    Tcp,
}

impl Lead {
    /// How long QUIC and TCP are held back.
    fn waits(self, handshake: Duration) -> (Duration, Duration) {
        let head_start = handshake / HEAD_START;
        match self {
            Self::Quic => (Duration::ZERO, head_start),
            Self::Both => (Duration::ZERO, Duration::ZERO),
            Self::Tcp => (head_start, Duration::ZERO),
        }
    }
}

/// Calls by the one carrier that was asked for, or by whichever answers.
///
/// A word of the peer over QUIC is final, also a refusal. Over TCP a refusal ends nothing while QUIC
/// may still answer: behind that port may be something else.
pub(super) async fn reach<C>(
    pinned: Option<Carrier>,
    lead: Lead,
    handshake: Duration,
    quic: impl Future<Output = Result<C, Failed>>,
    tcp: impl Future<Output = Result<C, Failed>>,
) -> Result<C, Failed> {
    match pinned {
        Some(Carrier::Quic) => return quic.await,
        Some(Carrier::Tcp) => return tcp.await,
        None => {}
    }
    let (quic_after, tcp_after) = lead.waits(handshake);
    let (no_quic, no_tcp) = (Notify::new(), Notify::new());
    let mut quic = pin!(async {
        unless(&no_tcp, quic_after).await;
        quic.await.inspect_err(|_failed| no_quic.notify_one())
    });
    let mut tcp = pin!(async {
        unless(&no_quic, tcp_after).await;
        tracing::debug!("calling by TCP as well");
        tcp.await.inspect_err(|_failed| no_tcp.notify_one())
    });
    let (mut by_quic, mut by_tcp) = (None, None);
    loop {
        tokio::select! {
            biased;
            called = &mut quic, if by_quic.is_none() => match called {
                Ok(connection) => return Ok(connection),
                Err(failed) if !failed.silent => return Err(failed),
                Err(failed) => by_quic = Some(failed),
            },
            called = &mut tcp, if by_tcp.is_none() => match called {
                Ok(connection) => return Ok(connection),
                Err(failed) => by_tcp = Some(failed),
            },
        }
        if let (Some(quic), Some(tcp)) = (&by_quic, &by_tcp) {
            return Err(both(quic, tcp));
        }
    }
}

/// Waits for the end of a head start, or until the leader gave up.
async fn unless(gave_up: &Notify, head_start: Duration) {
    tokio::select! {
        () = sleep(head_start) => {}
        () = gave_up.notified() => {}
    }
}

/// Nobody by QUIC: what was heard by TCP is the reason, if anything was.
fn both(quic: &Failed, tcp: &Failed) -> Failed {
    let named = if tcp.silent { quic } else { tcp };
    Failed {
        detail: format!("QUIC: {}; TCP: {}", quic.detail, tcp.detail),
        ..named.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::link::Reason;

    const LONG: Duration = Duration::from_secs(3_600);

    async fn answers(
        lead: Lead,
        handshake: Duration,
        quic: impl Future<Output = Result<Carrier, Failed>>,
        tcp: impl Future<Output = Result<Carrier, Failed>>,
    ) -> Result<Carrier, Failed> {
        let reached = reach(None, lead, handshake, quic, tcp);
        let within = tokio::time::timeout(Duration::from_secs(60), reached);
        within.await.expect("nobody was called")
    }

    fn by(carrier: Carrier) -> impl Future<Output = Result<Carrier, Failed>> {
        ready(Ok(carrier))
    }

    fn refused(reason: Reason) -> impl Future<Output = Result<Carrier, Failed>> {
        ready(Err(Failed::new(reason, "no")))
    }

    fn silent() -> impl Future<Output = Result<Carrier, Failed>> {
        ready(Err(Failed::silence("nobody")))
    }

    #[tokio::test]
    async fn quic_is_taken_where_it_answers_and_tcp_where_it_does_not() {
        use Carrier::{Quic, Tcp};
        for lead in [Lead::Quic, Lead::Both] {
            let reached = answers(lead, LONG, by(Quic), by(Tcp)).await;
            assert_eq!(reached, Ok(Quic), "{lead:?}");
        }
        assert_eq!(answers(Lead::Tcp, LONG, by(Quic), by(Tcp)).await, Ok(Tcp));
        // Nothing comes back at all: the other begins after the head start.
        let soon = Duration::from_millis(60);
        assert_eq!(answers(Lead::Quic, soon, pending(), by(Tcp)).await, Ok(Tcp));
        assert_eq!(
            answers(Lead::Tcp, soon, by(Quic), pending()).await,
            Ok(Quic)
        );
        // Who gives up gives up his head start.
        assert_eq!(answers(Lead::Quic, LONG, silent(), by(Tcp)).await, Ok(Tcp));
        assert_eq!(answers(Lead::Tcp, LONG, by(Quic), silent()).await, Ok(Quic));
    }

    #[tokio::test]
    async fn a_refusal_by_quic_is_final_and_one_by_tcp_is_told_when_quic_is_silent() {
        let rejected = refused(Reason::Rejected);
        let reached = answers(Lead::Both, LONG, rejected, by(Carrier::Tcp)).await;
        assert_eq!(reached.unwrap_err().reason, Reason::Rejected);
        let certificate = refused(Reason::Certificate);
        let reached = answers(Lead::Both, LONG, silent(), certificate).await;
        assert_eq!(reached.unwrap_err().reason, Reason::Certificate);
        let reached = answers(
            Lead::Tcp,
            LONG,
            by(Carrier::Quic),
            refused(Reason::Rejected),
        )
        .await;
        assert_eq!(reached, Ok(Carrier::Quic));
        let nobody = answers(Lead::Quic, LONG, silent(), silent()).await;
        assert_eq!(nobody.unwrap_err().reason, Reason::HubDown);
    }

    #[tokio::test]
    async fn a_pinned_carrier_is_the_only_one() {
        let reached = reach(
            Some(Carrier::Quic),
            Lead::Tcp,
            LONG,
            silent(),
            by(Carrier::Tcp),
        );
        assert!(reached.await.unwrap_err().silent);
        let reached = reach(
            Some(Carrier::Tcp),
            Lead::Quic,
            LONG,
            by(Carrier::Quic),
            silent(),
        );
        assert!(reached.await.unwrap_err().silent);
    }
}
