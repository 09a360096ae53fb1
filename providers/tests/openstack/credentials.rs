//! Credentials as every OpenStack client reads them.

use std::{collections::BTreeMap, fs};

use pool_inventory::{Name, desired::OpenStackSpec};
use pool_providers::{Provider, ProviderError, openstack::OpenStackProvider};
use serde_json::{Value, json};

use crate::cloud::Cloud;

/// A home with configuration files.
struct Home<'a> {
    cloud: &'a Cloud,
    variables: BTreeMap<String, String>,
}

impl<'a> Home<'a> {
    fn new(cloud: &'a Cloud) -> Self {
        let home = cloud.folder.path().to_str().unwrap().to_owned();
        fs::create_dir_all(cloud.folder.path().join(".config/openstack")).unwrap();
        Self { cloud, variables: [("HOME".to_owned(), home)].into() }
    }

    fn file(self, name: &str, text: &str) -> Self {
        let text = text.replace("URL", &format!("{}/identity", self.cloud.url));
        fs::write(self.cloud.folder.path().join(".config/openstack").join(name), text).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.replace("URL", &format!("{}/identity", self.cloud.url)));
        self
    }

    fn open(&self, cloud: Option<&str>) -> Result<OpenStackProvider, ProviderError> {
        let spec = OpenStackSpec { cloud: cloud.map(Into::into), ..OpenStackSpec::default() };
        let variables = |name: &str| self.variables.get(name).cloned();
        OpenStackProvider::open_with(Name::new("private").unwrap(), spec, self.cloud.places(), &variables)
    }

    fn refusal(&self, cloud: Option<&str>) -> String {
        self.open(cloud).unwrap_err().to_string()
    }

    /// What is sent to log in.
    async fn login(&self, cloud: Option<&str>) -> Value {
        self.open(cloud).unwrap().market().await.unwrap();
        self.cloud.seen("POST /identity/v3/auth/tokens").pop().unwrap().body["auth"].clone()
    }
}

const CLOUDS: &str = "
clouds:
  demo:
    auth: { auth_url: URL/v3, username: demo, project_name: shop, user_domain_name: Default, project_domain_id: default }
    region_name: RegionOne
  robot:
    auth_type: v3applicationcredential
    auth: { auth_url: URL/, application_credential_id: abc }
  vendor: { profile: acme, auth: { user_id: 7f, project_id: 0a } }
  lost: { profile: nowhere }
  empty: { auth: { auth_url: URL } }
  strange: { auth_type: v3oidc, auth: { auth_url: URL } }
  ca: { auth: { auth_url: URL, username: a, password: b, project_name: c }, cacert: ~/no-such-ca.pem }
";
const SECURE: &str = "
clouds:
  demo: { auth: { password: hunter2 } }
  robot: { auth: { application_credential_secret: hunter3 } }
  vendor: { auth: { password: 12345 } }
";
const PUBLIC: &str = "public-clouds: { acme: { auth: { auth_url: URL/v3, user_id: shadowed } } }";

fn home(cloud: &Cloud) -> Home<'_> {
    Home::new(cloud).file("clouds.yaml", CLOUDS).file("secure.yaml", SECURE).file("clouds-public.yaml", PUBLIC)
}

#[tokio::test]
async fn files_with_their_secrets_and_profiles() {
    let cloud = Cloud::start().await;
    let home = home(&cloud);
    let user = json!({ "name": "demo", "domain": { "name": "Default" }, "password": "hunter2" });
    let identity = json!({ "methods": ["password"], "password": { "user": user } });
    let scope = json!({ "project": { "name": "shop", "domain": { "id": "default" } } });
    assert_eq!(home.login(Some("demo")).await, json!({ "scope": scope, "identity": identity }));

    let secret = json!({ "id": "abc", "secret": "hunter3" });
    let identity = json!({ "methods": ["application_credential"], "application_credential": secret });
    assert_eq!(home.login(Some("robot")).await, json!({ "identity": identity }));

    let identity = json!({ "methods": ["password"], "password": { "user": { "id": "7f", "password": "12345" } } });
    let scope = json!({ "project": { "id": "0a" } });
    assert_eq!(home.login(Some("vendor")).await, json!({ "scope": scope, "identity": identity }));
}

