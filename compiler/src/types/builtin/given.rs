//! What a built-in function was given, and the checks that many of them share.

use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::types::Ctx;
use crate::types::call::Arg;
use crate::types::dim::Dim;
use crate::types::operator::Shape;
use crate::types::scope::similar;
use crate::types::ty::{Array, Kind, Ty};
use std::ops::RangeInclusive;

/// A call of a built-in function.
pub struct Given<'a, 'b> {
    pub name: &'static str,
    pub usage: &'static str,
    pub args: &'a [Arg<'b>],
    pub span: Span,
}

/// Kinds of elements, and their name in messages.
pub type Wanted = (&'static [Kind], &'static str);

pub const NUMBERS: Wanted = (&[Kind::Real, Kind::Int], "numbers");
pub const BOOLS: Wanted = (&[Kind::Bool], "bools");
pub const INTS: Wanted = (&[Kind::Int], "ints");
pub const KEYS: Wanted = (&[Kind::Key], "keys");
pub const NUMBERS_OR_BOOLS: Wanted = (&[Kind::Real, Kind::Int, Kind::Bool], "numbers or bools");
pub const ANY: Wanted = (&[Kind::Real, Kind::Int, Kind::Bool, Kind::Key], "an array");

/// Named arguments are not compared with a list.
pub const ANY_NAME: &[&str] = &["*"];

