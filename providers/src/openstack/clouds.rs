//! `clouds.yaml`, `secure.yaml` and `clouds-public.yaml`: where they are looked for, and how they are laid together.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_yaml::{Mapping, Value};

use super::credentials::{Variables, refused};
use crate::ProviderError;

/// Largest file that is read.
const MAX: u64 = 4 << 20;

/// The entry of a cloud, with its secrets and its profile, and the file it stands in.
pub(super) fn read(name: &str, variables: Variables) -> Result<(Mapping, PathBuf), ProviderError> {
    let path = find("clouds", "OS_CLIENT_CONFIG_FILE", variables)?.ok_or_else(|| {
        refused(format!(
            "no clouds.yaml for cloud `{name}`: looked at OS_CLIENT_CONFIG_FILE and in {}; write one, or leave \
             `cloud` out and set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and OS_PROJECT_NAME",
            folders(variables).iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
        ))
    })?;
    let mut clouds = section(&path, "clouds")?;
    let names = clouds.keys().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    let mut cloud = match clouds.remove(name) {
        Some(Value::Mapping(cloud)) => cloud,
        Some(_) => return Err(refused(format!("cloud `{name}` in {} is not a map", path.display()))),
        None => {
            let path = path.display();
            return Err(refused(format!("cloud `{name}` is not in {path}; it has: {names}")));
        }
    };
    if let Some(secure) = find("secure", "OS_CLIENT_SECURE_FILE", variables)?
        && let Some(Value::Mapping(secrets)) = section(&secure, "clouds")?.remove(name)
    {
        lay_over(&mut cloud, secrets);
    }
    let Some(profile) = cloud.get("profile").or_else(|| cloud.get("cloud")).and_then(Value::as_str) else {
        return Ok((cloud, path));
    };
    let mut whole = self::profile(profile, name, &path, variables)?;
    lay_over(&mut whole, cloud);
    Ok((whole, path))
}

fn profile(profile: &str, cloud: &str, path: &Path, variables: Variables) -> Result<Mapping, ProviderError> {
    let missing = |place: String| {
        let path = path.display();
        refused(format!("cloud `{cloud}` in {path} has the profile `{profile}`, which is not in {place}"))
    };
    let public = find("clouds-public", "OS_CLIENT_VENDOR_FILE", variables)?
        .ok_or_else(|| missing("any clouds-public.yaml (there is none)".into()))?;
    match section(&public, "public-clouds")?.remove(profile) {
        Some(Value::Mapping(found)) => Ok(found),
        _ => Err(missing(public.display().to_string())),
    }
}

/// Folders in which every OpenStack client looks, in order.
fn folders(variables: Variables) -> Vec<PathBuf> {
    let home = variables("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| variables("HOME").map(|home| Path::new(&home).join(".config")));
    let mut folders = vec![PathBuf::from(".")];
    folders.extend(home.map(|home| home.join("openstack")));
    folders.push("/etc/openstack".into());
    folders
}

fn find(stem: &str, variable: &str, variables: Variables) -> Result<Option<PathBuf>, ProviderError> {
    if let Some(path) = variables(variable) {
        let path = PathBuf::from(path);
        return match path.is_file() {
            true => Ok(Some(path)),
            false => Err(refused(format!("{variable} names {}, which is not a file", path.display()))),
        };
    }
    let endings = ["yaml", "yml", "json"];
    let mut all =
        folders(variables).into_iter().flat_map(|folder| endings.map(|end| folder.join(format!("{stem}.{end}"))));
    Ok(all.find(|path| path.is_file()))
}

/// The map under `key` of a file; a file without it has none.
fn section(path: &Path, key: &str) -> Result<Mapping, ProviderError> {
    let shown = path.display();
    let size = fs::metadata(path).map_or(0, |data| data.len());
    if size > MAX {
        return Err(refused(format!("{shown} is too large ({size} bytes)")));
    }
    let text = fs::read_to_string(path).map_err(|error| refused(format!("failed to read {shown}: {error}")))?;
    let text = zeroize::Zeroizing::new(text);
    // The parser's own words may quote a value; only where it stumbled is told.
    let mut all: Mapping = serde_yaml::from_str(&text).map_err(|error| {
        let place = error.location().map_or_else(String::new, |at| format!(":{}:{}", at.line(), at.column()));
        refused(format!("{shown}{place} is not a map in YAML"))
    })?;
    match all.remove(key) {
        Some(Value::Mapping(map)) => Ok(map),
        Some(Value::Null) | None => Ok(Mapping::new()),
        Some(_) => Err(refused(format!("`{key}` in {shown} is not a map"))),
    }
}

/// Puts what `over` says in place of what `under` says, map by map.
fn lay_over(under: &mut Mapping, over: Mapping) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Mapping(below)), Value::Mapping(above)) => lay_over(below, above),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}
