//! Packs back into batches.

use super::*;

/// The batch a pack is of. `before` is the head its log had here where the pack begins, `sign_key`
/// its writer's key in the roster. An entry that is here already may come without its change. What comes out has its seal verified, so that it is byte for byte what the writer
/// sealed; what it may do is the gate's to judge, as of every batch.
///
/// Bounded: the work by the bytes that are there, what is built by a batch's limits.
///
/// # Errors
/// [`UnpackError`]; see [`UnpackError::is_cured_by_whole`].
pub fn unpack<S: Shelf>(
    pack: &Pack,
    before: LogHead,
    sign_key: &[u8; 32],
    shelf: &S,
) -> Result<Batch, UnpackError<S::Error>> {
    if before.seq.checked_add(1) != Some(pack.first) {
        return Err(UnpackError::Position);
    }
    if pack.bytes.len() > limits::PACK_BYTES_MAX {
        return Err(UnpackError::Structure("too many bytes"));
    }
    let mut unpacker = Unpacker::new(pack, shelf).ok_or(UnpackError::Structure("sections"))?;
    let mut entries = Vec::new();
    let mut head = before;
    let mut bytes = 0;
    for _entry in 0..unpacker.count {
        let entry = unpacker.entry()?;
        head = head.after(entry.doc, entry.hash);
        bytes += entry.body.as_ref().map_or(0, Vec::len);
        if bytes > limits::BATCH_BYTES_MAX {
            return Err(UnpackError::Structure("more bytes than a batch may have"));
        }
        entries.push(entry);
    }
    if !unpacker.is_done() {
        return Err(UnpackError::Structure("bytes after the end"));
    }
    let seal = Seal {
        head,
        at: pack.at,
        signature: pack.signature,
    };
    if !seal.verify(&pack.log, sign_key) {
        return Err(UnpackError::Mismatch);
    }
    Ok(Batch {
        log: pack.log,
        first: pack.first,
        entries,
        seal,
    })
}

struct Unpacker<'a, S> {
    run: Run<'a, S>,
    count: u64,
    logs: Vec<LogId>,
    places: Cursor<'a>,
    shapes: Cursor<'a>,
    times: Cursor<'a>,
    said: Cursor<'a>,
    text: Cursor<'a>,
    at: Millis,
    actor: ActorId,
}

impl<'a, S: Shelf> Unpacker<'a, S> {
    fn new(pack: &'a Pack, shelf: &'a S) -> Option<Self> {
        let mut cursor = Cursor(&pack.bytes);
        let count = cursor.unsigned().ok()?;
        let others = cursor.unsigned().ok()?;
        let most = (limits::BATCH_ENTRIES_MAX as u64, limits::LIST_MAX as u64);
        if count == 0 || count > most.0 || others > most.1 {
            return None;
        }
        pack.first.checked_add(count)?;
        let mut logs = Vec::new();
        for _log in 0..others {
            logs.push(log(&mut cursor, pack.log.scope)?);
        }
        let mut section = || cursor.section().ok();
        let (places, shapes, times) = (section()?, section()?, section()?);
        let (said, text) = (section()?, section()?);
        cursor.is_done().then(|| Self {
            run: Run::new(shelf, pack.log, pack.first),
            count,
            logs,
            places,
            shapes,
            times,
            said,
            text,
            at: pack.at,
            actor: pack.log.writer.actor(),
        })
    }

    fn is_done(&self) -> bool {
        let sections = [self.places, self.shapes, self.times, self.said, self.text];
        sections.iter().all(Cursor::is_done)
    }

