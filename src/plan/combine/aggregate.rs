//! Aggregates taken apart: what the shards compute of them, and how that is put together.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, OrderBySort, Visit, Visitor,
};

use super::{Call, Column, Combiner, distinct_name, key_name};
use crate::plan::exact::Number;
use crate::plan::functions::{FunctionKind, classify};
use crate::plan::shape::{RefKind, bare, has_query, is_aggregated};
use crate::sql::lexer::TokenKind;
use crate::sql::splice::Piece;

/// With so many digits behind the point a quotient has the same digits whether its dividend was made with fewer: servers
/// compute nine at a time.
const MAX_MIXED_SCALE: u32 = 5;

impl Combiner<'_, '_, '_> {
    /// What an aggregate is over the whole groups; `None` if it is not known how to put it together. `alone`: it is an item
    /// of the select list.
    pub(super) fn aggregate(&mut self, call: &Function, range: &Range<usize>, alone: bool) -> Option<String> {
        let is_same = |known: &&Call| self.subject.same_text(&known.range, range);
        if let Some(known) = self.calls.iter().find(is_same) {
            return Some(known.text.clone());
        }
        let text = self.take_apart(call, range, alone)?;
        self.calls.push(Call { range: range.clone(), text: text.clone() });
        Some(text)
    }

    fn take_apart(&mut self, call: &Function, range: &Range<usize>, alone: bool) -> Option<String> {
        let FunctionArguments::List(list) = &call.args else { return None };
        let is_plain = call.over.is_none()
            && call.filter.is_none()
            && call.within_group.is_empty()
            && call.null_treatment.is_none()
            && matches!(call.parameters, FunctionArguments::None);
        let name = call.name.to_string().to_ascii_uppercase();
        if !is_plain || !list.clauses.is_empty() && name != "GROUP_CONCAT" {
            return None;
        }
        let mut arguments = Vec::new();
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.push(expr),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if name == "COUNT" => {}
                _ => return None,
            }
        }
        if arguments.iter().any(|expr| is_aggregated(*expr) || has_query(expr)) {
            return None;
        }
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        let copy = vec![Piece::Copy(range.clone())];
        match (name.as_str(), arguments.as_slice(), distinct) {
            ("COUNT", _, false) => {
                let part = self.part(copy.clone());
                Some(self.group(copy, vec![Piece::from(&*format!("COALESCE(SUM({part}), 0)"))]))
            }
            ("COUNT", [_, ..], true) => {
                let columns = self.distinct_columns(&arguments, range)?.join(", ");
                Some(self.group(copy, vec![Piece::from(&*format!("COUNT(DISTINCT {columns})"))]))
            }
            ("SUM", [argument], false) => {
                self.adds_up(argument)?;
                let part = self.part(copy.clone());
                Some(self.group(copy, vec![Piece::from(&*format!("SUM({part})"))]))
            }
            ("AVG", [argument], false) => {
                self.adds_up(argument)?;
                let [inside] = self.argument_ranges(range).try_into().ok()?;
                let call = |name: &str| vec![Piece::from(name), Piece::Copy(inside.clone()), Piece::from(")")];
                let (sum, count) = (self.part(call("SUM(")), self.part(call("COUNT(")));
                let sum = self.group(call("SUM("), vec![Piece::from(&*format!("SUM({sum})"))]);
                let count = self.group(call("COUNT("), vec![Piece::from(&*format!("COALESCE(SUM({count}), 0)"))]);
                Some(format!("({sum} / {count})"))
            }
            ("SUM" | "AVG", [argument], true) => {
                self.adds_up(argument)?;
                let [column] = self.distinct_columns(&arguments, range)?.try_into().ok()?;
                let [inside] = self.argument_ranges(range).try_into().ok()?;
                let call = |name: &str| vec![Piece::from(name), Piece::Copy(inside.clone()), Piece::from(")")];
                let whole = |name: &str| vec![Piece::from(&*format!("{name}{column})"))];
                let sum = self.group(call("SUM(DISTINCT "), whole("SUM(DISTINCT "));
                if name == "SUM" {
                    return Some(sum);
                }
                let count = self.group(call("COUNT(DISTINCT "), whole("COUNT(DISTINCT "));
                Some(format!("({sum} / {count})"))
            }
            ("MIN" | "MAX", [argument], _) => {
                // as an argument of something else it is a text, where a column of the type would be a number
                if !self.is_storable(argument) || (self.is_enum(argument) && !alone) {
                    return None;
                }
                let part = self.part(copy.clone());
                Some(self.group(copy, vec![Piece::from(&*format!("{name}({part})"))]))
            }
            ("BIT_AND" | "BIT_OR" | "BIT_XOR", [argument], false) if self.adds_up(argument).is_some() => {
                let part = self.part(copy.clone());
                Some(self.group(copy, vec![Piece::from(&*format!("{name}({part})"))]))
            }
            ("GROUP_CONCAT", [_], true) => {
                let whole = self.concatenated(&arguments, &list.clauses, range)?;
                Some(self.group(copy, whole))
            }
            _ => None,
        }
    }

    /// GROUP_CONCAT(DISTINCT x ORDER BY x SEPARATOR …) over the parts.
    fn concatenated(
        &mut self,
        arguments: &[&Expr],
        clauses: &[FunctionArgumentClause],
        range: &Range<usize>,
    ) -> Option<Vec<Piece>> {
        let [column] = self.distinct_columns(arguments, range)?.try_into().ok()?;
        let mut pieces = vec![Piece::from(&*format!("GROUP_CONCAT(DISTINCT {column}"))];
        for clause in clauses {
            match clause {
                FunctionArgumentClause::OrderBy(keys) => {
                    let [key] = keys.as_slice() else { return None };
                    let same = bare(&key.expr) == bare(arguments[0]);
                    let descending = matches!(key.options.sort, Some(OrderBySort::Desc));
                    if !same {
                        return None;
                    }
                    self.subject.look_at(range);
                    pieces.push(Piece::from(&*format!(" ORDER BY {column}{}", if descending { " DESC" } else { "" })));
                }
                FunctionArgumentClause::Separator(_) => {
                    let (outline, sql) = (&self.subject.outline, self.subject.sql);
                    let tokens = outline.within(range);
                    let word = tokens.iter().rposition(|token| token.is_word(sql, "separator"))?;
                    let [_, literal, close] = tokens.get(word..)? else { return None };
                    if literal.kind != TokenKind::String || !close.is_symbol(sql, b')') {
                        return None;
                    }
                    pieces.push(Piece::from(" "));
                    pieces.push(Piece::Copy(tokens[word].start..literal.end));
                }
                _ => return None,
            }
        }
        pieces.push(Piece::from(")"));
        Some(pieces)
    }

    fn part(&mut self, pieces: Vec<Piece>) -> String {
        let index = self.parts.iter().position(|part| part.pieces == pieces).unwrap_or_else(|| {
            let name = format!("shardloom_p{}", self.parts.len());
            self.parts.push(Column { name, pieces });
            self.parts.len() - 1
        });
        self.parts[index].name.clone()
    }

    fn group(&mut self, pieces: Vec<Piece>, whole: Vec<Piece>) -> String {
        let index = self.groups.iter().position(|group| group.pieces == pieces).unwrap_or_else(|| {
            let name = format!("shardloom_g{}", self.groups.len());
            self.groups.push(Column { name, pieces });
            self.whole.push(whole);
            self.groups.len() - 1
        });
        self.groups[index].name.clone()
    }

    /// The columns of the parts for what an aggregate with DISTINCT is called on.
    fn distinct_columns(&mut self, arguments: &[&Expr], range: &Range<usize>) -> Option<Vec<String>> {
        let ranges = self.argument_ranges(range);
        if ranges.len() != arguments.len() {
            return None;
        }
        let mut names = Vec::new();
        for (argument, range) in arguments.iter().zip(ranges) {
            if !self.is_storable(argument) {
                return None;
            }
            let column = self.builder.resolve_expr(argument, self.main);
            let same = |other: &Range<usize>| self.subject.same_text(&range, other);
            let key = self.keys.iter().position(|key| (column.is_some() && key.column == column) || same(&key.range));
            let known = self.distinct.iter().position(same);
            names.push(match (key, known) {
                (Some(key), _) => key_name(key),
                (None, Some(known)) => distinct_name(known),
                (None, None) => {
                    self.distinct.push(range.clone());
                    distinct_name(self.distinct.len() - 1)
                }
            });
        }
        Some(names)
    }

    /// Where the arguments of a call stand, without DISTINCT and what follows them.
    fn argument_ranges(&self, call: &Range<usize>) -> Vec<Range<usize>> {
        let (outline, sql) = (&self.subject.outline, self.subject.sql);
        let first = outline.index_at(call.start);
        let end = outline.index_at(call.end);
        let open = (first..end).find(|index| outline.tokens()[*index].is_symbol(sql, b'('));
        let Some(mut at) = open.map(|open| open + 1) else { return Vec::new() };
        at += usize::from(outline.is_keyword(sql, at, &["DISTINCT", "ALL"]));
        let mut ranges = Vec::new();
        let mut current: Option<Range<usize>> = None;
        while let Some(token) = outline.tokens().get(at).filter(|_| at + 1 < end) {
            if outline.is_keyword(sql, at, &["ORDER", "SEPARATOR", "LIMIT"]) {
                break;
            }
            if token.is_symbol(sql, b',') {
                ranges.extend(current.take());
                at += 1;
                continue;
            }
            let last = if token.is_symbol(sql, b'(') { outline.closing(sql, at).unwrap_or(at) } else { at };
            let stop = outline.tokens()[last].end;
            current = Some(current.map_or(token.start..stop, |range| range.start..stop));
            at = last + 1;
        }
        ranges.extend(current);
        ranges
    }

    /// Whether an aggregate that is part of an expression has more digits there than are shown: on MySQL AVG of exact
    /// numbers has, while a quotient is rounded at once.
    pub(super) fn is_finer_than_its_column(&mut self, call: &Function) -> bool {
        let FunctionArguments::List(list) = &call.args else { return false };
        let on_mysql = self.builder.shape.refs.iter().any(|one| match &one.kind {
            RefKind::Table { info: Some(info), .. } => info.on_mysql,
            _ => false,
        });
        on_mysql
            && call.name.to_string().eq_ignore_ascii_case("AVG")
            && list.args.iter().any(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    !matches!(self.builder.number(expr, self.main), Some(Number::Double))
                }
                _ => true,
            })
    }

    /// Whether sums of a value add up.
    fn adds_up(&mut self, argument: &Expr) -> Option<()> {
        match self.builder.number(argument, self.main)? {
            Number::Exact { scale, mixed } if mixed && scale > MAX_MIXED_SCALE => None,
            Number::Exact { .. } | Number::Double => Some(()),
            Number::Inexact => None,
        }
    }

    /// Whether a quotient comes out alike whichever way the aggregates in one of its sides were made.
    pub(super) fn divides_alike(&mut self, side: &Expr, is_dividend: bool) -> bool {
        let is_sum = |expr: &Expr| {
            matches!(expr, Expr::Function(call)
            if classify(&call.name.to_string(), 1) == FunctionKind::Aggregate)
        };
        if is_dividend && is_sum(bare(side)) {
            return true;
        }
        struct Sums(Vec<Expr>);
        impl Visitor for Sums {
            type Break = ();
            fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
                if let Expr::Function(call) = expr
                    && classify(&call.name.to_string(), 1) == FunctionKind::Aggregate
                {
                    self.0.push(expr.clone());
                }
                ControlFlow::Continue(())
            }
        }
        let mut sums = Sums(Vec::new());
        let _ = side.visit(&mut sums);
        !sums.0.iter().any(|call| {
            let Expr::Function(function) = call else { return true };
            let FunctionArguments::List(list) = &function.args else { return true };
            let mixed = |argument: &FunctionArg| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    matches!(self.builder.number(expr, self.main), Some(Number::Exact { mixed: true, .. }))
                }
                _ => false,
            };
            list.args.iter().any(mixed)
        })
    }

    /// Whether a value goes into a column and comes out of it as it was.
    pub(super) fn is_storable(&mut self, expr: &Expr) -> bool {
        struct Finder;
        impl Visitor for Finder {
            type Break = ();
            fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
                match expr {
                    // a quotient has more digits than its column; a collation that is written outweighs others
                    Expr::BinaryOp { op: BinaryOperator::Divide, .. } | Expr::Collate { .. } => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            }
        }
        if expr.visit(&mut Finder).is_break() {
            return false;
        }
        let Some((data_type, column_type)) = self.type_of(expr) else { return true };
        let has_empty_member = column_type.contains("(''") || column_type.contains(",''");
        match &*data_type {
            "float" | "timestamp" | "json" | "vector" => false,
            "enum" | "set" => !has_empty_member,
            _ => true,
        }
    }

    fn is_enum(&mut self, expr: &Expr) -> bool {
        self.type_of(expr).is_some_and(|(data_type, _)| matches!(&*data_type, "enum" | "set"))
    }

    /// The type of an expression that is a column of a table.
    fn type_of(&mut self, expr: &Expr) -> Option<(String, String)> {
        let mut column = self.builder.resolve_expr(expr, self.main)?;
        loop {
            let known = &self.builder.shape.columns[column];
            match &self.builder.shape.refs[known.table].kind {
                RefKind::Table { info: Some(info), .. } => {
                    let (_, info) = info.column(&known.name)?;
                    return Some((info.data_type.to_string(), info.column_type.to_string()));
                }
                RefKind::Derived(block) => {
                    let outputs = self.builder.shape.blocks[*block].outputs.as_ref()?;
                    column = outputs.iter().find(|output| output.name == known.name)?.column?;
                }
                _ => return None,
            }
        }
    }
}
