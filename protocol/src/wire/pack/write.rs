//! Batches into packs.

use super::*;

/// The five sections of a pack.
#[derive(Default)]
struct Sections {
    places: Vec<u8>,
    shapes: Vec<u8>,
    times: Vec<u8>,
    said: Vec<u8>,
    text: Vec<u8>,
}

/// Elides a batch. Every history can be packed: what does not fit goes raw.
///
/// # Errors
/// The shelf's.
pub fn pack<S: Shelf>(batch: &Batch, shelf: &S) -> Result<Pack, S::Error> {
    pack_given(batch, shelf, None)
}

/// The same for a receiver that was given documents before their logs: changes that were here by
/// `given` are left out.
///
/// # Errors
/// The shelf's.
pub fn pack_given<S: Shelf>(
    batch: &Batch,
    shelf: &S,
    given: Option<Millis>,
) -> Result<Pack, S::Error> {
    let mut packer = Packer {
        run: Run::new(shelf, batch.log, batch.first),
        given,
        logs: Vec::new(),
        out: Sections::default(),
        at: batch.seal.at,
    };
    for entry in &batch.entries {
        packer.entry(entry)?;
    }
    let mut bytes = Vec::new();
    elide::unsigned(&mut bytes, batch.entries.len() as u64);
    elide::unsigned(&mut bytes, packer.logs.len() as u64);
    for (kind, writer) in &packer.logs {
        bytes.push(kind.code());
        bytes.extend(writer.node.0);
        elide::unsigned(&mut bytes, u64::from(writer.epoch));
    }
    let out = packer.out;
    for section in [out.places, out.shapes, out.times, out.said, out.text] {
        elide::unsigned(&mut bytes, section.len() as u64);
        bytes.extend(section);
    }
    Ok(Pack {
        log: batch.log,
        first: batch.first,
        at: batch.seal.at,
        signature: batch.seal.signature,
        bytes,
    })
}

struct Packer<'a, S> {
    run: Run<'a, S>,
    given: Option<Millis>,
    /// Other logs of the site that are referred to.
    logs: Vec<(Kind, Writer)>,
    out: Sections,
    /// Time of the elided change before.
    at: Millis,
}

