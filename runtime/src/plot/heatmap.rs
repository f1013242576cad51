//! A matrix as a map of colours, with a bar that tells the numbers.

use super::axis::{Axis, Tick};
use super::colours::Scale;
use super::{FINE, Frame, INK, TEXT, TITLE, line, sized, text_width, with_picture, write, write_bold, write_upwards};
use crate::table::format_number;
use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::style::text_anchor::{HPos, VPos};

/// Row 0 is at the top. Texts may be empty.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Heatmap {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub rows: usize,
    pub columns: usize,
    /// Row by row.
    pub values: Vec<f64>,
}

/// The most that the cells take, in units of the picture.
const MOST_WIDTH: f64 = 480.0;
const MOST_HEIGHT: f64 = 400.0;
/// The bar, and what is between it and the cells.
const BAR: i32 = 14;
const GAP: i32 = 14;
/// More cells than anyone sees: a larger matrix is not drawn.
const MOST_CELLS: usize = 1 << 24;

/// The map as the text of an SVG file.
///
/// # Errors
/// In words: no cells, too many, or no finite number.
pub fn svg(map: &Heatmap) -> Result<String, String> {
    let (rows, columns) = (map.rows, map.columns);
    if rows == 0 || columns == 0 || map.values.len() != rows * columns {
        return Err(format!("a matrix of {rows} by {columns} numbers has no cells to draw"));
    }
    if map.values.len() > MOST_CELLS {
        return Err(format!("a matrix of {rows} by {columns} numbers is too large to draw"));
    }
    if !map.values.iter().any(|v| v.is_finite()) {
        return Err("no number of the matrix is finite".to_string());
    }
    let scale = Scale::of(&map.values);
    let (w, h) = cells(rows, columns);
    let bar_axis = Axis::new([scale.low, scale.high].into_iter(), false, (0.0, 0.0));
    let (x_ticks, y_ticks) = (index_ticks(columns), index_ticks(rows));
    // Where all numbers are the same, the bar has one colour and names that number.
    let bar_ticks = match scale.low < scale.high {
        true => bar_axis.ticks(),
        false => vec![Tick { value: scale.low, label: format_number(scale.low) }],
    };
    let widest = |ticks: &[Tick]| ticks.iter().map(|t| text_width(&t.label, TEXT)).max().unwrap_or(0);

    let left = 14 + widest(&y_ticks) + if map.y_label.is_empty() { 0 } else { TEXT + 10 };
    let top = if map.title.is_empty() { 14 } else { 26 + TITLE };
    let (right, bottom) = (left + w, top + h);
    let (bar_left, bar_right) = (right + GAP, right + GAP + BAR);
    let width = bar_right + 8 + widest(&bar_ticks) + 12;
    let height = bottom + 12 + TEXT + 6 + if map.x_label.is_empty() { 0 } else { TEXT + 8 };

    let frame = Frame { left: left * FINE, right: right * FINE, top: top * FINE, bottom: bottom * FINE };
    let bar = Frame { left: bar_left * FINE, right: bar_right * FINE, ..frame };
    let mut text = String::new();
    draw(map, (width, height), (frame, &x_ticks, &y_ticks), (bar, &bar_axis, &bar_ticks), &mut text)
        .map_err(|e| format!("the map cannot be drawn ({e})"))?;
    let pixels: Vec<u8> = map.values.iter().flat_map(|&v| scale.colour(v)).collect();
    let (large, size) = enlarged(&pixels, (columns, rows), (w * 2, h * 2));
    let text = with_picture(&text, frame, size, &large)?;
    // Over its whole range if it has one.
    let steps = 256;
    let shown = |i: usize| scale.high + (scale.low - scale.high) * i as f64 / (steps - 1) as f64;
    let bar_pixels: Vec<u8> = (0..steps).flat_map(|i| scale.colour(shown(i))).collect();
    Ok(sized(&with_picture(&text, bar, (1, steps), &bar_pixels)?, width, height))
}

