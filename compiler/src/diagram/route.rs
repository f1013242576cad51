//! The way of the arrows: straight pieces, with the vertical ones in the gaps between columns, each net in a track of its own;
//! arrows back run below the boxes of their frame.

use super::Kind;
use super::layout::{Layout, Plan, Rect, Text, Wire, port};

/// Up to so many nets in a gap, every order of their tracks is tried.
const TRIED: usize = 6;

/// A net's way through a gap: where it comes in on the left, and where it goes out on the right.
#[derive(Clone, PartialEq, Debug)]
struct Crossing {
    net: usize,
    left: i32,
    rights: Vec<i32>,
}

impl Crossing {
    fn is_straight(&self) -> bool {
        self.rights.iter().all(|right| *right == self.left)
    }

    fn span(&self) -> (i32, i32) {
        let ends = self.rights.iter().copied().chain([self.left]);
        (ends.clone().min().unwrap_or(self.left), ends.max().unwrap_or(self.left))
    }
}

/// What stands between two columns, from left to right.
#[derive(Clone, Debug, Default)]
struct Gap {
    /// The nets that bend here, in the order of their tracks.
    tracks: Vec<usize>,
    /// Nets that go back from here, and that come back here.
    back_from: Vec<usize>,
    back_to: Vec<usize>,
    crossings: Vec<Crossing>,
    /// Room for names after the column.
    names: i32,
    /// Frames that end and begin here; room so that a frame's texts fit.
    ends: bool,
    begins: bool,
    more: i32,
}

/// Places of vertical lines in a gap.
struct Lines {
    tracks: Vec<(usize, i32)>,
    back_from: Vec<(usize, i32)>,
    back_to: Vec<(usize, i32)>,
    end: i32,
}

