//! Convolutions as terms: forms, shapes, transposes, bounds of norms.
//!
//! A convolution is linear in the image with the kernel given. The forms are those of `conv2` in the language, by the axes that
//! stand before the extents of image and kernel; `mapped` is one more, a kernel for each image without a sum, which is
//! written `conv2(each x, each k)`. Its sum over the images is the form with channels summed.

use super::rat::Rat;
use super::term::{Id, Op, Shape, Terms};
use crate::syntax::ast::Symbol;
use crate::types::dim::{Dim, Overflow, Poly};

/// Which convolution. The arguments of the node are the image, the kernel, for a transpose the extents of its result if they
/// are given, and the named ones.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Conv {
    /// 1 for `conv1`, 2 for `conv2`.
    pub axes: usize,
    pub adjoint: bool,
    pub mapped: bool,
    /// The names of the last arguments, sorted: some of `dilation`, `pad`, `stride`.
    pub named: Vec<Symbol>,
}

impl Conv {
    /// The convolution of a function's name.
    pub fn of(name: &str) -> Option<Conv> {
        let (axes, adjoint) = match name {
            "conv1" => (1, false),
            "conv2" => (2, false),
            "conv1_adjoint" => (1, true),
            "conv2_adjoint" => (2, true),
            _ => return None,
        };
        Some(Conv { axes, adjoint, mapped: false, named: Vec::new() })
    }

    pub fn name(&self) -> &'static str {
        match (self.axes, self.adjoint) {
            (1, false) => "conv1",
            (1, true) => "conv1_adjoint",
            (_, false) => "conv2",
            (_, true) => "conv2_adjoint",
        }
    }

    /// The function whose value bounds the norm of the convolution with a kernel.
    fn norm_name(&self) -> &'static str {
        if self.axes == 1 { "conv1_norm" } else { "conv2_norm" }
    }

    fn given(&self, args: &[Id], name: &str) -> Option<Id> {
        let at = self.named.iter().position(|own| &**own == name)?;
        args.get(args.len() - self.named.len() + at).copied()
    }

    /// The extents of the result that a transpose was told.
    fn extents<'a>(&self, args: &'a [Id]) -> &'a [Id] {
        &args[2..args.len() - self.named.len()]
    }
}

/// What stands between an array's edge and what lies beyond.
enum Edge {
    /// Only windows inside.
    Inside,
    /// Zeros, or the other end.
    Plain,
    Mirrored,
}

impl Terms {
    /// A convolution. Numbers and scalars of image and kernel come out of it.
    pub fn conv(&mut self, conv: &Conv, args: Vec<Id>) -> Id {
        let shape = self.conv_shape(conv, &args);
        let mut args = args;
        let mut factor = Rat::ONE;
        let mut scalars = Vec::new();
        for side in 0..2 {
            let (own, mut rest) = self.split_scale(args[side]);
            let Some(product) = factor.mul(own) else { continue };
            factor = product;
            if *self.op(rest) == Op::Mul {
                let (outer, inner): (Vec<Id>, Vec<Id>) = self.args(rest).iter().partition(|id| self.is_scalar(**id));
                if !outer.is_empty() && !inner.is_empty() {
                    scalars.extend(outer);
                    rest = self.mul(inner);
                }
            }
            args[side] = rest;
        }
        if factor == Rat::ZERO {
            return self.number_of(Rat::ZERO, shape);
        }
        scalars.push(self.intern(Op::Conv(conv.clone()), &args, shape));
        let product = self.mul(scalars);
        self.scale(factor, product)
    }

    /// The sum over the first axis of a convolution of each image with its own kernel.
    pub fn conv_summed(&mut self, id: Id) -> Option<Id> {
        let Op::Conv(conv) = self.op(id).clone() else { return None };
        if !conv.mapped || self.rank(id)? != conv.axes + 1 {
            return None;
        }
        let args = self.args(id).to_vec();
        Some(self.conv(&Conv { mapped: false, ..conv }, args))
    }

    fn edge(&self, conv: &Conv, args: &[Id]) -> Option<Edge> {
        let Some(pad) = conv.given(args, "pad") else { return Some(Edge::Inside) };
        let Op::Opaque(text, _) = self.op(pad) else { return None };
        match &**text {
            "\"valid\"" => Some(Edge::Inside),
            "\"same\"" | "\"circular\"" => Some(Edge::Plain),
            "\"reflect\"" | "\"symmetric\"" => Some(Edge::Mirrored),
            _ => None,
        }
    }

