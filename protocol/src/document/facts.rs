//! What a change does, read off its bytes alone: what the gate judges before the change touches
//! any document.

use automerge::{
    ScalarValue,
    legacy::{Key, ObjectId, OpId, OpType},
};
use data_encoding::HEXLOWER;

use super::{DocError, GENESIS_ACTOR, Write, actor_id, hash_in, parse};
use crate::{
    act::Act,
    id::{ActId, ActorId, ChangeHash},
    limits,
    text::{Private, shows},
    time::Millis,
};

/// Operation numbers of the two maps in every genesis.
const ACTS_OP: u64 = 3;
const FIELDS_OP: u64 = 4;

/// One change, as facts.
#[derive(Clone, PartialEq, Eq)]
pub struct ChangeFacts {
    pub hash: ChangeHash,
    pub actor: ActorId,
    pub seq: u64,
    /// Time the writer gave the change.
    pub at: Millis,
    pub deps: Vec<ChangeHash>,
    /// Acts put under keys the writer saw empty, with their undecoded bytes.
    pub acts: Vec<(ActId, Vec<u8>)>,
    /// Fields put, or cleared (`None`).
    pub fields: Vec<(String, Option<Private>)>,
    /// Anything else: other keys, objects, lists, marks, counters, an act overwritten or
    /// deleted, a message, an author or trailing bytes. No honest node writes such a change.
    pub other: bool,
}

shows! { ChangeFacts { hash, actor, seq, at, deps, other } }

impl ChangeFacts {
    /// The same as writes.
    ///
    /// # Errors
    /// A change with anything but acts and fields, or an act that cannot be read.
    pub fn writes(&self) -> Result<Vec<Write>, DocError> {
        if self.other {
            return Err(DocError::Malformed);
        }
        let mut writes = Vec::new();
        for (id, bytes) in &self.acts {
            let act = act_of_bytes(bytes).ok_or(DocError::BadAct(*id))?;
            writes.push(Write::Act(*id, act));
        }
        for (name, value) in &self.fields {
            writes.push(Write::Field(name.clone(), value.clone()));
        }
        Ok(writes)
    }
}

/// The act in these bytes; none when they are too many, not an act, or more than one.
pub fn act_of_bytes(bytes: &[u8]) -> Option<Act> {
    if bytes.len() > limits::ACT_BYTES_MAX {
        return None;
    }
    let mut decoder = minicbor::Decoder::new(bytes);
    let act = decoder.decode().ok()?;
    (decoder.position() == bytes.len()).then_some(act)
}

/// Reads a change without any document.
///
/// The structure is automerge's to parse, and automerge panics on some hostile changes: a caller
/// that holds foreign bytes runs this within `catch_unwind`, after its own structural pre-scan.
///
/// # Errors
/// Bytes that are not one intact, uncompressed change chunk within its limit.
pub fn change_facts(bytes: &[u8]) -> Result<ChangeFacts, DocError> {
    let change = parse(bytes)?;
    let actor: [u8; 8] = change
        .actor_id()
        .to_bytes()
        .try_into()
        .map_err(|_length| DocError::Malformed)?;
    let mut facts = ChangeFacts {
        hash: hash_in(change.hash()),
        actor: ActorId(actor),
        seq: change.seq(),
        at: Millis(change.timestamp()),
        deps: change.deps().iter().copied().map(hash_in).collect(),
        acts: Vec::new(),
        fields: Vec::new(),
        other: change.message().is_some()
            || !change.extra_bytes().is_empty()
            || change.is_empty()
            || change.len() as u64 > limits::CHANGE_OPS_MAX,
    };
    if facts.other {
        return Ok(facts);
    }
    for op in change.decode().operations {
        facts.other |= !note(&mut facts, op);
    }
    Ok(facts)
}

/// Notes one operation; false when it is neither a new act nor a field.
fn note(facts: &mut ChangeFacts, op: automerge::legacy::Op) -> bool {
    let genesis = actor_id(GENESIS_ACTOR);
    let (Key::Map(key), ObjectId::Id(OpId(object, maker)), false) = (&op.key, &op.obj, op.insert)
    else {
        return false;
    };
    if *maker != genesis {
        return false;
    }
    match (*object, op.action) {
        (ACTS_OP, OpType::Put(ScalarValue::Bytes(bytes))) => {
            let id = HEXLOWER.decode(key.as_bytes()).ok();
            let Some(Ok(id)) = id.map(TryInto::try_into) else {
                return false;
            };
            let new = op.pred.is_empty() && facts.acts.iter().all(|(a, _)| a.0 != id);
            facts.acts.push((ActId(id), bytes));
            new
        }
        (FIELDS_OP, OpType::Put(ScalarValue::Str(text))) => {
            let value = Private::new(text.to_string());
            facts.fields.push((key.to_string(), Some(value)));
            true
        }
        (FIELDS_OP, OpType::Delete) => {
            facts.fields.push((key.to_string(), None));
            true
        }
        _ => false,
    }
}
