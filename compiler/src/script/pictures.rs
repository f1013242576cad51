//! Pictures of a script: `plot`, `scatter`, `hist`, `heatmap`, `image`. With `file:` an SVG or PNG file, else text.

use super::Script;
use super::effects::{Args, io_failure};
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::lower::value::Value;
use crate::lower::{Res, fail};
use crate::source::Span;
use crate::syntax::ast::Symbol;
use dp_runtime::plot::gallery::{self, Gallery};
use dp_runtime::plot::heatmap::{self, Heatmap};
use dp_runtime::plot::inline::{self, Graphics};
use dp_runtime::plot::terminal::{self, Room};
use dp_runtime::plot::{self, Curve, Mark, Plot, number_of_bins, raster};
use dp_runtime::tensor::{DType, Tensor};

pub enum Picture {
    Plot(Plot),
    Heatmap(Heatmap),
    Gallery(Gallery),
}

impl Picture {
    fn svg(&self) -> Result<String, String> {
        match self {
            Picture::Plot(plot) => plot::svg(plot),
            Picture::Heatmap(map) => heatmap::svg(map),
            Picture::Gallery(images) => gallery::svg(images),
        }
    }

    /// The picture in a terminal: as a picture if it shows some, else as text.
    ///
    /// # Errors
    /// In words: there is nothing to draw, or too much.
    pub fn shown(&self, room: Room, graphics: Graphics) -> Result<String, String> {
        if graphics != Graphics::None {
            return inline::shown(&self.svg()?, room.columns, graphics);
        }
        match self {
            Picture::Plot(plot) => terminal::plot(plot, room),
            Picture::Heatmap(map) => terminal::heatmap(map, room),
            Picture::Gallery(images) => terminal::gallery(images, room),
        }
    }
}

const PLOT: &str = "plot(y, ..., x: v, label: [\"a\", \"b\"], log: true, logx: true, points: true, title: s, xlabel: s, ylabel: s, file: f)";
const SCATTER: &str =
    "scatter(x, y, x2, y2, ..., label: s, log: true, logx: true, title: s, xlabel: s, ylabel: s, file: f)";
const HIST: &str = "hist(x, ..., bins: n, label: s, log: true, title: s, xlabel: s, ylabel: s, file: f)";
const HEATMAP: &str = "heatmap(A, title: s, xlabel: s, ylabel: s, file: f)";
const IMAGE: &str = "image(X, columns: n, own: true, label: [\"a\", \"b\"], title: s, file: f)";

impl Script<'_> {
    /// Draws one picture.
    pub(super) fn picture(&mut self, builtin: Builtin, mut args: Args) -> Res<Value> {
        let file = args.text("file")?;
        let picture = match builtin {
            Builtin::Scatter => Picture::Plot(scatter(&mut args)?),
            Builtin::Hist => Picture::Plot(hist(&mut args)?),
            Builtin::Heatmap => Picture::Heatmap(map(&mut args)?),
            Builtin::Image => Picture::Gallery(images(&mut args)?),
            _ => Picture::Plot(curves(&mut args)?),
        };
        let span = args.span;
        let drawn = |result: Result<String, String>| {
            result.map_err(|e| Box::new(Diagnostic::error("E0807", span, format!("the picture cannot be drawn: {e}"))))
        };
        let Some(file) = file else {
            let room = Room { colour: self.out.shows_colours(), ..Room::default() };
            let text = drawn(picture.shown(room, self.out.graphics()))?;
            text.lines().for_each(|line| self.out.line(line));
            return Ok(Value::Unit);
        };
        let ending = std::path::Path::new(&file).extension().map(|e| e.to_string_lossy().to_lowercase());
        let as_png = match ending.as_deref() {
            Some("svg") => false,
            Some("png") => true,
            _ => {
                return fail(
                    "E0807",
                    span,
                    format!("a picture is written to a file ending in .svg or .png, not `{file}`"),
                );
            }
        };
        let svg = drawn(picture.svg())?;
        let bytes = match as_png {
            true => raster::png(&svg)
                .map_err(|e| Box::new(Diagnostic::error("E0807", span, format!("the picture cannot be drawn: {e}"))))?,
            false => svg.into_bytes(),
        };
        // Pictures are made anew by every run: replacing one loses nothing.
        self.files_of(span)?.write(&file, &bytes, true).map_err(|e| io_failure(&e, span))?;
        Ok(Value::Unit)
    }
}

