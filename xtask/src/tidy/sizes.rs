//! Sizes that keep a file readable in five minutes: lines, parameters, nesting, items in a crate's root.

use super::source::{Source, is_test};
use super::{Finding, Tree};
use syn::spanned::Spanned;
use syn::visit::Visit;

const MAX_FILE_LINES: usize = 600;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_PARAMETERS: usize = 5;
const MAX_KERNEL_PARAMETERS: usize = 8;
const MAX_NESTING: usize = 4;
/// A kernel walks rows, columns and depth before it decides anything.
const MAX_KERNEL_NESTING: usize = 5;
const MAX_ROOT_ITEMS: usize = 20;

/// Files that are longer than 600 lines before their tests.
pub fn files(tree: &Tree) -> Vec<Finding> {
    let long = tree.sources.iter().filter(|source| source.lines_before_tests() > MAX_FILE_LINES);
    let text =
        |lines: usize| format!("{lines} lines before the tests, {MAX_FILE_LINES} at most; split it by idea");
    long.map(|source| Finding::new(&source.path, 1, text(source.lines_before_tests()))).collect()
}

/// Functions that are longer than 70 lines.
pub fn functions(tree: &Tree) -> Vec<Finding> {
    over(tree, |function, _| {
        (function.lines > MAX_FUNCTION_LINES).then(|| {
            format!("`{}` has {} lines, {MAX_FUNCTION_LINES} at most", function.name, function.lines)
        })
    })
}

/// Functions that take more than five values (a kernel eight), not counting `self`.
pub fn parameters(tree: &Tree) -> Vec<Finding> {
    over(tree, |function, source| {
        let limit = if is_kernel(source) { MAX_KERNEL_PARAMETERS } else { MAX_PARAMETERS };
        let too_many = function.is_own_shape && function.parameters > limit;
        too_many.then(|| {
            format!(
                "`{}` takes {} values, {limit} at most; make a struct",
                function.name, function.parameters
            )
        })
    })
}

/// Public functions with a bare `bool` among their parameters.
pub fn bool_parameters(tree: &Tree) -> Vec<Finding> {
    over(tree, |function, _| {
        let wrong = function.is_own_shape && function.is_public && function.takes_bool;
        wrong
            .then(|| format!("`{}` takes a bool; an enum or two functions tell a reader more", function.name))
    })
}

/// Functions whose loops and decisions stand too deep inside each other.
pub fn nesting(tree: &Tree) -> Vec<Finding> {
    over(tree, |function, source| {
        let limit = if is_kernel(source) { MAX_KERNEL_NESTING } else { MAX_NESTING };
        let text =
            || format!("`{}` nests {} deep, {limit} at most; return early", function.name, function.nesting);
        (function.nesting > limit).then(text)
    })
}

/// Crate roots that offer more than 20 public items.
pub fn crate_roots(tree: &Tree) -> Vec<Finding> {
    let roots = tree.sources.iter().filter(|source| source.path.ends_with("/src/lib.rs"));
    let counted = roots.map(|source| (source, source.file.items.iter().map(public_items).sum::<usize>()));
    let crowded = counted.filter(|(_, count)| *count > MAX_ROOT_ITEMS);
    let text = |count| format!("{count} public items in the crate's root, {MAX_ROOT_ITEMS} at most");
    crowded.map(|(source, count)| Finding::new(&source.path, 1, text(count))).collect()
}

fn is_kernel(source: &Source) -> bool {
    source.path.starts_with("crates/kernels/src/")
}

/// What the rules want to know of a function.
struct Function {
    name: String,
    line: usize,
    lines: usize,
    parameters: usize,
    takes_bool: bool,
    is_public: bool,
    /// False where another's trait dictates the parameters.
    is_own_shape: bool,
    nesting: usize,
}

