//! Images side by side: filters, patches, reconstructions.

use super::colours::{Rgb, Scale};
use super::heatmap::enlarged;
use super::{FINE, Frame, TEXT, TITLE, sized, with_picture, write, write_bold};
use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::style::text_anchor::{HPos, VPos};

/// Images of equal size in rows. Texts may be empty.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Gallery {
    pub title: String,
    /// Below the images, in order.
    pub labels: Vec<String>,
    pub height: usize,
    pub width: usize,
    /// The pixels of each image, row by row.
    pub images: Vec<Vec<Rgb>>,
    /// Images in a row; chosen for a good shape if 0.
    pub columns: usize,
}

impl Gallery {
    /// Images of a stack, each of `channels` planes (1 or 3) one after another. With `own`, each image has a scale of greys of its
    /// own; colours are always those of numbers from 0 to 1, or of the range of the whole stack.
    pub fn of(values: &[f64], (height, width): (usize, usize), channels: usize, own: bool) -> Gallery {
        let plane = height * width;
        let common = Scale::grey(values);
        let images = values
            .chunks_exact((plane * channels).max(1))
            .map(|image| {
                let scale = if own { stretched(image) } else { common };
                (0..plane)
                    .map(|i| match channels {
                        1 => scale.colour(image[i]),
                        _ => std::array::from_fn(|c| scale.colour(image[c * plane + i])[0]),
                    })
                    .collect()
            })
            .collect();
        Gallery { height, width, images, ..Gallery::default() }
    }

    /// The number of images in a row.
    fn in_a_row(&self) -> usize {
        let n = self.images.len();
        if self.columns > 0 {
            return self.columns.min(n);
        }
        // A few stand in one row; of many the whole is 1.5 times as wide as high.
        if n as f64 * self.width as f64 <= 5.0 * self.height as f64 {
            return n;
        }
        let shape = self.height as f64 / self.width.max(1) as f64;
        ((n as f64 * shape * 1.5).sqrt().ceil() as usize).clamp(1, n)
    }

    /// All images in one, with white lines of `gap` pixels between them: the pixels, width and height.
    pub(super) fn mosaic(&self, gap: usize) -> (Vec<u8>, usize, usize) {
        let columns = self.in_a_row();
        let rows = self.images.len().div_ceil(columns);
        let (w, h) = (columns * (self.width + gap) - gap, rows * (self.height + gap) - gap);
        let mut pixels = vec![255; 3 * w * h];
        for (k, image) in self.images.iter().enumerate() {
            let (top, left) = (k / columns * (self.height + gap), k % columns * (self.width + gap));
            for (i, row) in image.chunks_exact(self.width).enumerate() {
                let at = 3 * ((top + i) * w + left);
                pixels[at..at + 3 * self.width].copy_from_slice(row.as_flattened());
            }
        }
        (pixels, w, h)
    }
}

/// From the least to the greatest number of one image.
fn stretched(values: &[f64]) -> Scale {
    let (low, high) = super::colours::range(values);
    Scale { low, high, ..Scale::grey(values) }
}

/// The most that the images take, in units of the picture.
const MOST_WIDTH: f64 = 640.0;
const MOST_HEIGHT: f64 = 800.0;
/// A pixel is shown at most this large.
const MOST_PIXEL: f64 = 12.0;
/// Units between images.
const GAP: i32 = 6;
/// More pixels than any page shows.
const MOST_PIXELS: usize = 1 << 24;

/// The images as the text of an SVG file.
///
/// # Errors
/// In words: no images, or too many pixels.
pub fn svg(gallery: &Gallery) -> Result<String, String> {
    let (n, h, w) = (gallery.images.len(), gallery.height, gallery.width);
    if n == 0 || h == 0 || w == 0 {
        return Err(format!("{n} images of {h} by {w} pixels leave nothing to draw"));
    }
    if n.saturating_mul(h).saturating_mul(w) > MOST_PIXELS {
        return Err(format!("{n} images of {h} by {w} pixels are too many to draw"));
    }
    let columns = gallery.in_a_row();
    let rows = n.div_ceil(columns);
    let caption = if gallery.labels.is_empty() { 0 } else { TEXT + 8 };
    let room_w = (MOST_WIDTH - f64::from(GAP) * (columns - 1) as f64) / columns as f64;
    let room_h = (MOST_HEIGHT - f64::from(GAP + caption) * rows as f64) / rows as f64;
    let unit = (room_w / w as f64).min(room_h / h as f64).clamp(1.0 / 8.0, MOST_PIXEL);
    let (tile_w, tile_h) = (((w as f64 * unit).round() as i32).max(1), ((h as f64 * unit).round() as i32).max(1));
    let margin = 12;
    let top = if gallery.title.is_empty() { margin } else { 26 + TITLE };
    let width = (2 * margin + columns as i32 * (tile_w + GAP) - GAP).max(160);
    let height = top + rows as i32 * (tile_h + caption + GAP) - GAP + margin;
    let left = (width - columns as i32 * (tile_w + GAP) + GAP) / 2;
    let corner = |k: usize| {
        (left + (k % columns) as i32 * (tile_w + GAP), top + (k / columns) as i32 * (tile_h + caption + GAP))
    };
    let mut text = String::new();
    draw(gallery, (width, height), (tile_w, tile_h), &corner, &mut text)
        .map_err(|e| format!("the images cannot be drawn ({e})"))?;
    for (k, image) in gallery.images.iter().enumerate() {
        let (x, y) = corner(k);
        let frame = Frame { left: x * FINE, right: (x + tile_w) * FINE, top: y * FINE, bottom: (y + tile_h) * FINE };
        let (large, size) = enlarged(image.as_flattened(), (w, h), (tile_w * 2, tile_h * 2));
        text = with_picture(&text, frame, size, &large)?;
    }
    Ok(sized(&text, width, height))
}

fn draw(
    gallery: &Gallery,
    (width, height): (i32, i32),
    (tile_w, tile_h): (i32, i32),
    corner: &dyn Fn(usize) -> (i32, i32),
    text: &mut String,
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(text, ((width * FINE) as u32, (height * FINE) as u32)).into_drawing_area();
    area.fill(&super::WHITE)?;
    write_bold(&area, &gallery.title, (width / 2 * FINE, 8 * FINE))?;
    for (k, label) in gallery.labels.iter().enumerate().take(gallery.images.len()) {
        let (x, y) = corner(k);
        let at = ((x + tile_w / 2) * FINE, (y + tile_h + 4) * FINE);
        write(&area, label, at, TEXT - 2, (HPos::Center, VPos::Top))?;
    }
    area.present()?;
    Ok(())
}
