//! What distinguishes operations of one primitive, as printed attributes; and back.

use crate::ir::graph::{CallRule, Graph, Guard, Op, Scan, Trips};
use crate::prims;
use dp_runtime::kernels::conv::Window;
use dp_runtime::linalg::spectral::Spectral;
use dp_runtime::tensor::{DType, Tensor};
use std::rc::Rc;

/// The value of an attribute.
#[derive(Clone, Debug)]
pub enum Attribute {
    Word(String),
    Number(usize),
    List(Vec<usize>),
    Text(String),
    Value(Tensor),
}

/// The printed words of what a spectral quotient divides by.
const SPECTRAL: [(&str, Spectral); 6] = [
    ("difference", Spectral::Difference),
    ("difference_adjoint", Spectral::DifferenceAdjoint),
    ("sum", Spectral::Sum),
    ("sum_adjoint", Spectral::SumAdjoint),
    ("value", Spectral::Value),
    ("value_adjoint", Spectral::ValueAdjoint),
];

type Attributes = Vec<(&'static str, Attribute)>;

/// The attributes of an operation.
pub fn attributes(op: &Op) -> Attributes {
    use Attribute::{List, Number, Text, Value, Word};
    let flag = |flag: bool| Word(flag.to_string());
    let kind = |dtype: &DType| Word(dtype.name().to_string());
    if prims::row(op).plain.is_some() {
        return Vec::new();
    }
    match op {
        Op::Const(value) => vec![("value", Value(value.clone()))],
        Op::Convert(to) => vec![("to", kind(to))],
        Op::Fft { inverse } => vec![("inverse", flag(*inverse))],
        Op::TriangularSolve { lower } => vec![("lower", flag(*lower))],
        Op::SpectralQuotient(by) => {
            let word = SPECTRAL.iter().find(|(_, other)| other == by).map_or("", |(word, _)| word);
            vec![("by", Word(word.to_string()))]
        }
        Op::Polygamma { order } => vec![("order", Number(*order))],
        Op::Broadcast { shape, axes } => vec![("shape", List(shape.clone())), ("axes", List(axes.clone()))],
        Op::Reshape { shape } => vec![("shape", List(shape.clone()))],
        Op::Permute { perm } => vec![("perm", List(perm.clone()))],
        Op::Slice { start, stop, stride } => {
            vec![("start", List(start.clone())), ("stop", List(stop.clone())), ("stride", List(stride.clone()))]
        }
        Op::Pad { low, high, interior } => {
            vec![("low", List(low.clone())), ("high", List(high.clone())), ("interior", List(interior.clone()))]
        }
        Op::Iota { shape, axis } => vec![("shape", List(shape.clone())), ("axis", Number(*axis))],
        Op::Concat { axis } | Op::ArgMax { axis } | Op::ArgMin { axis } => vec![("axis", Number(*axis))],
        Op::Reverse { axes }
        | Op::Sum { axes }
        | Op::Prod { axes }
        | Op::ReduceMax { axes }
        | Op::ReduceMin { axes }
        | Op::All { axes }
        | Op::Any { axes } => vec![("axes", List(axes.clone()))],
        Op::CumSum { axis, reverse } => vec![("axis", Number(*axis)), ("reverse", flag(*reverse))],
        Op::Dot { batch } => vec![("batch", Number(*batch))],
        Op::Conv { batch, window } => {
            let pair = |pair: [usize; 2]| List(pair.to_vec());
            // Places before the first element, and places left out there: one of the two is 0.
            let low = window.low.map(|low| low.max(0).unsigned_abs());
            let skip = window.low.map(|low| low.min(0).unsigned_abs());
            vec![
                ("batch", Number(*batch)),
                ("stride", pair(window.stride)),
                ("dilation", pair(window.dilation)),
                ("spread", pair(window.spread)),
                ("low", pair(low)),
                ("skip", pair(skip)),
                ("size", pair(window.size)),
            ]
        }
        Op::Normal { shape, dtype } | Op::Uniform { shape, dtype } => {
            vec![("shape", List(shape.clone())), ("kind", kind(dtype))]
        }
        Op::Split { n } | Op::Permutation { n } => vec![("n", Number(*n))],
        Op::Scan(scan) => {
            let trips = match scan.trips {
                Trips::All => "all",
                Trips::Input => "input",
                Trips::Until => "until",
            };
            vec![
                ("consts", Number(scan.consts)),
                ("carries", Number(scan.carries)),
                ("cap", Number(scan.cap)),
                ("trips", Word(trips.to_string())),
                ("reverse", flag(scan.reverse)),
            ]
        }
        Op::Call { body: _, rule } => {
            let rule = match rule {
                CallRule::Inline => "inline",
                CallRule::Tangent(_) => "tangent",
                CallRule::Recompute => "recompute",
                CallRule::Solve { .. } => "solve",
            };
            vec![("rule", Word(rule.to_string()))]
        }
        Op::Guard(guard) => {
            let (word, solver) = match guard {
                Guard::Unconverged { solver } => ("unconverged", solver),
                Guard::NotAtFixedPoint { solver } => ("not_at_fixed_point", solver),
            };
            vec![("kind", Word(word.to_string())), ("solver", Text(solver.to_string()))]
        }
        Op::Cond { .. } => Vec::new(),
        // The round trip of every row's samples is tested.
        other => panic!("internal error: `{}` is neither plain nor printed with attributes", prims::name(other)),
    }
}

/// The words before an operation's sub-Graphs, in the order of `Op::subgraphs`.
pub fn labels(op: &Op) -> &'static [&'static str] {
    match op {
        Op::Scan(_) => &["body"],
        Op::Cond { .. } => &["then", "otherwise"],
        Op::Call { body: _, rule } => match rule {
            CallRule::Tangent(_) => &["body", "tangent"],
            CallRule::Inline | CallRule::Recompute => &["body"],
            CallRule::Solve { .. } => &["body", "operator", "adjoint", "turned"],
        },
        _ => &[],
    }
}