fn over(tree: &Tree, judge: impl Fn(&Function, &Source) -> Option<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        let mut walker = Functions::default();
        walker.visit_file(&source.file);
        let shipped = walker.found.iter().filter(|function| !source.is_test(function.line));
        let judged = shipped.filter_map(|function| Some((function.line, judge(function, source)?)));
        findings.extend(judged.map(|(line, text)| Finding::new(&source.path, line, text)));
    }
    findings
}

#[derive(Default)]
struct Functions {
    found: Vec<Function>,
    in_trait_impl: bool,
    in_public_trait: bool,
}

impl Functions {
    fn note(&mut self, signature: &syn::Signature, block: Option<&syn::Block>, is_public: bool) {
        let first = signature.span().start().line;
        let last = block.map_or(signature.span().end().line, |block| block.span().end().line);
        let typed = signature.inputs.iter().filter_map(|input| match input {
            syn::FnArg::Typed(typed) => Some(&*typed.ty),
            syn::FnArg::Receiver(_) => None,
        });
        self.found.push(Function {
            name: signature.ident.to_string(),
            line: first,
            lines: last - first + 1,
            parameters: typed.clone().count(),
            takes_bool: typed.clone().any(is_bool),
            is_public,
            is_own_shape: !self.in_trait_impl,
            nesting: block.map_or(0, depth),
        });
    }
}

fn is_bool(kind: &syn::Type) -> bool {
    matches!(kind, syn::Type::Path(path) if path.path.is_ident("bool"))
}

fn is_public(visibility: &syn::Visibility) -> bool {
    matches!(visibility, syn::Visibility::Public(_))
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.note(&item.sig, Some(&item.block), is_public(&item.vis));
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let outer = std::mem::replace(&mut self.in_trait_impl, item.trait_.is_some());
        syn::visit::visit_item_impl(self, item);
        self.in_trait_impl = outer;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(&item.sig, Some(&item.block), is_public(&item.vis));
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        let outer = std::mem::replace(&mut self.in_public_trait, is_public(&item.vis));
        syn::visit::visit_item_trait(self, item);
        self.in_public_trait = outer;
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.note(&item.sig, item.default.as_ref(), self.in_public_trait);
        syn::visit::visit_trait_item_fn(self, item);
    }
}

fn depth(block: &syn::Block) -> usize {
    let mut walker = Depth::default();
    walker.visit_block(block);
    walker.deepest
}

#[derive(Default)]
struct Depth {
    now: usize,
    deepest: usize,
}

impl Depth {
    fn inside(&mut self, walk: impl FnOnce(&mut Self)) {
        self.now += 1;
        self.deepest = self.deepest.max(self.now);
        walk(self);
        self.now -= 1;
    }
}

impl<'ast> Visit<'ast> for Depth {
    fn visit_expr_if(&mut self, item: &'ast syn::ExprIf) {
        self.visit_expr(&item.cond);
        self.inside(|walker| walker.visit_block(&item.then_branch));
        // An `else if` stands beside its `if`, not inside it.
        match item.else_branch.as_ref().map(|(_, other)| &**other) {
            Some(syn::Expr::If(chained)) => self.visit_expr_if(chained),
            Some(other) => self.inside(|walker| syn::visit::visit_expr(walker, other)),
            None => {}
        }
    }

    fn visit_expr_for_loop(&mut self, item: &'ast syn::ExprForLoop) {
        self.inside(|walker| syn::visit::visit_expr_for_loop(walker, item));
    }

    fn visit_expr_while(&mut self, item: &'ast syn::ExprWhile) {
        self.inside(|walker| syn::visit::visit_expr_while(walker, item));
    }

    fn visit_expr_loop(&mut self, item: &'ast syn::ExprLoop) {
        self.inside(|walker| syn::visit::visit_expr_loop(walker, item));
    }

