//! Runs lowered statements: optimize, compile to native code (or evaluate), report faults and warnings in the user's words.

pub mod cost;

use crate::codegen;
use crate::diagnostic::Diagnostic;
use crate::ir::Fault;
use crate::ir::eval;
use crate::ir::graph::Graph;
use crate::lower::value::Value;
use crate::lower::{Lowered, Res, fill_escaped};
use crate::opt;
use crate::source::Span;
use dp_runtime::fault::FaultKind;
use dp_runtime::tensor::Tensor;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// What computes the numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Engine {
    /// Native code for what runs often or has loops; the evaluator for what is done sooner than it is compiled.
    #[default]
    Auto,
    /// Native code by Cranelift.
    Native,
    /// The reference evaluator: slower, the same bits.
    Reference,
}

/// Time spent in each pass, and sizes, over all statements.
#[derive(Clone, Debug, Default)]
pub struct Timings {
    pub parse: Duration,
    pub check: Duration,
    pub lower: Duration,
    pub optimize: Duration,
    pub compile: Duration,
    pub run: Duration,
    /// Graphs compiled, their equations after optimization, and the bytes of their code.
    pub graphs: usize,
    /// Statements that the evaluator ran, because that is done sooner.
    pub evaluated: usize,
    pub equations: usize,
    pub code_bytes: usize,
    /// The largest arena of intermediate values, and what of it packed operands of products take.
    pub arena_bytes: u64,
    pub packed_bytes: u64,
}

/// Settings and figures of all runs of a session.
#[derive(Clone, Debug, Default)]
pub struct Runner {
    pub engine: Engine,
    pub check_nan: bool,
    pub max_bytes: Option<u64>,
    /// `--dump`: stages whose Graphs are shown.
    pub dump: Option<String>,
    pub timings: Timings,
    /// Solvers already warned about, by place.
    pub warned: HashSet<Span>,
    /// Warnings and dumps that wait to be shown.
    pub messages: Vec<Message>,
}

/// Something to show besides results.
#[derive(Clone, Debug)]
pub enum Message {
    Warning(Box<Diagnostic>),
    Dump(String),
}

/// A Graph that is ready to run many times.
pub struct Prepared {
    graph: Graph,
    /// As it was before optimization: constants are not computed yet.
    lowered: Graph,
    code: Option<codegen::Executable>,
}

impl Prepared {
    /// The optimized Graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The native code, if there is some.
    pub fn executable(&self) -> Option<&codegen::Executable> {
        self.code.as_ref()
    }
}

impl Runner {
    /// Optimizes and compiles a Graph.
    pub fn prepare(&mut self, graph: &Graph, span: Span) -> Res<Prepared> {
        if self.dump.as_deref() == Some("lowered") {
            self.messages.push(Message::Dump(crate::ir::text::print(graph)));
        }
        let start = Instant::now();
        let lowered = graph.clone();
        let graph = opt::optimize(graph);
        self.timings.optimize += start.elapsed();
        self.timings.graphs += 1;
        self.timings.equations += graph.count_eqns();
        if self.dump.as_deref() == Some("graph") {
            self.messages.push(Message::Dump(crate::ir::text::print(&graph)));
        }
        if cfg!(debug_assertions)
            && let Err(reason) = crate::ir::verify::verify(&graph)
        {
            panic!("internal error: the Graph is not well formed: {reason}\n{}", crate::ir::text::print(&graph));
        }
        let code = match self.engine {
            Engine::Reference => None,
            Engine::Auto | Engine::Native => {
                let start = Instant::now();
                let mut options = codegen::Options::default();
                if let Some(bytes) = self.max_bytes {
                    options.memory_limit = bytes;
                }
                let code = codegen::compile_with(&graph, &options).map_err(|e| Box::new(compile_failure(&e, span)))?;
                self.timings.compile += start.elapsed();
                self.timings.code_bytes += code.code_bytes();
                if code.arena_bytes() as u64 > self.timings.arena_bytes {
                    self.timings.arena_bytes = code.arena_bytes() as u64;
                    self.timings.packed_bytes = code.packed_bytes() as u64;
                }
                Some(code)
            }
        };
        Ok(Prepared { graph, lowered, code })
    }

    /// Runs a prepared Graph.
    pub fn call(&mut self, prepared: &Prepared, inputs: &[Tensor], span: Span) -> Res<Vec<Tensor>> {
        let mut outs = Vec::new();
        self.call_into(prepared, inputs, &mut outs, span)?;
        Ok(outs)
    }

    /// Runs a prepared Graph; the results take the place of `outs`, of which native code writes those over that nobody
    /// else holds.
    pub fn call_into(&mut self, prepared: &Prepared, inputs: &[Tensor], outs: &mut Vec<Tensor>, span: Span) -> Res<()> {
        let start = Instant::now();
        let mut warnings = Vec::new();
        let mut report = |event| match event {
            eval::Event::Unconverged { solver, span } => warnings.push((solver.to_string(), span)),
        };
        let result = match &prepared.code {
            Some(code) => code.run_into(inputs, outs, &mut report),
            None => eval::eval_with(&prepared.graph, inputs, &mut report).map(|results| *outs = results),
        };
        self.timings.run += start.elapsed();
        // Looked at only where a rule was not met: a run that converges pays nothing.
        let finite = warnings.is_empty() || result.is_err() || outs.iter().all(is_finite);
        for (solver, place) in warnings {
            if self.warned.insert(place) {
                self.messages.push(Message::Warning(Box::new(unconverged(&solver, place, finite))));
            }
        }
        result.map_err(|fault| Box::new(fault_message(&fault, span)))?;
        if self.check_nan {
            self.refuse_nan(prepared, inputs, outs, span)?;
        }
        Ok(())
    }

