//! PNG pictures of drawings in SVG. The fonts are part of the program (DejaVu), so that every machine draws the same.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};
use std::sync::Arc;

/// Pixels for one unit of the drawing: 640 units are 1280 pixels.
const SCALE: f32 = 2.0;
/// More pixels than any screen or page shows.
const MOST_PIXELS: u64 = 1 << 26;

/// The drawing as a PNG file.
///
/// # Errors
/// In words: no SVG, or too large.
pub fn png(svg: &str) -> Result<Vec<u8>, String> {
    let (rgb, width, height) = pixels(svg, SCALE)?;
    encode(width, height, &rgb)
}

/// The drawing as pixels of three bytes each, `scale` of them for one unit of the drawing; width and height.
///
/// # Errors
/// As for `png`.
pub(super) fn pixels(svg: &str, scale: f32) -> Result<(Vec<u8>, usize, usize), String> {
    let mut options = Options::default();
    let fonts = Arc::get_mut(&mut options.fontdb).ok_or("the fonts are in use")?;
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    let tree = Tree::from_str(svg, &options).map_err(|e| format!("the drawing is no SVG ({e})"))?;
    let size = tree.size().to_int_size().scale_by(scale).ok_or("the drawing is empty")?;
    if u64::from(size.width()) * u64::from(size.height()) > MOST_PIXELS {
        return Err(format!("a picture of {} by {} pixels is too large", size.width(), size.height()));
    }
    let mut pixels = Pixmap::new(size.width(), size.height()).ok_or("the picture does not fit in memory")?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    // The background is opaque.
    let rgb = pixels.data().as_chunks::<4>().0.iter().flat_map(|p| [p[0], p[1], p[2]]).collect();
    Ok((rgb, size.width() as usize, size.height() as usize))
}

/// A PNG file of pixels, three bytes each.
pub(super) fn encode(width: usize, height: usize, rgb: &[u8]) -> Result<Vec<u8>, String> {
    let (Ok(w), Ok(h)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(format!("{height} by {width} pixels are too many"));
    };
    crate::io::png::written(w, h, png::ColorType::Rgb, rgb)
}
