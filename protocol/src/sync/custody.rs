//! Receipts and refusals: what was taken, what was not, and who must hear of it.

use std::collections::BTreeMap;

use crate::{
    limits,
    log::{LogHead, LogId, Receipt, Rejection},
    sync::{Effect, Session, flow::raise, session::Class},
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
                // It got its own work back: it lost its past, and our word about it as well.
                if log.writer.node == self.peer.node && !self.peer.upstream {
                    self.sign_again(&[*log]);
                }
            }
        }
        let receipts = self.fit(receipts);
        if !receipts.is_empty() {
            self.effect(Effect::Keep(receipts));
        }
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