    fn entry(&mut self) -> Result<Entry, UnpackError<S::Error>> {
        let flags = self.places.byte().map_err(|_end| short())?;
        if flags & GIVEN > 0 {
            return self.given(flags);
        }
        let elided = flags & (RAW | WITHHELD) == 0;
        // The time stands in another section and may be part of the name.
        let at = if elided {
            let since = self.times.signed().map_err(|_end| short())?;
            Some(Millis(self.at.0.wrapping_add(since)))
        } else {
            None
        };
        let (doc, own) = self.name(flags & NAME, at)?;
        let (hash, body) = if let Some(at) = at {
            self.at = at;
            let (hash, chunk) = self.elided(flags, doc, own, at)?;
            (hash, Some(chunk))
        } else {
            let said = (flags & WITHHELD > 0).then(|| self.hash()).transpose()?;
            let body = (flags & RAW > 0).then(|| self.raw()).transpose()?;
            let hash = said.or_else(|| body.as_deref().and_then(elide::hash));
            (hash.ok_or_else(short)?, body)
        };
        let known = body.as_deref().and_then(Known::of_chunk);
        self.run.first_met(doc, flags & NAME == NAME_BACK);
        self.run.push(Shelved { doc, hash, known });
        Ok(Entry { doc, hash, body })
    }

    /// An entry whose change came before, with its document.
    fn given(&mut self, flags: u8) -> Result<Entry, UnpackError<S::Error>> {
        let (doc, own) = if flags & STEPS > 0 {
            let steps = self.places.signed().map_err(|_end| short())?;
            let newest = self.run.newest.ok_or(UnpackError::Structure("a name"))?;
            if steps.unsigned_abs() > u64::from(STEPS_MAX) {
                return Err(UnpackError::Structure("a name"));
            }
            let found = self.run.shelf.beside(newest, steps);
            let doc = found.map_err(UnpackError::Shelf)?;
            (doc.ok_or(UnpackError::Unknown)?, None)
        } else {
            self.name(flags & NAME, None)?
        };
        let before = match own {
            Some(own) => own.known.ok_or(UnpackError::Unknown)?.seq,
            None => 0,
        };
        let given = self.run.shelf.given(doc, self.run.log.writer, before + 1);
        let given = given.map_err(UnpackError::Shelf)?;
        let (shelved, body) = match given {
            Some((hash, body)) => {
                let known = Known::of_chunk(&body);
                (Shelved { doc, hash, known }, Some(body))
            }
            // It waits for its entry no more: another node brought that.
            None => (self.came_since(doc)?, None),
        };
        self.run.first_met(doc, own.is_some());
        self.run.push(shelved);
        Ok(Entry {
            doc,
            hash: shelved.hash,
            body,
        })
    }

    /// The entry that stands here already where the next one of the pack is to stand.
    fn came_since(&self, doc: DocId) -> Result<Shelved, UnpackError<S::Error>> {
        let held = self.run.shelf.entry(self.run.log, self.run.here());
        let held = held.map_err(UnpackError::Shelf)?;
        held.filter(|held| held.doc == doc)
            .ok_or(UnpackError::Unknown)
    }

    fn raw(&mut self) -> Result<Vec<u8>, UnpackError<S::Error>> {
        let length = self.text.unsigned().map_err(|_end| short())?;
        let body = self.text.take(length).map_err(|_end| short())?;
        Ok(body.to_vec())
    }

    fn hash(&mut self) -> Result<ChangeHash, UnpackError<S::Error>> {
        let hash = self.places.take(32).ok().and_then(|h| h.try_into().ok());
        hash.map(ChangeHash).ok_or_else(short)
    }

    /// The document of an entry, and the writer's last entry about it.
    fn name(
        &mut self,
        name: u8,
        at: Option<Millis>,
    ) -> Result<(DocId, Option<Shelved>), UnpackError<S::Error>> {
        let scope = self.run.log.scope;
        if name == NAME_BACK {
            let back = self.number()?;
            let seq = self.run.here().checked_sub(back);
            let seq = seq.filter(|seq| *seq > 0 && back > 0);
            let seq = seq.ok_or(UnpackError::Structure("a name"))?;
            let found = self.shelved(self.run.log, seq)?;
            return Ok((found.doc, Some(found)));
        }
        if name == NAME_OTHER {
            let log = self.number()?;
            let log = self.log(log)?;
            let seq = self.number()?;
            let found = self.shelved(log, seq)?;
            let case = found.doc.case();
            let doc = match case {
                Some(case) => case.doc(scope.kind),
                None => found.doc,
            };
            return if doc.scope() == Some(scope) {
                Ok((doc, None))
            } else {
                Err(UnpackError::Unknown)
            };
        }
        let mut unique = [0; 11];
        let short = |_short| UnpackError::Structure("a name");
        if name == NAME_NEW {
            unique.copy_from_slice(self.places.take(11).map_err(short)?);
        } else {
            let since = self.places.signed().map_err(short)?;
            let made = at.and_then(|at| at.0.checked_add(since));
            let made = made.filter(|made| *made >> 48 == 0);
            let made = made.ok_or(UnpackError::Structure("a name"))?;
            unique[..6].copy_from_slice(&made.to_be_bytes()[2..]);
            unique[6..].copy_from_slice(self.places.take(5).map_err(short)?);
        }
        Ok((DocId::new(scope, unique), None))
    }

