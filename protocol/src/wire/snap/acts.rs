//! A change that puts one act and nothing else, as that act: automerge says its length four times
//! over and who acted in full, and most changes are of this kind.

use data_encoding::HEXLOWER;

use crate::{
    act::{Act, ActBody},
    document::{GENESIS_ACTOR, act_of_bytes},
    gate::column::Cursor,
    id::{ActId, ActorId, DocId, PersonId, SiteId},
    limits,
    role::Role,
    time::{ClockState, Millis},
    wire::{codec, elide},
};

/// The act's moment in its id is another than the change's, or it is not the first of it.
pub(super) const ID: u8 = 8;
/// The desk's moment is another than the change's.
pub(super) const MOMENT: u8 = 16;

/// How `saw` is said: none, an act of the sister document so many back, or its sixteen bytes.
const SAW_NONE: u64 = 0;
const SAW_SAID: u64 = 1;
const SAW_BACK: u64 = 2;

/// Columns of such a change (kind, length), but for the lengths that depend on the act, and what is
/// in them: object `acts`, made by the genesis' third operation; a key of 32 digits; no list; put.
const MESSAGE_AND_ACTORS: [u8; 3] = [0, 1, 8];
const COLUMNS: [u8; 12] = [8, 0x01, 2, 0x02, 2, 0x15, 34, 0x34, 1, 0x42, 2, 0x56];
const OBJECT: [u8; 6] = [0x7f, 1, 0x7f, 3, 0x7f, 32];
const PUT: [u8; 4] = [1, 0x7f, 1, 0x7f];
const NOTHING_BEFORE: [u8; 2] = [0x7f, 0];
/// Type of a value of bytes, beside its length.
const BYTES: u64 = 7;

/// What [`elide::split`] calls the rest, of a change that puts these bytes under that id.
fn rest(id: ActId, value: &[u8]) -> Vec<u8> {
    let mut meta = Vec::new();
    elide::unsigned(&mut meta, (value.len() as u64) << 4 | BYTES);
    let mut out = Vec::with_capacity(value.len() + 80);
    out.extend(MESSAGE_AND_ACTORS);
    out.extend(GENESIS_ACTOR.0);
    out.extend(COLUMNS);
    elide::unsigned(&mut out, meta.len() as u64 + 1);
    out.push(0x57);
    elide::unsigned(&mut out, value.len() as u64);
    out.extend([0x70, 2]);
    out.extend(OBJECT);
    out.extend(HEXLOWER.encode(&id.0).as_bytes());
    out.extend(PUT);
    out.extend(meta);
    out.extend(value);
    out.extend(NOTHING_BEFORE);
    out
}

/// The act a rest puts, when it is byte for byte what [`rest`] makes of it.
pub(super) fn of_rest(bytes: &[u8]) -> Option<(ActId, Act)> {
    let mut cursor = Cursor(bytes);
    cursor
        .take((MESSAGE_AND_ACTORS.len() + 8 + COLUMNS.len()) as u64)
        .ok()?;
    let meta = cursor.unsigned().ok()?.checked_sub(1)?;
    cursor.take(1).ok()?;
    let length = cursor.unsigned().ok()?;
    cursor.take(2 + OBJECT.len() as u64).ok()?;
    let key = HEXLOWER.decode(cursor.take(32).ok()?).ok()?;
    let id = ActId(key.try_into().ok()?);
    cursor.take(PUT.len() as u64 + meta).ok()?;
    let value = cursor.take(length).ok()?;
    let act = act_of_bytes(value)?;
    (rest(id, &encoded(&act)?) == bytes).then_some((id, act))
}

fn encoded(act: &Act) -> Option<Vec<u8>> {
    minicbor::to_vec(act).ok()
}

/// Who acts where: what all acts of a person at a desk have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Desk {
    person: PersonId,
    role: Role,
    clock: ClockState,
    site: SiteId,
}

