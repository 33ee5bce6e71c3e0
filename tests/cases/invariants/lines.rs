//! What holds on a line, message by message.

use std::collections::BTreeMap;

use cuntong_protocol::{
    id::Kind,
    log::LogId,
    policy,
    sync::Input,
    wire::{
        Message, codec,
        frame::Deflater,
        window::{self, DICTIONARIES},
    },
};
use harness::{
    county,
    world::{Trick, World},
};

const HUB_LINE: usize = 0;
/// From the village to the township.
const LINE: usize = 1;
const TOWN: usize = 1;
const VILLAGE: usize = 2;
const OTHER_VILLAGE: usize = 3;
const CALLER: usize = 0;
const CALLEE: usize = 1;
/// What may travel twice after a cut, bytes on the line.
const AGAIN_MAX: usize = 64 * 1024;

/// Lets at most so many messages arrive; each is heard before it does.
fn talk(
    world: &mut World,
    line: usize,
    most: usize,
    mut hear: impl FnMut(usize, &Message),
) -> usize {
    let mut arrived = 0;
    loop {
        let before = arrived;
        for end in [CALLEE, CALLER] {
            let next = world.lines[line].on_the_way(end).next();
            let Some(message) = next.map(|bytes| codec::decode(bytes).expect("it decodes")) else {
                continue;
            };
            if arrived == most {
                return arrived;
            }
            hear(end, &message);
            let _delivered = world.deliver(line, end, Trick::None);
            arrived += 1;
        }
        if arrived == before {
            return arrived;
        }
    }
}

/// A batch's log, first and last position.
fn batch(message: &Message) -> Option<(LogId, u64, u64)> {
    if let Message::Pack(pack) = message {
        return Some((pack.log, pack.first, pack.last()?));
    }
    if let Message::Push(batch) = message {
        let last = batch.first + batch.entries.len() as u64 - 1;
        return Some((batch.log, batch.first, last));
    }
    None
}

/// Counts what travels to the township a second time, in bytes on the line.
#[derive(Default)]
struct Twice {
    told: BTreeMap<LogId, u64>,
    bytes: usize,
}

impl Twice {
    fn hear(&mut self, window: &mut Deflater, message: &Message) {
        let frame = window::frame(window, &codec::encode(message)).expect("it fits");
        if let Some((log, first, last)) = batch(message) {
            let told = self.told.entry(log).or_insert(0);
            if first <= *told {
                self.bytes += frame.len();
            }
            *told = last.max(*told);
        }
    }
}

fn fresh_window() -> Deflater {
    let mut window = Deflater::default();
    window.prime(&DICTIONARIES[0]).expect("it is a dictionary");
    window
}

/// A village with work of weeks behind it.
fn backlog() -> World {
    let mut world = World::small(5);
    for n in 0..240 {
        world.log_case(VILLAGE);
        if n % 3 == 0 {
            let cases = world.cases_at(VILLAGE);
            world.amend(VILLAGE, cases[n / 2]);
        }
        world.pass(60_000);
    }
    world
}

#[test]
fn invariant_05_a_session_cut_at_any_message_goes_on_and_sends_little_twice() {
    let (mut most, mut cut) = (0, 0);
    loop {
        let mut world = backlog();
        let mut twice = Twice::default();
        world.lines[LINE].plugged = true;
        assert!(world.call(LINE));
        let mut window = fresh_window();
        let arrived = talk(&mut world, LINE, cut, |end, message| {
            if end == CALLEE {
                twice.hear(&mut window, message);
            }
        });
        let lost: Vec<_> = world.lines[LINE]
            .on_the_way(CALLEE)
            .map(<[u8]>::to_vec)
            .collect();
        for bytes in lost {
            twice.hear(&mut window, &codec::decode(&bytes).expect("it decodes"));
        }
        world.cut(LINE);
        // What came is whole batches: the log ends at a seal.
        let report = world.db(TOWN).verify().expect("verify runs");
        assert!(report.is_sound(), "cut after {cut}: {report:?}");
        world.lines[LINE].plugged = true;
        assert!(world.call(LINE));
        let mut window = fresh_window();
        let _rest = talk(&mut world, LINE, usize::MAX, |end, message| {
            if end == CALLEE {
                twice.hear(&mut window, message);
            }
        });
        assert!(
            twice.bytes <= AGAIN_MAX,
            "cut after {cut}: {} bytes twice",
            twice.bytes
        );
        most = most.max(twice.bytes);
        let scopes = policy::scopes_read_by(county::county().trust().places(), county::SHIQIAO);
        let [town, village] =
            [TOWN, VILLAGE].map(|at| world.db(at).vector(&scopes).expect("the vector reads"));
        assert_eq!(town, village, "cut after {cut}");
        if arrived < cut {
            break;
        }
        cut += 1;
    }
    assert!(cut > 8, "a session of several batches: {cut} messages");
    assert!(most > 0, "some cut loses a batch on its way");
}

