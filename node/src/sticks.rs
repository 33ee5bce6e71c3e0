//! U 盘 in the places that are watched: what lies on them, and the one thing that is being done with
//! one of them. Pages and nobody else ask for it; the command line names its files itself.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cuntong_protocol::control::NodeStatus;
use cuntong_web::desk::{
    self as page, BundleOffer, JobState, OfferState, StickJob, StickPeer, StickPlace,
};
use data_encoding::HEXLOWER;
use notify::Watcher as _;
use tokio::sync::{Notify, mpsc};

use crate::{
    bundle::{self, Fate, Offer, Progress},
    exit::Failure,
    intake::Door,
    stop::Stop,
};

/// A disk that is mounted is not always told of; so often it is looked.
const RESCAN: Duration = Duration::from_secs(10);
/// After a change a stick is given time to appear.
const REST: Duration = Duration::from_millis(400);
/// A small bundle is done before the page is shown again.
const GRACE: Duration = Duration::from_secs(2);
/// Folders looked at below one place.
const FOLDERS_MAX: usize = 64;
/// Offers shown of one stick.
const OFFERS_MAX: usize = 50;
/// Characters of a file's name that are shown.
const NAME_MAX: usize = 60;

/// The sticks of one node. Clones are the same.
#[derive(Clone)]
pub struct Sticks(Arc<Inner>);

struct Inner {
    door: Door,
    /// As in the settings.
    places: Vec<String>,
    seen: Mutex<Vec<Place>>,
    /// What became of the bundles that were taken, by the id of their offer.
    taken: Mutex<BTreeMap<String, String>>,
    job: Mutex<Option<Job>>,
    /// Rung when somebody wants a new look.
    again: Notify,
}

#[derive(Clone)]
struct Place {
    id: String,
    path: PathBuf,
    offers: Vec<(String, Offer)>,
}

struct Job {
    what: String,
    far: Arc<Progress>,
    end: Option<Result<String, String>>,
}

impl Sticks {
    /// Of a node with these settings; nothing is looked at before [`Sticks::watch`].
    pub fn new(door: Door, places: Vec<String>) -> Self {
        Self(Arc::new(Inner {
            door,
            places,
            seen: Mutex::default(),
            taken: Mutex::default(),
            job: Mutex::default(),
            again: Notify::new(),
        }))
    }

    /// Looks at the places until `stop`, whenever something changes there.
    pub async fn watch(self, stop: Stop) {
        if self.0.places.is_empty() {
            return;
        }
        let (nudge, mut nudged) = mpsc::channel(1);
        // Kept to the end: a dropped watcher is silent.
        let mut watcher = notify::recommended_watcher(move |_event| {
            // A full channel already holds the news.
            let _full = nudge.try_send(());
        })
        .inspect_err(|error| tracing::warn!(%error, "sticks are looked for, not watched"))
        .ok();
        let mut watched: Vec<PathBuf> = Vec::new();
        loop {
            let sticks = self.clone();
            let looked = tokio::task::spawn_blocking(move || sticks.look()).await;
            for folder in looked.unwrap_or_default() {
                if let Some(watcher) = &mut watcher
                    && !watched.contains(&folder)
                {
                    let mode = notify::RecursiveMode::NonRecursive;
                    if watcher.watch(&folder, mode).is_ok() {
                        watched.push(folder);
                    }
                }
            }
            // A stick that is pulled takes its watch along.
            watched.retain(|folder| folder.exists());
            tokio::select! {
                () = stop.stopped() => return,
                Some(()) = nudged.recv() => tokio::time::sleep(REST).await,
                () = self.0.again.notified() => {}
                () = tokio::time::sleep(RESCAN) => {}
            }
        }
    }

    /// Looks at every place once; the folders worth watching.
    fn look(&self) -> Vec<PathBuf> {
        let (mut folders, mut seen) = (Vec::new(), Vec::new());
        for place in &self.0.places {
            let (root, sticks) = match place.strip_suffix("/*") {
                Some(root) => (PathBuf::from(root), disks_below(Path::new(root))),
                None => (PathBuf::from(place), vec![PathBuf::from(place)]),
            };
            folders.push(root);
            for path in sticks.into_iter().filter(|path| path.is_dir()) {
                let offers = bundle::look(&self.0.door, &path).unwrap_or_default();
                folders.push(path.clone());
                seen.push(Place {
                    id: id_of(&[path.as_os_str().as_encoded_bytes()]),
                    offers: offers.into_iter().take(OFFERS_MAX).map(named).collect(),
                    path,
                });
            }
        }
        *lock(&self.0.seen) = seen;
        folders.retain(|folder| folder.is_dir());
        folders
    }

