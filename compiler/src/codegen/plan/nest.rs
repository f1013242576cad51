//! Loop nests: collapsing axes and dropping what is empty.

use super::{Input, Nest, Planner, Step, TileOp};
use crate::codegen::view::View;
use dp_runtime::kernels::walk::collapse;
use dp_runtime::tensor::DType;

impl Planner {
    /// Appends a nest over `shape`, whose views have that shape's axes.
    pub fn push_nest(
        &mut self,
        shape: &[usize],
        inputs: Vec<(DType, View)>,
        ops: Vec<TileOp>,
        outputs: Vec<(u32, DType, View)>,
        lanes: u32,
        steps: &mut Vec<Step>,
    ) {
        if shape.contains(&0) || outputs.is_empty() {
            return;
        }
        let all: Vec<&[isize]> = inputs
            .iter()
            .map(|(_, v)| v.strides.as_slice())
            .chain(outputs.iter().map(|(_, _, v)| v.strides.as_slice()))
            .collect();
        let (shape, strides) = collapse(shape, &all);
        let mut strides = strides.into_iter();
        let mut next = |view: View| View { strides: strides.next().unwrap_or_default(), ..view };
        let inputs = inputs.into_iter().map(|(dtype, view)| Input { dtype, view: next(view) }).collect();
        let outputs = outputs.into_iter().map(|(value, dtype, view)| (value, dtype, next(view))).collect();
        self.push(steps, Step::Nest(Nest { shape, inputs, ops, outputs, lanes, reduction: None }));
    }
}
