//! Pictures made of characters: a vector as a curve of braille dots, a matrix as shades of grey.

use crate::lower::value::Value;
use dp_runtime::table::format_number;

/// Rows of characters of a curve.
const ROWS: usize = 12;
/// Shades from dark to light.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];

/// The picture of a value, at most so many characters wide; what is wrong if there is none.
pub fn picture(value: &Value, width: usize) -> Result<String, String> {
    let width = width.clamp(30, 100);
    match value {
        Value::Tensor(t) if t.is_empty() => Err("there is nothing to draw: the array is empty".to_string()),
        Value::Tensor(t) => match *t.shape() {
            [_] => Ok(curve(&t.to_f64_vec(), width)),
            [rows, columns] => Ok(image(&t.to_f64_vec(), rows, columns, width)),
            ref shape => Err(format!("vectors and matrices can be drawn, not shape {shape:?}")),
        },
        Value::Record(fields) => {
            let mut pictures = Vec::new();
            for (name, value) in fields.iter() {
                if matches!(value, Value::Tensor(t) if t.shape().len() == 1 && !t.is_empty()) {
                    pictures.push(format!("{name}\n{}", picture(value, width)?));
                }
            }
            if pictures.is_empty() {
                Err("the record has no vector to draw".to_string())
            } else {
                Ok(pictures.join("\n"))
            }
        }
        other => Err(format!("vectors and matrices can be drawn, not {}", other.describe())),
    }
}

/// A curve over its index: each character has two by four dots.
fn curve(values: &[f64], width: usize) -> String {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let (least, most) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    if least > most {
        return "no value is finite".to_string();
    }
    let labels = [format_number(most), format_number(least)];
    let margin = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0) + 1;
    let columns = width.saturating_sub(margin + 1).max(10);
    let (dots_x, dots_y) = (columns * 2, ROWS * 4);
    let span = if most > least { most - least } else { 1.0 };
    // From the bottom, in dots.
    let height = |v: f64| (((v - least) / span) * (dots_y - 1) as f64).round() as usize;
    let mut cells = vec![vec![0u8; columns]; ROWS];
    let mut before: Option<usize> = None;
    for x in 0..dots_x {
        // The value at this dot: between two points of the curve, or the nearest where there are more points than dots.
        let place = if values.len() > 1 { x as f64 * (values.len() - 1) as f64 / (dots_x - 1) as f64 } else { 0.0 };
        let (i, part) = (place.floor() as usize, place.fract());
        let next = values[(i + 1).min(values.len() - 1)];
        let v = values[i] + part * (next - values[i]);
        if !v.is_finite() {
            before = None;
            continue;
        }
        let y = height(v);
        let (from, to) = before.map_or((y, y), |b| (b.min(y), b.max(y)));
        for dot in from..=to {
            set(&mut cells, x, dots_y - 1 - dot);
        }
        before = Some(y);
    }
    let mut text = String::new();
    for (row, line) in cells.iter().enumerate() {
        let label = match row {
            0 => labels[0].as_str(),
            r if r == ROWS - 1 => labels[1].as_str(),
            _ => "",
        };
        let dots: String = line.iter().map(|dots| char::from_u32(0x2800 + u32::from(*dots)).unwrap_or(' ')).collect();
        text += &format!("{label:>margin$}│{}\n", dots.trim_end_matches('\u{2800}'));
    }
    let last = format!("{}", values.len() - 1);
    let axis = "─".repeat(columns);
    text + &format!("{:>margin$}└{axis}\n{:>margin$} 0{:>rest$}", "", "", last, rest = columns - 1)
}

/// Marks the dot at (x, y), y from the top.
fn set(cells: &mut [Vec<u8>], x: usize, y: usize) {
    const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
    cells[y / 4][x / 2] |= BITS[y % 4][x % 2];
}

/// A matrix: two characters for a column, so that cells are about square; large ones by the means of blocks.
fn image(values: &[f64], rows: usize, columns: usize, width: usize) -> String {
    let room = (width / 2).max(1);
    let block = columns.div_ceil(room).max(rows.div_ceil(40)).max(1);
    let mut cells = Vec::new();
    for top in (0..rows).step_by(block) {
        let mut line = Vec::new();
        for left in (0..columns).step_by(block) {
            let (mut sum, mut count) = (0.0, 0.0);
            for i in top..(top + block).min(rows) {
                for j in left..(left + block).min(columns) {
                    let v = values[i * columns + j];
                    if v.is_finite() {
                        sum += v;
                        count += 1.0;
                    }
                }
            }
            line.push(if count > 0.0 { sum / count } else { f64::NAN });
        }
        cells.push(line);
    }
    let finite = || cells.iter().flatten().copied().filter(|v| v.is_finite());
    let (least, most) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let span = if most > least { most - least } else { 1.0 };
    let mut text = String::new();
    for line in &cells {
        for v in line {
            let shade = if v.is_finite() {
                SHADES[(((v - least) / span) * (SHADES.len() - 1) as f64).round() as usize]
            } else {
                '?'
            };
            text.extend([shade, shade]);
        }
        text.push('\n');
    }
    let blocks = if block > 1 { format!(", each cell the mean of {block} by {block}") } else { String::new() };
    text + &format!(
        "{rows} by {columns}, from {} (dark) to {} (light){blocks}",
        format_number(least),
        format_number(most)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use dp_runtime::tensor::Tensor;

    fn drawn(shape: &[usize], values: Vec<f64>) -> String {
        picture(&Value::Tensor(Tensor::from_vec(shape, values)), 40).expect("a picture")
    }

    #[test]
    fn a_rising_line_rises() {
        let text = drawn(&[5], vec![0.0, 1.0, 2.0, 3.0, 4.0]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), ROWS + 2);
        assert!(lines[0].starts_with(" 4│") && lines[ROWS - 1].starts_with(" 0│"), "{text}");
        let filled = |line: &str| line.chars().position(|c| ('\u{2801}'..='\u{28ff}').contains(&c));
        assert!(filled(lines[0]) > filled(lines[ROWS - 1]), "{text}");
    }

    #[test]
    fn every_array_has_a_picture_or_a_reason() {
        drawn(&[1], vec![2.0]);
        drawn(&[3], vec![f64::NAN, 1.0, f64::INFINITY]);
        assert_eq!(drawn(&[2], vec![f64::NAN, f64::NAN]), "no value is finite");
        let text = drawn(&[2, 2], vec![0.0, 1.0, 1.0, 0.0]);
        assert!(text.starts_with("  ██\n██  \n2 by 2, from 0"), "{text}");
        assert!(drawn(&[100, 200], vec![1.0; 20000]).lines().all(|line| line.chars().count() <= 80));
        assert!(picture(&Value::Int(1), 40).is_err());
        assert!(picture(&Value::Tensor(Tensor::from_vec::<f64>(&[0], Vec::new())), 40).is_err());
    }
}
