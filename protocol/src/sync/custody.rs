//! Receipts and refusals: what was taken, what was not, and who must hear of it.

use std::collections::BTreeMap;

use crate::{
    id::Kind,
    limits,
    log::{LogHead, LogId, Receipt, Rejection},
    sync::{
        Effect, Session,
        flow::{at, raise},
        session::Class,
    },
    wire::Message,
};

impl Session {
    pub(super) fn acknowledge(&mut self, log: LogId, head: LogHead) {
        if head.seq > 0 {
            self.flow.unsigned.insert(log, head);
        }
        self.flow.unsigned_batches += 1;
    }

    /// Has receipts signed for logs the peer asked about: an acknowledgment was lost.
    pub(super) fn sign_again(&mut self, lacking: &[LogId]) {
        for log in lacking {
            if let Some(head) = self.flow.held.get(log) {
                self.flow.unsigned.insert(*log, *head);
            }
        }
    }

    /// Own entries that came back, from below, while the upstream had them all the time: nobody sends
    /// them on this line, so they are acknowledged unasked, and the upstream says its receipt again.
    pub(super) fn own_again(&mut self) {
        for log in std::mem::take(&mut self.flow.returned) {
            let held = at(&self.flow.held, &log);
            if at(&self.flow.known, &log).seq >= held.seq {
                self.acknowledge(log, held);
            }
        }
    }

    /// Has receipts signed when nothing is with the host, or half a window waits for them. One
    /// receipt per site: it may be carried to a node that must not hear of other sites.
    pub(super) fn sign_ready(&mut self) {
        let pressing = self.flow.unsigned_batches * 2 >= limits::WINDOW_BATCHES;
        if self.flow.admitting > 0 && !pressing {
            return;
        }
        self.flow.unsigned_batches = 0;
        let mut by_site: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (log, head) in std::mem::take(&mut self.flow.unsigned) {
            by_site.entry(log.scope.site).or_default().push((log, head));
        }
        for held in by_site.into_values() {
            self.flow.signing += 1;
            self.effect(Effect::Sign(held));
        }
    }

    pub(super) fn signed(&mut self, receipt: Receipt) {
        self.flow.signing = self.flow.signing.saturating_sub(1);
        self.send(Class::Acknowledge, Message::Ack(vec![receipt]));
    }

    pub(super) fn acknowledged(&mut self, receipts: Vec<Receipt>) {
        let mut lost = Vec::new();
        for receipt in &receipts {
            if receipt.holder != self.peer.node {
                continue;
            }
            for (log, head) in &receipt.held {
                // Of a log that is not here nothing was sent: lists of made-up names stay out.
                if !self.flow.held.contains_key(log) {
                    continue;
                }
                raise(&mut self.flow.known, *log, *head);
                self.flow
                    .flight
                    .retain(|(l, last)| l != log || *last > head.seq);
                // It got its own work back, or that of a machine before it: how far that went was told
                // to who had it then.
                if self.is_of_below(log) && *head == at(&self.flow.held, log) {
                    lost.push(*log);
                }
            }
        }
        if !lost.is_empty() {
            self.sign_again(&lost);
            self.effect(Effect::Carry(lost));
        }
        let receipts = self.fit(receipts);
        if !receipts.is_empty() {
            self.effect(Effect::Keep(receipts));
        }
    }

    /// Whether a log is written by the peer below, or at its site, or below that.
    fn is_of_below(&self, log: &LogId) -> bool {
        let own = log.writer.node == self.peer.node;
        let cases = log.scope.kind == Kind::Application && log.writer.node != self.me.writer.node;
        !self.peer.upstream && (own || cases)
    }

    /// Receipts about scopes both may read, no more than a message carries.
    pub(super) fn fit(&self, mut receipts: Vec<Receipt>) -> Vec<Receipt> {
        receipts.retain(|r| {
            r.held
                .iter()
                .all(|(log, _)| self.shared.contains(&log.scope))
        });
        receipts.truncate(limits::LIST_MAX);
        receipts
    }

    pub(super) fn refused(&mut self, mut rejections: Vec<Rejection>) {
        rejections.retain(|r| self.shared.contains(&r.log.scope));
        for rejection in &rejections {
            self.proofs.unprove(rejection.log.scope);
            if rejection.by == self.peer.node && rejection.is_whole() {
                self.flow.stall(rejection.log);
            }
        }
        if !rejections.is_empty() {
            self.effect(Effect::Reject(rejections));
        }
    }

    pub(super) fn refusals(&mut self, mut rejections: Vec<Rejection>) {
        rejections.retain(|r| self.mine.contains(&r.log.scope));
        for page in rejections.chunks(limits::LIST_MAX) {
            self.send(Class::First, Message::Nack(page.to_vec()));
        }
    }

    /// Receipts go down: the peer's own it has, and an upstream asks nobody below.
    pub(super) fn carry_receipts(&mut self, mut receipts: Vec<Receipt>) {
        if self.peer.upstream || !self.has_greeted() {
            return;
        }
        receipts.retain(|r| r.holder != self.peer.node);
        let receipts = self.fit(receipts);
        if !receipts.is_empty() {
            self.send(Class::Acknowledge, Message::Ack(receipts));
        }
    }

    /// Refusals of an upstream go down to those who may read the entries.
    pub(super) fn carry_rejections(&mut self, mut rejections: Vec<Rejection>) {
        for rejection in &rejections {
            self.proofs.unprove(rejection.log.scope);
        }
        if self.peer.upstream || !self.has_greeted() {
            return;
        }
        rejections.retain(|r| self.shared.contains(&r.log.scope) && r.by != self.peer.node);
        self.refusals(rejections);
    }
}