    /// What pages show.
    ///
    /// # Errors
    /// A failing disk; a machine that is no node.
    pub(crate) fn show(&self) -> Result<page::Sticks, Failure> {
        self.0.again.notify_one();
        let taken = lock(&self.0.taken);
        let places = lock(&self.0.seen);
        let offers = places.iter().flat_map(|place| {
            let name = name_of(&place.path);
            let row = |(id, offer): &(String, Offer)| shown(&name, id, offer, taken.get(id));
            place.offers.iter().map(row).collect::<Vec<_>>()
        });
        Ok(page::Sticks {
            offers: offers.collect(),
            places: places
                .iter()
                .map(|place| StickPlace {
                    id: place.id.clone(),
                    name: name_of(&place.path),
                })
                .collect(),
            peers: self.peers()?,
            job: lock(&self.0.job).as_ref().map(Job::shown),
            carried: bundle::carried(&self.0.door),
        })
    }

    /// Whom a bundle can be written for: above, the nearest first, then below.
    fn peers(&self) -> Result<Vec<StickPeer>, Failure> {
        let (trust, own) = self.0.door.store.read(|db| {
            let trust = db.shared_trust()?;
            Ok((trust, db.site()?))
        })?;
        let places = trust.places();
        let above = places.above(own);
        let mut all: Vec<_> = trust
            .roster()
            .nodes
            .iter()
            .filter(|n| n.status == NodeStatus::Active && !n.recipient.is_empty())
            .filter_map(|n| {
                let near = above.iter().position(|site| *site == n.site);
                let below = places.above(n.site).contains(&own);
                let place = places.site(n.site)?;
                (near.is_some() || below).then(|| {
                    let turn = near.unwrap_or(usize::MAX);
                    let (id, name) = (n.node.to_string(), place.name.clone());
                    (turn, place.code.to_string(), StickPeer { id, name })
                })
            })
            .collect();
        all.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        Ok(all.into_iter().map(|(_, _, peer)| peer).collect())
    }

    /// Begins to take in the bundle of an offer.
    ///
    /// # Errors
    /// In words for the person.
    pub(crate) async fn take(&self, offer: &str) -> Result<(), String> {
        let found = lock(&self.0.seen)
            .iter()
            .flat_map(|place| &place.offers)
            .find(|(id, _)| id == offer)
            .map(|(_, offer)| offer.clone());
        let found = found.ok_or("这份数据包已经不在了：U 盘可能已拔下")?;
        if !matches!(found.fate, Fate::Take | Fate::Carry | Fate::Older) {
            return Err("这份数据包本机不能收".to_owned());
        }
        let (inner, id) = (self.0.clone(), offer.to_owned());
        let what = format!("收取 {} 给 {} 的数据包", found.from, found.to);
        self.begin(what, move |far| {
            let done = bundle::import_watched(&inner.door, &found.path, far)?;
            let _before = lock(&inner.taken).insert(id, done.words.clone());
            Ok(done.words)
        })
        .await
    }

    /// Begins to write a bundle for a node to a stick.
    ///
    /// # Errors
    /// In words for the person.
    pub(crate) async fn write(&self, place: &str, peer: &str) -> Result<(), String> {
        let path = lock(&self.0.seen)
            .iter()
            .find(|known| known.id == place)
            .map(|known| known.path.clone());
        let path = path.ok_or("这个 U 盘已经不在了：请插好再试")?;
        let mut peers = self.peers().map_err(|failure| failure.to_string())?;
        peers.retain(|known| known.id == peer);
        let peer = peers.pop().ok_or("请选择给谁")?;
        let door = self.0.door.clone();
        let what = format!("写给 {} 的数据包", peer.name);
        self.begin(what, move |_far| {
            let done = bundle::export(&door, &path, Some(&peer.id))?;
            let file = done.file.file_name().unwrap_or_default();
            let mut words = format!(
                "已写好并存牢：{}（{}）。现在可以拔下 U 盘",
                safe(&file.to_string_lossy()),
                done.words
            );
            if done.carried > 0 {
                words += &format!("；还替别人带去 {} 份", done.carried);
            }
            Ok(words)
        })
        .await
    }

    /// Has a thread do a job, and waits a moment for its end.
    async fn begin(
        &self,
        what: String,
        work: impl FnOnce(&Progress) -> Result<String, Failure> + Send + 'static,
    ) -> Result<(), String> {
        let far = Arc::new(Progress::default());
        {
            let mut job = lock(&self.0.job);
            if job.as_ref().is_some_and(|job| job.end.is_none()) {
                return Err("上一件还没有做完，请稍候".to_owned());
            }
            *job = Some(Job {
                what,
                far: far.clone(),
                end: None,
            });
        }
        let sticks = self.clone();
        let worked = tokio::task::spawn_blocking(move || {
            let end = work(&far).map_err(|failure| failure.to_string());
            // The words may name a file, and a file's name a person: they stay out of the log.
            tracing::info!(done = end.is_ok(), "a bundle");
            if let Some(job) = lock(&sticks.0.job).as_mut() {
                job.end = Some(end);
            }
            let _folders = sticks.look();
        });
        let _under_way = tokio::time::timeout(GRACE, worked).await;
        Ok(())
    }
}

