//! The syntax tree: a value without ids or types. Every node has a span; items and statements carry
//! their comments and blank lines; a chain of operators of one left-associative precedence is one node.

use crate::source::Span;
use std::rc::Rc;

/// A name's text, shared.
pub type Symbol = Rc<str>;

/// A name at a place.
#[derive(Clone, PartialEq, Debug)]
pub struct Name {
    pub text: Symbol,
    pub span: Span,
}

/// What stands around an item, statement or clause and means nothing: kept for the formatter.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Trivia {
    /// Comment lines before it, each without the leading `#` and surrounding blanks.
    pub comments: Vec<String>,
    /// An empty line stood between these comments and it.
    pub blank_after_comments: bool,
    /// A comment at the end of its last line.
    pub trailing: Option<String>,
    /// A comment after the `{` of its first block.
    pub opening: Option<String>,
    /// Comment lines before the `}` of its blocks.
    pub closing: Vec<String>,
    /// An empty line stood before it (and before its comments).
    pub blank_before: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Module {
    pub items: Vec<Item>,
    /// Comments after the last item.
    pub end: Trivia,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    pub kind: ItemKind,
    pub span: Span,
    /// Lines of `##` comments before it, without the marks.
    pub doc: Vec<String>,
    pub trivia: Trivia,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ItemKind {
    Use(Path),
    Precision(Name),
    Arg {
        binder: Binder,
        default: Option<Expr>,
    },
    Fn(Rc<Fn>),
    Problem(Rc<Problem>),
    Method(Rc<Method>),
    Solver(Rc<Solver>),
    /// `solver NAME = expr`
    SolverAlias {
        name: Name,
        value: Expr,
    },
    Network(Rc<Network>),
    /// `network NAME = expr`
    NetworkAlias {
        name: Name,
        value: Expr,
    },
    Custom(Rc<Custom>),
    Test {
        name: String,
        name_span: Span,
        items: Vec<Item>,
    },
    Let(Let),
    For {
        var: Name,
        range: Range,
        body: Vec<Item>,
    },
    If {
        cond: Expr,
        then: Vec<Item>,
        otherwise: Vec<Item>,
    },
    Print(Vec<Expr>),
    Assert(Vec<Expr>),
    Expr(Expr),
    /// Text that did not parse; a diagnostic was reported.
    Error,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Fn {
    pub name: Name,
    pub params: Vec<Param>,
    pub result: Option<Type>,
    /// A block if written with braces.
    pub body: Expr,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Param {
    pub name: Name,
    /// Absent only in lambdas.
    pub ty: Option<Type>,
    pub default: Option<Expr>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CustomKind {
    Prox,
    Derivative,
}

/// `prox f(args; t) = ...` or `derivative f(args; dargs) [-> y] = ...`.
#[derive(Clone, PartialEq, Debug)]
pub struct Custom {
    pub kind: CustomKind,
    pub name: Name,
    pub args: Vec<Name>,
    /// After the semicolon: the step of a prox, the tangents of a derivative.
    pub after: Vec<Name>,
    /// `-> y`: the name under which the result itself may be used.
    pub result: Option<Name>,
    pub body: Expr,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Problem {
    pub name: Name,
    pub params: Vec<Param>,
    pub lets: Vec<Let>,
    pub maximize: bool,
    pub over: Vec<Binder>,
    pub over_trivia: Trivia,
    pub objective: Expr,
    pub objective_trivia: Trivia,
    pub constraints: Vec<Constraint>,
    pub constraints_trivia: Trivia,
}

/// An inequality, or `expr in set`.
#[derive(Clone, PartialEq, Debug)]
pub struct Constraint {
    pub expr: Expr,
    pub set: Option<Expr>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Method {
    pub name: Name,
    pub roles: Vec<Role>,
    pub over: Vec<Name>,
    pub body: SolverBody,
}

/// `f: smooth`, `g: proximable of K`.
#[derive(Clone, PartialEq, Debug)]
pub struct Role {
    pub name: Name,
    pub role: Name,
    pub of: Option<Name>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Solver {
    pub name: Name,
    pub params: Vec<Param>,
    /// The expression after `->`, over states, lets and parameters.
    pub result: Expr,
    pub body: SolverBody,
}

#[derive(Clone, PartialEq, Debug)]
pub struct SolverBody {
    pub lets: Vec<Let>,
    pub states: Vec<Init>,
    /// For each line of `state`: the number of states before it, and what stands around it.
    pub state_trivia: Vec<(usize, Trivia)>,
    /// `step k { ... }`: the number of passes done before.
    pub counter: Option<Name>,
    /// Lets and assignments only.
    pub step: Vec<Stmt>,
    pub step_trivia: Trivia,
    pub until: Option<Until>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Until {
    pub cond: Expr,
    pub within: Option<Expr>,
    pub span: Span,
    pub trivia: Trivia,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Network {
    pub name: Name,
    /// The first of two parameter lists: a template.
    pub template: Option<Vec<Param>>,
    pub params: Vec<Param>,
    pub result: Option<Type>,
    pub body: Block,
}

/// `let a = e, b: real[n] = e` or `let (a, b) = e`.
#[derive(Clone, PartialEq, Debug)]
pub struct Let {
    pub kind: LetKind,
    pub span: Span,
    pub trivia: Trivia,
}

#[derive(Clone, PartialEq, Debug)]
pub enum LetKind {
    Inits(Vec<Init>),
    Tuple(Vec<Name>, Expr),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Init {
    pub binder: Binder,
    pub value: Expr,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Binder {
    pub name: Name,
    pub ty: Option<Type>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Block {
    pub stmts: Vec<Stmt>,
    /// The last expression; absent only after a reported mistake.
    pub value: Option<Box<Expr>>,
    pub value_trivia: Trivia,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Stmt {
    pub kind: StmtKind,
    pub span: Span,
    pub trivia: Trivia,
}

#[derive(Clone, PartialEq, Debug)]
pub enum StmtKind {
    Let(Let),
    /// `param W: real[m, n] = glorot, ...`: only at the top of a network's block.
    Param(Vec<Init>),
    /// `place <- expr`: only in step, loop and update.
    Assign {
        place: Path,
        value: Expr,
    },
}

/// `net.k[s]`, `Z[i, j]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Path {
    pub root: Name,
    pub parts: Vec<PathPart>,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum PathPart {
    Field(Name),
    Index(Vec<Index>),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    Int(i64),
    /// The value, and the text as written.
    Real(f64, Symbol),
    Str(Symbol),
    Bool(bool),
    /// `?`
    Hole,
    Name(Symbol),
    /// `previous y`
    Previous(Name),
    Tuple(Vec<Expr>),
    Array(Vec<Expr>),
    Comprehension {
        body: Box<Expr>,
        gens: Vec<Generator>,
    },
    Record(Vec<(Name, Expr)>),
    Block(Block),
    Loop(Box<Loop>),
    If {
        cond: Box<Expr>,
        then: Box<Expr>,
        otherwise: Box<Expr>,
    },
    Lambda {
        params: Vec<Param>,
        body: Rc<Expr>,
    },
    Unroll {
        call: Box<Expr>,
        count: Box<Expr>,
        backprop: Option<Box<Expr>>,
        checkpoint: Option<Checkpoint>,
        learn: Option<Learn>,
    },
    Implicit(Box<Expr>),
    Trace {
        call: Box<Expr>,
        count: Box<Expr>,
        every: Option<Box<Expr>>,
        record: Vec<(Name, Expr)>,
    },
    Derive {
        path: Path,
        by: Option<Box<Expr>>,
        form: Option<Name>,
    },
    Train(Box<Train>),
    Neg(Box<Expr>),
    Not(Box<Expr>),
    /// One precedence level of left-associative operators: `or`, `and`, `+ -`, `* / // %`.
    Chain {
        first: Box<Expr>,
        rest: Vec<(BinaryOp, Expr)>,
    },
    /// Grouping to the right.
    MatMul(Box<Expr>, Box<Expr>),
    Pow(Box<Expr>, Box<Expr>),
    Compare {
        op: CompareOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Transpose(Box<Expr>),
    Call {
        func: Box<Expr>,
        args: Vec<Arg>,
    },
    Index {
        base: Box<Expr>,
        indices: Vec<Index>,
    },
    Field {
        base: Box<Expr>,
        name: Name,
    },
    /// Text that did not parse; a diagnostic was reported.
    Error,
}

/// `checkpoint` with or without the number of states to keep.
#[derive(Clone, PartialEq, Debug)]
pub struct Checkpoint {
    pub keep: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinaryOp {
    Or,
    And,
    Add,
    Sub,
    Mul,
    Div,
    IntDiv,
    Mod,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompareOp {
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Generator {
    pub name: Name,
    pub range: Range,
}

/// `n` (from 0), `a:b`, or at the top level a list.
#[derive(Clone, PartialEq, Debug)]
pub struct Range {
    pub start: Option<Box<Expr>>,
    /// The end, or the whole expression.
    pub end: Box<Expr>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Arg {
    pub name: Option<Name>,
    pub value: ArgValue,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ArgValue {
    /// `_`
    Blank,
    Expr(Expr),
    /// `each X`, `each each X`: the number of marks.
    Each(usize, Expr),
    /// `e for i in n, j in m`: the only argument of a reduction.
    Generator {
        body: Expr,
        gens: Vec<Generator>,
    },
}

#[derive(Clone, PartialEq, Debug)]
pub enum Index {
    At(Expr),
    Range { start: Option<Expr>, end: Option<Expr>, step: Option<Expr>, span: Span },
}

#[derive(Clone, PartialEq, Debug)]
pub struct Loop {
    pub inits: Vec<Init>,
    pub kind: LoopKind,
    pub checkpoint: Option<Checkpoint>,
    /// Lets and assignments only.
    pub body: Vec<Stmt>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum LoopKind {
    For { var: Option<Name>, range: Range },
    Until { cond: Expr, within: Expr },
}

#[derive(Clone, PartialEq, Debug)]
pub struct Learn {
    pub lifted: Vec<Lifted>,
    pub from: Option<Box<Expr>>,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Lifted {
    pub each: bool,
    pub name: Name,
    pub ty: Option<Type>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Train {
    pub paths: Vec<Path>,
    pub clauses: Vec<Clause>,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Clause {
    pub kind: ClauseKind,
    pub span: Span,
    pub trivia: Trivia,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ClauseKind {
    /// `each pattern in data [batch n]`
    Each {
        pattern: Pattern,
        data: Expr,
        batch: Option<Expr>,
    },
    /// `batch pattern in data of n`
    Batch {
        pattern: Pattern,
        data: Expr,
        of: Expr,
    },
    Let(Let),
    State(Vec<Init>),
    Objective {
        maximize: bool,
        value: Expr,
        over: Vec<Path>,
        using: Vec<Using>,
        repeat: Option<Expr>,
    },
    Using(Vec<Using>),
    /// `epochs [k in] n`
    Epochs {
        var: Option<Name>,
        count: Expr,
    },
    /// `steps [k in] n`
    Steps {
        var: Option<Name>,
        count: Expr,
    },
    Update(Vec<Stmt>),
    Record {
        fields: Vec<(Name, Expr)>,
        every: Option<Expr>,
    },
    Keep {
        highest: bool,
        name: Name,
        patience: Option<Expr>,
    },
    Until(Expr),
    Error,
}

/// `adam(1e-3) [for net.W]`
#[derive(Clone, PartialEq, Debug)]
pub struct Using {
    pub optimizer: Expr,
    pub path: Option<Path>,
}

/// `x` or `(x, y)`
#[derive(Clone, PartialEq, Debug)]
pub struct Pattern {
    pub names: Vec<Name>,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Type {
    pub kind: TypeKind,
    pub span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ScalarKind {
    Real,
    Int,
    Bool,
    Key,
    Str,
}

#[derive(Clone, PartialEq, Debug)]
pub enum TypeKind {
    /// `real`, `real[m, n]`: no dimensions for a scalar.
    Array {
        kind: ScalarKind,
        dims: Vec<Expr>,
    },
    Tuple(Vec<Type>),
    Record(Vec<(Name, Type)>),
    Fn {
        params: Vec<Type>,
        result: Box<Type>,
    },
    Error,
}
