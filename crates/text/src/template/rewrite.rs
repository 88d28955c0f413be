//! Rewrites a parsed template so that every operation on values is one of ours.
//!
//! The engine's own operators know no budget (`s ~ s` in a loop doubles a string each time) and no marks. Here
//! `a + b` becomes a call of the filter `#add`, a name that no template can spell; so do comparisons, slices,
//! subscripts, methods, list and map literals. Statements that reach other templates are refused. The engine keeps
//! parsing, scopes, loops, macros, short circuits and fuel.

use minijinja::Value;
use minijinja::machinery::Span;
use minijinja::machinery::ast::{self, BinOpKind, CallArg, CompareOpKind, Expr, Spanned, Stmt, UnaryOpKind};

/// A statement that a chat template may not use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Refused(pub &'static str);

/// Whether a statement stands where it may run many times.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Once,
    Repeated,
}

/// The rewritten template.
pub(crate) fn template<'a>(root: &Stmt<'a>) -> Result<Stmt<'a>, Refused> {
    statement(root, Place::Once)
}

fn statements<'a>(body: &[Stmt<'a>], place: Place) -> Result<Vec<Stmt<'a>>, Refused> {
    body.iter().map(|child| statement(child, place)).collect()
}

fn statement<'a>(node: &Stmt<'a>, place: Place) -> Result<Stmt<'a>, Refused> {
    Ok(match node {
        Stmt::Template(n) => {
            Stmt::Template(at(n.span(), ast::Template { children: statements(&n.children, place)? }))
        }
        Stmt::EmitExpr(n) => Stmt::EmitExpr(at(n.span(), ast::EmitExpr { expr: expression(&n.expr) })),
        // Raw text goes through the formatter too, which counts it.
        Stmt::EmitRaw(n) => {
            Stmt::EmitExpr(at(n.span(), ast::EmitExpr { expr: constant(Value::from(n.raw), n.span()) }))
        }
        Stmt::ForLoop(n) => for_loop(n)?,
        Stmt::IfCond(n) => {
            let (true_body, false_body) =
                (statements(&n.true_body, place)?, statements(&n.false_body, place)?);
            Stmt::IfCond(at(n.span(), ast::IfCond { expr: expression(&n.expr), true_body, false_body }))
        }
        Stmt::WithBlock(n) => {
            let assign = |(name, value): &(Expr<'a>, Expr<'a>)| (target(name), expression(value));
            let assignments = n.assignments.iter().map(assign).collect();
            Stmt::WithBlock(at(n.span(), ast::WithBlock { assignments, body: statements(&n.body, place)? }))
        }
        Stmt::Set(n) => {
            Stmt::Set(at(n.span(), ast::Set { target: target(&n.target), expr: expression(&n.expr) }))
        }
        Stmt::SetBlock(n) => {
            let (target, filter) = (target(&n.target), n.filter.as_ref().map(expression));
            Stmt::SetBlock(at(n.span(), ast::SetBlock { target, filter, body: statements(&n.body, place)? }))
        }
        Stmt::FilterBlock(n) => {
            let body = statements(&n.body, place)?;
            Stmt::FilterBlock(at(n.span(), ast::FilterBlock { filter: expression(&n.filter), body }))
        }
        // A macro keeps what it sees alive; made in a loop, they could form a chain without end.
        Stmt::Macro(_) if place == Place::Repeated => return Err(Refused("macro inside a loop or macro")),
        Stmt::Macro(n) => Stmt::Macro(macro_of(n)?),
        Stmt::Do(n) => {
            let ignored = Expr::Var(at(n.span(), ast::Var { id: "#ignored" }));
            Stmt::Set(at(n.span(), ast::Set { target: ignored, expr: call(&n.call) }))
        }
        Stmt::Continue(n) => Stmt::Continue(at(n.span(), ast::Continue)),
        Stmt::Break(n) => Stmt::Break(at(n.span(), ast::Break)),
        Stmt::AutoEscape(_) => return Err(Refused("autoescape")),
        Stmt::Block(_) => return Err(Refused("block")),
        Stmt::Import(_) | Stmt::FromImport(_) => return Err(Refused("import")),
        Stmt::Extends(_) => return Err(Refused("extends")),
        Stmt::Include(_) => return Err(Refused("include")),
        Stmt::CallBlock(_) if place == Place::Repeated => return Err(Refused("call inside a loop or macro")),
        Stmt::CallBlock(n) => Stmt::CallBlock(at(
            n.span(),
            ast::CallBlock {
                call: at(n.call.span(), plain_call(&n.call)?),
                macro_decl: macro_of(&n.macro_decl)?,
            },
        )),
    })
}