#[tokio::test]
async fn variables_name_a_cloud_or_say_all() {
    let cloud = Cloud::start().await;
    let named = home(&cloud).variable("OS_CLOUD", "demo");
    assert_eq!(named.login(None).await["scope"]["project"]["name"], "shop");
    assert_eq!(named.login(Some("vendor")).await["scope"]["project"]["id"], "0a");

    let all = Home::new(&cloud)
        .variable("OS_AUTH_URL", "URL/v3/")
        .variable("OS_USERNAME", "demo")
        .variable("OS_PASSWORD", "hunter2")
        .variable("OS_USER_DOMAIN_ID", "f00")
        .variable("OS_PROJECT_ID", "0a");
    let sent = all.login(None).await;
    assert_eq!(sent["identity"]["password"]["user"]["domain"], json!({ "id": "f00" }));
    assert_eq!(sent["scope"], json!({ "project": { "id": "0a" } }));

    let token =
        Home::new(&cloud).variable("OS_AUTH_URL", "URL").variable("OS_TOKEN", "t").variable("OS_PROJECT_ID", "0a");
    assert_eq!(token.login(None).await["identity"], json!({ "methods": ["token"], "token": { "id": "t" } }));
}

#[tokio::test]
async fn an_address_of_a_service_can_be_said() {
    let cloud = Cloud::start().await;
    let home = home(&cloud).variable("OS_IMAGE_ENDPOINT_OVERRIDE", "URL/../elsewhere");
    cloud.on("GET /elsewhere/v2/images", "image/images");
    home.login(Some("demo")).await;
    assert_eq!(cloud.seen("GET /elsewhere/v2/images").len(), 1);
    let home = home.variable("OS_NETWORK_ENDPOINT_OVERRIDE", "nowhere");
    assert!(home.refusal(Some("demo")).contains("network_endpoint_override is not valid: `nowhere`"));
}

#[tokio::test]
async fn what_is_missing_is_named_with_its_place_and_no_secret() {
    let cloud = Cloud::start().await;
    let home = home(&cloud);
    for (name, words) in [
        ("nope", "cloud `nope` is not in"),
        ("nope", "it has: demo, robot, vendor, lost, empty, strange, ca"),
        ("lost", "has the profile `nowhere`, which is not in"),
        ("empty", "`auth.project_name` is missing"),
        ("strange", "auth_type `v3oidc` is not known; known are password, token and v3applicationcredential"),
        ("ca", "no-such-ca.pem: No such file or directory"),
    ] {
        let text = home.refusal(Some(name));
        assert!(text.contains(words), "{text}");
        assert!(text.contains("clouds"), "{text}");
        assert!(!text.contains("hunter"), "{text}");
    }
    assert!(home.refusal(None).contains("name an entry of clouds.yaml with `cloud:` or OS_CLOUD, or set OS_AUTH_URL"));

    let home = home.variable("OS_CLIENT_CONFIG_FILE", "/nowhere/clouds.yaml");
    assert!(
        home.refusal(Some("demo")).contains("OS_CLIENT_CONFIG_FILE names /nowhere/clouds.yaml, which is not a file")
    );

    let home = Home::new(&cloud).file("clouds.yaml", "clouds:\n  demo: [hunter2\n");
    let text = home.refusal(Some("demo"));
    assert!(text.contains("clouds.yaml:3:1 is not a map in YAML") && !text.contains("hunter2"), "{text}");

    let home = Home::new(&cloud).variable("OS_AUTH_URL", "cloud.example").variable("OS_PASSWORD", "hunter2");
    assert!(home.refusal(None).contains("`cloud.example` of the OS_* variables is no address"));
    let home = home.variable("OS_AUTH_URL", "URL").variable("OS_PROJECT_ID", "x");
    assert!(home.refusal(None).contains("the OS_* variables: `OS_USERNAME` is missing"));
}