    fn visit_expr_match(&mut self, item: &'ast syn::ExprMatch) {
        self.inside(|walker| syn::visit::visit_expr_match(walker, item));
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {
        // A function inside a function is counted for itself.
    }
}

fn public_items(item: &syn::Item) -> usize {
    use syn::Item;
    match item {
        Item::Use(item) if is_public(&item.vis) => leaves(&item.tree),
        Item::Mod(item) => usize::from(is_public(&item.vis) && !is_test(&item.attrs)),
        Item::Fn(item) => usize::from(is_public(&item.vis)),
        Item::Struct(item) => usize::from(is_public(&item.vis)),
        Item::Enum(item) => usize::from(is_public(&item.vis)),
        Item::Trait(item) => usize::from(is_public(&item.vis)),
        Item::Type(item) => usize::from(is_public(&item.vis)),
        Item::Const(item) => usize::from(is_public(&item.vis)),
        Item::Static(item) => usize::from(is_public(&item.vis)),
        _ => 0,
    }
}

fn leaves(tree: &syn::UseTree) -> usize {
    match tree {
        syn::UseTree::Path(path) => leaves(&path.tree),
        syn::UseTree::Group(group) => group.items.iter().map(leaves).sum(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::tests::lines;

    const PATH: &str = "crates/base/src/a.rs";

    #[test]
    fn a_long_file_is_caught_and_long_tests_are_not() {
        let lines_of = |n: usize| "const A: u8 = 0;\n".repeat(n);
        assert_eq!(lines(files, PATH, &lines_of(601)), [1]);
        let tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines_of(600), lines_of(50));
        assert!(lines(files, PATH, &tests).is_empty());
    }

    #[test]
    fn a_long_function_is_caught() {
        let body = |n: usize| format!("\nfn a() {{\n{}}}\n", "    work();\n".repeat(n));
        assert_eq!(lines(functions, PATH, &body(69)), [2]);
        assert!(lines(functions, PATH, &body(68)).is_empty());
    }

    #[test]
    fn too_many_parameters_are_caught() {
        let six = "fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {}";
        assert_eq!(lines(parameters, PATH, six), [1]);
        assert!(lines(parameters, "crates/kernels/src/a.rs", six).is_empty());
        let nine = "fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8) {}";
        assert_eq!(lines(parameters, "crates/kernels/src/a.rs", nine), [1]);
        assert!(
            lines(parameters, PATH, "trait T { fn f(&self, a: u8, b: u8, c: u8, d: u8, e: u8); }").is_empty()
        );
    }

    #[test]
    fn a_public_bool_is_caught_and_a_foreign_one_is_not() {
        assert_eq!(lines(bool_parameters, PATH, "pub fn f(fast: bool) {}"), [1]);
        assert_eq!(lines(bool_parameters, PATH, "pub trait T { fn f(&self, fast: bool); }"), [1]);
        assert!(lines(bool_parameters, PATH, "impl T for U { fn f(&self, fast: bool) {} }").is_empty());
        assert!(lines(bool_parameters, PATH, "fn f(fast: bool) {}").is_empty());
    }

    #[test]
    fn deep_nesting_is_caught_and_a_chain_is_not() {
        let deep = "fn f() { for a in b { if c { while d { match e { _ => loop {} } } } } }";
        assert_eq!(lines(nesting, PATH, deep), [1]);
        assert!(lines(nesting, "crates/kernels/src/a.rs", deep).is_empty());
        let chain = "fn f() { if a {} else if b {} else if c {} else if d {} else if e {} else {} }";
        assert!(lines(nesting, PATH, chain).is_empty());
    }

    #[test]
    fn a_crowded_root_is_caught() {
        let modules: String = (0..18).map(|n| format!("pub mod m{n};\n")).collect();
        let root = "crates/base/src/lib.rs";
        assert!(lines(crate_roots, root, &format!("{modules}pub use m1::{{A, B}};")).is_empty());
        assert_eq!(lines(crate_roots, root, &format!("{modules}pub use m1::{{A, B, C}};")), [1]);
    }
}