fn for_loop<'a>(n: &Spanned<ast::ForLoop<'a>>) -> Result<Stmt<'a>, Refused> {
    let node = ast::ForLoop {
        target: target(&n.target),
        iter: filter("#iterable", expression(&n.iter), [], n.span()),
        filter_expr: n.filter_expr.as_ref().map(expression),
        recursive: n.recursive,
        body: statements(&n.body, Place::Repeated)?,
        else_body: statements(&n.else_body, Place::Repeated)?,
    };
    Ok(Stmt::ForLoop(at(n.span(), node)))
}

fn macro_of<'a>(n: &Spanned<ast::Macro<'a>>) -> Result<Spanned<ast::Macro<'a>>, Refused> {
    let node = ast::Macro {
        name: n.name,
        args: n.args.iter().map(target).collect(),
        defaults: n.defaults.iter().map(expression).collect(),
        body: statements(&n.body, Place::Repeated)?,
    };
    Ok(at(n.span(), node))
}

/// The call of a call block: of a macro by its name.
fn plain_call<'a>(n: &Spanned<ast::Call<'a>>) -> Result<ast::Call<'a>, Refused> {
    match &n.expr {
        Expr::Var(_) => Ok(ast::Call { expr: expression(&n.expr), args: arguments(&n.args) }),
        _ => Err(Refused("call of what is no macro")),
    }
}

/// The left side of an assignment, unchanged.
fn target<'a>(node: &Expr<'a>) -> Expr<'a> {
    match node {
        Expr::List(n) => Expr::List(at(n.span(), ast::List { items: n.items.iter().map(target).collect() })),
        Expr::GetAttr(n) => Expr::GetAttr(at(n.span(), ast::GetAttr { expr: target(&n.expr), name: n.name })),
        other => expression(other),
    }
}

fn expression<'a>(node: &Expr<'a>) -> Expr<'a> {
    let span = node.span();
    let optional = |part: &Option<Expr<'a>>| part.as_ref().map_or_else(|| constant(none(), span), expression);
    match node {
        Expr::Var(n) => Expr::Var(at(span, ast::Var { id: n.id })),
        Expr::Const(n) => constant(n.value.clone(), span),
        Expr::Slice(n) => {
            let bounds = [optional(&n.start), optional(&n.stop), optional(&n.step)];
            filter("#slice", expression(&n.expr), bounds, span)
        }
        Expr::UnaryOp(n) => {
            #[expect(clippy::needless_match, reason = "the engine's type cannot be copied")]
            let op = match n.op {
                UnaryOpKind::Not => UnaryOpKind::Not,
                UnaryOpKind::Neg => UnaryOpKind::Neg,
            };
            Expr::UnaryOp(at(span, ast::UnaryOp { op, expr: expression(&n.expr) }))
        }
        Expr::BinOp(n) => binary(n),
        Expr::Compare(n) => compare(n),
        Expr::IfExpr(n) => Expr::IfExpr(at(
            span,
            ast::IfExpr {
                test_expr: expression(&n.test_expr),
                true_expr: expression(&n.true_expr),
                false_expr: n.false_expr.as_ref().map(expression),
            },
        )),
        Expr::Filter(n) => Expr::Filter(at(
            span,
            ast::Filter { name: n.name, expr: n.expr.as_ref().map(expression), args: arguments(&n.args) },
        )),
        Expr::Test(n) => Expr::Test(at(
            span,
            ast::Test { name: n.name, expr: expression(&n.expr), args: arguments(&n.args) },
        )),
        Expr::GetAttr(n) => {
            filter("#attribute", expression(&n.expr), [constant(Value::from(n.name), span)], span)
        }
        Expr::GetItem(n) => filter("#item", expression(&n.expr), [expression(&n.subscript_expr)], span),
        Expr::Call(n) => call(n),
        Expr::List(n) => build("#list", n.items.iter().map(expression), span),
        Expr::Map(n) => {
            let pairs =
                n.keys.iter().zip(&n.values).flat_map(|(key, value)| [expression(key), expression(value)]);
            build("#map", pairs, span)
        }
    }
}

