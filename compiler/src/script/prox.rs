//! Proximal operators against their definition, by number: no other point may have a smaller
//! `t * f(u) + 1/2 * sumsq(u - v)`. `check_prox` looks at one point; `dp test` draws points for every declared rule.
//!
//! Other points are sought where a wrong operator loses: at zeros and cut or thresholded copies of v, between the result and
//! other points of the function's domain (where the operator maps), and by a search around the best point so far.

use super::{Script, TestResult};
use crate::diagnostic::Diagnostic;
use crate::ir::graph::Type;
use crate::lower::prox::{find_rule, operator, proximal_operator, target};
use crate::lower::value::{Func, ProxRule, Value};
use crate::lower::{Res, fail, lower_with};
use crate::run::{Engine, Prepared, Runner};
use crate::source::Span;
use crate::syntax::ast::{self, BinaryOp, CustomKind, ExprKind, ItemKind, ScalarKind, TypeKind};
use dp_runtime::random;
use dp_runtime::tensor::{DType, Tensor};
use std::collections::HashMap;

/// Points that are compared at a time.
const BATCH: usize = 256;
/// Rounds of the search around the best point.
const ROUNDS: usize = 12;
/// Draws of arguments for one rule.
const DRAWS: u64 = 10;

/// What is checked: the function with its other arguments, the operator with the same, and the step.
struct Claim {
    f: Value,
    prox: Value,
    /// The point at which the operator is taken.
    v: Tensor,
    rest: Vec<Value>,
    t: f64,
    span: Span,
}

/// A point and its value.
struct Point {
    u: Vec<f64>,
    value: f64,
}

enum Verdict {
    Holds,
    /// The function is infinite at every point seen: these arguments mean nothing.
    Empty,
    Beaten {
        given: Point,
        better: Point,
    },
}

