//! Owns machine code and runs it.
//!
//! Safety. The code is called through the one signature it is compiled with. It reads the frame's pointers, which are
//! made here: parameters point to tensors whose kinds and shapes were checked, results to memory of their exact
//! size, the arena to memory of the planned size; all outlive the call. Constants, descriptions of kernel calls
//! and the code itself belong to the Executable and are neither moved nor freed before it. Results are tensors that
//! nobody else holds, so no operand lies in them.

use super::CodegenError;
use super::emit::{self, Addresses, Body, Pending, Shared, pieces, shared};
use super::plan::{Plan, Source, Step};
use crate::ir::Fault;
use crate::ir::eval::Event;
use crate::ir::graph::{Guard, Type};
use crate::source::Span;
use cranelift_codegen::Context;
use cranelift_codegen::ir::Function;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::FunctionBuilderContext;
use cranelift_jit::{ArenaMemoryProvider, JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module};
use dp_runtime::abi::{self, Frame};
use dp_runtime::fault::FaultKind;
use dp_runtime::for_any_tensor;
use dp_runtime::interrupt;
use dp_runtime::tensor::Tensor;
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::collections::HashMap;
use std::sync::Mutex;

/// The first function of a program. The second argument is not read.
type Entry = unsafe extern "C" fn(*mut Frame, *const u64) -> u32;

/// A compiled Graph.
pub struct Executable {
    /// Holds the code; taken out when dropped.
    module: Option<JITModule>,
    entry: Entry,
    plan: Plan,
    arena_bytes: usize,
    packed_bytes: usize,
    slots: usize,
    code_bytes: usize,
    functions: usize,
    /// Stands where a result will be.
    nothing: Tensor,
    /// Memory of finished runs, for later ones.
    pool: Mutex<Vec<Workspace>>,
}

impl Drop for Executable {
    fn drop(&mut self) {
        if let Some(module) = self.module.take() {
            // No function of the module is running: runs borrow the Executable.
            unsafe { module.free_memory() };
        }
    }
}

/// Memory of one run at a time. What was allocated for the first run serves the later ones.
struct Workspace {
    arena: Block,
    scalars: Vec<u64>,
    /// Zeroed buffers outside the arena; a run leaves zeros where the next one may read before it writes.
    large: Vec<Block>,
    /// Pointers to the operands of the run, which are written anew at its start.
    params: Vec<*const u8>,
    results: Vec<*mut u8>,
    buffers: Vec<*mut u8>,
    warned: Vec<u32>,
}

// The pointers are only used during a run, which has the Workspace for itself.
unsafe impl Send for Workspace {}

/// A block of memory.
struct Block {
    at: *mut u8,
    layout: Layout,
}

// A block is plain memory with one owner.
unsafe impl Send for Block {}

impl Block {
    fn new(bytes: usize, zeroed: bool) -> Result<Block, FaultKind> {
        let memory = FaultKind::Memory { bytes: bytes as u64, limit: isize::MAX as u64 };
        // Only at the allocator's own alignment does zeroed memory come from the system untouched.
        let align = if zeroed { 16 } else { 64 };
        let layout = Layout::from_size_align(bytes.max(64), align).map_err(|_| memory.clone())?;
        // The size is not zero.
        let at = unsafe { if zeroed { alloc_zeroed(layout) } else { alloc(layout) } };
        if at.is_null() { Err(memory) } else { Ok(Block { at, layout }) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        unsafe { dealloc(self.at, self.layout) };
    }
}

/// A tensor of zeros: large ones are memory that the system has not touched yet.
fn zeros(ty: &Type) -> Tensor {
    Tensor::full(ty.dtype, &ty.shape, 0.0)
}

/// Whether a tensor can be written over as a result of a type: nobody else holds its elements.
fn reusable(tensor: &Tensor, ty: &Type) -> bool {
    tensor.dtype() == ty.dtype && tensor.shape() == ty.shape && for_any_tensor!(tensor, a => a.is_unique())
}

/// The elements of a tensor that nobody else holds, to write to. Bools are written as 0 and 1.
fn pointer_mut(tensor: &mut Tensor) -> *mut u8 {
    for_any_tensor!(tensor, a => a.as_slice_mut().expect("tensors are in standard layout").as_mut_ptr() as *mut u8)
}

impl Executable {
    /// Runs the program. Events are dropped.
    ///
    /// # Panics
    /// If the inputs are not of the parameters' types: callers have checked them.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Fault> {
        self.run_with(inputs, &mut |_| {})
    }

