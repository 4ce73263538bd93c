//! What a plan does when it is bound: which nodes, and which text for each.

use std::sync::Arc;

use super::combine::CombinePlan;
use super::compose::OnlyComposed;
use super::error::PlanError;
use super::explain::ExplainAction;
use super::frame::Frames;
use super::given::Given;
use super::insert::InsertAction;
use super::instead::Instead;
use super::keys::Colocated;
use super::scratch::ScratchPlan;
use super::template::{Filling, Template};
use super::types::{Bound, NameMap, NoSession, Params, SessionValues, ShardStatement, Text};
use super::unit::Unit;
use super::views::Expanded;
use crate::config::GroupId;
use crate::merge::MergeSpec;
use crate::route::algorithm::ShardSet;
use crate::route::source::Source;
use crate::route::values::Values;

/// As many rows as there are: the greatest number that a parameter can have.
const NO_LIMIT: u64 = i64::MAX as u64;

/// What a plan does.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Goes where its tables are.
    Routed(Routed),
    /// Goes where its tables are, or has them brought to one place.
    Query(Box<QueryAction>),
    /// Splits its rows.
    Insert(InsertAction),
    /// Goes to every node of a table; of several tables, one after the other.
    Everywhere(Vec<Everywhere>),
    /// Is explained.
    Explain(ExplainAction),
    /// Was written by the planner.
    Given(Given),
    /// Is answered by another statement.
    Instead(Instead),
    /// Reads views, whose queries stand in their places.
    Expanded(Expanded),
    /// Runs in steps only.
    OnlyComposed(OnlyComposed),
}

/// A query: for some values its tables meet on shards, for others they do not.
#[derive(Debug, Clone)]
pub(crate) struct QueryAction {
    /// How it runs where they meet.
    pub routed: Routed,
    /// How it runs where they do not; or why it cannot.
    pub scratch: Result<ScratchPlan, PlanError>,
    /// How it runs where they meet, but groups lie on several shards.
    pub combine: Option<CombinePlan>,
}

impl QueryAction {
    /// Makes the statements of one execution.
    pub fn bind(&self, values: &Values<'_>, session: &dyn SessionValues) -> Result<Bound, PlanError> {
        match self.routed.bind(values, session) {
            Err(PlanError::NotSupported { what, .. }) => {
                let plan = self.scratch.as_ref().map_err(Clone::clone)?;
                let mut scratch = plan.bind(what, values, session);
                let combine = |combine: &CombinePlan| combine.bind(&self.routed, plan, values, session);
                scratch.combine = self.combine.as_ref().and_then(combine);
                Ok(Bound { scratch: Some(Box::new(scratch)), ..Bound::default() })
            }
            bound => bound,
        }
    }
}

/// A place that does not depend on a table.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    /// The group.
    pub group: GroupId,
    /// The physical schema of the connection.
    pub schema: Option<Arc<str>>,
    /// What EXPLAIN ROUTE calls it.
    pub label: Arc<str>,
    /// The logical schema that the client has chosen.
    pub chosen: Option<Arc<str>>,
}

/// A statement that goes where its tables are.
#[derive(Debug, Clone)]
pub(crate) struct Routed {
    /// Its tables.
    pub units: Vec<Unit>,
    /// The tables that meet on every node.
    pub colocated: Option<Colocated>,
    /// The text for one node.
    pub relay: Template,
    /// The text for several nodes, and the merge; or why there is none.
    pub scatter: Result<Scatter, PlanError>,
    /// Why tables that do not meet cannot be on several nodes.
    pub apart: PlanError,
    /// Where it goes if no table decides.
    pub home: Home,
    /// Names to restore in what comes back.
    pub names: Option<Arc<NameMap>>,
    /// Columns of the sharding key that it assigns: it may only assign what they are already.
    pub unchanged_keys: Vec<KeyAssignment>,
}

/// `SET key = value`.
#[derive(Debug, Clone)]
pub(crate) struct KeyAssignment {
    /// Of which table.
    pub unit: usize,
    /// The column, as an index into the key.
    pub column: usize,
    /// The value.
    pub value: Source,
    /// What is said if it changes.
    pub refusal: PlanError,
}

/// A statement for several nodes.
#[derive(Debug, Clone)]
pub(crate) struct Scatter {
    /// Its text.
    pub template: Template,
    /// How the rows are merged; `None` if there are none.
    pub merge: Option<Arc<MergeSpec>>,
    /// LIMIT.
    pub limit: Option<Limit>,
    /// How many columns the shards send, where that was taken from the catalog.
    pub expected_columns: Option<usize>,
}

/// LIMIT of the client.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    /// How many rows.
    pub count: Source,
    /// After how many.
    pub offset: Option<Source>,
    /// The shards may stop after as many rows as are needed of all.
    pub on_shards: bool,
}

