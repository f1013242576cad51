//! Convolutions in comprehensions: which axes are those of indices decides the form.

use super::{Axis, Lanes, Names, Read, Reader, Stuck};
use crate::derive::convolution::Conv;
use crate::derive::term::Id;
use crate::syntax::ast::{Arg, ArgValue, Expr, ExprKind, Symbol};

/// The image or the kernel of a call.
struct Operand {
    lanes: Lanes,
    /// It stands behind `each`.
    each: bool,
    /// Axes before the extents, without those of indices.
    front: usize,
}

/// The arguments of a call.
struct Call {
    conv: Conv,
    image: Operand,
    kernel: Operand,
    /// Extents and named arguments.
    rest: Vec<Id>,
}

impl Reader<'_> {
    /// `conv2(x, k, ...)` and its kin.
    pub(super) fn convolution(&mut self, names: &Names, conv: Conv, args: &[Arg]) -> Read {
        let call = self.conv_call(names, conv, args)?;
        let Call { conv, image, kernel, rest } = call;
        // One index of both, or `each` before both: a kernel for each image.
        let mapped = match (image.lanes.axes.as_slice(), kernel.lanes.axes.as_slice()) {
            ([], []) => image.each && kernel.each && image.front == 1 && kernel.front == 1,
            ([i], [j]) if i == j => image.front == 0 && kernel.front == 0 && !image.each && !kernel.each,
            _ => false,
        };
        let axes = match (image.lanes.axes.as_slice(), kernel.lanes.axes.as_slice()) {
            ([], []) if mapped || !(image.each || kernel.each) => vec![],
            // `each` before one of them: the forms without it.
            ([], []) if image.each && image.front == 1 && kernel.front == 0 => vec![],
            ([], []) if kernel.each && kernel.front == 1 && image.front == 0 => vec![],
            ([i], [_]) if mapped => vec![i.clone()],
            _ if image.each || kernel.each => return Err(Stuck),
            ([i], []) if image.front == 0 && kernel.front == 0 => vec![i.clone()],
            ([], [i]) if image.front == 0 && kernel.front == 0 => vec![i.clone()],
            // Channels are summed, for each of several results.
            ([], [i]) if image.front == 1 && kernel.front == 1 && !conv.adjoint => vec![i.clone()],
            _ => return Err(Stuck),
        };
        let args = [vec![image.lanes.id, kernel.lanes.id], rest].concat();
        let id = self.terms.conv(&Conv { mapped, ..conv }, args);
        Ok(Lanes { id, axes })
    }

    /// `sum(conv2(x[i], k[o, i]) for i in c)`, where o is an index around: channels summed for each of several results. `None` if
    /// it is not of this form.
    pub(super) fn summed_channels(&mut self, names: &Names, body: &Expr, axes: &[Axis]) -> Option<Lanes> {
        let (ExprKind::Call { func, args }, [axis]) = (&body.kind, axes) else { return None };
        let ExprKind::Name(name) = &func.kind else { return None };
        let conv = Conv::of(name).filter(|_| !names.has(name) && !self.catalogue.defines(name))?;
        let Ok(Call { conv, image, kernel, rest }) = self.conv_call(names, conv, args) else { return None };
        let ([i], [o, j]) = (image.lanes.axes.as_slice(), kernel.lanes.axes.as_slice()) else { return None };
        let fits = i == axis && j == axis && o != axis && image.front == 0 && kernel.front == 0;
        if !fits || conv.adjoint {
            return None;
        }
        let id = self.terms.conv(&conv, [vec![image.lanes.id, kernel.lanes.id], rest].concat());
        Some(Lanes { id, axes: vec![o.clone()] })
    }

    fn conv_call(&mut self, names: &Names, conv: Conv, args: &[Arg]) -> Result<Call, Stuck> {
        let mut places: Vec<(&Expr, bool)> = Vec::new();
        let mut named: Vec<(Symbol, &Expr)> = Vec::new();
        for arg in args {
            match (&arg.name, &arg.value) {
                (None, ArgValue::Expr(value)) => places.push((value, false)),
                (None, ArgValue::Each(1, value)) => places.push((value, true)),
                (Some(name), ArgValue::Expr(value)) => named.push((name.text.clone(), value)),
                _ => return Err(Stuck),
            }
        }
        named.sort_by(|(a, _), (b, _)| a.cmp(b));
        let [image, kernel, extents @ ..] = places.as_slice() else { return Err(Stuck) };
        let (image, kernel) = (self.operand(names, *image, conv.axes)?, self.operand(names, *kernel, conv.axes)?);
        let mut rest = Vec::new();
        for (value, each) in extents.iter().copied().chain(named.iter().map(|(_, value)| (*value, false))) {
            let id = self.whole(names, value)?;
            if each || !self.terms.is_constant(id) {
                return Err(Stuck);
            }
            rest.push(id);
        }
        let named = named.into_iter().map(|(name, _)| name).collect();
        Ok(Call { conv: Conv { named, ..conv }, image, kernel, rest })
    }

    fn operand(&mut self, names: &Names, (value, each): (&Expr, bool), extents: usize) -> Result<Operand, Stuck> {
        let lanes = self.lanes(names, value)?;
        let rank = self.terms.rank(lanes.id).ok_or(Stuck)?;
        let front = rank.checked_sub(extents + lanes.axes.len()).ok_or(Stuck)?;
        Ok(Operand { lanes, each, front })
    }
}
