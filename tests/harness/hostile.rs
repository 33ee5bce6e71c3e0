//! A machine that holds the valid key of a village and does as it likes with it: no gate, no
//! policy, no session of its own. What it says goes to a real store through the real session
//! machine and the real bytes.

use automerge::{
    Automerge, ObjId, ROOT, ReadDoc as _,
    transaction::{CommitOptions, Transaction},
};
use cuntong_node::store::Linked;
use cuntong_protocol::{
    act::{Act, ActBody, Open, Receive},
    document::{Doc, Write},
    fields,
    id::{CaseId, ChangeHash, DocId, Kind, Scope, SiteId, Writer},
    log::{Batch, Entry, LogHead, LogId, Receipt, Rejection, Seal},
    policy,
    role::Role,
    sync::{Closing, Effect, Input, Me, Peer, Role as End, Session, host::perform},
    text::Private,
    time::{ClockState, HybridClock, Millis},
    wire::{Hello, Message, VERSION, codec},
};
use ed25519_dalek::SigningKey;

use crate::{county, world::World};

pub mod chunk;
pub mod line;

/// The machine.
#[derive(Debug)]
pub struct Hostile {
    pub site: SiteId,
    pub key: SigningKey,
    pub writer: Writer,
    pub at: Millis,
    clock: HybridClock,
    cases: u32,
}

/// A field with that value.
pub fn field(name: &str, value: &str) -> Write {
    Write::Field(name.to_owned(), Some(Private::new(value)))
}

impl Hostile {
    /// The machine of a site, gone bad.
    pub fn of(site: SiteId) -> Self {
        Self {
            site,
            key: county::node_key(site),
            writer: Writer {
                node: county::node_of(site),
                epoch: 1,
            },
            at: county::FOUNDED.after(7_200_000),
            clock: HybridClock::default(),
            cases: 0,
        }
    }

    /// Where its own documents of a kind live.
    pub const fn scope(&self, kind: Kind) -> Scope {
        Scope {
            kind,
            site: self.site,
        }
    }

    /// Its own log of a scope.
    pub const fn log(&self, scope: Scope) -> LogId {
        LogId {
            scope,
            writer: self.writer,
        }
    }

    /// A document id that is new.
    pub fn new_doc(&mut self, scope: Scope) -> DocId {
        self.cases += 1;
        let mut unique = [0xE0; 11];
        unique[7..].copy_from_slice(&self.cases.to_be_bytes());
        CaseId::new(scope.site, unique).doc(scope.kind)
    }

    /// An act as an honest desk of its site would write it.
    pub fn act(&mut self, body: ActBody) -> (cuntong_protocol::id::ActId, Act) {
        self.at = self.at.after(1_000);
        let id = self.clock.tick(self.at, self.writer.actor());
        let act = Act {
            person: county::person(self.site),
            role: Role::Agent,
            at: self.at,
            clock: ClockState::Ok,
            saw: None,
            site: self.site,
            body,
        };
        (id, act)
    }

    /// The acts and fields of a case as an honest desk begins it.
    pub fn opening(&mut self) -> Vec<Write> {
        let open = ActBody::Open(Open {
            item: "990010012000".into(),
            item_version: 1,
        });
        let receive = ActBody::Receive(Receive {
            number: "349901101203202603020001".into(),
            mandate: None,
            taken: None,
            duplicate_reason: None,
        });
        let mut writes = Vec::new();
        for body in [open, receive] {
            let (id, act) = self.act(body);
            writes.push(Write::Act(id, act));
        }
        writes.extend([
            field(fields::NAME, "买买提·吐尔逊"),
            field(fields::PHONE, "13800000000"),
        ]);
        writes
    }

    /// One more change of a document, as the document layer writes it.
    pub fn entry(&mut self, doc: &mut Doc, writes: &[Write]) -> Entry {
        self.at = self.at.after(1_000);
        let change = doc
            .write(self.writer.actor(), self.at, writes)
            .expect("a change");
        Entry {
            doc: doc.id(),
            hash: change.hash,
            body: Some(change.bytes),
        }
    }

