//! Copies between places.

use super::reduction::Draft;
use super::{Base, Home, Operand, Planner, Step, as_view};
use crate::codegen::view::View;
use crate::ir::graph::Type;
use dp_runtime::abi::Kernel;
use dp_runtime::kernels::walk::collapse;
use dp_runtime::tensor::DType;

/// Copies of at least this many contiguous bytes a row go to the kernel.
const LONG_ROW: usize = 512;
/// Transposing copies of at least this many elements go to the kernel.
const LARGE: usize = 256;

impl Planner {
    /// Copies an array of type `ty`.
    pub fn copy(&mut self, from: View, to: View, ty: &Type, steps: &mut Vec<Step>) {
        if ty.is_empty() || from == to {
            return;
        }
        let (shape, strides) = collapse(&ty.shape, &[&from.strides, &to.strides]);
        let inner = shape.len().checked_sub(1).map(|last| (shape[last], strides[0][last], strides[1][last]));
        let kernel = match inner {
            None => false,
            Some((n, 1, 1)) => n * ty.dtype.size() >= LONG_ROW,
            Some((_, 0, _)) => false,
            Some(_) => ty.len() >= LARGE,
        };
        if kernel {
            let (mut shape, mut strides) = (shape, strides);
            if let Some((_, step, 1)) = inner
                && step != 1
                && let Some(axis) = (0..shape.len() - 1).rev().find(|&axis| strides[0][axis] == 1)
            {
                // The order of the axes does not matter for a copy: the one that is contiguous in the source next to
                // the one that is contiguous in the destination.
                let to = shape.len() - 2;
                shape[axis..=to].rotate_left(1);
                strides.iter_mut().for_each(|list| list[axis..=to].rotate_left(1));
            }
            let [from_strides, to_strides] = [0, 1].map(|i| strides[i].clone());
            let operands = vec![
                (Operand::View(View { strides: from_strides, ..from }), ty.dtype, shape.clone()),
                (Operand::View(View { strides: to_strides, ..to }), ty.dtype, shape),
            ];
            return self.call(Kernel::Copy, operands, 0, steps);
        }
        let (inputs, outputs) = (vec![(ty.dtype, from)], vec![(0, ty.dtype, to)]);
        let lanes = lanes(ty.dtype);
        let draft = Draft { shape: ty.shape.clone(), inputs, ops: Vec::new(), outputs, lanes, inner: None };
        self.push_nest(draft, steps);
    }

    /// Sets an array to zeros.
    pub fn zero(&mut self, to: View, ty: &Type, steps: &mut Vec<Step>) {
        if ty.is_empty() {
            return;
        }
        let (shape, mut strides) = collapse(&ty.shape, &[&to.strides]);
        let to = View { strides: strides.remove(0), ..to };
        self.call(Kernel::Zero, vec![(Operand::View(to), ty.dtype, shape)], 0, steps);
    }

    /// Brings values to their destinations as if all moved at once.
    pub fn moves(&mut self, list: Vec<(Home, View, Type)>, steps: &mut Vec<Step>) {
        let mut pending: Vec<(View, View, Type)> = Vec::new();
        for (home, to, ty) in list {
            match home {
                Home::Scalar(value) if ty.rank() == 0 => self.push(steps, Step::Store { value, to }),
                Home::Array(from) if from == to => {}
                home => pending.push((as_view(&home, ty.rank()), to, ty)),
            }
        }
        while !pending.is_empty() {
            let reads =
                |base: Base, except: usize| pending.iter().enumerate().any(|(j, m)| j != except && m.0.base == base);
            let ready =
                (0..pending.len()).find(|&i| !reads(pending[i].1.base, i) && pending[i].0.base != pending[i].1.base);
            match ready {
                Some(i) => {
                    let (from, to, ty) = pending.remove(i);
                    self.copy(from, to, &ty, steps);
                }
                None => {
                    // A cycle: take one value out of the way.
                    let aside = self.buffer(&pending[0].2);
                    let (from, ty) = (pending[0].0.clone(), pending[0].2.clone());
                    self.copy(from, aside.clone(), &ty, steps);
                    pending[0].0 = aside;
                }
            }
        }
    }
}

/// Elements side by side in a copy.
fn lanes(dtype: DType) -> u32 {
    match dtype {
        DType::Bool | DType::F32 => 4,
        DType::F64 | DType::I64 | DType::Key => 2,
    }
}
