//! Batches on the line: as packs to a peer that reads them, whole where a pack does not serve.

use crate::{
    id::Kind,
    log::{Batch, Rejection},
    sync::{
        Effect, Session, Unpacked, Violation,
        flow::{at, raise},
        session::Class,
    },
    wire::{
        Message, Whole,
        pack::{Pack, There},
    },
};

const fn class(kind: Kind) -> Class {
    match kind {
        Kind::Handling => Class::Results,
        Kind::Application => Class::Cases,
        Kind::Notice => Class::Notices,
    }
}

impl Session {
    /// Sends a batch: as a pack where the peer reads packs and the batch continues what it holds.
    pub(super) fn say(&mut self, batch: Batch, continues: bool) {
        if continues && self.packs {
            let site = batch.log.scope.site;
            let others = self.flow.held.keys().filter(|l| l.scope.site == site);
            let there = There {
                logs: others.map(|l| (*l, self.flow.reached(l).seq)).collect(),
                given: self.snap.given,
            };
            self.effect(Effect::Pack(batch, there));
        } else {
            self.send(class(batch.log.scope.kind), Message::Push(batch));
        }
    }

    pub(super) fn packed(&mut self, pack: Pack) {
        if self.shared.contains(&pack.log.scope) {
            self.send(class(pack.log.scope.kind), Message::Pack(pack));
        }
    }

    pub(super) fn pack_came(&mut self, pack: Pack) -> Result<(), Violation> {
        if pack.first == 0 {
            return Err(Violation::Malformed("PACK"));
        }
        if !self.mine.contains(&pack.log.scope) {
            self.refuse_scope(pack.log, pack.first);
            return Ok(());
        }
        if self.flow.stalled.contains(&pack.log) {
            return Ok(());
        }
        self.flow.room()?;
        self.flow.unpacking += 1;
        self.effect(Effect::Unpack(pack));
        Ok(())
    }

    pub(super) fn unpacked(&mut self, unpacked: Unpacked) -> Result<(), Violation> {
        self.flow.unpacking = self.flow.unpacking.saturating_sub(1);
        match unpacked {
            Unpacked::Batch(batch) => self.pushed(batch),
            Unpacked::Held(log, head) => {
                self.acknowledge(log, head);
                Ok(())
            }
            Unpacked::Ask(whole) => {
                self.send(Class::Acknowledge, Message::Whole(whole));
                Ok(())
            }
            Unpacked::Garbled => Err(Violation::Malformed("PACK")),
        }
    }

    /// The peer could not make a batch of a pack that was sent.
    pub(super) fn whole_wanted(&mut self, whole: Whole) {
        let sent = at(&self.flow.sent, &whole.log).seq;
        if self.shared.contains(&whole.log.scope) && (1..=sent).contains(&whole.first) {
            self.effect(Effect::ReadWhole(whole));
        }
    }

    pub(super) fn whole_read(&mut self, batch: Option<Batch>) {
        let Some(batch) = batch.filter(|b| self.shared.contains(&b.log.scope)) else {
            return;
        };
        // More may have been sealed since: then the batch reaches further than the pack did.
        if raise(&mut self.flow.sent, batch.log, batch.seal.head) {
            self.flow.flight.push((batch.log, batch.last()));
        }
        self.say(batch, false);
    }

    pub(super) fn refuse_scope(&mut self, log: crate::log::LogId, first: u64) {
        let refusal = Rejection::whole(
            log,
            first,
            "G001",
            "本节点不收存该范围的记录",
            self.me.writer.node,
        );
        self.send(Class::First, Message::Nack(vec![refusal]));
    }
}