impl<S: Shelf> Packer<'_, S> {
    fn entry(&mut self, entry: &Entry) -> Result<(), S::Error> {
        let (doc, hash) = (entry.doc, entry.hash);
        let last = self.run.last(doc)?;
        let own = match last {
            Some(seq) => self.run.entry(self.run.log, seq)?,
            None => None,
        };
        let mut known = None;
        if let Some(body) = &entry.body {
            known = Known::of_chunk(body).filter(|known| known.hash == hash);
            if let Some(known) = known
                && self.was_given(last.is_some(), own, &known)?
            {
                self.name_given(doc, last)?;
                self.run.first_met(doc, last.is_some());
                self.run.push(Shelved {
                    doc,
                    hash,
                    known: Some(known),
                });
                return Ok(());
            }
            let parts = elide::split(body).filter(|parts| parts.actor == self.actor());
            let elided = match parts {
                Some(parts) if known.is_some() => self.elide(doc, last, own, &parts, body)?,
                Some(_) | None => false,
            };
            if !elided {
                let follows = elide::hash(body) == Some(hash);
                let flags = if follows { RAW } else { RAW | WITHHELD };
                self.name(flags, doc, last, None)?;
                if !follows {
                    self.out.places.extend(hash.0);
                }
                elide::unsigned(&mut self.out.text, body.len() as u64);
                self.out.text.extend(body);
            }
        } else {
            self.name(WITHHELD, doc, last, None)?;
            self.out.places.extend(hash.0);
        }
        self.run.first_met(doc, last.is_some());
        self.run.push(Shelved { doc, hash, known });
        Ok(())
    }

    /// Whether the receiver has the change with its document, and can tell which it is.
    fn was_given(&self, met: bool, own: Option<Shelved>, known: &Known) -> Result<bool, S::Error> {
        let Some(given) = self.given else {
            return Ok(false);
        };
        let before = own.and_then(|own| own.known).map(|own| own.seq);
        if met && before.is_none() || before.unwrap_or(0) + 1 != known.seq {
            return Ok(false);
        }
        let here = self.run.here();
        let received = self.run.shelf.received(self.run.log, here)?;
        Ok(received.is_some_and(|at| at <= given))
    }

    /// Flags and name of a document whose change is left out.
    fn name_given(&mut self, doc: DocId, last: Option<u64>) -> Result<(), S::Error> {
        if last.is_none()
            && let Some(newest) = self.run.newest
            && let Some(steps) = self.run.shelf.steps(newest, doc, STEPS_MAX)?
        {
            self.out.places.push(GIVEN | STEPS);
            elide::signed(&mut self.out.places, steps);
            return Ok(());
        }
        self.name(GIVEN, doc, last, None)
    }

    fn actor(&self) -> ActorId {
        self.run.log.writer.actor()
    }

    /// Writes a change in its short form; false, and nothing written, when it has none.
    fn elide(
        &mut self,
        doc: DocId,
        last: Option<u64>,
        own: Option<Shelved>,
        parts: &Parts<'_>,
        body: &[u8],
    ) -> Result<bool, S::Error> {
        let own = own.and_then(|own| own.known);
        if last.is_some() && own.is_none() {
            return Ok(false);
        }
        if elide::join(parts).is_none_or(|(_, chunk)| chunk != body) {
            return Ok(false);
        }
        let expected = own.unwrap_or_else(|| genesis(doc));
        let mut flags = 0;
        let mut said = Vec::new();
        let mut deps = vec![expected];
        if parts.deps != [expected.hash] {
            flags |= DEPS;
            deps.clear();
            elide::unsigned(&mut said, parts.deps.len() as u64);
            for dep in &parts.deps {
                deps.extend(self.dep(doc, *dep, &mut said)?);
            }
        }
        if numbers(own.as_ref(), &deps) != Some((parts.seq, parts.start_op)) {
            flags |= NUMBERS;
            elide::unsigned(&mut said, parts.seq);
            elide::unsigned(&mut said, parts.start_op);
        }
        self.name(flags, doc, last, Some(parts.at))?;
        self.out.places.extend(said);
        let since = parts.at.0.wrapping_sub(self.at.0);
        elide::signed(&mut self.out.times, since);
        self.at = parts.at;
        let (shapes, numbers) = (&mut self.out.shapes, &mut self.out.said);
        let text = &mut self.out.text;
        elide::cut(parts.rest, parts.actor, parts.at, shapes, numbers, text);
        Ok(true)
    }

    /// Says one dependency; its facts, when the receiver will have them.
    fn dep(
        &mut self,
        doc: DocId,
        dep: ChangeHash,
        said: &mut Vec<u8>,
    ) -> Result<Option<Known>, S::Error> {
        let genesis = genesis(doc);
        if genesis.hash == dep {
            elide::unsigned(said, DEP_GENESIS);
            return Ok(Some(genesis));
        }
        let inner = self.run.entries.iter().rposition(|entry| entry.hash == dep);
        let place = match inner {
            Some(index) => Some((self.run.log, self.run.first + index as u64)),
            None => self.run.shelf.find(doc, dep)?,
        };
        // A position of this very log that is not before this one would be a lie of the store.
        let place = place.filter(|(log, seq)| *log != self.run.log || *seq < self.run.here());
        let found = match place {
            Some((log, seq)) => self.run.entry(log, seq)?.map(|found| (log, seq, found)),
            None => None,
        };
        if let Some((log, seq, Shelved { hash, known, .. })) = found
            && hash == dep
            && let Some(which) = self.log(log)
        {
            elide::unsigned(said, which);
            elide::unsigned(said, seq);
            return Ok(known);
        }
        elide::unsigned(said, DEP_HASH);
        said.extend(dep.0);
        Ok(None)
    }

    /// Number of a log of this site among those referred to.
    fn log(&mut self, log: LogId) -> Option<u64> {
        if log == self.run.log {
            return Some(DEP_OWN);
        }
        if log.scope.site != self.run.log.scope.site {
            return None;
        }
        let key = (log.scope.kind, log.writer);
        let index = match self.logs.iter().position(|known| *known == key) {
            Some(index) => index,
            None if self.logs.len() >= limits::LIST_MAX => return None,
            None => {
                self.logs.push(key);
                self.logs.len() - 1
            }
        };
        Some(DEP_OTHER + index as u64)
    }

    /// Writes flags and name of a document; `at` is the time of its change where that is said.
    fn name(
        &mut self,
        flags: u8,
        doc: DocId,
        last: Option<u64>,
        at: Option<Millis>,
    ) -> Result<(), S::Error> {
        if let Some(last) = last {
            self.out.places.push(flags | NAME_BACK);
            elide::unsigned(&mut self.out.places, self.run.here() - last);
            return Ok(());
        }
        if let Some((which, seq)) = self.met(doc)? {
            self.out.places.push(flags | NAME_OTHER);
            elide::unsigned(&mut self.out.places, which);
            elide::unsigned(&mut self.out.places, seq);
            return Ok(());
        }
        let unique = &doc.0[5..];
        let made = unique[..6].iter().fold(0, |n, b| n << 8 | i64::from(*b));
        if let Some(at) = at
            && let Some(since) = made.checked_sub(at.0)
            && since.unsigned_abs() < 1 << 32
        {
            self.out.places.push(flags | NAME_FRESH);
            elide::signed(&mut self.out.places, since);
            self.out.places.extend(&unique[6..]);
        } else {
            self.out.places.push(flags | NAME_NEW);
            self.out.places.extend(unique);
        }
        Ok(())
    }

    /// Another log that spoke of the document, or of its sister, and where.
    fn met(&mut self, doc: DocId) -> Result<Option<(u64, u64)>, S::Error> {
        let sister = match (Kind::from_code(doc.0[0]), doc.case()) {
            (Some(Kind::Application), Some(case)) => Some(case.doc(Kind::Handling)),
            (Some(Kind::Handling), Some(case)) => Some(case.doc(Kind::Application)),
            (_, _) => None,
        };
        for doc in [Some(doc), sister].into_iter().flatten() {
            if let Some((log, seq)) = self.run.shelf.any(doc)?
                && log != self.run.log
                && let Some(which) = self.log(log)
            {
                return Ok(Some((which, seq)));
            }
        }
        Ok(None)
    }
}
