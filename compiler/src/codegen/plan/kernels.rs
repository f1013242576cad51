//! Equations that become calls of kernels.

use super::body::Scope;
use super::{Home, Operand, Planner, Scalar, Step, as_view, last_axes};
use crate::codegen::view::View;
use crate::ir::graph::{Eqn, Op, Type, Var};
use dp_runtime::abi::{FoldBy, Kernel};
use dp_runtime::kernels::walk::collapse;
use dp_runtime::kernels::{conv, is_standard};
use dp_runtime::linalg;
use dp_runtime::tensor::{DType, Tensor};

/// An operand with its element kind and shape.
pub type Typed = (Operand, DType, Vec<usize>);

/// Counting arrays up to this size are constants.
const SMALL_IOTA: usize = 4096;

impl Planner {
    /// One equation that is neither elementwise, structure nor control.
    pub fn kernel(&mut self, scope: &mut Scope, eqn: &Eqn, types: &[&Type], steps: &mut Vec<Step>) {
        let number = self.origin(eqn, None);
        match &eqn.op {
            Op::Pad { low, .. } if low.is_empty() => {
                let home = scope.home(eqn.args[0]).clone();
                scope.put(eqn.outs[0], home);
            }
            Op::Pad { low, interior, .. } => {
                let ty = scope.graph.ty(eqn.outs[0]).clone();
                let to = self.out_view(scope, eqn.outs[0]);
                if ty.len() != types[0].len() {
                    self.zero(to.clone(), &ty, steps);
                }
                let step: Vec<usize> = interior.iter().map(|i| i + 1).collect();
                self.copy(view(scope, eqn.args[0]), to.slice(low, &step), types[0], steps);
            }
            Op::Concat { axis } => {
                let to = self.out_view(scope, eqn.outs[0]);
                let mut start = vec![0; to.strides.len()];
                let ones = vec![1; to.strides.len()];
                for (&arg, ty) in eqn.args.iter().zip(types) {
                    self.copy(view(scope, arg), to.slice(&start, &ones), ty, steps);
                    start[*axis] += ty.shape[*axis];
                }
            }
            Op::Iota { shape, axis } => {
                let len: usize = shape.iter().product();
                if len <= SMALL_IOTA {
                    let inner: usize = shape[axis + 1..].iter().product();
                    let values = (0..len).map(|i| (i / inner % shape[*axis]) as i64).collect();
                    self.plan.consts.push(Tensor::from_vec(shape, values));
                    let base = super::Base::Const(self.plan.consts.len() as u32 - 1);
                    scope.put(eqn.outs[0], Home::Array(View::standard(base, shape)));
                    return;
                }
                let out = axis_last(self.out(scope, eqn.outs[0]), *axis);
                self.call(Kernel::Iota, vec![out], number, steps);
            }
            Op::Gather => {
                let mut operands = ins(scope, &eqn.args);
                operands.push(self.out(scope, eqn.outs[0]));
                self.call(Kernel::Gather, operands, number, steps);
            }
            Op::ScatterAdd => self.in_place(scope, eqn, Kernel::ScatterAdd, number, steps),
            Op::Update => self.in_place(scope, eqn, Kernel::Update, number, steps),
            Op::Sum { axes } => self.sum(scope, eqn, types[0], axes, number, steps),
            Op::Prod { axes } => self.fold(scope, eqn, types[0], axes, FoldBy::Product, number, steps),
            Op::ReduceMax { axes } => self.fold(scope, eqn, types[0], axes, FoldBy::Max, number, steps),
            Op::ReduceMin { axes } => self.fold(scope, eqn, types[0], axes, FoldBy::Min, number, steps),
            Op::All { axes } => self.fold(scope, eqn, types[0], axes, FoldBy::All, number, steps),
            Op::Any { axes } => self.fold(scope, eqn, types[0], axes, FoldBy::Any, number, steps),
            Op::ArgMax { axis } => self.arg_best(scope, eqn, types[0], *axis, true, number, steps),
            Op::ArgMin { axis } => self.arg_best(scope, eqn, types[0], *axis, false, number, steps),
            Op::CumSum { axis, reverse } => {
                let mut operands = ins(scope, &eqn.args);
                operands.push(self.out(scope, eqn.outs[0]));
                let operands = operands.into_iter().map(|operand| axis_last(operand, *axis)).collect();
                self.call(Kernel::RunningSum { reverse: *reverse }, operands, number, steps);
            }
            Op::Dot { batch } => {
                let mut operands = ins(scope, &eqn.args);
                operands.push(self.out(scope, eqn.outs[0]));
                self.call(Kernel::Dot { batch: *batch }, operands, number, steps);
            }
            Op::Conv { batch, window } => {
                let plan = conv::Plan::new(*window, &types[0].shape, &types[1].shape, types[0].dtype.size());
                let mut operands = ins(scope, &eqn.args);
                operands.push(self.out(scope, eqn.outs[0]));
                self.call(Kernel::Conv { batch: *batch, plan: plan.into() }, operands, number, steps);
            }
            Op::Sort => self.standard_call(scope, eqn, types, Kernel::Sort, None, number, steps),
            Op::Svd => {
                let (m, n) = last_two(types[0]);
                let room = match types[0].dtype {
                    DType::F32 => linalg::svd_room::<f32>(m, n),
                    DType::F64 | DType::I64 | DType::Bool | DType::Key => linalg::svd_room::<f64>(m, n),
                };
                let room = Type::new(DType::Bool, &[room]);
                self.standard_call(scope, eqn, types, Kernel::Svd, Some(room), number, steps);
            }
            Op::SingularValues => {
                let (m, n) = last_two(types[0]);
                let room = match types[0].dtype {
                    DType::F32 => linalg::singular_values_room::<f32>(m, n),
                    DType::F64 | DType::I64 | DType::Bool | DType::Key => linalg::singular_values_room::<f64>(m, n),
                };
                let room = Type::new(DType::Bool, &[room]);
                self.standard_call(scope, eqn, types, Kernel::SingularValues, Some(room), number, steps);
            }
            Op::Solve => {
                let (n, p) = last_two(types[1]);
                let room = match types[1].dtype {
                    DType::F32 => linalg::solve_room::<f32>(n, p),
                    DType::F64 | DType::I64 | DType::Bool | DType::Key => linalg::solve_room::<f64>(n, p),
                };
                let room = Type::new(DType::Bool, &[room]);
                self.standard_call(scope, eqn, types, Kernel::Solve, Some(room), number, steps);
            }
            Op::Cholesky => self.standard_call(scope, eqn, types, Kernel::Cholesky, None, number, steps),
            Op::TriangularSolve { lower } => {
                let kernel = Kernel::TriangularSolve { lower: *lower };
                self.standard_call(scope, eqn, types, kernel, None, number, steps);
            }
            Op::Fft { inverse } => {
                self.standard_call(scope, eqn, types, Kernel::Fft { inverse: *inverse }, None, number, steps);
            }
            Op::Det => self.standard_call(scope, eqn, types, Kernel::Det, None, number, steps),
            Op::SlogDet => self.standard_call(scope, eqn, types, Kernel::SlogDet, None, number, steps),
            Op::Lu => self.standard_call(scope, eqn, types, Kernel::Lu, None, number, steps),
            Op::Qr => self.standard_call(scope, eqn, types, Kernel::Qr, None, number, steps),
            Op::Eigh => self.standard_call(scope, eqn, types, Kernel::Eigh, None, number, steps),
            Op::SpectralQuotient(by) => {
                self.standard_call(scope, eqn, types, Kernel::SpectralQuotient { by: *by }, None, number, steps);
            }
            Op::Normal { shape, .. } => {
                let each = shape.iter().product();
                self.standard_call(scope, eqn, types, Kernel::Normal { each }, None, number, steps);
            }
            Op::Uniform { shape, .. } => {
                let each = shape.iter().product();
                self.standard_call(scope, eqn, types, Kernel::Uniform { each }, None, number, steps);
            }
            Op::Split { n } => self.standard_call(scope, eqn, types, Kernel::Split { n: *n }, None, number, steps),
            Op::Permutation { n } => {
                let words = Type::new(DType::Key, &[*n]);
                self.standard_call(scope, eqn, types, Kernel::Permutation { n: *n }, Some(words), number, steps)
            }
            Op::FoldIn => self.standard_call(scope, eqn, types, Kernel::FoldIn, None, number, steps),
            other => unreachable!("`{}` is not a kernel", crate::prims::name(other)),
        }
    }

