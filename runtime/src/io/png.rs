//! Pictures in PNG: grey or RGB, 8 or 16 bits, as numbers in `[0, 1]`.

use crate::tensor::Tensor;
use png::{BitDepth, ColorType, DecodingError, Transformations};
use std::io::Cursor;

/// More pixels than any camera gives; a file that is all one colour states as many in few bytes.
const MOST_PIXELS: u64 = 1 << 28;

/// The picture as `F64`: grey of shape `[height, width]`, colour of shape `[3, height, width]`. The value is
/// the sample divided by the largest sample; no gamma is undone.
///
/// # Errors
/// In words: no PNG, damaged, a size that so few bytes cannot hold, or transparency that matters.
pub fn decode(bytes: &[u8]) -> Result<Tensor, String> {
    let unreadable = |e: DecodingError| format!("expected a PNG picture, found none or a damaged one ({e})");
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND);
    let header = decoder.read_header_info().map_err(unreadable)?;
    let (width, height) = (header.width, header.height);
    let pixels = u64::from(width) * u64::from(height);
    let bits = header.bits_per_pixel() as u64;
    // The compression shrinks at most by 1032 to 1; a smaller file cannot hold the pixels it states.
    if pixels.saturating_mul(bits) / (8 * 1032) > bytes.len() as u64 {
        return Err(format!("states {width} by {height} pixels, but has only {} bytes", bytes.len()));
    }
    if pixels > MOST_PIXELS {
        return Err(format!("has {width} by {height} pixels; at most {MOST_PIXELS} are read"));
    }
    let mut picture = decoder.read_info().map_err(unreadable)?;
    let size =
        picture.output_buffer_size().ok_or_else(|| format!("{width} by {height} pixels do not fit in memory"))?;
    let mut samples = vec![0; size];
    let info = picture.next_frame(&mut samples).map_err(unreadable)?;
    let (w, h) = (width as usize, height as usize);
    let (channels, step) = match info.color_type {
        ColorType::Grayscale => (1, 1),
        ColorType::GrayscaleAlpha => (1, 2),
        ColorType::Rgb => (3, 3),
        ColorType::Rgba => (3, 4),
        ColorType::Indexed => return Err("expected grey or RGB samples, found a palette".into()),
    };
    let values: Vec<f64> = match info.bit_depth {
        BitDepth::Eight => samples.iter().map(|&v| f64::from(v) / 255.0).collect(),
        BitDepth::Sixteen => {
            samples.as_chunks::<2>().0.iter().map(|&v| f64::from(u16::from_be_bytes(v)) / 65535.0).collect()
        }
        other => return Err(format!("expected samples of 8 or 16 bits, found {other:?}")),
    };
    if step > channels && values.iter().skip(channels).step_by(step).any(|&alpha| alpha != 1.0) {
        return Err("the picture is transparent in places; save it without an alpha channel".into());
    }
    let planes = (0..channels).flat_map(|c| values.iter().skip(c).step_by(step).copied()).collect();
    Ok(if channels == 1 { Tensor::from_vec(&[h, w], planes) } else { Tensor::from_vec(&[channels, h, w], planes) })
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
    written(width, height, if channels == 1 { ColorType::Grayscale } else { ColorType::Rgb }, &samples)
}

/// A file of samples of 8 bits, row by row.
pub(crate) fn written(width: u32, height: u32, color: ColorType, samples: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(samples))
        .map_err(|e| format!("cannot be written as PNG ({e})"))?;
    Ok(bytes)
}
