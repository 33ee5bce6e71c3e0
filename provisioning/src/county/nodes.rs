//! 名册: tickets out, machines in, machines out.

use cuntong_protocol::{
    control::{NodeEntry, NodeStatus, Roster, signed::Body},
    id::{NodeId, SiteId},
    role::Level,
    time::Millis,
};

use super::{COUNTY_WIDE, County, CountyError, split};
use crate::{
    certificate::{Ca, Subject},
    enrol::{
        Answer, Refusal, Request,
        desk::{Bound, bind},
    },
    entropy::Entropy,
    judge::county_tag,
    keys::Seed,
    ticket::{Purpose, Terms, Ticket},
};

/// Machine numbers of one site; part of printed case numbers, so never given twice.
const SLOT_MAX: u8 = 99;

/// A grant, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    pub node: NodeId,
    pub site: SiteId,
    pub level: Level,
    /// The bytes of a `.ctgrant` file and of the online answer.
    pub grant: Vec<u8>,
    /// The same answer was given before.
    pub again: bool,
}

/// How a machine leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Lost, stolen, misused.
    Revoked,
    /// Broken or worn out; another takes over its work.
    Replaced,
}

impl County {
    /// A ticket for one more machine of a site, or for one that takes over from another.
    pub fn ticket(
        &self,
        site: SiteId,
        purpose: Purpose,
        hubs: &[String],
        days: u16,
        entropy: &mut impl Entropy,
        now: Millis,
    ) -> Result<Ticket, CountyError> {
        let level = self.level(site)?;
        let terms = Terms {
            county: self.id(),
            site,
            level,
            purpose,
            hubs: hubs.to_vec(),
            days,
        };
        Ok(Ticket::issue(
            terms,
            &self.keys.sign.signing(),
            entropy,
            now,
        )?)
    }

    /// Answers a request: lists the machine and gives it a certificate and the county's documents.
    /// The same request gets the same answer, for ever. Its site and level come from the ticket
    /// and the list of places, never from the machine.
    ///
    /// `late` lets a ticket be answered that has run out since: for requests a hub took in time
    /// by its own clock, and for the registrar who says so.
    pub fn grant(
        &mut self,
        request: &[u8],
        late: bool,
        entropy: &mut impl Entropy,
        now: Millis,
    ) -> Result<Issued, CountyError> {
        let request =
            Request::read(request, self.id(), self.trust.authority()).map_err(Refusal::Request)?;
        let site = request.claims().site;
        let level = self.level(site).map_err(|_none| Refusal::NoSuchSite)?;
        let may_begin = if request.claims().expired(now) && !late {
            Err(Refusal::Expired)
        } else if request.claims().level == level {
            Ok(())
        } else {
            Err(Refusal::NoSuchSite)
        };
        let issued = |grant, again| Issued {
            node: request.node(),
            site,
            level,
            grant,
            again,
        };
        let mut binding = match bind(&request, self.keeper.as_mut(), may_begin, now)? {
            Bound::Answered(grant) => return Ok(issued(grant, true)),
            Bound::Open { binding, .. } => binding,
        };
        self.list(&request, now)?;
        let grant = self.answer(&request, site, level, entropy, now)?;
        binding.grant = Some(grant.clone());
        self.keeper.keep(binding)?;
        Ok(issued(grant, false))
    }

    /// Lists the machine, if it is not listed as this very machine already.
    fn list(&mut self, request: &Request, now: Millis) -> Result<(), CountyError> {
        let mut nodes = self.trust.roster().nodes.clone();
        let (node, spki) = (request.node(), request.spki());
        let site = request.claims().site;
        if let Some(held) = nodes.iter().find(|n| n.node == node || n.spki == spki) {
            let same = held.node == node && held.spki == spki && held.site == site;
            return if same && held.status == NodeStatus::Active {
                Ok(())
            } else {
                Err(Refusal::KeyKnown(held.node).into())
            };
        }
        if let Purpose::Replace(old) = request.claims().purpose {
            let old = nodes
                .iter_mut()
                .find(|n| n.node == old && n.status == NodeStatus::Active);
            if let Some(old) = old {
                old.status = NodeStatus::Replaced;
                old.cutoff = Some(now);
            }
        }
        let used = nodes.iter().filter(|n| n.site == site).map(|n| n.slot);
        let slot = used.max().unwrap_or(0) + 1;
        if slot > SLOT_MAX {
            return Err(Refusal::SiteFull.into());
        }
        nodes.push(NodeEntry {
            node,
            site,
            spki,
            sign_key: *request.sign_key(),
            status: NodeStatus::Active,
            cutoff: None,
            slot,
            recipient: request.recipient().to_owned(),
        });
        self.say(COUNTY_WIDE, &Body::Roster(Roster { nodes }), now)
    }

