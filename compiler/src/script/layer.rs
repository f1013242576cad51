//! `explain_layer(relu, W, b)`: the objective on which a layer takes one step, with the numbers that this takes, and what
//! must hold of the weights.

use super::Script;
use crate::diagnostic::Diagnostic;
use crate::lower::value::{Func, Value};
use crate::lower::{Res, fail, lower_with};
use crate::source::Span;
use dp_runtime::tensor::{DType, Tensor};
use std::rc::Rc;

const USAGE: &str = "explain_layer(relu, W, b), explain_layer(softmax, W, b), explain_layer(soft, W, theta), \
    explain_layer(hard, W, theta), explain_layer(top, W, M), explain_layer(clip, W, lo, hi)";

/// The layers that are known, by the name of their nonlinearity in std.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    Relu,
    Soft,
    Hard,
    Top,
    Clip,
    Softmax,
}

const LAYERS: &[(&str, Layer)] = &[
    ("relu", Layer::Relu),
    ("soft", Layer::Soft),
    ("hard", Layer::Hard),
    ("top", Layer::Top),
    ("clip", Layer::Clip),
    ("softmax", Layer::Softmax),
];

impl Script<'_> {
    /// Prints what the layer does, and gives the numbers as a record.
    pub(super) fn explain_layer(&mut self, args: &[(Value, Span)], span: Span) -> Res<Value> {
        let wrong = |message: &str, at: Span| -> Box<Diagnostic> {
            Box::new(Diagnostic::error("E0321", at, message.to_string()).help(format!("it is called as {USAGE}")))
        };
        let [(f, f_span), (w, w_span), rest @ ..] = args else {
            return Err(wrong("a nonlinearity, a matrix and the rest of the layer are needed", span));
        };
        let Some((name, layer)) = self.known_layer(f) else {
            let names: Vec<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
            let message = format!("no objective is known for layers with {}", described(f));
            return Err(Box::new(
                Diagnostic::error("E0310", *f_span, message).note(format!("known are {}", names.join(", "))),
            ));
        };
        let (n, m) = match w {
            Value::Tensor(t) if t.shape().len() == 2 && t.dtype() != DType::Key => (t.shape()[0], t.shape()[1]),
            other => return fail("E0310", *w_span, format!("W is a matrix, found {}", other.describe())),
        };
        let wanted = if layer == Layer::Clip { 2 } else { 1 };
        if rest.len() != wanted {
            return Err(wrong(&format!("`{name}` takes {wanted} more, {} given", rest.len()), span));
        }
        for (value, at) in rest {
            let fits = match value {
                Value::Int(_) => true,
                Value::Tensor(t) => t.dtype() != DType::Key && (t.shape().is_empty() || t.shape() == [n]),
                _ => false,
            };
            if !fits {
                let message =
                    format!("one number or a vector of {n} is needed, like the rows of W, found {}", value.describe());
                return fail("E0406", *at, message);
            }
        }
        match layer {
            Layer::Softmax => self.explain_softmax(w, &rest[0].0, (n, m), span),
            _ => self.explain_step(layer, w, rest, (n, m), span),
        }
    }

    /// The entry of a function of std.
    fn known_layer(&self, f: &Value) -> Option<(&'static str, Layer)> {
        let Value::Func(func) = f else { return None };
        LAYERS.iter().copied().find(|(name, layer)| match &**func {
            Func::Builtin(builtin) => *layer == Layer::Softmax && *builtin == crate::builtins::Builtin::Softmax,
            Func::User { decl, .. } => match self.std_value(name) {
                Some(Value::Func(own)) => matches!(&*own, Func::User { decl: own, .. } if Rc::ptr_eq(own, decl)),
                _ => false,
            },
            _ => false,
        })
    }

    /// What a name means in std, whatever the script calls so.
    fn std_value(&self, name: &str) -> Option<Value> {
        let mut scope = self.scope.clone();
        while let Some(parent) = scope.parent() {
            scope = parent;
        }
        scope.find_here(name)
    }

    /// Calls a function of std.
    fn std_call(&mut self, name: &str, args: &[Value], span: Span) -> Res<Value> {
        let Some(f) = self.std_value(name) else {
            return fail("E0301", span, format!("internal error: std has no `{name}`"));
        };
        let lowered = lower_with(&mut self.session, &[], span, |ctx, _| ctx.call_plain(&f, args))?;
        self.lowered(lowered, span)
    }

    /// A proximal gradient step from zero.
    fn explain_step(
        &mut self,
        layer: Layer,
        w: &Value,
        rest: &[(Value, Span)],
        (n, m): (usize, usize),
        span: Span,
    ) -> Res<Value> {
        let step = self.std_call("layer_step", std::slice::from_ref(w), span)?;
        let (l, coupling) = (number(&step, "L"), number(&step, "coupling"));
        if !l.is_finite() {
            return fail("E0310", span, "W is zero: the layer does not depend on its input");
        }
        let given: Vec<Vec<f64>> = rest.iter().map(|(value, _)| numbers(value)).collect();
        let (call, term, constraint, weight): (&str, &str, Option<String>, Option<(&str, Vec<f64>)>) = match layer {
            Layer::Relu => (
                "relu(W @ x + b)",
                " + sum(c * y)",
                Some("y >= 0".to_string()),
                Some(("-L * b", given[0].iter().map(|b| -l * b).collect())),
            ),
            Layer::Soft => (
                "soft(W @ x, theta)",
                " + sum(c * abs(y))",
                None,
                Some(("L * theta", given[0].iter().map(|theta| l * theta).collect())),
            ),
            Layer::Hard => (
                "hard(W @ x, theta)",
                " + sum(c * (y != 0))",
                None,
                Some(("L * theta^2 / 2", given[0].iter().map(|theta| l * theta * theta / 2.0).collect())),
            ),
            Layer::Top => ("top(W @ x, M)", "", Some(format!("count(y) <= {}", given[0][0])), None),
            Layer::Clip => ("clip(W @ x, lo, hi)", "", Some("y in box(lo, hi)".to_string()), None),
            Layer::Softmax => unreachable!("internal error: softmax is explained by itself"),
        };
        self.out.line(&format!("y = {call}, W: real[{n}, {m}]"));
        self.out.line("is one proximal gradient step, from y = 0, on");
        self.out.line(&format!("    minimize over y: real[{n}]"));
        self.out.line(&format!("        1/2 * sumsq(x - D @ y){term}"));
        if let Some(constraint) = &constraint {
            self.out.line(&format!("    subject to {constraint}"));
        }
        let with = weight.as_ref().map_or(String::new(), |(formula, _)| format!(", c = {formula}"));
        self.out.line(&format!("with D = L * W'{with}, L = 1 / opnorm(W)^2 = {}", short(l)));
        let mut fields = match step {
            Value::Record(fields) => fields.to_vec(),
            _ => Vec::new(),
        };
        if let Some((_, c)) = &weight {
            let (least, most) =
                (c.iter().copied().fold(f64::INFINITY, f64::min), c.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            let range = if least == most { short(least) } else { format!("{} to {}", short(least), short(most)) };
            let negative = c.iter().filter(|c| **c < 0.0).count();
            if negative == 0 {
                self.out.line(&format!("c is {range}, nowhere negative: a weight of sparsity"));
            } else {
                let total = c.len();
                let what = if layer == Layer::Relu { "b is positive" } else { "theta is negative" };
                self.out.line(&format!(
                    "c is {range}: negative in {negative} of {total} places, where {what}: there the term favours large y and is no penalty"
                ));
            }
            let tensor = match c[..] {
                [c] => Tensor::scalar_of(self.session.real, c),
                _ => Tensor::from_vec(&[c.len()], c.clone()).convert(self.session.real),
            };
            fields.push(("c".into(), Value::Tensor(tensor)));
        }
        self.out.line(&condition(coupling, self.session.real));
        Ok(Value::Record(fields.into()))
    }

    /// The minimizer over the simplex, which is also a relaxed assignment.
    fn explain_softmax(&mut self, w: &Value, b: &Value, (n, m): (usize, usize), span: Span) -> Res<Value> {
        let b = Tensor::from_vec(&[n], spread(&numbers(b), n)).convert(self.session.real);
        let found = self.std_call("layer_centres", &[w.clone(), Value::Tensor(b)], span)?;
        let (alpha, misfit) = (number(&found, "alpha"), number(&found, "misfit"));
        self.out.line(&format!("y = softmax(W @ x + b), W: real[{n}, {m}]"));
        self.out.line("is the solution, whatever W and b are, of");
        self.out.line(&format!("    minimize over y: real[{n}]"));
        self.out.line("        sum(y * log(y)) - (W @ x + b) @ y");
        self.out.line("    subject to y in simplex");
        if alpha > 0.0 && alpha.is_finite() {
            self.out
                .line("and the relaxed assignment of k-means: y[j] grows with exp(-alpha * sumsq(x - centres[j])),");
            self.out.line(&format!(
                "centres = W / (2 * alpha), alpha = {}, where b[j] = -alpha * sumsq(centres[j]) + a constant;",
                short(alpha)
            ));
            let verdict =
                if misfit <= rounding(self.session.real) { "this holds" } else { "this is how far it does not hold" };
            self.out.line(&format!("the greatest difference in b is {}: {verdict}", short(misfit)));
        } else {
            self.out.line("it is no assignment to nearest centres: b grows with the norms of the rows of W");
        }
        Ok(found)
    }
}

