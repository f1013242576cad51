//! Is a Graph linear? What users write as derivatives has to be.

use crate::ad::flow;
use crate::ad::rules::{Derivative, derivative};
use crate::ir::graph::{CallRule, Eqn, Graph, Op, Var};
use crate::prims;
use crate::source::Span;

/// An equation that uses a linear value in a way that is not linear: its place in the source and its operation.
#[derive(Clone, PartialEq, Debug)]
pub struct NotLinear {
    pub span: Span,
    pub op: String,
}

/// Checks that the results of a Graph are linear in all parameters after the first `residuals`.
///
/// A sum of a linear value and a known one is not, unless the known one is zero by its structure.
///
/// # Errors
/// The first equation that is not linear. A known result that is not zero is reported as `return`.
pub fn check_linear(graph: &Graph, residuals: usize) -> Result<(), NotLinear> {
    let params: Vec<Kind> =
        (0..graph.params.len()).map(|i| if i < residuals { Kind::Known } else { Kind::Linear }).collect();
    for (&result, kind) in graph.results.iter().zip(check(graph, &params)?) {
        if kind == Kind::Known {
            let span = graph.eqns.iter().find(|eqn| eqn.outs.contains(&result)).map_or(Span::NONE, |eqn| eqn.span);
            return Err(NotLinear { span, op: "return".to_string() });
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Known,
    /// Known to be zero, so linear in anything.
    Zero,
    Linear,
}

/// The kinds of the results for parameters of these kinds.
fn check(graph: &Graph, params: &[Kind]) -> Result<Vec<Kind>, NotLinear> {
    let mut kinds = vec![Kind::Known; graph.types.len()];
    for (&param, &kind) in graph.params.iter().zip(params) {
        kinds[param.0 as usize] = kind;
    }
    for eqn in &graph.eqns {
        let args: Vec<Kind> = eqn.args.iter().map(|a| kinds[a.0 as usize]).collect();
        let outs = check_eqn(graph, eqn, &args)?;
        for (&out, kind) in eqn.outs.iter().zip(outs) {
            kinds[out.0 as usize] = if graph.ty(out).dtype.is_float() { kind } else { Kind::Known };
        }
    }
    Ok(graph.results.iter().map(|r| kinds[r.0 as usize]).collect())
}

fn check_eqn(graph: &Graph, eqn: &Eqn, args: &[Kind]) -> Result<Vec<Kind>, NotLinear> {
    let refuse = || Err(NotLinear { span: eqn.span, op: prims::name(&eqn.op).to_string() });
    let all = |kind: Kind| vec![kind; eqn.outs.len()];
    let is_linear = |v: &Var, kind: &Kind| *kind == Kind::Linear && graph.ty(*v).dtype.is_float();
    let any_linear = eqn.args.iter().zip(args).any(|(v, kind)| is_linear(v, kind));
    match &eqn.op {
        Op::Const(value) => {
            let zero = value.dtype().is_float() && value.to_f64_vec().iter().all(|&v| v == 0.0);
            return Ok(all(if zero { Kind::Zero } else { Kind::Known }));
        }
        Op::Scan(scan) => return check_scan(scan, args),
        Op::Cond { then, otherwise } => {
            let then = check(then, &args[1..])?;
            let otherwise = check(otherwise, &args[1..])?;
            let mut kinds = Vec::new();
            for (a, b) in then.into_iter().zip(otherwise) {
                match join(a, b) {
                    Some(kind) => kinds.push(kind),
                    None => return refuse(),
                }
            }
            return Ok(kinds);
        }
        Op::Call { rule: CallRule::Solve { .. }, .. } => {
            let (right, known) = args.split_last().expect("a right side");
            let fits = eqn.args.iter().zip(known).all(|(v, kind)| !is_linear(v, kind));
            return if fits { Ok(vec![*right]) } else { refuse() };
        }
        Op::Call { body, .. } => return check(body, args),
        Op::Guard(_) => return Ok(args[1..].to_vec()),
        _ => {}
    }
    if !may_be_linear(&eqn.op) {
        return if any_linear { refuse() } else { Ok(all(Kind::Known)) };
    }
    // Products: linear in one operand, the other known.
    let product = |linear: Kind, factor: Kind| match (linear, factor) {
        (Kind::Linear, Kind::Linear) => None,
        (_, Kind::Zero) | (Kind::Zero, _) => Some(Kind::Zero),
        (Kind::Linear, Kind::Known) | (Kind::Known, Kind::Linear) => Some(Kind::Linear),
        (Kind::Known, Kind::Known) => Some(Kind::Known),
    };
    let kind = match &eqn.op {
        Op::Mul | Op::MulZ | Op::Dot { .. } | Op::Conv { .. } => product(args[0], args[1]),
        Op::Div if args[1] == Kind::Linear => None,
        Op::Div => Some(args[0]),
        Op::Solve | Op::TriangularSolve { .. } | Op::SpectralQuotient(_) if args[0] == Kind::Linear => None,
        Op::Solve | Op::TriangularSolve { .. } | Op::SpectralQuotient(_) => Some(args[1]),
        // All floating operands together.
        _ => {
            let mut floats = eqn.args.iter().zip(args).filter(|(v, _)| graph.ty(**v).dtype.is_float());
            floats.try_fold(Kind::Zero, |sum, (_, &kind)| join(sum, kind))
        }
    };
    match kind {
        Some(kind) => Ok(all(kind)),
        None => refuse(),
    }
}

/// The kind of a sum.
fn join(a: Kind, b: Kind) -> Option<Kind> {
    match (a, b) {
        (Kind::Zero, other) | (other, Kind::Zero) => Some(other),
        (Kind::Known, Kind::Known) => Some(Kind::Known),
        (Kind::Linear, Kind::Linear) => Some(Kind::Linear),
        (Kind::Known, Kind::Linear) | (Kind::Linear, Kind::Known) => None,
    }
}

fn check_scan(scan: &crate::ir::graph::Scan, args: &[Kind]) -> Result<Vec<Kind>, NotLinear> {
    let flags: Vec<bool> = args.iter().map(|&kind| kind == Kind::Linear).collect();
    let linear = flow::carries_depend(scan, &flags);
    let mut carries: Vec<Kind> = args[scan.consts..scan.consts + scan.carries].to_vec();
    let mixed = |body: &Graph, i: usize| {
        let result = body.results[i];
        let span = body.eqns.iter().find(|eqn| eqn.outs.contains(&result)).map_or(Span::NONE, |eqn| eqn.span);
        NotLinear { span, op: "scan".to_string() }
    };
    for (i, kind) in carries.iter_mut().enumerate() {
        match (linear[i], *kind) {
            (true, Kind::Known) => return Err(mixed(&scan.body, i)),
            (true, Kind::Zero | Kind::Linear) => *kind = Kind::Linear,
            (false, Kind::Known | Kind::Zero | Kind::Linear) => {}
        }
    }
    loop {
        let mut params = args[..scan.consts].to_vec();
        params.extend(&carries);
        params.push(Kind::Known);
        let stacked = scan.consts + scan.carries;
        params.extend(&args[stacked..stacked + scan.stacked_ins()]);
        let mut results = check(&scan.body, &params)?;
        let mut changed = false;
        for (i, kind) in carries.iter_mut().enumerate() {
            match join(*kind, results[i]) {
                Some(joined) => {
                    changed |= joined != *kind;
                    *kind = joined;
                }
                None => return Err(mixed(&scan.body, i)),
            }
        }
        if !changed {
            results[..scan.carries].copy_from_slice(&carries);
            // A stop flag gives its place to the number of passes: both are known.
            return Ok(results);
        }
    }
}

/// May the operation take linear operands at all?
fn may_be_linear(op: &Op) -> bool {
    match derivative(op) {
        Derivative::Linear | Derivative::Bilinear => true,
        Derivative::Zero => false,
        Derivative::Partials | Derivative::Custom => match op {
            Op::Div | Op::Solve | Op::TriangularSolve { .. } | Op::SpectralQuotient(_) => true,
            Op::Scan(_) | Op::Cond { .. } | Op::Call { .. } | Op::Guard(_) => true,
            _ => false,
        },
    }
}
