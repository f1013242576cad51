//! Pictures in PNG: grey or RGB, 8 or 16 bits, as numbers in `[0, 1]`.

use crate::tensor::Tensor;
use image::codecs::png::{PngDecoder, PngEncoder};
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder};
use std::io::Cursor;

/// More pixels than any camera gives; a file that is all one colour states as many in few bytes.
const MOST_PIXELS: u64 = 1 << 28;

/// The picture as `F64`: grey of shape `[height, width]`, colour of shape `[3, height, width]`. The value is
/// the sample divided by the largest sample; no gamma is undone.
///
/// # Errors
/// In words: no PNG, damaged, a size that so few bytes cannot hold, or transparency that matters.
pub fn decode(bytes: &[u8]) -> Result<Tensor, String> {
    let unreadable = |e: image::ImageError| format!("expected a PNG picture, found none or a damaged one ({e})");
    let decoder = PngDecoder::new(Cursor::new(bytes)).map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let bits = u64::from(decoder.original_color_type().bits_per_pixel());
    // The compression shrinks at most by 1032 to 1; a smaller file cannot hold the pixels it states.
    if pixels.saturating_mul(bits) / (8 * 1032) > bytes.len() as u64 {
        return Err(format!("states {width} by {height} pixels, but has only {} bytes", bytes.len()));
    }
    if pixels > MOST_PIXELS {
        return Err(format!("has {width} by {height} pixels; at most {MOST_PIXELS} are read"));
    }
    let picture = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    let (w, h) = (width as usize, height as usize);
    let eight = |v: u8| f64::from(v) / 255.0;
    let sixteen = |v: u16| f64::from(v) / 65535.0;
    let transparent = || "the picture is transparent in places; save it without an alpha channel".to_string();
    match picture {
        DynamicImage::ImageLuma8(p) => Ok(planes(h, w, 1, 1, &p.into_raw(), eight)),
        DynamicImage::ImageLuma16(p) => Ok(planes(h, w, 1, 1, &p.into_raw(), sixteen)),
        DynamicImage::ImageRgb8(p) => Ok(planes(h, w, 3, 3, &p.into_raw(), eight)),
        DynamicImage::ImageRgb16(p) => Ok(planes(h, w, 3, 3, &p.into_raw(), sixteen)),
        DynamicImage::ImageLumaA8(p) if opaque(&p, 2, u8::MAX) => Ok(planes(h, w, 1, 2, &p.into_raw(), eight)),
        DynamicImage::ImageLumaA16(p) if opaque(&p, 2, u16::MAX) => Ok(planes(h, w, 1, 2, &p.into_raw(), sixteen)),
        DynamicImage::ImageRgba8(p) if opaque(&p, 4, u8::MAX) => Ok(planes(h, w, 3, 4, &p.into_raw(), eight)),
        DynamicImage::ImageRgba16(p) if opaque(&p, 4, u16::MAX) => Ok(planes(h, w, 3, 4, &p.into_raw(), sixteen)),
        DynamicImage::ImageLumaA8(_)
        | DynamicImage::ImageLumaA16(_)
        | DynamicImage::ImageRgba8(_)
        | DynamicImage::ImageRgba16(_) => Err(transparent()),
        other => Err(format!("expected grey or RGB samples, found {:?}", other.color())),
    }
}

/// True if the last of every `step` samples is the largest value.
fn opaque<T: Copy + PartialEq>(samples: &[T], step: usize, most: T) -> bool {
    samples.chunks_exact(step).all(|pixel| pixel[step - 1] == most)
}

/// The first `channels` of every `step` samples, as planes.
fn planes<T: Copy>(
    h: usize,
    w: usize,
    channels: usize,
    step: usize,
    samples: &[T],
    value: impl Fn(T) -> f64,
) -> Tensor {
    let values = (0..channels).flat_map(|c| samples.iter().skip(c).step_by(step).map(|&v| value(v))).collect();
    if channels == 1 { Tensor::from_vec(&[h, w], values) } else { Tensor::from_vec(&[channels, h, w], values) }
}

/// A file with 8 bits for each sample. Values below 0 and above 1 become black and white.
///
/// # Errors
/// For another shape than `[h, w]`, `[1, h, w]` or `[3, h, w]`, an empty one, keys, and NaN.
pub fn encode(tensor: &Tensor) -> Result<Vec<u8>, String> {
    let (channels, h, w) = match *tensor.shape() {
        [h, w] => (1, h, w),
        [c @ (1 | 3), h, w] => (c, h, w),
        ref other => return Err(format!("a picture needs the shape [h, w] or [3, h, w], found {other:?}")),
    };
    if matches!(tensor, Tensor::Key(_)) {
        return Err("a random key cannot be saved as a picture".into());
    }
    let (Ok(width), Ok(height)) = (u32::try_from(w), u32::try_from(h)) else {
        return Err(format!("{h} by {w} pixels are too many"));
    };
    if width == 0 || height == 0 {
        return Err(format!("a picture of {h} by {w} pixels has none"));
    }
    let values = tensor.to_f64_vec();
    if let Some(at) = values.iter().position(|v| v.is_nan()) {
        return Err(format!("the pixel at row {}, column {} is NaN", at / w % h, at % w));
    }
    let plane = h * w;
    let mut samples = Vec::with_capacity(values.len());
    for pixel in 0..plane {
        for channel in 0..channels {
            let value = values[channel * plane + pixel].clamp(0.0, 1.0);
            samples.push((value * 255.0).round_ties_even() as u8);
        }
    }
    let color = if channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&samples, width, height, color)
        .map_err(|e| format!("cannot be written as PNG ({e})"))?;
    Ok(bytes)
}
