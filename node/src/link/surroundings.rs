//! What happens around this node that makes a call worth trying: a network that comes up, a machine
//! that wakes up.

use std::{os::fd::OwnedFd, pin::Pin, sync::Arc, time::Duration};

use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, recv,
    socket_with,
};
use tokio::{
    io::unix::AsyncFd,
    time::{Instant, sleep, sleep_until},
};

use super::{Shared, order::Order};
use crate::clock;

/// One cable plugged in is a dozen messages; an address comes a moment before its route. Each node
/// waits anything up to this, since a county's power comes back everywhere at once.
const SETTLE: Duration = Duration::from_secs(1);
/// A network that comes and goes is no reason to call more often.
const AT_MOST_EVERY: Duration = Duration::from_secs(15);
/// How often it is asked whether the machine slept.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A shorter sleep is nobody's business.
const NAP: Duration = Duration::from_secs(5);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A network, an address or a route appeared.
    Network,
    /// The machine slept, and is awake again.
    Awake,
}

/// Tells what happens; the system, or a test.
pub trait Surroundings: Send {
    /// Waits for the next change. May be given up and asked again; never ends where nobody tells.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Change> + Send + '_>>;
}

/// The operating system's word.
///
/// A netlink socket of our own and no crate: those there are tell of addresses only, and in offices
/// with fixed addresses a cable that is plugged in again changes none.
#[derive(Debug)]
pub struct System {
    /// `None` where it may not be asked: timers remain.
    routes: Option<AsyncFd<OwnedFd>>,
    asleep: Duration,
}

impl System {
    /// Begins to listen; to be called within a runtime.
    pub fn new() -> Self {
        let routes = routes()
            .inspect_err(|error| tracing::warn!(%error, "changes of the network are not noticed"));
        Self {
            routes: routes.ok(),
            asleep: clock::asleep(),
        }
    }

    /// Waits until the kernel tells of something that appeared.
    async fn appeared(routes: Option<&AsyncFd<OwnedFd>>) {
        let Some(routes) = routes else {
            return std::future::pending().await;
        };
        loop {
            let Ok(mut ready) = routes.readable().await else {
                return std::future::pending().await;
            };
            let mut buffer = [0; 16 * 1024];
            let read = ready.try_io(|fd| {
                let (length, _whole) = recv(fd.get_ref(), &mut buffer[..], RecvFlags::DONTWAIT)?;
                Ok(length)
            });
            match read {
                Ok(Ok(length)) if !appears(&buffer[..length]) => {}
                // More than the socket could hold was lost: something among it appeared, perhaps.
                Ok(Ok(_) | Err(_)) => return,
                Err(_not_ready) => {}
            }
        }
    }
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl Surroundings for System {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Change> + Send + '_>> {
        Box::pin(async {
            loop {
                tokio::select! {
                    () = Self::appeared(self.routes.as_ref()) => return Change::Network,
                    () = sleep(LOOK_EVERY) => {}
                }
                let asleep = clock::asleep();
                let slept = asleep.saturating_sub(self.asleep);
                self.asleep = asleep;
                if slept > NAP {
                    tracing::info!(seconds = slept.as_secs(), "the machine slept");
                    return Change::Awake;
                }
            }
        })
    }
}

/// Groups of rtnetlink(7): links, addresses and routes of both families.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

#[expect(
    deprecated,
    reason = "its successor is unsafe for the sake of types that may let go of their descriptor; \
              an owned one cannot"
)]
fn routes() -> std::io::Result<AsyncFd<OwnedFd>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // No protocol is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
    AsyncFd::new(socket)
}

const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
/// Of a link's flags: a signal on the cable.
const LOWER_UP: u32 = 0x1_0000;
/// Where they stand, from the beginning of the message.
const FLAGS_AT: usize = 16 + 8;

