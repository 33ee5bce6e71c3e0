//! Change chunks taken apart and put together again with everything repaired: length, checksum,
//! hash. Only the content is hostile.

use cuntong_protocol::id::ChangeHash;
use sha2::{Digest as _, Sha256};

use crate::dice::Dice;

/// The chunk of a content, of type 1 (a change), and its hash.
pub fn rechunk(content: &[u8]) -> (ChangeHash, Vec<u8>) {
    typed(1, content)
}

/// The same with another chunk type.
pub fn typed(kind: u8, content: &[u8]) -> (ChangeHash, Vec<u8>) {
    let mut hashed = vec![kind];
    leb(&mut hashed, content.len() as u64);
    hashed.extend_from_slice(content);
    let hash: [u8; 32] = Sha256::digest(&hashed).into();
    let mut chunk = vec![0x85, 0x6f, 0x4a, 0x83];
    chunk.extend_from_slice(&hash[..4]);
    chunk.extend(hashed);
    (ChangeHash(hash), chunk)
}

/// An unsigned number in LEB128.
pub fn leb(out: &mut Vec<u8>, mut n: u64) {
    loop {
        let low = (n & 0x7f) as u8;
        n >>= 7;
        if n == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// The content of a chunk.
pub fn content(chunk: &[u8]) -> &[u8] {
    let length = chunk[9..].iter().take_while(|b| **b & 0x80 > 0).count() + 1;
    &chunk[9 + length..]
}

/// One to three edits: flipped bits, replaced, inserted, removed and repeated bytes, numbers at
/// the edge of their range.
pub fn mutate(content: &mut Vec<u8>, dice: &mut Dice) {
    for _edit in 0..=dice.below(3) {
        if content.is_empty() {
            return;
        }
        let at = dice.below(content.len());
        let end = (at + 1 + dice.below(8)).min(content.len());
        match dice.below(7) {
            0 => content[at] ^= 1 << dice.below(8),
            1 => content[at] = dice.bytes::<1>()[0],
            2 => content.insert(at, dice.bytes::<1>()[0]),
            3 => drop(content.remove(at)),
            4 => content[at] = [0, 1, 0x7f, 0x80, 0xff][dice.below(5)],
            5 => {
                let part = content[at..end].to_vec();
                content.splice(at..at, part);
            }
            _ => drop(content.drain(at..end)),
        }
    }
}