    /// Runs the program; events are reported when it ends.
    ///
    /// # Panics
    /// If the inputs are not of the parameters' types: callers have checked them.
    pub fn run_with(&self, inputs: &[Tensor], report: &mut dyn FnMut(Event)) -> Result<Vec<Tensor>, Fault> {
        let mut outs = Vec::with_capacity(self.plan.results.len());
        self.run_into(inputs, &mut outs, report)?;
        Ok(outs)
    }

    /// Runs the program; the results take the place of `outs`. Where a tensor there has a result's type and nobody else
    /// holds its elements, it is written over, so that from the second run on nothing is allocated. After a fault
    /// `outs` is empty.
    ///
    /// # Panics
    /// If the inputs are not of the parameters' types: callers have checked them.
    pub fn run_into(
        &self,
        inputs: &[Tensor],
        outs: &mut Vec<Tensor>,
        report: &mut dyn FnMut(Event),
    ) -> Result<(), Fault> {
        let plan = &self.plan;
        assert_eq!(inputs.len(), plan.params.len(), "internal error: the number of inputs");
        for (i, (input, ty)) in inputs.iter().zip(&plan.params).enumerate() {
            let fits = input.dtype() == ty.dtype && input.shape() == ty.shape;
            assert!(fits, "internal error: input {i} is {:?} {:?}, not {ty:?}", input.dtype(), input.shape());
        }
        let pooled = self.pool.lock().ok().and_then(|mut pool| pool.pop());
        let mut space = match pooled {
            Some(space) => space,
            None => self.workspace().map_err(|kind| Fault { kind, span: Span::NONE })?,
        };
        outs.truncate(plan.results.len());
        for (out, source) in outs.iter_mut().zip(&plan.sources) {
            if matches!(source, Source::Same(_)) {
                *out = self.nothing.clone();
            }
        }
        for (i, ty) in plan.results.iter().enumerate() {
            let old = outs.get(i).is_some_and(|old| plan.sources[i] == Source::Written && reusable(old, ty));
            let tensor = match plan.sources[i] {
                Source::Written if old => {
                    if plan.zeroed[i] {
                        let bytes = ty.len() * ty.dtype.size();
                        // The tensor has so many bytes, and zeros are a value of every kind.
                        unsafe { pointer_mut(&mut outs[i]).write_bytes(0, bytes) };
                    }
                    continue;
                }
                Source::Written => zeros(ty),
                Source::Param(p) => inputs[p].clone(),
                Source::Const(c) => plan.consts[c].clone(),
                // Written below, after the run.
                Source::Same(_) => self.nothing.clone(),
            };
            match outs.get_mut(i) {
                Some(place) => *place = tensor,
                None => outs.push(tensor),
            }
        }
        space.params.clear();
        space.params.extend(inputs.iter().map(pointer));
        space.results.clear();
        space.results.extend(plan.sources.iter().zip(&mut *outs).map(|(source, out)| match source {
            Source::Written => pointer_mut(out),
            Source::Param(_) | Source::Const(_) | Source::Same(_) => std::ptr::null_mut(),
        }));
        let mut frame = Frame {
            params: space.params.as_ptr(),
            results: space.results.as_ptr(),
            buffers: space.buffers.as_ptr(),
            arena: space.arena.at,
            scalars: space.scalars.as_mut_ptr(),
            eqn: 0,
            fault: None,
            warned: std::mem::take(&mut space.warned),
        };
        let status = unsafe { (self.entry)(&mut frame, std::ptr::null()) };
        for &eqn in &frame.warned {
            let origin = &plan.origins[eqn as usize];
            match &origin.guard {
                Some(Guard::Unconverged { solver }) => {
                    report(Event::Unconverged { solver: solver.clone(), span: origin.span });
                }
                Some(Guard::NotAtFixedPoint { .. }) | None => {}
            }
        }
        frame.warned.clear();
        space.warned = std::mem::take(&mut frame.warned);
        // A run that was broken off may not have left zeros.
        if (status == 0 || space.large.is_empty())
            && let Ok(mut pool) = self.pool.lock()
        {
            pool.push(space);
        }
        if status != 0 {
            outs.clear();
            return Err(self.fault(frame));
        }
        for (i, source) in plan.sources.iter().enumerate() {
            if let Source::Same(same) = source {
                outs[i] = outs[*same].clone();
            }
        }
        Ok(())
    }