/// A statement that every node of a table gets.
#[derive(Debug, Clone)]
pub(crate) struct Everywhere {
    /// Its tables; the first one decides.
    pub units: Vec<Unit>,
    /// Nodes of one database share a statement: it names no table.
    pub template: Template,
    /// Names to restore in what comes back.
    pub names: Option<Arc<NameMap>>,
    /// Each node changes the same rows.
    pub same_rows: bool,
}

/// Where a statement goes: the node of each unit, once for each target.
struct Target {
    nodes: Vec<usize>,
    group: GroupId,
}

impl Routed {
    /// Makes the statements of one execution.
    pub fn bind(&self, values: &Values<'_>, session: &dyn SessionValues) -> Result<Bound, PlanError> {
        self.check_keys(values)?;
        let Some(colocated) = &self.colocated else {
            let target = self.meet(values)?;
            return self.relayed(values, session, &target);
        };
        if !colocated.legs.is_empty()
            && let Ok(target) = self.meet(values)
        {
            return self.relayed(values, session, &target);
        }
        let reached = self.reached(colocated, values);
        let mut targets = reached.iter();
        // a contradiction: any node gives the empty result
        let first = targets.next().unwrap_or(0);
        if targets.next().is_none() {
            let target = self.follow(colocated, first)?;
            return self.relayed(values, session, &target);
        }
        let scatter = self.scatter.as_ref().map_err(Clone::clone)?;
        let targets: Vec<Target> = reached.iter().map(|node| self.follow(colocated, node)).collect::<Result<_, _>>()?;
        self.scattered(scatter, values, session, &targets)
    }

    /// Another text with literals for its parameters, for all nodes that rows of the answer can come from; nothing where
    /// the tables do not meet there.
    pub fn all_targets(
        &self,
        template: &Template,
        values: &Values<'_>,
        session: &dyn SessionValues,
    ) -> Option<Vec<ShardStatement>> {
        let colocated = self.colocated.as_ref()?;
        let reached = self.reached(colocated, values);
        let texts = Frames::new(template, values);
        let statement = |node| {
            let target = self.follow(colocated, node).ok()?;
            Some(self.statement(|filling| texts.fill(filling), session, &target, Some(NO_LIMIT), true))
        };
        let statements: Vec<ShardStatement> = reached.iter().map(statement).collect::<Option<_>>()?;
        Some(statements).filter(|statements| !statements.is_empty())
    }

    /// The nodes that rows of the answer can come from.
    fn reached(&self, colocated: &Colocated, values: &Values<'_>) -> ShardSet {
        let common = |driver: usize, others: &[usize]| {
            let mut reached = self.units[driver].nodes(values);
            for unit in others {
                reached.intersect(&self.units[*unit].nodes(values));
            }
            reached
        };
        let mut reached = common(colocated.driver, colocated.narrowing.get(1..).unwrap_or_default());
        for leg in &colocated.legs {
            if let [driver, others @ ..] = leg.as_slice() {
                reached.unite(&common(*driver, others));
            }
        }
        reached
    }

    /// Whether its tables meet on all nodes that it can reach, and it may be sent to several.
    pub fn always_meets(&self) -> bool {
        let Some(colocated) = self.colocated.as_ref().filter(|_| self.scatter.is_ok()) else {
            return self.units.is_empty();
        };
        let driver = self.units[colocated.driver].place.nodes();
        let beside = |unit: &Unit| driver.iter().all(|at| unit.place.nodes().iter().any(|node| node.group == at.group));
        self.units.iter().enumerate().all(|(index, unit)| colocated.members.contains(&index) || beside(unit))
    }

    /// Whether the merge compares values, which it may refuse once it sees their types.
    pub fn compares(&self) -> bool {
        let merge = self.scatter.as_ref().ok().and_then(|scatter| scatter.merge.as_ref());
        merge.is_some_and(|merge| !merge.order.is_empty() || !merge.aggregates.is_empty())
    }

    /// One node for each table, all in one group.
    fn meet(&self, values: &Values<'_>) -> Result<Target, PlanError> {
        let mut nodes = vec![0; self.units.len()];
        let mut open = Vec::new();
        let mut group: Option<GroupId> = None;
        for (index, unit) in self.units.iter().enumerate() {
            let reached = unit.nodes(values);
            match reached.single() {
                Some(node) if unit.place.broadcast().is_none() => {
                    nodes[index] = node;
                    let here = unit.place.nodes()[node].group;
                    if *group.get_or_insert(here) != here {
                        return Err(self.apart.clone());
                    }
                }
                _ if unit.place.broadcast().is_some() || reached.is_empty() => open.push(index),
                _ => return Err(self.apart.clone()),
            }
        }
        let group = group.unwrap_or_else(|| self.preferred_group(&open));
        self.settle(&open, group, &mut nodes)?;
        Ok(Target { nodes, group })
    }

