//! The expressions of a part of a statement, without those of the queries in it.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Query, Visit, Visitor};

struct Outside<F> {
    each: F,
    depth: usize,
}

impl<F: FnMut(&Expr)> Visitor for Outside<F> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth == 0 {
            (self.each)(expr);
        }
        ControlFlow::Continue(())
    }
}

/// Looks at each expression that stands in no query of the part.
pub(super) fn outside_queries(part: &impl Visit, each: impl FnMut(&Expr)) {
    let _ = part.visit(&mut Outside { each, depth: 0 });
}
