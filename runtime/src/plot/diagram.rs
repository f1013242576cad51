//! Boxes and arrows: the layers of a network, the parts of a solver. As SVG, or as text for Mermaid.
//!
//! Boxes stand in rows by their longest way from an input; an arrow over several rows has a place in each of them, so that it
//! runs around boxes. Places in a row follow the mean place of the neighbours (Sugiyama, Tagawa and Toda, 1981).

use std::fmt::Write;

/// What a box stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// What is given, and what comes out.
    Data,
    Layer,
}

/// A box.
#[derive(Clone, PartialEq, Debug)]
pub struct Block {
    pub kind: Kind,
    pub title: String,
    /// What it computes.
    pub lines: Vec<String>,
    /// The shape of its value; empty if it is not known.
    pub shape: String,
    /// Its learned parameters with their shapes.
    pub learned: Vec<String>,
    /// How often, or until when, it is repeated; empty if it is not.
    pub repeats: String,
}

/// Boxes, and arrows from one to a later one.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Diagram {
    pub title: String,
    pub blocks: Vec<Block>,
    pub arrows: Vec<(usize, usize)>,
}

const TEXT: f64 = 13.0;
const LINE: f64 = 17.0;
const PAD: f64 = 9.0;
const GAP_X: f64 = 26.0;
const GAP_Y: f64 = 34.0;
const MARGIN: f64 = 18.0;
/// The place that an arrow takes between boxes.
const LANE: f64 = 14.0;

impl Block {
    fn texts(&self) -> Vec<(String, &'static str)> {
        let mut texts = vec![(self.title.clone(), "font-weight=\"bold\" fill=\"#282828\"")];
        texts.extend(self.lines.iter().map(|l| (l.clone(), "fill=\"#404040\"")));
        if !self.shape.is_empty() {
            texts.push((self.shape.clone(), "fill=\"#6e6e6e\""));
        }
        texts.extend(self.learned.iter().map(|l| (format!("● {l}"), "fill=\"#b34a00\"")));
        texts
    }

    fn size(&self) -> (f64, f64) {
        let texts = self.texts();
        let widest = texts.iter().map(|(t, _)| t.chars().count()).max().unwrap_or(0);
        ((widest as f64 * TEXT * 0.62 + 2.0 * PAD + 6.0).max(84.0), texts.len() as f64 * LINE + 2.0 * PAD - 3.0)
    }
}

/// A place in a row: a box, or where an arrow passes.
struct Place {
    block: Option<usize>,
    width: f64,
    x: f64,
}

/// Rows of places, and for each arrow the places that it runs through.
struct Layout {
    rows: Vec<Vec<usize>>,
    places: Vec<Place>,
    ways: Vec<Vec<usize>>,
}

fn ranks(diagram: &Diagram) -> Vec<usize> {
    let mut ranks = vec![0usize; diagram.blocks.len()];
    // Arrows lead to later boxes, so that one pass in their order is enough.
    for block in 0..ranks.len() {
        for &(from, to) in diagram.arrows.iter().filter(|(_, to)| *to == block) {
            ranks[to] = ranks[to].max(ranks[from] + 1);
        }
    }
    // An input stands just above what it is given to.
    for block in 0..ranks.len() {
        let first = diagram.arrows.iter().filter(|(from, _)| *from == block).map(|(_, to)| ranks[*to]).min();
        if let Some(first) = first
            && !diagram.arrows.iter().any(|(_, to)| *to == block)
        {
            ranks[block] = first.saturating_sub(1);
        }
    }
    ranks
}

