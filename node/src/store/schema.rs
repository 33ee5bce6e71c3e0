//! Making and opening the database: pragmas, version, migrations.

use rusqlite::{Connection, TransactionBehavior, config::DbConfig};

use super::error::{Result, StoreError};

/// `application_id` of a node's database ("CtNd").
pub(super) const APPLICATION_ID: u32 = 0x4374_4e64;

/// Forward only; the position in the list + 1 is the database's `user_version`.
const MIGRATIONS: &[&str] = &[
    include_str!("sql/0001_init.sql"),
    include_str!("sql/0002_sightings.sql"),
    include_str!("sql/0003_settled.sql"),
    include_str!("sql/0004_agreed.sql"),
    include_str!("sql/0005_given.sql"),
    include_str!("sql/0006_blobs.sql"),
    include_str!("sql/0007_folded.sql"),
];

/// The version this program reads and writes.
pub const VERSION: u32 = MIGRATIONS.len() as u32;

/// Longest wait for another connection's lock.
const BUSY_MS_MAX: u32 = 10_000;

/// What every connection needs before its first statement.
pub(super) fn pragmas(conn: &Connection) -> Result<()> {
    conn.busy_timeout(std::time::Duration::from_millis(u64::from(BUSY_MS_MAX)))?;
    // Sorting must not leave names and numbers in a temporary file.
    conn.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA cache_size = -8000;
         PRAGMA journal_size_limit = 16777216;",
    )?;
    // Plans follow from the statements alone: with statistics SQLite would prepare a statement again
    // for other values.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// Takes an empty or older database to [`VERSION`], in one transaction.
///
/// # Errors
/// A newer database, another program's file, a damaged one: nothing is changed then.
pub(super) fn migrate(conn: &mut Connection) -> Result<()> {
    let name = conn.path().unwrap_or(":memory:").to_owned();
    migrate_to(conn, MIGRATIONS).map_err(|e| e.of_file(&name))
}

fn migrate_to(conn: &mut Connection, migrations: &[&str]) -> Result<()> {
    let name = conn.path().unwrap_or(":memory:").to_owned();
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    let found = version(conn)?;
    let application: u32 = conn.query_row("PRAGMA application_id", [], |r| r.get(0))?;
    let tables: u32 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
    if application != APPLICATION_ID && (tables > 0 || found > 0) {
        return Err(StoreError::Foreign(name));
    }
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    // Durable before anything is sent or acknowledged: FULL, not NORMAL.
    let _mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |r| r.get(0))?;
    conn.execute_batch("PRAGMA synchronous = FULL")?;
    if found < known {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for step in &migrations[found as usize..] {
            tx.execute_batch(step)?;
        }
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", known)?;
        tx.commit()?;
    }
    Ok(())
}

/// The version a database says it has.
pub(super) fn version(conn: &Connection) -> Result<u32> {
    Ok(conn.query_row("PRAGMA user_version", [], |r| r.get(0))?)
}

/// SQLite's own check of the file: `quick` leaves the indexes out.
///
/// # Errors
/// [`StoreError::Corrupt`] with the first finding.
pub(super) fn check(conn: &Connection, quick: bool) -> Result<()> {
    let sql = if quick {
        "PRAGMA quick_check(1)"
    } else {
        "PRAGMA integrity_check(1)"
    };
    let file = conn.path().unwrap_or(":memory:").to_owned();
    let said: String = conn
        .query_row(sql, [], |r| r.get(0))
        .map_err(|e| StoreError::from(e).of_file(&file))?;
    if said == "ok" {
        Ok(())
    } else {
        Err(StoreError::Corrupt { file, what: said })
    }
}

/// The schema as SQLite keeps it, without what is derived: compared with `sql/schema.sql`.
pub fn dump(conn: &Connection) -> Result<String> {
    let mut statement = conn.prepare(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'
         ORDER BY tbl_name, type DESC, name",
    )?;
    let mut out = String::new();
    for sql in statement.query_map([], |r| r.get::<_, String>(0))? {
        out.push_str(&sql?);
        out.push_str(";\n");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        pragmas(&conn).unwrap();
        migrate(&mut conn).unwrap();
        conn
    }

    #[test]
    fn a_new_database_has_the_golden_schema() {
        let dumped = dump(&fresh()).unwrap();
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql/schema.sql");
        if option_env!("UPDATE_GOLDEN").is_some() {
            std::fs::write(golden, &dumped).unwrap();
        }
        assert_eq!(dumped, include_str!("sql/schema.sql"));
    }

    #[test]
    fn a_newer_database_is_refused_with_a_sentence_and_left_alone() {
        let mut conn = fresh();
        conn.pragma_update(None, "user_version", VERSION + 1)
            .unwrap();
        let refused = migrate(&mut conn).unwrap_err();
        assert!(matches!(refused, StoreError::Newer { .. }));
        assert!(refused.to_string().contains("install a newer one"));
        assert_eq!(version(&conn).unwrap(), VERSION + 1);
    }

    #[test]
    fn another_programs_database_is_refused() {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE other (x)").unwrap();
        assert!(matches!(migrate(&mut conn), Err(StoreError::Foreign(_))));
    }

    #[test]
    fn a_migration_that_fails_leaves_the_database_as_it_was() {
        let mut conn = fresh();
        let mut broken = MIGRATIONS.to_vec();
        broken.push("CREATE TABLE two (x); CREATE TABLE two (x);");
        assert!(migrate_to(&mut conn, &broken).is_err());
        assert_eq!(version(&conn).unwrap(), VERSION);
        assert_eq!(dump(&conn).unwrap(), include_str!("sql/schema.sql"));
    }

    #[test]
    fn an_older_database_becomes_one_like_new_and_keeps_what_it_holds() {
        for from in 1..MIGRATIONS.len() {
            let mut conn = Connection::open_in_memory().unwrap();
            pragmas(&conn).unwrap();
            migrate_to(&mut conn, &MIGRATIONS[..from]).unwrap();
            let put = "INSERT INTO meta (name, value) VALUES ('x', x'01')";
            conn.execute_batch(put).unwrap();
            migrate(&mut conn).unwrap();
            assert_eq!(version(&conn).unwrap(), VERSION);
            assert_eq!(dump(&conn).unwrap(), include_str!("sql/schema.sql"));
            let kept: u32 = conn
                .query_row("SELECT count(*) FROM meta", [], |r| r.get(0))
                .unwrap();
            assert_eq!(kept, 1);
        }
    }

    #[test]
    fn every_named_query_prepares() {
        let conn = fresh();
        for (name, sql) in super::super::QUERIES {
            conn.prepare(sql).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }

    #[test]
    fn every_table_is_told_of_in_the_format_page() {
        let page = include_str!("../../../docs/formats/store.md");
        let conn = fresh();
        let mut statement = conn
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .unwrap();
        for name in statement.query_map([], |r| r.get::<_, String>(0)).unwrap() {
            let name = name.unwrap();
            assert!(page.contains(&format!("| `{name}` |")), "no row for {name}");
        }
    }
}