#[test]
fn invariant_06_doubled_and_replayed_messages_change_nothing() {
    for seed in 1..=4 {
        let mut world = World::small(seed);
        for _act in 0..20 {
            for at in 0..4 {
                world.somebody_acts(at);
            }
        }
        world.lines[LINE].plugged = true;
        assert!(world.call(LINE));
        let mut first_words = Vec::new();
        loop {
            let mut moved = false;
            for end in [CALLEE, CALLER] {
                if end == CALLEE && first_words.len() < 6 {
                    let next = world.lines[LINE].on_the_way(end).next().map(<[u8]>::to_vec);
                    first_words.extend(next);
                }
                if world.deliver(LINE, end, Trick::Twice) {
                    moved = true;
                    let _copy = world.deliver(LINE, end, Trick::None);
                }
            }
            if !moved {
                break;
            }
        }
        world.cut(LINE);
        let before = world.db(TOWN).whole_vector().expect("the vector reads");
        // Somebody who kept the first packets of the call sends them again.
        world.lines[LINE].plugged = true;
        assert!(world.call(LINE));
        world.lines[LINE].replay(CALLEE, first_words);
        while world.deliver(LINE, CALLEE, Trick::None) {}
        world.cut(LINE);
        let after = world.db(TOWN).whole_vector().expect("the vector reads");
        assert_eq!(before, after, "seed {seed}");
        world.settle();
        world.check();
    }
}

#[test]
fn invariant_08_a_village_hears_of_its_own_scopes_alone_and_of_none_once_they_are_taken_away() {
    for seed in 1..=3 {
        let mut world = World::small(seed);
        for _act in 0..30 {
            for at in 0..4 {
                world.somebody_acts(at);
            }
            world.exchange(HUB_LINE);
            world.cut(HUB_LINE);
            world.exchange(LINE + 1);
            world.cut(LINE + 1);
        }
        for case in world.cases_at(OTHER_VILLAGE) {
            world.handle(TOWN, case);
        }
        world.exchange(LINE);
        for _more in 0..40 {
            world.somebody_acts(TOWN);
        }
        world.cut(LINE);
        world.lines[LINE].plugged = true;
        assert!(world.call(LINE));
        let foreign = format!("{:?}", county::QINGXI);
        let only_own = |end: usize, message: &Message| {
            let text = format!("{message:?}");
            let heard = end == CALLER && text.contains(&foreign);
            assert!(!heard, "seed {seed}: {text}");
        };
        let arrived = talk(&mut world, LINE, 3, only_own);
        assert_eq!(arrived, 3, "seed {seed}: in the middle of it");
        // From here on the village may read nothing of the township's.
        let places = county::county().trust().places();
        let mine = policy::scopes_read_by(places, county::BEIXIANG);
        let under_way = world.lines[LINE].on_the_way(CALLER).count();
        world.tell(
            LINE,
            CALLEE,
            Input::Scopes {
                mine: mine.into(),
                peer: Vec::new().into(),
            },
        );
        let mut heard = 0;
        let _rest = talk(&mut world, LINE, 500, |end, message| {
            only_own(end, message);
            if end == CALLER {
                heard += 1;
                let late = heard > under_way && batch(message).is_some();
                assert!(!late, "seed {seed}: {message:?}");
            }
        });
    }
    assert_eq!(Kind::ALL.len(), 3, "every kind of scope was asked about");
}
