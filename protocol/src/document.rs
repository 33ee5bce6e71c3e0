//! Documents: small automerge documents of acts and fields, one per case and side.
//!
//! Layout (`docs/formats/documents.md`): a root map with `v`, `doc`, `acts` and `fields`. An act
//! is one byte scalar under its id in hexadecimal, put once; a field is one string. The root and
//! its two maps are made by the *genesis*, a change that every node derives from the document id
//! alone: it is never logged nor sent, so a change taken out of one document cannot be applied
//! to another. One local write is one change, is one log entry.

use automerge::{
    Automerge, ObjId, ObjType, ROOT, ReadDoc, ScalarValue,
    transaction::{CommitOptions, Transactable},
};
use data_encoding::HEXLOWER;

use crate::{
    act::Act,
    id::{ActId, ActorId, ChangeHash, DocId},
    limits,
    text::{Private, shows},
    time::Millis,
};

mod facts;
mod genesis;
mod graph;
mod reading;
#[cfg(test)]
mod tests;

pub use facts::{ChangeFacts, act_of_bytes, change_facts};
pub use reading::{FieldValue, ReadAct, ReadField, Reading};

use graph::Graph;

/// Version of the layout, in every document's root.
pub const LAYOUT: u64 = 1;
/// The actor of the genesis, and of nothing else.
pub const GENESIS_ACTOR: ActorId = ActorId([0; 8]);

/// Why a document cannot be read or written. None of these carries content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocError {
    #[error("the document does not load: {0}")]
    Load(String),
    #[error("this is not document {0}")]
    OtherDocument(DocId),
    #[error("the change does not parse: {0}")]
    Parse(String),
    #[error("the change's checksum is wrong")]
    Checksum,
    #[error("the change needs {0}, which is not here")]
    MissingDep(ChangeHash),
    #[error("another change holds this actor's position {0}")]
    DuplicateSeq(u64),
    #[error("automerge refused the change: {0}")]
    Apply(String),
    #[error("change {0} is not in this document")]
    NoSuchChange(ChangeHash),
    #[error("act {0} cannot be read")]
    BadAct(ActId),
    #[error("the content is not acts and fields")]
    Malformed,
    #[error("act {0} names another writer or is there already")]
    WrongAct(ActId),
    #[error("nothing to write")]
    Empty,
    #[error("too large: {what}, at most {max} bytes")]
    TooLarge { what: &'static str, max: usize },
}

/// One thing to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    Act(ActId, Act),
    /// The new value of a field; `None` clears it.
    Field(String, Option<Private>),
}

/// One written change, ready for a log entry.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    pub hash: ChangeHash,
    /// The automerge change chunk, uncompressed; at most [`limits::CHANGE_BYTES_MAX`].
    pub bytes: Vec<u8>,
}

shows! { Change { hash } Doc { id } }

/// One change of a document, without what it wrote.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) hash: ChangeHash,
    pub(crate) actor: Vec<u8>,
    pub(crate) seq: u64,
    pub(crate) max_op: u64,
    pub(crate) deps: Vec<ChangeHash>,
}

/// One document in memory.
#[derive(Clone)]
pub struct Doc {
    id: DocId,
    am: Automerge,
    /// Object ids of the maps `acts` and `fields`.
    acts: ObjId,
    fields: ObjId,
}

impl Doc {
    /// An empty document: nothing but its genesis.
    pub fn new(id: DocId) -> Self {
        let mut am = Automerge::new().with_actor(actor_id(GENESIS_ACTOR));
        let mut tx = am.transaction();
        let put = (|| {
            tx.put(ROOT, "v", ScalarValue::Uint(LAYOUT))?;
            tx.put(ROOT, "doc", ScalarValue::Bytes(id.0.to_vec()))?;
            let acts = tx.put_object(ROOT, "acts", ObjType::Map)?;
            let fields = tx.put_object(ROOT, "fields", ObjType::Map)?;
            Ok::<_, automerge::AutomergeError>((acts, fields))
        })();
        let (acts, fields) = put.expect("invariant: four new keys of the root of a new document");
        let _made = tx.commit_with(CommitOptions::default().with_time(0));
        Self {
            id,
            am,
            acts,
            fields,
        }
    }

    /// Loads what [`Doc::save`] gave; automerge verifies the hashes of all changes.
    ///
    /// # Errors
    /// Bytes that do not load, or hold another document than `id`.
    pub fn load(id: DocId, snapshot: &[u8]) -> Result<Self, DocError> {
        let am = Automerge::load(snapshot).map_err(|e| DocError::Load(e.to_string()))?;
        let root = Self::genesis(id);
        if am.get_change_meta_by_hash(&hash_out(root)).is_none() {
            return Err(DocError::OtherDocument(id));
        }
        let map = |name| match am.get(ROOT, name) {
            Ok(Some((value, object))) if value.is_object() => Ok(object),
            Ok(_) | Err(_) => Err(DocError::Malformed),
        };
        Ok(Self {
            id,
            acts: map("acts")?,
            fields: map("fields")?,
            am,
        })
    }

