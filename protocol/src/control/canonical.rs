//! One value, one encoding: the deterministic CBOR that signed documents must be written in
//! (RFC 8949 §4.2.1, without floats and tags).

use crate::limits::CBOR_DEPTH_MAX;

/// Whether `bytes` are exactly one canonical item: shortest lengths, no indefinite ones, map keys
/// strictly ascending (so none twice), valid text, no tags, floats or bytes behind the end, and no
/// deeper than [`CBOR_DEPTH_MAX`]. Never panics, never allocates.
pub(crate) fn is_canonical(bytes: &[u8]) -> bool {
    item(bytes, 0) == Some(bytes.len())
}

/// Length of the canonical item that starts `bytes`.
fn item(bytes: &[u8], depth: usize) -> Option<usize> {
    if depth > CBOR_DEPTH_MAX {
        return None;
    }
    let (major, n, head) = header(bytes)?;
    match major {
        0 | 1 => Some(head),
        2 | 3 => {
            let end = head.checked_add(usize::try_from(n).ok()?)?;
            let content = bytes.get(head..end)?;
            (major == 2 || std::str::from_utf8(content).is_ok()).then_some(end)
        }
        4 => {
            let mut at = head;
            for _element in 0..n {
                at += item(bytes.get(at..)?, depth + 1)?;
            }
            Some(at)
        }
        5 => map(bytes, head, n, depth),
        // false, true, null
        7 if head == 1 && (20..=22).contains(&n) => Some(1),
        _ => None,
    }
}

fn map(bytes: &[u8], head: usize, pairs: u64, depth: usize) -> Option<usize> {
    let mut at = head;
    let mut before: Option<&[u8]> = None;
    for _pair in 0..pairs {
        let rest = bytes.get(at..)?;
        let key = &rest[..item(rest, depth + 1)?];
        if before.is_some_and(|b| b >= key) {
            return None;
        }
        before = Some(key);
        at += key.len();
        at += item(bytes.get(at..)?, depth + 1)?;
    }
    Some(at)
}

/// Major type, argument and length of a header in its shortest form.
fn header(bytes: &[u8]) -> Option<(u8, u64, usize)> {
    let first = *bytes.first()?;
    let (major, small) = (first >> 5, first & 31);
    let (len, least) = match small {
        0..=23 => return Some((major, u64::from(small), 1)),
        24 => (1, 24),
        25 => (2, 1 << 8),
        26 => (4, 1 << 16),
        27 => (8, 1 << 32),
        _ => return None,
    };
    let mut n = [0; 8];
    n[8 - len..].copy_from_slice(bytes.get(1..=len)?);
    let n = u64::from_be_bytes(n);
    (n >= least).then_some((major, n, 1 + len))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_second_spelling_of_a_value_is_refused() {
        assert!(is_canonical(&[0x17]));
        assert!(!is_canonical(&[0x18, 0x17]), "23 in two bytes");
        assert!(!is_canonical(&[0x19, 0x00, 0xff]), "255 in three bytes");
        assert!(!is_canonical(&[0x9f, 0x01, 0xff]), "indefinite array");
        assert!(!is_canonical(&[0x5f, 0x41, 0x00, 0xff]), "indefinite bytes");
        assert!(!is_canonical(&[0x01, 0x01]), "something behind the end");
        assert!(!is_canonical(&[0x82, 0x01]), "an array cut short");
        assert!(!is_canonical(&[0x61, 0xff]), "text that is not text");
        assert!(!is_canonical(&[0xf9, 0x3c, 0x00]), "a float");
        assert!(!is_canonical(&[0xc0, 0x01]), "a tag");
    }

    #[test]
    fn map_keys_ascend_and_none_is_there_twice() {
        assert!(is_canonical(&[0xa2, 0x01, 0x00, 0x02, 0x00]));
        assert!(!is_canonical(&[0xa2, 0x02, 0x00, 0x01, 0x00]));
        assert!(!is_canonical(&[0xa2, 0x01, 0x00, 0x01, 0x00]));
    }

    #[test]
    fn ten_thousand_nested_arrays_are_refused_without_a_deep_stack() {
        let mut deep = vec![0x81; 10_000];
        deep.push(0x00);
        assert!(!is_canonical(&deep));
        assert!(!is_canonical(&[
            0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
        ]));
    }

    proptest! {
        #[test]
        fn what_the_encoder_writes_is_canonical(
            value in prop::collection::vec((any::<u64>(), ".*", any::<Option<bool>>()), 0..20),
        ) {
            let bytes = minicbor::to_vec(value).unwrap();
            prop_assert!(is_canonical(&bytes));
        }

        #[test]
        fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _answer = is_canonical(&bytes);
        }
    }
}