pub fn route(plan: &Plan) -> Layout {
    let m = &plan.metrics;
    let count = plan.columns.len();
    let nodes = &plan.diagram.nodes;
    let widths: Vec<i32> = plan
        .columns
        .iter()
        .map(|column| column.iter().filter_map(|item| item.node).map(|node| plan.sizes[node].0).max().unwrap_or(0))
        .collect();
    let group_columns: Vec<Option<(usize, usize)>> = (0..plan.diagram.groups.len())
        .map(|group| {
            let own =
                (0..nodes.len()).filter(|node| nodes[*node].group == Some(group)).map(|node| plan.column_of[node]);
            Some((own.clone().min()?, own.max()?))
        })
        .collect();
    // Gap i stands before column i; the last after all.
    let mut gaps: Vec<Gap> = (0..=count).map(|_| Gap::default()).collect();
    for (column, links) in plan.links.iter().enumerate() {
        let gap = &mut gaps[column + 1];
        for link in links {
            let left = &plan.columns[column][link.left];
            let right = &plan.columns[column + 1][link.right];
            let left_y = left.y as i32 + left.height / 2;
            let right_y = right.y as i32 + right.node.map_or(0, |node| port(plan, node, link.port));
            match gap.crossings.iter_mut().find(|crossing| crossing.net == link.net) {
                Some(crossing) => crossing.rights.push(right_y),
                None => gap.crossings.push(Crossing { net: link.net, left: left_y, rights: vec![right_y] }),
            }
        }
    }
    for (index, net) in plan.nets.iter().enumerate() {
        let column = plan.column_of[net.from];
        if is_named(plan, index) {
            let room = (m.width)(&net.name, true) + m.gap;
            gaps[column + 1].names = gaps[column + 1].names.max(room);
        }
        if !net.carried.is_empty() {
            gaps[column + 1].back_from.push(index);
        }
        for (state, _) in &net.carried {
            let to = &mut gaps[plan.column_of[*state]].back_to;
            if !to.contains(&index) {
                to.push(index);
            }
        }
    }
    for (first, last) in group_columns.iter().flatten() {
        gaps[*first].begins = true;
        gaps[last + 1].ends = true;
    }
    for gap in &mut gaps {
        gap.tracks = tracks(&gap.crossings);
    }
    // Frames are as wide as their titles.
    for (group, columns) in plan.diagram.groups.iter().zip(&group_columns) {
        let Some((first, last)) = columns else { continue };
        let inside: i32 = (*first..=*last).map(|column| widths[column]).sum::<i32>()
            + (*first + 1..=*last).map(|gap| lines(&gaps[gap], 0, m).end).sum::<i32>();
        let missing = (m.width)(&group.title, true) + 2 * m.gap - inside;
        gaps[last + 1].more = gaps[last + 1].more.max(missing);
    }

    let mut x = m.margin;
    let mut column_x = Vec::new();
    let mut gap_lines = Vec::new();
    for column in 0..=count {
        let found = lines(&gaps[column], x, m);
        x = if column == 0 && !gaps[0].begins { x } else { found.end };
        gap_lines.push(found);
        if column < count {
            column_x.push(x);
            x += widths[column];
        }
    }
    let title = m.line;
    let top = m.margin
        + if plan.diagram.title.is_empty() { 0 } else { 2 * title }
        + if group_columns.is_empty() { 0 } else { m.frame + m.small_line };
    let mut layout = Layout { boxes: vec![Rect::default(); nodes.len()], ..Layout::default() };
    for (column, items) in plan.columns.iter().enumerate() {
        for item in items {
            let Some(node) = item.node else { continue };
            let (w, h) = plan.sizes[node];
            let x = column_x[column] + (widths[column] - w) / 2;
            layout.boxes[node] = Rect { x, y: item.y as i32 + top, w, h };
        }
    }
    let mut width = x + m.margin;
    let lanes = frames(plan, &group_columns, &gap_lines, (&column_x, &widths), top, &mut layout);
    wires(plan, &gap_lines, &lanes, top, &mut layout);
    let bottom = layout.boxes.iter().chain(&layout.frames).map(Rect::bottom).max().unwrap_or(0);
    let right = layout.boxes.iter().chain(&layout.frames).map(Rect::right).max().unwrap_or(0);
    width = width.max(right + m.margin);
    // Without a frame or a bend at its end, the last gap is empty.
    layout.width = if gaps[count].ends { width } else { right + m.margin };
    layout.height = bottom + m.margin;
    layout
}

/// Whether a net's name stands beside it: that of a box's value, not of an input or state that has its name in it.
fn is_named(plan: &Plan, net: usize) -> bool {
    let from = &plan.diagram.nodes[plan.nets[net].from];
    !plan.nets[net].name.is_empty() && matches!(from.kind, Kind::Operation | Kind::Sum)
}

/// The places of a gap's lines, beginning at `x`.
fn lines(gap: &Gap, x: i32, m: &super::layout::Metrics) -> Lines {
    let mut x = x + m.gap.max(gap.names);
    let mut take = |nets: &[usize]| -> Vec<(usize, i32)> {
        let own = nets.iter().enumerate().map(|(i, net)| (*net, x + i as i32 * m.track)).collect();
        x += nets.len() as i32 * m.track;
        own
    };
    let back_from = take(&gap.back_from);
    let tracks_x = |x: &mut i32| {
        if gap.ends {
            *x += m.frame + gap.more.max(0);
        }
        let tracks = gap.tracks.iter().enumerate().map(|(i, net)| (*net, *x + i as i32 * m.track)).collect();
        *x += gap.tracks.len() as i32 * m.track;
        if gap.begins {
            *x += m.frame;
        }
        tracks
    };
    let tracks = tracks_x(&mut x);
    let back_to: Vec<(usize, i32)> =
        gap.back_to.iter().enumerate().map(|(i, net)| (*net, x + i as i32 * m.track)).collect();
    x += gap.back_to.len() as i32 * m.track;
    Lines { tracks, back_from, back_to, end: x + m.gap }
}

