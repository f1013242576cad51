//! A place for every box, from left to right: columns by what depends on what, rows so that few arrows cross and most are straight.
//! After Sugiyama, Tagawa and Toda, Methods for visual understanding of hierarchical system structures, 1981.
//!
//! Afterwards no two boxes overlap, and every arrow goes from the right side of a box to the left side of another.

use super::{Diagram, Kind, Node, order, route};

/// How large things are, in units of the drawing: pixels, or characters.
#[derive(Clone, Copy)]
pub struct Metrics {
    /// The width of a text; the flag is for small print.
    pub width: fn(&str, bool) -> i32,
    pub line: i32,
    pub small_line: i32,
    /// Around the text of a box.
    pub pad: (i32, i32),
    /// Between boxes of a column.
    pub row_gap: i32,
    /// Between a box and the next thing beside it.
    pub gap: i32,
    /// Between vertical lines, and between lines below a frame's boxes.
    pub track: i32,
    /// Between arrows into one box.
    pub port: i32,
    /// Around what is in a frame.
    pub frame: i32,
    pub margin: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rect {
    pub x: i32,
    pub y: i32,
    pub w: i32,
    pub h: i32,
}

impl Rect {
    pub fn right(&self) -> i32 {
        self.x + self.w
    }

    pub fn bottom(&self) -> i32 {
        self.y + self.h
    }
}

/// An arrow as a line of straight pieces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wire {
    pub points: Vec<(i32, i32)>,
    pub carried: bool,
}

/// A small text at a place: its left end and its base line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    pub text: String,
    pub x: i32,
    pub y: i32,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Layout {
    /// A rectangle for each node.
    pub boxes: Vec<Rect>,
    pub wires: Vec<Wire>,
    /// Names beside arrows.
    pub names: Vec<Text>,
    /// A rectangle for each group, and where its note stands.
    pub frames: Vec<Rect>,
    pub notes: Vec<Vec<Text>>,
    pub width: i32,
    pub height: i32,
}

/// A box in a column, or the place where a long arrow passes it.
#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    pub node: Option<usize>,
    pub net: Option<usize>,
    pub height: i32,
    /// The upper end.
    pub y: f64,
}

/// All arrows that carry one value.
#[derive(Clone, PartialEq, Debug)]
pub struct Net {
    pub from: usize,
    pub name: String,
    /// Boxes and which of their inputs.
    pub sinks: Vec<(usize, usize)>,
    /// States of the next pass.
    pub carried: Vec<(usize, usize)>,
}

/// Two items of neighbouring columns that a net connects: places in their columns, and the input on the right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    pub net: usize,
    pub left: usize,
    pub right: usize,
    pub port: usize,
}

/// What is being laid out.
pub struct Plan<'a> {
    pub diagram: &'a Diagram,
    pub metrics: Metrics,
    /// The column of each node.
    pub column_of: Vec<usize>,
    pub columns: Vec<Vec<Item>>,
    pub nets: Vec<Net>,
    /// For each gap after a column.
    pub links: Vec<Vec<Link>>,
    /// How many arrows enter each node.
    pub ports: Vec<usize>,
    pub sizes: Vec<(i32, i32)>,
}

/// Lays a diagram out.
pub fn layout(diagram: &Diagram, metrics: Metrics) -> Layout {
    if diagram.nodes.is_empty() {
        return Layout::default();
    }
    let mut plan = plan(diagram, metrics);
    order::order(&mut plan);
    order::align(&mut plan);
    route::route(&plan)
}

