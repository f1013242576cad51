//! The term graph: an objective with its functions called out, as a hash-consed graph with symbolic shapes.
//!
//! A term is a value of the blocks (what is minimized over) and of names that do not depend on them. Equal terms are one
//! node. Each node keeps the place of the source that first made it. `build` has the constructors, which keep terms in a
//! normal form; nothing else makes nodes.

use super::convolution::Conv;
use super::rat::Rat;
use crate::source::Span;
use crate::syntax::ast::{Expr, Symbol};
use crate::types::dim::{Dim, DimName, Poly};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// A node of the graph.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Id(u32);

/// What a term is made of. Arguments of a node are in the order of the comments.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Op {
    /// A number; of any shape, each element is this number.
    Number(Rat),
    /// A number that is not exact as a fraction, as it was written.
    Literal(Symbol),
    /// A name that does not depend on the blocks: data, a dimension, a constant, a top-level value.
    Name(Symbol),
    /// What is minimized over, by position.
    Block(usize),
    /// `r * x`; `x` is neither a number nor scaled itself.
    Scale(Rat),
    /// `a + b + ...`, at least two, sorted; by the broadcasting rule.
    Add,
    /// `a * b * ...` element by element, at least two, scalars first.
    Mul,
    /// `base ^ exponent` element by element.
    Pow,
    MatMul,
    Transpose,
    /// A function by its name: of the compiler, or one that has a proximal operator.
    Call(Symbol),
    /// A reduction along an axis, counted from 0, which it drops.
    Along(Symbol, usize),
    /// A function of each row: `f(each X)`.
    Rows(Symbol),
    /// A convolution or its transpose: the image, the kernel, extents, named arguments.
    Conv(Conv),
    /// `[u, v, ...]`: arrays of one shape, along a new first axis.
    Stack,
    /// `x[...]`
    Index(Vec<Ix>),
    /// An expression that is kept as it was written; its arguments stand for these names in it.
    Opaque(Symbol, Vec<Symbol>),
    /// `grad(fn(v) = f)(x)` in a block: f with the block in it, x.
    Gradient(usize),
    /// The transpose of a linear function by differentiation, `vjp(fn(v) = f)(0)(u)`: f with the block in it, u.
    Adjoint(usize),
}

/// One index of `x[...]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Ix {
    At(Poly),
    /// From the first to before the second.
    Range(Poly, Poly),
}

/// The dimensions of a term; `None` if not even their number is known.
pub type Shape = Option<Vec<Dim>>;

#[derive(Clone, Debug)]
pub struct Node {
    pub op: Op,
    pub args: Rc<[Id]>,
    pub shape: Shape,
    /// Where it was written.
    pub span: Span,
    /// The blocks in it, a bit each.
    pub blocks: u64,
}

/// All terms of one problem.
#[derive(Clone, Default)]
pub struct Terms {
    nodes: Vec<Node>,
    known: BTreeMap<(Op, Rc<[Id]>), Vec<Id>>,
    /// The expressions of `Opaque` nodes.
    opaque: HashMap<Symbol, Rc<Expr>>,
    dims: HashMap<Symbol, DimName>,
    /// The shapes of names and blocks.
    names: HashMap<Symbol, Shape>,
    blocks: Vec<(Symbol, Shape)>,
    /// Sizes that are no single name or number, by their text.
    pub sizes: HashMap<Symbol, Poly>,
    /// The place that new nodes come from.
    pub here: Option<Span>,
}

impl Terms {
    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub fn op(&self, id: Id) -> &Op {
        &self.node(id).op
    }

    pub fn args(&self, id: Id) -> Rc<[Id]> {
        self.node(id).args.clone()
    }

    pub fn shape(&self, id: Id) -> &Shape {
        &self.node(id).shape
    }

    pub fn span(&self, id: Id) -> Span {
        self.node(id).span
    }

    /// The number of axes, if known.
    pub fn rank(&self, id: Id) -> Option<usize> {
        self.shape(id).as_ref().map(Vec::len)
    }

    pub fn is_scalar(&self, id: Id) -> bool {
        self.rank(id) == Some(0)
    }

    pub fn depends(&self, id: Id, block: usize) -> bool {
        self.node(id).blocks >> block & 1 == 1
    }