impl Script<'_> {
    /// `check_prox(f, v, .., t)`: an error if a point is found that is better than what `prox(f)` gives.
    pub(super) fn check_prox(&mut self, args: Vec<(Value, Span)>, span: Span) -> Res<Value> {
        let [(f, f_span), (v, v_span), rest @ .., (t, t_span)] = &args[..] else {
            return Err(Box::new(
                Diagnostic::error("E0321", span, "`check_prox` takes a function, a point and a step")
                    .help("`check_prox(f, v, t)`, other arguments of `f` before the step `t`"),
            ));
        };
        let v = match v {
            Value::Tensor(v) if matches!(v.dtype(), DType::F32 | DType::F64 | DType::I64) => {
                v.convert(self.session.real)
            }
            Value::Int(i) => Tensor::scalar_of(self.session.real, *i as f64),
            other => {
                return fail("E0310", *v_span, format!("the point is an array of reals, found {}", other.describe()));
            }
        };
        let t = match t {
            Value::Tensor(t) if t.len() == 1 && t.dtype().is_float() => t.item(),
            Value::Int(i) => *i as f64,
            other => return fail("E0310", *t_span, format!("the step is one real, found {}", other.describe())),
        };
        if t.is_nan() || t <= 0.0 {
            return fail("E0310", *t_span, format!("the step of a proximal operator is positive, this one is {t}"));
        }
        let prox = proximal_operator(&self.scope, f, *f_span)?;
        let rest = rest.iter().map(|(value, _)| value.clone()).collect();
        let claim = Claim { f: f.clone(), prox, v, rest, t, span };
        let label = find_rule(&self.scope, f).map(|rule| rule.rule.name.span);
        match self.verdict(&claim)? {
            Verdict::Holds | Verdict::Empty => Ok(Value::Unit),
            Verdict::Beaten { given, better } => {
                let diagnostic = self.beaten(&claim, &given, &better, span);
                Err(Box::new(match label {
                    Some(rule) => diagnostic.label(rule, "its rule"),
                    None => diagnostic,
                }))
            }
        }
    }

    /// One test for each rule of a module whose function takes numbers: its proximal operator at drawn points.
    pub fn test_rules(&mut self, items: &[ast::Item]) {
        for item in items {
            let ItemKind::Custom(custom) = &item.kind else { continue };
            if custom.kind != CustomKind::Prox {
                continue;
            }
            let rule = ProxRule { rule: custom.clone(), scope: self.scope.clone() };
            let Some(f) = target(&rule) else { continue };
            let start = std::time::Instant::now();
            let outcome = match operator(&rule, &f) {
                Ok(prox) => self.test_rule(&rule, &f, &prox),
                Err(diagnostic) => Some(Err(diagnostic)),
            };
            if let Some(outcome) = outcome {
                let name = format!("proximal operator of {}", custom.name.text);
                self.tests.push(TestResult {
                    name,
                    span: custom.name.span,
                    failure: outcome.err(),
                    time: start.elapsed(),
                });
            }
        }
    }

    /// `None` if arguments cannot be drawn: those of other kinds than numbers and arrays.
    fn test_rule(&mut self, rule: &ProxRule, f: &Value, prox: &Value) -> Option<Res<()>> {
        let span = rule.rule.name.span;
        let mut meant = 0;
        let mut refused = None;
        for draw in 0..DRAWS {
            let (v, rest) = draw_arguments(f, &rule.rule, self.session.real, draw)?;
            // Short and long steps.
            let t = [0.3, 1.0, 2.5, 0.05][draw as usize % 4];
            let claim = Claim { f: f.clone(), prox: prox.clone(), v, rest, t, span };
            match self.verdict(&claim) {
                Ok(Verdict::Holds) => meant += 1,
                Ok(Verdict::Empty) => {}
                Ok(Verdict::Beaten { given, better }) => {
                    return Some(Err(Box::new(self.beaten(&claim, &given, &better, span))));
                }
                Err(diagnostic) => refused = refused.or(Some(diagnostic)),
            }
        }
        if meant > 0 {
            return Some(Ok(()));
        }
        // A function without declared types may want other shapes than those drawn: its own tests call `check_prox`.
        match refused {
            Some(_) if !is_declared(f) => None,
            Some(diagnostic) => Some(Err(diagnostic)),
            None => {
                let message = format!("`{}` is infinite wherever its proximal operator leads", rule.rule.name.text);
                let help = "the operator gives a point where the function is finite; `check_prox(f, v, .., t)` looks at one point";
                Some(Err(Box::new(Diagnostic::error("E0511", span, message).help(help))))
            }
        }
    }

    fn beaten(&self, claim: &Claim, given: &Point, better: &Point, span: Span) -> Diagnostic {
        let shown = |u: &[f64]| {
            let tensor = Tensor::from_vec(claim.v.shape(), u.to_vec());
            super::show(&Value::Tensor(tensor)).replace('\n', "")
        };
        let rest: Vec<String> = claim.rest.iter().map(|value| super::show(value).replace('\n', "")).collect();
        let with = if rest.is_empty() { String::new() } else { format!(", with {}", rest.join(", ")) };
        Diagnostic::error("E0511", span, "this is not the proximal operator: another point is better")
            .note(format!("at v = {}, t = {}{with}", shown(&claim.v.to_f64_vec()), claim.t))
            .note(format!("it gives u = {}, where t * f(u) + 1/2 * sumsq(u - v) is {}", shown(&given.u), given.value))
            .note(format!("at u = {} it is {}", shown(&better.u), better.value))
    }

    /// Compares the operator's point with others.
    fn verdict(&mut self, claim: &Claim) -> Res<Verdict> {
        let mut search = Search::new(self, claim)?;
        let given = search.given()?;
        if given.u.iter().any(|x| !x.is_finite()) {
            let value = f64::NAN;
            return Ok(Verdict::Beaten {
                better: search.best_of(vec![claim.v.to_f64_vec()])?,
                given: Point { value, ..given },
            });
        }
        let mut best = Point { u: given.u.clone(), value: given.value };
        let reached = search.reached()?;
        let mut far = far_points(&search.v, &given.u);
        for w in &reached {
            far.push(w.clone());
            for part in [0.5, 0.1, 1e-2, 1e-3, 1e-4] {
                far.push(given.u.iter().zip(w).map(|(u, w)| u + part * (w - u)).collect());
            }
        }
        search.improve(&mut best, far)?;
        for round in 0..ROUNDS {
            let near = near_points(&best.u, &reached, random::fold_in(search.key, 100 + round as u64), round);
            search.improve(&mut best, near)?;
        }
        let precision = if claim.v.dtype() == DType::F32 { 2e-4 } else { 1e-9 };
        let size = 1.0 + search.v.iter().map(|x| x * x).sum::<f64>();
        Ok(if best.value == f64::INFINITY {
            Verdict::Empty
        } else if given.value.is_nan() || given.value - best.value > precision * (size + best.value.abs()) {
            Verdict::Beaten { given, better: best }
        } else {
            Verdict::Holds
        })
    }
}

