//! A diagram in characters, for the terminal: the same layout, drawn with the lines of Unicode.

use super::layout::{Metrics, Rect, layout, lines};
use super::{Diagram, Kind};

/// Sizes in characters.
const METRICS: Metrics =
    Metrics { width, line: 1, small_line: 1, pad: (2, 1), row_gap: 1, gap: 2, track: 2, port: 1, frame: 2, margin: 0 };

fn width(text: &str, _: bool) -> i32 {
    text.chars().count() as i32
}

/// Which of the four neighbours a line leads to.
const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;

struct Canvas {
    cells: Vec<Vec<char>>,
    ways: Vec<Vec<u8>>,
}

impl Canvas {
    fn put(&mut self, x: i32, y: i32, c: char) {
        if let Some(cell) = self.cells.get_mut(y.max(0) as usize).and_then(|row| row.get_mut(x.max(0) as usize)) {
            *cell = c;
        }
    }

    fn words(&mut self, x: i32, y: i32, text: &str) {
        for (i, c) in text.chars().enumerate() {
            self.put(x + i as i32, y, c);
        }
    }

    fn way(&mut self, x: i32, y: i32, way: u8) {
        if let Some(cell) = self.ways.get_mut(y.max(0) as usize).and_then(|row| row.get_mut(x.max(0) as usize)) {
            *cell |= way;
        }
    }

    fn piece(&mut self, (x0, y0): (i32, i32), (x1, y1): (i32, i32)) {
        for x in x0.min(x1)..x0.max(x1) {
            self.way(x, y0, RIGHT);
            self.way(x + 1, y0, LEFT);
        }
        for y in y0.min(y1)..y0.max(y1) {
            self.way(x1, y, DOWN);
            self.way(x1, y + 1, UP);
        }
    }

    fn rectangle(&mut self, place: Rect, corners: [char; 4]) {
        let Rect { x, y, w, h } = place;
        for i in 1..w - 1 {
            self.put(x + i, y, '─');
            self.put(x + i, y + h - 1, '─');
        }
        for i in 1..h - 1 {
            self.put(x, y + i, '│');
            self.put(x + w - 1, y + i, '│');
            (1..w - 1).for_each(|j| self.put(x + j, y + i, ' '));
        }
        let ends = [(x, y), (x + w - 1, y), (x, y + h - 1), (x + w - 1, y + h - 1)];
        ends.into_iter().zip(corners).for_each(|((x, y), c)| self.put(x, y, c));
    }
}

/// The picture; every line ends with a newline.
pub fn text(diagram: &Diagram) -> String {
    let found = layout(diagram, METRICS);
    let row = vec![' '; found.width.max(0) as usize + 1];
    let mut canvas = Canvas {
        cells: vec![row.clone(); found.height.max(0) as usize + 1],
        ways: vec![vec![0; row.len()]; found.height.max(0) as usize + 1],
    };
    for ((group, frame), notes) in diagram.groups.iter().zip(&found.frames).zip(&found.notes) {
        canvas.rectangle(*frame, ['╭', '╮', '╰', '╯']);
        for x in frame.x + 1..frame.right() - 1 {
            canvas.put(x, frame.y, '┄');
            canvas.put(x, frame.bottom() - 1, '┄');
        }
        canvas.words(frame.x + 2, frame.y, &format!(" {} ", group.title));
        // A base line is below its characters.
        notes.iter().for_each(|note| canvas.words(note.x, note.y - 1, &note.text));
    }
    for wire in &found.wires {
        wire.points.windows(2).for_each(|pair| canvas.piece(pair[0], pair[1]));
    }
    for (y, ways) in canvas.ways.clone().into_iter().enumerate() {
        for (x, way) in ways.into_iter().enumerate().filter(|(_, way)| *way != 0) {
            canvas.put(x as i32, y as i32, line_of(way));
        }
    }
    for wire in &found.wires {
        let (x, y) = wire.points[wire.points.len() - 1];
        canvas.put(x - 1, y, '▶');
    }
    found.names.iter().for_each(|name| canvas.words(name.x, name.y, &name.text));
    for (node, place) in diagram.nodes.iter().zip(&found.boxes) {
        let corners = match node.kind {
            Kind::Input | Kind::Output | Kind::State | Kind::Sum => ['╭', '╮', '╰', '╯'],
            Kind::Operation if !node.learned.is_empty() => ['┏', '┓', '┗', '┛'],
            Kind::Operation | Kind::More => ['┌', '┐', '└', '┘'],
        };
        canvas.rectangle(*place, corners);
        let lines = lines(node);
        let top = place.y + (place.h - lines.len() as i32) / 2;
        for (i, (text, _)) in lines.iter().enumerate() {
            canvas.words(place.x + (place.w - width(text, false)) / 2, top + i as i32, text);
        }
    }
    let mut picture = format!("{}\n", diagram.title);
    let rows: Vec<String> =
        canvas.cells.iter().map(|row| row.iter().collect::<String>().trim_end().to_string()).collect();
    let first = rows.iter().position(|row| !row.is_empty()).unwrap_or(0);
    let last = rows.iter().rposition(|row| !row.is_empty()).unwrap_or(0);
    for row in &rows[first..=last] {
        picture += &format!("{row}\n");
    }
    let names = diagram.legend.iter().map(|entry| entry.name.chars().count()).max().unwrap_or(0);
    for entry in &diagram.legend {
        let name = &entry.name;
        picture += &format!("{}{name:<names$}  {}\n", if entry.learned { "* " } else { "  " }, entry.about);
    }
    picture
}

fn line_of(way: u8) -> char {
    match way {
        w if w == LEFT | RIGHT || w == LEFT || w == RIGHT => '─',
        w if w == UP | DOWN || w == UP || w == DOWN => '│',
        w if w == DOWN | RIGHT => '╭',
        w if w == DOWN | LEFT => '╮',
        w if w == UP | RIGHT => '╰',
        w if w == UP | LEFT => '╯',
        w if w == UP | DOWN | RIGHT => '├',
        w if w == UP | DOWN | LEFT => '┤',
        w if w == DOWN | LEFT | RIGHT => '┬',
        w if w == UP | LEFT | RIGHT => '┴',
        _ => '┼',
    }
}
