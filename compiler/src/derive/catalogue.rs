//! What a derivation may use: the functions, proximal operators, methods and problems of std, of used modules and of the
//! script, and the types of top-level values.

use super::term::Shape;
use crate::syntax::ast::{Custom, CustomKind, Fn, Item, ItemKind, Method, Module, Problem, Symbol};
use crate::types;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

#[derive(Clone, Default)]
pub struct Catalogue {
    functions: HashMap<Symbol, Rc<Fn>>,
    rules: HashMap<Symbol, Rc<Custom>>,
    /// Functions whose rule a module or the script declares.
    own_rules: HashSet<Symbol>,
    methods: HashMap<Symbol, Rc<Method>>,
    problems: HashMap<Symbol, Rc<Problem>>,
    /// Names that a module or the script defines, which hide what was defined before.
    own: HashSet<Symbol>,
    globals: types::Env,
}

impl Catalogue {
    /// Adds the definitions of std.
    pub fn add_std(&mut self, module: &Module) {
        self.add_items(&module.items, false);
    }

    /// Adds the definitions of a user's module, which hide those before.
    pub fn add_module(&mut self, module: &Module) {
        self.add_items(&module.items, true);
    }

    pub fn add_items(&mut self, items: &[Item], own: bool) {
        for item in items {
            let name = match &item.kind {
                ItemKind::Fn(function) => {
                    self.functions.insert(function.name.text.clone(), function.clone());
                    &function.name
                }
                ItemKind::Custom(rule) if rule.kind == CustomKind::Prox => {
                    self.rules.insert(rule.name.text.clone(), rule.clone());
                    if own {
                        self.own_rules.insert(rule.name.text.clone());
                    }
                    continue;
                }
                ItemKind::Method(method) => {
                    self.methods.insert(method.name.text.clone(), method.clone());
                    continue;
                }
                ItemKind::Problem(problem) => {
                    self.problems.insert(problem.name.text.clone(), problem.clone());
                    &problem.name
                }
                ItemKind::Solver(solver) => &solver.name,
                ItemKind::Network(network) => &network.name,
                ItemKind::SolverAlias { name, .. } | ItemKind::NetworkAlias { name, .. } => name,
                ItemKind::Let(binding) => {
                    if own {
                        types::names_bound(binding, &mut |name| {
                            self.own.insert(name.into());
                        });
                    }
                    continue;
                }
                ItemKind::Arg { binder, .. } => &binder.name,
                ItemKind::Use(_) | ItemKind::Precision(_) | ItemKind::Custom(_) | ItemKind::Test { .. } => continue,
                ItemKind::For { .. } | ItemKind::If { .. } | ItemKind::Print(_) | ItemKind::Assert(_) => continue,
                ItemKind::Expr(_) | ItemKind::Error => continue,
            };
            if own {
                self.own.insert(name.text.clone());
                // A function of a user hides a function of the same name and its operator.
                let redefined = !items
                    .iter()
                    .any(|item| matches!(&item.kind, ItemKind::Custom(rule) if rule.name.text == name.text));
                if redefined {
                    self.rules.remove(&name.text);
                }
            }
        }
    }

    pub fn set_globals(&mut self, globals: types::Env) {
        self.globals = globals;
    }

    /// The types of the names that a derivation sees.
    pub fn globals(&self) -> &types::Env {
        &self.globals
    }

    pub fn function(&self, name: &str) -> Option<&Rc<Fn>> {
        self.functions.get(name)
    }

    pub fn rule(&self, name: &str) -> Option<&Rc<Custom>> {
        self.rules.get(name)
    }

    /// The rule of a function is the user's: the names in it mean what they mean to the user.
    pub fn has_own_rule(&self, name: &str) -> bool {
        self.own_rules.contains(name)
    }

    /// A function that the script or a module defines in the place of another of this name.
    pub fn redefines(&self, name: &str) -> bool {
        self.own.contains(name) && self.functions.contains_key(name)
    }

    pub fn method(&self, name: &str) -> Option<&Rc<Method>> {
        self.methods.get(name)
    }

    pub fn methods(&self) -> Vec<Symbol> {
        let mut names: Vec<Symbol> = self.methods.keys().cloned().collect();
        names.sort();
        names
    }

    pub fn problem(&self, name: &str) -> Option<&Rc<Problem>> {
        self.problems.get(name)
    }

    pub fn problems(&self) -> Vec<Symbol> {
        let mut names: Vec<Symbol> = self.problems.keys().cloned().collect();
        names.sort();
        names
    }

    /// The script or a module defines this name itself.
    pub fn defines(&self, name: &str) -> bool {
        self.own.contains(name)
    }

    /// A function that is not called out, since its proximal operator or the functions of elements are known by its name.
    pub fn keeps(&self, name: &str) -> bool {
        let std = matches!(name, "soft" | "hard" | "relu" | "clip" | "leaky") && !self.defines(name);
        std || self.rules.contains_key(name)
    }

    /// The dimensions of a top-level value.
    pub fn shape_of_global(&self, name: &str) -> Shape {
        self.globals.shape_of_name(name)
    }
}