/// Whether a datagram of netlink messages (length, kind, 10 more bytes of header, content; each at a
/// multiple of 4) tells of something that appeared.
fn appears(mut bytes: &[u8]) -> bool {
    let word = |bytes: &[u8], at: usize| -> Option<u32> {
        let four = bytes.get(at..at + 4)?;
        Some(u32::from_ne_bytes(four.try_into().ok()?))
    };
    while let (Some(length), Some(kind)) = (word(bytes, 0), bytes.get(4..6)) {
        let appeared = match u16::from_ne_bytes([kind[0], kind[1]]) {
            NEW_ADDRESS | NEW_ROUTE => true,
            NEW_LINK => word(bytes, FLAGS_AT).is_some_and(|flags| flags & LOWER_UP != 0),
            _ => false,
        };
        if appeared {
            return true;
        }
        let next = (length as usize).max(16).next_multiple_of(4);
        bytes = bytes.get(next..).unwrap_or_default();
    }
    false
}

/// Many changes, one try.
#[derive(Debug, Default)]
struct Gather {
    /// When the next try is.
    due: Option<Instant>,
    last: Option<Instant>,
}

impl Gather {
    /// Something happened; when the try for it is, `settle` from now if it is the first.
    fn told(&mut self, now: Instant, settle: Duration) -> Instant {
        let soonest = self.last.map(|last| last + AT_MOST_EVERY);
        let at = (now + settle).max(soonest.unwrap_or(now));
        *self.due.get_or_insert(at)
    }

    /// The try is made.
    fn tried(&mut self, now: Instant) {
        self.due = None;
        self.last = Some(now);
    }
}

/// Has the caller try when something around it changed, until the node stops.
pub(super) async fn heed(shared: Arc<Shared>, mut surroundings: Box<dyn Surroundings>) {
    let mut gather = Gather::default();
    let mut what = Change::Network;
    loop {
        let due = gather.due;
        let tries = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.parts.stop.stopped() => return,
            change = surroundings.next() => {
                what = change;
                let _due = gather.told(Instant::now(), clock::jitter(SETTLE));
            }
            () = tries => {
                gather.tried(Instant::now());
                tracing::info!(?what, "worth a try");
                // A full queue holds enough orders to try.
                let _full = shared.orders.try_send(Order::Changed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, content: &[u8]) -> Vec<u8> {
        let length = 16 + content.len();
        let mut bytes = u32::try_from(length).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(16, 0);
        bytes.extend(content);
        bytes.resize(length.next_multiple_of(4), 0);
        bytes
    }

    fn link(flags: u32) -> Vec<u8> {
        let mut content = vec![0; 8];
        content.extend(flags.to_ne_bytes());
        message(NEW_LINK, &content)
    }

    #[test]
    fn a_cable_an_address_and_a_route_appear_and_what_goes_away_does_not() {
        assert!(appears(&message(NEW_ADDRESS, b"...")));
        assert!(appears(&link(LOWER_UP | 1)));
        assert!(!appears(&link(1)), "no signal on the cable");
        let (gone_address, gone_route) = (message(21, b"....."), message(25, b""));
        assert!(!appears(&[gone_address.clone(), gone_route].concat()));
        assert!(appears(&[gone_address, message(NEW_ROUTE, b"")].concat()));
    }

    #[test]
    fn a_datagram_that_is_no_message_tells_nothing() {
        let route = message(NEW_ROUTE, b"");
        for end in 0..6 {
            assert!(!appears(&route[..end]));
        }
        // A length of nothing must not be read for ever.
        assert!(!appears(&[0; 64]));
        assert!(!appears(&link(LOWER_UP)[..FLAGS_AT + 3]));
    }

    #[test]
    fn a_storm_of_changes_is_one_try_and_the_next_one_is_later() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut gather = Gather::default();
        let due = gather.told(start, ms(700));
        assert_eq!(due, start + ms(700));
        for change in 1..1_000 {
            assert_eq!(gather.told(start + ms(change / 2), ms(900)), due);
        }
        gather.tried(due);
        let again = gather.told(due + ms(20), ms(300));
        assert_eq!(again, due + AT_MOST_EVERY);
        gather.tried(again);
        let much_later = again + 10 * AT_MOST_EVERY;
        assert_eq!(gather.told(much_later, ms(300)), much_later + ms(300));
    }

    #[tokio::test]
    async fn the_kernel_lets_the_network_be_watched() {
        assert!(System::new().routes.is_some());
    }
}
