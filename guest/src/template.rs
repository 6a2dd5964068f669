//! The world `template`: which words are said.

use crate::{DeliveryMethod, Description, Finding, Occasion, Problem};

pub use world::exports::consentry::policy::writer::{
    Choice, Misread, Necessity, Question, QuestionKind, Turn, Words,
};

/// A template policy.
pub trait Policy {
    /// What this policy is, understands and may cite.
    fn describe() -> Description;

    /// What is wrong with the settings that the operator gave.
    fn check_settings() -> Vec<Problem> {
        Vec::new()
    }

    /// The words for an occasion, or why there are none.
    fn render(occasion: Occasion, method: DeliveryMethod) -> Result<Words, Finding>;

    /// The words for a turn of a dialogue, or why there are none.
    fn ask(occasion: Occasion, method: DeliveryMethod, turn: Turn) -> Result<Words, Finding>;
}

/// Makes a component of the world `template` of a [`template::Policy`](crate::template::Policy).
#[macro_export]
macro_rules! template {
    ($policy:ty) => {
        // A native build of a policy is a library for its tests; only a component has exports.
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Component;
            impl $crate::about::exports::consentry::policy::about::Guest for Component {
                fn describe() -> $crate::Description {
                    <$policy as $crate::template::Policy>::describe()
                }
                fn check_settings() -> Vec<$crate::Problem> {
                    <$policy as $crate::template::Policy>::check_settings()
                }
            }
            impl $crate::template::world::exports::consentry::policy::writer::Guest for Component {
                fn render(
                    occasion: $crate::Occasion,
                    method: $crate::DeliveryMethod,
                ) -> Result<$crate::Words, $crate::Finding> {
                    <$policy as $crate::template::Policy>::render(occasion, method)
                }
                fn ask(
                    occasion: $crate::Occasion,
                    method: $crate::DeliveryMethod,
                    turn: $crate::Turn,
                ) -> Result<$crate::Words, $crate::Finding> {
                    <$policy as $crate::template::Policy>::ask(occasion, method, turn)
                }
            }
    $crate::about::__export_about!(Component with_types_in $crate::about);
    $crate::template::world::__export_writer!(Component with_types_in $crate::template::world);
        };
    };
}

#[doc(hidden)]
#[expect(clippy::same_length_and_capacity, reason = "generated")]
pub mod world {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package consentry:sdk-template; world writer-alone { export consentry:policy/writer@0.1.0; }",
        world: "consentry:sdk-template/writer-alone",
        with: {
            "consentry:policy/types@0.1.0": crate::bindings::consentry::policy::types,
            "consentry:policy/wordings@0.1.0": crate::bindings::consentry::policy::wordings,
        },
        pub_export_macro: true,
        export_macro_name: "__export_writer",
        default_bindings_module: "consentry_guest::template::world",
        additional_derives: [PartialEq],
    });
}
