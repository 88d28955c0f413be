//! Pictures that web UIs saved tell how they were made.

// Whoever reads a fixture may insist.
#![allow(clippy::unwrap_used)]

use diffuse::recipe::picture;

#[test]
fn pictures_of_web_uis_tell_their_recipes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/diffusion/");
    for (name, prompt) in [("latin.png", "grüner Baum"), ("wide.png", "緑の木")] {
        let bytes = std::fs::read(format!("{folder}{name}")).unwrap();
        let recipe = picture::read(&bytes).unwrap().unwrap();
        assert_eq!(recipe.prompt, format!("{prompt}, (word:1.2) <lora:x:0.8>\nsecond line"));
        assert_eq!(recipe.negative_prompt, "ugly, [blurry]");
        assert_eq!((recipe.seed, recipe.size), (Some(965_400_086), Some((2, 1))));
        assert_eq!(recipe.model.as_deref(), Some("a, b: c"));
        assert_eq!(recipe.adapters, [("x".to_owned(), "0123456789ab".to_owned())]);
        assert!(recipe.other.is_empty() && recipe.version.as_deref() == Some("v1.10.1"));
        let again = picture::write(&[0; 6], (2, 1), Some(&recipe)).unwrap();
        assert_eq!(picture::read(&again).unwrap().unwrap(), recipe);
    }
}