    /// The place of a result that is an array.
    fn out_view(&mut self, scope: &mut Scope, var: Var) -> View {
        let place = scope.place(self, var);
        scope.put(var, Home::Array(place.clone()));
        place
    }

    /// A result as an operand, scalar or array.
    pub fn out(&mut self, scope: &mut Scope, var: Var) -> Typed {
        let ty = scope.graph.ty(var).clone();
        if ty.rank() == 0 {
            let reg = self.reg(ty.dtype);
            scope.put(var, Home::Scalar(Scalar::Reg(reg)));
            return (Operand::Out(reg), ty.dtype, ty.shape);
        }
        (Operand::View(self.out_view(scope, var)), ty.dtype, ty.shape)
    }

    /// A call of a kernel that takes and gives row-major arrays without gaps, with scratch memory if it needs some.
    #[allow(clippy::too_many_arguments)]
    fn standard_call(
        &mut self,
        scope: &mut Scope,
        eqn: &Eqn,
        types: &[&Type],
        kernel: Kernel,
        room: Option<Type>,
        number: u32,
        steps: &mut Vec<Step>,
    ) {
        let mut operands: Vec<Typed> = Vec::new();
        for (&arg, ty) in eqn.args.iter().zip(types) {
            let from = self.standard(view(scope, arg), ty, steps);
            operands.push((Operand::View(from), ty.dtype, ty.shape.clone()));
        }
        let mut after = Vec::new();
        for &var in &eqn.outs {
            let (operand, dtype, shape) = self.out(scope, var);
            let operand = match operand {
                Operand::View(place) if !is_standard(&shape, &place.strides) => {
                    let ty = Type::new(dtype, &shape);
                    let aside = self.buffer(&ty);
                    after.push((aside.clone(), place, ty));
                    Operand::View(aside)
                }
                other => other,
            };
            operands.push((operand, dtype, shape));
        }
        if let Some(room) = room {
            operands.push((Operand::View(self.buffer(&room)), room.dtype, room.shape));
        }
        self.call(kernel, operands, number, steps);
        for (from, to, ty) in after {
            self.copy(from, to, &ty, steps);
        }
    }

