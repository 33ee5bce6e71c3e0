//! Two branches of one log: whose stands, and who must hear of it.
//!
//! The upstream's branch stands, except of the upstream's own log: then it is its past that was
//! lost. A writer begins a new epoch when a node above says so, or any node shows the writer's
//! own seal on the other branch.

use crate::{
    id::Chain,
    log::{LogHead, LogId, Seal},
    sync::{Effect, Session, flow::at, session::Class},
    wire::{Fork, Message},
};

impl Session {
    /// Forks that two vectors show, and own logs that are longer elsewhere.
    pub(super) fn compare_vectors(&mut self) {
        let known: Vec<_> = self.flow.known.iter().map(|(l, h)| (*l, *h)).collect();
        for (log, theirs) in known {
            let mine = at(&self.flow.held, &log);
            if mine.seq == theirs.seq && mine.chain != theirs.chain {
                self.ask_for_proof(log, theirs);
            } else if log.writer == self.me.writer && theirs.seq > mine.seq && self.peer.upstream {
                // From below it takes more than a word: the entries themselves, which come, or a
                // seal. The host begins an epoch when it admits entries of its present one.
                self.meet_fork(theirs_of(self, log, theirs));
            }
        }
    }

    /// Two branches of one log: `mine` here with the writer's seal on it, `theirs` there.
    pub(super) fn forked(
        &mut self,
        log: LogId,
        mine: LogHead,
        theirs: LogHead,
        seal: Option<Seal>,
    ) {
        self.flow.stall(log);
        let of_peer = log.writer.node == self.peer.node;
        if self.peer.upstream && !of_peer {
            self.meet_fork(theirs_of(self, log, theirs));
        }
        // Both sides leave the log alone then. To its writer this is proof, to a node below the
        // word of its upstream; of a writer to a node below it asks for proof.
        if self.flow.forks_told.insert(log) {
            let own = log.writer.node == self.me.writer.node;
            let told = Fork {
                log,
                held: mine,
                by: self.me.writer.node,
                seal: if own { None } else { seal },
            };
            self.report.again = true;
            self.send(Class::First, Message::Fork(told));
        }
    }

    pub(super) fn told_of_fork(&mut self, fork: Fork) {
        let log = fork.log;
        if !self.shared.contains(&log.scope) || fork.by != self.peer.node {
            return;
        }
        self.flow.stall(log);
        self.report.again = true;
        let own = log.writer.node == self.me.writer.node;
        if log.writer.node == self.peer.node {
            // The writer asks for proof of the branch held here: no head there is on it.
            let mine = at(&self.flow.held, &log);
            let chain = if fork.held.chain == mine.chain {
                Chain([0xff; 32])
            } else {
                fork.held.chain
            };
            self.ask_for_proof(log, LogHead { chain, ..mine });
        } else if self.peer.upstream || (own && fork.seal.is_some()) {
            self.meet_fork(fork);
        }
    }

    fn meet_fork(&mut self, fork: Fork) {
        if !self.flow.forks_met.insert(fork.log) {
            return;
        }
        self.report.again = true;
        self.effect(if fork.log.writer.node == self.me.writer.node {
            Effect::BeginEpoch(fork)
        } else {
            Effect::Forked(fork)
        });
    }
}

fn theirs_of(session: &Session, log: LogId, held: LogHead) -> Fork {
    Fork {
        log,
        held,
        by: session.peer.node,
        seal: None,
    }
}
