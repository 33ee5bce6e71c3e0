//! Calls that have not said what they want: few from one address, few of one node, and not too
//! many altogether. A place is held from the first packet until the first message is there.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use cuntong_protocol::id::NodeId;
use tokio::time::Instant;

use super::{Shared, limits, lock};

/// Calls under way.
#[derive(Debug, Default)]
pub(super) struct Pending {
    next: u64,
    calls: BTreeMap<u64, Call>,
}

#[derive(Debug)]
struct Call {
    from: IpAddr,
    /// The caller receives what is sent to that address.
    proved: bool,
    node: Option<NodeId>,
}

/// What is to be done with one more call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Take(u64),
    /// It has to prove its address first.
    Prove,
    Refuse,
}

impl Pending {
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.calls.len()
    }

    /// One more call. Whoever only pretends to an address counts against nobody who has it.
    pub(super) fn call(&mut self, from: IpAddr, proved: bool) -> Answer {
        let from = network(from);
        let unproved = self.calls.values().filter(|c| !c.proved).count();
        let same = |c: &&Call| c.proved && c.from == from;
        if self.calls.len() >= limits::PENDING_MAX {
            return Answer::Refuse;
        }
        if !proved && unproved >= limits::UNPROVED_MAX {
            return Answer::Prove;
        }
        if proved && self.calls.values().filter(same).count() >= limits::PENDING_ADDRESS_MAX {
            return Answer::Refuse;
        }
        self.next += 1;
        let call = Call {
            from,
            proved,
            node: None,
        };
        let _unused = self.calls.insert(self.next, call);
        Answer::Take(self.next)
    }

    /// The handshake is done, and the caller is that node: whether it may go on.
    fn is_node(&mut self, id: u64, node: NodeId) -> bool {
        let of_node = self.calls.values().filter(|c| c.node == Some(node)).count();
        if let Some(call) = self.calls.get_mut(&id) {
            (call.proved, call.node) = (true, Some(node));
        }
        of_node < limits::PENDING_NODE_MAX
    }
}

/// What one customer of a network has: an address, or the 64 bits before the choice of his own.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The place of a call, given back when dropped.
pub(super) struct Waiting {
    shared: Arc<Shared>,
    id: u64,
    /// When the call came or, once its handshake is done, when that was.
    pub(super) since: Instant,
}

impl Waiting {
    pub(super) fn new(shared: Arc<Shared>, id: u64) -> Self {
        Self {
            shared,
            id,
            since: Instant::now(),
        }
    }

    /// Notes who calls; false: too many calls of this node wait already.
    pub(super) fn of_node(&mut self, node: NodeId) -> bool {
        self.since = Instant::now();
        lock(&self.shared.pending).is_node(self.id, node)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _call = lock(&self.shared.pending).calls.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pending: &mut Pending, from: IpAddr, proved: bool) -> usize {
        (0..1_000)
            .filter(|_n| matches!(pending.call(from, proved), Answer::Take(_)))
            .count()
    }

    #[test]
    fn one_address_cannot_take_the_places_of_the_others() {
        let (bad, good) = (IpAddr::from([127, 0, 0, 2]), IpAddr::from([127, 0, 0, 1]));
        let mut pending = Pending::default();
        assert_eq!(taken(&mut pending, bad, false), limits::UNPROVED_MAX);
        assert_eq!(pending.call(good, false), Answer::Prove);
        assert_eq!(taken(&mut pending, bad, true), limits::PENDING_ADDRESS_MAX);
        assert!(matches!(pending.call(good, true), Answer::Take(_)));
    }

    #[test]
    fn addresses_of_one_subscriber_are_one_and_there_is_an_end_to_many() {
        let mut pending = Pending::default();
        let v6 = |n: u16, host| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, n, 0, 0, 0, host));
        for host in 0..64 {
            assert!(matches!(pending.call(v6(1, host), true), Answer::Take(_)));
        }
        assert_eq!(pending.call(v6(1, 99), true), Answer::Refuse);
        let others: usize = (2..20).map(|n| taken(&mut pending, v6(n, 1), true)).sum();
        assert_eq!(64 + others, limits::PENDING_MAX);
    }

    #[test]
    fn a_node_has_few_calls_at_a_time() {
        let mut pending = Pending::default();
        let node = NodeId([7; 8]);
        let may: Vec<_> = (0..6_u8)
            .map(|n| {
                let Answer::Take(id) = pending.call(IpAddr::from([10, 0, 0, n]), true) else {
                    panic!("refused");
                };
                pending.is_node(id, node)
            })
            .collect();
        assert_eq!(may, [true, true, true, true, false, false]);
    }
}