    /// The group for tables that are in several.
    fn preferred_group(&self, open: &[usize]) -> GroupId {
        let has = |unit: usize, group: GroupId| self.units[unit].place.nodes().iter().any(|node| node.group == group);
        let mut candidates = vec![self.home.group];
        if let Some(first) = open.first() {
            candidates.extend(self.units[*first].place.nodes().iter().map(|node| node.group));
        }
        let common = candidates.iter().find(|group| open.iter().all(|unit| has(*unit, **group)));
        common.copied().unwrap_or(self.home.group)
    }

    /// Chooses the node in a group for the units that have one there.
    fn settle(&self, open: &[usize], group: GroupId, nodes: &mut [usize]) -> Result<(), PlanError> {
        for unit in open {
            let here = self.units[*unit].place.nodes().iter().position(|node| node.group == group);
            nodes[*unit] = here.ok_or_else(|| self.apart.clone())?;
        }
        Ok(())
    }

    /// The nodes of all units where the driver is on a node.
    fn follow(&self, colocated: &Colocated, node: usize) -> Result<Target, PlanError> {
        let group = self.units[colocated.driver].place.nodes().get(node).map(|node| node.group);
        let group = group.ok_or(PlanError::Internal("a node that the table does not have"))?;
        let mut nodes = vec![node; self.units.len()];
        for index in 0..self.units.len() {
            if !colocated.members.contains(&index) {
                self.settle(&[index], group, &mut nodes)?;
            }
        }
        Ok(Target { nodes, group })
    }

    fn relayed(&self, values: &Values<'_>, session: &dyn SessionValues, target: &Target) -> Result<Bound, PlanError> {
        let statement = self.statement(|filling| self.relay.fill(values, filling), session, target, None, false);
        Ok(Bound { shards: vec![statement], ..Bound::default() })
    }

    fn scattered(
        &self,
        scatter: &Scatter,
        values: &Values<'_>,
        session: &dyn SessionValues,
        targets: &[Target],
    ) -> Result<Bound, PlanError> {
        let mut merge = scatter.merge.clone();
        let mut shard_limit = 0;
        if let (Some(limit), Some(spec)) = (&scatter.limit, &scatter.merge) {
            let (count, offset) = limit.numbers(values)?;
            shard_limit = if limit.on_shards { count.saturating_add(offset).min(NO_LIMIT) } else { NO_LIMIT };
            merge = Some(Arc::new(MergeSpec { limit: Some(count), offset, ..(**spec).clone() }));
        }
        let texts = Frames::new(&scatter.template, values);
        let statement =
            |target| self.statement(|filling| texts.fill(filling), session, target, Some(shard_limit), false);
        Ok(Bound {
            shards: targets.iter().map(statement).collect(),
            merge,
            expected_columns: scatter.expected_columns,
            ..Bound::default()
        })
    }

