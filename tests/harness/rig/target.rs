//! Where a process can be ended: at every moment of every message between any two neighbours.

use super::{HUB, ROLES, TOWN, VILLAGE};

/// Numbers and names of the messages, as `docs/formats/wire.md` has them.
pub const KINDS: [(u8, &str); 18] = [
    (1, "HELLO"),
    (2, "WELCOME"),
    (3, "PUSH"),
    (4, "ACK"),
    (5, "NACK"),
    (6, "PROOF"),
    (7, "HEADS"),
    (8, "WANT"),
    (9, "BUSY"),
    (10, "FORK"),
    (11, "UPGRADE"),
    (12, "CTRL"),
    (13, "SEEN"),
    (14, "PACK"),
    (15, "WHOLE"),
    (16, "VECTOR"),
    (17, "SNAP"),
    (18, "SKETCH"),
];

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    Ready,
    Half,
    Sent,
    Came,
    Done,
}

impl Moment {
    pub const ALL: [Self; 5] = [Self::Ready, Self::Half, Self::Sent, Self::Came, Self::Done];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Half => "half",
            Self::Sent => "sent",
            Self::Came => "came",
            Self::Done => "done",
        }
    }
}

/// What makes two nodes say a kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipe {
    /// All were apart, worked, and meet.
    Apart,
    /// The same, with weeks of the village's work to bring.
    Backlog,
    /// They are connected, and somebody works.
    Live,
    /// There is a new control document at this machine.
    Control(usize),
    /// This machine hears first that somebody's time at the desk is over.
    Refusal(usize),
    /// The township's disk lost the last change of a document; it meets this neighbour.
    Damage(usize),
    /// This machine is set back as a whole; when `works`, it works before it meets the others. That
    /// neighbour stays away meanwhile.
    SetBack {
        machine: usize,
        works: bool,
        away: Option<usize>,
    },
    /// There is a new machine at that place, which has nothing; it meets the machine above.
    First(usize),
}

/// One way to pull the plug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub kind: u8,
    pub from: usize,
    pub to: usize,
    pub moment: Moment,
    pub nth: u32,
    pub recipe: Recipe,
}

impl Target {
    /// Who is ended.
    pub const fn victim(&self) -> usize {
        match self.moment {
            Moment::Ready | Moment::Half | Moment::Sent => self.from,
            Moment::Came | Moment::Done => self.to,
        }
    }

    /// The name of its kind.
    pub fn name(&self) -> &'static str {
        let found = KINDS.iter().find(|(number, _)| *number == self.kind);
        found.map_or("?", |(_, name)| name)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} → {}, {} {}, {:?}",
            self.name(),
            ROLES[self.from],
            ROLES[self.to],
            self.moment.word(),
            self.nth,
            self.recipe
        )
    }
}

