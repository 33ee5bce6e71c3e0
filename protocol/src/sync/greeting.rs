//! The first messages: versions, vectors, what each side lacks.

use std::collections::BTreeMap;

use crate::{
    control::ControlKey,
    limits,
    log::{LogHead, LogId},
    sync::{
        Agreed, Closing, Effect, Met, Opening, Role, Session, Violation,
        session::{Class, Phase},
        versions_hash, written,
    },
    wire::{Hello, Message, PACKS_SINCE, SKETCH_SINCE, Sighting, VERSION, Welcome},
};

impl Session {
    pub(super) fn connected(&mut self) {
        if self.phase != Phase::Fresh {
            return;
        }
        (self.began, self.heard) = (self.now, self.now);
        match self.role {
            Role::Caller => {
                self.phase = Phase::Opening;
                self.gather(Vec::new());
            }
            Role::Callee => self.phase = Phase::Greeting,
        }
    }

    pub(super) fn start(&mut self, mut opening: Opening) -> Result<(), Violation> {
        if self.phase != Phase::Opening {
            return Ok(());
        }
        // What was committed while the host gathered this counts too.
        let vector = self.shared_part(std::mem::take(&mut opening.vector));
        self.flow.hold(vector);
        self.vectors.versions = versions_hash(&opening.controls);
        match self.hello.take() {
            Some(hello) => self.answer(hello, opening),
            None => {
                self.call(opening);
                Ok(())
            }
        }
    }

    fn answer(&mut self, hello: Hello, opening: Opening) -> Result<(), Violation> {
        let same = |agreed: &Agreed| Some(agreed.name()) == hello.since;
        let base = opening.agreed.filter(same);
        let told = self.tell_vector(base.as_ref());
        let welcome = Welcome {
            version: VERSION,
            writer: self.me.writer,
            boot: self.me.boot,
            vector: told.vector.clone(),
            controls: opening.controls,
            time: self.now,
            receipts: self.fit(opening.receipts),
            product: self.me.product.clone(),
            since: told.since,
            parts: told.parts,
        };
        self.send(Class::First, Message::Welcome(welcome));
        self.tell_rest(told);
        self.refusals(opening.rejections);
        self.sign_again(&hello.lacking);
        let ask = hello.since.is_some() && base.is_none();
        self.hear_vector(hello.vector, hello.parts, base, ask, hello.controls)
    }

    fn call(&mut self, opening: Opening) {
        let mut lacking = opening.lacking;
        lacking.retain(|log| self.shared.contains(&log.scope));
        lacking.truncate(limits::LIST_MAX);
        let told = self.tell_vector(opening.agreed.as_ref());
        let hello = Hello {
            version: VERSION,
            writer: self.me.writer,
            boot: self.me.boot,
            vector: told.vector.clone(),
            controls: opening.controls,
            time: self.now,
            product: self.me.product.clone(),
            waiting: opening.waiting,
            lacking,
            since: told.since,
            parts: told.parts,
            snapshot: opening.snapshot,
        };
        self.send(Class::First, Message::Hello(hello));
        self.tell_rest(told);
        self.phase = Phase::Greeting;
        self.refusals(opening.rejections);
        self.carry_receipts(opening.receipts);
        self.pass_on(opening.sightings);
        if let Some(agreed) = opening.agreed {
            if self.packs && agreed.controls == self.vectors.versions {
                let receipted = self.shared_part(opening.receipted);
                self.flow
                    .presume(self.shared_part(agreed.vector.iter().copied()), receipted);
            }
            self.vectors.base = Some(agreed);
        }
    }

    pub(super) fn hello(&mut self, hello: Hello) -> Result<(), Violation> {
        if hello.version.major != VERSION.major {
            self.send(Class::First, Message::Upgrade(VERSION));
            self.close(Closing::Version(hello.version));
            return Ok(());
        }
        self.met(Met::of_caller(&hello))?;
        let mut lacking = hello.lacking.clone();
        lacking.retain(|log| self.shared.contains(&log.scope));
        self.phase = Phase::Opening;
        self.snap.offered.clone_from(&hello.snapshot);
        self.hello = Some(hello);
        self.gather(lacking);
        Ok(())
    }

    fn gather(&mut self, lacking: Vec<LogId>) {
        let scopes = self.shared.iter().copied().collect();
        self.effect(Effect::Open { scopes, lacking });
    }

    pub(super) fn welcome(&mut self, welcome: Welcome) -> Result<(), Violation> {
        if welcome.version.major != VERSION.major {
            self.close(Closing::Version(welcome.version));
            return Ok(());
        }
        self.met(Met::of_callee(&welcome))?;
        if !welcome.receipts.is_empty() {
            self.acknowledged(welcome.receipts);
        }
        let named = self.vectors.base.take();
        let base = match (welcome.since, named) {
            (Some(since), Some(base)) if base.name() == since => Some(base),
            (Some(_), _) => return Err(Violation::Malformed("WELCOME")),
            (None, Some(_)) => {
                self.tell_whole();
                None
            }
            (None, None) => None,
        };
        self.hear_vector(welcome.vector, welcome.parts, base, false, welcome.controls)
    }

    /// What was heard of nodes below goes up.
    pub(super) fn pass_on(&mut self, mut sightings: Vec<Sighting>) {
        if !self.peer.upstream || !self.has_greeted() {
            return;
        }
        sightings.retain(|s| s.node != self.peer.node && s.node != self.me.writer.node);
        for page in sightings.chunks(limits::LIST_MAX) {
            self.send(Class::Last, Message::Seen(page.to_vec()));
        }
    }

    fn met(&mut self, met: Met) -> Result<(), Violation> {
        if met.writer.node != self.peer.node {
            return Err(Violation::WrongNode);
        }
        self.packs = met.version.minor >= PACKS_SINCE;
        self.sketches = met.version.minor >= SKETCH_SINCE;
        self.met = Some(met);
        Ok(())
    }

    /// Both vectors are known.
    pub(super) fn open(
        &mut self,
        vector: &BTreeMap<LogId, LogHead>,
        controls: Vec<(ControlKey, u64)>,
    ) -> Result<(), Violation> {
        self.phase = Phase::Open;
        if let Some(met) = &mut self.met {
            let whole: Vec<_> = vector.iter().map(|(l, h)| (*l, *h)).collect();
            met.written = written(&whole, met.writer);
            let met = met.clone();
            self.effect(Effect::Met(met));
        }
        self.their_controls = controls;
        self.ask_controls();
        self.flow
            .learn(self.shared_part(vector.iter().map(|(l, h)| (*l, *h))));
        self.compare_vectors();
        self.own_again();
        self.consider_snapshot();
        while let Some(message) = self.early.pop_front() {
            self.message(message)?;
        }
        Ok(())
    }
}
