//! Owns machine code and runs it.
//!
//! Safety. The code is called through the one signature it is compiled with. It reads the frame's pointers, which are
//! made here: parameters point to tensors whose kinds and shapes were checked, results to memory of their exact
//! size, the arena to memory of the planned size; all outlive the call. Constants, descriptions of kernel calls
//! and the code itself belong to the Executable and are neither moved nor freed before it. Results become tensors
//! only after a run that wrote all of them.

use super::CodegenError;
use super::emit::{self, Addresses, Pending, Shared, pieces};
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
use dp_runtime::interrupt;
use dp_runtime::tensor::{DType, Tensor};
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::sync::Mutex;

/// A compiled Graph.
pub struct Executable {
    /// Holds the code; taken out when dropped.
    module: Option<JITModule>,
    entry: unsafe extern "C" fn(*mut Frame) -> u32,
    plan: Plan,
    arena_bytes: usize,
    slots: usize,
    code_bytes: usize,
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

/// Memory of one run at a time.
struct Workspace {
    arena: Block,
    scalars: Vec<u64>,
}

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

/// The memory of a result before it is a tensor.
enum Output {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
    Bool(Vec<u8>),
    Key(Vec<u64>),
}

impl Output {
    fn new(ty: &Type, zeroed: bool) -> Output {
        let n = ty.len();
        macro_rules! space {
            ($zero:expr) => {
                if zeroed { vec![$zero; n] } else { Vec::with_capacity(n) }
            };
        }
        match ty.dtype {
            DType::F32 => Output::F32(space!(0.0)),
            DType::F64 => Output::F64(space!(0.0)),
            DType::I64 => Output::I64(space!(0)),
            DType::Bool => Output::Bool(space!(0)),
            DType::Key => Output::Key(space!(0)),
        }
    }

    fn at(&mut self) -> *mut u8 {
        match self {
            Output::F32(v) => v.as_mut_ptr() as *mut u8,
            Output::F64(v) => v.as_mut_ptr() as *mut u8,
            Output::I64(v) => v.as_mut_ptr() as *mut u8,
            Output::Bool(v) => v.as_mut_ptr(),
            Output::Key(v) => v.as_mut_ptr() as *mut u8,
        }
    }