/// The first elements of a tensor as text that reads back to the same bits (all NaNs are one).
pub fn elements(tensor: &Tensor, count: usize) -> Vec<String> {
    macro_rules! list {
        ($T:ty, $show:expr) => {
            tensor.as_slice::<$T>().iter().take(count).map($show).collect()
        };
    }
    match tensor {
        Tensor::F32(_) => list!(f32, |v| format!("{v:?}")),
        Tensor::F64(_) => list!(f64, |v| format!("{v:?}")),
        Tensor::I64(_) => list!(i64, i64::to_string),
        Tensor::Bool(_) => list!(bool, bool::to_string),
        Tensor::Key(_) => list!(u64, u64::to_string),
    }
}

/// Attributes as they were read.
pub struct Read<'a> {
    pub name: &'a str,
    pub attributes: Vec<(String, Attribute)>,
    pub bodies: Vec<(String, Rc<Graph>)>,
}

impl Read<'_> {
    fn attribute(&self, key: &str) -> Result<&Attribute, String> {
        let found = self.attributes.iter().find(|(k, _)| k == key);
        found.map(|(_, value)| value).ok_or_else(|| format!("`{}` needs `{key}`", self.name))
    }

    fn wrong(&self, key: &str) -> String {
        format!("`{}` has a `{key}` of a wrong form", self.name)
    }

    fn number(&self, key: &str) -> Result<usize, String> {
        match self.attribute(key)? {
            Attribute::Number(n) => Ok(*n),
            Attribute::Word(_) | Attribute::List(_) | Attribute::Text(_) | Attribute::Value(_) => Err(self.wrong(key)),
        }
    }

    fn list(&self, key: &str) -> Result<Vec<usize>, String> {
        match self.attribute(key)? {
            Attribute::List(list) => Ok(list.clone()),
            Attribute::Word(_) | Attribute::Number(_) | Attribute::Text(_) | Attribute::Value(_) => {
                Err(self.wrong(key))
            }
        }
    }

    /// A row and a column, of a size that computes.
    fn pair(&self, key: &str) -> Result<[usize; 2], String> {
        let list = self.list(key)?;
        let pair = <[usize; 2]>::try_from(list).map_err(|_| self.wrong(key))?;
        if pair.iter().any(|&n| n > isize::MAX as usize / 2) { Err(self.wrong(key)) } else { Ok(pair) }
    }

    fn word(&self, key: &str) -> Result<&str, String> {
        match self.attribute(key)? {
            Attribute::Word(word) => Ok(word),
            Attribute::Number(_) | Attribute::List(_) | Attribute::Text(_) | Attribute::Value(_) => {
                Err(self.wrong(key))
            }
        }
    }

    fn text(&self, key: &str) -> Result<Rc<str>, String> {
        match self.attribute(key)? {
            Attribute::Text(text) => Ok(text.as_str().into()),
            Attribute::Word(_) | Attribute::Number(_) | Attribute::List(_) | Attribute::Value(_) => {
                Err(self.wrong(key))
            }
        }
    }

    fn value(&self, key: &str) -> Result<Tensor, String> {
        match self.attribute(key)? {
            Attribute::Value(value) => Ok(value.clone()),
            Attribute::Word(_) | Attribute::Number(_) | Attribute::List(_) | Attribute::Text(_) => Err(self.wrong(key)),
        }
    }

    fn flag(&self, key: &str) -> Result<bool, String> {
        self.word(key)?.parse().map_err(|_| self.wrong(key))
    }

    fn kind(&self, key: &str) -> Result<DType, String> {
        kind(self.word(key)?)
    }

    fn body(&self, label: &str) -> Result<Rc<Graph>, String> {
        let found = self.bodies.iter().find(|(l, _)| l == label);
        found.map(|(_, body)| body.clone()).ok_or_else(|| format!("`{}` needs a Graph `{label}`", self.name))
    }

    /// The operation of this name with these attributes.
    pub fn op(&self) -> Result<Op, String> {
        if let Some(op) = prims::plain(self.name) {
            return Ok(op);
        }
        Ok(match self.name {
            "const" => Op::Const(self.value("value")?),
            "triangular_solve" => Op::TriangularSolve { lower: self.flag("lower")? },
            "spectral_quotient" => {
                let word = self.word("by")?;
                let by = SPECTRAL.iter().find(|(other, _)| *other == word).ok_or_else(|| self.wrong("by"))?;
                Op::SpectralQuotient(by.1)
            }
            "fft" => Op::Fft { inverse: self.flag("inverse")? },
            "polygamma" => Op::Polygamma { order: self.number("order")? },
            "convert" => Op::Convert(self.kind("to")?),
            "broadcast" => Op::Broadcast { shape: self.list("shape")?, axes: self.list("axes")? },
            "reshape" => Op::Reshape { shape: self.list("shape")? },
            "permute" => Op::Permute { perm: self.list("perm")? },
            "slice" => Op::Slice { start: self.list("start")?, stop: self.list("stop")?, stride: self.list("stride")? },
            "pad" => Op::Pad { low: self.list("low")?, high: self.list("high")?, interior: self.list("interior")? },
            "concat" => Op::Concat { axis: self.number("axis")? },
            "reverse" => Op::Reverse { axes: self.list("axes")? },
            "iota" => Op::Iota { shape: self.list("shape")?, axis: self.number("axis")? },
            "sum" => Op::Sum { axes: self.list("axes")? },
            "prod" => Op::Prod { axes: self.list("axes")? },
            "reduce_max" => Op::ReduceMax { axes: self.list("axes")? },
            "reduce_min" => Op::ReduceMin { axes: self.list("axes")? },
            "arg_max" => Op::ArgMax { axis: self.number("axis")? },
            "arg_min" => Op::ArgMin { axis: self.number("axis")? },
            "all" => Op::All { axes: self.list("axes")? },
            "any" => Op::Any { axes: self.list("axes")? },
            "cum_sum" => Op::CumSum { axis: self.number("axis")?, reverse: self.flag("reverse")? },
            "dot" => Op::Dot { batch: self.number("batch")? },
            "conv" => {
                let (low, skip) = (self.pair("low")?, self.pair("skip")?);
                let window = Window {
                    stride: self.pair("stride")?,
                    dilation: self.pair("dilation")?,
                    spread: self.pair("spread")?,
                    low: [0, 1].map(|i| low[i] as isize - skip[i] as isize),
                    size: self.pair("size")?,
                };
                Op::Conv { batch: self.number("batch")?, window }
            }
            "normal" => Op::Normal { shape: self.list("shape")?, dtype: self.kind("kind")? },
            "uniform" => Op::Uniform { shape: self.list("shape")?, dtype: self.kind("kind")? },
            "split" => Op::Split { n: self.number("n")? },
            "permutation" => Op::Permutation { n: self.number("n")? },
            "scan" => Op::Scan(Scan {
                body: self.body("body")?,
                consts: self.number("consts")?,
                carries: self.number("carries")?,
                cap: self.number("cap")?,
                trips: match self.word("trips")? {
                    "all" => Trips::All,
                    "input" => Trips::Input,
                    "until" => Trips::Until,
                    _ => return Err(self.wrong("trips")),
                },
                reverse: self.flag("reverse")?,
            }),
            "cond" => Op::Cond { then: self.body("then")?, otherwise: self.body("otherwise")? },
            "call" => Op::Call {
                body: self.body("body")?,
                rule: match self.word("rule")? {
                    "inline" => CallRule::Inline,
                    "recompute" => CallRule::Recompute,
                    "tangent" => CallRule::Tangent(self.body("tangent")?),
                    "solve" => CallRule::Solve {
                        operator: self.body("operator")?,
                        adjoint: self.body("adjoint")?,
                        turned: self.body("turned")?,
                    },
                    _ => return Err(self.wrong("rule")),
                },
            },
            "guard" => {
                let solver = self.text("solver")?;
                Op::Guard(match self.word("kind")? {
                    "unconverged" => Guard::Unconverged { solver },
                    "not_at_fixed_point" => Guard::NotAtFixedPoint { solver },
                    _ => return Err(self.wrong("kind")),
                })
            }
            name => return Err(format!("no primitive `{name}`")),
        })
    }
}

/// The element kind with a printed name.
pub fn kind(name: &str) -> Result<DType, String> {
    let kinds = [DType::F32, DType::F64, DType::I64, DType::Bool, DType::Key];
    kinds.into_iter().find(|dtype| dtype.name() == name).ok_or_else(|| format!("no element kind `{name}`"))
}
