//! What a node believes of its county: the chain of authorities and the newest of the rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Catalogue, ControlKey, ControlKind, Credentials, Directory, NodeEntry, Places, Roster,
    signed::{Authority, Body, Content, County, SUITE, Signed, TrustError},
    words,
};
use crate::{
    calendar::Calendar,
    id::{NodeId, SiteId},
    limits::CONTROL_VERSION_JUMP_MAX,
    time::Millis,
    wire::window::{DICTIONARIES, Dictionary},
};

/// Dictionaries of the county's words that are known.
const DICTIONARIES_KEPT: usize = 2;

/// The verified control documents of one county.
#[derive(Debug, Clone)]
pub struct Trust {
    county: County,
    /// Every version, oldest first: whoever was away walks it.
    authorities: Vec<Held>,
    authority: Authority,
    newest: BTreeMap<ControlKey, Held>,
    roster: Roster,
    listed: Arc<Listed>,
    places: Places,
    directory: Directory,
    catalogue: Catalogue,
    calendar: Calendar,
    credentials: BTreeMap<SiteId, Credentials>,
    /// Of the county's words, the newest first; the one before it may stand in a handshake still.
    dictionaries: Vec<Dictionary>,
}

/// Where in the roster a node stands: it is asked for with every call, message and entry.
#[derive(Debug, Default)]
struct Listed {
    by_node: BTreeMap<NodeId, usize>,
    by_spki: BTreeMap<[u8; 32], usize>,
}

impl Listed {
    /// As a search from the front would find them.
    fn of(roster: &Roster) -> Self {
        let mut listed = Self::default();
        for (at, entry) in roster.nodes.iter().enumerate() {
            listed.by_node.entry(entry.node).or_insert(at);
            listed.by_spki.entry(entry.spki).or_insert(at);
        }
        listed
    }
}

/// One document as it came, and what it is.
#[derive(Debug, Clone)]
struct Held {
    version: u64,
    hash: [u8; 32],
    issued_at: Millis,
    bytes: Vec<u8>,
}

impl Held {
    fn new(signed: &Signed, bytes: &[u8]) -> Self {
        Self {
            version: signed.version(),
            hash: signed.hash(),
            issued_at: signed.content.issued_at,
            bytes: bytes.to_vec(),
        }
    }
}

/// What became of a document that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is in force now and must be kept.
    New(ControlKey, u64),
    /// It was in force already.
    Same,
}

impl Trust {
    /// Begins with the first authority of a county whose name is known from elsewhere: a ticket,
    /// or the ceremony that made it.
    ///
    /// # Errors
    /// [`TrustError::OtherCounty`] when it founds another county; else as [`Trust::take`].
    pub fn found(first: &[u8], pinned: County) -> Result<Self, TrustError> {
        let signed = Signed::open(first)?;
        let content = &signed.content;
        if content.kind != ControlKind::Authority || content.version != 1 {
            return Err(TrustError::Gap {
                held: 0,
                got: content.version,
            });
        }
        if content.founds() != pinned || !names_no_county(content) {
            return Err(TrustError::OtherCounty);
        }
        let authority = authority(&signed)?;
        let signers = signed.signers(&authority.roots.iter().copied().collect())?;
        enough(&signers, &authority)?;
        Ok(Self {
            county: pinned,
            authorities: vec![Held::new(&signed, first)],
            authority,
            newest: BTreeMap::new(),
            roster: Roster::default(),
            listed: Arc::default(),
            places: Places::default(),
            directory: Directory::default(),
            catalogue: Catalogue::default(),
            calendar: Calendar::default(),
            credentials: BTreeMap::new(),
            dictionaries: Vec::new(),
        })
    }

    /// What this node believed when it last stopped: every document it kept, in any order. One
    /// signed by a registrar who has been removed since stays in force until a newer one comes.
    ///
    /// # Errors
    /// As [`Trust::take`]; what is stored was verified once, so an error means damage.
    pub fn load<'a>(
        county: County,
        documents: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, TrustError> {
        let mut all = Vec::new();
        for bytes in documents {
            let signed = Signed::open(bytes)?;
            all.push((signed.key(), signed.version(), bytes));
        }
        all.sort_unstable();
        let mut documents = all.into_iter();
        let (_, _, first) = documents
            .next()
            .ok_or(TrustError::Gap { held: 0, got: 0 })?;
        let mut trust = Self::found(first, county)?;
        let mut registrars: BTreeSet<_> = trust.authority.registrars.iter().copied().collect();
        for (_, _, bytes) in documents {
            trust.take_from(bytes, &registrars, u64::MAX)?;
            registrars.extend(&trust.authority.registrars);
        }
        Ok(trust)
    }

