//! What a bundle says: gathered from a store, and taken into another.

use std::collections::{BTreeMap, BTreeSet};

use cuntong_protocol::{
    id::Scope,
    limits,
    log::{Batch, LogHead, LogId, Rejection},
    sync::{
        Effect, Input, Met, Peer,
        host::{Records as _, Replica as _, perform},
    },
    time::Millis,
    wire::{Fork, Hello, Message, VERSION},
};
use serde::Serialize;

use crate::{
    news::{News, Teller},
    store::{Linked, Result},
};

/// Everything to be said but the entries, and where each log goes on.
#[derive(Debug)]
pub struct Plan {
    first: Vec<Message>,
    logs: Vec<(LogId, u64)>,
    /// Entries it will say.
    pub entries: u64,
    /// Entries this node wrote that the peer may read.
    pub written: u64,
}

/// What became of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// When it was made, by the sender's clock.
    pub made_at: Millis,
    /// Entries new to this node.
    pub taken: u64,
    /// Entries that were here already.
    pub known: u64,
    /// Entries not admitted; the sender hears of them in the next bundle.
    pub refused: u64,
    /// Entries that continue something not here yet: an earlier bundle is missing.
    pub early: u64,
    /// Receipts that said something new.
    pub receipts: u64,
    /// Refusals of earlier entries that were heard.
    pub refusals: u64,
    /// Attached files new to this node.
    pub files: u64,
    /// Attached files whose bytes were not what their case names.
    pub files_refused: u64,
    /// Attached files there was no room for.
    pub files_left: u64,
    #[serde(skip)]
    shared: BTreeSet<Scope>,
}

impl Account {
    /// For the person who brought it.
    pub fn zh(&self) -> String {
        let mut words = format!(
            "新记录 {} 条，已有 {} 条，回单 {} 份",
            self.taken, self.known, self.receipts
        );
        if self.files > 0 {
            words += &format!("，附件 {} 个", self.files);
        }
        if self.files_refused > 0 {
            words += &format!("；{} 个附件与指纹不符，未收", self.files_refused);
        }
        if self.files_left > 0 {
            words += &format!("；{} 个附件因空间不足未收", self.files_left);
        }
        if self.refused > 0 {
            words += &format!("；{} 条未收", self.refused);
        }
        if self.early > 0 {
            words += &format!("；{} 条缺少更早的数据包，请先收取早先的一份", self.early);
        }
        words
    }

    /// Of a bundle between two nodes that may read these scopes.
    pub fn new(made_at: Millis, mine: &[Scope], theirs: &[Scope]) -> Self {
        Self {
            made_at,
            taken: 0,
            known: 0,
            refused: 0,
            early: 0,
            receipts: 0,
            refusals: 0,
            files: 0,
            files_refused: 0,
            files_left: 0,
            shared: shared(mine, theirs),
        }
    }
}

/// What both may read.
pub(super) fn shared(mine: &[Scope], theirs: &[Scope]) -> BTreeSet<Scope> {
    let theirs: BTreeSet<_> = theirs.iter().collect();
    mine.iter()
        .filter(|s| theirs.contains(s))
        .copied()
        .collect()
}

