//! Pictures as text: curves in braille, maps and images in half blocks or shades.

use super::axis::{self, Axis, Tick};
use super::colours::{Rgb, Scale};
use super::gallery::Gallery;
use super::heatmap::Heatmap;
use super::{Axes, Mark, Plot, axes, colour_of};
use crate::table::format_number;

/// How much room there is, and whether colours are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    pub columns: usize,
    pub rows: usize,
    pub colour: bool,
}

impl Default for Room {
    fn default() -> Room {
        Room { columns: 72, rows: 16, colour: false }
    }
}

/// Dots of 2 by 4 in each character, and the curve that was drawn last there.
struct Canvas {
    columns: usize,
    rows: usize,
    cells: Vec<(u8, usize)>,
}

impl Canvas {
    fn new(columns: usize, rows: usize) -> Canvas {
        Canvas { columns, rows, cells: vec![(0, 0); columns * rows] }
    }

    /// Sets a dot; the first is at the top left.
    fn dot(&mut self, x: usize, y: usize, curve: usize) {
        // The order of the bits in Unicode's braille patterns.
        const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        if x < 2 * self.columns && y < 4 * self.rows {
            let cell = &mut self.cells[y / 4 * self.columns + x / 2];
            cell.0 |= BITS[y % 4][x % 2];
            cell.1 = curve;
        }
    }

    /// A straight line of dots.
    fn line(&mut self, (x0, y0): (i32, i32), (x1, y1): (i32, i32), curve: usize) {
        let steps = (x1 - x0).abs().max((y1 - y0).abs()).max(1);
        for i in 0..=steps {
            let at = |a: i32, b: i32| a + ((b - a) * i + (b - a).signum() * steps / 2) / steps;
            self.dot(at(x0, x1).max(0) as usize, at(y0, y1).max(0) as usize, curve);
        }
    }

    /// A row as text, in colours if there are `curves` to be told apart by them; `letters` stand over the dots.
    fn row(&self, row: usize, curves: Option<usize>, letters: &[(usize, usize, char)]) -> String {
        let mut text = String::new();
        for (column, &(bits, curve)) in self.cells[row * self.columns..(row + 1) * self.columns].iter().enumerate() {
            let c = char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' ');
            let letter = letters.iter().find(|(x, y, _)| (*x, *y) == (column, row));
            match (letter, curves, bits) {
                (Some((_, _, letter)), ..) => text.push(*letter),
                (None, _, 0) => text.push(' '),
                (None, Some(curves), _) => text.push_str(&coloured(c, curve, curves)),
                (None, None, _) => text.push(c),
            }
        }
        text
    }
}

/// A character in the colour of a curve.
fn coloured(c: char, curve: usize, curves: usize) -> String {
    let colour = colour_of(curve, curves);
    format!("\x1b[38;2;{};{};{}m{c}\x1b[0m", colour.0, colour.1, colour.2)
}

/// Curves, points and bars with their axes.
///
/// # Errors
/// As for `svg`.
pub fn plot(plot: &Plot, room: Room) -> Result<String, String> {
    let Axes { x: x_axis, y: y_axis } = axes(plot)?;
    let (x_ticks, y_ticks) = (named(x_axis.ticks()), named(y_axis.ticks()));
    let margin = y_ticks.iter().map(|t| t.label.chars().count()).max().unwrap_or(0);
    let rows = room.rows.max(4);
    let columns = room.columns.saturating_sub(margin + 2).max(10);
    let mut canvas = Canvas::new(columns, rows);
    let at = |x: f64, y: f64| {
        (
            (x_axis.position(x) * (2 * columns - 1) as f64).round() as i32,
            ((1.0 - y_axis.position(y)) * (4 * rows - 1) as f64).round() as i32,
        )
    };
    // Without colours a letter at its end names a curve.
    let mut letters: Vec<(usize, usize, char)> = Vec::new();
    let lettered = !room.colour && (2..=26).contains(&plot.curves.len());
    for (i, curve) in plot.curves.iter().enumerate() {
        let shown = |x: f64, y: f64| axis::drawable(x, plot.log_x) && axis::drawable(y, plot.log_y);
        if curve.mark == Mark::Bars {
            for (edges, &y) in curve.x.windows(2).zip(&curve.y) {
                if !shown(edges[0], y) || !axis::drawable(edges[1], plot.log_x) || y == 0.0 {
                    continue;
                }
                let ((left, top), (right, _)) = (at(edges[0], y), at(edges[1], y));
                let ground = if plot.log_y { 4 * rows as i32 - 1 } else { at(edges[0], 0.0).1 };
                // A line of dots is left free between bars.
                (left..right.max(left + 1)).for_each(|x| canvas.line((x, top), (x, ground), i));
            }
            continue;
        }
        let mut last = None;
        for (&x, &y) in curve.x.iter().zip(&curve.y) {
            let here = shown(x, y).then(|| at(x, y));
            match (last, here) {
                (Some(from), Some(to)) if curve.mark != Mark::Points => canvas.line(from, to, i),
                (_, Some((x, y))) => canvas.dot(x as usize, y as usize, i),
                (_, None) => {}
            }
            last = here;
            if let (true, Some((x, y))) = (lettered && !curve.label.is_empty(), here) {
                let place = (x.max(0) as usize / 2, y.max(0) as usize / 4, (b'a' + i as u8) as char);
                letters.retain(|(_, _, c)| *c != place.2);
                letters.push(place);
            }
        }
    }
    let curves = room.colour.then_some(plot.curves.len());
    let mut text = String::new();
    if !plot.title.is_empty() {
        text += &format!("{:margin$}  {}\n", "", plot.title);
    }
    if !plot.y_label.is_empty() {
        text += &format!("{:margin$}  {}\n", "", plot.y_label);
    }
    for row in 0..rows {
        let label = y_ticks.iter().find(|t| at(x_ticks.first().map_or(1.0, |t| t.value), t.value).1 / 4 == row as i32);
        let mark = if label.is_some() { '┤' } else { '│' };
        let label = label.map_or("", |t| &t.label);
        text += format!("{label:>margin$} {mark}{}", canvas.row(row, curves, &letters)).trim_end();
        text.push('\n');
    }
    text += &format!("{:margin$} └{}\n", "", "─".repeat(columns));
    text += labels_below(&x_ticks, &x_axis, margin + 2, columns).trim_end();
    text.push('\n');
    if !plot.x_label.is_empty() {
        text += &format!("{:>width$}\n", plot.x_label, width = margin + 2 + columns);
    }
    let names = plot.curves.iter().enumerate().filter(|(_, c)| !c.label.is_empty());
    let legend: Vec<String> = names
        .map(|(i, c)| match curves {
            Some(curves) => format!("{} {}", coloured('■', i, curves), c.label),
            None if lettered && c.mark != Mark::Bars => format!("{} {}", (b'a' + i as u8) as char, c.label),
            None => c.label.clone(),
        })
        .collect();
    if !legend.is_empty() {
        text += &format!("{:margin$}  {}\n", "", legend.join("   "));
    }
    Ok(text)
}

