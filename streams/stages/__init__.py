"""The stages of the stream, and the step that each of them makes: fold, store, publish."""