fn layout(diagram: &Diagram) -> Layout {
    let ranks = ranks(diagram);
    let mut places: Vec<Place> =
        diagram.blocks.iter().enumerate().map(|(i, b)| Place { block: Some(i), width: b.size().0, x: 0.0 }).collect();
    let mut rows = vec![Vec::new(); ranks.iter().max().map_or(0, |m| m + 1)];
    for (block, &rank) in ranks.iter().enumerate() {
        rows[rank].push(block);
    }
    let mut ways = Vec::new();
    for &(from, to) in &diagram.arrows {
        let mut way = vec![from];
        for row in rows.iter_mut().take(ranks[to]).skip(ranks[from] + 1) {
            places.push(Place { block: None, width: LANE, x: 0.0 });
            row.push(places.len() - 1);
            way.push(places.len() - 1);
        }
        way.push(to);
        ways.push(way);
    }
    let mut neighbours = vec![Vec::new(); places.len()];
    for way in &ways {
        for pair in way.windows(2) {
            neighbours[pair[0]].push(pair[1]);
            neighbours[pair[1]].push(pair[0]);
        }
    }
    for row in &rows {
        spread(row, &mut places);
    }
    for round in 0..12 {
        for row in &mut rows {
            let wanted: Vec<Option<f64>> = row.iter().map(|&p| mean(&neighbours[p], &places)).collect();
            for (&place, wanted) in row.iter().zip(wanted) {
                places[place].x = wanted.unwrap_or(places[place].x);
            }
            // The order is settled first, then the distances.
            if round < 8 {
                row.sort_by(|&a, &b| places[a].x.total_cmp(&places[b].x));
            }
            separate(row, &mut places);
        }
    }
    Layout { rows, places, ways }
}

fn mean(of: &[usize], places: &[Place]) -> Option<f64> {
    (!of.is_empty()).then(|| of.iter().map(|&p| places[p].x).sum::<f64>() / of.len() as f64)
}

/// Side by side around zero.
fn spread(row: &[usize], places: &mut [Place]) {
    let mut x = 0.0;
    for &place in row {
        places[place].x = x + places[place].width / 2.0;
        x += places[place].width + GAP_X;
    }
    let middle = (x - GAP_X) / 2.0;
    row.iter().for_each(|&place| places[place].x -= middle);
}

/// Pushes places apart that overlap, and keeps the middle of the row.
fn separate(row: &[usize], places: &mut [Place]) {
    let before: f64 = row.iter().map(|&p| places[p].x).sum();
    for pair in row.windows(2) {
        let least = places[pair[0]].x + (places[pair[0]].width + places[pair[1]].width) / 2.0 + GAP_X;
        places[pair[1]].x = places[pair[1]].x.max(least);
    }
    let after: f64 = row.iter().map(|&p| places[p].x).sum();
    let shift = (after - before) / row.len().max(1) as f64;
    row.iter().for_each(|&p| places[p].x -= shift);
}