fn named(ticks: Vec<Tick>) -> Vec<Tick> {
    ticks.into_iter().filter(|t| !t.label.is_empty()).collect()
}

/// The labels of the x axis, those that do not run into the one before.
fn labels_below(ticks: &[Tick], axis: &Axis, margin: usize, columns: usize) -> String {
    let mut line = vec![' '; margin + columns + 8];
    let mut free = 0;
    for tick in ticks {
        let label: Vec<char> = tick.label.chars().collect();
        let middle = margin + (axis.position(tick.value) * (columns - 1) as f64).round() as usize;
        let start = middle.saturating_sub(label.len() / 2);
        if start >= free && start + label.len() <= line.len() {
            line[start..start + label.len()].copy_from_slice(&label);
            free = start + label.len() + 1;
        }
    }
    line.into_iter().collect()
}

/// A map of colours, with the range of its numbers.
///
/// # Errors
/// As for `heatmap::svg`.
pub fn heatmap(map: &Heatmap, room: Room) -> Result<String, String> {
    super::heatmap::svg(map)?;
    let scale = Scale::of(&map.values);
    let pixels: Vec<Rgb> = map.values.iter().map(|&v| scale.colour(v)).collect();
    let shades: Vec<f64> = map.values.iter().map(|&v| scale.position(v)).collect();
    let mut text = if map.title.is_empty() { String::new() } else { format!("{}\n", map.title) };
    text += &blocks(&pixels, &shades, (map.columns, map.rows), room);
    text += &format!(
        "{} by {}, from {} to {}\n",
        map.rows,
        map.columns,
        format_number(scale.low),
        format_number(scale.high)
    );
    Ok(text)
}

/// Images side by side.
///
/// # Errors
/// As for `gallery::svg`.
pub fn gallery(gallery: &Gallery, room: Room) -> Result<String, String> {
    super::gallery::svg(gallery)?;
    let (bytes, w, h) = gallery.mosaic(1);
    let pixels: Vec<Rgb> = bytes.as_chunks::<3>().0.to_vec();
    let shades: Vec<f64> = pixels.iter().map(|p| p.iter().map(|&v| f64::from(v)).sum::<f64>() / 765.0).collect();
    let mut text = if gallery.title.is_empty() { String::new() } else { format!("{}\n", gallery.title) };
    text += &blocks(&pixels, &shades, (w, h), room);
    if !gallery.labels.is_empty() {
        text += &format!("{}\n", gallery.labels.join(", "));
    }
    Ok(text)
}

/// Pixels as text: two in a character with colours, else one of five shades for two.
fn blocks(pixels: &[Rgb], shades: &[f64], (w, h): (usize, usize), room: Room) -> String {
    // Every n-th pixel, so that all fit.
    let every = w.div_ceil(room.columns.max(1)).max(h.div_ceil(4 * room.rows.max(1))).max(1);
    let mut text = String::new();
    for i in (0..h).step_by(2 * every) {
        let below = i + every;
        for j in (0..w).step_by(every) {
            let (a, b) = (i * w + j, if below < h { below * w + j } else { i * w + j });
            if room.colour {
                let ([r, g, bl], [x, y, z]) = (pixels[a], pixels[b]);
                text += &format!("\x1b[38;2;{r};{g};{bl}m\x1b[48;2;{x};{y};{z}m▀");
            } else {
                let shade = (shades[a] + shades[b]) / 2.0;
                let shade = if shade.is_nan() { 0.0 } else { shade };
                text.push([' ', '░', '▒', '▓', '█'][((shade * 5.0) as usize).min(4)]);
            }
        }
        if room.colour {
            text += "\x1b[0m";
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}
