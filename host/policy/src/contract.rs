//! The contract as host-side types, generated from `wit/`.
//!
//! The interfaces that the worlds share are generated once, so that an occasion is one type in all of them.

pub use shared::consentry::policy::{
    declarations, log, redcap, redcap_write, settings, time, twilio, twilio_send, types, wordings,
};

pub use compliance::exports::consentry::policy::reviewer;
pub use routing::exports::consentry::policy::router;
pub use template::exports::consentry::policy::writer;

/// The version of the contract that this host speaks.
pub const VERSION: &str = "0.1.0";

/// The contract's text, as policies are compared with it when they are loaded.
pub const WIT: &str = concat!(
    include_str!("../../../wit/worlds.wit"),
    include_str!("../../../wit/types.wit"),
    include_str!("../../../wit/redcap.wit"),
    include_str!("../../../wit/twilio.wit"),
    include_str!("../../../wit/wordings.wit"),
    include_str!("../../../wit/time.wit"),
    include_str!("../../../wit/settings.wit"),
    include_str!("../../../wit/log.wit"),
    include_str!("../../../wit/about.wit"),
    include_str!("../../../wit/router.wit"),
    include_str!("../../../wit/writer.wit"),
    include_str!("../../../wit/reviewer.wit"),
);

/// The shared interfaces as generated, for those who call components without this crate's engine.
#[doc(hidden)]
pub mod shared {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: r"
            package consentry:host;
            world shared {
                import consentry:policy/types@0.1.0;
                import consentry:policy/redcap@0.1.0;
                import consentry:policy/redcap-write@0.1.0;
                import consentry:policy/twilio@0.1.0;
                import consentry:policy/twilio-send@0.1.0;
                import consentry:policy/wordings@0.1.0;
                import consentry:policy/time@0.1.0;
                import consentry:policy/settings@0.1.0;
                import consentry:policy/log@0.1.0;
                import consentry:policy/declarations@0.1.0;
            }
        ",
        world: "consentry:host/shared",
        imports: { default: trappable },
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

#[doc(hidden)]
pub mod routing {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "consentry:policy/routing",
        with: {
            "consentry:policy/types@0.1.0": super::types,
            "consentry:policy/redcap@0.1.0": super::redcap,
            "consentry:policy/redcap-write@0.1.0": super::redcap_write,
            "consentry:policy/twilio@0.1.0": super::twilio,
            "consentry:policy/twilio-send@0.1.0": super::twilio_send,
            "consentry:policy/time@0.1.0": super::time,
            "consentry:policy/settings@0.1.0": super::settings,
            "consentry:policy/log@0.1.0": super::log,
            "consentry:policy/declarations@0.1.0": super::declarations,
        },
        imports: { default: trappable },
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

#[doc(hidden)]
pub mod template {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "consentry:policy/template",
        with: {
            "consentry:policy/types@0.1.0": super::types,
            "consentry:policy/redcap@0.1.0": super::redcap,
            "consentry:policy/wordings@0.1.0": super::wordings,
            "consentry:policy/time@0.1.0": super::time,
            "consentry:policy/settings@0.1.0": super::settings,
            "consentry:policy/log@0.1.0": super::log,
            "consentry:policy/declarations@0.1.0": super::declarations,
        },
        imports: { default: trappable },
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

#[doc(hidden)]
pub mod compliance {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "consentry:policy/compliance",
        with: {
            "consentry:policy/types@0.1.0": super::types,
            "consentry:policy/redcap@0.1.0": super::redcap,
            "consentry:policy/twilio@0.1.0": super::twilio,
            "consentry:policy/time@0.1.0": super::time,
            "consentry:policy/settings@0.1.0": super::settings,
            "consentry:policy/log@0.1.0": super::log,
            "consentry:policy/declarations@0.1.0": super::declarations,
        },
        imports: { default: trappable },
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}
