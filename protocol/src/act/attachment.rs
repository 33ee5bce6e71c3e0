//! Acts about files: what a document says of a scan or photo. The bytes travel by themselves
//! ([`crate::blob`]).

use crate::{
    id::{ActId, BlobHash},
    text::shows,
};

/// The kinds of file a case takes: what a scanner, a phone and an office make.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, minicbor::Encode, minicbor::Decode,
)]
#[cbor(index_only)]
pub enum Media {
    #[n(0)]
    Jpeg,
    #[n(1)]
    Png,
    #[n(2)]
    Pdf,
}

impl Media {
    /// As sent to a browser.
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Pdf => "application/pdf",
        }
    }

    /// The ending of a file's name, without the dot.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Pdf => "pdf",
        }
    }

    /// The number it has in documents.
    pub const fn code(self) -> u8 {
        match self {
            Self::Jpeg => 0,
            Self::Png => 1,
            Self::Pdf => 2,
        }
    }

    /// The kind with that number.
    pub const fn of_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Jpeg),
            1 => Some(Self::Png),
            2 => Some(Self::Pdf),
            _ => None,
        }
    }

    /// The kind by how the file begins; the name a file has is never believed.
    pub fn of_bytes(start: &[u8]) -> Option<Self> {
        const MAGIC: [(&[u8], Media); 3] = [
            (&[0xff, 0xd8, 0xff], Media::Jpeg),
            (b"\x89PNG\r\n\x1a\n", Media::Png),
            (b"%PDF-", Media::Pdf),
        ];
        let found = MAGIC.iter().find(|(magic, _)| start.starts_with(magic));
        found.map(|(_, media)| *media)
    }
}

/// A file that belongs to the case.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Attach {
    #[n(0)]
    pub hash: BlobHash,
    /// Bytes.
    #[n(1)]
    pub size: u64,
    #[n(2)]
    pub media: Media,
    /// As shown to people; never a path ([`crate::blob::is_file_name`]).
    #[n(3)]
    pub name: String,
    /// A small JPEG, made where the file was attached; a PDF has none.
    #[n(4)]
    pub thumbnail: Option<Thumbnail>,
    /// The material it is: index into the item's list.
    #[n(5)]
    pub material: Option<u32>,
}

/// The small picture of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Thumbnail {
    #[n(0)]
    pub hash: BlobHash,
    #[n(1)]
    pub size: u64,
}

/// A file that does not count any more; the act that named it stays visible.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Detach {
    /// The act that attached it, in the same document.
    #[n(0)]
    pub attach: ActId,
    #[n(1)]
    pub reason: String,
}

shows! {
    Attach { hash, size, media, thumbnail, material }
    Detach { attach }
}
