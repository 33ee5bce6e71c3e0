//! The upstreams of the settings, and the words when none of them can be reached.

use cuntong_protocol::{control::signed::Trust, id::SiteId};

use super::{Failed, Lead, Reason, Upstream, UpstreamState, Why};
use crate::exit::{Exit, Failure};

/// Why no upstream could be reached, one reason for each.
pub(super) fn unreachable(failures: &[Failed]) -> Failure {
    let exit = match failures.last().map(|failed| failed.reason) {
        Some(Reason::Busy | Reason::DiskFull) => Exit::TryLater,
        Some(
            Reason::NoRoute
            | Reason::HubDown
            | Reason::Clock
            | Reason::Version
            | Reason::Certificate
            | Reason::Rejected
            | Reason::Clone,
        )
        | None => Exit::NoUpstream,
    };
    let words: Vec<_> = failures
        .iter()
        .map(|failed| crate::desk::links::reason_words(failed.reason.word()))
        .collect();
    Failure::new(exit, format!("连不上上级:{}", words.join(";")))
}

/// The upstreams of the settings. Who answers is known when somebody does; until then the node of
/// the site that stands at that place above this one is named.
pub(super) fn upstreams(addresses: &[String], trust: &Trust, site: SiteId) -> Vec<Upstream> {
    let mut above = trust.places().above(site);
    // One address less than sites above: the nearest is left out, not the hub.
    let left_out = above.len().saturating_sub(addresses.len());
    drop(above.drain(..left_out));
    addresses
        .iter()
        .enumerate()
        .map(|(index, address)| Upstream {
            address: address.clone(),
            state: UpstreamState::Waiting,
            node: above.get(index).and_then(|site| {
                let nodes = &trust.roster().nodes;
                nodes.iter().find(|n| n.site == *site).map(|n| n.node)
            }),
            failed: None,
            next_try: None,
            why: Why::default(),
            last_session: None,
            resumed: false,
            carrier: None,
            lead: Lead::default(),
            connected_at: None,
            beginning: None,
        })
        .collect()
}