/// The drawing as the text of an SVG file.
///
/// # Errors
/// In words: there is no box.
pub fn svg(diagram: &Diagram) -> Result<String, String> {
    if diagram.blocks.is_empty() {
        return Err("there is nothing to draw".to_string());
    }
    let Layout { rows, places, ways } = layout(diagram);
    let heights: Vec<f64> = rows
        .iter()
        .map(|row| row.iter().filter_map(|&p| places[p].block).map(|b| diagram.blocks[b].size().1).fold(0.0, f64::max))
        .collect();
    let head = if diagram.title.is_empty() { MARGIN } else { MARGIN + 30.0 };
    let mut tops = Vec::new();
    let mut y = head;
    for height in &heights {
        tops.push(y);
        y += height + GAP_Y;
    }
    let low = places.iter().map(|p| p.x - p.width / 2.0).fold(f64::INFINITY, f64::min);
    let high = places
        .iter()
        .map(|p| {
            let note = p.block.map_or(0, |b| diagram.blocks[b].repeats.chars().count());
            // A repeated box has an arrow and a note at its side.
            p.x + p.width / 2.0 + if note > 0 { 40.0 + note as f64 * (TEXT - 1.0) * 0.6 } else { 0.0 }
        })
        .fold(f64::NEG_INFINITY, f64::max);
    let title_width = diagram.title.chars().count() as f64 * 16.0 * 0.66;
    let width = (high - low).max(title_width) + 2.0 * MARGIN;
    let shift = (width - (high - low)) / 2.0 - low;
    let legend = diagram.blocks.iter().any(|b| !b.learned.is_empty());
    let height = y - GAP_Y + MARGIN + if legend { 26.0 } else { 0.0 };
    let mut out = String::new();
    let w = &mut out;
    // Writing to a string does not fail.
    let _ = writeln!(
        w,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"{TEXT}\">\n\
         <rect x=\"0\" y=\"0\" width=\"{width:.0}\" height=\"{height:.0}\" fill=\"#ffffff\"/>"
    );
    if !diagram.title.is_empty() {
        text(w, width / 2.0, MARGIN + 12.0, "middle", "font-weight=\"bold\" font-size=\"16\"", &diagram.title);
    }
    let row_of = |place: usize| rows.iter().position(|row| row.contains(&place)).unwrap_or(0);
    for way in &ways {
        let ends = |place: usize| {
            let row = row_of(place);
            let x = places[place].x + shift;
            let middle = tops[row] + heights[row] / 2.0;
            let half = places[place].block.map_or(0.0, |b| diagram.blocks[b].size().1 / 2.0);
            (x, middle - half, middle + half)
        };
        let mut path = String::new();
        let mut last = (0.0, 0.0);
        for (i, &place) in way.iter().enumerate() {
            let (x, top, bottom) = ends(place);
            if i == 0 {
                let _ = write!(path, "M{x:.1} {bottom:.1}");
                last = (x, bottom);
                continue;
            }
            // The arrow's head takes the last piece.
            let end = if i + 1 == way.len() { top - 7.0 } else { top };
            let bend = (end - last.1) / 2.0;
            let _ = write!(path, "C{:.1} {:.1} {x:.1} {:.1} {x:.1} {end:.1}", last.0, last.1 + bend, end - bend);
            last = (x, end);
        }
        let _ = writeln!(w, "<path d=\"{path}\" fill=\"none\" stroke=\"#707070\" stroke-width=\"1.3\"/>");
        let (x, y) = last;
        let _ = writeln!(
            w,
            "<path d=\"M{:.1} {y:.1}L{:.1} {y:.1}L{x:.1} {:.1}Z\" fill=\"#707070\"/>",
            x - 4.0,
            x + 4.0,
            y + 7.0
        );
    }
    for (row, top) in rows.iter().zip(&tops) {
        for &place in row {
            let Some(block) = places[place].block.map(|b| &diagram.blocks[b]) else { continue };
            let (bw, bh) = block.size();
            let row_height = heights[row_of(place)];
            let (x, y) = (places[place].x + shift - bw / 2.0, top + (row_height - bh) / 2.0);
            draw_block(w, block, (x, y), (bw, bh));
        }
    }
    if legend {
        let y = height - 14.0;
        text(w, MARGIN, y, "start", "fill=\"#b34a00\"", "● learned");
    }
    out.push_str("</svg>\n");
    Ok(out)
}

fn draw_block(w: &mut String, block: &Block, (x, y): (f64, f64), (width, height): (f64, f64)) {
    let (fill, edge) = match (block.kind, block.learned.is_empty()) {
        (Kind::Data, _) => ("#ffffff", "#8a8a8a"),
        (Kind::Layer, true) => ("#eef3f8", "#4f7396"),
        (Kind::Layer, false) => ("#fdf3e7", "#d55e00"),
    };
    let round = if block.kind == Kind::Data { height / 2.0 } else { 5.0 }.min(16.0);
    let _ = writeln!(
        w,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{round:.1}\" fill=\"{fill}\" \
         stroke=\"{edge}\" stroke-width=\"1.3\"/>"
    );
    for (i, (line, style)) in block.texts().iter().enumerate() {
        text(w, x + width / 2.0, y + PAD + TEXT - 2.0 + i as f64 * LINE, "middle", style, line);
    }
    if !block.repeats.is_empty() {
        let (right, a, b) = (x + width, y + height * 0.72, y + height * 0.28);
        let _ = writeln!(
            w,
            "<path d=\"M{right:.1} {a:.1}C{0:.1} {a:.1} {0:.1} {b:.1} {1:.1} {b:.1}\" fill=\"none\" stroke=\"#707070\" \
             stroke-width=\"1.3\"/>\n<path d=\"M{1:.1} {2:.1}L{1:.1} {3:.1}L{right:.1} {b:.1}Z\" fill=\"#707070\"/>",
            right + 30.0,
            right + 7.0,
            b - 4.0,
            b + 4.0
        );
        text(w, right + 28.0, (a + b) / 2.0 + 4.0, "start", "font-size=\"12\" fill=\"#6e6e6e\"", &block.repeats);
    }
}