impl Desk {
    pub(super) fn of(act: &Act) -> Self {
        Self {
            person: act.person,
            role: act.role,
            clock: act.clock,
            site: act.site,
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Option<()> {
        out.extend(self.person.0);
        let common = minicbor::to_vec((self.role, self.clock)).ok()?;
        out.push(u8::try_from(common.len()).ok()?);
        out.extend(common);
        elide::unsigned(out, u64::from(self.site.0));
        Some(())
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let person = PersonId(cursor.take(8).ok()?.try_into().ok()?);
        let length = cursor.byte().ok()?;
        let common = cursor.take(u64::from(length)).ok()?;
        let (role, clock) = minicbor::decode(common).ok()?;
        let site = SiteId(u32::try_from(cursor.unsigned().ok()?).ok()?);
        Some(Self {
            person,
            role,
            clock,
            site,
        })
    }
}

/// Acts of the document before, where it is the other one of the same case, and of this one.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    case: Option<DocId>,
    sister: Vec<ActId>,
    own: Vec<ActId>,
}

impl Seen {
    /// The next document begins.
    pub(super) fn turn_to(&mut self, id: DocId) {
        let own = std::mem::take(&mut self.own);
        let same = self.case.is_some_and(|before| {
            before.case().is_some() && before.case() == id.case() && before != id
        });
        self.sister = if same { own } else { Vec::new() };
        self.case = Some(id);
    }

    /// A change of the document, by what [`elide::split`] calls its rest.
    pub(super) fn met(&mut self, rest: &[u8], actor: ActorId) {
        self.own.extend(elide::acts_in(rest, actor));
    }
}

/// Writes an act of a change made `at`: numbers to `said`, its body to `text`; the flags it needs.
pub(super) fn act_out(
    id: ActId,
    act: &Act,
    at: Millis,
    seen: &Seen,
    said: &mut Vec<u8>,
    text: &mut Vec<u8>,
) -> Option<u8> {
    let (wall, counter) = (id.wall(), id.counter());
    let mut flags = 0;
    if (wall, counter) != (at, 0) {
        flags |= ID;
        elide::signed(said, wall.0.wrapping_sub(at.0));
        elide::unsigned(said, u64::from(counter));
    }
    if act.at != at {
        flags |= MOMENT;
        elide::signed(said, act.at.0.wrapping_sub(at.0));
    }
    match act.saw {
        None => elide::unsigned(said, SAW_NONE),
        Some(saw) => match seen.sister.iter().rposition(|known| *known == saw) {
            Some(place) => elide::unsigned(said, SAW_BACK + (seen.sister.len() - 1 - place) as u64),
            None => {
                elide::unsigned(said, SAW_SAID);
                said.extend(saw.0);
            }
        },
    }
    text.extend(minicbor::to_vec(&act.body).ok()?);
    Some(flags)
}

/// The rest of the change that puts the next act, of that writer and time.
pub(super) fn act_in(
    flags: u8,
    desk: Desk,
    (actor, at): (ActorId, Millis),
    seen: &Seen,
    said: &mut Cursor<'_>,
    text: &mut Cursor<'_>,
) -> Option<Vec<u8>> {
    let (wall, counter) = if flags & ID > 0 {
        let wall = at.0.checked_add(said.signed().ok()?)?;
        (wall, u16::try_from(said.unsigned().ok()?).ok()?)
    } else {
        (at.0, 0)
    };
    if !(0..1 << 48).contains(&wall) {
        return None;
    }
    let moment = if flags & MOMENT > 0 {
        Millis(at.0.checked_add(said.signed().ok()?)?)
    } else {
        at
    };
    let saw = match said.unsigned().ok()? {
        SAW_NONE => None,
        SAW_SAID => Some(ActId(said.take(16).ok()?.try_into().ok()?)),
        back => {
            let back = usize::try_from(back - SAW_BACK).ok()?;
            let place = seen.sister.len().checked_sub(back.checked_add(1)?)?;
            Some(*seen.sister.get(place)?)
        }
    };
    let id = ActId::of(Millis(wall), counter, actor);
    let act = Act {
        person: desk.person,
        role: desk.role,
        at: moment,
        clock: desk.clock,
        saw,
        body: body(text)?,
        site: desk.site,
    };
    Some(rest(id, &encoded(&act)?))
}

/// The next item of these bytes, as what an act says.
fn body(text: &mut Cursor<'_>) -> Option<ActBody> {
    let mut decoder = minicbor::Decoder::new(text.0);
    decoder.skip().ok()?;
    let item = text.take(decoder.position() as u64).ok()?;
    codec::scan(item, limits::CBOR_DEPTH_MAX, limits::ACT_BYTES_MAX).ok()?;
    minicbor::decode(item).ok()
}