    /// Takes in one document, whoever brought it.
    ///
    /// # Errors
    /// What is not exactly a newer, well-signed, sensible document of this county is refused,
    /// and what is held stays in force.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Taken, TrustError> {
        let registrars = self.authority.registrars.iter().copied().collect();
        self.take_from(bytes, &registrars, CONTROL_VERSION_JUMP_MAX)
    }

    fn take_from(
        &mut self,
        bytes: &[u8],
        registrars: &BTreeSet<[u8; 32]>,
        jump_max: u64,
    ) -> Result<Taken, TrustError> {
        let signed = Signed::open(bytes)?;
        if signed.content.kind == ControlKind::Authority {
            return self.take_authority(&signed, bytes);
        }
        let content = &signed.content;
        if content.county != self.county {
            return Err(TrustError::OtherCounty);
        }
        if self.is_held(&signed)? {
            return Ok(Taken::Same);
        }
        self.follows(&signed, jump_max)?;
        let signers = signed.signers(registrars)?;
        if signers.is_empty() {
            return Err(TrustError::Threshold { have: 0, need: 1 });
        }
        let per_site = content.kind == ControlKind::Credentials;
        if per_site != (content.site != SiteId(0)) {
            return Err(TrustError::Malformed("a site where none belongs".into()));
        }
        match signed.body()? {
            Body::Authority(_) => return Err(TrustError::UnknownSigner),
            Body::Roster(body) => {
                self.listed = Arc::new(Listed::of(&body));
                self.roster = body;
            }
            Body::Places(body) => self.places = body,
            Body::Directory(body) => self.directory = body,
            Body::Credentials(body) => {
                self.credentials.insert(content.site, body);
            }
            Body::Catalogue(body) => self.catalogue = body,
            Body::Calendar(body) => {
                self.calendar =
                    Calendar::new(&body, content.version).map_err(|why| TrustError::Body {
                        kind: ControlKind::Calendar,
                        why,
                    })?;
            }
        }
        if matches!(content.kind, ControlKind::Places | ControlKind::Catalogue) {
            self.dictionaries
                .splice(0..0, words::dictionary(&self.places, &self.catalogue));
            self.dictionaries.truncate(DICTIONARIES_KEPT);
        }
        self.newest.insert(signed.key(), Held::new(&signed, bytes));
        Ok(Taken::New(signed.key(), content.version))
    }

    /// Version and hash of the newest document of that name; zeros before the first.
    fn held(&self, key: ControlKey) -> (u64, [u8; 32]) {
        let held = self.newest.get(&key);
        held.map_or((0, [0; 32]), |h| (h.version, h.hash))
    }

    fn is_held(&self, signed: &Signed) -> Result<bool, TrustError> {
        let (held, hash) = self.held(signed.key());
        match signed.version() {
            got if got < held => Err(TrustError::Older { held, got }),
            got if got > held => Ok(false),
            _ if signed.hash() == hash => Ok(true),
            version => Err(TrustError::Forked { version }),
        }
    }

    /// Whether a newer version may come after the one held.
    fn follows(&self, signed: &Signed, jump_max: u64) -> Result<(), TrustError> {
        let (held, hash) = self.held(signed.key());
        let got = signed.version();
        if got - held > jump_max {
            return Err(TrustError::Jump { held, got });
        }
        // Versions between may have been missed; the next one names the one held.
        if got == held + 1 && signed.content.prev != hash {
            return Err(TrustError::Forked { version: got });
        }
        Ok(())
    }

    fn take_authority(&mut self, signed: &Signed, bytes: &[u8]) -> Result<Taken, TrustError> {
        let got = signed.version();
        let newest = self.newest_authority();
        let held = newest.version;
        if let Some(same) = self.authorities.iter().find(|h| h.version == got) {
            return if same.hash == signed.hash() {
                Ok(Taken::Same)
            } else if got == 1 || signed.content.county != self.county {
                Err(TrustError::OtherCounty)
            } else if got < held {
                Err(TrustError::Older { held, got })
            } else {
                Err(TrustError::Forked { version: got })
            };
        }
        if signed.content.county != self.county {
            return Err(TrustError::OtherCounty);
        }
        if got.saturating_sub(held) > CONTROL_VERSION_JUMP_MAX {
            return Err(TrustError::Jump { held, got });
        }
        if got != held + 1 {
            return Err(TrustError::Gap { held, got });
        }
        if signed.content.prev != newest.hash {
            return Err(TrustError::Forked { version: got });
        }
        let next = authority(signed)?;
        let roots = self.authority.roots.iter().chain(&next.roots);
        let signers = signed.signers(&roots.copied().collect())?;
        // Those who hand over and those who take over both agree.
        enough(&signers, &self.authority)?;
        enough(&signers, &next)?;
        self.authorities.push(Held::new(signed, bytes));
        self.authority = next;
        Ok(Taken::New(signed.key(), got))
    }

    fn newest_authority(&self) -> &Held {
        self.authorities
            .last()
            .expect("a county is founded by its first authority")
    }

    /// The content of the next version of a document: numbered, chained, ready to be signed by a
    /// registrar (an authority: by the roots).
    pub fn next(&self, site: SiteId, body: &Body, issued_at: Millis) -> Content {
        let kind = body.kind();
        let held = match kind {
            ControlKind::Authority => Some(self.newest_authority()),
            ControlKind::Roster
            | ControlKind::Places
            | ControlKind::Directory
            | ControlKind::Credentials
            | ControlKind::Catalogue
            | ControlKind::Calendar => self.newest.get(&ControlKey { kind, site }),
        };
        Content {
            suite: SUITE,
            kind,
            site,
            county: self.county,
            version: held.map_or(1, |h| h.version + 1),
            prev: held.map_or([0; 32], |h| h.hash),
            issued_at,
            body: body.encode(),
        }
    }

    /// The county.
    pub fn county(&self) -> County {
        self.county
    }

    /// What may stand before a session's windows, the preferred first: the county's own words
    /// ([`words::dictionary`]), and what is in the executable.
    pub fn dictionaries(&self) -> impl Iterator<Item = &Dictionary> {
        self.dictionaries.iter().chain(&DICTIONARIES)
    }

    /// The authority in force.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The roster in force; empty before the first.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The roster's entry of a node, as [`Roster::node`] finds it, without a search.
    pub fn node(&self, node: NodeId) -> Option<&NodeEntry> {
        self.roster.nodes.get(*self.listed.by_node.get(&node)?)
    }

    /// The entry of the machine that presents this TLS key, likewise.
    pub fn by_spki(&self, spki: &[u8; 32]) -> Option<&NodeEntry> {
        self.roster.nodes.get(*self.listed.by_spki.get(spki)?)
    }

    /// The sites.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The people.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The items.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The working days; before the first calendar every due date is provisional.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The logins of a site, if this node was given them.
    pub fn credentials(&self, site: SiteId) -> Option<&Credentials> {
        self.credentials.get(&site)
    }

    /// Newest version held of each document.
    pub fn versions(&self) -> Vec<(ControlKey, u64)> {
        let authority = ControlKey {
            kind: ControlKind::Authority,
            site: SiteId(0),
        };
        let rest = self.newest.iter().map(|(key, held)| (*key, held.version));
        std::iter::once((authority, self.newest_authority().version))
            .chain(rest)
            .collect()
    }

    /// The newest document of that name, as it came.
    pub fn bytes(&self, key: ControlKey) -> Option<&[u8]> {
        let held = match key.kind {
            ControlKind::Authority if key.site == SiteId(0) => Some(self.newest_authority()),
            ControlKind::Authority => None,
            ControlKind::Roster
            | ControlKind::Places
            | ControlKind::Directory
            | ControlKind::Credentials
            | ControlKind::Catalogue
            | ControlKind::Calendar => self.newest.get(&key),
        };
        held.map(|h| h.bytes.as_slice())
    }

    /// Every version of the authority, oldest first, as it came.
    pub fn authorities(&self) -> impl Iterator<Item = &[u8]> {
        self.authorities.iter().map(|h| h.bytes.as_slice())
    }

    /// What a node of `site` that holds `theirs` lacks, in the order it must be taken in. Logins
    /// go only to the sites they are of and those above.
    pub fn needed_by(&self, site: SiteId, theirs: &[(ControlKey, u64)]) -> Vec<Vec<u8>> {
        let has = |key: &ControlKey| {
            let of_key = theirs.iter().filter(|(k, _)| k == key);
            of_key.map(|(_, version)| *version).max().unwrap_or(0)
        };
        let authority = has(&ControlKey {
            kind: ControlKind::Authority,
            site: SiteId(0),
        });
        let chain = self.authorities.iter().filter(|h| h.version > authority);
        let rest = self
            .newest
            .iter()
            .filter(|(key, held)| held.version > has(key) && self.may_have(site, key))
            .map(|(_, held)| held);
        chain.chain(rest).map(|h| h.bytes.clone()).collect()
    }

    fn may_have(&self, site: SiteId, key: &ControlKey) -> bool {
        key.kind != ControlKind::Credentials || self.places.covers(site, key.site)
    }

    /// The newest time signed by the county: no clock that says less is right.
    pub fn newest_signed_time(&self) -> Millis {
        let all = self.authorities.iter().chain(self.newest.values());
        all.map(|h| h.issued_at).max().unwrap_or_default()
    }
}

fn names_no_county(content: &Content) -> bool {
    content.county == Content::UNNAMED && content.prev == [0; 32] && content.site == SiteId(0)
}

fn authority(signed: &Signed) -> Result<Authority, TrustError> {
    match signed.body()? {
        Body::Authority(body) if signed.content.site == SiteId(0) => Ok(body),
        Body::Authority(_)
        | Body::Roster(_)
        | Body::Places(_)
        | Body::Directory(_)
        | Body::Credentials(_)
        | Body::Catalogue(_)
        | Body::Calendar(_) => Err(TrustError::Malformed("not an authority".into())),
    }
}

/// Whether enough different roots of `authority` signed.
fn enough(signers: &BTreeSet<[u8; 32]>, authority: &Authority) -> Result<(), TrustError> {
    let roots: BTreeSet<_> = authority.roots.iter().collect();
    let have = signers.iter().filter(|s| roots.contains(s)).count();
    let need = usize::from(authority.threshold);
    if have < need {
        return Err(TrustError::Threshold { have, need });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
