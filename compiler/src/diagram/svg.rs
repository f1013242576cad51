//! A diagram as an SVG file: laid out by `layout`, with fonts that every viewer has.

use super::layout::{Layout, Metrics, Rect, Wire, layout, lines};
use super::{Diagram, Kind, Node};
use std::fmt::Write;

/// Sizes in pixels.
pub const METRICS: Metrics = Metrics {
    width,
    line: 18,
    small_line: 15,
    pad: (12, 9),
    row_gap: 26,
    gap: 22,
    track: 12,
    port: 16,
    frame: 16,
    margin: 16,
};

const FONT: &str = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif";
const SIZE: f64 = 14.0;
const SMALL: f64 = 11.5;
const INK: &str = "#282828";
const QUIET: &str = "#5f6368";
/// What is carried, and what is learned: two colours that also colour-blind readers tell apart.
const CARRIED: &str = "#0072b2";
const LEARNED: &str = "#b34a00";

/// The width of a text: a little too large rather than too small.
fn width(text: &str, small: bool) -> i32 {
    let ems: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.34,
            'f' | 't' | 'r' | '(' | ')' | '[' | ']' | ' ' | '·' => 0.42,
            'm' | 'w' | 'M' | 'W' | '@' | '…' => 1.0,
            '+' | '-' | '=' | '<' | '>' | '*' | '/' | '_' => 0.84,
            'A'..='Z' => 0.76,
            _ => 0.64,
        })
        .sum();
    (ems * if small { SMALL } else { SIZE }).ceil() as i32
}

/// The text of the file.
pub fn svg(diagram: &Diagram) -> String {
    let found = layout(diagram, METRICS);
    let legend = legend_lines(diagram, found.width - 2 * METRICS.margin);
    let title = width(&diagram.title, false) * 8 / 7 + 2 * METRICS.margin;
    let names = legend.iter().map(|line| line.name_width + width(&line.text, true)).max().unwrap_or(0);
    let w = found.width.max(title).max(names + 2 * METRICS.margin);
    let legend_height = legend.len() as i32 * (METRICS.small_line + 3);
    let h = found.height + if legend.is_empty() { 0 } else { legend_height + METRICS.margin };
    // A narrow picture stands in the middle of a wide title.
    let shift = (w - found.width) / 2;
    let mut text = String::new();
    let out = &mut text;
    line(
        out,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" font-family=\"{FONT}\" font-size=\"{SIZE}\">"
        ),
    );
    line(out, format_args!("<title>{}</title>", escaped(&diagram.title)));
    line(out, format_args!("<rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>"));
    line(out, format_args!("<defs>{}{}</defs>", arrow_head("arrow", INK), arrow_head("back", CARRIED)));
    words(
        out,
        &diagram.title,
        (w / 2, METRICS.margin + METRICS.line - 4),
        &format!("text-anchor=\"middle\" font-weight=\"bold\" fill=\"{INK}\""),
    );
    line(out, format_args!("<g transform=\"translate({shift} 0)\">"));
    frames(out, diagram, &found);
    for wire in &found.wires {
        arrow(out, wire);
    }
    for name in &found.names {
        words(out, &name.text, (name.x, name.y), &small(QUIET));
    }
    for (node, place) in diagram.nodes.iter().zip(&found.boxes) {
        draw_box(out, node, *place);
    }
    line(out, format_args!("</g>"));
    let mut y = found.height + METRICS.small_line;
    for entry in &legend {
        let colour = if entry.learned { LEARNED } else { INK };
        if !entry.name.is_empty() {
            words(out, &entry.name, (METRICS.margin, y), &format!("{} font-weight=\"bold\"", small(colour)));
        }
        words(out, &entry.text, (METRICS.margin + entry.name_width, y), &small(QUIET));
        y += METRICS.small_line + 3;
    }
    line(out, format_args!("</svg>"));
    text
}

fn line(out: &mut String, text: std::fmt::Arguments) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{text}");
}

fn arrow_head(id: &str, colour: &str) -> String {
    format!(
        "<marker id=\"{id}\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
         <path d=\"M0 0.8 L10 5 L0 9.2 z\" fill=\"{colour}\"/></marker>"
    )
}

fn small(colour: &str) -> String {
    format!("font-size=\"{SMALL}\" fill=\"{colour}\"")
}

fn words(out: &mut String, text: &str, (x, y): (i32, i32), style: &str) {
    if !text.is_empty() {
        line(out, format_args!("<text x=\"{x}\" y=\"{y}\" {style}>{}</text>", escaped(text)));
    }
}