    /// Memory for runs.
    fn workspace(&self) -> Result<Workspace, FaultKind> {
        let large: Vec<Block> =
            self.plan.large.iter().map(|&bytes| Block::new(bytes as usize, true)).collect::<Result<_, _>>()?;
        Ok(Workspace {
            arena: Block::new(self.arena_bytes, false)?,
            scalars: vec![0; self.slots],
            params: Vec::with_capacity(self.plan.params.len()),
            results: Vec::with_capacity(self.plan.results.len()),
            buffers: large.iter().map(|block| block.at).collect(),
            large,
            warned: Vec::new(),
        })
    }

    fn fault(&self, frame: Frame) -> Fault {
        let origin = self.plan.origins.get(frame.eqn as usize);
        let span = origin.map_or(Span::NONE, |o| o.span);
        let guard = origin.and_then(|o| o.guard.as_ref());
        let kind = match (frame.fault, guard) {
            (
                Some(FaultKind::Unconverged { .. }),
                Some(Guard::NotAtFixedPoint { solver } | Guard::Unconverged { solver }),
            ) => FaultKind::Unconverged { solver: solver.to_string() },
            (Some(kind), _) => kind,
            (None, _) => unreachable!("a failing run leaves a fault"),
        };
        Fault { kind, span }
    }

    /// Bytes of machine code.
    pub fn code_bytes(&self) -> usize {
        self.code_bytes
    }

    /// The number of functions that were written.
    pub fn functions(&self) -> usize {
        self.functions
    }

    /// Bytes of memory for intermediate values in one run.
    pub fn arena_bytes(&self) -> usize {
        self.arena_bytes
    }

    /// The part of these that is for packed operands of products, which a library of such products would have for itself.
    pub fn packed_bytes(&self) -> usize {
        self.packed_bytes
    }

    /// The number of loop nests that elementwise equations were fused into (copies included).
    pub fn fused_loops(&self) -> usize {
        self.plan.nests
    }
}

/// The elements of a tensor.
fn pointer(tensor: &Tensor) -> *const u8 {
    match tensor {
        Tensor::F32(_) => tensor.as_slice::<f32>().as_ptr() as *const u8,
        Tensor::F64(_) => tensor.as_slice::<f64>().as_ptr() as *const u8,
        Tensor::I64(_) => tensor.as_slice::<i64>().as_ptr() as *const u8,
        Tensor::Bool(_) => tensor.as_slice::<bool>().as_ptr() as *const u8,
        Tensor::Key(_) => tensor.as_slice::<u64>().as_ptr() as *const u8,
    }
}