/// Every kind that nodes of one version say, both ways where both say it.
///
/// Not among them is BUSY: a node with more callers than places closes with that word and a time to come
/// back, so no entry, receipt or refusal is in the same session after it, and whoever is ended at it is
/// ended between two sessions; three machines never are too many. Nor is UPGRADE, which takes another
/// version and closes as well.
#[rustfmt::skip]
const SAID: &[(u8, usize, usize, Recipe)] = &[
    (1, VILLAGE, TOWN, Recipe::Apart),
    (1, TOWN, HUB, Recipe::Apart),
    (2, TOWN, VILLAGE, Recipe::Apart),
    (2, HUB, TOWN, Recipe::Apart),
    (3, VILLAGE, TOWN, Recipe::Damage(VILLAGE)),
    (3, TOWN, VILLAGE, Recipe::Damage(VILLAGE)),
    (3, TOWN, HUB, Recipe::Damage(HUB)),
    (3, HUB, TOWN, Recipe::Damage(HUB)),
    (4, VILLAGE, TOWN, Recipe::Live),
    (4, TOWN, VILLAGE, Recipe::Backlog),
    (4, TOWN, HUB, Recipe::Live),
    (4, HUB, TOWN, Recipe::Backlog),
    (5, TOWN, VILLAGE, Recipe::Refusal(TOWN)),
    (5, HUB, TOWN, Recipe::Refusal(HUB)),
    (6, VILLAGE, TOWN, Recipe::Apart),
    (6, TOWN, VILLAGE, Recipe::Live),
    (6, TOWN, HUB, Recipe::Apart),
    (6, HUB, TOWN, Recipe::Live),
    (7, TOWN, VILLAGE, Recipe::Damage(VILLAGE)),
    (7, HUB, TOWN, Recipe::Damage(HUB)),
    (8, VILLAGE, TOWN, Recipe::Damage(VILLAGE)),
    (8, TOWN, VILLAGE, Recipe::Damage(VILLAGE)),
    (8, TOWN, HUB, Recipe::Damage(HUB)),
    (8, HUB, TOWN, Recipe::Damage(HUB)),
    (10, TOWN, VILLAGE, Recipe::SetBack { machine: VILLAGE, works: true, away: None }),
    (10, HUB, TOWN, Recipe::SetBack { machine: TOWN, works: true, away: Some(VILLAGE) }),
    (10, VILLAGE, TOWN, Recipe::SetBack { machine: TOWN, works: true, away: Some(HUB) }),
    (12, HUB, TOWN, Recipe::Control(HUB)),
    (12, TOWN, VILLAGE, Recipe::Control(HUB)),
    (12, VILLAGE, TOWN, Recipe::Control(VILLAGE)),
    (12, TOWN, HUB, Recipe::Control(VILLAGE)),
    (13, TOWN, HUB, Recipe::Apart),
    (14, VILLAGE, TOWN, Recipe::Backlog),
    (14, TOWN, VILLAGE, Recipe::Live),
    (14, TOWN, HUB, Recipe::Backlog),
    (14, HUB, TOWN, Recipe::Apart),
    (14, TOWN, VILLAGE, Recipe::First(VILLAGE)),
    (14, HUB, TOWN, Recipe::First(TOWN)),
    (15, TOWN, VILLAGE, Recipe::SetBack { machine: TOWN, works: false, away: None }),
    (15, HUB, TOWN, Recipe::SetBack { machine: HUB, works: false, away: None }),
    (16, VILLAGE, TOWN, Recipe::SetBack { machine: TOWN, works: false, away: None }),
    (16, TOWN, HUB, Recipe::SetBack { machine: HUB, works: false, away: None }),
    (17, TOWN, VILLAGE, Recipe::First(VILLAGE)),
    (17, VILLAGE, TOWN, Recipe::First(VILLAGE)),
    (17, HUB, TOWN, Recipe::First(TOWN)),
    (17, TOWN, HUB, Recipe::First(TOWN)),
    (18, VILLAGE, TOWN, Recipe::Damage(VILLAGE)),
    (18, TOWN, HUB, Recipe::Damage(HUB)),
];

/// Which one of its kind, since the machine was armed.
const fn nths(kind: u8, recipe: Recipe) -> &'static [u32] {
    match (kind, recipe) {
        // The first word of a snapshot, and one in the middle of it.
        (17, _) => &[1, 4],
        // Of a long backlog not the first batch.
        (14, Recipe::Backlog) => &[2],
        // The documents have come, and most of their logs.
        (14, Recipe::First(_)) => &[6],
        (_, _) => &[1],
    }
}

/// All of them, kind by kind.
pub fn targets() -> Vec<Target> {
    let mut all = Vec::new();
    for moment in Moment::ALL {
        for (kind, from, to, recipe) in SAID {
            for nth in nths(*kind, *recipe) {
                all.push(Target {
                    kind: *kind,
                    from: *from,
                    to: *to,
                    moment,
                    nth: *nth,
                    recipe: *recipe,
                });
            }
        }
    }
    all
}
