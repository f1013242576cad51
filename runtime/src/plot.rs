//! Pictures: curves, points and bars here, as SVG with a legend, linear or logarithmic axes; maps of numbers in `heatmap`,
//! images in `gallery`. `raster` makes PNG of SVG, `terminal` shows pictures as text,
//! `inline` as pictures in terminals that can.
//!
//! Axes, ticks and legend are laid out here, so that every range of numbers gives a readable plot; `plotters`
//! draws. The same plot always gives the same bytes.

mod axis;
pub mod colours;
pub mod gallery;
pub mod heatmap;
pub mod inline;
pub mod raster;
pub mod terminal;

use axis::{Axis, Tick};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle};

/// How a curve is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    Line,
    Points,
    LineAndPoints,
    /// Bars from zero; `x` holds their edges, one more than there are heights.
    Bars,
}

/// One curve; `x` and `y` have equal lengths (but for bars). A point that is not finite, or not positive on a logarithmic
/// axis, leaves a gap.
#[derive(Clone, PartialEq, Debug)]
pub struct Curve {
    /// The name in the legend; none if empty.
    pub label: String,
    pub x: Vec<f64>,
    pub y: Vec<f64>,
    pub mark: Mark,
}

impl Curve {
    /// A line through `y` at 1, 2, 3, ...
    pub fn of(label: &str, y: Vec<f64>) -> Curve {
        Curve { label: label.into(), x: (1..=y.len()).map(|i| i as f64).collect(), y, mark: Mark::Line }
    }

    /// How often values fall into each of `bins` equal parts of the range from `low` to `high`, the last part with its end.
    /// Values outside, and those that are not finite, are left out.
    pub fn histogram(label: &str, values: &[f64], (low, high): (f64, f64), bins: usize) -> Curve {
        let width = (high - low) / bins as f64;
        let x: Vec<f64> = (0..=bins).map(|i| if i == bins { high } else { low + width * i as f64 }).collect();
        let mut y = vec![0.0; bins];
        for &value in values.iter().filter(|v| (low..=high).contains(*v)) {
            y[(((value - low) / width) as usize).min(bins - 1)] += 1.0;
        }
        Curve { label: label.into(), x, y, mark: Mark::Bars }
    }

    /// The points that lie on the axes: for bars the upper corners, and the ground.
    fn corners(&self, log_y: bool) -> Vec<(f64, f64)> {
        let points = self.x.iter().copied().zip(self.y.iter().copied());
        if self.mark != Mark::Bars {
            return points.collect();
        }
        let ends = self.x.iter().skip(1).copied().zip(self.y.iter().copied());
        let ground = if log_y { None } else { self.x.first().map(|&x| (x, 0.0)) };
        points.chain(ends).chain(ground).collect()
    }
}

/// A number of bins for a histogram: by the rule of Freedman and Diaconis (1981), the width twice the range of the middle half
/// of the values over the cube root of their number; from 5 to 100.
pub fn number_of_bins(values: &[f64]) -> usize {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let Some((&low, &high)) = sorted.first().zip(sorted.last()) else { return 5 };
    let quarter = |q: usize| sorted[(sorted.len() - 1) * q / 4];
    let width = 2.0 * (quarter(3) - quarter(1)) / (sorted.len() as f64).cbrt();
    let bins = ((high - low) / width).ceil();
    if bins.is_finite() { (bins as usize).clamp(5, 100) } else { 20 }
}

/// A plot. Texts may be empty.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plot {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub log_x: bool,
    pub log_y: bool,
    pub curves: Vec<Curve>,
}

/// Units of the drawing for one unit of the picture: the backend rounds to whole units.
const FINE: i32 = 8;
/// The picture's size.
const WIDTH: i32 = 640;
const HEIGHT: i32 = 420;
/// The legend has at most this many entries.
const MOST_NAMED: usize = 10;
/// Line widths and text sizes, in units of the picture.
const TEXT: i32 = 14;
const TITLE: i32 = 16;