/// Writes a plan as machine code.
pub fn assemble(mut plan: Plan, arena_bytes: u64) -> Result<Executable, CodegenError> {
    let packed_bytes = plan.packed_bytes() as usize;
    let steps = std::mem::take(&mut plan.steps);
    let slots = pieces::crossing(&steps);
    let slot_count = slots.len();
    let mut module = module(&steps)?;
    let addresses = Addresses {
        call: abi::call as *const () as usize,
        fault: abi::fault as *const () as usize,
        warn: abi::warn as *const () as usize,
        deal: abi::deal as *const () as usize,
        interrupt: std::ptr::from_ref(interrupt::flag()) as usize,
        calls: plan.calls.iter().map(|call| std::ptr::from_ref(call) as usize).collect(),
        consts: plan.consts.iter().map(|tensor| pointer(tensor) as usize).collect(),
    };
    let call_conv = module.isa().default_call_conv();
    let repeated = shared::repeated(&steps);
    let shared = Shared { plan: &plan, addresses, slots, repeated, call_conv };
    let mut ids: Vec<FuncId> = Vec::new();
    let mut code_bytes = 0;
    let mut pending = vec![Pending { number: 0, body: Body::Steps(&steps) }];
    let mut next = 0;
    let mut nests = HashMap::new();
    let mut builder = FunctionBuilderContext::new();
    let mut context = Context::new();
    let declared = |module: &mut JITModule, ids: &mut Vec<FuncId>, number: u32| -> Result<FuncId, CodegenError> {
        while ids.len() <= number as usize {
            let name = format!("f{}", ids.len());
            ids.push(module.declare_function(&name, Linkage::Local, &emit::signature(call_conv)).map_err(internal)?);
        }
        Ok(ids[number as usize])
    };
    while let Some(Pending { number, body }) = pending.pop() {
        let id = declared(&mut module, &mut ids, number)?;
        context.clear();
        let mut failure = None;
        let config = module.isa().frontend_config();
        {
            let mut link = |func: &mut Function, number: u32| match declared(&mut module, &mut ids, number) {
                Ok(id) => module.declare_func_in_func(id, func),
                Err(error) => {
                    failure = Some(error);
                    module.declare_func_in_func(id, func)
                }
            };
            let links = &mut emit::Links { pending: &mut pending, next: &mut next, nests: &mut nests, link: &mut link };
            emit::function(&shared, body, &mut context.func, &mut builder, config, links);
        }
        if let Some(error) = failure {
            return Err(error);
        }
        module.define_function(id, &mut context).map_err(internal)?;
        code_bytes += context.compiled_code().map_or(0, |code| code.code_info().total_size as usize);
    }
    drop(shared);
    module.finalize_definitions().map_err(internal)?;
    let code = module.get_finalized_function(ids[0]);
    // Compiled with exactly this signature.
    let entry = unsafe { std::mem::transmute::<*const u8, Entry>(code) };
    Ok(Executable {
        module: Some(module),
        entry,
        plan,
        arena_bytes: arena_bytes as usize,
        packed_bytes,
        slots: slot_count,
        code_bytes,
        functions: ids.len(),
        nothing: Tensor::scalar(false),
        pool: Mutex::new(Vec::new()),
    })
}

fn internal(error: impl std::fmt::Debug) -> CodegenError {
    CodegenError::Internal(format!("{error:?}"))
}

/// An empty module for this processor, with address space for the code of these steps.
fn module(steps: &[Step]) -> Result<JITModule, CodegenError> {
    let mut flags = settings::builder();
    let verify = if cfg!(debug_assertions) { "true" } else { "false" };
    for (name, value) in [
        ("opt_level", "speed"),
        ("enable_verifier", verify),
        ("use_colocated_libcalls", "false"),
        ("is_pic", "false"),
        ("unwind_info", "false"),
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
    ] {
        flags.set(name, value).map_err(internal)?;
    }
    let unsupported = |reason: &str| CodegenError::Unsupported(format!("this processor: {reason}"));
    let isa =
        cranelift_native::builder().map_err(unsupported)?.finish(settings::Flags::new(flags)).map_err(internal)?;
    let mut builder = JITBuilder::with_isa(isa, cranelift_module::default_libcall_names());
    // Only address space: the system provides pages as they are touched.
    let reserve = (16 << 20) + pieces::total_weight(steps) * 64;
    let memory = ArenaMemoryProvider::new_with_size(reserve).map_err(internal)?;
    builder.memory_provider(Box::new(memory));
    Ok(JITModule::new(builder))
}
