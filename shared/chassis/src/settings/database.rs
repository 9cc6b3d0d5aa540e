//! The database that customers come from.

use holdfast_storage::Secret;
use serde::{Deserialize, Serialize};
use url::Url;

use super::SettingsViolation;

/// The kinds of database that customers can come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseKind {
    /// A file.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL.
    Mysql,
}

/// The customer database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// Which kind; `None` for no database.
    pub kind: Option<DatabaseKind>,
    /// Host name or address.
    pub host: Option<String>,
    /// TCP port; `None` for the kind's usual one.
    pub port: Option<u16>,
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// The database's name; for SQLite the path of its file.
    pub name: Option<String>,
    /// The table or view.
    pub table: String,
}

impl DatabaseSettings {
    /// The database as a source URL, `postgres://user:password@host:port/name?table=customers`; a secret, because it may hold the password. `None` if no
    /// database is set.
    #[must_use]
    pub fn source_url(&self) -> Option<Secret> {
        let kind = self.kind?;
        let name = self.name.as_deref()?;
        if kind == DatabaseKind::Sqlite {
            let table: String = url::form_urlencoded::byte_serialize(self.table.as_bytes()).collect();
            return Some(Secret::new(format!("sqlite://{name}?table={table}")));
        }
        let scheme = if kind == DatabaseKind::Postgres {
            "postgres"
        } else {
            "mysql"
        };
        let mut url = Url::parse(&format!("{scheme}://{}", self.host.as_deref()?)).ok()?;
        url.set_port(self.port).ok()?;
        url.set_username(self.user.as_deref().unwrap_or("")).ok()?;
        url.set_password(self.password.as_ref().map(Secret::expose)).ok()?;
        url.set_path(name);
        url.query_pairs_mut().append_pair("table", &self.table);
        Some(Secret::new(url))
    }

    pub(super) fn violations(&self, found: &mut Vec<SettingsViolation>) {
        let Some(kind) = self.kind else { return };
        let needs_host = kind != DatabaseKind::Sqlite;
        for (key, missing) in [
            ("name", self.name.is_none()),
            ("host", needs_host && self.host.is_none()),
        ] {
            if missing {
                found.push(SettingsViolation::new(
                    format!("database.{key}"),
                    "must be set, because database.kind is",
                ));
            }
        }
        if let Some(host) = self.host.as_deref().filter(|_| needs_host)
            && Url::parse(&format!("mysql://{host}")).is_err()
        {
            found.push(SettingsViolation::new("database.host", "not a host name or address"));
        }
        if self.table.is_empty() {
            found.push(SettingsViolation::new("database.table", "must not be empty"));
        }
    }
}
