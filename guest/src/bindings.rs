//! The interfaces that the worlds share, generated once, so that an occasion is one type in all of them.

#![expect(clippy::same_length_and_capacity, reason = "generated")]

wit_bindgen::generate!({
    path: "../wit",
    inline: r"
        package consentry:sdk;
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
    world: "consentry:sdk/shared",
    generate_all,
    additional_derives: [PartialEq],
});