fn plan(diagram: &Diagram, metrics: Metrics) -> Plan<'_> {
    let column_of = columns_of(diagram);
    let mut nets: Vec<Net> = Vec::new();
    let mut ports = vec![0; diagram.nodes.len()];
    for edge in &diagram.edges {
        let port = ports[edge.to];
        ports[edge.to] += 1;
        let net = match nets.iter().position(|net| net.from == edge.from && net.name == edge.name) {
            Some(at) => &mut nets[at],
            None => {
                let name = edge.name.clone();
                nets.push(Net { from: edge.from, name, sinks: Vec::new(), carried: Vec::new() });
                nets.last_mut().expect("it was just added")
            }
        };
        if edge.carried { net.carried.push((edge.to, port)) } else { net.sinks.push((edge.to, port)) }
    }
    let sizes: Vec<(i32, i32)> =
        diagram.nodes.iter().zip(&ports).map(|(node, ports)| size(node, *ports, &metrics)).collect();
    let count = column_of.iter().max().map_or(0, |last| last + 1);
    let mut columns: Vec<Vec<Item>> = vec![Vec::new(); count];
    let mut place = vec![0; diagram.nodes.len()];
    for (node, column) in column_of.iter().enumerate() {
        place[node] = columns[*column].len();
        columns[*column].push(Item { node: Some(node), net: None, height: sizes[node].1, y: 0.0 });
    }
    let mut links = vec![Vec::new(); count];
    for (index, net) in nets.iter().enumerate() {
        let first = column_of[net.from];
        let last = net.sinks.iter().map(|(sink, _)| column_of[*sink]).max().unwrap_or(first);
        let mut left = place[net.from];
        for column in first + 1..=last {
            for (sink, port) in net.sinks.iter().filter(|(sink, _)| column_of[*sink] == column) {
                links[column - 1].push(Link { net: index, left, right: place[*sink], port: *port });
            }
            if column < last {
                columns[column].push(Item { node: None, net: Some(index), height: 0, y: 0.0 });
                let right = columns[column].len() - 1;
                links[column - 1].push(Link { net: index, left, right, port: 0 });
                left = right;
            }
        }
    }
    Plan { diagram, metrics, column_of, columns, nets, links, ports, sizes }
}

/// Stage after stage, in each as far left as what goes in allows; what has no input there, as far right.
fn columns_of(diagram: &Diagram) -> Vec<usize> {
    let nodes = &diagram.nodes;
    let mut column = vec![0usize; nodes.len()];
    let bands = nodes.iter().map(|node| node.band).max().unwrap_or(0);
    let mut offset = 0;
    for band in 0..=bands {
        let within: Vec<(usize, usize)> = diagram
            .edges
            .iter()
            .filter(|edge| !edge.carried && nodes[edge.from].band == band && nodes[edge.to].band == band)
            .map(|edge| (edge.from, edge.to))
            .collect();
        let own: Vec<usize> = (0..nodes.len()).filter(|node| nodes[*node].band == band).collect();
        own.iter().for_each(|node| column[*node] = offset);
        // Every pass settles at least one more step of the longest way.
        for _ in 0..own.len() {
            for (from, to) in &within {
                column[*to] = column[*to].max(column[*from] + 1);
            }
        }
        for node in own.iter().filter(|node| nodes[**node].kind != Kind::State) {
            let entered = within.iter().any(|(_, to)| to == node);
            let next = within.iter().filter(|(from, _)| from == node).map(|(_, to)| column[*to]).min();
            if let (false, Some(next)) = (entered, next) {
                column[*node] = next - 1;
            }
        }
        offset = own.iter().map(|node| column[*node] + 1).max().unwrap_or(offset);
    }
    column
}

/// The lines of text in a box; the flag is for small print.
pub fn lines(node: &Node) -> Vec<(String, bool)> {
    let mut lines = vec![(node.label.clone(), false)];
    if node.kind == Kind::Sum || node.kind == Kind::More {
        return lines;
    }
    lines.extend((!node.detail.is_empty()).then(|| (node.detail.clone(), true)));
    lines.extend((!node.shape.is_empty()).then(|| (node.shape.clone(), true)));
    for learned in &node.learned {
        let tied = if learned.each { ", each layer" } else { "" };
        lines.push((format!("learned: {}{tied}", learned.name), true));
    }
    lines
}

