//! What stands in a box: an expression with its inputs drawn as arrows. Products, calls and sums of these get boxes of their own; a
//! formula of names is one box. Where another box's value goes in, a dot stands in its place.

use super::trace::{Bound, Source, Tracer};
use super::{Edge, Kind, Learned, Node};
use crate::derive::tree::{self, rewrite_inside};
use crate::syntax::ast::{Arg, ArgValue, BinaryOp, Expr, ExprKind};
use crate::syntax::pretty;
use crate::types::names_in;

/// A formula longer than this is split into boxes; a text longer than the other is cut off.
const LONG: usize = 34;
const LONGEST: usize = 46;

/// Functions that are part of a formula, as `sqrt` is in `(1 + sqrt(1 + 4 * a^2)) / 2`.
const OF_FORMULAS: &[&str] =
    &["abs", "sign", "sqrt", "exp", "log", "max", "min", "square", "real", "norm", "norm1", "sumsq"];

/// What a box is being made of.
#[derive(Default)]
pub struct Draft {
    inputs: Vec<Source>,
    learned: Vec<Learned>,
    detail: String,
}

/// Where an expression stands in a box.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is the box.
    Top,
    /// In a formula; if `split`, parts that are no names get boxes of their own.
    Formula { split: bool },
}

impl Tracer<'_> {
    /// Whether a value comes from an input or a state.
    pub fn depends(&self, e: &Expr) -> bool {
        let mut found = false;
        names_in(e, &mut |name| found |= self.data.contains_key(name));
        found
    }

    /// Where a value comes from that depends on data; makes the boxes that it needs.
    pub fn source(&mut self, e: &Expr) -> Source {
        match &e.kind {
            ExprKind::Name(name) => {
                if let Some(Bound::One(source)) = self.data.get(name) {
                    return source.clone();
                }
            }
            ExprKind::Previous(name) => {
                if let Some(source) = self.previous.get(&name.text) {
                    return source.clone();
                }
            }
            ExprKind::Field { base, name } => {
                if let ExprKind::Name(record) = &base.kind
                    && let Some(Bound::Fields(fields)) = self.data.get(record)
                    && let Some((_, source)) = fields.iter().find(|(field, _)| *field == name.text)
                {
                    return source.clone();
                }
            }
            ExprKind::Block(block) => {
                let outer = self.data.clone();
                self.statements(&block.stmts);
                let source = block.value.as_ref().map(|value| self.source(value));
                self.data = outer;
                if let Some(source) = source {
                    return source;
                }
            }
            ExprKind::Loop(inner) if self.group.is_none() => match self.loop_value(inner) {
                Bound::One(source) => return source,
                Bound::Fields(fields) => {
                    let mut draft = Draft::default();
                    draft.inputs.extend(fields.iter().map(|(_, source)| source.clone()));
                    let names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
                    return self.finish(draft, format!("{{{}}}", names.join(", ")), Kind::Operation, e);
                }
            },
            _ => {}
        }
        if let Some(operands) = self.sum(e) {
            let inputs = operands.into_iter().map(|operand| self.source(operand)).collect();
            let draft = Draft { inputs, ..Draft::default() };
            return self.finish(draft, "+".to_string(), Kind::Sum, e);
        }
        let (nodes, edges) = (self.diagram.nodes.len(), self.diagram.edges.len());
        let made = self.made.clone();
        let mut draft = Draft::default();
        let mut label = one_line(&self.label(e, Place::Top, &mut draft));
        if label.chars().count() > LONG && is_formula(e) {
            // Too long for a box: once more, with boxes for its parts.
            self.diagram.nodes.truncate(nodes);
            self.diagram.edges.truncate(edges);
            self.made = made;
            draft = Draft::default();
            let split = self.parts(e, Place::Formula { split: true }, &mut draft);
            label = one_line(&split);
        }
        self.finish(draft, shortened(&label), Kind::Operation, e)
    }

    /// A box, or the one that was made before of the same.
    fn finish(&mut self, mut draft: Draft, label: String, kind: Kind, e: &Expr) -> Source {
        // What goes in twice is one arrow.
        let mut inputs: Vec<Source> = Vec::new();
        for input in draft.inputs.drain(..) {
            if !inputs.contains(&input) {
                inputs.push(input);
            }
        }
        let key = (label.clone(), inputs.clone());
        if let Some(node) = self.made.get(&key) {
            return Source { node: *node, name: String::new() };
        }
        let shape = self.shape(e);
        let node = Node {
            kind,
            label,
            detail: draft.detail,
            shape,
            learned: draft.learned,
            group: self.group,
            band: self.band,
        };
        let node = self.node(node);
        for input in inputs {
            self.diagram.edges.push(Edge { from: input.node, to: node, name: input.name, carried: false });
        }
        self.made.insert(key, node);
        Source { node, name: String::new() }
    }

    /// The operands of a sum that is drawn as a circle: boxes and names, at least one of them a box, all added.
    fn sum<'e>(&self, e: &'e Expr) -> Option<Vec<&'e Expr>> {
        let ExprKind::Chain { first, rest } = &e.kind else { return None };
        let operands: Vec<&Expr> = std::iter::once(&**first).chain(rest.iter().map(|(_, operand)| operand)).collect();
        let plain = rest.iter().all(|(op, _)| *op == BinaryOp::Add)
            && operands.iter().all(|e| self.depends(e) && (is_name(e) || is_heavy(e)))
            && operands.iter().any(|e| is_heavy(e));
        plain.then_some(operands)
    }

    /// A box's text, and what goes into it.
    fn label(&mut self, e: &Expr, place: Place, draft: &mut Draft) -> Expr {
        if !self.depends(e) {
            return self.constant(e, draft);
        }
        if let ExprKind::Name(_) | ExprKind::Previous(_) | ExprKind::Field { .. } = &e.kind
            && self.is_bound(e)
        {
            draft.inputs.push(self.source(e));
            return e.clone();
        }
        let in_formula = place != Place::Top;
        match &e.kind {
            ExprKind::Chain { .. } => match place {
                Place::Formula { split: true } => self.dot(e, draft),
                Place::Formula { split: false } => self.parts(e, place, draft),
                Place::Top => match self.single_product(e) {
                    // The affine map of a layer, `W @ x + b`, is one box.
                    Some(product) => self.with_inside(e, product, draft),
                    None => self.parts(e, Place::Formula { split: false }, draft),
                },
            },
            ExprKind::Neg(_) | ExprKind::Not(_) | ExprKind::Pow(..) | ExprKind::Compare { .. } => {
                self.parts(e, if in_formula { place } else { Place::Formula { split: false } }, draft)
            }
            ExprKind::Transpose(inner) | ExprKind::Index { base: inner, .. } | ExprKind::Field { base: inner, .. }
                if !in_formula || is_name(inner) =>
            {
                self.parts(e, Place::Formula { split: true }, draft)
            }
            ExprKind::Call { func, args } => {
                if in_formula && !(is_function_of_formulas(func) && plain_arguments(args)) {
                    return self.dot(e, draft);
                }
                let inside = if in_formula { place } else { Place::Formula { split: true } };
                self.instance(func, draft);
                let func = Box::new(self.constant(func, draft));
                let args = args.iter().map(|arg| self.argument(arg, inside, draft)).collect();
                Expr { kind: ExprKind::Call { func, args }, span: e.span }
            }
            ExprKind::MatMul(..) | ExprKind::Tuple(_) | ExprKind::Record(_) | ExprKind::If { .. } if !in_formula => {
                self.parts(e, Place::Formula { split: true }, draft)
            }
            _ if in_formula => self.dot(e, draft),
            // Loops in loops, comprehensions and the like: their text, and what they mention.
            _ => {
                let mut mentioned = Vec::new();
                names_in(e, &mut |name| mentioned.push(name.to_string()));
                mentioned.sort();
                mentioned.dedup();
                for name in mentioned {
                    match self.data.get(name.as_str()).cloned() {
                        Some(Bound::One(source)) => draft.inputs.push(source),
                        Some(Bound::Fields(fields)) => {
                            draft.inputs.extend(fields.into_iter().map(|(_, source)| source))
                        }
                        None => self.mention(&name, draft),
                    }
                }
                e.clone()
            }
        }
    }

    /// The parts of an expression in the same place.
    fn parts(&mut self, e: &Expr, place: Place, draft: &mut Draft) -> Expr {
        rewrite_inside(e, &mut |part| Some(self.label(part, place, draft)))
    }

    /// A box of its own, and a dot for its value.
    fn dot(&mut self, e: &Expr, draft: &mut Draft) -> Expr {
        let source = self.source(e);
        draft.inputs.push(source);
        tree::name("·")
    }

    /// The product in a sum or a multiple whose other parts are known.
    fn single_product<'e>(&self, e: &'e Expr) -> Option<&'e Expr> {
        let ExprKind::Chain { first, rest } = &e.kind else { return None };
        let mut data =
            std::iter::once(&**first).chain(rest.iter().map(|(_, operand)| operand)).filter(|e| self.depends(e));
        let only = data.next().filter(|_| data.next().is_none())?;
        match &only.kind {
            ExprKind::MatMul(a, _) if !self.depends(a) => Some(only),
            ExprKind::Chain { .. } => self.single_product(only),
            _ => None,
        }
    }

    /// The text of a chain with one product inside it in the same box.
    fn with_inside(&mut self, e: &Expr, product: &Expr, draft: &mut Draft) -> Expr {
        rewrite_inside(e, &mut |part| {
            Some(if part.span == product.span {
                self.label(part, Place::Top, draft)
            } else if matches!(part.kind, ExprKind::Chain { .. }) && self.depends(part) {
                self.with_inside(part, product, draft)
            } else {
                self.label(part, Place::Formula { split: false }, draft)
            })
        })
    }

    fn argument(&mut self, arg: &Arg, place: Place, draft: &mut Draft) -> Arg {
        let value = match &arg.value {
            ArgValue::Expr(e) => ArgValue::Expr(self.label(e, place, draft)),
            ArgValue::Each(marks, e) => ArgValue::Each(*marks, self.label(e, place, draft)),
            ArgValue::Generator { body, gens } => {
                let whole = Expr {
                    kind: ExprKind::Comprehension { body: Box::new(body.clone()), gens: gens.clone() },
                    span: arg.span,
                };
                self.label(&whole, Place::Top, draft);
                ArgValue::Generator { body: body.clone(), gens: gens.clone() }
            }
            ArgValue::Blank => ArgValue::Blank,
        };
        Arg { value, ..arg.clone() }
    }

    /// What does not depend on data stands in the box as it is written; of what each layer has, its own.
    fn constant(&mut self, e: &Expr, draft: &mut Draft) -> Expr {
        let mut names = Vec::new();
        names_in(e, &mut |name| names.push(name.to_string()));
        names.iter().for_each(|name| self.mention(name, draft));
        let Some(layer) = self.layer.clone() else { return e.clone() };
        tree::rewrite(e, &mut |part| {
            let ExprKind::Name(name) = &part.kind else { return None };
            let each = self.learned.iter().any(|learned| learned.each && learned.name == **name);
            each.then(|| tree::name(&format!("{name}[{layer}]")))
        })
    }

    fn mention(&mut self, name: &str, draft: &mut Draft) {
        if !self.mentioned.iter().any(|known| known == name) {
            self.mentioned.push(name.to_string());
        }
        if let Some(learned) = self.learned.iter().find(|learned| learned.name == name)
            && !draft.learned.contains(learned)
        {
            draft.learned.push(learned.clone());
        }
    }

    /// Of which template a called network is.
    fn instance(&self, func: &Expr, draft: &mut Draft) {
        if let ExprKind::Name(name) = &func.kind
            && let Some((_, of)) = self.instances.iter().find(|(own, _)| own == &**name)
        {
            draft.detail = of.clone();
        }
    }

    fn is_bound(&self, e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Name(name) => matches!(self.data.get(name), Some(Bound::One(_))),
            ExprKind::Previous(name) => self.previous.contains_key(&name.text),
            ExprKind::Field { base, .. } => match &base.kind {
                ExprKind::Name(name) => matches!(self.data.get(name), Some(Bound::Fields(_))),
                _ => false,
            },
            _ => false,
        }
    }
}

fn is_name(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Name(_) | ExprKind::Previous(_) => true,
        ExprKind::Field { base, .. } => is_name(base),
        _ => false,
    }
}

/// What has a box of its own.
fn is_heavy(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::MatMul(..) => true,
        ExprKind::Call { func, .. } => !is_function_of_formulas(func),
        _ => false,
    }
}

fn is_formula(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Chain { .. } | ExprKind::Pow(..) | ExprKind::Neg(_) | ExprKind::Compare { .. } => true,
        ExprKind::Call { func, .. } => is_function_of_formulas(func),
        _ => false,
    }
}

fn is_function_of_formulas(func: &Expr) -> bool {
    matches!(&func.kind, ExprKind::Name(name) if OF_FORMULAS.contains(&&**name))
}

fn plain_arguments(args: &[Arg]) -> bool {
    args.iter().all(|arg| matches!(arg.value, ArgValue::Expr(_)))
}

/// The text of an expression on one line.
pub fn one_line(e: &Expr) -> String {
    pretty::expr(e).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_string();
    }
    let kept: String = text.chars().take(LONGEST - 2).collect();
    format!("{} …", kept.trim_end())
}