    /// A step along all axes, if it is one number.
    fn conv_step(&mut self, conv: &Conv, args: &[Id], name: &str) -> Dim {
        match conv.given(args, name) {
            None => Dim::constant(1),
            Some(id) => self.value_as_dim(id).map_or(Dim::Unknown, Dim::Known),
        }
    }

    fn conv_shape(&mut self, conv: &Conv, args: &[Id]) -> Shape {
        let (image, kernel) = (self.shape(args[0]).clone()?, self.shape(args[1]).clone()?);
        let (front, filters) = (image.len().checked_sub(conv.axes)?, kernel.len().checked_sub(conv.axes)?);
        let mut dims = match (front, filters, conv.adjoint) {
            (1, 1, _) if conv.mapped => vec![image[0].clone()],
            (0, 0, _) | (1, 1, _) => vec![],
            (0, 1, _) => vec![kernel[0].clone()],
            (1, 0, _) => vec![image[0].clone()],
            (1, 2, false) => vec![kernel[0].clone()],
            (1, 2, true) => vec![kernel[1].clone()],
            _ => return None,
        };
        let inside = self.edge(conv, args).map(|edge| matches!(edge, Edge::Inside));
        let stride = self.conv_step(conv, args, "stride");
        let dilation = self.conv_step(conv, args, "dilation");
        let extents = conv.extents(args).to_vec();
        for axis in 0..conv.axes {
            let (n, taps) = (&image[front + axis], &kernel[filters + axis]);
            if conv.adjoint
                && let Some(given) = extents.get(axis)
            {
                let given = self.value_as_dim(*given);
                dims.push(given.map_or(Dim::Unknown, Dim::Known));
                continue;
            }
            let reach = plus(&plus(taps, -1).combine(&dilation, Poly::mul), 1);
            let Some(inside) = inside else {
                dims.push(Dim::Unknown);
                continue;
            };
            dims.push(if conv.adjoint {
                let last = plus(n, -1).combine(&stride, Poly::mul);
                if inside { last.combine(&reach, Poly::add) } else { plus(&last, 1) }
            } else {
                let rest = if inside { n.combine(&reach, Poly::sub) } else { plus(n, -1) };
                plus(&rest.combine(&stride, |a, b| a.int_div(b)?.ok_or(Overflow)), 1)
            });
        }
        Some(dims)
    }

    /// The transpose of a convolution, as a function of its image, applied to `u`.
    pub fn conv_adjoint(&mut self, map: Id, u: Id) -> Option<Id> {
        let Op::Conv(conv) = self.op(map).clone() else { return None };
        let args = self.args(map);
        let turned = Conv { adjoint: !conv.adjoint, ..conv.clone() };
        let mut own = vec![u, args[1]];
        // A stride leaves the extents of the image open.
        let strided = conv.given(&args, "stride").is_some_and(|stride| !self.is_number(stride, Rat::ONE));
        if turned.adjoint && strided {
            let dims = self.shape(args[0]).clone()?;
            for dim in &dims[dims.len() - conv.axes..] {
                dim.known()?;
                own.push(self.dim_term(dim));
            }
        }
        own.extend(&args[args.len() - conv.named.len()..]);
        let back = self.conv(&turned, own);
        // The result has the shape of the image, whatever the arithmetic of sizes finds.
        let shape = self.shape(args[0]).clone();
        Some(self.with_shape(back, shape))
    }

    /// A bound of the norm of a convolution as a function of its image.
    ///
    /// On images that are zero outside, or periodic, it is at most the greatest norm of the kernels' transfer functions, which
    /// `conv2_norm` bounds; leaving out results (windows inside only, strides) makes no norm larger. A mirrored edge repeats an
    /// element at most three times along each axis, so that the continued image is at most sqrt(3) times as long for each.
    pub fn conv_norm(&mut self, map: Id) -> Option<Id> {
        let Op::Conv(conv) = self.op(map).clone() else { return None };
        let args = self.args(map);
        let size = self.call(conv.norm_name(), vec![args[1]]);
        let size = self.with_shape(size, Some(Vec::new()));
        match self.edge(&conv, &args)? {
            Edge::Inside | Edge::Plain => Some(size),
            Edge::Mirrored => {
                let three = self.int(3);
                let factor = if conv.axes == 1 { self.call("sqrt", vec![three]) } else { three };
                Some(self.mul(vec![factor, size]))
            }
        }
    }

    /// The same node with a shape that is known otherwise.
    fn with_shape(&mut self, id: Id, shape: Shape) -> Id {
        if self.shape(id) == &shape {
            return id;
        }
        let node = self.node(id).clone();
        self.intern(node.op, &node.args, shape)
    }
}

fn plus(a: &Dim, n: i64) -> Dim {
    a.combine(&Dim::constant(n), Poly::add)
}