/// The order of the tracks of the nets that bend, with the fewest crossings and no pieces on top of each other.
fn tracks(crossings: &[Crossing]) -> Vec<usize> {
    let mut bent: Vec<&Crossing> = crossings.iter().filter(|crossing| !crossing.is_straight()).collect();
    // A fair beginning: what goes down in the order from below, what goes up from above.
    bent.sort_by_key(|crossing| {
        let down = crossing.rights.iter().sum::<i32>() >= crossing.left * crossing.rights.len() as i32;
        (down, if down { -crossing.left } else { crossing.left })
    });
    if bent.len() <= TRIED {
        let mut best = (cost(&bent), bent.clone());
        permutations(&mut bent.clone(), 0, &mut |order| {
            let found = cost(order);
            if found < best.0 {
                best = (found, order.to_vec());
            }
        });
        bent = best.1;
    }
    bent.iter().map(|crossing| crossing.net).collect()
}

fn permutations<'a>(items: &mut [&'a Crossing], from: usize, see: &mut dyn FnMut(&[&'a Crossing])) {
    if from == items.len() {
        return see(items);
    }
    for i in from..items.len() {
        items.swap(from, i);
        permutations(items, from + 1, see);
        items.swap(from, i);
    }
}

/// What is bad about an order of tracks from left to right.
fn cost(order: &[&Crossing]) -> usize {
    let mut cost = 0;
    for (i, a) in order.iter().enumerate() {
        for b in &order[i + 1..] {
            let (a_span, b_span) = (a.span(), b.span());
            let inside = |y: i32, span: (i32, i32)| span.0 < y && y < span.1;
            // On its way out, a crosses the vertical piece of b; on its way in, b crosses that of a.
            cost += a.rights.iter().filter(|y| inside(**y, b_span)).count();
            cost += usize::from(inside(b.left, a_span));
            // Pieces at one height would look like one line.
            cost += 100 * a.rights.iter().filter(|y| (**y - b.left).abs() < 3).count();
        }
    }
    cost
}

/// The rectangles of the frames, and for each net that goes back the height of its way below the boxes.
fn frames(
    plan: &Plan,
    group_columns: &[Option<(usize, usize)>],
    gap_lines: &[Lines],
    (column_x, widths): (&[i32], &[i32]),
    top: i32,
    layout: &mut Layout,
) -> Vec<(usize, i32)> {
    let m = &plan.metrics;
    let mut lanes = Vec::new();
    for (group, columns) in group_columns.iter().enumerate() {
        let Some((first, last)) = *columns else {
            layout.frames.push(Rect::default());
            layout.notes.push(Vec::new());
            continue;
        };
        let items = || plan.columns[first..=last].iter().flatten();
        let low = items().map(|item| item.y as i32 + item.height).max().unwrap_or(0) + top;
        let high = items().map(|item| item.y as i32).min().unwrap_or(0) + top;
        // Short ways lie inside of long ones.
        let mut back: Vec<usize> = (0..plan.nets.len())
            .filter(|net| {
                let from = plan.nets[*net].from;
                !plan.nets[*net].carried.is_empty() && plan.diagram.nodes[from].group == Some(group)
            })
            .collect();
        back.sort_by_key(|net| plan.column_of[plan.nets[*net].from]);
        for (i, net) in back.iter().enumerate() {
            lanes.push((*net, low + (i as i32 + 1) * m.track));
        }
        let lowest = low + back.len() as i32 * m.track;
        let left = gap_lines[first].back_to.first().map_or(column_x[first], |(_, x)| *x) - m.frame;
        let right = gap_lines[last + 1].back_from.last().map_or(column_x[last] + widths[last], |(_, x)| *x) + m.frame;
        let mut right = right.max(names_end(plan, last, column_x, widths) + m.frame / 2);
        let title = &plan.diagram.groups[group].title;
        right = right.max(left + (m.width)(title, true) + 2 * m.gap);
        let notes = wrapped(&plan.diagram.groups[group].note, right - left - 2 * m.gap, m.width);
        let y = high - m.frame - m.small_line;
        let bottom = lowest + m.frame;
        let text = |(i, text): (usize, String)| Text { text, x: left + m.gap, y: bottom + i as i32 * m.small_line };
        let note_height = notes.len() as i32 * m.small_line;
        layout.notes.push(notes.into_iter().enumerate().map(text).collect());
        layout.frames.push(Rect { x: left, y, w: right - left, h: bottom + note_height - y });
    }
    lanes
}

/// Where the names after a column end.
fn names_end(plan: &Plan, column: usize, column_x: &[i32], widths: &[i32]) -> i32 {
    let named =
        (0..plan.nets.len()).filter(|net| is_named(plan, *net) && plan.column_of[plan.nets[*net].from] == column);
    let width = named.map(|net| (plan.metrics.width)(&plan.nets[net].name, true) + plan.metrics.gap).max().unwrap_or(0);
    column_x[column] + widths[column] + width
}

/// A text in lines of at most this width.
pub fn wrapped(text: &str, width: i32, measure: fn(&str, bool) -> i32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if measure(&format!("{line} {word}"), true) <= width => *line = format!("{line} {word}"),
            Some(_) | None => lines.push(word.to_string()),
        }
    }
    lines
}