/// Okabe and Ito's colours, which also colour-blind readers tell apart.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(110, 110, 110),
    RGBColor(0, 0, 0),
];
/// The colour of a curve. More curves than there are colours are a family, such as a parameter's copies in each layer: their
/// colours run evenly through the sequential map.
fn colour_of(i: usize, curves: usize) -> RGBColor {
    if curves <= COLOURS.len() {
        return COLOURS[i % COLOURS.len()];
    }
    let [r, g, b] = colours::family(i as f64 / (curves - 1) as f64);
    RGBColor(r, g, b)
}

const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(225, 225, 225);
const FAINT_GRID: RGBColor = RGBColor(241, 241, 241);
const WHITE: RGBColor = RGBColor(255, 255, 255);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The rectangle of the axes, in fine units.
#[derive(Clone, Copy)]
struct Frame {
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

/// The plot as the text of an SVG file.
///
/// # Errors
/// In words: no curves, `x` and `y` of unequal lengths, or nothing to be drawn.
pub fn svg(plot: &Plot) -> Result<String, String> {
    let (text, _) = layout(plot)?;
    Ok(text)
}

/// The axes of a plot with something to be drawn.
struct Axes {
    x: Axis,
    y: Axis,
}

fn axes(plot: &Plot) -> Result<Axes, String> {
    for (i, curve) in plot.curves.iter().enumerate() {
        if curve.x.len() != curve.y.len() + usize::from(curve.mark == Mark::Bars) {
            let name = if curve.label.is_empty() { format!("{}", i + 1) } else { format!("`{}`", curve.label) };
            return Err(format!("curve {name} has {} x values and {} y values", curve.x.len(), curve.y.len()));
        }
    }
    let drawable = |c: &Curve| {
        let points = c.corners(plot.log_y).into_iter();
        points.filter(|&(x, y)| axis::drawable(x, plot.log_x) && axis::drawable(y, plot.log_y)).collect::<Vec<_>>()
    };
    let points: Vec<(f64, f64)> = plot.curves.iter().flat_map(drawable).collect();
    if points.is_empty() {
        let why = if plot.log_x || plot.log_y { " (a logarithmic axis shows positive values only)" } else { "" };
        return Err(format!("there is no finite point to plot{why}"));
    }
    // Points at the ends are to be seen whole; lines alone may use the full width.
    let has_points = plot.curves.iter().any(|c| matches!(c.mark, Mark::Points | Mark::LineAndPoints));
    let x_margin = if has_points { 0.02 } else { 0.0 };
    // Bars stand on the axis.
    let ground = plot.curves.iter().all(|c| c.mark == Mark::Bars && c.y.iter().all(|&y| y >= 0.0)) && !plot.log_y;
    // Numbers of steps have no parts.
    let counts =
        plot.curves.iter().all(|c| c.mark != Mark::Bars && c.x.iter().zip(1..).all(|(x, i)| *x == f64::from(i)));
    let x = Axis::new(points.iter().map(|p| p.0), plot.log_x, (x_margin, x_margin));
    Ok(Axes {
        x: if counts { x.of_whole_numbers() } else { x },
        y: Axis::new(points.iter().map(|p| p.1), plot.log_y, (if ground { 0.0 } else { 0.04 }, 0.04)),
    })
}

fn layout(plot: &Plot) -> Result<(String, Frame), String> {
    let Axes { x: x_axis, y: y_axis } = axes(plot)?;
    let (x_ticks, y_ticks) = (x_axis.ticks(), y_axis.ticks());

    let tick_width = y_ticks.iter().map(|t| text_width(&t.label, TEXT)).max().unwrap_or(0);
    let y_label_width = if plot.y_label.is_empty() { 0 } else { TEXT + 10 };
    let frame = Frame {
        left: (14 + y_label_width + tick_width) * FINE,
        right: (WIDTH - 24) * FINE,
        top: if plot.title.is_empty() { 16 } else { 26 + TITLE } * FINE,
        bottom: (HEIGHT - 14 - TEXT - if plot.x_label.is_empty() { 0 } else { TEXT + 10 }) * FINE,
    };
    let mut text = String::new();
    draw(plot, frame, (&x_axis, &x_ticks), (&y_axis, &y_ticks), &mut text)
        .map_err(|e| format!("the plot cannot be drawn ({e})"))?;
    Ok((sized(&text, WIDTH, HEIGHT), frame))
}

/// A drawing in fine units, to be shown at the picture's size.
fn sized(text: &str, width: i32, height: i32) -> String {
    let fine = format!("width=\"{}\" height=\"{}\"", width * FINE, height * FINE);
    text.replacen(&fine, &format!("width=\"{width}\" height=\"{height}\""), 1)
}

/// Puts a picture of `width` x `height` pixels (three bytes each) into a drawing, behind all but its background.
fn with_picture(text: &str, frame: Frame, (width, height): (usize, usize), pixels: &[u8]) -> Result<String, String> {
    use base64::Engine;
    let png = raster::encode(width, height, pixels)?;
    let data = base64::engine::general_purpose::STANDARD.encode(png);
    let Frame { left, right, top, bottom } = frame;
    let element = format!(
        "<image x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" \
         style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{data}\"/>\n",
        right - left,
        bottom - top
    );
    // The background is the first rectangle.
    let at = text.find("<rect").and_then(|at| text[at..].find("/>").map(|end| at + end + 2));
    let at = at.ok_or("the drawing has no background")?;
    Ok(format!("{}\n{element}{}", &text[..at], &text[at..]))
}

fn draw(
    plot: &Plot,
    frame: Frame,
    (x_axis, x_ticks): (&Axis, &[Tick]),
    (y_axis, y_ticks): (&Axis, &[Tick]),
    text: &mut String,
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(text, ((WIDTH * FINE) as u32, (HEIGHT * FINE) as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let Frame { left, right, top, bottom } = frame;
    let at_x = |x: f64| left + (x_axis.position(x) * f64::from(right - left)).round() as i32;
    let at_y = |y: f64| bottom - (y_axis.position(y) * f64::from(bottom - top)).round() as i32;

    for tick in x_ticks {
        let x = at_x(tick.value);
        line(&area, vec![(x, top), (x, bottom)], if tick.label.is_empty() { FAINT_GRID } else { GRID }, 0.8)?;
        write(&area, &tick.label, (x, bottom + 6 * FINE), TEXT, (HPos::Center, VPos::Top))?;
    }
    for tick in y_ticks {
        let y = at_y(tick.value);
        line(&area, vec![(left, y), (right, y)], if tick.label.is_empty() { FAINT_GRID } else { GRID }, 0.8)?;
        write(&area, &tick.label, (left - 6 * FINE, y), TEXT, (HPos::Right, VPos::Center))?;
    }
    let mut pixels = Vec::new();
    for (i, curve) in plot.curves.iter().enumerate() {
        if curve.mark == Mark::Bars {
            let colour = colour_of(i, plot.curves.len());
            let several = plot.curves.len() > 1;
            for (edges, &y) in curve.x.windows(2).zip(&curve.y) {
                if !axis::drawable(y, plot.log_y) || edges.iter().any(|&x| !axis::drawable(x, plot.log_x)) || y == 0.0 {
                    continue;
                }
                let ground = if plot.log_y { bottom } else { at_y(0.0) };
                let corners = [(at_x(edges[0]), at_y(y)), (at_x(edges[1]), ground)];
                area.draw(&Rectangle::new(corners, colour.mix(if several { 0.5 } else { 0.85 }).filled()))?;
                area.draw(&Rectangle::new(corners, stroke(if several { colour } else { WHITE }, 0.6)))?;
                pixels.push(corners[0]);
            }
            continue;
        }
        let runs = runs(plot, curve, at_x, at_y);
        draw_curve(&area, &runs, curve.mark, colour_of(i, plot.curves.len()))?;
        pixels.extend(runs.into_iter().flatten());
    }
    line(&area, vec![(left, top), (left, bottom), (right, bottom)], INK, 1.2)?;
    let middle = (left + right) / 2;
    write_bold(&area, &plot.title, (middle, 8 * FINE))?;
    write(&area, &plot.x_label, (middle, (HEIGHT - 8) * FINE - TEXT * FINE), TEXT, (HPos::Center, VPos::Top))?;
    write_upwards(&area, &plot.y_label, (8 * FINE, (top + bottom) / 2))?;
    legend(&area, plot, frame, &pixels)?;
    area.present()?;
    Ok(())
}

/// The curve's points in fine units, cut at gaps.
fn runs(plot: &Plot, curve: &Curve, at_x: impl Fn(f64) -> i32, at_y: impl Fn(f64) -> i32) -> Vec<Vec<(i32, i32)>> {
    let mut runs = vec![Vec::new()];
    for (&x, &y) in curve.x.iter().zip(&curve.y) {
        if axis::drawable(x, plot.log_x) && axis::drawable(y, plot.log_y) {
            runs.last_mut().expect("there is a run").push((at_x(x), at_y(y)));
        } else if runs.last().is_some_and(|run| !run.is_empty()) {
            runs.push(Vec::new());
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// A long line without the points that no one could see: of those at one place from left to right, the first, the
/// lowest, the highest and the last.
fn thinned(run: &[(i32, i32)]) -> Vec<(i32, i32)> {
    if run.len() <= 4 * (WIDTH * 2) as usize {
        return run.to_vec();
    }
    let mut kept = Vec::new();
    for column in run.chunk_by(|a, b| a.0 / (FINE / 2) == b.0 / (FINE / 2)) {
        let (mut low, mut high) = (0, 0);
        for (i, point) in column.iter().enumerate() {
            low = if point.1 < column[low].1 { i } else { low };
            high = if point.1 > column[high].1 { i } else { high };
        }
        let mut places = [0, low, high, column.len() - 1];
        places.sort_unstable();
        for (i, &place) in places.iter().enumerate() {
            if i == 0 || places[i - 1] != place {
                kept.push(column[place]);
            }
        }
    }
    kept
}

fn draw_curve(
    area: &Area<'_>,
    runs: &[Vec<(i32, i32)>],
    mark: Mark,
    colour: RGBColor,
) -> Result<(), Box<dyn std::error::Error>> {
    let (with_line, with_points) = match mark {
        Mark::Line => (true, false),
        Mark::Points => (false, true),
        Mark::LineAndPoints => (true, true),
        Mark::Bars => (false, false),
    };
    for run in runs {
        // A single point between gaps would be invisible as a line.
        if with_line && run.len() > 1 {
            line(area, thinned(run), colour, 1.8)?;
        }
        if with_points || run.len() == 1 {
            let mut last = None;
            for &point in run {
                if last != Some(point) {
                    area.draw(&Circle::new(point, 3 * FINE, colour.filled()))?;
                }
                last = Some(point);
            }
        }
    }
    Ok(())
}

/// The names of the curves, in the corner where fewest points are.
fn legend(area: &Area<'_>, plot: &Plot, frame: Frame, pixels: &[(i32, i32)]) -> Result<(), Box<dyn std::error::Error>> {
    let mut named: Vec<(usize, &Curve)> = plot.curves.iter().enumerate().filter(|(_, c)| !c.label.is_empty()).collect();
    if named.is_empty() {
        return Ok(());
    }
    // Of a large family some members are named.
    if named.len() > MOST_NAMED {
        let kept = |i: usize| i * (named.len() - 1) / 4;
        named = (0..5).map(|i| named[kept(i)]).collect();
    }
    let row = (TEXT + 5) * FINE;
    let longest = named.iter().map(|(_, c)| text_width(&c.label, TEXT)).max().unwrap_or(0);
    let (w, h) = ((longest + 44) * FINE, row * named.len() as i32 + 6 * FINE);
    let gap = 8 * FINE;
    let corners = [
        (frame.right - w - gap, frame.top + gap),
        (frame.right - w - gap, frame.bottom - h - gap),
        (frame.left + gap, frame.top + gap),
        (frame.left + gap, frame.bottom - h - gap),
    ];
    let covered = |&(x, y): &(i32, i32)| {
        let inside = |p: &&(i32, i32)| (x - gap..=x + w + gap).contains(&p.0) && (y - gap..=y + h + gap).contains(&p.1);
        pixels.iter().filter(inside).count()
    };
    let (x, y) = corners.into_iter().min_by_key(covered).expect("there are corners");
    area.draw(&Rectangle::new([(x, y), (x + w, y + h)], WHITE.mix(0.85).filled()))?;
    area.draw(&Rectangle::new([(x, y), (x + w, y + h)], stroke(GRID, 0.8)))?;
    for (place, (i, curve)) in named.into_iter().enumerate() {
        let middle = y + 3 * FINE + row * place as i32 + row / 2;
        let sample = vec![(x + 8 * FINE, middle), (x + 28 * FINE, middle)];
        let colour = colour_of(i, plot.curves.len());
        if curve.mark == Mark::Bars {
            let half = 4 * FINE;
            let corners = [(x + 8 * FINE, middle - half), (x + 28 * FINE, middle + half)];
            area.draw(&Rectangle::new(corners, colour.mix(0.6).filled()))?;
        }
        if matches!(curve.mark, Mark::Line | Mark::LineAndPoints) {
            line(area, sample, colour, 1.8)?;
        }
        if matches!(curve.mark, Mark::Points | Mark::LineAndPoints) {
            area.draw(&Circle::new((x + 18 * FINE, middle), 3 * FINE, colour.filled()))?;
        }
        write(area, &curve.label, (x + 34 * FINE, middle), TEXT, (HPos::Left, VPos::Center))?;
    }
    Ok(())
}

/// The width of a text in units of the picture, a little too large rather than too small.
fn text_width(text: &str, size: i32) -> i32 {
    text.chars().count() as i32 * size * 62 / 100 + 1
}

fn stroke(colour: RGBColor, width: f64) -> ShapeStyle {
    colour.stroke_width((width * f64::from(FINE)).round() as u32)
}

fn line(
    area: &Area<'_>,
    points: Vec<(i32, i32)>,
    colour: RGBColor,
    width: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    area.draw(&PathElement::new(points, stroke(colour, width)))?;
    Ok(())
}

/// The backend takes sizes of 1.24 times the font's.
fn style(size: i32) -> TextStyle<'static> {
    ("Helvetica, Arial, sans-serif", f64::from(size * FINE) * 1.24).into_font().color(&INK)
}

/// Text without what XML cannot hold.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c }).collect()
}

fn write(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    size: i32,
    (h, v): (HPos, VPos),
) -> Result<(), Box<dyn std::error::Error>> {
    if !text.is_empty() {
        area.draw(&Text::new(plain(text), at, style(size).pos(Pos::new(h, v))))?;
    }
    Ok(())
}

fn write_bold(area: &Area<'_>, text: &str, at: (i32, i32)) -> Result<(), Box<dyn std::error::Error>> {
    if !text.is_empty() {
        let font = ("Helvetica, Arial, sans-serif", f64::from(TITLE * FINE) * 1.24).into_font();
        let font = font.style(plotters::style::FontStyle::Bold);
        area.draw(&Text::new(plain(text), at, font.color(&INK).pos(Pos::new(HPos::Center, VPos::Top))))?;
    }
    Ok(())
}

fn write_upwards(area: &Area<'_>, text: &str, at: (i32, i32)) -> Result<(), Box<dyn std::error::Error>> {
    if !text.is_empty() {
        let style = style(TEXT).transform(FontTransform::Rotate270).pos(Pos::new(HPos::Center, VPos::Top));
        area.draw(&Text::new(plain(text), at, style))?;
    }
    Ok(())
}