    /// `scatter_add` and `update`: on the first operand itself if this is its last use, else on a copy.
    fn in_place(&mut self, scope: &mut Scope, eqn: &Eqn, kernel: Kernel, number: u32, steps: &mut Vec<Step>) {
        let ty = scope.graph.ty(eqn.outs[0]).clone();
        let from = view(scope, eqn.args[0]);
        let distinct = ty.shape.iter().zip(&from.strides).all(|(&size, &stride)| size <= 1 || stride != 0);
        let others = eqn.args[1..].iter().all(|&arg| match scope.home(arg) {
            Home::Scalar(_) => true,
            Home::Array(other) => other.base != from.base,
        });
        let to = if distinct && others && scope.owns(from.base) && scope.vacant(from.base, true) {
            scope.put(eqn.outs[0], Home::Array(from.clone()));
            from
        } else {
            let to = self.out_view(scope, eqn.outs[0]);
            self.copy(from, to.clone(), &ty, steps);
            to
        };
        let mut operands = ins(scope, &eqn.args[1..]);
        operands.push((Operand::View(to), ty.dtype, ty.shape));
        self.call(kernel, operands, number, steps);
    }

    /// A sum over last axes, or over none of them.
    fn sum(&mut self, scope: &mut Scope, eqn: &Eqn, ty: &Type, axes: &[usize], number: u32, steps: &mut Vec<Step>) {
        let x = view(scope, eqn.args[0]);
        let last = !ty.dtype.is_float() || last_axes(axes, ty.rank()) == axes.len();
        let kernel = |kept| if last { Kernel::SumLast { kept } } else { Kernel::SumOther { kept } };
        let out = self.out(scope, eqn.outs[0]);
        self.reduce(x, ty, axes, kernel, out, number, steps);
    }

