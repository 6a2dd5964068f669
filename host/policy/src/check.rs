//! Comparing a component with the contract before it is linked, so that a mismatch is explained in the
//! author's words: which world, which function, which field. A linker would only say that a type is wrong.

use std::fmt;

use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wit_component::DecodedWasm;
use wit_parser::{
    Function, Interface, Resolve, Type, TypeDefKind, UnresolvedPackageGroup, WorldItem, WorldKey,
};

use crate::contract;
use crate::load::{Grant, LoadError, World};

/// One difference between a component and the contract, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Mismatches, each on a line of its own.
pub(crate) fn lines(mismatches: &[Mismatch]) -> String {
    mismatches.iter().fold(String::new(), |lines, mismatch| lines + "\n  - " + &mismatch.0)
}

/// A component, as it was decoded.
#[derive(Debug)]
pub(crate) struct Found {
    resolve: Resolve,
    world: wit_parser::WorldId,
}

/// Reads a component's types. The whole file is validated first, so that nothing after this sees a damaged
/// one.
pub(crate) fn component(bytes: &[u8], max: usize) -> Result<Found, LoadError> {
    if bytes.len() > max {
        return Err(LoadError::TooLarge { bytes: bytes.len() });
    }
    let not = |at: usize, why: String| LoadError::NotAComponent { at, why };
    if let Some(Ok(Payload::Version { encoding: wasmparser::Encoding::Module, .. })) =
        Parser::new(0).parse_all(bytes).next()
    {
        return Err(LoadError::CoreModule);
    }
    Validator::new_with_features(features())
        .validate_all(bytes)
        .map_err(|error| not(error.offset().try_into().unwrap_or(0), error.message().into()))?;
    match wit_component::decode(bytes) {
        Ok(DecodedWasm::Component(resolve, world)) => Ok(Found { resolve, world }),
        Ok(DecodedWasm::WitPackage(..)) => Err(not(0, "this is a WIT package, which holds no code".into())),
        Err(error) => Err(not(0, format!("its types cannot be read: {error:#}"))),
    }
}

/// What the engine has switched on; the rest is refused here, with the place.
fn features() -> WasmFeatures {
    let mut features = WasmFeatures::WASM2;
    features.insert(WasmFeatures::COMPONENT_MODEL);
    features.insert(WasmFeatures::TAIL_CALL);
    features.insert(WasmFeatures::EXTENDED_CONST);
    features.insert(WasmFeatures::MULTI_MEMORY);
    features
}

impl Found {
    /// The imports that need a grant. An interface of which only types are used needs none.
    pub(crate) fn grants(&self) -> Vec<Grant> {
        let wanted = |grant: &&Grant| {
            self.imports().any(|(name, interface)| {
                name == format!("consentry:policy/{}@{}", grant.name(), contract::VERSION)
                    && !interface.functions.is_empty()
            })
        };
        Grant::ALL.iter().filter(wanted).copied().collect()
    }

    fn imports(&self) -> impl Iterator<Item = (String, &Interface)> {
        items(&self.resolve, &self.resolve.worlds[self.world].imports)
    }

    fn exports(&self) -> impl Iterator<Item = (String, &Interface)> {
        items(&self.resolve, &self.resolve.worlds[self.world].exports)
    }

    /// Every difference from a world of the contract.
    pub(crate) fn compare(&self, world: World) -> Vec<Mismatch> {
        let (ours, worlds) = contract_types();
        let mut found = Vec::new();
        let expected = &ours.worlds[worlds[world as usize]];
        for name in self.other_items() {
            let sentence =
                format!("it imports or exports `{name}` outside of an interface, which no world does");
            found.push(Mismatch(sentence));
        }
        for (name, theirs) in self.imports() {
            match items(&ours, &expected.imports).find(|(ours, _)| *ours == name) {
                Some((_, interface)) => {
                    Compare { ours: &ours, theirs: &self.resolve, found: &mut found }
                        .functions(interface, theirs, false);
                }
                None => found.push(Mismatch(unexpected(&name, world))),
            }
        }
        for (name, interface) in items(&ours, &expected.exports) {
            if let Some((_, theirs)) = self.exports().find(|(theirs, _)| *theirs == name) {
                Compare { ours: &ours, theirs: &self.resolve, found: &mut found }
                    .functions(interface, theirs, true);
                continue;
            }
            let short = short(&name);
            let other = self.exports().find(|(theirs, _)| self::short(theirs) == short);
            found.push(Mismatch(match other {
                Some((other, _)) => format!("it exports `{other}`, and this host speaks `{name}`"),
                None => format!("it does not export the interface `{short}`"),
            }));
        }
        if !found.is_empty() {
            let exported: Vec<_> = self.exports().map(|(name, _)| name).collect();
            let actual = [World::Routing, World::Template, World::Compliance].into_iter().find(|other| {
                *other != world
                    && items(&ours, &ours.worlds[worlds[*other as usize]].exports)
                        .all(|(name, _)| exported.contains(&name))
            });
            if let Some(actual) = actual {
                return vec![Mismatch(format!(
                    "this is a policy of the world `{}`, and it was given where one of the world `{}` belongs",
                    actual.name(),
                    world.name()
                ))];
            }
        }
        found
    }

