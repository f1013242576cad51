//! Watching the calls of truncated derived solvers: what they are called with leaves the statement beside its value.
//!
//! A call stands in a frame, which `each` and comprehensions map over samples: `carry` makes what the call was given in a frame
//! results of that frame, `release` takes them out again where the frame was mapped, with an axis more. Calls in other frames, in
//! loops, branches and derivatives, are dropped with the frame.

use super::Ctx;
use super::value::{Leaves, Mode, Scope, SolverForm, Value};
use crate::derive::expand::Source;
use crate::diagnostic::{Diagnostic, Label};
use crate::source::{FileId, Span};
use crate::syntax::ast;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// What is watched, and the calls that a statement made.
#[derive(Clone)]
pub struct Watch {
    pub solvers: Rc<HashMap<FileId, Source>>,
    /// The calls of the statement.
    pub calls: Vec<Call>,
    /// Calls on the way out of a frame.
    carried: Vec<Call>,
    /// Those that were looked at, and what was found.
    pub looked_at: HashSet<Span>,
    pub findings: Vec<Diagnostic>,
    /// A file was not written, or a training cut short.
    pub left_out: bool,
}

/// A call of a truncated solver.
#[derive(Clone)]
pub struct Call {
    /// The `unroll .. for K`.
    pub span: Span,
    pub decl: Rc<ast::Solver>,
    pub scope: Scope,
    /// K.
    pub count: usize,
    /// A network learns some of its quantities.
    pub learned: bool,
    /// The sizes of the axes that the call is mapped over, the outermost first.
    pub axes: Vec<usize>,
    pub args: Vec<Given>,
}

/// An argument, and over which of the axes it is mapped: these are its leading axes.
#[derive(Clone)]
pub struct Given {
    pub value: Value,
    pub mapped: Vec<bool>,
}

impl Watch {
    pub fn new(solvers: HashMap<FileId, Source>) -> Watch {
        Watch {
            solvers: Rc::new(solvers),
            calls: Vec::new(),
            carried: Vec::new(),
            looked_at: HashSet::new(),
            findings: Vec::new(),
            left_out: false,
        }
    }

    /// Adds what was found at a call; of calls that are alike in all that is to be said the first has the message.
    pub fn found(&mut self, at: Span, finding: Diagnostic) {
        let alike = |other: &&mut Diagnostic| {
            other.message == finding.message
                && other.labels[0].text == finding.labels[0].text
                && other.notes == finding.notes
        };
        match self.findings.iter_mut().find(alike) {
            Some(other) => other.labels.push(Label { span: at, text: "the same here".to_string() }),
            None => self.findings.push(finding),
        }
    }

    /// The value that `carry` was given; what the calls were given, which it added, has a leading axis for each of `counts`.
    pub fn release(&mut self, value: Value, counts: &[usize]) -> Value {
        if self.carried.is_empty() {
            return value;
        }
        let Value::Tuple(parts) = value else { unreachable!("internal error: a value that was carried") };
        let Value::Tuple(given) = &parts[1] else { unreachable!("internal error: what was carried beside a value") };
        for mut call in self.carried.drain(..) {
            for arg in &mut call.args {
                let inner = match &arg.value {
                    Value::Leaf(i) => Some(given[*i].clone()),
                    _ => None,
                };
                arg.mapped.splice(0..0, vec![inner.is_some(); counts.len()]);
                arg.value = inner.unwrap_or_else(|| arg.value.clone());
            }
            call.axes.splice(0..0, counts.iter().copied());
            self.calls.push(call);
        }
        parts[0].clone()
    }
}

impl Ctx<'_> {
    /// Notes the call of a truncated solver.
    pub(super) fn note_call(&mut self, form: &SolverForm, mode: &Mode, learned: bool, values: &[Value]) {
        let Some(watch) = &mut self.session.watch else { return };
        let Mode::Unroll { count, .. } = mode else { return };
        let known = watch.looked_at.contains(&form.span) || watch.calls.iter().any(|call| call.span == form.span);
        if known || !watch.solvers.contains_key(&form.decl.name.span.file) {
            return;
        }
        watch.calls.push(Call {
            span: form.span,
            decl: form.decl.clone(),
            scope: form.scope.clone(),
            count: *count,
            learned,
            axes: Vec::new(),
            args: values.iter().map(|value| Given { value: value.clone(), mapped: Vec::new() }).collect(),
        });
    }

    /// A frame's value, with what calls in the frame were given beside it.
    pub fn carry(&mut self, value: Value) -> Value {
        let level = self.level();
        let Some(watch) = &mut self.session.watch else { return value };
        let own = |value: &Value| matches!(value, Value::Var { level: at, .. } if *at == level);
        let mut given = Vec::new();
        let calls = std::mem::take(&mut watch.calls);
        for mut call in calls {
            if !call.args.iter().any(|arg| own(&arg.value)) {
                watch.calls.push(call);
                continue;
            }
            for arg in call.args.iter_mut().filter(|arg| own(&arg.value)) {
                given.push(std::mem::replace(&mut arg.value, Value::Leaf(given.len())));
            }
            watch.carried.push(call);
        }
        if watch.carried.is_empty() { value } else { Value::tuple(vec![value, Value::tuple(given)]) }
    }

    /// `Watch::release`, if calls are watched.
    pub(super) fn release(&mut self, value: Value, counts: &[usize]) -> Value {
        match &mut self.session.watch {
            Some(watch) => watch.release(value, counts),
            None => value,
        }
    }

    /// Forgets calls with variables of a frame that is closed.
    pub(super) fn forget_calls(&mut self) {
        let open = self.frames.len();
        let Some(watch) = &mut self.session.watch else { return };
        let known = |value: &Value| match value {
            Value::Var { level, .. } => *level < open,
            other => !Leaves::Variables.within(other, &mut HashSet::new()),
        };
        watch.calls.retain(|call| call.args.iter().all(|arg| known(&arg.value)));
    }
}
