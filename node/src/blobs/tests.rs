use rusqlite::Connection;

use super::*;
use crate::{
    store::{MemoryMarker, Opening},
    view,
};

const NOW: Millis = Millis(1_795_000_000_000);
const JPEG: &[u8] = b"\xff\xd8\xff\xe0 as good as a photo";
const ROOMY: Limits = Limits {
    quota: u64::MAX,
    free: 0,
};

struct Place {
    dir: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let opening = Opening {
            now: NOW,
            nonce: [7; 16],
            marker: Arc::new(MemoryMarker::default()),
            derived: &view::ROWS,
        };
        Self {
            dir: tempfile::tempdir().unwrap(),
            store: Store::over(Connection::open_in_memory().unwrap(), opening).unwrap(),
        }
    }

    fn blobs(&self, limits: Limits) -> Blobs {
        Blobs::new(self.dir.path(), limits)
    }

    fn files(&self) -> usize {
        let mut folders = vec![self.dir.path().to_owned()];
        let mut count = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    count += 1;
                }
            }
        }
        count
    }
}

fn of(bytes: &[u8]) -> Blob {
    Blob {
        hash: BlobHash(*blake3::hash(bytes).as_bytes()),
        size: bytes.len() as u64,
    }
}

fn scan(groups: usize, rest: usize) -> Vec<u8> {
    let mut bytes = vec![0; groups * BLOB_GROUP_BYTES + rest];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = (at / 3 + at / 65_536) as u8;
    }
    bytes[..5].copy_from_slice(b"%PDF-");
    bytes
}

#[test]
fn a_file_is_kept_once_under_its_hash_whatever_it_is_called() {
    let place = Place::new();
    let blobs = place.blobs(ROOMY);
    let first = blobs
        .take("a/../身份证.png", JPEG, &place.store, NOW)
        .unwrap();
    let again = blobs.take("other.jpg", JPEG, &place.store, NOW).unwrap();
    assert_eq!(first.hash, again.hash);
    assert_eq!(
        (first.name.as_str(), first.media),
        ("身份证.jpg", Media::Jpeg)
    );
    assert_eq!(place.files(), 1);
    assert_eq!(blobs.read(first.hash).unwrap(), JPEG);
    let counts = place.store.read(|db| db.blob_counts()).unwrap();
    assert_eq!(counts.held, (1, JPEG.len() as u64));
}

#[test]
fn what_is_no_picture_and_no_pdf_or_is_too_large_is_refused_in_words() {
    let place = Place::new();
    let blobs = place.blobs(ROOMY);
    let take = |bytes: &[u8]| blobs.take("x.jpg", bytes, &place.store, NOW).unwrap_err();
    assert_eq!(take(b"<svg onload=alert(1)>"), Refusal::WrongMedia);
    assert_eq!(take(b"MZ\x90\x00"), Refusal::WrongMedia);
    assert!(take(b"").to_string().contains("32 MB"));
    let long = vec![0xff; ATTACHMENT_BYTES_MAX as usize + 1];
    assert!(take(&long).to_string().contains("32 MB"));
    assert_eq!(place.files(), 0);
}

#[test]
fn a_full_disk_or_quota_is_said_before_anything_is_written() {
    let place = Place::new();
    let tight = place.blobs(Limits { quota: 10, free: 0 });
    let refused = tight.take("x.jpg", JPEG, &place.store, NOW);
    assert_eq!(refused.unwrap_err(), Refusal::AttachmentsFull);
    assert_eq!(tight.state().full, Some(Full::Quota));
    let full = place.blobs(Limits {
        quota: u64::MAX,
        free: u64::MAX,
    });
    let refused = full.take("x.jpg", JPEG, &place.store, NOW);
    assert_eq!(refused.unwrap_err(), Refusal::DiskFull);
    assert_eq!(full.state().full, Some(Full::Disk));
    assert_eq!(place.files(), 0);
}