    /// What is imported or exported beside interfaces.
    fn other_items(&self) -> impl Iterator<Item = String> {
        let world = &self.resolve.worlds[self.world];
        world.imports.iter().chain(&world.exports).filter_map(|(key, item)| match item {
            WorldItem::Interface { .. } => None,
            WorldItem::Function(_) | WorldItem::Type { .. } => Some(self.resolve.name_world_key(key)),
        })
    }
}

fn unexpected(name: &str, world: World) -> String {
    let ours = name.starts_with("consentry:policy/");
    if ours && !name.ends_with(&format!("@{}", contract::VERSION)) {
        format!("it was built for `{name}`, and this host speaks contract {}", contract::VERSION)
    } else if ours {
        format!("it imports `{}`, which the world `{}` does not offer", short(name), world.name())
    } else {
        format!(
            "it imports `{name}`: a policy has no way out but the contract's own interfaces (built for a WASI \
             target? `wasm32-unknown-unknown` imports nothing of the kind)"
        )
    }
}

/// `router` of `consentry:policy/router@0.1.0`.
fn short(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.split('@').next().unwrap_or(name)
}

type Items = wit_parser::IndexMap<WorldKey, WorldItem>;

fn items<'a>(resolve: &'a Resolve, items: &'a Items) -> impl Iterator<Item = (String, &'a Interface)> {
    items.iter().filter_map(|(key, item)| match item {
        WorldItem::Interface { id, .. } => Some((resolve.name_world_key(key), &resolve.interfaces[*id])),
        WorldItem::Function(_) | WorldItem::Type { .. } => None,
    })
}

/// The contract, parsed from its text, and its worlds in the order of [`World`].
#[expect(clippy::expect_used, reason = "the contract is compiled in, and a test reads it")]
fn contract_types() -> (Resolve, [wit_parser::WorldId; 3]) {
    let mut resolve = Resolve::default();
    let group = UnresolvedPackageGroup::parse("contract.wit", contract::WIT).expect("the contract is WIT");
    let package = resolve.push_group(group).expect("the contract resolves");
    let world = |world: World| resolve.packages[package].worlds[world.name()];
    let worlds = [world(World::Routing), world(World::Template), world(World::Compliance)];
    (resolve, worlds)
}

/// Walks two types side by side and says where they part.
struct Compare<'a> {
    ours: &'a Resolve,
    theirs: &'a Resolve,
    found: &'a mut Vec<Mismatch>,
}