/// Evaluates many points for one claim. Small arrays: the evaluator is quicker than compiling.
struct Search<'c> {
    runner: Runner,
    claim: &'c Claim,
    /// The values of f at a batch of points.
    values: (Prepared, Vec<Tensor>),
    /// The operator at a batch of points.
    operator: (Prepared, Vec<Tensor>),
    v: Vec<f64>,
    key: u64,
}

impl<'c> Search<'c> {
    fn new(script: &mut Script, claim: &'c Claim) -> Res<Search<'c>> {
        let mut runner = Runner { engine: Engine::Reference, ..Runner::default() };
        let mut shape = vec![BATCH];
        shape.extend(claim.v.shape());
        let points = Type::new(script.session.real, &shape);
        let lowered = lower_with(&mut script.session, std::slice::from_ref(&points), claim.span, |ctx, points| {
            let values = ctx.on_each(&claim.f, &points[0], &claim.rest)?;
            ctx.to_real(&values)
        })?;
        if lowered.graph.result_types().iter().any(|ty| ty.shape != [BATCH]) {
            return fail("E0326", claim.span, "a function with a proximal operator has one real as result");
        }
        let values = (runner.prepare(&lowered.graph, claim.span)?, lowered.inputs);
        let mut rest = claim.rest.clone();
        rest.push(Value::Tensor(Tensor::scalar_of(script.session.real, claim.t)));
        let lowered = lower_with(&mut script.session, &[points], claim.span, |ctx, points| {
            let moved = ctx.on_each(&claim.prox, &points[0], &rest)?;
            ctx.to_real(&moved)
        })?;
        if lowered.graph.result_types().iter().any(|ty| ty.shape != shape) {
            return fail("E0406", claim.span, "a proximal operator gives an array of the shape of its first argument");
        }
        let operator = (runner.prepare(&lowered.graph, claim.span)?, lowered.inputs);
        Ok(Search { runner, claim, values, operator, v: claim.v.to_f64_vec(), key: 0x70726f78 })
    }

    /// The points of a batch, filled up with copies of the first.
    fn batch(&self, points: &[Vec<f64>]) -> Tensor {
        let mut shape = vec![BATCH];
        shape.extend(self.claim.v.shape());
        let filled = (0..BATCH).flat_map(|i| points.get(i).unwrap_or(&points[0]).iter().copied());
        Tensor::from_vec(&shape, filled.collect::<Vec<f64>>()).convert(self.claim.v.dtype())
    }

    /// Points as they are in the run's precision, with their values.
    fn evaluate(&mut self, points: &[Vec<f64>]) -> Res<Vec<Point>> {
        let mut found = Vec::new();
        for part in points.chunks(BATCH) {
            let batch = self.batch(part);
            let rounded = batch.to_f64_vec();
            let inputs: Vec<Tensor> = std::iter::once(batch).chain(self.values.1.iter().cloned()).collect();
            let outs = self.runner.call(&self.values.0, &inputs, self.claim.span)?;
            for ((u, f), _) in rounded.chunks(self.v.len().max(1)).zip(outs[0].to_f64_vec()).zip(part) {
                let distance: f64 = u.iter().zip(&self.v).map(|(u, v)| (u - v) * (u - v)).sum();
                found.push(Point { u: u.to_vec(), value: self.claim.t * f + distance / 2.0 });
            }
        }
        Ok(found)
    }

    fn apply(&mut self, points: &[Vec<f64>]) -> Res<Vec<Vec<f64>>> {
        let inputs: Vec<Tensor> = std::iter::once(self.batch(points)).chain(self.operator.1.iter().cloned()).collect();
        let outs = self.runner.call(&self.operator.0, &inputs, self.claim.span)?;
        let all = outs[0].to_f64_vec();
        Ok(all.chunks(self.v.len().max(1)).take(points.len()).map(<[f64]>::to_vec).collect())
    }

    /// What the operator gives at v.
    fn given(&mut self) -> Res<Point> {
        let v = self.v.clone();
        let u = self.apply(&[v])?;
        Ok(self.evaluate(&u)?.swap_remove(0))
    }

    /// What the operator gives elsewhere: points where the function is finite, if the operator is right.
    fn reached(&mut self) -> Res<Vec<Vec<f64>>> {
        let noise = normals(random::fold_in(self.key, 1), 48 * self.v.len());
        let points: Vec<Vec<f64>> = noise
            .chunks(self.v.len().max(1))
            .enumerate()
            .map(|(i, z)| {
                let size = [0.1, 1.0, 4.0][i % 3];
                z.iter().zip(&self.v).map(|(z, v)| if i % 2 == 0 { v + size * z } else { size * z }).collect()
            })
            .collect();
        Ok(self.apply(&points)?.into_iter().filter(|u| u.iter().all(|x| x.is_finite())).collect())
    }

    fn best_of(&mut self, points: Vec<Vec<f64>>) -> Res<Point> {
        let mut best = Point { u: points[0].clone(), value: f64::INFINITY };
        self.improve(&mut best, points)?;
        Ok(best)
    }

    /// Replaces a point by a better one.
    fn improve(&mut self, best: &mut Point, points: Vec<Vec<f64>>) -> Res<()> {
        for point in self.evaluate(&points)? {
            // A NaN in the given point's value is worse than any number.
            if point.value < best.value || (best.value.is_nan() && !point.value.is_nan()) {
                *best = point;
            }
        }
        Ok(())
    }
}

fn normals(key: u64, count: usize) -> Vec<f64> {
    let mut z = vec![0.0; count];
    random::normal_f64(key, &mut z);
    z
}

/// Points where wrong operators lose: zeros, thresholds of v at every level, single elements, points of simplices and balls.
fn far_points(v: &[f64], given: &[f64]) -> Vec<Vec<f64>> {
    let n = v.len();
    let map = |f: &dyn Fn(f64) -> f64| v.iter().map(|&x| f(x)).collect::<Vec<f64>>();
    let mut points = vec![v.to_vec(), vec![0.0; n], map(&|x| -x), map(&f64::abs), map(&|x| x.max(0.0)), vec![1.0; n]];
    let norms = [v.iter().map(|x| x * x).sum::<f64>().sqrt(), v.iter().map(|x| x.abs()).sum(), n as f64];
    for size in norms.into_iter().filter(|size| *size > 0.0) {
        points.extend([map(&|x| x / size), map(&|x| x.abs() / size), vec![1.0 / size; n]]);
    }
    for scale in [0.0, 0.25, 0.5, 0.75, 0.9, 1.1, 1.5] {
        points.push(map(&|x| scale * x));
    }
    let mut levels: Vec<f64> = v.iter().map(|x| x.abs()).collect();
    levels.extend([0.1, 0.5, 1.0, 2.0]);
    for level in levels {
        points.push(map(&|x| if x.abs() >= level { x } else { 0.0 }));
        points.push(map(&|x| if x.abs() > level { x } else { 0.0 }));
        points.push(map(&|x| x.signum() * (x.abs() - level).max(0.0)));
        points.push(map(&|x| x.clamp(-level, level)));
    }
    for i in 0..n {
        for value in [0.0, v[i], -given[i], 1.0] {
            let mut point = given.to_vec();
            point[i] = value;
            points.push(point);
        }
        let mut single = vec![0.0; n];
        single[i] = 1.0;
        points.push(single.clone());
        single[i] = v[i];
        points.push(single);
    }
    points
}

/// Points around the best one, nearer from round to round: along axes, along pairs of axes (which keeps a sum), towards other
/// points of the domain, and at random.
fn near_points(best: &[f64], reached: &[Vec<f64>], key: u64, round: usize) -> Vec<Vec<f64>> {
    let n = best.len();
    let size = 10f64.powf(-0.4 * round as f64);
    let mut points = Vec::new();
    let moved = |changes: &[(usize, f64)]| {
        let mut point = best.to_vec();
        changes.iter().for_each(|(i, by)| point[*i] += by);
        point
    };
    for i in 0..n {
        for by in [size, -size, 0.3 * size, -0.3 * size] {
            points.push(moved(&[(i, by)]));
            points.extend((0..i).map(|j| moved(&[(i, by), (j, -by)])));
        }
        points.push(moved(&[(i, -best[i])]));
    }
    for scale in [1.0 + size, 1.0 - size] {
        points.push(best.iter().map(|x| scale * x).collect());
    }
    for w in reached.iter().take(24) {
        points.push(best.iter().zip(w).map(|(u, w)| u + size * (w - u)).collect());
    }
    for z in normals(key, 48 * n).chunks(n.max(1)) {
        points.push(best.iter().zip(z).map(|(u, z)| u + size * z).collect());
    }
    points.truncate(2 * BATCH);
    points
}

fn is_declared(f: &Value) -> bool {
    matches!(f, Value::Func(func) if matches!(**func, Func::User { .. }))
}

/// A point and the function's other arguments: reals between 0 and 1, ints from 1 to 3, sizes 1 to 4.
fn draw_arguments(f: &Value, rule: &ast::Custom, real: DType, draw: u64) -> Option<(Tensor, Vec<Value>)> {
    let key = random::fold_in(0x6472_6177, draw);
    let mut sizes = HashMap::new();
    let types: Vec<Option<ast::Type>> = match f {
        Value::Func(func) => match &**func {
            Func::User { decl, .. } => decl.params.iter().map(|param| param.ty.clone()).collect(),
            _ => vec![None; rule.args.len()],
        },
        _ => return None,
    };
    let mut shapes = Vec::new();
    for ty in &types {
        shapes.push(match ty {
            // Of any rank: vectors and scalars.
            None if shapes.is_empty() => (ScalarKind::Real, vec![4]),
            None => (ScalarKind::Real, Vec::new()),
            Some(ast::Type {
                kind: TypeKind::Array { kind: kind @ (ScalarKind::Real | ScalarKind::Int), dims },
                ..
            }) => {
                let dims = dims.iter().map(|dim| extent(dim, draw, &mut sizes)).collect::<Option<Vec<usize>>>()?;
                (*kind, dims)
            }
            Some(_) => return None,
        });
    }
    let mut values = shapes.iter().enumerate().map(|(i, (kind, shape))| {
        let count: usize = shape.iter().product();
        let key = random::fold_in(key, i as u64);
        let numbers = match (i, kind) {
            (0, _) => {
                let scale = [1.0, 3.0, 0.3][draw as usize % 3];
                let mut z: Vec<f64> = normals(key, count).iter().map(|z| scale * z).collect();
                // Equal magnitudes and zeros.
                if draw % 4 == 3 {
                    z.iter_mut().for_each(|z| *z = z.round());
                }
                z
            }
            (_, ScalarKind::Int) => vec![1.0 + (draw % 3) as f64; count],
            _ => {
                let mut u = vec![0.0; count];
                random::uniform_f64(key, &mut u);
                u
            }
        };
        match kind {
            ScalarKind::Int if shape.is_empty() => Value::Int(numbers[0] as i64),
            ScalarKind::Int => Value::Tensor(Tensor::from_vec(shape, numbers.iter().map(|x| *x as i64).collect())),
            _ => Value::Tensor(Tensor::from_vec(shape, numbers).convert(real)),
        }
    });
    let Some(Value::Tensor(v)) = values.next() else { return None };
    Some((v, values.collect()))
}

/// The extent that a dimension of a parameter has in a draw: names get sizes of their own.
fn extent(dim: &ast::Expr, draw: u64, sizes: &mut HashMap<ast::Symbol, usize>) -> Option<usize> {
    match &dim.kind {
        ExprKind::Int(n) => usize::try_from(*n).ok(),
        ExprKind::Name(name) => {
            let next = [4, 3, 2][(sizes.len() + draw as usize) % 3];
            Some(*sizes.entry(name.clone()).or_insert(next))
        }
        ExprKind::Chain { first, rest } => rest.iter().try_fold(extent(first, draw, sizes)?, |total, (op, operand)| {
            let operand = extent(operand, draw, sizes)?;
            match op {
                BinaryOp::Add => Some(total + operand),
                BinaryOp::Sub => total.checked_sub(operand),
                BinaryOp::Mul => Some(total * operand),
                _ => None,
            }
        }),
        _ => None,
    }
}