fn binary<'a>(n: &Spanned<ast::BinOp<'a>>) -> Expr<'a> {
    let (left, right, span) = (expression(&n.left), expression(&n.right), n.span());
    let name = match n.op {
        BinOpKind::ScAnd | BinOpKind::ScOr => {
            return Expr::BinOp(at(span, ast::BinOp { op: n.op, left, right }));
        }
        BinOpKind::Eq => "#eq",
        BinOpKind::Ne => "#ne",
        BinOpKind::Lt => "#lt",
        BinOpKind::Lte => "#le",
        BinOpKind::Gt => "#gt",
        BinOpKind::Gte => "#ge",
        BinOpKind::In => "#in",
        BinOpKind::Add => "#add",
        BinOpKind::Sub => "#sub",
        BinOpKind::Mul => "#mul",
        BinOpKind::Div => "#div",
        BinOpKind::FloorDiv => "#floordiv",
        BinOpKind::Rem => "#rem",
        BinOpKind::Pow => "#pow",
        BinOpKind::Concat => "#concat",
    };
    filter(name, left, [right], span)
}

/// `a < b < c` is `a < b and b < c`.
fn compare<'a>(n: &Spanned<ast::Compare<'a>>) -> Expr<'a> {
    let span = n.span();
    let mut left = &n.expr;
    let mut all: Option<Expr<'a>> = None;
    for op in &n.ops {
        let name = match op.op {
            CompareOpKind::Eq => "#eq",
            CompareOpKind::Ne => "#ne",
            CompareOpKind::Lt => "#lt",
            CompareOpKind::Lte => "#le",
            CompareOpKind::Gt => "#gt",
            CompareOpKind::Gte => "#ge",
            CompareOpKind::In => "#in",
            CompareOpKind::NotIn => "#notin",
        };
        let one = filter(name, expression(left), [expression(&op.expr)], span);
        all = Some(match all {
            None => one,
            Some(before) => {
                Expr::BinOp(at(span, ast::BinOp { op: BinOpKind::ScAnd, left: before, right: one }))
            }
        });
        left = &op.expr;
    }
    all.unwrap_or_else(|| expression(&n.expr))
}

fn call<'a>(n: &Spanned<ast::Call<'a>>) -> Expr<'a> {
    let span = n.span();
    let mut args = arguments(&n.args);
    if let Expr::GetAttr(method) = &n.expr {
        args.insert(0, CallArg::Pos(constant(Value::from(method.name), span)));
        let expr = Some(expression(&method.expr));
        return Expr::Filter(at(span, ast::Filter { name: "#method", expr, args }));
    }
    Expr::Call(at(span, ast::Call { expr: expression(&n.expr), args }))
}

fn arguments<'a>(args: &[CallArg<'a>]) -> Vec<CallArg<'a>> {
    let argument = |arg: &CallArg<'a>| match arg {
        CallArg::Pos(value) => CallArg::Pos(expression(value)),
        CallArg::Kwarg(name, value) => CallArg::Kwarg(name, expression(value)),
        CallArg::PosSplat(value) => CallArg::PosSplat(expression(value)),
        CallArg::KwargSplat(value) => CallArg::KwargSplat(expression(value)),
    };
    args.iter().map(argument).collect()
}

fn filter<'a, const N: usize>(
    name: &'static str,
    expr: Expr<'a>,
    args: [Expr<'a>; N],
    span: Span,
) -> Expr<'a> {
    let args = args.into_iter().map(CallArg::Pos).collect();
    Expr::Filter(at(span, ast::Filter { name, expr: Some(expr), args }))
}

fn build<'a>(name: &'static str, items: impl Iterator<Item = Expr<'a>>, span: Span) -> Expr<'a> {
    let expr = Expr::Var(at(span, ast::Var { id: name }));
    Expr::Call(at(span, ast::Call { expr, args: items.map(CallArg::Pos).collect() }))
}

fn constant<'a>(value: Value, span: Span) -> Expr<'a> {
    Expr::Const(at(span, ast::Const { value }))
}

fn none() -> Value {
    Value::from(())
}

fn at<T>(span: Span, node: T) -> Spanned<T> {
    Spanned::new(node, span)
}