fn size(node: &Node, ports: usize, metrics: &Metrics) -> (i32, i32) {
    let lines = lines(node);
    let width = lines.iter().map(|(text, small)| (metrics.width)(text, *small)).max().unwrap_or(0);
    let height: i32 = lines.iter().map(|(_, small)| if *small { metrics.small_line } else { metrics.line }).sum();
    let for_ports = metrics.port * (ports.max(1) as i32 - 1) + 2 * metrics.pad.1;
    let (w, h) = (width + 2 * metrics.pad.0, (height + 2 * metrics.pad.1).max(for_ports));
    match node.kind {
        // A circle.
        Kind::Sum if metrics.line > 1 => (h.max(2 * metrics.port), h.max(2 * metrics.port)),
        _ => (w, h),
    }
}

/// Where an arrow enters a box, below its upper end.
pub fn port(plan: &Plan, node: usize, port: usize) -> i32 {
    let (ports, height) = (plan.ports[node].max(1) as i32, plan.sizes[node].1);
    let first = height / 2 - (ports - 1) * plan.metrics.port / 2;
    first + port as i32 * plan.metrics.port
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagram::{Edge, svg};

    fn node(label: &str, kind: Kind, band: usize, group: Option<usize>) -> Node {
        Node { kind, label: label.into(), detail: String::new(), shape: "[n]".into(), learned: Vec::new(), group, band }
    }

    fn edge(from: usize, to: usize, carried: bool) -> Edge {
        Edge { from, to, name: format!("v{from}"), carried }
    }

    fn overlap(a: Rect, b: Rect) -> bool {
        a.x < b.right() && b.x < a.right() && a.y < b.bottom() && b.y < a.bottom()
    }

    /// Random diagrams: no boxes overlap, arrows begin and end at boxes, all lies within the picture.
    #[test]
    fn boxes_never_overlap() {
        let mut state = 1u64;
        let mut random = |n: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % n
        };
        for _ in 0..200 {
            let count = 2 + random(14);
            let mut diagram = Diagram::default();
            for i in 0..count {
                let band = i * 3 / count;
                let group = (band == 1).then_some(0);
                diagram.nodes.push(node(&"x".repeat(1 + random(20)), Kind::Operation, band, group));
            }
            diagram
                .groups
                .push(crate::diagram::Group { title: "a loop".into(), note: "until it ends ".repeat(random(9)) });
            for to in 1..count {
                for _ in 0..random(3) {
                    diagram.edges.push(edge(random(to), to, false));
                }
            }
            let inside: Vec<usize> = (0..count).filter(|i| diagram.nodes[*i].band == 1).collect();
            if inside.len() > 1 {
                diagram.edges.push(edge(inside[inside.len() - 1], inside[0], true));
            }
            let found = layout(&diagram, svg::METRICS);
            for i in 0..count {
                let a = found.boxes[i];
                assert!(a.x >= 0 && a.y >= 0 && a.right() <= found.width && a.bottom() <= found.height);
                for b in &found.boxes[i + 1..] {
                    assert!(!overlap(a, *b), "{a:?} {b:?}");
                }
            }
            assert_eq!(found.wires.len(), diagram.edges.len());
            for wire in &found.wires {
                let (first, last) = (wire.points[0], wire.points[wire.points.len() - 1]);
                let leaves = |r: &Rect| r.right() == first.0 && (r.y..=r.bottom()).contains(&first.1);
                let enters = |r: &Rect| r.x == last.0 && (r.y..=r.bottom()).contains(&last.1);
                assert!(found.boxes.iter().any(leaves) && found.boxes.iter().any(enters), "{wire:?}");
                assert!(wire.points.windows(2).all(|p| p[0].0 == p[1].0 || p[0].1 == p[1].1), "{wire:?}");
            }
        }
    }
}