/// Gathers what `peer` should hear: what its receipts do not cover.
///
/// # Errors
/// A failing disk.
pub fn plan(
    store: &mut Linked<'_>,
    peer: &Peer,
    mine: &[Scope],
    theirs: &[Scope],
    product: String,
) -> Result<Plan> {
    let shared = shared(mine, theirs);
    let scopes: Vec<_> = shared.iter().copied().collect();
    let opening = store.open(peer, &scopes, &[])?;
    let mut vector = opening.vector;
    vector.retain(|(_, head)| head.seq > 0);
    let logs: Vec<LogId> = vector.iter().map(|(log, _)| *log).collect();
    let has = store.db.receipted_by(peer.node)?;
    let identity = store.db.identity()?;
    let own = |(log, _): &&(LogId, LogHead)| log.writer.node == identity.node;
    let written = vector.iter().filter(own).map(|(_, head)| head.seq).sum();
    let mut on = Vec::new();
    let mut entries = 0;
    for (log, head) in &vector {
        let theirs = has.get(log).copied().unwrap_or(LogHead::START);
        // A head that is not on the branch held here: the vector above shows the fork.
        let known = theirs.seq == 0 || store.db.head_at(log, theirs.seq)? == Some(theirs);
        if known && theirs.seq < head.seq {
            on.push((*log, theirs.seq));
            entries += head.seq - theirs.seq;
        }
    }
    on.sort_by_key(|(log, _)| (log.scope.kind.turn(), *log));
    let mut first = vec![Message::Hello(Hello {
        version: VERSION,
        writer: identity.writer,
        boot: [0; 8],
        vector,
        controls: opening.controls,
        time: store.now,
        product,
        waiting: opening.waiting,
        lacking: Vec::new(),
        since: None,
        parts: None,
        snapshot: None,
    })];
    let controls = store.db.give_controls(peer, &[])?;
    first.extend(controls.into_iter().map(Message::Ctrl));
    let mut receipts = store.receipts_for(&logs)?;
    receipts.retain(|r| r.held.iter().all(|(log, _)| shared.contains(&log.scope)));
    first.extend(pages(&receipts).map(Message::Ack));
    let mut rejections = opening.rejections;
    rejections.retain(|r| shared.contains(&r.log.scope));
    first.extend(pages(&rejections).map(Message::Nack));
    if peer.upstream {
        first.extend(pages(&opening.sightings).map(Message::Seen));
    }
    Ok(Plan {
        first,
        logs: on,
        entries,
        written,
    })
}

/// Says a plan, batch by batch; returns the entries said.
///
/// # Errors
/// Those of `batch` and `say`.
pub fn outgoing<E>(
    plan: Plan,
    batch: impl Fn(LogId, u64) -> std::result::Result<Option<Batch>, E>,
    mut say: impl FnMut(&Message) -> std::result::Result<(), E>,
) -> std::result::Result<u64, E> {
    for message in &plan.first {
        say(message)?;
    }
    let mut entries = 0;
    for (log, mut after) in plan.logs {
        while let Some(next) = batch(log, after)? {
            after = next.last();
            entries += next.entries.len() as u64;
            say(&Message::Push(next))?;
        }
    }
    Ok(entries)
}

fn pages<T: Clone>(list: &[T]) -> impl Iterator<Item = Vec<T>> {
    list.chunks(limits::LIST_MAX).map(<[T]>::to_vec)
}

/// Takes in one message; returns what other sessions must hear.
///
/// # Errors
/// A failing or full disk: what was taken before stays, and the bundle can be taken in again.
pub fn take(
    store: &mut Linked<'_>,
    peer: &Peer,
    message: Message,
    account: &mut Account,
) -> Result<Vec<Input>> {
    match message {
        Message::Hello(hello) => greeted(store, peer, &hello, account),
        Message::Ctrl(bytes) => done(store, peer, Effect::TakeControl(bytes)),
        Message::Ack(mut receipts) => {
            receipts.retain(|r| {
                r.held
                    .iter()
                    .all(|(l, _)| account.shared.contains(&l.scope))
            });
            let news = done(store, peer, Effect::Keep(receipts))?;
            for input in &news {
                if let Input::Receipts(new) = input {
                    account.receipts += new.len() as u64;
                }
            }
            Ok(news)
        }
        Message::Nack(mut rejections) => {
            rejections.retain(|r| account.shared.contains(&r.log.scope));
            let news = done(store, peer, Effect::Reject(rejections))?;
            for input in &news {
                if let Input::Rejections(new) = input {
                    account.refusals += new.len() as u64;
                }
            }
            Ok(news)
        }
        Message::Push(batch) => pushed(store, peer, batch, account),
        Message::Seen(sightings) if !peer.upstream => done(store, peer, Effect::Seen(sightings)),
        // Answers and questions: nobody is there to hear.
        Message::Seen(_)
        | Message::Welcome(_)
        | Message::Snap(_)
        | Message::Proof(_)
        | Message::Heads(_)
        | Message::Want(_)
        | Message::Busy(_)
        | Message::Fork(_)
        | Message::Upgrade(_)
        | Message::Pack(_)
        | Message::Vector(_)
        | Message::Whole(_)
        | Message::Sketch(_) => Ok(Vec::new()),
    }
}