    fn answer(
        &self,
        request: &Request,
        site: SiteId,
        level: Level,
        entropy: &mut impl Entropy,
        now: Millis,
    ) -> Result<Vec<u8>, CountyError> {
        let subject = Subject {
            node: request.node(),
            site,
            level,
            spki_der: request.spki_der().to_vec(),
        };
        let now = now.max(self.trust.newest_signed_time());
        let certificate = self.ca(&self.keys.transport)?.issue(
            county_tag(&self.trust),
            &subject,
            entropy,
            now,
        )?;
        let renewer = match level {
            Level::County => {
                let ca = self.ca(&self.keys.renewer)?;
                Some((ca.certificate().to_vec(), self.keys.renewer.clone()))
            }
            Level::Township | Level::Village => None,
        };
        let documents = split(self.controls_for(site));
        let answer = Answer {
            county: self.id(),
            request,
            certificate,
            at: now,
            public: documents.public,
            private: documents.private,
            renewer,
        };
        Ok(answer.seal(&self.keys.sign.signing())?)
    }

    /// The CA of that key, by its certificate in the authority.
    fn ca(&self, key: &Seed) -> Result<Ca, CountyError> {
        let mut listed = self.trust.authority().transport_ca.iter();
        let certificate = listed
            .find(|der| Ca::is_of(der, key))
            .ok_or(CountyError::NotRegistrar)?;
        Ok(Ca::open(certificate.clone(), key)?)
    }

    /// Takes a machine out of service. What it sealed after `cutoff` (now, when not given) is not
    /// believed; what came before stays.
    pub fn leave(
        &mut self,
        node: NodeId,
        how: Leave,
        cutoff: Option<Millis>,
        now: Millis,
    ) -> Result<(), CountyError> {
        let mut nodes = self.trust.roster().nodes.clone();
        let entry = nodes
            .iter_mut()
            .find(|n| n.node == node)
            .ok_or_else(|| CountyError::NoSuchNode(node.text()))?;
        match (entry.status, how) {
            // A machine that was replaced may turn out to be stolen.
            (NodeStatus::Active | NodeStatus::Suspended, _)
            | (NodeStatus::Replaced, Leave::Revoked) => {}
            (NodeStatus::Replaced, Leave::Replaced) | (NodeStatus::Revoked, _) => {
                return Err(CountyError::AlreadyLeft(node));
            }
        }
        entry.status = match how {
            Leave::Revoked => NodeStatus::Revoked,
            Leave::Replaced => NodeStatus::Replaced,
        };
        // An earlier cutoff stays: leaving again cannot make more believable.
        let cutoff = cutoff.unwrap_or(now);
        entry.cutoff = Some(entry.cutoff.map_or(cutoff, |held| held.min(cutoff)));
        self.say(COUNTY_WIDE, &Body::Roster(Roster { nodes }), now)
    }

    /// Revokes a machine from now on.
    pub fn revoke(&mut self, node: NodeId, now: Millis) -> Result<(), CountyError> {
        self.leave(node, Leave::Revoked, None, now)
    }

    /// Marks a machine as replaced and makes the ticket of the one that takes over.
    pub fn replace(
        &mut self,
        node: NodeId,
        hubs: &[String],
        days: u16,
        entropy: &mut impl Entropy,
        now: Millis,
    ) -> Result<Ticket, CountyError> {
        let site = self
            .trust
            .node(node)
            .map(|n| n.site)
            .ok_or_else(|| CountyError::NoSuchNode(node.text()))?;
        // The ticket first: if it cannot be made, the old machine goes on working.
        let ticket = self.ticket(site, Purpose::Replace(node), hubs, days, entropy, now)?;
        self.leave(node, Leave::Replaced, None, now)?;
        Ok(ticket)
    }

    fn level(&self, site: SiteId) -> Result<Level, CountyError> {
        self.trust
            .places()
            .site(site)
            .map(|place| place.level)
            .ok_or_else(|| CountyError::NoSuchPlace(site.to_string()))
    }
}