/// The ways of all arrows, and the names beside them.
fn wires(plan: &Plan, gap_lines: &[Lines], lanes: &[(usize, i32)], top: i32, layout: &mut Layout) {
    let place = |lines: &[(usize, i32)], net: usize| lines.iter().find(|(own, _)| *own == net).map(|(_, x)| *x);
    for (index, net) in plan.nets.iter().enumerate() {
        let from = layout.boxes[net.from];
        let column = plan.column_of[net.from];
        let start = (from.right(), from.y + from.h / 2);
        if is_named(plan, index) {
            let gap = (plan.metrics.gap / 4).max(1);
            layout.names.push(Text {
                text: net.name.clone(),
                x: start.0 + gap,
                y: start.1 - gap.min(plan.metrics.line / 3).max(1),
            });
        }
        for (state, entry) in &net.carried {
            let to = layout.boxes[*state];
            let end = (to.x, to.y + port(plan, *state, *entry));
            let right = place(&gap_lines[column + 1].back_from, index).unwrap_or(start.0);
            let left = place(&gap_lines[plan.column_of[*state]].back_to, index).unwrap_or(end.0);
            let lane = place(lanes, index).unwrap_or(end.1);
            let points = vec![start, (right, start.1), (right, lane), (left, lane), (left, end.1), end];
            layout.wires.push(Wire { points: simple(points), carried: true });
        }
        for (sink, entry) in &net.sinks {
            let to = layout.boxes[*sink];
            let end = (to.x, to.y + port(plan, *sink, *entry));
            let mut points = vec![start];
            for gap in column + 1..=plan.column_of[*sink] {
                // The height at which the net leaves this gap: that of the item on the right.
                let y = if gap == plan.column_of[*sink] {
                    end.1
                } else {
                    let passing = plan.columns[gap].iter().find(|item| item.net == Some(index));
                    passing.map_or(end.1, |item| item.y as i32 + top)
                };
                let last = points.last().map_or(y, |point| point.1);
                if let Some(x) = place(&gap_lines[gap].tracks, index).filter(|_| last != y) {
                    points.extend([(x, last), (x, y)]);
                }
            }
            points.push(end);
            layout.wires.push(Wire { points: simple(points), carried: false });
        }
    }
}

/// Without points on the way between others.
fn simple(points: Vec<(i32, i32)>) -> Vec<(i32, i32)> {
    let mut kept: Vec<(i32, i32)> = Vec::new();
    for point in points {
        if kept.last() == Some(&point) {
            continue;
        }
        if let [.., a, b] = kept.as_slice()
            && ((a.0 == b.0 && b.0 == point.0) || (a.1 == b.1 && b.1 == point.1))
        {
            kept.pop();
        }
        kept.push(point);
    }
    kept
}
