//! How a part of a file is proved to belong to it: BLAKE3 is a tree, and a *group* of 64 KiB with
//! the hashes beside its way up gives the hash of the whole.

use blake3::hazmat::{
    ChainingValue, HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root,
};

use super::Blob;
use crate::{id::BlobHash, limits::BLOB_GROUP_BYTES};

/// Bytes of one hash beside the way.
pub const STEP_BYTES: usize = 32;

/// Groups of a file of that size; an empty one has one.
pub fn groups(size: u64) -> u32 {
    let groups = size.div_ceil(BLOB_GROUP_BYTES as u64).max(1);
    u32::try_from(groups).unwrap_or(u32::MAX)
}

/// Bytes of one group of a file of that size; none beyond its end.
pub fn group_bytes(size: u64, group: u32) -> usize {
    let from = u64::from(group) * BLOB_GROUP_BYTES as u64;
    let rest = size.saturating_sub(from);
    usize::try_from(rest.min(BLOB_GROUP_BYTES as u64)).unwrap_or(BLOB_GROUP_BYTES)
}

/// The hashes of a file's groups: enough to prove each of them.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    leaves: Vec<ChainingValue>,
    /// Of a file of one group: its hash.
    whole: Option<BlobHash>,
}

impl Tree {
    /// Adds the next group: full, except the last one.
    pub fn push(&mut self, group: &[u8]) {
        if self.leaves.is_empty() {
            self.whole = Some(BlobHash(*blake3::hash(group).as_bytes()));
        }
        let at = u32::try_from(self.leaves.len()).unwrap_or(u32::MAX);
        self.leaves.push(leaf(at, group));
    }

    /// The hash of the file.
    pub fn root(&self) -> Option<BlobHash> {
        match self.leaves.len() {
            0 | 1 => self.whole,
            count => {
                let middle = split(count);
                let left = subtree(&self.leaves[..middle]);
                let right = subtree(&self.leaves[middle..]);
                Some(root(&left, &right))
            }
        }
    }

    /// What proves a group: the hashes beside its way, from below; none for a group that is not
    /// there.
    pub fn path(&self, group: u32) -> Option<Vec<u8>> {
        let group = usize::try_from(group).ok()?;
        if group >= self.leaves.len() {
            return None;
        }
        let (mut low, mut high) = (0, self.leaves.len());
        let mut beside = Vec::new();
        while high - low > 1 {
            let middle = low + split(high - low);
            if group < middle {
                beside.push(subtree(&self.leaves[middle..high]));
                high = middle;
            } else {
                beside.push(subtree(&self.leaves[low..middle]));
                low = middle;
            }
        }
        beside.reverse();
        Some(beside.concat())
    }
}

/// Whether these bytes are that group of the file.
pub fn verifies(blob: &Blob, group: u32, bytes: &[u8], path: &[u8]) -> bool {
    let groups = groups(blob.size);
    if group >= groups || bytes.len() != group_bytes(blob.size, group) {
        return false;
    }
    let (steps, rest) = path.as_chunks::<STEP_BYTES>();
    if !rest.is_empty() {
        return false;
    }
    if groups == 1 {
        return steps.is_empty() && *blake3::hash(bytes).as_bytes() == blob.hash.0;
    }
    let mut sides = Vec::new();
    let (mut low, mut high) = (0, groups);
    while high - low > 1 {
        let middle = low + split(usize::try_from(high - low).unwrap_or(usize::MAX)) as u32;
        let is_left = group < middle;
        sides.push(is_left);
        if is_left {
            high = middle;
        } else {
            low = middle;
        }
    }
    if sides.len() != steps.len() {
        return false;
    }
    let mut value = leaf(group, bytes);
    // The last step is the root's.
    for (up, (is_left, beside)) in sides.iter().rev().zip(steps).enumerate() {
        let (left, right) = if *is_left {
            (&value, beside)
        } else {
            (beside, &value)
        };
        if up + 1 == steps.len() {
            return root(left, right) == blob.hash;
        }
        value = merge_subtrees_non_root(left, right, Mode::Hash);
    }
    false
}

fn leaf(group: u32, bytes: &[u8]) -> ChainingValue {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(u64::from(group) * BLOB_GROUP_BYTES as u64);
    hasher.update(bytes);
    hasher.finalize_non_root()
}

