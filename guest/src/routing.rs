//! The world `routing`: how a recipient is contacted.

use crate::{Description, Occasion, Problem};

pub use world::exports::consentry::policy::router::{Plan, Route, Wait};

/// A routing policy.
pub trait Policy {
    /// What this policy is, understands and may cite.
    fn describe() -> Description;

    /// What is wrong with the settings that the operator gave.
    fn check_settings() -> Vec<Problem> {
        Vec::new()
    }

    /// Chooses the way for an occasion.
    fn choose(occasion: Occasion) -> Route;
}

/// Makes a component of the world `routing` of a [`routing::Policy`](crate::routing::Policy).
#[macro_export]
macro_rules! routing {
    ($policy:ty) => {
        // A native build of a policy is a library for its tests; only a component has exports.
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Component;
            impl $crate::about::exports::consentry::policy::about::Guest for Component {
                fn describe() -> $crate::Description {
                    <$policy as $crate::routing::Policy>::describe()
                }
                fn check_settings() -> Vec<$crate::Problem> {
                    <$policy as $crate::routing::Policy>::check_settings()
                }
            }
            impl $crate::routing::world::exports::consentry::policy::router::Guest for Component {
                fn choose(occasion: $crate::Occasion) -> $crate::Route {
                    <$policy as $crate::routing::Policy>::choose(occasion)
                }
            }
    $crate::about::__export_about!(Component with_types_in $crate::about);
    $crate::routing::world::__export_router!(Component with_types_in $crate::routing::world);
        };
    };
}

#[doc(hidden)]
#[expect(clippy::same_length_and_capacity, reason = "generated")]
pub mod world {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package consentry:sdk-routing; world router-alone { export consentry:policy/router@0.1.0; }",
        world: "consentry:sdk-routing/router-alone",
        with: {
            "consentry:policy/types@0.1.0": crate::bindings::consentry::policy::types,
        },
        pub_export_macro: true,
        export_macro_name: "__export_router",
        default_bindings_module: "consentry_guest::routing::world",
        additional_derives: [PartialEq],
    });
}