    /// The whole document, compact. Two nodes with equal [`Doc::heads`] hold the same history, but
    /// not always the same bytes: these also depend on the order of arrival.
    pub fn save(&self) -> Vec<u8> {
        self.am.save_with_options(automerge::SaveOptions {
            deflate: true,
            retain_orphans: false,
        })
    }

    /// The hash of the change that every document of that id begins with.
    pub fn genesis(id: DocId) -> ChangeHash {
        genesis::hash(id)
    }

    pub fn id(&self) -> DocId {
        self.id
    }

    /// Hashes of the changes nothing in the document is later than; sorted.
    pub fn heads(&self) -> Vec<ChangeHash> {
        self.am.get_heads().into_iter().map(hash_in).collect()
    }

    /// Whether the change is in the document.
    pub fn has(&self, change: ChangeHash) -> bool {
        self.am.get_change_meta_by_hash(&hash_out(change)).is_some()
    }

    /// Whether an act of that id is in the document.
    pub fn has_act(&self, act: ActId) -> bool {
        matches!(self.am.get(&self.acts, act_key(act)), Ok(Some(_)))
    }

    /// How many acts are in the document.
    pub(crate) fn act_count(&self) -> usize {
        self.am.length(&self.acts)
    }

    /// How many changes that actor has in the document: its next `seq` is one more.
    pub fn seq_of(&self, actor: ActorId) -> u64 {
        let actor = actor_id(actor);
        let metas = self.am.get_changes_meta(&[]);
        let own = metas.iter().filter(|m| *m.actor == actor);
        own.map(|m| m.seq).max().unwrap_or(0)
    }

    /// Every change in the document, the genesis too: what the gate holds a new one against.
    pub(crate) fn history(&self) -> Vec<Known> {
        let metas = self.am.get_changes_meta(&[]);
        let known = metas.into_iter().map(|m| Known {
            hash: hash_in(m.hash),
            actor: m.actor.to_bytes().to_vec(),
            seq: m.seq,
            max_op: m.max_op,
            deps: m.deps.into_iter().map(hash_in).collect(),
        });
        known.collect()
    }

    /// The bytes of a change, as they would be sent.
    pub(crate) fn change_bytes(&self, change: ChangeHash) -> Option<Vec<u8>> {
        let found = self.am.get_change_by_hash(&hash_out(change))?;
        Some(found.raw_bytes().to_vec())
    }

    /// A throw-away twin.
    #[must_use]
    pub fn fork(&self) -> Self {
        self.clone()
    }

    /// Writes exactly one change by `actor`; on error the document is as it was.
    ///
    /// # Errors
    /// Nothing to write; an act of another writer or one that exists; anything over its limit.
    pub fn write(
        &mut self,
        actor: ActorId,
        at: Millis,
        writes: &[Write],
    ) -> Result<Change, DocError> {
        if writes.is_empty() {
            return Err(DocError::Empty);
        }
        let mut am = self.am.clone().with_actor(actor_id(actor));
        let mut tx = am.transaction();
        for write in writes {
            match write {
                Write::Act(id, act) => {
                    if id.actor() != actor || !matches!(tx.get(&self.acts, act_key(*id)), Ok(None))
                    {
                        return Err(DocError::WrongAct(*id));
                    }
                    let bytes = encode(act)?;
                    tx.put(&self.acts, act_key(*id), ScalarValue::Bytes(bytes))
                        .map_err(apply)?;
                }
                Write::Field(name, value) => {
                    check(name.len(), "field name", limits::FIELD_NAME_BYTES_MAX)?;
                    match value {
                        Some(value) => {
                            let text = value.reveal();
                            check(text.len(), "field", limits::FIELD_BYTES_MAX)?;
                            tx.put(&self.fields, name.as_str(), text).map_err(apply)?;
                        }
                        // Deleting what is not there is no operation.
                        None => tx.delete(&self.fields, name.as_str()).map_err(apply)?,
                    }
                }
            }
        }
        let (hash, _) = tx.commit_with(CommitOptions::default().with_time(at.0));
        let hash = hash.ok_or(DocError::Empty)?;
        let change = am.get_change_by_hash(&hash).ok_or(DocError::Malformed)?;
        let bytes = change.raw_bytes().to_vec();
        check(bytes.len(), "change", limits::CHANGE_BYTES_MAX)?;
        self.am = am;
        Ok(Change {
            hash: hash_in(hash),
            bytes,
        })
    }

