//! The world `compliance`: whether a message may go out, and what an inbound message means.

use crate::{Description, Occasion, Problem};

pub use world::exports::consentry::policy::reviewer::{
    Allowance, Approval, Deferral, Draft, Expecting, Filling, Inbound, Intent, ProviderHandling, Scope,
    Stage, Stop, Verdict,
};

/// A compliance policy.
pub trait Policy {
    /// What this policy is, understands and may cite.
    fn describe() -> Description;

    /// What is wrong with the settings that the operator gave.
    fn check_settings() -> Vec<Problem> {
        Vec::new()
    }

    /// Reviews a draft.
    fn review(occasion: Occasion, draft: Draft, stage: Stage) -> Verdict;

    /// Reads an inbound message.
    fn interpret(inbound: Inbound) -> Intent;
}

/// Makes a component of the world `compliance` of a [`compliance::Policy`](crate::compliance::Policy).
#[macro_export]
macro_rules! compliance {
    ($policy:ty) => {
        // A native build of a policy is a library for its tests; only a component has exports.
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Component;
            impl $crate::about::exports::consentry::policy::about::Guest for Component {
                fn describe() -> $crate::Description {
                    <$policy as $crate::compliance::Policy>::describe()
                }
                fn check_settings() -> Vec<$crate::Problem> {
                    <$policy as $crate::compliance::Policy>::check_settings()
                }
            }
            impl $crate::compliance::world::exports::consentry::policy::reviewer::Guest for Component {
                fn review(
                    occasion: $crate::Occasion,
                    draft: $crate::Draft,
                    stage: $crate::Stage,
                ) -> $crate::Verdict {
                    <$policy as $crate::compliance::Policy>::review(occasion, draft, stage)
                }
                fn interpret(inbound: $crate::Inbound) -> $crate::Intent {
                    <$policy as $crate::compliance::Policy>::interpret(inbound)
                }
            }
    $crate::about::__export_about!(Component with_types_in $crate::about);
    $crate::compliance::world::__export_reviewer!(Component with_types_in $crate::compliance::world);
        };
    };
}

#[doc(hidden)]
#[expect(clippy::same_length_and_capacity, reason = "generated")]
pub mod world {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package consentry:sdk-compliance; world reviewer-alone { export consentry:policy/reviewer@0.1.0; }",
        world: "consentry:sdk-compliance/reviewer-alone",
        with: {
            "consentry:policy/types@0.1.0": crate::bindings::consentry::policy::types,
            "consentry:policy/redcap@0.1.0": crate::bindings::consentry::policy::redcap,
        },
        pub_export_macro: true,
        export_macro_name: "__export_reviewer",
        default_bindings_module: "consentry_guest::compliance::world",
        additional_derives: [PartialEq],
    });
}