    /// The statement for a target; `text` writes it, `shard_limit` is LIMIT where it is one of several. `inline`:
    /// parameters are literals.
    fn statement(
        &self,
        text: impl FnOnce(&Filling<'_>) -> (Text, Params),
        session: &dyn SessionValues,
        target: &Target,
        shard_limit: Option<u64>,
        inline: bool,
    ) -> ShardStatement {
        let lead = self.colocated.as_ref().map_or_else(|| self.lead(), |colocated| Some(colocated.driver));
        // views that are read elsewhere: the home's schema may not be there
        let away = || (target.group != self.home.group && !self.units.is_empty()).then_some(0);
        let lead = lead.or_else(away);
        let node = lead.and_then(|unit| self.units[unit].node(target.nodes[unit]));
        let schema = node.map(|node| Arc::clone(&node.schema)).or_else(|| self.home.schema.clone());
        let label = lead.and_then(|unit| self.units[unit].labels.get(target.nodes[unit]));
        let filling = Filling {
            units: &self.units,
            nodes: &target.nodes,
            schema: schema.as_deref().unwrap_or_default(),
            session,
            limit_count: shard_limit.unwrap_or_default(),
            insert: None,
            chosen: self.home.chosen.as_deref(),
            several: shard_limit.is_some(),
            renamed: false,
            inline,
        };
        let (sql, params) = text(&filling);
        let names = self.names.clone();
        let node = label.unwrap_or(&self.home.label).clone();
        ShardStatement { node, group: target.group, schema, sql, params, names, rows: None }
    }

    /// The statement for some node, whatever the values.
    pub fn sample(&self, values: &Values<'_>) -> Result<ShardStatement, PlanError> {
        let target = match &self.colocated {
            Some(colocated) => self.follow(colocated, 0)?,
            None => self.anywhere().ok_or_else(|| self.apart.clone())?,
        };
        Ok(self.statement(|filling| self.relay.fill(values, filling), &NoSession, &target, None, false))
    }

    /// Some node of each table on one group that has all tables; they need not meet, since the statement is not run.
    fn anywhere(&self) -> Option<Target> {
        let first = self.lead().and_then(|unit| self.units[unit].node(0)).map_or(self.home.group, |node| node.group);
        let here = |unit: &Unit, group| {
            let nodes = unit.place.nodes();
            if nodes.is_empty() { Some(0) } else { nodes.iter().position(|node| node.group == group) }
        };
        let on = |group| {
            let nodes: Option<Vec<usize>> = self.units.iter().map(|unit| here(unit, group)).collect();
            Some(Target { nodes: nodes?, group })
        };
        let elsewhere = || self.units.iter().flat_map(|unit| unit.place.nodes()).find_map(|node| on(node.group));
        on(first).or_else(elsewhere)
    }

    /// A key that is assigned must be what the condition says it is.
    fn check_keys(&self, values: &Values<'_>) -> Result<(), PlanError> {
        for assigned in &self.unchanged_keys {
            let unit = &self.units[assigned.unit];
            let same = unit.keyed.as_ref().is_some_and(|keyed| {
                keyed.is_unchanged(&unit.condition, assigned.column, &values.get(&assigned.value), values)
            });
            if !same {
                return Err(assigned.refusal.clone());
            }
        }
        Ok(())
    }

    /// The unit whose node gives the connection its schema: a sharded one, else any that is somewhere.
    fn lead(&self) -> Option<usize> {
        let sharded = self.units.iter().position(|unit| unit.keyed.is_some());
        sharded.or_else(|| self.units.iter().position(|unit| !unit.place.is_system()))
    }
}

impl Limit {
    /// Count and offset of this execution.
    fn numbers(&self, values: &Values<'_>) -> Result<(u64, u64), PlanError> {
        let number = |source: &Source| {
            // a plan that is only shown has no parameters
            if matches!(source, Source::Param(_)) && values.params.is_empty() {
                return Ok(0);
            }
            let number = values.count(source);
            number.ok_or(PlanError::Parameters)
        };
        let offset = self.offset.as_ref().map_or(Ok(0), number)?;
        Ok((number(&self.count)?, offset))
    }
}

/// The statements for all nodes of each table.
pub(crate) fn bind_everywhere(
    all: &[Everywhere],
    values: &Values<'_>,
    session: &dyn SessionValues,
) -> Result<Bound, PlanError> {
    let mut shards = Vec::new();
    for everywhere in all {
        everywhere.bind(values, session, &mut shards)?;
    }
    Ok(Bound { shards, same_rows: all.iter().any(|one| one.same_rows), ..Bound::default() })
}

impl Everywhere {
    /// Adds the statements: one for each node of the first table.
    fn bind(
        &self,
        values: &Values<'_>,
        session: &dyn SessionValues,
        shards: &mut Vec<ShardStatement>,
    ) -> Result<(), PlanError> {
        let (Some(lead), rest) = (self.units.first(), self.units.get(1..).unwrap_or_default()) else {
            return Err(PlanError::Internal("a statement for all nodes of no table"));
        };
        for (index, node) in lead.place.nodes().iter().enumerate() {
            let mut nodes = vec![index];
            for unit in rest {
                nodes.push(beside(unit, index, node.group).ok_or_else(|| {
                    PlanError::not_supported(
                        format!(
                            "'{}' beside '{}': they are not on the same shards",
                            unit.place.table(),
                            lead.place.table()
                        ),
                        "name tables that are bound, or broadcast",
                    )
                })?);
            }
            let schema = Arc::clone(&node.schema);
            let filling = Filling {
                units: &self.units,
                nodes: &nodes,
                schema: &schema,
                session,
                limit_count: 0,
                insert: None,
                chosen: None,
                several: false,
                renamed: false,
                inline: false,
            };
            let (sql, params) = self.template.fill(values, &filling);
            shards.push(ShardStatement {
                node: Arc::clone(&lead.labels[index]),
                group: node.group,
                schema: Some(schema),
                sql,
                params,
                names: self.names.clone(),
                rows: None,
            });
        }
        Ok(())
    }
}

/// The node of a table that stands beside node `index` of another one.
fn beside(unit: &Unit, index: usize, group: GroupId) -> Option<usize> {
    let nodes = unit.place.nodes();
    match nodes.get(index) {
        _ if nodes.is_empty() => Some(0),
        Some(node) if unit.keyed.is_some() && node.group == group => Some(index),
        _ if unit.keyed.is_some() => None,
        _ => nodes.iter().position(|node| node.group == group),
    }
}