    #[allow(clippy::too_many_arguments)]
    fn fold(
        &mut self,
        scope: &mut Scope,
        eqn: &Eqn,
        ty: &Type,
        axes: &[usize],
        by: FoldBy,
        number: u32,
        steps: &mut Vec<Step>,
    ) {
        let x = view(scope, eqn.args[0]);
        let out = self.out(scope, eqn.outs[0]);
        self.reduce(x, ty, axes, |kept| Kernel::Fold { kept, by }, out, number, steps);
    }

    /// A call of a reduction: the kept axes first, both groups collapsed.
    #[allow(clippy::too_many_arguments)]
    pub fn reduce(
        &mut self,
        x: View,
        ty: &Type,
        axes: &[usize],
        kernel: impl Fn(usize) -> Kernel,
        out: Typed,
        number: u32,
        steps: &mut Vec<Step>,
    ) {
        let kept: Vec<usize> = (0..ty.rank()).filter(|axis| !axes.contains(axis)).collect();
        let pick = |axes: &[usize]| -> (Vec<usize>, Vec<isize>) {
            axes.iter().map(|&axis| (ty.shape[axis], x.strides[axis])).unzip()
        };
        let (kept_shape, kept_strides) = pick(&kept);
        let (reduced_shape, reduced_strides) = pick(axes);
        let out_strides = match &out.0 {
            Operand::View(view) => view.strides.clone(),
            Operand::Out(_) => Vec::new(),
        };
        let (kept_shape, mut both) = collapse(&kept_shape, &[&kept_strides, &out_strides]);
        let (out_strides, kept_strides) = (both.remove(1), both.remove(0));
        let (reduced_shape, mut reduced) = collapse(&reduced_shape, &[&reduced_strides]);
        let kernel = kernel(kept_shape.len());
        let from = View { strides: [kept_strides, reduced.remove(0)].concat(), ..x };
        let operand = match out.0 {
            Operand::View(view) => Operand::View(View { strides: out_strides, ..view }),
            Operand::Out(reg) => Operand::Out(reg),
        };
        let operands = vec![
            (Operand::View(from), ty.dtype, [kept_shape.clone(), reduced_shape].concat()),
            (operand, out.1, kept_shape),
        ];
        self.call(kernel, operands, number, steps);
    }

    #[allow(clippy::too_many_arguments)]
    fn arg_best(
        &mut self,
        scope: &mut Scope,
        eqn: &Eqn,
        ty: &Type,
        axis: usize,
        greatest: bool,
        number: u32,
        steps: &mut Vec<Step>,
    ) {
        let perm: Vec<usize> = (0..ty.rank()).filter(|&a| a != axis).chain([axis]).collect();
        let x = view(scope, eqn.args[0]).permute(&perm);
        let shape = perm.iter().map(|&p| ty.shape[p]).collect();
        let out = self.out(scope, eqn.outs[0]);
        self.call(Kernel::ArgBest { greatest }, vec![(Operand::View(x), ty.dtype, shape), out], number, steps);
    }
}

fn view(scope: &Scope, var: Var) -> View {
    as_view(scope.home(var), scope.graph.ty(var).rank())
}

fn ins(scope: &Scope, vars: &[Var]) -> Vec<Typed> {
    vars.iter()
        .map(|&v| {
            let ty = scope.graph.ty(v);
            (Operand::View(view(scope, v)), ty.dtype, ty.shape.clone())
        })
        .collect()
}

/// The sizes of a matrix, the last two axes.
fn last_two(ty: &Type) -> (usize, usize) {
    let rank = ty.rank();
    (ty.shape[rank - 2], ty.shape[rank - 1])
}

/// An operand with one axis made the last.
fn axis_last((operand, dtype, mut shape): Typed, axis: usize) -> Typed {
    shape[axis..].rotate_left(1);
    let operand = match operand {
        Operand::View(mut view) => {
            view.strides[axis..].rotate_left(1);
            Operand::View(view)
        }
        Operand::Out(reg) => Operand::Out(reg),
    };
    (operand, dtype, shape)
}
