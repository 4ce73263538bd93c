//! The accounts of the rules, as the listener asks for them.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::{self, Password, User};
use crate::protocol::auth::AuthPlugin;
use crate::server::{Account, Credential, Directory, ServerError};
use crate::session::Shared;

/// Accounts by user, made once for each version of the rules: a password is hashed then, not at each login.
#[derive(Debug)]
struct Accounts {
    version: u64,
    by_user: HashMap<Arc<str>, Arc<Account>>,
}

/// The rules' users and schemas.
#[derive(Debug)]
pub(super) struct RulesDirectory {
    shared: Arc<Shared>,
    greeting_version: Arc<str>,
    accounts: ArcSwap<Accounts>,
}

impl RulesDirectory {
    pub(super) fn new(shared: Arc<Shared>, version: &str) -> Self {
        let accounts = ArcSwap::from(accounts_of(&shared));
        Self { shared, greeting_version: greeting_version(version), accounts }
    }
}

/// The version as a greeting tells it. MariaDB 10 puts `5.5.5-` before its own (old replicas could not read two digits), and
/// drivers tell MariaDB 10 from a MySQL of a later version by that.
fn greeting_version(version: &str) -> Arc<str> {
    if version.contains("MariaDB") && version.starts_with("10.") {
        format!("5.5.5-{version}").into()
    } else {
        version.into()
    }
}

fn accounts_of(shared: &Shared) -> Arc<Accounts> {
    let snapshot = shared.snapshot.load();
    let by_user = snapshot
        .rules
        .users
        .iter()
        .filter_map(|user| {
            let account = Account { user: Arc::clone(&user.name), credential: credential(user)?, plugin: plugin(user) };
            Some((Arc::clone(&user.name), Arc::new(account)))
        })
        .collect();
    Arc::new(Accounts { version: snapshot.rules.version, by_user })
}

/// What proves the user's password. Nobody logs in by a hash that is none.
fn credential(user: &User) -> Option<Credential> {
    match &user.password {
        Password::Plain(password) => Some(Credential::from_password(password.reveal())),
        Password::Hash(hash) => Credential::from_stored_hash(hash.bytes()),
    }
}

fn plugin(user: &User) -> Option<AuthPlugin> {
    user.plugin.map(|plugin| match plugin {
        config::AuthPlugin::MysqlNativePassword => AuthPlugin::MysqlNative,
        config::AuthPlugin::CachingSha2Password => AuthPlugin::CachingSha2,
    })
}

impl Directory for RulesDirectory {
    fn server_version(&self) -> Arc<str> {
        Arc::clone(&self.greeting_version)
    }

    fn account(&self, user: &str) -> Option<Arc<Account>> {
        if self.accounts.load().version != self.shared.snapshot.load().rules.version {
            self.accounts.store(accounts_of(&self.shared));
        }
        self.accounts.load().by_user.get(user).cloned()
    }

    fn database(&self, account: &Account, host: &str, database: &str) -> Result<Arc<str>, ServerError> {
        let snapshot = self.shared.snapshot.load();
        let schema = snapshot.rules.schema(database);
        let may_use = snapshot.rules.user(&account.user).is_some_and(|user| user.may_use(database));
        match schema {
            Some(schema) if may_use => Ok(Arc::clone(&schema.name)),
            Some(_) => Err(ServerError::DatabaseDenied {
                user: account.user.to_string(),
                host: host.to_owned(),
                database: database.to_owned(),
            }),
            None if database.eq_ignore_ascii_case("information_schema") => Ok("information_schema".into()),
            None => Err(ServerError::UnknownDatabase(database.to_owned())),
        }
    }

    fn admit(&self, account: &Account, host: &str, is_confidential: bool) -> Result<(), ServerError> {
        let snapshot = self.shared.snapshot.load();
        let Some(rules) = snapshot.rules.user(&account.user) else { return Ok(()) };
        let user = account.user.to_string();
        if rules.require_tls && !is_confidential {
            return Err(ServerError::AccountNeedsTls { user, host: host.to_owned() });
        }
        let sessions = || self.shared.registry.all().iter().filter(|entry| entry.user == account.user).count();
        if rules.max_connections > 0 && sessions() >= rules.max_connections {
            return Err(ServerError::TooManyUserConnections { user, limit: rules.max_connections });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::greeting_version;

    #[test]
    fn greetings_are_those_of_the_servers() {
        assert_eq!(&*greeting_version("10.11.19-MariaDB-0+deb12u1"), "5.5.5-10.11.19-MariaDB-0+deb12u1");
        assert_eq!(&*greeting_version("11.4.2-MariaDB"), "11.4.2-MariaDB");
        assert_eq!(&*greeting_version("8.4.3"), "8.4.3");
    }
}