fn done(store: &mut Linked<'_>, peer: &Peer, effect: Effect) -> Result<Vec<Input>> {
    Ok(perform(effect, peer, store)?.news)
}

/// What the sender holds shows whether this node's past was lost; below, that it was seen.
fn greeted(
    store: &mut Linked<'_>,
    peer: &Peer,
    hello: &Hello,
    account: &Account,
) -> Result<Vec<Input>> {
    let mut news = Vec::new();
    // A difference to something means nothing here.
    if hello.writer.node != peer.node || hello.since.is_some() {
        return Ok(news);
    }
    let holds: BTreeMap<LogId, LogHead> = hello.vector.iter().copied().collect();
    let mut lost = store.db.receipted_by(peer.node)?;
    lost.retain(|log, head| {
        account.shared.contains(&log.scope) && holds.get(log).is_none_or(|held| held.seq < head.seq)
    });
    store
        .db
        .forget_receipts(peer.node, lost.keys(), account.made_at)?;
    if peer.upstream {
        let own = store.db.identity()?.writer;
        let mut fork = None;
        for (log, theirs) in &hello.vector {
            let mine = store.db.log_head(log)?;
            let other = theirs.seq > mine.seq
                || store
                    .db
                    .head_at(log, theirs.seq)?
                    .is_some_and(|m| m != *theirs);
            if log.writer == own && other {
                fork = Some((*log, *theirs));
            }
        }
        if let Some((log, held)) = fork {
            let by = peer.node;
            let fork = Fork {
                log,
                held,
                by,
                seal: None,
            };
            news.extend(done(store, peer, Effect::BeginEpoch(fork))?);
        }
        return Ok(news);
    }
    let at = account.made_at.min(store.now);
    if let Some(sighting) = store.introduced(peer, &Met::of_caller(hello), at, None)? {
        news.push(Input::Seen(vec![sighting]));
    }
    Ok(news)
}

fn pushed(
    store: &mut Linked<'_>,
    peer: &Peer,
    batch: Batch,
    account: &mut Account,
) -> Result<Vec<Input>> {
    let (log, count) = (batch.log, batch.entries.len() as u64);
    let whole = batch.first > 0 && count > 0 && batch.last() + 1 - batch.first == count;
    if !account.shared.contains(&log.scope) || !whole {
        account.refused += count;
        return Ok(Vec::new());
    }
    let before = store.db.log_head(&log)?;
    if batch.first > before.seq + 1 {
        account.early += count;
        return Ok(Vec::new());
    }
    let mut done = perform(Effect::Admit(batch), peer, store)?;
    let Some(Input::Admitted(admission)) = done.answers.pop() else {
        return Ok(done.news);
    };
    if admission.rejections.iter().any(Rejection::is_whole) {
        account.refused += count;
    } else {
        // The log goes past what was refused: it is not here all the same.
        let fresh = admission.head.seq.saturating_sub(before.seq);
        let refused = admission.rejections.len() as u64;
        account.taken += fresh.saturating_sub(refused);
        account.refused += refused;
        account.known += count.saturating_sub(fresh);
    }
    if let Some(fork) = admission.fork {
        let own = log.writer.node == store.db.identity()?.node;
        if own || (peer.upstream && log.writer.node != peer.node) {
            let effect = if own {
                Effect::BeginEpoch(fork)
            } else {
                Effect::Forked(fork)
            };
            done.news.extend(perform(effect, peer, store)?.news);
        }
    }
    Ok(done.news)
}

/// Has the sessions of a running node hear what a bundle brought.
pub(super) fn tell(news: &News, mut inputs: Vec<Input>) {
    // What became durable is told by the store itself, whoever wrote it.
    inputs.retain(|input| !matches!(input, Input::Committed(_)));
    news.tell(Teller::DESK, inputs);
}
