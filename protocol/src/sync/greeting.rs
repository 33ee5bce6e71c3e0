//! The first messages: versions, vectors, what each side lacks.

use crate::{
    control::ControlKey,
    limits,
    log::{LogHead, LogId},
    sync::{
        Closing, Effect, Met, Opening, Role, Session, Violation,
        session::{Class, Phase},
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
                self.effect(Effect::Open {
                    lacking: Vec::new(),
                });
            }
            Role::Callee => self.phase = Phase::Greeting,
        }
    }

    pub(super) fn start(&mut self, opening: Opening) -> Result<(), Violation> {
        if self.phase != Phase::Opening {
            return Ok(());
        }
        // What was committed while the host gathered this counts too.
        let vector = self.shared_part(&opening.vector);
        self.flow.hold(vector);
        let vector: Vec<_> = self.flow.held.iter().map(|(l, h)| (*l, *h)).collect();
        match (self.role, self.hello.take()) {
            (Role::Callee, Some(hello)) => {
                let welcome = Welcome {
                    version: VERSION,
                    writer: self.me.writer,
                    boot: self.me.boot,
                    vector,
                    controls: opening.controls,
                    time: self.now,
                    receipts: self.fit(opening.receipts),
                    product: self.me.product.clone(),
                };
                self.send(Class::First, Message::Welcome(welcome));
                self.refusals(opening.rejections);
                self.sign_again(&hello.lacking);
                self.open(&hello.vector, hello.controls)?;
            }
            (Role::Caller | Role::Callee, _) => {
                let mut lacking = opening.lacking;
                lacking.retain(|log| self.shared.contains(&log.scope));
                lacking.truncate(limits::LIST_MAX);
                let hello = Hello {
                    version: VERSION,
                    writer: self.me.writer,
                    boot: self.me.boot,
                    vector,
                    controls: opening.controls,
                    time: self.now,
                    product: self.me.product.clone(),
                    waiting: opening.waiting,
                    lacking,
                };
                self.send(Class::First, Message::Hello(hello));
                self.phase = Phase::Greeting;
                self.refusals(opening.rejections);
                self.carry_receipts(opening.receipts);
                self.pass_on(opening.sightings);
            }
        }
        Ok(())
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
        self.hello = Some(hello);
        self.effect(Effect::Open { lacking });
        Ok(())
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
        self.open(&welcome.vector, welcome.controls)
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
        self.their_boot = Some(met.boot);
        self.packs = met.version.minor >= PACKS_SINCE;
        self.sketches = met.version.minor >= SKETCH_SINCE;
        self.effect(Effect::Met(met));
        Ok(())
    }

    fn open(
        &mut self,
        vector: &[(LogId, LogHead)],
        controls: Vec<(ControlKey, u64)>,
    ) -> Result<(), Violation> {
        self.phase = Phase::Open;
        self.their_controls = controls;
        self.ask_controls();
        self.flow.known = self.shared_part(vector);
        self.compare_vectors();
        while let Some(message) = self.early.pop_front() {
            self.message(message)?;
        }
        Ok(())
    }
}
