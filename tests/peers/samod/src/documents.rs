//! The workload's files as automerge documents, and documents laid into samod's storage.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use automerge::{
    ActorId, Automerge, AutomergeError, ObjId, ObjType, ROOT, ReadDoc as _, ScalarValue,
    transaction::{CommitOptions, Transactable, Transaction},
};
use futures::future::join_all;
use samod::{
    DocumentId,
    storage::{Storage as _, StorageKey, TokioFilesystemStorage},
};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use crate::Res;

/// The document that lists the others; both ends are configured with its id.
const INDEX: &str = "00000000000000000000000000000001";
/// The index's only field.
const CASES: &str = "cases";
/// How many documents are written side by side.
const AT_ONCE: usize = 256;

/// Fields and what they are set to.
pub type Fields = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Case {
    id: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    by: String,
    set: Fields,
}

/// A line of `up.jsonl` or `down.jsonl`.
#[derive(Deserialize)]
pub struct Change {
    pub id: String,
    pub new: bool,
    pub set: Fields,
}

/// The lines of one of the workload's files, one after the other.
pub fn lines<T: DeserializeOwned>(path: &Path) -> Res<impl Iterator<Item = Res<T>>> {
    let file = BufReader::new(File::open(path)?);
    Ok(file.lines().map(|line| Ok(serde_json::from_str(&line?)?)))
}

/// A case's id is its document's.
pub fn document_id(case: &str) -> Res<DocumentId> {
    Ok(DocumentId::try_from(hex::decode(case)?)?)
}

pub fn index_id() -> Res<DocumentId> {
    document_id(INDEX)
}

fn actor_of(side: &str) -> ActorId {
    ActorId::from(&Sha256::digest(side.as_bytes())[..16])
}

fn transact(
    doc: &mut Automerge,
    change: impl FnOnce(&mut Transaction<'_>) -> Result<(), AutomergeError>,
) -> Res<()> {
    doc.transact_with(|()| CommitOptions::default(), |tx| change(tx))
        .map_err(|failure| failure.error)?;
    Ok(())
}

/// Values are short and replaced whole, so they are strings, not texts edited by letter.
pub fn assign(doc: &mut Automerge, set: &Fields) -> Res<()> {
    transact(doc, |tx| {
        set.iter()
            .try_for_each(|(field, value)| tx.put(ROOT, field, value.as_str()))
    })
}

/// The fields of a case.
pub fn state_of(doc: &Automerge) -> Fields {
    doc.map_range(ROOT, ..)
        .filter_map(|item| {
            Some((
                item.key.to_string(),
                item.value.into_value().as_str()?.to_owned(),
            ))
        })
        .collect()
}

/// A case with its history: each step a change by the actor of its side.
fn history(steps: &[Step]) -> Res<Automerge> {
    let mut doc = Automerge::new();
    for step in steps {
        doc.set_actor(actor_of(&step.by));
        assign(&mut doc, &step.set)?;
    }
    Ok(doc)
}

/// The list in the index, and how many it lists.
fn list_of(doc: &Automerge) -> Res<(ObjId, usize)> {
    let (_, list) = doc.get(ROOT, CASES)?.ok_or("the index has no list")?;
    let length = doc.length(&list);
    Ok((list, length))
}

/// The documents that the index lists.
pub fn listed(doc: &Automerge) -> Res<Vec<DocumentId>> {
    let (list, _) = list_of(doc)?;
    doc.list_range(&list, ..)
        .map(|item| {
            let value = item.value.into_value();
            let bytes = value
                .as_bytes()
                .ok_or("the index lists something else than ids")?;
            Ok(DocumentId::try_from(bytes.to_vec())?)
        })
        .collect()
}

/// Adds cases to the index.
pub fn enlist(doc: &mut Automerge, ids: &[DocumentId]) -> Res<()> {
    let (list, length) = list_of(doc)?;
    transact(doc, |tx| {
        ids.iter().enumerate().try_for_each(|(i, id)| {
            tx.insert(
                &list,
                length + i,
                ScalarValue::Bytes(id.as_bytes().to_vec()),
            )
        })
    })
}

/// Lays a document into a store when awaited, under the key by which samod would have saved it: the
/// library itself names a new document at random.
pub fn lay(
    storage: &TokioFilesystemStorage,
    id: &DocumentId,
    doc: &Automerge,
) -> Res<impl Future<Output = ()> + use<>> {
    let mut heads = Sha256::new();
    doc.get_heads()
        .iter()
        .for_each(|head| heads.update(head.as_ref()));
    let parts = [
        id.to_string(),
        "snapshot".to_owned(),
        hex::encode(heads.finalize()),
    ];
    let key = StorageKey::from_parts(parts).map_err(|_| "not a key")?;
    let (storage, bytes) = (storage.clone(), doc.save());
    Ok(async move { storage.put(key, bytes).await })
}

/// Lays the workload's documents, and the index, into the store of every folder.
pub async fn fill(work: &Path, folders: &[String]) -> Res<()> {
    let stores: Vec<_> = folders.iter().map(TokioFilesystemStorage::new).collect();
    let mut ids = Vec::new();
    let mut open = Vec::new();
    for case in lines::<Case>(&work.join("initial.jsonl"))? {
        let case = case?;
        let (id, doc) = (document_id(&case.id)?, history(&case.steps)?);
        for store in &stores {
            open.push(lay(store, &id, &doc)?);
        }
        if open.len() >= AT_ONCE {
            join_all(open.drain(..)).await;
        }
        ids.push(id);
    }
    join_all(open).await;
    let mut index = Automerge::new().with_actor(actor_of("hub"));
    transact(&mut index, |tx| {
        tx.put_object(ROOT, CASES, ObjType::List).map(|_| ())
    })?;
    enlist(&mut index, &ids)?;
    for store in &stores {
        lay(store, &index_id()?, &index)?.await;
    }
    Ok(())
}