fn escaped(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn frames(out: &mut String, diagram: &Diagram, found: &Layout) {
    for ((group, frame), notes) in diagram.groups.iter().zip(&found.frames).zip(&found.notes) {
        if frame.w == 0 {
            continue;
        }
        let Rect { x, y, w, h } = *frame;
        line(
            out,
            format_args!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"8\" fill=\"#f6f7f9\" stroke=\"#b8bec6\"/>"
            ),
        );
        words(out, &group.title, (x + 10, y + METRICS.small_line + 1), &small(QUIET));
        for note in notes {
            words(out, &note.text, (note.x, note.y), &small(QUIET));
        }
    }
}

/// A line with round corners and a head.
fn arrow(out: &mut String, wire: &Wire) {
    let points = &wire.points;
    let mut path = format!("M{} {}", points[0].0, points[0].1);
    for corner in points.windows(3) {
        let (a, b, c) = (corner[0], corner[1], corner[2]);
        let length = |p: (i32, i32), q: (i32, i32)| (p.0 - q.0).abs() + (p.1 - q.1).abs();
        let radius = (length(a, b) / 2).min(length(b, c) / 2).min(5);
        let towards = |p: (i32, i32)| (b.0 + (p.0 - b.0).signum() * radius, b.1 + (p.1 - b.1).signum() * radius);
        let ((fx, fy), (tx, ty)) = (towards(a), towards(c));
        path += &format!(" L{fx} {fy} Q{} {} {tx} {ty}", b.0, b.1);
    }
    let (x, y) = points[points.len() - 1];
    path += &format!(" L{x} {y}");
    let (colour, head) = if wire.carried { (CARRIED, "back") } else { (INK, "arrow") };
    line(
        out,
        format_args!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\" marker-end=\"url(#{head})\"/>"
        ),
    );
}

fn draw_box(out: &mut String, node: &Node, place: Rect) {
    let Rect { x, y, w, h } = place;
    let middle = x + w / 2;
    let (fill, stroke, round) = match node.kind {
        Kind::Input | Kind::Output => ("#ffffff", INK, (h / 2).min(18)),
        Kind::State => ("#e3eff8", CARRIED, (h / 2).min(18)),
        Kind::Operation if !node.learned.is_empty() => ("#fdeee0", LEARNED, 4),
        Kind::Operation | Kind::Sum | Kind::More => ("#ffffff", INK, 4),
    };
    match node.kind {
        Kind::Sum => {
            let r = w.min(h) / 2;
            line(
                out,
                format_args!(
                    "<circle cx=\"{middle}\" cy=\"{}\" r=\"{r}\" fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"1.3\"/>",
                    y + h / 2
                ),
            );
        }
        Kind::More => {}
        _ => line(
            out,
            format_args!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"{round}\" fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"1.3\"/>"
            ),
        ),
    }
    let lines = lines(node);
    let height: i32 = lines.iter().map(|(_, small)| if *small { METRICS.small_line } else { METRICS.line }).sum();
    let mut top = y + (h - height) / 2;
    let learned_from = lines.len() - node.learned.len();
    for (i, (text, is_small)) in lines.iter().enumerate() {
        let own = if *is_small { METRICS.small_line } else { METRICS.line };
        let colour = match i {
            0 => INK,
            i if i >= learned_from && node.kind == Kind::Operation => LEARNED,
            _ => QUIET,
        };
        let style = if *is_small { small(colour) } else { format!("fill=\"{colour}\"") };
        words(out, text, (middle, top + own - 4), &format!("text-anchor=\"middle\" {style}"));
        top += own;
    }
}

/// A line of the legend; a second line of an entry has no name.
struct LegendLine {
    name: String,
    name_width: i32,
    text: String,
    learned: bool,
}

fn legend_lines(diagram: &Diagram, room: i32) -> Vec<LegendLine> {
    let bold = |name: &str| width(name, true) * 9 / 8 + 14;
    let name_width = diagram.legend.iter().map(|entry| bold(&entry.name)).max().unwrap_or(0);
    let room = room.max(520) - name_width;
    let mut found = Vec::new();
    for entry in &diagram.legend {
        let lines = super::route::wrapped(&entry.about, room, width);
        let lines = if lines.is_empty() { vec![String::new()] } else { lines };
        for (i, text) in lines.into_iter().enumerate() {
            let name = if i == 0 { entry.name.clone() } else { String::new() };
            found.push(LegendLine { name, name_width, text, learned: entry.learned });
        }
    }
    found
}