fn text(w: &mut String, x: f64, y: f64, anchor: &str, style: &str, content: &str) {
    let _ = writeln!(w, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {style}>{}</text>", escaped(content));
}

/// Text as XML holds it.
fn escaped(content: &str) -> String {
    let plain = content.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.collect::<String>().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The drawing as a flowchart for Mermaid.
pub fn mermaid(diagram: &Diagram) -> String {
    let mut out = String::new();
    if !diagram.title.is_empty() {
        let _ = writeln!(out, "---\ntitle: {}\n---", diagram.title.replace('\n', " "));
    }
    out.push_str("flowchart TD\n");
    for (i, block) in diagram.blocks.iter().enumerate() {
        let texts: Vec<String> = block
            .texts()
            .iter()
            .map(|(t, _)| t.replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;"))
            .collect();
        let content = texts.join("<br/>");
        let _ = match block.kind {
            Kind::Data => writeln!(out, "    n{i}([\"{content}\"])"),
            Kind::Layer => writeln!(out, "    n{i}[\"{content}\"]"),
        };
    }
    for (from, to) in &diagram.arrows {
        let _ = writeln!(out, "    n{from} --> n{to}");
    }
    for (i, block) in diagram.blocks.iter().enumerate().filter(|(_, b)| !b.repeats.is_empty()) {
        let note = block.repeats.replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;");
        let _ = writeln!(out, "    n{i} -->|\"{note}\"| n{i}");
    }
    let learned: Vec<String> =
        (0..diagram.blocks.len()).filter(|&i| !diagram.blocks[i].learned.is_empty()).map(|i| format!("n{i}")).collect();
    if !learned.is_empty() {
        let _ =
            writeln!(out, "    classDef learned fill:#fdf3e7,stroke:#d55e00\n    class {} learned", learned.join(","));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(kind: Kind, title: &str, learned: &[&str]) -> Block {
        Block {
            kind,
            title: title.into(),
            lines: vec!["a < b".into()],
            shape: "3 × 4".into(),
            learned: learned.iter().map(|s| s.to_string()).collect(),
            repeats: String::new(),
        }
    }

    fn skip() -> Diagram {
        let blocks = vec![
            block(Kind::Data, "x", &[]),
            block(Kind::Layer, "first", &["W: 3 × 4"]),
            Block { repeats: "until norm(y) <= tol".into(), ..block(Kind::Layer, "second", &[]) },
            block(Kind::Data, "y", &[]),
        ];
        Diagram { title: "Skip".into(), blocks, arrows: vec![(0, 1), (1, 2), (2, 3), (0, 3)] }
    }

    #[test]
    fn boxes_of_a_row_do_not_overlap_and_long_arrows_have_lanes() {
        let Layout { rows, places, ways } = layout(&skip());
        assert_eq!(rows.len(), 4);
        assert_eq!(ways[3].len(), 4, "an arrow over two rows between has a place in each");
        for row in &rows {
            for pair in row.windows(2) {
                let gap = places[pair[1]].x - places[pair[0]].x - (places[pair[0]].width + places[pair[1]].width) / 2.0;
                assert!(gap >= GAP_X - 1e-6, "{gap}");
            }
        }
    }

    #[test]
    fn drawings_hold_all_texts() {
        let text = svg(&skip()).expect("drawable");
        for part in
            ["Skip", "first", "second", "a &lt; b", "3 × 4", "● W: 3 × 4", "● learned", "until norm(y) &lt;= tol"]
        {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert_eq!(text, svg(&skip()).expect("drawable"));
        assert!(svg(&Diagram::default()).is_err());
        let text = mermaid(&skip());
        for part in ["flowchart TD", "n0([\"x<br/>a #lt; b<br/>3 × 4\"])", "n0 --> n3", "class n1 learned", "n2 -->|"]
        {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
}