    /// # Safety
    /// All elements have been written.
    unsafe fn finish(self, shape: &[usize]) -> Tensor {
        let n = shape.iter().product();
        macro_rules! tensor {
            ($v:expr) => {{
                let mut v = $v;
                unsafe { v.set_len(n) };
                Tensor::from_vec(shape, v)
            }};
        }
        match self {
            Output::F32(v) => tensor!(v),
            Output::F64(v) => tensor!(v),
            Output::I64(v) => tensor!(v),
            Output::Bool(mut v) => {
                unsafe { v.set_len(n) };
                Tensor::from_vec(shape, v.into_iter().map(|b| b != 0).collect())
            }
            Output::Key(v) => tensor!(v),
        }
    }
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
        let plan = &self.plan;
        assert_eq!(inputs.len(), plan.params.len(), "internal error: the number of inputs");
        for (i, (input, ty)) in inputs.iter().zip(&plan.params).enumerate() {
            let fits = input.dtype() == ty.dtype && input.shape() == ty.shape;
            assert!(fits, "internal error: input {i} is {:?} {:?}, not {ty:?}", input.dtype(), input.shape());
        }
        let memory = |kind| Fault { kind, span: Span::NONE };
        let pooled = self.pool.lock().ok().and_then(|mut pool| pool.pop());
        let mut space = match pooled {
            Some(space) => space,
            None => {
                Workspace { arena: Block::new(self.arena_bytes, false).map_err(memory)?, scalars: vec![0; self.slots] }
            }
        };
        let large: Vec<Block> = plan
            .large
            .iter()
            .map(|&bytes| Block::new(bytes as usize, true))
            .collect::<Result<_, _>>()
            .map_err(memory)?;
        let params: Vec<*const u8> = inputs.iter().map(pointer).collect();
        let mut outputs: Vec<Option<Output>> = plan
            .results
            .iter()
            .zip(&plan.sources)
            .zip(&plan.zeroed)
            .map(|((ty, source), &zeroed)| (*source == Source::Written).then(|| Output::new(ty, zeroed)))
            .collect();
        let results: Vec<*mut u8> =
            outputs.iter_mut().map(|o| o.as_mut().map_or(std::ptr::null_mut(), Output::at)).collect();
        let buffers: Vec<*mut u8> = large.iter().map(|block| block.at).collect();
        let mut frame = Frame {
            params: params.as_ptr(),
            results: results.as_ptr(),
            buffers: buffers.as_ptr(),
            arena: space.arena.at,
            scalars: space.scalars.as_mut_ptr(),
            eqn: 0,
            fault: None,
            warned: Vec::new(),
        };
        let status = unsafe { (self.entry)(&mut frame) };
        if let Ok(mut pool) = self.pool.lock() {
            pool.push(space);
        }
        for &eqn in &frame.warned {
            let origin = &plan.origins[eqn as usize];
            match &origin.guard {
                Some(Guard::Unconverged { solver }) => {
                    report(Event::Unconverged { solver: solver.clone(), span: origin.span });
                }
                Some(Guard::NotAtFixedPoint { .. }) | None => {}
            }
        }
        if status != 0 {
            return Err(self.fault(frame));
        }
        let mut tensors: Vec<Tensor> = Vec::with_capacity(outputs.len());
        for (i, output) in outputs.into_iter().enumerate() {
            let tensor = match (plan.sources[i], output) {
                (Source::Param(p), _) => inputs[p].clone(),
                (Source::Const(c), _) => plan.consts[c].clone(),
                (Source::Same(s), _) => tensors[s].clone(),
                // The run succeeded, so every element was written.
                (Source::Written, Some(output)) => unsafe { output.finish(&plan.results[i].shape) },
                (Source::Written, None) => unreachable!("every written result has memory"),
            };
            tensors.push(tensor);
        }
        Ok(tensors)
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

    /// Bytes of memory for intermediate values in one run.
    pub fn arena_bytes(&self) -> usize {
        self.arena_bytes
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
    let steps = std::mem::take(&mut plan.steps);
    let slots = pieces::crossing(&steps);
    let slot_count = slots.len();
    let mut module = module(&steps)?;
    let addresses = Addresses {
        call: abi::call as *const () as usize,
        fault: abi::fault as *const () as usize,
        warn: abi::warn as *const () as usize,
        interrupt: std::ptr::from_ref(interrupt::flag()) as usize,
        calls: plan.calls.iter().map(|call| std::ptr::from_ref(call) as usize).collect(),
        consts: plan.consts.iter().map(|tensor| pointer(tensor) as usize).collect(),
    };
    let call_conv = module.isa().default_call_conv();
    let shared = Shared { plan: &plan, addresses, slots, call_conv };
    let mut ids: Vec<FuncId> = Vec::new();
    let mut code_bytes = 0;
    let mut pending = vec![Pending { number: 0, steps: &steps }];
    let mut next = 0;
    let mut builder = FunctionBuilderContext::new();
    let mut context = Context::new();
    let declared = |module: &mut JITModule, ids: &mut Vec<FuncId>, number: u32| -> Result<FuncId, CodegenError> {
        while ids.len() <= number as usize {
            let name = format!("f{}", ids.len());
            ids.push(module.declare_function(&name, Linkage::Local, &emit::signature(call_conv)).map_err(internal)?);
        }
        Ok(ids[number as usize])
    };
    while let Some(Pending { number, steps }) = pending.pop() {
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
            let links = &mut emit::Links { pending: &mut pending, next: &mut next, link: &mut link };
            emit::function(&shared, steps, &mut context.func, &mut builder, config, links);
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
    let entry = unsafe { std::mem::transmute::<*const u8, unsafe extern "C" fn(*mut Frame) -> u32>(code) };
    Ok(Executable {
        module: Some(module),
        entry,
        plan,
        arena_bytes: arena_bytes as usize,
        slots: slot_count,
        code_bytes,
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