    /// No block is in it.
    pub fn is_constant(&self, id: Id) -> bool {
        self.node(id).blocks == 0
    }

    /// The number that it is.
    pub fn as_number(&self, id: Id) -> Option<Rat> {
        match self.op(id) {
            Op::Number(value) => Some(*value),
            _ => None,
        }
    }

    pub fn is_number(&self, id: Id, value: Rat) -> bool {
        self.as_number(id) == Some(value)
    }

    /// The arguments of a call of this function.
    pub fn call_of(&self, id: Id, name: &str) -> Option<Rc<[Id]>> {
        match self.op(id) {
            Op::Call(function) if &**function == name => Some(self.args(id)),
            _ => None,
        }
    }

    pub fn opaque_expr(&self, key: &Symbol) -> Rc<Expr> {
        self.opaque[key].clone()
    }

    pub fn keep_opaque(&mut self, key: &Symbol, expr: &Expr) {
        self.opaque.entry(key.clone()).or_insert_with(|| Rc::new(expr.clone()));
    }

    /// The dimension of a name; equal names are equal dimensions.
    pub fn dim(&mut self, name: &Symbol) -> Dim {
        let id = self.dims.len() as u32;
        let name = self.dims.entry(name.clone()).or_insert_with(|| DimName { text: name.clone(), id, rigid: true });
        Dim::Known(Poly::name(name.clone()))
    }

    pub fn declare_name(&mut self, name: &Symbol, shape: Shape) {
        self.names.insert(name.clone(), shape);
    }

    pub fn shape_of_name(&self, name: &str) -> Shape {
        self.names.get(name).cloned().flatten()
    }

    pub fn add_block(&mut self, name: &Symbol, shape: Shape) -> Id {
        self.blocks.push((name.clone(), shape));
        self.block(self.blocks.len() - 1)
    }

    pub fn block(&mut self, block: usize) -> Id {
        let shape = self.blocks[block].1.clone();
        self.intern(Op::Block(block), &[], shape)
    }

    pub fn block_name(&self, block: usize) -> &Symbol {
        &self.blocks[block].0
    }

    pub fn block_shape(&self, block: usize) -> &Shape {
        &self.blocks[block].1
    }

    pub fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// The node of an operation on arguments. Numbers and names of different shapes are different.
    pub fn intern(&mut self, op: Op, args: &[Id], shape: Shape) -> Id {
        let key: (Op, Rc<[Id]>) = (op, args.into());
        if let Some(known) = self.known.get(&key)
            && let Some(id) = known.iter().find(|id| self.node(**id).shape == shape)
        {
            return *id;
        }
        let own = match key.0 {
            Op::Block(block) => 1 << block,
            _ => 0,
        };
        // The variable of a gradient is bound in the function.
        let blocks = match key.0 {
            Op::Gradient(block) | Op::Adjoint(block) => {
                self.node(args[0]).blocks & !(1 << block) | self.node(args[1]).blocks
            }
            _ => args.iter().fold(own, |blocks, arg| blocks | self.node(*arg).blocks),
        };
        let id = Id(self.nodes.len() as u32);
        let span = self.here.unwrap_or(Span::NONE);
        self.nodes.push(Node { op: key.0.clone(), args: key.1.clone(), shape, span, blocks });
        self.known.entry(key).or_default().push(id);
        id
    }

    /// Says where a term was written, if it has no place yet or was made on the way to this one.
    pub fn place(&mut self, id: Id, span: Span) {
        let node = &mut self.nodes[id.0 as usize];
        if node.span.is_none() {
            node.span = span;
        }
    }

    /// The number of nodes.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Says where a term stands if it is newer than the first `before` nodes.
    pub fn moved(&mut self, id: Id, before: usize, span: Span) {
        if id.0 as usize >= before {
            self.nodes[id.0 as usize].span = span;
        }
    }

    /// Whether a term has this name in it.
    pub fn mentions(&self, id: Id, name: &str) -> bool {
        match self.op(id) {
            Op::Name(own) => &**own == name,
            _ => self.node(id).args.iter().any(|arg| self.mentions(*arg, name)),
        }
    }
}

/// The product of dimensions.
pub fn dims_product(dims: &[Dim]) -> Dim {
    dims.iter().fold(Dim::constant(1), |product, dim| product.combine(dim, Poly::mul))
}