    /// Takes in a change that passed the gate. A change that is here already is no error.
    ///
    /// # Errors
    /// Anything but one intact, uncompressed change chunk whose dependencies are all here.
    pub fn apply(&mut self, change: &[u8]) -> Result<ChangeHash, DocError> {
        let parsed = parse(change)?;
        let hash = hash_in(parsed.hash());
        if self.has(hash) {
            return Ok(hash);
        }
        for dep in parsed.deps() {
            if self.am.get_change_meta_by_hash(dep).is_none() {
                return Err(DocError::MissingDep(hash_in(*dep)));
            }
        }
        let seq = parsed.seq();
        self.am.apply_changes([parsed]).map_err(|e| {
            if matches!(e, automerge::AutomergeError::DuplicateSeqNumber(..)) {
                DocError::DuplicateSeq(seq)
            } else {
                apply(e)
            }
        })?;
        if self.has(hash) {
            Ok(hash)
        } else {
            Err(DocError::Apply("queued".to_owned()))
        }
    }

    /// A document made again from its changes. They may come in any order in which each change's
    /// dependencies come at some time: what waits is tried again.
    ///
    /// # Errors
    /// A change that does not apply, or whose dependencies never come.
    pub fn rebuild<'a>(
        id: DocId,
        changes: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, DocError> {
        let mut doc = Self::new(id);
        let mut waiting: Vec<&[u8]> = changes.into_iter().collect();
        loop {
            let before = waiting.len();
            let mut missing = None;
            let mut later = Vec::new();
            for change in waiting {
                match doc.apply(change) {
                    Ok(_) => {}
                    Err(DocError::MissingDep(dep)) => {
                        missing = Some(dep);
                        later.push(change);
                    }
                    Err(other) => return Err(other),
                }
            }
            match missing {
                None => return Ok(doc),
                Some(dep) if later.len() == before => return Err(DocError::MissingDep(dep)),
                Some(_) => waiting = later,
            }
        }
    }

    /// All changes but the genesis, each after what it depends on.
    pub fn changes(&self) -> Vec<Change> {
        let all = self.am.get_changes(&[]);
        all.iter()
            .filter(|c| c.actor_id() != &actor_id(GENESIS_ACTOR))
            .map(|c| Change {
                hash: hash_in(c.hash()),
                bytes: c.raw_bytes().to_vec(),
            })
            .collect()
    }

    /// What one change wrote, to write it again under another writer.
    ///
    /// # Errors
    /// No such change, or one that is not acts and fields.
    pub fn writes_of(&self, change: ChangeHash) -> Result<Vec<Write>, DocError> {
        let found = self.am.get_change_by_hash(&hash_out(change));
        let found = found.ok_or(DocError::NoSuchChange(change))?;
        change_facts(found.raw_bytes())?.writes()
    }

    /// The document as values.
    ///
    /// # Errors
    /// Content that is not acts and fields; the gate lets none in.
    pub fn reading(&self) -> Result<Reading, DocError> {
        reading::read(self)
    }
}

/// An act as its bytes in a document.
fn encode(act: &Act) -> Result<Vec<u8>, DocError> {
    let bytes = minicbor::to_vec(act).map_err(|_infallible| DocError::Malformed)?;
    check(bytes.len(), "act", limits::ACT_BYTES_MAX)?;
    Ok(bytes)
}

/// Parses one uncompressed change chunk and checks that nothing of it changed on the way:
/// automerge itself does not compare the chunk's checksum.
fn parse(bytes: &[u8]) -> Result<automerge::Change, DocError> {
    check(bytes.len(), "change", limits::CHANGE_BYTES_MAX)?;
    let change = automerge::Change::try_from(bytes).map_err(|_content| {
        // The message may quote content.
        DocError::Parse("not one change chunk".to_owned())
    })?;
    let checksum = bytes.get(4..8);
    if checksum != Some(&change.hash().0[..4]) || change.raw_bytes() != bytes {
        return Err(DocError::Checksum);
    }
    Ok(change)
}

fn check(len: usize, what: &'static str, max: usize) -> Result<(), DocError> {
    if len > max {
        return Err(DocError::TooLarge { what, max });
    }
    Ok(())
}

/// Messages of automerge may quote content (an invalid value): only the kind is kept.
fn error_kind(e: &automerge::AutomergeError) -> String {
    let all = format!("{e:?}");
    all.chars().take_while(char::is_ascii_alphabetic).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "the shape map_err wants")]
fn apply(e: automerge::AutomergeError) -> DocError {
    DocError::Apply(error_kind(&e))
}

/// Key of an act in the map `acts`.
fn act_key(id: ActId) -> String {
    HEXLOWER.encode(&id.0)
}

fn actor_id(actor: ActorId) -> automerge::ActorId {
    automerge::ActorId::from(actor.0)
}

fn hash_in(hash: automerge::ChangeHash) -> ChangeHash {
    ChangeHash(hash.0)
}

fn hash_out(hash: ChangeHash) -> automerge::ChangeHash {
    automerge::ChangeHash(hash.0)
}