/// The extents of all cells: square cells unless the matrix is very long.
fn cells(rows: usize, columns: usize) -> (i32, i32) {
    let (r, c) = (rows as f64, columns as f64);
    let side = (MOST_WIDTH / c).min(MOST_HEIGHT / r);
    let (w, h) = (side * c, side * r);
    // At least 60 units in the short direction.
    (w.max(60.0).round() as i32, h.max(60.0).round() as i32)
}

/// The pixels repeated a whole number of times, so that a viewer that smooths images still shows cells.
pub(super) fn enlarged(pixels: &[u8], (w, h): (usize, usize), wanted: (i32, i32)) -> (Vec<u8>, (usize, usize)) {
    let times = |n: usize, wanted: i32| (wanted.max(1) as usize).div_ceil(n).clamp(1, 64);
    let (kx, ky) = (times(w, wanted.0), times(h, wanted.1));
    let mut large = Vec::with_capacity(pixels.len() * kx * ky);
    for row in pixels.chunks_exact(3 * w) {
        let wide: Vec<u8> = row.chunks_exact(3).flat_map(|p| p.repeat(kx)).collect();
        (0..ky).for_each(|_| large.extend_from_slice(&wide));
    }
    (large, (w * kx, h * ky))
}

/// Labels of indices, at most some eight.
fn index_ticks(n: usize) -> Vec<Tick> {
    let every = [1, 2, 5]
        .into_iter()
        .flat_map(|d| (0..18).map(move |e| d * 10usize.pow(e)))
        .filter(|every| n.div_ceil(*every) <= 8)
        .min()
        .unwrap_or(n);
    (0..n).step_by(every).map(|i| Tick { value: i as f64, label: i.to_string() }).collect()
}

type Side<'a> = (Frame, &'a [Tick], &'a [Tick]);

fn draw(
    map: &Heatmap,
    (width, height): (i32, i32),
    (frame, x_ticks, y_ticks): Side<'_>,
    (bar, bar_axis, bar_ticks): (Frame, &Axis, &[Tick]),
    text: &mut String,
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(text, ((width * FINE) as u32, (height * FINE) as u32)).into_drawing_area();
    area.fill(&super::WHITE)?;
    let Frame { left, right, top, bottom } = frame;
    let centre =
        |i: f64, n: usize, from: i32, to: i32| from + ((i + 0.5) / n as f64 * f64::from(to - from)).round() as i32;
    for tick in x_ticks {
        let x = centre(tick.value, map.columns, left, right);
        line(&area, vec![(x, bottom), (x, bottom + 3 * FINE)], INK, 1.0)?;
        write(&area, &tick.label, (x, bottom + 6 * FINE), TEXT, (HPos::Center, VPos::Top))?;
    }
    for tick in y_ticks {
        let y = centre(tick.value, map.rows, top, bottom);
        line(&area, vec![(left, y), (left - 3 * FINE, y)], INK, 1.0)?;
        write(&area, &tick.label, (left - 6 * FINE, y), TEXT, (HPos::Right, VPos::Center))?;
    }
    for tick in bar_ticks {
        let y = bottom - (bar_axis.position(tick.value) * f64::from(bottom - top)).round() as i32;
        line(&area, vec![(bar.right, y), (bar.right + 3 * FINE, y)], INK, 1.0)?;
        write(&area, &tick.label, (bar.right + 7 * FINE, y), TEXT, (HPos::Left, VPos::Center))?;
    }
    for Frame { left, right, top, bottom } in [frame, bar] {
        let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        line(&area, corners, INK, 1.0)?;
    }
    write_bold(&area, &map.title, ((left + right) / 2, 8 * FINE))?;
    write(&area, &map.x_label, ((left + right) / 2, (height - 6 - TEXT) * FINE), TEXT, (HPos::Center, VPos::Top))?;
    write_upwards(&area, &map.y_label, (8 * FINE, (top + bottom) / 2))?;
    area.present()?;
    Ok(())
}