/// What must hold for the step to be the solution.
fn condition(coupling: f64, real: DType) -> String {
    let holds = if coupling <= rounding(real) {
        "this holds, and the layer gives the minimum".to_string()
    } else {
        "it does not hold: the layer is the first of many steps".to_string()
    };
    format!(
        "one step is the solution where W @ W' = eye(n) / L; the greatest difference, times L, is {}: {holds}",
        short(coupling)
    )
}

fn rounding(real: DType) -> f64 {
    if real == DType::F32 { 1e-4 } else { 1e-10 }
}

fn described(f: &Value) -> String {
    match f {
        Value::Func(func) => func.name(),
        other => other.describe(),
    }
}

fn number(record: &Value, field: &str) -> f64 {
    match record.field(field) {
        Some(Value::Tensor(t)) if t.len() == 1 => t.item(),
        _ => f64::NAN,
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Tensor(t) => t.to_f64_vec(),
        Value::Int(i) => vec![*i as f64],
        _ => Vec::new(),
    }
}

fn spread(values: &[f64], n: usize) -> Vec<f64> {
    if values.len() == n { values.to_vec() } else { vec![values[0]; n] }
}

fn short(value: f64) -> String {
    dp_runtime::table::format_tensor(&Tensor::scalar(value), false)
}