impl<'b> Given<'_, 'b> {
    pub fn positional(&self) -> usize {
        self.args.iter().filter(|arg| arg.name.is_none()).count()
    }

    pub fn named(&self, name: &str) -> Option<&Arg<'b>> {
        self.args.iter().find(|arg| arg.name.is_some_and(|given| &*given.text == name))
    }

    /// Checks the number of positional arguments and the names of the others.
    pub fn count(&self, ctx: &mut Ctx, allowed: RangeInclusive<usize>, names: &[&str]) -> Option<()> {
        let count = self.positional();
        if !allowed.contains(&count) {
            let (low, high) = (*allowed.start(), *allowed.end());
            let wanted = match (low, high) {
                (0, 0) => "no arguments".to_string(),
                (1, 1) => "1 argument".to_string(),
                (low, usize::MAX) => format!("at least {low}"),
                (low, high) if low == high => format!("{low} arguments"),
                (low, high) => format!("{low} to {high} arguments"),
            };
            let was = if count == 1 { "1 was" } else { &format!("{count} were") };
            let message = format!("`{}` takes {wanted}, but {was} given", self.name);
            ctx.report(Diagnostic::error("E0321", self.span, message).note(format!("it is used as {}", self.usage)));
            return None;
        }
        if names == ANY_NAME {
            return Some(());
        }
        for arg in self.args {
            let Some(name) = arg.name else { continue };
            if names.contains(&&*name.text) {
                continue;
            }
            let message = format!("`{}` has no parameter `{}`", self.name, name.text);
            let mut diagnostic = Diagnostic::error("E0321", name.span, message);
            diagnostic = match similar(&name.text, names.iter().copied()) {
                Some(suggestion) => diagnostic.help(format!("did you mean `{suggestion}`?")),
                None => diagnostic.note(format!("it is used as {}", self.usage)),
            };
            ctx.report(diagnostic);
            return None;
        }
        Some(())
    }

    /// Reports an argument that is not what is wanted.
    pub fn wrong(&self, ctx: &mut Ctx, arg: &Arg, wanted: &str) {
        let message = format!("`{}` takes {wanted}, but {} was given", self.name, arg.operand.shown());
        let diagnostic =
            arg.operand.label(Diagnostic::error("E0311", arg.span, message).here(format!("this is {}", arg.ty)));
        ctx.report(diagnostic.note(format!("it is used as {}", self.usage)));
    }

    /// An array argument; one that is not known is an array of any rank of the first kind wanted.
    pub fn array(&self, ctx: &mut Ctx, i: usize, wanted: Wanted) -> Option<Array> {
        let arg = &self.args[i];
        match &arg.ty {
            Ty::Array(array) if wanted.0.contains(&array.kind) => Some(array.clone()),
            // Of what kind it is only matters where several are wanted: then the result is not known either.
            Ty::Unknown if wanted.0.len() == 1 => Some(Array { kind: wanted.0[0], dims: None, value: None }),
            Ty::Unknown if wanted.0 == NUMBERS.0 => Some(Array { kind: Kind::Real, dims: None, value: None }),
            Ty::Unknown => None,
            _ => {
                self.wrong(ctx, arg, wanted.1);
                None
            }
        }
    }

    /// An int argument: its value if it is static.
    pub fn int(&self, ctx: &mut Ctx, i: usize) -> Option<Dim> {
        self.check_int(ctx, &self.args[i])
    }

    pub fn check_int(&self, ctx: &mut Ctx, arg: &Arg) -> Option<Dim> {
        match &arg.ty {
            Ty::Unknown => Some(Dim::Unknown),
            Ty::Array(Array { kind: Kind::Int, dims, .. }) if dims.as_ref().is_none_or(Vec::is_empty) => {
                Some(arg.ty.value_dim())
            }
            _ => {
                self.wrong(ctx, arg, "an int here");
                None
            }
        }
    }

    /// An int argument that is a size.
    pub fn size(&self, ctx: &mut Ctx, i: usize) -> Option<Dim> {
        let arg = &self.args[i];
        match &arg.ty {
            Ty::Unknown => return Some(Dim::Unknown),
            Ty::Array(Array { kind: Kind::Int, dims, .. }) if dims.as_ref().is_none_or(Vec::is_empty) => {}
            _ => {
                let message = format!("a size is an int, but {} was given", arg.operand.shown());
                let mut diagnostic = arg.operand.label(Diagnostic::error("E0403", arg.span, message));
                if let Ty::Array(Array { kind: Kind::Real, dims: Some(dims), .. }) = &arg.ty
                    && dims.is_empty()
                {
                    diagnostic = diagnostic.help("`//` divides ints; `round`, `floor` and `ceil` make ints of reals");
                }
                ctx.report(diagnostic);
                return None;
            }
        }
        let size = arg.ty.value_dim();
        if size.as_constant().is_some_and(|size| size < 0) {
            if ctx.soft == 0 {
                ctx.report(Diagnostic::error("E0404", arg.span, format!("a size of {size} is negative")));
            }
            return Some(Dim::Unknown);
        }
        Some(size)
    }

    /// The positional arguments from `first` on as sizes. A shape given as one value has an unknown rank.
    pub fn sizes(&self, ctx: &mut Ctx, first: usize) -> Option<Shape> {
        let count = self.positional();
        if count == first + 1 {
            match &self.args[first].ty {
                Ty::Array(Array { kind: Kind::Int, dims, .. }) if dims.as_ref().is_none_or(|dims| dims.len() == 1) => {
                    return Some(None);
                }
                Ty::Tuple(_) | Ty::List(_) | Ty::Unknown => return Some(None),
                _ => {}
            }
        }
        let mut dims = Vec::new();
        for i in first..count {
            dims.push(self.size(ctx, i)?);
        }
        Some(Some(dims))
    }

    /// A draw: with a key, or at the top level.
    pub fn drawn(&self, ctx: &mut Ctx) -> Option<()> {
        match self.named("key") {
            Some(key) => match &key.ty {
                Ty::Unknown | Ty::Array(Array { kind: Kind::Key, .. }) => Some(()),
                _ => {
                    self.wrong(ctx, key, "a key after `key:`");
                    None
                }
            },
            None if ctx.effects => Some(()),
            None => {
                let message = format!("`{}` draws at random, and functions are pure", self.name);
                let diagnostic = Diagnostic::error("E0330", self.span, message).here("a draw without a key");
                ctx.report(
                    diagnostic.help(format!("take a parameter `k: key`, and write `{}(.., key: k)`", self.name)),
                );
                None
            }
        }
    }

    /// A call with an effect, which stands at the top level only.
    pub fn effect(&self, ctx: &mut Ctx) -> Option<()> {
        if ctx.effects {
            return Some(());
        }
        let message = format!("`{}` has an effect, and functions are pure", self.name);
        ctx.report(Diagnostic::error("E0331", self.span, message).here("this stands at the top level only"));
        None
    }
}