impl Job {
    fn shown(&self) -> StickJob {
        let (state, words) = match &self.end {
            None => (JobState::Running, self.far.zh()),
            Some(Ok(words)) => (JobState::Done, words.clone()),
            Some(Err(why)) => (JobState::Failed, why.clone()),
        };
        StickJob {
            what: self.what.clone(),
            state,
            words,
        }
    }
}

fn shown(place: &str, id: &str, offer: &Offer, taken: Option<&String>) -> BundleOffer {
    let nothing = |why: &str| OfferState::Nothing(why.to_owned());
    let state = match (&offer.fate, taken) {
        (Fate::Take | Fate::Carry | Fate::Older, Some(words)) => OfferState::Taken(words.clone()),
        (Fate::Take, None) => OfferState::Take,
        (Fate::Carry, None) => OfferState::Carry,
        (Fate::Older, None) => nothing("旁边有更新的一份，收那一份就够了"),
        (Fate::Own, _) => nothing("本机做的：请带给收件的一方"),
        (Fate::Nothing(why), _) => nothing(why),
    };
    let name = offer.path.file_name().unwrap_or_default();
    BundleOffer {
        id: id.to_owned(),
        place: place.to_owned(),
        file: safe(&name.to_string_lossy()),
        from: offer.from.clone(),
        to: offer.to.clone(),
        at: offer.header.map(|header| header.at),
        entries: offer.header.map_or(0, |header| header.entries),
        bytes: offer.bytes,
        state,
    }
}

fn named(offer: Offer) -> (String, Offer) {
    let header = offer.header.map(|header| header.to_bytes());
    let path = offer.path.as_os_str().as_encoded_bytes();
    let bytes = offer.bytes.to_be_bytes();
    (id_of(&[path, &bytes, &header.unwrap_or_default()]), offer)
}

fn id_of(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    HEXLOWER.encode(&hasher.finalize().as_bytes()[..8])
}

/// The last part of a path, fit to be shown.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    safe(&name.to_string_lossy())
}

/// A name somebody else chose, without what turns or hides text, and not for ever long.
fn safe(name: &str) -> String {
    let plain = |c: char| match c {
        '-' | '_' | '.' | ' ' => c,
        c if c.is_alphanumeric() => c,
        _ => '?',
    };
    name.chars().take(NAME_MAX).map(plain).collect()
}

/// Disks that hang one or two folders below `root`: what is on another device than it.
fn disks_below(root: &Path) -> Vec<PathBuf> {
    // Links are not followed: a stick is where it hangs.
    let device = |path: &Path| fs::symlink_metadata(path).ok().map(|about| about.dev());
    let below = |folder: &Path| -> Vec<PathBuf> {
        let names = fs::read_dir(folder).into_iter().flatten().take(FOLDERS_MAX);
        let folders = names.filter_map(|entry| {
            let entry = entry.ok()?;
            entry.file_type().ok()?.is_dir().then(|| entry.path())
        });
        folders.collect()
    };
    let own = device(root);
    let mut disks = Vec::new();
    for folder in below(root) {
        if device(&folder) == own {
            let further = below(&folder).into_iter();
            disks.extend(further.filter(|path| device(path) != own));
        } else {
            disks.push(folder);
        }
    }
    disks.sort();
    disks
}

/// A panic elsewhere leaves what is known of sticks as good as it was.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_on_a_stick_cannot_pretend_to_be_something_else() {
        assert_eq!(safe("石桥村-北乡镇-1.ctb"), "石桥村-北乡镇-1.ctb");
        assert_eq!(safe("a\u{202e}btc.exe\n<b>"), "a?btc.exe??b?");
        assert_eq!(safe(&"长".repeat(300)).chars().count(), NAME_MAX);
    }

    #[test]
    fn a_folder_on_the_same_disk_is_no_stick() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("user/stick")).unwrap();
        assert_eq!(disks_below(root.path()), Vec::<PathBuf>::new());
        assert_eq!(
            disks_below(Path::new("/no/such/folder")),
            Vec::<PathBuf>::new()
        );
    }

    #[test]
    fn two_files_that_differ_have_two_ids() {
        assert_ne!(id_of(&[b"ab", b"c"]), id_of(&[b"a", b"bc"]));
    }
}