    /// Lowers nothing, runs everything: the value of a lowered statement.
    pub fn value(&mut self, lowered: Lowered, span: Span) -> Res<Value> {
        // What is already known needs no code.
        if lowered.graph.eqns.is_empty() {
            let leaves = lowered
                .graph
                .results
                .iter()
                .map(|r| {
                    let at = lowered.graph.params.iter().position(|p| p == r).expect("a result is a parameter");
                    Value::Tensor(lowered.inputs[at].clone())
                })
                .collect::<Vec<_>>();
            return Ok(fill_escaped(&lowered.value, &leaves));
        }
        let once = self.engine == Engine::Auto && self.dump.is_none() && cost::evaluated_sooner(&lowered.graph);
        let prepared = if once {
            self.timings.evaluated += 1;
            Prepared { graph: lowered.graph.clone(), lowered: lowered.graph.clone(), code: None }
        } else {
            self.prepare(&lowered.graph, span)?
        };
        let outs = self.call(&prepared, &lowered.inputs, span)?;
        let leaves: Vec<Value> = outs.into_iter().map(Value::Tensor).collect();
        Ok(fill_escaped(&lowered.value, &leaves))
    }

    /// Names the expression that made the first NaN or infinity, if a result has one.
    pub fn refuse_nan(&mut self, prepared: &Prepared, inputs: &[Tensor], outs: &[Tensor], span: Span) -> Res<()> {
        if outs.iter().all(is_finite) {
            return Ok(());
        }
        Err(Box::new(self.nan_origin(prepared, inputs, span)))
    }

    /// Replays in the evaluator (the same bits) to find where a NaN or infinity first appeared.
    pub fn nan_origin(&mut self, prepared: &Prepared, inputs: &[Tensor], span: Span) -> Diagnostic {
        // What was computed while compiling has no equation any more.
        let origin = eval::first_nan(&prepared.graph, inputs).or_else(|| eval::first_nan(&prepared.lowered, inputs));
        match origin {
            Some(origin) => {
                let place = if origin.span.is_none() { span } else { origin.span };
                let what = if origin.nan { "a NaN" } else { "an infinity" };
                Diagnostic::error("E0504", place, format!("{what} appeared here first, in `{}`", origin.op))
            }
            None => Diagnostic::error("E0504", span, "a result is NaN or infinite because an input is"),
        }
    }
}

/// A solver that stopped at its cap. If a result of the run is not finite, its passes grew: the step is most likely too long.
fn unconverged(solver: &str, place: Span, finite: bool) -> Diagnostic {
    if finite {
        let message = format!("solver `{solver}` stopped at its cap without meeting its rule");
        return Diagnostic::warning("E0503", place, message)
            .here("not met")
            .help("raise `within`, loosen the rule, or run a fixed number of passes with `unroll`");
    }
    Diagnostic::warning("E0356", place, format!("solver `{solver}` diverges: its passes grew beyond all numbers"))
        .here("never met")
        .note("a gradient step longer than 2 / L does this, where the gradient changes by at most L a unit")
        .help("take a shorter step: for `1/2 * sumsq(x - D @ y)` one below 2 / opnorm(D)^2; `derive` finds one")
}

/// No NaN and no infinity.
pub fn is_finite(tensor: &Tensor) -> bool {
    match tensor {
        Tensor::F32(a) => a.iter().all(|v| v.is_finite()),
        Tensor::F64(a) => a.iter().all(|v| v.is_finite()),
        Tensor::I64(_) | Tensor::Bool(_) | Tensor::Key(_) => true,
    }
}

fn compile_failure(error: &codegen::CodegenError, span: Span) -> Diagnostic {
    match error {
        codegen::CodegenError::Memory { bytes, limit } => Diagnostic::error(
            "E0602",
            span,
            format!("intermediate values need {} MiB, the limit is {} MiB", bytes >> 20, limit >> 20),
        )
        .help("use smaller arrays or batches, `checkpoint`, or raise the limit with --max-mem"),
        other => Diagnostic::error("E0699", span, other.to_string()),
    }
}

/// A run-time failure in the user's words.
pub fn fault_message(fault: &Fault, span: Span) -> Diagnostic {
    let place = if fault.span.is_none() { span } else { fault.span };
    match &fault.kind {
        FaultKind::IndexOutOfRange { .. } => {
            Diagnostic::error("E0502", place, fault.kind.to_string()).note("indices start at 0")
        }
        FaultKind::DivisionByZero => Diagnostic::error("E0501", place, fault.kind.to_string()),
        FaultKind::Singular | FaultKind::NotPositiveDefinite => {
            Diagnostic::error("E0505", place, fault.kind.to_string())
        }
        FaultKind::Interrupted => Diagnostic::error("E0506", place, "interrupted"),
        FaultKind::Unconverged { solver } => Diagnostic::error(
            "E0507",
            place,
            format!("solver `{solver}` did not reach its fixed point, so it has no implicit derivative"),
        )
        .help("raise `within`, or unroll the solver instead"),
        FaultKind::Degenerate { .. } => Diagnostic::error("E0508", place, fault.kind.to_string()),
        FaultKind::Memory { .. } => Diagnostic::error("E0602", place, fault.kind.to_string()),
    }
}
