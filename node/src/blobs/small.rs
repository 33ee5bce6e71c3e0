//! Thumbnails: made where a file is attached, from whatever bytes a person brought.

use std::io::Cursor;

use cuntong_protocol::{act::Media, limits::THUMBNAIL_BYTES_MAX};
use image::{DynamicImage, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder};

/// Pixels a picture may have at most in one direction.
const SIDE_MAX: u32 = 12_000;
/// Memory one picture may take while it is read: a photo of 20 million pixels.
const DECODE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Pixels of a thumbnail's longer side.
const SIDE: u32 = 240;
/// From good to bad, until it is small enough.
const QUALITIES: [u8; 4] = [70, 50, 30, 15];

/// A JPEG of at most [`THUMBNAIL_BYTES_MAX`]; none of what is no picture, is too large to be
/// read, or does not read: the file itself is kept all the same.
pub(super) fn thumbnail(media: Media, bytes: &[u8]) -> Option<Vec<u8>> {
    let format = match media {
        Media::Jpeg => ImageFormat::Jpeg,
        Media::Png => ImageFormat::Png,
        Media::Pdf => return None,
    };
    let picture = read(format, bytes)?;
    let small = DynamicImage::ImageRgb8(picture.thumbnail(SIDE, SIDE).into_rgb8());
    QUALITIES.into_iter().find_map(|quality| {
        let mut out = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut out, quality);
        small.write_with_encoder(encoder).ok()?;
        (out.len() as u64 <= THUMBNAIL_BYTES_MAX).then_some(out)
    })
}

fn read(format: ImageFormat, bytes: &[u8]) -> Option<DynamicImage> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODE_BYTES_MAX);
    reader.limits(limits);
    // A decoder that panics on hostile bytes costs a thumbnail, not the node.
    let decoded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| reader.decode()));
    decoded.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let picture = image::RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([(x * 7) as u8, (y * 13) as u8, (x * y) as u8])
        });
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    #[test]
    fn a_photo_gets_a_small_picture_of_its_own_shape_and_a_pdf_none() {
        for (media, format) in [
            (Media::Jpeg, ImageFormat::Jpeg),
            (Media::Png, ImageFormat::Png),
        ] {
            let small = thumbnail(media, &picture(800, 400, format)).unwrap();
            assert!(small.len() as u64 <= THUMBNAIL_BYTES_MAX);
            let read = read(ImageFormat::Jpeg, &small).unwrap();
            assert_eq!((read.width(), read.height()), (240, 120));
        }
        assert_eq!(thumbnail(Media::Pdf, b"%PDF-1.7"), None);
    }

    #[test]
    fn a_bomb_or_garbage_costs_a_thumbnail_and_no_more() {
        // A PNG that says it is 60 000 pixels wide and high.
        let mut bomb = picture(4, 4, ImageFormat::Png);
        for at in [16, 20] {
            bomb[at..at + 4].copy_from_slice(&60_000_u32.to_be_bytes());
        }
        assert_eq!(thumbnail(Media::Png, &bomb), None);
        assert_eq!(thumbnail(Media::Png, b"\x89PNG\r\n\x1a\n"), None);
        let mut cut = picture(300, 300, ImageFormat::Jpeg);
        cut.truncate(40);
        assert_eq!(thumbnail(Media::Jpeg, &cut), None);
    }
}