    /// A change made with automerge itself, past all that the document layer checks; the closure
    /// gets the maps `acts` and `fields`.
    pub fn raw(
        &mut self,
        doc: &Doc,
        write: impl FnOnce(&mut Transaction<'_>, &ObjId, &ObjId),
    ) -> Entry {
        self.at = self.at.after(1_000);
        let mut am = Automerge::load(&doc.save()).expect("a document");
        am.set_actor(automerge::ActorId::from(self.writer.actor().0));
        let map = |am: &Automerge, name: &str| {
            let found = am.get(ROOT, name).expect("the root reads");
            found.expect("the layout's maps").1
        };
        let (acts, fields) = (map(&am, "acts"), map(&am, "fields"));
        let mut tx = am.transaction();
        write(&mut tx, &acts, &fields);
        let (hash, _) = tx.commit_with(CommitOptions::default().with_time(self.at.0));
        let hash = hash.expect("it wrote something");
        let change = am.get_change_by_hash(&hash).expect("just written");
        Entry {
            doc: doc.id(),
            hash: ChangeHash(hash.0),
            body: Some(change.raw_bytes().to_vec()),
        }
    }

    /// A case of its own, begun honestly, and its entry.
    pub fn case(&mut self) -> (Doc, Entry) {
        let id = self.new_doc(self.scope(Kind::Application));
        let mut doc = Doc::new(id);
        let writes = self.opening();
        let entry = self.entry(&mut doc, &writes);
        (doc, entry)
    }

    /// Entries of a log after `held`, sealed with its own key.
    pub fn batch(&self, log: LogId, held: LogHead, entries: Vec<Entry>) -> Batch {
        let head = head_of(held, &entries);
        Batch {
            log,
            first: held.seq + 1,
            entries,
            seal: Seal::sign(&log, head, self.at, &self.key),
        }
    }

    /// The same for its own log of applications.
    pub fn applications(&self, held: LogHead, entries: Vec<Entry>) -> Batch {
        self.batch(self.log(self.scope(Kind::Application)), held, entries)
    }

    /// Its greeting, with that vector.
    pub fn hello(&self, vector: Vec<(LogId, LogHead)>) -> Message {
        Message::Hello(Hello {
            version: VERSION,
            writer: self.writer,
            boot: [9; 8],
            vector,
            controls: Vec::new(),
            time: self.at,
            product: "0.1".into(),
            waiting: (0, 0),
            lacking: Vec::new(),
            since: None,
            parts: None,
            snapshot: None,
        })
    }
}

/// The head after these entries.
pub fn head_of(held: LogHead, entries: &[Entry]) -> LogHead {
    entries
        .iter()
        .fold(held, |head, e| head.after(e.doc, e.hash))
}

/// A call of the hostile machine at a machine of the world: the called session is real, the
/// caller is whoever says something.
#[derive(Debug)]
pub struct Call {
    at: usize,
    session: Session,
    peer: Peer,
    /// What the called node answered.
    pub heard: Vec<Message>,
    pub closed: Option<Closing>,
}

impl Call {
    /// Connects as that machine; its key is in the roster, so the link lets it through.
    pub fn of(world: &mut World, at: usize, caller: &Hostile) -> Self {
        let places = county::county().trust().places();
        let place = places.site(caller.site).expect("a known site");
        let peer = Peer {
            node: caller.writer.node,
            site: caller.site,
            level: place.level,
            upstream: false,
        };
        let site = world.machines[at].site;
        let me = Me {
            writer: world.db(at).identity().expect("it is enrolled").writer,
            boot: world.machines[at].boot,
            product: "test".into(),
        };
        let session = Session::new(
            End::Callee,
            me,
            peer.clone(),
            policy::scopes_read_by(places, site),
            &policy::scopes_read_by(places, caller.site),
        );
        let mut call = Self {
            at,
            session,
            peer,
            heard: Vec::new(),
            closed: None,
        };
        call.tell(world, Input::Connected);
        call
    }

    /// Says a message; what the called node answers is in `heard`. A message that does not decode
    /// ends the call, as on a link.
    pub fn say(&mut self, world: &mut World, message: &Message) {
        self.say_bytes(world, &codec::encode(message));
    }

    /// The same with bytes.
    pub fn say_bytes(&mut self, world: &mut World, bytes: &[u8]) {
        match codec::decode(bytes) {
            Ok(message) => self.tell(world, Input::Message(message)),
            Err(_refused) => self.tell(world, Input::Stop),
        }
    }

    /// Until when the called node waits, and for what.
    pub fn deadline(&self) -> Option<(Millis, &'static str)> {
        self.session.deadline()
    }

    /// How much the called node keeps of the call, measured by what its session shows of itself.
    pub fn weight(&self) -> usize {
        format!("{:?}", self.session).len()
    }

    fn tell(&mut self, world: &mut World, input: Input) {
        if self.closed.is_some() {
            return;
        }
        let now = world.clock(self.at);
        let _violation = self.session.handle(input, now);
        while let Some(effect) = self.session.poll() {
            if let Effect::Send(message) = &effect {
                let bytes = codec::encode(message);
                let sent = codec::decode(&bytes).expect("what a node sends decodes");
                self.heard.push(sent);
            } else if let Effect::Close(why) = effect {
                self.closed = Some(why);
            } else {
                let peer = self.peer.clone();
                let done = world.with(self.at, |db, now| {
                    perform(effect, &peer, &mut Linked::new(db, now))
                });
                let done = done.expect("no crash is planned here");
                for answer in done.answers {
                    let _violation = self.session.handle(answer, now);
                }
            }
        }
    }

    /// Every refusal heard, in order.
    pub fn refusals(&self) -> Vec<Rejection> {
        let nacks = self.heard.iter().filter_map(|m| {
            let Message::Nack(all) = m else { return None };
            Some(all.clone())
        });
        nacks.flatten().collect()
    }

    /// The codes of the refusals heard.
    pub fn rules(&self) -> Vec<String> {
        self.refusals().into_iter().map(|r| r.rule).collect()
    }

    /// Whether the called node said that the log forked.
    pub fn told_of_fork(&self) -> bool {
        self.heard.iter().any(|m| matches!(m, Message::Fork(_)))
    }

    /// Custody receipts heard.
    pub fn receipts(&self) -> Vec<&Receipt> {
        let acks = self.heard.iter().filter_map(|m| {
            let Message::Ack(all) = m else { return None };
            Some(all)
        });
        acks.flatten().collect()
    }
}
