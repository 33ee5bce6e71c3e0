//! What every reading of the rows stands on: the database, the county's documents, this node.

use cuntong_protocol::{
    calendar::civil_day,
    command::Actor,
    control::signed::Trust,
    id::{NodeId, SiteId},
    role::{Level, Role},
    time::Millis,
};
use cuntong_web::desk::Site;
use jiff::civil::Date;
use rusqlite::{Connection, Row, ToSql};

use crate::store::{Db, Result, StoreError};

/// The text of a named query.
macro_rules! query {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/store/sql/queries/",
            $name,
            ".sql"
        ))
    };
}
pub(crate) use query;

/// One moment's view of the store. Nothing here waits for a network.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) db: &'a Db,
    pub(crate) trust: &'a Trust,
    pub(crate) node: NodeId,
    pub(crate) site: SiteId,
    pub(crate) level: Level,
    pub(crate) now: Millis,
    /// An upstream is connected: what waits is on its way.
    pub(crate) sending: bool,
}

/// Whose cases a person sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Area {
    Nothing,
    Sites(Vec<SiteId>),
    /// The whole county.
    All,
}

impl<'a> Ground<'a> {
    /// # Errors
    /// [`StoreError::NotEnrolled`] before this node has a place in a county.
    pub(crate) fn of(db: &'a Db, now: Millis, sending: bool) -> Result<Self> {
        let trust = db.trust()?;
        let node = db.identity()?.node;
        let entry = trust.node(node).ok_or(StoreError::NotEnrolled)?;
        let place = trust
            .places()
            .site(entry.site)
            .ok_or(StoreError::NotEnrolled)?;
        Ok(Self {
            db,
            trust,
            node,
            site: entry.site,
            level: place.level,
            now,
            sending,
        })
    }

    pub(crate) fn conn(&self) -> &'a Connection {
        self.db.connection()
    }

    pub(crate) fn today(&self) -> Date {
        civil_day(self.now)
    }

    /// The area rule: an agent sees the own site, a township what lies below it, the county
    /// everything, and who only administers sees no case at all.
    pub(crate) fn area(&self, actor: &Actor) -> Area {
        let sees = actor.roles.iter().any(|role| match role {
            Role::Agent
            | Role::Clerk
            | Role::Decider
            | Role::CountyClerk
            | Role::Publisher
            | Role::Supervisor => true,
            Role::Administrator => false,
        });
        if !sees {
            return Area::Nothing;
        }
        match self.trust.places().site(actor.site).map(|p| p.level) {
            None => Area::Nothing,
            Some(Level::Village) => Area::Sites(vec![actor.site]),
            Some(Level::Township) => Area::Sites(self.trust.places().area(actor.site)),
            Some(Level::County) => Area::All,
        }
    }

    /// A site as lists show it; its id alone when the county's list does not have it.
    pub(crate) fn site_of(&self, id: SiteId) -> Site {
        self.trust.places().site(id).map_or_else(
            || Site {
                id,
                name: id.to_string(),
                level: Level::Village,
                code: String::new(),
            },
            |place| Site {
                id,
                name: place.name.clone(),
                level: place.level,
                code: place.code.clone(),
            },
        )
    }

    pub(crate) fn site_name(&self, id: SiteId) -> String {
        self.site_of(id).name
    }

    /// Site and level of a node of the roster, whatever its status.
    pub(crate) fn node_site(&self, node: NodeId) -> Option<(SiteId, Level)> {
        let site = self.trust.node(node)?.site;
        Some((site, self.trust.places().site(site)?.level))
    }

    /// What people call a node: its site, and its number when the site has several.
    pub(crate) fn node_name(&self, node: NodeId) -> String {
        let Some(entry) = self.trust.node(node) else {
            return node.to_string();
        };
        let name = self.site_name(entry.site);
        if entry.slot > 1 {
            format!("{name} {} 号机", entry.slot)
        } else {
            name
        }
    }

    /// Nodes of the county hub: whose receipts mean 县里已收.
    pub(crate) fn county_nodes(&self) -> Vec<NodeId> {
        let places = self.trust.places();
        self.trust
            .roster()
            .nodes
            .iter()
            .filter(|n| {
                places
                    .site(n.site)
                    .is_some_and(|p| p.level == Level::County)
            })
            .map(|n| n.node)
            .collect()
    }
}

impl Area {
    /// Whether nothing needs to be left out.
    pub(crate) const fn all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// The sites as a JSON list, the form in which queries take them.
    pub(crate) fn json(&self) -> String {
        match self {
            Self::Nothing | Self::All => "[]".to_owned(),
            Self::Sites(sites) => {
                let ids: Vec<String> = sites.iter().map(|s| s.0.to_string()).collect();
                format!("[{}]", ids.join(","))
            }
        }
    }

    pub(crate) fn has(&self, site: SiteId) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Sites(sites) => sites.contains(&site),
        }
    }
}

/// All rows of a query; of `params` those are bound that the query names.
///
/// # Errors
/// Those of the database.
pub(crate) fn rows<T>(
    conn: &Connection,
    sql: &str,
    params: &[(&str, &dyn ToSql)],
    mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = conn.prepare_cached(sql)?;
    for (name, value) in params {
        if let Some(index) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(index, value)?;
        }
    }
    let mut found = statement.raw_query();
    let mut out = Vec::new();
    while let Some(row) = found.next()? {
        out.push(read(row)?);
    }
    Ok(out)
}

/// The first number of the first row, 0 when there is none.
///
/// # Errors
/// Those of the database.
pub(crate) fn count(
    conn: &Connection,
    sql: &str,
    params: &[(&str, &dyn ToSql)],
) -> rusqlite::Result<u64> {
    let found: Vec<i64> = rows(conn, sql, params, |row| row.get(0))?;
    Ok(found.first().map_or(0, |n| u64::try_from(*n).unwrap_or(0)))
}