impl Compare<'_> {
    fn functions(&mut self, ours: &Interface, theirs: &Interface, all: bool) {
        let name = ours.name.as_deref().unwrap_or_default();
        for (function, ours) in &ours.functions {
            match theirs.functions.get(function) {
                Some(theirs) => self.function(&format!("`{name}.{function}`"), ours, theirs),
                None if all => self.say(format!("`{name}` lacks the function `{function}`")),
                None => {}
            }
        }
        for function in theirs.functions.keys().filter(|function| !ours.functions.contains_key(*function)) {
            self.say(format!("`{name}` has no function `{function}` in contract {}", contract::VERSION));
        }
    }

    fn function(&mut self, place: &str, ours: &Function, theirs: &Function) {
        if ours.params.len() != theirs.params.len() {
            self.say(format!(
                "{place} takes {} parameters, and the component's takes {}",
                ours.params.len(),
                theirs.params.len()
            ));
            return;
        }
        for (ours, theirs) in ours.params.iter().zip(&theirs.params) {
            self.types(&format!("{place}, parameter `{}`", ours.name), ours.ty, theirs.ty);
        }
        match (ours.result, theirs.result) {
            (Some(ours), Some(theirs)) => self.types(&format!("{place}, result"), ours, theirs),
            (None, None) => {}
            (ours, theirs) => self.differ(place, ours, theirs),
        }
    }

    fn optional(&mut self, place: &str, ours: Option<Type>, theirs: Option<Type>) {
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => self.types(place, ours, theirs),
            (None, None) => {}
            (ours, theirs) => self.differ(place, ours, theirs),
        }
    }

    fn differ(&mut self, place: &str, ours: Option<Type>, theirs: Option<Type>) {
        let name = |resolve: &Resolve, of: Option<Type>| of.map_or("nothing".into(), |of| name(resolve, of));
        let (ours, theirs) = (name(self.ours, ours), name(self.theirs, theirs));
        self.say(format!("{place}: the contract says {ours}, the component says {theirs}"));
    }

    fn types(&mut self, place: &str, ours: Type, theirs: Type) {
        let (a, b) = (resolved(self.ours, ours), resolved(self.theirs, theirs));
        let (Type::Id(a), Type::Id(b)) = (a, b) else {
            if a != b {
                self.differ(place, Some(ours), Some(theirs));
            }
            return;
        };
        let (ours_def, theirs_def) = (&self.ours.types[a], &self.theirs.types[b]);
        match (&ours_def.kind, &theirs_def.kind) {
            (TypeDefKind::Record(x), TypeDefKind::Record(y)) => {
                let place = within(place, "record", ours_def.name.as_ref());
                let names =
                    |r: &wit_parser::Record| r.fields.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
                if !self.same_names(&place, "field", &names(x), &names(y)) {
                    return;
                }
                for (x, y) in x.fields.iter().zip(&y.fields) {
                    self.types(&format!("{place}, field `{}`", x.name), x.ty, y.ty);
                }
            }
            (TypeDefKind::Variant(x), TypeDefKind::Variant(y)) => {
                let place = within(place, "variant", ours_def.name.as_ref());
                let names =
                    |v: &wit_parser::Variant| v.cases.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
                if !self.same_names(&place, "case", &names(x), &names(y)) {
                    return;
                }
                for (x, y) in x.cases.iter().zip(&y.cases) {
                    self.optional(&format!("{place}, case `{}`", x.name), x.ty, y.ty);
                }
            }
            (TypeDefKind::Enum(x), TypeDefKind::Enum(y)) => {
                let place = within(place, "enum", ours_def.name.as_ref());
                let names = |e: &wit_parser::Enum| e.cases.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
                self.same_names(&place, "case", &names(x), &names(y));
            }
            (TypeDefKind::List(x), TypeDefKind::List(y)) => self.types(&format!("{place}, item"), *x, *y),
            (TypeDefKind::Option(x), TypeDefKind::Option(y)) => self.types(place, *x, *y),
            (TypeDefKind::Result(x), TypeDefKind::Result(y)) => {
                self.optional(&format!("{place}, ok"), x.ok, y.ok);
                self.optional(&format!("{place}, error"), x.err, y.err);
            }
            (TypeDefKind::Tuple(x), TypeDefKind::Tuple(y)) if x.types.len() == y.types.len() => {
                for (n, (x, y)) in x.types.iter().zip(&y.types).enumerate() {
                    self.types(&format!("{place}, part {}", n + 1), *x, *y);
                }
            }
            _ => self.differ(place, Some(ours), Some(theirs)),
        }
    }

    fn same_names(&mut self, place: &str, what: &str, ours: &[String], theirs: &[String]) -> bool {
        if ours == theirs {
            return true;
        }
        for name in ours.iter().filter(|name| !theirs.contains(name)) {
            self.say(format!("{place}: the component lacks the {what} `{name}`"));
        }
        for name in theirs.iter().filter(|name| !ours.contains(name)) {
            self.say(format!("{place}: the contract has no {what} `{name}`"));
        }
        if ours.len() == theirs.len() && ours.iter().all(|name| theirs.contains(name)) {
            self.say(format!("{place}: the {what}s are in another order"));
        }
        false
    }

    fn say(&mut self, sentence: String) {
        let mismatch = Mismatch(sentence);
        if !self.found.contains(&mismatch) && self.found.len() < 20 {
            self.found.push(mismatch);
        }
    }
}

fn within(place: &str, kind: &str, name: Option<&String>) -> String {
    name.map_or_else(|| place.into(), |name| format!("{place}, {kind} `{name}`"))
}

/// The type behind aliases.
fn resolved(resolve: &Resolve, of: Type) -> Type {
    match of {
        Type::Id(id) => match resolve.types[id].kind {
            TypeDefKind::Type(inner) => resolved(resolve, inner),
            _ => of,
        },
        _ => of,
    }
}

fn name(resolve: &Resolve, of: Type) -> String {
    match resolved(resolve, of) {
        Type::Id(id) => match &resolve.types[id] {
            def if def.name.is_some() => format!("`{}`", def.name.as_deref().unwrap_or_default()),
            def => match &def.kind {
                TypeDefKind::List(inner) => format!("a list of {}", name(resolve, *inner)),
                TypeDefKind::Option(inner) => format!("an option of {}", name(resolve, *inner)),
                other => format!("a {}", other.as_str()),
            },
        },
        plain => format!("`{}`", format!("{plain:?}").to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_read_and_has_three_worlds() {
        let (resolve, worlds) = contract_types();
        let names = worlds.map(|world| resolve.worlds[world].name.clone());
        assert_eq!(names, ["routing", "template", "compliance"]);
    }
}
