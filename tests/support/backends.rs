//! The database servers that the tests run against: private ones started here, or those that
//! `SHARDLOOM_TEST_BACKENDS` names.
//!
//! The variable's form, servers of a group separated by commas with the primary first:
//! `g0=mysql://user:password@host:3311,mysql://user:password@host:3312;g1=…;plain=mysql://…`

use std::env;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use shardloom::playground::binary::ServerBinary;
use shardloom::playground::cluster::{ClusterSpec, LocalCluster};
use shardloom::playground::folder;
use shardloom::playground::template::{PASSWORD, USER};

/// Names servers that run already.
const BACKENDS_VARIABLE: &str = "SHARDLOOM_TEST_BACKENDS";
/// Names the `mysqld` to test with, instead of the one installed.
const MYSQLD_VARIABLE: &str = "SHARDLOOM_TEST_MYSQLD";
/// Names the folder under which throw-away data folders are made.
const TMPDIR_VARIABLE: &str = "SHARDLOOM_TEST_TMPDIR";

/// Where a server is and how to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
}

impl Url {
    /// A server on this machine with the throw-away account.
    pub fn local(port: u16) -> Self {
        Self { host: "127.0.0.1".to_owned(), port, user: USER.to_owned(), password: PASSWORD.to_owned() }
    }

    /// The same place for another account.
    pub fn with_account(&self, user: &str, password: &str) -> Self {
        Self { user: user.to_owned(), password: password.to_owned(), ..self.clone() }
    }

    fn parse(text: &str) -> Option<Self> {
        let (account, place) = text.trim().strip_prefix("mysql://")?.rsplit_once('@')?;
        let (user, password) = account.split_once(':').unwrap_or((account, ""));
        let (host, port) = place.rsplit_once(':')?;
        Some(Self {
            host: host.to_owned(),
            port: port.parse().ok()?,
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "mysql://{}:{}@{}:{}", self.user, self.password, self.host, self.port)
    }
}

/// The servers of one group.
#[derive(Debug, Clone)]
pub struct GroupUrls {
    pub primary: Url,
    pub replicas: Vec<Url>,
}

/// All servers that a test needs.
#[derive(Debug)]
pub struct Backends {
    pub groups: Vec<GroupUrls>,
    /// A server that holds everything by itself: what the proxy's answers are compared with.
    pub plain: Url,
    /// Present when the servers are ours, so that they can be killed and paused.
    local: Option<Mutex<LocalCluster>>,
}

impl Backends {
    /// The servers of this test binary, started when first asked for. They end with the process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Backends> = OnceLock::new();
        SHARED.get_or_init(|| {
            Self::external().unwrap_or_else(|| Self::start(&ClusterSpec { plain: 1, ..ClusterSpec::default() }))
        })
    }

    /// Servers of a test's own, which it may kill.
    pub fn start(spec: &ClusterSpec) -> Self {
        let cluster = block_on(async { LocalCluster::start(&server_binary(), &base_folder(), "test", spec).await });
        let cluster = cluster.unwrap_or_else(|error| panic!("{error}"));
        let url = |server: &shardloom::playground::local_server::LocalServer| Url::local(server.port());
        let groups = cluster
            .groups
            .iter()
            .map(|group| GroupUrls { primary: url(&group.primary), replicas: group.replicas.iter().map(url).collect() })
            .collect();
        let plain = cluster.plain.first().map_or_else(|| Url::local(0), url);
        Self { groups, plain, local: Some(Mutex::new(cluster)) }
    }

    fn external() -> Option<Self> {
        let text = env::var(BACKENDS_VARIABLE).ok().filter(|text| !text.is_empty())?;
        let parse = |list: &str| -> Vec<Url> {
            list.split(',').map(|one| Url::parse(one).unwrap_or_else(|| panic!("{BACKENDS_VARIABLE}: {one}"))).collect()
        };
        let (mut groups, mut plain) = (Vec::new(), None);
        for part in text.split(';').filter(|part| !part.trim().is_empty()) {
            let (name, list) = part.split_once('=').unwrap_or_else(|| panic!("{BACKENDS_VARIABLE}: {part}"));
            let mut urls = parse(list);
            if name.trim() == "plain" {
                plain = urls.pop();
            } else {
                groups.push(GroupUrls { primary: urls.remove(0), replicas: urls });
            }
        }
        let plain = plain.unwrap_or_else(|| panic!("{BACKENDS_VARIABLE} names no plain server"));
        Some(Self { groups, plain, local: None })
    }

    /// Works on the servers themselves: kill, pause, restart. `None` when they are not ours.
    pub fn with_local<T>(&self, work: impl FnOnce(&mut LocalCluster) -> T) -> Option<T> {
        self.local.as_ref().map(|cluster| work(&mut cluster.lock().unwrap_or_else(|poisoned| poisoned.into_inner())))
    }

    /// The primaries, then the plain server: where a schema must exist before tests use it.
    pub fn writable(&self) -> impl Iterator<Item = &Url> {
        self.groups.iter().map(|group| &group.primary).chain(std::iter::once(&self.plain))
    }
}

/// The server program to start.
pub fn server_binary() -> ServerBinary {
    let found = match env::var_os(MYSQLD_VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => ServerBinary::at(&PathBuf::from(path)),
        None => ServerBinary::find(),
    };
    found.unwrap_or_else(|error| panic!("{error}"))
}

/// The folder under which all throw-away folders are.
pub fn base_folder() -> PathBuf {
    let base = match env::var_os(TMPDIR_VARIABLE).filter(|path| !path.is_empty()) {
        Some(parent) => folder::base_in(&PathBuf::from(parent)),
        None => folder::base(),
    };
    base.unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a future to its end from anywhere, also from inside a runtime.
pub fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let worker = scope
            .spawn(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future));
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