/// The picture of a value by itself: curves for a vector or the vectors of a record, a map for a matrix.
///
/// # Errors
/// In words: what has no picture.
pub fn of_value(value: &Value) -> Result<Picture, String> {
    let vectors = |fields: &[(Symbol, Value)]| -> Vec<Curve> {
        let curve = |(name, value): &(Symbol, Value)| match value {
            Value::Tensor(t) if t.shape().len() == 1 && is_number(t) => Some(Curve::of(name, t.to_f64_vec())),
            _ => None,
        };
        fields.iter().filter_map(curve).collect()
    };
    match value {
        Value::Tensor(t) if is_number(t) => match *t.shape() {
            [_] => Ok(Picture::Plot(Plot { curves: vec![Curve::of("", t.to_f64_vec())], ..Plot::default() })),
            [rows, columns] => {
                Ok(Picture::Heatmap(Heatmap { rows, columns, values: t.to_f64_vec(), ..Heatmap::default() }))
            }
            ref shape => {
                Err(format!("vectors and matrices are drawn, not shape {shape:?}; `image` draws stacks of images"))
            }
        },
        Value::Record(fields) => match vectors(fields) {
            curves if curves.is_empty() => Err("the record has no vector to draw".to_string()),
            curves => Ok(Picture::Plot(Plot { curves, ..Plot::default() })),
        },
        other => Err(format!("vectors, matrices and records of vectors are drawn, not {}", other.describe())),
    }
}

/// `label: s` or `label: [s, t]`.
fn labels(args: &mut Args) -> Res<Vec<String>> {
    match args.take("label") {
        Some((Value::Str(s), _)) => Ok(vec![s.to_string()]),
        Some((Value::List(items), _)) => Ok(items.iter().map(super::show).collect()),
        Some((Value::Tensor(t), _)) => Ok(dp_runtime::table::texts(&t, false)),
        Some((other, span)) => {
            fail("E0310", span, format!("`label:` takes a string or a list of strings, found {}", other.describe()))
        }
        None => Ok(Vec::new()),
    }
}

/// The named arguments that all plots have.
fn plain(args: &mut Args) -> Res<Plot> {
    Ok(Plot {
        title: args.text("title")?.unwrap_or_default(),
        x_label: args.text("xlabel")?.unwrap_or_default(),
        y_label: args.text("ylabel")?.unwrap_or_default(),
        log_y: args.flag("log")?,
        log_x: args.flag("logx")?,
        curves: Vec::new(),
    })
}

/// A positive number that a named argument gives.
fn count(args: &mut Args, name: &str) -> Res<Option<usize>> {
    match args.take(name) {
        Some((Value::Int(n), _)) if (1..=10_000).contains(&n) => Ok(Some(n as usize)),
        Some((other, span)) => {
            fail("E0310", span, format!("`{name}:` takes an int from 1 to 10000, found {}", other.describe()))
        }
        None => Ok(None),
    }
}

fn vector(value: &Value, span: Span, what: &str) -> Res<Vec<f64>> {
    match value {
        Value::Tensor(t) if t.shape().len() == 1 && is_number(t) => Ok(t.to_f64_vec()),
        other => fail("E0310", span, format!("{what} takes vectors, found {}", other.describe())),
    }
}

fn is_number(t: &Tensor) -> bool {
    match t.dtype() {
        DType::F32 | DType::F64 | DType::I64 | DType::Bool => true,
        DType::Key => false,
    }
}

/// `plot`: vectors are curves, a matrix is one curve a column.
fn curves(args: &mut Args) -> Res<Plot> {
    let labels = labels(args)?;
    let abscissa = match args.take("x") {
        Some((value, span)) => Some(vector(&value, span, "`x:`")?),
        None => None,
    };
    let mark = if args.flag("points")? { Mark::LineAndPoints } else { Mark::Line };
    let mut figure = plain(args)?;
    args.done(PLOT)?;
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for (value, span) in &args.positional {
        match value {
            Value::Tensor(t) if t.shape().len() == 1 && is_number(t) => rows.push(t.to_f64_vec()),
            Value::Tensor(t) if t.shape().len() == 2 && is_number(t) => {
                let (all, columns) = (t.to_f64_vec(), t.shape()[1]);
                let column = |j: usize| all.iter().skip(j).step_by(columns.max(1)).copied().collect::<Vec<f64>>();
                rows.extend((0..columns).map(column));
            }
            other => {
                let message = format!("`plot` draws vectors and the columns of matrices, not {}", other.describe());
                return fail("E0310", *span, message);
            }
        }
    }
    // One name for many curves is that of a family.
    let family = labels.len() == 1 && rows.len() > 1;
    for (i, ys) in rows.into_iter().enumerate() {
        let label = match family {
            true => format!("{} {}", labels[0], i + 1),
            false => labels.get(i).cloned().unwrap_or_default(),
        };
        figure.curves.push(match &abscissa {
            Some(x) if x.len() != ys.len() => {
                return fail("E0412", args.span, format!("`x:` has {} points, a curve has {}", x.len(), ys.len()));
            }
            Some(x) => Curve { label, x: x.clone(), y: ys, mark },
            None => Curve { mark, ..Curve::of(&label, ys) },
        });
    }
    Ok(figure)
}

