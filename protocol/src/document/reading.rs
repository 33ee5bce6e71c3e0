//! A document as plain values, with who wrote what and who knew of what.

use std::collections::BTreeMap;

use automerge::{ObjId, ReadDoc, ScalarValue, ScalarValueRef, Value, ValueRef};
use data_encoding::HEXLOWER;

use super::{Doc, DocError, Graph, act_of_bytes, hash_in};
use crate::{
    act::Act,
    id::{ActId, ActorId, ChangeHash, DocId},
    text::Private,
    time::Millis,
};

/// All of one document.
#[derive(Debug, Clone)]
pub struct Reading {
    pub doc: DocId,
    /// In the order of their ids, which is the order of acts.
    pub acts: Vec<ReadAct>,
    pub fields: BTreeMap<String, ReadField>,
    /// Every change but the genesis: who wrote it, and when by the writer's clock.
    pub changes: BTreeMap<ChangeHash, (ActorId, Millis)>,
    graph: Graph,
}

/// One act and the change that carried it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadAct {
    pub id: ActId,
    pub act: Act,
    pub change: ChangeHash,
}

/// One field: one candidate, or several written without knowing of each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadField {
    /// Never empty; first the one automerge would show, the same on every node.
    pub candidates: Vec<FieldValue>,
}

/// One value somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValue {
    pub value: Private,
    pub writer: ActorId,
    pub change: ChangeHash,
}

impl Reading {
    /// Whether the writer of change `later` had `earlier` before it: causal order, which no
    /// clock can forge. A change does not know itself.
    pub fn knew(&self, later: ChangeHash, earlier: ChangeHash) -> bool {
        self.graph.knew(later, earlier)
    }

    /// Position of a change in the graph, for [`Reading::knew_at`].
    pub(crate) fn rank(&self, change: ChangeHash) -> Option<usize> {
        self.graph.rank(change)
    }

    /// As [`Reading::knew`], by positions.
    pub(crate) fn knew_at(&self, later: usize, earlier: usize) -> bool {
        self.graph.knew_at(later, earlier)
    }

    /// The act of that id.
    pub fn act(&self, id: ActId) -> Option<&ReadAct> {
        let at = self.acts.binary_search_by_key(&id, |a| a.id).ok()?;
        self.acts.get(at)
    }
}

/// Reads the whole document.
pub(super) fn read(doc: &Doc) -> Result<Reading, DocError> {
    let mut acts = Vec::new();
    for item in doc.am.map_range(&doc.acts, ..) {
        let id = HEXLOWER.decode(item.key.as_bytes()).ok();
        let id = id.and_then(|id| id.try_into().ok().map(ActId));
        let id = id.ok_or(DocError::Malformed)?;
        let ValueRef::Scalar(ScalarValueRef::Bytes(bytes)) = &item.value else {
            return Err(DocError::BadAct(id));
        };
        let act = act_of_bytes(bytes).ok_or(DocError::BadAct(id))?;
        let change = change_of(doc, &item.id())?;
        acts.push(ReadAct { id, act, change });
    }
    let mut fields = BTreeMap::new();
    for name in doc.am.keys(&doc.fields) {
        let all = doc.am.get_all(&doc.fields, name.as_str());
        let all = all.map_err(|_no_such_object| DocError::Malformed)?;
        let mut candidates = Vec::new();
        // `get_all` ends with the value `get` would give.
        for (value, at) in all.into_iter().rev() {
            candidates.push(candidate(doc, &value, &at)?);
        }
        fields.insert(name, ReadField { candidates });
    }
    let metas = doc.am.get_changes_meta(&[]);
    let mut changes = BTreeMap::new();
    let mut edges = Vec::new();
    for meta in &metas {
        let hash = hash_in(meta.hash);
        edges.push((hash, meta.deps.iter().copied().map(hash_in).collect()));
        let actor = actor_in(&meta.actor)?;
        if actor != super::GENESIS_ACTOR {
            changes.insert(hash, (actor, Millis(meta.timestamp)));
        }
    }
    acts.sort_by_key(|a| a.id);
    Ok(Reading {
        doc: doc.id,
        acts,
        fields,
        changes,
        graph: Graph::new(&edges),
    })
}

fn candidate(doc: &Doc, value: &Value<'_>, at: &ObjId) -> Result<FieldValue, DocError> {
    let Value::Scalar(scalar) = value else {
        return Err(DocError::Malformed);
    };
    let ScalarValue::Str(text) = scalar.as_ref() else {
        return Err(DocError::Malformed);
    };
    let ObjId::Id(_, actor, _) = at else {
        return Err(DocError::Malformed);
    };
    Ok(FieldValue {
        value: Private::new(text.to_string()),
        writer: actor_in(actor)?,
        change: change_of(doc, at)?,
    })
}

fn change_of(doc: &Doc, at: &ObjId) -> Result<ChangeHash, DocError> {
    let hash = doc.am.hash_for_opid(at);
    hash.map(hash_in).ok_or(DocError::Malformed)
}

fn actor_in(actor: &automerge::ActorId) -> Result<ActorId, DocError> {
    let bytes = actor.to_bytes().try_into();
    bytes.map(ActorId).map_err(|_length| DocError::Malformed)
}