#[test]
fn a_part_goes_on_where_it_was_cut_and_a_torn_group_does_not_count() {
    let place = Place::new();
    let blobs = place.blobs(ROOMY);
    let bytes = scan(3, 77);
    let blob = of(&bytes);
    let group =
        |n: usize| &bytes[n * BLOB_GROUP_BYTES..bytes.len().min((n + 1) * BLOB_GROUP_BYTES)];
    blobs.keep(&blob, 0, group(0)).unwrap();
    blobs.keep(&blob, 1, group(1)).unwrap();
    assert_eq!(blobs.kept(&blob), 2);
    // The power went while the third was written.
    let mut part = OpenOptions::new()
        .append(true)
        .open(blobs.part(&blob))
        .unwrap();
    part.write_all(&group(2)[..100]).unwrap();
    assert_eq!(blobs.kept(&blob), 2);
    assert!(
        blobs.keep(&blob, 3, group(3)).is_err(),
        "nothing is left out"
    );
    blobs.keep(&blob, 2, group(2)).unwrap();
    blobs.keep(&blob, 3, group(3)).unwrap();
    assert!(blobs.complete(&blob, &place.store, NOW).unwrap());
    assert_eq!(blobs.read(blob.hash).unwrap(), bytes);
    let held = place.store.read(move |db| db.blob_held(blob.hash)).unwrap();
    assert_eq!(held, Some(blob.size));
}

#[test]
fn a_part_that_rotted_on_the_disk_never_gets_the_name_of_a_file() {
    let place = Place::new();
    let blobs = place.blobs(ROOMY);
    let bytes = scan(1, 5);
    let blob = of(&bytes);
    let mut rotten = bytes[..BLOB_GROUP_BYTES].to_vec();
    rotten[9] ^= 1;
    blobs.keep(&blob, 0, &rotten).unwrap();
    blobs.keep(&blob, 1, &bytes[BLOB_GROUP_BYTES..]).unwrap();
    assert!(!blobs.complete(&blob, &place.store, NOW).unwrap());
    assert_eq!(blobs.kept(&blob), 0, "begun anew");
    assert_eq!(
        place.store.read(|db| db.blob_counts()).unwrap().held,
        (0, 0)
    );
}

#[test]
fn verify_finds_what_is_gone_or_changed_and_a_changed_file_is_not_given() {
    let place = Place::new();
    let blobs = place.blobs(ROOMY);
    let sound = blobs.take("a.jpg", JPEG, &place.store, NOW).unwrap();
    let long = scan(2, 9);
    let changed = blobs.take("b.pdf", &long, &place.store, NOW).unwrap();
    let path = blobs.path(changed.hash);
    let mut bytes = fs::read(&path).unwrap();
    bytes[70_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let check = |blobs: Blobs| place.store.read(move |db| blobs.verify(db)).unwrap();
    let (count, problems) = check(blobs.clone());
    assert_eq!((count, problems.len()), (1, 1));
    assert!(problems[0].contains(&changed.hash.text()) && problems[0].contains("other bytes"));
    assert!(blobs.tree(&of(&long)).unwrap().is_none());
    assert!(blobs.read(changed.hash).is_err());
    fs::remove_file(blobs.path(sound.hash)).unwrap();
    assert_eq!(check(blobs).1.len(), 2);
}

#[test]
fn what_nobody_names_goes_after_its_grace_and_an_open_forms_file_stays() {
    let place = Place::new();
    let blobs = place.blobs(ROOMY);
    let person = PersonId([1; 8]);
    let (token, staged) = blobs
        .stage(person, "a.jpg", JPEG, &place.store, NOW)
        .unwrap();
    let stray = blobs
        .take("b.pdf", b"%PDF-1.7 stray", &place.store, NOW)
        .unwrap();
    assert_eq!(blobs.tidy(&place.store, NOW.after(GRACE_MS)).unwrap(), 0);
    assert_eq!(
        blobs.tidy(&place.store, NOW.after(GRACE_MS + 1)).unwrap(),
        1
    );
    assert!(blobs.read(stray.hash).is_err());
    assert_eq!(blobs.read(staged.hash).unwrap(), JPEG);
    let found = move |who| place.store.read(move |db| db.staged(token, who)).unwrap();
    assert_eq!(found(PersonId([2; 8])), None, "another person's form");
    assert_eq!(found(person), Some(staged));
}