fn root(left: &ChainingValue, right: &ChainingValue) -> BlobHash {
    BlobHash(*merge_subtrees_root(left, right, Mode::Hash).as_bytes())
}

fn subtree(leaves: &[ChainingValue]) -> ChainingValue {
    match leaves {
        [] => [0; STEP_BYTES],
        [one] => *one,
        several => {
            let (left, right) = several.split_at(split(several.len()));
            merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

/// How many of `count` (at least two) groups are on the left: the largest power of two below it.
fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: usize) -> Vec<u8> {
        (0..size)
            .map(|i| ((i.wrapping_mul(31) >> 3) ^ (i >> 16)) as u8)
            .collect()
    }

    fn tree(bytes: &[u8]) -> (Blob, Tree) {
        let mut tree = Tree::default();
        for group in bytes.chunks(BLOB_GROUP_BYTES) {
            tree.push(group);
        }
        let hash = BlobHash(*blake3::hash(bytes).as_bytes());
        (
            Blob {
                hash,
                size: bytes.len() as u64,
            },
            tree,
        )
    }

    /// Sizes around every turn of the tree.
    const SIZES: [usize; 12] = [
        1,
        1_024,
        BLOB_GROUP_BYTES - 1,
        BLOB_GROUP_BYTES,
        BLOB_GROUP_BYTES + 1,
        2 * BLOB_GROUP_BYTES,
        2 * BLOB_GROUP_BYTES + 1_025,
        3 * BLOB_GROUP_BYTES,
        4 * BLOB_GROUP_BYTES + 7,
        5 * BLOB_GROUP_BYTES,
        8 * BLOB_GROUP_BYTES,
        11 * BLOB_GROUP_BYTES + 40_000,
    ];

    #[test]
    fn every_group_of_a_file_of_any_size_is_proved_by_its_hash_alone() {
        for size in SIZES {
            let bytes = file(size);
            let (blob, tree) = tree(&bytes);
            assert_eq!(tree.root(), Some(blob.hash), "{size}");
            for (at, group) in bytes.chunks(BLOB_GROUP_BYTES).enumerate() {
                let at = at as u32;
                let path = tree.path(at).unwrap();
                assert!(verifies(&blob, at, group, &path), "{size} {at}");
            }
            assert_eq!(tree.path(groups(blob.size)), None);
        }
    }

    #[test]
    fn a_flipped_bit_another_place_or_another_size_is_never_proved() {
        let bytes = file(5 * BLOB_GROUP_BYTES + 9);
        let (blob, tree) = tree(&bytes);
        let group = &bytes[BLOB_GROUP_BYTES..2 * BLOB_GROUP_BYTES];
        let path = tree.path(1).unwrap();
        assert!(verifies(&blob, 1, group, &path));
        for at in [0, 1_000, BLOB_GROUP_BYTES - 1] {
            let mut flipped = group.to_vec();
            flipped[at] ^= 1;
            assert!(!verifies(&blob, 1, &flipped, &path), "byte {at}");
        }
        for at in [0, path.len() - 1] {
            let mut flipped = path.clone();
            flipped[at] ^= 1;
            assert!(!verifies(&blob, 1, group, &flipped), "hash at {at}");
        }
        assert!(!verifies(&blob, 0, group, &path));
        assert!(!verifies(&blob, 2, group, &tree.path(2).unwrap()));
        assert!(!verifies(&blob, 99, group, &path), "beyond the end");
        assert!(!verifies(&blob, u32::MAX, group, &path));
        assert!(!verifies(&blob, 1, &group[1..], &path));
        assert!(!verifies(&blob, 1, group, &path[1..]));
        assert!(!verifies(&blob, 1, group, &[]));
        for size in [blob.size - 1, blob.size + 1, blob.size * 2, 1, u64::MAX] {
            let lie = Blob { size, ..blob };
            let last = (groups(size) - 1).min(5);
            let from = last as usize * BLOB_GROUP_BYTES;
            let path = tree.path(last).unwrap();
            let rest = &bytes[from..(from + BLOB_GROUP_BYTES).min(bytes.len())];
            assert!(!verifies(&lie, last, rest, &path), "size {size}");
        }
    }
}
