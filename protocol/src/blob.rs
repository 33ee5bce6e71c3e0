//! Attachments (附件): files by hash, and how their bytes move between two nodes.
//!
//! A document names a file by its BLAKE3 hash and its size ([`crate::act::Attach`]); the bytes are
//! fetched by whoever reads the document and lacks them. [`tree`] says how a part of a file is
//! proved to belong to it, [`message`] what is said, [`fetch`] who asks for what: a machine without
//! IO, as [`crate::sync`] is. The bytes on the line are in `docs/formats/wire.md`.

pub mod fetch;
pub mod message;
pub mod tree;

use crate::{id::BlobHash, limits, text::is_hidden};

/// A file as it is asked for. Two documents may claim different sizes for one hash; only one of
/// these can ever be had.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, minicbor::Encode, minicbor::Decode,
)]
pub struct Blob {
    #[n(0)]
    pub hash: BlobHash,
    /// Bytes.
    #[n(1)]
    pub size: u64,
}

/// What a person reads whose file is larger than [`limits::ATTACHMENT_BYTES_MAX`], or empty.
pub const TOO_LARGE: &str = "文件是空的，或者超过 32 MB";

/// Whether a file may be called so: a name is shown and offered to a browser, and must mean no
/// other place anywhere (`docs/formats/documents.md`).
pub fn is_file_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let reserved = |word: &str| stem.eq_ignore_ascii_case(word);
    let device = stem.len() == 4
        && stem.is_char_boundary(3)
        && ["com", "lpt"]
            .iter()
            .any(|d| stem[..3].eq_ignore_ascii_case(d));
    !name.is_empty()
        && name.chars().count() <= limits::FILE_NAME_CHARS_MAX
        && !name.chars().any(|c| is_hidden(c) || is_path(c))
        && !name.starts_with(['.', ' '])
        && !name.ends_with(['.', ' '])
        && !device
        && !["con", "prn", "aux", "nul"].into_iter().any(reserved)
}

/// Characters that mean something in a path or in a header.
fn is_path(c: char) -> bool {
    matches!(
        c,
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | ';' | '\u{fffd}'
    )
}

/// The name under which a file is kept that came as `given`: without any folder, with what is not
/// allowed replaced, and with the ending of what it really is.
pub fn file_name(given: &str, ending: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let known = ["jpg", "jpeg", "png", "pdf"];
    let stem = match last.rsplit_once('.') {
        Some((stem, end)) if known.iter().any(|k| k.eq_ignore_ascii_case(end)) => stem,
        Some(_) | None => last,
    };
    let room = limits::FILE_NAME_CHARS_MAX - ending.len() - 1;
    let clean: String = stem
        .chars()
        .filter(|c| !is_hidden(*c))
        .map(|c| if is_path(c) { '_' } else { c })
        .take(room)
        .collect();
    let clean = clean.trim_matches(['.', ' ']);
    let name = format!("{clean}.{ending}");
    if is_file_name(&name) {
        name
    } else {
        format!("附件.{ending}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_is_never_a_path_nor_a_device() {
        for bad in [
            "",
            ".",
            "..",
            ".x",
            "a/b.jpg",
            "..\\a.jpg",
            "C:a.jpg",
            "con.jpg",
            "CON",
            "nul.pdf",
            "com1.png",
            "LPT9",
            "a\u{202e}gpj.exe",
            "a\n.jpg",
            "a .",
            "x\".jpg",
            "a;b.jpg",
        ] {
            assert!(!is_file_name(bad), "{bad:?}");
        }
        for good in [
            "身份证.jpg",
            "a.b.pdf",
            "IMG_2001 (1).jpeg",
            "company.pdf",
            "合同",
        ] {
            assert!(is_file_name(good), "{good:?}");
        }
        assert!(!is_file_name(&"长".repeat(121)));
    }

    #[test]
    fn whatever_a_browser_calls_a_file_it_gets_a_name_that_may_be_kept() {
        for (given, kept) in [
            ("C:\\用户\\桌面\\户口簿.JPG", "户口簿.jpg"),
            ("../../etc/passwd", "passwd.jpg"),
            ("a:b|c.png", "a_b_c.jpg"),
            ("", "附件.jpg"),
            ("...", "附件.jpg"),
            ("nul.jpg", "附件.jpg"),
            ("scan.exe", "scan.exe.jpg"),
            ("\u{202e}gpj.jpg", "gpj.jpg"),
        ] {
            assert_eq!(file_name(given, "jpg"), kept, "{given:?}");
            assert!(is_file_name(&file_name(given, "jpg")));
        }
        assert!(is_file_name(&file_name(&"长".repeat(500), "pdf")));
    }
}