/// `scatter`: pairs of vectors are sets of points.
fn scatter(args: &mut Args) -> Res<Plot> {
    let labels = labels(args)?;
    let mut figure = plain(args)?;
    args.done(SCATTER)?;
    if args.positional.is_empty() || !args.positional.len().is_multiple_of(2) {
        return fail("E0321", args.span, "`scatter(x, y)` takes pairs of vectors");
    }
    for (i, pair) in args.positional.chunks_exact(2).enumerate() {
        let x = vector(&pair[0].0, pair[0].1, "`scatter`")?;
        let y = vector(&pair[1].0, pair[1].1, "`scatter`")?;
        if x.len() != y.len() {
            return fail(
                "E0412",
                pair[1].1,
                format!("there are {} places to the right, but {} upwards", x.len(), y.len()),
            );
        }
        figure.curves.push(Curve { label: labels.get(i).cloned().unwrap_or_default(), x, y, mark: Mark::Points });
    }
    Ok(figure)
}

/// `hist`: how often the numbers of each array fall into equal parts of their common range.
fn hist(args: &mut Args) -> Res<Plot> {
    let labels = labels(args)?;
    let bins = count(args, "bins")?;
    let mut figure = plain(args)?;
    args.done(HIST)?;
    let mut sets = Vec::new();
    for (value, span) in &args.positional {
        match value {
            Value::Tensor(t) if is_number(t) => sets.push(t.to_f64_vec()),
            other => return fail("E0310", *span, format!("`hist` counts numbers of arrays, not {}", other.describe())),
        }
    }
    let all = sets.concat();
    if !all.iter().any(|v| v.is_finite()) {
        return fail("E0807", args.span, "the picture cannot be drawn: there is no finite number");
    }
    let (low, high) = dp_runtime::plot::colours::range(&all);
    // A single value still has a bar around it.
    let (low, high) = if low < high { (low, high) } else { (low - 0.5, high + 0.5) };
    let bins = bins.unwrap_or_else(|| number_of_bins(&all));
    for (i, values) in sets.iter().enumerate() {
        let label = labels.get(i).cloned().unwrap_or_default();
        figure.curves.push(Curve::histogram(&label, values, (low, high), bins));
    }
    if figure.y_label.is_empty() {
        figure.y_label = "count".to_string();
    }
    Ok(figure)
}

fn map(args: &mut Args) -> Res<Heatmap> {
    let title = args.text("title")?.unwrap_or_default();
    let x_label = args.text("xlabel")?.unwrap_or_default();
    let y_label = args.text("ylabel")?.unwrap_or_default();
    args.done(HEATMAP)?;
    match &args.positional[..] {
        [(Value::Tensor(t), _)] if t.shape().len() == 2 && is_number(t) => {
            let (rows, columns) = (t.shape()[0], t.shape()[1]);
            Ok(Heatmap { title, x_label, y_label, rows, columns, values: t.to_f64_vec() })
        }
        [(other, span)] => fail("E0310", *span, format!("`heatmap` draws a matrix, not {}", other.describe())),
        _ => fail("E0321", args.span, "`heatmap(A)` takes one matrix"),
    }
}

/// `image`: one grey image `[h, w]`, one in colour `[3, h, w]`, a stack `[n, h, w]` or `[n, 3, h, w]`.
fn images(args: &mut Args) -> Res<Gallery> {
    let labels = labels(args)?;
    let title = args.text("title")?.unwrap_or_default();
    let columns = count(args, "columns")?.unwrap_or(0);
    let own = args.flag("own")?;
    args.done(IMAGE)?;
    let [(Value::Tensor(t), span)] = &args.positional[..] else {
        return fail("E0321", args.span, "`image(X)` takes one array: an image, or a stack of images");
    };
    // A first axis of 3 is that of colours, unless labels tell that there are three images.
    let (size, channels) = match *t.shape() {
        [h, w] => ((h, w), 1),
        [3, h, w] if labels.len() < 2 && !own => ((h, w), 3),
        [_, h, w] => ((h, w), 1),
        [_, 1, h, w] => ((h, w), 1),
        [_, 3, h, w] => ((h, w), 3),
        ref other => {
            let message = format!(
                "an image has the shape [h, w] or [3, h, w], a stack [n, h, w] or [n, 3, h, w]; found {other:?}"
            );
            return fail("E0310", *span, message);
        }
    };
    if !is_number(t) || size.0 == 0 || size.1 == 0 {
        return fail("E0310", *span, "an image is made of at least one number");
    }
    let values = t.to_f64_vec();
    // Bytes of an image file count to 255.
    let bytes = t.dtype() == DType::I64 && values.iter().all(|v| (0.0..=255.0).contains(v));
    let values: Vec<f64> = if bytes { values.iter().map(|v| v / 255.0).collect() } else { values };
    Ok(Gallery { title, labels, columns, ..Gallery::of(&values, size, channels, own) })
}
