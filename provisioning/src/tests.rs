//! Whole ways through the crate: a county, a hub, machines that join, work and leave.

use cuntong_protocol::{control::signed::Trust, id::SiteId, role::Level, time::Millis};

use crate::{
    County,
    county::{Founded, HashCost, Keeper, Memory},
    enrol::{Joined, Joining},
    entropy::Seeded,
    judge::{Judgement, Known},
    keys::Seed,
    ticket::{Purpose, Ticket},
};

mod certificates;
mod crash;
mod desk;
mod enrolment;
mod hostile;
mod machines;
mod tickets;

/// 2026-03-02 09:00 in China.
const NOW: Millis = Millis(1_772_413_200_000);
const DAY: i64 = 24 * 3_600 * 1000;

const HUB: SiteId = SiteId(1);
const NORTH: SiteId = SiteId(2);
const SHIQIAO: SiteId = SiteId(3);
const QINGXI: SiteId = SiteId(4);

const PLACES: &str = "code,name\n\
    349901000000,云麓县(样例)\n\
    349901101000,北乡镇\n\
    349901101203,石桥村\n\
    349901101204,青溪村\n";

/// A county with four places and no machine yet.
struct Sample {
    county: County,
    roots: [Seed; 3],
    entropy: Seeded,
}

fn sample() -> Sample {
    sample_with(7, Box::new(Memory::default()))
}

fn sample_with(seed: u64, keeper: Box<dyn Keeper + Send>) -> Sample {
    let mut entropy = Seeded::new(seed);
    let Founded { mut county, roots } =
        County::create(HashCost::SAMPLE, keeper, &mut entropy, NOW).unwrap();
    county.add_places(PLACES, NOW).unwrap();
    Sample {
        county,
        roots,
        entropy,
    }
}

impl Sample {
    fn ticket(&mut self, site: SiteId) -> Ticket {
        let hubs = ["10.20.30.40:7443".to_owned()];
        self.county
            .ticket(site, Purpose::New, &hubs, 30, &mut self.entropy, NOW)
            .unwrap()
    }

    /// A machine with a ticket for that site.
    fn machine(&mut self, site: SiteId) -> Joining {
        let ticket = self.ticket(site);
        Joining::begin(ticket, &mut self.entropy, NOW).unwrap()
    }

    /// The registrar's answer.
    fn grant(&mut self, joining: &Joining) -> Vec<u8> {
        self.county
            .grant(joining.request(), false, &mut self.entropy, NOW)
            .unwrap()
            .grant
    }

    /// A machine of that site that has joined.
    fn join(&mut self, site: SiteId) -> (Joining, Joined) {
        let joining = self.machine(site);
        let grant = self.grant(&joining);
        let joined = joining.finish(&grant).unwrap();
        (joining, joined)
    }

    fn trust(&self) -> &Trust {
        self.county.trust()
    }
}

/// What a judgement knows of the peer, if it may do everything.
fn full(judgement: Judgement) -> Option<Known> {
    match judgement {
        Judgement::Full(known) => Some(known),
        Judgement::RenewOnly(..) | Judgement::Refused(_) => None,
    }
}

fn level(joined: &Joined) -> Level {
    joined.level
}