    fn number(&mut self) -> Result<u64, UnpackError<S::Error>> {
        let number = self.places.unsigned();
        number.map_err(|_short| UnpackError::Structure("a number"))
    }

    fn log(&self, which: u64) -> Result<LogId, UnpackError<S::Error>> {
        if which == DEP_OWN {
            return Ok(self.run.log);
        }
        let index = which.checked_sub(DEP_OTHER);
        let index = index.and_then(|index| usize::try_from(index).ok());
        let log = index.and_then(|index| self.logs.get(index));
        log.copied().ok_or(UnpackError::Structure("a log"))
    }

    fn shelved(&self, log: LogId, seq: u64) -> Result<Shelved, UnpackError<S::Error>> {
        let found = self.run.entry(log, seq).map_err(UnpackError::Shelf)?;
        found.ok_or(UnpackError::Unknown)
    }

    fn elided(
        &mut self,
        flags: u8,
        doc: DocId,
        own: Option<Shelved>,
        at: Millis,
    ) -> Result<(ChangeHash, Vec<u8>), UnpackError<S::Error>> {
        let own = match own {
            Some(own) => Some(own.known.ok_or(UnpackError::Unknown)?),
            None => None,
        };
        let mut hashes = Vec::new();
        let mut deps = Vec::new();
        if flags & DEPS == 0 {
            let dep = own.unwrap_or_else(|| genesis(doc));
            hashes.push(dep.hash);
            deps.push(dep);
        } else {
            let count = self.number()?;
            if count > limits::CHANGE_DEPS_MAX {
                return Err(UnpackError::Structure("dependencies"));
            }
            for _dep in 0..count {
                let (hash, known) = self.dep(doc)?;
                hashes.push(hash);
                deps.extend(known);
            }
        }
        let (seq, start_op) = if flags & NUMBERS > 0 {
            (self.number()?, self.number()?)
        } else {
            numbers(own.as_ref(), &deps).ok_or(UnpackError::Structure("a number"))?
        };
        let (shapes, said, text) = (&mut self.shapes, &mut self.said, &mut self.text);
        let rest = elide::fill(self.actor, at, shapes, said, text);
        let rest = rest.ok_or(UnpackError::Structure("a change"))?;
        let parts = Parts {
            hash: ChangeHash([0; 32]),
            deps: hashes,
            actor: self.actor,
            seq,
            start_op,
            at,
            rest: &rest,
        };
        elide::join(&parts).ok_or(UnpackError::Structure("a change"))
    }

    fn dep(&mut self, doc: DocId) -> Result<(ChangeHash, Option<Known>), UnpackError<S::Error>> {
        match self.number()? {
            DEP_GENESIS => {
                let genesis = genesis(doc);
                Ok((genesis.hash, Some(genesis)))
            }
            DEP_HASH => Ok((self.hash()?, None)),
            which => {
                let log = self.log(which)?;
                let seq = self.number()?;
                let Shelved { hash, known, .. } = self.shelved(log, seq)?;
                Ok((hash, known))
            }
        }
    }
}

fn short<E>() -> UnpackError<E> {
    UnpackError::Structure("an entry")
}

fn log(cursor: &mut Cursor<'_>, scope: Scope) -> Option<LogId> {
    let kind = Kind::from_code(cursor.byte().ok()?)?;
    let node = NodeId(cursor.take(8).ok()?.try_into().ok()?);
    let epoch = u32::try_from(cursor.unsigned().ok()?).ok()?;
    Some(LogId {
        scope: Scope { kind, ..scope },
        writer: Writer { node, epoch },
    })
}
